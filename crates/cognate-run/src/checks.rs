//! What would stop a late stage is looked for as early as it can be known: before the first stage, and behind each stage from whose
//! result it follows. No training has run by then. ARCHITECTURE.md lists what each stage can fail with, and where that is looked for.

use std::path::Path;

use cognate_base::{Hash, Monitor, process};
use cognate_corpus::Tokenizer;
use cognate_results as results;
use cognate_synth::{GenerateStats, KnownPairs, check_entigraph};

use crate::arms;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::estimate::{needed_memory, trained_bytes};
use crate::recipe::pair_methods::Cycle;
use crate::recipe::{PairMethod, Recipe, max_positions};
use crate::rundir::{MANIFEST, Manifest, RECIPE, RunDir, RunDirError};
use crate::stages::filter::misfits;
use crate::stages::train::{sweep, training};
use crate::stages::tune::{self, tuning_flops};
use crate::stages::{generate, judge, tasks, texts, tokenize};
use crate::step::{Replicate, Step};
use crate::warnings::{costly_tuning, epochs, few_pairs, long_documents};

#[cfg(test)]
mod tests;

/// Refuses, before anything is done, what can be known from the recipe, the run directory and the files that are there: stages made
/// from something else, places that cannot be written to, a tokenizer that does not load, tasks' files that are missing or hold no
/// questions, keys of servers that are not set, models that this machine has no memory for. Warns where the trainings need more disk
/// than is free.
pub(crate) fn before(recipe: &Recipe, run: &RunDir, monitor: &dyn Monitor) -> Result<()> {
    let steps = Step::all(recipe);
    for step in steps.iter().filter(|step| **step != Step::Report) {
        let name = step.folder(recipe);
        run.check_place(&name)?;
        run.check_config(&name, step.stage(), step.version(recipe), &step.resolved(recipe)?, step.resumes())?;
    }
    for name in [RECIPE, results::JSON_FILE, results::HTML_FILE] {
        run.check_file(name)?;
    }
    let left: Vec<Step> = steps.into_iter().filter(|step| !is_finished(run, recipe, *step)).collect();
    servers(recipe, &left)?;
    let tokenizer = recipe.tokenize.tokenizer.as_ref().map(|path| Tokenizer::load(&recipe.at(path))).transpose()?;
    if let Some(tokenizer) = &tokenizer {
        tokenize::check_reserved(recipe, tokenizer)?;
    }
    check_starts(recipe, tokenizer.as_ref())?;
    task_inputs(recipe, run)?;
    if left.iter().any(|step| matches!(step, Step::Evaluate(_))) {
        let models = tokenizer.as_ref().map(|tokenizer| (tokenizer, max_positions(recipe)));
        let made = run.folder(&Step::Ingest.folder(recipe));
        tasks::check(recipe, made.exists().then_some(made.as_path()), models, monitor)?;
    }
    room(recipe, run.root(), &left, tokenizer.as_ref())?;
    ask_writers(recipe, &left, monitor)
}

/// Refuses, behind `step`, what its result shows that a later stage would stop for, or that other machines say; warns of what is seldom
/// meant.
pub(crate) fn after(context: &Context<'_>, step: Step) -> Result<()> {
    shown(context, step)?;
    warnings(context, step)?.iter().for_each(|warning| tracing::warn!("{warning}"));
    let recipe = context.recipe;
    let Step::Pair(pairs) = step else { return Ok(()) };
    for corpus in 0..recipe.synthetic.len() {
        let behind = recipe.pairs_behind(corpus).is_some_and(|behind| behind.name == recipe.pairs[pairs].name);
        if behind && recipe.is_related(corpus) && is_left(context, Step::Filter(corpus)) {
            ask_judge(context, corpus)?;
        }
    }
    Ok(())
}

