//! `generate`: the synthesizer's documents.
//!
//! What the filters will leave is not known before. So somewhat more is written than is needed, and where `filter` finds too little,
//! further rounds follow, each an artifact of its own (`generate-2`, …). Their sizes are fixed, each twice the one before, and do not
//! depend on what the filters leave: a looser filter later finds the same rounds again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, TokenFile};
use cognate_model::checkpoint::read_config;
use cognate_model::{Config as Decoding, Decoder};
use cognate_synth::entigraph::ENTITIES_FILE;
use cognate_synth::filter::stage::KEPT;
use cognate_synth::generate::files::shards;
use cognate_synth::{
    EndpointConfig, GenerateConfig, Key, Role, Seeds, Target, generate, generate_bytes, generate_endpoint,
    generate_entigraph,
};
use serde_json::json;

use super::{Place, Stage, of_world};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate, PACKED, Written};
use crate::recipe::{self, Author, Endpoint, GenerateMethod, GeneratePrecision, Model, Recipe, SeedsOf, Synthetic};
use crate::rundir::Work;
use crate::step::{Step, writer};

/// Documents in one file of synthetic documents.
const SHARD_DOCUMENTS: usize = 1000;
/// Tokens that a world writes in a second.
const TOLD_TOKENS_PER_S: f64 = 1e6;
/// Least size of the second round, as a share of the need.
const LEAST_ROUND: f64 = 0.25;

/// The documents of the synthetic corpus at a place of [`Recipe::synthetic`].
pub(crate) struct Generate(pub(crate) usize);

