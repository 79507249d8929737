//! `train`: a final model of an arm, and what an arm with a sweep only tries.

use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor};
use cognate_train::training_bytes;
use serde_json::{Map, json};

use equal_flops::equal_flops_steps;

use super::groups::with_groups;
use super::{Place, Stage, teach};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate};
use crate::recipe::{Contexts, Corpus, Init, Model, Objective, Pair, Real, Recipe, Training, Writer, max_positions};
use crate::step::{Replicate, Step, candidates, same_training};

pub(crate) mod equal_flops;
pub(crate) mod sweep;
pub(crate) mod training;

use training::Trained;

/// One final model.
pub(crate) struct Train(pub(crate) Replicate);

/// One of the trainings that the arm at `arm` chooses from.
pub(crate) struct Candidate {
    pub(crate) arm: usize,
    pub(crate) candidate: usize,
}

impl Stage for Train {
    fn step(&self) -> Step {
        Step::Train(self.0)
    }

    fn version(&self, recipe: &Recipe) -> u32 {
        // Of an arm that chooses: 3: passages that many documents hold leave none out of those that it chooses by. 4: its candidates' best
        // checkpoints are chosen as those of other arms.
        let chooses = !recipe.arms[self.0.arm].sweep.is_empty() && self.0.seed == recipe.seed;
        if chooses { 4 } else { version(self.training(recipe)) }
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        let model = self.0;
        let arm = &recipe.arms[model.arm];
        if arm.sweep.is_empty() {
            return needs_of(recipe, &arm.training, model.seed);
        }
        if model.seed == recipe.seed {
            return candidates(recipe, model.arm);
        }
        // The choice, and whatever may be chosen.
        let mut needs = vec![Step::Train(Replicate::own(recipe, model.arm))];
        for (at, candidate) in arm.sweep.iter().enumerate() {
            match same_training(recipe, model, at) {
                Some(same) => needs.push(same),
                None => needs.extend(needs_of(recipe, &candidate.training, model.seed)),
            }
        }
        needs
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", self.0.seed)?;
        let arm = &recipe.arms[self.0.arm];
        if let Some(training) = self.training(recipe) {
            return put_training(config, recipe, training);
        }
        // What an arm chose is what its candidates are, and these are inputs; how many documents it chose by is not.
        let candidates: Vec<&str> = arm.sweep.iter().map(|candidate| candidate.name.as_str()).collect();
        config.put("arm", json!({"sweep": candidates, "selection_documents": arm.selection_documents}))?;
        if self.0.seed != recipe.seed {
            return Ok(());
        }
        // They leave documents out of the choice.
        let Corpus { contamination_words, contamination_documents, .. } = &recipe.corpus;
        let passages =
            json!({"contamination_words": contamination_words, "contamination_documents": contamination_documents});
        config.put("corpus", passages)
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let (recipe, model) = (context.recipe, self.0);
        let arm = &recipe.arms[model.arm];
        if arm.sweep.is_empty() {
            add_training(context, inputs, &arm.training, model.seed)?;
            if let Some(other) = &arm.training.operations_of {
                let other = Replicate { arm: recipe.arm(other), ..model };
                let steps = equal_flops_steps(context, other, &arm.training)?;
                inputs.put("what the other arm cost, in steps,", Hash::of(steps.to_string()));
            }
        } else if model.seed == recipe.seed {
            let splits = context.artifact("ingest");
            inputs.add("the unique documents", splits, "unique.jsonl.zst")?;
            inputs.add("the selection documents", splits, "selection.jsonl.zst")?;
            if arm.trainings().any(|training| training.documents == Real::All) {
                inputs.add("the oracle documents", splits, "oracle.jsonl.zst")?;
            }
            for (candidate, step) in arm.sweep.iter().zip(candidates(recipe, model.arm)) {
                let folder = step.folder(recipe);
                // A training that diverged left no model.
                let hash = match context.statistics::<Trained>(&folder)?.diverged {
                    Some(how) => Hash::of(how),
                    None => context.artifact(folder).hash("final/model.safetensors")?,
                };
                inputs.put(&format!("the model of {}", candidate.name), hash);
            }
        } else {
            let chosen = sweep::chosen(context, model.arm)?;
            add_training(context, inputs, &arm.sweep[chosen].training, model.seed)?;
            inputs.put("the chosen candidate", Hash::of(&arm.sweep[chosen].name));
            let own = context.made(Step::Train(Replicate::own(recipe, model.arm)));
            // By what it was trained with: of the candidates no more than names stand in the configuration.
            inputs.put("the chosen model of the recipe's own seed", own.hash("final/model.safetensors")?);
        }
        add_given_start(inputs, recipe, &arm.training)
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        training::final_model(context, self.0, place, monitor)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn training<'a>(&self, recipe: &'a Recipe) -> Option<&'a Training> {
        let arm = &recipe.arms[self.0.arm];
        arm.sweep.is_empty().then_some(&arm.training)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        Some(&recipe.arms[self.0.arm].training.model)
    }

    fn keeps_checkpoints(&self, recipe: &Recipe) -> Option<usize> {
        Some(self.training(recipe)?.train.keep_checkpoints)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        Some(memory_of_model(self.training(recipe)?, model, longest))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let recipe = estimate.recipe;
        let arm = &recipe.arms[self.0.arm];
        // For another seed than the recipe's own of an arm with a sweep, its first candidate's.
        if arm.sweep.is_empty() || self.0.seed != recipe.seed {
            return cost_of(estimate, self, &arm.training, self.0.seed);
        }
        // What it chooses from is trained in stages of its own.
        let documents = (arm.selection_documents as f64).min(estimate.selection_documents());
        let tokens = documents * estimate.mean() * arm.sweep.len() as f64;
        let config = estimate.config(self);
        let flops = config.forward_flops(tokens, tokens, estimate.mean() / 2.0);
        let (bytes, wall_s) = (config.parameter_bytes() * 2.0, estimate.passes_s(flops));
        Cost { documents, tokens, flops, bytes, wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        match self.training(estimate.recipe) {
            Some(training) => memory_of(estimate, self, training),
            None => estimate.config(self).parameter_bytes(),
        }
    }
}

