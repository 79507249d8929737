//! `tune`: the synthesizer learns to write one document of a pair after the other, and what it learned is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cognate_base::random::{self, SliceRandom};
use cognate_base::{Hash, Monitor};
use cognate_corpus::{TokenFile, Tokenizer};
use cognate_eval::{Relation, RelationOptions, relation};
use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Decoder, ScoreItem};
use cognate_pair::{Pair, read_pairs, read_shuffled_pairs, shuffle_targets};
use cognate_train::{Contrast, Job, PairStream, PairTokens, Schedule, Shape, Stream, TrainConfig, train};
use serde::{Deserialize, Serialize};

use super::train::{BATCH_TOKENS, finish, tokenizer_files, trained};
use crate::context::{Context, Made};
use crate::error::Result;
use crate::stage::Step;
use crate::stages::quality::unique_texts;

/// Held-out seeds below which a comparison of true and random seeds says nothing. With three, each pair has one to be compared with
/// that is neither of its documents.
const LEAST_SEEDS: usize = 3;

/// What is said of a synthesizer that makes nothing of its seed.
const NOT_USED: &str = "the synthesizer does not use its seed: on held-out pairs, the true seed saves no more than chance over a random one or over \
                        none. What it writes is not synthesis from related documents. More training, a larger model or better pairs may help";

/// What a synthesizer knows about held-out pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Relations {
    pub(crate) before: Relation,
    pub(crate) after: Relation,
}

/// The stage `tune`, of the synthesizer at `at`.
pub(crate) fn tune_stage(
    context: &Context<'_>,
    at: usize,
    folder: &Path,
    fingerprint: Hash,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let (recipe, settings) = (context.recipe, &context.recipe.synthesizers[at].tune);
    let Lesson { tokenizer, file, pairs, stream, validation, contrast, others } = Lesson::new(context, at)?;
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
        contrast: contrast.as_ref(),
        config: &config,
        folder,
        tokenizer: Some(&files),
        fingerprint: &fingerprint.to_string(),
    };
    let base = context.base_of(at).path("best");
    let (mut model, _) = Decoder::load(context.device()?, &base)?;
    let outcome = train(&mut model, &job, monitor)?;
    let mut trained = trained(model.config().parameters(), &outcome.progress);
    let drawn = draw(&others, settings.relation_pairs, recipe.seed, "relation pairs");
    if distinct_seeds(&drawn) >= LEAST_SEEDS {
        let measured = Measured { context, at, tokenizer: &tokenizer, file: &file, pairs: &drawn };
        let before = measured.relation(&base, monitor)?;
        let relations = Relations { before, after: measured.relation(&outcome.best, monitor)? };
        if !is_shuffled(context, at) && relations.after.is_nothing() {
            tracing::warn!("{}: {}", Step::Tune(at).label(recipe), NOT_USED);
        }
        trained.relation = Some(relations);
    }
    finish(folder, &outcome, &trained, pairs as u64)
}

/// What a synthesizer learns and is measured on; nothing of it needs a model.
struct Lesson {
    tokenizer: Tokenizer,
    file: TokenFile,
    /// Pairs that are learned.
    pairs: usize,
    stream: PairStream,
    /// The held-out pairs that choose the checkpoint.
    validation: Vec<ScoreItem>,
    /// What their seeds are compared with; none where they are too few.
    contrast: Option<Contrast>,
    /// The other held-out pairs.
    others: Vec<Numbers>,
}

impl Lesson {
    fn new(context: &Context<'_>, at: usize) -> Result<Self> {
        let (recipe, settings) = (context.recipe, &context.recipe.synthesizers[at].tune);
        let shuffled = is_shuffled(context, at);
        let tokenizer = context.tokenizer()?;
        let file = context.tokens("tokenize", "unique")?;
        let ids: Vec<String> = unique_texts(context, context.monitor)?.into_iter().map(|(id, _)| id).collect();
        let pairs = |name: &str| -> Result<Vec<Numbers>> {
            let path = context.pairs_of(at).path(name);
            let pairs = if shuffled { read_shuffled_pairs(&path, &ids)? } else { read_pairs(&path, &ids)? };
            Ok(pairs.iter().map(numbers).collect())
        };
        let (training, held_out) = (pairs("train.parquet")?, pairs("held_out.parquet")?);
        // A control is measured on the pairs that the synthesizer of related documents is measured on.
        let (mut choosing, others) = part_pairs(&held_out, settings.validate_pairs, recipe.seed);
        if shuffled {
            let pair = |&(first, second): &Numbers| Pair { first, second, similarity: f32::NAN };
            let pairs: Vec<Pair> = choosing.iter().map(pair).collect();
            choosing = shuffle_targets(&pairs, recipe.seed).iter().map(numbers).collect();
        }
        let frame = PairTokens {
            begin_of_document: tokenizer.begin_of_document(),
            related: tokenizer.related()?,
            context: settings.context,
        };
        let (epochs, batch_tokens) = (settings.epochs, settings.batch_tokens);
        let stream = PairStream::new(file.clone(), &training, epochs, batch_tokens, frame, recipe.seed)?;
        // Of shuffled pairs no seed is the right one.
        let contrast = match shuffled {
            false => frame.contrast(&file, &choosing, firsts(&held_out), recipe.seed),
            true => None,
        };
        let validation = choosing.iter().map(|(first, second)| frame.item(&file, *first, *second)).collect();
        Ok(Self { tokenizer, file, pairs: training.len(), stream, validation, contrast, others })
    }
}

fn numbers(pair: &Pair) -> Numbers {
    (pair.first, pair.second)
}

