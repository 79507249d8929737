//! The loop.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cognate_base::process::check_memory;
use cognate_base::{Monitor, Silent, Unit, Unsaved};
use cognate_model::checkpoint::TokenizerFiles;
use cognate_model::{Batch, Config, Decoder, Gradients, Moments, ScoreItem, score};
use cognate_ops::{AdamW, Device};

use crate::bench::ProductBench;
use crate::checkpoint::{Checkpoints, Point, Progress};
use crate::metrics::{Metrics, StepRecord, ValidationRecord};
use crate::{Error, Result, Schedule, Stream};

/// Tokens that one forward and backward pass holds at a time; the gradients of a batch's pieces are added up. A constant, so
/// that results do not depend on the machine; at this size the activations of a small model stay near the last-level cache.
pub(crate) const PIECE_TOKENS: usize = 2048;

/// Settings of a training run that are not about its data.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Learning rate over the steps.
    pub schedule: Schedule,
    /// AdamW's β₁.
    pub beta1: f64,
    /// AdamW's β₂.
    pub beta2: f64,
    /// AdamW's ε.
    pub epsilon: f64,
    /// Weight decay of matrices and tables, multiplied by the rate.
    pub weight_decay: f64,
    /// Largest gradient norm; a larger gradient is scaled down to it.
    pub clip: f64,
    /// Steps between validations. There is one before the first step and one after the last.
    pub validate_every: u64,
    /// Steps between checkpoints. There is one after the last step.
    pub checkpoint_every: u64,
    /// How many of the newest checkpoints to keep; the best is kept besides.
    pub keep_checkpoints: usize,
}

/// One training run.
pub struct Job<'a> {
    /// Its data.
    pub stream: &'a dyn Stream,
    /// What the validation loss is taken on; may be empty.
    pub validation: &'a [ScoreItem],
    /// What the best checkpoint is chosen by: the lowest loss on it. The validation loss chooses where this is empty.
    pub choice: &'a [ScoreItem],
    /// The same continuations after other contexts. Where there are some, the best checkpoint is the one that makes most of the right
    /// context; otherwise, and where none makes anything of it, the one with the lowest loss.
    pub contrast: Option<&'a Contrast>,
    /// Its settings.
    pub config: &'a TrainConfig,
    /// Where `metrics.jsonl`, TensorBoard's event files and `checkpoints/` go.
    pub folder: &'a Path,
    /// The tokenizer to put into every checkpoint.
    pub tokenizer: Option<&'a TokenizerFiles>,
    /// Identity of the run: saved state with another is refused.
    pub fingerprint: &'a str,
}

/// The continuations of the validation items, in their order, after contexts that should help less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contrast {
    /// After another document than the related one.
    pub random_seed: Vec<ScoreItem>,
    /// After none.
    pub no_seed: Vec<ScoreItem>,
}

/// What a finished training run leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps, tokens, operations, time, and the loss curve.
    pub progress: Progress,
    /// The last checkpoint.
    pub last: PathBuf,
    /// The checkpoint with the lowest loss on what it was chosen by, or that makes most of the right context; the last one where
    /// nothing was validated.
    pub best: PathBuf,
}

/// Trains `model`, from its present weights or from the newest checkpoint in the folder, to the end of the stream. A run that
/// was killed and started again ends with the same bits as one that was not.
///
/// # Errors
/// When the machine has too little memory, the loss or gradient is no longer a number (the last good checkpoint stays), saved state is damaged or another
/// run's, writing fails, or the monitor asks to stop (the state is saved first).
pub fn train<D: Device>(model: &mut Decoder<D>, job: &Job<'_>, monitor: &dyn Monitor) -> Result<Outcome> {
    check(job)?;
    check_room(model.config(), job.stream)?;
    let checkpoints = Checkpoints::new(job.folder);
    let mut moments = Moments::new(model);
    let resumed = checkpoints.resume(model, &mut moments, job.fingerprint)?;
    let last_saved = resumed.as_ref().map(|progress| progress.step);
    let mut run = Run {
        progress: resumed.unwrap_or_else(|| Progress::new(job.fingerprint)),
        gradients: model.gradients(),
        moments,
        batch: Batch::new(),
        started: Instant::now(),
        wall_before_s: 0.0,
        last_saved,
        product_rate: ProductBench::of(model.device(), model.config()).rate(),
        job,
        checkpoints,
    };
    run.wall_before_s = run.progress.wall_s;
    let new = run.progress.curve.is_empty();
    let mut metrics = Metrics::open(job.folder, (!new).then_some(run.progress.step))?;
    let steps = job.stream.steps();
    monitor.begin(job.stream.work(), Some(job.stream.tokens()), Unit::Tokens);
    monitor.advance(run.progress.tokens, "");
    if new {
        run.validate(model, &mut metrics)?;
        if run.progress.best.is_some() {
            metrics.flush()?;
            run.save(model)?;
        }
    }
    let _unsaved = Unsaved::hold(monitor);
    while run.progress.step < steps {
        let record = run.step(model)?;
        metrics.step(&record)?;
        let (step, config) = (run.progress.step, job.config);
        let last = step == steps;
        if last || step.is_multiple_of(config.validate_every) {
            run.validate(model, &mut metrics)?;
        }
        let best_now = run.progress.best.is_some_and(|(best, _)| best == step);
        if last || best_now || step.is_multiple_of(config.checkpoint_every) {
            metrics.flush()?;
            run.save(model)?;
        }
        monitor.advance(run.progress.tokens, &format!("loss {:.3}", record.loss));
        if let (false, Err(stop)) = (last, monitor.check()) {
            metrics.flush()?;
            run.save(model)?;
            return Err(stop.into());
        }
    }
    monitor.end();
    let best = run.progress.best.map_or(steps, |(step, _)| step);
    Ok(Outcome { last: run.checkpoints.path(steps), best: run.checkpoints.path(best), progress: run.progress })
}

