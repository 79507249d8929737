//! What ingest learns of its inputs before it writes: who they are, which are copies, which split each belongs to, and which passages
//! validation holds. Hashes are kept, never texts.

use std::collections::HashMap;
use std::sync::Arc;

use cognate_base::{Hash, Monitor, Unit};

use crate::contamination::Passages;
use crate::document::{Document, Origin, Rejected};
use crate::draw::{Draw, last_turn};
use crate::error::{Error, Result};
use crate::group::fields_of;
use crate::ingest::{IngestConfig, Split};
use crate::input::Input;
use crate::pieces::{Cuttings, Parts};
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
    /// Where long documents are cut.
    pub(crate) cuttings: Cuttings,
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

/// The documents of the inputs, the pieces of those that are cut each as one.
pub(crate) struct Documents<'m> {
    reader: Reader<'m>,
    /// Records so far.
    records: usize,
    /// What is left of the record that was read last.
    parts: Option<(Origin, Parts)>,
    /// Whether that names no group, until somebody asks.
    alone: bool,
}

/// Opens the inputs once more, already expanded.
pub(crate) fn open<'m>(files: &[Input], config: &IngestConfig, monitor: &'m dyn Monitor) -> Result<Documents<'m>> {
    let reader = Reader::of_files(files.to_vec(), &config.read, monitor)?;
    Ok(Documents { reader, records: 0, parts: None, alone: false })
}

impl Documents<'_> {
    /// The next document, where records are cut as the first reading has cut them.
    pub(crate) fn next(&mut self, cuttings: &Cuttings) -> Option<Result<(Origin, Document)>> {
        loop {
            if let Some((origin, parts)) = &mut self.parts
                && let Some(document) = parts.next()
            {
                return Some(Ok((origin.clone(), document)));
            }
            let (origin, document) = match self.reader.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            self.alone = document.group.is_none();
            let Some(parts) = cuttings.parts(self.records, document) else {
                return Some(Err(Error::InputChanged { origin }));
            };
            self.records += 1;
            self.parts = Some((origin, parts));
        }
    }

    /// Whether the record that was read last names no group; once for all of its pieces.
    pub(crate) fn take_alone(&mut self) -> bool {
        std::mem::take(&mut self.alone)
    }

    /// The bad records passed over since the last call.
    pub(crate) fn rejected(&mut self) -> Vec<Rejected> {
        self.reader.rejected()
    }

    /// The size of all files on disk, in bytes.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.reader.total_bytes()
    }
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

pub(crate) fn report(monitor: &dyn Monitor, documents: &Documents<'_>, read: usize) {
    if read.is_multiple_of(STRIDE) {
        monitor.advance(documents.reader.read_bytes(), "");
    }
}

/// What is known of the documents while they are read for the first time.
struct Reading<'a> {
    files: &'a [Input],
    config: &'a IngestConfig,
    entries: Vec<Entry>,
    left_out: HashMap<usize, LeftOut>,
    /// Who has an identifier, by its hash.
    bearers: HashMap<u128, usize>,
    /// Of each document, where there is a limit.
    turns: Vec<u64>,
    without_text: u64,
}

impl Reading<'_> {
    /// Takes a document; says whether it is one of the corpus.
    fn add(&mut self, document: &Document, is_piece: bool, file: u32, origin: &Origin) -> Result<bool> {
        let entry = Entry::of(self.config.seed, document, file, origin.row);
        let place = self.entries.len();
        self.entries.push(entry);
        if self.config.limit.is_some() {
            self.turns.push(turn(self.config.seed, document));
        }
        if !document.has_text() {
            self.left_out.insert(place, LeftOut::NoText);
            self.without_text += 1;
            return Ok(false);
        }
        if let Some(&first) = self.bearers.get(&entry.id) {
            let first_origin = origin_of(&self.entries[first], self.files);
            let id = document.id.clone();
            if is_piece {
                return Err(Error::PieceId { id, origin: origin.clone(), first: first_origin });
            }
            if !self.config.read.skips() {
                return Err(Error::DuplicateId { id, first: first_origin, second: origin.clone() });
            }
            self.left_out.insert(place, LeftOut::RepeatedId(first));
            return Ok(false);
        }
        self.bearers.insert(entry.id, place);
        Ok(true)
    }

    /// Leaves out what is beyond the limit.
    fn limit(&mut self, limit: u64) {
        let places: Vec<usize> = (0..self.entries.len()).filter(|place| !self.left_out.contains_key(place)).collect();
        if let Some(last) = last_turn(places.iter().map(|&place| self.turns[place]).collect(), limit) {
            let beyond = places.into_iter().filter(|&place| self.turns[place] > last);
            self.left_out.extend(beyond.map(|place| (place, LeftOut::BeyondLimit)));
        }
    }
}

