//! A timed training step, for `cognate bench train` and for the plan's calibration.

use std::time::Instant;

use cognate_base::Monitor;
use cognate_base::process::check_memory;
use cognate_base::random::{self, Rng};
use cognate_model::{Batch, Config, Decoder, Moments};
use cognate_ops::{AdamW, Device, View, ViewMut};

use crate::Result;
use crate::train::{accumulate, training_bytes};

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
    /// Operations a second of nothing but matrix products: the three of the feed-forward's first weight. What the step's
    /// `flops` over its seconds is a fraction of.
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
    /// When the configuration is impossible, the machine has no memory for it, or the monitor asks to stop.
    pub fn run<D: Device>(&self, device: D, monitor: &dyn Monitor) -> Result<StepTimes> {
        let needed = training_bytes(&self.config, self.batch.saturating_mul(self.context), self.context);
        check_memory("training this model", needed).map_err(cognate_model::Error::from)?;
        let mut model = Decoder::new(device.clone(), self.config.clone(), 0)?;
        let (mut gradients, mut moments) = (model.gradients(), Moments::new(&model));
        let mut rng = random::stream(0, "bench", 0);
        let mut batch = Batch::new();
        let scored = (self.scored_share * self.context as f64).round() as usize;
        let prompt = self.context + 1 - scored.clamp(1, self.context);
        for _ in 0..self.batch {
            let row: Vec<u32> =
                (0..=self.context).map(|_| (rng.next_u64() % self.config.vocab as u64) as u32).collect();
            let (prompt, rest) = row.split_at(prompt);
            batch.push_conditional(prompt, rest);
        }
        let mut times = Vec::new();
        let mut loss = 0.0;
        for step in 0..self.steps + 2 {
            monitor.check()?;
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
        let product_rate = ProductBench::of(&device, c).rate();
        Ok(StepTimes { step_s: times, tokens, flops, product_rate, loss })
    }
}

/// The three products of the feed-forward's first weight, (2·ffn, width), over rows of made-up numbers: what a machine can do
/// where nothing else is to be done.
pub(crate) struct ProductBench<D: Device> {
    device: D,
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: D::Buffer,
    weight: D::Buffer,
    out: D::Buffer,
    dx: D::Buffer,
    dweight: D::Buffer,
}

impl<D: Device> ProductBench<D> {
    /// Rows of the products: the rate changes little from there on.
    const ROWS: usize = 1024;

    /// The products of a decoder's shape.
    pub(crate) fn of(device: &D, config: &Config) -> Self {
        let (rows, inputs, outputs) = (Self::ROWS, config.width, 2 * config.ffn);
        let filled = |len: usize| {
            // Numbers of ordinary size: a processor may be faster on zeros.
            let values: Vec<f32> = (0..len).map(|i| (i % 61) as f32 * 1e-3).collect();
            let mut buffer = device.zeros(len);
            device.upload(&mut buffer, 0, &values);
            buffer
        };
        Self {
            device: device.clone(),
            rows,
            inputs,
            outputs,
            x: filled(rows * inputs),
            weight: filled(outputs * inputs),
            out: filled(rows * outputs),
            dx: filled(rows * inputs),
            dweight: filled(outputs * inputs),
        }
    }

    /// Operations a second: median of a few rounds, each long enough for the clock and short enough for the start of a run.
    pub(crate) fn rate(mut self) -> f64 {
        const ROUNDS: usize = 7;
        const ROUND_S: f64 = 0.01;
        let flops = 6.0 * (self.rows * self.inputs * self.outputs) as f64;
        self.products(); // the first touch of the buffers
        let mut rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let mut done = 0.0;
                while done == 0.0 || start.elapsed().as_secs_f64() < ROUND_S {
                    self.products();
                    done += flops;
                }
                done / start.elapsed().as_secs_f64()
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    }

