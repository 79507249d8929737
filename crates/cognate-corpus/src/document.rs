//! One document, where it stood, and what can be wrong with a record that should have been one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde_json::{Map, Value};

/// A text with its identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Unique in a corpus.
    pub id: String,
    /// The text exactly as the source holds it.
    pub text: String,
    /// What else the source says about it; empty when it says nothing.
    pub metadata: Map<String, Value>,
}

/// Where a record stands: a file, and a line of JSON Lines or a row of Parquet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the caller named it (or its folder).
    pub file: Arc<Path>,
    /// Line or row, counted from 1; blank lines count.
    pub row: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.row)
    }
}

impl Origin {
    /// The identifier of a document that brings none: `<file stem>:<row>`.
    ///
    /// The stem is the file's name without `.gz` or `.zst`, then without `.jsonl`, `.ndjson`, `.json` or `.parquet`:
    /// packing a file does not rename its documents.
    pub fn derived_id(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let name = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        let endings = [".jsonl", ".ndjson", ".json", ".parquet"];
        let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        format!("{stem}:{}", self.row)
    }
}

/// What is wrong with one record, apart from the file around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// The line is no JSON.
    #[error("not JSON ({message}, column {column}); expected one JSON object per line")]
    NotJson {
        /// What the parser stumbled over.
        message: String,
        /// Byte in the line, from 1.
        column: usize,
    },
    /// The line is JSON, but not an object.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// The kind of value that stands there.
        found: &'static str,
    },
    /// The line holds bytes that are no UTF-8.
    #[error("invalid UTF-8 at byte {byte} of the line; expected JSON Lines (plain, gzip, zstd) in UTF-8, or Parquet")]
    NotUtf8 {
        /// Byte in the line, from 1.
        byte: usize,
    },
    /// The record does not have its text.
    #[error("no field {field:?}; {}: name the field that holds the text (text_field)", list_fields(fields))]
    NoText {
        /// The field that should hold it.
        field: String,
        /// The first fields that the record has instead.
        fields: Vec<String>,
    },
    /// A field holds a value of the wrong type.
    #[error("field {field:?}: expected {expected}, found {found}")]
    WrongType {
        /// The field.
        field: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The identifier is the empty string.
    #[error(
        "field {field:?}: expected a non-empty identifier; leave the field out to have one derived from file and row"
    )]
    EmptyId {
        /// The field.
        field: String,
    },
    /// A field that is read stands twice in one object, so it is not clear which one is meant.
    #[error("field {field:?} occurs twice in the record")]
    RepeatedField {
        /// The field.
        field: String,
    },
    /// A Parquet `metadata` string that is no JSON object.
    #[error("field {field:?}: expected a JSON object written as a string ({message})")]
    BadMetadata {
        /// The field.
        field: String,
        /// What the parser stumbled over.
        message: String,
    },
}

fn list_fields(fields: &[String]) -> String {
    if fields.is_empty() {
        return "the record has no other fields".to_owned();
    }
    let list: Vec<String> = fields.iter().map(|field| format!("{field:?}")).collect();
    format!("the record has {}", list.join(", "))
}

/// A record that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong with it.
    pub reason: BadRecord,
}

impl serde::Serialize for Rejected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Rejected", 2)?;
        object.serialize_field("origin", &self.origin.to_string())?;
        object.serialize_field("reason", &self.reason.to_string())?;
        object.end()
    }
}

/// The kind of a JSON value, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_a_file_does_not_rename_its_documents() {
        let id = |name: &str| Origin { file: Path::new(name).into(), row: 7 }.derived_id();
        for name in ["a/news.v1.jsonl", "news.v1.jsonl.gz", "news.v1.json.zst", "news.v1.parquet", "news.v1"] {
            assert_eq!(id(name), "news.v1:7", "{name}");
        }
    }
}
