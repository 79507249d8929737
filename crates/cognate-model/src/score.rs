//! Log-likelihoods of continuations: what evaluation and diagnosis are made of.

use cognate_base::{Monitor, Unit};
use cognate_ops::Device;

use crate::{Batch, Decoder, Result};

/// One question: how likely is `continuation` after `prompt`?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreItem {
    /// What stands before; at least one token (a document starts after the end-of-document token).
    pub prompt: Vec<u32>,
    /// What is scored, all of it.
    pub continuation: Vec<u32>,
}

/// −log p(continuation | prompt), in nats, of each item: the sums of [`score_tokens`].
///
/// # Errors
/// When a token is outside the vocabulary, or the monitor asks to stop.
pub fn score<D: Device>(
    model: &mut Decoder<D>,
    items: &[ScoreItem],
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<f64>> {
    let tokens = score_tokens(model, items, batch_tokens, monitor)?;
    Ok(tokens.iter().map(|losses| losses.iter().map(|&loss| f64::from(loss)).sum()).collect())
}

/// −log p, in nats, of each token of each item's continuation. Items are packed into batches of about `batch_tokens` tokens, the
/// longest first so that memory is claimed once; each is scored alone, whatever stands beside it.
///
/// # Errors
/// When a token is outside the vocabulary, or the monitor asks to stop.
pub fn score_tokens<D: Device>(
    model: &mut Decoder<D>,
    items: &[ScoreItem],
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Vec<f32>>> {
    let total = items.iter().map(|item| (item.prompt.len() + item.continuation.len()) as u64).sum();
    monitor.begin("score", Some(total), Unit::Tokens);
    let scored = score_batches(model, items, batch_tokens, monitor);
    monitor.end();
    scored
}

/// The work of [`score_tokens`], between begin and end of its progress.
fn score_batches<D: Device>(
    model: &mut Decoder<D>,
    items: &[ScoreItem],
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Vec<f32>>> {
    let length = |item: &ScoreItem| item.prompt.len() + item.continuation.len();
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(length(&items[i])));
    let mut scored = vec![Vec::new(); items.len()];
    let mut batch = Batch::new();
    let mut members = Vec::new();
    let mut done = 0;
    for (at, &i) in order.iter().enumerate() {
        batch.push_conditional(&items[i].prompt, &items[i].continuation);
        members.push(i);
        let next = order.get(at + 1).map_or(0, |&next| length(&items[next]));
        if at + 1 < order.len() && batch.len() + next <= batch_tokens {
            continue;
        }
        monitor.check()?;
        let losses = model.losses(&batch)?;
        let mut losses = losses.iter();
        for &i in &members {
            scored[i] = losses.by_ref().take(items[i].continuation.len()).copied().collect();
            done += length(&items[i]) as u64;
        }
        monitor.advance(done, "");
        batch.clear();
        members.clear();
    }
    Ok(scored)
}
