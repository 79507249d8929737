//! Mixture of denoisers (UL2; Tay et al. 2022, arXiv 2205.05131): a text with spans taken out, and the spans to be written.
//!
//! For a decoder, both stand in one segment: begin token, mode token, the text with a sentinel in the place of each span; then each span behind its
//! sentinel, and a sentinel that ends them, as T5 has it (Raffel et al. 2020). The loss is on what comes behind the text. Nothing is lost: [`restore`] puts the
//! spans back.

use std::ops::Range;

use cognate_base::random::{ChaCha8Rng, RngExt as _, SliceRandom};
use cognate_model::ScoreItem;

/// Sentinels, as T5 has them; one of them ends the spans.
pub const SENTINELS: usize = 100;

/// One way of taking spans out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denoiser {
    /// Short spans, few tokens in all: spans of 3 or 8 tokens, 15 % of a text.
    R,
    /// One span at the end, 25 % of a text.
    S,
    /// Long spans or many tokens: spans of 3, 8 or 64 tokens, 50 % of a text, or of 64 tokens, 15 %.
    X,
}

impl Denoiser {
    /// All of them, in the order of their shares.
    pub const ALL: [Self; 3] = [Self::R, Self::S, Self::X];

    /// The token that says which it is.
    pub fn mode(self) -> &'static str {
        match self {
            Self::R => "[R]",
            Self::S => "[S]",
            Self::X => "[X]",
        }
    }

    /// Its settings, each as likely as the others: mean tokens of a span, and the share of a text that is in spans (table 1 of the paper). S has one
    /// span, whatever its length.
    pub fn settings(self) -> &'static [(f64, f64)] {
        match self {
            Self::R => &[(3.0, 0.15), (8.0, 0.15)],
            Self::S => &[(f64::INFINITY, 0.25)],
            Self::X => &[(3.0, 0.5), (8.0, 0.5), (64.0, 0.15), (64.0, 0.5)],
        }
    }
}

/// Shares of the pieces that each denoiser has; the others are plain text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// In the order of [`Denoiser::ALL`].
    pub of: [f64; 3],
}

impl Shares {
    /// Positions that are read of a mixture for each token of its texts, on average, where texts are long.
    pub fn positions(&self) -> f64 {
        let sentinels = |(denoiser, share): (Denoiser, f64)| {
            let settings = denoiser.settings();
            let of_each: f64 = settings.iter().map(|(mean, rate)| 2.0 * rate / mean).sum();
            share * of_each / settings.len() as f64
        };
        1.0 + Denoiser::ALL.into_iter().zip(self.of).map(sentinels).sum::<f64>()
    }

    /// A denoiser, drawn; none for plain text.
    fn draw(&self, random: &mut ChaCha8Rng) -> Option<Denoiser> {
        let mut ticket = random.random::<f64>();
        for (denoiser, share) in Denoiser::ALL.into_iter().zip(self.of) {
            if ticket < share {
                return Some(denoiser);
            }
            ticket -= share;
        }
        None
    }
}

/// The tokens that frame a denoised text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenoisingTokens {
    /// The token that begins a document.
    pub begin: u32,
    /// The mode tokens, in the order of [`Denoiser::ALL`].
    pub modes: [u32; 3],
    /// [`SENTINELS`] sentinels, in their order.
    pub sentinels: Vec<u32>,
}

impl DenoisingTokens {
    /// What these tokens are called, beside the begin token: the modes, then the sentinels, by T5's names.
    pub fn names() -> Vec<String> {
        let modes = Denoiser::ALL.map(|denoiser| denoiser.mode().to_owned());
        modes.into_iter().chain((0..SENTINELS).map(|at| format!("<extra_id_{at}>"))).collect()
    }

    /// The tokens by their numbers, which `number` has by name.
    ///
    /// # Errors
    /// The first name that it does not have.
    pub fn of(begin: u32, number: impl Fn(&str) -> Option<u32>) -> Result<Self, String> {
        let all: Result<Vec<u32>, String> = Self::names().into_iter().map(|name| number(&name).ok_or(name)).collect();
        let all = all?;
        Ok(Self { begin, modes: [all[0], all[1], all[2]], sentinels: all[3..].to_vec() })
    }

