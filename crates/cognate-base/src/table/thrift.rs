//! The headers of Parquet, as far as bounds need them: Thrift's compact protocol, read without believing a number in it.
//!
//! The decoder's own reader takes no byte for a truth value in a list, so that a few bytes can keep it busy for hours; and it
//! follows the schema by recursion, however deep.

use std::fs::File;
use std::ops::Range;

use parquet::errors::{ParquetError, Result};
use parquet::file::reader::ChunkReader;

/// Levels of groups in a schema. A list takes two, a map three.
const SCHEMA_DEPTH_MAX: usize = 100;

pub(super) fn damage(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// Looks at what stands at the file's end: `FileMetaData` of parquet.thrift, its length in four bytes, and the mark. What is no
/// such end at all is left to the decoder.
pub(super) fn check_footer(file: &File, size: u64) -> Result<()> {
    let Some(end) = size.checked_sub(8) else { return Ok(()) };
    let tail = file.get_bytes(end, 8)?;
    let Some((length, b"PAR1")) = tail.split_first_chunk() else { return Ok(()) };
    let Some(start) = end.checked_sub(u32::from_le_bytes(*length).into()) else { return Ok(()) };
    Cursor::new(file, start..end).each_field(&mut |cursor, field, kind| match (field, kind) {
        (2, ty::LIST) => cursor.schema(),
        _ => cursor.skip(kind, 0),
    })
}

/// Types of Thrift's compact protocol.
mod ty {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const I8: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const UUID: u8 = 13;
}

/// What a page's header says of its size.
#[derive(Default)]
pub(super) struct PageHeader {
    pub(super) packed: u64,
    pub(super) unpacked: u64,
    pub(super) values: u64,
    pub(super) is_dictionary: bool,
}

/// A place in a part of a file, and what was read ahead from there.
pub(super) struct Cursor<'a> {
    file: &'a File,
    /// Where what was read ahead ends in the file, and where the part does.
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(file: &'a File, part: Range<u64>) -> Self {
        Self { file, next: part.start, end: part.end, buffer: Vec::new(), at: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.next - (self.buffer.len() - self.at) as u64
    }

    /// Reads a `PageHeader` of parquet.thrift: the kind of page, its size unpacked and packed (fields 1 to 3), and the number
    /// of values, which is the first field of the header of its kind (5 data, 7 dictionary, 8 data of version 2).
    pub(super) fn page(&mut self) -> Result<PageHeader> {
        let mut page = PageHeader::default();
        self.each_field(&mut |cursor, field, kind| {
            match (field, kind) {
                (2, ty::I32) => page.unpacked = page.unpacked.max(cursor.size()?),
                (3, ty::I32) => page.packed = cursor.size()?,
                (5 | 7 | 8, ty::STRUCT) => {
                    page.is_dictionary |= field == 7;
                    cursor.each_field(&mut |cursor, field, kind| match (field, kind) {
                        (1, ty::I32) => cursor.size().map(|values| page.values = page.values.max(values)),
                        _ => cursor.skip(kind, 0),
                    })?;
                }
                _ => cursor.skip(kind, 0)?,
            }
            Ok(())
        })?;
        Ok(page)
    }

    /// Calls `visit` at each field of a struct with its number and type.
    fn each_field(&mut self, visit: &mut dyn FnMut(&mut Self, i64, u8) -> Result<()>) -> Result<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => self.integer()?,
                delta => field.saturating_add(i64::from(delta)),
            };
            visit(self, field, head & 15)?;
        }
    }

    /// Passes over a value.
    fn skip(&mut self, kind: u8, depth: usize) -> Result<()> {
        const DEPTH_MAX: usize = 32;
        if depth > DEPTH_MAX {
            return Err(damage("a header is too deep"));
        }
        match kind {
            ty::TRUE | ty::FALSE => Ok(()),
            ty::I8 => self.pass(1),
            ty::I16 | ty::I32 | ty::I64 => self.varint().map(drop),
            ty::DOUBLE => self.pass(8),
            ty::BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            ty::LIST | ty::SET => {
                let (length, kind) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(kind, depth))
            }
            ty::MAP => {
                let length = self.varint()?;
                let kinds = if length == 0 { 0 } else { self.byte()? };
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            ty::STRUCT => self.each_field(&mut |cursor, _, kind| cursor.skip(kind, depth + 1)),
            ty::UUID => self.pass(16),
            _ => Err(damage("a header is none")),
        }
    }

    /// Passes over a value in a collection. No header of Parquet has collections of truth values, and not all readers agree on
    /// how they are written.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<()> {
        match kind {
            ty::TRUE | ty::FALSE => Err(damage("a header holds what no header has")),
            _ => self.skip(kind, depth + 1),
        }
    }

    /// The length of a list, and the type of what is in it.
    fn list(&mut self) -> Result<(u64, u8)> {
        let head = self.byte()?;
        let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((length, head & 15))
    }

    /// Passes over the schema: a list of elements, each followed by as many children as it says (field 5), depth first.
    fn schema(&mut self) -> Result<()> {
        let (length, kind) = self.list()?;
        // Children that are still to come, by level.
        let mut levels: Vec<i64> = Vec::new();
        for _ in 0..length {
            if kind != ty::STRUCT {
                return Err(damage("a schema is none"));
            }
            let mut children = 0;
            self.each_field(&mut |cursor, field, kind| match (field, kind) {
                (5, ty::I32) => cursor.integer().map(|number| children = number),
                _ => cursor.skip(kind, 0),
            })?;
            while levels.pop_if(|left| *left <= 0).is_some() {}
            if let Some(left) = levels.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                levels.push(children);
            }
            if levels.len() > SCHEMA_DEPTH_MAX {
                return Err(damage("its columns are nested too deep"));
            }
        }
        Ok(())
    }

    /// A number of bytes or values.
    fn size(&mut self) -> Result<u64> {
        Ok(u64::try_from(self.integer()?)?)
    }

    /// A signed integer: zigzag.
    fn integer(&mut self) -> Result<i64> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(damage("a header holds a number that is too long"))
    }

    fn byte(&mut self) -> Result<u8> {
        const AHEAD: u64 = 4096;
        if self.at == self.buffer.len() {
            let length = AHEAD.min(self.end - self.next);
            self.buffer = self.file.get_bytes(self.next, length as usize)?.to_vec();
            self.next += length;
            self.at = 0;
        }
        let byte = self.buffer.get(self.at).ok_or_else(|| damage("it ends inside a header"))?;
        self.at += 1;
        Ok(*byte)
    }

    /// Goes `bytes` further.
    pub(super) fn pass(&mut self, bytes: u64) -> Result<()> {
        let ahead = (self.buffer.len() - self.at) as u64;
        if bytes <= ahead {
            self.at += bytes as usize;
            return Ok(());
        }
        let to = self.position().checked_add(bytes).filter(|&to| to <= self.end);
        self.next = to.ok_or_else(|| damage("a page or header ends behind its column's or the file's end"))?;
        self.buffer.clear();
        self.at = 0;
        Ok(())
    }
}
