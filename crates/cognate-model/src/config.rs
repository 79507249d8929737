//! The architecture's dials, what is allowed, and what they cost.

use cognate_ops::{Heads, RopeTable};

use crate::{Error, Result};

/// Which published architecture a configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `Qwen3ForCausalLM`: RMSNorm on queries and keys.
    Qwen3,
    /// `LlamaForCausalLM`: none.
    Llama,
}

/// The frequency scaling of Llama 3.1 (Llama Team 2024): wavelengths beyond the original context are stretched by `factor`,
/// short ones are kept, and those between are interpolated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3Scaling {
    /// By how much long wavelengths are stretched.
    pub factor: f64,
    /// Wavelengths longer than original_positions / low_frequency are stretched whole.
    pub low_frequency: f64,
    /// Wavelengths shorter than original_positions / high_frequency are kept.
    pub high_frequency: f64,
    /// Context length before scaling, in tokens.
    pub original_positions: f64,
}

/// The dials of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Vocabulary size V.
    pub vocab: usize,
    /// Width D of the residual stream.
    pub width: usize,
    /// Number of blocks L.
    pub layers: usize,
    /// Query heads H.
    pub heads: usize,
    /// Key/value heads K; divides H.
    pub kv_heads: usize,
    /// Width E of one head; even, at most 512.
    pub head_width: usize,
    /// Feed-forward width F.
    pub ffn: usize,
    /// Longest context that the model is meant for, in tokens.
    pub max_positions: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f64,
    /// Llama 3.1's frequency scaling, where used.
    pub rope_scaling: Option<Llama3Scaling>,
    /// ε inside every RMSNorm.
    pub norm_eps: f64,
    /// Whether queries and keys are normalised, head by head.
    pub qk_norm: bool,
    /// Whether the output head is the embedding table.
    pub tied: bool,
}

/// A size that no real model reaches, below which the parameters of one block are fewer than 2^61 and do not overflow.
const SIZE_MAX: usize = 1 << 24;

/// More parameters than any real model has (4 TiB in f32), below which no length of a buffer in bytes overflows.
const PARAMETERS_MAX: usize = 1 << 40;

impl Config {
    /// Refuses impossible dials.
    ///
    /// # Errors
    /// Names the dial, its value and what was expected.
    pub fn check(&self) -> Result<()> {
        for (field, value) in [
            ("vocab", self.vocab),
            ("width", self.width),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_width", self.head_width),
            ("ffn", self.ffn),
            ("max_positions", self.max_positions),
        ] {
            if value == 0 || value > SIZE_MAX {
                return Err(Error::config(field, value, format!("expected a number from 1 to {SIZE_MAX}")));
            }
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let reason = format!("expected a divisor of heads = {}", self.heads);
            return Err(Error::config("kv_heads", self.kv_heads, reason));
        }
        // transformers 5 refuses such a LlamaConfig whatever its head_dim; of a Qwen3Config it asks nothing.
        if !self.qk_norm && !self.width.is_multiple_of(self.heads) {
            let reason = format!(
                "expected a divisor of width = {}: other tools refuse such a Llama; normalise queries and keys, or change one of the two",
                self.width
            );
            return Err(Error::config("heads", self.heads, reason));
        }
        if self.head_width % 2 == 1 || self.head_width > 512 {
            let reason = "expected an even number up to 512 (rotary embedding turns pairs)";
            return Err(Error::config("head_width", self.head_width, reason));
        }
        let blocks = self.layers.checked_mul(self.block_parameters());
        if blocks.and_then(|n| n.checked_add(self.table_parameters())).is_none_or(|n| n > PARAMETERS_MAX) {
            let reason = format!("expected fewer: with these widths, a model of more than {PARAMETERS_MAX} parameters");
            return Err(Error::config("layers", self.layers, reason));
        }
        if !(self.norm_eps.is_finite() && self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(Error::config("norm_eps", self.norm_eps, "expected a positive number below 1"));
        }
        // Below a base of 1 frequencies grow with the dimension, beyond what f32 holds.
        if !(self.rope_base.is_finite() && self.rope_base >= 1.0) {
            return Err(Error::config("rope_base", self.rope_base, "expected a number of at least 1"));
        }
        if let Some(s) = self.rope_scaling {
            let numbers = [s.factor, s.low_frequency, s.high_frequency, s.original_positions];
            let positive = numbers.iter().all(|v| v.is_finite() && *v > 0.0);
            if !positive || s.factor < 1.0 || s.high_frequency <= s.low_frequency {
                let reason = "expected positive numbers, factor at least 1, high_freq_factor above low_freq_factor";
                return Err(Error::config("rope_scaling", format!("{numbers:?}"), reason));
            }
        }
        Ok(())
    }

    /// Which published architecture this is.
    pub fn family(&self) -> Family {
        if self.qk_norm { Family::Qwen3 } else { Family::Llama }
    }

