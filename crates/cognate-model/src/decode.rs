//! Cached decoding: sequences in slots, each fed its new tokens alone.

mod rows;

use cognate_ops::Device;

pub use rows::Feed;

use crate::decoder::Context;
use crate::state::{Placed, head_chunk};
use crate::{Batch, Decoder, Error, IGNORE, Result};

/// Keys and values of the sequences being decoded.
pub struct DecodeCache<D: Device> {
    buffers: Vec<D::Buffer>,
    lengths: Vec<usize>,
    capacity: usize,
}

impl<D: Device> DecodeCache<D> {
    /// A cache of `slots` sequences of up to `capacity` tokens (rounded up to a multiple of 16).
    pub fn new(model: &Decoder<D>, slots: usize, capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(16);
        let config = &model.config;
        let size = slots * config.kv_heads * 2 * capacity * config.head_width;
        let buffers = (0..config.layers).map(|_| model.device.zeros(size)).collect();
        Self { buffers, lengths: vec![0; slots], capacity }
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
    /// Feeds each slot its new tokens (a prompt, or the token sampled last) and writes to `logits` (work, V) what follows
    /// the last of each. A slot's logits have the same bits whatever other slots are fed with it, and in how many.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or a slot would overflow; no slot is changed then.
    ///
    /// # Panics
    /// When a slot is named twice or fed nothing.
    pub fn advance(
        &mut self,
        cache: &mut DecodeCache<D>,
        work: &[(usize, &[u32])],
        logits: &mut Vec<f32>,
    ) -> Result<()> {
        logits.clear();
        let mut batch = Batch::new();
        let mut slots = Vec::new();
        for (index, &(slot, tokens)) in work.iter().enumerate() {
            assert!(!tokens.is_empty(), "slot {slot} is fed nothing");
            assert!(work[..index].iter().all(|(other, _)| *other != slot), "slot {slot} twice");
            let (used, capacity) = (cache.lengths[slot], cache.capacity);
            if used + tokens.len() > capacity {
                return Err(Error::CacheFull { slot, used, capacity, more: tokens.len() });
            }
            let mut targets = vec![IGNORE; tokens.len()];
            if let Some(last) = targets.last_mut() {
                *last = 0; // marks the row whose logits are wanted
            }
            let start = batch.len();
            batch.push(tokens, &targets);
            batch.positions.truncate(start);
            batch.positions.extend(used as u32..(used + tokens.len()) as u32);
            slots.resize(batch.len(), slot as u32);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.check_tokens(&batch)?;
        let placed = Placed::new(&self.device, &batch);
        let slots = self.device.indices(&slots);
        self.reserve(placed.len, cache.capacity, false);
        let (chunk, vocab) = (head_chunk(&self.config), self.config.vocab);
        logits.resize(work.len() * vocab, 0.0);
        let mut context = Context::Cache { buffers: &mut cache.buffers, slots: &slots, capacity: cache.capacity };
        self.forward(&placed, &mut context, false);
        self.gather_scored(&placed);
        for start in (0..work.len()).step_by(chunk) {
            let rows = start..(start + chunk).min(work.len());
            self.head_logits(rows.clone());
            if let Some(shared) = &self.state.shared {
                self.device.download(&shared.logits, 0, &mut logits[rows.start * vocab..rows.end * vocab]);
            }
        }
        for (slot, tokens) in work {
            cache.lengths[*slot] += tokens.len();
        }
        Ok(())
    }
}
