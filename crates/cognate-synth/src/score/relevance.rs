//! Pointwise mutual information of a pair under the synthesizer, per token of what is predicted:
//!
//! forward = (log p(d2 | d1) − log p(d2)) / tokens of d2, backward = (log p(d1 | d2) − log p(d1)) / tokens of d1.
//!
//! The contexts are those of tuning and generation: `[end] d1 [related]`, and `[end]` alone. Scored are the document's tokens and its
//! closing end-of-document token, the same ones in both contexts. Pairs were learned in both directions, so the backward score
//! closes the circle: does the seed follow from what was written? In nats; 0 is no relation.

use std::collections::HashMap;

use cognate_base::{Monitor, Quiet};
use cognate_corpus::Tokenizer;
use cognate_model::{Decoder, ScoreItem, score};
use cognate_ops::Device;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rows;

/// How pairs are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelevanceOptions {
    /// Stands before a document.
    pub begin_of_document: u32,
    /// Stands after a document.
    pub end_of_document: u32,
    /// Stands between the two documents.
    pub related: u32,
    /// A longer document is cut where it stands before the other, as in generation ([`Tokenizer::cut`]).
    pub max_seed_tokens: usize,
    /// Tokens per batch. Changes the speed, never the result.
    pub batch_tokens: usize,
}

impl RelevanceOptions {
    /// With the tokenizer's special tokens.
    ///
    /// # Errors
    /// When the tokenizer has no token that stands between related documents: the checkpoint was never tuned on pairs.
    pub fn of(tokenizer: &Tokenizer, max_seed_tokens: usize, batch_tokens: usize) -> Result<Self> {
        let (begin_of_document, end_of_document) = (tokenizer.begin_of_document(), tokenizer.end_of_document());
        let related = tokenizer.related()?;
        Ok(Self { begin_of_document, end_of_document, related, max_seed_tokens, batch_tokens })
    }
}

/// A pair of token sequences, with or without closing end-of-document tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// What the pair is called in an error.
    pub name: String,
    /// d1.
    pub seed: Vec<u32>,
    /// d2.
    pub document: Vec<u32>,
}

/// A pair of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPair<'a> {
    /// What the pair is called in an error: the synthetic document's id.
    pub name: &'a str,
    /// d1.
    pub seed: &'a str,
    /// d2.
    pub document: &'a str,
}

/// The scores of one pair, in nats per token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relevance {
    /// (log p(d2 | d1) − log p(d2)) / tokens of d2.
    pub forward: f64,
    /// (log p(d1 | d2) − log p(d1)) / tokens of d1.
    pub backward: f64,
    /// Whether d1 or d2 lost its end, as a context or to fit behind one.
    pub cut: bool,
    /// Tokens that the model reads to answer, at most: equal questions are asked once.
    pub tokens: u64,
}

/// Scores pairs of tokens.
///
/// # Errors
/// When the context is too short for a prompt, a score is not a number, a token has no row in the model's embedding, or the
/// monitor interrupts.
pub fn relevance<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    pairs: &[TokenPair],
    options: RelevanceOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Relevance>> {
    let (rows, max_positions) = (model.config().vocab, model.config().max_positions);
    rows::check_frame(rows, tokenizer)?;
    for TokenPair { name, seed, document } in pairs {
        for tokens in [seed, document] {
            rows::check(tokens, rows, tokenizer, || name.clone())?;
        }
    }
    let quiet = Quiet(monitor);
    let mut nats = |items: &[ScoreItem]| Ok(score(model, items, options.batch_tokens, &quiet)?);
    let most = options.max_seed_tokens;
    let kept = |document: &[u32]| tokenizer.cut(document, most).map_or(document.len(), |cut| cut.tokens);
    measure(&mut nats, &kept, pairs, options, max_positions, monitor)
}

