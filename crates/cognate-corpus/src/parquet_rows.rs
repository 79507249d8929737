//! One Parquet file as records.
//!
//! The text column must hold strings. The id column may hold strings or integers, or be absent. A `metadata` column of
//! strings is read as one JSON object per row; all other columns, and a `metadata` column of any other type, stay
//! unread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::document::{BadRecord, Document, Origin};
use crate::error::{Error, Result};
use crate::jsonl::{Container, METADATA};
use crate::reader::ReadOptions;

/// Rows decoded at a time: long documents must not fill the memory.
const BATCH_ROWS: usize = 256;

/// The rows of one file.
#[derive(Debug)]
pub(crate) struct Rows {
    path: Arc<Path>,
    batches: ParquetRecordBatchReader,
    batch: Option<Columns>,
    at: usize,
    row: u64,
}

/// The columns of one batch that matter.
#[derive(Debug)]
struct Columns {
    rows: usize,
    id: Option<ArrayRef>,
    text: ArrayRef,
    metadata: Option<ArrayRef>,
}

impl Rows {
    pub(crate) fn open(path: Arc<Path>, file: fs_err::File, options: &ReadOptions) -> Result<Self> {
        // Parquet reads by position, which only the standard file does.
        let file = file.into_file();
        let builder = decoding(&path, 0, || ParquetRecordBatchReaderBuilder::try_new(file))?;
        let wanted = check_columns(&path, builder.schema(), options)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let batches = decoding(&path, 0, || builder.with_projection(mask).with_batch_size(BATCH_ROWS).build())?;
        Ok(Self { path, batches, batch: None, at: 0, row: 0 })
    }

    /// The next row; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        loop {
            if let Some(columns) = self.batch.as_ref().filter(|columns| self.at < columns.rows) {
                self.row += 1;
                let origin = Origin { file: Arc::clone(&self.path), row: self.row };
                let document = columns.document(self.at, options, &origin);
                self.at += 1;
                return Some(Ok((origin, document)));
            }
            match decoding(&self.path, self.row, || self.batches.next().transpose()) {
                Ok(batch) => self.batch = Some(Columns::of(&batch?, options)),
                Err(error) => return Some(Err(error)),
            }
            self.at = 0;
        }
    }
}

/// Runs a piece of the Parquet decoder, which answers some damaged files with a panic (a negative offset in the footer,
/// for one): to the caller a damaged file is an error, however the decoder puts it.
fn decoding<T, E>(path: &Path, records: u64, decode: impl FnOnce() -> Result<T, E>) -> Result<T>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // After a panic the reader is done with the file, so nothing sees its state any more.
    let source = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.into(),
        Err(_) => "the decoder gave up on it".into(),
    };
    Err(Error::Damaged { path: path.to_path_buf(), container: Container::Parquet.name(), records, source })
}

/// The positions of the columns to read, once their types are known to serve.
fn check_columns(path: &Path, schema: &Schema, options: &ReadOptions) -> Result<Vec<usize>> {
    let bad = |name: &str, expected, found: &DataType| Error::ColumnType {
        path: PathBuf::from(path),
        column: name.to_owned(),
        expected,
        found: found.to_string(),
    };
    let Some((text, field)) = schema.column_with_name(&options.text_field) else {
        return Err(Error::NoColumn {
            path: PathBuf::from(path),
            column: options.text_field.clone(),
            found: schema.fields().iter().map(|field| field.name().clone()).collect(),
        });
    };
    if !is_string(field.data_type()) {
        return Err(bad(&options.text_field, "strings", field.data_type()));
    }
    let mut wanted = vec![text];
    if let Some((id, field)) = schema.column_with_name(&options.id_field) {
        if !is_string(field.data_type()) && !field.data_type().is_integer() {
            return Err(bad(&options.id_field, "strings or integers", field.data_type()));
        }
        wanted.push(id);
    }
    if let Some((metadata, field)) = schema.column_with_name(METADATA) {
        if is_string(field.data_type()) {
            wanted.push(metadata);
        } else {
            tracing::warn!(path = %path.display(), kind = %field.data_type(), "metadata column is no JSON string: left unread");
        }
    }
    Ok(wanted)
}

fn is_string(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl Columns {
    fn of(batch: &RecordBatch, options: &ReadOptions) -> Self {
        let column = |name: &str| batch.column_by_name(name).cloned();
        let text = column(&options.text_field).expect("the projection names this column");
        Self { rows: batch.num_rows(), id: column(&options.id_field), text, metadata: column(METADATA) }
    }

    fn document(&self, row: usize, options: &ReadOptions, origin: &Origin) -> Result<Document, BadRecord> {
        let Some(text) = string_at(&self.text, row) else {
            return Err(BadRecord::WrongType {
                field: options.text_field.clone(),
                expected: "a string",
                found: "null",
            });
        };
        let id = match self.id.as_ref().and_then(|ids| id_at(ids, row)) {
            None => origin.derived_id(),
            Some(id) if id.is_empty() => return Err(BadRecord::EmptyId { field: options.id_field.clone() }),
            Some(id) => id,
        };
        let metadata = match self.metadata.as_ref().and_then(|metadata| string_at(metadata, row)) {
            None => serde_json::Map::new(),
            Some(json) => serde_json::from_str(json)
                .map_err(|error| BadRecord::BadMetadata { field: METADATA.to_owned(), message: error.to_string() })?,
        };
        Ok(Document { id, text: text.to_owned(), metadata })
    }
}

/// The string in a row of a string column; `None` where it is null.
fn string_at(column: &ArrayRef, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

/// The identifier in a row of a string or integer column; `None` where it is null.
fn id_at(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        _ => string_at(column, row)?.to_owned(),
    })
}
