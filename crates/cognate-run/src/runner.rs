//! Runs a recipe: every stage in its order, with the checks between them, and the report at the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_results::{self as results, Environment, Pages, Report};

use crate::assemble::{self, Assembly};
use crate::context::{Context, Settings};
use crate::duration::seconds;
use crate::error::{Error, Result};
use crate::graph::behind;
use crate::perform::perform;
use crate::recipe::Recipe;
use crate::rundir::{RECIPE, RunDir, RunDirError, STAGE_NAMES, refuse_first_release};
use crate::step::Step;
use crate::{cards, checks};

/// A report as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The report.
    pub report: Report,
    /// Its page.
    pub page: PathBuf,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Stages that were done now.
    pub done: usize,
    /// Stages that had been done before.
    pub skipped: usize,
    /// What came of it, as the files in the run directory have it.
    pub told: Told,
}

/// Runs `recipe` into `settings.out`. Running again skips what is finished and resumes what is not.
///
/// # Errors
/// [`Error::Interrupted`] when the monitor says so, with everything saved that a later call needs; otherwise when the
/// directory is in use, damaged or of another recipe, or when a stage fails.
pub fn run(recipe: &Recipe, settings: &Settings, pages: &dyn Pages, monitor: &dyn Monitor) -> Result<Outcome> {
    let steps = steps(recipe, settings.until.as_deref())?;
    let mut run = RunDir::open(&settings.out)?;
    if let Some(other) = &settings.reuse {
        run = run.reusing(other)?;
    }
    checks::before(recipe, &run, monitor)?;
    write_atomic(run.root().join(RECIPE), resolved(recipe)?)?;
    let mut context = Context::new(recipe, settings, run, monitor, behind);
    let (mut done, mut skipped) = (0, 0);
    for step in steps {
        let label = step.label(recipe);
        if perform(&mut context, step)? {
            done += 1;
            tracing::info!("{label}: done in {}", seconds(context.made(step).manifest.wall_s));
        } else {
            skipped += 1;
            tracing::info!("{label}: done before");
        }
        checks::after(&context, step)?;
    }
    let told = tell(recipe, settings, pages, done > 0)?;
    Ok(Outcome { done, skipped, told })
}

/// What a run does before its report: every stage of the recipe, or those of one name and all that they are made from.
fn steps(recipe: &Recipe, until: Option<&str>) -> Result<Vec<Step>> {
    let all = || Step::all(recipe).into_iter().filter(|step| *step != Step::Report);
    let Some(stage) = until.filter(|stage| *stage != Step::Report.stage()) else { return Ok(all().collect()) };
    let needed: BTreeSet<Step> =
        all().filter(|step| step.stage() == stage).flat_map(|step| behind(recipe, step)).collect();
    if needed.is_empty() {
        let is_needed = |name: &&str| all().any(|step| step.stage() == *name);
        let stages: Vec<&str> = STAGE_NAMES.into_iter().filter(is_needed).collect();
        return Err(Error::NoSuchStage { stage: stage.to_owned(), stages: stages.join(", ") });
    }
    Ok(all().filter(|step| needed.contains(step)).collect())
}

/// Writes the report, its page and the cards. Where nothing was done now, what ran the experiment is what it was.
fn tell(recipe: &Recipe, settings: &Settings, pages: &dyn Pages, anything_done: bool) -> Result<Told> {
    let path = settings.out.join(results::JSON_FILE);
    let kept = if anything_done || !path.exists() { None } else { environment_of(&path)? };
    let environment = kept.unwrap_or_else(|| assemble::environment(settings));
    let assembly = Assembly { root: &settings.out, recipe };
    let report = assembly.report(environment)?;
    cards::write(&assembly, &report, pages)?;
    results::write(&report, &settings.out)?;
    let page = settings.out.join(results::HTML_FILE);
    write_atomic(&page, pages.report(&report))?;
    Ok(Told { report, page })
}

/// What ran the experiment, from a report of any version. None, with a warning, where the file does not say: a report is made
/// from the run all the same.
pub(crate) fn environment_of(path: &Path) -> Result<Option<Environment>> {
    #[derive(serde::Deserialize)]
    struct Kept {
        environment: Environment,
    }
    let found = serde_json::from_slice::<Kept>(&fs_err::read(path)?);
    if let Err(error) = &found {
        let path = path.display();
        tracing::warn!("{path} does not say what ran the experiment ({error})");
    }
    Ok(found.ok().map(|kept| kept.environment))
}

/// Writes the report of a run directory again, from what it holds now.
///
/// # Errors
/// When it is no run directory, a run works in it, or something in it is damaged.
pub fn report_again(settings: &Settings, pages: &dyn Pages) -> Result<Told> {
    let path = settings.out.join(RECIPE);
    if !path.exists() {
        return Err(RunDirError::NoRun { folder: settings.out.clone() }.into());
    }
    let _run = RunDir::open(&settings.out)?;
    tell(&Recipe::load(&path)?, settings, pages, false)
}

/// The reports of runs, each a run directory, finished or not, or a `report.json` alone, with what each is called. Nothing in them
/// is changed.
///
/// # Errors
/// When one of them is neither, or something in it is damaged.
pub fn reports(runs: &[PathBuf]) -> Result<Vec<(String, Report)>> {
    let read = |path: &PathBuf| -> Result<(String, Report)> {
        // `runs/a/.` and `runs/a/report.json` are `a`.
        let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
        let whole = fs_err::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        let label = whole.file_name().map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned());
        let (recipe, written) = (path.join(RECIPE), path.join(results::JSON_FILE));
        if path.is_file() {
            return Ok((label, results::read(path)?));
        }
        if recipe.exists() {
            refuse_first_release(path)?;
            let recipe = Recipe::load(&recipe)?;
            return Ok((label, Assembly { root: path, recipe: &recipe }.report(Environment::unknown())?));
        }
        if written.exists() {
            return Ok((label, results::read(&written)?));
        }
        Err(RunDirError::NoRun { folder: path.clone() }.into())
    };
    runs.iter().map(read).collect()
}

/// The resolved recipe with a line that says what its paths are relative to.
pub(crate) fn resolved(recipe: &Recipe) -> Result<String> {
    let toml = recipe.to_toml().map_err(|error| Error::Io(std::io::Error::other(error)))?;
    Ok(format!("# The recipe as resolved. Paths are relative to the folder of the recipe that was run.\n{toml}"))
}

/// Pages of nothing, for tests of runs.
#[cfg(test)]
pub(crate) struct NoPages;

#[cfg(test)]
impl Pages for NoPages {
    fn report(&self, _: &Report) -> String {
        String::new()
    }

    fn dataset_card(&self, _: &Report) -> Option<String> {
        Some("a corpus".to_owned())
    }

    fn model_card(&self, _: &Report, _: results::Checkpoint<'_>) -> String {
        "a model".to_owned()
    }
}
