//! `ingest`: documents to splits.

use std::path::Path;

use cognate_base::{Hash, Monitor};
use cognate_corpus::{IngestConfig, IngestStats, OnBadRecord, ReadOptions, ingest};
use cognate_worlds::{Dials, World, fingerprint};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate, PACKED, WORD_BYTES};
use crate::recipe::{self, Recipe};
use crate::rundir::Work;
use crate::step::Step;
use crate::world_files::{EXTRACTION, IN_CONTEXT, PAIRS, TRUTH, WorldStatistics, file_of, write_world};

/// The splits' names, which are their files' names too.
pub(crate) const SPLITS: [&str; 4] = ["validation", "unique", "oracle", "selection"];
/// Text that it reads in a second, twice over.
const BYTES_PER_S: f64 = 20e6;
/// Bytes of files that are read and hashed in a second, as a disk gives them.
const HASHED_BYTES_PER_S: f64 = 500e6;

/// Documents in, splits out.
pub(crate) struct Ingest;

impl Stage for Ingest {
    fn step(&self) -> Step {
        Step::Ingest
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: as for embed. 3: documents without text are dropped, metadata passes as it was written, and a folder stands for
        // the data below it too. 4: passages that many documents hold do not count. 5: a split for choices.
        5
    }

    fn needs(&self, _: &Recipe) -> Vec<Step> {
        Vec::new()
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", recipe.seed)?;
        config.put_without("corpus", &recipe.corpus, &["paths"])
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        match &context.recipe.corpus.world {
            // Its documents follow from its dials, which are among the keys, and from what makes them.
            Some(dials) => inputs.put("the world", Hash::of(fingerprint(dials, context.recipe.seed))),
            None => inputs.documents()?,
        }
        if context.recipe.corpus.chunk_tokens.is_some() {
            inputs.given_tokenizer()?;
        }
        Ok(())
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, place.folder, monitor)
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let survey = estimate.survey;
        let (documents, text) = (survey.documents, survey.documents * survey.bytes_per_document);
        // What is not taken is read all the same.
        let all = survey.all_documents * survey.bytes_per_document;
        let wall_s = 2.0 * all / BYTES_PER_S + survey.file_bytes / HASHED_BYTES_PER_S + all / survey.cut_bytes_per_s;
        Cost { documents, bytes: text * PACKED, wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        // Of every document its hash and its id, of the validation split its words in a row.
        let survey = estimate.survey;
        let held_out = survey.documents * estimate.recipe.corpus.validation_share * survey.bytes_per_document;
        survey.all_documents * 150.0 + held_out / WORD_BYTES * 30.0
    }
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

fn work(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
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
    let mut made = Made::default();
    let (stats, world) = match &corpus.world {
        None => (ingest(&context.document_paths(), folder, &config, monitor)?, None),
        Some(dials) => {
            let (stats, world, files) = made_documents(dials, folder, &config, monitor)?;
            files.into_iter().for_each(|file| made.file(file));
            (stats, Some(world))
        }
    };
    tell(&stats);
    for (split, kept) in SPLITS.into_iter().zip([stats.validation, stats.unique, stats.oracle, stats.selection]) {
        made.rows(&format!("{split}.jsonl.zst"), kept.documents);
    }
    made.rows("dropped.jsonl", stats.without_text + stats.exact_duplicates + stats.contaminated);
    made.rows("rejected.jsonl", stats.rejected);
    let documents = stats.read;
    made.work = Work { statistics: json!(Ingested { stats, world }), documents, ..Work::default() };
    Ok(made)
}

/// Statistics of `ingest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ingested {
    #[serde(flatten)]
    pub(crate) stats: IngestStats,
    /// Of a made corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) world: Option<WorldStatistics>,
}

/// Makes a world's documents in `folder` and draws them into their splits, which leaves beside these what is true of them.
fn made_documents(
    dials: &Dials,
    folder: &Path,
    config: &IngestConfig,
    monitor: &dyn Monitor,
) -> Result<(IngestStats, WorldStatistics, Vec<&'static str>)> {
    let world = World::new(dials, config.seed, monitor)?;
    let made = folder.join("world");
    let statistics = write_world(&world, &made, monitor)?;
    let documents: Vec<_> = statistics.documents.keys().map(|split| made.join(file_of(*split))).collect();
    let stats = ingest(&documents, folder, config, monitor)?;
    if stats.exact_duplicates > 0 {
        tracing::warn!(
            "ingest: {} of the world's documents are exact copies of others and are left out, and what is computed of the world counts them: \
             longer documents repeat less",
            stats.exact_duplicates
        );
    }
    let mut files = vec![PAIRS, TRUTH];
    files.extend(EXTRACTION.into_iter().chain([IN_CONTEXT]).filter(|file| made.join(file).exists()));
    for file in &files {
        fs_err::rename(made.join(file), folder.join(file))?;
    }
    fs_err::remove_dir_all(made)?;
    Ok((stats, statistics, files))
}

/// Says what was drawn.
pub(super) fn tell(stats: &IngestStats) {
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
    tell_shared_passages(stats);
}

/// Says how many documents were dropped for a passage of validation, and for which: where they are so many that `ingest` itself has
/// warned of it, not again.
pub fn tell_shared_passages(stats: &IngestStats) {
    if let Some(told) = stats.told_contamination().filter(|_| !stats.is_much_contaminated()) {
        tracing::info!("ingest: {told}");
    }
}