    /// A text with the tokens `spans` taken out, and these. Spans are in their order, do not touch, and are fewer than the sentinels.
    pub fn item(&self, denoiser: Denoiser, text: &[u32], spans: &[Range<usize>]) -> ScoreItem {
        let mode = self.modes[denoiser as usize];
        let (mut prompt, mut continuation) = (vec![self.begin, mode], Vec::new());
        let mut at = 0;
        for (span, sentinel) in spans.iter().zip(&self.sentinels) {
            prompt.extend_from_slice(&text[at..span.start]);
            prompt.push(*sentinel);
            continuation.push(*sentinel);
            continuation.extend_from_slice(&text[span.clone()]);
            at = span.end;
        }
        prompt.extend_from_slice(&text[at..]);
        continuation.push(self.sentinels[spans.len()]);
        ScoreItem { prompt, continuation }
    }

    /// The text of an item: each span in the place of its sentinel. None where it is no item of these tokens.
    pub fn restore(&self, item: &ScoreItem) -> Option<Vec<u32>> {
        let number = |token: &u32| self.sentinels.iter().position(|sentinel| sentinel == token);
        let (end, spans) = item.continuation.split_last()?;
        let spans: Vec<&[u32]> = spans.split(|token| number(token).is_some()).skip(1).collect();
        let [begin, mode, text @ ..] = &item.prompt[..] else { return None };
        let framed = *begin == self.begin && self.modes.contains(mode) && number(end) == Some(spans.len());
        let mut restored = Vec::new();
        for token in text {
            match number(token) {
                Some(at) => restored.extend_from_slice(spans.get(at)?),
                None => restored.push(*token),
            }
        }
        framed.then_some(restored)
    }
}

/// An example of a text by a mixture: a denoiser and its spans. None where the text stays plain, by the draw or because it has fewer than two tokens.
pub(crate) fn draw(shares: &Shares, tokens: usize, random: &mut ChaCha8Rng) -> Option<(Denoiser, Vec<Range<usize>>)> {
    let denoiser = shares.draw(random)?;
    if tokens < 2 {
        return None;
    }
    let settings = denoiser.settings();
    let (mean, rate) = settings[random.random_range(0..settings.len())];
    Some((denoiser, if denoiser == Denoiser::S { suffix(tokens, rate) } else { spans(tokens, mean, rate, random) }))
}

/// The last tokens of a text, `rate` of it.
fn suffix(tokens: usize, rate: f64) -> Vec<Range<usize>> {
    std::iter::once(tokens - noise(tokens, rate)..tokens).collect()
}

/// Spans of `mean` tokens on average that hold `rate` of a text: as many tokens in as many spans as these say, rounded, and of all ways to lay them
/// out one, each as likely. Two of them do not touch.
fn spans(tokens: usize, mean: f64, rate: f64, random: &mut ChaCha8Rng) -> Vec<Range<usize>> {
    let noise = noise(tokens, rate);
    let number = span_count(tokens, mean, rate);
    let lengths = parts(noise, number, random);
    // What stands before the first and behind the last may be nothing.
    let mut gaps = parts(tokens - noise + 2, number + 1, random);
    gaps[0] -= 1;
    let mut at = 0;
    let span = |(length, gap): (usize, usize)| {
        let start = at + gap;
        at = start + length;
        start..at
    };
    lengths.into_iter().zip(gaps).map(span).collect()
}

/// Tokens of all spans of a text of two tokens or more: not none, and not all.
fn noise(tokens: usize, rate: f64) -> usize {
    ((tokens as f64 * rate).round() as usize).clamp(1, tokens - 1)
}

fn span_count(tokens: usize, mean: f64, rate: f64) -> usize {
    let noise = noise(tokens, rate);
    ((noise as f64 / mean).round() as usize).clamp(1, noise.min(tokens - noise + 1)).min(SENTINELS - 1)
}

/// A number in so many parts of at least 1, each of all ways as likely.
fn parts(total: usize, number: usize, random: &mut ChaCha8Rng) -> Vec<usize> {
    let mut cuts: Vec<usize> = (1..total).collect();
    let (chosen, _) = cuts.partial_shuffle(random, number - 1);
    let mut ends = chosen.to_vec();
    ends.sort_unstable();
    ends.push(total);
    let mut before = 0;
    ends.into_iter().map(|end| end - std::mem::replace(&mut before, end)).collect()
}

/// Positions of a text's longest example: its tokens, begin and mode token, and two sentinels a span, but for the last token, which is never read.
fn longest(tokens: usize) -> usize {
    let all = Denoiser::ALL.into_iter().flat_map(Denoiser::settings);
    let most = all.map(|(mean, rate)| span_count(tokens, *mean, *rate)).max().unwrap_or(0);
    tokens + 2 + 2 * most
}

