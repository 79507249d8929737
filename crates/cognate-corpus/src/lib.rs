//! Text in, tokens out: documents read and written, a corpus split for an honest experiment, the tokenizer, and token
//! files.
//!
//! The ground floor of the data side: nothing here knows a model, a recipe or a run. In the order of the data flow:
//!
//! | module | what lives there |
//! |---|---|
//! | [`document`] | one document, and where it came from |
//! | [`metadata`] | what a source says about it, kept as it was written |
//! | `group` | what a record says about its group |
//! | [`input`] | which files a folder stands for, and what their documents are called |
//! | [`reader`] | files of every format, told apart by content, as a stream of documents |
//! | `unpack`, `jsonl`, `json`, `delimited`, `plain_text`, `parquet_rows` | one file each, as records |
//! | [`records`] | the same files as records with all their fields, whatever these are called |
//! | [`writer`] | the same formats, written atomically |
//! | [`ingest()`] | the stage: identifiers, exact duplicates, the split, contamination |
//! | `split`, `draw`, `survey` | which split a document belongs to, of its own or with its group, and what is read for that |
//! | [`tokenizer`] | byte-level BPE: training, loading, encoding |
//! | `watched` | work that cannot be interrupted from within |
//! | [`pieces`] | long documents in pieces |
//! | `cut` | where a document is cut that is too long for a prompt |
//! | `sentences` | a document's tokens in sentences |
//! | [`token_file`] | Megatron-LM's `.bin` and `.idx`, written and memory-mapped |
//! | [`tokenize()`] | the stage: a document file to a token file |

mod contamination;
mod cut;
mod delimited;
pub mod document;
mod draw;
mod error;
mod group;
pub mod ingest;
pub mod input;
mod json;
mod jsonl;
pub mod metadata;
mod parquet_rows;
pub mod pieces;
mod plain_text;
pub mod reader;
pub mod records;
mod sentences;
mod split;
mod survey;
pub mod token_file;
pub mod tokenize;
pub mod tokenizer;
mod unpack;
mod watched;
pub mod writer;

pub use contamination::without_shared_passages;
pub use cut::{Boundary, Cut, CutCounts};
pub use document::{BadRecord, Document, Origin, Rejected};
pub use error::{Error, Remedy, Result, TokenFileProblem};
pub use ingest::{IngestConfig, IngestStats, SharedPassage, Split, SplitStats, default_selection_share, ingest};
pub use metadata::Metadata;
pub use reader::{OnBadRecord, ReadOptions, Reader};
pub use records::{Record, Records};
pub use sentences::Sentence;
pub use split::id_in_split;
pub use token_file::{TokenFile, TokenStats, TokenWriter};
pub use tokenize::{TokenizeStats, check_tokens, tokenize};
pub use tokenizer::{END_OF_DOCUMENT, LARGEST_VOCABULARY, MASK, RELATED, Tokenizer};
pub use writer::DocumentWriter;
