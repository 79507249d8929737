//! `generate` and `filter`: the synthesizer's documents, and those that are kept.
//!
//! What the filters will leave is not known before. So `generate` writes somewhat more than is needed, and where
//! `filter` finds too little, further rounds follow, each an artifact of its own (`generate-2`, …). Their sizes are
//! fixed, each twice the one before, and do not depend on what the filters leave: a looser filter later finds the same
//! rounds again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cognate_base::{Hash, Monitor};
use cognate_corpus::{ReadOptions, TokenFile, TokenizeStats, tokenize};
use cognate_model::checkpoint::read_config;
use cognate_model::{Config, Decoder};
use cognate_statistics::Share;
use cognate_synth::filter::stage::{DROPPED, KEPT, filter};
use cognate_synth::generate::files::shards;
use cognate_synth::{
    EndpointConfig, FilterInputs, FilterStats, GenerateConfig, Key, Role, Scoring, Seeds, Target, TextPair, generate,
    generate_endpoint,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::recipe::{Endpoint, Generate, Recipe, SeedsOf, Synthetic, filter_config};
use crate::rundir::{Artifact, Manifest, State, Watched, Work};
use crate::stage::{Step, writer};
use crate::stages::judge;
use crate::stages::quality::{Measured, Synthesizer, measure};

/// Documents in one file of synthetic documents.
const SHARD_DOCUMENTS: usize = 1000;
/// Share of the real documents from which on a rule that drops them is told.
const REAL_DROPPED: f64 = 0.2;
/// Share of the written documents below which it is told that the filters keep so little.
const LITTLE_KEPT: f64 = 0.5;
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

/// Statistics of `filter` for a control, whose documents nothing else is measured of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilteredControl {
    /// Rounds of generation that it took.
    pub(crate) rounds: usize,
    pub(crate) filter: FilterStats,
    /// The kept documents, tokenized as every document is.
    pub(crate) synthetic: TokenizeStats,
}

/// What both kinds of statistics of `filter` say.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Rounds {
    pub(crate) rounds: usize,
}

/// The folder of a round of generation, counted from 1.
pub(crate) fn round_folder(recipe: &Recipe, corpus: usize, round: usize) -> PathBuf {
    match round {
        1 => Step::Generate(corpus).folder(recipe),
        _ => Path::new("rounds").join(&recipe.synthetic[corpus].name).join(round.to_string()),
    }
}

/// Operations of the rounds of generation after the first, of the corpus at `corpus`.
pub(crate) fn further_rounds_flops(context: &Context<'_>, corpus: usize) -> Result<f64> {
    let recipe = context.recipe;
    let filter = Step::Filter(corpus).folder(recipe);
    if context.artifact_if(&filter).is_none() {
        return Ok(0.0);
    }
    let Rounds { rounds } = context.statistics(&filter)?;
    let mut flops = 0.0;
    for round in 2..=rounds {
        let folder = context.run.folder(&round_folder(recipe, corpus, round));
        flops += Manifest::read(&folder)?.map_or(0.0, |manifest| manifest.work.flops);
    }
    Ok(flops)
}

/// Tokens that a round writes.
pub(super) fn round_tokens(recipe: &Recipe, corpus: usize, round: usize) -> u64 {
    let need = recipe.synthetic_tokens(corpus) as f64;
    let oversample = recipe.synthetic[corpus].generate.oversample;
    let share = match round {
        1 => 1.0 + oversample,
        _ => oversample.max(LEAST_ROUND) * 2f64.powi(round as i32 - 2),
    };
    ((need * share).ceil() as u64).max(1)
}