/// Bytes that [`train`] holds at most, with steps of `batch_tokens` tokens in segments of up to `longest`.
pub fn training_bytes(model: &Config, batch_tokens: usize, longest: usize) -> f64 {
    // A piece ends with the segment that reaches its size.
    model.training_bytes(batch_tokens.min(PIECE_TOKENS.saturating_add(longest)))
}

/// Refuses a training that this machine has no memory for; [`train`] begins with it. Of a step's longest segment a stream says nothing:
/// the buffers look once more when it comes.
///
/// # Errors
/// When the machine has too little memory.
pub fn check_room(model: &Config, stream: &dyn Stream) -> Result<()> {
    let batch_tokens = stream.tokens().div_ceil(stream.steps().max(1));
    let needed = training_bytes(model, usize::try_from(batch_tokens).unwrap_or(usize::MAX), 0);
    Ok(check_memory("training this model", needed).map_err(cognate_model::Error::from)?)
}

fn check(job: &Job<'_>) -> Result<()> {
    let config = job.config;
    let refused = |field, value: String, reason: &str| Err(Error::Setting { field, value, reason: reason.into() });
    for (field, value) in [("validate_every", config.validate_every), ("checkpoint_every", config.checkpoint_every)] {
        if value == 0 {
            return refused(field, "0".into(), "expected at least 1 step");
        }
    }
    for (field, value) in [("peak_rate", config.schedule.peak_rate), ("clip", config.clip), ("epsilon", config.epsilon)]
    {
        if !(value.is_finite() && value > 0.0) {
            return refused(field, value.to_string(), "expected a positive number");
        }
    }
    Ok(())
}

/// A training run under way.
struct Run<'a, D: Device> {
    job: &'a Job<'a>,
    progress: Progress,
    gradients: Gradients<D>,
    moments: Moments<D>,
    batch: Batch,
    checkpoints: Checkpoints,
    started: Instant,
    wall_before_s: f64,
    last_saved: Option<u64>,
    /// Operations a second of nothing but matrix products, measured when this sitting began.
    product_rate: f64,
}

