//! Files in, files out: `synthetic.jsonl.zst` (kept), `dropped.jsonl.zst` (some of each reason, to read), and the counts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Unit};
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use cognate_statistics::interval::mean;
use cognate_statistics::{Figure, Share};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::duplicates::{Duplicates, MinHash, Signature};
use super::quality::{Collection, Quality, Training, quality};
use super::repetition::Rule;
use super::rules::{RuleShares, rule_shares};
use super::verbatim::VerbatimIndex;
use super::{FilterConfig, Reason, SHINGLE_WORDS, Verdict, judge};
use crate::error::{Error, Result};
use crate::metadata;
use crate::score::judge::JudgeStats;
use crate::score::relevance::{Relevance, TextPair};
use cognate_base::shingles::Shingles;

/// The kept documents' file.
pub const KEPT: &str = "synthetic.jsonl.zst";
/// The file with some dropped documents of each reason; their metadata has `dropped`: `{reason, detail}`.
pub const DROPPED: &str = "dropped.jsonl.zst";

/// Documents judged together.
const CHUNK: usize = 512;

/// What the filters read.
#[derive(Clone, Copy, Debug)]
pub struct FilterInputs<'a> {
    /// Synthetic documents, in the order of their numbers.
    pub synthetic: &'a [PathBuf],
    /// The documents that they were generated from: the unique split.
    pub training: &'a Path,
    /// Other documents that they may have been generated from: nothing is indexed of these.
    pub seeds: Option<&'a Path>,
    /// Real documents that nothing was trained on, to compare with.
    pub real: Option<&'a Path>,
    /// How synthetic documents are read. What a generation writes has fields of its own, whatever those of other documents are called.
    pub read_synthetic: &'a ReadOptions,
    /// How the others are read.
    pub read: &'a ReadOptions,
}

/// Scores pairs of seed and document, none where its tokenizer cannot encode one of them: the synthesizer, or a test's stand-in.
pub type Scorer<'a> = dyn FnMut(&[TextPair<'_>]) -> Result<Vec<Option<Relevance>>> + 'a;

/// How relevance is scored.
pub struct Scoring<'a> {
    /// Scores the documents that no other filter drops by themselves, and whose seed is known.
    pub scorer: &'a mut Scorer<'a>,
    /// Forward relevance below which a pair counts as irrelevant in the statistics, see [`Calibration`](crate::Calibration).
    pub threshold: Option<f64>,
}

/// An amount of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Documents.
    pub documents: u64,
    /// Tokens as drawn, of documents that say how many.
    pub tokens: u64,
    /// UTF-8 bytes of the texts.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, document: &Document) -> Result<()> {
        self.documents += 1;
        // What another program wrote may be anything.
        self.tokens = self.tokens.saturating_add(metadata::tokens(document)?.unwrap_or(0));
        self.bytes += document.text.len() as u64;
        Ok(())
    }
}

/// What the filters did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FilterStats {
    /// All synthetic documents.
    pub read: Amount,
    /// Those kept.
    pub kept: Amount,
    /// Dropped documents by reason; every reason is there.
    pub dropped: BTreeMap<Reason, u64>,
    /// Of those dropped for repetition, how many failed which rule first.
    pub repetition_rules: BTreeMap<Rule, u64>,
    /// Documents that do not name their seed, so that copying it could not be judged.
    pub without_seed: u64,
    /// How related documents are to their seeds; none where nothing scored them.
    pub relevance: Option<RelevanceStats>,
    /// What a judge says about it; none where none was asked. [`filter`] itself asks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeStats>,
    /// What each rule alone would drop, of what was written and of the training documents. None in statistics of versions that did
    /// not count it.
    #[serde(default)]
    pub rules: Vec<RuleShares>,
    /// Figures side by side: `real` (where given), `raw`, `kept`.
    pub quality: Vec<Quality>,
}

/// Relevance of the documents that no filter before it drops, over the first `quality_documents` of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelevanceStats {
    /// Documents that were scored, all of them.
    pub scored: u64,
    /// Of those, documents that were cut to fit the synthesizer's context.
    pub cut: u64,
    /// Forward scores, mean.
    pub forward: Option<Figure>,
    /// Backward scores, mean.
    pub backward: Option<Figure>,
    /// Documents below the threshold of the calibration, where there is one.
    pub irrelevant: Option<Share>,
}

