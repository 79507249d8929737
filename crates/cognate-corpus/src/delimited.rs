//! One CSV or TSV file as records: the first row names the fields, quotes may hold line ends, as spreadsheets and pandas
//! write them.

use std::sync::Arc;

use csv_core::ReadRecordResult;

use crate::document::{BadRecord, Document, Origin};
use crate::error::{Error, Result};
use crate::group::or_of_metadata;
use crate::input::Input;
use crate::json::METADATA;
use crate::metadata::Metadata;
use crate::reader::ReadOptions;
use crate::unpack::Unpacked;

/// The records of one file.
#[derive(Debug)]
pub(crate) struct Rows<'m> {
    input: Input,
    source: Unpacked<'m>,
    parser: csv_core::Reader,
    /// The fields of the row that was read last, one after the other, and where each of them ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    columns: Columns,
    /// The line on which that row begins, from 1.
    line: u64,
}

/// Which columns matter.
#[derive(Debug)]
struct Columns {
    number: usize,
    id: Option<usize>,
    text: usize,
    group: Option<usize>,
    metadata: Option<usize>,
}

/// What the first row of a file names.
pub(crate) fn names(input: Input, source: Unpacked<'_>, delimiter: u8) -> Result<Vec<String>> {
    let mut rows = Rows::new(input, source, delimiter);
    rows.row(ReadOptions::MAX_RECORD_BYTES)?;
    Ok(rows.names())
}

impl<'m> Rows<'m> {
    fn new(input: Input, source: Unpacked<'m>, delimiter: u8) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let columns = Columns { number: 0, id: None, text: 0, group: None, metadata: None };
        Self { input, source, parser, fields: Vec::new(), ends: Vec::new(), columns, line: 0 }
    }

    /// A file whose first row is read.
    pub(crate) fn open(input: Input, source: Unpacked<'m>, delimiter: u8, options: &ReadOptions) -> Result<Self> {
        let mut rows = Self::new(input, source, delimiter);
        // An empty file has no documents.
        if let Some(is_whole) = rows.row(options.max_record_bytes)? {
            let path = || rows.input.path.to_path_buf();
            let names = rows.names();
            let column = |name: &str| names.iter().position(|found| found == name);
            let Some(text) = column(&options.text_field).filter(|_| is_whole) else {
                let found = names.into_iter().take(NAMED).collect();
                return Err(Error::NoColumn { path: path(), column: options.text_field.clone(), found });
            };
            let id = column(&options.id_field).filter(|_| !options.id_field.is_empty());
            let group = column(&options.group_field).filter(|_| !options.group_field.is_empty());
            rows.columns = Columns { number: names.len(), id, text, group, metadata: column(METADATA) };
        }
        Ok(rows)
    }

    /// The fields of the row that was read last, as names.
    fn names(&self) -> Vec<String> {
        (0..self.ends.len()).map(|at| String::from_utf8_lossy(self.field(at)).into()).collect()
    }

    /// The next record; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        let limit = options.max_record_bytes;
        let is_whole = match self.row(limit) {
            Ok(is_whole) => is_whole?,
            Err(error) => return Some(Err(error)),
        };
        let origin = Origin { file: Arc::clone(&self.input.path), row: self.line };
        let document = if is_whole { self.document(options) } else { Err(BadRecord::TooLong { limit }) };
        Some(Ok((origin, document)))
    }

    fn document(&mut self, options: &ReadOptions) -> Result<Document, BadRecord> {
        let (expected, found) = (self.columns.number, self.ends.len());
        if expected != found {
            return Err(BadRecord::FieldCount { expected, found });
        }
        let text = |at: usize, field: &str| match std::str::from_utf8(self.field(at)) {
            Ok(text) => Ok(text),
            Err(error) => Err(BadRecord::FieldNotUtf8 { field: field.to_owned(), byte: error.valid_up_to() + 1 }),
        };
        let id = match self.columns.id {
            Some(at) if !self.field(at).is_empty() => text(at, &options.id_field)?.to_owned(),
            _ => self.input.derived_id(self.line),
        };
        let metadata = match self.columns.metadata {
            Some(at) if !self.field(at).is_empty() => Metadata::from_cell(text(at, METADATA)?),
            _ => Metadata::default(),
        };
        let group = match self.columns.group {
            Some(at) if !self.field(at).is_empty() => Some(text(at, &options.group_field)?.to_owned()),
            _ => None,
        };
        let group = or_of_metadata(group, &metadata, options)?;
        text(self.columns.text, &options.text_field)?;
        // What was checked becomes the text without being copied.
        let (start, end) = self.span(self.columns.text);
        let mut fields = std::mem::take(&mut self.fields);
        fields.truncate(end);
        fields.drain(..start);
        fields.shrink_to_fit();
        let text = String::from_utf8(fields).unwrap_or_default();
        Ok(Document { id, text, group, metadata })
    }

    fn span(&self, at: usize) -> (usize, usize) {
        (if at == 0 { 0 } else { self.ends[at - 1] }, self.ends[at])
    }

    fn field(&self, at: usize) -> &[u8] {
        let (start, end) = self.span(at);
        &self.fields[start..end]
    }

    /// Reads the next row: whether it is no longer than `limit`; `None` at the end of the file.
    fn row(&mut self, limit: usize) -> Result<Option<bool>> {
        let (mut written, mut ended, mut is_whole) = (0, 0, true);
        self.fields.resize(FIRST_BYTES, 0);
        self.ends.resize(FIRST_FIELDS, 0);
        let mut is_begun = false;
        loop {
            let ahead = self.source.fill(self.line)?;
            let before = self.parser.line();
            let (result, taken, put, ends) =
                self.parser.read_record(ahead, &mut self.fields[written..], &mut self.ends[ended..]);
            if !is_begun {
                // Blank lines may come first; the row then begins where they end, or on this line.
                let blank = ahead[..taken].iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
                self.line = before + blank.filter(|&&byte| byte == b'\n').count() as u64;
                is_begun = put > 0 || ends > 0;
            }
            self.source.consume(taken);
            (written, ended) = (written + put, ended + ends);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if is_whole && written < limit => {
                    self.fields.resize((2 * written).min(limit), 0);
                }
                // The rest goes by unkept.
                ReadRecordResult::OutputFull => (is_whole, written) = (false, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_FIELDS => {
                    self.ends.resize(2 * self.ends.len(), 0);
                }
                ReadRecordResult::OutputEndsFull => (is_whole, ended) = (false, 0),
                ReadRecordResult::Record => {
                    self.fields.truncate(written);
                    self.ends.truncate(if is_whole { ended } else { 0 });
                    return Ok(Some(is_whole));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }
}

/// Columns that a message names at most.
const NAMED: usize = 20;
/// Room for a row to begin with.
const FIRST_BYTES: usize = 1 << 10;
const FIRST_FIELDS: usize = 16;
/// More columns than any spreadsheet has: what has more is no table.
const MOST_FIELDS: usize = 1 << 17;