impl<D: Device> Run<'_, D> {
    /// One step: forward and backward over the batch's pieces, clipping, AdamW.
    fn step(&mut self, model: &mut Decoder<D>) -> Result<StepRecord> {
        let start = Instant::now();
        let (config, progress) = (self.job.config, &mut self.progress);
        self.job.stream.fill(progress.step, &mut self.batch);
        let (total, norm) = accumulate(model, &self.batch, &mut self.gradients)?;
        let scored = self.batch.scored();
        let loss = total / scored.max(1) as f64;
        for (what, value) in [("loss", loss), ("gradient norm", norm)] {
            if !value.is_finite() {
                let last = self.last_saved.map(|step| self.checkpoints.path(step));
                let progress = Box::new(progress.clone());
                return Err(Error::NotFinite { step: progress.step + 1, what, value, last, progress });
            }
        }
        let rate = config.schedule.rate(progress.step, self.job.stream.steps());
        let settings = AdamW {
            rate,
            beta1: config.beta1,
            beta2: config.beta2,
            epsilon: config.epsilon,
            weight_decay: config.weight_decay,
            step: progress.step + 1,
            gradient_scale: if norm > config.clip { config.clip / norm } else { 1.0 },
        };
        model.update(&self.gradients, &mut self.moments, &settings);
        let tokens = self.batch.len();
        progress.step += 1;
        progress.tokens += tokens as u64;
        progress.scored_tokens += scored as u64;
        let flops = model.config().training_flops(tokens as f64, scored as f64, self.batch.mean_context());
        progress.flops += flops;
        progress.since_point.0 += total;
        progress.since_point.1 += scored as u64;
        let step_s = start.elapsed().as_secs_f64();
        Ok(StepRecord {
            step: progress.step,
            tokens: progress.tokens,
            loss,
            gradient_norm: norm,
            learning_rate: rate,
            tokens_per_s: tokens as f64 / step_s,
            fraction_of_matmul: flops / step_s / self.product_rate,
        })
    }

    /// Adds a point to the curve.
    fn validate(&mut self, model: &mut Decoder<D>, metrics: &mut Metrics) -> Result<()> {
        let progress = &mut self.progress;
        let (sum, count) = std::mem::take(&mut progress.since_point);
        let mut per_token = |items: &[ScoreItem]| -> Result<Option<f64>> {
            let scored: usize = items.iter().map(|item| item.continuation.len()).sum();
            if scored == 0 {
                return Ok(None);
            }
            let nats: f64 = score(model, items, PIECE_TOKENS, &Silent)?.iter().sum();
            Ok(Some(nats / scored as f64))
        };
        let validation_nats = per_token(self.job.validation)?;
        let choice_nats = per_token(self.job.choice)?;
        let (random_seed_nats, no_seed_nats) = match self.job.contrast {
            Some(contrast) => (per_token(&contrast.random_seed)?, per_token(&contrast.no_seed)?),
            None => (None, None),
        };
        let train_nats = (count > 0).then(|| sum / count as f64);
        let (step, tokens) = (progress.step, progress.tokens);
        let point = Point { step, tokens, train_nats, validation_nats, choice_nats, random_seed_nats, no_seed_nats };
        if let Some(nats) = validation_nats {
            let losses = [Some(nats), choice_nats, random_seed_nats, no_seed_nats];
            if let Some(value) = losses.into_iter().flatten().find(|nats| !nats.is_finite()) {
                let last = self.last_saved.map(|step| self.checkpoints.path(step));
                let progress = Box::new(progress.clone());
                return Err(Error::NotFinite { step, what: "validation loss", value, last, progress });
            }
            metrics.validation(&ValidationRecord {
                step,
                tokens,
                validation_nats_per_token: nats,
                choice_nats_per_token: choice_nats,
            })?;
            // The untrained start is a candidate where contexts are compared, and else a point of the curve alone.
            let is_candidate = step > 0 || point.seed_gain().is_some();
            if is_candidate && point.rank() > progress.best_rank() {
                progress.best = Some((step, choice_nats.unwrap_or(nats)));
                progress.best_gain = point.seed_gain();
            }
        }
        progress.curve.push(point);
        Ok(())
    }

    fn save(&mut self, model: &Decoder<D>) -> Result<()> {
        self.progress.wall_s = self.wall_before_s + self.started.elapsed().as_secs_f64();
        self.checkpoints.save(model, &self.moments, &self.progress, self.job.tokenizer)?;
        self.last_saved = Some(self.progress.step);
        self.checkpoints.prune(self.job.config.keep_checkpoints, self.progress.best.map(|(step, _)| step))
    }
}

/// Sets the gradients to those of the mean loss over the batch's scored targets; returns the summed loss and the gradients'
/// norm.
pub(crate) fn accumulate<D: Device>(
    model: &mut Decoder<D>,
    batch: &Batch,
    gradients: &mut Gradients<D>,
) -> Result<(f64, f64)> {
    gradients.clear(model.device());
    let scale = 1.0 / batch.scored().max(1) as f64;
    let mut total = 0.0;
    for piece in batch.pieces(PIECE_TOKENS) {
        total += model.loss_and_gradients(&piece, gradients, scale)?;
    }
    Ok((total, gradients.norm(model.device())))
}

#[cfg(test)]
pub(crate) mod tests {
    use cognate_corpus::{TokenFile, TokenWriter};

    /// A token file of given documents.
    pub(crate) fn token_file(documents: &[Vec<u32>]) -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("tokens");
        let mut writer = TokenWriter::create(&prefix, 5000).unwrap();
        documents.iter().for_each(|document| writer.push(document).unwrap());
        writer.finish().unwrap();
        let file = TokenFile::open(&prefix).unwrap();
        (folder, file)
    }
}
