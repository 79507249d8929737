//! What a decoder takes of memory, before there is one. The arithmetic of the buffers is beside the buffers (`state`).

use cognate_base::process::check_memory;
use cognate_ops::Precision;

use crate::{Config, Result, state};

/// Bytes of a number on the processor's device.
const NUMBER: f64 = size_of::<f32>() as f64;

impl Config {
    /// Bytes of the parameters.
    pub fn parameter_bytes(&self) -> f64 {
        self.parameters() as f64 * NUMBER
    }

    /// Refuses a model whose parameters the machine cannot hold twice, as they are while they are read or drawn.
    pub(crate) fn check_memory(&self) -> Result<()> {
        Ok(check_memory("this model", 2.0 * self.parameter_bytes())?)
    }

    /// Bytes of training with steps whose largest forward and backward pass holds `tokens` tokens: parameters, gradients, both
    /// moments, every block's activations, and the chunk of logits. While a checkpoint is written, copies of the parameters and
    /// of both moments stand beside them.
    pub fn training_bytes(&self, tokens: usize) -> f64 {
        (4.0 + 3.0) * self.parameter_bytes() + NUMBER * state::numbers(self, tokens, true)
    }

    /// Bytes of scoring batches of `tokens` tokens: parameters, one block's activations, and the chunk of logits. Reading a
    /// checkpoint holds its parameters twice for a moment.
    pub fn scoring_bytes(&self, tokens: usize) -> f64 {
        self.parameter_bytes() + self.parameter_bytes().max(NUMBER * state::numbers(self, tokens, false))
    }

    /// Bytes of cached decoding in `slots` slots of `capacity` tokens each, `tokens` of which are fed at a time at most:
    /// parameters, the weights packed once more in `precision`, keys and values, and one block's activations.
    pub fn decoding_bytes(&self, slots: usize, capacity: usize, tokens: usize, precision: Precision) -> f64 {
        let (weight, number) = match precision {
            Precision::F32 => (4.0, 4.0),
            // Whole numbers of 8 bits for weights, bfloat16 for keys and values.
            Precision::Int8 => (1.0, 2.0),
        };
        let kept = slots as f64 * capacity.next_multiple_of(16) as f64 * (2 * self.kv_heads * self.head_width) as f64;
        self.parameter_bytes()
            + self.parameters() as f64 * weight
            + self.layers as f64 * kept * number
            + NUMBER * state::numbers(self, tokens, false)
    }
}