/// Whether nothing but chance relates the pairs that the synthesizer at `at` learns from.
fn is_shuffled(context: &Context<'_>, at: usize) -> bool {
    let recipe = context.recipe;
    recipe.pairs[recipe.pair_set(&recipe.synthesizers[at].pairs)].is_shuffled()
}

/// The seeds of pairs.
pub(crate) fn firsts(pairs: &[Numbers]) -> impl Iterator<Item = u32> {
    pairs.iter().map(|(first, _)| *first)
}

/// Refuses pairs that nothing could be learned from, and warns where too few are held out to say what was.
pub(crate) fn check(context: &Context<'_>, at: usize) -> Result<()> {
    let lesson = Lesson::new(context, at)?;
    let drawn = draw(
        &lesson.others,
        context.recipe.synthesizers[at].tune.relation_pairs,
        context.recipe.seed,
        "relation pairs",
    );
    let seeds = distinct_seeds(&drawn);
    if seeds < LEAST_SEEDS {
        tracing::warn!("{seeds} held-out seeds are too few to say what tuning taught: raise [pair] held_out_share");
    }
    Ok(())
}

/// How much a synthesizer learns from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    /// Training pairs.
    pub(crate) pairs: u64,
    /// Steps of all epochs.
    pub(crate) steps: u64,
    /// Tokens of all epochs.
    pub(crate) tokens: u64,
}

/// How much the synthesizer at `at` would learn from.
pub(crate) fn size(context: &Context<'_>, at: usize) -> Result<Size> {
    let lesson = Lesson::new(context, at)?;
    Ok(Size { pairs: lesson.pairs as u64, steps: lesson.stream.steps(), tokens: lesson.stream.tokens() })
}

fn distinct_seeds(pairs: &[Numbers]) -> usize {
    pairs.iter().map(|(first, _)| *first).collect::<BTreeSet<u32>>().len()
}

/// The numbers of a pair's documents.
pub(crate) type Numbers = (u32, u32);

/// Parts held-out pairs, each part in their order: those that choose the checkpoint, up to `most` and at most half of them, and
/// the others, on which the chosen one can be measured without having been chosen for that. Both directions of a pair go together.
pub(crate) fn part_pairs(pairs: &[Numbers], most: usize, seed: u64) -> (Vec<Numbers>, Vec<Numbers>) {
    let unordered = |(a, b): (u32, u32)| (a.min(b), a.max(b));
    let mut directions: BTreeMap<Numbers, usize> = BTreeMap::new();
    for pair in pairs {
        *directions.entry(unordered(*pair)).or_default() += 1;
    }
    let mut distinct: Vec<_> = directions.into_iter().collect();
    distinct.shuffle(&mut random::stream(seed, "validation pairs", 0));
    let mut room = most.min(pairs.len() / 2);
    let mut choosing = BTreeSet::new();
    for (pair, directions) in distinct {
        if directions <= room {
            room -= directions;
            choosing.insert(pair);
        }
    }
    pairs.iter().partition(|pair| choosing.contains(&unordered(**pair)))
}

/// `most` items, drawn once, in their order.
pub(crate) fn draw<T: Copy>(items: &[T], most: usize, seed: u64, purpose: &str) -> Vec<T> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.shuffle(&mut random::stream(seed, purpose, 0));
    order.truncate(most);
    order.sort_unstable();
    order.into_iter().map(|i| items[i]).collect()
}

/// What the relation of held-out pairs is measured with.
struct Measured<'a> {
    context: &'a Context<'a>,
    /// The synthesizer's place.
    at: usize,
    tokenizer: &'a Tokenizer,
    file: &'a TokenFile,
    pairs: &'a [(u32, u32)],
}

impl Measured<'_> {
    fn relation(&self, checkpoint: &Path, monitor: &dyn Monitor) -> Result<Relation> {
        let recipe = self.context.recipe;
        let tokens = |document: u32| self.file.document(document as usize);
        let pairs: Vec<_> = self.pairs.iter().map(|(first, second)| (tokens(*first), tokens(*second))).collect();
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
    fn a_draw_keeps_the_order_and_is_the_same_again() {
        let items: Vec<u32> = (0..100).collect();
        let drawn = draw(&items, 10, 3, "test");
        assert_eq!(drawn.len(), 10);
        assert!(drawn.is_sorted());
        assert_eq!(drawn, draw(&items, 10, 3, "test"));
        assert_eq!(draw(&items, 1000, 3, "test"), items);
    }

    #[test]
    fn pairs_that_choose_a_checkpoint_are_not_measured_in_either_direction() {
        let mut pairs: Vec<(u32, u32)> = (0..20).flat_map(|i| [(i, i + 100), (i + 100, i)]).collect();
        pairs.push((7, 300));
        for (most, chosen) in [(10, 10), (11, 11), (1000, 20), (1, 1)] {
            let (choosing, others) = part_pairs(&pairs, most, 3);
            // One pair has one direction only, so an odd number of places is filled as far as that one goes.
            assert!(choosing.len() == chosen || choosing.len() == chosen - 1, "{most}: {}", choosing.len());
            assert_eq!(choosing.len() + others.len(), pairs.len());
            for (a, b) in &choosing {
                assert!(!others.contains(&(*a, *b)) && !others.contains(&(*b, *a)), "{a} {b}");
            }
        }
        assert_eq!(part_pairs(&pairs, 10, 3), part_pairs(&pairs, 10, 3));
        assert_ne!(part_pairs(&pairs, 10, 3), part_pairs(&pairs, 10, 4));
    }
}
