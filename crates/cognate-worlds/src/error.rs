//! What can be wrong with a world's dials, and with texts that are read as its documents.

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a world cannot be made, or a text not be read in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A dial is out of its range.
    #[error("{dial}: expected {expected}, found {found}")]
    Dial {
        /// The dial, as its key is written.
        dial: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A row of probabilities is none.
    #[error("{what}: expected probabilities that sum to 1, found a sum of {sum}")]
    NoDistribution {
        /// Which row.
        what: String,
        /// What it sums to.
        sum: f64,
    },
    /// The arrays of a model do not fit each other.
    #[error("{what}: expected {expected} numbers, found {found}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// How many it should hold.
        expected: usize,
        /// How many it holds.
        found: usize,
    },
    /// A word that the world does not have.
    #[error("word {place}: {word:?} is no word of this world")]
    UnknownWord {
        /// Its place in the text, from 1.
        place: usize,
        /// The word.
        word: String,
    },
}

impl Error {
    /// A dial out of its range.
    pub(crate) fn dial(dial: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        Self::Dial { dial, expected: expected.into(), found: found.to_string() }
    }
}

/// Checks that a dial lies in a range of whole numbers.
pub(crate) fn within(dial: &'static str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::dial(dial, format!("a whole number from {least} to {most}"), value))
    }
}

/// Checks that a dial is a share.
pub(crate) fn share(dial: &'static str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(Error::dial(dial, "a number from 0 to 1", value)) }
}