/// Filters synthetic documents into the folder `out`.
///
/// What can be wrong with the documents is found in a first pass over them, before any is scored: the work of hours is not lost to the last
/// one.
///
/// # Errors
/// When a setting is impossible, a file is damaged or cannot be written, a document names an unknown seed or has metadata of the wrong type, or the
/// monitor interrupts. Nothing half-written is left.
pub fn filter(
    inputs: FilterInputs<'_>,
    out: &Path,
    config: &FilterConfig,
    scoring: Option<Scoring<'_>>,
    monitor: &dyn Monitor,
) -> Result<FilterStats> {
    config.check()?;
    if let (Some(least), None) = (config.min_relevance, &scoring) {
        return Err(Error::setting("min_relevance", least, "nothing, or a synthesizer to score documents with"));
    }
    monitor.begin("filter", None, Unit::Documents);
    let outcome = run(inputs, out, config, scoring, monitor);
    monitor.end();
    outcome
}

fn run(
    inputs: FilterInputs<'_>,
    out: &Path,
    config: &FilterConfig,
    scoring: Option<Scoring<'_>>,
    monitor: &dyn Monitor,
) -> Result<FilterStats> {
    let texts = read_texts(inputs.training, inputs.read, monitor)?;
    let seeds = inputs.seeds.map(|path| read_texts(path, inputs.read, monitor)).transpose()?.unwrap_or_default();
    check_documents(inputs, |id| texts.contains_key(id) || seeds.contains_key(id), monitor)?;
    let real = inputs.real.map(|path| read_first(path, inputs.read, config.quality_documents, monitor)).transpose()?;
    let training = Training { seeds, ..Training::new(texts, monitor)? };
    Stage::new(inputs, &training, out, config)?.run(scoring, real.as_deref(), monitor)
}

/// Bytes that [`filter`] holds at most beside the model that scores: `training` bytes of text with an index of their `words`, and of
/// each of `documents` synthetic ones, `document_words` long, what near-duplicates are found by.
pub fn filter_bytes(training: f64, words: f64, documents: f64, document_words: f64) -> f64 {
    training + words * VerbatimIndex::WORD_BYTES + documents * (400.0 + 4.0 * document_words)
}

/// Texts by id.
fn read_texts(path: &Path, options: &ReadOptions, monitor: &dyn Monitor) -> Result<HashMap<String, String>> {
    let mut texts = HashMap::new();
    for record in Reader::open(&[path.to_owned()], options, monitor)? {
        monitor.check()?;
        let (_, document) = record?;
        texts.insert(document.id, document.text);
    }
    Ok(texts)
}

/// The first `most` documents of a file.
fn read_first(path: &Path, options: &ReadOptions, most: usize, monitor: &dyn Monitor) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    for record in Reader::open(&[path.to_owned()], options, monitor)?.take(most) {
        monitor.check()?;
        documents.push(record?.1);
    }
    Ok(documents)
}

/// Refuses documents that cannot be judged: with metadata of another type than ours, or with a seed that is not there.
fn check_documents(inputs: FilterInputs<'_>, is_known: impl Fn(&str) -> bool, monitor: &dyn Monitor) -> Result<()> {
    for record in Reader::open(inputs.synthetic, inputs.read_synthetic, monitor)? {
        monitor.check()?;
        let (_, document) = record?;
        metadata::check(&document)?;
        if let Some(seed_id) = metadata::seed_id(&document)?.filter(|&seed_id| !is_known(seed_id)) {
            let seed_id = seed_id.to_owned();
            return Err(Error::UnknownSeed { id: document.id, seed_id, path: inputs.training.to_owned() });
        }
    }
    Ok(())
}

/// A document on its way through.
struct Judged {
    document: Document,
    verdict: Verdict,
    named_seed: bool,
    shingles: Shingles,
    signature: Option<Signature>,
    relevance: Option<Relevance>,
}

/// What judging one document needs.
struct Judge<'a> {
    training: &'a Training,
    config: &'a FilterConfig,
    hashes: MinHash,
}

