//! Recipes: what an experiment is. TOML, strict; as written (`written`) and as resolved ([`Recipe`]) are two types.
//!
//! A recipe says what is done, never where or with how many threads: that is for flags.

mod decoder;
pub mod keys;
mod kinds;
pub mod pair_methods;
mod possible;
mod presets;
mod recipe_error;
mod resolve;
mod sound;
mod text;
mod things;
mod written;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod things_tests;

use std::path::{Path, PathBuf};

use cognate_ops::Precision;
use cognate_synth::{Rule, Sampling, Thresholds};
use cognate_train::Shares;
use serde::{Deserialize, Serialize};

pub(crate) use decoder::{max_positions, model_config};
pub use pair_methods::PairMethod;
pub(crate) use possible::filter_config;
pub use recipe_error::{Place, RecipeError};
pub(crate) use resolve::tasks_of;
pub use things::{
    Arm, Author, Candidate, Contexts, Embedding, Init, Order, PairSet, Real, SeedsOf, Synthesizer, Synthetic, Taught,
    Teaching, Training, Vectors, Writer,
};

/// A recipe as resolved: every key has its value, and every thing that an arm needs is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The experiment's name.
    pub name: String,
    /// Every random choice derives from it.
    pub seed: u64,
    /// What each arm is trained with, one final model each; [`Recipe::seed`] is among them.
    pub seeds: Vec<u64>,
    /// Where the documents are and how they are split.
    pub corpus: Corpus,
    /// The tokenizer.
    pub tokenize: Tokenize,
    /// The decoder.
    pub model: Model,
    /// Pretraining.
    pub train: Train,
    /// How documents become vectors.
    pub embed: Embed,
    /// Which documents are related.
    pub pair: Pair,
    /// Synthesizer-tuning.
    pub tune: Tune,
    /// Writing synthetic documents.
    pub generate: Generate,
    /// Which of them are kept.
    pub filter: Filter,
    /// What arms are measured on.
    pub evaluate: Evaluate,
    /// What is compared, and what cards say.
    pub report: About,
    /// Vectors.
    pub embeddings: Vec<Embedding>,
    /// Sets of pairs.
    pub pairs: Vec<PairSet>,
    /// Tuned models.
    pub synthesizers: Vec<Synthesizer>,
    /// What models write.
    pub synthetic: Vec<Synthetic>,
    /// The final models.
    pub arms: Vec<Arm>,
    /// What arms learn of others, each once.
    pub teachings: Vec<Teaching>,
    /// The folder that the recipe's paths are relative to.
    pub folder: PathBuf,
}

/// `[corpus]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Corpus {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<cognate_worlds::Dials>,
    pub id_field: String,
    pub text_field: String,
    /// What is not written is not there, so that what was made before there was such a key still fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_tokens: Option<usize>,
    pub on_bad_record: OnBadRecord,
    pub max_record_bytes: usize,
    pub validation_share: f64,
    pub unique_share: f64,
    pub selection_share: f64,
    pub contamination_words: usize,
    pub contamination_documents: u32,
}

impl Corpus {
    /// Whether documents may be of one group.
    pub fn has_groups(&self) -> bool {
        self.group_field.is_some() || self.chunk_tokens.is_some()
    }
}

/// What happens at a record that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadRecord {
    /// The stage stops.
    Stop,
    /// It is counted and written to `rejected.jsonl`.
    Skip,
}

/// `[tokenize]`: exactly one of the two is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Tokenize {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
}

/// `[model]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Model {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_width: usize,
    pub ffn: usize,
    pub rope_base: f64,
    pub norm_eps: f64,
    pub qk_norm: bool,
    pub tied: bool,
    pub context: usize,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Train {
    pub budget_tokens: u64,
    pub batch_tokens: usize,
    pub peak_rate: f64,
    pub final_rate: f64,
    pub warmup_share: f64,
    #[serde(flatten)]
    pub decay: Decay,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub clip: f64,
    pub validate_every_tokens: u64,
    pub validate_documents: usize,
    pub checkpoint_every_tokens: u64,
    pub keep_checkpoints: usize,
    #[serde(default)]
    pub objective: Objective,
    /// There for the objective `mixture-of-denoisers`, and for it alone.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub denoisers: Option<Denoisers>,
    /// There for an arm with teachers, and for the table.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub taught: Option<TaughtBy>,
}

/// How teachers are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct TaughtBy {
    pub teacher_share: f64,
    pub teacher_temperature: f64,
    pub teacher_top: usize,
}

/// What is learned of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The next token.
    #[default]
    Plain,
    /// Spans that were taken out.
    MixtureOfDenoisers,
}

/// The shares of the denoisers; the rest is plain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Denoisers {
    pub r_share: f64,
    pub s_share: f64,
    pub x_share: f64,
}

