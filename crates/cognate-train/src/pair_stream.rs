//! Batches of related pairs: given one document, predict the other.

use std::collections::BTreeSet;

use cognate_base::random::{self, SliceRandom};
use cognate_corpus::TokenFile;
use cognate_model::{Batch, ScoreItem};

use crate::{Contrast, Error, Result, Stream};

/// The tokens that frame a pair, and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairTokens {
    /// The token that begins a document.
    pub begin_of_document: u32,
    /// The token that says "a related document follows".
    pub related: u32,
    /// Longest pair in tokens, framing included.
    pub context: usize,
}

impl PairTokens {
    /// The prompt (begin of document, d1, related) and the continuation (d2 with its end) of a pair of documents, each with its end. d1 keeps its first half of
    /// the context at most, or more where d2 leaves room, and d2 the rest; what does not fit is cut from the end.
    pub fn item(&self, mut d1: Vec<u32>, mut d2: Vec<u32>) -> ScoreItem {
        d1.pop(); // its end of document: the related token stands there instead
        let (keep, scored) = self.cut(d1.len(), d2.len());
        d1.truncate(keep);
        d2.truncate(scored);
        let mut prompt = vec![self.begin_of_document];
        prompt.append(&mut d1);
        prompt.push(self.related);
        ScoreItem { prompt, continuation: d2 }
    }

    /// The continuations of the pairs' items after another of the documents `seeds`, and after none; none where a pair has no other
    /// seed that is neither its second document nor the first of a pair with that. `document` has the tokens of a document, its end included.
    pub fn contrast(
        &self,
        document: impl Fn(u32) -> Vec<u32>,
        pairs: &[(u32, u32)],
        seeds: impl Iterator<Item = u32>,
        seed: u64,
    ) -> Option<Contrast> {
        let mut circle: Vec<u32> = seeds.collect();
        circle.sort_unstable();
        circle.dedup();
        circle.shuffle(&mut random::stream(seed, "random seeds", 0));
        let mut own: BTreeSet<(u32, u32)> = pairs.iter().copied().collect();
        own.extend(pairs.iter().map(|&(_, second)| (second, second)));
        let mut contrast = Contrast { random_seed: vec![], no_seed: vec![] };
        contrast.random_seed.resize(pairs.len(), ScoreItem { prompt: vec![], continuation: vec![] });
        contrast.no_seed.resize(pairs.len(), ScoreItem { prompt: vec![], continuation: vec![] });
        for (at, &(first, second)) in pairs.iter().enumerate() {
            let mut others = (0..circle.len()).map(|step| circle[(at + step) % circle.len()]);
            let other = others.find(|&other| !own.contains(&(other, second)))?;
            let continuation = self.item(document(first), document(second)).continuation;
            let mut seed = document(other);
            seed.pop();
            seed.truncate(self.context.saturating_sub(2 + continuation.len()));
            let prompt = [&[self.begin_of_document], &seed[..], &[self.related]].concat();
            contrast.no_seed[at] =
                ScoreItem { prompt: vec![self.begin_of_document], continuation: continuation.clone() };
            contrast.random_seed[at] = ScoreItem { prompt, continuation };
        }
        Some(contrast)
    }

    /// How many tokens of d1 (without its end) and of d2 (with it) the context holds, the frame taking two.
    fn cut(&self, d1: usize, d2: usize) -> (usize, usize) {
        let room = self.context.saturating_sub(2);
        let keep = d1.min((room / 2).max(room.saturating_sub(d2)));
        (keep, d2.min(room - keep))
    }

    /// Tokens that a pair takes up in a batch.
    fn len(&self, file: &TokenFile, first: u32, second: u32) -> usize {
        let (d1, d2) = self.cut(file.len(first as usize).saturating_sub(1), file.len(second as usize));
        1 + d1 + d2
    }
}

/// Pairs (d1, d2) of documents of one token file, in a new seeded order every epoch. A batch takes whole pairs, as many as
/// stay within `batch_tokens`, and at least one. The loss is on d2's tokens and its end alone.
pub struct PairStream {
    file: TokenFile,
    frame: PairTokens,
    order: Vec<(u32, u32)>,
    /// First pair of each batch, then the number of pairs.
    batches: Vec<usize>,
    tokens: u64,
}

