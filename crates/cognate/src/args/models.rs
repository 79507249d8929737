//! Flags of the commands about models.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use cognate_eval::replm::{REPLM, ReplmOptions};
use cognate_ops::Precision;
use cognate_run::recipe::keys::default;
use cognate_synth::{Part, Rule, Sampling};

use super::DeviceArg;
use super::documents::ReadArgs;
use super::numbers::{
    Limit, MOST_DOCUMENTS, MOST_SMALL, MOST_WRITTEN, limit_of, number_of, rule_limit, whole, whole_of,
};

/// The decoder's dials.
#[derive(Debug, Args)]
pub(crate) struct ShapeArgs {
    /// Decoder blocks.
    #[arg(long, default_value_t = 6, value_parser = whole_of::<usize>("model", "layers"))]
    pub(crate) layers: usize,
    /// Width of the residual stream.
    #[arg(long, default_value_t = 384, value_parser = whole_of::<usize>("model", "width"))]
    pub(crate) width: usize,
    /// Query heads.
    #[arg(long, default_value_t = 6, value_parser = whole_of::<usize>("model", "heads"))]
    pub(crate) heads: usize,
    /// Key and value heads [default: as many as query heads]
    #[arg(long, value_parser = whole_of::<usize>("model", "kv_heads"))]
    pub(crate) kv_heads: Option<usize>,
    /// Width of one head [default: width / heads]
    #[arg(long, value_parser = whole_of::<usize>("model", "head_width"))]
    pub(crate) head_width: Option<usize>,
    /// Width of the feed-forward layer [default: 8/3 width, rounded up to a multiple of 64]
    #[arg(long, value_parser = whole_of::<usize>("model", "ffn"))]
    pub(crate) ffn: Option<usize>,
    /// Base of the rotary position frequencies.
    #[arg(long, default_value = default("model", "rope_base"), value_parser = number_of("model", "rope_base"))]
    pub(crate) rope_base: f64,
    /// A head of its own instead of the embedding's weights.
    #[arg(long)]
    pub(crate) untied: bool,
    /// No norm on queries and keys: the checkpoint is a Llama.
    #[arg(long)]
    pub(crate) no_qk_norm: bool,
}

