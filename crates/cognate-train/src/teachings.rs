//! What teachers expect at every token of a token file: the head of a distribution each, on disk.
//!
//! Two token files beside each other. `NAME-ids` has K tokens in the place of each token, the likeliest first, and `NAME-probabilities` the
//! bits of their probabilities as 16-bit floats, which are whole numbers up to 15,360. What is missing to 1 is spread over all other tokens.

use std::path::{Path, PathBuf};

use cognate_corpus::{TokenFile, TokenWriter};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One more than the bits of 1 as a 16-bit float.
const CODES: usize = 0x3c00 + 1;

fn prefixes(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["ids", "probabilities"].map(|part| folder.join(format!("{name}-{part}")))
}

/// What is kept of distributions, and what is not. Means over all tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TeachingsStats {
    /// Tokens.
    pub tokens: u64,
    /// Tokens that are known of each distribution, K.
    pub top: usize,
    /// Probability of the others together, as a student is told: what rounding takes off the known ones is in it.
    pub rest: f64,
    /// Entropy of the whole distribution, in nats.
    pub entropy: f64,
    /// Of that, what is lost: how the rest is spread over the others.
    pub lost: f64,
    /// −log of what the next token was expected with, in nats: at temperature 1 the teachers' own loss.
    pub nats: f64,
}

/// Writes them, token by token.
#[derive(Debug)]
pub(crate) struct TeachingsWriter {
    ids: TokenWriter,
    probabilities: TokenWriter,
    top: usize,
    order: Vec<u32>,
    /// The document under way.
    document: [Vec<u32>; 2],
    sums: TeachingsStats,
}

impl TeachingsWriter {
    pub(crate) fn create(folder: &Path, name: &str, vocab: usize, top: usize) -> Result<Self> {
        let [ids, probabilities] = prefixes(folder, name);
        Ok(Self {
            ids: TokenWriter::create(&ids, vocab)?,
            probabilities: TokenWriter::create(&probabilities, CODES)?,
            top: top.min(vocab),
            order: (0..vocab as u32).collect(),
            document: Default::default(),
            sums: TeachingsStats::default(),
        })
    }

    /// Adds what is expected in the place of `next`: probabilities of all tokens.
    pub(crate) fn push(&mut self, distribution: &[f32], next: u32) {
        let probability = |id: &u32| distribution[*id as usize];
        let likelier = |a: &u32, b: &u32| probability(b).total_cmp(&probability(a)).then(a.cmp(b));
        if self.top < self.order.len() {
            self.order.select_nth_unstable_by(self.top, likelier);
        }
        let (head, tail) = self.order.split_at_mut(self.top);
        head.sort_unstable_by(likelier);
        let mut kept = 0.0;
        for id in head.iter() {
            // Rounded down, so that the head of a distribution never comes to more than all of it.
            let (own, half) = (probability(id).min(1.0), f16::from_f32(probability(id).min(1.0)));
            let code = if half.to_f32() > own { half.to_bits() - 1 } else { half.to_bits() };
            self.document[0].push(*id);
            self.document[1].push(code.into());
            kept += f64::from(f16::from_bits(code).to_f32());
        }
        let nats = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        let sum = |ids: &[u32]| ids.iter().map(|id| f64::from(probability(id))).sum::<f64>();
        let entropy = |ids: &[u32]| ids.iter().map(|id| nats(f64::from(probability(id)))).sum::<f64>();
        let (rest, in_rest) = (sum(tail), entropy(tail));
        self.sums.tokens += 1;
        self.sums.rest += if tail.is_empty() { 0.0 } else { 1.0 - kept };
        self.sums.entropy += entropy(head) + in_rest;
        self.sums.lost += in_rest - nats(rest);
        self.sums.nats -= f64::from(distribution[next as usize]).max(f64::MIN_POSITIVE).ln();
    }

    /// Ends a document.
    pub(crate) fn end_document(&mut self) -> Result<()> {
        self.ids.push(&self.document[0])?;
        self.probabilities.push(&self.document[1])?;
        self.document.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<TeachingsStats> {
        self.ids.finish()?;
        self.probabilities.finish()?;
        let TeachingsStats { tokens, rest, entropy, lost, nats, .. } = self.sums;
        let mean = |sum: f64| sum / tokens.max(1) as f64;
        let top = self.top;
        Ok(TeachingsStats { tokens, top, rest: mean(rest), entropy: mean(entropy), lost: mean(lost), nats: mean(nats) })
    }
}

/// What teachers expect at every token of a token file, to read. Clones share the mapping.
#[derive(Clone, Debug)]
pub struct Teachings {
    ids: TokenFile,
    probabilities: TokenFile,
    top: usize,
}

impl Teachings {
    /// Opens `NAME-ids` and `NAME-probabilities` in `folder`, which are of the tokens of `file`.
    ///
    /// # Errors
    /// When they cannot be read, are damaged, or are not of these documents.
    pub fn open(folder: &Path, name: &str, top: usize, file: &TokenFile) -> Result<Self> {
        let [ids, probabilities] = prefixes(folder, name).map(|prefix| TokenFile::open(&prefix));
        let (ids, probabilities) = (ids?, probabilities?);
        let fits = |taught: &TokenFile| {
            taught.documents() == file.documents()
                && (0..file.documents()).all(|document| taught.len(document) == file.len(document) * top)
        };
        if let Some(taught) = [&ids, &probabilities].into_iter().find(|taught| !fits(taught)) {
            return Err(Error::NotTaught { path: taught.path().to_path_buf(), tokens: file.path().to_path_buf() });
        }
        Ok(Self { ids, probabilities, top })
    }

    /// K.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Appends what is expected in the place of the tokens `range` of a document.
    ///
    /// # Panics
    /// When the document has no such tokens.
    pub fn read(
        &self,
        document: usize,
        range: std::ops::Range<usize>,
        ids: &mut Vec<u32>,
        probabilities: &mut Vec<f32>,
    ) {
        let range = range.start * self.top..range.end * self.top;
        self.ids.read(document, range.clone(), ids);
        let mut codes = Vec::with_capacity(range.len());
        self.probabilities.read(document, range, &mut codes);
        probabilities.extend(codes.into_iter().map(|code| f16::from_bits(code as u16).to_f32()));
    }
}
