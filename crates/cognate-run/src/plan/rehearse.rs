//! The stages up to `pair`, done for real in a folder that is removed again. What they give is then measured, and so is all that follows
//! from it.
//!
//! A stage is done where it is expected to end within the bound, by what is known when its turn comes, and stopped when the bound is
//! over; what is not done is estimated.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cognate_base::{Claim, Monitor, Unit, Unsaved, process};

use crate::checks;
use crate::context::{Context, Settings};
use crate::device::DeviceKind;
use crate::duration::seconds;
use crate::error::{Error, Result};
use crate::estimate::{Measured, StagePlan};
use crate::graph::behind;
use crate::perform::perform;
use crate::recipe::Recipe;
use crate::rundir::RunDir;
use crate::stages::tune;
use crate::step::Step;

/// How the folders are called that this makes, before the number of the process.
const PREFIX: &str = "cognate-plan-";
/// The run directory in such a folder.
const RUN: &str = "run";

/// How much may be done for a plan, and where.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Where the temporary folder is made.
    pub(super) parent: PathBuf,
    /// How long the stages may take together.
    pub(super) most: Duration,
}

impl Bounds {
    /// A minute, in the system's folder for what is temporary.
    pub(super) fn usual() -> Self {
        Self { parent: std::env::temp_dir(), most: Duration::from_secs(60) }
    }
}

/// Does the stages of `recipe` up to `pair` that `bounds` leave time for. `expected_s` says how long one would take, by what is measured.
///
/// # Errors
/// When the user interrupts. What else goes wrong would go wrong in the run, and is told.
pub(super) fn rehearse(
    recipe: &Recipe,
    (device, threads): (DeviceKind, usize),
    bounds: &Bounds,
    expected_s: &dyn Fn(&Measured, Step) -> f64,
    monitor: &dyn Monitor,
) -> Result<Measured> {
    // What timing the machine has left behind in this process is no part of a stage.
    let held_bytes = if process::forget_peak_rss() { process::peak_rss_bytes() } else { None };
    let mut measured = Measured { held_bytes, ..Measured::default() };
    let opened = Scratch::new(&bounds.parent, monitor).and_then(|scratch| {
        let out = scratch.folder.join(RUN);
        Ok((RunDir::open(&out)?, out, scratch))
    });
    // The folder goes last.
    let (_scratch, out, run) = match opened {
        Ok((run, out, scratch)) => (scratch, out, run),
        Err(error) => {
            measured.left_out = Some(format!("there is no temporary folder: {error}"));
            return Ok(measured);
        }
    };
    let within = Within::new(monitor, bounds.most);
    let settings =
        Settings { out, reuse: None, until: None, threads, device, command: String::new(), version: String::new() };
    let mut context = Context::new(recipe, &settings, run, &within, behind);
    for step in Step::all(recipe).into_iter().filter(|step| is_of_data(*step)) {
        if !step.needs(recipe).iter().all(|needed| measured.rows.contains_key(needed)) {
            continue;
        }
        let (label, expected) = (step.label(recipe), expected_s(&measured, step));
        if within.spent_s() + expected > bounds.most.as_secs_f64() {
            measured.left_out.get_or_insert(format!("`{label}` would take about {}", seconds(expected)));
            continue;
        }
        match perform(&mut context, step).and_then(|_| measured.take(&context, step)) {
            Ok(()) => {}
            Err(error) if error.interrupted() && within.by_user() => return Err(error),
            Err(error) if error.interrupted() => {
                measured.left_out = Some(format!("`{label}` took longer than expected"));
                break;
            }
            // The run may have another disk.
            Err(error) if error.is_of_storage() => {
                measured.left_out = Some(format!("the temporary folder has no room for `{label}`: {error}"));
                break;
            }
            Err(error) => {
                measured.left_out = Some(format!("`{label}` stopped"));
                measured.problem(&format!("in `{label}`"), &error);
                continue;
            }
        }
        // What pairs would teach is told by their tokens.
        if matches!(step, Step::Pair(_)) && measured.tokenized.is_none() {
            continue;
        }
        if step == Step::Ingest {
            match checks::filters(&context) {
                Ok(found) => measured.warnings.extend(found),
                Err(error) if error.interrupted() && within.by_user() => return Err(error),
                // Where the time was over, the run says it.
                Err(_) => {}
            }
        }
        match checks::shown(&context, step) {
            Err(error) if error.interrupted() && within.by_user() => return Err(error),
            Err(error) if !error.interrupted() => measured.problem(&format!("behind `{label}`"), &error),
            _ => {}
        }
    }
    match measured.learn(&context) {
        Err(error) if within.by_user() => return Err(error),
        // What is wrong with them was told behind their pairs; where only the time was over, tuning is estimated.
        _ => {}
    }
    measured.wall_s = within.spent_s();
    Ok(measured)
}

