//! A timed training step, for `cognate bench train` and for the plan's calibration.

use std::time::Instant;

use cognate_base::random::{self, Rng};
use cognate_model::{Batch, Config, Decoder, Moments};
use cognate_ops::{AdamW, Device, View, ViewMut};

use crate::Result;
use crate::train::{PIECE_TOKENS, accumulate};

/// What to time: `batch` rows of `context` made-up tokens, each row one document, every token scored.
#[derive(Clone, Debug)]
pub struct StepBench {
    /// The decoder.
    pub config: Config,
    /// Rows.
    pub batch: usize,
    /// Tokens a row.
    pub context: usize,
    /// Timed steps; two more come first and are not counted.
    pub steps: usize,
    /// Share of each row's tokens that is scored, from the end: 1 for plain rows, 0.5 for pairs of equal length.
    pub scored_share: f64,
}

/// The times of the steps.
#[derive(Clone, Debug)]
pub struct StepTimes {
    /// Seconds of each timed step.
    pub step_s: Vec<f64>,
    /// Tokens a step.
    pub tokens: usize,
    /// Operations a step, counted as 6 a weight and token, and attention at half of 12·layers·width·context a token.
    pub flops: f64,
    /// Operations a second of nothing but matrix products: the three of the feed-forward's first weight, at the step's own
    /// number of tokens. What the step's `flops` over its seconds is a fraction of.
    pub product_rate: f64,
    /// Loss of the last step: a number, or the bench measured nonsense.
    pub loss: f64,
}

impl StepTimes {
    /// Median of the steps' seconds.
    pub fn median_s(&self) -> f64 {
        let mut sorted = self.step_s.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        if n == 0 { 0.0 } else { (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0 }
    }
}

impl StepBench {
    /// Times full optimizer steps: forward, backward, clipping, AdamW.
    ///
    /// # Errors
    /// When the configuration is impossible.
    pub fn run<D: Device>(&self, device: D) -> Result<StepTimes> {
        let mut model = Decoder::new(device.clone(), self.config.clone(), 0)?;
        let (mut gradients, mut moments) = (model.gradients(), Moments::new(&model));
        let mut rng = random::stream(0, "bench", 0);
        let mut batch = Batch::new();
        let prompt = ((1.0 - self.scored_share) * self.context as f64).round() as usize;
        for _ in 0..self.batch {
            let row: Vec<u32> =
                (0..=self.context).map(|_| (rng.next_u64() % self.config.vocab as u64) as u32).collect();
            let (prompt, rest) = row.split_at(prompt.clamp(1, self.context));
            batch.push_conditional(prompt, rest);
        }
        let mut times = Vec::new();
        let mut loss = 0.0;
        for step in 0..self.steps + 2 {
            let start = Instant::now();
            let (total, norm) = accumulate(&mut model, &batch, &mut gradients)?;
            let settings = AdamW {
                rate: 1e-3,
                beta1: 0.9,
                beta2: 0.95,
                epsilon: 1e-8,
                weight_decay: 0.1,
                step: step as u64 + 1,
                gradient_scale: (1.0 / norm).min(1.0),
            };
            model.update(&gradients, &mut moments, &settings);
            loss = total / batch.scored() as f64;
            if step >= 2 {
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let (tokens, c) = (batch.len(), &self.config);
        let attention = 6 * c.layers * c.heads * c.head_width * self.context;
        let flops = (6 * c.parameters() + attention) as f64 * tokens as f64;
        let rows = tokens.min(PIECE_TOKENS);
        Ok(StepTimes { step_s: times, tokens, flops, product_rate: self.product_rate(&device, rows), loss })
    }

    /// Operations a second of the products of a (2·ffn, width) weight over `rows` rows: median over rounds of all three.
    fn product_rate<D: Device>(&self, device: &D, rows: usize) -> f64 {
        const ROUNDS: usize = 7;
        let (i, o) = (self.config.width, 2 * self.config.ffn);
        let filled = |len: usize| {
            // Numbers of ordinary size: a processor may be faster on zeros.
            let values: Vec<f32> = (0..len).map(|i| (i % 61) as f32 * 1e-3).collect();
            let mut buffer = device.zeros(len);
            device.upload(&mut buffer, 0, &values);
            buffer
        };
        let (x, weight) = (filled(rows * i), filled(o * i));
        let (mut out, mut dx, mut dweight) = (filled(rows * o), filled(rows * i), filled(o * i));
        let flops = 6.0 * (rows * i * o) as f64;
        let repeats = (2e10 / flops).ceil() as usize;
        let mut round = || {
            let (x, weight) = (View::<D>::new(&x, 0..rows * i), View::new(&weight, 0..o * i));
            device.matmul(ViewMut::new(&mut out, 0..rows * o), x.clone(), weight.clone(), i, o, false);
            let dout = View::new(&out, 0..rows * o);
            device.matmul_input_gradient(ViewMut::new(&mut dx, 0..rows * i), dout.clone(), weight, i, o);
            device.matmul_weight_gradient(ViewMut::new(&mut dweight, 0..o * i), dout, x, i, o);
        };
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            (0..repeats).for_each(|_| round());
            rates.push(repeats as f64 * flops / start.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    }
}
