//! Continuous batching: which document sits in which slot, what is fed next, and when to stop. Knows no model and no file.
//!
//! Documents are numbered 0, 1, 2, …; each has its own prompt and its own stream of uniform numbers, so what a document says
//! depends on its number alone, never on the slot, the neighbours or the number of slots. Documents finish out of order and are
//! handed on in order: the outcome is the shortest run of documents from the first on that holds the wanted number of tokens.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cognate_base::Monitor;
use cognate_base::random::{self, ChaCha8Rng, Rng};
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::error::{Error, Result};
use crate::sampling::{BadLogit, Drawn, Sampler, Sampling};

/// Prompt tokens fed in one step (one prompt at least): enough to keep the matrix products busy, and it bounds the memory that a
/// step needs when all slots start at once.
pub(super) const PROMPT_TOKENS_PER_STEP: usize = 2048;

/// Documents whose next tokens are drawn in one task.
const DRAWS_TASK: usize = 8;

/// What feeds tokens to a language model with a cache, and returns logits. The model is one implementation; the tests' toy is
/// another.
pub(crate) trait Engine {
    /// Sequences held at a time.
    fn slots(&self) -> usize;
    /// Logits per slot.
    fn vocab(&self) -> usize;
    /// Empties a slot.
    fn reset(&mut self, slot: usize);
    /// Appends tokens to slots, and hands the logits for the position after each item's last token to `draw`, some items at a time:
    /// the number of the first of them, and their rows by the vocabulary. They are not kept.
    fn advance(&mut self, work: &[(usize, &[u32])], draw: &mut Draw<'_>) -> Result<()>;
}

/// What takes logits, with threads to do it on.
pub(crate) type Draw<'a> = dyn FnMut(&Each<'_>, usize, &[f32]) + 'a;
/// Runs a body for each number below the first, on the threads that the engine may use.
pub(crate) type Each<'a> = dyn Fn(usize, &(dyn Fn(usize) + Sync)) + 'a;

/// The prompt of every document.
pub(crate) trait Prompts {
    /// The tokens that document `number` starts from; not empty.
    fn prompt(&self, number: u64) -> Vec<u32>;
    /// The id of its seed, for errors.
    fn seed_id(&self, number: u64) -> &str;
}

/// Why a document ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finish {
    /// With its end-of-document token.
    Eod,
    /// At the cap on new tokens.
    Cap,
}

/// A finished document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    /// Its number.
    pub(crate) number: u64,
    /// The drawn tokens, the closing end-of-document token included where there is one.
    pub(crate) tokens: Vec<u32>,
    /// The bits of the summed log-probability (nats, f64) of these tokens: a decimal number might come back changed.
    pub(crate) log_probability_bits: u64,
    /// Why it ended.
    pub(crate) finish: Finish,
}

/// What to draw.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) seed: u64,
    pub(crate) sampling: Sampling,
    pub(crate) max_new_tokens: usize,
    pub(crate) end_of_document: u32,
    /// Tokens that may not be drawn.
    pub(crate) never: Vec<u32>,
    /// Logits beyond this many belong to no token (vocabularies padded to a round size).
    pub(crate) vocab: usize,
    /// Which documents, and when it is enough.
    pub(crate) numbers: Numbers,
}

/// Where to begin, and where an interrupted generation stood.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The first document not handed on yet.
    pub(crate) next: u64,
    /// Tokens of the documents before it.
    pub(crate) tokens: u64,
    /// Finished documents from `next` on, waiting for earlier ones.
    pub(crate) held: BTreeMap<u64, Finished>,
}

/// A document being written.
struct Active {
    number: u64,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    log_probability: f64,
    stream: ChaCha8Rng,
}

impl Active {
    fn start(number: u64, prompts: &dyn Prompts, seed: u64) -> Self {
        let stream = random::stream(seed, "generate", number);
        Self { number, prompt: prompts.prompt(number), tokens: Vec::new(), log_probability: 0.0, stream }
    }

    /// The tokens that the model has not seen: the prompt at first, then the token drawn last.
    fn fresh(&self) -> &[u32] {
        if self.tokens.is_empty() { &self.prompt } else { &self.tokens[self.tokens.len() - 1..] }
    }
}

/// Generates until the target is reached, giving documents in order to `sink`.
///
/// # Errors
/// [`Error::Interrupted`] with `progress` standing where it can be continued from; whatever the engine or `sink` returns;
/// [`Error::Logits`].
pub(crate) fn run(
    engine: &mut dyn Engine,
    prompts: &dyn Prompts,
    rules: &Rules,
    progress: &mut Progress,
    sink: &mut dyn FnMut(&Finished) -> Result<()>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut slots: Vec<Option<Active>> = (0..engine.slots()).map(|_| None).collect();
    let mut samplers = vec![Sampler::new(rules.sampling)?];
    let mut unstarted = progress.next;
    loop {
        hand_on(progress, rules, sink)?;
        if rules.numbers.reached(progress.next, progress.tokens) {
            return Ok(());
        }
        monitor.check()?;
        cancel_needless(&mut slots, progress, rules);
        unstarted = refill(engine, &mut slots, prompts, rules, progress, unstarted);
        step(engine, &mut slots, prompts, rules, &mut samplers)?;
        collect(&mut slots, progress, rules);
        let drawn = progress.tokens + tokens_in_work(&slots, progress, u64::MAX);
        monitor.advance(rules.numbers.done(progress.next, drawn), &format!("{} documents", progress.next));
    }
}