impl Candidate {
    fn of<'a>(&self, recipe: &'a Recipe) -> &'a Training {
        &recipe.arms[self.arm].sweep[self.candidate].training
    }
}

impl Stage for Candidate {
    fn step(&self) -> Step {
        Step::Sweep { arm: self.arm, candidate: self.candidate }
    }

    fn version(&self, recipe: &Recipe) -> u32 {
        version(self.training(recipe))
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        needs_of(recipe, self.of(recipe), recipe.seed)
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        config.put("seed", recipe.seed)?;
        put_training(config, recipe, self.of(recipe))
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let training = self.of(context.recipe);
        add_training(context, inputs, training, context.recipe.seed)?;
        add_given_start(inputs, context.recipe, training)
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        training::candidate(context, (self.arm, self.candidate), place, monitor)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn training<'a>(&self, recipe: &'a Recipe) -> Option<&'a Training> {
        Some(self.of(recipe))
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        Some(&self.of(recipe).model)
    }

    fn keeps_checkpoints(&self, recipe: &Recipe) -> Option<usize> {
        Some(self.of(recipe).train.keep_checkpoints)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        Some(memory_of_model(self.of(recipe), model, longest))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        cost_of(estimate, self, self.of(estimate.recipe), estimate.recipe.seed)
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        memory_of(estimate, self, self.of(estimate.recipe))
    }
}

fn version(training: Option<&Training>) -> u32 {
    // Of related documents: 2: all rows are full, and a batch holds whole ones. 3: near-copies by their words. Of others: 2: all that
    // decides a model is in its identity. Of each one more: the best checkpoint is chosen by documents that no arm is scored on.
    if training.is_some_and(|training| training.contexts != Contexts::Single) { 4 } else { 3 }
}