/// Tokens of the longest text whose examples fit a context and have sentinels for all of their spans; at least 2.
pub(crate) fn piece_tokens(context: usize) -> usize {
    // The most spans come from 50 % in spans of 3: a sixth of the tokens.
    let most = (SENTINELS - 1) * 6;
    (2..=context.min(most)).rev().find(|tokens| longest(*tokens) <= context).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use cognate_base::random;
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> DenoisingTokens {
        DenoisingTokens { begin: 0, modes: [1, 2, 3], sentinels: (4..4 + SENTINELS as u32).collect() }
    }

    fn stream(item: u64) -> ChaCha8Rng {
        random::stream(3, "t", item)
    }

    #[test]
    fn an_example_is_the_text_with_sentinels_and_then_the_spans() {
        let text = [250, 251, 252, 253, 254, 255];
        let item = tokens().item(Denoiser::X, &text, &[1..2, 4..6]);
        assert_eq!(item.prompt, [0, 3, 250, 4, 252, 253, 5]);
        assert_eq!(item.continuation, [4, 251, 5, 254, 255, 6]);
        assert_eq!(tokens().restore(&item), Some(text.to_vec()));
        let suffix = tokens().item(Denoiser::S, &text, &suffix(6, 0.25));
        assert_eq!((suffix.prompt, suffix.continuation), (vec![0, 2, 250, 251, 252, 253, 4], vec![4, 254, 255, 5]));
    }

    /// Mean tokens of a span, share of the text in spans, and the mean place of a span's middle, of texts of so many tokens.
    fn measured(tokens: usize, mean: f64, rate: f64) -> [f64; 3] {
        let (mut in_spans, mut number, mut middles) = (0, 0, 0.0);
        for item in 0..1000 {
            let spans = spans(tokens, mean, rate, &mut stream(item));
            number += spans.len();
            in_spans += spans.iter().map(Range::len).sum::<usize>();
            middles += spans.iter().map(|span| (span.start + span.end) as f64 / 2.0 / tokens as f64).sum::<f64>();
        }
        [in_spans as f64 / number as f64, in_spans as f64 / (1000 * tokens) as f64, middles / number as f64]
    }

    #[test]
    fn means_and_rates_are_those_of_the_paper_within_a_hundredth() {
        let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.01;
        for denoiser in [Denoiser::R, Denoiser::X] {
            for (mean, rate) in denoiser.settings() {
                // A length that holds whole spans, in which nothing is rounded.
                let tokens = 640;
                let [length, share, middle] = measured(tokens, *mean, *rate);
                let whole = (tokens as f64 * rate / mean).round().min((SENTINELS - 1) as f64);
                let expected = if whole * mean == tokens as f64 * rate { *mean } else { tokens as f64 * rate / whole };
                assert!(near(length, expected) && near(share, *rate), "{mean} {rate}: {length} {share}");
                assert!((middle - 0.5).abs() < 0.01, "spans stand everywhere: {middle}");
            }
        }
        assert!(near(measured(480, 3.0, 0.15)[0], 3.0) && near(measured(480, 3.0, 0.5)[0], 3.0));
        assert!(near(measured(1280, 64.0, 0.15)[0], 64.0) && near(measured(1280, 8.0, 0.15)[0], 8.0));
    }

    #[test]
    fn every_layout_comes_as_often_as_any_other() {
        // Three tokens in two spans, and three others before, between and behind them, of which only those between cannot be none.
        let mut counts = std::collections::BTreeMap::new();
        for item in 0..12_000 {
            let layout = spans(6, 1.5, 0.5, &mut stream(item));
            *counts.entry(layout.iter().map(|span| (span.start, span.end)).collect::<Vec<_>>()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 2 * 6, "{counts:?}");
        // Four standard errors of 1,000.
        assert!(counts.values().all(|count| (880..1120).contains(count)), "{counts:?}");
    }

    #[test]
    fn shares_and_settings_come_as_often_as_they_say() {
        let shares = Shares { of: [0.3, 0.2, 0.4] };
        let mut counts = [0.0; 4];
        let mut fractions = std::collections::BTreeMap::new();
        let all = 40_000;
        for item in 0..all {
            match draw(&shares, 600, &mut stream(item)) {
                None => counts[3] += 1.0,
                Some((denoiser, spans)) => {
                    counts[denoiser as usize] += 1.0;
                    let (tokens, number) = (spans.iter().map(Range::len).sum::<usize>(), spans.len());
                    *fractions.entry((denoiser as usize, tokens, number)).or_insert(0.0) += 1.0;
                }
            }
        }
        // Four standard errors are 0.01.
        for (count, share) in counts.iter().zip([0.3, 0.2, 0.4, 0.1]) {
            assert!((count / all as f64 - share).abs() < 0.01, "{counts:?}");
        }
        // Two settings of R, one of S, four of X; each of a denoiser as often.
        assert_eq!(fractions.len(), 7, "{fractions:?}");
        for ((denoiser, ..), count) in fractions {
            let settings = Denoiser::ALL[denoiser].settings().len() as f64;
            assert!((count / counts[denoiser] * settings - 1.0).abs() < 0.05);
        }
    }

    #[test]
    fn a_piece_fits_its_context_and_one_more_token_does_not() {
        for context in [8, 64, 128, 256, 511, 512, 4096] {
            let tokens = piece_tokens(context);
            assert!(longest(tokens) <= context, "{context}");
            assert!(longest(tokens + 1) > context || tokens == 594, "{context} {tokens}");
        }
        assert_eq!(piece_tokens(2), 2);
    }

    #[test]
    fn names_are_those_of_t5_and_the_first_that_is_missing_is_told() {
        let names = DenoisingTokens::names();
        assert_eq!(
            (names.len(), &names[2], &names[3], &names[102]),
            (103, &"[X]".into(), &"<extra_id_0>".into(), &"<extra_id_99>".into())
        );
        let number = |name: &str| names.iter().position(|other| other == name).map(|at| at as u32 + 1);
        assert_eq!(DenoisingTokens::of(0, number), Ok(tokens()));
        let lacks = |name: &str| number(name).filter(|_| name != "<extra_id_7>");
        assert_eq!(DenoisingTokens::of(0, lacks), Err("<extra_id_7>".to_owned()));
    }

    proptest! {
        /// Of any text and every denoiser: nothing is lost, the loss is on the spans alone, and the example fits.
        #[test]
        fn spans_put_back_are_the_text(length in 2usize..700, item in 0u64..1000, which in 0usize..3) {
            let text: Vec<u32> = (0..length as u32).map(|token| 200 + token).collect();
            let mut of = [0.0; 3];
            of[which] = 1.0;
            let (denoiser, spans) = draw(&Shares { of }, length, &mut stream(item)).unwrap();
            prop_assert_eq!(denoiser, Denoiser::ALL[which]);
            prop_assert!(spans.iter().all(|span| !span.is_empty()) && spans.len() < SENTINELS);
            prop_assert!(spans.windows(2).all(|two| two[0].end < two[1].start), "{:?}", spans);
            let example = tokens().item(denoiser, &text, &spans);
            prop_assert_eq!(tokens().restore(&example), Some(text.clone()));
            prop_assert!(example.prompt.len() + example.continuation.len() - 1 <= longest(length));
            let shown: Vec<u32> = example.prompt.iter().copied().filter(|token| *token >= 200).collect();
            let scored: Vec<u32> = example.continuation.iter().copied().filter(|token| *token >= 200).collect();
            prop_assert!(scored.iter().all(|token| !shown.contains(token)), "what is to be written is not shown");
            prop_assert_eq!(shown.len() + scored.len(), length);
        }
    }

    #[test]
    fn a_mixture_reads_two_sentinels_a_span() {
        let positions = |of| Shares { of }.positions();
        // By hand: R has spans of 3 and 8 at 0.15, so 0.3/3 and 0.3/8; one suffix counts nothing; X 1/3, 1/8, 0.3/64 and 1/64.
        assert!((positions([1.0, 0.0, 0.0]) - (1.0 + (0.1 + 0.0375) / 2.0)).abs() < 1e-12);
        assert_eq!(positions([0.0, 1.0, 0.0]), 1.0);
        let x = (1.0 / 3.0 + 0.125 + 0.004_687_5 + 0.015_625) / 4.0;
        assert!((positions([0.0, 0.0, 1.0]) - (1.0 + x)).abs() < 1e-12);
        assert!((positions([0.2, 0.5, 0.1]) - (1.0 + 0.2 * 0.06875 + 0.1 * x)).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_item_of_these_tokens_is_not_restored() {
        let tokens = DenoisingTokens { begin: 0, modes: [1, 2, 3], sentinels: (4..4 + SENTINELS as u32).collect() };
        let item = tokens.item(Denoiser::X, &[200, 201, 202, 203], &[1..2, 3..4]);
        assert_eq!(tokens.restore(&item), Some(vec![200, 201, 202, 203]));
        let changed = |change: fn(&mut ScoreItem)| {
            let mut item = item.clone();
            change(&mut item);
            tokens.restore(&item)
        };
        assert_eq!(changed(|item| item.prompt[0] = 9), None, "another beginning");
        assert_eq!(changed(|item| item.prompt[1] = 9), None, "no mode");
        assert_eq!(changed(|item| *item.continuation.last_mut().unwrap() = 4), None, "another end");
    }
}
