//! Bounds on what a table can cost: its pages are looked at before any of them is unpacked, so that time and memory follow
//! from the file's size and not from the numbers in it.
//!
//! Levels and values of Parquet are run-length encoded and pages packed: seven kilobytes can stand for 2³¹ nulls or two
//! gigabytes of zeros. Real columns come nowhere near the bounds here.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::delta;
use super::thrift::{self, Cursor, damage};

/// Levels (values, nulls and empty lists) of a column that are always allowed, and further ones for each byte of the file.
const LEVELS: (u64, u64) = (1 << 20, 64);
/// Bytes of a column's unpacked pages, and of what texts in them repeat of each other, that are always allowed, and further
/// ones for each byte of the file. deflate cannot pack more than 1,032 into one.
const BYTES: (u64, u64) = (1 << 26, 4096);
const UNPACKED: &str = "unpacked bytes";
/// The same of one page, by its own bytes in the file: pages are unpacked whole. The largest record that is read by default (256 MiB)
/// always has room, with the lengths and levels beside it; real text is packed to a thirtieth at best.
const PAGE_BYTES: (u64, u64) = (257 << 20, 64);

/// A Parquet file whose columns are bounded. One is good for one reading: the bounds are on all that is read through it.
pub(crate) struct Bounded {
    inner: Arc<SerializedFileReader<File>>,
    /// The same file, to look at its pages.
    pages: Arc<File>,
    size: u64,
    /// What was spent on each column.
    spent: Vec<Arc<Spent>>,
}

#[derive(Default)]
struct Spent {
    levels: AtomicU64,
    bytes: AtomicU64,
}

/// Adds to what was spent, where a file of `size` bytes may have so much: some always, and some for each byte.
fn spend(spent: &AtomicU64, amount: u64, size: u64, (always, each): (u64, u64), what: &str) -> Result<()> {
    let all = spent.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
    if all <= most(size, always, each) {
        return Ok(());
    }
    Err(damage(&format!("it claims {all} {what} in a file of {size} bytes")))
}

fn most(size: u64, always: u64, each: u64) -> u64 {
    size.saturating_mul(each).saturating_add(always)
}

/// Refuses a page of `packed` bytes that makes too many of them.
fn check_page(unpacked: u64, packed: u64) -> Result<()> {
    let (always, each) = PAGE_BYTES;
    if unpacked <= most(packed, always, each) {
        return Ok(());
    }
    Err(damage(&format!("a page of {packed} bytes claims {unpacked} {UNPACKED}")))
}

impl Bounded {
    pub(crate) fn open(file: File) -> Result<Self> {
        let (pages, size) = (Arc::new(file.try_clone()?), file.metadata()?.len());
        thrift::check_footer(&pages, size)?;
        let inner = Arc::new(SerializedFileReader::new(file)?);
        Ok(Self::of(inner, pages, size))
    }

    /// The same file for another reading.
    pub(crate) fn anew(&self) -> Self {
        Self::of(Arc::clone(&self.inner), Arc::clone(&self.pages), self.size)
    }

    fn of(inner: Arc<SerializedFileReader<File>>, pages: Arc<File>, size: u64) -> Self {
        let columns = inner.metadata().file_metadata().schema_descr().num_columns();
        Self { inner, pages, size, spent: std::iter::repeat_with(Arc::default).take(columns).collect() }
    }

    /// Rows that the file claims to have.
    pub(crate) fn rows(&self) -> Result<usize> {
        let rows = AtomicU64::new(0);
        for group in self.metadata().row_groups() {
            spend(&rows, u64::try_from(group.num_rows())?, self.size, LEVELS, "rows")?;
        }
        Ok(usize::try_from(rows.into_inner())?)
    }

    /// Looks at the pages of a chunk of a column.
    fn check(&self, chunk: &ColumnChunkMetaData, spent: &Spent) -> Result<()> {
        let (start, length) = chunk.byte_range();
        let end = start.checked_add(length).filter(|&end| end <= self.size);
        let end = end.ok_or_else(|| damage("a column ends behind the file's end"))?;
        let mut cursor = Cursor::new(&self.pages, start..end);
        while cursor.position() < end {
            let page = cursor.page()?;
            cursor.pass(page.packed)?;
            // A dictionary holds its values one by one, each in several bytes.
            if page.is_dictionary && page.values > page.unpacked {
                return Err(damage("a dictionary has more values than bytes"));
            }
            check_page(page.unpacked, page.packed)?;
            spend(&spent.levels, page.values, self.size, LEVELS, "values")?;
            spend(&spent.bytes, page.unpacked, self.size, BYTES, UNPACKED)?;
        }
        Ok(())
    }
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
        let column = chunk.column_descr();
        Ok(Box::new(BoundedPages {
            inner: self.inner.get_column_page_reader(i)?,
            levels: [column.max_rep_level(), column.max_def_level()],
            size: self.file.size,
            spent: Arc::clone(spent),
        }))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.inner.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// Pages that are looked at again once they are unpacked: what they hold may announce more than their headers do.
struct BoundedPages {
    inner: Box<dyn PageReader>,
    /// The column's highest levels of repetition and definition.
    levels: [i16; 2],
    size: u64,
    spent: Arc<Spent>,
}

impl Iterator for BoundedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for BoundedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            let repeated = delta::repeated(page, self.levels)?;
            check_page(repeated, page.buffer().len() as u64)?;
            spend(&self.spent.bytes, repeated, self.size, BYTES, UNPACKED)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.inner.take_deferred_dictionary()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}