    /// Head shape, as the ops want it.
    pub fn head_shape(&self) -> Heads {
        Heads { query: self.heads, kv: self.kv_heads, width: self.head_width }
    }

    /// Weights of the matrices of one block.
    fn matrices_of_a_block(&self) -> usize {
        let attention = self.width * (2 * self.heads + 2 * self.kv_heads) * self.head_width;
        attention + 3 * self.width * self.ffn
    }

    /// Weights of all matrices of the blocks: what a token is multiplied by between embedding and head.
    fn block_weights(&self) -> usize {
        self.layers * self.matrices_of_a_block()
    }

    /// Number of parameters of one block: matrices and norms.
    fn block_parameters(&self) -> usize {
        let head_norms = if self.qk_norm { 2 * self.head_width } else { 0 };
        self.matrices_of_a_block() + 2 * self.width + head_norms
    }

    /// Number of parameters outside the blocks: the tables and the last norm; a tied table counts once.
    fn table_parameters(&self) -> usize {
        let tables = if self.tied { 1 } else { 2 };
        tables * self.vocab * self.width + self.width
    }

    /// Number of parameters; a tied table counts once.
    pub fn parameters(&self) -> usize {
        self.layers * self.block_parameters() + self.table_parameters()
    }

    /// Floating-point operations of a forward pass over `tokens` tokens of which `scored` go through the head, each
    /// attending to `context` positions on average: 2 a weight, and 4·H·E for each position attended to in each layer.
    pub fn forward_flops(&self, tokens: f64, scored: f64, context: f64) -> f64 {
        let attention = 4.0 * (self.layers * self.heads * self.head_width) as f64 * context;
        tokens * (2.0 * self.block_weights() as f64 + attention) + scored * 2.0 * (self.vocab * self.width) as f64
    }

    /// Operations of a training step: backward costs twice the forward pass. (What attention computes again for backward
    /// is not counted, as is usual: Chowdhery et al. 2022, appendix B.)
    pub fn training_flops(&self, tokens: f64, scored: f64, context: f64) -> f64 {
        3.0 * self.forward_flops(tokens, scored, context)
    }

    /// Rotary frequencies (E/2), radians a position.
    fn rope_frequencies(&self) -> Vec<f64> {
        let mut frequencies = RopeTable::frequencies(self.rope_base, self.head_width);
        if let Some(s) = self.rope_scaling {
            for f in &mut frequencies {
                let turns = s.original_positions * *f / std::f64::consts::TAU;
                let keep = ((turns - s.low_frequency) / (s.high_frequency - s.low_frequency)).clamp(0.0, 1.0);
                *f = (1.0 - keep) * *f / s.factor + keep * *f;
            }
        }
        frequencies
    }

    pub(crate) fn rope_table(&self, positions: usize) -> RopeTable {
        RopeTable::new(self.rope_frequencies(), positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Config {
        Config {
            vocab: 8192,
            width: 384,
            layers: 6,
            heads: 6,
            kv_heads: 6,
            head_width: 64,
            ffn: 1024,
            max_positions: 256,
            rope_base: 1e4,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: true,
            tied: true,
        }
    }

    #[test]
    fn parameters_of_the_benchmark_shape() {
        // 8192·384 + 6·(4·384² + 3·384·1024) + norms 6·(2·384 + 2·64) + 384, as PyTorch counts the same decoder.
        assert_eq!(example().parameters(), 13_768_320);
    }

    #[test]
    fn impossible_dials_are_named() {
        let refused = |change: fn(&mut Config)| {
            let mut config = example();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert_eq!(refused(|c| c.heads = 0), "model configuration: heads = 0: expected a number from 1 to 16777216");
        assert_eq!(refused(|c| c.kv_heads = 4), "model configuration: kv_heads = 4: expected a divisor of heads = 6");
        assert!(
            refused(|c| (c.heads, c.kv_heads, c.qk_norm) = (9, 3, false))
                .contains("heads = 9: expected a divisor of width = 384")
        );
        assert!(refused(|c| c.head_width = 63).contains("head_width = 63: expected an even number"));
        let most = refused(|c| (c.layers, c.width, c.heads, c.kv_heads) = (1 << 24, 1 << 24, 1 << 24, 1 << 24));
        assert!(most.contains("layers = 16777216: expected fewer: with these widths, a model of more than"), "{most}");
        // 2^24 layers of 2^40 parameters each: their product is a multiple of 2^64, so it would be zero if it wrapped.
        let wrapped = |c: &mut Config| {
            (c.layers, c.width, c.heads, c.kv_heads, c.head_width, c.ffn, c.qk_norm) =
                (1 << 24, 1 << 19, 1, 1, 2, 1, false);
        };
        assert!(refused(wrapped).contains("layers = 16777216: expected fewer: with these widths"));
        assert!(refused(|c| c.rope_base = 1e-300).contains("expected a number of at least 1"));
        assert!(refused(|c| c.norm_eps = f64::NAN).contains("norm_eps = NaN: expected a positive number"));
    }
}