/// Refuses, behind `step`, what its result shows that a later stage would stop for.
pub(crate) fn shown(context: &Context<'_>, step: Step) -> Result<()> {
    let recipe = context.recipe;
    let left: Vec<Step> = Step::all(recipe).into_iter().filter(|step| is_left(context, *step)).collect();
    match step {
        Step::Tokenize => {
            arms::check_budgets(context)?;
            let tokenizer = context.tokenizer()?;
            check_starts(recipe, Some(&tokenizer))?;
            // A world's task is not there before.
            let late = recipe.tokenize.tokenizer.is_none() || recipe.corpus.world.is_some();
            if late && left.iter().any(|step| matches!(step, Step::Evaluate(_))) {
                let made = &context.artifact("ingest").folder;
                tasks::check(recipe, Some(made), Some((&tokenizer, max_positions(recipe))), context.monitor)?;
            }
            for step in &left {
                if let Step::Train(model) = step
                    && !recipe.arms[model.arm].sweep.is_empty()
                {
                    sweep::check(context, model.arm)?;
                }
            }
        }
        Step::Pair(pairs) => {
            let name = &recipe.pairs[pairs].name;
            for step in &left {
                let Step::Tune(at) = *step else { continue };
                let label = step.label(recipe);
                enough_pairs(context, pairs, at).map_err(|error| error.in_stage(&label))?;
                // With `--until pair` there are no tokens yet.
                if recipe.synthesizers[at].pairs == *name && context.artifact_if("tokenize").is_some() {
                    tune::check(context, at).map_err(|error| error.in_stage(&label))?;
                }
            }
        }
        Step::Generate(corpus) if left.contains(&Step::Filter(corpus)) => {
            ends(context, corpus).map_err(|error| error.in_stage(&step.label(recipe)))?;
        }
        _ => {}
    }
    Ok(())
}

/// Rules of filters that would drop much of the real text: what they would do is known before anything is trained.
pub(crate) fn filters(context: &Context<'_>) -> Result<Vec<String>> {
    let needed = Step::all(context.recipe);
    let left = |corpus: &usize| {
        let step = Step::Filter(*corpus);
        needed.contains(&step) && is_left(context, step)
    };
    misfits(context, (0..context.recipe.synthetic.len()).filter(left))
}

/// What is to be said behind `step` of what it has made.
fn warnings(context: &Context<'_>, step: Step) -> Result<Vec<String>> {
    let recipe = context.recipe;
    let mut found = Vec::new();
    match step {
        Step::Ingest => found.extend(filters(context)?),
        Step::Tokenize => {
            let unique = context.tokens("tokenize", "unique")?;
            found.extend(long_documents(recipe, |context_tokens| {
                let longer = (0..unique.documents()).filter(|document| unique.len(*document) > context_tokens).count();
                longer as f64 / unique.documents().max(1) as f64
            }));
            let tokenized = context.tokenized()?;
            let splits = (tokenized.unique.tokens, tokenized.oracle.tokens);
            for (at, arm) in recipe.arms.iter().enumerate() {
                if is_left(context, Step::Train(Replicate::own(recipe, at))) {
                    found.extend(arms::epochs_of_unique(arm, splits).and_then(|times| epochs(&arm.name, times)));
                }
            }
        }
        Step::Pair(at) => {
            for synthesizer in 0..recipe.synthesizers.len() {
                let tune = Step::Tune(synthesizer);
                if recipe.synthesizers[synthesizer].pairs != recipe.pairs[at].name || !is_left(context, tune) {
                    continue;
                }
                found.extend(few_pairs(
                    &step.label(recipe),
                    &recipe.pairs[at].method,
                    context.made(step).rows("train.parquet"),
                ));
                // With `--until pair` there are no tokens yet.
                if context.artifact_if("tokenize").is_none() {
                    continue;
                }
                let size = tune::size(context, synthesizer)?;
                let tokenized = context.tokenized()?;
                let mean = tokenized.unique.tokens as f64 / tokenized.unique.documents.max(1) as f64;
                let (tuning, pretraining) = tuning_flops(recipe, synthesizer, tokenized.vocabulary, mean, size);
                found.extend(costly_tuning(&tune.label(recipe), tuning, pretraining));
            }
        }
        _ => {}
    }
    found.dedup();
    Ok(found)
}

