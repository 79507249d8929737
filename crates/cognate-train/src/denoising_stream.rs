//! Batches of denoised documents: those of plain ones, each segment denoised.

use cognate_base::random;
use cognate_model::Batch;

use crate::denoise::{DenoisingTokens, Shares, draw, piece_tokens};
use crate::{PlainStream, Stream};

/// Segments of a step, at most: their numbers follow each other in all of a training.
const SEGMENTS: u64 = 1 << 32;

/// The segments of a [`PlainStream`] as a mixture of denoisers. A step has the documents' tokens of the plain stream's step; sentinels and mode
/// tokens come on top. What is drawn for a segment follows from the seed, the step and its place in it.
pub struct DenoisingStream {
    plain: PlainStream,
    shares: Shares,
    tokens: DenoisingTokens,
    seed: u64,
}

impl DenoisingStream {
    /// Of a stream whose segments are at most [`DenoisingStream::piece_tokens`] long.
    pub fn new(plain: PlainStream, shares: Shares, tokens: DenoisingTokens, seed: u64) -> Self {
        Self { plain, shares, tokens, seed }
    }

    /// Tokens of a plain stream's segments at most, so that what is made of them fits a context.
    pub fn piece_tokens(context: usize) -> usize {
        piece_tokens(context)
    }
}

impl Stream for DenoisingStream {
    fn steps(&self) -> u64 {
        self.plain.steps()
    }

    /// About: how many sentinels there are is drawn.
    fn tokens(&self) -> u64 {
        (self.plain.tokens() as f64 * self.shares.positions()).round() as u64
    }