impl Denoisers {
    /// For the stream of batches.
    pub fn shares(&self) -> Shares {
        Shares { of: [self.r_share, self.s_share, self.x_share] }
    }
}

/// How strong weight decay is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub enum Decay {
    Plain { weight_decay: f64 },
    Epochs { weight_decay_epochs: f64 },
}

impl Decay {
    /// The weight decay with a peak rate of `rate`, where an epoch takes `steps`: 1 / (rate · steps · τ) for τ epochs, since a weight falls
    /// by rate · decay a step.
    pub fn at(self, rate: f64, steps: f64) -> f64 {
        match self {
            Self::Plain { weight_decay } => weight_decay,
            Self::Epochs { weight_decay_epochs } => 1.0 / (rate * steps * weight_decay_epochs),
        }
    }
}

impl Train {
    /// Steps of every arm.
    pub fn steps(&self) -> u64 {
        self.budget_tokens / self.batch_tokens as u64
    }

    /// Training tokens of every arm: the budget cut to whole steps.
    pub fn tokens(&self) -> u64 {
        self.steps() * self.batch_tokens as u64
    }
}

/// `[embed]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Embed {
    pub method: EmbedMethod,
    pub dimensions: usize,
    pub min_documents: usize,
    pub max_document_share: f64,
    pub max_terms: usize,
}

/// The embedders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbedMethod {
    /// Latent semantic analysis.
    Lsa,
}

/// `[pair]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Pair {
    pub neighbours: usize,
    pub min_similarity: Threshold,
    pub precision: f64,
    pub near_copy: Limit,
    pub max_similarity: f64,
    pub held_out_share: f64,
    pub within_groups: bool,
}

/// A threshold that is given, or found in the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Threshold {
    /// This.
    At(f64),
    /// Found in the data, as the key's meaning says.
    Auto(Auto),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auto {
    /// The word `auto`.
    #[serde(rename = "auto")]
    Auto,
}

/// `[tune]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Tune {
    pub epochs: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pairs: Option<usize>,
    pub rate: f64,
    pub warmup_share: f64,
    pub batch_tokens: usize,
    pub context: usize,
    pub weight_decay: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_every_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every_tokens: Option<u64>,
    pub validate_pairs: usize,
    pub relation_pairs: usize,
    pub least_pairs: usize,
}

/// `[generate]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Generate {
    pub method: GenerateMethod,
    /// What is off is not written, so that what was made before there was such a key still fits.
    #[serde(flatten)]
    pub sampling: Sampling,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub samples_per_seed: u64,
    pub precision: GeneratePrecision,
    pub max_new_tokens: usize,
    pub max_seed_tokens: usize,
    pub slots: usize,
    pub oversample: f64,
    pub most_written: f64,
    pub most_unfinished: Limit,
    /// There for the methods `endpoint` and `entigraph`, and for them alone.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// There for the method `entigraph`, and for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_entities: Option<usize>,
}

fn one() -> u64 {
    1
}

fn is_one(n: &u64) -> bool {
    *n == 1
}

/// Who writes the synthetic documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerateMethod {
    /// Our own decoder.
    Model,
    /// A completion server.
    Endpoint,
    /// A chat server, about the entities of documents.
    Entigraph,
}

/// In what numbers our own decoder multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneratePrecision {
    /// All of it in f32.
    F32,
    /// Products in 8-bit whole numbers.
    Int8,
}

impl From<GeneratePrecision> for Precision {
    fn from(precision: GeneratePrecision) -> Self {
        match precision {
            GeneratePrecision::F32 => Self::F32,
            GeneratePrecision::Int8 => Self::Int8,
        }
    }
}

/// The keys of `[generate]` about a completion server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Endpoint {
    #[serde(rename = "endpoint_url")]
    pub url: String,
    #[serde(rename = "endpoint_model")]
    pub model: String,
    #[serde(rename = "endpoint_concurrency")]
    pub concurrency: usize,
    #[serde(rename = "endpoint_key_env", skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    #[serde(rename = "endpoint_timeout_s")]
    pub timeout_s: u64,
    #[serde(rename = "endpoint_attempts")]
    pub attempts: u64,
}

/// `[filter]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Filter {
    pub min_words: usize,
    pub drop_unfinished: bool,
    pub non_text: Limit,
    #[serde(flatten)]
    pub repetition: Repetition,
    pub near_copy: Limit,
    pub verbatim_words: usize,
    pub min_relevance: Option<f64>,
    pub near_duplicate: Limit,
    pub samples: usize,
    pub quality_documents: usize,
    /// There where a judge is asked.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Judge>,
}

/// A limit of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Limit {
    /// This.
    At(f64),
    /// None: the filter drops nothing.
    Off(Off),
}

