//! One Parquet file as records.
//!
//! The text column must hold strings. The id column may hold strings or integers, or be absent. A `metadata` column of
//! strings is read as one JSON value per row, or as text; one of any other type becomes JSON. All other columns stay unread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::table::{self, Column, EXPECTED, Fault, Kind, Table, Text};

use crate::document::{BadRecord, Document, Origin};
use crate::error::{Error, Result};
use crate::group::or_of_metadata;
use crate::input::Input;
use crate::json::METADATA;
use crate::metadata::{Metadata, warn_unread};
use crate::reader::ReadOptions;
use crate::records::object;
use crate::unpack::Container;

/// Rows decoded at a time, where their texts are no longer than usual.
const BATCH_ROWS: usize = 256;
/// Bytes of text decoded at a time, as far as the texts before can tell: long documents must not fill the memory.
const BATCH_BYTES: usize = 1 << 24;

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
    group: Option<Column>,
    metadata: MetadataColumn,
    /// Rows to decode next.
    rows: usize,
}

/// How metadata is read.
enum MetadataColumn {
    None,
    Texts(Box<Column>),
    Others(Box<table::Records>),
}

impl std::fmt::Debug for MetadataColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Texts(_) => "Texts",
            Self::Others(_) => "Others",
        })
    }
}

/// What stands in them in one row; `None` is a null.
#[derive(Debug)]
struct Row {
    id: Option<Id>,
    text: Option<Text>,
    group: Option<Id>,
    metadata: Metadata,
}

#[derive(Debug)]
enum Id {
    Text(Text),
    Integer(i128),
}

impl Rows {
    pub(crate) fn open(input: Input, file: fs_err::File, options: &ReadOptions) -> Result<Self> {
        let table = Table::open(file).map_err(|fault| faulty(&input.path, 0, fault))?;
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
            match self.columns.batch(&self.input.path) {
                Ok(rows) => self.batch = rows.into_iter(),
                Err(fault) => return Some(Err(faulty(&self.input.path, self.row, fault))),
            }
        }
        let row = self.batch.next()?;
        self.row += 1;
        let origin = Origin { file: Arc::clone(&self.input.path), row: self.row };
        let document = row.into_document(options, || self.input.derived_id(origin.row));
        Some(Ok((origin, document)))
    }
}

/// Why a table of records cannot be read past some of them.
pub(crate) fn faulty(path: &Path, records: u64, fault: Fault) -> Error {
    let path = path.to_path_buf();
    match fault {
        Fault::Io(source) => std::io::Error::new(source.kind(), format!("{}: {source}", path.display())).into(),
        Fault::Format(found) => Error::OtherFormat { path, problem: found.instead_of(EXPECTED) },
        Fault::Unsupported(what) => Error::UnsupportedParquet { path, what },
        Fault::Damage(source) => Error::Damaged { path, container: Container::Parquet.name(), records, source },
    }
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
        let group = table.column(&options.group_field).filter(|_| !options.group_field.is_empty());
        if let Some(group) = group.as_ref().filter(|group| !matches!(group.kind(), Kind::Text | Kind::Integers { .. }))
        {
            return Err(bad(&options.group_field, "strings or integers", group));
        }
        let metadata = MetadataColumn::of(path, table);
        // A few first, to see how long texts are.
        Ok(Self { id, text, group, metadata, rows: 8 })
    }

    /// The next rows; none at the end of the file.
    fn batch(&mut self, path: &Path) -> Result<Vec<Row>, Fault> {
        let most = self.rows;
        let texts = self.text.texts(most)?;
        let size: usize = texts.iter().flatten().map(Text::size).sum();
        self.rows = (BATCH_BYTES / (size / most).max(1)).clamp(1, BATCH_ROWS);
        let ids = names(&mut self.id, most, texts.len())?;
        let groups = names(&mut self.group, most, texts.len())?;
        let metadata = self.metadata.next(path, most, texts.len())?;
        let rows = ids.into_iter().zip(texts).zip(groups).zip(metadata);
        Ok(rows.map(|(((id, text), group), metadata)| Row { id, text, group, metadata }).collect())
    }
}

