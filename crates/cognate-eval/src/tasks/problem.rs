//! Why a record is no question of its task, in words.

use std::fmt;

use cognate_corpus::document::kind;
use serde_json::Value;

/// Why a record is no question of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordProblem {
    /// A field is not there.
    NoField {
        /// Its path.
        field: String,
        /// The first fields that are there.
        found: Vec<String>,
    },
    /// A field has another type.
    WrongType {
        /// Its path.
        field: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The label is none of the choices.
    Label {
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// What it could be.
        choices: String,
    },
    /// A text that should have a blank has none.
    NoBlank {
        /// The field.
        field: String,
    },
    /// There is nothing to predict: what is to follow the context has no text.
    NoText {
        /// The fields that it is made of.
        fields: Vec<String>,
    },
    /// Two lists that belong together are not equally long.
    Unequal {
        /// The field with the labels.
        labels: String,
        /// Labels in it.
        found: usize,
        /// Choices.
        choices: usize,
    },
    /// A list of choices or answers is empty.
    NoChoices {
        /// The field.
        field: String,
    },
}

impl RecordProblem {
    pub(crate) fn wrong_type(field: &str, expected: &'static str, found: &Value) -> Self {
        Self::WrongType { field: field.to_owned(), expected, found: kind(found) }
    }
}

impl fmt::Display for RecordProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField { field, found } => {
                let found: Vec<String> = found.iter().map(|name| format!("{name:?}")).collect();
                write!(
                    f,
                    "no field {field:?}; the record has {}: is this the file of the task, in the version that its \
                     definition names?",
                    if found.is_empty() { "no fields".to_owned() } else { found.join(", ") }
                )
            }
            Self::WrongType { field, expected, found } => {
                write!(f, "field {field:?}: expected {expected}, found {found}")
            }
            Self::Label { field, found, choices } => {
                write!(f, "field {field:?}: the label {found} is none of the choices {choices}")
            }
            Self::NoBlank { field } => write!(f, "field {field:?}: expected a text with a blank `_` in it"),
            Self::NoText { fields } => {
                let fields: Vec<String> = fields.iter().map(|field| format!("{field:?}")).collect();
                write!(f, "field {}: expected text to predict, found none", fields.join(" and "))
            }
            Self::Unequal { labels, found, choices } => {
                write!(f, "field {labels:?}: expected a label for each of the {choices} choices, found {found}")
            }
            Self::NoChoices { field } => {
                write!(f, "field {field:?}: expected at least one choice, found an empty list")
            }
        }
    }
}
