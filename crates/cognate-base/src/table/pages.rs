//! Bounds on what a table can cost: its pages are looked at before any of them is unpacked, so that time and memory follow
//! from the file's size and not from the numbers in it.
//!
//! Levels and values of Parquet are run-length encoded and pages packed: seven kilobytes can stand for 2³¹ nulls or two
//! gigabytes of zeros. Real columns come nowhere near the bounds here.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

/// Levels (values, nulls and empty lists) of a column that are always allowed, and further ones for each byte of the file.
const LEVELS: (u64, u64) = (1 << 20, 64);
/// Bytes of a column's unpacked pages that are always allowed, and further ones for each byte of the file. deflate cannot
/// pack more than 1,032 into one.
const BYTES: (u64, u64) = (1 << 26, 4096);

/// A Parquet file whose columns are bounded. One is good for one reading: the bounds are on all that is read through it.
pub(crate) struct Bounded {
    inner: Arc<SerializedFileReader<File>>,
    /// The same file, to look at its pages.
    pages: Arc<File>,
    size: u64,
    /// What was spent on each column.
    spent: Vec<Spent>,
}

#[derive(Default)]
struct Spent {
    levels: AtomicU64,
    bytes: AtomicU64,
}

impl Bounded {
    pub(crate) fn open(file: File) -> Result<Self> {
        let (pages, size) = (Arc::new(file.try_clone()?), file.metadata()?.len());
        let inner = Arc::new(SerializedFileReader::new(file)?);
        Ok(Self::of(inner, pages, size))
    }

    /// The same file for another reading.
    pub(crate) fn anew(&self) -> Self {
        Self::of(Arc::clone(&self.inner), Arc::clone(&self.pages), self.size)
    }

    fn of(inner: Arc<SerializedFileReader<File>>, pages: Arc<File>, size: u64) -> Self {
        let columns = inner.metadata().file_metadata().schema_descr().num_columns();
        Self { inner, pages, size, spent: std::iter::repeat_with(Spent::default).take(columns).collect() }
    }

    /// Rows that the file claims to have.
    pub(crate) fn rows(&self) -> Result<usize> {
        let rows = AtomicU64::new(0);
        for group in self.metadata().row_groups() {
            self.spend(&rows, u64::try_from(group.num_rows())?, LEVELS, "rows")?;
        }
        Ok(usize::try_from(rows.into_inner())?)
    }

    /// Looks at the pages of a chunk of a column.
    fn check(&self, chunk: &ColumnChunkMetaData, spent: &Spent) -> Result<()> {
        let (start, length) = chunk.byte_range();
        let end = start.checked_add(length).filter(|&end| end <= self.size);
        let end = end.ok_or_else(|| damage("a column ends behind the file's end"))?;
        let mut cursor = Cursor { file: &self.pages, next: start, end, buffer: Vec::new(), at: 0 };
        while cursor.position() < end {
            let page = cursor.page()?;
            cursor.pass(page.packed)?;
            // A dictionary holds its values one by one, each in several bytes.
            if page.is_dictionary && page.values > page.unpacked {
                return Err(damage("a dictionary has more values than bytes"));
            }
            self.spend(&spent.levels, page.values, LEVELS, "values")?;
            self.spend(&spent.bytes, page.unpacked, BYTES, "unpacked bytes")?;
        }
        Ok(())
    }

    fn spend(&self, spent: &AtomicU64, amount: u64, (always, each): (u64, u64), what: &str) -> Result<()> {
        let all = spent.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        if all <= self.size.saturating_mul(each).saturating_add(always) {
            return Ok(());
        }
        Err(damage(&format!("it claims {all} {what} in a file of {} bytes", self.size)))
    }
}

fn damage(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

impl FileReader for Bounded {
    fn metadata(&self) -> &ParquetMetaData {
        self.inner.metadata()
    }

    fn num_row_groups(&self) -> usize {
        self.inner.num_row_groups()
    }

    fn get_row_group(&self, i: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(BoundedGroup { inner: self.inner.get_row_group(i)?, file: self }))
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_file(projection, self)
    }
}

