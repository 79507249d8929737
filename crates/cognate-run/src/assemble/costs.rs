//! What stages cost: the ledger, and what an arm needed before its own training.

use cognate_results::{LedgerEntry, in_flops};

use super::Assembly;
use crate::arms::needed_flops;
use crate::error::Result;
use crate::graph::{base, preparation, whole_cost};
use crate::rundir::{Artifact, Manifest};
use crate::stages::filter::Rounds;
use crate::stages::generate::round_folder;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step, candidates, same_training};

impl Assembly<'_> {
    /// A row for every stage that is finished; one for all that a sweep trained.
    pub(super) fn ledger(&self) -> Result<Vec<LedgerEntry>> {
        let mut entries: Vec<LedgerEntry> = Vec::new();
        for step in Step::all(self.recipe).into_iter().filter(|step| *step != Step::Report) {
            let parts = self.parts(step)?;
            if parts.is_empty() {
                continue;
            }
            let arm = match step {
                Step::Train(model) | Step::Evaluate(model) => Some(self.report_label(model)),
                Step::Sweep { arm, .. } => Some(self.report_label(Replicate { arm, seed: self.recipe.seed })),
                other => self.user(other),
            };
            let entry = LedgerEntry {
                stage: step.stage().to_owned(),
                arm,
                wall_s: parts.iter().map(|part| part.manifest.wall_s).sum(),
                flops: parts.iter().map(|part| part.manifest.work.flops).sum(),
                tokens: parts.iter().map(|part| part.manifest.work.tokens).sum(),
                documents: parts.iter().map(|part| part.manifest.work.documents).sum(),
                peak_rss_bytes: parts.iter().map(|part| part.manifest.peak_rss_bytes).max().flatten(),
            };
            // All that a sweep trained is the arm's cost, chosen or not.
            match entries.last_mut().filter(|last| (&last.stage, &last.arm) == (&entry.stage, &entry.arm)) {
                Some(last) => last.add(&entry),
                None => entries.push(entry),
            }
        }
        Ok(entries)
    }

    /// The arm that a stage works for: the first that needs it and whose subject it is not. None where the report's subject needs it, or
    /// no arm alone.
    fn user(&self, step: Step) -> Option<String> {
        let recipe = self.recipe;
        let needs = |arm: usize| preparation(recipe, Replicate::own(recipe, arm)).contains(&step);
        // What has no name of its own goes without saying.
        step.thing(recipe)?;
        if recipe.subject().is_some_and(needs) {
            return None;
        }
        (0..recipe.arms.len()).find(|arm| needs(*arm)).map(|arm| self.report_name(&recipe.arms[arm]).to_owned())
    }

    /// What a finished stage left: several artifacts where it took several rounds, none where it is not finished.
    fn parts(&self, step: Step) -> Result<Vec<Artifact>> {
        let Some(artifact) = self.artifact(step.folder(self.recipe))? else { return Ok(Vec::new()) };
        let mut parts = vec![artifact];
        if let Step::Generate(corpus) = step {
            let filter = Step::Filter(corpus).folder(self.recipe);
            let rounds = self.statistics::<Rounds>(filter)?.map_or(1, |filtered| filtered.rounds);
            for round in 2..=rounds {
                parts.extend(self.artifact(round_folder(self.recipe, corpus, round))?);
            }
        }
        Ok(parts)
    }

    /// Operations of what `model` needed before its own training and repetition does not: see
    /// [`Arm::preparation_flops`](cognate_results::Arm::preparation_flops).
    pub(super) fn preparation_flops(&self, model: Replicate, trained: &Trained) -> Result<f64> {
        let mut steps = preparation(self.recipe, model);
        // Of a sweep the model itself is one training, where that is the one which was chosen.
        let taken = self.taken(model, trained)?;
        steps.retain(|step| taken != Some(*step));
        if !self.recipe.arms[model.arm].sweep.is_empty() && model.seed == self.recipe.seed {
            // The recipe's own seed trains nothing there: it scores the candidates.
            steps.push(Step::Train(model));
        }
        let mut flops = trained.packing.map_or(0.0, |packing| packing.search_flops);
        for step in steps {
            flops += self.needed(step)?;
        }
        Ok(flops)
    }

    /// Operations of its base models: see [`Arm::base_flops`](cognate_results::Arm::base_flops).
    pub(super) fn base_flops(&self, model: Replicate) -> Result<f64> {
        base(self.recipe, model).into_iter().map(|step| self.needed(step)).sum()
    }

    /// The stage that trained `model`, where another did: by the recipe, since what was taken over from another run has that one's names.
    fn taken(&self, model: Replicate, trained: &Trained) -> Result<Option<Step>> {
        let recipe = self.recipe;
        if trained.taken.is_none() {
            return Ok(None);
        }
        let own = Step::Train(Replicate::own(recipe, model.arm));
        let chosen = self.statistics_of::<Trained>(Some(own))?.and_then(|own| own.sweep).map(|sweep| sweep.chosen);
        let sweep = &recipe.arms[model.arm].sweep;
        let Some(at) = sweep.iter().position(|candidate| Some(&candidate.name) == chosen.as_ref()) else {
            return Ok(None);
        };
        Ok(match model.seed == recipe.seed {
            true => candidates(recipe, model.arm).get(at).copied(),
            false => same_training(recipe, model, at),
        })
    }

    /// Operations of a stage, in all of its rounds, that an arm needs.
    fn needed(&self, step: Step) -> Result<f64> {
        let flops = self.parts(step)?.iter().map(|part| part.manifest.work.flops).sum();
        Ok(needed_flops(self.recipe, step, flops))
    }

    /// What an `equal-flops` arm equals, summand by summand; nothing where there is no such arm, or a summand is missing.
    pub(super) fn equal_flops_note(&self, arm: usize) -> Result<Option<String>> {
        let recipe = self.recipe;
        let Some(other) = &recipe.arms[arm].training.operations_of else { return Ok(None) };
        let other = recipe.arm(other);
        let own = |model: Replicate| self.artifact(Step::Train(model).folder(recipe));
        let Some(trained) = own(Replicate { arm, seed: recipe.seed })? else { return Ok(None) };
        let mut parts = Vec::new();
        let mut total = 0.0;
        for step in whole_cost(recipe, Replicate::own(recipe, other)) {
            let flops = self.needed(step)?;
            total += flops;
            if flops > 0.0 {
                let base = matches!(step, Step::Train(model) if Some(model.arm) == recipe.baseline());
                let label = step.label(recipe);
                parts.push(format!("{} for {label}{}", in_flops(flops), if base { " (the base model)" } else { "" }));
            }
        }
        let name = self.report_name(&recipe.arms[arm]);
        let drops = recipe.synthetic.iter().any(|corpus| corpus.filter.min_relevance.is_some());
        let scores = match drops {
            false => ". Scores of relevance drop nothing here, so they are measurement, and not among it",
            true => "",
        };
        Ok(Some(format!(
            "The arm {name} was trained with {}, to the nearest step what {} cost in all: {}, {} together{scores}. The base model counts \
             here, and not where lines over operations begin, since repetition has it for nothing. It shares no training with repetition: \
             the rate falls over all of its own steps, so it is another model from the warm-up on.",
            in_flops(trained.manifest.work.flops),
            self.report_name(&recipe.arms[other]),
            parts.join(", "),
            in_flops(total)
        )))
    }
}

/// Operations of training the model that `manifest` stands for, wherever it was trained, and of nothing else.
pub(super) fn training_flops(manifest: &Manifest, trained: &Trained) -> f64 {
    let search = trained.packing.map_or(0.0, |packing| packing.search_flops);
    trained.taken.as_ref().map_or(manifest.work.flops, |taken| taken.flops) - search
}
