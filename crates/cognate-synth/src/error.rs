//! What can go wrong while writing and judging synthetic documents.

use std::path::PathBuf;

use crate::endpoint::error::EndpointError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of generation and filtering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has a value that cannot be meant.
    #[error("{field} = {value}: expected {expected}")]
    Setting {
        /// The setting's name in the recipe.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// The model's context cannot hold a prompt and its continuation.
    #[error(
        "the synthesizer's context of {max_positions} tokens cannot hold a seed of {max_seed_tokens}, {special} special tokens \
         and {max_new_tokens} new tokens: lower max_seed_tokens or max_new_tokens by {excess}"
    )]
    Context {
        /// Positions that the model knows.
        max_positions: usize,
        /// Longest seed, in tokens.
        max_seed_tokens: usize,
        /// Special tokens around the seed.
        special: usize,
        /// Longest continuation, in tokens.
        max_new_tokens: usize,
        /// By how much the sum is too large.
        excess: usize,
    },
    /// A token that occurs has no row in the synthesizer's embedding.
    #[error(
        "{item}: its token {token:?} has the number {id}, and the synthesizer's embedding has {rows} rows, none for it: give the \
         checkpoint that `cognate tune` wrote, with its tokenizer.json"
    )]
    NoRow {
        /// The text.
        item: String,
        /// The token's text.
        token: String,
        /// Its number.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
    },
    /// There is nothing to start from.
    #[error("{path}: no seed documents to generate from")]
    NoSeeds {
        /// The seed documents' file.
        path: PathBuf,
    },
    /// The token file was made from another document file.
    #[error("{path} holds {documents} documents and its token file {tokenized}: tokenize it again")]
    SeedCount {
        /// The seed documents' file.
        path: PathBuf,
        /// Documents in it.
        documents: usize,
        /// Documents in the token file.
        tokenized: usize,
    },
    /// The model returned a logit that is not a number.
    #[error(
        "document {document} (seed {seed_id}), new token {position}: the synthesizer's logit for token {token} is {value}; its \
         weights are damaged or its training diverged"
    )]
    Logits {
        /// The synthetic document's number.
        document: u64,
        /// The seed's id.
        seed_id: String,
        /// How many tokens of the document were drawn before.
        position: usize,
        /// The token whose logit it is.
        token: u32,
        /// NaN or an infinity.
        value: f32,
    },
    /// The model's probability of a document is not a number.
    #[error("{pair}: the synthesizer's score is {value}; its weights are damaged or its training diverged")]
    Relevance {
        /// The pair, by its document.
        pair: String,
        /// NaN or an infinity.
        value: f64,
    },
    /// A document cannot be a seed.
    #[error("{origin}: {what}: `cognate ingest` leaves such documents out")]
    BadSeed {
        /// Where it stands.
        origin: cognate_corpus::Origin,
        /// Why.
        what: String,
    },
    /// A part of a divided generation is not whole.
    #[error("{path}: {what}", path = path.display())]
    Part {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The output folder holds documents that were generated with other settings.
    #[error("{path}: begun with {field} = {found}, now it is {wanted}; choose another folder, or remove this one")]
    OtherSettings {
        /// The file that holds the settings.
        path: PathBuf,
        /// The first setting that differs.
        field: String,
        /// Its recorded value.
        found: String,
        /// Its value now.
        wanted: String,
    },
    /// A file of an earlier, interrupted generation is not what this program writes.
    #[error("{path}: {what}; remove it, and the shards after it, to generate them again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A synthetic document names a seed that is not in the given file.
    #[error(
        "synthetic document {id} names the seed {seed_id}, which {path} does not hold: give the documents it was made from"
    )]
    UnknownSeed {
        /// The synthetic document.
        id: String,
        /// Its seed.
        seed_id: String,
        /// Where seeds were looked for.
        path: PathBuf,
    },
    /// A field of a synthetic document's metadata has the wrong type.
    #[error("document {id}: metadata field {field} is {found}, expected {expected}")]
    Metadata {
        /// The document.
        id: String,
        /// The field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// A completion server gave no document.
    #[error(transparent)]
    Endpoint(#[from] Box<EndpointError>),
    /// A server lists no entities to write about.
    #[error(
        "{url}: of {asked} documents there is none with two entities to write about, or too few to go on: of {unreadable} the answers of {model:?} cannot \
         be read as a JSON object with a list `entities`. Ask a model that follows instructions, through its chat template; what has arrived is kept"
    )]
    NoEntities {
        /// Where it was asked.
        url: String,
        /// The model's name there.
        model: String,
        /// Documents without a readable answer.
        unreadable: usize,
        /// Documents that it was asked about.
        asked: usize,
    },
    /// The user asked to stop; finished work is saved, and starting again continues.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
    /// A file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Documents, tokens or the tokenizer.
    #[error(transparent)]
    Corpus(#[from] cognate_corpus::Error),
    /// The synthesizer.
    #[error(transparent)]
    Model(#[from] cognate_model::Error),
}

impl Error {
    /// A refused setting.
    pub(crate) fn setting(field: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Setting { field, value: value.to_string(), expected: expected.into() }
    }
}
