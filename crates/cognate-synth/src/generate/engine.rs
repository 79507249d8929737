//! The decoder as what documents are drawn from.

use cognate_corpus::Tokenizer;
use cognate_model::{DecodeCache, Decoder, Feed};
use cognate_ops::Device;

use super::schedule::{Draw, Engine};
use crate::error::Result;

/// What is never drawn: the tokens that stand between documents and not in one, and numbers below `vocab` that are no token's.
pub(crate) fn never(tokenizer: &Tokenizer, vocab: usize) -> Vec<u32> {
    let between = tokenizer.never_inside().into_iter().filter(|&id| (id as usize) < vocab);
    between.chain(tokenizer.without_token(vocab)).collect()
}

/// The synthesizer with its key/value cache.
pub(super) struct ModelEngine<'a, D: Device> {
    pub(super) slots: usize,
    pub(super) vocab: usize,
    pub(super) cache: DecodeCache<D>,
    pub(super) model: &'a mut Decoder<D>,
}

impl<D: Device> Engine for ModelEngine<'_, D> {
    fn slots(&self) -> usize {
        self.slots
    }

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn reset(&mut self, slot: usize) {
        self.cache.reset(slot);
    }

    fn advance(&mut self, work: &[(usize, &[u32])], draw: &mut Draw<'_>) -> Result<()> {
        let device = self.model.device().clone();
        let last = |&(slot, tokens)| Feed { slot, tokens, from: <[u32]>::len(tokens) - 1 };
        let feeds: Vec<Feed<'_>> = work.iter().map(last).collect();
        self.model.advance_rows(&mut self.cache, &feeds, &mut |first, logits| {
            draw(&|tasks, body| device.each(tasks, body), first, logits);
        })?;
        Ok(())
    }
}
