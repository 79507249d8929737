//! What ingest learns of its inputs before it writes: who they are, which are copies, which split each belongs to, and which passages
//! validation holds. Hashes are kept, never texts.

use std::collections::HashMap;
use std::sync::Arc;

use cognate_base::{Monitor, Unit};

use crate::contamination::Passages;
use crate::document::Origin;
use crate::draw::{Draw, last_turn};
use crate::error::{Error, Result};
use crate::group::fields_of;
use crate::ingest::{IngestConfig, Split};
use crate::input::Input;
use crate::reader::Reader;
use crate::split::{Cuts, Entry, exact_duplicates, turn};

/// Documents between two reports to the monitor.
const STRIDE: usize = 256;

/// What the first reading learns.
pub(crate) struct Survey {
    /// Every document, in the order of reading.
    pub(crate) entries: Vec<Entry>,
    /// Those that take no part, by their place among all.
    pub(crate) left_out: HashMap<usize, LeftOut>,
    /// Copies, each with the place of the one that stays.
    pub(crate) duplicates: HashMap<usize, usize>,
    pub(crate) passages: Passages,
    pub(crate) frequent_passages: u64,
    /// Which split a document belongs to.
    pub(crate) draw: Draw,
}

/// Why a document takes no part in the corpus.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeftOut {
    /// Its text has nothing to read.
    NoText,
    /// The document at this place has its identifier.
    RepeatedId(usize),
    /// Its turn comes after so many documents as are wanted.
    BeyondLimit,
}

/// Opens the inputs once more, already expanded.
pub(crate) fn open<'m>(files: &[Input], config: &IngestConfig, monitor: &'m dyn Monitor) -> Result<Reader<'m>> {
    Reader::of_files(files.to_vec(), &config.read, monitor)
}

/// Follows the position among `files` of the file that records come from.
#[derive(Default)]
pub(crate) struct FileNumber(usize);

impl FileNumber {
    pub(crate) fn of(&mut self, origin: &Origin, files: &[Input]) -> u32 {
        while self.0 + 1 < files.len() && files[self.0].path != origin.file {
            self.0 += 1;
        }
        self.0 as u32
    }
}

pub(crate) fn report(monitor: &dyn Monitor, reader: &Reader<'_>, read: usize) {
    if read.is_multiple_of(STRIDE) {
        monitor.advance(reader.read_bytes(), "");
    }
}

