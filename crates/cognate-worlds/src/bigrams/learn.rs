//! The paper's learner: one layer of linear attention, `ŷ = Σ_t a⁽ᵏ⁾_t V(x_t)`, fitted to `½ ‖ŷ − e_next‖² + λ ‖a‖₁`.
//!
//! V has a row for each token and becomes P, a has a row for each last token and becomes q. All start without knowledge: V's rows are μ, a's
//! weights 1/T. A step draws new samples, so that steps times batch is the sample complexity. Preconditioned proximal descent divides
//! the gradient of V's row i by μ_i and that of a⁽ᵏ⁾ by μ_k, how often each is seen; it takes the mean from the latter, so that weights keep their
//! sum, then shrinks every weight towards 0 by rate · λ and brings the sum back to 1.
//!
//! Ours: the rate falls linearly to 0, λ is the same in all steps, and μ is taken as known. The paper has a first stage with larger batches
//! and thresholds at its end; both stages are one here.

use cognate_base::{Interrupted, Monitor, random};

use super::Bigram;
use crate::Concept;

/// One sample of the paper: T tokens, the last one, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The tokens of the window, earliest first.
    pub window: Vec<u32>,
    /// The last token, which chooses.
    pub last: u32,
    /// The token that follows.
    pub next: u32,
}

/// How a step is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Preconditioned proximal descent.
    Proximal {
        /// λ, the weight of the ℓ1 norm.
        l1: f64,
    },
    /// Stochastic gradient descent on the squared error alone.
    Gradient,
}

/// The learner.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearAttention {
    symbols: usize,
    window: usize,
    /// V, `[symbols × symbols]`: from a token (row) to the next.
    pub values: Vec<f64>,
    /// a, `[symbols × window]`: for each last token the weights of the positions.
    pub attention: Vec<f64>,
}

impl LinearAttention {
    /// Without knowledge of anything but μ.
    pub fn new(truth: &Bigram) -> Self {
        let (symbols, window) = (truth.symbols(), truth.window());
        let values = truth.start().repeat(symbols);
        Self { symbols, window, values, attention: vec![1.0 / window as f64; symbols * window] }
    }

    /// The prediction for a sample's next token, `[symbols]`.
    pub fn predict(&self, example: &Example) -> Vec<f64> {
        let mut out = vec![0.0; self.symbols];
        for (token, weight) in example.window.iter().zip(self.weights(example.last)) {
            let row = &self.values[*token as usize * self.symbols..][..self.symbols];
            out.iter_mut().zip(row).for_each(|(total, v)| *total += weight * v);
        }
        out
    }

    fn weights(&self, last: u32) -> &[f64] {
        &self.attention[last as usize * self.window..][..self.window]
    }

    /// Takes `steps` steps of `batch` new samples each. The rate falls linearly from `rate` to 0.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn train(
        &mut self,
        truth: &Bigram,
        method: Method,
        rate: f64,
        (steps, batch): (usize, usize),
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<(), Interrupted> {
        for step in 0..steps {
            monitor.check()?;
            let draw = |number| truth.example(seed, (step * batch + number) as u64);
            let (values, attention) = self.gradient_of(&(0..batch).map(draw).collect::<Vec<_>>());
            let rate = rate * (steps - step) as f64 / steps as f64;
            self.step(truth.start(), method, rate, &values, &attention);
        }
        Ok(())
    }

    /// The gradients of ½ ‖ŷ − e_next‖², averaged over examples, of V and of a.
    pub(super) fn gradient_of(&self, examples: &[Example]) -> (Vec<f64>, Vec<f64>) {
        let mut values = vec![0.0; self.values.len()];
        let mut attention = vec![0.0; self.attention.len()];
        let share = 1.0 / examples.len() as f64;
        for example in examples {
            let mut error = self.predict(example);
            error[example.next as usize] -= 1.0;
            for (position, (&token, weight)) in example.window.iter().zip(self.weights(example.last)).enumerate() {
                let at = token as usize * self.symbols;
                let mut product = 0.0;
                for (to, error) in error.iter().enumerate() {
                    values[at + to] += share * weight * error;
                    product += self.values[at + to] * error;
                }
                attention[example.last as usize * self.window + position] += share * product;
            }
        }
        (values, attention)
    }

    fn step(&mut self, start: &[f64], method: Method, rate: f64, values: &[f64], attention: &[f64]) {
        let Method::Proximal { l1 } = method else {
            self.values.iter_mut().zip(values).for_each(|(v, gradient)| *v -= rate * gradient);
            self.attention.iter_mut().zip(attention).for_each(|(a, gradient)| *a -= rate * gradient);
            return;
        };
        let (symbols, window) = (self.symbols, self.window);
        for (token, p) in start.iter().enumerate() {
            let row = token * symbols..(token + 1) * symbols;
            self.values[row.clone()].iter_mut().zip(&values[row]).for_each(|(v, gradient)| *v -= rate / p * gradient);
            let row = token * window..(token + 1) * window;
            let mean = attention[row.clone()].iter().sum::<f64>() / window as f64;
            let weights = &mut self.attention[row.clone()];
            for (a, gradient) in weights.iter_mut().zip(&attention[row]) {
                let moved = *a - rate / p * (gradient - mean);
                *a = moved.signum() * (moved.abs() - rate * l1).max(0.0);
            }
            let sum: f64 = weights.iter().sum();
            if sum > 0.0 {
                weights.iter_mut().for_each(|a| *a /= sum);
            }
        }
    }

    /// The largest differences of a from q and of V from P; infinite where the descent diverged.
    pub fn distances(&self, truth: &Bigram) -> (f64, f64) {
        // Not `f64::max`, which passes over what is no number: so a descent that diverged is infinitely far.
        let further = |most: f64, x: f64| {
            if x <= most {
                most
            } else if x.is_nan() {
                f64::INFINITY
            } else {
                x
            }
        };
        let largest = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, further);
        (largest(&self.attention, truth.attention()), largest(&self.values, truth.transitions()))
    }
}

impl Bigram {
    /// Sample `number` of the paper's setting.
    pub fn example(&self, seed: u64, number: u64) -> Example {
        let mut window = self.sample(self.window() + 2, &mut random::stream(seed, "bigrams example", number));
        // A document of so many tokens ends with the last one and what follows.
        let next = window.pop().unwrap_or_default();
        let last = window.pop().unwrap_or_default();
        Example { window, last, next }
    }
}
