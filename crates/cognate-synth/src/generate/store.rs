//! Synthetic documents on disk: `synthetic-00000.jsonl.zst`, … in the order of their numbers, each file whole or absent.
//!
//! Beside them stand `generate.json`, the settings that they were made with, and after an interruption `partial.jsonl`: finished
//! documents that fill no file yet. A restart takes up whatever is there; without `partial.jsonl` (the process was killed) these
//! documents are written again, and come out the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use cognate_base::files::write_atomic;
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use serde_json::{Map, Value, json};

use super::schedule::{Finished, Progress};
use super::{GenerateConfig, GenerateStats};
use crate::error::{Error, Result};
use crate::metadata;

pub(crate) const SETTINGS: &str = "generate.json";
const PARTIAL: &str = "partial.jsonl";

/// The `index`-th file of synthetic documents.
pub(crate) fn shard_name(index: u64) -> String {
    format!("synthetic-{index:05}.jsonl.zst")
}

/// The finished files of a generation, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn shards(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("synthetic-") && name.ends_with(".jsonl.zst") {
            found.insert(path);
        }
    }
    // Five digits sort by name; a sixth makes the name longer.
    let mut found: Vec<PathBuf> = found.into_iter().collect();
    found.sort_by_key(|path| path.as_os_str().len());
    Ok(found)
}

/// Turns a finished document into the record that is kept.
pub(crate) struct Records<'a> {
    pub(crate) synthesizer: &'a str,
    pub(crate) sampling: Value,
    /// None where it was written from nothing.
    pub(crate) seed_id: &'a dyn Fn(u64) -> Option<String>,
    pub(crate) decode: &'a dyn Fn(&[u32]) -> String,
}

impl Records<'_> {
    fn record(&self, finished: &Finished) -> Document {
        let mean = f64::from_bits(finished.log_probability_bits) / finished.tokens.len().max(1) as f64;
        let mut fields = Map::new();
        if let Some(seed_id) = (self.seed_id)(finished.number) {
            fields.insert(metadata::SEED_ID.into(), seed_id.into());
        }
        fields.insert(metadata::SYNTHESIZER.into(), self.synthesizer.into());
        fields.insert(metadata::SAMPLING.into(), self.sampling.clone());
        // Six decimals: as much as it means, and they come back from JSON exactly.
        fields.insert(metadata::MEAN_LOG_PROBABILITY.into(), ((mean * 1e6).round() / 1e6).into());
        fields.insert(metadata::FINISH_REASON.into(), json!(finished.finish));
        fields.insert(metadata::TOKENS.into(), finished.tokens.len().into());
        Document {
            id: format!("synthetic-{}", finished.number),
            text: (self.decode)(&finished.tokens),
            metadata: fields,
        }
    }
}

/// The output folder of a generation.
pub(crate) struct Store<'a> {
    folder: &'a Path,
    records: Records<'a>,
    first: u64,
    per_shard: usize,
    shards: u64,
    waiting: Vec<Finished>,
    stats: GenerateStats,
    log_probability: f64,
}

impl<'a> Store<'a> {
    /// Opens the folder, new or left by an earlier run, and says where to go on.
    pub(crate) fn open(
        folder: &'a Path,
        settings: &Map<String, Value>,
        records: Records<'a>,
        config: &GenerateConfig,
    ) -> Result<(Self, Progress)> {
        fs_err::create_dir_all(folder)?;
        check_settings(folder, settings)?;
        let (first, per_shard, target_tokens) = (config.first_document, config.shard_documents, config.target_tokens);
        let stats = GenerateStats::default();
        let waiting = Vec::new();
        let mut store = Self { folder, records, first, per_shard, shards: 0, waiting, stats, log_probability: 0.0 };
        for path in shards(folder)? {
            store.take_up(&path, target_tokens)?;
        }
        let mut progress = Progress { next: store.next(), tokens: store.stats.tokens, held: BTreeMap::new() };
        if progress.tokens < target_tokens {
            progress.held = read_partial(&folder.join(PARTIAL), progress.next)?;
        }
        Ok((store, progress))
    }

    /// The number of the first document that is in no file yet.
    fn next(&self) -> u64 {
        self.first + self.stats.documents
    }

