//! Cached decoding: sequences in slots, each fed its new tokens alone.

mod rows;

use std::collections::BTreeMap;
use std::ops::Range;

use cognate_base::process::check_memory;
use cognate_ops::{Device, Precision, View};

pub use rows::{Fed, Feed};

use crate::{Decoder, Result};

/// A model's weights packed for products of few rows, by where each begins in the flat buffer.
pub(crate) type PackedWeights<D> = BTreeMap<usize, <D as Device>::Packed>;

/// Keys and values of the sequences being decoded, and the model's weights in the order in which decoding reads them: a cache
/// belongs to the model as it was when the cache was made.
pub struct DecodeCache<D: Device> {
    packed: PackedWeights<D>,
    buffers: Vec<D::Buffer>,
    lengths: Vec<usize>,
    /// Logits on the host, for as many rows as go through the head at a time.
    logits: Vec<f32>,
    capacity: usize,
    precision: Precision,
}

impl<D: Device> DecodeCache<D> {
    /// A cache of `slots` sequences of up to `capacity` tokens (rounded up to a multiple of 16).
    ///
    /// # Errors
    /// When the machine has no memory for it.
    pub fn new(model: &Decoder<D>, slots: usize, capacity: usize, precision: Precision) -> Result<Self> {
        check_memory("decoding with this model", model.config.decoding_bytes(slots, capacity, slots, precision))?;
        let capacity = capacity.next_multiple_of(16);
        let heads = model.config.head_shape();
        let buffers =
            (0..model.config.layers).map(|_| model.device.kv_cache(slots * capacity, heads, precision)).collect();
        Ok(Self {
            packed: model.pack_weights(precision),
            buffers,
            lengths: vec![0; slots],
            logits: Vec::new(),
            capacity,
            precision,
        })
    }

    /// Empties a slot for another sequence.
    pub fn reset(&mut self, slot: usize) {
        self.lengths[slot] = 0;
    }

    /// Tokens that a slot holds.
    pub fn len(&self, slot: usize) -> usize {
        self.lengths[slot]
    }

    /// Whether a slot holds no token.
    pub fn is_empty(&self, slot: usize) -> bool {
        self.lengths[slot] == 0
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.lengths.len()
    }

    /// Tokens that a slot can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<D: Device> Decoder<D> {
    fn pack_weights(&self, precision: Precision) -> PackedWeights<D> {
        let (c, heads) = (&self.config, self.config.head_shape());
        let mut weights = vec![(self.layout.head.clone(), c.width, c.vocab)];
        for block in &self.layout.blocks {
            weights.extend([
                (block.qkv.clone(), c.width, heads.qkv_width()),
                (block.out.clone(), heads.query_width(), c.width),
                (block.gate_up.clone(), c.width, 2 * c.ffn),
                (block.down.clone(), c.ffn, c.width),
            ]);
        }
        let pack = |(range, inputs, outputs): (Range<usize>, usize, usize)| {
            (range.start, self.device.pack(View::new(&self.parameters, range), inputs, outputs, precision))
        };
        weights.into_iter().map(pack).collect()
    }

    /// Feeds each slot its new tokens (a prompt, or the token sampled last) and writes to `logits` (work, V) what follows
    /// the last of each. A slot's logits have the same bits whatever other slots are fed with it, and in how many.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or a slot would overflow; no slot is changed then.
    ///
    /// # Panics
    /// When a slot is named twice or fed nothing.
    pub fn advance<'a>(
        &mut self,
        cache: &mut DecodeCache<D>,
        work: &[(usize, &'a [u32])],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        let vocab = self.config.vocab;
        logits.clear();
        logits.resize(work.len() * vocab, 0.0);
        let last = |&(slot, tokens): &(usize, &'a [u32])| Feed { slot, tokens, from: tokens.len().saturating_sub(1) };
        let feeds: Vec<Feed<'a>> = work.iter().map(last).collect();
        self.advance_rows(cache, &feeds, &mut |first, rows| {
            logits[first * vocab..first * vocab + rows.len()].copy_from_slice(rows);
        })
    }
}