impl Survey {
    pub(crate) fn take(files: &[Input], config: &IngestConfig, monitor: &dyn Monitor) -> Result<Self> {
        let cutter = config.cutter()?;
        let mut reader = Reader::of_files(files.to_vec(), &config.read, monitor)?;
        let cuts = Cuts::new(config.validation_share, config.unique_share, config.selection_share);
        let named = !config.read.group_field.is_empty();
        let of_groups = named || cutter.is_some();
        // Where all documents decide which are of validation, their passages are found later.
        let is_known = !of_groups && config.limit.is_none();
        let mut passages = Passages::new(config.contamination_words);
        let mut reading = Reading {
            files,
            config,
            entries: Vec::new(),
            left_out: HashMap::new(),
            bearers: HashMap::new(),
            turns: Vec::new(),
            without_text: 0,
        };
        let (mut cuttings, mut number) = (Cuttings::default(), FileNumber::default());
        let (mut rejected, mut groups, mut records) = (0, 0, 0);
        monitor.begin("reading documents", Some(reader.total_bytes()), Unit::Bytes);
        while let Some(record) = reader.next() {
            let (origin, document) = record?;
            rejected += reader.rejected().len() as u64;
            groups += u64::from(document.group.is_some());
            let file = number.of(&origin, files);
            let id = Hash::of(&document.id).short();
            let ends = match &cutter {
                // A record whose identifier another one has is told of or passed over as a whole.
                Some(cutter) if !reading.bearers.contains_key(&id) => {
                    cutter.ends(&document.text, monitor).map_err(|error| error.of_document(&origin, &document.id))?
                }
                _ => Vec::new(),
            };
            let is_cut = ends.len() > 1 && document.has_text();
            if is_cut {
                reading.bearers.insert(id, reading.entries.len());
                cuttings.add(records, ends);
            }
            let parts = cuttings.parts(records, document);
            records += 1;
            for part in parts.into_iter().flatten() {
                let is_taken = reading.add(&part, is_cut, file, &origin)?;
                let place = reading.entries.last().map_or(0, |entry| entry.place);
                // Copies of a validation text are looked at as well: the one that stays is a validation document then.
                if is_taken && is_known && cuts.split(place) == Split::Validation {
                    passages.add(&part.text);
                }
            }
            if records.is_multiple_of(STRIDE) {
                monitor.advance(reader.read_bytes(), "");
            }
        }
        monitor.end();
        rejected += reader.rejected().len() as u64;
        if reading.entries.len() == reading.left_out.len() {
            let inputs: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
            let without_text = reading.without_text;
            return Err(Error::EmptyCorpus { inputs: inputs.join(", "), rejected, without_text });
        }
        if named && groups == 0 {
            let fields = fields_of(files, monitor);
            return Err(Error::NoGroupField { field: config.read.group_field.clone(), fields });
        }
        if let Some(limit) = config.limit {
            reading.limit(limit);
        }
        let Reading { entries, left_out, .. } = reading;
        let takes_part = |place: usize| !left_out.contains_key(&place);
        let draw = match of_groups {
            false => Draw::ByPlace(cuts),
            true => {
                let parts = entries.iter().enumerate().filter(|(at, _)| takes_part(*at));
                Draw::of_groups(parts.map(|(_, entry)| entry.place), config)
            }
        };
        let duplicates = exact_duplicates(&entries, takes_part, |place| draw.split(place));
        let mut survey = Self { entries, left_out, duplicates, passages, frequent_passages: 0, draw, cuttings };
        if !is_known && config.contamination_words > 0 {
            survey.find_passages(files, config, monitor)?;
        }
        survey.count_passages(files, config, monitor)?;
        Ok(survey)
    }

    /// Reads once more, for the passages of the validation documents.
    fn find_passages(&mut self, files: &[Input], config: &IngestConfig, monitor: &dyn Monitor) -> Result<()> {
        if config.contamination_words == 0 {
            return Ok(());
        }
        let mut reader = open(files, config, monitor)?;
        monitor.begin("finding passages", Some(reader.total_bytes()), Unit::Bytes);
        let mut place = 0;
        while let Some(record) = reader.next(&self.cuttings) {
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
        while let Some(record) = reader.next(&self.cuttings) {
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