/// The word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Off {
    /// The word `off`.
    #[serde(rename = "off")]
    Off,
}

impl Limit {
    /// The limit, where there is one.
    pub fn get(self) -> Option<f64> {
        match self {
            Self::At(limit) => Some(limit),
            Self::Off(_) => None,
        }
    }
}

/// The keys of `[filter]` about repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Repetition {
    pub duplicate_lines: Limit,
    pub duplicate_paragraphs: Limit,
    pub duplicate_line_characters: Limit,
    pub duplicate_paragraph_characters: Limit,
    pub top_2_gram: Limit,
    pub top_3_gram: Limit,
    pub top_4_gram: Limit,
    pub duplicate_5_grams: Limit,
    pub duplicate_6_grams: Limit,
    pub duplicate_7_grams: Limit,
    pub duplicate_8_grams: Limit,
    pub duplicate_9_grams: Limit,
    pub duplicate_10_grams: Limit,
}

impl Repetition {
    /// Does something with each limit, by its key.
    pub fn each(&mut self, mut with: impl FnMut(&mut Limit, &str)) {
        with(&mut self.duplicate_lines, "duplicate_lines");
        with(&mut self.duplicate_paragraphs, "duplicate_paragraphs");
        with(&mut self.duplicate_line_characters, "duplicate_line_characters");
        with(&mut self.duplicate_paragraph_characters, "duplicate_paragraph_characters");
        with(&mut self.top_2_gram, "top_2_gram");
        with(&mut self.top_3_gram, "top_3_gram");
        with(&mut self.top_4_gram, "top_4_gram");
        with(&mut self.duplicate_5_grams, "duplicate_5_grams");
        with(&mut self.duplicate_6_grams, "duplicate_6_grams");
        with(&mut self.duplicate_7_grams, "duplicate_7_grams");
        with(&mut self.duplicate_8_grams, "duplicate_8_grams");
        with(&mut self.duplicate_9_grams, "duplicate_9_grams");
        with(&mut self.duplicate_10_grams, "duplicate_10_grams");
    }
}

impl Repetition {
    /// Each rule's limit.
    fn limits(&self) -> [(Rule, Limit); 13] {
        [
            (Rule::DuplicateLines, self.duplicate_lines),
            (Rule::DuplicateParagraphs, self.duplicate_paragraphs),
            (Rule::DuplicateLineCharacters, self.duplicate_line_characters),
            (Rule::DuplicateParagraphCharacters, self.duplicate_paragraph_characters),
            (Rule::Top2Gram, self.top_2_gram),
            (Rule::Top3Gram, self.top_3_gram),
            (Rule::Top4Gram, self.top_4_gram),
            (Rule::Duplicate5Grams, self.duplicate_5_grams),
            (Rule::Duplicate6Grams, self.duplicate_6_grams),
            (Rule::Duplicate7Grams, self.duplicate_7_grams),
            (Rule::Duplicate8Grams, self.duplicate_8_grams),
            (Rule::Duplicate9Grams, self.duplicate_9_grams),
            (Rule::Duplicate10Grams, self.duplicate_10_grams),
        ]
    }

    /// The thresholds of the rules that are on.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds(self.limits().into_iter().filter_map(|(rule, limit)| Some((rule, limit.get()?))).collect())
    }
}

/// The keys of `[filter]` about a judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Judge {
    #[serde(rename = "judge_url")]
    pub url: String,
    #[serde(rename = "judge_model")]
    pub model: String,
    #[serde(rename = "judge_key_env", skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    #[serde(rename = "judge_samples")]
    pub samples: usize,
}

/// `[report]`: in no stage's fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl About {
    /// The codes in `language`.
    pub fn languages(&self) -> Vec<String> {
        let codes = self.language.iter().flat_map(|codes| codes.split(','));
        codes.map(|code| code.trim().to_owned()).collect()
    }
}

/// `[evaluate]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "keys.rs holds the meaning of every key")]
pub struct Evaluate {
    pub tasks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    pub limit: usize,
}

/// The task that every arm is measured on, listed or not: perplexity of the validation split.
pub const PERPLEXITY: &str = "perplexity";

impl Recipe {
    /// Reads and resolves the recipe at `path`.
    ///
    /// # Errors
    /// When it cannot be read, holds something unknown, or asks for something impossible.
    pub fn load(path: &Path) -> Result<Self, Box<RecipeError>> {
        let text = fs_err::read_to_string(path).map_err(|error| Box::new(RecipeError::Read(error)))?;
        Self::parse(path, &text)
    }

    /// Resolves `text`, the content of the recipe at `path`.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<RecipeError>> {
        let written = written::parse(path, text)?;
        let recipe = resolve::resolve(&written)?;
        possible::check(&written, &recipe)?;
        Ok(recipe)
    }

    /// A path of the recipe, from the current folder.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}