impl Judge<'_> {
    /// What can be said about a document without the others.
    fn judge(&self, document: Document) -> Result<Judged> {
        let named_seed = metadata::seed_id(&document)?.is_some();
        let verdict = judge(&document, self.training.seed_of(&document)?, &self.training.index, self.config)?;
        let shingles = match verdict {
            Verdict::Keep => Shingles::of(&document.text, SHINGLE_WORDS),
            Verdict::Drop { .. } => Shingles::default(),
        };
        let signature = self.hashes.signature(&shingles);
        Ok(Judged { document, verdict, named_seed, shingles, signature, relevance: None })
    }
}

struct Stage<'a> {
    inputs: FilterInputs<'a>,
    judge: Judge<'a>,
    config: &'a FilterConfig,
    seen: Option<Duplicates>,
    /// Ids of the documents in `seen`.
    kept_ids: Vec<String>,
    kept: DocumentWriter,
    dropped: DocumentWriter,
    stats: FilterStats,
    raw_sample: Vec<Document>,
    kept_sample: Vec<Document>,
    scores: Vec<Relevance>,
    scored: u64,
    cut: u64,
}

impl<'a> Stage<'a> {
    fn new(inputs: FilterInputs<'a>, training: &'a Training, out: &Path, config: &'a FilterConfig) -> Result<Self> {
        Ok(Self {
            inputs,
            judge: Judge { training, config, hashes: MinHash::new() },
            config,
            seen: config.near_duplicate.map(Duplicates::new),
            kept_ids: Vec::new(),
            kept: DocumentWriter::create(out.join(KEPT))?,
            dropped: DocumentWriter::create(out.join(DROPPED))?,
            stats: FilterStats {
                read: Amount::default(),
                kept: Amount::default(),
                dropped: Reason::ALL.into_iter().map(|reason| (reason, 0)).collect(),
                repetition_rules: BTreeMap::new(),
                without_seed: 0,
                relevance: None,
                judge: None,
                rules: Vec::new(),
                quality: Vec::new(),
            },
            raw_sample: Vec::new(),
            kept_sample: Vec::new(),
            scores: Vec::new(),
            scored: 0,
            cut: 0,
        })
    }

    fn run(
        mut self,
        mut scoring: Option<Scoring<'_>>,
        real: Option<&[Document]>,
        monitor: &dyn Monitor,
    ) -> Result<FilterStats> {
        let mut reader = Reader::open(self.inputs.synthetic, self.inputs.read_synthetic, monitor)?;
        loop {
            let chunk: Vec<Document> =
                reader.by_ref().take(CHUNK).map(|record| Ok(record?.1)).collect::<Result<_>>()?;
            monitor.check()?;
            if chunk.is_empty() {
                break;
            }
            let judge = &self.judge;
            let judge = |document| {
                monitor.check()?;
                judge.judge(document)
            };
            let judged: Vec<Result<Judged>> = chunk.into_par_iter().map(judge).collect();
            let mut judged = judged.into_iter().collect::<Result<Vec<Judged>>>()?;
            if let Some(scoring) = &mut scoring {
                self.score(&mut judged, scoring)?;
            }
            for one in judged {
                monitor.check()?;
                self.settle(one)?;
            }
            monitor.advance(self.stats.read.documents, &format!("{} kept", self.stats.kept.documents));
        }
        self.stats.relevance = scoring.map(|scoring| self.relevance(scoring.threshold, monitor)).transpose()?;
        self.stats.rules = rule_shares(&self.raw_sample, self.judge.training, self.config, monitor)?;
        self.stats.quality = self.quality(real, monitor)?;
        self.kept.finish()?;
        self.dropped.finish()?;
        Ok(self.stats)
    }

