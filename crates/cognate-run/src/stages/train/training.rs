//! One training: its data, its steps, and what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::copy_new;
use cognate_corpus::{TokenFile, Tokenizer};
use cognate_model::checkpoint::{TokenizerFiles, read_config};
use cognate_model::{Config, Decoder};
use cognate_train::{
    DenoisingStream, DenoisingTokens, Job, Outcome, PlainStream, Point, Progress, Schedule, Shape, Source, Stream,
    TrainConfig, train, validation_items,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::equal_flops::equal_flops_steps;
use super::sweep::{self, Sweep, Taken};
use super::{start_folder, start_of};
use crate::arms::Diet;
use crate::context::{Context, Made};
use crate::device::Model;
use crate::error::{Error, Result};
use crate::recipe::{Contexts, Init, Order, Real, Recipe, Training, max_positions, model_config};
use crate::rundir::Work;
use crate::stages::Place;
use crate::stages::of_world::Learned;
use crate::stages::related::{Packing, rows_of_related};
use crate::stages::teach;
use crate::stages::tune::Relations;
use crate::step::{Replicate, Step, same_training};

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
    /// Pairs that those it learned from were drawn from, where `max_pairs` says how many these are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pairs_of: Option<u64>,
    /// What tuning taught; none for an arm.
    pub(crate) relation: Option<Relations>,
    /// How much of what pairs share it has learned, in a world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) learned: Option<Learned>,
    /// How it was chosen, where its arm has a sweep.
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

/// Trains a final model, chooses it, or takes it from where it was trained.
pub(super) fn final_model(
    context: &Context<'_>,
    model: Replicate,
    place: Place<'_>,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let arm = &recipe.arms[model.arm];
    if arm.sweep.is_empty() {
        return train_model(context, &arm.training, model.seed, place, monitor);
    }
    if model.seed == recipe.seed {
        return sweep::choose(context, model.arm, place.folder, monitor);
    }
    let chosen = sweep::chosen(context, model.arm)?;
    match same_training(recipe, model, chosen) {
        Some(same) => Ok(sweep::take(context, same, place.folder)?.0),
        None => train_model(context, &arm.sweep[chosen].training, model.seed, place, monitor),
    }
}

/// Trains a candidate that the arm at `arm` chooses from. Where its loss or gradient is no longer a number, what it
/// cost is all that it leaves: the others may still do.
pub(super) fn candidate(
    context: &Context<'_>,
    (arm, candidate): (usize, usize),
    place: Place<'_>,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let training = &recipe.arms[arm].sweep[candidate].training;
    match train_model(context, training, recipe.seed, place, monitor) {
        Err(Error::Train(cognate_train::Error::NotFinite { step, what, value, progress, .. })) => {
            let diverged = format!("the {what} of step {step} is {value}");
            tracing::warn!("{}: {diverged}; it counts as lost", Step::Sweep { arm, candidate }.label(recipe));
            let parameters = model_config(recipe, &training.model, context.tokenized()?.vocabulary).parameters();
            let trained = Trained { diverged: Some(diverged), ..trained(parameters, &progress) };
            Ok(made(&["metrics.jsonl"], &trained, &progress, 0))
        }
        made => made,
    }
}

fn train_model(
    context: &Context<'_>,
    training: &Training,
    seed: u64,
    place: Place<'_>,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let tokenizer = context.tokenizer()?;
    let tokenized = context.tokenized()?;
    let (settings, length) = (&training.train, training.model.context);
    let steps = match &training.operations_of {
        Some(other) => equal_flops_steps(context, Replicate { arm: recipe.arm(other), seed }, training)?,
        None => settings.steps(),
    };
    let splits = (tokenized.unique.tokens, tokenized.oracle.tokens);
    let mut diet = Diet::of(training, steps * settings.batch_tokens as u64, splits);
    let mut sources = sources(context, training, &diet)?;
    let mut packing = None;
    if let (Contexts::Related(embedding), Some(unique)) = (&training.contexts, sources.first_mut()) {
        let (rows, packed) = rows_of_related(context, embedding, length, monitor)?;
        (unique.rows, packing) = (Some(rows), Some(packed));
    }
    let tail = real_at_the_end(training.order, &diet);
    let begin = tokenizer.begin_of_document();
    // What is made of a piece must fit the context.
    let piece = settings.denoisers.map_or(length, |_| DenoisingStream::piece_tokens(length));
    let texts: Vec<TokenFile> = sources.iter().map(|source| source.file.clone()).collect();
    let mut stream = PlainStream::ending_in_first(tail, sources, steps, settings.batch_tokens, piece, begin, seed)?;
    if let Some(taught) = &settings.taught {
        let teachings = recipe.teachings_of(training).into_iter().zip(&texts);
        let teachings = teachings.map(|(at, text)| teach::open(context, at, text)).collect::<Result<Vec<_>>>()?;
        stream = stream.taught(teachings, taught.teacher_share, taught.teacher_temperature)?;
    }
    if let Some(packing) = &mut packing {
        packing.cut_rows = Some(stream.cut_rows());
    }
    if !training.synthetic.is_empty() {
        let by_source = stream.tokens_by_source();
        let real = if training.documents == Real::All { 2 } else { 1 };
        diet.take_synthetic(by_source.iter().skip(real).sum());
    }
    let stream: Box<dyn Stream> = match settings.denoisers {
        None => Box::new(stream),
        Some(denoisers) => {
            let tokens = DenoisingTokens::of(begin, |name| tokenizer.special(name));
            let wanted_by = "mixture-of-denoisers".to_owned();
            let tokens = tokens.map_err(|token| Error::NoToken { token, wanted_by })?;
            Box::new(DenoisingStream::new(stream, denoisers.shares(), tokens, seed))
        }
    };
    let items = |split: &str| -> Result<_> {
        let file = context.tokens("tokenize", split)?;
        Ok(validation_items(&file, settings.validate_documents, length, tokenizer.begin_of_document(), recipe.seed))
    };
    // No arm is scored on what a choice is made by.
    let (validation, choice) = (items("validation")?, items("selection")?);
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
        weight_decay: settings.decay.at(settings.peak_rate, steps as f64 / diet.epochs.max(f64::MIN_POSITIVE)),
        clip: settings.clip,
        validate_every: every(settings.validate_every_tokens),
        checkpoint_every: every(settings.checkpoint_every_tokens),
        keep_checkpoints: settings.keep_checkpoints,
    };
    let job = Job {
        stream: &*stream,
        validation: &validation,
        choice: &choice,
        contrast: None,
        config: &config,
        folder: place.folder,
        tokenizer: Some(&tokenizer_files(&tokenizer)),
        fingerprint: &place.fingerprint.to_string(),
    };
    let mut model = start(context, training, seed, &tokenizer)?;
    let outcome = train(&mut model, &job, monitor)?;
    let mut trained = trained(model.config().parameters(), &outcome.progress);
    (trained.diet, trained.packing) = (Some(diet), packing);
    let mut made = finish(place.folder, &outcome, &trained, 0)?;
    made.work.flops += packing.map_or(0.0, |packing| packing.search_flops);
    Ok(made)
}