/// Bytes of a stage's peak beyond what the process held before; 0 where the system does not tell. What is freed before and taken again
/// is not among them.
pub(super) fn beyond(held: Option<u64>, peak: Option<u64>) -> u64 {
    held.zip(peak).map_or(0, |(held, peak)| peak.saturating_sub(held))
}

/// Whether a step comes before any model.
fn is_of_data(step: Step) -> bool {
    matches!(step, Step::Ingest | Step::Tokenize | Step::Embed(_) | Step::Pair(_))
}

impl Measured {
    /// Takes what `step` has made.
    fn take(&mut self, context: &Context<'_>, step: Step) -> Result<()> {
        let artifact = context.made(step);
        let (work, rows) = (&artifact.manifest.work, |file: &str| artifact.rows(file));
        let mut documents = work.documents;
        match step {
            Step::Ingest => self.ingest = Some(context.statistics("ingest")?),
            Step::Tokenize => {
                self.tokenized = Some(context.tokenized()?);
                let unique = context.tokens("tokenize", "unique")?;
                self.lengths = (0..unique.documents()).map(|document| unique.len(document)).collect();
                self.lengths.sort_unstable();
            }
            Step::Pair(at) => {
                documents = rows("train.parquet");
                self.pairs.insert(at, (documents, rows("held_out.parquet")));
            }
            _ => {}
        }
        let row = StagePlan {
            stage: step.stage(),
            arm: step.thing(context.recipe),
            documents,
            tokens: work.tokens,
            flops: work.flops,
            bytes: artifact.manifest.files.iter().map(|file| file.bytes).sum(),
            wall_s: artifact.manifest.wall_s,
            memory_bytes: beyond(self.held_bytes, artifact.manifest.peak_rss_bytes),
            estimated: vec!["memory_bytes"],
        };
        self.rows.insert(step, row);
        Ok(())
    }

