//! Everything that can go wrong with a corpus. A message names the file, the place in it, what was expected and what to
//! do.

use std::io;
use std::path::{Path, PathBuf};

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
    /// A folder holds no documents, nor do the folders in it.
    #[error(
        "the folder {path} holds no documents: expected files that end in .jsonl, .ndjson, .json, .parquet, .csv, .tsv or .txt \
         (the text ones plain, .gz or .zst), found {seen}"
    )]
    NothingToRead {
        /// The folder.
        path: PathBuf,
        /// What is in it, in words.
        seen: String,
    },
    /// A link in a folder of documents leads nowhere.
    #[error("{path} is a link to a file that does not exist: fetch the file, or remove the link")]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// One file is named twice among the inputs.
    #[error("{path} is given twice, by itself or in a folder: name it once")]
    GivenTwice {
        /// The file as given the second time.
        path: PathBuf,
    },
    /// A file is of a format that is known and is not read.
    #[error("{path}: {problem}")]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        problem: String,
    },
    /// A packed file is whole, and asks for what the unpacker does not do.
    #[error("{path} cannot be read as {container}: it needs {needs}; unpack it with the tool that packed it")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// `gzip` or `zstd`.
        container: &'static str,
        /// What it asks for.
        needs: &'static str,
    },
    /// A Parquet file asks for what is not supported.
    #[error("{path} cannot be read as Parquet: {what}, which is not supported; write it again without that")]
    UnsupportedParquet {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        what: String,
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
    /// A table lacks a column.
    #[error("{path} has no column {column:?}; its columns are {found:?}: name the one that holds the text")]
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
    #[error("{origin}: {problem}")]
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
    /// No record names its group.
    #[error(
        "no record has the field {field:?}, which should name its group, nor has its metadata; the fields are {fields:?}: name one of these as \
         group_field, or leave it out"
    )]
    NoGroupField {
        /// The field.
        field: String,
        /// The fields of the first records.
        fields: Vec<String>,
    },
    /// The field that should name groups holds something else.
    #[error(
        "group_field is {field:?}, which holds a document's id, text or metadata: expected a field that several documents share"
    )]
    GroupFieldTaken {
        /// The field.
        field: String,
    },
    /// A piece of a long document would have the identifier of another document.
    #[error(
        "{origin}: a piece of this document would be called {id:?}, and {first} is called so: give one of the two documents another id, or leave out \
         chunk_tokens"
    )]
    PieceId {
        /// The name.
        id: String,
        /// The document that is cut.
        origin: Origin,
        /// The other one.
        first: Origin,
    },
    /// There is not one document.
    #[error(
        "the corpus is empty: no document in {inputs} ({rejected} records were rejected, {without_text} documents have no text)"
    )]
    EmptyCorpus {
        /// The inputs as given.
        inputs: String,
        /// Documents whose text is nothing but white space.
        without_text: u64,
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
    /// The output folder holds something already.
    #[error("{path} holds {found} already: name a folder that is empty or not there yet, or remove it")]
    OutputNotEmpty {
        /// The folder.
        path: PathBuf,
        /// The first name in it.
        found: String,
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
    /// The vocabulary is larger than any that can be of use.
    #[error("a vocabulary of {asked} tokens is too large: expected {most} at most")]
    VocabularyTooLarge {
        /// The size asked for.
        asked: usize,
        /// The largest one that is taken.
        most: usize,
    },
    /// The tokenizer library refused.
    #[error("the tokenizer{} failed: {source}", of(tokenizer.as_deref()))]
    Tokenizer {
        /// Where the tokenizer came from; none where it was trained here.
        tokenizer: Option<PathBuf>,
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A document that the tokenizer does not take.
    #[error("{origin}: document {id:?}: {problem}")]
    Untokenizable {
        /// Where it stands.
        origin: Origin,
        /// Its identifier.
        id: String,
        /// Why not.
        problem: Box<Error>,
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
    /// Two tokenizers that must be the same begin and end documents with other tokens.
    #[error(
        "{first} and {second} have the same tokens, but begin and end a document with {first_frame} in the one and {second_frame} in the \
         other: give the tokenizer.json in the checkpoint's folder, or have the same bos_token and eos_token in the tokenizer_config.json \
         beside each"
    )]
    OtherFrame {
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Begin and end token of the one.
        first_frame: String,
        /// Begin and end token of the other.
        second_frame: String,
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

/// What a user can set so that documents which are refused are read: a flag of a command, or a key of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// [`ReadOptions::text_field`](crate::ReadOptions::text_field): another name.
    TextField,
    /// [`ReadOptions::id_field`](crate::ReadOptions::id_field): none, so that every id is derived.
    NoIdField,
    /// [`ReadOptions::max_record_bytes`](crate::ReadOptions::max_record_bytes): more.
    MaxRecordBytes,
    /// [`ReadOptions::on_bad_record`](crate::ReadOptions::on_bad_record): skip.
    Skip,
}

impl Error {
    /// The same, of a document, where a tokenizer did not take it.
    pub fn of_document(self, origin: &Origin, id: &str) -> Self {
        match self {
            Self::Interrupted(interrupted) => Self::Interrupted(interrupted),
            problem => Self::Untokenizable { origin: origin.clone(), id: id.to_owned(), problem: Box::new(problem) },
        }
    }

    /// What the user can set, best first; none where nothing helps.
    pub fn remedies(&self) -> &'static [Remedy] {
        match self {
            Self::NoColumn { .. } => &[Remedy::TextField],
            Self::DuplicateId { .. } => &[Remedy::NoIdField, Remedy::Skip],
            Self::Record { problem, .. } => match problem {
                BadRecord::NoText { .. } => &[Remedy::TextField, Remedy::Skip],
                BadRecord::TooLong { .. } => &[Remedy::MaxRecordBytes, Remedy::Skip],
                BadRecord::EmptyId { .. } => &[Remedy::NoIdField, Remedy::Skip],
                BadRecord::WrongType { expected, .. } if expected.contains("integer") => {
                    &[Remedy::NoIdField, Remedy::Skip]
                }
                _ => &[Remedy::Skip],
            },
            _ => &[],
        }
    }
}

/// ` of PATH`, where the tokenizer came from a file.
fn of(tokenizer: Option<&Path>) -> String {
    tokenizer.map(|path| format!(" of {}", path.display())).unwrap_or_default()
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
    #[error("it does not begin with MMIDIDX, the mark of a Megatron-LM index: {instead}")]
    Magic {
        /// What it is, and what to do.
        instead: String,
    },
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