impl Survey {
    pub(crate) fn take(files: &[Input], config: &IngestConfig, monitor: &dyn Monitor) -> Result<Self> {
        let mut reader = open(files, config, monitor)?;
        let cuts = Cuts::new(config.validation_share, config.unique_share, config.selection_share);
        let of_groups = !config.read.group_field.is_empty();
        let mut groups = 0;
        let mut turns: Vec<u64> = Vec::new();
        // Where all documents decide which are of validation, their passages are found later.
        let is_known = !of_groups && config.limit.is_none();
        let mut passages = Passages::new(config.contamination_words);
        let mut entries: Vec<Entry> = Vec::new();
        let mut left_out: HashMap<usize, LeftOut> = HashMap::new();
        let mut bearers: HashMap<u128, usize> = HashMap::new();
        let mut number = FileNumber::default();
        let (mut rejected, mut without_text) = (0, 0);
        monitor.begin("reading documents", Some(reader.total_bytes()), Unit::Bytes);
        while let Some(record) = reader.next() {
            let (origin, document) = record?;
            rejected += reader.rejected().len() as u64;
            let file = number.of(&origin, files);
            let entry = Entry::of(config.seed, &document, file, origin.row);
            let place = entries.len();
            groups += u64::from(document.group.is_some());
            if !document.has_text() {
                left_out.insert(place, LeftOut::NoText);
                without_text += 1;
            } else if let Some(&first) = bearers.get(&entry.id) {
                if !config.read.skips() {
                    let first = origin_of(&entries[first], files);
                    return Err(Error::DuplicateId { id: document.id, first, second: origin });
                }
                left_out.insert(place, LeftOut::RepeatedId(first));
            } else {
                bearers.insert(entry.id, place);
                // Copies of a validation text are looked at as well: the one that stays is a validation document then.
                if is_known && cuts.split(entry.place) == Split::Validation {
                    passages.add(&document.text);
                }
            }
            entries.push(entry);
            if config.limit.is_some() {
                turns.push(turn(config.seed, &document));
            }
            report(monitor, &reader, entries.len());
        }
        monitor.end();
        rejected += reader.rejected().len() as u64;
        if entries.len() == left_out.len() {
            let inputs: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
            return Err(Error::EmptyCorpus { inputs: inputs.join(", "), rejected, without_text });
        }
        if of_groups && groups == 0 {
            let fields = fields_of(files, monitor);
            return Err(Error::NoGroupField { field: config.read.group_field.clone(), fields });
        }
        if let Some(limit) = config.limit {
            let takes_part = |place: &usize| !left_out.contains_key(place);
            let places: Vec<usize> = (0..entries.len()).filter(takes_part).collect();
            if let Some(last) = last_turn(places.iter().map(|&place| turns[place]).collect(), limit) {
                let beyond = places.into_iter().filter(|&place| turns[place] > last);
                left_out.extend(beyond.map(|place| (place, LeftOut::BeyondLimit)));
            }
        }
        let takes_part = |place: usize| !left_out.contains_key(&place);
        let draw = match of_groups {
            false => Draw::ByPlace(cuts),
            true => {
                let parts = entries.iter().enumerate().filter(|(at, _)| takes_part(*at));
                Draw::of_groups(parts.map(|(_, entry)| entry.place), config)
            }
        };
        let duplicates = exact_duplicates(&entries, takes_part, |place| draw.split(place));
        let mut survey = Self { entries, left_out, duplicates, passages, frequent_passages: 0, draw };
        if !is_known {
            survey.find_passages(files, config, monitor)?;
        }
        survey.count_passages(files, config, monitor)?;
        Ok(survey)
    }

    /// Reads once more, for the passages of the validation documents.
    fn find_passages(&mut self, files: &[Input], config: &IngestConfig, monitor: &dyn Monitor) -> Result<()> {
        let mut reader = open(files, config, monitor)?;
        monitor.begin("finding passages", Some(reader.total_bytes()), Unit::Bytes);
        let mut place = 0;
        while let Some(record) = reader.next() {
            let (_, document) = record?;
            let is_in = |entry: &Entry| self.draw.split(entry.place) == Split::Validation;
            if !self.left_out.contains_key(&place) && self.entries.get(place).is_some_and(is_in) {
                self.passages.add(&document.text);
            }
            place += 1;
            report(monitor, &reader, place);
        }
        monitor.end();
        Ok(())
    }

    /// Reads once more, to learn how many documents hold each passage of the validation documents.
    fn count_passages(&mut self, files: &[Input], config: &IngestConfig, monitor: &dyn Monitor) -> Result<()> {
        if self.passages.is_empty() {
            return Ok(());
        }
        let mut reader = open(files, config, monitor)?;
        monitor.begin("counting passages", Some(reader.total_bytes()), Unit::Bytes);
        let mut place = 0;
        while let Some(record) = reader.next() {
            let (_, document) = record?;
            // A copy that is dropped anyhow makes nothing frequent.
            if !self.left_out.contains_key(&place) && !self.duplicates.contains_key(&place) {
                self.passages.count(&document.text);
            }
            place += 1;
            report(monitor, &reader, place);
        }
        monitor.end();
        self.frequent_passages = self.passages.forget_frequent(config.contamination_documents);
        Ok(())
    }
}

pub(crate) fn origin_of(entry: &Entry, files: &[Input]) -> Origin {
    Origin { file: Arc::clone(&files[entry.file as usize].path), row: entry.row }
}
