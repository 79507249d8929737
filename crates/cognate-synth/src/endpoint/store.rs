//! The output folder: the same shards as the local decoder's (`synthetic-00000.jsonl.zst`, …), and the journal.
//!
//! `journal.jsonl` holds, in the order of their arrival, the documents that no shard holds yet: a line each, appended before the
//! next is asked for. Killed at any point, a restart finds every document that had arrived. A line without its end was being
//! written; that document is asked for again. Once a shard stands, the journal is written anew without its documents; lines of
//! documents that a shard holds (killed in between) are passed over. A finished generation has no journal.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cognate_base::files::write_atomic;
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use fs_err::{File, OpenOptions};
use serde_json::{Map, Value};

use super::EndpointStats;
use super::protocol::Written;
use crate::error::{Error, Result};
use crate::generate::GenerateConfig;
use crate::generate::store::{SETTINGS, check_settings, shard_name, shards};
use crate::metadata;

pub(super) const JOURNAL: &str = "journal.jsonl";

/// The output folder of a generation by a completion server.
pub(super) struct Store<'a> {
    folder: &'a Path,
    record: &'a dyn Fn(&Written) -> Document,
    target_tokens: u64,
    per_shard: usize,
    shards: u64,
    /// The first document that has not been handed on.
    next: u64,
    /// Tokens of the documents before it.
    tokens: u64,
    /// Documents from `next` on, waiting for earlier ones.
    held: BTreeMap<u64, Written>,
    /// Documents before `next` that are in no shard yet.
    waiting: Vec<Written>,
    journal: File,
    /// Held for as long as the store is: two processes would each ask for everything.
    _lock: File,
    stats: EndpointStats,
    /// Sum of mean log-probability times tokens, and those tokens, over the documents that have one.
    log_probability: (f64, u64),
}