/// One round of the stage `generate`, with its number and the number of its first document.
pub(crate) fn generate_round(
    context: &Context<'_>,
    corpus: usize,
    (round, first): (usize, u64),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let synthesizer = context.made(writer(recipe, corpus));
    let seeds = match seeds_of(context, corpus)? {
        Some((documents, tokens)) => Seeds::open(&documents, &ReadOptions::default(), tokens, monitor)?,
        None => Seeds::none(),
    };
    let target = Target::Tokens(round_tokens(recipe, corpus, round));
    let settings = &recipe.synthetic[corpus].generate;
    let config = generate_config(recipe, settings, synthesizer, target, first)?;
    let checkpoint = synthesizer.path("best");
    let (model, wrote, statistics) = match &settings.endpoint {
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

/// The documents that the corpus at `corpus` is written from, and their tokens; none where it is written from nothing.
pub(crate) fn seeds_of(context: &Context<'_>, corpus: usize) -> Result<Option<(PathBuf, TokenFile)>> {
    let recipe = context.recipe;
    Ok(match &recipe.synthetic[corpus].seeds {
        SeedsOf::Unique => {
            Some((context.artifact("ingest").path("unique.jsonl.zst"), context.tokens("tokenize", "unique")?))
        }
        SeedsOf::Corpus(name) => {
            let filter = Step::Filter(recipe.corpus_of(name)).folder(recipe);
            Some((context.artifact(&filter).path(KEPT), context.tokens(&filter, "synthetic")?))
        }
        SeedsOf::None => None,
    })
}

/// How `synthesizer` writes documents, from the number `first` on until `target`.
pub(crate) fn generate_config(
    recipe: &Recipe,
    settings: &Generate,
    synthesizer: &Artifact,
    target: Target,
    first: u64,
) -> Result<GenerateConfig> {
    Ok(GenerateConfig {
        seed: recipe.seed,
        first_document: first,
        target,
        shard: None,
        samples_per_seed: settings.samples_per_seed,
        sampling: settings.sampling,
        precision: settings.precision.into(),
        max_new_tokens: settings.max_new_tokens,
        max_seed_tokens: settings.max_seed_tokens,
        slots: settings.slots,
        shard_documents: SHARD_DOCUMENTS,
        synthesizer: synthesizer.hash("best/model.safetensors")?.to_string(),
    })
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
fn further_round(context: &Context<'_>, corpus: usize, round: usize, first: u64) -> Result<Artifact> {
    let step = Step::Generate(corpus);
    let name = round_folder(context.recipe, corpus, round);
    let mut identity = context.identity(step)?;
    if let serde_json::Value::Object(config) = &mut identity.config {
        config.insert("round".to_owned(), json!({"number": round, "first_document": first}));
    }
    let folder = context.run.folder(&name);
    let attempt = match context.run.enter(&name, identity, context.recipe.seed, step.resumes())? {
        State::Done(manifest) => return Ok(Artifact { folder, manifest: *manifest }),
        State::Open(attempt) => attempt,
    };
    let watched = Watched::new(context.monitor, &format!("{}, round {round}", step.label(context.recipe)), &attempt);
    match generate_round(context, corpus, (round, first), attempt.folder(), &watched) {
        Ok(made) => Ok(Artifact { folder, manifest: attempt.finish(&made.files, &made.rows, made.work)? }),
        Err(error) => {
            watched.stop();
            Err(error)
        }
    }
}

/// Sees to it that all rounds are there which a finished `filter` took: where that was taken over from another run, they are too.
pub(crate) fn further_rounds(context: &Context<'_>, corpus: usize) -> Result<()> {
    let Rounds { rounds } = context.statistics(Step::Filter(corpus).folder(context.recipe))?;
    let mut first = context.made(Step::Generate(corpus)).manifest.work.documents;
    for round in 2..=rounds {
        first += further_round(context, corpus, round, first)?.manifest.work.documents;
    }
    Ok(())
}

/// The stage `filter`: filters what was written, and has more written until the arms' need is met.
pub(crate) fn filter_stage(context: &Context<'_>, corpus: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let recipe = context.recipe;
    let label = Step::Filter(corpus).label(recipe);
    let needed = recipe.synthetic_tokens(corpus);
    let tokenizer = context.tokenizer()?;
    let Synthetic { generate: settings, filter: filters, seeds, .. } = &recipe.synthetic[corpus];
    let is_related = recipe.is_related(corpus);
    let config = filter_config(filters, *seeds != SeedsOf::None);
    let ingest = context.artifact("ingest");
    let (training, real) = (ingest.path("unique.jsonl.zst"), ingest.path("validation.jsonl.zst"));
    let seeds = match seeds {
        SeedsOf::Corpus(_) => seeds_of(context, corpus)?.map(|(documents, _)| documents),
        SeedsOf::Unique | SeedsOf::None => None,
    };
    let judged = if is_related { judge::known_pairs(context, corpus, monitor)? } else { None };
    // Scores of a control are not told, so it is scored where they drop documents, and only there.
    let mut synthesizer = match writer(recipe, corpus) {
        Step::Tune(at) if is_related || config.min_relevance.is_some() => {
            Some(Synthesizer::load(context, at, settings.max_seed_tokens)?)
        }
        _ => None,
    };
    let calibration = match &mut synthesizer {
        Some(synthesizer) if is_related => synthesizer.calibrate(context, monitor)?,
        _ => None,
    };
    let threshold = calibration.as_ref().and_then(|calibration| calibration.threshold);
    let mut rounds = vec![context.made(Step::Generate(corpus)).clone()];
    loop {
        let mut synthetic = Vec::new();
        for round in &rounds {
            synthetic.extend(shards(&round.folder)?);
        }
        let read = ReadOptions::default();
        let inputs = FilterInputs {
            synthetic: &synthetic,
            training: &training,
            seeds: seeds.as_deref(),
            real: Some(&real),
            read: &read,
        };
        let mut stats = match &mut synthesizer {
            Some(synthesizer) => {
                let mut scorer = |pairs: &[TextPair<'_>]| synthesizer.score(pairs, monitor);
                let scoring = Scoring { scorer: &mut scorer, threshold };
                filter(inputs, folder, &config, Some(scoring), monitor)?
            }
            None => filter(inputs, folder, &config, None, monitor)?,
        };
        if rounds.len() == 1 {
            tell(&label, &stats);
        }
        let tokens =
            tokenize(&folder.join(KEPT), &ReadOptions::default(), &tokenizer, &folder.join("synthetic"), monitor)?;
        if tokens.tokens >= needed {
            let (rounds, read, kept_documents) = (rounds.len(), stats.read.documents, stats.kept.documents);
            let statistics = if is_related {
                stats.judge = judge::kept_documents(context, corpus, folder, judged, monitor)?;
                let measured = measure(context, corpus, folder, calibration, monitor)?;
                json!(Filtered { rounds, filter: stats, measured, synthetic: tokens })
            } else {
                json!(FilteredControl { rounds, filter: stats, synthetic: tokens })
            };
            let flops = synthesizer.map_or(0.0, |synthesizer| synthesizer.flops);
            let work = Work { statistics, flops, tokens: tokens.tokens, documents: read };
            return Ok(kept(work, tokens, kept_documents));
        }
        let written: u64 = rounds.iter().map(|round| round.manifest.work.tokens).sum();
        // If as much is kept of what is written from now on.
        let expected = needed as f64 * written as f64 / tokens.tokens.max(1) as f64;
        let most = settings.most_written * needed as f64;
        if expected > most || written as f64 >= most {
            return Err(Error::TooFewSynthetic {
                written,
                rounds: rounds.len(),
                kept: tokens.tokens,
                needed,
                times: expected / needed as f64,
                most: settings.most_written,
                reasons: reasons(&stats),
            });
        }
        let first = rounds.iter().map(|round| round.manifest.work.documents).sum();
        tracing::info!(
            "{label}: the filters kept {} of {needed} tokens; about {:.1} times the need is to be written in all",
            tokens.tokens,
            expected / needed as f64
        );
        rounds.push(further_round(context, corpus, rounds.len() + 1, first)?);
    }
}

fn kept(work: Work, synthetic: TokenizeStats, documents: u64) -> Made {
    let mut made = Made { work, ..Made::default() };
    made.rows(KEPT, documents);
    made.file(DROPPED);
    made.rows("synthetic.bin", synthetic.tokens);
    made.rows("synthetic.idx", synthetic.documents);
    made
}

/// Says at once what of the filters does not fit the corpus.
fn tell(label: &str, stats: &FilterStats) {
    let share = |of: Share| of.value().unwrap_or(0.0);
    for rule in stats.rules.iter().filter(|rule| share(rule.real) > REAL_DROPPED) {
        tracing::warn!(
            "{label}: the rule `{name}` would drop {real:.0} % of the real unique documents, and {written:.0} % of those written: \
             [filter] {name} = {limit} does not fit this corpus; loosen it{off}",
            name = rule.rule,
            real = 100.0 * share(rule.real),
            written = 100.0 * share(rule.written),
            limit = rule.limit,
            off = if rule.rule == "min_words" { "" } else { ", or write \"off\"" },
        );
    }
    let (kept, read) = (stats.kept.documents, stats.read.documents);
    if (kept as f64) < LITTLE_KEPT * read as f64 {
        tracing::warn!("{label}: the filters keep {kept} of {read} documents; dropped: {}", reasons(stats));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents of one length, so that a sum over their positions can be written out.
    #[test]
    fn operations_of_generation_are_those_of_blocks_head_and_context() {
        let config = Config {
            vocab: 500,
            width: 32,
            layers: 3,
            heads: 4,
            kv_heads: 2,
            head_width: 16,
            ffn: 64,
            max_positions: 1024,
            rope_base: 1e4,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: true,
            tied: true,
        };
        let (documents, prompt, drawn) = (7, 300, 200);
        let block_weights = 3 * (32 * (4 + 2 + 2) * 16 + 4 * 16 * 32 + 3 * 32 * 64);
        let blocks = 2 * block_weights * (prompt + drawn);
        // Every drawn token comes out of the head.
        let head = 2 * 500 * 32 * drawn;
        // Each position is compared with itself and those before it, and weighs their values.
        let context: u64 = (1..=prompt + drawn).map(|seen| 3 * 2 * 2 * 4 * 16 * seen).sum();
        let exact = (documents * (blocks + head + context)) as f64;
        let wrote = Wrote { documents, prompt_tokens: documents * prompt, tokens: documents * drawn };
        let found = generation_flops(&config, &wrote);
        // One token more or less a document.
        assert!((found / exact - 1.0).abs() < 0.01, "{found} {exact}");
        assert!(head * 25 > blocks + head + context && context > blocks, "each of them must count");
    }
}
