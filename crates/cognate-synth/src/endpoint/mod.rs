//! The stage `generate` by a completion server: vLLM, SGLang or llama.cpp serve the synthesizer, and are asked for the documents
//! that the local decoder would write, one request each, over OpenAI's `/v1/completions`.
//!
//! | module | what lives there |
//! |---|---|
//! | `protocol` | requests and answers as bytes |
//! | `client` | one request over HTTP, and how much of an answer is read |
//! | `key` | the server's key, and where it stands in a text |
//! | `lenient` | JSON as some servers write it |
//! | `retry` | how long to wait before another attempt |
//! | `workers` | the threads that ask |
//! | `ask` | a list of questions for another server: the judge's |
//! | `role` | whether a server writes or judges, and the keys that say where it is |
//! | `store` | shards and the journal, resume |
//! | `error` | what a server can do wrong, and what to do then |
//!
//! Seeds, prompts, numbers and files of the documents are the local decoder's; the texts are the server's, since it draws with a
//! generator of its own. What is promised is: every document once, in the order of the numbers, and bytes that depend on the
//! server's answers alone, never on their order, on repeated requests or on interruptions.

pub(crate) mod ask;
mod client;
pub(crate) mod error;
pub(crate) mod key;
mod lenient;
pub(crate) mod protocol;
mod retry;
mod role;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod workers;

use std::path::Path;
use std::time::Duration;

use cognate_base::Monitor;
use cognate_corpus::{Document, Tokenizer};
use cognate_model::Config;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::generate::files::document_id;
use crate::generate::seeds::{SPECIAL_TOKENS, Seeds};
use crate::generate::{GenerateConfig, GenerateStats, Numbers, Prompts};
use crate::metadata::{self, Marks};
use crate::rows;
pub use client::completions_url;
pub use error::{EndpointError, Fault};
pub use key::Key;
use protocol::{Asking, Job, Written};
pub use role::Role;
use store::Store;
use workers::{Asker, Question, Workers};

/// How long to look for an answer before looking whether the user wants to stop.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Documents per thread that may be ahead of the first one missing: one that fails again and again does not let all others be
/// bought before it stops the run.
const AHEAD: u64 = 16;

/// Threads beyond which a slip is more likely than a server.
const MOST_THREADS: usize = 4096;
/// The longest wait for an answer: a week, beyond which nobody waits.
const MOST_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Requests for one document, at most: a week of them.
const MOST_ATTEMPTS: u32 = 10_000;

/// Bytes of documents that wait for an earlier one. Beyond them only that one is asked for.
const MOST_HELD_BYTES: usize = 256 << 20;

/// Where and how to ask. What is answered depends on `model` alone.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The server's address, as `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The name that the server knows the model by.
    pub model: String,
    /// What the server wants to hear, where it wants to hear something.
    pub key: Option<Key>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// Requests for one document, the first included, before the generation stops.
    pub attempts: u32,
    /// The wait before the second of them; it doubles from there.
    pub first_wait: Duration,
}

impl EndpointConfig {
    /// What users wait before the second request for a document; tests wait less.
    pub const FIRST_WAIT: Duration = Duration::from_secs(1);

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key of the recipe.
    pub fn check(&self) -> Result<()> {
        self.check_as(Role::Synthesizer)
    }

    /// The same for a server of either role; only the first two values of a judge are a user's.
    pub(crate) fn check_as(&self, role: Role) -> Result<()> {
        completions_url(&self.url, role)?;
        if self.model.is_empty() {
            let expected = format!("the name that the server knows {} by", role.served());
            return Err(Error::setting(role.model(), "\"\"", expected));
        }
        if !(1..=MOST_THREADS).contains(&self.concurrency) {
            let expected = format!("a whole number from 1 to {MOST_THREADS}");
            return Err(Error::setting("endpoint_concurrency", self.concurrency, expected));
        }
        if self.timeout.is_zero() || self.timeout > MOST_TIMEOUT {
            let expected = format!("a whole number from 1 to {}", MOST_TIMEOUT.as_secs());
            return Err(Error::setting("endpoint_timeout_s", self.timeout.as_secs(), expected));
        }
        if !(1..=MOST_ATTEMPTS).contains(&self.attempts) {
            let expected = format!("a whole number from 1 to {MOST_ATTEMPTS}");
            return Err(Error::setting("endpoint_attempts", self.attempts, expected));
        }
        Ok(())
    }
}

