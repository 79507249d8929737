//! Batches of plain documents from one source or several, shuffled together.

use cognate_base::random::{self, Rng, SliceRandom};
use cognate_corpus::TokenFile;
use cognate_model::Batch;

use crate::{Error, Result, Stream};

/// Documents to train on, and how many of their tokens.
#[derive(Clone)]
pub struct Source {
    /// Name, for messages.
    pub name: String,
    /// Tokenized documents.
    pub file: TokenFile,
    /// Tokens to take.
    pub tokens: u64,
    /// Whether documents come again once all have been seen; without it, too few tokens are an error.
    pub repeat: bool,
}

/// One appearance of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Appearance {
    source: u16,
    document: u32,
}

/// Plain documents as an endless-looking row of tokens, cut into batches of exactly `batch_tokens`.
///
/// Each source goes through its documents in a new seeded order every epoch. The sources are merged document by document,
/// each drawn with a chance in proportion to the tokens that it has left, so that all end together. A document enters a
/// batch as a segment: begin token, then its tokens; targets are its tokens and its end. One longer than the context is cut
/// into pieces of `context` tokens, and one that a batch's end cuts goes on in the next batch as a segment of its own.
pub struct PlainStream {
    sources: Vec<Source>,
    order: Vec<Appearance>,
    /// Tokens up to and including each appearance.
    ends: Vec<u64>,
    steps: u64,
    batch_tokens: usize,
    context: usize,
    begin: u32,
}

impl PlainStream {
    /// A stream of `steps` batches; the sources' tokens add up to `steps` · `batch_tokens`.
    ///
    /// # Errors
    /// When a setting is zero, the sum is another, or a source without repetition holds too few tokens.
    pub fn new(
        sources: Vec<Source>,
        steps: u64,
        batch_tokens: usize,
        context: usize,
        begin: u32,
        seed: u64,
    ) -> Result<Self> {
        let budget = steps * batch_tokens as u64;
        for (field, value) in [("steps", steps), ("batch_tokens", batch_tokens as u64), ("context", context as u64)] {
            if value == 0 {
                return Err(Error::Setting { field, value: "0".into(), reason: "expected at least 1".into() });
            }
        }
        let asked: u64 = sources.iter().map(|source| source.tokens).sum();
        if asked != budget {
            let reason = format!("the sources give {asked} tokens");
            return Err(Error::Setting { field: "budget_tokens", value: budget.to_string(), reason });
        }
        for source in &sources {
            let found = source.file.tokens();
            if found == 0 && source.tokens > 0 || !source.repeat && found < source.tokens {
                return Err(Error::TooFewTokens { name: source.name.clone(), found, needed: source.tokens });
            }
        }
        let (order, ends) = merge(&sources, budget, seed);
        Ok(Self { sources, order, ends, steps, batch_tokens, context, begin })
    }

    /// Tokens that the stream takes from each source. They differ from what was asked by part of a document, since documents
    /// are not cut to fit.
    pub fn tokens_by_source(&self) -> Vec<u64> {
        let budget = self.steps * self.batch_tokens as u64;
        let mut totals = vec![0; self.sources.len()];
        let mut start = 0;
        for (appearance, &end) in self.order.iter().zip(&self.ends) {
            totals[usize::from(appearance.source)] += end.min(budget) - start;
            start = end.min(budget);
        }
        totals
    }

    /// Adds the targets `from..to` of a document as segments of at most `context` tokens.
    fn push(&self, appearance: Appearance, from: usize, to: usize, batch: &mut Batch) {
        let file = &self.sources[usize::from(appearance.source)].file;
        let mut tokens = Vec::new();
        let mut start = from;
        while start < to {
            // Pieces begin at multiples of the context, wherever a batch cut the document.
            let end = ((start / self.context + 1) * self.context).min(to);
            tokens.clear();
            if start == 0 {
                tokens.push(self.begin);
            }
            file.read(appearance.document as usize, start.saturating_sub(1)..end, &mut tokens);
            batch.push(&tokens[..end - start], &tokens[1..]);
            start = end;
        }
    }
}

impl Stream for PlainStream {
    fn steps(&self) -> u64 {
        self.steps
    }

    fn tokens(&self) -> u64 {
        self.steps * self.batch_tokens as u64
    }

    fn fill(&self, step: u64, batch: &mut Batch) {
        batch.clear();
        let (from, to) = (step * self.batch_tokens as u64, (step + 1) * self.batch_tokens as u64);
        let first = self.ends.partition_point(|&end| end <= from);
        for (i, &appearance) in self.order.iter().enumerate().skip(first) {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            if start >= to {
                break;
            }
            let (low, high) = (from.max(start) - start, to.min(self.ends[i]) - start);
            self.push(appearance, low as usize, high as usize, batch);
        }
    }
}

/// The documents of one source, epoch after epoch.
struct Shuffled {
    order: Vec<u32>,
    at: usize,
    epoch: u64,
}

