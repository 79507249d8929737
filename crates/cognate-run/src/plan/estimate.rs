//! What each stage would read, write, compute and take: arithmetic on what the corpus looks like and how fast the machine is.

use std::path::Path;

use cognate_model::Config;
use cognate_pair::{lsa_bytes, neighbours_bytes, neighbours_needed};
use cognate_synth::{filter_bytes, generate_bytes};
use cognate_train::training_bytes;

use super::StagePlan;
use super::calibrate::Speed;
use super::corpus::Survey;
use super::model_config;
use super::rehearse::Measured;
use crate::arms::{needed_flops, steps_of, whole_cost};
use crate::context::max_positions;
use crate::recipe::{Contexts, Embed, PERPLEXITY, PairMethod, Recipe, SeedsOf, Training, Vectors};
use crate::stage::{Replicate, Step, writer};
use crate::stages::relations::search_flops;
use crate::stages::train::BATCH_TOKENS;
use crate::stages::tune::Size;

/// Bytes that the training of `step` leaves on disk at most, with a vocabulary of `vocabulary`: the newest checkpoints and the best one,
/// each with two moments beside the weights. `best` and `final` are second names of files in them. None where nothing is trained.
pub(crate) fn trained_bytes(recipe: &Recipe, step: Step, vocabulary: usize) -> Option<f64> {
    let keep = match step {
        Step::Tune(_) => recipe.train.keep_checkpoints,
        step => step.training(recipe)?.train.keep_checkpoints,
    };
    let config = config_of(recipe, step, vocabulary)?;
    Some((keep as f64 + 1.0) * 3.0 * config.parameter_bytes())
}

/// The decoder that a step works with; none where it works with none.
pub(crate) fn config_of(recipe: &Recipe, step: Step, vocabulary: usize) -> Option<Config> {
    let arm = match step {
        Step::Train(model) | Step::Evaluate(model) => model.arm,
        Step::Sweep { .. } => {
            return step.training(recipe).map(|training| model_config(recipe, &training.model, vocabulary));
        }
        Step::Tune(at) => recipe.arm(&recipe.synthesizers[at].base),
        Step::Generate(corpus) | Step::Filter(corpus) => recipe.base_of(corpus),
        Step::Ingest | Step::Tokenize | Step::Embed(_) | Step::Pair(_) | Step::Report => return None,
    };
    Some(model_config(recipe, &recipe.arms[arm].training.model, vocabulary))
}

/// Which work of its models a stage does, and the bytes of memory that it holds for it; none where it is done elsewhere. A step of
/// training ends with a whole document: `with_longest` counts one as long as the context, which no document need be.
pub(crate) fn needed_memory(
    recipe: &Recipe,
    step: Step,
    vocabulary: usize,
    with_longest: bool,
) -> Option<(&'static str, f64)> {
    let longest = |context: usize| if with_longest { context } else { 0 };
    let config = config_of(recipe, step, vocabulary)?;
    match step {
        Step::Train(_) | Step::Sweep { .. } => {
            let training = step.training(recipe)?;
            let bytes = training_bytes(&config, training.train.batch_tokens, longest(training.model.context));
            Some(("training this recipe's model", bytes))
        }
        Step::Tune(at) => {
            let tune = &recipe.synthesizers[at].tune;
            let bytes = training_bytes(&config, tune.batch_tokens, longest(tune.context));
            Some(("tuning this recipe's synthesizer", bytes))
        }
        Step::Generate(corpus) => {
            let generate = &recipe.synthetic[corpus].generate;
            if generate.endpoint.is_some() {
                return None;
            }
            let (seed, new, precision) = (generate.max_seed_tokens, generate.max_new_tokens, generate.precision);
            let bytes = generate_bytes(&config, generate.slots, seed, new, precision.into());
            Some(("generating with this recipe's slots", bytes))
        }
        _ => None,
    }
}

