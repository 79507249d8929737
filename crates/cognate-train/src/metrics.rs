//! `metrics.jsonl`: one JSON object a step, one a validation.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use cognate_base::files::AtomicFile;
use fs_err::{File, OpenOptions};
use serde::Serialize;
use serde_json::Value;

use crate::Result;

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
}

/// What is written after a validation.
#[derive(Serialize)]
pub(crate) struct ValidationRecord {
    pub(crate) step: u64,
    pub(crate) tokens: u64,
    pub(crate) validation_nats_per_token: f64,
}

/// The metrics file, open to append.
pub(crate) struct Metrics(BufWriter<File>);

impl Metrics {
    /// Opens `path` for a run that has done `step` steps: lines of later steps, which a killed process wrote after its last
    /// checkpoint, are taken out, and so is a line cut short.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        let mut kept = AtomicFile::create(path)?;
        if path.exists() {
            for line in BufReader::new(File::open(path)?).lines() {
                let line = line?;
                let Ok(record) = serde_json::from_str::<Value>(&line) else { break };
                if record.get("step").and_then(Value::as_u64).is_some_and(|at| at <= step) {
                    writeln!(kept, "{line}")?;
                }
            }
        }
        kept.commit()?;
        Ok(Self(BufWriter::new(OpenOptions::new().append(true).open(path)?)))
    }

    pub(crate) fn write(&mut self, record: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, record).map_err(std::io::Error::from)?;
        Ok(self.0.write_all(b"\n")?)
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}
