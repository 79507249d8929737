//! Everything that can go wrong with vectors and pairs. A message names the place, what was expected and what to do.

use std::io;
use std::path::PathBuf;

use cognate_base::format::Format;
use cognate_base::table::{EXPECTED, Fault};

use crate::pairs::similarities::{Quantiles, Window};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a function of this crate stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; the message names the path.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
    /// A setting is outside what it can mean.
    #[error("{field} is {found}, expected {expected}")]
    Config {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values it can have.
        expected: &'static str,
    },

    /// There is nothing to embed.
    #[error("there are no documents to embed")]
    NoDocuments,
    /// More documents than a 32-bit index can name.
    #[error("{documents} documents are more than the {} that one set of vectors can hold", u32::MAX - 1)]
    TooManyDocuments {
        /// Documents given.
        documents: usize,
    },
    /// No word is left to compare documents by.
    #[error(
        "none of the {distinct} distinct words of {documents} documents is left to compare them by: {rare} are in \
         fewer than {min_documents} documents, {common} in more than {max_document_share} of them; lower \
         min_documents, raise max_document_share, or give more documents"
    )]
    NoTerms {
        /// Documents given.
        documents: usize,
        /// Distinct words in them.
        distinct: usize,
        /// Words left out as too rare.
        rare: usize,
        /// Words left out as too common.
        common: usize,
        /// The setting that made them rare.
        min_documents: usize,
        /// The setting that made them common.
        max_document_share: f64,
    },

    /// No two documents share enough entities.
    #[error(
        "no two documents are a pair by {shared} shared entities: the documents name {distinct} of them, runs of words with capitals, {common} in too many \
         documents, and {near_copies} pairs are near-copies; lower shared_entities, raise entity_documents or near_copy, or choose another method \
         for a corpus whose script has no capitals"
    )]
    NothingShared {
        /// Entities that a pair must share.
        shared: usize,
        /// Different entities.
        distinct: u64,
        /// Those that too many documents name.
        common: u64,
        /// Pairs that are near-copies.
        near_copies: u64,
    },

    /// Identifiers, width and numbers do not fit together.
    #[error("{ids} ids and {values} numbers do not make rows of {width} numbers")]
    Shape {
        /// Identifiers.
        ids: usize,
        /// Numbers per row.
        width: usize,
        /// Numbers in all.
        values: usize,
    },
    /// A vector holds a number that is none.
    #[error(
        "the vector of row {} (id {id:?}) holds {value} at place {column}: vectors must be finite; embed it again", .row + 1)]
    NotFinite {
        /// Row, counted from 0; a person is told it from 1, as of a file of documents.
        row: usize,
        /// The row's identifier.
        id: String,
        /// Place in the row, counted from 0.
        column: usize,
        /// The number.
        value: f32,
    },
    /// A vector's length is not one.
    #[error(
        "the vector of row {} (id {id:?}) has length {length}, expected 1 (or 0 for none): normalise them first", .row + 1)]
    NotUnit {
        /// Row, counted from 0.
        row: usize,
        /// The row's identifier.
        id: String,
        /// The vector's Euclidean length.
        length: f64,
    },
    /// Two rows have one identifier.
    #[error("rows {} and {} both have the id {id:?}: ids must be unique", .first + 1, .second + 1)]
    DuplicateId {
        /// The identifier.
        id: String,
        /// The earlier row, counted from 0.
        first: usize,
        /// The later row.
        second: usize,
    },
    /// More neighbours are asked for than there are other documents.
    #[error("{k} neighbours of each of {rows} documents do not exist: ask for at most {}", rows.saturating_sub(1))]
    TooFewRows {
        /// Documents.
        rows: usize,
        /// Neighbours asked for.
        k: usize,
    },
    /// More neighbours are asked for than fit into memory.
    #[error("{k} neighbours of each of {rows} documents are more than can be held at once: ask for at most {most}")]
    TooManyNeighbours {
        /// Documents.
        rows: usize,
        /// Neighbours asked for.
        k: usize,
        /// The most for so many documents.
        most: usize,
    },
    /// Vectors that should lie in one space do not.
    #[error("vectors of {found} numbers lie in no common space with vectors of {expected}: embed both by one embedder")]
    Widths {
        /// Numbers of a vector of the corpus.
        expected: usize,
        /// Numbers of a vector of the other documents.
        found: usize,
    },
    /// Neighbours are not those of these vectors.
    #[error("neighbours of {neighbours} documents do not belong to {vectors} vectors")]
    OtherNeighbours {
        /// Documents that have neighbours.
        neighbours: usize,
        /// Documents that have vectors.
        vectors: usize,
    },

    /// Documents of one group are no pairs, and there is one group.
    #[error(
        "all {documents} documents are of one group, and documents of one group are no pairs: write within_groups = true, or name another \
         group_field"
    )]
    OneGroup {
        /// Documents.
        documents: usize,
    },
    /// No two documents are related.
    #[error(
        "no pair of neighbours that are no near-copies has a similarity in the window {} ≤ s < {}. Similarities of neighbours: {neighbours}; \
         of random documents: {random}. Try min_similarity = {:.2}, or \"auto\"",
        window.min_similarity, window.max_similarity, suggested.min_similarity
    )]
    NoPairs {
        /// The window that was asked for.
        window: Window,
        /// Similarities of documents and their neighbours.
        neighbours: Box<Quantiles>,
        /// Similarities of random documents.
        random: Box<Quantiles>,
        /// A window that would leave pairs.
        suggested: Window,
    },
    /// The pairs cannot be split into two sets without a common document.
    #[error(
        "{related} related documents cannot be split so that a share of {share} is held out and pairs are left on both \
         sides ({train} training, {held_out} held-out pairs): widen the similarity window, change held_out_share, or \
         give more documents"
    )]
    TooFewPairs {
        /// Documents with at least one pair.
        related: usize,
        /// The share asked for.
        share: f64,
        /// Training pairs there would be.
        train: usize,
        /// Held-out pairs there would be.
        held_out: usize,
    },

    /// A NumPy file is damaged or holds something else.
    #[error("{path} is not a NumPy array of vectors that can be read: {problem}")]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file is something else than it should be.
    #[error("{path}: {}", found.instead_of(expected))]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: Format,
        /// What it should be.
        expected: &'static str,
    },
    /// A Parquet file asks for what is not supported.
    #[error("{path} cannot be read: {what}, which is not supported; write it again without that")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        what: String,
    },
    /// A Parquet file is damaged.
    #[error("{path} cannot be read as Parquet ({source}): it is truncated or damaged; fetch or write it again")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value is no text, in a column of text.
    #[error("column {column:?} of {path} holds bytes that are no UTF-8 in row {}: write it again as UTF-8", .row + 1)]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// Row, counted from 0.
        row: usize,
    },
    /// A table cannot be written.
    #[error("writing {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the writer says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table lacks a column.
    #[error("{path} has no column {column:?}; its columns are {found:?}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: &'static str,
        /// The columns there are.
        found: Vec<String>,
    },
    /// A column holds another type.
    #[error("column {column:?} of {path} holds {found}, expected {expected}")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The type it must have.
        expected: &'static str,
        /// The type it has.
        found: String,
    },
    /// A value is missing.
    #[error("column {column:?} of {path} holds a null in row {}: every row needs a value", .row + 1)]
    Null {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// Row, counted from 0.
        row: usize,
    },
    /// The vectors of one table differ in length.
    #[error(
        "the vector in row {} of {path} has {found} numbers, but the first has {expected}: all must be of one length", .row + 1)]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Row, counted from 0.
        row: usize,
        /// Numbers in the first row.
        expected: usize,
        /// Numbers in this row.
        found: usize,
    },
    /// A file holds no vectors.
    #[error("{path} holds no vectors")]
    NoVectors {
        /// The file.
        path: PathBuf,
    },
    /// A file's content is wrong in a way that in-memory vectors can be wrong too.
    #[error("{path}: {source}")]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// A pair names a document that does not exist.
    #[error("{path} names the document {id:?} in column {column:?}, row {}, but there is no such document", .row + 1)]
    UnknownId {
        /// The file.
        path: PathBuf,
        /// `id1` or `id2`.
        column: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// The identifier.
        id: String,
    },
    /// A pair cannot be used.
    #[error("row {} of {path} pairs {first:?} with {second:?}: {problem}", .row + 1)]
    BadPair {
        /// The file.
        path: PathBuf,
        /// Row, counted from 0.
        row: usize,
        /// The seed document.
        first: String,
        /// The target document.
        second: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl Error {
    /// Says in which file the fault is.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        Self::InFile { path: path.to_path_buf(), source: Box::new(self) }
    }

    /// Why the table at `path` cannot be read.
    pub(crate) fn of_table(path: &std::path::Path, fault: Fault) -> Self {
        let path = path.to_path_buf();
        match fault {
            Fault::Io(source) => Self::Io(io::Error::new(source.kind(), format!("{}: {source}", path.display()))),
            Fault::Format(found) => Self::OtherFormat { path, found, expected: EXPECTED },
            Fault::Unsupported(what) => Self::Unsupported { path, what },
            Fault::Damage(source) => Self::Parquet { path, source },
        }
    }
}
