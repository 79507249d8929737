//! Nats per token, perplexity and bits per byte on documents; per word and byte as others publish them.
//!
//! A document is scored alone: the context starts with a begin token (the end-of-document token, or the begin token that another
//! tokenizer defines), and every token of the text and its closing end-of-document token are scored.
//!
//! A text longer than the model's context of P positions is scored in windows, which are those of lm-evaluation-harness
//! (`loglikelihood_rolling`): the first reads the begin token and scores P tokens; each further one scores the next P after the
//! token before them, and the last, which has fewer to score, reads as many before them as fit. The closing token then follows the
//! last P tokens. So every token is scored once.
//!
//! [`Perplexity::text`] leaves the closing token out: these are the figures of the harness' task `wikitext`.

use cognate_base::Monitor;
use cognate_corpus::{Document, Tokenizer};
use cognate_model::{Decoder, Ensemble, ScoreItem, score_tokens};
use cognate_ops::Device;
use cognate_statistics::{Estimate, ratio};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::progress::Part;
use crate::rows::Rows;
use crate::tasks::{is_lossy, words};

/// Documents encoded and scored together.
const CHUNK: usize = 1024;

/// How documents are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerplexityOptions {
    /// The token that a document's context starts with.
    pub begin: u32,
    /// The token that closes a document; scored.
    pub end: u32,
    /// Tokens per batch. Changes the speed, never the result.
    pub batch_tokens: usize,
}

impl PerplexityOptions {
    /// The tokens that the tokenizer frames a document with.
    pub fn of(tokenizer: &Tokenizer, batch_tokens: usize) -> Self {
        Self { begin: tokenizer.begin_of_document(), end: tokenizer.end_of_document(), batch_tokens }
    }
}

/// How well a model predicts documents. Standard errors are with documents as the units drawn, and none for fewer than two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    /// Mean of −ln p over all scored tokens.
    pub nats_per_token: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// e to the power of `nats_per_token`.
    pub perplexity: f64,
    /// Its standard error.
    pub perplexity_stderr: Option<f64>,
    /// Nats over all scored tokens, in bits, per UTF-8 byte of the texts: comparable between tokenizers.
    pub bits_per_byte: f64,
    /// Its standard error.
    pub bits_per_byte_stderr: Option<f64>,
    /// Scored tokens.
    pub tokens: u64,
    /// UTF-8 bytes of the texts.
    pub bytes: u64,
    /// Documents.
    pub documents: u64,
    /// Documents longer than the context, scored in windows.
    pub windowed: u64,
    /// Documents that the tokenizer does not give back, white space aside: it lacks their bytes, or changes letters.
    pub lossy: u64,
    /// The texts alone.
    pub text: TextPerplexity,
}

/// How well a model predicts texts, without the token that closes a document.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextPerplexity {
    /// exp(−Σ ln p / Σ tokens).
    pub token_perplexity: Estimate,
    /// exp(−Σ ln p / Σ words); words are what white space parts.
    pub word_perplexity: Estimate,
    /// exp(−Σ ln p / Σ bytes).
    pub byte_perplexity: Estimate,
    /// −Σ log₂ p / Σ bytes.
    pub bits_per_byte: Estimate,
    /// Tokens of the texts.
    pub tokens: u64,
    /// Words of the texts.
    pub words: u64,
}

/// How a document was scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentScore {
    /// Its id.
    pub document: String,
    /// ln p of its text, in nats.
    pub log_likelihood: f64,
    /// ln p of the token that closes it, in nats.
    pub end_log_likelihood: f64,
    /// Tokens of its text.
    pub tokens: u64,
    /// Its words.
    pub words: u64,
    /// UTF-8 bytes of its text.
    pub bytes: u64,
    /// Windows that its text took: 1 where it fits into the context.
    pub windows: u64,
    /// Whether the tokenizer does not give its text back.
    pub lossy: bool,
}

