//! What can go wrong while measuring a model.

use crate::tasks::problem::RecordProblem;

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
    /// A token that occurs has no row in the model's embedding.
    #[error(
        "{item}: its token {token:?} has the number {id}, and the checkpoint's embedding has {rows} rows, none for it: give the \
         tokenizer.json that the checkpoint was trained with, or leave the text out"
    )]
    NoRow {
        /// The document, question or pair.
        item: String,
        /// The token's text.
        token: String,
        /// Its number.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
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
    /// There is no task of this name.
    #[error("there is no task `{name}`; the tasks are {known}")]
    UnknownTask {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A task's table cannot be meant.
    #[error("the definition of the task `{name}`: {problem}")]
    Definition {
        /// The task.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A record is no question of its task.
    #[error("{origin}: {problem}")]
    TaskRecord {
        /// Where it stands.
        origin: cognate_corpus::Origin,
        /// What is wrong with it.
        problem: RecordProblem,
    },
    /// A task's file holds no records.
    #[error("the task `{task}` is empty: {path} holds no records", path = path.display())]
    EmptyTask {
        /// The task.
        task: String,
        /// Its file.
        path: std::path::PathBuf,
    },
    /// More examples are wanted than a task allows.
    #[error("the task `{task}` takes at most {most} examples before a question, and {asked} were asked for")]
    TooManyShots {
        /// The task.
        task: String,
        /// The most.
        most: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// There are not as many examples as wanted.
    #[error("{origin}: {asked} examples were asked for, and {path} has {found} for this question: lower --shots", path = path.display())]
    TooFewExamples {
        /// The question.
        origin: cognate_corpus::Origin,
        /// How many were asked for.
        asked: usize,
        /// The file of examples.
        path: std::path::PathBuf,
        /// How many are there: of the question's group, where examples are taken from it, and without the question itself.
        found: usize,
    },
    /// A continuation alone is longer than the model's context, or generation leaves no room for a prompt.
    #[error(
        "{origin}: the answer takes {tokens} tokens, and the model's context of {max_positions} has no room for it: this checkpoint cannot be measured on this task"
    )]
    TaskContext {
        /// The question.
        origin: cognate_corpus::Origin,
        /// Tokens of the continuation.
        tokens: usize,
        /// Positions that the model knows.
        max_positions: usize,
    },
    /// The tokenizer makes no token of a text.
    #[error("{origin}: the checkpoint's tokenizer has no token for {text:?}: it cannot be measured on this task")]
    NoTokens {
        /// The question.
        origin: cognate_corpus::Origin,
        /// The text.
        text: String,
    },
    /// A file of documents with relations cannot be used.
    #[error("{path}: {problem}", path = path.display())]
    Relations {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
    /// Documents or the tokenizer.
    #[error(transparent)]
    Corpus(#[from] cognate_corpus::Error),
    /// Similarities of documents.
    #[error(transparent)]
    Pair(#[from] cognate_pair::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] cognate_model::Error),
}
