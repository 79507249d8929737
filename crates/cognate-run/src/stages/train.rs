//! `train` for every arm: its data, its steps, and what a training leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::random::{self, SliceRandom};
use cognate_base::{Hash, Monitor};
use cognate_corpus::{TokenFile, Tokenizer};
use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Decoder, ScoreItem};
use cognate_train::{Job, Outcome, PlainStream, Point, Progress, Schedule, Shape, Source, TrainConfig, train};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::arms::{Diet, equal_flops_steps};
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::plan::model_config;
use crate::recipe::{Arm, ArmKind};
use crate::rundir::Work;
use crate::stage::{Replicate, Step, weight_decays};
use crate::stages::regularised::{self, Sweep, Taken};
use crate::stages::relations::{Packing, rows_of_related};
use crate::stages::tune::Relations;

/// Tokens scored together; changes the speed, never a result.
pub(crate) const BATCH_TOKENS: usize = 4096;
/// Statistics of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trained {
    pub(crate) parameters: usize,
    pub(crate) steps: u64,
    pub(crate) tokens: u64,
    pub(crate) scored_tokens: u64,
    pub(crate) best_step: u64,
    pub(crate) best_nats: Option<f64>,
    /// What it makes of the right seed, where that is what it is best by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best_gain: Option<f64>,
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
        tokenizer.begin_of_document(),
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
        tokenizer.begin_of_document(),
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
        contrast: None,
        config: &config,
        folder,
        tokenizer: Some(&tokenizer_files(&tokenizer)),
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

/// What a training left that went as `progress` says.
pub(crate) fn trained(parameters: usize, progress: &Progress) -> Trained {
    Trained {
        parameters,
        steps: progress.step,
        tokens: progress.tokens,
        scored_tokens: progress.scored_tokens,
        best_step: progress.best.map_or(progress.step, |(step, _)| step),
        best_nats: progress.best.map(|(_, nats)| nats),
        best_gain: progress.best_gain,
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
pub(crate) fn finish(folder: &Path, outcome: &Outcome, trained: &Trained, documents: u64) -> Result<Made> {
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
pub fn tokenizer_files(tokenizer: &Tokenizer) -> TokenizerFiles {
    TokenizerFiles {
        json: tokenizer.to_json(),
        config: tokenizer.config_json(),
        begin_of_document: tokenizer.begin_of_document(),
        end_of_document: tokenizer.end_of_document(),
        related: None,
    }
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
}
