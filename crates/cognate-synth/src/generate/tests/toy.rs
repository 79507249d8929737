//! A toy language model: every logit is a hash of all tokens in the slot, so that any mix-up shows.

use cognate_corpus::Tokenizer;

use crate::Result;
use crate::generate::Engine;
use crate::generate::schedule::Draw;
use cognate_base::words::mix;

/// Logits beyond the tokenizer's vocabulary.
const PADDING: usize = 5;

pub(super) struct Toy {
    histories: Vec<Vec<u32>>,
    vocab: usize,
    related: u32,
    end: u32,
    pub(super) calls: u64,
    /// A document whose prompt holds this token gets a NaN at this many new tokens.
    pub(super) broken_at: Option<usize>,
}

impl Toy {
    pub(super) fn new(slots: usize, tokenizer: &Tokenizer) -> Self {
        let (related, end) = (tokenizer.related().unwrap(), tokenizer.end_of_document());
        let vocab = tokenizer.vocab_size() + PADDING;
        Self { histories: vec![Vec::new(); slots], vocab, related, end, calls: 0, broken_at: None }
    }

    pub(super) fn logits(&self, history: &[u32]) -> Vec<f32> {
        let state = history.iter().fold(1, |state, &token| mix(state ^ u64::from(token)).wrapping_add(1));
        let noise = |token: usize| (mix(state ^ ((token as u64) << 20)) >> 40) as f32 / (1 << 24) as f32;
        let mut logits: Vec<f32> = (0..self.vocab).map(|token| 6.0 * noise(token)).collect();
        logits[self.end as usize] = 7.0;
        // Neither may ever be drawn, however probable.
        logits[self.related as usize] = 12.0;
        logits[self.vocab - PADDING..].fill(40.0);
        logits
    }
}

impl Engine for Toy {
    fn slots(&self) -> usize {
        self.histories.len()
    }

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn reset(&mut self, slot: usize) {
        self.histories[slot].clear();
    }

    fn advance(&mut self, work: &[(usize, &[u32])], draw: &mut Draw<'_>) -> Result<()> {
        assert!(!work.is_empty());
        assert!(work.windows(2).all(|pair| pair[0].0 < pair[1].0), "a slot twice in one step");
        self.calls += 1;
        let mut logits = Vec::new();
        for &(slot, tokens) in work {
            assert!(!tokens.is_empty());
            if self.histories[slot].is_empty() {
                assert_eq!((tokens[0], tokens[tokens.len() - 1]), (self.end, self.related), "a prompt");
            }
            self.histories[slot].extend_from_slice(tokens);
            let history = &self.histories[slot];
            let start = logits.len();
            logits.extend(self.logits(history));
            let new = history.len() - 1 - history.iter().position(|&token| token == self.related).unwrap();
            if self.broken_at == Some(new) {
                logits[start + 3] = f32::NAN;
            }
        }
        // In two parts, as a model's head may hand them on.
        let each = |tasks: usize, body: &(dyn Fn(usize) + Sync)| (0..tasks).for_each(body);
        let half = work.len() / 2;
        let (before, after) = logits.split_at(half * self.vocab);
        draw(&each, 0, before);
        draw(&each, half, after);
        Ok(())
    }
}
