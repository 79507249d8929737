//! `metrics.jsonl`: one JSON object a step, one a validation; and the same numbers as TensorBoard events.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use cognate_base::files::AtomicFile;
use fs_err::{File, OpenOptions};
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::tensorboard::EventFile;

/// What is written after a step.
#[derive(Serialize)]
pub(crate) struct StepRecord {
    /// Steps done.
    pub(crate) step: u64,
    /// Tokens trained on.
    pub(crate) tokens: u64,
    /// Mean loss of the step, nats a scored token.
    pub(crate) loss: f64,
    /// Norm of the gradient before clipping.
    pub(crate) gradient_norm: f64,
    /// Learning rate of the step.
    pub(crate) learning_rate: f64,
    /// Speed of the step.
    pub(crate) tokens_per_s: f64,
    /// Operations a second, as a fraction of what this machine did of nothing but matrix products when the run started.
    pub(crate) fraction_of_matmul: f64,
}

/// What is written after a validation.
#[derive(Serialize)]
pub(crate) struct ValidationRecord {
    pub(crate) step: u64,
    pub(crate) tokens: u64,
    pub(crate) validation_nats_per_token: f64,
    /// Loss on what the best checkpoint is chosen by, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) choice_nats_per_token: Option<f64>,
}

/// The metrics files, open to append.
pub(crate) struct Metrics {
    lines: BufWriter<File>,
    events: EventFile,
}

impl Metrics {
    /// Opens `folder`'s files for a run that has done `step` steps, none where it is new: lines of later steps, which a killed
    /// process wrote after its last checkpoint, are taken out, and so is a line cut short.
    pub(crate) fn open(folder: &Path, step: Option<u64>) -> Result<Self> {
        let path = &folder.join("metrics.jsonl");
        let mut kept = AtomicFile::create(path)?;
        if path.exists() {
            for line in BufReader::new(File::open(path)?).lines() {
                let line = line?;
                let Ok(record) = serde_json::from_str::<Value>(&line) else { break };
                if record.get("step").and_then(Value::as_u64).is_some_and(|at| Some(at) <= step) {
                    writeln!(kept, "{line}")?;
                }
            }
        }
        kept.commit()?;
        let lines = BufWriter::new(OpenOptions::new().append(true).open(path)?);
        Ok(Self { lines, events: EventFile::create(folder, step.map_or(0, |step| step + 1))? })
    }

    pub(crate) fn step(&mut self, record: &StepRecord) -> Result<()> {
        let scalars = [
            ("loss", record.loss),
            ("gradient_norm", record.gradient_norm),
            ("learning_rate", record.learning_rate),
            ("tokens_per_s", record.tokens_per_s),
            ("fraction_of_matmul", record.fraction_of_matmul),
        ];
        self.events.scalars(record.step, &scalars)?;
        self.line(record)
    }

    pub(crate) fn validation(&mut self, record: &ValidationRecord) -> Result<()> {
        let mut scalars = vec![("validation_nats_per_token", record.validation_nats_per_token)];
        scalars.extend(record.choice_nats_per_token.map(|nats| ("choice_nats_per_token", nats)));
        self.events.scalars(record.step, &scalars)?;
        self.line(record)
    }

    fn line(&mut self, record: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.lines, record).map_err(std::io::Error::from)?;
        Ok(self.lines.write_all(b"\n")?)
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.events.flush()?;
        Ok(self.lines.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensorboard::tests::event_files;

    #[test]
    fn what_was_flushed_is_in_both_files_and_a_next_sitting_starts_at_the_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let lines = || fs_err::read_to_string(folder.path().join("metrics.jsonl")).unwrap();
        let mut metrics = Metrics::open(folder.path(), None).unwrap();
        let step = StepRecord {
            step: 1,
            tokens: 64,
            loss: 0.5,
            gradient_norm: 2.0,
            learning_rate: 0.25,
            tokens_per_s: 8.0,
            fraction_of_matmul: 0.125,
        };
        metrics.step(&step).unwrap();
        metrics
            .validation(&ValidationRecord {
                step: 1,
                tokens: 64,
                validation_nats_per_token: 4.0,
                choice_nats_per_token: None,
            })
            .unwrap();
        metrics.flush().unwrap();
        let step_line = "{\"step\":1,\"tokens\":64,\"loss\":0.5,\"gradient_norm\":2.0,\"learning_rate\":0.25,\
                         \"tokens_per_s\":8.0,\"fraction_of_matmul\":0.125}";
        let validation_line = "{\"step\":1,\"tokens\":64,\"validation_nats_per_token\":4.0}";
        assert_eq!(lines(), format!("{step_line}\n{validation_line}\n"));
        let first = &event_files(folder.path())[0];
        // Behind the version: the sitting starts at step 0.
        assert_eq!(first[1], b"\x10\x00\x3a\x02\x08\x01");
        let scalar = |name: &str, value: f32| {
            let entry = [&[0x0a, name.len() as u8], name.as_bytes(), &[0x15], &value.to_le_bytes()].concat();
            [&[0x0a, entry.len() as u8], &entry[..]].concat()
        };
        let scalars = [
            ("loss", 0.5),
            ("gradient_norm", 2.0),
            ("learning_rate", 0.25),
            ("tokens_per_s", 8.0),
            ("fraction_of_matmul", 0.125),
        ];
        let summary = scalars.map(|(name, value)| scalar(name, value)).concat();
        assert_eq!(first[2], [b"\x10\x01\x2a", &[summary.len() as u8][..], &summary].concat());
        let summary = scalar("validation_nats_per_token", 4.0);
        assert_eq!(first[3], [b"\x10\x01\x2a", &[summary.len() as u8][..], &summary].concat());
        assert_eq!(first.len(), 4);
        drop(metrics);

        let resumed = Metrics::open(folder.path(), Some(1)).unwrap();
        drop(resumed);
        assert_eq!(event_files(folder.path())[1][1], b"\x10\x02\x3a\x02\x08\x01");
        assert_eq!(lines().lines().count(), 2);
        drop(Metrics::open(folder.path(), Some(0)).unwrap());
        assert_eq!(lines(), "");
    }
}
