//! `progress.json`: how far a stage is, for `cognate status` and for the time that an interrupted attempt has cost.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cognate_base::{Monitor, Unit};
use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, read_json, write_json};
use super::{Attempt, Peak, Result};

/// The stages' names: modules, commands, recipe tables, folders and rows of the report are all called so.
pub const STAGE_NAMES: [&str; 11] =
    ["ingest", "tokenize", "embed", "pair", "train", "teach", "tune", "generate", "filter", "evaluate", "report"];

/// File name of a stage's progress.
pub(super) const PROGRESS: &str = "progress.json";
const INTERVAL: Duration = Duration::from_secs(2);

/// How far a stage is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    format: u32,
    /// What it works on.
    pub what: String,
    /// Units done.
    pub done: u64,
    /// Units to do, where that is known.
    pub total: Option<u64>,
    /// What the units are: `documents`, `tokens` or `bytes`.
    pub unit: String,
    /// A short state, such as `loss 3.142`.
    pub detail: String,
    /// Seconds spent on the stage, earlier attempts included.
    pub spent_s: f64,
    /// Most memory held so far, earlier attempts included.
    #[serde(default)]
    pub peak_rss_bytes: Option<u64>,
}

impl Progress {
    /// Reads a stage folder's progress, where it has any.
    ///
    /// # Errors
    /// When there is some that cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        read_json(&folder.join(PROGRESS))
    }
}

/// A monitor that puts the stage's name before what it does, and writes `progress.json` now and then.
pub struct Watched<'a> {
    inner: &'a dyn Monitor,
    label: String,
    path: PathBuf,
    spent_before_s: f64,
    since: Instant,
    peak: Peak,
    state: Mutex<(Progress, Option<Instant>)>,
}

impl<'a> Watched<'a> {
    /// Watches `attempt`, which works for the stage that people call `label`.
    pub fn new(inner: &'a dyn Monitor, label: &str, attempt: &Attempt) -> Self {
        let progress = Progress {
            format: FORMAT,
            what: String::new(),
            done: 0,
            total: None,
            unit: String::new(),
            detail: String::new(),
            spent_s: attempt.spent_before_s,
            peak_rss_bytes: attempt.peak.so_far(),
        };
        Self {
            inner,
            label: label.to_owned(),
            path: attempt.folder.join(PROGRESS),
            spent_before_s: attempt.spent_before_s,
            since: attempt.since,
            peak: attempt.peak,
            state: Mutex::new((progress, None)),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state.0);
        if state.1.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut (Progress, Option<Instant>)) {
        state.0.spent_s = self.spent_before_s + self.since.elapsed().as_secs_f64();
        state.0.peak_rss_bytes = self.peak.so_far();
        state.1 = Some(Instant::now());
        // Only a view: when the disk is full, the stage itself says so.
        if let Err(error) = write_json(&self.path, &state.0) {
            tracing::debug!("progress not written: {error}");
        }
    }

    /// Writes the last state: the attempt ends here without having finished.
    pub fn stop(&self) {
        self.write(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Monitor for Watched<'_> {
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit) {
        let unit_name = match unit {
            Unit::Documents => "documents",
            Unit::Tokens => "tokens",
            Unit::Bytes => "bytes",
        };
        self.update(|progress| {
            progress.what = what.to_owned();
            (progress.done, progress.total) = (0, total);
            progress.unit = unit_name.to_owned();
            progress.detail.clear();
        });
        // A stage that calls its work by its own name needs to be named once.
        let label = if STAGE_NAMES.contains(&what) { self.label.clone() } else { format!("{}: {what}", self.label) };
        self.inner.begin(&label, total, unit);
    }

    fn advance(&self, done: u64, detail: &str) {
        self.update(|progress| {
            progress.done = done;
            progress.detail.clear();
            progress.detail.push_str(detail);
        });
        self.inner.advance(done, detail);
    }

    fn end(&self) {
        self.inner.end();
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }

    fn hold(&self, unsaved: bool) {
        self.inner.hold(unsaved);
    }
}
