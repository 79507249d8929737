//! A document of a world, and the splits that a world deals documents to.

use serde::{Deserialize, Serialize};

use crate::biographies::Attribute;

/// A document of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its identifier: the split and its number, and in `biographies` the person's.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its concept: the number of a model or of a person.
    pub concept: u32,
    /// In `biographies`, what it states: attributes with the wordings' numbers.
    pub statements: Vec<(Attribute, usize)>,
}

/// The parts that a world deals its documents to, as the splits of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// What all models may see.
    Unique,
    /// What the oracle alone sees.
    Oracle,
    /// What results are scored on.
    Validation,
    /// What choices are made on.
    Selection,
}

impl Split {
    /// All of them, in the order in which a world writes them.
    pub const ALL: [Self; 4] = [Self::Unique, Self::Oracle, Self::Validation, Self::Selection];

    /// Its name in files and identifiers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::Oracle => "oracle",
            Self::Validation => "validation",
            Self::Selection => "selection",
        }
    }

    /// What its documents are drawn for, as the purpose of a random stream.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Unique => "world unique",
            Self::Oracle => "world oracle",
            Self::Validation => "world validation",
            Self::Selection => "world selection",
        }
    }
}
