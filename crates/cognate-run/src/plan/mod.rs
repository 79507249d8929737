//! `cognate plan`: what every stage of a recipe would read, write, compute, hold in memory and take, from a look at the corpus and a
//! short calibration, both bounded whatever the recipe says. Runs no stage and writes nothing.

mod calibrate;
mod corpus;
mod estimate;
mod notes;
mod tree;

use std::fmt;

use cognate_base::{Monitor, process};
use cognate_model::Config;
use serde::Serialize;

use crate::checks;
use crate::context::max_positions;
use crate::device::DeviceKind;
use crate::error::Result;
use crate::recipe::{Model, Recipe};
use crate::runner::seconds;
use crate::stage::{Step, column, label};
use estimate::Estimate;
pub(crate) use estimate::{needed_memory, trained_bytes};
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
    /// Memory that this machine has for a process, in bytes; none where it does not say.
    pub machine_memory_bytes: Option<u64>,
    /// Every stage in its order.
    pub stages: Vec<StagePlan>,
    /// Every arm in its order, with what it is made from.
    pub arms: Vec<ArmPlan>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What a stage would cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its name.
    pub stage: &'static str,
    /// The thing that it makes, where its stage makes several.
    pub arm: Option<String>,
    /// Documents (for `pair` and `tune`: pairs, at most) that it reads or writes.
    pub documents: u64,
    /// Tokens that it reads or writes.
    pub tokens: u64,
    /// Floating-point operations, as the ledger counts them.
    pub flops: f64,
    /// Bytes that it leaves on disk.
    pub bytes: u64,
    /// Seconds that it takes.
    pub wall_s: f64,
    /// Memory that it holds at most, in bytes.
    pub memory_bytes: u64,
}

/// Plans `recipe`: reads the beginning of its corpus and times a few small steps of its model.
///
/// # Errors
/// When the corpus cannot be read, the model is impossible, or the user interrupts.
pub fn plan(recipe: &Recipe, device: DeviceKind, threads: usize, monitor: &dyn Monitor) -> Result<Plan> {
    let survey = corpus::survey(recipe, monitor)?;
    let config = model_config(recipe, &recipe.model, survey.vocabulary);
    for training in recipe.arms.iter().flat_map(crate::recipe::Arm::trainings) {
        model_config(recipe, &training.model, survey.vocabulary).check()?;
    }
    let speed = calibrate::measure(recipe, &config, &survey, device, threads, monitor)?;
    let estimate = Estimate { recipe, survey: &survey, speed: &speed };
    let steps = Step::all(recipe);
    let stages: Vec<StagePlan> = steps.iter().map(|step| estimate.stage(*step)).collect();
    let memory = process::memory();
    let mut notes = estimate.notes(&stages, memory);
    if let Some(error) = checks::problem(recipe, monitor)? {
        notes.push(format!("the run would stop at its start: {error}"));
    }
    let written = stages.iter().find(|row| row.stage == "generate").map(|row| row.tokens as f64 / row.wall_s);
    Ok(Plan {
        name: recipe.name.clone(),
        parameters: config.parameters() as u64,
        training_flops_per_s: speed.training_flops_per_s,
        generation_tokens_per_s: written,
        measured_flops: speed.measured_flops,
        machine_memory_bytes: memory.map(|memory| memory.total),
        notes,
        arms: tree::arms(recipe, &steps, &stages),
        stages,
    })
}

/// The decoder of a model of `recipe`.
pub(crate) fn model_config(recipe: &Recipe, model: &Model, vocab: usize) -> Config {
    decoder_config(model, vocab, max_positions(recipe))
}