    /// Counts a file that is finished already.
    fn take_up(&mut self, path: &Path, target_tokens: u64) -> Result<()> {
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let expected = self.folder.join(shard_name(self.shards));
        if path != expected {
            return Err(damaged(format!("{} should come before it and is missing", expected.display())));
        }
        if self.stats.tokens >= target_tokens {
            return Err(damaged("the files before it reach the token target already".into()));
        }
        let mut documents = 0;
        for record in Reader::open(&[path.to_owned()], &ReadOptions::default())? {
            let (origin, document) = record?;
            let id = format!("synthetic-{}", self.next());
            if document.id != id {
                return Err(damaged(format!("line {} holds {:?}, expected {id:?}", origin.row, document.id)));
            }
            self.count(&document)?;
            documents += 1;
        }
        if documents != self.per_shard && (documents > self.per_shard || self.stats.tokens < target_tokens) {
            return Err(damaged(format!("it holds {documents} documents, expected {}", self.per_shard)));
        }
        self.shards += 1;
        Ok(())
    }

    /// Adds a record to the figures. Fresh and resumed documents go through here alike.
    fn count(&mut self, document: &Document) -> Result<()> {
        let tokens = metadata::tokens(document)?.unwrap_or(0);
        self.stats.documents += 1;
        self.stats.tokens += tokens;
        match metadata::unfinished(document)? {
            true => self.stats.capped += 1,
            false => self.stats.ended += 1,
        }
        self.log_probability += metadata::mean_log_probability(document)?.unwrap_or(0.0) * tokens as f64;
        Ok(())
    }

    /// Takes the next document; writes a file when it is full.
    pub(crate) fn push(&mut self, finished: &Finished) -> Result<()> {
        self.waiting.push(finished.clone());
        if self.waiting.len() == self.per_shard { self.write_shard() } else { Ok(()) }
    }

    fn write_shard(&mut self) -> Result<()> {
        let mut writer = DocumentWriter::create(self.folder.join(shard_name(self.shards)))?;
        for finished in std::mem::take(&mut self.waiting) {
            let record = self.records.record(&finished);
            writer.write(&record)?;
            self.count(&record)?;
        }
        writer.finish()?;
        self.shards += 1;
        Ok(())
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
    pub(crate) fn finish(mut self) -> Result<GenerateStats> {
        if !self.waiting.is_empty() {
            self.write_shard()?;
        }
        let partial = self.folder.join(PARTIAL);
        if partial.exists() {
            fs_err::remove_file(partial)?;
        }
        if self.stats.tokens > 0 {
            self.stats.mean_log_probability = self.log_probability / self.stats.tokens as f64;
        }
        Ok(self.stats)
    }
}

/// Writes the settings into a new folder; in one that has some, compares.
pub(crate) fn check_settings(folder: &Path, settings: &Map<String, Value>) -> Result<()> {
    let path = folder.join(SETTINGS);
    if !path.exists() {
        if let Some(shard) = shards(folder)?.into_iter().next() {
            let what = format!("{} is missing beside it, so the settings that made it are unknown", path.display());
            return Err(Error::Damaged { path: shard, what });
        }
        let mut text = serde_json::to_string_pretty(settings).map_err(std::io::Error::from)?;
        text.push('\n');
        return Ok(write_atomic(path, text)?);
    }
    let text = fs_err::read_to_string(&path)?;
    let found: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Error::Damaged { path: path.clone(), what: format!("not a JSON object: {error}") })?;
    for field in settings.keys().chain(found.keys()) {
        if settings.get(field) != found.get(field) {
            let show = |value: Option<&Value>| value.map_or_else(|| "absent".into(), Value::to_string);
            let (found, wanted) = (show(found.get(field)), show(settings.get(field)));
            return Err(Error::OtherSettings { path, field: field.clone(), found, wanted });
        }
    }
    Ok(())
}

/// Finished documents from number `next` on.
fn read_partial(path: &Path, next: u64) -> Result<BTreeMap<u64, Finished>> {
    let mut found = BTreeMap::new();
    if !path.exists() {
        return Ok(found);
    }
    for (row, line) in BufReader::new(fs_err::File::open(path)?).lines().enumerate() {
        let finished: Finished = serde_json::from_str(&line?)
            .map_err(|error| Error::Damaged { path: path.to_owned(), what: format!("line {}: {error}", row + 1) })?;
        if finished.number >= next {
            found.insert(finished.number, finished);
        }
    }
    Ok(found)
}
