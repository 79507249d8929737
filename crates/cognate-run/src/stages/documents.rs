//! `ingest` and `tokenize`: documents to splits to token files.

use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{
    IngestConfig, IngestStats, OnBadRecord, ReadOptions, Reader, TokenFile, TokenizeStats, Tokenizer, ingest, tokenize,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, Made};
use crate::error::Result;
use crate::recipe::{self, Recipe};
use crate::rundir::Work;

/// The splits' names, which are their files' names too.
pub(crate) const SPLITS: [&str; 4] = ["validation", "unique", "oracle", "selection"];

/// Statistics of `tokenize`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tokenized {
    /// Entries of the vocabulary: the largest token + 1.
    pub(crate) vocabulary: usize,
    pub(crate) validation: TokenizeStats,
    pub(crate) unique: TokenizeStats,
    pub(crate) oracle: TokenizeStats,
    pub(crate) selection: TokenizeStats,
}

/// How the recipe's documents are read.
pub(crate) fn read_options(recipe: &Recipe) -> ReadOptions {
    ReadOptions {
        id_field: recipe.corpus.id_field.clone(),
        text_field: recipe.corpus.text_field.clone(),
        group_field: recipe.corpus.group_field.clone().unwrap_or_default(),
        group_of_metadata: true,
        on_bad_record: match recipe.corpus.on_bad_record {
            recipe::OnBadRecord::Stop => OnBadRecord::Stop,
            recipe::OnBadRecord::Skip => OnBadRecord::Skip,
        },
        max_record_bytes: recipe.corpus.max_record_bytes,
    }
}

/// The stage `ingest`.
pub(crate) fn ingest_stage(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let corpus = &context.recipe.corpus;
    let config = IngestConfig {
        seed: context.recipe.seed,
        validation_share: corpus.validation_share,
        unique_share: corpus.unique_share,
        selection_share: corpus.selection_share,
        contamination_words: corpus.contamination_words,
        contamination_documents: corpus.contamination_documents,
        limit: corpus.limit,
        chunk_tokens: corpus.chunk_tokens,
        tokenizer: context.recipe.tokenize.tokenizer.as_ref().map(|path| context.recipe.at(path)),
        read: read_options(context.recipe),
    };
    let stats: IngestStats = ingest(&context.document_paths(), folder, &config, monitor)?;
    tell(&stats);
    let mut made = Made::default();
    for (split, kept) in SPLITS.into_iter().zip([stats.validation, stats.unique, stats.oracle, stats.selection]) {
        made.rows(&format!("{split}.jsonl.zst"), kept.documents);
    }
    made.rows("dropped.jsonl", stats.without_text + stats.exact_duplicates + stats.contaminated);
    made.rows("rejected.jsonl", stats.rejected);
    made.work = Work { statistics: json!(stats), documents: stats.read, ..Work::default() };
    Ok(made)
}

/// Says what was drawn.
fn tell(stats: &IngestStats) {
    if stats.cut > 0 {
        tracing::info!("ingest: {} documents are cut into {} pieces", stats.cut, stats.pieces);
    }
    if stats.beyond_limit > 0 {
        let taken = stats.read - stats.without_text - stats.beyond_limit;
        tracing::info!("ingest: {taken} documents are taken, and {} left out by [corpus] limit", stats.beyond_limit);
    }
    if stats.groups > 0 {
        let alone = match stats.without_group {
            0 => String::new(),
            n => format!("; {n} documents without [corpus] group_field, each a group of its own"),
        };
        tracing::info!("ingest: {} groups, each in one split{alone}", stats.groups);
    }
}

/// The stage `tokenize`: trains the tokenizer on the unique split or takes the given one, and encodes every split.
pub(crate) fn tokenize_stage(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let splits = context.artifact("ingest");
    let tokenizer = match &context.recipe.tokenize.tokenizer {
        Some(path) => Tokenizer::load(&context.recipe.at(path))?,
        None => {
            let vocab_size = context.recipe.tokenize.vocab_size.unwrap_or_default();
            train_tokenizer(&[splits.path("unique.jsonl.zst")], &ReadOptions::default(), vocab_size, monitor)?
        }
    };
    tokenizer.save(&folder.join("tokenizer.json"))?;
    let mut made = Made::default();
    made.file("tokenizer.json");
    made.file("tokenizer_config.json");
    let mut stats = Vec::new();
    for split in SPLITS {
        let documents = splits.path(&format!("{split}.jsonl.zst"));
        let one = tokenize(&documents, &ReadOptions::default(), &tokenizer, &folder.join(split), monitor)?;
        made.rows(&format!("{split}.bin"), one.tokens);
        made.rows(&format!("{split}.idx"), one.documents);
        stats.push(one);
    }
    let tokenized = Tokenized {
        vocabulary: tokenizer.vocab_size(),
        validation: stats[0],
        unique: stats[1],
        oracle: stats[2],
        selection: stats[3],
    };
    made.work = Work {
        statistics: json!(tokenized),
        flops: 0.0,
        tokens: stats.iter().map(|one| one.tokens).sum(),
        documents: stats.iter().map(|one| one.documents).sum(),
    };
    Ok(made)
}

/// Trains a tokenizer on the texts of document files.
///
/// # Errors
/// When a document cannot be read, the vocabulary has no room for the bytes or is too large, or the user interrupts.
pub fn train_tokenizer(
    paths: &[PathBuf],
    options: &ReadOptions,
    vocab_size: usize,
    monitor: &dyn Monitor,
) -> Result<Tokenizer> {
    let mut failure = None;
    let mut reader = Reader::open(paths, options, monitor)?;
    let texts = std::iter::from_fn(|| match reader.next()? {
        Ok((_, document)) => Some(document.text),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let tokenizer = Tokenizer::train_watched(texts, vocab_size, monitor);
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(tokenizer?),
    }
}

impl Context<'_> {
    /// The run's tokenizer.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.artifact("tokenize").path("tokenizer.json"))?)
    }

    /// The token file of a split, or of the kept synthetic documents.
    pub(crate) fn tokens(&self, artifact: impl AsRef<Path>, prefix: &str) -> Result<TokenFile> {
        Ok(TokenFile::open(&self.artifact(artifact).path(prefix))?)
    }

    /// What `tokenize` counted.
    pub(crate) fn tokenized(&self) -> Result<Tokenized> {
        self.statistics("tokenize")
    }
}
