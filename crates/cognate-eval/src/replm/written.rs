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
    /// Where each token stands in it, in bytes, and its ln p. Of a letter that several tokens make, each has the whole letter.
    pub(super) tokens: Vec<(Range<usize>, f64)>,
    /// Whether it came to its end, and was not cut off at the most tokens.
    pub(super) ended: bool,
}

/// What stands for bytes that are no letter yet.
const PENDING: char = '\u{fffd}';

/// Where examples end: behind it no triple of the document comes.
const STOP: &str = "\n\n";

/// A text being written.
struct Active {
    prompt: usize,
    ids: Vec<u32>,
    written: Written,
}

/// Writes behind each prompt, always the likeliest token, until the end of the document, an empty line, or `most` tokens. `origin` names a
/// prompt.
pub(super) fn write<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    prompts: Vec<Vec<u32>>,
    (most, batch_tokens): (usize, usize),
    origin: &dyn Fn(usize) -> String,
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
        let active = batch.iter().map(start).collect();
        for done in write_batch(model, &mut cache, tokenizer, (&prompts, active), most, origin, monitor)? {
            answers[done.prompt] = done.written;
        }
        rest = later;
        monitor.advance((order.len() - rest.len()) as u64, "");
    }
    Ok(answers)
}

fn write_batch<D: Device>(
    model: &mut Ensemble<D>,
    cache: &mut EnsembleCache<D>,
    tokenizer: &Tokenizer,
    (prompts, active): (&[Vec<u32>], Vec<Active>),
    most: usize,
    origin: &dyn Fn(usize) -> String,
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
            let found = likeliest(logits, &never).map(|token| (token, log_probability(logits, token)));
            let Some((token, log)) = found.filter(|(_, log)| log.is_finite()) else {
                return Err(Error::NotFinite { item: origin(one.prompt), nats: f64::NAN });
            };
            if token == tokenizer.end_of_document() {
                one.written.ended = true;
                finished.push(one);
                continue;
            }
            one.ids.push(token);
            one.written.add(behind(tokenizer, prompts[one.prompt].last(), &one.ids)?, log);
            one.written.ended = one.written.text.contains(STOP);
            if one.written.ended || one.ids.len() >= most {
                finished.push(one);
            } else {
                still.push((slot, one));
            }
        }
        active = still;
    }
    Ok(finished)
}

/// The text of tokens behind a prompt. Alone, some tokenizers would take away the space that they begin with.
fn behind(tokenizer: &Tokenizer, last: Option<&u32>, ids: &[u32]) -> Result<String> {
    let before: Vec<u32> = last.copied().into_iter().collect();
    let (prompt, whole) = (tokenizer.decode(&before)?, tokenizer.decode(&[&before[..], ids].concat())?);
    match whole.strip_prefix(&prompt) {
        Some(text) => Ok(text.to_owned()),
        None => Ok(tokenizer.decode(ids)?),
    }
}

/// ln p of a token by its row of logits.
fn log_probability(logits: &[f32], token: u32) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    f64::from(logits[token as usize] - top) - sum.ln()
}

/// The triples of a text that goes on behind `Relation: (NAME`: one a line, until a line is none. The last one counts if its bracket closes and the line
/// ends there, or the text does that was not cut off.
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
        let ends_text = || rest.strip_suffix(')').filter(|_| written.ended).map(str::len);
        let Some(end) = ends_line.or_else(ends_text) else { break };
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
    /// Takes the text as it is with one more token, whose ln p is `log`.
    pub(super) fn add(&mut self, text: String, log: f64) {
        // What was no letter before may be one now: then it is of all the tokens since.
        let settled = self.text.trim_end_matches(PENDING).len();
        let settled = if text.is_char_boundary(settled) { settled } else { 0 };
        let pending = self.tokens.iter_mut().rev().take_while(|(range, _)| range.end > settled);
        pending.for_each(|(range, _)| *range = range.start..text.len());
        let start = self.text.len().min(text.len());
        let start = if self.text.len() > settled { settled } else { start };
        self.tokens.push((start..text.len(), log));
        self.text = text;
    }

    /// The geometric mean of the probabilities of the tokens that a stretch of the text is of.
    fn probability(&self, stretch: Range<usize>) -> f64 {
        let of = self.tokens.iter().filter(|(range, _)| range.start < stretch.end && range.end > stretch.start);
        let (count, sum) = of.fold((0, 0.0), |(count, sum), (_, log)| (count + 1, sum + log));
        if count == 0 { 0.0 } else { (sum / f64::from(count)).exp() }
    }
}