/// What `training` with `seed` is made from, directly.
pub(crate) fn needs_of(recipe: &Recipe, training: &Training, seed: u64) -> Vec<Step> {
    let mut needs = vec![Step::Tokenize];
    if let Contexts::Related(embedding) = &training.contexts {
        needs.push(Step::Embed(recipe.embedding(embedding)));
    }
    if let Some(Init::Model(model)) = &training.init {
        needs.push(start_of(recipe, model, seed));
    }
    if let Some(other) = &training.operations_of {
        needs.extend(Replicate { arm: recipe.arm(other), seed }.members(recipe).into_iter().map(Step::Train));
        // What a step of the baseline costs is the measure.
        needs.extend(recipe.baseline().map(|arm| Step::Train(Replicate { arm, seed })));
    }
    needs.extend(training.synthetic.iter().map(|(corpus, _)| Step::Filter(recipe.corpus_of(corpus))));
    needs.extend(recipe.teachings_of(training).into_iter().map(Step::Teach));
    needs
}

/// What makes the model that a training with `seed` starts from: an arm has one of each seed, a synthesizer is there once.
fn start_of(recipe: &Recipe, model: &Writer, seed: u64) -> Step {
    match model {
        Writer::Arm(name) => Step::Train(Replicate { arm: recipe.arm(name), seed }),
        Writer::Synthesizer(name) => Step::Tune(recipe.synthesizer(name)),
    }
}

/// The checkpoint of it: an arm is its last one, a synthesizer the one that its tuning chose.
fn start_folder(model: &Writer) -> &'static str {
    match model {
        Writer::Arm(_) => "final",
        Writer::Synthesizer(_) => "best",
    }
}

/// All that decides a model and is no input.
fn put_training(config: &mut Config, recipe: &Recipe, training: &Training) -> Result<()> {
    // How often a checkpoint is written, and how many are kept, changes none.
    let mut how = vec!["checkpoint_every_tokens", "keep_checkpoints"];
    if training.train.objective == Objective::Plain {
        // What was trained before there was another objective was trained by this one.
        how.push("objective");
    }

    config.put_without("train", &training.train, &how)?;
    config.put("model", &training.model)?;
    config.put("positions", max_positions(recipe))?;
    let mut arm = Map::new();
    if training.documents == Real::All {
        arm.insert("documents".to_owned(), json!("all"));
    }
    if let Some(max_epochs) = training.max_epochs {
        arm.insert("max_epochs".to_owned(), json!(max_epochs));
    }
    if !training.synthetic.is_empty() {
        let shares: Vec<f64> = training.synthetic.iter().map(|(_, share)| *share).collect();
        arm.insert("synthetic_shares".to_owned(), json!(shares));
        arm.insert("order".to_owned(), json!(training.order.word()));
    }
    if let Contexts::Related(_) = training.contexts {
        let Pair { neighbours, near_copy, max_similarity, .. } = recipe.pair;
        let own = json!({"neighbours": neighbours, "near_copy": near_copy, "max_similarity": max_similarity});
        config.put("pair", with_groups(own, &recipe.pair))?;
        arm.insert("contexts".to_owned(), json!("related"));
    }
    if training.init.is_some() {
        arm.insert("init".to_owned(), json!("given"));
    }
    if training.operations_of.is_some() {
        arm.insert("operations_of".to_owned(), json!("another arm"));
    }
    config.put("arm", arm)
}

/// What a training reads.
fn add_training(context: &Context<'_>, inputs: &mut Inputs<'_>, training: &Training, seed: u64) -> Result<()> {
    let recipe = context.recipe;
    inputs.add_tokenizer(context.artifact("tokenize"), "")?;
    for split in ["validation", "selection", "unique"] {
        inputs.add_tokens(&format!("the {split} tokens"), "tokenize", split)?;
    }
    if training.documents == Real::All {
        inputs.add_tokens("the oracle tokens", "tokenize", "oracle")?;
    }
    if let Contexts::Related(embedding) = &training.contexts {
        let vectors = context.made(Step::Embed(recipe.embedding(embedding)));
        inputs.add("the vectors", vectors, "vectors.parquet")?;
        inputs.add("the unique documents", context.artifact("ingest"), "unique.jsonl.zst")?;
    }
    for (at, (corpus, _)) in training.synthetic.iter().enumerate() {
        let number = if at == 0 { String::new() } else { format!(", number {}", at + 1) };
        let filter = Step::Filter(recipe.corpus_of(corpus)).folder(recipe);
        inputs.add_tokens(&format!("the synthetic tokens{number}"), filter, "synthetic")?;
    }
    for (at, teaching) in recipe.teachings_of(training).into_iter().enumerate() {
        let (folder, number) = (Step::Teach(teaching).folder(recipe), at + 1);
        for part in teach::PARTS {
            inputs.add_tokens(
                &format!("what teachers expect of corpus {number}, {part}"),
                &folder,
                &format!("{}-{part}", teach::NAME),
            )?;
        }
    }
    if let Some(Init::Model(model)) = &training.init {
        let weights = format!("{}/model.safetensors", start_folder(model));
        inputs.add("the model that it starts from", context.made(start_of(recipe, model, seed)), &weights)?;
    }
    Ok(())
}