/// Scores documents: the figures, and each document in order.
///
/// # Errors
/// When there is no text, a token has no row in the model's embedding, a loss is not a number, a document cannot be read, or the
/// monitor interrupts.
pub fn perplexity<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    monitor: &dyn Monitor,
) -> Result<(Perplexity, Vec<DocumentScore>)> {
    let max_positions = model.config().max_positions;
    let rows = Rows { tokenizer, rows: model.config().vocab };
    let part = Part::begin(monitor, "evaluate");
    let mut scorer = |items: &[ScoreItem]| {
        let nats = score_tokens(model, items, options.batch_tokens, &part)?;
        part.finish_one();
        Ok(nats)
    };
    let scores = measure(&mut scorer, rows, documents, options, max_positions)?;
    Ok((summary(&scores), scores))
}

/// The same of an ensemble; and the nats per token of its first member, its first two, and so on to all of them.
///
/// # Errors
/// As [`perplexity`].
pub fn ensemble_perplexity<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    monitor: &dyn Monitor,
) -> Result<(Perplexity, Vec<DocumentScore>, Vec<f64>)> {
    let max_positions = model.config().max_positions;
    let rows = Rows { tokenizer, rows: model.config().vocab };
    let part = Part::begin(monitor, "evaluate");
    let (mut sums, mut tokens) = (vec![0.0; model.members().len()], 0);
    let mut scorer = |items: &[ScoreItem]| {
        let mut by_members = model.score_tokens(items, options.batch_tokens, &part)?;
        for (sum, nats) in sums.iter_mut().zip(&by_members) {
            *sum += nats.iter().flatten().map(|nats| f64::from(*nats)).sum::<f64>();
        }
        let nats = by_members.pop().unwrap_or_default();
        tokens += nats.iter().map(Vec::len).sum::<usize>();
        part.finish_one();
        Ok(nats)
    };
    let scores = measure(&mut scorer, rows, documents, options, max_positions)?;
    let by_members = sums.iter().map(|sum| sum / tokens.max(1) as f64).collect();
    Ok((summary(&scores), scores, by_members))
}

/// −ln p of each token of each item; the model, or a test's stand-in.
type Scorer<'a> = &'a mut dyn FnMut(&[ScoreItem]) -> Result<Vec<Vec<f32>>>;

fn measure(
    scorer: Scorer<'_>,
    rows: Rows<'_>,
    mut documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    max_positions: usize,
) -> Result<Vec<DocumentScore>> {
    let tokenizer = rows.tokenizer;
    let mut scores: Vec<DocumentScore> = Vec::new();
    loop {
        let chunk: Vec<Document> = documents.by_ref().take(CHUNK).collect::<cognate_corpus::Result<_>>()?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<&str> = chunk.iter().map(|document| document.text.as_str()).collect();
        let encoded = tokenizer.encode_batch(&texts)?;
        for (document, tokens) in chunk.iter().zip(&encoded) {
            let item = || format!("document {}", document.id);
            rows.check(tokens, item)?;
            rows.check(&[options.begin, options.end], item)?;
        }
        let windows: Vec<Vec<ScoreItem>> =
            encoded.iter().map(|tokens| windows(tokens, options, max_positions)).collect();
        let mut nats = scorer(&windows.concat())?.into_iter();
        for ((document, tokens), windows) in chunk.iter().zip(&encoded).zip(&windows) {
            let nats: Vec<f32> = nats.by_ref().take(windows.len()).flatten().collect();
            if let Some(&bad) = nats.iter().find(|nats| !nats.is_finite()) {
                return Err(Error::NotFinite { item: format!("document {}", document.id), nats: f64::from(bad) });
            }
            let log_likelihood = |nats: &[f32]| 0.0 - nats.iter().map(|&nats| f64::from(nats)).sum::<f64>();
            let (text, end) = nats.split_at(tokens.len());
            scores.push(DocumentScore {
                document: document.id.clone(),
                log_likelihood: log_likelihood(text),
                end_log_likelihood: log_likelihood(end),
                tokens: tokens.len() as u64,
                words: words(&document.text),
                bytes: document.text.len() as u64,
                windows: tokens.len().div_ceil(max_positions).max(1) as u64,
                lossy: is_lossy(tokenizer, &document.text, tokens)?,
            });
        }
    }
    let bytes = scores.iter().map(|score| score.bytes).sum();
    if bytes == 0 {
        return Err(Error::NoText { documents: scores.len() as u64, bytes });
    }
    Ok(scores)
}

