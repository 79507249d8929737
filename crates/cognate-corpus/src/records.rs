//! Records with all their fields: data sets that are no documents, such as the questions of an evaluation.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cognate_base::Silent;
use cognate_base::table::{self, Table};
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use crate::document::Origin;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::jsonl::Lines;
use crate::parquet_rows::faulty;
use crate::reader::refuse_other_formats;
use crate::unpack::{Container, Unpacked};

/// One record as it stands in its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub origin: Origin,
    /// Its fields; lists and structs of Parquet are arrays and objects.
    pub fields: Map<String, Value>,
}

/// A stream of records from a file of JSON Lines (plain, gzip, zstd) or Parquet, told apart by its first bytes. Blank lines are
/// passed over. After an error there are no more records.
#[derive(Debug)]
pub struct Records {
    source: Source,
    failed: bool,
}

enum Source {
    Lines(Lines<'static>),
    Rows { path: Arc<Path>, rows: Box<table::Records>, row: u64 },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(lines) => lines.fmt(f),
            Self::Rows { path, row, .. } => {
                f.debug_struct("Rows").field("path", path).field("row", row).finish_non_exhaustive()
            }
        }
    }
}

impl Records {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file does not exist, cannot be read, or is no Parquet although it begins like one.
    pub fn open(path: &Path) -> Result<Self> {
        match fs_err::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: path.to_path_buf() });
            }
            Err(error) => return Err(error.into()),
            Ok(found) if !found.is_file() => return Err(Error::NotAFile { path: path.to_path_buf() }),
            Ok(_) => {}
        }
        let path: Arc<Path> = path.into();
        let mut file = Unpacked::open(Arc::clone(&path), &Arc::default(), &Silent)?;
        let source = if file.container == Container::Parquet {
            let file = fs_err::File::open(&*path)?;
            let rows = Table::open(file).and_then(|table| table.records(None));
            let rows = rows.map_err(|fault| faulty(&path, 0, fault))?;
            Source::Rows { path, rows: Box::new(rows), row: 0 }
        } else {
            refuse_other_formats(&path, &mut file)?;
            let name = path.to_string_lossy().into();
            Source::Lines(Lines::new(Input { path, name }, file))
        };
        Ok(Self { source, failed: false })
    }
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = match &mut self.source {
            Source::Lines(lines) => lines.next_fields()?.and_then(|(origin, fields)| match fields {
                Ok(fields) => Ok(Record { origin, fields }),
                Err(problem) => Err(Error::BadRecord { origin, problem }),
            }),
            Source::Rows { path, rows, row } => match rows.next_record() {
                Ok(None) => return None,
                Ok(Some(fields)) => {
                    *row += 1;
                    let origin = Origin { file: Arc::clone(path), row: *row };
                    Ok(Record { origin, fields: object(&fields) })
                }
                Err(fault) => Err(faulty(path, *row, fault)),
            },
        };
        self.failed = record.is_err();
        Some(record)
    }
}

/// A row as JSON.
pub(crate) fn object(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

/// A cell as JSON; what JSON has no word for (dates, decimals, bytes) becomes text.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(found) => (*found).into(),
        Field::Byte(found) => (*found).into(),
        Field::Short(found) => (*found).into(),
        Field::Int(found) => (*found).into(),
        Field::Long(found) => (*found).into(),
        Field::UByte(found) => (*found).into(),
        Field::UShort(found) => (*found).into(),
        Field::UInt(found) => (*found).into(),
        Field::ULong(found) => (*found).into(),
        // With the digits that it has, not with those of the next 64-bit float.
        Field::Float(found) => float(found.to_string().parse().unwrap_or(f64::NAN)),
        Field::Float16(found) => float(f64::from(*found)),
        Field::Double(found) => float(*found),
        Field::Str(found) => found.as_str().into(),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let name = |key: &Field| if let Field::Str(name) = key { name.clone() } else { key.to_string() };
            Value::Object(map.entries().iter().map(|(key, found)| (name(key), value(found))).collect())
        }
        other => other.to_string().into(),
    }
}

/// A number; what is none is the text that stands for it in the JSON form of Protocol Buffers.
fn float(found: f64) -> Value {
    serde_json::Number::from_f64(found).map_or_else(
        || match found {
            f64::INFINITY => "Infinity".into(),
            f64::NEG_INFINITY => "-Infinity".into(),
            _ => "NaN".into(),
        },
        Value::Number,
    )
}
