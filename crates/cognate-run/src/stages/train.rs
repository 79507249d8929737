//! `train` for every arm, and `tune`: one training loop, other data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cognate_base::random::{self, SliceRandom};
use cognate_base::{Hash, Monitor};
use cognate_corpus::{TokenFile, Tokenizer};
use cognate_eval::{Relation, RelationOptions, relation};
use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Decoder, ScoreItem};
use cognate_pair::{Pair, read_pairs, read_vectors};
use cognate_train::{
    Job, Outcome, PairStream, PairTokens, PlainStream, Point, Progress, Schedule, Shape, Source, Stream, TrainConfig,
    train,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::arms::{Diet, equal_flops_steps};
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::plan::model_config;
use crate::recipe::{Arm, ArmKind, Synthesis};
use crate::rundir::Work;
use crate::stage::{Replicate, Step, weight_decays};
use crate::stages::regularised::{self, Sweep, Taken};
use crate::stages::relations::{Packing, rows_of_related};

/// Tokens scored together; changes the speed, never a result.
pub(crate) const BATCH_TOKENS: usize = 4096;
/// Held-out seeds below which a comparison of true and random seeds says nothing.
const LEAST_SEEDS: usize = 3;

/// Statistics of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trained {
    pub(crate) parameters: usize,
    pub(crate) steps: u64,
    pub(crate) tokens: u64,
    pub(crate) scored_tokens: u64,
    pub(crate) best_step: u64,
    pub(crate) best_nats: Option<f64>,
    pub(crate) curve: Vec<Point>,
    /// What an arm was trained on; none for the synthesizer.
    pub(crate) diet: Option<Diet>,
    /// What tuning taught; none for an arm.
    pub(crate) relation: Option<Relations>,
    /// How its weight decay was chosen, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sweep: Option<Sweep>,
    /// Where it was trained, if not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken: Option<Taken>,
    /// How it diverged, in words: such a model is a candidate that lost, and there is no more of it than what it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diverged: Option<String>,
    /// How documents were packed, where several stand in one context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packing: Option<Packing>,
}

/// What a synthesizer knows about held-out pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Relations {
    pub(crate) before: Relation,
    pub(crate) after: Relation,
}

/// The stage `train` for one final model.
pub(crate) fn train_stage(
    context: &Context<'_>,
    replicate: Replicate,
    folder: &Path,
    fingerprint: Hash,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let arm = &recipe.arms[replicate.arm];
    let weight_decay = match arm.kind {
        ArmKind::Regularised { .. } if replicate.seed == recipe.seed => {
            return regularised::choose(context, replicate.arm, folder, monitor);
        }
        ArmKind::Regularised { .. } => regularised::chosen(context, replicate.arm)?,
        _ => recipe.train.weight_decay,
    };
    let repetition = recipe.arms.iter().position(|other| other.kind == ArmKind::Repetition);
    if let (ArmKind::Regularised { .. }, Some(repetition)) = (&arm.kind, repetition)
        && weight_decay == recipe.train.weight_decay
    {
        let same = Step::Train(Replicate { arm: repetition, seed: replicate.seed });
        return Ok(regularised::take(context, same, folder)?.0);
    }
    train_arm(context, Training { arm, seed: replicate.seed, weight_decay }, folder, fingerprint, monitor)
}

/// The stage `train` for one weight decay that the arm at `arm` chooses from. Where its loss or gradient is no longer a number, what it
/// cost is all that it leaves: the others may still do.
pub(crate) fn sweep_stage(
    context: &Context<'_>,
    (arm, decay): (usize, usize),
    folder: &Path,
    fingerprint: Hash,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let arm = &context.recipe.arms[arm];
    let weight_decay = weight_decays(&arm.kind)[decay];
    let training = Training { arm, seed: context.recipe.seed, weight_decay };
    match train_arm(context, training, folder, fingerprint, monitor) {
        Err(Error::Train(cognate_train::Error::NotFinite { step, what, value, progress, .. })) => {
            let diverged = format!("the {what} of step {step} is {value}");
            tracing::warn!("{}, weight decay {weight_decay}: {diverged}; it counts as lost", arm.name);
            let parameters = model_config(context.recipe, context.tokenized()?.vocabulary).parameters();
            let trained = Trained { diverged: Some(diverged), ..trained(parameters, &progress) };
            Ok(made(&["metrics.jsonl"], &trained, &progress, 0))
        }
        made => made,
    }
}

/// What one training of an arm is.
struct Training<'a> {
    arm: &'a Arm,
    seed: u64,
    weight_decay: f64,
}

