//! `tune`: the synthesizer learns to write one document of a pair after the other, and what it learned is measured.

use std::collections::BTreeSet;
use std::path::Path;

use cognate_base::Monitor;
use cognate_corpus::Tokenizer;
use cognate_eval::{PairLoss, Relation, RelationOptions, relation};
use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Decoder, ScoreItem};
use cognate_pair::{Pair, read_pairs, read_shuffled_pairs, shuffle_targets};
use cognate_train::{
    Contrast, Job, PairStream, PairTokens, Schedule, Shape, Stream, TrainConfig, train, training_bytes,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::BATCH_TOKENS;
use super::held_out::{Documents, HeldOut, draw};
use super::of_world::learned;
use super::train::training::{finish, tokenizer_files, trained};
use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate, Size};
use crate::recipe::{Model, Recipe, Train, model_config};
use crate::step::{Step, base_of};

/// Held-out seeds below which a comparison of true and random seeds says nothing. With three, each pair has one to be compared with
/// that is neither of its documents.
pub const LEAST_SEEDS: usize = 3;

/// What is said of a synthesizer that makes nothing of its seed.
const NOT_USED: &str = "the synthesizer does not use its seed: more training, a larger model or better pairs may help. What it writes is not synthesis from related \
     documents, and it may be chance that";

/// What a synthesizer knows about held-out pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Relations {
    pub(crate) before: Relation,
    pub(crate) after: Relation,
}

/// The synthesizer at a place of [`Recipe::synthesizers`].
pub(crate) struct Tune(pub(crate) usize);

impl Stage for Tune {
    fn step(&self) -> Step {
        Step::Tune(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: the pairs that choose the checkpoint are not those that it is measured on. 3: long seeds that relations are measured
        // after are cut as in generation. 4: config.json says that the checkpoint is tuned. 5: the checkpoint is chosen by what it
        // makes of the right seed, and the untuned start is one of the candidates. 6: where none makes anything of it, by its loss. 7:
        // AdamW is its base's. 8: chosen and measured by pairs whose second document no model has seen.
        8
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        vec![Step::Pair(recipe.pair_set(&recipe.synthesizers[self.0].pairs)), base_of(recipe, self.0)]
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        let synthesizer = &recipe.synthesizers[self.0];
        config.put("seed", recipe.seed)?;
        config.put_without("tune", &synthesizer.tune, &["checkpoint_every_tokens", "least_pairs"])?;
        let Train { beta1, beta2, epsilon, clip, .. } = recipe.base_training(self.0).train;
        config.put("train", json!({"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip": clip}))?;
        config.put("generate", json!({"max_seed_tokens": recipe.seed_tokens(self.0)}))?;
        config.put("shuffled", recipe.pairs[recipe.pair_set(&synthesizer.pairs)].is_shuffled())
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let [_, tokens] = context.texts_of(set_of(context, self.0));
        inputs.add_tokens("the unique tokens", &tokens, "unique")?;
        inputs.add_tokens("the selection tokens", &tokens, "selection")?;
        inputs.add("the base model", context.base_of(self.0), "best/model.safetensors")?;
        inputs.add("the training pairs", context.pairs_of(self.0), "train.parquet")?;
        inputs.add("the held-out pairs", context.pairs_of(self.0), "held_out.parquet")?;
        inputs.truth()
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, self.0, place, monitor)
    }

    fn resumes(&self) -> bool {
        true
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        Some(&recipe.base_training(self.0).model)
    }

