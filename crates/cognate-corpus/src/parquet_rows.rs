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

/// The rows of one file, decoded one at a time: a page can stand for texts of many times the file's size.
#[derive(Debug)]
pub(crate) struct Rows {
    input: Input,
    columns: Columns,
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
    metadata: Cell,
}

/// What stands in a cell of metadata.
#[derive(Debug)]
enum Cell {
    /// A text that was not looked at yet; `None` is a null.
    Text(Option<Text>),
    Other(Metadata),
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
        Ok(Self { input, columns, row: 0, rows: table.rows() as u64 })
    }

    /// How much of the file has been read, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        (self.row as f64 / self.rows.max(1) as f64).min(1.0)
    }

    /// The next row; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        let row = match self.columns.next(&self.input.path) {
            Ok(row) => row?,
            Err(fault) => return Some(Err(faulty(&self.input.path, self.row, fault))),
        };
        self.row += 1;
        let origin = Origin { file: Arc::clone(&self.input.path), row: self.row };
        let document = row.into_document(&self.input, origin.row, options);
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
        Ok(Self { id, text, group, metadata: MetadataColumn::of(path, table) })
    }

    /// The next row; none at the end of the file.
    fn next(&mut self, path: &Path) -> Result<Option<Row>, Fault> {
        let Some(text) = self.text.texts(1)?.pop() else { return Ok(None) };
        let (id, group) = (name(&mut self.id)?, name(&mut self.group)?);
        Ok(Some(Row { id, text, group, metadata: self.metadata.next(path)? }))
    }
}

/// The name that a column of texts or integers holds in its next row; none without a column.
fn name(column: &mut Option<Column>) -> Result<Option<Id>, Fault> {
    Ok(match column {
        None => None,
        Some(ids) if ids.kind() == Kind::Text => ids.texts(1)?.pop().flatten().map(Id::Text),
        Some(ids) => ids.integers(1)?.pop().flatten().map(Id::Integer),
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

    /// The metadata of the next row.
    fn next(&mut self, path: &Path) -> Result<Cell, Fault> {
        Ok(match self {
            Self::None => Cell::Text(None),
            Self::Texts(column) => Cell::Text(column.texts(1)?.pop().flatten()),
            Self::Others(records) => Cell::Other(next_record(records).unwrap_or_else(|| {
                *self = Self::unread(path, "values that cannot be decoded");
                Metadata::default()
            })),
        })
    }
}

/// The metadata that a text is; none where it is no text.
fn of_text(text: &Text, path: &Path) -> Option<Metadata> {
    text.as_str().map(Metadata::from_cell).map_err(|_| warn_unread(path, "bytes that are no UTF-8")).ok()
}

/// The metadata of the next row; none where it cannot be decoded.
fn next_record(records: &mut table::Records) -> Option<Metadata> {
    let row = records.next_record().ok()??;
    let value = object(&row).remove(METADATA)?;
    Metadata::from_json(&value.to_string()).ok()
}

impl Row {
    /// Bytes of its texts, and of its metadata as JSON.
    fn size(&self) -> usize {
        let of_id = |id: &Option<Id>| if let Some(Id::Text(text)) = id { text.size() } else { 0 };
        let metadata = match &self.metadata {
            Cell::Text(text) => text.as_ref().map_or(0, Text::size),
            Cell::Other(metadata) => metadata.json().map_or(0, str::len),
        };
        of_id(&self.id) + of_id(&self.group) + self.text.as_ref().map_or(0, Text::size) + metadata
    }

    fn into_document(self, input: &Input, row: u64, options: &ReadOptions) -> Result<Document, BadRecord> {
        let limit = options.max_record_bytes;
        if self.size() > limit {
            return Err(BadRecord::TooLong { limit });
        }
        let metadata = match self.metadata {
            Cell::Text(text) => text.and_then(|text| of_text(&text, &input.path)).unwrap_or_default(),
            Cell::Other(metadata) => metadata,
        };
        let Some(text) = self.text else {
            return Err(BadRecord::WrongType {
                field: options.text_field.clone(),
                expected: "a string",
                found: "null",
            });
        };
        let text = utf8(&text, &options.text_field)?;
        let id = match self.id {
            None => input.derived_id(row),
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
        let group = or_of_metadata(group, &metadata, options)?;
        Ok(Document { id, text, group, metadata })
    }
}

/// A text, unless it is none: a schema promises UTF-8, and nobody has made sure.
fn utf8(text: &Text, field: &str) -> Result<String, BadRecord> {
    let not_utf8 =
        |error: std::str::Utf8Error| BadRecord::FieldNotUtf8 { field: field.to_owned(), byte: error.valid_up_to() + 1 };
    text.as_str().map(str::to_owned).map_err(not_utf8)
}
