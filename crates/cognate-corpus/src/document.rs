//! One document, where it stood, and what can be wrong with a record that should have been one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde_json::Value;

use crate::metadata::Metadata;

/// A text with its identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Unique in a corpus.
    pub id: String,
    /// The text exactly as the source holds it.
    pub text: String,
    /// What it is a part of with others, such as the book of a chapter; none where it stands alone.
    pub group: Option<String>,
    /// What else the source says about it; empty when it says nothing.
    pub metadata: Metadata,
}

impl Document {
    /// Whether the text has anything to read: a character that is neither white space nor a control or joining character
    /// that nobody sees.
    pub fn has_text(&self) -> bool {
        let is_unseen = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
        };
        !self.text.chars().all(is_unseen)
    }
}

/// Where a record stands: a file, and in it a line, a row of Parquet or an element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the caller named it (or its folder).
    pub file: Arc<Path>,
    /// Line, row or element, counted from 1; blank lines count.
    pub row: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.row)
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
    /// The line ends inside a value.
    #[error(
        "not JSON (it ends inside a value); expected one JSON object per line: `jq -c .` puts objects that go on over several \
         lines on one each"
    )]
    Unfinished,
    /// The record is longer than may be.
    #[error("longer than {limit} bytes, the most that a record may have")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// A string holds half of a surrogate pair, which is no character.
    #[error(
        "field {field:?} holds half of a surrogate pair (\\ud800 to \\udfff alone) at column {column}, which is no character"
    )]
    LoneSurrogate {
        /// The field.
        field: String,
        /// Byte in the record, from 1.
        column: usize,
    },
    /// A row of a table has more or fewer fields than the first row names.
    #[error("expected {expected} fields, as the first row has, found {found}")]
    FieldCount {
        /// Columns of the table.
        expected: usize,
        /// Fields of the row.
        found: usize,
    },
    /// A field of a table holds bytes that are no UTF-8.
    #[error("field {field:?}: invalid UTF-8 at byte {byte} of the value; expected text in UTF-8")]
    FieldNotUtf8 {
        /// The field.
        field: String,
        /// Byte in the value, from 1.
        byte: usize,
    },
    /// Another document has the identifier already.
    #[error("the id {id:?} stands at {first} already: ids must be unique in a corpus")]
    RepeatedId {
        /// The identifier.
        id: String,
        /// Its first bearer.
        first: Origin,
    },
    /// The line is JSON, but not an object.
    #[error("expected a JSON object, found {found}")]
    NotAnObject {
        /// The kind of value that stands there.
        found: &'static str,
    },
    /// The line holds bytes that are no UTF-8.
    #[error("invalid UTF-8 at byte {byte}; expected text in UTF-8")]
    NotUtf8 {
        /// Byte in the record, from 1.
        byte: usize,
    },
    /// The record does not have its text.
    #[error("no field {field:?}; {}: name the one that holds the text", list_fields(fields))]
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
    fn text_is_what_can_be_seen() {
        let has_text = |text: &str| {
            Document { id: "a".to_owned(), text: text.to_owned(), group: None, metadata: Metadata::default() }
                .has_text()
        };
        for text in ["", " \t\r\n", "\u{a0}\u{3000}\u{2028}", "\u{feff}", "\u{200b}\n\u{200d}", "\0\u{7f}"] {
            assert!(!has_text(text), "{text:?}");
        }
        for text in ["a", " \n.", "\u{301}", "\u{1F600}", "\u{e000}", "\u{fffd}"] {
            assert!(has_text(text), "{text:?}");
        }
    }
}
