//! Four seeds, their tokens, and the shape of a small model that fits them.

use std::path::PathBuf;

use cognate_base::Silent;
use cognate_corpus::{ReadOptions, TokenFile, Tokenizer};
use cognate_model::Config;
use cognate_ops::Precision;
use cognate_synth::{GenerateConfig, Sampling, Seeds, Target};
use tempfile::TempDir;

use crate::{document, write};

pub(crate) const TEXTS: [&str; 4] =
    ["stars and planets", "a planet", "cats and other animals that live in houses", "x"];

pub(crate) struct World {
    folder: TempDir,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) seeds: Seeds,
}

impl World {
    /// The largest token of the seeds.
    pub(crate) fn largest_token(&self) -> u32 {
        TEXTS.iter().flat_map(|text| self.tokenizer.encode(text).unwrap()).max().unwrap()
    }

    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let documents: Vec<_> =
            TEXTS.iter().enumerate().map(|(i, text)| document(&format!("u{i}"), text, &[])).collect();
        let path = write(&folder.path().join("unique.jsonl"), &documents);
        let tokenizer = Tokenizer::train(TEXTS.iter().map(|text| (*text).to_owned()), 265).unwrap();
        let prefix = folder.path().join("unique");
        cognate_corpus::tokenize(&path, &ReadOptions::default(), &tokenizer, &prefix, &Silent).unwrap();
        let seeds = Seeds::open(&path, &ReadOptions::default(), TokenFile::open(&prefix).unwrap(), &Silent).unwrap();
        Self { folder, tokenizer, seeds }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A text's tokens, cut as a seed is.
    pub(crate) fn cut(&self, text: &str, most: usize) -> Vec<u32> {
        let mut tokens = self.tokenizer.encode(text).unwrap();
        tokens.truncate(self.tokenizer.cut(&tokens, most).map_or(most, |cut| cut.tokens));
        tokens
    }
}

pub(crate) fn shape(vocab: usize) -> Config {
    Config {
        vocab,
        width: 32,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_width: 16,
        ffn: 64,
        max_positions: 64,
        rope_base: 10_000.0,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: false,
    }
}

pub(crate) fn settings() -> GenerateConfig {
    GenerateConfig {
        seed: 9,
        first_document: 0,
        target: Target::Tokens(700),
        shard: None,
        samples_per_seed: 1,
        sampling: Sampling::nucleus(1.0, 0.95),
        precision: Precision::F32,
        max_new_tokens: 24,
        max_seed_tokens: 14,
        slots: 1,
        shard_documents: 10,
        synthesizer: "random".into(),
    }
}
