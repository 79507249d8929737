//! `filter`: of the synthetic documents those that are kept. Where they are too few, it has more rounds of them written.

use std::path::Path;

use cognate_base::{Hash, Monitor};
use cognate_corpus::{Document, Metadata, ReadOptions, TokenizeStats, tokenize};
use cognate_statistics::Share;
use cognate_synth::filter::stage::{DROPPED, KEPT, filter};
use cognate_synth::generate::files::shards;
use cognate_synth::{FilterConfig, FilterInputs, FilterStats, Reason, Scoring, TextPair, filter_bytes, real_shares};
use cognate_worlds::Judged;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::BATCH_TOKENS;
use super::generate::{Generate, generate_round, round_folder, seeds_of};
use super::judge;
use super::of_world;
use super::quality::{Measured, Synthesizer, measure};
use super::texts::unique_texts;
use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Cost, Estimate, PACKED, WORD_BYTES, Written};
use crate::recipe::{Model, Recipe, SeedsOf, Synthetic, Tune, filter_config};
use crate::rundir::{Artifact, Manifest, State, Watched, Work};
use crate::step::{Replicate, Step, writer};

/// Share of the real documents from which on a rule that drops them is told.
const REAL_DROPPED: f64 = 0.2;
/// Share of the written documents below which it is told that the filters keep so little.
const LITTLE_KEPT: f64 = 0.5;
/// Documents that the filters look at in a second.
const DOCUMENTS_PER_S: f64 = 2000.0;

/// What is kept of the synthetic corpus at a place of [`Recipe::synthetic`].
pub(crate) struct Filter(pub(crate) usize);

