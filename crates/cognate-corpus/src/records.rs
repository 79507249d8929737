//! Records with all their fields: data sets that are no documents, such as the questions of an evaluation.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::Silent;
use cognate_base::table::Damage;
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use crate::document::Origin;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::jsonl::Lines;
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
    Rows { path: Arc<Path>, rows: Box<RowIter<'static>>, row: u64 },
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
            let rows = guarded(|| Ok(RowIter::from_file_into(Box::new(SerializedFileReader::new(file.into_file())?))));
            let rows = rows.map_err(|source| damaged(&path, 0, source))?;
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
            Source::Rows { path, rows, row } => {
                // The decoder answers some damaged files with a panic; to the caller all of them are damaged.
                match guarded(|| Ok(rows.next().transpose()?)) {
                    Ok(None) => return None,
                    Ok(Some(fields)) => {
                        *row += 1;
                        let origin = Origin { file: Arc::clone(path), row: *row };
                        Ok(Record { origin, fields: object(&fields) })
                    }
                    Err(source) => Err(damaged(path, *row, source)),
                }
            }
        };
        self.failed = record.is_err();
        Some(record)
    }
}

fn damaged(path: &Path, records: u64, source: Damage) -> Error {
    Error::Damaged { path: PathBuf::from(path), container: Container::Parquet.name(), records, source }
}

/// Runs a piece of the Parquet decoder; after a panic nothing sees its state any more.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("the decoder gave up on it".into()))
}

fn object(row: &Row) -> Map<String, Value> {
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
        Field::Float(found) => (*found).into(),
        Field::Double(found) => (*found).into(),
        Field::Str(found) => found.as_str().into(),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().into(),
    }
}