    /// Scores the documents that are still there, and judges them by it.
    fn score(&mut self, judged: &mut [Judged], scoring: &mut Scoring<'_>) -> Result<()> {
        let training = self.judge.training;
        let mut asked = Vec::new();
        let mut pairs = Vec::new();
        for (at, one) in judged.iter().enumerate() {
            if let (Verdict::Keep, Some(seed)) = (&one.verdict, training.seed_of(&one.document)?) {
                asked.push(at);
                pairs.push(TextPair { name: &one.document.id, seed, document: &one.document.text });
            }
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let scores = (scoring.scorer)(&pairs)?;
        for (at, relevance) in asked.into_iter().zip(scores) {
            let one = &mut judged[at];
            one.relevance = relevance;
            let Some(relevance) = relevance else {
                one.verdict =
                    Verdict::drop(Reason::Unencodable, "the synthesizer's tokenizer cannot encode it or its seed");
                continue;
            };
            if let Some(least) = self.config.min_relevance.filter(|&least| relevance.forward < least) {
                let detail = format!("relevance {:.3} nats per token, at least {least}", relevance.forward);
                one.verdict = Verdict::drop(Reason::Irrelevant, detail);
            }
        }
        Ok(())
    }

    fn relevance(&self, threshold: Option<f64>, monitor: &dyn Monitor) -> Result<RelevanceStats> {
        let of = |which: fn(&Relevance) -> f64| mean(&self.scores.iter().map(which).collect::<Vec<_>>(), monitor);
        let below = |least: f64| Share::of(self.scores.iter().map(|score| score.forward < least));
        Ok(RelevanceStats {
            scored: self.scored,
            cut: self.cut,
            forward: of(|score| score.forward)?,
            backward: of(|score| score.backward)?,
            irrelevant: threshold.map(below),
        })
    }

    /// Compares with earlier kept documents, counts and writes.
    fn settle(&mut self, judged: Judged) -> Result<()> {
        let Judged { mut document, mut verdict, named_seed, shingles, signature, relevance } = judged;
        if let Some(relevance) = relevance {
            document.metadata.insert(metadata::RELEVANCE.into(), json!(relevance.forward));
            document.metadata.insert(metadata::CYCLE.into(), json!(relevance.backward));
            self.scored += 1;
            self.cut += u64::from(relevance.cut);
            if self.scores.len() < self.config.quality_documents {
                self.scores.push(relevance);
            }
        }
        self.stats.read.add(&document)?;
        self.stats.without_seed += u64::from(!named_seed);
        if self.raw_sample.len() < self.config.quality_documents {
            self.raw_sample.push(document.clone());
        }
        if let (Verdict::Keep, Some(seen), Some(signature)) = (&verdict, &mut self.seen, signature) {
            match seen.find(&shingles, &signature) {
                Some((earlier, similarity)) => {
                    let detail = format!("similarity {similarity:.3} to {}", self.kept_ids[earlier]);
                    verdict = Verdict::drop(Reason::NearDuplicate, detail);
                }
                None => {
                    seen.add(shingles, &signature);
                    self.kept_ids.push(document.id.clone());
                }
            }
        }
        match verdict {
            Verdict::Keep => self.keep(document),
            Verdict::Drop { reason, rule, detail } => self.drop(document, reason, rule, &detail),
        }
    }

    fn keep(&mut self, document: Document) -> Result<()> {
        self.stats.kept.add(&document)?;
        self.kept.write(&document)?;
        if self.kept_sample.len() < self.config.quality_documents {
            self.kept_sample.push(document);
        }
        Ok(())
    }

    fn drop(&mut self, mut document: Document, reason: Reason, rule: Option<Rule>, detail: &str) -> Result<()> {
        let count = self.stats.dropped.entry(reason).or_default();
        *count += 1;
        if *count <= self.config.samples as u64 {
            document.metadata.insert(metadata::DROPPED.into(), json!({"reason": reason, "detail": detail}));
            self.dropped.write(&document)?;
        }
        if let Some(rule) = rule {
            *self.stats.repetition_rules.entry(rule).or_default() += 1;
        }
        Ok(())
    }

    fn quality(&self, real: Option<&[Document]>, monitor: &dyn Monitor) -> Result<Vec<Quality>> {
        let real = real.map(|documents| Collection { name: "real", documents });
        let raw = Collection { name: "raw", documents: &self.raw_sample };
        let kept = Collection { name: "kept", documents: &self.kept_sample };
        let collections: Vec<Collection<'_>> = real.into_iter().chain([raw, kept]).collect();
        quality(&collections, self.judge.training, self.config, monitor)
    }
}
