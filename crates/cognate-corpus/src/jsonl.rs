//! One file of JSON as records: an object a line, or the elements of one array. What a record is made of is in `json`;
//! which files, and what to do with bad records, is the reader's business.

use std::sync::Arc;

use memchr::{memchr, memchr2};
use serde_json::{Map, Value};

use crate::document::{BadRecord, Document, Origin};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::json;
use crate::reader::ReadOptions;
use crate::unpack::Unpacked;

/// What stands before the first record of a file that some programs write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The records of one file.
#[derive(Debug)]
pub(crate) struct Lines<'m> {
    input: Input,
    source: Unpacked<'m>,
    framing: Framing,
    /// Line or element of the record that was read last, from 1.
    row: u64,
}

/// All fields of a record.
type Object = Map<String, Value>;

/// How records stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Nothing was read yet.
    Unknown,
    Lines,
    /// Inside the one array.
    Elements,
    /// Behind it.
    End,
}

/// The bytes of a record.
enum Record {
    Whole(Vec<u8>),
    /// More bytes than may be.
    TooLong,
}

/// How long a record may be, and whether one that is longer is passed over to its end.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    pass_over: bool,
}

impl<'m> Lines<'m> {
    pub(crate) fn new(input: Input, source: Unpacked<'m>) -> Self {
        Self { input, source, framing: Framing::Unknown, row: 0 }
    }

    /// The next record that is not a blank line; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        let limit = Limit { bytes: options.max_record_bytes, pass_over: options.skips() };
        self.parsed(limit, |record, input, row| json::document(record, options, || input.derived_id(row)))
    }

    /// The next record with all its fields; `None` at the end of the file.
    pub(crate) fn next_fields(&mut self) -> Option<Result<(Origin, Result<Object, BadRecord>)>> {
        let limit = Limit { bytes: ReadOptions::MAX_RECORD_BYTES, pass_over: false };
        self.parsed(limit, |record, _, _| json::all_fields(&record))
    }

    /// What `parse` makes of the next record; `None` at the end of the file.
    fn parsed<T>(
        &mut self,
        limit: Limit,
        parse: impl FnOnce(Vec<u8>, &Input, u64) -> Result<T, BadRecord>,
    ) -> Option<Result<(Origin, Result<T, BadRecord>)>> {
        let record = match self.record(limit) {
            Ok(record) => record?,
            Err(error) => return Some(Err(error)),
        };
        let origin = Origin { file: Arc::clone(&self.input.path), row: self.row };
        let parsed = match record {
            Record::Whole(record) => parse(record, &self.input, self.row),
            Record::TooLong => Err(BadRecord::TooLong { limit: limit.bytes }),
        };
        Some(Ok((origin, parsed)))
    }

    fn record(&mut self, limit: Limit) -> Result<Option<Record>> {
        if self.framing == Framing::Unknown {
            self.find_framing()?;
        }
        loop {
            let record = match self.framing {
                Framing::Elements => self.element(limit)?,
                Framing::End => return Ok(None),
                Framing::Unknown | Framing::Lines => self.line(limit)?,
            };
            match record {
                Some(Record::Whole(bytes)) if bytes.iter().all(u8::is_ascii_whitespace) => {}
                record => return Ok(record),
            }
        }
    }

    /// Passes over what stands before the first record, and the bracket of an array.
    fn find_framing(&mut self) -> Result<()> {
        if self.source.fill(0)?.starts_with(BYTE_ORDER_MARK) {
            self.source.consume(BYTE_ORDER_MARK.len());
        }
        self.framing = Framing::Lines;
        let (lines, next) = self.pass_over_blanks()?;
        self.row = lines;
        if next == Some(b'[') {
            self.source.consume(1);
            self.framing = Framing::Elements;
            self.row = 0;
        }
        Ok(())
    }

    /// How many line ends the white space that comes next has, and what comes after it.
    fn pass_over_blanks(&mut self) -> Result<(u64, Option<u8>)> {
        let mut lines = 0;
        loop {
            let ahead = self.source.fill(self.row)?;
            let blanks = ahead.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            lines += ahead[..blanks].iter().filter(|&&byte| byte == b'\n').count() as u64;
            let (is_end, next) = (ahead.is_empty(), ahead.get(blanks).copied());
            self.source.consume(blanks);
            if is_end || next.is_some() {
                return Ok((lines, next));
            }
        }
    }

    /// The next line without its end, blank or not.
    fn line(&mut self, limit: Limit) -> Result<Option<Record>> {
        let mut line = Some(Vec::new());
        let mut is_begun = false;
        loop {
            let ahead = self.source.fill(self.row)?;
            if ahead.is_empty() && !is_begun {
                return Ok(None);
            }
            is_begun = true;
            let end = memchr(b'\n', ahead);
            let taken = end.unwrap_or(ahead.len());
            add(&mut line, &ahead[..taken], limit);
            let is_whole = end.is_some() || ahead.is_empty() || (line.is_none() && !limit.pass_over);
            self.source.consume(taken + usize::from(end.is_some()));
            if is_whole {
                self.row += 1;
                return Ok(Some(line.map_or(Record::TooLong, Record::Whole)));
            }
        }
    }

    /// The next element of the array, without the comma behind it.
    fn element(&mut self, limit: Limit) -> Result<Option<Record>> {
        if self.pass_over_blanks()?.1 == Some(b']') {
            self.source.consume(1);
            self.framing = Framing::End;
            return match self.pass_over_blanks()?.1 {
                None => Ok(None),
                Some(_) => Err(self.broken_array("something follows the array")),
            };
        }
        let mut element = Some(Vec::new());
        let mut scan = Scan::default();
        loop {
            let ahead = self.source.fill(self.row)?;
            if ahead.is_empty() {
                return Err(self.broken_array("the file ends inside the array"));
            }
            let end = scan.end_of_element(ahead);
            let taken = end.unwrap_or(ahead.len());
            add(&mut element, &ahead[..taken], limit);
            let is_comma = end.is_some_and(|end| ahead[end] == b',');
            self.source.consume(taken + usize::from(is_comma));
            if end.is_some() || (element.is_none() && !limit.pass_over) {
                self.row += 1;
                return Ok(Some(element.map_or(Record::TooLong, Record::Whole)));
            }
        }
    }

    fn broken_array(&self, told: &str) -> Error {
        let path = self.input.path.to_path_buf();
        Error::Damaged { path, container: "an array of JSON", records: self.row, source: told.into() }
    }
}

/// Adds bytes to a record, or lets go of it where it grows too long.
fn add(record: &mut Option<Vec<u8>>, bytes: &[u8], limit: Limit) {
    match record {
        Some(found) if found.len() + bytes.len() <= limit.bytes => found.extend_from_slice(bytes),
        _ => *record = None,
    }
}

/// Where inside an element of an array the bytes so far end.
#[derive(Default)]
struct Scan {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Where the element ends: at a comma or closing bracket that belongs to the array around it.
    fn end_of_element(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_in_string {
                if std::mem::take(&mut self.is_escaped) {
                    at += 1;
                    continue;
                }
                at += memchr2(b'"', b'\\', &bytes[at..])?;
                self.is_escaped = bytes[at] == b'\\';
                self.is_in_string = self.is_escaped;
            } else {
                match bytes[at] {
                    b'"' => self.is_in_string = true,
                    b',' | b']' if self.depth == 0 => return Some(at),
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            at += 1;
        }
        None
    }
}
