//! What is known before a run: how the corpus looks, what the stages that were done for a plan have shown, and how fast the machine is.

use std::collections::BTreeMap;

use cognate_corpus::IngestStats;
use serde::Serialize;

use crate::stages::tokenized::Tokenized;
use crate::step::Step;

/// What a stage would cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its name.
    pub stage: &'static str,
    /// The thing that it makes, where its stage makes several.
    pub arm: Option<String>,
    /// Documents that it reads or writes; for `pair` and `tune` training pairs, at most where they are an estimate.
    pub documents: u64,
    /// Tokens that it reads or writes.
    pub tokens: u64,
    /// Floating-point operations, as the ledger counts them.
    pub flops: f64,
    /// Bytes that it leaves on disk.
    pub bytes: u64,
    /// Seconds that it takes.
    pub wall_s: f64,
    /// Memory that it holds at most, in bytes.
    pub memory_bytes: u64,
    /// Which of these figures are estimates, by their names. The others were measured, or follow from the recipe.
    pub estimated: Vec<&'static str>,
}

/// What a corpus looks like.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// Documents that are taken.
    pub(crate) documents: f64,
    /// Documents that there are, those beyond `[corpus] limit` included: ingest reads them too.
    pub(crate) all_documents: f64,
    /// Bytes of all files.
    pub(crate) file_bytes: f64,
    pub(crate) bytes_per_document: f64,
    /// The closing end-of-document token counts.
    pub(crate) tokens_per_document: f64,
    /// Tokens of each sampled document, in order of length.
    pub(crate) sampled_tokens: Vec<usize>,
    pub(crate) vocabulary: usize,
    pub(crate) encode_bytes_per_s: f64,
    /// Bytes of text that are cut in a second; infinite where none are.
    pub(crate) cut_bytes_per_s: f64,
    pub(crate) train_bytes_per_s: f64,
    /// Whether all of it was read.
    pub(crate) whole: bool,
}

impl Survey {
    pub(crate) fn bytes_per_token(&self) -> f64 {
        self.bytes_per_document / self.tokens_per_document
    }

    /// The share of the sampled documents that have more than `tokens` tokens.
    pub(crate) fn longer_than(&self, tokens: usize) -> f64 {
        let longer = self.sampled_tokens.len() - self.sampled_tokens.partition_point(|len| *len <= tokens);
        longer as f64 / self.sampled_tokens.len().max(1) as f64
    }
}

/// How much a synthesizer learns from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    /// Training pairs.
    pub(crate) pairs: u64,
    /// Steps of all epochs.
    pub(crate) steps: u64,
    /// Tokens of all epochs.
    pub(crate) tokens: u64,
}

/// What was measured, as far as it was.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) ingest: Option<IngestStats>,
    pub(crate) tokenized: Option<Tokenized>,
    /// Tokens of each unique document, in order of length.
    pub(crate) lengths: Vec<usize>,
    /// The stages that were done. Their memory is what they took beyond [`Measured::held_bytes`].
    pub(crate) rows: BTreeMap<Step, StagePlan>,
    /// What the process held before the first of them; none where the system does not tell.
    pub(crate) held_bytes: Option<u64>,
    /// Training and held-out pairs of each set that was made, by its place.
    pub(crate) pairs: BTreeMap<usize, (u64, u64)>,
    /// What each synthesizer would learn, by its place.
    pub(crate) lessons: BTreeMap<usize, Size>,
    /// What would spoil its results.
    pub(crate) warnings: Vec<String>,
    /// What would stop the run, each with the stage behind or in which it would.
    pub(crate) problems: Vec<String>,
    /// Why the other stages were not done; none where all were.
    pub(crate) left_out: Option<String>,
    /// Seconds that it took.
    pub(crate) wall_s: f64,
}

impl Measured {
    /// The share of the unique documents that have more than `tokens` tokens; none where they were not counted.
    pub(crate) fn longer_than(&self, tokens: usize) -> Option<f64> {
        let longer = self.lengths.len() - self.lengths.partition_point(|len| *len <= tokens);
        (!self.lengths.is_empty()).then(|| longer as f64 / self.lengths.len() as f64)
    }
}

/// Speeds of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Speed {
    pub(crate) threads: usize,
    /// Operations per second of forward and backward passes.
    pub(crate) training_flops_per_s: f64,
    /// Seconds that the optimizer takes for one parameter.
    pub(crate) update_s: f64,
    /// Operations per second of reading prompts, and of writing in all slots; infinite where nothing is generated.
    pub(crate) prompt_flops_per_s: f64,
    pub(crate) writing_flops_per_s: f64,
    /// Operations that measuring took.
    pub(crate) measured_flops: f64,
}

impl Speed {
    /// Before anything is timed: what depends on none of it can be estimated.
    pub(crate) fn unknown(threads: usize) -> Self {
        Self {
            threads,
            training_flops_per_s: 0.0,
            update_s: 0.0,
            prompt_flops_per_s: f64::INFINITY,
            writing_flops_per_s: f64::INFINITY,
            measured_flops: 0.0,
        }
    }
}