/// The files that a training starts from, where they are none of the run's.
fn add_given_start(inputs: &mut Inputs<'_>, recipe: &Recipe, training: &Training) -> Result<()> {
    let Some(Init::Folder(folder)) = &training.init else { return Ok(()) };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(recipe.at(folder))? {
        files.push(entry?.path());
    }
    files.retain(|path| name(path) == "config.json" || name(path).ends_with(".safetensors"));
    files.sort();
    for path in files {
        inputs.file(&format!("the {} that it starts from", name(&path)), &path)?;
    }
    Ok(())
}

fn memory_of_model(
    training: &Training,
    model: &cognate_model::Config,
    longest: &dyn Fn(usize) -> usize,
) -> (&'static str, f64) {
    let bytes = training_bytes(model, training.train.batch_tokens, longest(training.model.context));
    ("training this recipe's model", bytes)
}

/// What `stage` takes, which does `training` with `seed`.
fn cost_of(estimate: &Estimate<'_>, stage: &dyn Stage, training: &Training, seed: u64) -> Cost {
    let (train, config) = (&training.train, estimate.config(stage));
    let tokens = estimate.training_tokens(training, seed);
    let segment = match training.contexts {
        // At most: ends of chains share a row, and see only themselves.
        Contexts::Related(_) => training.model.context as f64,
        Contexts::Single => estimate.mean().min(training.model.context as f64),
    };
    let context = segment / 2.0;
    // Sentinels are read too. That not every token is scored saves little.
    let read = tokens as f64 * train.denoisers.map_or(1.0, |denoisers| denoisers.shares().positions());
    let flops = config.training_flops(read, read, context);
    let every = train.validate_every_tokens.max(1);
    let (held, held_tokens) = estimate.validation();
    // The same number of documents choose the best checkpoint.
    let documents =
        held.min(train.validate_documents as f64) + estimate.selection_documents().min(train.validate_documents as f64);
    let measured = (tokens / every) as f64 * documents * held_tokens / held.max(1.0);
    let validated = config.forward_flops(measured, measured, context);
    let search = match &training.contexts {
        Contexts::Related(embedding) => estimate.search_flops(embedding),
        Contexts::Single => 0.0,
    };
    let steps = tokens as f64 / train.batch_tokens as f64;
    Cost {
        documents: tokens as f64 / estimate.mean(),
        tokens: tokens as f64,
        flops: flops + search,
        bytes: estimate.training_bytes(stage),
        wall_s: estimate.steps_s(&config, flops + validated, steps) + estimate.search_s(search),
        known: if training.operations_of.is_some() { &[] } else { &["tokens"] },
    }
}

/// Bytes of memory that `stage` holds, which does `training`: the model's, the order of the data, and a search for neighbours.
fn memory_of(estimate: &Estimate<'_>, stage: &dyn Stage, training: &Training) -> f64 {
    let order = cost_of(estimate, stage, training, estimate.recipe.seed).documents * 16.0;
    let related = match &training.contexts {
        Contexts::Related(embedding) => estimate.search_bytes(embedding, estimate.recipe.pair.neighbours),
        Contexts::Single => 0.0,
    };
    estimate.model_memory(stage) + order + related
}
