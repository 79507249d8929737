//! One Parquet file as records.
//!
//! The text column must hold strings. The id column may hold strings or integers, or be absent. A `metadata` column of
//! strings is read as one JSON value per row, or as text; all other columns, and a `metadata` column of any other type,
//! stay unread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::table::{Column, Damage, Kind, Table};

use crate::document::{BadRecord, Document, Origin};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::json::METADATA;
use crate::metadata::Metadata;
use crate::reader::ReadOptions;
use crate::unpack::Container;

/// Rows decoded at a time: long documents must not fill the memory.
const BATCH_ROWS: usize = 256;

/// The rows of one file.
#[derive(Debug)]
pub(crate) struct Rows {
    input: Input,
    columns: Columns,
    batch: std::vec::IntoIter<Row>,
    row: u64,
    /// Rows that the file claims to have.
    rows: u64,
}

/// The columns that matter.
#[derive(Debug)]
struct Columns {
    id: Option<Column>,
    text: Column,
    metadata: Option<Column>,
}

/// What stands in them in one row; `None` is a null.
#[derive(Debug)]
struct Row {
    id: Option<String>,
    text: Option<String>,
    metadata: Option<String>,
}

impl Rows {
    pub(crate) fn open(input: Input, file: fs_err::File, options: &ReadOptions) -> Result<Self> {
        let table = Table::open(file).map_err(|source| damaged(&input.path, 0, source))?;
        let columns = Columns::of(&input.path, &table, options)?;
        Ok(Self { input, columns, batch: Vec::new().into_iter(), row: 0, rows: table.rows() as u64 })
    }

    /// How much of the file has been read, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        (self.row as f64 / self.rows.max(1) as f64).min(1.0)
    }

    /// The next row; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        if self.batch.len() == 0 {
            match self.columns.batch() {
                Ok(rows) => self.batch = rows.into_iter(),
                Err(source) => return Some(Err(damaged(&self.input.path, self.row, source))),
            }
        }
        let row = self.batch.next()?;
        self.row += 1;
        let origin = Origin { file: Arc::clone(&self.input.path), row: self.row };
        let document = row.into_document(options, || self.input.derived_id(origin.row));
        Some(Ok((origin, document)))
    }
}

fn damaged(path: &Path, records: u64, source: Damage) -> Error {
    Error::Damaged { path: path.to_path_buf(), container: Container::Parquet.name(), records, source }
}

impl Columns {
    /// The columns to read, once their types are known to serve.
    fn of(path: &Path, table: &Table, options: &ReadOptions) -> Result<Self> {
        let bad = |name: &str, expected, column: &Column| Error::ColumnType {
            path: PathBuf::from(path),
            column: name.to_owned(),
            expected,
            found: column.type_name(),
        };
        let Some(text) = table.column(&options.text_field) else {
            return Err(Error::NoColumn {
                path: PathBuf::from(path),
                column: options.text_field.clone(),
                found: table.names(),
            });
        };
        if text.kind() != Kind::Text {
            return Err(bad(&options.text_field, "strings", &text));
        }
        let id = table.column(&options.id_field).filter(|_| !options.id_field.is_empty());
        if let Some(id) = id.as_ref().filter(|id| !matches!(id.kind(), Kind::Text | Kind::Integers { .. })) {
            return Err(bad(&options.id_field, "strings or integers", id));
        }
        let metadata = table.column(METADATA).filter(|metadata| {
            let is_text = metadata.kind() == Kind::Text;
            if !is_text {
                let kind = metadata.type_name();
                crate::metadata::warn_unread(path, &kind);
            }
            is_text
        });
        Ok(Self { id, text, metadata })
    }

    /// The next rows; none at the end of the file.
    fn batch(&mut self) -> Result<Vec<Row>, Damage> {
        let texts = self.text.texts(BATCH_ROWS)?;
        let ids = match &mut self.id {
            None => vec![None; texts.len()],
            Some(ids) if ids.kind() == Kind::Text => ids.texts(BATCH_ROWS)?,
            Some(ids) => ids.integers(BATCH_ROWS)?.into_iter().map(|id| Some(id?.to_string())).collect(),
        };
        let metadata = match &mut self.metadata {
            None => vec![None; texts.len()],
            Some(metadata) => metadata.texts(BATCH_ROWS)?,
        };
        let rows = ids.into_iter().zip(texts).zip(metadata);
        Ok(rows.map(|((id, text), metadata)| Row { id, text, metadata }).collect())
    }
}

impl Row {
    fn into_document(self, options: &ReadOptions, derived: impl FnOnce() -> String) -> Result<Document, BadRecord> {
        let Some(text) = self.text else {
            return Err(BadRecord::WrongType {
                field: options.text_field.clone(),
                expected: "a string",
                found: "null",
            });
        };
        let id = match self.id {
            None => derived(),
            Some(id) if id.is_empty() => return Err(BadRecord::EmptyId { field: options.id_field.clone() }),
            Some(id) => id,
        };
        let metadata = self.metadata.as_deref().map(Metadata::from_cell).unwrap_or_default();
        Ok(Document { id, text, metadata })
    }
}
