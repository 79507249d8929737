//! Nats per token, perplexity and bits per byte on documents.
//!
//! A document is scored alone: the context starts with a begin token (the end-of-document token, or the begin token that another
//! tokenizer defines), and every token of the text and its closing end-of-document token are scored.
//!
//! A document longer than the model's context of P positions is scored in windows. The first reads the begin token and scores P
//! tokens; each further one reads the P/2 tokens before it as its context (no begin token, for it stands inside the document) and
//! scores the next P + 1 − P/2. So every token is scored exactly once, and none but the first P with less than half a window of
//! context.

use cognate_base::Monitor;
use cognate_corpus::{Document, Tokenizer};
use cognate_model::{Decoder, ScoreItem, score};
use cognate_ops::Device;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::progress::Part;
use crate::ratio::{Estimate, ratio};

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

/// How well a model predicts documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    /// Mean of −ln p over all scored tokens.
    pub nats_per_token: f64,
    /// Its standard error, with documents as the units drawn; none for fewer than two documents.
    pub stderr: Option<f64>,
    /// e to the power of `nats_per_token`.
    pub perplexity: f64,
    /// Nats over all scored tokens, in bits, per UTF-8 byte of the texts: comparable between tokenizers.
    pub bits_per_byte: f64,
    /// Scored tokens.
    pub tokens: u64,
    /// UTF-8 bytes of the texts.
    pub bytes: u64,
    /// Documents.
    pub documents: u64,
    /// Documents longer than the context, scored in windows.
    pub windowed: u64,
}

/// What a model makes of one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentLoss {
    /// The document.
    pub id: String,
    /// Its scored tokens.
    pub tokens: u64,
    /// −ln p of all of them, summed.
    pub nats: f64,
}

/// Scores documents.
///
/// # Errors
/// As [`document_losses`].
pub fn perplexity<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    monitor: &dyn Monitor,
) -> Result<Perplexity> {
    Ok(document_losses(model, tokenizer, documents, options, monitor)?.0)
}

/// Scores documents, and says what each of them cost, in their order: what comparing two models on them takes.
///
/// # Errors
/// When there is no text, the model does not fit the tokenizer, a loss is not a number, a document cannot be read, or the
/// monitor interrupts.
pub fn document_losses<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    monitor: &dyn Monitor,
) -> Result<(Perplexity, Vec<DocumentLoss>)> {
    let (vocab, max_positions) = (model.config().vocab, model.config().max_positions);
    if vocab < tokenizer.vocab_size() {
        return Err(Error::Vocabulary { model: vocab, tokenizer: tokenizer.vocab_size() });
    }
    let part = Part::begin(monitor, "evaluate");
    let mut scorer = |items: &[ScoreItem]| {
        let nats = score(model, items, options.batch_tokens, &part)?;
        part.finish_one();
        Ok(nats)
    };
    measure(&mut scorer, tokenizer, documents, options, max_positions)
}

/// Scores items, in nats; the model, or a test's stand-in.
type Scorer<'a> = &'a mut dyn FnMut(&[ScoreItem]) -> Result<Vec<f64>>;

fn measure(
    scorer: Scorer<'_>,
    tokenizer: &Tokenizer,
    mut documents: impl Iterator<Item = cognate_corpus::Result<Document>>,
    options: PerplexityOptions,
    max_positions: usize,
) -> Result<(Perplexity, Vec<DocumentLoss>)> {
    let mut units: Vec<DocumentLoss> = Vec::new();
    let (mut bytes, mut windowed) = (0, 0);
    loop {
        let chunk: Vec<Document> = documents.by_ref().take(CHUNK).collect::<cognate_corpus::Result<_>>()?;
        if chunk.is_empty() {
            break;
        }
        let texts: Vec<&str> = chunk.iter().map(|document| document.text.as_str()).collect();
        let (mut items, mut owners) = (Vec::new(), Vec::new());
        for (index, mut tokens) in tokenizer.encode_batch(&texts)?.into_iter().enumerate() {
            tokens.push(options.end);
            let windows = windows(&tokens, options.begin, max_positions);
            windowed += u64::from(windows.len() > 1);
            owners.resize(owners.len() + windows.len(), index);
            items.extend(windows);
        }
        let first = units.len();
        units.extend(chunk.iter().map(|document| DocumentLoss { id: document.id.clone(), tokens: 0, nats: 0.0 }));
        for ((item, owner), nats) in items.iter().zip(owners).zip(scorer(&items)?) {
            if !nats.is_finite() {
                return Err(Error::NotFinite { item: format!("document {}", chunk[owner].id), nats });
            }
            units[first + owner].tokens += item.continuation.len() as u64;
            units[first + owner].nats += nats;
        }
        bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
    }
    if bytes == 0 {
        return Err(Error::NoText { documents: units.len() as u64, bytes });
    }
    Ok((summary(&units, bytes, windowed), units))
}