/// Operations of tuning the synthesizer at `at` on pairs of such a `size`, and of the training of its base on documents of `mean` tokens.
pub(crate) fn tuning_flops(recipe: &Recipe, at: usize, vocabulary: usize, mean: f64, size: Size) -> (f64, f64) {
    let base = recipe.base_training(at);
    let config = model_config(recipe, &base.model, vocabulary);
    let seen = size.pairs as f64 * f64::from(recipe.synthesizers[at].tune.epochs);
    // Of a pair its second half comes out of the head, and a token attends to half of it.
    let (tokens, half) = (size.tokens as f64, size.tokens as f64 / seen.max(1.0) / 2.0);
    let pretraining = base.train.tokens() as f64;
    let attended = mean.min(base.model.context as f64) / 2.0;
    (config.training_flops(tokens, tokens / 2.0, half), config.training_flops(pretraining, pretraining, attended))
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
    /// What the stages that were done for it have shown.
    pub(super) measured: &'a Measured,
    pub(super) speed: &'a Speed,
}

/// Packed bytes of a byte of text, as zstd leaves plain English.
const PACKED: f64 = 0.35;
/// Text that ingest reads in a second, twice over.
const INGEST_BYTES_PER_S: f64 = 20e6;
/// Bytes of files that are read and hashed in a second, as a disk gives them.
const HASHED_BYTES_PER_S: f64 = 500e6;
/// Bytes of a file of vectors or pairs that are hashed, read and written again in a second.
const GIVEN_BYTES_PER_S: f64 = 50e6;
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
    /// The figures that follow from the recipe and what was measured.
    known: &'static [&'static str],
}

