//! Checkpoints of a training run: a model directory that any tool opens, with the optimizer's state and the position beside
//! it.
//!
//! `checkpoints/step-<8 digits>/` holds the model's files, `optimizer.safetensors` (both moments, flat, in the order of the
//! parameters) and `training.json` ([`Progress`]). A folder appears whole or not at all, so the newest one is always good.

use std::path::{Path, PathBuf};

use cognate_base::Hash;
use cognate_base::files::{remove_partials, write_atomic};
use cognate_model::checkpoint::{TokenizerFiles, read_tensors, write_tensors};
use cognate_model::{Decoder, Moments};
use cognate_ops::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// 2: with hashes of the tensors.
const FORMAT: u32 = 2;

/// The files that hold tensors.
const TENSORS: [&str; 2] = ["model.safetensors", "optimizer.safetensors"];

/// `training.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved<P> {
    /// Version of this file's format.
    format: u32,
    /// Content hashes of [`TENSORS`]: a flipped bit would change every later step without a sign of it.
    hashes: [Hash; 2],
    /// How far the run is.
    progress: P,
}

/// A point of the loss curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Mean training loss since the last point, nats a scored token; null before the first step.
    pub train_nats: Option<f64>,
    /// Validation loss, nats a token; null where there is nothing to validate on.
    pub validation_nats: Option<f64>,
    /// Loss on what the best checkpoint is chosen by; there where that is not the validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice_nats: Option<f64>,
    /// Validation loss after a random seed; there for a synthesizer alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_seed_nats: Option<f64>,
    /// The same after no seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_seed_nats: Option<f64>,
}

impl Point {
    /// What the right seed saves over a random one or over none, the smaller of the two, in nats a token; none where that was not
    /// measured.
    pub fn seed_gain(&self) -> Option<f64> {
        let after = self.validation_nats?;
        Some((self.random_seed_nats? - after).min(self.no_seed_nats? - after))
    }

    /// What checkpoints are compared by, the larger the better; none where nothing was validated.
    pub(crate) fn rank(&self) -> Option<Rank> {
        self.choice_nats.or(self.validation_nats).map(|nats| rank(self.seed_gain(), nats))
    }
}

/// A checkpoint's gain, then the loss that it is chosen by, with the sign turned.
pub(crate) type Rank = (f64, f64);

/// Where the right seed saves nothing, how little it saves is chance, and the loss decides.
fn rank(seed_gain: Option<f64>, nats: f64) -> Rank {
    (seed_gain.unwrap_or(0.0).max(0.0), -nats)
}

/// How far a training run is: all that resuming needs besides the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// What is being trained on what: the caller's identity of the run.
    pub fingerprint: String,
    /// Steps done.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Of these, tokens that were scored.
    pub scored_tokens: u64,
    /// Floating-point operations done.
    pub flops: f64,
    /// Seconds spent, over all sittings.
    pub wall_s: f64,
    /// Loss curve so far.
    pub curve: Vec<Point>,
    /// Sum and number of the training losses since the last point.
    pub since_point: (f64, u64),
    /// Step of the best checkpoint so far, and the loss that it was chosen by.
    pub best: Option<(u64, f64)>,
    /// What it makes of the right seed, where that is what was measured: [`Point::seed_gain`].
    #[serde(default)]
    pub best_gain: Option<f64>,
}

impl Progress {
    /// The start of a run.
    pub(crate) fn new(fingerprint: &str) -> Self {
        Self {
            fingerprint: fingerprint.into(),
            step: 0,
            tokens: 0,
            scored_tokens: 0,
            flops: 0.0,
            wall_s: 0.0,
            curve: Vec::new(),
            since_point: (0.0, 0),
            best: None,
            best_gain: None,
        }
    }

    /// What another checkpoint must surpass.
    pub(crate) fn best_rank(&self) -> Option<Rank> {
        self.best.map(|(_, nats)| rank(self.best_gain, nats))
    }
}

