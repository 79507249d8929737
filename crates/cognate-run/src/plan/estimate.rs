//! What each stage would read, write, compute and take: arithmetic on what the corpus looks like and how fast the machine is.

use cognate_model::Config;

use super::StagePlan;
use super::calibrate::Speed;
use super::corpus::Survey;
use crate::arms::{Diet, needed_flops, sbp_cost, steps_of};
use crate::recipe::{ArmKind, PERPLEXITY, Recipe, Synthesis};
use crate::stage::{Replicate, Step};
use crate::stages::relations::search_flops;

/// What is known before anything is run.
pub(super) struct Estimate<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) survey: &'a Survey,
    pub(super) config: &'a Config,
    pub(super) speed: &'a Speed,
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
    pub(super) fn stage(&self, step: Step) -> StagePlan {
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
                row(unique, 0.0, flops, unique * d * 4.0, flops / (EMBED_FLOPS_PER_S * threads))
            }
            Step::Pair => {
                let flops = search_flops(unique, self.recipe.embed.dimensions as f64);
                let pairs = self.pairs();
                row(pairs, 0.0, flops, pairs * 24.0, self.search_s(flops))
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
                let (written, length, seed) = self.written(synthesis);
                let tokens = written * length;
                let flops = self.config.forward_flops(tokens + written * seed, tokens, seed + length / 2.0);
                let bytes = tokens * survey.bytes_per_token() * PACKED;
                row(written, tokens, flops, bytes, tokens / self.speed.generation_tokens_per_s)
            }
            Step::Filter(synthesis) => {
                let tokens = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
                let kept = tokens / survey.tokens_per_document;
                let bytes = tokens * survey.bytes_per_token() * PACKED + self.token_bytes(tokens, kept);
                let flops = self.scoring_flops(synthesis);
                let wall_s = kept / FILTER_DOCUMENTS_PER_S + flops / self.speed.training_flops_per_s;
                row(kept, tokens, flops, bytes, wall_s)
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
        let search = match kind {
            ArmKind::RelatedContext => search_flops(self.unique_documents(), self.recipe.embed.dimensions as f64),
            _ => 0.0,
        };
        StagePlan {
            stage: step.stage(),
            arm: step.arm(self.recipe),
            documents: (tokens as f64 / self.survey.tokens_per_document).round() as u64,
            tokens,
            flops: flops + search,
            bytes: self.training_bytes() as u64,
            wall_s: all / self.speed.training_flops_per_s + self.search_s(search),
        }
    }

    /// Tokens of an `equal-flops` arm, from the rows of everything that the first `sbp` arm costs.
    fn equal_flops_tokens(&self, seed: u64) -> u64 {
        let needed = |step: Step| needed_flops(self.recipe, step, self.stage(step).flops);
        let flops: f64 = sbp_cost(self.recipe, seed).into_iter().map(needed).sum();
        let arm = self.recipe.arms.iter().position(|arm| arm.kind == ArmKind::Repetition).unwrap_or(0);
        let repetition = self.stage(Step::Train(Replicate { arm, seed })).flops;
        let train = &self.recipe.train;
        steps_of(flops, repetition / train.steps() as f64) * train.batch_tokens as u64
    }

    /// What a synthesis writes: documents, tokens of one, and tokens of the seed that it is written from.
    fn written(&self, synthesis: Synthesis) -> (f64, f64, f64) {
        let (generate, mean) = (&self.recipe.generate, self.survey.tokens_per_document);
        let need = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
        let length = mean.min(generate.max_new_tokens as f64);
        let seed = if synthesis.is_tuned() { mean.min(generate.max_seed_tokens as f64) } else { 0.0 };
        (need * (1.0 + generate.oversample) / length, length, seed)
    }

    /// Operations of scoring relevance: of every document that is written, and of held-out pairs, by which scores are read.
    fn scoring_flops(&self, synthesis: Synthesis) -> f64 {
        let passes = |sequences: f64, tokens: f64| {
            self.config.forward_flops(sequences * tokens, sequences * tokens, tokens / 2.0)
        };
        let calibrated = synthesis == Synthesis::Related;
        if !(calibrated || (synthesis.is_tuned() && self.recipe.filter.min_relevance.is_some())) {
            return 0.0;
        }
        let (documents, length, seed) = self.written(synthesis);
        // Each text after the other and each alone: three times the tokens of both, in four sequences.
        let mut flops = passes(4.0 * documents, 0.75 * (seed + length));
        if calibrated {
            let share = self.recipe.pair.held_out_share;
            let held_out = self.pairs() * share / (1.0 - share).max(f64::EPSILON);
            let pairs = held_out.min(self.recipe.tune.relation_pairs as f64);
            // Four conditional passes over a pair and two over its parts, as they are counted.
            flops += passes(6.0 * pairs, 2.0 * self.survey.tokens_per_document);
        }
        flops
    }

    /// Seconds that `flops` of the search for neighbours take.
    fn search_s(&self, flops: f64) -> f64 {
        flops / (PAIR_FLOPS_PER_S * self.speed.threads as f64)
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

    pub(super) fn notes(&self) -> Vec<String> {
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
        let tasks: Vec<&str> =
            self.recipe.evaluate.tasks.iter().map(String::as_str).filter(|task| *task != PERPLEXITY).collect();
        if !tasks.is_empty() {
            notes.push(format!(
                "evaluate: published tasks ({}) are counted neither in FLOPs nor in time: how long their questions are is not looked at here",
                tasks.join(", ")
            ));
        }
        notes.push(
            "pairs are counted at most, and with them tuning, scoring relevance and an equal-flops arm: the similarity window is not \
             known yet"
                .to_owned(),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::model_config;
    use super::*;

    const RECIPE: &str = "name = \"a\"\n[corpus]\npaths = [\"d\"]\nunique_share = 0.5\n[embed]\ndimensions = 64\n[model]\nlayers = 1\n\
                          width = 8\nheads = 1\n[train]\nbudget_tokens = 100000\nbatch_tokens = 1000\n[[arm]]\nkind = \"repetition\"\n\
                          [[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"equal-flops\"\n[[arm]]\nkind = \"related-context\"\n";

    /// The operations of every training and stage of [`RECIPE`], by their labels, on a corpus of so many documents.
    fn flops(documents: f64) -> impl Fn(&str) -> f64 {
        flops_of(RECIPE, documents)
    }

    /// The same for another recipe.
    fn flops_of(recipe: &str, documents: f64) -> impl Fn(&str) -> f64 + use<> {
        let recipe = Recipe::parse(Path::new("r.toml"), recipe).unwrap();
        let survey = Survey {
            documents,
            bytes_per_document: 1000.0,
            tokens_per_document: 250.0,
            vocabulary: 300,
            encode_bytes_per_s: 1e6,
            train_bytes_per_s: 1e6,
            whole: true,
        };
        let speed = Speed { threads: 1, training_flops_per_s: 1e9, generation_tokens_per_s: 1e3 };
        let config = model_config(&recipe, survey.vocabulary);
        let estimate = Estimate { recipe: &recipe, survey: &survey, config: &config, speed: &speed };
        let rows: Vec<(String, f64)> =
            Step::all(&recipe).into_iter().map(|step| (step.label(&recipe), estimate.stage(step).flops)).collect();
        move |label| rows.iter().find(|row| row.0 == label).unwrap_or_else(|| panic!("{label}")).1
    }

    #[test]
    fn equal_flops_is_planned_equal_to_everything_that_sbp_costs() {
        // So many documents that every stage is worth many steps.
        let of = flops(1e5);
        let parts = ["embed", "pair", "tune", "generate", "train repetition", "train sbp"].map(&of);
        let step = of("train repetition") / 100.0;
        assert!(of("filter") > step && parts.iter().all(|part| *part > step), "{parts:?} {step}");
        let equal = of("train equal-flops");
        assert!((equal - parts.iter().sum::<f64>()).abs() <= 0.5001 * step, "{equal} {parts:?} {step}");
        // Scores that documents are dropped by are part of it.
        let of = flops_of(&format!("{RECIPE}[filter]\nmin_relevance = 0.0\n"), 1e5);
        let equal = of("train equal-flops");
        assert!((equal - parts.iter().sum::<f64>() - of("filter")).abs() <= 0.5001 * step, "{equal} {parts:?} {step}");
    }

    #[test]
    fn related_contexts_are_planned_with_their_search() {
        let search = flops(1e5)("train related-context") - flops(0.0)("train related-context");
        // Half of the documents are unique, with vectors of 64 numbers.
        assert!((search - 5e4 * 5e4 * 64.0).abs() < 1.0, "{search}");
    }
}