/// The decoder that a table `[model]` describes.
pub(crate) fn decoder_config(model: &Model, vocab: usize, max_positions: usize) -> Config {
    let Model { layers, width, heads, kv_heads, head_width, ffn, rope_base, norm_eps, qk_norm, tied, context: _ } =
        *model;
    let rope_scaling = None;
    Config {
        vocab,
        width,
        layers,
        heads,
        kv_heads,
        head_width,
        ffn,
        max_positions,
        rope_base,
        rope_scaling,
        norm_eps,
        qk_norm,
        tied,
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
        let size = |bytes: u64| format!("{}B", short(bytes as f64));
        for (row, label) in self.stages.iter().zip(&labels) {
            let (documents, tokens, flops) = (blank(row.documents as f64), blank(row.tokens as f64), blank(row.flops));
            let (bytes, memory, time) = (size(row.bytes), size(row.memory_bytes), seconds(row.wall_s));
            writeln!(f, "  {label:<width$}{documents:>11}{tokens:>9}{flops:>9}{bytes:>9}{memory:>9} {time:>13}")?;
        }
        let sum = |of: fn(&StagePlan) -> f64| self.stages.iter().map(of).sum::<f64>();
        let (flops, bytes) = (blank(sum(|row| row.flops)), size(sum(|row| row.bytes as f64) as u64));
        let memory = size(self.stages.iter().map(|row| row.memory_bytes).max().unwrap_or(0));
        let time = seconds(sum(|row| row.wall_s));
        writeln!(f, "  {:<width$}{:>11}{:>9}{flops:>9}{bytes:>9}{memory:>9} {time:>13}", "all", "-", "-")?;
        writeln!(f, "what each arm is made from, with the recipe's own seed:")?;
        self.arms.iter().try_for_each(|arm| write!(f, "{arm}"))?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use cognate_base::files::write_atomic;
    use cognate_base::{Silent, Unit};

    use super::*;

    /// The paper's model of 3 B parameters on a corpus of a few hundred documents.
    fn large() -> (tempfile::TempDir, Recipe) {
        let folder = tempfile::tempdir().unwrap();
        let line = |i: usize| {
            format!("{{\"id\": \"{i}\", \"text\": \"document {i} has words {}\"}}\n", "of its own ".repeat(i % 50))
        };
        write_atomic(folder.path().join("d.jsonl"), (0..400).map(line).collect::<String>()).unwrap();
        let text = "name = \"large\"\n[corpus]\npaths = [\"d.jsonl\"]\nunique_share = 0.5\n[tokenize]\nvocab_size = 49_152\n[model]\n\
                    layers = 26\nwidth = 3072\nheads = 24\nkv_heads = 8\nhead_width = 128\nffn = 8064\ncontext = 4096\ntied = false\n\
                    [train]\nbudget_tokens = 200_000_000_000\nbatch_tokens = 8_388_608\n";
        let recipe = Recipe::parse(&folder.path().join("r.toml"), text).unwrap();
        (folder, recipe)
    }

    #[test]
    fn a_large_recipe_is_planned_with_few_operations() {
        let (_folder, recipe) = large();
        let plan = plan(&recipe, DeviceKind::default(), 2, &Silent).unwrap();
        assert!((2.8e9..3.0e9).contains(&(plan.parameters as f64)), "{}", plan.parameters);
        assert!((1e9..=calibrate::MOST_FLOPS).contains(&plan.measured_flops), "{:e}", plan.measured_flops);
        let train = plan.stages.iter().find(|row| row.stage == "train").unwrap();
        // Parameters, gradients and two moments alone are 16 bytes a parameter.
        assert!(train.memory_bytes as f64 > 16.0 * 2.8e9, "{train:?}");
        assert!(train.wall_s > 0.5 * train.flops / plan.training_flops_per_s, "{train:?}");
    }

    /// Interrupts when it is asked for the n-th time.
    struct After(AtomicU32);

    impl Monitor for After {
        fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
        fn advance(&self, _: u64, _: &str) {}
        fn end(&self) {}
        fn interrupted(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) <= 1
        }
    }

    #[test]
    fn a_plan_is_interrupted_wherever_it_is() {
        let (_folder, recipe) = large();
        // While documents are read, behind the tokenizer, and before each step that is timed.
        for times in [1, 200, 401, 402, 403, 406, 408] {
            let monitor = After(AtomicU32::new(times));
            let error = plan(&recipe, DeviceKind::default(), 2, &monitor).expect_err("interrupted");
            assert!(error.interrupted(), "{times}: {error}");
        }
    }

    #[test]
    fn what_does_not_fit_into_the_machine_is_said() {
        let stage = |stage, memory_bytes| StagePlan { stage, memory_bytes, ..StagePlan::default() };
        let stages = [stage("train", 50_000_000_000), stage("tune", 60_000_000_000), stage("pair", 1000)];
        let note = |total, available| notes::memory_note(&stages, Some(process::Memory { total, available })).unwrap();
        let most = "tune takes most memory, about 60.0 GB";
        assert_eq!(
            note(24_000_000_000, 1),
            format!(
                "{most}, and this machine has 24.0 GB: the run would fail there (and in 1 other stages); shorten [model] or batch_tokens, \
                 or take a larger machine"
            )
        );
        assert_eq!(note(64_000_000_000, 64_000_000_000), format!("{most}; this machine has 64.0 GB"));
        assert!(note(64_000_000_000, 1_000_000_000).ends_with("of which other programs hold all but 1.00 GB now"));
        assert_eq!(notes::memory_note(&stages, None).unwrap(), most);
    }

    #[test]
    fn what_would_stop_the_run_at_its_start_is_in_the_plan() {
        let (folder, recipe) = large();
        let tasks = "[evaluate]\ntasks = [\"piqa\"]\ndata_dir = \"nowhere\"\n";
        let text = recipe.to_toml().unwrap();
        let text = text.split("[evaluate]").next().unwrap().to_owned() + tasks;
        let recipe = Recipe::parse(Path::new(&folder.path().join("r.toml")), &text).unwrap();
        let plan = plan(&recipe, DeviceKind::default(), 2, &Silent).unwrap();
        let told = plan
            .notes
            .iter()
            .any(|note| note.starts_with("the run would stop at its start: ") && note.contains("piqa"));
        assert!(told, "{:?}", plan.notes);
    }

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let expected = ["0", "7", "999", "1.00 k", "13.8 M", "250 G", "1.23 P", "4567 E"];
        assert_eq!(expected, [0.0, 7.0, 999.0, 999.6, 13.768e6, 2.5e11, 1.234e15, 4.567e21].map(short));
    }
}
