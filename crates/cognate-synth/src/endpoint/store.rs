//! The output folder: the same shards as the local decoder's (`synthetic-00000.jsonl.zst`, …), and the journal.
//!
//! `journal.jsonl` holds, in the order of their arrival, the documents that no shard holds yet: a line each, appended before the
//! next is asked for. Killed at any point, a restart finds every document that had arrived. A line without its end was being
//! written; that document is asked for again. Once a shard stands, the journal is written anew without its documents; lines of
//! documents that a shard holds (killed in between) are passed over. A finished generation has no journal.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_corpus::Document;
use fs_err::{File, OpenOptions};
use serde_json::{Map, Value};

use super::protocol::Written;
use crate::error::{Error, Result};
use crate::generate::files::Files;
use crate::generate::seeds::Origins;
use crate::generate::{GenerateConfig, GenerateStats, Numbers};

pub(crate) const JOURNAL: &str = "journal.jsonl";

/// The output folder of a generation by a completion server.
pub(crate) struct Store<'a> {
    folder: &'a Path,
    record: &'a dyn Fn(&Written) -> Document,
    numbers: Numbers,
    files: Files<'a>,
    /// The first document that has not been handed on.
    next: u64,
    /// Tokens of the documents before it.
    tokens: u64,
    /// Documents from `next` on, waiting for earlier ones.
    held: BTreeMap<u64, Written>,
    /// Documents before `next` that are in no shard yet.
    waiting: Vec<Written>,
    journal: File,
}

impl<'a> Store<'a> {
    /// Opens the folder, new or left by an earlier run.
    pub(crate) fn open(
        folder: &'a Path,
        settings: &Map<String, Value>,
        record: &'a dyn Fn(&Written) -> Document,
        config: &GenerateConfig,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let files = Files::open(folder, settings, config, monitor)?;
        let path = folder.join(JOURNAL);
        let mut journal = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let (next, tokens) = (files.next(), files.tokens());
        let held = read_journal(&path, &mut journal, next, config, monitor)?;
        let (numbers, waiting) = (Numbers::of(config), Vec::new());
        let mut store = Self { folder, record, numbers, files, next, tokens, held, waiting, journal };
        store.hand_on()?;
        Ok(store)
    }

    /// The first document that is not known yet, or waits for none before it.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Tokens of all documents before [`Self::next`].
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether document `number`, from [`Self::next`] on, is there.
    pub(crate) fn holds(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// Bytes of the documents that wait for an earlier one.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.values().map(|written| written.text.len()).sum()
    }

    /// Whether the target is reached.
    pub(crate) fn is_complete(&self) -> bool {
        self.numbers.reached(self.next, self.tokens)
    }

    /// Whether the documents before `number` that are there reach the target: then `number` will not be wanted.
    pub(crate) fn is_needless(&self, number: u64) -> bool {
        let held: u64 = self.held.range(..number).map(|(_, written)| written.tokens).sum();
        self.numbers.reached(number, self.tokens + held)
    }

    /// Keeps a document that has arrived.
    pub(crate) fn accept(&mut self, written: Written) -> Result<()> {
        // One call, so that a kill leaves a whole line or one without its end.
        self.journal.write_all(&line(&written)?)?;
        self.held.insert(written.number, written);
        self.hand_on()
    }

    /// Moves documents on for as long as none is missing and the target is not reached; writes the shards that they fill.
    fn hand_on(&mut self) -> Result<()> {
        while !self.is_complete() {
            let Some(written) = self.held.remove(&self.next) else { break };
            self.next += self.numbers.step;
            self.tokens += written.tokens;
            self.waiting.push(written);
            if self.files.is_full(self.waiting.len()) {
                self.write_shard()?;
                self.shorten_journal()?;
            }
        }
        Ok(())
    }

    fn write_shard(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.files.write(waiting.iter().map(self.record))
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

    /// Writes the last shard, removes the journal, and returns the figures.
    pub(crate) fn finish(mut self, origins: &dyn Origins, monitor: &dyn Monitor) -> Result<GenerateStats> {
        if !self.waiting.is_empty() {
            self.write_shard()?;
        }
        fs_err::remove_file(self.folder.join(JOURNAL))?;
        self.files.figures(origins, monitor)
    }
}

fn line(written: &Written) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(written).map_err(std::io::Error::from)?;
    line.push(b'\n');
    Ok(line)
}

/// The journal's documents from number `next` on. Cuts off a last line without its end.
fn read_journal(
    path: &Path,
    journal: &mut File,
    next: u64,
    config: &GenerateConfig,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<u64, Written>> {
    let numbers = Numbers::of(config);
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
        monitor.check()?;
        let written: Written = serde_json::from_slice(line).map_err(|error| damaged(row + 1, error.to_string()))?;
        let number = written.number;
        if !numbers.holds(number) || !(1..=config.max_new_tokens as u64).contains(&written.tokens) {
            return Err(damaged(row + 1, format!("document {number} is none of this generation")));
        }
        if number >= next && found.insert(number, written).is_some() {
            return Err(damaged(row + 1, format!("document {number} comes a second time")));
        }
    }
    Ok(found)
}
