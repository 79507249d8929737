//! `generate` and `filter`: the synthesizer's documents, and those that are kept.
//!
//! What the filters will leave is not known before. So `generate` writes somewhat more than is needed, and where
//! `filter` finds too little, further rounds follow, each an artifact of its own (`generate-2`, …). Their sizes are
//! fixed, each twice the one before, and do not depend on what the filters leave: a looser filter later finds the same
//! rounds again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cognate_base::{Hash, Monitor};
use cognate_corpus::{TokenizeStats, tokenize};
use cognate_model::checkpoint::read_config;
use cognate_model::{Config, Decoder};
use cognate_synth::filter::stage::{DROPPED, KEPT, filter};
use cognate_synth::generate::files::shards;
use cognate_synth::{
    EndpointConfig, FilterConfig, FilterInputs, FilterStats, GenerateConfig, Key, Role, Scoring, Seeds, Target,
    TextPair, generate, generate_endpoint,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::{Endpoint, Recipe};
use crate::rundir::{Artifact, State, Watched, Work};
use crate::stage::Step;
use crate::stages::judge;
use crate::stages::quality::{Measured, Synthesizer, measure};

/// Documents in one file of synthetic documents.
const SHARD_DOCUMENTS: usize = 1000;
/// Rounds of generation beyond which the synthesizer is given up.
const MOST_ROUNDS: usize = 8;
/// Least size of the second round, as a share of the need.
const LEAST_ROUND: f64 = 0.25;

/// Statistics of `filter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filtered {
    /// Rounds of generation that it took.
    pub(crate) rounds: usize,
    pub(crate) filter: FilterStats,
    /// What the run's models and its embedder say about the documents.
    pub(crate) measured: Measured,
    /// The kept documents, tokenized as every document is.
    pub(crate) synthetic: TokenizeStats,
}

/// The folder of a round of generation, counted from 1.
pub(crate) fn round_folder(round: usize) -> PathBuf {
    PathBuf::from(if round == 1 { "generate".to_owned() } else { format!("generate-{round}") })
}

/// Tokens that a round writes.
fn round_tokens(recipe: &Recipe, round: usize) -> u64 {
    let need = recipe.synthetic_tokens().unwrap_or(0) as f64;
    let oversample = recipe.generate.oversample;
    let share = match round {
        1 => 1.0 + oversample,
        _ => oversample.max(LEAST_ROUND) * 2f64.powi(round as i32 - 2),
    };
    ((need * share).ceil() as u64).max(1)
}

/// One round of the stage `generate`, whose documents are numbered from `first` on.
pub(crate) fn generate_round(
    context: &Context<'_>,
    round: usize,
    first: u64,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let documents = context.artifact("ingest").path("unique.jsonl.zst");
    let seeds = Seeds::open(&documents, context.tokens("tokenize", "unique")?)?;
    let synthesizer = context.artifact("tune");
    let config = GenerateConfig {
        seed: recipe.seed,
        first_document: first,
        target: Target::Tokens(round_tokens(recipe, round)),
        shard: None,
        samples_per_seed: recipe.generate.samples_per_seed,
        sampling: recipe.generate.sampling,
        precision: recipe.generate.precision.into(),
        max_new_tokens: recipe.generate.max_new_tokens,
        max_seed_tokens: recipe.generate.max_seed_tokens,
        slots: recipe.generate.slots,
        shard_documents: SHARD_DOCUMENTS,
        synthesizer: synthesizer.hash("best/model.safetensors")?.to_string(),
    };
    let checkpoint = synthesizer.path("best");
    let (model, wrote, statistics) = match &recipe.generate.endpoint {
        None => {
            let (mut model, _) = Decoder::load(context.device()?, &checkpoint)?;
            let stats = generate(&mut model, &tokenizer, &seeds, folder, &config, monitor)?;
            let wrote = Wrote { documents: stats.documents, prompt_tokens: stats.prompt_tokens, tokens: stats.tokens };
            (model.config().clone(), wrote, json!(stats))
        }
        Some(endpoint) => {
            let (model, _) = read_config(&checkpoint)?;
            let (url, name) = (&endpoint.url, &endpoint.model);
            tracing::info!("generate: {url} is asked; it must serve {} as {name:?}", checkpoint.display());
            let server = server(endpoint)?;
            let stats = generate_endpoint(&model, &tokenizer, &seeds, folder, &config, &server, monitor)?;
            let wrote = Wrote { documents: stats.documents, prompt_tokens: stats.prompt_tokens, tokens: stats.tokens };
            (model, wrote, json!(stats))
        }
    };
    let mut made = Made::default();
    for shard in shards(folder)? {
        made.file(shard.strip_prefix(folder).unwrap_or(&shard));
    }
    made.work =
        Work { statistics, flops: generation_flops(&model, &wrote), tokens: wrote.tokens, documents: wrote.documents };
    Ok(made)
}

/// The completion server that a recipe names, with its key from the environment.
pub(crate) fn server(endpoint: &Endpoint) -> Result<EndpointConfig> {
    Ok(EndpointConfig {
        url: endpoint.url.clone(),
        model: endpoint.model.clone(),
        key: endpoint.key_env.as_deref().map(|name| Key::from_environment(name, Role::Synthesizer)).transpose()?,
        concurrency: endpoint.concurrency,
        timeout: Duration::from_secs(endpoint.timeout_s),
        attempts: u32::try_from(endpoint.attempts).unwrap_or(u32::MAX),
        first_wait: EndpointConfig::FIRST_WAIT,
    })
}