/// The model as a training begins.
fn start(context: &Context<'_>, training: &Training, seed: u64, tokenizer: &Tokenizer) -> Result<Model> {
    let recipe = context.recipe;
    let config = model_config(recipe, &training.model, tokenizer.vocab_size());
    let folder = match &training.init {
        None => return Ok(Decoder::new(context.device()?, config, seed)?),
        Some(Init::Model(model)) => context.made(start_of(recipe, model, seed)).path(start_folder(model)),
        Some(Init::Folder(folder)) => recipe.at(folder),
    };
    let (mut model, _) = Decoder::load(context.device()?, &folder)?;
    let positions = max_positions(recipe);
    if model.config().max_positions != positions {
        // It is scored in windows of as many tokens as every other arm's model is.
        let config = Config { max_positions: positions, ..model.config().clone() };
        model = Decoder::with_parameters(context.device()?, config, &model.parameters())?;
    }
    let (rows, tokens) = (model.config().vocab, tokenizer.vocab_size());
    if rows >= tokens {
        return Ok(model);
    }
    // A published model has a row for each of its own tokens, and the run has one more.
    tracing::info!("{}: {rows} rows of its embedding become {tokens}, one for each token of the run", folder.display());
    Ok(model.with_rows(tokens)?)
}

/// Refuses a folder that a training of `recipe` starts from and cannot: one that holds no model, one of another shape, or one of another
/// tokenizer. What the run's tokenizer is need not be known yet.
pub(crate) fn check_init(recipe: &Recipe, training: &Training, tokenizer: Option<&Tokenizer>) -> Result<()> {
    let Some(Init::Folder(folder)) = &training.init else { return Ok(()) };
    let folder = recipe.at(folder);
    let refuse = |expected: String| {
        Err(Error::Setting { name: "arm.init".to_owned(), found: folder.display().to_string(), expected })
    };
    let (found, _) = read_config(&folder)?;
    let own = folder.join("tokenizer.json");
    // Which token a row is of, its tokenizer says: then a model may have rows to spare, or lack those of tokens that the run adds.
    let vocabulary = tokenizer.filter(|_| !own.exists()).map_or(found.vocab, Tokenizer::vocab_size);
    if let Some(difference) = shape_difference(&model_config(recipe, &training.model, vocabulary), &found) {
        return refuse(format!("a model of the arm's own shape: {difference}"));
    }
    if let Some(tokenizer) = tokenizer.filter(|_| own.exists())
        && Tokenizer::load(&own)?.to_json() != tokenizer.to_json()
    {
        return refuse(
            "a model of the run's own tokenizer: give [tokenize] tokenizer that folder's tokenizer.json".to_owned(),
        );
    }
    Ok(())
}

