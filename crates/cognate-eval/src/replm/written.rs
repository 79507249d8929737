//! What the model writes behind a prompt, with the probability of each token, and the triples in it.

use std::ops::Range;

use cognate_base::Monitor;
use cognate_corpus::Tokenizer;
use cognate_model::{Ensemble, EnsembleCache};
use cognate_ops::{Device, Precision};

use super::prompts::{RELATION, SEPARATOR};
use super::together::Triple;
use crate::error::{Error, Result};
use crate::tasks::answer::likeliest;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Written {
    /// The text.
    pub(super) text: String,
    /// Where each token stands in it, in bytes, and its ln p.
    pub(super) tokens: Vec<(Range<usize>, f64)>,
}

/// Where examples end: behind it no triple of the document comes.
const STOP: &str = "\n\n";

/// A text being written.
struct Active {
    prompt: usize,
    ids: Vec<u32>,
    written: Written,
}

/// Writes behind each prompt, always the likeliest token, until the end of the document, an empty line, or `most` tokens.
pub(super) fn write<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    prompts: Vec<Vec<u32>>,
    most: usize,
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Written>> {
    let mut answers = vec![Written::default(); prompts.len()];
    // The longest first, so that memory is claimed once.
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&prompt| std::cmp::Reverse(prompts[prompt].len()));
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let capacity = prompts[first].len() + most;
        let (batch, later) = rest.split_at(rest.len().min((batch_tokens / capacity).max(1)));
        let mut cache = model.cache(batch.len(), capacity, Precision::F32)?;
        let start = |&prompt: &usize| Active { prompt, ids: Vec::new(), written: Written::default() };
        for done in
            write_batch(model, &mut cache, tokenizer, &prompts, batch.iter().map(start).collect(), most, monitor)?
        {
            answers[done.prompt] = done.written;
        }
        rest = later;
    }
    Ok(answers)
}

fn write_batch<D: Device>(
    model: &mut Ensemble<D>,
    cache: &mut EnsembleCache<D>,
    tokenizer: &Tokenizer,
    prompts: &[Vec<u32>],
    active: Vec<Active>,
    most: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Active>> {
    let vocab = model.config().vocab;
    let never = tokenizer.without_token(vocab);
    let mut active: Vec<(usize, Active)> = active.into_iter().enumerate().collect();
    let (mut finished, mut logits) = (Vec::with_capacity(active.len()), Vec::new());
    while !active.is_empty() {
        monitor.check()?;
        let work: Vec<(usize, &[u32])> = active
            .iter()
            .map(|(slot, one)| match one.ids.last() {
                None => (*slot, &prompts[one.prompt][..]),
                Some(_) => (*slot, &one.ids[one.ids.len() - 1..]),
            })
            .collect();
        model.advance(cache, &work, &mut logits)?;
        let mut still = Vec::with_capacity(active.len());
        for ((slot, mut one), logits) in active.into_iter().zip(logits.chunks_exact(vocab)) {
            let token = likeliest(logits, &never).ok_or_else(|| Error::NotFinite {
                item: format!("{}: prompt {} of a relation", super::REPLM, one.prompt + 1),
                nats: f64::NAN,
            })?;
            if token == tokenizer.end_of_document() {
                finished.push(one);
                continue;
            }
            one.ids.push(token);
            // Of letters in several tokens, the last token brings the letter.
            let (text, start) = (tokenizer.decode(&one.ids)?, one.written.text.len());
            let start = start.min(text.len());
            one.written.tokens.push((start..text.len(), log_probability(logits, token)));
            one.written.text = text;
            if one.ids.len() >= most || one.written.text.contains(STOP) {
                finished.push(one);
            } else {
                still.push((slot, one));
            }
        }
        active = still;
    }
    Ok(finished)
}

/// ln p of a token by its row of logits.
fn log_probability(logits: &[f32], token: u32) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    f64::from(logits[token as usize] - top) - sum.ln()
}

/// The triples of a text that goes on behind `Relation: (NAME`: one a line, until a line is none. The last one counts if its bracket closes and the line
/// or the text ends there.
pub(super) fn triples(written: &Written, name: &str) -> Vec<Triple> {
    let text = written.text.as_str();
    let (mut found, mut at) = (Vec::new(), 0);
    let begins = |at: usize, what: &str| text.get(at..).is_some_and(|rest| rest.starts_with(what));
    let next_line = format!("{RELATION}{name}");
    while begins(at, SEPARATOR) {
        let subject = at + SEPARATOR.len();
        let Some(length) = text[subject..].find(SEPARATOR) else { break };
        let object = subject + length + SEPARATOR.len();
        let rest = &text[object..];
        let ends_line = rest.find(")\n");
        let Some(end) = ends_line.or_else(|| rest.strip_suffix(')').map(str::len)) else { break };
        let (subject, object_range) = (subject..subject + length, object..object + end);
        let (one, other) = (text[subject.clone()].trim(), text[object_range.clone()].trim());
        // A line break inside of a name is no name, but a line that is no triple.
        if one.contains('\n') || other.contains('\n') {
            break;
        }
        if !one.is_empty() && !other.is_empty() {
            let probability = written.probability(subject) * written.probability(object_range.clone());
            found.push(Triple { subject: one.to_owned(), object: other.to_owned(), probability });
        }
        at = object_range.end + 2;
        if !begins(at, &next_line) {
            break;
        }
        at += next_line.len();
    }
    found
}

impl Written {
    /// The geometric mean of the probabilities of the tokens that a stretch of the text is of.
    fn probability(&self, stretch: Range<usize>) -> f64 {
        let of = self.tokens.iter().filter(|(range, _)| range.start < stretch.end && range.end > stretch.start);
        let (count, sum) = of.fold((0, 0.0), |(count, sum), (_, log)| (count + 1, sum + log));
        if count == 0 { 0.0 } else { (sum / f64::from(count)).exp() }
    }
}