fn summary(units: &[DocumentLoss], bytes: u64, windowed: u64) -> Perplexity {
    let Estimate { value, stderr } = ratio(units.iter().map(|unit| (unit.tokens as f64, unit.nats)));
    let nats: f64 = units.iter().map(|unit| unit.nats).sum();
    Perplexity {
        nats_per_token: value,
        stderr,
        perplexity: value.exp(),
        bits_per_byte: nats / std::f64::consts::LN_2 / bytes as f64,
        tokens: units.iter().map(|unit| unit.tokens).sum(),
        bytes,
        documents: units.len() as u64,
        windowed,
    }
}

/// Items that together score every token of a document once, each within `max_positions` positions. (The last token of an item
/// is predicted, not read, so an item takes one position less than it has tokens.)
fn windows(tokens: &[u32], begin: u32, max_positions: usize) -> Vec<ScoreItem> {
    let first = tokens.len().min(max_positions);
    let mut items = vec![ScoreItem { prompt: vec![begin], continuation: tokens[..first].to_vec() }];
    let overlap = (max_positions / 2).max(1);
    let mut done = first;
    while done < tokens.len() {
        let next = (done + max_positions + 1 - overlap).min(tokens.len());
        let prompt = tokens[done.saturating_sub(overlap)..done].to_vec();
        items.push(ScoreItem { prompt, continuation: tokens[done..next].to_vec() });
        done = next;
    }
    items
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train(["the cat and the dog".to_owned(), "ein Hund".to_owned()].into_iter(), 265).unwrap()
    }

    fn documents(texts: &[&str]) -> Vec<cognate_corpus::Result<Document>> {
        let document = |(i, text): (usize, &&str)| {
            Ok(Document { id: format!("d{i}"), text: (*text).into(), metadata: Map::new() })
        };
        texts.iter().enumerate().map(document).collect()
    }

    fn run(texts: &[&str], max_positions: usize, scorer: Scorer<'_>) -> Result<Perplexity> {
        Ok(losses(texts, max_positions, scorer)?.0)
    }

    fn losses(texts: &[&str], max_positions: usize, scorer: Scorer<'_>) -> Result<(Perplexity, Vec<DocumentLoss>)> {
        let tokenizer = tokenizer();
        let options = PerplexityOptions::of(&tokenizer, 64);
        measure(scorer, &tokenizer, documents(texts).into_iter(), options, max_positions)
    }

    /// Two nats for every token.
    fn two_each(items: &[ScoreItem]) -> Result<Vec<f64>> {
        Ok(items.iter().map(|item| 2.0 * item.continuation.len() as f64).collect())
    }

    #[test]
    fn figures_by_hand() {
        let tokenizer = tokenizer();
        let texts = ["the cat", "", "ein dog é"];
        let tokens: usize = texts.iter().map(|text| tokenizer.encode(text).unwrap().len() + 1).sum();
        let found = run(&texts, 100, &mut two_each).unwrap();
        assert_eq!((found.documents, found.tokens, found.bytes, found.windowed), (3, tokens as u64, 17, 0));
        assert_eq!((found.nats_per_token, found.stderr), (2.0, Some(0.0)));
        assert_eq!(found.perplexity, 2.0f64.exp());
        assert!((found.bits_per_byte - 2.0 * tokens as f64 / 2.0f64.ln() / 17.0).abs() < 1e-12);
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
            Ok(items.iter().map(|item| item.continuation.iter().map(|&t| 1.0 + f64::from(t % 7)).sum()).collect())
        };
        let whole = run(&[&long, "dog"], 10_000, &mut by_token).unwrap();
        for max_positions in [1, 2, 3, 16, 33] {
            let cut = run(&[&long, "dog"], max_positions, &mut by_token).unwrap();
            assert!(cut.windowed >= 1);
            assert_eq!(Perplexity { windowed: 0, ..cut }, whole, "{max_positions}");
        }
    }

    #[test]
    fn every_document_has_its_own_loss_and_they_add_up() {
        let mut by_token = |items: &[ScoreItem]| {
            Ok(items.iter().map(|item| item.continuation.iter().map(|&t| 1.0 + f64::from(t % 7)).sum()).collect())
        };
        let long = "the cat and the dog ".repeat(5);
        let texts = ["dog", "", &long];
        let (found, each) = losses(&texts, 16, &mut by_token).unwrap();
        assert_eq!(each.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["d0", "d1", "d2"]);
        for (one, text) in each.iter().zip(texts) {
            let mut tokens = tokenizer().encode(text).unwrap();
            tokens.push(tokenizer().end_of_document());
            assert_eq!(one.tokens, tokens.len() as u64);
            assert_eq!(one.nats, tokens.iter().map(|&t| 1.0 + f64::from(t % 7)).sum::<f64>());
        }
        let (tokens, nats) = each.iter().fold((0, 0.0), |sum, one| (sum.0 + one.tokens, sum.1 + one.nats));
        assert_eq!((found.tokens, found.nats_per_token), (tokens, nats / tokens as f64));
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
        let mut scorer =
            |items: &[ScoreItem]| Ok((0..items.len()).map(|i| if i == 1 { f64::NAN } else { 1.0 }).collect());
        let error = run(&["a", "b", "c"], 10, &mut scorer).unwrap_err();
        assert_eq!(
            error.to_string(),
            "document d1: the model's loss is NaN; its weights are damaged or its training diverged"
        );
    }

    #[test]
    fn an_unreadable_document_stops_the_evaluation() {
        let bad = cognate_corpus::Reader::open(&["/nowhere/at-all.jsonl".into()], &Default::default()).unwrap_err();
        let records = documents(&["a"]).into_iter().chain([Err(bad)]);
        let tokenizer = tokenizer();
        let options = PerplexityOptions::of(&tokenizer, 64);
        let error = measure(&mut two_each, &tokenizer, records, options, 10).unwrap_err();
        assert!(matches!(error, Error::Corpus(_)), "{error}");
    }

    proptest! {
        #[test]
        fn windows_score_every_token_once_with_half_a_window_of_context(length in 1usize..200, max_positions in 1usize..40) {
            let tokens: Vec<u32> = (1..=length as u32).collect();
            let items = windows(&tokens, 0, max_positions);
            let joined: Vec<u32> = items.iter().flat_map(|item| item.continuation.clone()).collect();
            prop_assert_eq!(&joined, &tokens);
            prop_assert_eq!(&items[0].prompt, &[0]);
            for item in &items {
                prop_assert!(!item.continuation.is_empty());
                prop_assert!(item.prompt.len() + item.continuation.len() - 1 <= max_positions);
            }
            for item in &items[1..] {
                // The context is what stands before, and at least half a window.
                prop_assert_eq!(item.prompt.last().unwrap() + 1, item.continuation[0]);
                prop_assert!(item.prompt.windows(2).all(|w| w[0] + 1 == w[1]));
                prop_assert_eq!(item.prompt.len(), (max_positions / 2).max(1));
            }
            prop_assert_eq!(items.len() == 1, length <= max_positions);
        }
    }
}