struct BoundedGroup<'a> {
    inner: Box<dyn RowGroupReader + 'a>,
    file: &'a Bounded,
}

impl RowGroupReader for BoundedGroup<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.inner.metadata()
    }

    fn num_columns(&self) -> usize {
        self.inner.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Result<Box<dyn PageReader>> {
        let chunk = self.metadata().columns().get(i).zip(self.file.spent.get(i));
        let (chunk, spent) = chunk.ok_or_else(|| damage("a row group lacks a column"))?;
        self.file.check(chunk, spent)?;
        self.inner.get_column_page_reader(i)
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.inner.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// What a page's header says of its size.
#[derive(Default)]
struct PageHeader {
    packed: u64,
    unpacked: u64,
    values: u64,
    is_dictionary: bool,
}

/// A place in the pages of a column, and what was read ahead from there.
struct Cursor<'a> {
    file: &'a File,
    /// Where what was read ahead ends in the file, and where the pages do.
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

/// Types of Thrift's compact protocol.
mod thrift {
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
}

impl Cursor<'_> {
    fn position(&self) -> u64 {
        self.next - (self.buffer.len() - self.at) as u64
    }

    /// Reads a `PageHeader` of parquet.thrift: the kind of page, its size unpacked and packed (fields 1 to 3), and the number
    /// of values, which is the first field of the header of its kind (5 data, 7 dictionary, 8 data of version 2).
    fn page(&mut self) -> Result<PageHeader> {
        let mut page = PageHeader::default();
        self.each_field(&mut |cursor, field, kind| {
            match (field, kind) {
                (2, thrift::I32) => page.unpacked = cursor.size()?,
                (3, thrift::I32) => page.packed = cursor.size()?,
                (5 | 7 | 8, thrift::STRUCT) => {
                    page.is_dictionary = field == 7;
                    cursor.each_field(&mut |cursor, field, kind| match (field, kind) {
                        (1, thrift::I32) => cursor.size().map(|values| page.values = values),
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
        const DEPTH_MAX: usize = 16;
        if depth > DEPTH_MAX {
            return Err(damage("a page's header is too deep"));
        }
        match kind {
            thrift::TRUE | thrift::FALSE => Ok(()),
            thrift::I8 => self.pass(1),
            thrift::I16 | thrift::I32 | thrift::I64 => self.varint().map(drop),
            thrift::DOUBLE => self.pass(8),
            thrift::BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            thrift::LIST | thrift::SET => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                (0..length).try_for_each(|_| self.skip_element(head & 15, depth))
            }
            thrift::MAP => {
                let length = self.varint()?;
                let kinds = if length == 0 { 0 } else { self.byte()? };
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            thrift::STRUCT => self.each_field(&mut |cursor, _, kind| cursor.skip(kind, depth + 1)),
            _ => Err(damage("a page's header is none")),
        }
    }

    /// Passes over a value in a collection, where even a truth value takes a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<()> {
        match kind {
            thrift::TRUE | thrift::FALSE => self.pass(1),
            _ => self.skip(kind, depth + 1),
        }
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
        Err(damage("a page's header holds a number that is too long"))
    }

    fn byte(&mut self) -> Result<u8> {
        const AHEAD: u64 = 512;
        if self.at == self.buffer.len() {
            let length = AHEAD.min(self.end - self.next);
            self.buffer = self.file.get_bytes(self.next, length as usize)?.to_vec();
            self.next += length;
            self.at = 0;
        }
        let byte = self.buffer.get(self.at).ok_or_else(|| damage("a column ends inside a page's header"))?;
        self.at += 1;
        Ok(*byte)
    }

    /// Goes `bytes` further.
    fn pass(&mut self, bytes: u64) -> Result<()> {
        let ahead = (self.buffer.len() - self.at) as u64;
        if bytes <= ahead {
            self.at += bytes as usize;
            return Ok(());
        }
        let to = self.position().checked_add(bytes).filter(|&to| to <= self.end);
        self.next = to.ok_or_else(|| damage("a page ends behind its column's end"))?;
        self.buffer.clear();
        self.at = 0;
        Ok(())
    }
}
