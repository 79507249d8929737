//! Files of synthetic documents, whoever wrote them: `synthetic-00000.jsonl.zst`, … in the order of the documents' numbers, each
//! file whole or absent, and beside them `generate.json`, the settings that they were made with.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use serde_json::{Map, Value};

use super::config::{GenerateConfig, GenerateStats};
use super::numbers::Numbers;
use super::seeds::Origins;
use crate::error::{Error, Result};
use crate::metadata;

pub(crate) const SETTINGS: &str = "generate.json";

/// The `index`-th file of synthetic documents.
pub(crate) fn shard_name(index: u64) -> String {
    format!("synthetic-{index:05}.jsonl.zst")
}

/// The id of document `number`.
pub(crate) fn document_id(number: u64) -> String {
    format!("synthetic-{number}")
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

/// Paths of documents, each folder that a generation wrote taken as its finished files: the settings and the partial documents beside
/// them are no documents.
///
/// # Errors
/// When a folder cannot be read.
pub fn document_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let written = if path.is_dir() { shards(path)? } else { Vec::new() };
        if written.is_empty() {
            files.push(path.clone());
        } else {
            files.extend(written);
        }
    }
    Ok(files)
}

/// The files in an output folder, and the figures of what they hold.
pub(crate) struct Files<'a> {
    folder: &'a Path,
    numbers: Numbers,
    per_file: usize,
    max_new_tokens: u64,
    files: u64,
    stats: GenerateStats,
    /// Sum of mean log-probability times tokens, and those tokens, over the documents that have one.
    log_probability: (f64, u64),
}

impl<'a> Files<'a> {
    /// Opens the folder, new or left by an earlier run.
    pub(crate) fn open(
        folder: &'a Path,
        settings: &Map<String, Value>,
        config: &GenerateConfig,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        check_settings(folder, settings)?;
        let mut files = Self {
            folder,
            numbers: Numbers::of(config),
            per_file: config.shard_documents,
            max_new_tokens: config.max_new_tokens as u64,
            files: 0,
            stats: GenerateStats::default(),
            log_probability: (0.0, 0),
        };
        for path in shards(folder)? {
            files.take_up(&path, monitor)?;
        }
        Ok(files)
    }

    /// The number of the first document that is in no file yet.
    pub(crate) fn next(&self) -> u64 {
        self.numbers.after(self.stats.documents)
    }

    /// Tokens of the documents before it.
    pub(crate) fn tokens(&self) -> u64 {
        self.stats.tokens
    }

    /// Whether `waiting` documents fill a file.
    pub(crate) fn is_full(&self, waiting: usize) -> bool {
        waiting == self.per_file
    }

    /// Whether the files hold all that is wanted.
    pub(crate) fn is_complete(&self) -> bool {
        self.numbers.reached(self.next(), self.stats.tokens)
    }

    /// Counts a file that is finished already.
    fn take_up(&mut self, path: &Path, monitor: &dyn Monitor) -> Result<()> {
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let expected = self.folder.join(shard_name(self.files));
        if path != expected {
            return Err(damaged(format!("{} should come before it and is missing", expected.display())));
        }
        if self.is_complete() {
            return Err(damaged("the files before it reach the target already".into()));
        }
        let mut documents = 0;
        for record in Reader::open(&[path.to_owned()], &ReadOptions::default(), monitor)? {
            monitor.check()?;
            let (origin, document) = record?;
            let id = document_id(self.next());
            if document.id != id {
                return Err(damaged(format!("line {} holds {:?}, expected {id:?}", origin.row, document.id)));
            }
            if let Some(tokens) = metadata::tokens(&document)?.filter(|&tokens| tokens > self.max_new_tokens) {
                return Err(damaged(format!("{id:?} has {tokens} tokens, more than max_new_tokens")));
            }
            self.count(&document)?;
            documents += 1;
        }
        if documents != self.per_file && (documents > self.per_file || !self.is_complete()) {
            return Err(damaged(format!("it holds {documents} documents, expected {}", self.per_file)));
        }
        self.files += 1;
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
        if let Some(mean) = metadata::mean_log_probability(document)? {
            self.log_probability.0 += mean * tokens as f64;
            self.log_probability.1 += tokens;
        }
        Ok(())
    }

    /// Writes the next file.
    pub(crate) fn write(&mut self, records: impl Iterator<Item = Document>) -> Result<()> {
        let mut writer = DocumentWriter::create(self.folder.join(shard_name(self.files)))?;
        for record in records {
            writer.write(&record)?;
            self.count(&record)?;
        }
        writer.finish()?;
        self.files += 1;
        Ok(())
    }

    /// The figures of a finished generation.
    pub(crate) fn figures(mut self, origins: &dyn Origins, monitor: &dyn Monitor) -> Result<GenerateStats> {
        let (sum, tokens) = self.log_probability;
        self.stats.mean_log_probability = (tokens > 0).then(|| sum / tokens as f64);
        let mut distinct = HashSet::new();
        for number in (0..self.stats.documents).map(|documents| self.numbers.after(documents)) {
            monitor.check()?;
            distinct.extend(origins.place(number));
            if let Some(cut) = origins.cut(number) {
                self.stats.seeds_cut += 1;
                self.stats.seeds_cut_at.add(cut.at);
            }
            self.stats.prompt_tokens += origins.prompt_tokens(number) as u64;
        }
        self.stats.distinct_seeds = distinct.len() as u64;
        self.stats.seeds_without_text = origins.without_text();
        Ok(self.stats)
    }
}

/// Reads a folder's settings.
pub(crate) fn read_settings(folder: &Path) -> Result<Map<String, Value>> {
    let path = folder.join(SETTINGS);
    let text = fs_err::read_to_string(&path)?;
    serde_json::from_str(&text).map_err(|error| Error::Damaged { path, what: format!("not a JSON object: {error}") })
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
    let found = read_settings(folder)?;
    for field in settings.keys().chain(found.keys()) {
        if settings.get(field) != found.get(field) {
            let show = |value: Option<&Value>| value.map_or_else(|| "absent".into(), Value::to_string);
            let (found, wanted) = (show(found.get(field)), show(settings.get(field)));
            return Err(Error::OtherSettings { path, field: field.clone(), found, wanted });
        }
    }
    Ok(())
}