/// The figures of scored documents.
fn summary(scores: &[DocumentScore]) -> Perplexity {
    use std::f64::consts::LN_2;
    let sum = |of: fn(&DocumentScore) -> u64| scores.iter().map(of).sum::<u64>();
    let count = |of: fn(&DocumentScore) -> bool| scores.iter().filter(|score| of(score)).count() as u64;
    let whole = |per: fn(&DocumentScore) -> f64| {
        ratio(scores.iter().map(|score| (per(score), -score.log_likelihood - score.end_log_likelihood)))
    };
    let text =
        |per: fn(&DocumentScore) -> u64| ratio(scores.iter().map(|score| (per(score) as f64, -score.log_likelihood)));
    let per_token = whole(|score| (score.tokens + 1) as f64);
    let perplexity = per_token.exp();
    let bits_per_byte = whole(|score| score.bytes as f64).scaled(1.0 / LN_2);
    let text_per_byte = text(|score| score.bytes);
    Perplexity {
        nats_per_token: per_token.value,
        stderr: per_token.stderr,
        perplexity: perplexity.value,
        perplexity_stderr: perplexity.stderr,
        bits_per_byte: bits_per_byte.value,
        bits_per_byte_stderr: bits_per_byte.stderr,
        tokens: sum(|score| score.tokens + 1),
        bytes: sum(|score| score.bytes),
        documents: scores.len() as u64,
        windowed: count(|score| score.windows > 1),
        lossy: count(|score| score.lossy),
        text: TextPerplexity {
            token_perplexity: text(|score| score.tokens).exp(),
            word_perplexity: text(|score| score.words).exp(),
            byte_perplexity: text_per_byte.exp(),
            bits_per_byte: text_per_byte.scaled(1.0 / LN_2),
            tokens: sum(|score| score.tokens),
            words: sum(|score| score.words),
        },
    }
}

