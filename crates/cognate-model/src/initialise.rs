//! Initial parameters.
//!
//! Tables: normal, standard deviation 0.02 (GPT-2). Matrices: normal, standard deviation 1/√inputs, which keeps the variance
//! of activations (LeCun et al. 1998); those that write to the residual stream divided by √(2L), so that its variance does
//! not grow with depth (Radford et al. 2019). Norms: one.

use cognate_base::random;

use crate::{Config, Layout};

/// Standard deviation of the entries of the tables.
const TABLE_STD: f64 = 0.02;

/// Initial values of the flat buffer; each tensor has a random stream of its own.
pub(crate) fn parameters(config: &Config, layout: &Layout, seed: u64) -> Vec<f32> {
    let mut values = vec![1.0; layout.len()];
    for (index, tensor) in layout.tensors().iter().enumerate() {
        let [_, inputs] = tensor.shape[..] else { continue };
        let std = if tensor.name.contains("embed_tokens") || tensor.name.contains("lm_head") {
            TABLE_STD
        } else if tensor.name.contains("o_proj") || tensor.name.contains("down_proj") {
            1.0 / (2.0 * (config.layers * inputs) as f64).sqrt()
        } else {
            1.0 / (inputs as f64).sqrt()
        };
        let mut rng = random::stream(seed, "initialise", index as u64);
        for value in &mut values[tensor.range.clone()] {
            *value = (std * random::normal(&mut rng)) as f32;
        }
    }
    values
}
