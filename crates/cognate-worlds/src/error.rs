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
    /// A state that emits no symbol.
    #[error("state {state} never emits a symbol: give it one, or take it out")]
    Silent {
        /// The state, from 0.
        state: usize,
    },
    /// The people are not those that dials and seed make.
    #[error("person {number} is not the one that the dials and the seed make")]
    OtherPerson {
        /// The person, from 0.
        number: usize,
    },
    /// The parameters are of another kind of world.
    #[error("they are not those of a world of {world}")]
    OtherParameters {
        /// The world that the dials are of.
        world: &'static str,
    },
    /// Documents do not fit a model.
    #[error(
        "{dial}: a document has {tokens} tokens at least, and the model's context is {context}: shorten the documents, or raise [model] context"
    )]
    Context {
        /// The dial that says how long documents are.
        dial: &'static str,
        /// Tokens of a document, at least, with its closing one.
        tokens: usize,
        /// Tokens that the model reads.
        context: usize,
    },
    /// Nothing is related.
    #[error(
        "no two of the {documents} documents of the unique split have one concept: more documents, or fewer concepts, make pairs"
    )]
    NoPair {
        /// Documents of the unique split.
        documents: usize,
    },
    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
    /// The machine has too little memory for it.
    #[error(transparent)]
    TooLarge(#[from] cognate_base::process::TooLarge),
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