/// Where the shape of a model that a training starts from is not the one that the recipe asks for. It may be meant for more positions.
fn shape_difference(wanted: &Config, found: &Config) -> Option<String> {
    let of = |config: &Config| {
        [config.vocab, config.width, config.layers, config.heads, config.kv_heads, config.head_width, config.ffn]
    };
    let names = ["vocabulary", "width", "layers", "heads", "kv_heads", "head_width", "ffn"];
    let pairs = names.into_iter().zip(of(wanted).into_iter().zip(of(found)));
    let mut differing = pairs.filter(|(_, (wanted, found))| wanted != found);
    let size =
        differing.next().map(|(name, (wanted, found))| format!("the recipe has {name} {wanted}, and it has {found}"));
    let kind = [
        ("rope_base", wanted.rope_base.to_string(), found.rope_base.to_string()),
        ("norm_eps", wanted.norm_eps.to_string(), found.norm_eps.to_string()),
        ("qk_norm", wanted.qk_norm.to_string(), found.qk_norm.to_string()),
        ("tied", wanted.tied.to_string(), found.tied.to_string()),
    ];
    let kind = kind.into_iter().find(|(_, wanted, found)| wanted != found);
    let kind = kind.map(|(name, wanted, found)| format!("the recipe has {name} {wanted}, and it has {found}"));
    let short = found.max_positions < wanted.max_positions;
    let short = short
        .then(|| format!("it has {} positions, and the recipe needs {}", found.max_positions, wanted.max_positions));
    size.or(kind).or(short)
}

/// Share of the budget that is real at the end, in the order `real-last`.
const REAL_END: f64 = 0.1;

/// Tokens of real documents that come behind all others.
fn real_at_the_end(order: Order, diet: &Diet) -> u64 {
    let real = diet.train_tokens - diet.synthetic_tokens;
    match order {
        // Where all is real there is no order to speak of.
        _ if diet.synthetic_tokens == 0 => 0,
        Order::Mixed => 0,
        Order::SyntheticFirst => real,
        Order::RealLast => real.min((REAL_END * diet.train_tokens as f64) as u64),
    }
}

/// Where a training's tokens come from: real documents first.
pub(in super::super) fn sources(context: &Context<'_>, training: &Training, diet: &Diet) -> Result<Vec<Source>> {
    let source = |name: &str, artifact: &Path, file: &str, tokens: u64, repeat: bool| -> Result<Source> {
        Ok(Source { name: name.to_owned(), file: context.tokens(artifact, file)?, rows: None, tokens, repeat })
    };
    let tokenize = Path::new("tokenize");
    let real = diet.train_tokens - diet.synthetic_tokens;
    let mut sources = Vec::new();
    if training.documents == Real::All {
        let unique = context.tokens(tokenize, "unique")?.tokens();
        // Each split gives in proportion to what it holds.
        let share = (u128::from(real) * u128::from(unique) / u128::from(diet.unique_tokens.max(1))) as u64;
        let repeat = training.max_epochs.is_none_or(|most| most > 1.0);
        sources.push(source("unique", tokenize, "unique", share, repeat)?);
        sources.push(source("oracle", tokenize, "oracle", real - share, repeat)?);
    } else {
        sources.push(source("unique", tokenize, "unique", real, true)?);
    }
    let mut left = diet.synthetic_tokens;
    for (at, (corpus, share)) in training.synthetic.iter().enumerate() {
        // Each corpus has an order of its own.
        let name = if at == 0 { "synthetic".to_owned() } else { format!("synthetic {}", at + 1) };
        let filter = Step::Filter(context.recipe.corpus_of(corpus)).folder(context.recipe);
        let tokens = Training::tokens_of(*share, diet.train_tokens).min(left);
        left -= tokens;
        sources.push(source(&name, &filter, "synthetic", tokens, false)?);
    }
    Ok(sources)
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
        pairs_of: None,
        relation: None,
        learned: None,
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
        copy_new(path, second)?;
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
    use super::*;
    use crate::recipe::Decay;

    #[test]
    fn the_end_of_a_budget_is_real_as_its_order_says() {
        let diet = Diet { train_tokens: 1000, unique_tokens: 50, synthetic_tokens: 250, epochs: 15.0 };
        let end = |order| real_at_the_end(order, &diet);
        assert_eq!((end(Order::Mixed), end(Order::SyntheticFirst), end(Order::RealLast)), (0, 750, 100));
        let none = Diet { synthetic_tokens: 0, ..diet };
        assert_eq!(real_at_the_end(Order::RealLast, &none), 0);
        let few = Diet { synthetic_tokens: 960, ..diet };
        assert_eq!(real_at_the_end(Order::RealLast, &few), 40);
    }

    #[test]
    fn a_decay_in_epochs_lets_a_weight_fade_over_so_many() {
        let decay = Decay::Epochs { weight_decay_epochs: 0.5 };
        let (rate, steps_of_an_epoch) = (1e-2, 200.0);
        // A weight keeps 1 - rate · decay a step: 1/e is left after half an epoch.
        let left = (1.0 - rate * decay.at(rate, steps_of_an_epoch)).powf(0.5 * steps_of_an_epoch);
        assert!((left - (-1.0f64).exp()).abs() < 2e-3, "{left}");
        assert_eq!(Decay::Plain { weight_decay: 0.3 }.at(rate, steps_of_an_epoch), 0.3);
    }
}