fn is_left(context: &Context<'_>, step: Step) -> bool {
    Step::all(context.recipe).contains(&step) && !is_finished(&context.run, context.recipe, step)
}

/// Refuses a set of fewer pairs than the synthesizer at `at` is to learn from, where it learns from them or from what is kept of them.
fn enough_pairs(context: &Context<'_>, pairs: usize, at: usize) -> Result<()> {
    let recipe = context.recipe;
    let own = recipe.pair_set(&recipe.synthesizers[at].pairs);
    let (mut set, mut kept) = (own, 1.0);
    while set != pairs {
        match &recipe.pairs[set].method {
            PairMethod::Cycle(Cycle { of, keep, .. }) => (set, kept) = (recipe.pair_set(of), kept * keep),
            _ => return Ok(()),
        }
    }
    let least = recipe.synthesizers[at].tune.least_pairs;
    let found = (kept * context.made(Step::Pair(pairs)).rows("train.parquet") as f64).round() as usize;
    if found >= least {
        return Ok(());
    }
    let looked_for = matches!(recipe.pairs[pairs].method, PairMethod::Neighbours(_));
    Err(Error::TooFewPairs { pairs: recipe.pairs[own].name.clone(), found, least, looked_for })
}

/// Refuses documents of which hardly one was ended by the model that wrote it. Rounds that follow would be written alike.
fn ends(context: &Context<'_>, corpus: usize) -> Result<()> {
    let settings = &context.recipe.synthetic[corpus].generate;
    let Some(most) = settings.most_unfinished.get() else { return Ok(()) };
    if !context.recipe.synthetic[corpus].filter.drop_unfinished {
        // Such documents are wanted.
        return Ok(());
    }
    let step = Step::Generate(corpus);
    let wrote: GenerateStats = context.statistics(step.folder(context.recipe))?;
    if (wrote.capped as f64) < most * wrote.documents as f64 || wrote.documents == 0 {
        return Ok(());
    }
    Err(Error::Endless {
        unfinished: wrote.capped,
        documents: wrote.documents,
        max_new_tokens: settings.max_new_tokens,
        most,
        folder: context.made(step).folder.clone(),
    })
}

/// Models that arms start from.
fn check_starts(recipe: &Recipe, tokenizer: Option<&Tokenizer>) -> Result<()> {
    let trainings = recipe.arms.iter().flat_map(|arm| arm.trainings().map(move |training| (arm, training)));
    trainings.into_iter().try_for_each(|(arm, training)| {
        training::check_init(recipe, training, tokenizer)
            .map_err(|error| error.in_stage(&format!("train {}", arm.name)))
    })
}

fn is_finished(run: &RunDir, recipe: &Recipe, step: Step) -> bool {
    run.folder(&step.folder(recipe)).join(MANIFEST).exists()
}