/// Has synthetic documents written into `out` (see `store`), or continues where an earlier call with the same settings stopped.
/// `model` is the served checkpoint's configuration.
///
/// # Errors
/// [`Error::Endpoint`] when a document is not to be had, [`Error::Interrupted`] when the monitor says so: in both cases with all
/// documents kept that had arrived. Otherwise as the variants of [`Error`] tell.
pub fn generate_endpoint(
    model: &Config,
    tokenizer: &Tokenizer,
    seeds: &Seeds,
    out: &Path,
    config: &GenerateConfig,
    endpoint: &EndpointConfig,
    monitor: &dyn Monitor,
) -> Result<GenerateStats> {
    config.check()?;
    endpoint.check()?;
    check_model(model, tokenizer, config)?;
    let related = tokenizer.related()?;
    seeds.check(tokenizer.vocab_size().min(model.vocab), monitor)?;
    let prompts = config.prompts(seeds, tokenizer, related);
    let numbers = Numbers::of(config);
    let sampling = sampling_record(config, &endpoint.model);
    let marks = Marks::of(tokenizer);
    let record = |written: &Written| document(written, prompts.seed_id(written.number), config, &sampling, &marks);
    let mut settings = config.settings(seeds, tokenizer, related, monitor)?;
    settings.insert("sampling".into(), sampling.clone());
    let mut store = Store::open(out, &settings, &record, config, monitor)?;
    let asker = Asker::new(endpoint, Role::Synthesizer, config.seed)?;
    let asking = Asking::new(config, &endpoint.model, tokenizer, related);
    let job = |number| Ok(Job::new(&asking, number, &prompts.prompt(number)));
    let (total, unit) = numbers.total();
    monitor.begin("generate", Some(total), unit);
    let outcome = drive(asker, endpoint.concurrency, numbers, &job, &mut store, monitor);
    monitor.end();
    outcome?;
    store.finish(&prompts, monitor)
}

/// Refuses a checkpoint that cannot be served for these documents.
fn check_model(model: &Config, tokenizer: &Tokenizer, config: &GenerateConfig) -> Result<()> {
    rows::check_frame(model.vocab, tokenizer)?;
    match config.capacity_tokens().checked_sub(model.max_positions) {
        None | Some(0) => Ok(()),
        Some(excess) => Err(Error::Context {
            max_positions: model.max_positions,
            max_seed_tokens: config.max_seed_tokens,
            special: SPECIAL_TOKENS,
            max_new_tokens: config.max_new_tokens,
            excess,
        }),
    }
}

/// Asks for documents until the target is reached.
pub(crate) fn drive<Q: Question<Answer = Written>>(
    asker: Asker,
    threads: usize,
    numbers: Numbers,
    job: &dyn Fn(u64) -> Result<Q>,
    store: &mut Store<'_>,
    monitor: &dyn Monitor,
) -> Result<()> {
    if store.is_complete() {
        return Ok(());
    }
    let workers = Workers::start(asker, threads)?;
    let mut unasked = store.next();
    let mut out = 0;
    while !store.is_complete() {
        if let Err(stop) = monitor.check() {
            keep_arrived(&workers, store)?;
            return Err(stop.into());
        }
        while out < threads {
            while store.holds(unasked) {
                unasked += numbers.step;
            }
            let far = unasked >= store.next() + AHEAD * threads as u64 * numbers.step;
            let full = unasked > store.next() && store.held_bytes() > MOST_HELD_BYTES;
            if far || full || store.is_needless(unasked) {
                break;
            }
            workers.send(job(unasked)?)?;
            unasked += numbers.step;
            out += 1;
        }
        match workers.receive(PATIENCE)? {
            Some(Ok(written)) => {
                store.accept(written)?;
                out -= 1;
            }
            Some(Err(error)) => {
                keep_arrived(&workers, store)?;
                return Err(error.into());
            }
            None => {}
        }
        let detail = format!("{} documents, {} requests repeated", store.next(), workers.repeated());
        monitor.advance(numbers.done(store.next(), store.tokens()), &detail);
    }
    Ok(())
}

/// Before stopping: what has arrived is paid for.
fn keep_arrived<Q: Question<Answer = Written>>(workers: &Workers<Q>, store: &mut Store<'_>) -> Result<()> {
    while let Some(outcome) = workers.receive(Duration::ZERO)? {
        if let Ok(written) = outcome {
            store.accept(written)?;
        }
    }
    Ok(())
}

/// The sampling settings as each record holds them: the local decoder's, and who drew.
fn sampling_record(config: &GenerateConfig, model: &str) -> Value {
    let mut record = config.sampling_record();
    if let Value::Object(fields) = &mut record {
        fields.insert("method".into(), "endpoint".into());
        fields.insert("model".into(), model.into());
    }
    record
}

/// A document's record.
fn document(
    written: &Written,
    seed_id: &str,
    config: &GenerateConfig,
    sampling: &Value,
    marks: &Marks<'_>,
) -> Document {
    let mut fields = Map::new();
    fields.insert(metadata::SEED_ID.into(), seed_id.into());
    metadata::insert_sample(&mut fields, written.number, config.samples_per_seed);
    fields.insert(metadata::SYNTHESIZER.into(), config.synthesizer.as_str().into());
    fields.insert(metadata::SAMPLING.into(), sampling.clone());
    if let Some(mean) = written.mean_log_probability {
        fields.insert(metadata::MEAN_LOG_PROBABILITY.into(), mean.into());
    }
    fields.insert(metadata::FINISH_REASON.into(), json!(written.finish));
    fields.insert(metadata::TOKENS.into(), written.tokens.into());
    marks.insert(&mut fields, &written.text);
    Document { id: document_id(written.number), text: written.text.clone(), group: None, metadata: fields.into() }
}