impl<'a> Store<'a> {
    /// Opens the folder, new or left by an earlier run.
    pub(super) fn open(
        folder: &'a Path,
        settings: &Map<String, Value>,
        record: &'a dyn Fn(&Written) -> Document,
        config: &GenerateConfig,
    ) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        check_settings(folder, settings)?;
        let lock = lock(folder)?;
        let path = folder.join(JOURNAL);
        let journal = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let mut store = Self {
            folder,
            record,
            target_tokens: config.target_tokens,
            per_shard: config.shard_documents,
            shards: 0,
            next: config.first_document,
            tokens: 0,
            held: BTreeMap::new(),
            waiting: Vec::new(),
            journal,
            _lock: lock,
            stats: EndpointStats::default(),
            log_probability: (0.0, 0),
        };
        for path in shards(folder)? {
            store.take_up(&path)?;
        }
        store.held = read_journal(&path, &mut store.journal, store.next)?;
        store.hand_on()?;
        Ok(store)
    }

    /// The first document that is not known yet, or waits for none before it.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Tokens of all documents before [`Self::next`].
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether document `number`, from [`Self::next`] on, is there.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// Whether the target is reached.
    pub(super) fn is_complete(&self) -> bool {
        self.tokens >= self.target_tokens
    }

    /// Whether the documents before `number` that are there reach the target: then `number` will not be wanted.
    pub(super) fn is_needless(&self, number: u64) -> bool {
        let held: u64 = self.held.range(..number).map(|(_, written)| written.tokens).sum();
        self.tokens + held >= self.target_tokens
    }

    /// Keeps a document that has arrived.
    pub(super) fn accept(&mut self, written: Written) -> Result<()> {
        // One call, so that a kill leaves a whole line or one without its end.
        self.journal.write_all(&line(&written)?)?;
        self.held.insert(written.number, written);
        self.hand_on()
    }

    /// Moves documents on for as long as none is missing and the target is not reached; writes the shards that they fill.
    fn hand_on(&mut self) -> Result<()> {
        while !self.is_complete() {
            let Some(written) = self.held.remove(&self.next) else { break };
            self.next += 1;
            self.tokens += written.tokens;
            self.waiting.push(written);
            if self.waiting.len() == self.per_shard {
                self.write_shard()?;
                self.shorten_journal()?;
            }
        }
        Ok(())
    }

    fn write_shard(&mut self) -> Result<()> {
        let mut writer = DocumentWriter::create(self.folder.join(shard_name(self.shards)))?;
        for written in std::mem::take(&mut self.waiting) {
            let record = (self.record)(&written);
            writer.write(&record)?;
            self.count(&record)?;
        }
        writer.finish()?;
        self.shards += 1;
        Ok(())
    }

    /// Writes the journal anew, with the documents that no shard holds.
    fn shorten_journal(&mut self) -> Result<()> {
        let path = self.folder.join(JOURNAL);
        let mut lines = Vec::new();
        for written in self.held.values() {
            lines.extend(line(written)?);
        }
        write_atomic(&path, lines)?;
        self.journal = OpenOptions::new().append(true).open(&path)?;
        Ok(())
    }

    /// Counts a shard that stands already.
    fn take_up(&mut self, path: &Path) -> Result<()> {
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let expected = self.folder.join(shard_name(self.shards));
        if path != expected {
            return Err(damaged(format!("{} should come before it and is missing", expected.display())));
        }
        if self.is_complete() {
            return Err(damaged("the files before it reach the token target already".into()));
        }
        let mut documents = 0;
        for record in Reader::open(&[path.to_owned()], &ReadOptions::default())? {
            let (origin, document) = record?;
            let id = document_id(self.next);
            if document.id != id {
                return Err(damaged(format!("line {} holds {:?}, expected {id:?}", origin.row, document.id)));
            }
            self.tokens += self.count(&document)?;
            self.next += 1;
            documents += 1;
        }
        if documents != self.per_shard && (documents > self.per_shard || !self.is_complete()) {
            return Err(damaged(format!("it holds {documents} documents, expected {}", self.per_shard)));
        }
        self.shards += 1;
        Ok(())
    }

    /// Adds a record to the figures, and returns its tokens. Fresh and resumed documents go through here alike.
    fn count(&mut self, document: &Document) -> Result<u64> {
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
        Ok(tokens)
    }

    /// Writes the last shard, removes the journal, and returns the figures.
    pub(super) fn finish(mut self) -> Result<EndpointStats> {
        if !self.waiting.is_empty() {
            self.write_shard()?;
        }
        fs_err::remove_file(self.folder.join(JOURNAL))?;
        let (sum, tokens) = self.log_probability;
        self.stats.mean_log_probability = (tokens > 0).then(|| sum / tokens as f64);
        Ok(self.stats)
    }
}

/// The id of document `number`, the same as the local decoder's.
pub(super) fn document_id(number: u64) -> String {
    format!("synthetic-{number}")
}

fn line(written: &Written) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(written).map_err(std::io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// Locks the folder for this process: its settings' file, which is never written again.
fn lock(folder: &Path) -> Result<File> {
    let file = File::open(folder.join(SETTINGS))?;
    match file.file().try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::setting("out", folder.display(), "a folder that no other process is generating into"))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The journal's documents from number `next` on. Cuts off a last line without its end.
fn read_journal(path: &Path, journal: &mut File, next: u64) -> Result<BTreeMap<u64, Written>> {
    let damaged =
        |row: usize, what: String| Error::Damaged { path: PathBuf::from(path), what: format!("line {row}: {what}") };
    let bytes = fs_err::read(path)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        journal.set_len(whole as u64)?;
        journal.seek(SeekFrom::End(0))?;
    }
    let mut found = BTreeMap::new();
    for (row, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let written: Written = serde_json::from_slice(line).map_err(|error| damaged(row + 1, error.to_string()))?;
        let number = written.number;
        if number >= next && found.insert(number, written).is_some() {
            return Err(damaged(row + 1, format!("document {number} comes a second time")));
        }
    }
    Ok(found)
}