/// Merges the sources into one order of documents that holds at least `budget` tokens.
fn merge(sources: &[Source], budget: u64, seed: u64) -> (Vec<Appearance>, Vec<u64>) {
    let mut shuffled: Vec<Shuffled> = sources
        .iter()
        .map(|source| Shuffled {
            // An empty document has no token to train on.
            order: (0..source.file.documents()).filter(|&i| source.file.len(i) > 0).map(|i| i as u32).collect(),
            at: 0,
            epoch: 0,
        })
        .collect();
    let mut left: Vec<u64> = sources.iter().map(|source| source.tokens).collect();
    let mut draw = random::stream(seed, "merge sources", 0);
    let (mut order, mut ends, mut total) = (Vec::new(), Vec::new(), 0);
    while total < budget && left.iter().any(|&tokens| tokens > 0) {
        let mut ticket = (random::unit(draw.next_u64()) * left.iter().sum::<u64>() as f64) as u64;
        let mut chosen = left.iter().rposition(|&tokens| tokens > 0).unwrap_or(0);
        for (source, &tokens) in left.iter().enumerate() {
            if ticket < tokens {
                chosen = source;
                break;
            }
            ticket -= tokens;
        }
        let documents = &mut shuffled[chosen];
        if documents.at == 0 {
            let purpose = format!("shuffle {}", sources[chosen].name);
            documents.order.sort_unstable();
            documents.order.shuffle(&mut random::stream(seed, &purpose, documents.epoch));
        }
        let document = documents.order[documents.at];
        documents.at += 1;
        if documents.at == documents.order.len() {
            (documents.at, documents.epoch) = (0, documents.epoch + 1);
        }
        let len = sources[chosen].file.len(document as usize) as u64;
        left[chosen] = left[chosen].saturating_sub(len);
        total += len;
        order.push(Appearance { source: chosen as u16, document });
        ends.push(total);
    }
    (order, ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::token_file;

    fn source(name: &str, file: &TokenFile, tokens: u64, repeat: bool) -> Source {
        Source { name: name.into(), file: file.clone(), tokens, repeat }
    }

    /// All (input, target) pairs of a stream, in order.
    fn unrolled(stream: &PlainStream) -> Vec<(u32, u32)> {
        let mut batch = Batch::new();
        let mut all = Vec::new();
        for step in 0..stream.steps() {
            stream.fill(step, &mut batch);
            assert_eq!(batch.len(), stream.batch_tokens);
            assert!(batch.segments().all(|segment| segment.len() <= stream.context));
            all.extend(batch.tokens.iter().copied().zip(batch.targets.iter().copied()));
        }
        all
    }

    #[test]
    fn every_token_is_predicted_once_an_epoch_from_the_one_before_it() {
        // Document i is the tokens 100·i + 1, 100·i + 2, …, then 0.
        let documents: Vec<Vec<u32>> =
            (1..=12u32).map(|i| (1..i * 3).map(|j| 100 * i + j).chain([0]).collect()).collect();
        let (_folder, file) = token_file(&documents);
        let tokens = file.tokens(); // 234
        let stream = PlainStream::new(vec![source("u", &file, 2 * tokens, true)], 18, 26, 10, 0, 7).unwrap();
        let all = unrolled(&stream);
        for epoch in all.chunks(tokens as usize) {
            let mut targets: Vec<u32> = epoch.iter().map(|(_, target)| *target).collect();
            let mut expected: Vec<u32> = documents.concat();
            targets.sort_unstable();
            expected.sort_unstable();
            assert_eq!(targets, expected);
            for &(input, target) in epoch {
                let first = target % 100 == 1;
                assert!(target == 0 || if first { input == 0 } else { input + 1 == target }, "{input} → {target}");
            }
        }
        let (first, second) = all.split_at(tokens as usize);
        assert_ne!(first, second, "each epoch has its own order");
        assert_eq!(all, unrolled(&stream), "a batch is a function of its step");
    }

    #[test]
    fn sources_are_mixed_evenly_and_once_means_once() {
        let real: Vec<Vec<u32>> = (0..20).map(|i| vec![1000 + i; 5]).collect();
        let synthetic: Vec<Vec<u32>> = (0..60).map(|i| vec![2000 + i; 5]).collect();
        let ((_a, real), (_b, synthetic)) = (token_file(&real), token_file(&synthetic));
        let sources = vec![source("real", &real, 900, true), source("synthetic", &synthetic, 300, false)];
        let stream = PlainStream::new(sources.clone(), 12, 100, 64, 0, 3).unwrap();
        assert_eq!(stream.tokens_by_source(), [900, 300]);
        let all = unrolled(&stream);
        let mut seen: Vec<u32> = all.iter().map(|(_, t)| *t).filter(|t| *t >= 2000).collect();
        // A quarter of each third of the stream, give or take what chance allows (four standard deviations of 27 draws).
        for third in all.chunks(400) {
            let share = third.iter().filter(|(_, t)| *t >= 2000).count() as f64 / 400.0;
            assert!((share - 0.25).abs() < 4.0 * (0.25f64 * 0.75 / 80.0).sqrt(), "{share}");
        }
        seen.sort_unstable();
        assert!(seen.chunks(5).all(|same| same.iter().all(|t| t == &same[0])) && seen.len() == 300);
        let other = PlainStream::new(sources.clone(), 12, 100, 64, 0, 4).unwrap();
        assert_ne!(all, unrolled(&other), "another seed, another order");
    }

    #[test]
    fn impossible_streams_are_refused() {
        let (_folder, file) = token_file(&[vec![5; 10]]);
        let refused = |tokens, repeat, steps, batch| {
            PlainStream::new(vec![source("u", &file, tokens, repeat)], steps, batch, 8, 0, 1).err().unwrap().to_string()
        };
        assert_eq!(refused(20, false, 2, 10), "source u holds 10 tokens, and 20 are needed without repeating any");
        assert_eq!(refused(20, true, 3, 10), "budget_tokens = 30: the sources give 20 tokens");
        assert_eq!(refused(0, true, 0, 10), "steps = 0: expected at least 1");
    }
}
