//! Everything that can go wrong with a corpus. A message names the file, the place in it, what was expected and what to
//! do.

use std::io;
use std::path::PathBuf;

use crate::document::{BadRecord, Origin};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a stage of this crate stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; the message names the path.
    #[error("{0}")]
    Io(#[from] io::Error),

    /// An input path leads nowhere.
    #[error("{path} does not exist")]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// An input path is neither a file nor a folder.
    #[error("{path} is neither a regular file nor a folder of files; documents are read twice, so a pipe will not do")]
    NotAFile {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder of documents holds nothing to read.
    #[error("the folder {path} holds no files (names that begin with a dot do not count)")]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder of documents holds a folder, and it is not clear whether that one is meant too.
    #[error("{path} is a folder inside a folder of documents: name the folders whose files are meant one by one")]
    NestedFolder {
        /// The inner folder.
        path: PathBuf,
    },
    /// A packed file ends early or does not unpack.
    #[error(
        "{path} cannot be read as {container} past record {records} ({source}): the file is truncated or damaged; \
         fetch or write it again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// `gzip`, `zstd` or `Parquet`.
        container: &'static str,
        /// Lines or rows that could still be read.
        records: u64,
        /// What the unpacker says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Parquet file lacks a column.
    #[error(
        "{path} has no column {column:?}; its columns are {found:?}: name the one that holds the text (text_field)"
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column that is needed.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A Parquet column has a type that cannot serve.
    #[error("{path}: column {column:?}: expected {expected}, found {found}")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it should hold.
        expected: &'static str,
        /// The type it holds.
        found: String,
    },
    /// A record is not a document, and the caller asked to stop there.
    #[error("{origin}: {problem} (on_bad_record = \"skip\" passes over such records and lists them)")]
    Record {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        problem: BadRecord,
    },
    /// A record is damaged, where none may be passed over.
    #[error("{origin}: {problem}")]
    BadRecord {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it.
        problem: BadRecord,
    },
    /// Two documents claim one identifier.
    #[error("the id {id:?} occurs twice, at {first} and at {second}: ids must be unique in a corpus")]
    DuplicateId {
        /// The identifier.
        id: String,
        /// Its first bearer.
        first: Origin,
        /// Its second bearer.
        second: Origin,
    },
    /// There is not one document.
    #[error("the corpus is empty: no document in {inputs} ({rejected} records were rejected)")]
    EmptyCorpus {
        /// The inputs as given.
        inputs: String,
        /// Bad records that were passed over.
        rejected: u64,
    },
    /// A split that the experiment needs got no document.
    #[error("the {split} split is empty: a share of {share} of {documents} documents left none; {advice}")]
    EmptySplit {
        /// `validation` or `unique`.
        split: &'static str,
        /// Its share of all documents.
        share: f64,
        /// Distinct documents in the corpus.
        documents: u64,
        /// What would help.
        advice: &'static str,
    },
    /// A setting of ingest is out of its range.
    #[error("{name} is {value}: expected {expected}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// Its range.
        expected: &'static str,
    },
    /// Writing would overwrite what is being read.
    #[error("{path} is both an input and an output: write the corpus into a folder of its own")]
    OutputIsInput {
        /// The file or folder.
        path: PathBuf,
    },
    /// An input changed while it was being read.
    #[error("{origin} is not the record that the first reading found there: the inputs changed while they were read")]
    InputChanged {
        /// The first record that differs.
        origin: Origin,
    },
    /// A document file has a name that does not tell its format.
    #[error("{path}: a document file ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet")]
    UnknownFormat {
        /// The path as given.
        path: PathBuf,
    },
    /// Writing a Parquet file failed.
    #[error("cannot write {path}: {source}")]
    WriteParquet {
        /// The file.
        path: PathBuf,
        /// What the encoder says.
        source: parquet::errors::ParquetError,
    },

    /// The vocabulary has no room for the bytes and the reserved tokens.
    #[error("a vocabulary of {asked} tokens is too small: the 256 bytes and the reserved tokens need {least}")]
    VocabularyTooSmall {
        /// The size asked for.
        asked: usize,
        /// The smallest possible one.
        least: usize,
    },
    /// A tokenizer file cannot be used.
    #[error("{path} cannot serve as the tokenizer: {problem}")]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The tokenizer library refused.
    #[error("the tokenizer failed: {source}")]
    Tokenizer {
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tokenizer without the token that stands before a related document.
    #[error(
        "the tokenizer has no token <|related|>: its checkpoint was never tuned on pairs and writes no related documents; \
         tune it first (`cognate tune`)"
    )]
    NoRelatedToken,
    /// The tokenizer turned ordinary text into a reserved token.
    #[error(
        "the tokenizer turns the text {token:?} inside a document into the reserved token {id}: such a document would end in \
         the middle; use a tokenizer that splits words before its model (byte-level BPE does)"
    )]
    ReservedInText {
        /// The reserved token.
        token: String,
        /// Its number.
        id: u32,
    },

    /// A token file is damaged or is something else.
    #[error("{path} is not a usable token file: {problem}; write it again")]
    TokenFile {
        /// The `.idx` or `.bin` file.
        path: PathBuf,
        /// What does not fit.
        problem: TokenFileProblem,
    },
    /// A token does not belong to the vocabulary.
    #[error("{path}: document {document} holds token {id}, outside the vocabulary of {vocab_size} tokens")]
    TokenOutOfRange {
        /// The token file.
        path: PathBuf,
        /// The document, from 0.
        document: usize,
        /// The token.
        id: i64,
        /// Tokens in the vocabulary.
        vocab_size: usize,
    },
    /// A token file was made with another tokenizer, or of other documents.
    #[error(
        "{tokens}: the tokens of document {id:?} are not those that {tokenizer} makes of its text in {documents}: the file was made with \
         another tokenizer or of other documents; run `cognate tokenize {documents} --tokenizer {tokenizer}`"
    )]
    OtherTokens {
        /// The token file.
        tokens: PathBuf,
        /// The first document whose tokens differ.
        id: String,
        /// The tokenizer.
        tokenizer: PathBuf,
        /// The documents.
        documents: PathBuf,
    },
    /// Two tokenizers that must be the same are not.
    #[error(
        "{first} and {second} are different tokenizers: token {id} is {first_token} in the one and {second_token} in the other; give the \
         one that the checkpoint was trained with"
    )]
    OtherTokenizer {
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// The first number that they differ in.
        id: u32,
        /// What the one has there.
        first_token: String,
        /// What the other has there.
        second_token: String,
    },
    /// A document has more tokens than the format can say.
    #[error("document {document} has {tokens} tokens; a token file holds at most 2147483647 per document: split it")]
    DocumentTooLong {
        /// The document, from 0.
        document: usize,
        /// Its length.
        tokens: usize,
    },

    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
}