/// The checkpoints of one training run.
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(run: &Path) -> Self {
        Self { folder: run.join("checkpoints") }
    }

    pub(crate) fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:08}"))
    }

    /// Steps of all checkpoints, in order.
    pub(crate) fn steps(&self) -> Result<Vec<u64>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for entry in fs_err::read_dir(&self.folder)? {
            let name = entry?.file_name();
            if let Some(step) = name.to_str().and_then(|name| name.strip_prefix("step-")?.parse().ok()) {
                steps.push(step);
            }
        }
        steps.sort_unstable();
        Ok(steps)
    }

    pub(crate) fn save<D: Device>(
        &self,
        model: &Decoder<D>,
        moments: &Moments<D>,
        progress: &Progress,
        tokenizer: Option<&TokenizerFiles>,
    ) -> Result<()> {
        model.save(&self.path(progress.step), tokenizer, |folder| {
            let (first, second) = moments.download(model.device());
            let shape = [first.len()];
            let tensors = [("first_moment", &shape[..], &first[..]), ("second_moment", &shape[..], &second[..])];
            write_tensors(&folder.join("optimizer.safetensors"), tensors.into_iter(), &[])?;
            let [model, optimizer] = TENSORS.map(|name| Hash::of_file(folder.join(name)));
            let saved = Saved { format: FORMAT, hashes: [model?, optimizer?], progress };
            let json = serde_json::to_string_pretty(&saved).map_err(std::io::Error::other)?;
            Ok(write_atomic(folder.join("training.json"), json)?)
        })?;
        Ok(())
    }

    /// Removes all checkpoints but the newest `keep` and the best.
    pub(crate) fn prune(&self, keep: usize, best: Option<u64>) -> Result<()> {
        let steps = self.steps()?;
        for &step in &steps[..steps.len().saturating_sub(keep.max(1))] {
            if Some(step) != best {
                fs_err::remove_dir_all(self.path(step))?;
            }
        }
        Ok(())
    }

    /// Loads the newest checkpoint into model and moments, where there is one.
    pub(crate) fn resume<D: Device>(
        &self,
        model: &mut Decoder<D>,
        moments: &mut Moments<D>,
        fingerprint: &str,
    ) -> Result<Option<Progress>> {
        if self.folder.exists() {
            // Whoever resumes has the folder to itself. A later call may save at other steps, so nobody else removes these.
            remove_partials(&self.folder, false)?;
        }
        let Some(&step) = self.steps()?.last() else { return Ok(None) };
        let folder = self.path(step);
        let path = folder.join("training.json");
        let text = fs_err::read_to_string(&path)?;
        let parse = |e: serde_json::Error| Error::State { path: path.clone(), reason: e.to_string() };
        let value: Value = serde_json::from_str(&text).map_err(parse)?;
        match value.get("format").and_then(Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            found => {
                let found = found.map_or("no format".to_owned(), |format| format!("format {format}"));
                return Err(Error::State { path, reason: format!("{found}; this version reads format {FORMAT}") });
            }
        }
        let Saved { hashes, progress, .. }: Saved<Progress> = serde_json::from_value(value).map_err(parse)?;
        if progress.fingerprint != fingerprint {
            let (found, expected) = (progress.fingerprint, fingerprint.to_owned());
            return Err(Error::OtherRun { path, found, expected });
        }
        if progress.step != step {
            let reason = format!("step {} in the folder of step {step}", progress.step);
            return Err(Error::State { path, reason });
        }
        for (name, expected) in TENSORS.into_iter().zip(hashes) {
            let path = folder.join(name);
            if Hash::of_file(&path)? != expected {
                let reason = "is damaged: its content is not what was saved; delete this checkpoint to resume from an \
                              earlier one";
                return Err(Error::State { path, reason: reason.into() });
            }
        }
        let path = folder.join("optimizer.safetensors");
        let (mut tensors, _) = read_tensors(&path)?;
        let mut take = |name: &str| match tensors.remove(name) {
            Some(values) if values.len() == model.layout().len() => Ok(values),
            Some(values) => {
                let reason = format!("{name} has {} values for {} parameters", values.len(), model.layout().len());
                Err(Error::State { path: path.clone(), reason })
            }
            None => Err(Error::State { path: path.clone(), reason: format!("{name} is missing") }),
        };
        let (first, second) = (take("first_moment")?, take("second_moment")?);
        let (saved, _) = Decoder::load(model.device().clone(), &folder)?;
        if saved.config() != model.config() {
            let reason = "is a checkpoint of another architecture".into();
            return Err(Error::State { path: folder.join("config.json"), reason });
        }
        *model = saved;
        moments.upload(model.device(), &first, &second);
        Ok(Some(progress))
    }
}