fn train_arm(
    context: &Context<'_>,
    training: Training<'_>,
    folder: &Path,
    fingerprint: Hash,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let Training { arm, seed, weight_decay } = training;
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let tokenized = context.tokenized()?;
    let settings = &recipe.train;
    let steps = match arm.kind {
        ArmKind::EqualFlops => equal_flops_steps(context, seed)?,
        _ => settings.steps(),
    };
    let splits = (tokenized.unique.tokens, tokenized.oracle.tokens);
    let mut diet = Diet::of_tokens(recipe, arm, steps * settings.batch_tokens as u64, splits);
    let mut sources = sources(context, arm, &diet)?;
    let mut packing = None;
    if let (ArmKind::RelatedContext, [unique]) = (&arm.kind, sources.as_mut_slice()) {
        let (rows, packed) = rows_of_related(context, monitor)?;
        (unique.rows, packing) = (Some(rows), Some(packed));
    }
    let stream = PlainStream::new(
        sources,
        steps,
        settings.batch_tokens,
        recipe.model.context,
        tokenizer.end_of_document(),
        seed,
    )?;
    if let Some(packing) = &mut packing {
        packing.cut_rows = Some(stream.cut_rows());
    }
    if let (Some(_), Some(synthetic)) = (arm.kind.synthetic(), stream.tokens_by_source().get(1)) {
        diet.take_synthetic(*synthetic);
    }
    let validation = validation_items(
        &context.tokens("tokenize", "validation")?,
        settings.validate_documents,
        recipe.model.context,
        tokenizer.end_of_document(),
        recipe.seed,
    );
    let every = |tokens: u64| (tokens / settings.batch_tokens as u64).max(1);
    let config = TrainConfig {
        schedule: Schedule {
            peak_rate: settings.peak_rate,
            final_rate: settings.final_rate,
            warmup_share: settings.warmup_share,
            shape: Shape::Cosine,
        },
        beta1: settings.beta1,
        beta2: settings.beta2,
        epsilon: settings.epsilon,
        weight_decay,
        clip: settings.clip,
        validate_every: every(settings.validate_every_tokens),
        checkpoint_every: every(settings.checkpoint_every_tokens),
        keep_checkpoints: settings.keep_checkpoints,
    };
    let job = Job {
        stream: &stream,
        validation: &validation,
        config: &config,
        folder,
        tokenizer: Some(&tokenizer_files(&tokenizer)?),
        fingerprint: &fingerprint.to_string(),
    };
    let mut model = Decoder::new(context.device()?, model_config(recipe, tokenized.vocabulary), seed)?;
    let outcome = train(&mut model, &job, monitor)?;
    let mut trained = trained(model.config().parameters(), &outcome.progress);
    (trained.diet, trained.packing) = (Some(diet), packing);
    let mut made = finish(folder, &outcome, &trained, 0)?;
    made.work.flops += packing.map_or(0.0, |packing| packing.search_flops);
    Ok(made)
}

/// Where an arm's tokens come from.
fn sources(context: &Context<'_>, arm: &Arm, diet: &Diet) -> Result<Vec<Source>> {
    let source = |name: &str, artifact: &Path, tokens: u64, repeat: bool| -> Result<Source> {
        Ok(Source { name: name.to_owned(), file: context.tokens(artifact, name)?, rows: None, tokens, repeat })
    };
    let real = Path::new("tokenize");
    let total = diet.train_tokens;
    if let ArmKind::Oracle { max_epochs } = arm.kind {
        let unique = context.tokens(real, "unique")?.tokens();
        // Each split gives in proportion to what it holds.
        let share = (u128::from(total) * u128::from(unique) / u128::from(diet.unique_tokens.max(1))) as u64;
        let repeat = max_epochs > 1.0;
        return Ok(vec![source("unique", real, share, repeat)?, source("oracle", real, total - share, repeat)?]);
    }
    let mut sources = vec![source("unique", real, total - diet.synthetic_tokens, true)?];
    if let (Some(filter), 1..) = (context.filter_of(&arm.kind), diet.synthetic_tokens) {
        sources.push(source("synthetic", &filter, diet.synthetic_tokens, false)?);
    }
    Ok(sources)
}

/// Documents to measure the loss on, drawn once, in pieces of `context` tokens as training sees them.
pub fn validation_items(file: &TokenFile, documents: usize, context: usize, begin: u32, seed: u64) -> Vec<ScoreItem> {
    let mut order: Vec<usize> = (0..file.documents()).collect();
    order.shuffle(&mut random::stream(seed, "validation documents", 0));
    order.truncate(documents);
    order.sort_unstable();
    let mut items = Vec::new();
    for document in order {
        let tokens = file.document(document);
        for (i, piece) in tokens.chunks(context).enumerate() {
            let before = if i == 0 { begin } else { tokens[i * context - 1] };
            items.push(ScoreItem { prompt: vec![before], continuation: piece.to_vec() });
        }
    }
    items
}