/// What does not fit in a pair of token files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFileProblem {
    /// The index is shorter than its header.
    #[error("{bytes} bytes, less than the header's 34")]
    NoHeader {
        /// Its length.
        bytes: usize,
    },
    /// The index begins with something else.
    #[error("it does not begin with MMIDIDX, the mark of a Megatron-LM index")]
    Magic,
    /// The index has another version.
    #[error("version {found}, expected 1")]
    Version {
        /// The version it states.
        found: u64,
    },
    /// The tokens have a type that we do not read.
    #[error(
        "element type {found}, expected a whole number's: 8 (uint16), 4 (int32), 5 (int64), 3 (int16), 1 (uint8) or 2 (int8)"
    )]
    ElementType {
        /// Megatron-LM's code of the type.
        found: u8,
    },
    /// The counts and the length of the index contradict each other.
    #[error("{bytes} bytes, but {sequences} sequences and {boundaries} document boundaries need another length")]
    IndexLength {
        /// The file's length.
        bytes: usize,
        /// Sequences it states.
        sequences: u64,
        /// Document boundaries it states.
        boundaries: u64,
    },
    /// A sequence has an impossible length.
    #[error("sequence {sequence} has length {found}")]
    SequenceLength {
        /// The sequence, from 0.
        sequence: usize,
        /// Its length.
        found: i32,
    },
    /// A sequence does not begin where the one before it ends.
    #[error("sequence {sequence} begins at byte {found}, expected {expected}")]
    SequenceStart {
        /// The sequence, from 0.
        sequence: usize,
        /// Where it begins by the index.
        found: i64,
        /// Where the one before it ends.
        expected: u64,
    },
    /// The document boundaries do not rise from the first sequence to the last.
    #[error("document boundary {boundary} is {found}, expected {expected}")]
    DocumentBoundary {
        /// The boundary, from 0.
        boundary: usize,
        /// Its value.
        found: i64,
        /// What would fit.
        expected: String,
    },
    /// The tokens are more or fewer than the index says.
    #[error("{bytes} bytes, but its index tells of {expected}")]
    DataLength {
        /// The file's length.
        bytes: usize,
        /// The length by the index.
        expected: u64,
    },
}
