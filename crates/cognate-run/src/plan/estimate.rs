//! What each stage would read, write, compute and take: arithmetic on what the corpus looks like and how fast the machine is.

use cognate_model::Config;
use cognate_pair::{lsa_bytes, neighbours_bytes, neighbours_needed};
use cognate_synth::{filter_bytes, generate_bytes};
use cognate_train::training_bytes;

use super::StagePlan;
use super::calibrate::Speed;
use super::corpus::Survey;
use crate::arms::{needed_flops, sbp_cost, steps_of};
use crate::context::max_positions;
use crate::recipe::{ArmKind, Recipe, Synthesis};
use crate::stage::{Replicate, Step};
use crate::stages::relations::search_flops;
use crate::stages::train::BATCH_TOKENS;

/// Bytes that one training leaves on disk at most: the newest checkpoints and the best one, each with two moments beside the
/// weights. `best` and `final` are second names of files in them.
pub(crate) fn trained_bytes(recipe: &Recipe, config: &Config) -> f64 {
    (recipe.train.keep_checkpoints as f64 + 1.0) * 3.0 * config.parameter_bytes()
}

/// Which work of its models a stage does, and the bytes of memory that it holds for it; none where it is done elsewhere. A step of
/// training ends with a whole document: `with_longest` counts one as long as the context, which no document need be.
pub(crate) fn needed_memory(
    recipe: &Recipe,
    config: &Config,
    step: Step,
    with_longest: bool,
) -> Option<(&'static str, f64)> {
    let Recipe { train, model, tune, generate, .. } = recipe;
    let longest = |context: usize| if with_longest { context } else { 0 };
    match step {
        Step::Train(_) | Step::Sweep { .. } => {
            Some(("training this recipe's model", training_bytes(config, train.batch_tokens, longest(model.context))))
        }
        Step::Tune(_) => {
            Some(("tuning this recipe's synthesizer", training_bytes(config, tune.batch_tokens, longest(tune.context))))
        }
        Step::Generate(_) if generate.endpoint.is_none() => {
            let (seed, new, precision) = (generate.max_seed_tokens, generate.max_new_tokens, generate.precision);
            let bytes = generate_bytes(config, generate.slots, seed, new, precision.into());
            Some(("generating with this recipe's slots", bytes))
        }
        _ => None,
    }
}

/// What a synthesis writes.
struct Written {
    documents: f64,
    /// Tokens of one.
    length: f64,
    /// Tokens of the seed that it is written from.
    seed: f64,
}

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
/// Bytes of a word and the space behind it, as in plain English.
const WORD_BYTES: f64 = 6.0;
/// Bytes of text for each different word of a document, as in documents of some hundred words.
const ENTRY_BYTES: f64 = 9.0;
/// Bytes that the program itself holds before any stage: its code, threads, and what is kept of earlier stages.
const PROGRAM_BYTES: f64 = 30e6;

/// What a stage takes, before it is rounded.
#[derive(Default)]
struct Cost {
    documents: f64,
    tokens: f64,
    flops: f64,
    /// On disk.
    bytes: f64,
    wall_s: f64,
}

