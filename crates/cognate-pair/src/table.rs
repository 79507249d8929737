//! Parquet tables: columns by name and type, errors that name file, column and row. Which tables there are stands
//! elsewhere.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Schema};
use cognate_base::files::AtomicFile;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// Rows read at a time.
const BATCH_ROWS: usize = 4096;

/// A table being read.
pub(crate) struct TableReader {
    path: PathBuf,
    rows: usize,
    batches: ParquetRecordBatchReader,
    done: usize,
}

impl TableReader {
    /// Opens `path` for its `columns`; other columns are not read.
    ///
    /// The Arrow schema that some writers leave beside the Parquet one is not looked at: text is then always `Utf8` and
    /// a vector always `List`, whichever of their kinds the writer had in memory.
    pub(crate) fn open(path: &Path, columns: &[&'static str]) -> Result<Self> {
        let file = fs_err::File::open(path)?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.into_file(), options)
            .map_err(|source| damaged(path, source))?;
        let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut roots = Vec::new();
        for &column in columns {
            let Some(root) = names.iter().position(|name| name == column) else {
                return Err(Error::NoColumn { path: path.to_path_buf(), column, found: names });
            };
            roots.push(root);
        }
        let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let batches = batches.map_err(|source| damaged(path, source))?;
        Ok(Self { path: path.to_path_buf(), rows, batches, done: 0 })
    }

    /// Rows that the file claims to have; not to be trusted with an allocation.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The next rows, and the number of the first of them.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, RecordBatch)>> {
        let Some(batch) = self.batches.next() else { return Ok(None) };
        let batch = batch.map_err(|source| damaged(&self.path, source))?;
        let start = self.done;
        self.done += batch.num_rows();
        Ok(Some((start, batch)))
    }

    /// A column of a batch that starts at row `start`, without nulls and of the type `expected`.
    pub(crate) fn column<'a>(
        &self,
        (start, batch): (usize, &'a RecordBatch),
        column: &'static str,
        expected: &'static str,
        is_expected: impl FnOnce(&DataType) -> bool,
    ) -> Result<&'a dyn Array> {
        let Some(array) = batch.column_by_name(column) else {
            return Err(Error::NoColumn { path: self.path.clone(), column, found: Vec::new() });
        };
        if !is_expected(array.data_type()) {
            let found = array.data_type().to_string();
            return Err(Error::ColumnType { path: self.path.clone(), column, expected, found });
        }
        if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
            return Err(Error::Null { path: self.path.clone(), column, row: start + row });
        }
        Ok(array.as_ref())
    }

    /// A column of text.
    pub(crate) fn strings<'a>(&self, batch: (usize, &'a RecordBatch), column: &'static str) -> Result<&'a StringArray> {
        Ok(self.column(batch, column, "text", |kind| *kind == DataType::Utf8)?.as_string())
    }
}

fn damaged(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Parquet { path: path.to_path_buf(), source: Box::new(source) }
}

/// Writes batches as a table that is either whole or absent.
pub(crate) fn write_table(
    path: &Path,
    schema: Schema,
    properties: WriterProperties,
    batches: impl Iterator<Item = Result<RecordBatch>>,
) -> Result<()> {
    let failed =
        |source: parquet::errors::ParquetError| Error::Write { path: path.to_path_buf(), source: Box::new(source) };
    let mut file = AtomicFile::create(path)?;
    let mut writer = ArrowWriter::try_new(&mut file, Arc::new(schema), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch?).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    file.flush()?;
    Ok(file.commit()?)
}

/// An error of putting columns together, which only a programming error could cause, said as a failed write.
pub(crate) fn unwritable(path: &Path, source: arrow_schema::ArrowError) -> Error {
    Error::Write { path: path.to_path_buf(), source: Box::new(source) }
}