/// The names that a column of texts or integers holds in the next `rows` rows, decoded as `most` at a time; none without a column.
fn names(column: &mut Option<Column>, most: usize, rows: usize) -> Result<Vec<Option<Id>>, Fault> {
    Ok(match column {
        None => (0..rows).map(|_| None).collect(),
        Some(ids) if ids.kind() == Kind::Text => ids.texts(most)?.into_iter().map(|id| id.map(Id::Text)).collect(),
        Some(ids) => ids.integers(most)?.into_iter().map(|id| id.map(Id::Integer)).collect(),
    })
}

impl MetadataColumn {
    fn of(path: &Path, table: &Table) -> Self {
        match table.column(METADATA) {
            None => Self::None,
            Some(column) if column.kind() == Kind::Text => Self::Texts(Box::new(column)),
            Some(column) => match table.records(Some(&[METADATA])) {
                Ok(records) => Self::Others(Box::new(records)),
                Err(_) => Self::unread(path, &column.type_name()),
            },
        }
    }

    /// No document is lost to what is said about it.
    fn unread(path: &Path, kind: &str) -> Self {
        warn_unread(path, kind);
        Self::None
    }

    /// The metadata of the next `rows` rows, decoded as `most` at a time.
    fn next(&mut self, path: &Path, most: usize, rows: usize) -> Result<Vec<Metadata>, Fault> {
        let mut found: Vec<Metadata> = match self {
            Self::None => Vec::new(),
            Self::Texts(column) => {
                let text = |text: &Text| text.as_str().map(Metadata::from_cell).map_err(|_| warn_unread(path, BYTES));
                let cells = column.texts(most)?.into_iter();
                cells.map(|cell| cell.and_then(|cell| text(&cell).ok()).unwrap_or_default()).collect()
            }
            Self::Others(records) => {
                let found: Option<Vec<Metadata>> = (0..rows).map(|_| next_record(records)).collect();
                found.unwrap_or_else(|| {
                    *self = Self::unread(path, "values that cannot be decoded");
                    Vec::new()
                })
            }
        };
        found.resize_with(rows, Metadata::default);
        Ok(found)
    }
}

/// What a warning calls text that is none.
const BYTES: &str = "bytes that are no UTF-8";

/// The metadata of the next row; none where it cannot be decoded.
fn next_record(records: &mut table::Records) -> Option<Metadata> {
    let row = records.next_record().ok()??;
    let value = object(&row).remove(METADATA)?;
    Metadata::from_json(&value.to_string()).ok()
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
        let text = utf8(&text, &options.text_field)?;
        let id = match self.id {
            None => derived(),
            Some(Id::Integer(id)) => id.to_string(),
            Some(Id::Text(id)) if id.size() == 0 => {
                return Err(BadRecord::EmptyId { field: options.id_field.clone() });
            }
            Some(Id::Text(id)) => utf8(&id, &options.id_field)?,
        };
        let group = match self.group {
            None => None,
            Some(Id::Integer(group)) => Some(group.to_string()),
            Some(Id::Text(group)) => Some(utf8(&group, &options.group_field)?).filter(|group| !group.is_empty()),
        };
        let group = or_of_metadata(group, &self.metadata, options)?;
        Ok(Document { id, text, group, metadata: self.metadata })
    }
}

/// A text, unless it is none: a schema promises UTF-8, and nobody has made sure.
fn utf8(text: &Text, field: &str) -> Result<String, BadRecord> {
    let not_utf8 =
        |error: std::str::Utf8Error| BadRecord::FieldNotUtf8 { field: field.to_owned(), byte: error.valid_up_to() + 1 };
    text.as_str().map(str::to_owned).map_err(not_utf8)
}
