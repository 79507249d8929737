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
        self.events.scalars(record.step, &[("validation_nats_per_token", record.validation_nats_per_token)])?;
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
