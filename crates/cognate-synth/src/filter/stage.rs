//! Files in, files out: `synthetic.jsonl.zst` (kept), `dropped.jsonl.zst` (some of each reason, to read), and the counts.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Unit};
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::duplicates::{Duplicates, MinHash, Signature};
use super::quality::{Collection, Quality, Training, quality};
use super::repetition::Rule;
use super::words::Shingles;
use super::{FilterConfig, Reason, SHINGLE_WORDS, Verdict, judge};
use crate::error::{Error, Result};
use crate::metadata;

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
    /// Real documents that nothing was trained on, to compare with.
    pub real: Option<&'a Path>,
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
        self.tokens += metadata::tokens(document)?.unwrap_or(0);
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
    /// Figures side by side: `real` (where given), `raw`, `kept`.
    pub quality: Vec<Quality>,
}

/// Filters synthetic documents into the folder `out`.
///
/// # Errors
/// When a file is damaged or cannot be written, a document names an unknown seed or has metadata of the wrong type, or the
/// monitor interrupts. Nothing half-written is left.
pub fn filter(
    inputs: FilterInputs<'_>,
    out: &Path,
    config: &FilterConfig,
    monitor: &dyn Monitor,
) -> Result<FilterStats> {
    config.check()?;
    let training = Training::new(read_training(inputs.training)?);
    monitor.begin("filter", None, Unit::Documents);
    let outcome = Stage::new(inputs, &training, out, config).and_then(|stage| stage.run(monitor));
    monitor.end();
    outcome
}

/// Texts by id.
fn read_training(path: &Path) -> Result<HashMap<String, String>> {
    let mut texts = HashMap::new();
    for record in Reader::open(&[path.to_owned()], &ReadOptions::default())? {
        let (_, document) = record?;
        texts.insert(document.id, document.text);
    }
    Ok(texts)
}

/// A document on its way through.
struct Judged {
    document: Document,
    verdict: Verdict,
    named_seed: bool,
    shingles: Shingles,
    signature: Option<Signature>,
}

/// What judging one document needs.
struct Judge<'a> {
    inputs: FilterInputs<'a>,
    training: &'a Training,
    config: &'a FilterConfig,
    hashes: MinHash,
}

impl Judge<'_> {
    /// What can be said about a document without the others.
    fn judge(&self, document: Document) -> Result<Judged> {
        let seed_id = metadata::seed_id(&document)?;
        let named_seed = seed_id.is_some();
        let seed = match seed_id {
            None => None,
            Some(seed_id) => Some(self.training.texts.get(seed_id).ok_or_else(|| Error::UnknownSeed {
                id: document.id.clone(),
                seed_id: seed_id.to_owned(),
                path: self.inputs.training.to_owned(),
            })?),
        };
        let verdict = judge(&document, seed.map(String::as_str), &self.training.index, self.config)?;
        let shingles = match verdict {
            Verdict::Keep => Shingles::of(&document.text, SHINGLE_WORDS),
            Verdict::Drop { .. } => Shingles::default(),
        };
        let signature = self.hashes.signature(&shingles);
        Ok(Judged { document, verdict, named_seed, shingles, signature })
    }
}

struct Stage<'a> {
    judge: Judge<'a>,
    config: &'a FilterConfig,
    seen: Duplicates,
    /// Ids of the documents in `seen`.
    kept_ids: Vec<String>,
    kept: DocumentWriter,
    dropped: DocumentWriter,
    stats: FilterStats,
    raw_sample: Vec<Document>,
    kept_sample: Vec<Document>,
}

impl<'a> Stage<'a> {
    fn new(inputs: FilterInputs<'a>, training: &'a Training, out: &Path, config: &'a FilterConfig) -> Result<Self> {
        Ok(Self {
            judge: Judge { inputs, training, config, hashes: MinHash::new() },
            config,
            seen: Duplicates::new(config.near_duplicate),
            kept_ids: Vec::new(),
            kept: DocumentWriter::create(out.join(KEPT))?,
            dropped: DocumentWriter::create(out.join(DROPPED))?,
            stats: FilterStats {
                read: Amount::default(),
                kept: Amount::default(),
                dropped: Reason::ALL.into_iter().map(|reason| (reason, 0)).collect(),
                repetition_rules: BTreeMap::new(),
                without_seed: 0,
                quality: Vec::new(),
            },
            raw_sample: Vec::new(),
            kept_sample: Vec::new(),
        })
    }

    fn run(mut self, monitor: &dyn Monitor) -> Result<FilterStats> {
        let mut reader = Reader::open(self.judge.inputs.synthetic, &ReadOptions::default())?;
        loop {
            let chunk: Vec<Document> =
                reader.by_ref().take(CHUNK).map(|record| Ok(record?.1)).collect::<Result<_>>()?;
            if monitor.interrupted() {
                return Err(Error::Interrupted);
            }
            if chunk.is_empty() {
                break;
            }
            let judge = &self.judge;
            let judged: Vec<Result<Judged>> = chunk.into_par_iter().map(|document| judge.judge(document)).collect();
            for one in judged {
                self.settle(one?)?;
            }
            monitor.advance(self.stats.read.documents, &format!("{} kept", self.stats.kept.documents));
        }
        self.stats.quality = self.quality()?;
        self.kept.finish()?;
        self.dropped.finish()?;
        Ok(self.stats)
    }

    /// Compares with earlier kept documents, counts and writes.
    fn settle(&mut self, judged: Judged) -> Result<()> {
        let Judged { document, mut verdict, named_seed, shingles, signature } = judged;
        self.stats.read.add(&document)?;
        self.stats.without_seed += u64::from(!named_seed);
        if self.raw_sample.len() < self.config.quality_documents {
            self.raw_sample.push(document.clone());
        }
        if let (Verdict::Keep, Some(signature)) = (&verdict, signature) {
            match self.seen.find(&shingles, &signature) {
                Some((earlier, similarity)) => {
                    let detail = format!("similarity {similarity:.3} to {}", self.kept_ids[earlier]);
                    verdict = Verdict::drop(Reason::NearDuplicate, detail);
                }
                None => {
                    self.seen.add(shingles, &signature);
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
            document.metadata.insert("dropped".into(), json!({"reason": reason, "detail": detail}));
            self.dropped.write(&document)?;
        }
        if let Some(rule) = rule {
            *self.stats.repetition_rules.entry(rule).or_default() += 1;
        }
        Ok(())
    }

    fn quality(&self) -> Result<Vec<Quality>> {
        let mut real = Vec::new();
        if let Some(path) = self.judge.inputs.real {
            let reader = Reader::open(&[path.to_owned()], &ReadOptions::default())?;
            for record in reader.take(self.config.quality_documents) {
                real.push(record?.1);
            }
        }
        let mut collections = Vec::new();
        if self.judge.inputs.real.is_some() {
            collections.push(Collection { name: "real", documents: &real });
        }
        collections.push(Collection { name: "raw", documents: &self.raw_sample });
        collections.push(Collection { name: "kept", documents: &self.kept_sample });
        quality(&collections, self.judge.training, self.config)
    }
}