    /// Takes what synthesizers would learn, of those whose pairs are there.
    fn learn(&mut self, context: &Context<'_>) -> Result<()> {
        let recipe = context.recipe;
        for step in Step::all(recipe) {
            let Step::Tune(at) = step else { continue };
            let pairs = recipe.pair_set(&recipe.synthesizers[at].pairs);
            // Of none nothing can be learned.
            let is_made = self.pairs.get(&pairs).is_some_and(|(training, _)| *training > 0);
            if is_made && self.tokenized.is_some() {
                match tune::size(context, at) {
                    Ok(size) => drop(self.lessons.insert(at, size)),
                    Err(error) if error.interrupted() => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn problem(&mut self, place: &str, error: &Error) {
        let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
        self.problems.push(format!("the run would stop {place}: {error}{hint}"));
    }
}

/// The caller's monitor, which also says stop when the time is over.
struct Within<'a> {
    inner: &'a dyn Monitor,
    since: Instant,
    most: Duration,
    by_user: AtomicBool,
}

impl<'a> Within<'a> {
    fn new(inner: &'a dyn Monitor, most: Duration) -> Self {
        Self { inner, since: Instant::now(), most, by_user: AtomicBool::new(false) }
    }

    fn spent_s(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// Whether it was the user who said stop.
    fn by_user(&self) -> bool {
        self.by_user.load(Ordering::Relaxed)
    }
}

impl Monitor for Within<'_> {
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit) {
        self.inner.begin(what, total, unit);
    }

    fn advance(&self, done: u64, detail: &str) {
        self.inner.advance(done, detail);
    }

    fn end(&self) {
        self.inner.end();
    }

    fn interrupted(&self) -> bool {
        if !self.by_user() && self.inner.interrupted() {
            self.by_user.store(true, Ordering::Relaxed);
        }
        self.by_user() || self.since.elapsed() >= self.most
    }
}

/// A folder that goes with the value, which an interruption waits for. What a process left that ended otherwise is removed when the next one is
/// made.
struct Scratch<'a> {
    folder: PathBuf,
    monitor: &'a dyn Monitor,
    /// Let go when the folder is gone.
    _claim: Claim,
}

impl<'a> Scratch<'a> {
    fn new(parent: &Path, monitor: &'a dyn Monitor) -> Result<Self> {
        remove_left(parent)?;
        for number in 0u32.. {
            let folder = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => match Claim::folder(&folder) {
                    Ok(claim) => return Ok(Self { folder, monitor, _claim: claim }),
                    Err(error) => {
                        // As empty as it was made, or nearly so.
                        let _ = fs_err::remove_dir_all(&folder);
                        return Err(error.into());
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists).into())
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let _unsaved = Unsaved::hold(self.monitor);
        if let Err(error) = fs_err::remove_dir_all(&self.folder) {
            tracing::warn!("a temporary folder stays: {error}");
        }
    }
}

/// Removes the folders in `parent` that nobody holds any more. Those of other users stay.
fn remove_left(parent: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(parent)? {
        let entry = entry?;
        let Some(process) = entry.file_name().to_str().and_then(maker) else { continue };
        // One whose maker lives may be about to be claimed, and one that is claimed may be another machine's.
        let is_left = entry.file_type()?.is_dir()
            && !process::is_alive(process)
            && matches!(Claim::holder(&entry.path()), Ok(None));
        if is_left && fs_err::remove_dir_all(entry.path()).is_err() {
            tracing::debug!("{} stays", entry.path().display());
        }
    }
    Ok(())
}

/// The number of the process that made a folder called so.
fn maker(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    #[test]
    fn a_folder_goes_with_its_value_and_what_a_killed_process_left_goes_too() {
        let parent = tempfile::tempdir().unwrap();
        let names = || fs_err::read_dir(parent.path()).unwrap().count();
        // No process has such a number.
        let own = std::process::id();
        let left = ["cognate-plan-4294967295-0", "cognate-plan-4294967295-1"];
        let stays = ["somebody's", &format!("cognate-plan-{own}-0"), "cognate-plan-x", "cognate-plan-4294967295-2"];
        for folder in left.iter().chain(&stays).map(|name| parent.path().join(name)) {
            fs_err::create_dir(folder).unwrap();
        }
        fs_err::write(parent.path().join(left[0]).join("lock"), "process 4294967295 on here\n").unwrap();
        let held = Claim::folder(&parent.path().join(stays[3])).unwrap();
        let one = Scratch::new(parent.path(), &Silent).unwrap();
        assert!(left.iter().all(|name| !parent.path().join(name).exists()), "with a claim that is free or with none");
        assert!(stays.iter().all(|name| parent.path().join(name).exists()), "not ours, being made, or held");
        assert!(Claim::holder(&one.folder).unwrap().is_some());
        let two = Scratch::new(parent.path(), &Silent).unwrap();
        assert!(one.folder.exists() && one.folder != two.folder, "what is held stays");
        drop((one, two, held));
        assert_eq!(names(), stays.len());
    }

    #[test]
    fn the_end_of_the_time_is_no_word_of_the_user() {
        let over = Within::new(&Silent, Duration::ZERO);
        assert!(over.interrupted() && !over.by_user());
        assert!(!Within::new(&Silent, Duration::from_secs(3600)).interrupted());
    }
}
