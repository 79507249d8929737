//! What teachers expect at every token of a corpus: the mean of their probabilities, each at a temperature.
//!
//! Of several teachers the probabilities are averaged, and not the logits: an average of probabilities is never worse than the teachers'
//! mean loss, by Jensen's inequality.

use std::path::Path;

use cognate_base::{Monitor, Unit};
use cognate_corpus::TokenFile;
use cognate_model::{Batch, Config, Decoder};
use cognate_ops::Device;

use crate::teachings::TeachingsWriter;
use crate::{Error, Result, TeachingsStats};

/// Probabilities that are in memory at a time, 64 MiB of them, as long as a piece of a document has no more.
const PROBABILITIES: usize = 1 << 24;

/// How teachers are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TeachConfig {
    /// Longest piece of a document, as the student sees it.
    pub context: usize,
    /// What stands before a document.
    pub begin: u32,
    /// T: a teacher's probabilities are softmax(logits / T).
    pub temperature: f64,
    /// Tokens that are kept of each distribution.
    pub top: usize,
    /// Tokens that there are: what a teacher has of rows beyond them belongs to none.
    pub vocab: usize,
}

/// Writes into `folder`, under `name`, what `teachers` expect at every token of `file`: each token's place in a piece of `context` tokens
/// as a plain stream cuts them.
///
/// # Errors
/// When there is no teacher, or one of another vocabulary, the machine has too little memory, writing fails, or the monitor asks to stop.
pub fn teach<D: Device>(
    teachers: &mut [Decoder<D>],
    file: &TokenFile,
    config: TeachConfig,
    (folder, name): (&Path, &str),
    monitor: &dyn Monitor,
) -> Result<TeachingsStats> {
    let refused = |field, value: String, reason: &str| Error::Setting { field, value, reason: reason.into() };
    if teachers.is_empty() {
        return Err(refused("teachers", "none".into(), "expected at least one"));
    }
    let vocab = config.vocab;
    if let Some(rows) = teachers.iter().map(|teacher| teacher.config().vocab).find(|rows| *rows < vocab) {
        return Err(refused("teachers", format!("one with {rows} rows"), "expected a row for each token"));
    }
    if !(config.temperature.is_finite() && config.temperature > 0.0) {
        return Err(refused("temperature", config.temperature.to_string(), "expected a positive number"));
    }
    let mut writer = TeachingsWriter::create(folder, name, vocab, config.top)?;
    let most = rows_at_once(vocab);
    monitor.begin("teach", Some(file.tokens()), Unit::Tokens);
    let (mut batch, mut ends, mut done) = (Batch::new(), Vec::new(), 0);
    for document in 0..file.documents() {
        let tokens = file.document(document);
        for (i, piece) in tokens.chunks(config.context).enumerate() {
            let before = if i == 0 { config.begin } else { tokens[i * config.context - 1] };
            batch.push_conditional(&[before], piece);
            if batch.len() >= most {
                done += expect(teachers, &mut batch, &mut ends, config, &mut writer, monitor)?;
                monitor.advance(done, "");
            }
        }
        ends.push(batch.len());
    }
    expect(teachers, &mut batch, &mut ends, config, &mut writer, monitor)?;
    monitor.end();
    writer.finish()
}

/// Rows of logits that are averaged at a time, or those of one piece where that has more.
fn rows_at_once(vocab: usize) -> usize {
    (PROBABILITIES / vocab.max(1)).clamp(1, 2048)
}

/// Bytes that [`teach`] holds at most, beside the file: the teachers, and what one of them computes.
pub fn teaching_bytes<'a>(teachers: impl IntoIterator<Item = &'a Config>, context: usize) -> f64 {
    teachers.into_iter().fold(0.0, |all, teacher| {
        let rows = rows_at_once(teacher.vocab) + context;
        all + teacher.scoring_bytes(rows) + (rows * teacher.vocab * size_of::<f32>()) as f64
    })
}

/// Writes what is expected of the batch's tokens, and empties it; `ends` says where documents end in it. Returns its number of tokens.
fn expect<D: Device>(
    teachers: &mut [Decoder<D>],
    batch: &mut Batch,
    ends: &mut Vec<usize>,
    TeachConfig { temperature, vocab, .. }: TeachConfig,
    writer: &mut TeachingsWriter,
    monitor: &dyn Monitor,
) -> Result<u64> {
    monitor.check()?;
    let mut expected = vec![0.0f32; batch.len() * vocab];
    let weight = 1.0 / teachers.len() as f64;
    for teacher in teachers {
        let (mut from, own) = (0, teacher.config().vocab);
        teacher.each_logits(batch, |logits| {
            let rows = logits.len() / own;
            let sums = expected[from * vocab..(from + rows) * vocab].chunks_exact_mut(vocab);
            from += rows;
            for (expected, logits) in sums.zip(logits.chunks_exact(own)) {
                add_softmax(expected, &logits[..vocab], temperature, weight);
            }
        })?;
    }
    let mut ends_here = ends.drain(..).peekable();
    for row in 0..batch.len() {
        while ends_here.next_if_eq(&row).is_some() {
            writer.end_document()?;
        }
        writer.push(&expected[row * vocab..][..vocab], batch.targets[row]);
    }
    for _ in ends_here {
        writer.end_document()?;
    }
    let tokens = batch.len() as u64;
    batch.clear();
    Ok(tokens)
}

/// Adds weight · softmax(logits / temperature) to a row. The sum of exponentials is in f64.
fn add_softmax(sum: &mut [f32], logits: &[f32], temperature: f64, weight: f64) {
    let (top, inverse) = (logits.iter().copied().fold(f32::NEG_INFINITY, f32::max), (1.0 / temperature) as f32);
    let exponential = |z: &f32| ((z - top) * inverse).exp();
    let total: f64 = logits.iter().map(|z| f64::from(exponential(z))).sum();
    let factor = (weight / total) as f32;
    for (sum, z) in sum.iter_mut().zip(logits) {
        *sum += factor * exponential(z);
    }
}
