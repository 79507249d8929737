//! `cognate plan`: what every stage of a recipe would read, write, compute, hold in memory and take. A short calibration says how fast
//! this machine is. Stages up to `pair` are done where that takes under a minute, so that what follows from them is measured; otherwise
//! a look at the corpus says what it holds. All of it is bounded, whatever the recipe says, and nothing stays on disk.

mod calibrate;
mod corpus;
mod notes;
mod rehearse;
mod rows;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use cognate_base::{Monitor, process};
use cognate_corpus::IngestStats;
use serde::Serialize;

use crate::checks;
use crate::device::DeviceKind;
use crate::duration::seconds;
use crate::error::Result;
use crate::estimate::{Estimate, Measured, Speed, StagePlan};
use crate::graph::whole_flops;
use crate::recipe::{Recipe, model_config};
use crate::step::{Step, column, label};
use notes::Notes;
use rehearse::{Bounds, rehearse};
use rows::row;
pub use tree::{ArmPlan, Branch};

/// What a recipe would cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Operations per second that forward and backward passes reached in the calibration.
    pub training_flops_per_s: f64,
    /// Tokens per second that the recipe's model would generate, by the calibration; none where the recipe generates nothing.
    pub generation_tokens_per_s: Option<f64>,
    /// Operations that the calibration took.
    pub measured_flops: f64,
    /// Seconds that stages were done for, so that their figures are measured.
    pub measured_s: f64,
    /// What became of the documents; none where that was not measured.
    pub ingest: Option<IngestStats>,
    /// Memory that this machine has for a process, in bytes; none where it does not say.
    pub machine_memory_bytes: Option<u64>,
    /// Every stage in its order.
    pub stages: Vec<StagePlan>,
    /// Every arm in its order, with what it is made from.
    pub arms: Vec<ArmPlan>,
    /// What would stop the run, or spoil its results.
    pub warnings: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// Plans `recipe`: looks at its corpus, does the stages up to `pair` where they take under a minute, and times a few small steps of its
/// model.
///
/// # Errors
/// When the corpus cannot be read, the model is impossible, or the user interrupts.
pub fn plan(recipe: &Recipe, device: DeviceKind, threads: usize, monitor: &dyn Monitor) -> Result<Plan> {
    plan_within(recipe, (device, threads), &Bounds::usual(), monitor)
}

fn plan_within(
    recipe: &Recipe,
    (device, threads): (DeviceKind, usize),
    bounds: &Bounds,
    monitor: &dyn Monitor,
) -> Result<Plan> {
    let survey = corpus::survey(recipe, monitor)?;
    for training in recipe.arms.iter().flat_map(crate::recipe::Arm::trainings) {
        model_config(recipe, &training.model, survey.vocabulary).check()?;
    }
    let looked_at = model_config(recipe, &recipe.model, survey.vocabulary);
    looked_at.check()?;
    // Before any stage: what goes on for a while after its time was over would slow the machine down.
    let speed = calibrate::measure(recipe, &looked_at, &survey, device, threads, monitor)?;
    let unknown = Speed::unknown(threads);
    let expected_s = |measured: &Measured, step: Step| {
        row(&Estimate { recipe, survey: &survey, measured, speed: &unknown, whole_flops }, step).wall_s
    };
    let measured = rehearse(recipe, (device, threads), bounds, &expected_s, monitor)?;
    let vocabulary = measured.tokenized.map_or(survey.vocabulary, |tokenized| tokenized.vocabulary);
    let config = model_config(recipe, &recipe.model, vocabulary);
    config.check()?;
    let estimate = Estimate { recipe, survey: &survey, measured: &measured, speed: &speed, whole_flops };
    let steps = Step::all(recipe);
    let stages: Vec<StagePlan> = steps.iter().map(|step| row(&estimate, *step)).collect();
    let memory = process::memory();
    let Notes { plain: notes, mut warnings } = estimate.notes(&stages, memory);
    let start = checks::problem(recipe, monitor)?.map(|error| error.to_string());
    warnings.extend(start.iter().map(|error| format!("the run would stop at its start: {error}")));
    // What stops it at its start is found behind a stage too.
    let is_new = |problem: &&String| start.as_ref().is_none_or(|error| !problem.contains(error.as_str()));
    warnings.extend(measured.warnings.iter().cloned());
    warnings.extend(measured.problems.iter().filter(is_new).cloned());
    let written = stages.iter().find(|row| row.stage == "generate").map(|row| row.tokens as f64 / row.wall_s);
    Ok(Plan {
        name: recipe.name.clone(),
        parameters: config.parameters() as u64,
        training_flops_per_s: speed.training_flops_per_s,
        generation_tokens_per_s: written,
        measured_flops: speed.measured_flops,
        measured_s: measured.wall_s,
        ingest: measured.ingest.clone(),
        machine_memory_bytes: memory.map(|memory| memory.total),
        warnings,
        notes,
        arms: tree::arms(recipe, &steps, &stages),
        stages,
    })
}