impl Stage for Generate {
    fn step(&self) -> Step {
        Step::Generate(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: a uniform number inverts the nucleus in the order of ids. 3: long seeds are cut at the end of a sentence or word. 4: records are
        // marked whose text holds a special token or cannot be encoded; documents without text are no seeds.
        4
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        let mut needs: Vec<Step> = vec![writer(recipe, self.0).unwrap_or(Step::Tokenize)];
        if let SeedsOf::Corpus(seeds) = &recipe.synthetic[self.0].seeds {
            needs.push(Step::Filter(recipe.corpus_of(seeds)));
        }
        needs
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        let Synthetic { by, generate: own, .. } = &recipe.synthetic[self.0];
        config.put("seed", recipe.seed)?;
        if let Author::World(truth) = by {
            let (samples_per_seed, oversample) = (own.samples_per_seed, own.oversample);
            let own = json!({"truth": truth, "samples_per_seed": samples_per_seed, "oversample": oversample});
            config.put("generate", own)?;
            return config.put("synthetic_tokens", recipe.synthetic_tokens(self.0));
        }
        let mut how = vec!["slots", "most_written", "most_unfinished", "endpoint_url", "endpoint_concurrency"];
        how.extend(["endpoint_key_env", "endpoint_timeout_s", "endpoint_attempts"]);
        if own.precision == GeneratePrecision::F32 {
            how.push("precision");
        }
        if own.method == GenerateMethod::Model {
            // What was made before there was another method was made by this one.
            how.push("method");
        }
        config.put_without("generate", own, &how)?;
        config.put("synthetic_tokens", recipe.synthetic_tokens(self.0))
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        inputs.add_tokenizer(context.artifact("tokenize"), "")?;
        let synthetic = &recipe.synthetic[self.0];
        match &synthetic.seeds {
            SeedsOf::Unique => inputs.add_tokens("the unique tokens", "tokenize", "unique")?,
            SeedsOf::Corpus(name) => {
                let seeds = Step::Filter(recipe.corpus_of(name)).folder(recipe);
                inputs.add_tokens("the seeds' tokens", seeds, "synthetic")?;
            }
            SeedsOf::None => {}
        }
        let Some(writer) = writer(recipe, self.0) else {
            // Identifiers and texts.
            match &synthetic.seeds {
                SeedsOf::Unique => {
                    inputs.add("the unique documents", context.artifact("ingest"), "unique.jsonl.zst")?;
                }
                SeedsOf::Corpus(name) => {
                    inputs.add("the seeds", context.made(Step::Filter(recipe.corpus_of(name))), KEPT)?;
                }
                SeedsOf::None => {}
            }
            return inputs.truth();
        };
        inputs.add("the model that writes", context.made(writer), "best/model.safetensors")
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        generate_round(context, self.0, (1, 0), place.folder, monitor)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        recipe.base_of(self.0).map(|arm| &recipe.arms[arm].training.model)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &Decoding,
        _: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        let generate = &recipe.synthetic[self.0].generate;
        if generate.endpoint.is_some() {
            return None;
        }
        let (seed, new, precision) = (generate.max_seed_tokens, generate.max_new_tokens, generate.precision);
        let bytes = generate_bytes(model, generate.slots, seed, new, precision.into());
        Some(("generating with this recipe's slots", bytes))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let Written { documents, length, seed } = estimate.written(self.0);
        let tokens = documents * length;
        let bytes = tokens * estimate.survey.bytes_per_token() * PACKED;
        if writer(estimate.recipe, self.0).is_none() {
            // How long a server takes is not known.
            let is_told = matches!(estimate.recipe.synthetic[self.0].by, Author::World(_));
            let wall_s = if is_told { tokens / TOLD_TOKENS_PER_S } else { 0.0 };
            return Cost { documents, tokens, flops: 0.0, bytes, wall_s, known: &[] };
        }
        let config = estimate.config(self);
        let reading = config.forward_flops(documents * seed, documents, seed / 2.0);
        let writing = config.forward_flops(tokens, tokens, seed + length / 2.0);
        let wall_s = reading / estimate.speed.prompt_flops_per_s + writing / estimate.speed.writing_flops_per_s;
        Cost { documents, tokens, flops: reading + writing, bytes, wall_s, known: &[] }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        match writer(estimate.recipe, self.0) {
            Some(_) => estimate.model_memory(self),
            // The texts of the seeds.
            None => estimate.unique_bytes(),
        }
    }
}

/// The folder of a round of generation, counted from 1.
pub(crate) fn round_folder(recipe: &Recipe, corpus: usize, round: usize) -> PathBuf {
    match round {
        1 => Step::Generate(corpus).folder(recipe),
        _ => Path::new("rounds").join(&recipe.synthetic[corpus].name).join(round.to_string()),
    }
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
    let seeds = match seeds_of(context, corpus)? {
        Some((documents, tokens)) => Seeds::open(&documents, &ReadOptions::default(), tokens, monitor)?,
        None => Seeds::none(),
    };
    let target = Target::Tokens(round_tokens(recipe, corpus, round));
    let settings = &recipe.synthetic[corpus].generate;
    if round == 1 {
        tell_need(recipe, corpus);
    }
    if let (Some(endpoint), Some(most)) = (&settings.endpoint, settings.most_entities) {
        return about_entities(context, corpus, (round, first), (endpoint, most), folder, monitor);
    }
    let Some(writer) = writer(recipe, corpus) else {
        let config = generate_config(recipe, settings, String::new(), target, first);
        let stats = of_world::told(context, corpus, &seeds, folder, config, monitor)?;
        let (tokens, documents) = (stats.tokens, stats.documents);
        return wrote_files(folder, Work { statistics: json!(stats), flops: 0.0, tokens, documents });
    };
    let synthesizer = context.made(writer);
    let by = synthesizer.hash("best/model.safetensors")?.to_string();
    let config = generate_config(recipe, settings, by, target, first);
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
    let flops = generation_flops(&model, &wrote);
    wrote_files(folder, Work { statistics, flops, tokens: wrote.tokens, documents: wrote.documents })
}

/// Says before anything is written how much will be, and where it stops.
pub(crate) fn tell_need(recipe: &Recipe, corpus: usize) {
    let need = recipe.synthetic_tokens(corpus) as f64;
    tracing::info!(
        "{}: {need:.0} tokens are needed, so {} are written, and more where the filters drop more than that leaves; the run stops where more than {:.0} would be",
        Step::Generate(corpus).label(recipe),
        round_tokens(recipe, corpus, 1),
        need * recipe.synthetic[corpus].generate.most_written
    );
}

/// One round of what a server writes about entities. These are listed once, in the first round.
fn about_entities(
    context: &Context<'_>,
    corpus: usize,
    (round, first): (usize, u64),
    (endpoint, most): (&Endpoint, usize),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let Some((documents, tokens)) = seeds_of(context, corpus)? else { unreachable!("entities are those of documents") };
    let seeds = Seeds::open(&documents, &ReadOptions::default(), tokens, monitor)?;
    let target = Target::Tokens(round_tokens(recipe, corpus, round));
    let by = format!("{} by entigraph", endpoint.model);
    let config = generate_config(recipe, &recipe.synthetic[corpus].generate, by, target, first);
    let known = (round > 1).then(|| context.made(Step::Generate(corpus)).path(ENTITIES_FILE));
    let (tokenizer, server) = (context.tokenizer()?, server(endpoint)?);
    let known = (most, known.as_deref());
    let stats = generate_entigraph(&tokenizer, &seeds, folder, &config, known, &server, monitor)?;
    let label = Step::Generate(corpus).label(recipe);
    tracing::info!(
        "{label}: {} entities of {} documents, {} twos and {} threes of them; {} documents have fewer than two",
        stats.entities,
        seeds.len(),
        stats.pairs,
        stats.triples,
        stats.without_two
    );
    let (tokens, documents) = (stats.texts.tokens, stats.texts.documents);
    let mut made = wrote_files(folder, Work { statistics: json!(stats), flops: 0.0, tokens, documents })?;
    if round == 1 {
        made.file(ENTITIES_FILE);
    }
    Ok(made)
}

/// The documents in `folder`, with the work that they took.
fn wrote_files(folder: &Path, work: Work) -> Result<Made> {
    let mut made = Made { work, ..Made::default() };
    for shard in shards(folder)? {
        made.file(shard.strip_prefix(folder).unwrap_or(&shard));
    }
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

/// How documents are written, by whom `synthesizer` names, from the number `first` on until `target`.
pub(crate) fn generate_config(
    recipe: &Recipe,
    settings: &recipe::Generate,
    synthesizer: String,
    target: Target,
    first: u64,
) -> GenerateConfig {
    GenerateConfig {
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
        synthesizer,
    }
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
fn generation_flops(config: &Decoding, wrote: &Wrote) -> f64 {
    let documents = wrote.documents.max(1) as f64;
    let (prompt, drawn) = (wrote.prompt_tokens as f64, wrote.tokens as f64);
    config.forward_flops(prompt, documents, prompt / documents / 2.0)
        + config.forward_flops(drawn, drawn, prompt / documents + drawn / documents / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents of one length, so that a sum over their positions can be written out.
    #[test]
    fn operations_of_generation_are_those_of_blocks_head_and_context() {
        let config = Decoding {
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