/// The stage `tune`.
pub(crate) fn tune_stage(
    context: &Context<'_>,
    synthesis: Synthesis,
    folder: &Path,
    fingerprint: Hash,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let (recipe, settings) = (context.recipe, &context.recipe.tune);
    let tokenizer = context.tokenizer()?;
    let file = context.tokens("tokenize", "unique")?;
    let ids = read_vectors(&context.artifact("embed").path("vectors.parquet"))?.ids;
    let pairs = |name: &str| -> Result<Vec<(u32, u32)>> {
        let pairs: Vec<Pair> = read_pairs(&context.artifact("pair").path(name), &ids)?;
        Ok(pairs.iter().map(|pair| (pair.first, pair.second)).collect())
    };
    let (mut training, held_out) = (pairs("train.parquet")?, pairs("held_out.parquet")?);
    // A control is measured on the pairs that the synthesizer of related documents is measured on.
    let (mut choosing, others) = part_pairs(&held_out, settings.validate_pairs, recipe.seed);
    if synthesis == Synthesis::RandomPairs {
        training = shuffle_targets(&training, recipe.seed);
        choosing = shuffle_targets(&choosing, recipe.seed);
    }
    let frame = PairTokens {
        end_of_document: tokenizer.end_of_document(),
        related: tokenizer.related()?,
        context: settings.context,
    };
    let stream = PairStream::new(file.clone(), &training, settings.epochs, settings.batch_tokens, frame, recipe.seed)?;
    let validation: Vec<ScoreItem> =
        choosing.iter().map(|(first, second)| frame.item(&file, *first, *second)).collect();
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
        beta1: recipe.train.beta1,
        beta2: recipe.train.beta2,
        epsilon: recipe.train.epsilon,
        weight_decay: settings.weight_decay,
        clip: recipe.train.clip,
        validate_every: every(settings.validate_every_tokens),
        checkpoint_every: every(settings.checkpoint_every_tokens),
        keep_checkpoints: recipe.train.keep_checkpoints,
    };
    let job = Job {
        stream: &stream,
        validation: &validation,
        config: &config,
        folder,
        tokenizer: Some(&tokenizer_files(&tokenizer)?),
        fingerprint: &fingerprint.to_string(),
    };
    let (mut model, _) = Decoder::load(context.device()?, &context.base().path("best"))?;
    let outcome = train(&mut model, &job, monitor)?;
    let mut trained = trained(model.config().parameters(), &outcome.progress);
    let drawn = draw(&others, settings.relation_pairs, recipe.seed, "relation pairs");
    // With three seeds, each pair has one to be compared with that is neither of its documents.
    let seeds: BTreeSet<u32> = drawn.iter().map(|(first, _)| *first).collect();
    if seeds.len() < LEAST_SEEDS {
        tracing::warn!(
            "{} held-out seeds are too few to say what tuning taught: raise [pair] held_out_share",
            seeds.len()
        );
    } else {
        let measured = Measured { context, tokenizer: &tokenizer, file: &file, pairs: &drawn };
        let before = measured.relation(&context.base().path("best"), monitor)?;
        trained.relation = Some(Relations { before, after: measured.relation(&outcome.best, monitor)? });
    }
    finish(folder, &outcome, &trained, training.len() as u64)
}

/// The same seeds with the same targets, each target now behind a random seed: every document is a seed and a target as often as
/// before, and nothing but chance relates the two. No document is its own target, except where there is no other.
pub(crate) fn shuffle_targets(pairs: &[Numbers], seed: u64) -> Vec<Numbers> {
    let mut targets: Vec<u32> = pairs.iter().map(|(_, target)| *target).collect();
    let mut stream = random::stream(seed, "random pairs", 0);
    targets.shuffle(&mut stream);
    for at in 0..pairs.len() {
        if pairs[at].0 == targets[at] {
            // Changing places with another keeps how often each is a target; one of the two must not become its own.
            let other = (1..pairs.len()).map(|step| (at + step) % pairs.len());
            let mut fitting = other.filter(|&other| targets[other] != pairs[at].0 && pairs[other].0 != targets[at]);
            if let Some(other) = fitting.next() {
                targets.swap(at, other);
            }
        }
    }
    pairs.iter().zip(targets).map(|((first, _), target)| (*first, target)).collect()
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
            max_seed_tokens: recipe.generate.max_seed_tokens,
            seed: recipe.seed,
            batch_tokens: BATCH_TOKENS,
        };
        let (mut model, _) = Decoder::load(self.context.device()?, checkpoint)?;
        Ok(relation(&mut model, self.tokenizer, &pairs, options, monitor)?)
    }
}

