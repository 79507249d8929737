//! How likely continuations are, and whether they are the likeliest text; the tokens that the continuations of one question have
//! in common (its prompt, at least) are read once.
//!
//! Each question gets a slot of a key/value cache. The common tokens are fed first; then one continuation after the other is
//! fed and forgotten again. Questions go through in batches of similar length, the longest first, so that memory is claimed
//! once; what is computed for one does not depend on the others.

use cognate_base::{Monitor, Unit};
use cognate_model::{Ensemble, EnsembleCache, Feed, ScoreItem};
use cognate_ops::{Device, Precision};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// How likely a continuation is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// Σ ln p over its tokens, in nats; at most 0.
    pub log_likelihood: f64,
    /// Whether each of its tokens is the likeliest one (the first of these, where several are).
    pub greedy: bool,
}

/// A continuation's token that a row of logits is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    question: usize,
    item: usize,
    token: u32,
}

/// ln p(continuation | prompt) of every item of every question.
///
/// # Errors
/// When a token is outside the vocabulary, or the monitor interrupts.
///
/// # Panics
/// When a prompt or a continuation is empty.
pub fn likelihoods<D: Device>(
    model: &mut Ensemble<D>,
    questions: &[Vec<ScoreItem>],
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Vec<Likelihood>>> {
    let start = Likelihood { log_likelihood: 0.0, greedy: true };
    let mut found: Vec<Vec<Likelihood>> = questions.iter().map(|items| vec![start; items.len()]).collect();
    let longest = |question: usize| questions[question].iter().map(inputs_len).max().unwrap_or(0);
    let mut order: Vec<usize> = (0..questions.len()).filter(|&question| longest(question) > 0).collect();
    order.sort_by_key(|&question| std::cmp::Reverse(longest(question)));
    monitor.begin("score", Some(questions.len() as u64), Unit::Documents);
    let mut cache: Option<EnsembleCache<D>> = None;
    let mut rest = order.as_slice();
    let mut outcome = Ok(());
    while let (Some(&first), Ok(())) = (rest.first(), &outcome) {
        let capacity = longest(first);
        let (batch, later) = rest.split_at(rest.len().min((batch_tokens / capacity).max(1)));
        // The old one's memory is free before a larger one takes its own.
        let made = match cache.take().filter(|cache| cache.slots() >= batch.len()) {
            Some(cache) => Ok(cache),
            None => model.cache(batch.len(), capacity, Precision::F32),
        };
        outcome = made
            .map_err(Error::from)
            .and_then(|made| score_batch(model, cache.insert(made), questions, batch, &mut found, monitor));
        rest = later;
        monitor.advance((order.len() - rest.len()) as u64, "");
    }
    monitor.end();
    outcome.map(|()| found)
}

/// Tokens that are read: the last one of a continuation is only predicted.
fn inputs_len(item: &ScoreItem) -> usize {
    item.prompt.len() + item.continuation.len() - 1
}

/// The tokens that are read.
fn inputs(item: &ScoreItem) -> impl Iterator<Item = u32> + Clone {
    item.prompt.iter().chain(&item.continuation).copied().take(inputs_len(item))
}

/// Tokens that all items of a question begin with.
fn common_len(items: &[ScoreItem]) -> usize {
    let Some((first, others)) = items.split_first() else { return 0 };
    let common = |other: &ScoreItem| inputs(first).zip(inputs(other)).take_while(|(a, b)| a == b).count();
    others.iter().map(common).min().unwrap_or_else(|| inputs_len(first))
}

/// What the rows `rows` of a question's common part, or of one item after it, are asked for.
fn wanted(question: usize, item: usize, of: &ScoreItem, row: usize) -> Option<Wanted> {
    let at = (row + 1).checked_sub(of.prompt.len())?;
    of.continuation.get(at).map(|&token| Wanted { question, item, token })
}

/// Scores the questions `batch`, each in the slot of its place there.
fn score_batch<D: Device>(
    model: &mut Ensemble<D>,
    cache: &mut EnsembleCache<D>,
    questions: &[Vec<ScoreItem>],
    batch: &[usize],
    found: &mut [Vec<Likelihood>],
    monitor: &dyn Monitor,
) -> Result<()> {
    let common: Vec<usize> = batch.iter().map(|&question| common_len(&questions[question])).collect();
    let most = batch.iter().map(|&question| questions[question].len()).max().unwrap_or(0);
    // Round 0 feeds what a question's items have in common, round i + 1 the rest of item i.
    for round in 0..=most {
        monitor.check()?;
        let mut fed: Vec<(usize, Vec<u32>, usize)> = Vec::new();
        let mut rows: Vec<Vec<Wanted>> = Vec::new();
        for (slot, (&question, &common)) in batch.iter().zip(&common).enumerate() {
            let items = &questions[question];
            let (range, members) = match round {
                0 => {
                    cache.reset(slot);
                    (0..common, 0..items.len())
                }
                _ if round > items.len() => continue,
                _ => {
                    cache.truncate(slot, common);
                    (common..inputs_len(&items[round - 1]), round - 1..round)
                }
            };
            if range.is_empty() {
                continue;
            }
            let first_scored = members.clone().map(|item| items[item].prompt.len() - 1).min().unwrap_or(range.end);
            let from = first_scored.clamp(range.start, range.end);
            for row in from..range.end {
                let wanted = |item: usize| wanted(question, item, &items[item], row);
                rows.push(members.clone().filter_map(wanted).collect());
            }
            let tokens = inputs(&items[members.start]).skip(range.start).take(range.len()).collect();
            fed.push((slot, tokens, from - range.start));
        }
        let work: Vec<Feed<'_>> =
            fed.iter().map(|(slot, tokens, from)| Feed { slot: *slot, tokens, from: *from }).collect();
        let vocab = model.config().vocab;
        model.advance_rows(cache, &work, &mut |first, logits| {
            let chunk = &rows[first..first + logits.len() / vocab];
            let scored: Vec<Vec<Likelihood>> =
                logits.par_chunks_exact(vocab).zip(chunk).map(|(logits, wanted)| in_row(logits, wanted)).collect();
            for (wanted, scored) in chunk.iter().flatten().zip(scored.iter().flatten()) {
                let total = &mut found[wanted.question][wanted.item];
                total.log_likelihood += scored.log_likelihood;
                total.greedy &= scored.greedy;
            }
        })?;
    }
    Ok(())
}

/// ln p of the tokens that one row of logits is asked for: z_t − ln Σ exp z. Exponentials in f32, whose rounding of 6e-8 is that
/// of the logits; their sum in f64.
fn in_row(logits: &[f32], wanted: &[Wanted]) -> Vec<Likelihood> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let (mut best, mut top) = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > top {
            (best, top) = (token as u32, logit);
        }
    }
    let total: f64 = logits.iter().map(|&logit| f64::from((logit - top).exp())).sum();
    let one = |wanted: &Wanted| Likelihood {
        log_likelihood: f64::from(logits[wanted.token as usize]) - f64::from(top) - total.ln(),
        greedy: wanted.token == best,
    };
    wanted.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_tokens_that_are_as_likely_the_first_is_the_likeliest() {
        let wanted = |token| Wanted { question: 0, item: 0, token };
        let found = in_row(&[1.0, 3.0, 2.0, 3.0], &[1, 3, 2].map(wanted));
        assert_eq!(found.iter().map(|one| one.greedy).collect::<Vec<_>>(), [true, false, false]);
        let total = 1f64.exp() + 2.0 * 3f64.exp() + 2f64.exp();
        for (found, logit) in found.iter().zip([3.0, 3.0, 2.0]) {
            assert!((found.log_likelihood - (logit - total.ln())).abs() < 1e-6, "{found:?}");
        }
    }
}
