//! Written answers: the likeliest tokens one after the other, until a stop or the cap, and what counts as the same answer.

use std::collections::BTreeMap;

use cognate_base::Monitor;
use cognate_corpus::Tokenizer;
use cognate_model::{Ensemble, EnsembleCache};
use cognate_ops::{Device, Precision};

use super::definition::Definition;
use super::record::Question;
use super::request::{Encoded, Encoder};
use super::scores::Outcome;
use super::template::trim;
use crate::error::{Error, Result};

/// An answer being written.
struct Active {
    question: usize,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
}

/// The prompt of a question whose answer is written, behind what stands before it.
pub(crate) fn encoded_prompt(
    encoder: &Encoder<'_>,
    task: &Definition,
    question: &Question,
    before: &str,
) -> Result<Encoded<Vec<u32>>> {
    let context = format!("{before}{}", question.context(0));
    encoder.prompt(&question.origin, &context, task.max_new_tokens)
}

/// Answers some questions, each with what stands before it.
pub(crate) fn answers<D: Device>(
    model: &mut Ensemble<D>,
    encoder: &Encoder<'_>,
    tokenizer: &Tokenizer,
    task: &Definition,
    questions: &[(&Question, String)],
    batch_tokens: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(questions.len());
    let mut prompts = Vec::with_capacity(questions.len());
    for (question, before) in questions {
        let prompt = encoded_prompt(encoder, task, question, before)?;
        prompts.push(prompt.tokens);
        outcomes.push(Outcome {
            task: task.name.clone(),
            row: question.origin.row,
            group: question.group.clone(),
            gold: None,
            choices: Vec::new(),
            answer: None,
            truncated: prompt.truncated,
            lossy: prompt.lossy,
            metrics: BTreeMap::new(),
        });
    }
    // The longest first, so that memory is claimed once.
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&question| std::cmp::Reverse(prompts[question].len()));
    let mut rest = order.as_slice();
    while let Some(&first) = rest.first() {
        let capacity = prompts[first].len() + task.max_new_tokens;
        let (batch, later) = rest.split_at(rest.len().min((batch_tokens / capacity).max(1)));
        let active = batch.iter().map(|&question| Active {
            question,
            prompt: std::mem::take(&mut prompts[question]),
            tokens: Vec::new(),
        });
        let mut cache = model.cache(batch.len(), capacity, Precision::F32)?;
        for (question, answer) in write(model, &mut cache, tokenizer, task, active.collect(), monitor)? {
            let (asked, outcome) = (questions[question].0, &mut outcomes[question]);
            let same = |same: &dyn Fn(&str) -> String| {
                let right = asked.choices.iter().any(|accepted| same(accepted) == same(&answer));
                f64::from(u8::from(right))
            };
            outcome.metrics.insert("exact_match".to_owned(), same(&plain));
            outcome.metrics.insert("exact_match_normalised".to_owned(), same(&normalised));
            outcome.answer = Some(answer);
        }
        rest = later;
        monitor.advance((order.len() - rest.len()) as u64, "");
    }
    Ok(outcomes)
}

/// Writes the answers of one batch, each in the slot of its place there.
fn write<D: Device>(
    model: &mut Ensemble<D>,
    cache: &mut EnsembleCache<D>,
    tokenizer: &Tokenizer,
    task: &Definition,
    active: Vec<Active>,
    monitor: &dyn Monitor,
) -> Result<Vec<(usize, String)>> {
    let vocab = model.config().vocab;
    // Rows that only fill the embedding up have no token to be written.
    let never = tokenizer.without_token(vocab);
    let mut finished = Vec::with_capacity(active.len());
    let mut active: Vec<(usize, Active)> = active.into_iter().enumerate().collect();
    let mut logits = Vec::new();
    while !active.is_empty() {
        monitor.check()?;
        let work: Vec<(usize, &[u32])> = active
            .iter()
            .map(|(slot, one)| {
                (*slot, if one.tokens.is_empty() { &one.prompt } else { &one.tokens[one.tokens.len() - 1..] })
            })
            .collect();
        model.advance(cache, &work, &mut logits)?;
        let mut still = Vec::with_capacity(active.len());
        for ((slot, mut one), logits) in active.into_iter().zip(logits.chunks_exact(vocab)) {
            let token = likeliest(logits, &never).ok_or_else(|| Error::NotFinite {
                item: format!("{}: question {} of a batch", task.name, one.question + 1),
                nats: f64::NAN,
            })?;
            let ended = token == tokenizer.end_of_document();
            if !ended {
                one.tokens.push(token);
            }
            let text = tokenizer.decode(&one.tokens)?;
            let stop = task.until.iter().filter_map(|until| text.find(until.as_str())).min();
            if ended || stop.is_some() || one.tokens.len() >= task.max_new_tokens {
                finished.push((one.question, trim(&text[..stop.unwrap_or(text.len())]).to_owned()));
            } else {
                still.push((slot, one));
            }
        }
        active = still;
    }
    Ok(finished)
}

/// The first of the likeliest tokens that are not in the sorted list `never`; none when a logit is not a number.
pub(crate) fn likeliest(logits: &[f32], never: &[u32]) -> Option<u32> {
    let (mut best, mut top) = (0, f32::NEG_INFINITY);
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if logit > top && never.binary_search(&(token as u32)).is_err() {
            (best, top) = (token as u32, logit);
        }
    }
    Some(best)
}

/// An answer for the reference's exact match: small letters, without ASCII punctuation.
fn plain(answer: &str) -> String {
    answer.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect()
}

/// An answer as TriviaQA's own evaluation compares it (Joshi et al. 2017, `triviaqa_evaluation.py`): small letters, spaces for
/// punctuation and underscores, without the articles a, an and the, one space between words.
fn normalised(answer: &str) -> String {
    let quotes = ['‘', '’', '´', '`'];
    let spaced: String = answer
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_punctuation() || quotes.contains(&c) { ' ' } else { c })
        .collect();
    let words = spaced.split_whitespace().filter(|word| !["a", "an", "the"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answer_in_two_senses() {
        assert_eq!(plain("The U.S. Navy's"), "the us navys");
        assert_eq!(plain("Onion "), "onion ");
        assert_eq!(normalised("The  U.S._Navy’s an  Anchor"), "u s navy s anchor");
        assert_eq!(normalised("A theatre"), "theatre");
    }

    #[test]
    fn the_first_of_the_likeliest() {
        assert_eq!(likeliest(&[0.5, 2.0, 2.0, -1.0], &[]), Some(1));
        assert_eq!(likeliest(&[0.5, 2.0, 2.0, 3.0], &[1, 3]), Some(2));
        assert_eq!(likeliest(&[0.5, f32::NAN, 2.0], &[]), None);
    }
}
