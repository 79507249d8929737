//! Pairs by cycle consistency, after LOCCO (Crouse et al. 2023, arXiv 2305.20018): of a set, those whose documents a synthesizer finds back
//! from each other.
//!
//! Of a pair, d2 is believed where it says from what it was written: (log p(d1 | d2) − log p(d1)) / tokens of d1. Pairs are learned in both directions,
//! so one synthesizer writes both ways, and a pair's score is the mean of both: a pair and its converse are kept or dropped together. The paper weighs
//! what its decoder proposes; here pairs are given, and kept or not.

use std::collections::BTreeMap;

use cognate_pair::{Pair, Pairs};
use cognate_synth::TokenPair;
use serde_json::{Map, Value, json};

use super::method::{Effort, Job, Method, Source};
use crate::context::{Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::pair_methods::Cycle;
use crate::recipe::{Model, Recipe, model_config};
use crate::stages::BATCH_TOKENS;
use crate::stages::held_out::Documents;
use crate::stages::quality::Synthesizer;
use crate::step::Step;

impl Method for Cycle {
    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        vec![Step::Pair(recipe.pair_set(&self.of)), Step::Tune(recipe.synthesizer(&self.by))]
    }

    fn config(&self, recipe: &Recipe, own: &mut Map<String, Value>) {
        // As much of a document as it is shown when it writes.
        own.insert("max_seed_tokens".to_owned(), json!(recipe.seed_tokens(recipe.synthesizer(&self.by))));
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        inputs.add_tokens("the tokens of the documents", &context.texts_of(recipe.pair_set(&self.of))[1], "unique")?;
        let scorer = context.made(Step::Tune(recipe.synthesizer(&self.by)));
        inputs.add("the synthesizer that scores", scorer, "best/model.safetensors")?;
        inputs.add_tokenizer(context.artifact("tokenize"), "")
    }

    /// The pairs that the synthesizer keeps. Held-out pairs stay as they are.
    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor) = (job.context, job.monitor);
        let set = context.recipe.pair_set(&self.of);
        let documents = Documents::of(context, set, monitor)?;
        let source = Source { set, ids: documents.ids.clone(), unique: documents.unique };
        let (train, held_out) = (job.read(&source, "train.parquet")?, job.read(&source, "held_out.parquet")?);
        let links: BTreeMap<(u32, u32), ()> = train.iter().map(|pair| (ends(pair), ())).collect();
        let links: Vec<(u32, u32)> = links.into_keys().collect();
        let name = |number: u32| &source.ids[number as usize];
        let pair = |&(first, second): &(u32, u32)| TokenPair {
            name: format!("the pair of {} and {}", name(first), name(second)),
            seed: documents.tokens(first),
            document: documents.tokens(second),
        };
        let pairs: Vec<TokenPair> = links.iter().map(pair).collect();
        let by = context.recipe.synthesizer(&self.by);
        let mut synthesizer = Synthesizer::load(context, by, context.recipe.seed_tokens(by))?;
        let scores = synthesizer.score_tokens(&pairs, monitor)?;
        let scores: BTreeMap<(u32, u32), f64> =
            links.into_iter().zip(scores.iter().map(|score| both_ways(score.forward, score.backward))).collect();
        let (train, least) = highest(train, &scores, self.keep);
        let pairs = Pairs { train, held_out };
        let mut statistics = source.counts(&pairs);
        statistics["least_score"] = json!(least);
        tracing::info!(
            "{}: {} pairs are kept, with scores of at least {least:.3} nats a token",
            job.label(),
            pairs.train.len()
        );
        let mut made = job.write(Made::default(), &source.ids, &pairs, statistics)?;
        made.work.flops = synthesizer.flops;
        Ok(made)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        Some(&recipe.base_training(recipe.synthesizer(&self.by)).model)
    }

    fn model_memory(&self, recipe: &Recipe, model: &cognate_model::Config) -> Option<(&'static str, f64)> {
        let context = recipe.synthesizers[recipe.synthesizer(&self.by)].tune.context;
        let bytes = model.parameter_bytes() + model.scoring_bytes(BATCH_TOKENS + context);
        Some(("scoring this recipe's pairs", bytes))
    }

    /// Each link's two documents after each other and alone.
    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        let links = estimate.pairs(estimate.recipe.pair_set(&self.of)) / 2.0;
        // Three times the tokens of both, in four sequences.
        let (sequences, tokens) = (4.0 * links, 0.75 * 2.0 * estimate.mean());
        let config = self.config_of(estimate);
        let flops = config.forward_flops(sequences * tokens, sequences * tokens, tokens / 2.0);
        Effort { flops, wall_s: estimate.passes_s(flops), ..Effort::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        let scoring = self.model_memory(estimate.recipe, &self.config_of(estimate));
        scoring.map_or(0.0, |(_, bytes)| bytes) + estimate.pairs(set) * 64.0
    }

    fn told(&self) -> Option<String> {
        let (Self { of, by, .. }, percent) = (self, 100.0 * self.keep);
        Some(format!("Of the pairs of the set {of} the {percent:.0} % that the synthesizer {by} finds back best."))
    }
}

impl Cycle {
    /// The decoder that scores.
    fn config_of(&self, estimate: &Estimate<'_>) -> cognate_model::Config {
        let recipe = estimate.recipe;
        let model = &recipe.base_training(recipe.synthesizer(&self.by)).model;
        model_config(recipe, model, estimate.vocabulary())
    }
}

/// The score of a pair by those of its two directions.
fn both_ways(forward: f64, backward: f64) -> f64 {
    (forward + backward) / 2.0
}

/// A pair, whatever its direction.
fn ends(pair: &Pair) -> (u32, u32) {
    (pair.first.min(pair.second), pair.first.max(pair.second))
}

/// The share `keep` of the pairs, those of the highest scores, in their order, and the lowest of these. Pairs of the same two documents have one
/// score, and go together.
fn highest(train: Vec<Pair>, scores: &BTreeMap<(u32, u32), f64>, keep: f64) -> (Vec<Pair>, f64) {
    let score = |pair: &Pair| scores[&ends(pair)];
    let mut sorted: Vec<f64> = train.iter().map(score).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let count = ((keep * sorted.len() as f64).round() as usize).clamp(1, sorted.len().max(1));
    let least = sorted.get(count - 1).copied().unwrap_or(f64::NEG_INFINITY);
    (train.into_iter().filter(|pair| score(pair) >= least).collect(), least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_the_mean_of_both_directions() {
        assert_eq!((both_ways(0.5, 1.0), both_ways(-0.25, 0.25)), (0.75, 0.0));
    }

    #[test]
    fn both_directions_of_the_best_links_are_kept() {
        let pair = |first, second| Pair { first, second, similarity: 0.5 };
        let train = vec![pair(0, 1), pair(1, 0), pair(0, 2), pair(2, 0), pair(3, 1), pair(1, 3)];
        let scores = BTreeMap::from([((0, 1), 0.25), ((0, 2), 0.75), ((1, 3), -0.5)]);
        let kept = |keep| highest(train.clone(), &scores, keep);
        assert_eq!(kept(0.34), (vec![train[2], train[3]], 0.75));
        assert_eq!(kept(0.67), (train[..4].to_vec(), 0.25));
        // Half of a link is none: its converse has the same score.
        assert_eq!(kept(0.5), (train[..4].to_vec(), 0.25));
        assert_eq!(kept(1e-9), (vec![train[2], train[3]], 0.75), "one is kept at least");
        assert_eq!(kept(1.0), (train.clone(), -0.5));
    }
}
