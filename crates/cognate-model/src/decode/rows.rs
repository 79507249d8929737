//! Cached decoding that looks at every new token: how likely several continuations of one prompt are, with the prompt read once.

use cognate_ops::Device;

use super::DecodeCache;
use crate::decoder::Context;
use crate::state::{Placed, head_chunk};
use crate::{Batch, Decoder, Error, IGNORE, Result};

/// New tokens for a slot.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// The slot.
    pub slot: usize,
    /// Its new tokens; at least one.
    pub tokens: &'a [u32],
    /// Logits are wanted after this one of them and all later ones; `tokens.len()` for none.
    pub from: usize,
}

/// What a decoder was fed through caches, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fed {
    /// Tokens; a prompt that several continuations share counts once.
    pub tokens: u64,
    /// Floating-point operations that these took, as [`Config::forward_flops`](crate::Config::forward_flops) counts them.
    pub flops: f64,
}

impl<D: Device> DecodeCache<D> {
    /// Forgets all but the first `len` tokens of a slot: another continuation can follow them.
    ///
    /// # Panics
    /// When the slot holds fewer.
    pub fn truncate(&mut self, slot: usize, len: usize) {
        assert!(len <= self.lengths[slot], "slot {slot} holds {} tokens, not {len}", self.lengths[slot]);
        self.lengths[slot] = len;
    }
}

impl<D: Device> Decoder<D> {
    /// Feeds each slot its new tokens, and gives the logits of all wanted rows to `each`: the number of the first row, counted
    /// over `work` in order, and the logits (rows, V) of it and the next ones. A row's logits have the same bits whatever
    /// other slots are fed with it, and in how many.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or a slot would overflow; no slot is changed then.
    ///
    /// # Panics
    /// When a slot is named twice or fed nothing.
    pub fn advance_rows(
        &mut self,
        cache: &mut DecodeCache<D>,
        work: &[Feed<'_>],
        each: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        let mut batch = Batch::new();
        let mut slots = Vec::new();
        for (index, feed) in work.iter().enumerate() {
            let (slot, len) = (feed.slot, feed.tokens.len());
            assert!(len > 0, "slot {slot} is fed nothing");
            assert!(work[..index].iter().all(|other| other.slot != slot), "slot {slot} twice");
            let (used, capacity) = (cache.lengths[slot], cache.capacity);
            if used + len > capacity {
                return Err(Error::CacheFull { slot, used, capacity, more: len });
            }
            let mut targets = vec![IGNORE; len];
            targets[feed.from..].fill(0); // marks the rows whose logits are wanted
            let start = batch.len();
            batch.push(feed.tokens, &targets);
            batch.positions.truncate(start);
            batch.positions.extend(used as u32..(used + len) as u32);
            slots.resize(batch.len(), slot as u32);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.check_tokens(&batch)?;
        let placed = Placed::new(&self.device, &batch);
        let slots = self.device.indices(&slots);
        self.reserve(placed.len, cache.capacity, false)?;
        let DecodeCache { packed, buffers, logits, capacity, precision, .. } = cache;
        let (capacity, precision) = (*capacity, *precision);
        let mut context = Context::Cache { buffers, slots: &slots, capacity, packed, precision };
        self.forward(&placed, &mut context, false);
        if placed.scored_len > 0 {
            self.gather_scored(&placed);
        }
        let (chunk, vocab) = (head_chunk(&self.config), self.config.vocab);
        logits.resize(logits.len().max(chunk.min(placed.scored_len) * vocab), 0.0);
        for start in (0..placed.scored_len).step_by(chunk) {
            let rows = start..(start + chunk).min(placed.scored_len);
            self.head_logits(rows.clone(), packed.get(&self.layout.head.start));
            if let Some(shared) = &self.state.shared {
                self.device.download(&shared.logits, 0, &mut logits[..rows.len() * vocab]);
            }
            each(start, &logits[..rows.len() * vocab]);
        }
        for feed in work {
            let (used, len) = (&mut cache.lengths[feed.slot], feed.tokens.len());
            // The first new token attends to itself and those before it, the last to all.
            let context = *used as f64 + (len + 1) as f64 / 2.0;
            self.fed.flops += self.config.forward_flops(len as f64, (len - feed.from) as f64, context);
            self.fed.tokens += len as u64;
            *used += len;
        }
        Ok(())
    }

    /// What this decoder was fed through caches, since it was made.
    pub fn fed(&self) -> Fed {
        self.fed
    }
}