impl PairStream {
    /// A stream of `epochs` passes over `pairs`; those whose second document has no token are left out.
    ///
    /// # Errors
    /// When there are no pairs or no epochs, more than memory holds, or the context has no room for a pair.
    pub fn new(
        file: TokenFile,
        pairs: &[(u32, u32)],
        epochs: u32,
        batch_tokens: usize,
        frame: PairTokens,
        seed: u64,
    ) -> Result<Self> {
        // An empty document, without even an end, has nothing to predict.
        let pairs: Vec<(u32, u32)> = pairs.iter().copied().filter(|pair| file.len(pair.1 as usize) > 0).collect();
        let refused = |field, value: usize, reason: &str| {
            Err(Error::Setting { field, value: value.to_string(), reason: reason.into() })
        };
        if pairs.is_empty() {
            return refused("pairs", 0, "expected at least one pair of related documents");
        }
        if epochs == 0 {
            return refused("epochs", 0, "expected at least 1");
        }
        if frame.context < 8 {
            return refused("context", frame.context, "expected at least 8 tokens, to hold parts of two documents");
        }
        let mut order: Vec<(u32, u32)> = Vec::new();
        if pairs.len().checked_mul(epochs as usize).is_none_or(|len| order.try_reserve_exact(len).is_err()) {
            let reason = format!("expected fewer: the order of {} pairs in each does not fit into memory", pairs.len());
            return Err(Error::Setting { field: "epochs", value: epochs.to_string(), reason });
        }
        for epoch in 0..epochs {
            let start = order.len();
            order.extend_from_slice(&pairs);
            order[start..].shuffle(&mut random::stream(seed, "shuffle pairs", u64::from(epoch)));
        }
        let (mut batches, mut tokens, mut total) = (vec![0], 0, 0);
        for (i, &(first, second)) in order.iter().enumerate() {
            let len = frame.len(&file, first, second);
            total += len as u64;
            if tokens > 0 && tokens + len > batch_tokens {
                batches.push(i);
                tokens = 0;
            }
            tokens += len;
        }
        batches.push(order.len());
        Ok(Self { file, frame, order, batches, tokens: total })
    }
}

impl Stream for PairStream {
    fn steps(&self) -> u64 {
        self.batches.len() as u64 - 1
    }

    fn tokens(&self) -> u64 {
        self.tokens
    }