impl Estimate<'_> {
    pub(super) fn stage(&self, step: Step) -> StagePlan {
        if let Some(row) = self.measured.rows.get(&step) {
            let mut row = row.clone();
            if row.memory_bytes == 0 {
                row.memory_bytes = (PROGRAM_BYTES + self.memory(step)).round() as u64;
                row.estimated.push("memory_bytes");
            }
            return row;
        }
        let cost = self.cost(step);
        let figures = [
            ("documents", cost.documents),
            ("tokens", cost.tokens),
            ("flops", cost.flops),
            ("bytes", cost.bytes),
            ("wall_s", cost.wall_s),
            ("memory_bytes", PROGRAM_BYTES),
        ];
        let is_estimate = |(name, figure): &(&str, f64)| *figure > 0.0 && !cost.known.contains(name);
        StagePlan {
            estimated: figures.into_iter().filter(is_estimate).map(|(name, _)| name).collect(),
            stage: step.stage(),
            arm: step.thing(self.recipe),
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
                // What is not taken is read all the same.
                let all = survey.all_documents * survey.bytes_per_document;
                let wall_s = 2.0 * all / INGEST_BYTES_PER_S
                    + survey.file_bytes / HASHED_BYTES_PER_S
                    + all / survey.cut_bytes_per_s;
                Cost { documents, bytes: text * PACKED, wall_s, ..Cost::default() }
            }
            Step::Tokenize => {
                let tokens = documents * survey.tokens_per_document;
                let text = documents * survey.bytes_per_document;
                let wall_s = text / survey.encode_bytes_per_s + self.unique_bytes() / survey.train_bytes_per_s;
                let bytes = self.token_bytes(tokens, documents);
                Cost { documents, tokens, bytes, wall_s, ..Cost::default() }
            }
            Step::Embed(at) => {
                let embedding = &self.recipe.embeddings[at];
                let d = embedding.embed.dimensions as f64;
                let flops = match embedding.vectors {
                    Vectors::Lsa => 12.0 * 2.0 * self.unique_bytes() / ENTRY_BYTES * (d + 32.0),
                    Vectors::File(_) => 0.0,
                };
                let given = match &embedding.vectors {
                    Vectors::Lsa => 0.0,
                    Vectors::File(path) => self.given_s(path),
                };
                let wall_s = flops / (EMBED_FLOPS_PER_S * threads) + given;
                Cost { documents: unique, flops, bytes: unique * d * 4.0, wall_s, ..Cost::default() }
            }
            Step::Pair(at) => {
                let documents = self.pairs(at);
                let flops = match &self.recipe.pairs[at].method {
                    PairMethod::Neighbours(embedding) => search_flops(unique, self.dimensions(embedding)),
                    PairMethod::Shuffled(_) | PairMethod::File(_) => 0.0,
                };
                let given = match &self.recipe.pairs[at].method {
                    PairMethod::File(path) => self.given_s(path),
                    PairMethod::Neighbours(_) | PairMethod::Shuffled(_) => 0.0,
                };
                let wall_s = self.search_s(flops) + given;
                Cost { documents, flops, bytes: documents * 24.0, wall_s, ..Cost::default() }
            }
            Step::Sweep { .. } => self.train(step, self.recipe.seed),
            Step::Train(model) => {
                let arm = &self.recipe.arms[model.arm];
                // What it chooses from is trained in stages of its own.
                if !arm.sweep.is_empty() && model.seed == self.recipe.seed {
                    let documents = (arm.selection_documents as f64).min(self.selection_documents());
                    let tokens = documents * self.mean() * arm.sweep.len() as f64;
                    let config = self.config(step);
                    let flops = config.forward_flops(tokens, tokens, self.mean() / 2.0);
                    let (bytes, wall_s) = (config.parameter_bytes() * 2.0, self.passes_s(flops));
                    return Cost { documents, tokens, flops, bytes, wall_s, ..Cost::default() };
                }
                self.train(step, model.seed)
            }
            Step::Tune(at) => {
                let size = self.size(at);
                let config = self.config(step);
                let (flops, _) = tuning_flops(self.recipe, at, self.vocabulary(), self.mean(), size);
                let wall_s = self.steps_s(&config, flops, size.steps as f64);
                let measured = self.measured.lessons.contains_key(&at);
                Cost {
                    documents: size.pairs as f64,
                    tokens: size.tokens as f64,
                    flops,
                    bytes: self.training_bytes(step),
                    wall_s: wall_s + self.tuning_checks_s(&config, at, size),
                    known: if measured { &["documents", "tokens"] } else { &[] },
                }
            }
            Step::Generate(corpus) => {
                let Written { documents, length, seed } = self.written(corpus);
                let tokens = documents * length;
                let config = self.config(step);
                let reading = config.forward_flops(documents * seed, documents, seed / 2.0);
                let writing = config.forward_flops(tokens, tokens, seed + length / 2.0);
                let bytes = tokens * survey.bytes_per_token() * PACKED;
                let wall_s = reading / self.speed.prompt_flops_per_s + writing / self.speed.writing_flops_per_s;
                Cost { documents, tokens, flops: reading + writing, bytes, wall_s, known: &[] }
            }
            Step::Filter(corpus) => {
                let tokens = self.recipe.synthetic_tokens(corpus) as f64;
                let documents = tokens / self.mean();
                let bytes = tokens * survey.bytes_per_token() * PACKED + self.token_bytes(tokens, documents);
                let flops = self.scoring_flops(corpus);
                let wall_s = documents / FILTER_DOCUMENTS_PER_S + self.passes_s(flops);
                Cost { documents, tokens, flops, bytes, wall_s, known: &[] }
            }
            Step::Evaluate(_) => {
                let (documents, tokens) = self.validation();
                let flops = self.config(step).forward_flops(tokens, tokens, tokens / documents.max(1.0) / 2.0);
                let only_split = self.recipe.evaluate.tasks.iter().all(|task| task == PERPLEXITY);
                let measured = self.measured.tokenized.is_some();
                let known: &[&str] = match (measured, only_split) {
                    (true, true) => &["documents", "tokens"],
                    (true, false) => &["documents"],
                    (false, _) => &[],
                };
                Cost { documents, tokens, flops, bytes: 1e3, wall_s: self.passes_s(flops), known }
            }
            Step::Report => Cost { bytes: 3e5, wall_s: 1.0, ..Cost::default() },
        }
    }

    /// Bytes of memory that a stage holds at most, beside the program itself.
    fn memory(&self, step: Step) -> f64 {
        let (recipe, survey) = (self.recipe, self.survey);
        let models = needed_memory(recipe, step, self.vocabulary(), true).map_or(0.0, |(_, bytes)| bytes);
        match step {
            Step::Ingest => {
                // Of every document its hash and its id, of the validation split its words in a row.
                let held_out = survey.documents * recipe.corpus.validation_share * survey.bytes_per_document;
                survey.all_documents * 150.0 + held_out / WORD_BYTES * 30.0
            }
            Step::Tokenize => self.different_words(survey.documents * survey.bytes_per_document) * 200.0,
            Step::Embed(at) => self.embedding_bytes(&recipe.embeddings[at].embed),
            Step::Pair(at) => match &recipe.pairs[at].method {
                PairMethod::Neighbours(embedding) => self.search_bytes(embedding, recipe.pairs[at].pair.neighbours),
                PairMethod::Shuffled(_) | PairMethod::File(_) => self.unique_bytes() + self.pairs(at) * 24.0,
            },
            Step::Train(_) | Step::Sweep { .. } => {
                let Some(training) = step.training(recipe) else { return self.config(step).parameter_bytes() };
                let order = self.train(step, recipe.seed).documents * 16.0;
                let related = match &training.contexts {
                    Contexts::Related(embedding) => self.search_bytes(embedding, recipe.pair.neighbours),
                    Contexts::Single => 0.0,
                };
                models + order + related
            }
            Step::Tune(at) => models + self.pairs(recipe.pair_set(&recipe.synthesizers[at].pairs)) * 24.0,
            Step::Generate(_) => models,
            Step::Filter(corpus) => {
                let Written { documents, length, .. } = self.written(corpus);
                let (text, words) = (self.unique_bytes(), self.unique_bytes() / WORD_BYTES);
                let filters = filter_bytes(text, words, documents, length * survey.bytes_per_token() / WORD_BYTES);
                let config = self.config(step);
                match writer(recipe, corpus) {
                    // The synthesizer stays while the base model and the embedder measure what was kept.
                    Step::Tune(at) if recipe.is_related(corpus) => {
                        let scored = BATCH_TOKENS + recipe.synthesizers[at].tune.context;
                        let embedder = self.embedding_bytes(&recipe.embed);
                        let measured = config.parameter_bytes() + config.scoring_bytes(scored) + embedder;
                        measured.max(filters + config.scoring_bytes(scored))
                    }
                    _ => filters,
                }
            }
            Step::Evaluate(_) => self.config(step).scoring_bytes(BATCH_TOKENS + max_positions(recipe)),
            Step::Report => 20e6,
        }
    }

    /// The decoder that a step works with, or the recipe's.
    fn config(&self, step: Step) -> Config {
        let (recipe, vocabulary) = (self.recipe, self.vocabulary());
        config_of(recipe, step, vocabulary).unwrap_or_else(|| model_config(recipe, &recipe.model, vocabulary))
    }

    /// Numbers of a vector of an embedding.
    fn dimensions(&self, embedding: &str) -> f64 {
        self.recipe.embeddings[self.recipe.embedding(embedding)].embed.dimensions as f64
    }

    /// Bytes that a search for neighbours takes.
    fn search_bytes(&self, embedding: &str, neighbours: usize) -> f64 {
        let unique = self.unique_documents();
        let k = neighbours_needed(neighbours, unique as usize) as f64;
        // Near-copies are known by texts and their n-grams, which are as many as their words.
        let copies = self.unique_bytes() * (1.0 + size_of::<u32>() as f64 / WORD_BYTES);
        neighbours_bytes(unique, self.dimensions(embedding), k) + copies
    }

    /// Bytes that embedding the unique documents takes, their texts included.
    fn embedding_bytes(&self, embed: &Embed) -> f64 {
        let text = self.unique_bytes();
        let terms = self.different_words(text).min(embed.max_terms as f64);
        text + lsa_bytes(self.unique_documents(), terms, text / ENTRY_BYTES, embed.dimensions as f64)
    }

    /// Different words of so many bytes of text: Heaps' law, with the exponent and the factor that plain English has.
    fn different_words(&self, bytes: f64) -> f64 {
        20.0 * (bytes / WORD_BYTES).sqrt()
    }

    /// Seconds of scoring held-out pairs, each after three seeds: at every measurement while the synthesizer at `at` is tuned, and before and
    /// after.
    fn tuning_checks_s(&self, config: &Config, at: usize, size: Size) -> f64 {
        let synthesizer = &self.recipe.synthesizers[at];
        let (tune, held_out) = (&synthesizer.tune, self.held_out(self.recipe.pair_set(&synthesizer.pairs)));
        let times = tune.validate_every_tokens.map_or(20.0, |every| size.tokens as f64 / every as f64);
        let choosing = (tune.validate_pairs as f64).min(held_out / 2.0);
        let others = (tune.relation_pairs as f64).min(held_out - choosing);
        let length = size.tokens as f64 / (size.pairs as f64 * f64::from(tune.epochs)).max(1.0);
        let tokens = 3.0 * (times * choosing + 2.0 * others) * length;
        self.passes_s(config.forward_flops(tokens, tokens / 2.0, length / 2.0))
    }

    /// Seconds of forward passes of `flops` operations.
    fn passes_s(&self, flops: f64) -> f64 {
        flops / self.speed.training_flops_per_s
    }

    /// Seconds of `steps` training steps that take `flops` operations together.
    fn steps_s(&self, config: &Config, flops: f64, steps: f64) -> f64 {
        self.passes_s(flops) + steps * config.parameters() as f64 * self.speed.update_s
    }

    /// The training that a step does, with `seed`; for another seed than the recipe's own of an arm with a sweep, its first candidate's.
    fn train(&self, step: Step, seed: u64) -> Cost {
        let recipe = self.recipe;
        let training = match (step.training(recipe), step) {
            (Some(training), _) => training,
            (None, Step::Train(model)) => &recipe.arms[model.arm].training,
            (None, _) => return Cost::default(),
        };
        let (train, config) = (&training.train, self.config(step));
        let tokens = self.training_tokens(training, seed);
        let segment = match training.contexts {
            // At most: ends of chains share a row, and see only themselves.
            Contexts::Related(_) => training.model.context as f64,
            Contexts::Single => self.mean().min(training.model.context as f64),
        };
        let context = segment / 2.0;
        let flops = config.training_flops(tokens as f64, tokens as f64, context);
        let every = train.validate_every_tokens.max(1);
        let (held, held_tokens) = self.validation();
        let validation = held.min(train.validate_documents as f64) * held_tokens / held.max(1.0);
        let measured = (tokens / every) as f64 * validation;
        let validated = config.forward_flops(measured, measured, context);
        let search = match &training.contexts {
            Contexts::Related(embedding) => search_flops(self.unique_documents(), self.dimensions(embedding)),
            Contexts::Single => 0.0,
        };
        let steps = tokens as f64 / train.batch_tokens as f64;
        Cost {
            documents: tokens as f64 / self.mean(),
            tokens: tokens as f64,
            flops: flops + search,
            bytes: self.training_bytes(step),
            wall_s: self.steps_s(&config, flops + validated, steps) + self.search_s(search),
            known: if training.operations_of.is_some() { &[] } else { &["tokens"] },
        }
    }

    /// Tokens of a training: its budget, or what comes of the rows of everything that another arm costs.
    pub(super) fn training_tokens(&self, training: &Training, seed: u64) -> u64 {
        let (recipe, train) = (self.recipe, &training.train);
        let Some(other) = &training.operations_of else { return train.tokens() };
        let flops = |step: Step| self.measured.rows.get(&step).map_or_else(|| self.cost(step).flops, |row| row.flops);
        let needed = |step: Step| needed_flops(recipe, step, flops(step));
        let other = Replicate { arm: recipe.arm(other), seed };
        let flops: f64 = whole_cost(recipe, other).into_iter().map(needed).sum();
        let config = model_config(recipe, &training.model, self.vocabulary());
        let tokens = train.batch_tokens as f64;
        let context = self.mean().min(training.model.context as f64) / 2.0;
        steps_of(flops, config.training_flops(tokens, tokens, context)) * train.batch_tokens as u64
    }

    /// What is written for the corpus at `corpus`.
    fn written(&self, corpus: usize) -> Written {
        let (synthetic, mean) = (&self.recipe.synthetic[corpus], self.mean());
        let generate = &synthetic.generate;
        let need = self.recipe.synthetic_tokens(corpus) as f64;
        let length = mean.min(generate.max_new_tokens as f64);
        let seed = if synthetic.seeds == SeedsOf::None { 0.0 } else { mean.min(generate.max_seed_tokens as f64) };
        Written { documents: need * (1.0 + generate.oversample) / length, length, seed }
    }

    /// Operations of scoring relevance: of every document that is written, and of held-out pairs, by which scores are read.
    fn scoring_flops(&self, corpus: usize) -> f64 {
        let recipe = self.recipe;
        let config = self.config(Step::Filter(corpus));
        let passes =
            |sequences: f64, tokens: f64| config.forward_flops(sequences * tokens, sequences * tokens, tokens / 2.0);
        let calibrated = recipe.is_related(corpus);
        let Step::Tune(at) = writer(recipe, corpus) else { return 0.0 };
        if !calibrated && recipe.synthetic[corpus].filter.min_relevance.is_none() {
            return 0.0;
        }
        let Written { documents, length, seed } = self.written(corpus);
        // Each text after the other and each alone: three times the tokens of both, in four sequences.
        let mut flops = passes(4.0 * documents, 0.75 * (seed + length));
        if calibrated {
            let set = recipe.pair_set(&recipe.synthesizers[at].pairs);
            let (held_out, tune) = (self.held_out(set), &recipe.synthesizers[at].tune);
            let choosing = (held_out / 2.0).min(tune.validate_pairs as f64);
            let pairs = (held_out - choosing).min(tune.relation_pairs as f64);
            // Four conditional passes over a pair and two over its parts, as they are counted.
            flops += passes(6.0 * pairs, 2.0 * self.mean());
        }
        flops
    }

    /// Seconds that taking a given file takes.
    fn given_s(&self, path: &Path) -> f64 {
        let file = fs_err::metadata(self.recipe.at(path));
        file.map_or(0.0, |file| file.len() as f64 / GIVEN_BYTES_PER_S)
    }

    /// Seconds that `flops` of the search for neighbours take.
    fn search_s(&self, flops: f64) -> f64 {
        flops / (PAIR_FLOPS_PER_S * self.speed.threads as f64)
    }

    fn token_bytes(&self, tokens: f64, documents: f64) -> f64 {
        let size = if self.vocabulary() < 65_500 { 2.0 } else { 4.0 };
        tokens * size + documents * 20.0
    }

    /// The newest checkpoints and the best one, each with two moments beside the weights.
    fn training_bytes(&self, step: Step) -> f64 {
        let bytes = trained_bytes(self.recipe, step, self.vocabulary());
        // Of an arm with a sweep, other seeds are trained as the chosen candidate is.
        bytes.unwrap_or_else(|| {
            (self.recipe.train.keep_checkpoints as f64 + 1.0) * 3.0 * self.config(step).parameter_bytes()
        })
    }
}

#[cfg(test)]
mod tests {
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
            all_documents: documents,
            file_bytes: 0.0,
            bytes_per_document: 1000.0,
            tokens_per_document: 250.0,
            sampled_tokens: vec![250],
            vocabulary: 300,
            encode_bytes_per_s: 1e6,
            cut_bytes_per_s: f64::INFINITY,
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
        let estimate = Estimate { recipe: &recipe, survey: &survey, measured: &Measured::default(), speed: &speed };
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