impl Stage for Filter {
    fn step(&self) -> Step {
        Step::Filter(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: drops what recites a training document, scores relevance, and measures more. 3: long documents that relevance is
        // scored after are cut as seeds are. 4: drops what is no text. 5: words as in ingest's second version. 6: drops documents with special
        // tokens, counts what the filters drop of real text, and has no threshold where scores tell nothing. 7: counts what each rule drops. 8: of
        // which kind a corpus is stands in its identity. 9: calibrated on the pairs of tune's eighth version. 10: counts what
        // verbatim_words drops of real text.
        10
    }

    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Generate(self.0)]
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        let mut how = vec!["judge_url", "judge_key_env"];
        if !recipe.is_related(self.0) {
            // A control's documents go before no judge.
            how.extend(["judge_model", "judge_samples"]);
        }
        if recipe.synthetic[self.0].by.model().is_none() {
            // What no model wrote, none scores.
            how.push("min_relevance");
        }
        config.put_without("filter", &recipe.synthetic[self.0].filter, &how)?;
        config.put("synthetic_tokens", recipe.synthetic_tokens(self.0))?;
        // Of related documents more is measured.
        config.put("related", recipe.is_related(self.0))?;
        if let Some(Step::Tune(synthesizer)) = writer(recipe, self.0) {
            // They decide on which pairs relevance is calibrated.
            let Tune { validate_pairs, relation_pairs, .. } = recipe.synthesizers[synthesizer].tune;
            config.put("tune", json!({"validate_pairs": validate_pairs, "relation_pairs": relation_pairs}))?;
            config.put("seed", recipe.seed)?;
        }
        Ok(())
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        inputs.add("the unique documents", context.artifact("ingest"), "unique.jsonl.zst")?;
        inputs.add("the validation documents", context.artifact("ingest"), "validation.jsonl.zst")?;
        inputs.add_tokens("the unique tokens", "tokenize", "unique")?;
        inputs.add_tokenizer(context.artifact("tokenize"), "")?;
        if let Some(Step::Tune(synthesizer)) = writer(recipe, self.0) {
            let set = recipe.pair_set(&recipe.synthesizers[synthesizer].pairs);
            let [texts, tokens] = context.texts_of(set);
            inputs.add_tokens("the selection tokens", &tokens, "selection")?;
            if recipe.texts_of(set).is_some() {
                inputs.add("the texts of the pairs", context.artifact(&texts), "unique.jsonl.zst")?;
                inputs.add_tokens("the tokens of the pairs' texts", &tokens, "unique")?;
            }
            inputs.add("the held-out pairs", context.pairs_of(synthesizer), "held_out.parquet")?;
            inputs.add("the synthesizer", context.made(Step::Tune(synthesizer)), "best/model.safetensors")?;
        }
        if let SeedsOf::Corpus(name) = &recipe.synthetic[self.0].seeds {
            inputs.add("the seeds", context.made(Step::Filter(recipe.corpus_of(name))), KEPT)?;
        }
        if let Some(base) = recipe.base_of(self.0) {
            let base = Step::Train(Replicate::own(recipe, base));
            inputs.add("the base model", context.made(base), "best/model.safetensors")?;
        }
        inputs.truth()?;
        for (name, hash) in shard_hashes(context.made(Step::Generate(self.0))) {
            inputs.put(&name, hash);
        }
        Ok(())
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, self.0, place.folder, monitor)
    }

    /// What it took beside the first round is part of what it cost, and of what it is.
    fn found(&self, context: &Context<'_>) -> Result<()> {
        further_rounds(context, self.0)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        recipe.base_of(self.0).map(|arm| &recipe.arms[arm].training.model)
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let tokens = estimate.recipe.synthetic_tokens(self.0) as f64;
        let documents = tokens / estimate.mean();
        let bytes = tokens * estimate.survey.bytes_per_token() * PACKED + estimate.token_bytes(tokens, documents);
        let flops = scoring_flops(estimate, self.0);
        let wall_s = documents / DOCUMENTS_PER_S + estimate.passes_s(flops);
        Cost { documents, tokens, flops, bytes, wall_s, known: &[] }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        let recipe = estimate.recipe;
        let Written { documents, length, .. } = estimate.written(self.0);
        let (text, words) = (estimate.unique_bytes(), estimate.unique_bytes() / WORD_BYTES);
        let of_each = length * estimate.survey.bytes_per_token() / WORD_BYTES;
        let filters = filter_bytes(text, words, documents, of_each);
        match writer(recipe, self.0) {
            // The synthesizer stays while the base model and the embedder measure what was kept.
            Some(Step::Tune(at)) if recipe.is_related(self.0) => {
                let config = estimate.config(self);
                let scored = BATCH_TOKENS + recipe.synthesizers[at].tune.context;
                let embedder = estimate.embedding_bytes(&recipe.embed);
                let measured = config.parameter_bytes() + config.scoring_bytes(scored) + embedder;
                measured.max(filters + config.scoring_bytes(scored))
            }
            _ => filters,
        }
    }
}

/// Operations of scoring relevance: of every document that is written, and of held-out pairs, by which scores are read.
fn scoring_flops(estimate: &Estimate<'_>, corpus: usize) -> f64 {
    let recipe = estimate.recipe;
    let calibrated = recipe.is_related(corpus);
    let Some(Step::Tune(at)) = writer(recipe, corpus) else { return 0.0 };
    let config = estimate.config(&Filter(corpus));
    let passes =
        |sequences: f64, tokens: f64| config.forward_flops(sequences * tokens, sequences * tokens, tokens / 2.0);
    if !calibrated && recipe.synthetic[corpus].filter.min_relevance.is_none() {
        return 0.0;
    }
    let Written { documents, length, seed } = estimate.written(corpus);
    // Each text after the other and each alone: three times the tokens of both, in four sequences.
    let mut flops = passes(4.0 * documents, 0.75 * (seed + length));
    if calibrated {
        let set = recipe.pair_set(&recipe.synthesizers[at].pairs);
        let (held_out, tune) = (estimate.held_out(set), &recipe.synthesizers[at].tune);
        let choosing = (held_out / 2.0).min(tune.validate_pairs as f64);
        let pairs = (held_out - choosing).min(tune.relation_pairs as f64);
        // Four conditional passes over a pair and two over its parts, as they are counted.
        flops += passes(6.0 * pairs, 2.0 * estimate.mean());
    }
    flops
}