impl Estimate<'_> {
    pub(super) fn stage(&self, step: Step) -> StagePlan {
        let cost = self.cost(step);
        StagePlan {
            stage: step.stage(),
            arm: step.arm(self.recipe),
            documents: cost.documents.round() as u64,
            tokens: cost.tokens.round() as u64,
            flops: cost.flops,
            bytes: cost.bytes.round() as u64,
            wall_s: cost.wall_s,
            memory_bytes: (PROGRAM_BYTES + self.memory(step)).round() as u64,
        }
    }

    fn cost(&self, step: Step) -> Cost {
        let survey = self.survey;
        let threads = self.speed.threads as f64;
        let (documents, unique) = (survey.documents, self.unique_documents());
        match step {
            Step::Ingest => {
                let text = documents * survey.bytes_per_document;
                Cost { documents, bytes: text * PACKED, wall_s: 2.0 * text / INGEST_BYTES_PER_S, ..Cost::default() }
            }
            Step::Tokenize => {
                let tokens = documents * survey.tokens_per_document;
                let text = documents * survey.bytes_per_document;
                let wall_s = text / survey.encode_bytes_per_s + self.unique_bytes() / survey.train_bytes_per_s;
                Cost { documents, tokens, bytes: self.token_bytes(tokens, documents), wall_s, flops: 0.0 }
            }
            Step::Embed => {
                let d = self.recipe.embed.dimensions as f64;
                let flops = 12.0 * 2.0 * self.unique_bytes() / ENTRY_BYTES * (d + 32.0);
                let wall_s = flops / (EMBED_FLOPS_PER_S * threads);
                Cost { documents: unique, flops, bytes: unique * d * 4.0, wall_s, tokens: 0.0 }
            }
            Step::Pair => {
                let flops = search_flops(unique, self.recipe.embed.dimensions as f64);
                let documents = self.pairs();
                Cost { documents, flops, bytes: documents * 24.0, wall_s: self.search_s(flops), tokens: 0.0 }
            }
            Step::Sweep { .. } => self.train(&ArmKind::Repetition, self.recipe.seed),
            Step::Train(model) => match &self.recipe.arms[model.arm].kind {
                // What it chooses from is trained in stages of its own.
                ArmKind::Regularised { weight_decays, selection_documents } if model.seed == self.recipe.seed => {
                    let (_, oracle) = self.split_tokens();
                    let documents = (*selection_documents as f64).min(oracle / survey.tokens_per_document);
                    let tokens = documents * survey.tokens_per_document * weight_decays.len() as f64;
                    let flops = self.config.forward_flops(tokens, tokens, survey.tokens_per_document / 2.0);
                    let wall_s = self.passes_s(flops);
                    Cost { documents, tokens, flops, bytes: self.config.parameter_bytes() * 2.0, wall_s }
                }
                kind => self.train(kind, model.seed),
            },
            Step::Tune(_) => {
                let pairs = self.pairs() * f64::from(self.recipe.tune.epochs);
                let half = survey.tokens_per_document.min(self.recipe.tune.context as f64 / 2.0);
                let tokens = pairs * 2.0 * half;
                let flops = self.config.training_flops(tokens, tokens / 2.0, half);
                let wall_s = self.steps_s(flops, tokens / self.recipe.tune.batch_tokens as f64);
                Cost { documents: pairs, tokens, flops, bytes: self.training_bytes(), wall_s }
            }
            Step::Generate(synthesis) => {
                let Written { documents, length, seed } = self.written(synthesis);
                let tokens = documents * length;
                let reading = self.config.forward_flops(documents * seed, documents, seed / 2.0);
                let writing = self.config.forward_flops(tokens, tokens, seed + length / 2.0);
                let bytes = tokens * survey.bytes_per_token() * PACKED;
                let wall_s = reading / self.speed.prompt_flops_per_s + writing / self.speed.writing_flops_per_s;
                Cost { documents, tokens, flops: reading + writing, bytes, wall_s }
            }
            Step::Filter(synthesis) => {
                let tokens = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
                let documents = tokens / survey.tokens_per_document;
                let bytes = tokens * survey.bytes_per_token() * PACKED + self.token_bytes(tokens, documents);
                let flops = self.scoring_flops(synthesis);
                let wall_s = documents / FILTER_DOCUMENTS_PER_S + self.passes_s(flops);
                Cost { documents, tokens, flops, bytes, wall_s }
            }
            Step::Evaluate(_) => {
                let documents = documents * self.recipe.corpus.validation_share;
                let tokens = documents * survey.tokens_per_document;
                let flops = self.config.forward_flops(tokens, tokens, survey.tokens_per_document / 2.0);
                Cost { documents, tokens, flops, bytes: 1e3, wall_s: self.passes_s(flops) }
            }
            Step::Report => Cost { bytes: 3e5, wall_s: 1.0, ..Cost::default() },
        }
    }

    /// Bytes of memory that a stage holds at most, beside the program itself.
    fn memory(&self, step: Step) -> f64 {
        let (recipe, config, survey) = (self.recipe, self.config, self.survey);
        let (unique, dimensions) = (self.unique_documents(), recipe.embed.dimensions as f64);
        let k = neighbours_needed(recipe.pair.neighbours, unique as usize) as f64;
        // Near-copies are known by texts and their n-grams, which are as many as their words.
        let copies = self.unique_bytes() * (1.0 + size_of::<u32>() as f64 / WORD_BYTES);
        let search = neighbours_bytes(unique, dimensions, k) + copies;
        let models = needed_memory(recipe, config, step, true).map_or(0.0, |(_, bytes)| bytes);
        match step {
            Step::Ingest => {
                // Of every document its hash and its id, of the validation split its words in a row.
                let held_out = survey.documents * recipe.corpus.validation_share * survey.bytes_per_document;
                survey.documents * 150.0 + held_out / WORD_BYTES * 30.0
            }
            Step::Tokenize => self.different_words(survey.documents * survey.bytes_per_document) * 200.0,
            Step::Embed => self.embedding_bytes(),
            Step::Pair => search,
            Step::Train(_) | Step::Sweep { .. } => {
                let kind = match step {
                    Step::Train(model) => &recipe.arms[model.arm].kind,
                    _ => &ArmKind::Repetition,
                };
                let order = self.train(kind, recipe.seed).documents * 16.0;
                let related = if *kind == ArmKind::RelatedContext { search } else { 0.0 };
                models + order + related
            }
            Step::Tune(_) => models + self.pairs() * 24.0,
            Step::Generate(_) => models,
            Step::Filter(synthesis) => {
                let Written { documents, length, .. } = self.written(synthesis);
                let (text, words) = (self.unique_bytes(), self.unique_bytes() / WORD_BYTES);
                let filters = filter_bytes(text, words, documents, length * survey.bytes_per_token() / WORD_BYTES);
                let scored = BATCH_TOKENS + recipe.tune.context;
                match synthesis {
                    // The synthesizer stays while the base model and the embedder measure what was kept.
                    Synthesis::Related => {
                        let measured = config.parameter_bytes() + config.scoring_bytes(scored) + self.embedding_bytes();
                        measured.max(filters + config.scoring_bytes(scored))
                    }
                    _ => filters,
                }
            }
            Step::Evaluate(_) => config.scoring_bytes(BATCH_TOKENS + max_positions(recipe)),
            Step::Report => 20e6,
        }
    }

    /// Bytes that embedding the unique documents takes, their texts included.
    fn embedding_bytes(&self) -> f64 {
        let text = self.unique_bytes();
        let terms = self.different_words(text).min(self.recipe.embed.max_terms as f64);
        text + lsa_bytes(self.unique_documents(), terms, text / ENTRY_BYTES, self.recipe.embed.dimensions as f64)
    }

    /// Different words of so many bytes of text: Heaps' law, with the exponent and the factor that plain English has.
    fn different_words(&self, bytes: f64) -> f64 {
        20.0 * (bytes / WORD_BYTES).sqrt()
    }

    /// Seconds of forward passes of `flops` operations.
    fn passes_s(&self, flops: f64) -> f64 {
        flops / self.speed.training_flops_per_s
    }

    /// Seconds of `steps` training steps that take `flops` operations together.
    fn steps_s(&self, flops: f64, steps: f64) -> f64 {
        self.passes_s(flops) + steps * self.config.parameters() as f64 * self.speed.update_s
    }

    /// A training of an arm of `kind` with `seed`.
    fn train(&self, kind: &ArmKind, seed: u64) -> Cost {
        let train = &self.recipe.train;
        let tokens = match kind {
            ArmKind::EqualFlops => self.equal_flops_tokens(seed),
            _ => train.tokens(),
        };
        let segment = match kind {
            // At most: ends of chains share a row, and see only themselves.
            ArmKind::RelatedContext => self.recipe.model.context as f64,
            _ => self.survey.tokens_per_document.min(self.recipe.model.context as f64),
        };
        let context = segment / 2.0;
        let flops = self.config.training_flops(tokens as f64, tokens as f64, context);
        let every = train.validate_every_tokens.max(1);
        let held = self.survey.documents * self.recipe.corpus.validation_share;
        let validation = held.min(train.validate_documents as f64) * self.survey.tokens_per_document;
        let measured = (tokens / every) as f64 * validation;
        let validated = self.config.forward_flops(measured, measured, context);
        let search = match kind {
            ArmKind::RelatedContext => search_flops(self.unique_documents(), self.recipe.embed.dimensions as f64),
            _ => 0.0,
        };
        let steps = tokens as f64 / train.batch_tokens as f64;
        Cost {
            documents: tokens as f64 / self.survey.tokens_per_document,
            tokens: tokens as f64,
            flops: flops + search,
            bytes: self.training_bytes(),
            wall_s: self.steps_s(flops + validated, steps) + self.search_s(search),
        }
    }

    /// Tokens of an `equal-flops` arm, from the rows of everything that the first `sbp` arm costs.
    pub(super) fn equal_flops_tokens(&self, seed: u64) -> u64 {
        let needed = |step: Step| needed_flops(self.recipe, step, self.cost(step).flops);
        let flops: f64 = sbp_cost(self.recipe, seed).into_iter().map(needed).sum();
        let arm = self.recipe.arms.iter().position(|arm| arm.kind == ArmKind::Repetition).unwrap_or(0);
        let repetition = self.cost(Step::Train(Replicate { arm, seed })).flops;
        let train = &self.recipe.train;
        steps_of(flops, repetition / train.steps() as f64) * train.batch_tokens as u64
    }

    /// What a synthesis writes.
    fn written(&self, synthesis: Synthesis) -> Written {
        let (generate, mean) = (&self.recipe.generate, self.survey.tokens_per_document);
        let need = self.recipe.synthetic_tokens(synthesis).unwrap_or(0) as f64;
        let length = mean.min(generate.max_new_tokens as f64);
        let seed = if synthesis.is_tuned() { mean.min(generate.max_seed_tokens as f64) } else { 0.0 };
        Written { documents: need * (1.0 + generate.oversample) / length, length, seed }
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
        let Written { documents, length, seed } = self.written(synthesis);
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

    pub(super) fn unique_documents(&self) -> f64 {
        self.survey.documents * self.recipe.corpus.unique_share
    }

    fn unique_bytes(&self) -> f64 {
        self.unique_documents() * self.survey.bytes_per_document
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

    /// The newest checkpoints and the best one, each with two moments beside the weights.
    fn training_bytes(&self) -> f64 {
        trained_bytes(self.recipe, self.config)
    }

    /// Tokens of the unique and of the oracle split.
    pub(super) fn split_tokens(&self) -> (f64, f64) {
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
            sampled_tokens: vec![250],
            vocabulary: 300,
            encode_bytes_per_s: 1e6,
            train_bytes_per_s: 1e6,
            whole: true,
        };
        let speed = Speed {
            threads: 1,
            training_flops_per_s: 1e9,
            update_s: 1e-9,
            prompt_flops_per_s: 1e9,
            writing_flops_per_s: 1e9,
            measured_flops: 0.0,
        };
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
