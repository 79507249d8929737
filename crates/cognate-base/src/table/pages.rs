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
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::thrift::{self, Cursor, damage};

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
        let mut cursor = Cursor::new(&self.pages, start..end);
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