/// What a round wrote, for its cost.
struct Wrote {
    documents: u64,
    prompt_tokens: u64,
    tokens: u64,
}

/// Prompts and drawn tokens, each attending to half a document of average length after half a prompt or a whole one.
fn generation_flops(config: &Config, wrote: &Wrote) -> f64 {
    let documents = wrote.documents.max(1) as f64;
    let (prompt, drawn) = (wrote.prompt_tokens as f64, wrote.tokens as f64);
    config.forward_flops(prompt, documents, prompt / documents / 2.0)
        + config.forward_flops(drawn, drawn, prompt / documents + drawn / documents / 2.0)
}

/// A further round, made or found.
fn further_round(context: &Context<'_>, round: usize, first: u64) -> Result<Artifact> {
    let name = round_folder(round);
    let mut identity = context.identity(Step::Generate)?;
    if let serde_json::Value::Object(config) = &mut identity.config {
        config.insert("round".to_owned(), json!({"number": round, "first_document": first}));
    }
    let folder = context.run.folder(&name);
    let attempt = match context.run.enter(&name, identity, context.recipe.seed, Step::Generate.resumes())? {
        State::Done(manifest) => return Ok(Artifact { folder, manifest: *manifest }),
        State::Open(attempt) => attempt,
    };
    let watched = Watched::new(context.monitor, &format!("generate, round {round}"), &attempt);
    match generate_round(context, round, first, attempt.folder(), &watched) {
        Ok(made) => Ok(Artifact { folder, manifest: attempt.finish(&made.files, &made.rows, made.work)? }),
        Err(error) => {
            watched.stop();
            Err(error)
        }
    }
}

/// The stage `filter`: filters what was written, and has more written until the arms' need is met.
pub(crate) fn filter_stage(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let recipe = context.recipe;
    let needed = recipe.synthetic_tokens().unwrap_or(0);
    let tokenizer = context.tokenizer()?;
    let config = FilterConfig {
        min_words: recipe.filter.min_words,
        near_copy: recipe.filter.near_copy,
        verbatim_words: recipe.filter.verbatim_words,
        min_relevance: recipe.filter.min_relevance,
        near_duplicate: recipe.filter.near_duplicate,
        samples: recipe.filter.samples,
        quality_documents: recipe.filter.quality_documents,
    };
    let ingest = context.artifact("ingest");
    let (training, real) = (ingest.path("unique.jsonl.zst"), ingest.path("validation.jsonl.zst"));
    let judged = judge::known_pairs(context, monitor)?;
    let mut synthesizer = Synthesizer::load(context)?;
    let calibration = synthesizer.calibrate(context, monitor)?;
    let threshold = calibration.as_ref().map(|calibration| calibration.threshold);
    let mut rounds = vec![context.artifact("generate").clone()];
    loop {
        let mut synthetic = Vec::new();
        for round in &rounds {
            synthetic.extend(shards(&round.folder)?);
        }
        let inputs = FilterInputs { synthetic: &synthetic, training: &training, real: Some(&real) };
        let mut scorer = |pairs: &[TextPair<'_>]| synthesizer.score(pairs, monitor);
        let scoring = Scoring { scorer: &mut scorer, threshold };
        let mut stats = filter(inputs, folder, &config, Some(scoring), monitor)?;
        let tokens = tokenize(&folder.join(KEPT), &tokenizer, &folder.join("synthetic"), monitor)?;
        if tokens.tokens >= needed {
            stats.judge = judge::kept_documents(context, folder, judged, monitor)?;
            let measured = measure(context, folder, calibration, monitor)?;
            let filtered = Filtered { rounds: rounds.len(), filter: stats, measured, synthetic: tokens };
            return Ok(kept(filtered, synthesizer.flops));
        }
        let written: u64 = rounds.iter().map(|round| round.manifest.work.tokens).sum();
        let possible: u64 = (rounds.len() + 1..=MOST_ROUNDS).map(|round| round_tokens(recipe, round)).sum();
        let missing = (needed - tokens.tokens) as f64 * written as f64 / tokens.tokens.max(1) as f64;
        if missing > possible as f64 {
            return Err(Error::TooFewSynthetic {
                written,
                rounds: rounds.len(),
                kept: tokens.tokens,
                needed,
                reasons: reasons(&stats),
            });
        }
        let first = rounds.iter().map(|round| round.manifest.work.documents).sum();
        tracing::info!("filter: {} of {needed} tokens are kept; generating more", tokens.tokens);
        rounds.push(further_round(context, rounds.len() + 1, first)?);
    }
}

fn kept(filtered: Filtered, flops: f64) -> Made {
    let mut made = Made::default();
    made.rows(KEPT, filtered.filter.kept.documents);
    made.file(DROPPED);
    made.rows("synthetic.bin", filtered.synthetic.tokens);
    made.rows("synthetic.idx", filtered.synthetic.documents);
    made.work = Work {
        statistics: json!(filtered),
        flops,
        tokens: filtered.synthetic.tokens,
        documents: filtered.filter.read.documents,
    };
    made
}

fn reasons(stats: &FilterStats) -> String {
    let dropped = stats.dropped.iter().filter(|(_, documents)| **documents > 0);
    let told: Vec<String> = dropped.map(|(reason, documents)| format!("{} {documents}", reason.name())).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// What the shards of all rounds are called in the identity of `filter`; only the first round is named there, since the
/// others follow from it.
pub(crate) fn shard_hashes(artifact: &Artifact) -> impl Iterator<Item = (String, Hash)> + '_ {
    artifact.manifest.files.iter().map(|file| (format!("the synthetic documents {}", file.path), file.hash))
}
