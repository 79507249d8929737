//! `cognate plan`: what every stage of a recipe would read, write, compute and take, from a look at the corpus and a
//! short calibration. Runs no stage and writes nothing.

mod calibrate;
mod corpus;

use std::fmt;

use cognate_base::Monitor;
use cognate_model::Config;
use serde::Serialize;

use crate::arms::Diet;
use crate::context::{DeviceKind, max_positions};
use crate::error::Result;
use crate::recipe::{ArmKind, Model, Recipe, Synthesis};
use crate::runner::seconds;
use crate::stage::{Replicate, Step, column, label};
use calibrate::Speed;
use corpus::Survey;

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
    /// Floating-point operations of the model.
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

struct Estimate<'a> {
    recipe: &'a Recipe,
    survey: &'a Survey,
    config: &'a Config,
    speed: &'a Speed,
}

/// Packed bytes of a byte of text, as zstd leaves plain English.
const PACKED: f64 = 0.35;
/// Text that ingest reads in a second, twice over.
const INGEST_BYTES_PER_S: f64 = 20e6;
/// Operations per second of the sparse products that embedding consists of, per thread.
const EMBED_FLOPS_PER_S: f64 = 1e9;
/// Operations per second of the dense products that the neighbour search consists of, per thread.
const PAIR_FLOPS_PER_S: f64 = 50e9;
/// Documents that the filters look at in a second.
const FILTER_DOCUMENTS_PER_S: f64 = 2000.0;