    fn products(&mut self) {
        let (n, i, o) = (self.rows, self.inputs, self.outputs);
        let (x, weight) = (View::<D>::new(&self.x, 0..n * i), View::new(&self.weight, 0..o * i));
        self.device.matmul(ViewMut::new(&mut self.out, 0..n * o), x.clone(), weight.clone(), i, o, false);
        let dout = View::new(&self.out, 0..n * o);
        self.device.matmul_input_gradient(ViewMut::new(&mut self.dx, 0..n * i), dout.clone(), weight, i, o);
        self.device.matmul_weight_gradient(ViewMut::new(&mut self.dweight, 0..o * i), dout, x, i, o);
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use cognate_ops::Cpu;

    use super::*;
    use crate::{Job, Schedule, Shape, Stream, TrainConfig, train};

    /// 36·8 + 8 parameters in table and last norm, 480 + 16 in matrices and norms of each of two blocks: 1288.
    fn config() -> Config {
        Config {
            vocab: 36,
            width: 8,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_width: 4,
            ffn: 12,
            max_positions: 16,
            rope_base: 1e4,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: false,
            tied: true,
        }
    }

    fn times(scored_share: f64) -> StepTimes {
        let bench = StepBench { config: config(), batch: 3, context: 8, steps: 4, scored_share };
        bench.run(Cpu::new(1).unwrap(), &Silent).unwrap()
    }

    /// The same batch at each of six steps: as many as the bench above makes, with the two that it does not time.
    struct SixTimes(Batch);

    impl Stream for SixTimes {
        fn steps(&self) -> u64 {
            6
        }

        fn tokens(&self) -> u64 {
            6 * self.0.len() as u64
        }

        fn fill(&self, _step: u64, batch: &mut Batch) {
            batch.clone_from(&self.0);
        }
    }

    /// The loss of the sixth step of a training run on three rows of eight made-up tokens, whose last `scored` are scored.
    fn trained(scored: usize) -> f64 {
        let mut rng = random::stream(0, "bench", 0);
        let mut batch = Batch::new();
        for _ in 0..3 {
            let row: Vec<u32> = (0..9).map(|_| (rng.next_u64() % 36) as u32).collect();
            batch.push_conditional(&row[..9 - scored], &row[9 - scored..]);
        }
        assert_eq!((batch.len(), batch.scored()), (24, 3 * scored));
        let folder = tempfile::tempdir().unwrap();
        let settings = TrainConfig {
            schedule: Schedule { peak_rate: 1e-3, final_rate: 1e-3, warmup_share: 0.0, shape: Shape::Constant },
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip: 1.0,
            validate_every: 1,
            checkpoint_every: 6,
            keep_checkpoints: 1,
        };
        let mut model = Decoder::new(Cpu::new(1).unwrap(), config(), 0).unwrap();
        let job = Job {
            stream: &SixTimes(batch),
            validation: &[],
            choice: &[],
            contrast: None,
            config: &settings,
            folder: folder.path(),
            tokenizer: None,
            fingerprint: "bench",
        };
        train(&mut model, &job, &Silent).unwrap().progress.curve[6].train_nats.unwrap()
    }

    #[test]
    fn timed_steps_are_those_of_training_and_their_operations_those_of_the_shape() {
        let found = times(1.0);
        assert_eq!((found.step_s.len(), found.tokens), (4, 24));
        // 6·1288 for the weights, and 12·2·8·8 halved for attention, a token.
        assert_eq!(found.flops, 24.0 * (7728.0 + 768.0));
        for (share, scored) in [(1.0, 8), (0.5, 4), (0.3, 2), (0.0, 1)] {
            assert_eq!(times(share).loss, trained(scored), "{share}");
        }
    }

    #[test]
    fn the_median_is_the_middle_time_or_the_mean_of_the_two_in_the_middle() {
        let median = |step_s: &[f64]| {
            StepTimes { step_s: step_s.to_vec(), tokens: 1, flops: 1.0, product_rate: 1.0, loss: 1.0 }.median_s()
        };
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[9.0, 2.0, 4.0]), 4.0);
        assert_eq!(median(&[7.0, 32.0, 1.0, 4.0]), 5.5);
    }
}
