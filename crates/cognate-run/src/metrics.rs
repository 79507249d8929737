//! `metrics.jsonl`: the losses of a training run, finished or at work.

use std::path::Path;

use cognate_results::Point;
use serde_json::Value;

use crate::error::{Error, Result};

/// Name of the file in a training stage's folder.
pub(crate) const METRICS: &str = "metrics.jsonl";

/// The losses in one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metrics {
    /// Training loss of every step.
    pub(crate) train: Vec<Point>,
    /// Validation loss, as often as it was measured.
    pub(crate) validation: Vec<Point>,
}

impl Metrics {
    /// Reads the file of a training stage's folder; empty where it has none. A last line without its line break is being
    /// written, or was when the process was killed, and does not count.
    ///
    /// # Errors
    /// When the file cannot be read, or a whole line is no JSON; the message names it.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(METRICS);
        let text = match fs_err::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mut metrics = Self::default();
        for (at, line) in text.split_inclusive('\n').enumerate().filter(|(_, line)| line.ends_with('\n')) {
            let record: Value = serde_json::from_str(line).map_err(|error| Error::Damaged {
                path: path.clone(),
                message: format!("line {} is no record of a step: {error}", at + 1),
            })?;
            let Some(tokens) = record.get("tokens").and_then(Value::as_u64) else { continue };
            for (name, points) in [("loss", &mut metrics.train), ("validation_nats_per_token", &mut metrics.validation)]
            {
                if let Some(nats_per_token) = record.get(name).and_then(Value::as_f64) {
                    points.push(Point { tokens, nats_per_token });
                }
            }
        }
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_being_written_does_not_count_and_a_broken_one_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(Metrics::read(scratch.path()).unwrap(), Metrics::default());
        let put = |text: &str| cognate_base::files::write_atomic(scratch.path().join(METRICS), text).unwrap();
        put(
            "{\"tokens\": 8, \"loss\": 2.0}\n{\"tokens\": 8, \"validation_nats_per_token\": 3.0}\n{\"tokens\": 16, \"lo",
        );
        let metrics = Metrics::read(scratch.path()).unwrap();
        assert_eq!(metrics.train, [Point { tokens: 8, nats_per_token: 2.0 }]);
        assert_eq!(metrics.validation, [Point { tokens: 8, nats_per_token: 3.0 }]);
        put("{\"tokens\": 8, \"loss\": 2.0}\n{\"tok\n");
        let error = Metrics::read(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl is damaged: line 2 is no record of a step"), "{error}");
    }
}