#[cfg(test)]
mod tests {
    use cognate_model::Config;
    use cognate_ops::Cpu;

    use super::*;

    #[test]
    fn a_gain_below_nothing_does_not_rank() {
        // By gain where there is one, by loss among those without.
        let ranks =
            [(Some(0.2), 3.0), (Some(0.1), 2.0), (Some(-0.3), 2.5), (None, 2.6), (Some(-0.1), 2.7), (Some(0.0), 2.8)];
        assert!(
            ranks
                .is_sorted_by(|(gain, nats), (next_gain, next_nats)| rank(*gain, *nats) > rank(*next_gain, *next_nats))
        );
    }

    #[test]
    fn the_seed_gain_is_the_smaller_of_what_is_saved_over_a_random_seed_and_over_none() {
        let gain = |validation_nats, random_seed_nats, no_seed_nats| {
            let (step, tokens, train_nats) = (1, 2, None);
            Point { step, tokens, train_nats, validation_nats, choice_nats: None, random_seed_nats, no_seed_nats }
                .seed_gain()
        };
        assert_eq!(gain(Some(2.0), Some(3.0), Some(2.5)), Some(0.5));
        assert_eq!(gain(Some(2.0), Some(2.25), Some(3.0)), Some(0.25));
        assert_eq!(gain(Some(2.0), Some(1.75), Some(3.0)), Some(-0.25));
        assert_eq!(gain(None, Some(3.0), Some(3.0)), None);
        assert_eq!([gain(Some(2.0), None, Some(3.0)), gain(Some(2.0), Some(3.0), None)], [None, None]);
    }
    /// `COGNATE_FUZZ_INPUTS` says how many.
    #[test]
    fn damaged_progress_is_refused_by_name_or_resumed() {
        let config = Config {
            vocab: 5,
            width: 4,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_width: 4,
            ffn: 4,
            max_positions: 4,
            rope_base: 1e4,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: false,
            tied: true,
        };
        let mut model = Decoder::new(Cpu::new(1).unwrap(), config, 0).unwrap();
        let mut moments = Moments::new(&model);
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(run.path());
        let point = |step| Point {
            step,
            tokens: 9 * step,
            train_nats: Some(2.5),
            validation_nats: Some(2.0),
            choice_nats: None,
            random_seed_nats: Some(3.0),
            no_seed_nats: None,
        };
        let progress = Progress {
            step: 3,
            tokens: 27,
            scored_tokens: 20,
            flops: 1e6,
            wall_s: 0.5,
            curve: (1..4).map(point).collect(),
            since_point: (2.5, 7),
            best: Some((2, 2.0)),
            best_gain: Some(0.25),
            ..Progress::new("this run")
        };
        checkpoints.save(&model, &moments, &progress, None).unwrap();
        let path = checkpoints.path(3).join("training.json");
        let good: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(checkpoints.resume(&mut model, &mut moments, "this run").unwrap(), Some(progress));
        let inputs = crate::damaged_json::inputs(10_000);
        let mut resumed = 0;
        for input in 0..inputs {
            let mut random = cognate_base::random::stream(8, "training.json", input);
            fs_err::write(&path, crate::damaged_json::damaged(&good, &mut random)).unwrap();
            match checkpoints.resume(&mut model, &mut moments, "this run") {
                Ok(progress) => {
                    resumed += 1;
                    let progress = progress.unwrap();
                    assert!(progress.step == 3 && progress.fingerprint == "this run", "{input}: {progress:?}");
                    progress.best_rank();
                }
                Err(error) => assert!(error.to_string().contains("step-00000003"), "{input}: {error}"),
            }
        }
        assert!(resumed > inputs / 100 && resumed < inputs * 9 / 10, "{resumed} of {inputs} were resumed from");
    }
}
