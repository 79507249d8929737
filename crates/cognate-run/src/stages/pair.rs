//! `pair`: pairs of related documents, by one of several methods. Each has its file in `pair/`.

mod cycle;
mod entities;
mod forms;
mod given;
pub(crate) mod method;
pub(crate) mod neighbours;
mod obfuscated;
mod one_document;
mod own_texts;
mod phrases;
mod shuffled;
mod trees;

use cognate_base::Monitor;
use serde_json::{Value, json};

use self::method::{Job, Method, PAIR_BYTES};
use super::groups::with_groups;
use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Cost, Estimate};
use crate::recipe::{Model, PairMethod, Recipe};
use crate::step::Step;

/// What a method does with its keys: the one place that names them all.
pub(crate) fn method(method: &PairMethod) -> &dyn Method {
    match method {
        PairMethod::Neighbours(method) => method,
        PairMethod::Shuffled(method) => method,
        PairMethod::File(method) => method,
        PairMethod::Truth(method) => method,
        PairMethod::Cycle(method) => method,
        PairMethod::OneDocument(method) => method,
        PairMethod::Entities(method) => method,
        PairMethod::Forms(method) => method,
        PairMethod::Phrases(method) => method,
        PairMethod::Trees(method) => method,
        PairMethod::Obfuscated(method) => method,
    }
}

/// The set of pairs at a place of [`Recipe::pairs`].
pub(crate) struct Pair(pub(crate) usize);

impl Pair {
    fn method<'a>(&self, recipe: &'a Recipe) -> &'a dyn Method {
        method(&recipe.pairs[self.0].method)
    }
}

impl Stage for Pair {
    fn step(&self) -> Step {
        Step::Pair(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: the least similarity by estimated precision; near-copies by their words. 3: a set has a name, and may be shuffled or given. 4: what measures
        // are pairs with documents of the selection split. 5: of documents apart by groups, strangers are among those of other groups;
        // before a tail begins, nothing stands out. 6: strangers may be of several kinds, and the nearest kind says how many lie behind a valley.
        6
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        self.method(recipe).needs(recipe)
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", recipe.seed)?;
        let pairs = &recipe.pairs[self.0];
        let of_json = |error: serde_json::Error| Error::Io(error.into());
        let mut own = pairs.method.own_values().map_err(of_json)?;
        // Neighbours had no word before there were other methods.
        if !matches!(pairs.method, PairMethod::Neighbours(_)) {
            own.insert("method".to_owned(), json!(pairs.method.word()));
        }
        let shared = pairs.method.shared_keys();
        if let Value::Object(keys) = serde_json::to_value(&pairs.pair).map_err(of_json)? {
            own.extend(keys.into_iter().filter(|(key, _)| shared.contains(&key.as_str()) && key != WITHIN_GROUPS));
        }
        self.method(recipe).config(recipe, &mut own);
        let own = Value::Object(own);
        let own = if shared.contains(&WITHIN_GROUPS) { with_groups(own, &pairs.pair) } else { own };
        config.put("pair", own)
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        let pairs = &recipe.pairs[self.0];
        let of = pairs.method.of().map(|of| recipe.pair_set(of));
        let documents = match of {
            Some(of) if !pairs.method.makes_texts() => context.texts_of(of)[0].clone(),
            _ => Step::Ingest.folder(recipe),
        };
        inputs.add("the unique documents", context.artifact(&documents), "unique.jsonl.zst")?;
        inputs.add("the selection documents", context.artifact(&documents), "selection.jsonl.zst")?;
        if let Some(of) = of {
            let source = context.made(Step::Pair(of));
            inputs.add("the training pairs", source, "train.parquet")?;
            inputs.add("the held-out pairs", source, "held_out.parquet")?;
        }
        self.method(recipe).inputs(context, inputs)?;
        match pairs.method.makes_texts() {
            true => inputs.add_tokenizer(context.artifact("tokenize"), ""),
            false => Ok(()),
        }
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        let job = Job { context, set: self.0, folder: place.folder, monitor };
        self.method(context.recipe).work(&job)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        self.method(recipe).model(recipe)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        _: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        self.method(recipe).model_memory(recipe, model)
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let documents = estimate.pairs(self.0);
        let effort = self.method(estimate.recipe).cost(estimate, self.0);
        let bytes = documents * PAIR_BYTES + effort.texts_bytes;
        Cost { documents, flops: effort.flops, bytes, wall_s: effort.wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        self.method(estimate.recipe).memory(estimate, self.0)
    }
}

/// The key of `[pair]` that stands in an identity only where it is false.
const WITHIN_GROUPS: &str = "within_groups";