/// Gives finished documents to `sink` as long as no earlier one is missing and the target is not reached.
fn hand_on(progress: &mut Progress, rules: &Rules, sink: &mut dyn FnMut(&Finished) -> Result<()>) -> Result<()> {
    while !rules.numbers.reached(progress.next, progress.tokens) {
        let Some(finished) = progress.held.remove(&progress.next) else { break };
        sink(&finished)?;
        progress.tokens += finished.tokens.len() as u64;
        progress.next += rules.numbers.step;
    }
    Ok(())
}

/// Tokens drawn so far for documents from `progress.next` on and before `number`.
fn tokens_in_work(slots: &[Option<Active>], progress: &Progress, number: u64) -> u64 {
    let held: usize = progress.held.range(..number).map(|(_, finished)| finished.tokens.len()).sum();
    let active = slots.iter().flatten().filter(|active| active.number < number);
    (held + active.map(|active| active.tokens.len()).sum::<usize>()) as u64
}

/// Whether documents before `number` reach the target with what is drawn already: then `number` will not be wanted.
fn needless(slots: &[Option<Active>], progress: &Progress, rules: &Rules, number: u64) -> bool {
    rules.numbers.reached(number, progress.tokens + tokens_in_work(slots, progress, number))
}

/// Stops documents that are known to lie beyond the target.
fn cancel_needless(slots: &mut [Option<Active>], progress: &Progress, rules: &Rules) {
    if !rules.numbers.reached(progress.next, progress.tokens + tokens_in_work(slots, progress, u64::MAX)) {
        return;
    }
    for index in 0..slots.len() {
        if slots[index].as_ref().is_some_and(|active| needless(slots, progress, rules, active.number)) {
            slots[index] = None;
        }
    }
}

/// Puts the next documents into empty slots; returns the first document not started.
fn refill(
    engine: &mut dyn Engine,
    slots: &mut [Option<Active>],
    prompts: &dyn Prompts,
    rules: &Rules,
    progress: &Progress,
    mut unstarted: u64,
) -> u64 {
    // After a restart, saved documents are handed on before any is started.
    unstarted = unstarted.max(progress.next);
    let mut fed = 0;
    for index in 0..slots.len() {
        if slots[index].is_some() || fed >= PROMPT_TOKENS_PER_STEP {
            continue;
        }
        while progress.held.contains_key(&unstarted) {
            unstarted += rules.numbers.step;
        }
        if needless(slots, progress, rules, unstarted) {
            break;
        }
        let active = Active::start(unstarted, prompts, rules.seed);
        fed += active.prompt.len();
        engine.reset(index);
        slots[index] = Some(active);
        unstarted += rules.numbers.step;
    }
    unstarted
}

/// Feeds every slot and draws one token for each, as soon as its logits are there.
fn step(
    engine: &mut dyn Engine,
    slots: &mut [Option<Active>],
    prompts: &dyn Prompts,
    rules: &Rules,
    samplers: &mut Vec<Sampler>,
) -> Result<()> {
    let uniforms: Vec<f64> = slots.iter_mut().flatten().map(|active| random::unit(active.stream.next_u64())).collect();
    let active: Vec<&Active> = slots.iter().flatten().collect();
    let work: Vec<(usize, &[u32])> =
        slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?.fresh()))).collect();
    let vocab = engine.vocab();
    let mut drawn: Vec<Option<Result<Drawn, BadLogit>>> = (0..work.len()).map(|_| None).collect();
    engine.advance(&work, &mut |each, first, logits| {
        let logits: Vec<&[f32]> = logits.chunks_exact(vocab).collect();
        let tasks = logits.len().div_ceil(DRAWS_TASK);
        if samplers.len() < tasks {
            samplers.resize(tasks, samplers[0].clone());
        }
        // Each task's lock is taken once, by that task.
        let parts = drawn[first..first + logits.len()].chunks_mut(DRAWS_TASK).zip(samplers.iter_mut());
        let parts: Vec<_> = parts.map(Mutex::new).collect();
        each(tasks, &|task| {
            let mut part = parts[task].lock().unwrap_or_else(PoisonError::into_inner);
            let (drawn, sampler) = &mut *part;
            for (row, drawn) in (task * DRAWS_TASK..).zip(drawn.iter_mut()) {
                let (active, uniform) = (active[first + row], uniforms[first + row]);
                let seen: [&[u32]; 2] = [&active.prompt, &active.tokens];
                *drawn = Some(sampler.draw(&logits[row][..rules.vocab], &rules.never, &seen, uniform));
            }
        });
    })?;
    let mut broken: Option<(u64, usize, BadLogit)> = None;
    for (active, drawn) in slots.iter_mut().flatten().zip(drawn) {
        match drawn.expect("the engine hands on the logits of every item") {
            Ok(Drawn { token, log_probability }) => {
                active.tokens.push(token);
                active.log_probability += log_probability;
            }
            Err(bad) if broken.as_ref().is_none_or(|(first, ..)| active.number < *first) => {
                broken = Some((active.number, active.tokens.len(), bad));
            }
            Err(_) => {}
        }
    }
    match broken {
        None => Ok(()),
        Some((document, position, BadLogit { token, value })) => {
            let seed_id = prompts.seed_id(document).to_owned();
            Err(Error::Logits { document, seed_id, position, token, value })
        }
    }
}

/// Takes finished documents out of their slots.
fn collect(slots: &mut [Option<Active>], progress: &mut Progress, rules: &Rules) {
    for slot in slots {
        let Some(active) = slot else { continue };
        let finish = match active.tokens.last() {
            Some(&token) if token == rules.end_of_document => Finish::Eod,
            _ if active.tokens.len() >= rules.max_new_tokens => Finish::Cap,
            _ => continue,
        };
        let finished = Finished {
            number: active.number,
            tokens: std::mem::take(&mut active.tokens),
            log_probability_bits: active.log_probability.to_bits(),
            finish,
        };
        progress.held.insert(finished.number, finished);
        *slot = None;
    }
}
