//! Flags of the commands about documents and their relations.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cognate_run::recipe::keys::default;

use super::numbers::{number_of, whole_of};

/// How documents are read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The field that names a document; '' derives all names from file and row.
    #[arg(long, default_value = default("corpus", "id_field"), value_name = "FIELD")]
    pub(crate) id_field: String,
    /// The field that holds a document's text.
    #[arg(long, default_value = default("corpus", "text_field"), value_name = "FIELD")]
    pub(crate) text_field: String,
    /// What happens at a record that cannot be read.
    #[arg(long, value_enum, default_value_t = OnBadRecord::Stop)]
    pub(crate) on_bad_record: OnBadRecord,
    /// Most bytes of a record before it is parsed: a line, a row of CSV, a text file.
    #[arg(long, default_value = default("corpus", "max_record_bytes"), value_name = "BYTES", value_parser = whole_of::<usize>("corpus", "max_record_bytes"))]
    pub(crate) max_record_bytes: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnBadRecord {
    /// Stop there.
    Stop,
    /// Count it and go on.
    Skip,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// Files or folders of documents: JSON Lines, CSV or text (plain, gzip, zstd), or Parquet.
    #[arg(required = true, value_name = "DOCUMENTS")]
    pub(crate) documents: Vec<PathBuf>,
    /// The folder for validation.jsonl.zst, unique.jsonl.zst, oracle.jsonl.zst, selection.jsonl.zst and what was left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The field, of a record or of its metadata, that names a document's group; documents of one group stay in one split [default: none]
    #[arg(long, value_name = "FIELD", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) group_field: Option<String>,
    /// Documents to take, drawn by the seed; groups are taken whole [default: all]
    #[arg(long, value_name = "N", value_parser = whole_of::<u64>("corpus", "limit"))]
    pub(crate) limit: Option<u64>,
    /// Longer documents are cut into pieces of at most so many tokens; without --tokenizer, 3 bytes count as one [default: none is cut]
    #[arg(long, value_name = "TOKENS", value_parser = whole_of::<usize>("corpus", "chunk_tokens"))]
    pub(crate) chunk_tokens: Option<usize>,
    /// The tokenizer.json that counts them.
    #[arg(long, value_name = "FILE", requires = "chunk_tokens")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Share of the documents held out for validation.
    #[arg(long, default_value = default("corpus", "validation_share"), value_name = "SHARE", value_parser = number_of("corpus", "validation_share"))]
    pub(crate) validation_share: f64,
    /// Share of the documents in the unique split.
    #[arg(long, default_value = default("corpus", "unique_share"), value_name = "SHARE", value_parser = number_of("corpus", "unique_share"))]
    pub(crate) unique_share: f64,
    /// Share of the documents that choices are made by; what the three leave is the oracle's [default: that of validation, but at most half
    /// of what the other two leave]
    #[arg(long, value_name = "SHARE", value_parser = number_of("corpus", "selection_share"))]
    pub(crate) selection_share: Option<f64>,
    /// Training documents that share this many consecutive words with a validation document are dropped; 0 keeps all.
    #[arg(long, default_value = default("corpus", "contamination_words"), value_name = "WORDS", value_parser = whole_of::<usize>("corpus", "contamination_words"))]
    pub(crate) contamination_words: usize,
    /// Documents that may hold such a passage; what more of them hold is boilerplate, and drops none.
    #[arg(long, default_value = default("corpus", "contamination_documents"), value_name = "N", value_parser = whole_of::<u32>("corpus", "contamination_documents"))]
    pub(crate) contamination_documents: u32,
    /// Seed of the split.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// A document file.
    pub(crate) documents: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Where the tokens go: PREFIX.bin and PREFIX.idx.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) out: PathBuf,
    /// The tokenizer.json to use; with --train, the one to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: PathBuf,
    /// Train the tokenizer on the documents first, with so many entries.
    #[arg(long, value_name = "VOCAB_SIZE", value_parser = whole_of::<usize>("tokenize", "vocab_size"))]
    pub(crate) train: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A document file.
    pub(crate) documents: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The vectors' file: .parquet with identifiers, or .npy without.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How documents become vectors.
    #[arg(long, value_enum, default_value_t = EmbedMethod::Lsa)]
    pub(crate) method: EmbedMethod,
    /// Width of the vectors.
    #[arg(long, default_value = default("embed", "dimensions"), value_parser = whole_of::<usize>("embed", "dimensions"))]
    pub(crate) dimensions: usize,
    /// Words in fewer documents are ignored.
    #[arg(long, default_value = default("embed", "min_documents"), value_parser = whole_of::<usize>("embed", "min_documents"))]
    pub(crate) min_documents: usize,
    /// Words in a larger share of the documents are ignored.
    #[arg(long, default_value = default("embed", "max_document_share"), value_name = "SHARE", value_parser = number_of("embed", "max_document_share"))]
    pub(crate) max_document_share: f64,
    /// Words kept, the most frequent first.
    #[arg(long, default_value = default("embed", "max_terms"), value_parser = whole_of::<usize>("embed", "max_terms"))]
    pub(crate) max_terms: usize,
    /// Seed of the random directions that the SVD starts from.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EmbedMethod {
    /// Latent semantic analysis.
    Lsa,
}

#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The vectors: .parquet {id, embedding} or .npy.
    #[arg(long, value_name = "FILE")]
    pub(crate) embeddings: PathBuf,
    /// Nearest neighbours of each document.
    #[arg(long, default_value = default("pair", "neighbours"), value_name = "K", value_parser = whole_of::<usize>("pair", "neighbours"))]
    pub(crate) neighbours: usize,
    /// How they are found.
    #[arg(long, value_enum, default_value_t = PairMethod::Auto)]
    pub(crate) method: PairMethod,
    /// The pairs' file, Parquet {id1, id2, similarity}: each document with each of its neighbours, best first.
    #[arg(long, value_name = "FILE", required_unless_present = "diagnose")]
    pub(crate) out: Option<PathBuf>,
    /// Write only what a recipe's `pair` would take: pairs so similar that a share of --precision is true by estimate, in both directions.
    #[arg(long)]
    pub(crate) related: bool,
    /// Write nothing; say whether the documents are related, and how true the pairs would be by estimate.
    #[arg(long, conflicts_with_all = ["out", "related"])]
    pub(crate) diagnose: bool,
    /// With --related or --diagnose: the share of true pairs that is wanted.
    #[arg(long, default_value = default("pair", "precision"), value_name = "SHARE", value_parser = number_of("pair", "precision"))]
    pub(crate) precision: f64,
    /// With --related or --diagnose: the documents of the vectors, in their order, so that near-copies are known by their words, and left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: Option<PathBuf>,
    /// With --documents: texts that share this much of their words' 5-grams are near-copies.
    #[arg(long, default_value = default("pair", "near_copy"), value_name = "SHARE", value_parser = number_of("pair", "near_copy"))]
    pub(crate) near_copy: f64,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Seed of the random pairs that strangers are measured by.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PairMethod {
    /// Every pair of documents is compared.
    Exact,
    /// What fits the number of documents.
    Auto,
}
