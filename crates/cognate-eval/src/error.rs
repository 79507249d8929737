//! What can go wrong while measuring a model.

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no text to measure on.
    #[error("nothing to evaluate on: {documents} documents with {bytes} bytes of text")]
    NoText {
        /// Documents given.
        documents: u64,
        /// Bytes in them.
        bytes: u64,
    },
    /// The model's vocabulary is smaller than the tokenizer's.
    #[error(
        "the model has {model} tokens in its vocabulary, the tokenizer {tokenizer}: they do not belong together; give the \
         tokenizer.json that lies in the checkpoint's folder"
    )]
    Vocabulary {
        /// The model's.
        model: usize,
        /// The tokenizer's.
        tokenizer: usize,
    },
    /// The model's loss is not a number.
    #[error("{item}: the model's loss is {nats}; its weights are damaged or its training diverged")]
    NotFinite {
        /// The document or pair.
        item: String,
        /// NaN or an infinity.
        nats: f64,
    },
    /// The model's context cannot hold a seed and a token of the related document.
    #[error(
        "the model's context of {max_positions} tokens cannot hold a seed of {seed_tokens}, 2 special tokens and a related \
         document: lower max_seed_tokens"
    )]
    Context {
        /// Positions that the model knows.
        max_positions: usize,
        /// Tokens kept of the longest seed.
        seed_tokens: usize,
    },
    /// No pair can be compared with another pair's seed.
    #[error("pair {pair} of {pairs}: no other pair has a different seed to compare with; hold out more pairs")]
    NoOtherSeed {
        /// The pair, counted from 0.
        pair: usize,
        /// How many there are.
        pairs: usize,
    },
    /// The user asked to stop.
    #[error("interrupted; run it again")]
    Interrupted,
    /// Documents or the tokenizer.
    #[error(transparent)]
    Corpus(#[from] cognate_corpus::Error),
    /// The model.
    #[error(transparent)]
    Model(cognate_model::Error),
}

impl From<cognate_model::Error> for Error {
    fn from(error: cognate_model::Error) -> Self {
        match error {
            cognate_model::Error::Interrupted => Self::Interrupted,
            other => Self::Model(other),
        }
    }
}