/// Scores pairs of texts, encoded as training encodes them; none where a text cannot be encoded, or has a token without a row in the
/// model's embedding.
///
/// # Errors
/// As [`relevance`].
pub fn relevance_of_texts<D: Device>(
    model: &mut Decoder<D>,
    tokenizer: &Tokenizer,
    pairs: &[TextPair<'_>],
    options: RelevanceOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Option<Relevance>>> {
    let rows = model.config().vocab;
    let encode = |text: &str| {
        let tokens = tokenizer.encode(text).ok()?;
        tokens.iter().all(|&token| (token as usize) < rows).then_some(tokens)
    };
    let encoded = |pair: &TextPair<'_>| {
        monitor.check()?;
        let tokens = encode(pair.seed).zip(encode(pair.document));
        Ok(tokens.map(|(seed, document)| TokenPair { name: pair.name.to_owned(), seed, document }))
    };
    let encoded: Vec<Option<TokenPair>> = pairs.par_iter().map(encoded).collect::<Result<_>>()?;
    let known: Vec<TokenPair> = encoded.iter().flatten().cloned().collect();
    let mut scores = relevance(model, tokenizer, &known, options, monitor)?.into_iter();
    Ok(encoded.iter().map(|pair| pair.as_ref().and_then(|_| scores.next())).collect())
}

/// −log p of items, in nats: the model, or a test's stand-in.
pub(super) type Nats<'a> = &'a mut dyn FnMut(&[ScoreItem]) -> Result<Vec<f64>>;

/// How many tokens of a document are kept where it stands before another.
pub(super) type Kept<'a> = &'a dyn Fn(&[u32]) -> usize;

/// Items to score, each different one once: a seed's own probability is asked for again and again.
#[derive(Default)]
struct Questions {
    items: Vec<ScoreItem>,
    known: HashMap<(Vec<u32>, Vec<u32>), usize>,
}

impl Questions {
    fn ask(&mut self, prompt: Vec<u32>, continuation: &[u32]) -> usize {
        let next = self.items.len();
        let at = *self.known.entry((prompt.clone(), continuation.to_vec())).or_insert(next);
        if at == next {
            self.items.push(ScoreItem { prompt, continuation: continuation.to_vec() });
        }
        at
    }
}

/// The questions about one direction of a pair.
struct Direction {
    after: usize,
    alone: usize,
    tokens: f64,
}

pub(super) fn measure(
    nats: Nats<'_>,
    kept: Kept<'_>,
    pairs: &[TokenPair],
    options: RelevanceOptions,
    max_positions: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Relevance>> {
    let mut questions = Questions::default();
    let mut asked = Vec::with_capacity(pairs.len());
    for pair in pairs {
        monitor.check()?;
        let open =
            |tokens: &[u32]| -> Vec<u32> { tokens.strip_suffix(&[options.end_of_document]).unwrap_or(tokens).to_vec() };
        let (d1, d2) = (open(&pair.seed), open(&pair.document));
        let (mut cut, mut read) = (false, 0);
        let mut direction = |first: &[u32], second: &[u32]| -> Result<Direction> {
            let kept = kept(first);
            let prompt = [&[options.begin_of_document], &first[..kept], &[options.related]].concat();
            let room = (max_positions + 1).saturating_sub(prompt.len());
            if room < 2 {
                return Err(Error::Context {
                    max_positions,
                    max_seed_tokens: kept,
                    special: 2,
                    max_new_tokens: 1,
                    excess: prompt.len() + 1 - max_positions,
                });
            }
            let mut target = [second, &[options.end_of_document]].concat();
            cut |= kept < first.len() || target.len() > room;
            target.truncate(room);
            let tokens = target.len() as f64;
            read += (prompt.len() + 2 * target.len()) as u64;
            let alone = questions.ask(vec![options.begin_of_document], &target);
            Ok(Direction { after: questions.ask(prompt, &target), alone, tokens })
        };
        let (forward, backward) = (direction(&d1, &d2)?, direction(&d2, &d1)?);
        asked.push((forward, backward, cut, read));
    }
    let answers = nats(&questions.items)?;
    let answer = |pair: &TokenPair, at: Direction| {
        let gain = (answers[at.alone] - answers[at.after]) / at.tokens;
        if gain.is_finite() { Ok(gain) } else { Err(Error::Relevance { pair: pair.name.clone(), value: gain }) }
    };
    pairs
        .iter()
        .zip(asked)
        .map(|(pair, (forward, backward, cut, tokens))| {
            Ok(Relevance { forward: answer(pair, forward)?, backward: answer(pair, backward)?, cut, tokens })
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use cognate_base::Silent;

    use super::*;

    pub(in crate::score) const OPTIONS: RelevanceOptions =
        RelevanceOptions { begin_of_document: 0, end_of_document: 0, related: 1, max_seed_tokens: 6, batch_tokens: 64 };

    pub(in crate::score) fn first_six(document: &[u32]) -> usize {
        document.len().min(OPTIONS.max_seed_tokens)
    }

    pub(in crate::score) fn pair(seed: &[u32], document: &[u32]) -> TokenPair {
        TokenPair { name: "p".into(), seed: seed.to_vec(), document: document.to_vec() }
    }

    /// One nat for a token that stands in the context, three for another.
    pub(in crate::score) fn by_context(items: &[ScoreItem]) -> Result<Vec<f64>> {
        let token = |item: &ScoreItem, t: u32| if item.prompt.contains(&t) { 1.0 } else { 3.0 };
        Ok(items.iter().map(|item| item.continuation.iter().map(|&t| token(item, t)).sum()).collect())
    }

    #[test]
    fn what_the_other_document_saves_by_hand() {
        // d2 has two of its three tokens from d1: alone 3·3 + 1, after d1 1 + 1 + 3 + 1, so 4 saved over 4 tokens.
        // d1 has two of its five tokens in d2: 4 saved over 6 tokens.
        let found =
            measure(&mut by_context, &first_six, &[pair(&[10, 11, 12, 13, 14], &[10, 11, 20])], OPTIONS, 100, &Silent)
                .unwrap();
        assert_eq!(found, [Relevance { forward: 1.0, backward: 4.0 / 6.0, cut: false, tokens: 7 + 8 + 5 + 12 }]);
        // Closing tokens may be there already.
        let closed = measure(
            &mut by_context,
            &first_six,
            &[pair(&[10, 11, 12, 13, 14, 0], &[10, 11, 20, 0])],
            OPTIONS,
            100,
            &Silent,
        );
        assert_eq!(closed.unwrap(), found);
        let strangers = measure(&mut by_context, &first_six, &[pair(&[10], &[20])], OPTIONS, 100, &Silent).unwrap();
        assert_eq!((strangers[0].forward, strangers[0].backward), (0.0, 0.0));
    }

    #[test]
    fn equal_questions_are_asked_once() {
        let mut asked = 0;
        let mut nats = |items: &[ScoreItem]| {
            asked = items.len();
            by_context(items)
        };
        let pairs = [pair(&[10, 11], &[20]), pair(&[10, 11], &[21]), pair(&[10, 11], &[20])];
        let found = measure(&mut nats, &first_six, &pairs, OPTIONS, 100, &Silent).unwrap();
        // Alone: d1, 20, 21; together: two in each direction.
        assert_eq!((asked, found[0]), (7, found[2]));
    }

    #[test]
    fn long_documents_are_cut_and_it_is_told() {
        let long: Vec<u32> = (10..20).collect();
        let mut nats = |items: &[ScoreItem]| {
            assert!(items.iter().all(|item| item.prompt.len() + item.continuation.len() - 1 <= 12));
            by_context(items)
        };
        let found = measure(&mut nats, &first_six, &[pair(&long, &[10, 11]), pair(&[30], &[31])], OPTIONS, 12, &Silent)
            .unwrap();
        // d1 is cut to 6 tokens as a context; as a target 12 + 1 − 4 = 9 of its 11 tokens fit.
        assert_eq!((found[0].cut, found[1].cut), (true, false));
        assert_eq!((found[0].forward, found[0].backward), (4.0 / 3.0, 4.0 / 9.0));
        let error = measure(&mut by_context, &first_six, &[pair(&long, &[10])], OPTIONS, 8, &Silent).unwrap_err();
        assert!(matches!(error, Error::Context { max_positions: 8, max_seed_tokens: 6, excess: 1, .. }), "{error}");
    }

    #[test]
    fn a_score_that_is_no_number_names_the_pair() {
        let mut nats = |items: &[ScoreItem]| Ok(vec![f64::NAN; items.len()]);
        let error = measure(&mut nats, &first_six, &[pair(&[10], &[11])], OPTIONS, 100, &Silent).unwrap_err();
        assert!(error.to_string().starts_with("p: the synthesizer's score is NaN"), "{error}");
    }
}
