//! What a reader should know before trusting the numbers, and of the controls.

use cognate_corpus::IngestStats;
use cognate_results::{self as results, Curve, counted};
use cognate_synth::{GenerateStats, PrecisionEffect};

use super::Assembly;
use crate::error::Result;
use crate::metrics::METRICS;
use crate::recipe::{Author, Real};
use crate::stages::filter::Filtered;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};

impl Assembly<'_> {
    /// How arms were trained that are trained otherwise than repetition.
    pub(super) fn control_notes(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (at, arm) in self.recipe.arms.iter().enumerate() {
            notes.extend(self.training_notes(at, arm)?);
        }
        for at in 0..self.recipe.arms.len() {
            notes.extend(self.equal_flops_note(at)?);
        }
        Ok(notes)
    }

    /// What a reader should know before trusting the numbers.
    pub(super) fn notes(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (at, arm) in self.recipe.arms.iter().enumerate() {
            let name = self.report_name(arm);
            if name != arm.name {
                notes.push(format!("The arm {name} is called {} in the recipe.", arm.name));
            }
            let own = Step::Train(Replicate::own(self.recipe, at));
            let Some(trained) = self.statistics_of::<Trained>(Some(own))? else { continue };
            if name == results::REPETITION || (trained.diet.is_some() && self.recipe.baseline().is_none()) {
                notes.push(format!(
                    "The model has {}; what is said here need not hold at any other size.",
                    counted(trained.parameters as u64, "parameter", "parameters")
                ));
            }
            if let (Real::All, Some(diet)) = (arm.training.documents, trained.diet)
                && diet.epochs > 1.0
            {
                notes.push(format!("The arm {name} saw its documents {:.2} times on average, not once.", diet.epochs));
            }
        }
        if let Some(stats) = self.statistics::<IngestStats>("ingest")? {
            for (documents, what) in [
                (stats.rejected, "records could not be read and were left out (rejected.jsonl)"),
                (stats.without_text, "documents were dropped because they have no text"),
                (stats.exact_duplicates, "documents were dropped as exact copies of others"),
                (
                    stats.contaminated,
                    "documents outside of validation were dropped because they share a passage with a validation one",
                ),
            ] {
                if documents > 0 {
                    notes.push(format!("{documents} {what}."));
                }
            }
        }
        notes.extend(self.synthesis_notes()?);
        Ok(notes)
    }

    /// The same of every synthetic corpus and synthesizer, by its name where there are several.
    fn synthesis_notes(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let of = |several: bool, name: &str| if several { format!("{name}: ") } else { String::new() };
        for corpus in self.corpora() {
            let name = of(self.recipe.synthetic.len() > 1, &self.recipe.synthetic[corpus].name);
            if let Some(filtered) = self.statistics_of::<Filtered>(Some(Step::Filter(corpus)))?
                && filtered.rounds > 1
            {
                let rounds = filtered.rounds;
                notes.push(format!("{name}Generation took {rounds} rounds, because the filters left too little."));
            }
            if self.recipe.synthetic[corpus].by == Author::Server {
                notes.push(format!(
                    "{name}A model from outside of this run wrote these documents. What it was trained on and what its operations cost is not counted."
                ));
            }
            let written: Option<GenerateStats> = self.statistics_of(Some(Step::Generate(corpus)))?;
            let effect = written.and_then(|written| written.precision_effect);
            notes.extend(effect.map(|effect| format!("{name}{}", precision_note(&effect))));
        }
        for at in self.synthesizers() {
            let trained = self.statistics_of::<Trained>(Some(Step::Tune(at)))?;
            if trained.is_some_and(|trained| trained.relation.is_none()) {
                let name = of(self.recipe.synthesizers.len() > 1, &self.recipe.synthesizers[at].name);
                notes.push(format!("{name}Too few pairs were held out to say what tuning taught about relations."));
            }
        }
        Ok(notes)
    }

    /// What is said of trainings that are finished and whose losses on the way are not whole any more.
    pub(super) fn lost_losses(&self, curves: &[Curve]) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for model in Replicate::all(self.recipe) {
            let folder = Step::Train(model).folder(self.recipe);
            let Some(trained) = self.statistics::<Trained>(&folder)?.filter(|trained| trained.taken.is_none()) else {
                continue;
            };
            let name = self.report_name(&self.recipe.arms[model.arm]);
            let curve = curves.iter().find(|curve| curve.arm == name && curve.seed == model.seed);
            let last = curve.and_then(|curve| curve.train.last()).map_or(0, |point| point.tokens);
            if last < trained.tokens {
                notes.push(format!(
                    "The training losses of {} after {} are lost: {} was cut short or is not there. Scores do not depend on it.",
                    self.report_label(model),
                    counted(last, "token", "tokens"),
                    folder.join(METRICS).display()
                ));
            }
        }
        Ok(notes)
    }
}

/// What writing in 8-bit integers cost.
fn precision_note(effect: &PrecisionEffect) -> String {
    let error = effect.loss_added_error.map_or_else(String::new, |error| format!(" (standard error {error:.5})"));
    format!(
        "The synthesizer wrote with products in 8-bit integers: on the text of {} seeds it loses {:+.5} nats per token by that{error}; in f32 \
         it has {:.3}.",
        effect.documents, effect.loss_added, effect.loss_f32
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_precision_costs_is_said_with_its_sign() {
        let mut effect = PrecisionEffect {
            documents: 64,
            tokens: 9000,
            loss_f32: 4.51234,
            loss_added: 0.00123,
            loss_added_error: Some(0.0004),
        };
        assert_eq!(
            precision_note(&effect),
            "The synthesizer wrote with products in 8-bit integers: on the text of 64 seeds it loses +0.00123 nats per token by \
             that (standard error 0.00040); in f32 it has 4.512."
        );
        (effect.loss_added, effect.loss_added_error) = (-0.002, None);
        assert!(precision_note(&effect).contains("it loses -0.00200 nats per token by that; in f32"));
    }
}
