//! Where each parameter stands in the one flat buffer, and its name in published checkpoints.
//!
//! Matrices come first, the vectors of the norms last, so that weight decay is one run of the buffer. The three matrices of
//! queries, keys and values are neighbours, and so are gate and up: each group is one product.

use std::ops::Range;

use crate::Config;

/// A named parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name in Hugging Face checkpoints.
    pub name: String,
    /// Shape: (outputs, inputs) of a matrix, (width) of a norm.
    pub shape: Vec<usize>,
    /// Elements of the flat buffer.
    pub range: Range<usize>,
}

/// Parameters of one block, as ranges of the flat buffer.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) qkv: Range<usize>,
    pub(crate) out: Range<usize>,
    pub(crate) gate_up: Range<usize>,
    pub(crate) down: Range<usize>,
    pub(crate) attention_norm: Range<usize>,
    pub(crate) ffn_norm: Range<usize>,
    /// q's E numbers, then k's; empty without QK-norm.
    pub(crate) head_norms: Range<usize>,
}

/// The parameters of a decoder.
#[derive(Clone, Debug)]
pub struct Layout {
    tensors: Vec<Tensor>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) embedding: Range<usize>,
    pub(crate) head: Range<usize>,
    pub(crate) final_norm: Range<usize>,
    decayed: usize,
    len: usize,
}

/// Hands out consecutive ranges.
struct Cursor {
    at: usize,
    tensors: Vec<Tensor>,
}

impl Cursor {
    fn take(&mut self, name: String, shape: &[usize]) -> Range<usize> {
        let range = self.at..self.at + shape.iter().product::<usize>();
        self.at = range.end;
        self.tensors.push(Tensor { name, shape: shape.to_vec(), range: range.clone() });
        range
    }

    /// Neighbouring matrices with the same number of inputs, as one range.
    fn group(&mut self, prefix: &str, inputs: usize, parts: &[(&str, usize)]) -> Range<usize> {
        let start = self.at;
        for (name, outputs) in parts {
            self.take(format!("{prefix}.{name}.weight"), &[*outputs, inputs]);
        }
        start..self.at
    }
}

impl Layout {
    /// The layout of a decoder.
    pub fn new(config: &Config) -> Self {
        let (d, e) = (config.width, config.head_width);
        let (query, kv) = (config.heads * e, config.kv_heads * e);
        let mut cursor = Cursor { at: 0, tensors: Vec::new() };
        let embedding = cursor.take("model.embed_tokens.weight".into(), &[config.vocab, d]);
        let head =
            if config.tied { embedding.clone() } else { cursor.take("lm_head.weight".into(), &[config.vocab, d]) };
        let mut blocks: Vec<Block> = (0..config.layers)
            .map(|layer| {
                let attention = format!("model.layers.{layer}.self_attn");
                let mlp = format!("model.layers.{layer}.mlp");
                Block {
                    qkv: cursor.group(&attention, d, &[("q_proj", query), ("k_proj", kv), ("v_proj", kv)]),
                    out: cursor.group(&attention, query, &[("o_proj", d)]),
                    gate_up: cursor.group(&mlp, d, &[("gate_proj", config.ffn), ("up_proj", config.ffn)]),
                    down: cursor.group(&mlp, config.ffn, &[("down_proj", d)]),
                    attention_norm: 0..0,
                    ffn_norm: 0..0,
                    head_norms: 0..0,
                }
            })
            .collect();
        let decayed = cursor.at;
        for (layer, block) in blocks.iter_mut().enumerate() {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            block.attention_norm = cursor.take(name("input_layernorm"), &[d]);
            block.ffn_norm = cursor.take(name("post_attention_layernorm"), &[d]);
            if config.qk_norm {
                let q = cursor.take(name("self_attn.q_norm"), &[e]);
                let k = cursor.take(name("self_attn.k_norm"), &[e]);
                block.head_norms = q.start..k.end;
            }
        }
        let final_norm = cursor.take("model.norm.weight".into(), &[d]);
        Self { tensors: cursor.tensors, blocks, embedding, head, final_norm, decayed, len: cursor.at }
    }

    /// All parameters, in the order of the buffer; a tied head is not listed.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Number of parameters.
    #[expect(clippy::len_without_is_empty, reason = "a decoder always has parameters")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The parameters that weight decay applies to: all matrices and tables, no norm.
    pub fn decayed(&self) -> Range<usize> {
        0..self.decayed
    }

    /// The parameters that weight decay leaves alone.
    pub fn undecayed(&self) -> Range<usize> {
        self.decayed..self.len
    }
}
