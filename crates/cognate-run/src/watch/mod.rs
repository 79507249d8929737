//! `cognate watch`: a run directory as it is now, as text for a terminal and as a page. Reads and never writes; whoever works
//! in the directory is not disturbed.

mod frame;
mod live;
mod plot;

use std::path::Path;

pub use live::Live;

use cognate_results::{Point, Report, thinned};

use crate::error::Result;
use crate::metrics::Metrics;
use crate::recipe::Recipe;
use crate::rundir::RECIPE;
use crate::status::{StageState, Status, status};
use crate::step::Step;

/// Training losses shown of a stage at work; more are averaged.
const TRAIN_POINTS: usize = 200;

/// A run at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    status: Status,
    /// Validation loss of every training stage that has any, by its label.
    validation: Vec<(String, Vec<(f64, f64)>)>,
    /// Training loss of the stage at work, where it trains.
    training: Option<(String, Vec<(f64, f64)>)>,
    /// The report, once the run is done.
    report: Option<Report>,
}

impl Snapshot {
    /// Looks at the run directory `root`; `None` where there is no run (yet).
    ///
    /// # Errors
    /// When something in it is damaged.
    pub fn take(root: &Path) -> Result<Option<Self>> {
        let path = root.join(RECIPE);
        if !path.exists() {
            return Ok(None);
        }
        let recipe = Recipe::load(&path)?;
        let status = status(root)?;
        let (mut validation, mut training) = (Vec::new(), None);
        for (step, stage) in Step::all(&recipe).into_iter().zip(&status.stages) {
            if !matches!(step, Step::Train(_) | Step::Sweep { .. } | Step::Tune(_)) {
                continue;
            }
            let metrics = Metrics::read(&root.join(step.folder(&recipe)))?;
            let points = |points: &[Point]| -> Vec<(f64, f64)> {
                points.iter().map(|point| (point.tokens as f64, point.nats_per_token)).collect()
            };
            // Tuning sees other data, whose losses have no place among the arms'; of a sweep, the arm has the chosen one's.
            let name = step.thing(&recipe).filter(|_| matches!(step, Step::Train(_)));
            if let Some(name) = name.filter(|_| !metrics.validation.is_empty()) {
                validation.push((name, points(&metrics.validation)));
            }
            if matches!(stage.state, StageState::Running | StageState::Stopped) && !metrics.train.is_empty() {
                training = Some((step.label(&recipe), points(&thinned(&metrics.train, TRAIN_POINTS))));
            }
        }
        let report = root.join(cognate_results::JSON_FILE);
        let whole = status.stages.iter().all(|stage| stage.state == StageState::Done);
        let report = if whole { Some(cognate_results::read(&report)?) } else { None };
        Ok(Some(Self { status, validation, training, report }))
    }

    /// Whether nothing is left to do.
    pub fn finished(&self) -> bool {
        self.status.stages.iter().all(|stage| stage.state == StageState::Done)
    }

    /// The report, once the run is done.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// As text of at most `height` lines of at most `width` characters, with what the report answers last. Letters tell curves apart,
    /// not colours.
    pub fn frame(&self, answer: Option<&str>, width: usize, height: usize) -> Vec<String> {
        frame::frame(self, answer, width, height)
    }
}