impl Estimate<'_> {
    fn stage(&self, step: Step) -> StagePlan {
        let survey = self.survey;
        let row = |documents: f64, tokens: f64, flops: f64, bytes: f64, wall_s: f64| StagePlan {
            stage: step.stage(),
            arm: step.arm(self.recipe),
            documents: documents.round() as u64,
            tokens: tokens.round() as u64,
            flops,
            bytes: bytes.round() as u64,
            wall_s,
        };
        let threads = self.speed.threads as f64;
        let (documents, unique) = (survey.documents, self.unique_documents());
        match step {
            Step::Ingest => {
                let bytes = documents * survey.bytes_per_document;
                row(documents, 0.0, 0.0, bytes * PACKED, 2.0 * bytes / INGEST_BYTES_PER_S)
            }
            Step::Tokenize => {
                let tokens = documents * survey.tokens_per_document;
                let text = documents * survey.bytes_per_document;
                let training = unique * survey.bytes_per_document;
                let wall_s = text / survey.encode_bytes_per_s + training / survey.train_bytes_per_s;
                row(documents, tokens, 0.0, self.token_bytes(tokens, documents), wall_s)
            }
            Step::Embed => {
                let d = self.recipe.embed.dimensions as f64;
                let weights = unique * survey.bytes_per_document / 9.0;
                let flops = 12.0 * 2.0 * weights * (d + 32.0);
                row(unique, 0.0, 0.0, unique * d * 4.0, flops / (EMBED_FLOPS_PER_S * threads))
            }
            Step::Pair => {
                let flops = unique * unique * self.recipe.embed.dimensions as f64;
                let pairs = self.pairs();
                row(pairs, 0.0, 0.0, pairs * 24.0, flops / (PAIR_FLOPS_PER_S * threads))
            }
            Step::Sweep { .. } => self.train(step, &ArmKind::Repetition, self.recipe.seed),
            Step::Train(model) => match &self.recipe.arms[model.arm].kind {
                // What it chooses from is trained in stages of its own.
                ArmKind::Regularised { weight_decays, selection_documents } if model.seed == self.recipe.seed => {
                    let (_, oracle) = self.split_tokens();
                    let documents = (*selection_documents as f64).min(oracle / survey.tokens_per_document);
                    let tokens = documents * survey.tokens_per_document * weight_decays.len() as f64;
                    let flops = self.config.forward_flops(tokens, tokens, survey.tokens_per_document / 2.0);
                    let models = self.config.parameters() as f64 * 8.0;
                    row(documents, tokens, flops, models, flops / self.speed.training_flops_per_s)
                }
                kind => self.train(step, kind, model.seed),
            },
            Step::Tune(_) => {
                let pairs = self.pairs() * f64::from(self.recipe.tune.epochs);
                let half = survey.tokens_per_document.min(self.recipe.tune.context as f64 / 2.0);
                let tokens = pairs * 2.0 * half;
                let flops = self.config.training_flops(tokens, tokens / 2.0, half);
                row(pairs, tokens, flops, self.training_bytes(), flops / self.speed.training_flops_per_s)
            }
            Step::Generate(synthesis) => {
                let need = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
                let tokens = need * (1.0 + self.recipe.generate.oversample);
                let length = survey.tokens_per_document.min(self.recipe.generate.max_new_tokens as f64);
                let seed = match synthesis.is_tuned() {
                    true => survey.tokens_per_document.min(self.recipe.generate.max_seed_tokens as f64),
                    false => 0.0,
                };
                let written = tokens / length;
                let flops = self.config.forward_flops(tokens + written * seed, tokens, seed + length / 2.0);
                let bytes = tokens * survey.bytes_per_token() * PACKED;
                row(written, tokens, flops, bytes, tokens / self.speed.generation_tokens_per_s)
            }
            Step::Filter(synthesis) => {
                let tokens = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
                let kept = tokens / survey.tokens_per_document;
                let bytes = tokens * survey.bytes_per_token() * PACKED + self.token_bytes(tokens, kept);
                row(kept, tokens, 0.0, bytes, kept / FILTER_DOCUMENTS_PER_S)
            }
            Step::Evaluate(_) => {
                let documents = documents * self.recipe.corpus.validation_share;
                let tokens = documents * survey.tokens_per_document;
                let flops = self.config.forward_flops(tokens, tokens, survey.tokens_per_document / 2.0);
                row(documents, tokens, flops, 1e3, flops / self.speed.training_flops_per_s)
            }
            Step::Report => row(0.0, 0.0, 0.0, 3e5, 1.0),
        }
    }

    /// A training of an arm of `kind` with `seed`.
    fn train(&self, step: Step, kind: &ArmKind, seed: u64) -> StagePlan {
        let tokens = match kind {
            ArmKind::EqualFlops => self.equal_flops_tokens(seed),
            _ => self.recipe.train.tokens(),
        };
        let segment = match kind {
            // At most: ends of chains share a row, and see only themselves.
            ArmKind::RelatedContext => self.recipe.model.context as f64,
            _ => self.survey.tokens_per_document.min(self.recipe.model.context as f64),
        };
        let context = segment / 2.0;
        let flops = self.config.training_flops(tokens as f64, tokens as f64, context);
        let every = self.recipe.train.validate_every_tokens.max(1);
        let held = self.survey.documents * self.recipe.corpus.validation_share;
        let validation = held.min(self.recipe.train.validate_documents as f64) * self.survey.tokens_per_document;
        let measured = (tokens / every) as f64 * validation;
        let all = flops + self.config.forward_flops(measured, measured, context);
        StagePlan {
            stage: step.stage(),
            arm: step.arm(self.recipe),
            documents: (tokens as f64 / self.survey.tokens_per_document).round() as u64,
            tokens,
            flops,
            bytes: self.training_bytes() as u64,
            wall_s: all / self.speed.training_flops_per_s,
        }
    }

    /// Tokens whose training takes as many operations as the first `sbp` arm costs, as far as operations are planned.
    fn equal_flops_tokens(&self, seed: u64) -> u64 {
        let place = |wanted: fn(&ArmKind) -> bool| self.recipe.arms.iter().position(|arm| wanted(&arm.kind));
        let arms = [place(|kind| *kind == ArmKind::Repetition), place(|kind| matches!(kind, ArmKind::Sbp { .. }))];
        let trained = arms.into_iter().flatten().map(|arm| Step::Train(Replicate { arm, seed }));
        let related = Synthesis::Related;
        let written = [Step::Tune(related), Step::Generate(related)];
        let written = written.into_iter().filter(|_| self.recipe.synthetic_tokens(related).is_some());
        let flops: f64 = trained.chain(written).map(|step| self.stage(step).flops).sum();
        let tokens = self.recipe.train.tokens();
        let own = arms[0].map_or(1.0, |arm| self.stage(Step::Train(Replicate { arm, seed })).flops);
        (tokens as f64 * flops / own) as u64
    }

    fn unique_documents(&self) -> f64 {
        self.survey.documents * self.recipe.corpus.unique_share
    }

    /// Training pairs, at most: every neighbour inside the window, in both directions, held-out documents apart.
    fn pairs(&self) -> f64 {
        let unique = self.unique_documents();
        let neighbours = (self.recipe.pair.neighbours as f64).min((unique - 1.0).max(0.0));
        2.0 * unique * neighbours * (1.0 - self.recipe.pair.held_out_share)
    }

    fn token_bytes(&self, tokens: f64, documents: f64) -> f64 {
        let size = if self.survey.vocabulary < 65_500 { 2.0 } else { 4.0 };
        tokens * size + documents * 20.0
    }

    /// Best and final weights, and checkpoints with two moments beside the weights.
    fn training_bytes(&self) -> f64 {
        let kept = self.recipe.train.keep_checkpoints as f64;
        self.config.parameters() as f64 * 4.0 * (2.0 + 3.0 * kept)
    }

    fn notes(&self) -> Vec<String> {
        let survey = self.survey;
        let (unique, oracle) = self.split_tokens();
        let mut notes = vec![format!(
            "{} documents of {:.0} tokens on average{}; {:.2} bytes a token with a vocabulary of {}",
            survey.documents as u64,
            survey.tokens_per_document,
            if survey.whole { "" } else { " (extrapolated from the beginning of the corpus)" },
            survey.bytes_per_token(),
            survey.vocabulary,
        )];
        for arm in &self.recipe.arms {
            let tokens = match arm.kind {
                ArmKind::EqualFlops => self.equal_flops_tokens(self.recipe.seed),
                _ => self.recipe.train.tokens(),
            };
            let diet = Diet::of_tokens(self.recipe, arm, tokens, (unique as u64, oracle as u64));
            notes.push(format!(
                "{}: {} unique tokens seen {:.2} times, {} synthetic tokens",
                arm.name, diet.unique_tokens, diet.epochs, diet.synthetic_tokens
            ));
            let (batch, context) = (self.recipe.train.batch_tokens, self.recipe.model.context);
            if arm.kind == ArmKind::RelatedContext && !batch.is_multiple_of(context) {
                notes.push(format!(
                    "{}: [train] batch_tokens = {batch} is no multiple of [model] context = {context}, so batches cut contexts of related \
                     documents; how many is counted",
                    arm.name
                ));
            }
            if let ArmKind::Oracle { max_epochs } = arm.kind
                && diet.epochs > max_epochs
            {
                notes.push(format!(
                    "{}: the corpus is too small for {} fresh tokens; the run would stop before training",
                    arm.name, diet.train_tokens
                ));
            }
        }
        if let Some(endpoint) = &self.recipe.generate.endpoint {
            let url = &endpoint.url;
            notes.push(format!("generate: {url} writes the documents; its time is what this machine would take"));
        }
        notes.push(
            "pairs, and with them tuning, are counted at most: the similarity window is not known yet".to_owned(),
        );
        notes
    }

    /// Tokens of the unique and of the oracle split.
    fn split_tokens(&self) -> (f64, f64) {
        let corpus = &self.recipe.corpus;
        let all = self.survey.documents * self.survey.tokens_per_document;
        (all * corpus.unique_share, all * (1.0 - corpus.unique_share - corpus.validation_share))
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