    fn keeps_checkpoints(&self, recipe: &Recipe) -> Option<usize> {
        Some(recipe.train.keep_checkpoints)
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        let tune = &recipe.synthesizers[self.0].tune;
        let bytes = training_bytes(model, tune.batch_tokens, longest(tune.context));
        Some(("tuning this recipe's synthesizer", bytes))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let size = estimate.size(self.0);
        let config = estimate.config(self);
        let (flops, _) = tuning_flops(estimate.recipe, self.0, estimate.vocabulary(), estimate.mean(), size);
        let wall_s = estimate.steps_s(&config, flops, size.steps as f64);
        let measured = estimate.measured.lessons.contains_key(&self.0);
        Cost {
            documents: size.pairs as f64,
            tokens: size.tokens as f64,
            flops,
            bytes: estimate.training_bytes(self),
            wall_s: wall_s + checks_s(estimate, &config, self.0, size),
            known: if measured { &["documents", "tokens"] } else { &[] },
        }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        let recipe = estimate.recipe;
        let pairs = estimate.pairs(recipe.pair_set(&recipe.synthesizers[self.0].pairs));
        estimate.model_memory(self) + pairs * 24.0
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

/// Seconds of scoring held-out pairs, each after three seeds: at every measurement while the synthesizer at `at` is tuned, and before and
/// after.
fn checks_s(estimate: &Estimate<'_>, config: &cognate_model::Config, at: usize, size: Size) -> f64 {
    let synthesizer = &estimate.recipe.synthesizers[at];
    let (tune, held_out) = (&synthesizer.tune, estimate.held_out(estimate.recipe.pair_set(&synthesizer.pairs)));
    let times = tune.validate_every_tokens.map_or(20.0, |every| size.tokens as f64 / every as f64);
    let choosing = (tune.validate_pairs as f64).min(held_out / 2.0);
    let others = (tune.relation_pairs as f64).min(held_out - choosing);
    let length = size.tokens as f64 / (size.pairs as f64 * f64::from(tune.epochs)).max(1.0);
    let tokens = 3.0 * (times * choosing + 2.0 * others) * length;
    estimate.passes_s(config.forward_flops(tokens, tokens / 2.0, length / 2.0))
}

fn work(context: &Context<'_>, at: usize, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
    let (recipe, settings) = (context.recipe, &context.recipe.synthesizers[at].tune);
    let Lesson { tokenizer, documents, pairs, all_pairs, stream, validation, contrast, measuring, .. } =
        Lesson::new(context, at)?;
    if pairs < all_pairs {
        tracing::info!("{}: {pairs} of {all_pairs} training pairs, by max_pairs", Step::Tune(at).label(recipe));
    }
    let train_config = &recipe.base_training(at).train;
    let every = |tokens: Option<u64>| {
        let tokens = tokens.unwrap_or(stream.tokens() / 20);
        (tokens * stream.steps() / stream.tokens().max(1)).max(1)
    };
    let config = TrainConfig {
        schedule: Schedule {
            peak_rate: settings.rate,
            final_rate: settings.rate,
            warmup_share: settings.warmup_share,
            shape: Shape::Constant,
        },
        beta1: train_config.beta1,
        beta2: train_config.beta2,
        epsilon: train_config.epsilon,
        weight_decay: settings.weight_decay,
        clip: train_config.clip,
        validate_every: every(settings.validate_every_tokens),
        checkpoint_every: every(settings.checkpoint_every_tokens),
        keep_checkpoints: train_config.keep_checkpoints,
    };
    let files = TokenizerFiles { related: Some(tokenizer.related()?), ..tokenizer_files(&tokenizer) };
    let job = Job {
        stream: &stream,
        validation: &validation,
        choice: &[],
        contrast: contrast.as_ref(),
        config: &config,
        folder: place.folder,
        tokenizer: Some(&files),
        fingerprint: &place.fingerprint.to_string(),
    };
    let base = context.base_of(at).path("best");
    let (mut model, _) = Decoder::load(context.device()?, &base)?;
    let outcome = train(&mut model, &job, monitor)?;
    let mut trained = trained(model.config().parameters(), &outcome.progress);
    trained.pairs_of = settings.max_pairs.map(|_| all_pairs as u64);
    if distinct_seeds(&measuring) >= LEAST_SEEDS {
        let measured = Measured { context, at, tokenizer: &tokenizer, documents: &documents, pairs: &measuring };
        let (before, before_each) = measured.relation(&base, monitor)?;
        let (after, each) = measured.relation(&outcome.best, monitor)?;
        let relations = Relations { before, after };
        // A part of a document is not as likely as the whole. Of texts that were made of documents a world knows nothing.
        let of_documents = recipe.texts_of(set_of(context, at)).is_none();
        trained.learned = match after.seeds_cut + after.targets_cut {
            0 if of_documents => learned(context, &measuring, &each, &before_each, monitor)?,
            _ => None,
        };
        if recipe.corpus.world.is_some() && of_documents && trained.learned.is_none() {
            tracing::warn!(
                "{}: what share of the relation is learned cannot be said: {} seeds and {} targets are cut, and of {} pairs those that are true \
                 tell nothing. Raise [generate] max_seed_tokens or [tune] context, or give true pairs",
                Step::Tune(at).label(recipe),
                after.seeds_cut,
                after.targets_cut,
                after.pairs
            );
        }
        // Of a control nothing is expected.
        if !is_shuffled(context, at) {
            tell_use_of_seed(&Step::Tune(at).label(recipe), &relations.after);
        }
        trained.relation = Some(relations);
    }
    finish(place.folder, &outcome, &trained, pairs as u64)
}

/// Says whether the synthesizer of the stage `label` makes anything of its seed, and how much: `after` is what it knows of held-out pairs
/// once it is tuned.
pub fn tell_use_of_seed(label: &str, after: &Relation) {
    let saved = |gain: cognate_statistics::Estimate| match gain.stderr {
        Some(stderr) => format!("{:.3} ± {stderr:.3}", gain.value),
        None => format!("{:.3}", gain.value),
    };
    let saves = format!(
        "saves {} nats per token over a random one and {} over none (± one standard error, {} held-out pairs)",
        saved(after.gain_over_random),
        saved(after.gain_over_none),
        after.pairs
    );
    if after.is_nothing() {
        tracing::warn!("{label}: {NOT_USED} the true seed {saves}");
    } else {
        tracing::info!("{label}: the synthesizer uses its seed: the true one {saves}");
    }
}

/// What a synthesizer learns and is measured on; nothing of it needs a model.
struct Lesson {
    tokenizer: Tokenizer,
    documents: Documents,
    /// Pairs that are learned, and how many they are drawn from.
    pairs: usize,
    all_pairs: usize,
    /// Held-out pairs, all of them.
    held_out: usize,
    stream: PairStream,
    /// The held-out pairs that choose the checkpoint.
    validation: Vec<ScoreItem>,
    /// What their seeds are compared with; none where they are too few.
    contrast: Option<Contrast>,
    /// The held-out pairs on which the chosen one is measured.
    measuring: Vec<Pair>,
}

impl Lesson {
    fn new(context: &Context<'_>, at: usize) -> Result<Self> {
        let (recipe, settings) = (context.recipe, &context.recipe.synthesizers[at].tune);
        let shuffled = is_shuffled(context, at);
        let tokenizer = context.tokenizer()?;
        let documents = Documents::of(context, set_of(context, at), context.monitor)?;
        let path = context.pairs_of(at).path("train.parquet");
        let read = if shuffled { read_shuffled_pairs } else { read_pairs };
        let training: Vec<(u32, u32)> = read(&path, &documents.ids, context.monitor)?.iter().map(numbers).collect();
        let all_pairs = training.len();
        let training = training_pairs(&training, settings.max_pairs, recipe.seed);
        // A control is measured on the pairs that the synthesizer of related documents is measured on.
        let HeldOut { all, mut choosing, measuring } = HeldOut::of(context, at, &documents)?;
        if shuffled {
            choosing = shuffle_targets(&choosing, recipe.seed, context.monitor)?;
        }
        let frame = PairTokens {
            begin_of_document: tokenizer.begin_of_document(),
            related: tokenizer.related()?,
            context: settings.context,
        };
        let (epochs, batch_tokens) = (settings.epochs, settings.batch_tokens);
        let stream = PairStream::new(documents.unique_tokens(), &training, epochs, batch_tokens, frame, recipe.seed)?;
        let choosing: Vec<(u32, u32)> = choosing.iter().map(numbers).collect();
        let tokens = |number: u32| documents.tokens(number);
        // Of shuffled pairs no seed is the right one.
        let contrast = match shuffled {
            false => frame.contrast(tokens, &choosing, all.iter().map(|pair| pair.first), recipe.seed),
            true => None,
        };
        let validation = choosing.iter().map(|&(first, second)| frame.item(tokens(first), tokens(second))).collect();
        let (pairs, held_out) = (training.len(), all.len());
        Ok(Self { tokenizer, documents, pairs, all_pairs, held_out, stream, validation, contrast, measuring })
    }
}

fn numbers(pair: &Pair) -> (u32, u32) {
    (pair.first, pair.second)
}

/// The set of pairs that the synthesizer at `at` learns from.
fn set_of(context: &Context<'_>, at: usize) -> usize {
    context.recipe.pair_set(&context.recipe.synthesizers[at].pairs)
}

/// Whether nothing but chance relates the pairs that the synthesizer at `at` learns from.
fn is_shuffled(context: &Context<'_>, at: usize) -> bool {
    context.recipe.pairs[set_of(context, at)].is_shuffled()
}

/// Refuses pairs that nothing could be learned from, and warns where too few are held out to say what was.
pub(crate) fn check(context: &Context<'_>, at: usize) -> Result<()> {
    let lesson = Lesson::new(context, at)?;
    if lesson.validation.is_empty() {
        let most = context.recipe.synthesizers[at].tune.validate_pairs;
        tracing::warn!("{}", nothing_to_choose_by(lesson.held_out, most));
    }
    let seeds = distinct_seeds(&lesson.measuring);
    if seeds < LEAST_SEEDS {
        tracing::warn!("{seeds} held-out seeds are too few to say what tuning taught: {MORE_HELD_OUT}");
    }
    Ok(())
}

/// What gives more held-out pairs.
const MORE_HELD_OUT: &str = "raise [corpus] selection_share, or [pair] held_out_share where that measures";

/// Why there is no pair to choose a checkpoint by, of so many that are held out: up to `most` and at most half of them may choose.
fn nothing_to_choose_by(held_out: usize, most: usize) -> String {
    let helps = if most < held_out / 2 { "raise [tune] validate_pairs" } else { MORE_HELD_OUT };
    format!("of {held_out} held-out pairs none is left to choose a checkpoint by, so the last one is taken: {helps}")
}

/// How much the synthesizer at `at` would learn from.
pub(crate) fn size(context: &Context<'_>, at: usize) -> Result<Size> {
    let lesson = Lesson::new(context, at)?;
    Ok(Size { pairs: lesson.pairs as u64, steps: lesson.stream.steps(), tokens: lesson.stream.tokens() })
}

fn distinct_seeds(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.first).collect::<BTreeSet<u32>>().len()
}

/// The pairs that are learned: all, or as many as are wanted, drawn once.
pub fn training_pairs(pairs: &[(u32, u32)], most: Option<usize>, seed: u64) -> Vec<(u32, u32)> {
    draw(pairs, most.unwrap_or(pairs.len()), seed, "training pairs")
}

/// What the relation of held-out pairs is measured with.
struct Measured<'a> {
    context: &'a Context<'a>,
    /// The synthesizer's place.
    at: usize,
    tokenizer: &'a Tokenizer,
    documents: &'a Documents,
    pairs: &'a [Pair],
}