/// A key that is not there shows now, and not after hours of training.
fn servers(recipe: &Recipe, left: &[Step]) -> Result<()> {
    for step in left {
        match *step {
            Step::Generate(corpus) => {
                if let Some(endpoint) = &recipe.synthetic[corpus].generate.endpoint {
                    generate::server(endpoint)?.check()?;
                }
            }
            Step::Filter(corpus) if recipe.is_related(corpus) => {
                if let Some(judge) = judge::config(recipe, corpus)? {
                    judge.check()?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// One question for each server that writes about entities, to which the answer does not matter: one that is not there, or does not know its model, shows
/// before training.
fn ask_writers(recipe: &Recipe, left: &[Step], monitor: &dyn Monitor) -> Result<()> {
    for step in left {
        let Step::Generate(corpus) = *step else { continue };
        let generate = &recipe.synthetic[corpus].generate;
        if let (Some(endpoint), Some(_)) = (&generate.endpoint, generate.most_entities) {
            check_entigraph(&generate::server(endpoint)?, monitor)
                .map_err(|error| Error::from(error).in_stage(&step.label(recipe)))?;
        }
    }
    Ok(())
}

/// One question, to which the answer does not matter: a judge that is not there, or does not know its model, shows before training.
fn ask_judge(context: &Context<'_>, corpus: usize) -> Result<()> {
    let Some(config) = judge::config(context.recipe, corpus)? else { return Ok(()) };
    let texts = texts::unique_texts(context, context.monitor)?;
    let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).take(2).collect();
    KnownPairs::judge(&texts, None, &config.asked_once(), context.monitor)?;
    Ok(())
}

/// The tasks' files are the only inputs from outside that late stages read. Where some models were measured on them already, they must
/// be those files still.
fn task_inputs(recipe: &Recipe, run: &RunDir) -> Result<()> {
    // A world's own follow from its dials, as its documents do.
    for (task, files) in tasks::tasks(recipe, None)? {
        for (name, path) in tasks::inputs(&task, &files) {
            let hash = Hash::of_file(path)?;
            for step in Step::all(recipe).into_iter().filter(|step| matches!(step, Step::Evaluate(_))) {
                let folder = run.folder(&step.folder(recipe));
                let Some(manifest) = Manifest::read(&folder)? else { continue };
                if manifest.identity.inputs.get(&name).is_some_and(|measured| *measured != hash) {
                    let difference = format!("{name} had another content");
                    return Err(RunDirError::Differs { folder, verb: "made", difference }.into());
                }
            }
        }
    }
    Ok(())
}

/// Refuses models that the machine has no memory for: a stage behind the first training may be the one that needs most. Warns where the
/// trainings that are left need more disk than is free, since others may free some.
fn room(recipe: &Recipe, root: &Path, left: &[Step], tokenizer: Option<&Tokenizer>) -> Result<()> {
    let vocabulary = tokenizer.map(Tokenizer::vocab_size).or(recipe.tokenize.vocab_size).unwrap_or_default();
    let disks: Vec<f64> = left.iter().filter_map(|step| trained_bytes(recipe, &*step.stage_of(), vocabulary)).collect();
    let (trainings, disk) = (disks.len(), disks.iter().sum::<f64>());
    if let Some(free) = process::free_bytes(root).filter(|free| disk > *free as f64) {
        tracing::warn!(
            "{trainings} trainings leave up to {:.1} GB of checkpoints, and {:.1} GB are free at {}: lower [train] keep_checkpoints, or \
             give another directory with --out",
            disk / 1e9,
            free as f64 / 1e9,
            root.display()
        );
    }
    for step in left {
        if let Some((what, bytes)) = needed_memory(recipe, &*step.stage_of(), vocabulary, false) {
            process::check_memory(what, bytes).map_err(|refused| Error::from(refused).in_stage(&step.label(recipe)))?;
        }
    }
    Ok(())
}

/// Error of a check that stops a run, as `plan` tells it.
pub(crate) fn problem(recipe: &Recipe, monitor: &dyn Monitor) -> Result<Option<Error>> {
    let left = Step::all(recipe);
    let found = servers(recipe, &left).and_then(|()| {
        let tokenizer = recipe.tokenize.tokenizer.as_ref().map(|path| Tokenizer::load(&recipe.at(path))).transpose()?;
        check_starts(recipe, tokenizer.as_ref())?;
        let models = tokenizer.as_ref().map(|tokenizer| (tokenizer, max_positions(recipe)));
        tasks::check(recipe, None, models, monitor)
    });
    match found {
        Err(error) if error.interrupted() => Err(error),
        found => Ok(found.err()),
    }
}
