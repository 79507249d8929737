//! What can be wrong with a recipe, said so that one look at the file mends it.

use std::path::PathBuf;

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("the recipe cannot be read")]
    Read(#[source] std::io::Error),
    /// The file is not TOML.
    #[error("{at}: not valid TOML: {message}")]
    Syntax {
        /// Where it stops being TOML.
        at: Place,
        /// What the parser says.
        message: String,
    },
    /// A table that no recipe has.
    #[error("{at}: unknown table `[{table}]`; the nearest known table is `[{nearest}]`")]
    UnknownTable {
        /// Where it stands.
        at: Place,
        /// Its name.
        table: String,
        /// The known table that is spelt most like it.
        nearest: &'static str,
    },
    /// A key that its table does not have.
    #[error("{at}: unknown key `{key}` in {table}; {suggestion}")]
    UnknownKey {
        /// Where it stands.
        at: Place,
        /// The table it stands in, as in messages.
        table: String,
        /// Its name.
        key: String,
        /// The nearest known key, or the table where this one belongs.
        suggestion: String,
        /// All keys of the table.
        known: Vec<&'static str>,
    },
    /// A key that must be written is not.
    #[error("{at}: {table} has no `{key}`: expected {expected}")]
    Missing {
        /// Where the table begins; no line where it is not written.
        at: Place,
        /// The table it belongs in, as in messages.
        table: String,
        /// Its name.
        key: &'static str,
        /// What it means, for the hint.
        meaning: &'static str,
        /// What its value may be.
        expected: String,
    },
    /// A value of the wrong type, or an impossible one.
    #[error("{at}: {table}{key} = {found}: expected {expected}")]
    Impossible {
        /// Where it stands.
        at: Place,
        /// Its table and a space; empty for the top of the file.
        table: String,
        /// Its key.
        key: String,
        /// The value, as written or as derived.
        found: String,
        /// What would be possible.
        expected: String,
        /// What to do, where that is not obvious.
        advice: Option<String>,
    },
    /// Things that contradict each other or the rest of the recipe.
    #[error("{at}: {message}")]
    Things {
        /// Where the arm stands.
        at: Place,
        /// What is wrong.
        message: String,
        /// What to do.
        advice: String,
    },
}

impl RecipeError {
    /// What to do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) | Self::Syntax { .. } => None,
            Self::UnknownTable { .. } => Some("docs/recipes.md lists every table and key".to_owned()),
            Self::UnknownKey { table, known, .. } => Some(format!("the keys of {table} are {}", known.join(", "))),
            Self::Missing { meaning, .. } => Some(meaning.trim_end_matches('.').to_owned()),
            Self::Impossible { advice, .. } => advice.clone(),
            Self::Things { advice, .. } => Some(advice.clone()),
        }
    }
}

/// A line of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The recipe.
    pub file: PathBuf,
    /// Counted from 1; none for a value that is not written but derived.
    pub line: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}