fn trained(parameters: usize, progress: &Progress) -> Trained {
    Trained {
        parameters,
        steps: progress.step,
        tokens: progress.tokens,
        scored_tokens: progress.scored_tokens,
        best_step: progress.best.map_or(progress.step, |(step, _)| step),
        best_nats: progress.best.map(|(_, nats)| nats),
        curve: progress.curve.clone(),
        diet: None,
        relation: None,
        sweep: None,
        taken: None,
        diverged: None,
        packing: None,
    }
}

/// Puts the best and the last checkpoint under their names, without the optimizer's state.
fn finish(folder: &Path, outcome: &Outcome, trained: &Trained, documents: u64) -> Result<Made> {
    publish(&outcome.best, &folder.join("best"))?;
    publish(&outcome.last, &folder.join("final"))?;
    Ok(made(&["best", "final", "metrics.jsonl"], trained, &outcome.progress, documents))
}

fn made(files: &[&str], trained: &Trained, progress: &Progress, documents: u64) -> Made {
    let work = Work { statistics: json!(trained), flops: progress.flops, tokens: progress.tokens, documents };
    Made { files: files.iter().map(PathBuf::from).collect(), rows: BTreeMap::new(), work }
}

/// Gives a checkpoint's model files a second name: hard links where the file system has them, copies elsewhere.
fn publish(checkpoint: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    for entry in fs_err::read_dir(checkpoint)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if name == "optimizer.safetensors" || name == "training.json" {
            continue;
        }
        link(&path, &folder.join(name))?;
    }
    Ok(())
}

/// Gives a file that nobody writes into any more a second name.
pub(crate) fn link(path: &Path, second: &Path) -> Result<()> {
    if fs_err::hard_link(path, second).is_err() {
        fs_err::copy(path, second)?;
    }
    Ok(())
}

/// What a checkpoint holds of its tokenizer.
///
/// # Errors
/// When the tokenizer does not come out as JSON.
pub fn tokenizer_files(tokenizer: &Tokenizer) -> Result<TokenizerFiles> {
    let tokenizer_json = tokenizer.to_json();
    let id = tokenizer.end_of_document();
    let parsed: Value = serde_json::from_str(&tokenizer_json).map_err(|error| Error::Io(error.into()))?;
    let added = parsed.get("added_tokens").and_then(Value::as_array);
    let named =
        added.into_iter().flatten().find(|token| token.get("id").and_then(Value::as_u64) == Some(u64::from(id)));
    let text = named.and_then(|token| token.get("content")).and_then(Value::as_str);
    let text = text.unwrap_or(cognate_corpus::END_OF_DOCUMENT).to_owned();
    Ok(TokenizerFiles { tokenizer_json, end_of_document: (id, text) })
}

#[cfg(test)]
mod tests {
    use cognate_corpus::TokenWriter;

    use super::*;

    #[test]
    fn validation_pieces_hold_every_token_once() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("t");
        let mut writer = TokenWriter::create(&prefix, 100).unwrap();
        writer.push(&[5, 6, 7, 8, 9, 0]).unwrap();
        writer.push(&[4, 0]).unwrap();
        writer.finish().unwrap();
        let items = validation_items(&TokenFile::open(&prefix).unwrap(), 2, 4, 0, 1);
        let item =
            |prompt: u32, continuation: &[u32]| ScoreItem { prompt: vec![prompt], continuation: continuation.to_vec() };
        assert_eq!(items, [item(0, &[5, 6, 7, 8]), item(8, &[9, 0]), item(0, &[4, 0])]);
    }

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
    fn shuffled_pairs_keep_every_seed_and_target_and_lose_the_relation() {
        // Document i is related to i + 1, in both directions; of three documents, some are related to all others.
        let mut pairs: Vec<Numbers> = (0..200).flat_map(|i| [(i, i + 1), (i + 1, i)]).collect();
        let shuffled = shuffle_targets(&pairs, 3);
        assert_eq!(shuffled, shuffle_targets(&pairs, 3));
        assert_ne!(shuffled, shuffle_targets(&pairs, 4));
        let seeds = |pairs: &[Numbers]| pairs.iter().map(|pair| pair.0).collect::<Vec<_>>();
        let targets = |pairs: &[Numbers]| {
            let mut targets: Vec<u32> = pairs.iter().map(|pair| pair.1).collect();
            targets.sort_unstable();
            targets
        };
        assert_eq!((seeds(&shuffled), targets(&shuffled)), (seeds(&pairs), targets(&pairs)));
        assert!(shuffled.iter().all(|(seed, target)| seed != target));
        // About two of 400 by chance; ten are four standard deviations more.
        let related = shuffled.iter().filter(|(seed, target)| seed.abs_diff(*target) == 1).count();
        assert!(related < 10, "{related}");
        pairs.truncate(2);
        assert_eq!(shuffle_targets(&pairs, 3), pairs, "two documents have no other partner");
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