/// Items that together score every token of a text and the closing token once, each within `max_positions` positions. (The last
/// token of an item is predicted, not read, so an item takes one position less than it has tokens.)
fn windows(text: &[u32], options: PerplexityOptions, max_positions: usize) -> Vec<ScoreItem> {
    let first = text.len().min(max_positions);
    let mut items = vec![ScoreItem { prompt: vec![options.begin], continuation: text[..first].to_vec() }];
    let mut done = first;
    while done < text.len() {
        let next = (done + max_positions).min(text.len());
        let prompt = text[next - max_positions - 1..done].to_vec();
        items.push(ScoreItem { prompt, continuation: text[done..next].to_vec() });
        done = next;
    }
    match items.last_mut() {
        Some(last) if text.len() < max_positions => last.continuation.push(options.end),
        _ => items
            .push(ScoreItem { prompt: text[text.len() - max_positions..].to_vec(), continuation: vec![options.end] }),
    }
    items
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use proptest::prelude::*;

    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["the cat and the dog".to_owned(), "ein Hund".to_owned()].into_iter(), 265).unwrap()
    }

    fn documents(texts: &[&str]) -> Vec<cognate_corpus::Result<Document>> {
        let document = |(i, text): (usize, &&str)| {
            Ok(Document { id: format!("d{i}"), text: (*text).into(), group: None, metadata: Default::default() })
        };
        texts.iter().enumerate().map(document).collect()
    }

    fn run(texts: &[&str], max_positions: usize, scorer: Scorer<'_>) -> Result<(Perplexity, Vec<DocumentScore>)> {
        let tokenizer = tokenizer();
        let options = PerplexityOptions::of(&tokenizer, 64);
        let rows = Rows { tokenizer: &tokenizer, rows: tokenizer.vocab_size() };
        let scores = measure(scorer, rows, documents(texts).into_iter(), options, max_positions)?;
        Ok((summary(&scores), scores))
    }

    /// Two nats for every token.
    fn two_each(items: &[ScoreItem]) -> Result<Vec<Vec<f32>>> {
        Ok(items.iter().map(|item| vec![2.0; item.continuation.len()]).collect())
    }

    #[test]
    fn figures_by_hand() {
        let tokenizer = tokenizer();
        let texts = ["the cat", "", " ein dog é\n"];
        let tokens: usize = texts.iter().map(|text| tokenizer.encode(text).unwrap().len() + 1).sum();
        let (found, documents) = run(&texts, 100, &mut two_each).unwrap();
        assert_eq!((found.documents, found.tokens, found.bytes, found.windowed), (3, tokens as u64, 19, 0));
        assert_eq!((found.nats_per_token, found.stderr), (2.0, Some(0.0)));
        assert_eq!((found.perplexity, found.perplexity_stderr), (2.0f64.exp(), Some(0.0)));
        assert!((found.bits_per_byte - 2.0 * tokens as f64 / 2.0f64.ln() / 19.0).abs() < 1e-12);
        // Without the three closing tokens. Words as Python's re.split(r"\s+", text) counts them: 2, 1 and 5.
        let nats = 2.0 * (tokens - 3) as f64;
        assert_eq!((found.text.tokens, found.text.words), (tokens as u64 - 3, 8));
        assert!((found.text.token_perplexity.value - 2.0f64.exp()).abs() < 1e-12);
        for (figure, expected) in [
            (found.text.word_perplexity, (nats / 8.0).exp()),
            (found.text.byte_perplexity, (nats / 19.0).exp()),
            (found.text.bits_per_byte, nats / 2.0f64.ln() / 19.0),
        ] {
            assert!((figure.value / expected - 1.0).abs() < 1e-12, "{figure:?} against {expected}");
        }
        // By the delta method, from the ratio estimator: units (words, nats) of the three documents.
        let of = |document: &DocumentScore| (document.words as f64, -document.log_likelihood);
        let nats_per_word = ratio(documents.iter().map(of));
        let expected = nats_per_word.stderr.unwrap() * nats_per_word.value.exp();
        assert!((found.text.word_perplexity.stderr.unwrap() / expected - 1.0).abs() < 1e-12);
        assert!(found.bits_per_byte_stderr.unwrap() > 0.0 && found.text.bits_per_byte.stderr.unwrap() > 0.0);
        assert_eq!(documents[1].log_likelihood, 0.0);
        assert_eq!((documents[1].end_log_likelihood, documents[1].words), (-2.0, 1));
        assert_eq!(run(&["the cat"], 100, &mut two_each).unwrap().0.text.word_perplexity.stderr, None);
    }

    #[test]
    fn a_document_starts_after_the_end_token_and_its_own_end_is_scored() {
        let tokenizer = tokenizer();
        let end = tokenizer.end_of_document();
        let mut seen = Vec::new();
        let mut scorer = |items: &[ScoreItem]| {
            seen.extend_from_slice(items);
            two_each(items)
        };
        run(&["the cat", "dog"], 100, &mut scorer).unwrap();
        assert_eq!(seen.len(), 2);
        for (item, text) in seen.iter().zip(["the cat", "dog"]) {
            let mut tokens = tokenizer.encode(text).unwrap();
            tokens.push(end);
            assert_eq!((&item.prompt, &item.continuation), (&vec![end], &tokens));
        }
    }

    #[test]
    fn long_documents_are_counted_once_however_they_are_cut() {
        let long = "the cat and the dog ".repeat(20);
        // A stand-in for a model: what a token costs depends on the token alone, so windows must not change the result.
        let mut by_token = |items: &[ScoreItem]| {
            let cost = |item: &ScoreItem| item.continuation.iter().map(|&t| 1.0 + (t % 7) as f32).collect();
            Ok(items.iter().map(cost).collect())
        };
        let (whole, _) = run(&[&long, "dog"], 10_000, &mut by_token).unwrap();
        for max_positions in [1, 2, 3, 16, 33] {
            let (cut, documents) = run(&[&long, "dog"], max_positions, &mut by_token).unwrap();
            let windows = documents.iter().map(|document| document.tokens.div_ceil(max_positions as u64));
            assert!(documents.iter().map(|document| document.windows).eq(windows), "{max_positions}: {documents:?}");
            assert_eq!(
                cut.windowed,
                documents.iter().filter(|document| document.tokens > max_positions as u64).count() as u64
            );
            assert_eq!(Perplexity { windowed: 0, ..cut }, whole, "{max_positions}");
        }
    }

    #[test]
    fn windows_are_those_of_the_reference() {
        // By lm-evaluation-harness 0.4.13: make_disjoint_window of get_rolling_token_windows(tokens, 0, 4, 1).
        let options = PerplexityOptions { begin: 0, end: 99, batch_tokens: 1 };
        let item = |prompt: &[u32], continuation: &[u32]| ScoreItem {
            prompt: prompt.to_vec(),
            continuation: continuation.to_vec(),
        };
        let tokens: Vec<u32> = (1..=10).collect();
        let expected = [
            item(&[0], &[1, 2, 3, 4]),
            item(&[4], &[5, 6, 7, 8]),
            item(&[6, 7, 8], &[9, 10]),
            item(&[7, 8, 9, 10], &[99]),
        ];
        assert_eq!(windows(&tokens, options, 4), expected);
        assert_eq!(windows(&tokens[..3], options, 4), [item(&[0], &[1, 2, 3, 99])]);
        assert_eq!(windows(&tokens[..4], options, 4), [item(&[0], &[1, 2, 3, 4]), item(&[1, 2, 3, 4], &[99])]);
        assert_eq!(windows(&[], options, 4), [item(&[0], &[99])]);
    }

    #[test]
    fn nothing_to_score_is_an_error() {
        for texts in [&[][..], &["", ""][..]] {
            let error = run(texts, 10, &mut two_each).unwrap_err();
            assert!(matches!(error, Error::NoText { bytes: 0, .. }), "{error}");
        }
    }

    #[test]
    fn a_loss_that_is_no_number_names_the_document() {
        let mut scorer = |items: &[ScoreItem]| {
            let cost =
                |(i, item): (usize, &ScoreItem)| vec![if i == 1 { f32::NAN } else { 1.0 }; item.continuation.len()];
            Ok(items.iter().enumerate().map(cost).collect())
        };
        let error = run(&["a", "b", "c"], 10, &mut scorer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "document d1: the model's loss is NaN; its weights are damaged or its training diverged"
        );
    }

    #[test]
    fn an_unreadable_document_stops_the_evaluation() {
        let bad =
            cognate_corpus::Reader::open(&["/nowhere/at-all.jsonl".into()], &Default::default(), &Silent).unwrap_err();
        let records = documents(&["a"]).into_iter().chain([Err(bad)]);
        let tokenizer = tokenizer();
        let options = PerplexityOptions::of(&tokenizer, 64);
        let error =
            measure(&mut two_each, Rows { tokenizer: &tokenizer, rows: 1000 }, records, options, 10).unwrap_err();
        assert!(matches!(error, Error::Corpus(_)), "{error}");
    }

    proptest! {
        #[test]
        fn windows_score_every_token_once_within_the_context(length in 1usize..200, max_positions in 1usize..40) {
            let tokens: Vec<u32> = (1..=length as u32).collect();
            let end = length as u32 + 1;
            let options = PerplexityOptions { begin: 0, end, batch_tokens: 1 };
            let items = windows(&tokens, options, max_positions);
            let joined: Vec<u32> = items.iter().flat_map(|item| item.continuation.clone()).collect();
            prop_assert_eq!(joined, (1..=end).collect::<Vec<_>>());
            prop_assert_eq!(&items[0].prompt, &[0]);
            for item in &items {
                prop_assert!(!item.continuation.is_empty());
                let whole = [item.prompt.as_slice(), &item.continuation].concat();
                prop_assert!(whole.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                prop_assert!(whole.len() - 1 <= max_positions);
                // Where text was left out before it, the context is full.
                prop_assert!(whole[0] == 0 || whole.len() - 1 == max_positions);
            }
            prop_assert_eq!(items.len() == 1, length < max_positions);
        }
    }
}