    fn fill(&self, step: u64, batch: &mut Batch) {
        let mut plain = Batch::new();
        self.plain.fill(step, &mut plain);
        batch.clear();
        for (at, segment) in plain.segments().enumerate() {
            let text = &plain.targets[segment.clone()];
            let mut random = random::stream(self.seed, "denoise", step * SEGMENTS + at as u64);
            match draw(&self.shares, text.len(), &mut random) {
                None => batch.push(&plain.tokens[segment], text),
                Some((denoiser, spans)) => {
                    let item = self.tokens.item(denoiser, text, &spans);
                    batch.push_conditional(&item.prompt, &item.continuation);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cognate_model::{IGNORE, ScoreItem};

    use super::*;
    use crate::denoise::SENTINELS;
    use crate::train::tests::token_file;
    use crate::{Source, denoise};

    fn frame() -> DenoisingTokens {
        DenoisingTokens { begin: 0, modes: [1, 2, 3], sentinels: (4..4 + SENTINELS as u32).collect() }
    }

    fn stream(shares: [f64; 3], seed: u64) -> (tempfile::TempDir, DenoisingStream) {
        let documents: Vec<Vec<u32>> =
            (1..=30u32).map(|i| (0..i * 4).map(|j| 200 + 100 * i + j).chain([0]).collect()).collect();
        let (folder, file) = token_file(&documents);
        let (steps, batch) = (40, 100);
        let source = Source { name: "u".into(), file, rows: None, tokens: steps * batch, repeat: true };
        let piece = DenoisingStream::piece_tokens(64);
        let plain = PlainStream::new(vec![source], steps, batch as usize, piece, 0, seed).unwrap();
        (folder, DenoisingStream::new(plain, Shares { of: shares }, frame(), seed))
    }

    /// The segments of a step as they were pushed.
    fn items(stream: &DenoisingStream, step: u64) -> Vec<ScoreItem> {
        let mut batch = Batch::new();
        stream.fill(step, &mut batch);
        let item = |segment: std::ops::Range<usize>| {
            let targets = &batch.targets[segment.clone()];
            let prompt = targets.iter().take_while(|target| **target == IGNORE).count() + 1;
            let continuation = targets[prompt - 1..].to_vec();
            assert!(!continuation.contains(&IGNORE) && segment.len() <= 64, "{}", segment.len());
            ScoreItem { prompt: batch.tokens[segment][..prompt].to_vec(), continuation }
        };
        batch.segments().map(item).collect()
    }

    #[test]
    fn the_segments_of_the_plain_stream_are_all_there() {
        let (_folder, stream) = stream([0.3, 0.3, 0.4], 5);
        let mut kinds = std::collections::BTreeSet::new();
        for step in 0..stream.steps() {
            let mut plain = Batch::new();
            stream.plain.fill(step, &mut plain);
            let found = items(&stream, step);
            assert_eq!(found.len(), plain.segments().count());
            for (item, segment) in found.iter().zip(plain.segments()) {
                let text = &plain.targets[segment];
                match text.len() {
                    1 => assert_eq!(item.continuation, text, "a token alone stays plain"),
                    _ => {
                        kinds.insert(item.prompt[1]);
                        assert_eq!(stream.tokens.restore(item).as_deref(), Some(text));
                    }
                }
            }
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_step_is_the_same_whatever_was_asked_before_it() {
        let (_folder, stream) = stream([0.3, 0.3, 0.3], 5);
        let all: Vec<_> = (0..stream.steps()).map(|step| items(&stream, step)).collect();
        for step in (0..stream.steps()).rev() {
            assert_eq!(items(&stream, step), all[step as usize]);
        }
    }

    #[test]
    fn another_epoch_and_another_seed_take_out_other_spans() {
        let spans = |seed| -> Vec<Vec<u32>> {
            let (_folder, stream) = stream([1.0, 0.0, 0.0], seed);
            (0..stream.steps()).flat_map(|step| items(&stream, step)).map(|item| item.continuation).collect()
        };
        assert_ne!(spans(5), spans(6));
        // About two epochs: a document's beginning comes again.
        let long: Vec<Vec<u32>> = spans(5).into_iter().filter(|span| span.len() > 8).collect();
        let distinct: std::collections::HashSet<&Vec<u32>> = long.iter().collect();
        assert!(long.len() > 20 && distinct.len() == long.len(), "{} of {}", distinct.len(), long.len());
    }

    #[test]
    fn without_shares_it_is_the_plain_stream() {
        let (_folder, stream) = stream([0.0; 3], 5);
        let (mut plain, mut found) = (Batch::new(), Batch::new());
        for step in 0..stream.steps() {
            stream.plain.fill(step, &mut plain);
            stream.fill(step, &mut found);
            assert_eq!(found, plain);
        }
        assert_eq!(denoise::piece_tokens(64), DenoisingStream::piece_tokens(64));
    }

    /// Documents of one length, so that what is drawn tells segments apart and their lengths do not.
    #[test]
    fn every_segment_of_every_step_has_a_draw_of_its_own() {
        let documents: Vec<Vec<u32>> =
            (0..400u32).map(|i| (0..29).map(|j| 200 + (50 * i + j) % 4700).chain([0]).collect()).collect();
        let (_folder, file) = token_file(&documents);
        let source = Source { name: "u".into(), file, rows: None, tokens: 6000, repeat: false };
        let piece = DenoisingStream::piece_tokens(64);
        assert!(piece >= 30, "{piece}");
        let plain = PlainStream::new(vec![source], 40, 150, piece, 0, 3).unwrap();
        let stream = DenoisingStream::new(plain, Shares { of: [0.0, 0.0, 1.0] }, frame(), 3);
        let mut drawn = std::collections::HashSet::new();
        let mut segments = 0;
        for step in 0..stream.steps() {
            for item in items(&stream, step) {
                // Where spans stand, whatever their tokens.
                let places: Vec<bool> = item.prompt.iter().map(|token| (4..200).contains(token)).collect();
                segments += 1;
                drawn.insert(places);
            }
        }
        // Few of them are of one span, of which there are not many.
        assert!(segments == 200 && drawn.len() > 120, "{} of {segments}", drawn.len());
    }

    #[test]
    fn as_many_positions_are_read_as_are_announced() {
        for shares in [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]] {
            let documents: Vec<Vec<u32>> = (0..250u32).map(|i| (0..400).map(|j| 200 + i + j % 999).collect()).collect();
            let (_folder, file) = token_file(&documents);
            let source = Source { name: "u".into(), file, rows: None, tokens: 60_000, repeat: false };
            let plain = PlainStream::new(vec![source], 15, 4000, 400, 0, 3).unwrap();
            let stream = DenoisingStream::new(plain, Shares { of: shares }, frame(), 3);
            let mut batch = Batch::new();
            let read = (0..stream.steps()).map(|step| {
                stream.fill(step, &mut batch);
                batch.len() as u64
            });
            let (read, announced) = (read.sum::<u64>() as f64, stream.tokens() as f64);
            // What is read beside the text and two sentinels a span: where it begins, its mode and its end.
            assert!((read / announced - 1.0).abs() < 0.05, "{shares:?}: {read} {announced}");
        }
    }
}
