//! The command line as typed. What it means is worked out in `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::BenchArgs;

/// Synthetic bootstrapped pretraining: learns how the documents of a fixed corpus are related, writes new ones from that,
/// pretrains on both, and measures what it was worth.
#[derive(Debug, Parser)]
#[command(name = "cognate", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Threads to use; all cores where it is not given. No result depends on it.
    #[arg(long, global = true, value_name = "N", value_parser = positive)]
    pub(crate) threads: Option<usize>,
    /// Only warnings and errors on stderr, no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// More of what happens on stderr.
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a recipe: every stage, every arm, the report. Running again continues.
    Run(RunArgs),
    /// Say what a recipe would cost, and run nothing.
    Plan(PlanArgs),
    /// Say how far a run is.
    Status(StatusArgs),
    /// Read documents, drop duplicates, split them.
    Ingest(IngestArgs),
    /// Encode documents, with a trained or a given tokenizer.
    Tokenize(TokenizeArgs),
    /// Turn documents into vectors.
    Embed(EmbedArgs),
    /// Find related documents.
    Pair(PairArgs),
    /// Time the engine on this machine.
    #[command(subcommand)]
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// The run directory [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run directory.
    pub(crate) dir: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where models run.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DeviceArg {
    /// Where models run.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub(crate) device: Device,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Device {
    /// The processor.
    Cpu,
}

/// How documents are read.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The field that names a document.
    #[arg(long, default_value = "id", value_name = "FIELD")]
    pub(crate) id_field: String,
    /// The field that holds a document's text.
    #[arg(long, default_value = "text", value_name = "FIELD")]
    pub(crate) text_field: String,
    /// What happens at a record that cannot be read.
    #[arg(long, value_enum, default_value_t = OnBadRecord::Stop)]
    pub(crate) on_bad_record: OnBadRecord,
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
    /// Files or folders of JSON Lines (plain, gzip, zstd) or Parquet.
    #[arg(required = true, value_name = "DOCUMENTS")]
    pub(crate) documents: Vec<PathBuf>,
    /// The folder for validation.jsonl.zst, unique.jsonl.zst, oracle.jsonl.zst and what was left out.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Share of the documents held out for validation.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    pub(crate) validation_share: f64,
    /// Share of the documents in the unique split; the rest is the oracle's.
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    pub(crate) unique_share: f64,
    /// Training documents that share this many consecutive words with a validation document are dropped; 0 keeps all.
    #[arg(long, default_value_t = 13, value_name = "WORDS")]
    pub(crate) contamination_words: usize,
    /// Seed of the split.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// A document file with the fields `id` and `text`.
    pub(crate) documents: PathBuf,
    /// Where the tokens go: PREFIX.bin and PREFIX.idx.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) out: PathBuf,
    /// The tokenizer.json to use; with --train, the one to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: PathBuf,
    /// Train the tokenizer on the documents first, with so many entries.
    #[arg(long, value_name = "VOCAB_SIZE")]
    pub(crate) train: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// A document file with the fields `id` and `text`.
    pub(crate) documents: PathBuf,
    /// The vectors' file: .parquet with identifiers, or .npy without.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How documents become vectors.
    #[arg(long, value_enum, default_value_t = EmbedMethod::Lsa)]
    pub(crate) method: EmbedMethod,
    /// Width of the vectors.
    #[arg(long, default_value_t = 256)]
    pub(crate) dimensions: usize,
    /// Words in fewer documents are ignored.
    #[arg(long, default_value_t = 2)]
    pub(crate) min_documents: usize,
    /// Words in a larger share of the documents are ignored.
    #[arg(long, default_value_t = 0.5, value_name = "SHARE")]
    pub(crate) max_document_share: f64,
    /// Words kept, the most frequent first.
    #[arg(long, default_value_t = 200_000)]
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
    #[arg(long, default_value_t = 10, value_name = "K", value_parser = positive)]
    pub(crate) neighbours: usize,
    /// How they are found.
    #[arg(long, value_enum, default_value_t = PairMethod::Auto)]
    pub(crate) method: PairMethod,
    /// The pairs' file, Parquet {id1, id2, similarity}: each document with each of its neighbours, best first.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PairMethod {
    /// Every pair of documents is compared.
    Exact,
    /// What fits the number of documents.
    Auto,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number of at least 1".to_owned()),
    }
}