/// Statistics of `filter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filtered {
    /// Rounds of generation that it took.
    pub(crate) rounds: usize,
    pub(crate) filter: FilterStats,
    /// What the run's models and its embedder say about the documents; none of a control, whose documents nothing else is measured of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) measured: Option<Measured>,
    /// The kept documents, tokenized as every document is.
    pub(crate) synthetic: TokenizeStats,
    /// What a world thinks of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<Judged>,
}

/// As much of the statistics of `filter` as its cost needs.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Rounds {
    pub(crate) rounds: usize,
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

/// A further round, made or found.
fn further_round(context: &Context<'_>, corpus: usize, round: usize, first: u64) -> Result<Artifact> {
    let step = Step::Generate(corpus);
    let name = round_folder(context.recipe, corpus, round);
    let stage = Generate(corpus);
    let mut identity = stage.identity(context)?;
    if let serde_json::Value::Object(config) = &mut identity.config {
        config.insert("round".to_owned(), json!({"number": round, "first_document": first}));
    }
    let folder = context.run.folder(&name);
    let attempt = match context.run.enter(&name, identity, context.recipe.seed, stage.resumes())? {
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
fn further_rounds(context: &Context<'_>, corpus: usize) -> Result<()> {
    let Rounds { rounds } = context.statistics(Step::Filter(corpus).folder(context.recipe))?;
    let mut first = context.made(Step::Generate(corpus)).manifest.work.documents;
    for round in 2..=rounds {
        first += further_round(context, corpus, round, first)?.manifest.work.documents;
    }
    Ok(())
}

/// Filters what was written, and has more written until the arms' need is met.
fn work(context: &Context<'_>, corpus: usize, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let recipe = context.recipe;
    let label = Step::Filter(corpus).label(recipe);
    let needed = recipe.synthetic_tokens(corpus);
    let tokenizer = context.tokenizer()?;
    let Synthetic { by, generate: settings, filter: filters, seeds, .. } = &recipe.synthetic[corpus];
    let is_related = recipe.is_related(corpus);
    let config = filter_config(filters, by.model().is_some() && *seeds != SeedsOf::None);
    let ingest = context.artifact("ingest");
    let (training, real) = (ingest.path("unique.jsonl.zst"), ingest.path("validation.jsonl.zst"));
    let seeds = match seeds {
        SeedsOf::Corpus(_) => seeds_of(context, corpus)?.map(|(documents, _)| documents),
        SeedsOf::Unique | SeedsOf::None => None,
    };
    let judged = match is_related {
        true => judge::or_none(judge::known_pairs(context, corpus, monitor), &label, folder)?,
        false => None,
    };
    // Scores of a control are not told, so it is scored where they drop documents, and only there.
    let mut synthesizer = match writer(recipe, corpus) {
        Some(Step::Tune(at)) if is_related || config.min_relevance.is_some() => {
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
            read_synthetic: &read,
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
            let in_world = of_world::judged(context, corpus, &folder.join(KEPT), monitor)?;
            let measured = if is_related {
                stats.judge =
                    judge::or_none(judge::kept_documents(context, corpus, folder, judged, monitor), &label, folder)?;
                Some(measure(context, corpus, folder, calibration, monitor)?)
            } else {
                None
            };
            let statistics = json!(Filtered { rounds, filter: stats, measured, synthetic: tokens, judged: in_world });
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

/// How a rule is loosened that does not fit.
fn loosened(rule: &str, limit: f64) -> String {
    let off = if ["min_words", "verbatim_words"].contains(&rule) { "0" } else { "\"off\"" };
    format!("[filter] {rule} = {limit} does not fit this corpus; loosen it, or write {off}")
}

/// What the filters of the corpora that are still to be written would drop of real text, where that is much. Nothing need be written to know that.
pub(crate) fn misfits(context: &Context<'_>, corpora: impl Iterator<Item = usize>) -> Result<Vec<String>> {
    let (recipe, monitor) = (context.recipe, context.monitor);
    let mut looked_at: Vec<FilterConfig> = Vec::new();
    let mut documents: Vec<Document> = Vec::new();
    let mut found = Vec::new();
    for corpus in corpora {
        let synthetic = &recipe.synthetic[corpus];
        let config = filter_config(&synthetic.filter, synthetic.seeds != SeedsOf::None);
        if looked_at.contains(&config) {
            continue;
        }
        if documents.is_empty() {
            let mut texts = unique_texts(context, monitor)?;
            texts.sort();
            let document = |(id, text)| Document { id, text, group: None, metadata: Metadata::default() };
            documents = texts.into_iter().map(document).collect();
        }
        // As many as the stage looks at, and the same.
        let most = documents.len().min(config.quality_documents);
        for (rule, limit, real) in real_shares(&documents[..most], &config, monitor)? {
            if real.value().unwrap_or(0.0) > REAL_DROPPED {
                found.push(format!(
                    "{}: the rule `{rule}` would drop {:.0} % of the real unique documents: {}",
                    Step::Filter(corpus).label(recipe),
                    100.0 * real.value().unwrap_or(0.0),
                    loosened(&rule, limit)
                ));
            }
        }
        looked_at.push(config);
    }
    Ok(found)
}

/// Says at once what of the filters does not fit the corpus.
fn tell(label: &str, stats: &FilterStats) {
    let share = |of: Share| of.value().unwrap_or(0.0);
    for rule in stats.rules.iter().filter(|rule| share(rule.real) > REAL_DROPPED) {
        tracing::warn!(
            "{label}: the rule `{name}` would drop {real:.0} % of the real unique documents, and {written:.0} % of those written: {how}",
            name = rule.rule,
            real = 100.0 * share(rule.real),
            written = 100.0 * share(rule.written),
            how = loosened(&rule.rule, rule.limit),
        );
    }
    let (kept, read) = (stats.kept.documents, stats.read.documents);
    if (kept as f64) < LITTLE_KEPT * read as f64 {
        tracing::warn!("{label}: the filters keep {kept} of {read} documents; dropped: {}", reasons(stats));
    }
}

/// How many documents each rule drops, by its key where it has one; most first.
fn reasons(stats: &FilterStats) -> String {
    let others = stats.dropped.iter().filter(|(reason, _)| **reason != Reason::Repetition);
    let others = others.map(|(reason, documents)| (reason.name(), reason.setting(), *documents));
    let rules = stats.repetition_rules.iter().map(|(rule, documents)| ("repetition", Some(rule.name()), *documents));
    let mut dropped: Vec<_> = others.chain(rules).filter(|(.., documents)| *documents > 0).collect();
    dropped.sort_by_key(|(.., documents)| std::cmp::Reverse(*documents));
    let told = dropped.into_iter().map(|(reason, key, documents)| match key {
        None => format!("{reason} {documents}"),
        Some(key) if key == reason => format!("[filter] {key} {documents}"),
        Some(key) => format!("{reason} ([filter] {key}) {documents}"),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// What the shards of all rounds are called in the identity of `filter`; only the first round is named there, since the
/// others follow from it.
fn shard_hashes(artifact: &Artifact) -> impl Iterator<Item = (String, Hash)> + '_ {
    artifact.manifest.files.iter().map(|file| (format!("the synthetic documents {}", file.path), file.hash))
}

#[cfg(test)]
mod tests {
    use cognate_synth::Rule;

    use super::*;

    #[test]
    fn what_drops_most_comes_first_with_its_key_and_repetition_is_told_by_its_rules() {
        let stats = FilterStats {
            read: Default::default(),
            kept: Default::default(),
            dropped: [
                (Reason::Empty, 2),
                (Reason::TooShort, 0),
                (Reason::Repetition, 85),
                (Reason::NearCopy, 1),
                (Reason::Verbatim, 60),
            ]
            .into(),
            repetition_rules: [(Rule::Top2Gram, 15), (Rule::Duplicate5Grams, 70)].into(),
            without_seed: 0,
            relevance: None,
            judge: None,
            rules: Vec::new(),
            quality: Vec::new(),
        };
        assert_eq!(
            reasons(&stats),
            "repetition ([filter] duplicate_5_grams) 70, verbatim ([filter] verbatim_words) 60, repetition ([filter] top_2_gram) 15, \
             empty 2, [filter] near_copy 1"
        );
        assert_eq!(reasons(&FilterStats { dropped: [].into(), repetition_rules: [].into(), ..stats }), "none");
    }
}
