//! What a reader should know before trusting the numbers, and of the controls.

use cognate_corpus::IngestStats;
use cognate_report::{self as report, Curve, counted};
use cognate_synth::{GenerateStats, PrecisionEffect};

use super::Assembly;
use crate::error::Result;
use crate::metrics::METRICS;
use crate::recipe::Real;
use crate::stages::filter::{Filtered, FilteredControl};
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step, writer};

impl Assembly<'_> {
    /// What became of the controls' documents, and what theirs learned about relations.
    pub(super) fn control_notes(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let recipe = self.recipe;
        for (at, corpus) in recipe.synthetic.iter().enumerate() {
            if recipe.is_related(at) {
                continue;
            }
            let control = &corpus.name;
            let filter = Some(Step::Filter(at));
            if let Some(FilteredControl { rounds, filter, .. }) = self.statistics_of(filter)? {
                notes.push(format!(
                    "Synthetic corpus {control}: of {}, written in {}, the filters kept {}.",
                    counted(filter.read.documents, "document", "documents"),
                    counted(rounds as u64, "round", "rounds"),
                    filter.kept.documents
                ));
            }
            let tune = Some(writer(recipe, at)).filter(|step| matches!(step, Step::Tune(_)));
            let tuned: Option<Trained> = self.statistics_of(tune)?;
            if let Some(relation) = tuned.and_then(|tuned| tuned.relation) {
                let cognate_statistics::Estimate { value, stderr } = relation.after.gain_over_random;
                let error = stderr.map_or_else(String::new, |stderr| format!(" ± {stderr:.3}"));
                notes.push(format!(
                    "Synthetic corpus {control}: after tuning, the true seed of a held-out pair saves {value:.3}{error} nats per token \
                     over a random one."
                ));
            }
        }
        for (at, arm) in self.recipe.arms.iter().enumerate() {
            notes.extend(self.training_notes(at, arm)?);
        }
        if let Some(note) = self.equal_flops_note()? {
            notes.push(note);
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
            if name == report::REPETITION || (trained.diet.is_some() && self.recipe.baseline().is_none()) {
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
                    "training documents were dropped because they share a passage with a validation one",
                ),
            ] {
                if documents > 0 {
                    notes.push(format!("{documents} {what}."));
                }
            }
        }
        let corpus = self.subject_corpus().filter(|corpus| self.recipe.is_related(*corpus));
        if let Some(filtered) = self.statistics_of::<Filtered>(corpus.map(Step::Filter))?
            && filtered.rounds > 1
        {
            notes.push(format!("Generation took {} rounds, because the filters left too little.", filtered.rounds));
        }
        let written: Option<GenerateStats> = self.statistics_of(corpus.map(Step::Generate))?;
        notes.extend(written.and_then(|written| written.precision_effect).map(|effect| precision_note(&effect)));
        if self
            .statistics_of::<Trained>(self.subject_synthesizer().map(Step::Tune))?
            .is_some_and(|trained| trained.relation.is_none())
        {
            notes.push("Too few pairs were held out to say what tuning taught about relations.".to_owned());
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