/// The optimizer's dials, and when to look and to save.
#[derive(Debug, Args)]
pub(crate) struct OptimizerArgs {
    /// Weight decay of matrices and tables.
    #[arg(long, default_value = default("train", "weight_decay"), value_parser = number_of("train", "weight_decay"))]
    pub(crate) weight_decay: f64,
    /// Longest gradient.
    #[arg(long, default_value = default("train", "clip"), value_parser = number_of("train", "clip"))]
    pub(crate) clip: f64,
    /// Tokens between two measurements of the validation loss [default: a twentieth of all]
    #[arg(long, value_name = "TOKENS", value_parser = whole_of::<usize>("train", "validate_every_tokens"))]
    pub(crate) validate_every_tokens: Option<usize>,
    /// Tokens between two checkpoints [default: a twentieth of all]
    #[arg(long, value_name = "TOKENS", value_parser = whole_of::<usize>("train", "checkpoint_every_tokens"))]
    pub(crate) checkpoint_every_tokens: Option<usize>,
    /// Newest checkpoints that stay on disk; the best one always does.
    #[arg(long, default_value = default("train", "keep_checkpoints"), value_parser = whole_of::<usize>("train", "keep_checkpoints"))]
    pub(crate) keep_checkpoints: usize,
    /// Seed of initialisation and order.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Token files, PREFIX for PREFIX.bin and PREFIX.idx, repeated as the budget asks, shuffled together.
    #[arg(long, required = true, num_args = 1.., value_name = "PREFIX")]
    pub(crate) tokens: Vec<PathBuf>,
    /// A token file to measure the loss on.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) validation: Option<PathBuf>,
    /// Validation documents that the loss is measured on.
    #[arg(long, default_value = default("train", "validate_documents"), value_name = "N", value_parser = whole::<usize>(0, MOST_DOCUMENTS))]
    pub(crate) validate_documents: usize,
    /// The tokenizer.json that made the token files; every checkpoint gets a copy.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: PathBuf,
    /// The folder for metrics.jsonl and checkpoints/; running again continues there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Training tokens, cut to whole steps.
    #[arg(long, value_name = "TOKENS", value_parser = whole_of::<u64>("train", "budget_tokens"))]
    pub(crate) budget_tokens: u64,
    /// Tokens per step.
    #[arg(long, default_value_t = 8192, value_parser = whole_of::<usize>("train", "batch_tokens"))]
    pub(crate) batch_tokens: usize,
    /// Tokens that a document is cut into [default: 1024, or all positions of --init's checkpoint where they are fewer]
    #[arg(long, value_parser = whole_of::<usize>("model", "context"))]
    pub(crate) context: Option<usize>,
    /// Start from a checkpoint instead of new weights; the shape is the checkpoint's.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) init: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    /// Highest learning rate [default: 0.3118 C^(-1/8), C the operations of training between embedding and head]
    #[arg(long, value_name = "RATE", value_parser = number_of("train", "peak_rate"))]
    pub(crate) peak_rate: Option<f64>,
    /// Learning rate at the end of the cosine [default: peak rate / 200]
    #[arg(long, value_name = "RATE", value_parser = number_of("train", "final_rate"))]
    pub(crate) final_rate: Option<f64>,
    /// Share of the steps during which the rate rises.
    #[arg(long, default_value = default("train", "warmup_share"), value_name = "SHARE", value_parser = number_of("train", "warmup_share"))]
    pub(crate) warmup_share: f64,
    #[command(flatten)]
    pub(crate) optimizer: OptimizerArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The checkpoint to start from, with its tokenizer.json.
    pub(crate) checkpoint: PathBuf,
    /// The documents that the pairs name, for their identifiers.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Their token file: PREFIX.bin and PREFIX.idx.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) tokens: PathBuf,
    /// Pairs to learn, Parquet {id1, id2, similarity}: the first is the seed.
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: PathBuf,
    /// Pairs to choose the checkpoint by: what the true seed saves on them. --documents and --tokens hold their documents too.
    #[arg(long, value_name = "FILE")]
    pub(crate) held_out: Option<PathBuf>,
    /// The folder for metrics.jsonl and checkpoints/; running again continues there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How often each pair is seen.
    #[arg(long, default_value = default("tune", "epochs"), value_parser = whole_of::<u32>("tune", "epochs"))]
    pub(crate) epochs: u32,
    /// Pairs to learn, at most: so many are drawn [default: all]
    #[arg(long, value_name = "N", value_parser = whole_of::<usize>("tune", "max_pairs"))]
    pub(crate) max_pairs: Option<usize>,
    /// Learning rate, constant after the warm-up.
    #[arg(long, default_value_t = 3e-4, value_parser = number_of("tune", "rate"))]
    pub(crate) rate: f64,
    /// Tokens per step.
    #[arg(long, default_value_t = 8192, value_parser = whole_of::<usize>("tune", "batch_tokens"))]
    pub(crate) batch_tokens: usize,
    /// Most tokens of a pair [default: all positions that the checkpoint knows]
    #[arg(long, value_parser = whole_of::<usize>("tune", "context"))]
    pub(crate) context: Option<usize>,
    /// Share of the steps during which the rate rises.
    #[arg(long, default_value = default("tune", "warmup_share"), value_name = "SHARE", value_parser = number_of("tune", "warmup_share"))]
    pub(crate) warmup_share: f64,
    #[command(flatten)]
    pub(crate) optimizer: OptimizerArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// A completion server that writes instead of our own decoder.
#[derive(Debug, Args)]
pub(crate) struct EndpointArgs {
    /// Have a completion server write that serves the checkpoint, as http://127.0.0.1:8000/v1.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The name that the server knows the checkpoint by.
    #[arg(long, default_value = "synthesizer", value_name = "NAME", requires = "endpoint")]
    pub(crate) endpoint_model: String,
    /// Requests at a time; no result depends on it.
    #[arg(long, default_value_t = 32, value_name = "N", requires = "endpoint", value_parser = whole_of::<usize>("generate", "endpoint_concurrency"))]
    pub(crate) endpoint_concurrency: usize,
    /// The environment variable that holds the server's key, in capitals.
    #[arg(long, value_name = "VARIABLE", requires = "endpoint")]
    pub(crate) endpoint_key_env: Option<String>,
    /// Longest wait for one answer, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", requires = "endpoint", value_parser = whole_of::<usize>("generate", "endpoint_timeout_s"))]
    pub(crate) endpoint_timeout_s: usize,
    /// Requests for one document before the command fails.
    #[arg(long, default_value_t = 8, value_name = "N", requires = "endpoint", value_parser = whole_of::<usize>("generate", "endpoint_attempts"))]
    pub(crate) endpoint_attempts: usize,
}

/// How tokens are drawn.
#[derive(Debug, Args)]
pub(crate) struct SamplingArgs {
    /// Divides the logits; 0 takes the likeliest token always.
    #[arg(long, default_value = default("generate", "temperature"), value_parser = number_of("generate", "temperature"))]
    pub(crate) temperature: f64,
    /// Only the likeliest tokens that make up this probability are drawn.
    #[arg(long, default_value = default("generate", "top_p"), value_parser = number_of("generate", "top_p"))]
    pub(crate) top_p: f64,
    /// Only so many of the likeliest tokens are drawn; 0: any number.
    #[arg(long, default_value = default("generate", "top_k"), value_name = "K", value_parser = whole_of::<usize>("generate", "top_k"))]
    pub(crate) top_k: usize,
    /// Only tokens at least so likely as this share of the likeliest are drawn.
    #[arg(long, default_value = default("generate", "min_p"), value_name = "SHARE", value_parser = number_of("generate", "min_p"))]
    pub(crate) min_p: f64,
    /// Divides the logits of tokens that are there already (multiplies those below 0); 1 is off.
    #[arg(long, default_value = default("generate", "repetition_penalty"), value_name = "FACTOR", value_parser = number_of("generate", "repetition_penalty"))]
    pub(crate) repetition_penalty: f64,
}

impl SamplingArgs {
    pub(crate) fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, top_k, min_p, repetition_penalty } = *self;
        Sampling { temperature, top_p, top_k, min_p, repetition_penalty }
    }
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The tuned checkpoint, with its tokenizer.json.
    pub(crate) checkpoint: PathBuf,
    /// The seed documents.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: PathBuf,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Their token file: PREFIX.bin and PREFIX.idx.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) tokens: PathBuf,
    /// The folder for the synthetic documents; running again continues there.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Tokens to write.
    #[arg(long, value_name = "TOKENS", required_unless_present = "target_documents", value_parser = whole::<u64>(1, MOST_WRITTEN))]
    pub(crate) target_tokens: Option<u64>,
    /// Documents to write, instead of a number of tokens.
    #[arg(long, value_name = "N", conflicts_with = "target_tokens", value_parser = whole::<u64>(1, MOST_WRITTEN))]
    pub(crate) target_documents: Option<u64>,
    /// Only the documents whose number is I modulo N, into a folder of their own; `cognate join` puts the N folders together.
    #[arg(long, value_name = "I/N", requires = "target_documents")]
    pub(crate) shard: Option<Part>,
    /// Documents in a row that start from one drawn seed.
    #[arg(long, default_value = default("generate", "samples_per_seed"), value_name = "N", value_parser = whole_of::<usize>("generate", "samples_per_seed"))]
    pub(crate) samples_per_seed: usize,
    /// Number of the first document: to go on where another folder ended.
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = whole::<u64>(0, MOST_WRITTEN))]
    pub(crate) first_document: u64,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// In what numbers the synthesizer multiplies, f32 or int8: int8 is faster, and what it costs in likelihood is measured first.
    #[arg(long, default_value = "f32", conflicts_with = "endpoint_url")]
    pub(crate) precision: Precision,
    /// Longest document in tokens [default: half of the positions that the checkpoint knows]
    #[arg(long, value_parser = whole_of::<usize>("generate", "max_new_tokens"))]
    pub(crate) max_new_tokens: Option<usize>,
    /// Longest seed in tokens; a longer one is cut at a sentence's or a word's end [default: half of the positions, less two]
    #[arg(long, value_parser = whole_of::<usize>("generate", "max_seed_tokens"))]
    pub(crate) max_seed_tokens: Option<usize>,
    /// Documents written at the same time.
    #[arg(long, default_value = default("generate", "slots"), value_parser = whole_of::<usize>("generate", "slots"))]
    pub(crate) slots: usize,
    /// Documents per file.
    #[arg(long, default_value_t = 1000, value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) shard_documents: usize,
    /// Seed of seeds and draws.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The folders of all parts.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) parts: Vec<PathBuf>,
    /// The folder for the whole: the same files as without --shard.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// The tuned checkpoint, with its tokenizer.json.
    pub(crate) checkpoint: PathBuf,
    /// A text to start from; - reads it from stdin.
    #[arg(long, value_name = "FILE")]
    pub(crate) seed_text: PathBuf,
    /// Documents to write.
    #[arg(short = 'n', long = "number", default_value_t = 5, value_name = "N", value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) number: usize,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
    /// Longest document in tokens [default: half of the positions that the checkpoint knows]
    #[arg(long, value_parser = whole_of::<usize>("generate", "max_new_tokens"))]
    pub(crate) max_new_tokens: Option<usize>,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// One JSON object a document instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Files of synthetic documents, in the order of their numbers.
    #[arg(required = true, value_name = "SYNTHETIC")]
    pub(crate) synthetic: Vec<PathBuf>,
    /// The documents that they were written from.
    #[arg(long, value_name = "FILE")]
    pub(crate) training: PathBuf,
    /// Real documents that nothing was trained on, to compare with.
    #[arg(long, value_name = "FILE")]
    pub(crate) real: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// The folder for what is kept and a sample of what is not.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Fewest words of a document.
    #[arg(long, default_value = default("filter", "min_words"), value_name = "WORDS", value_parser = whole_of::<usize>("filter", "min_words"))]
    pub(crate) min_words: usize,
    /// Keep documents that were cut at the longest length.
    #[arg(long)]
    pub(crate) keep_unfinished: bool,
    /// Share of a document's characters that are no text, above which it is dropped, or off.
    #[arg(long, default_value = default("filter", "non_text"), value_name = "SHARE", value_parser = limit_of("non_text"))]
    pub(crate) non_text: Limit,
    /// Another limit of a repetition rule, or off: `top_2_gram=0.3`; can be given for each [default: those of Gopher]
    #[arg(long, value_name = "RULE=SHARE", value_parser = rule_limit)]
    pub(crate) repetition: Vec<(Rule, Limit)>,
    /// Share of a document's word 5-grams that makes it a near-copy of its seed, or off.
    #[arg(long, default_value = default("filter", "near_copy"), value_name = "SHARE", value_parser = limit_of("near_copy"))]
    pub(crate) near_copy: Limit,
    /// Words in a row in one training document that make it verbatim; 0 keeps all.
    #[arg(long, default_value = default("filter", "verbatim_words"), value_name = "WORDS", value_parser = whole_of::<usize>("filter", "verbatim_words"))]
    pub(crate) verbatim_words: usize,
    /// The tuned checkpoint, to score how related documents are to their seeds; none: nothing is scored.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) synthesizer: Option<PathBuf>,
    /// Lowest relevance in nats per token; none keeps all.
    #[arg(long, value_name = "NATS", requires = "synthesizer", allow_hyphen_values = true, value_parser = number_of("filter", "min_relevance"))]
    pub(crate) min_relevance: Option<f64>,
    /// Jaccard similarity that makes it a near-duplicate of an earlier one, or off.
    #[arg(long, default_value = default("filter", "near_duplicate"), value_name = "SIMILARITY", value_parser = limit_of("near_duplicate"))]
    pub(crate) near_duplicate: Limit,
    /// Dropped documents kept for reading, per reason.
    #[arg(long, default_value = default("filter", "samples"), value_name = "N", value_parser = whole_of::<usize>("filter", "samples"))]
    pub(crate) samples: usize,
    /// Documents that the quality figures look at.
    #[arg(long, default_value = default("filter", "quality_documents"), value_name = "N", value_parser = whole_of::<usize>("filter", "quality_documents"))]
    pub(crate) quality_documents: usize,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// A model that is asked whether pairs are related.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// Ask the model of a completion server whether pairs are related, as http://127.0.0.1:8000/v1; it drops nothing.
    #[arg(long, value_name = "URL", requires = "judge_model")]
    pub(crate) judge_url: Option<String>,
    /// The name that the server knows that model by.
    #[arg(long, value_name = "NAME", requires = "judge_url")]
    pub(crate) judge_model: Option<String>,
    /// The environment variable that holds the server's key, in capitals.
    #[arg(long, value_name = "VARIABLE", requires = "judge_url")]
    pub(crate) judge_key_env: Option<String>,
    /// Pairs of each kind to ask about.
    #[arg(long, default_value_t = 200, value_name = "N", requires = "judge_url", value_parser = whole_of::<usize>("filter", "judge_samples"))]
    pub(crate) judge_samples: usize,
    /// True neighbours to ask about too: pairs of training documents, as `cognate pair` writes them [default: none]
    #[arg(long, value_name = "FILE", requires = "judge_url")]
    pub(crate) judge_pairs: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// The checkpoint, with its tokenizer.json.
    #[arg(long, value_name = "DIR", required_unless_present = "all_checkpoints")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Instead of one, every checkpoint of a run directory or a training's folder: how each task's figure comes along.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["checkpoint", "requests_out"])]
    pub(crate) all_checkpoints: Option<PathBuf>,
    /// Where the figures of --all-checkpoints go, as JSON Lines [default: task_curves.jsonl in its folder, where `report` looks]
    #[arg(long, value_name = "FILE", requires = "all_checkpoints")]
    pub(crate) curves_out: Option<PathBuf>,
    /// The documents whose perplexity is measured: files or folders as `ingest` reads them.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// What to measure, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "TASK", value_parser = task_names(), default_value = PERPLEXITY)]
    pub(crate) tasks: Vec<String>,
    /// The folder that holds the tasks' files, named as docs/evaluation.md lists them.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A file under its name there (without ending), instead of the one in --data-dir; can be given for each.
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) task_file: Vec<(String, PathBuf)>,
    /// Examples before each question [default: as the task says: 5 for mmlu, triviaqa, webquestions and replm, else none]
    #[arg(long, value_name = "N", value_parser = whole::<usize>(0, MOST_SMALL))]
    pub(crate) shots: Option<usize>,
    /// Sets of examples that replm asks each question with.
    #[arg(long, value_name = "N", default_value_t = ReplmOptions::SETS, value_parser = whole::<usize>(1, ReplmOptions::MOST_SETS as u64))]
    pub(crate) sets: usize,
    /// Only the first questions of each task (of each subject of mmlu, paradigm of blimp and relation of replm).
    #[arg(long, value_name = "N", value_parser = whole::<usize>(1, MOST_DOCUMENTS))]
    pub(crate) limit: Option<usize>,
    /// Decides which examples a question gets.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where to write what each question and document contributed, as JSON Lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) requests_out: Option<PathBuf>,
    /// One JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tokens scored together; the result does not depend on it.
    #[arg(long, default_value_t = 4096, value_parser = whole_of::<usize>("train", "batch_tokens"))]
    pub(crate) batch_tokens: usize,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

/// The task that is measured on any documents.
pub(crate) const PERPLEXITY: &str = "perplexity";

/// Everything that a checkpoint can be measured on.
fn task_names() -> PossibleValuesParser {
    PossibleValuesParser::new([PERPLEXITY].into_iter().chain(cognate_eval::tasks::names()).chain([REPLM]))
}

/// `NAME=FILE`.
fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE, such as arc_easy=questions.jsonl".to_owned()),
    }
}