impl Measured<'_> {
    fn relation(&self, checkpoint: &Path, monitor: &dyn Monitor) -> Result<(Relation, Vec<PairLoss>)> {
        let recipe = self.context.recipe;
        let tokens = |document: u32| self.documents.tokens(document);
        let pairs: Vec<_> = self.pairs.iter().map(|pair| (tokens(pair.first), tokens(pair.second))).collect();
        let options = RelationOptions {
            max_seed_tokens: recipe.seed_tokens(self.at),
            seed: recipe.seed,
            batch_tokens: BATCH_TOKENS,
        };
        let (mut model, _) = Decoder::load(self.context.device()?, checkpoint)?;
        Ok(relation(&mut model, self.tokenizer, &pairs, options, monitor)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_pairs_to_choose_by_is_what_bounds_them() {
        let helps = |held_out, most| nothing_to_choose_by(held_out, most).split_once("taken: ").unwrap().1.to_owned();
        for held_out in [0, 1, 3] {
            assert_eq!(
                helps(held_out, 1),
                "raise [corpus] selection_share, or [pair] held_out_share where that measures"
            );
        }
        assert_eq!(helps(4, 2), helps(0, 1));
        // Both directions of a pair go together.
        assert_eq!(helps(4, 1), "raise [tune] validate_pairs");
    }

    #[test]
    fn as_many_pairs_are_learned_as_are_wanted_and_not_the_first() {
        let pairs: Vec<(u32, u32)> = (0..100).map(|i| (i, i + 1)).collect();
        let some = training_pairs(&pairs, Some(20), 3);
        assert_eq!(some.len(), 20);
        assert!(some.is_sorted() && some[19].0 > 50, "{some:?}");
        assert_ne!(some, training_pairs(&pairs, Some(20), 4));
        assert_eq!((training_pairs(&pairs, None, 3), training_pairs(&pairs, Some(101), 3)), (pairs.clone(), pairs));
    }
}
