//! `cognate plan`: what every stage of a recipe would read, write, compute and take, from a look at the corpus and a
//! short calibration. Runs no stage and writes nothing.

mod calibrate;
mod corpus;
mod estimate;

use std::fmt;

use cognate_base::Monitor;
use cognate_model::Config;
use serde::Serialize;

use crate::context::{DeviceKind, max_positions};
use crate::error::Result;
use crate::recipe::{Model, Recipe};
use crate::runner::seconds;
use crate::stage::{Step, column, label};
use estimate::Estimate;

/// What a recipe would cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Operations per second that training reached in the calibration.
    pub training_flops_per_s: f64,
    /// Tokens per second that generation reached in the calibration; none where the recipe generates nothing.
    pub generation_tokens_per_s: Option<f64>,
    /// Every stage in its order.
    pub stages: Vec<StagePlan>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What a stage would cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagePlan {
    /// Its name.
    pub stage: &'static str,
    /// The arm it works for.
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
}

/// Plans `recipe`: reads the beginning of its corpus and times a few small steps of its model.
///
/// # Errors
/// When the corpus cannot be read, the model is impossible, or the user interrupts.
pub fn plan(recipe: &Recipe, device: DeviceKind, threads: usize, monitor: &dyn Monitor) -> Result<Plan> {
    let survey = corpus::survey(recipe, monitor)?;
    let config = model_config(recipe, survey.vocabulary);
    config.check()?;
    let speed = calibrate::measure(recipe, &config, &survey, device, threads, monitor)?;
    let estimate = Estimate { recipe, survey: &survey, config: &config, speed: &speed };
    let stages = Step::all(recipe).into_iter().map(|step| estimate.stage(step)).collect();
    Ok(Plan {
        name: recipe.name.clone(),
        parameters: config.parameters() as u64,
        training_flops_per_s: speed.training_flops_per_s,
        generation_tokens_per_s: recipe.syntheses().next().map(|_| speed.generation_tokens_per_s),
        stages,
        notes: estimate.notes(),
    })
}

/// The decoder that a recipe asks for.
pub(crate) fn model_config(recipe: &Recipe, vocab: usize) -> Config {
    decoder_config(&recipe.model, vocab, max_positions(recipe))
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
        let header = ["stage", "documents", "tokens", "FLOPs", "on disk", "time"];
        writeln!(
            f,
            "  {:<width$}{:>12}{:>10}{:>10}{:>12}{:>16}",
            header[0], header[1], header[2], header[3], header[4], header[5]
        )?;
        let mut line = |label: &str, documents: u64, tokens: u64, flops: f64, bytes: u64, wall_s: f64| {
            let blank = |x: f64| if x == 0.0 { "-".to_owned() } else { short(x) };
            writeln!(
                f,
                "  {label:<width$}{:>12}{:>10}{:>10}{:>12}{:>16}",
                blank(documents as f64),
                blank(tokens as f64),
                blank(flops),
                format!("{}B", short(bytes as f64)),
                seconds(wall_s)
            )
        };
        for (row, label) in self.stages.iter().zip(&labels) {
            line(label, row.documents, row.tokens, row.flops, row.bytes, row.wall_s)?;
        }
        let flops = self.stages.iter().map(|row| row.flops).sum();
        let bytes = self.stages.iter().map(|row| row.bytes).sum();
        line("all", 0, 0, flops, bytes, self.stages.iter().map(|row| row.wall_s).sum())?;
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
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let expected = ["0", "7", "999", "1.00 k", "13.8 M", "250 G", "1.23 P", "4567 E"];
        assert_eq!(expected, [0.0, 7.0, 999.0, 999.6, 13.768e6, 2.5e11, 1.234e15, 4.567e21].map(short));
    }
}
