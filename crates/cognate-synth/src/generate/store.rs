//! The local decoder's output folder: the files of [`super::files`], and what an interruption leaves.
//!
//! After an interruption `partial.jsonl` holds the finished documents that fill no file yet. A restart takes up whatever is
//! there; without `partial.jsonl` (the process was killed) these documents are written again, and come out the same.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::Document;
use serde_json::{Map, Value, json};

use super::config::{GenerateConfig, GenerateStats};
use super::files::{Files, document_id};
use super::numbers::Numbers;
use super::schedule::{Finished, Progress};
use super::seeds::SeedPrompts;
use crate::error::{Error, Result};
use crate::metadata::{self, Marks};

const PARTIAL: &str = "partial.jsonl";

/// Turns a finished document into the record that is kept.
pub(crate) struct Records<'a> {
    pub(crate) synthesizer: &'a str,
    pub(crate) sampling: Value,
    pub(crate) samples_per_seed: u64,
    /// None where it was written from nothing.
    pub(crate) seed_id: &'a dyn Fn(u64) -> Option<String>,
    pub(crate) decode: &'a dyn Fn(&[u32]) -> Result<String>,
    pub(crate) marks: Marks<'a>,
}

impl Records<'_> {
    fn record(&self, finished: &Finished) -> Result<Document> {
        let mean = f64::from_bits(finished.log_probability_bits) / finished.tokens.len().max(1) as f64;
        let mut fields = Map::new();
        if let Some(seed_id) = (self.seed_id)(finished.number) {
            fields.insert(metadata::SEED_ID.into(), seed_id.into());
        }
        metadata::insert_sample(&mut fields, finished.number, self.samples_per_seed);
        fields.insert(metadata::SYNTHESIZER.into(), self.synthesizer.into());
        fields.insert(metadata::SAMPLING.into(), self.sampling.clone());
        // Six decimals: as much as it means, and they come back from JSON exactly.
        fields.insert(metadata::MEAN_LOG_PROBABILITY.into(), ((mean * 1e6).round() / 1e6).into());
        fields.insert(metadata::FINISH_REASON.into(), json!(finished.finish));
        fields.insert(metadata::TOKENS.into(), finished.tokens.len().into());
        let text = (self.decode)(&finished.tokens)?;
        self.marks.insert(&mut fields, &text);
        Ok(Document { id: document_id(finished.number), text, group: None, metadata: fields.into() })
    }
}

/// The output folder of a generation.
pub(crate) struct Store<'a> {
    folder: &'a Path,
    records: Records<'a>,
    files: Files<'a>,
    waiting: Vec<Finished>,
}

impl<'a> Store<'a> {
    /// Opens the folder, new or left by an earlier run, and says where to go on.
    pub(crate) fn open(
        folder: &'a Path,
        settings: &Map<String, Value>,
        records: Records<'a>,
        config: &GenerateConfig,
        monitor: &dyn Monitor,
    ) -> Result<(Self, Progress)> {
        let files = Files::open(folder, settings, config, monitor)?;
        let mut progress = Progress { next: files.next(), tokens: files.tokens(), held: BTreeMap::new() };
        if !files.is_complete() {
            progress.held = read_partial(&folder.join(PARTIAL), progress.next, config, monitor)?;
        }
        Ok((Self { folder, records, files, waiting: Vec::new() }, progress))
    }

    /// Takes the next document; writes a file when it is full.
    pub(crate) fn push(&mut self, finished: &Finished) -> Result<()> {
        self.waiting.push(finished.clone());
        if self.files.is_full(self.waiting.len()) { self.write_file() } else { Ok(()) }
    }

    fn write_file(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let records: Vec<Document> =
            waiting.iter().map(|finished| self.records.record(finished)).collect::<Result<_>>()?;
        self.files.write(records.into_iter())
    }

    /// Keeps what is finished but fills no file, for a restart.
    pub(crate) fn save_partial(&self, progress: &Progress) -> Result<()> {
        let mut lines = Vec::new();
        for finished in self.waiting.iter().chain(progress.held.values()) {
            lines.extend_from_slice(json!(finished).to_string().as_bytes());
            lines.push(b'\n');
        }
        Ok(write_atomic(self.folder.join(PARTIAL), lines)?)
    }

    /// Writes the last file and returns the figures.
    pub(crate) fn finish(mut self, prompts: &SeedPrompts<'_>, monitor: &dyn Monitor) -> Result<GenerateStats> {
        if !self.waiting.is_empty() {
            self.write_file()?;
        }
        let partial = self.folder.join(PARTIAL);
        if partial.exists() {
            fs_err::remove_file(partial)?;
        }
        self.files.figures(prompts, monitor)
    }
}

/// Finished documents from number `next` on.
fn read_partial(
    path: &Path,
    next: u64,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<u64, Finished>> {
    let mut found = BTreeMap::new();
    if !path.exists() {
        return Ok(found);
    }
    let numbers = Numbers::of(config);
    for (row, line) in BufReader::new(fs_err::File::open(path)?).lines().enumerate() {
        monitor.check()?;
        let damaged =
            |what: String| Error::Damaged { path: path.to_owned(), what: format!("line {}: {what}", row + 1) };
        let finished: Finished = serde_json::from_str(&line?).map_err(|error| damaged(error.to_string()))?;
        let whole = f64::from_bits(finished.log_probability_bits).is_finite()
            && (1..=config.max_new_tokens).contains(&finished.tokens.len());
        if !whole || !numbers.holds(finished.number) {
            return Err(damaged(format!("document {} is none of this generation", finished.number)));
        }
        let number = finished.number;
        if number >= next && found.insert(number, finished).is_some() {
            return Err(damaged(format!("document {number} comes a second time")));
        }
    }
    Ok(found)
}