impl Plan {
    /// All stages together. Documents and tokens are not added: most stages have the same ones.
    fn all(&self) -> StagePlan {
        let sum = |of: fn(&StagePlan) -> f64| self.stages.iter().map(of).sum::<f64>();
        let names = ["flops", "bytes", "wall_s", "memory_bytes"];
        let is_estimate = |name: &&str| self.stages.iter().any(|row| row.estimated.contains(name));
        StagePlan {
            flops: sum(|row| row.flops),
            bytes: sum(|row| row.bytes as f64) as u64,
            wall_s: sum(|row| row.wall_s),
            memory_bytes: self.stages.iter().map(|row| row.memory_bytes).max().unwrap_or(0),
            estimated: names.into_iter().filter(is_estimate).collect(),
            ..StagePlan::default()
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} parameters", self.name, short(self.parameters as f64))?;
        let labels: Vec<String> = self.stages.iter().map(|row| label(row.stage, row.arm.as_deref())).collect();
        let width = column(&labels);
        writeln!(
            f,
            "  {:<width$}{:>11}{:>9}{:>9}{:>9}{:>9}{:>14}",
            "stage", "documents", "tokens", "FLOPs", "on disk", "memory", "time"
        )?;
        let blank = |x: f64| if x == 0.0 { "-".to_owned() } else { short(x) };
        let size = |bytes: f64| format!("{}B", short(bytes));
        let all: StagePlan = self.all();
        for (row, label) in self.stages.iter().zip(&labels).chain([(&all, &"all".to_owned())]) {
            let told = |name: &str, figure: String| {
                let mark = if row.estimated.contains(&name) { "~" } else { "" };
                format!("{mark}{figure}")
            };
            let (documents, tokens) =
                (told("documents", blank(row.documents as f64)), told("tokens", blank(row.tokens as f64)));
            let (flops, bytes) = (told("flops", blank(row.flops)), told("bytes", size(row.bytes as f64)));
            let (memory, time) =
                (told("memory_bytes", size(row.memory_bytes as f64)), told("wall_s", seconds(row.wall_s)));
            writeln!(f, "  {label:<width$}{documents:>11}{tokens:>9}{flops:>9}{bytes:>9}{memory:>9} {time:>13}")?;
        }
        writeln!(f, "what each arm is made from, with the recipe's own seed:")?;
        self.arms.iter().try_for_each(|arm| write!(f, "{arm}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

/// A number with three digits and a prefix: `13.8 M`.
fn short(x: f64) -> String {
    let mut scaled = x;
    for prefix in ["", " k", " M", " G", " T", " P", " E"] {
        if scaled < 999.5 || prefix == " E" {
            let decimals = match scaled {
                s if prefix.is_empty() || s >= 99.95 => 0,
                s if s >= 9.995 => 1,
                _ => 2,
            };
            let space = if prefix.is_empty() { " " } else { "" };
            return format!("{scaled:.decimals$}{prefix}{space}").trim_end().to_owned();
        }
        scaled /= 1000.0;
    }
    unreachable!("the last prefix takes everything")
}