    fn work(&self) -> &'static str {
        "tune"
    }

    fn fill(&self, step: u64, batch: &mut Batch) {
        batch.clear();
        let step = step as usize;
        for &(first, second) in &self.order[self.batches[step]..self.batches[step + 1]] {
            let document = |number: u32| self.file.document(number as usize);
            let item = self.frame.item(document(first), document(second));
            batch.push_conditional(&item.prompt, &item.continuation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::token_file;
    use cognate_model::IGNORE;

    const FRAME: PairTokens = PairTokens { begin_of_document: 0, related: 1, context: 20 };

    #[test]
    fn a_pair_is_framed_and_only_d2_is_scored() {
        let (_folder, file) = token_file(&[vec![10, 11, 12, 0], vec![20, 21, 0]]);
        let stream = PairStream::new(file, &[(0, 1)], 1, 100, FRAME, 1).unwrap();
        let mut batch = Batch::new();
        stream.fill(0, &mut batch);
        assert_eq!(batch.tokens, [0, 10, 11, 12, 1, 20, 21]);
        assert_eq!(batch.targets, [IGNORE, IGNORE, IGNORE, IGNORE, 20, 21, 0]);
    }

    #[test]
    fn long_documents_are_cut_to_the_context() {
        let long = |start: u32| -> Vec<u32> { (start..start + 40).chain([0]).collect() };
        let (_folder, file) = token_file(&[long(100), long(200), vec![7, 8, 0]]);
        let both = FRAME.item(file.document(0), file.document(1));
        assert_eq!((both.prompt.len(), both.continuation.len()), (11, 9));
        assert_eq!((both.prompt[1], both.prompt[10], both.continuation[0]), (100, 1, 200));
        let short_target = FRAME.item(file.document(0), file.document(2));
        assert_eq!((short_target.prompt.len(), short_target.continuation), (17, vec![7, 8, 0]));
        let short_seed = FRAME.item(file.document(2), file.document(0));
        assert_eq!((short_seed.prompt, short_seed.continuation.len()), (vec![0, 7, 8, 1], 16));
    }

    #[test]
    fn a_contrast_has_the_same_continuations_after_other_seeds() {
        let long = |start: u32| -> Vec<u32> { (start..start + 40).chain([0]).collect() };
        let (_folder, file) = token_file(&[vec![7, 8, 0], long(100), vec![30, 31, 0], long(200)]);
        let pairs = [(0, 1), (1, 0), (2, 3), (3, 2)];
        let tokens = |document: u32| file.document(document as usize);
        let Contrast { random_seed, no_seed } = FRAME.contrast(tokens, &pairs, 0..4, 1).unwrap();
        for (at, &(first, second)) in pairs.iter().enumerate() {
            let item = FRAME.item(tokens(first), tokens(second));
            let (random, none) = (&random_seed[at], &no_seed[at]);
            assert_eq!((&random.continuation, &none.continuation), (&item.continuation, &item.continuation));
            assert_eq!(none.prompt, [0]);
            // Neither of the pair's own documents, framed as a seed is, and never more than the context holds.
            assert_eq!((random.prompt[0], random.prompt[random.prompt.len() - 1]), (0, 1));
            let own = [first, second].map(|document| file.document(document as usize)[0]);
            assert!(!own.contains(&random.prompt[1]), "{at}: {:?}", random.prompt);
            assert!(random.prompt.len() + random.continuation.len() <= FRAME.context, "{at}");
        }
        assert_eq!(FRAME.contrast(tokens, &[(0, 1)], 0..2, 1), None, "the only other seed is the second document");
        assert_eq!(FRAME.contrast(tokens, &[(0, 1), (2, 1)], 0..3, 1), None, "the only other seed is a true one");
        let seeds = |seed| FRAME.contrast(tokens, &[(0, 1)], 2..4, seed).unwrap().random_seed[0].prompt[1];
        assert!((0..20).any(|seed| seeds(seed) == 30) && (0..20).any(|seed| seeds(seed) == 200));
    }

    #[test]
    fn every_epoch_holds_every_pair_in_an_order_of_its_own() {
        let documents: Vec<Vec<u32>> = (0..30).map(|i| vec![100 + i, 0]).collect();
        let (_folder, file) = token_file(&documents);
        let pairs: Vec<(u32, u32)> = (0..30).map(|i| (i, (i + 1) % 30)).collect();
        let stream = PairStream::new(file, &pairs, 2, 23, FRAME, 1).unwrap();
        let mut batch = Batch::new();
        let mut seen = Vec::new();
        for step in 0..stream.steps() {
            stream.fill(step, &mut batch);
            assert!(batch.len() <= 23, "{}", batch.len());
            seen.extend(batch.tokens.chunks(4).map(|pair| (pair[1] - 100, pair[3] - 100)));
        }
        let (first, second) = seen.split_at(30);
        assert_ne!(first, second);
        for epoch in [first, second] {
            let mut sorted = epoch.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, pairs);
        }
    }

    #[test]
    fn impossible_streams_are_refused() {
        let (_folder, file) = token_file(&[vec![5, 0]]);
        let refused = |pairs: &[(u32, u32)], epochs, context| {
            let frame = PairTokens { context, ..FRAME };
            PairStream::new(file.clone(), pairs, epochs, 10, frame, 1).err().unwrap().to_string()
        };
        assert_eq!(refused(&[], 1, 20), "pairs = 0: expected at least one pair of related documents");
        assert_eq!(refused(&[(0, 0)], 0, 20), "epochs = 0: expected at least 1");
        assert!(refused(&[(0, 0)], 1, 7).starts_with("context = 7: expected at least 8 tokens"));
    }

    #[test]
    fn the_one_seed_that_is_no_document_of_the_pair_is_found_wherever_it_stands() {
        let (_folder, file) = token_file(&[vec![10, 0], vec![20, 0], vec![30, 31, 0]]);
        for seed in 0..20 {
            let tokens = |document: u32| file.document(document as usize);
            let found = FRAME.contrast(tokens, &[(0, 1), (1, 0)], [2, 0, 1].into_iter(), seed).unwrap();
            let prompts: Vec<_> = found.random_seed.iter().map(|item| &item.prompt[..]).collect();
            assert_eq!(prompts, [[0, 30, 31, 1], [0, 30, 31, 1]], "{seed}");
        }
    }
}
