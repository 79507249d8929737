//! How to generate, and what was generated.

use std::cell::RefCell;

use cognate_base::Monitor;
use cognate_corpus::{CutCounts, Tokenizer};
use cognate_ops::Precision;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::numbers::{Part, Target};
use super::precision::PrecisionEffect;
use super::seeds::{SPECIAL_TOKENS, SeedPrompts, Seeds};
use crate::error::{Error, Result};
use crate::sampling::Sampling;

/// The version of the records and of how they come about; part of what a restart compares.
///
/// 2: a uniform number inverts the nucleus in the order of ids. 3: long seeds are cut at the end of a sentence or word. 4: records are marked
/// whose text holds a special token, or has no tokens; documents without text are no seeds.
const FORMAT: u64 = 4;

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateConfig {
    /// With the document's number, decides its seed and every draw.
    pub seed: u64,
    /// The number of the first document. Two folders, the second of which begins where the first ended, hold the documents that
    /// one with both targets would.
    pub first_document: u64,
    /// When to stop.
    pub target: Target,
    /// Only this part of the documents.
    pub shard: Option<Part>,
    /// Documents in a row that start from one drawn seed.
    pub samples_per_seed: u64,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// In what numbers the synthesizer multiplies.
    pub precision: Precision,
    /// Longest synthetic document, in tokens; a document that reaches it is cut and marked `cap`.
    pub max_new_tokens: usize,
    /// A longer seed is cut, at the last sentence that fits, otherwise the last word ([`Tokenizer::cut`]).
    pub max_seed_tokens: usize,
    /// Documents generated at a time. Changes the speed, never the documents.
    pub slots: usize,
    /// Documents per output file.
    pub shard_documents: usize,
    /// The synthesizer's fingerprint, for the records.
    pub synthesizer: String,
}

impl GenerateConfig {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the field.
    pub fn check(&self) -> Result<()> {
        self.sampling.check()?;
        if let (Some(shard), Target::Tokens(_)) = (self.shard, self.target) {
            // How many tokens the other parts' documents have is not known here.
            return Err(Error::setting("shard", shard, "target_documents beside it, instead of target_tokens"));
        }
        if let Some(shard) = self.shard.filter(|shard| shard.index >= shard.of) {
            return Err(Error::setting("shard", shard, "I/N with I from 0 to N − 1, such as 0/4"));
        }
        if let Some(shard) = self.shard.filter(|shard| shard.of > MOST_PARTS) {
            return Err(Error::setting("shard", shard, format!("at most {MOST_PARTS} parts")));
        }
        let (target, amount) = self.target.setting();
        let most = [
            ("first_document", self.first_document, MOST_DOCUMENTS),
            (target, amount, MOST_DOCUMENTS),
            ("samples_per_seed", self.samples_per_seed, MOST_DOCUMENTS),
            ("shard_documents", self.shard_documents as u64, MOST_IN_A_FILE),
        ];
        if let Some((field, value, most)) = most.into_iter().find(|&(_, value, most)| value > most) {
            return Err(Error::setting(field, value, format!("at most {most}")));
        }
        let positive = [
            self.target.setting(),
            ("samples_per_seed", self.samples_per_seed),
            ("max_new_tokens", self.max_new_tokens as u64),
            ("max_seed_tokens", self.max_seed_tokens as u64),
            ("slots", self.slots as u64),
            ("shard_documents", self.shard_documents as u64),
        ];
        match positive.into_iter().find(|&(_, value)| value == 0) {
            Some((field, value)) => Err(Error::setting(field, value, "at least 1")),
            None => Ok(()),
        }
    }

    /// The prompts of the documents.
    pub(crate) fn prompts<'a>(&self, seeds: &'a Seeds, tokenizer: &'a Tokenizer, related: u32) -> SeedPrompts<'a> {
        let Self { seed, samples_per_seed, max_seed_tokens, .. } = *self;
        let cuts = RefCell::default();
        SeedPrompts { seeds, seed, samples_per_seed, max_seed_tokens, tokenizer, related, cuts }
    }

