//! A look at the corpus: how many documents, how long, how many tokens.

use std::time::Instant;

use cognate_base::{Monitor, Unit};
use cognate_corpus::{Reader, Tokenizer};

use crate::error::Result;
use crate::recipe::Recipe;
use crate::stages::documents::read_options;

/// Bytes of the files that are read at most; beyond, counts are extrapolated.
const LOOK_BYTES: u64 = 256 << 20;
/// Text that the tokenizer is trained and measured on.
const SAMPLE_BYTES: usize = 2 << 20;

/// What a corpus looks like.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    pub(crate) documents: f64,
    pub(crate) bytes_per_document: f64,
    /// The closing end-of-document token counts.
    pub(crate) tokens_per_document: f64,
    pub(crate) vocabulary: usize,
    pub(crate) encode_bytes_per_s: f64,
    pub(crate) train_bytes_per_s: f64,
    /// Whether all of it was read.
    pub(crate) whole: bool,
}

impl Survey {
    pub(crate) fn bytes_per_token(&self) -> f64 {
        self.bytes_per_document / self.tokens_per_document
    }
}

/// Reads the corpus, or its beginning where it is large, and tokenizes a sample.
pub(crate) fn survey(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Survey> {
    let paths: Vec<_> = recipe.corpus.paths.iter().map(|path| recipe.at(path)).collect();
    let mut reader = Reader::open(&paths, &read_options(recipe))?;
    let total = reader.total_bytes();
    let (mut documents, mut bytes, mut sampled) = (0u64, 0u64, 0);
    let mut sample = Vec::new();
    monitor.begin("plan: reading documents", Some(total.min(LOOK_BYTES)), Unit::Bytes);
    while reader.read_bytes() < LOOK_BYTES {
        let Some(record) = reader.next() else { break };
        let (_, document) = record?;
        documents += 1;
        bytes += document.text.len() as u64;
        if sampled < SAMPLE_BYTES {
            sampled += document.text.len();
            sample.push(document.text);
        }
        if documents.is_multiple_of(256) {
            monitor.check()?;
            monitor.advance(reader.read_bytes(), "");
        }
    }
    monitor.end();
    if documents == 0 {
        let inputs: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(cognate_corpus::Error::EmptyCorpus { inputs: inputs.join(", "), rejected: 0 }.into());
    }
    let share = (reader.read_bytes() as f64 / total.max(1) as f64).clamp(f64::MIN_POSITIVE, 1.0);
    let whole = total <= LOOK_BYTES;
    let found = if whole { documents as f64 } else { documents as f64 / share };
    let since = Instant::now();
    let tokenizer = match &recipe.tokenize.tokenizer {
        Some(path) => Tokenizer::load(&recipe.at(path))?,
        None => Tokenizer::train(sample.iter().cloned(), recipe.tokenize.vocab_size.unwrap_or_default())?,
    };
    let train_s = since.elapsed().as_secs_f64();
    let since = Instant::now();
    let texts: Vec<&str> = sample.iter().map(String::as_str).collect();
    let tokens: usize = tokenizer.encode_batch(&texts)?.iter().map(|tokens| tokens.len() + 1).sum();
    let encode_s = since.elapsed().as_secs_f64();
    let bytes_per_document = bytes as f64 / documents as f64;
    Ok(Survey {
        documents: found,
        bytes_per_document,
        tokens_per_document: bytes_per_document * tokens as f64 / (sampled as f64).max(1.0),
        vocabulary: recipe.tokenize.vocab_size.unwrap_or_else(|| tokenizer.vocab_size()),
        encode_bytes_per_s: sampled as f64 / encode_s.max(1e-9),
        train_bytes_per_s: if recipe.tokenize.tokenizer.is_some() {
            f64::INFINITY
        } else {
            sampled as f64 / train_s.max(1e-9)
        },
        whole,
    })
}