    /// Tokens that a slot may hold.
    pub(crate) fn capacity_tokens(&self) -> usize {
        SPECIAL_TOKENS.saturating_add(self.max_seed_tokens).saturating_add(self.max_new_tokens)
    }

    /// Everything that the documents depend on.
    pub(crate) fn settings(
        &self,
        seeds: &Seeds,
        tokenizer: &Tokenizer,
        related: u32,
        monitor: &dyn Monitor,
    ) -> Result<Map<String, Value>> {
        let (target, amount) = self.target.setting();
        let mut settings = vec![
            ("format", FORMAT.into()),
            ("sampling", self.sampling_record()),
            ("first_document", self.first_document.into()),
            (target, amount.into()),
            ("shard_documents", self.shard_documents.into()),
            ("synthesizer", self.synthesizer.as_str().into()),
            ("seeds", seeds.fingerprint(monitor)?.to_string().into()),
            ("special_tokens", special_tokens(tokenizer, related)),
        ];
        // What is off is not written: folders of earlier versions still fit.
        settings.extend(self.shard.map(|shard| ("shard", shard.into())));
        settings.extend((self.samples_per_seed > 1).then(|| ("samples_per_seed", self.samples_per_seed.into())));
        Ok(settings.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect())
    }

    /// The sampling settings as each record holds them.
    pub(crate) fn sampling_record(&self) -> Value {
        let mut record = json!(self.sampling);
        if let Value::Object(fields) = &mut record {
            fields.insert("seed".into(), self.seed.into());
            fields.insert("max_seed_tokens".into(), self.max_seed_tokens.into());
            fields.insert("max_new_tokens".into(), self.max_new_tokens.into());
        }
        // A completion server's precision is its own affair; f32 goes unsaid.
        if self.precision != Precision::F32 {
            record["precision"] = self.precision.name().into();
        }
        record
    }
}

/// What was generated. The same for a run that was interrupted and one that was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerateStats {
    /// Documents written.
    pub documents: u64,
    /// Their drawn tokens, closing end-of-document tokens included.
    pub tokens: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Documents that ended with their end-of-document token.
    pub ended: u64,
    /// Documents cut at the cap.
    pub capped: u64,
    /// Documents whose seed was longer than `max_seed_tokens` and lost its end.
    pub seeds_cut: u64,
    /// What those seeds end with instead.
    #[serde(default)]
    pub seeds_cut_at: CutCounts,
    /// Different seeds among the documents'.
    pub distinct_seeds: u64,
    /// Documents that cannot be seeds, since they have no text.
    #[serde(default, skip_serializing_if = "is_none")]
    pub seeds_without_text: u64,
    /// Nats per drawn token under the untempered model, over all tokens; from a completion server as it gave them, and none where
    /// it gave none.
    pub mean_log_probability: Option<f64>,
    /// What the lower precision costs, where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision_effect: Option<PrecisionEffect>,
}

fn is_none(documents: &u64) -> bool {
    *documents == 0
}

/// Parts that a generation is divided into, at most.
const MOST_PARTS: u64 = 1 << 20;
/// Largest number of a document, and of tokens or documents wanted: far beyond what anybody writes, and sums of them do not overflow.
pub(super) const MOST_DOCUMENTS: u64 = 1 << 40;
/// Documents of a file, which are in memory until it is written.
const MOST_IN_A_FILE: u64 = 1 << 20;

/// The tokens around a document. One that begins it is written only where it is another than the one that ends it: folders of earlier
/// versions still fit.
fn special_tokens(tokenizer: &Tokenizer, related: u32) -> Value {
    let (begin, end) = (tokenizer.begin_of_document(), tokenizer.end_of_document());
    let mut tokens = json!({"end_of_document": end, "related": related});
    if begin != end {
        tokens["begin_of_document"] = begin.into();
    }
    tokens
}
