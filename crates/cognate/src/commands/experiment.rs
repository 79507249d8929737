//! `run`, `plan`, `status` and `report`: whole experiments.

use std::path::{Path, PathBuf};

use cognate_base::claim::LOCK;
use cognate_base::files::write_atomic;
use cognate_report as report;
use cognate_run::recipe::Recipe;
use cognate_run::{DeviceKind, Settings, Told};

use super::shared::{Result, print, print_json};
use crate::VERSION;
use crate::args::{PlanArgs, ReportArgs, RunArgs, StatusArgs};
use crate::failure::Failure;
use crate::terminal::Terminal;

pub(crate) fn run(args: &RunArgs, threads: usize, terminal: &Terminal) -> Result {
    let recipe = Recipe::load(&args.recipe)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    // A report is published: it names the recipe as typed from the project's folder, or by its file name alone.
    let named = if args.recipe.is_absolute() { args.recipe.file_name().map(PathBuf::from) } else { None };
    let command = format!("cognate run {}", named.as_ref().unwrap_or(&args.recipe).display());
    let (reuse, until) = (args.reuse.clone(), args.until.clone());
    let settings =
        Settings { out, reuse, until, threads, device: args.device.device, command, version: VERSION.to_owned() };
    let outcome = cognate_run::run(&recipe, &settings, &report::Html, terminal)?;
    print(&closing(&outcome.told))
}

/// The closing table of a report, and where its page is.
fn closing(told: &Told) -> String {
    format!("{}\nreport: {}\n", report::closing_table(&told.report), told.page.display())
}

pub(crate) fn plan(args: &PlanArgs, threads: usize, terminal: &Terminal) -> Result {
    let recipe = Recipe::load(&args.recipe)?;
    if args.expand {
        return print(&recipe.to_toml().map_err(std::io::Error::other)?);
    }
    let plan = cognate_run::plan(&recipe, args.device.device, threads, terminal)?;
    if args.json { print_json(&plan) } else { print(&plan.to_string()) }
}

pub(crate) fn status(args: &StatusArgs) -> Result {
    let status = cognate_run::status(&args.dir)?;
    if args.json { print_json(&status) } else { print(&status.to_string()) }
}

pub(crate) fn report(args: &ReportArgs, threads: usize) -> Result {
    let [dir] = args.dirs.as_slice() else { return compare(args) };
    if let Some(out) = &args.out {
        return Err(Failure::setting(
            "--out",
            out.display(),
            "several run directories to compare; one run's report lies in it",
        ));
    }
    let command = "cognate run recipe.toml".to_owned();
    let settings = Settings {
        out: dir.clone(),
        reuse: None,
        until: None,
        threads,
        device: DeviceKind::default(),
        command,
        version: VERSION.to_owned(),
    };
    let told = cognate_run::report_again(&settings, &report::Html)?;
    if args.json { print_json(&told.report) } else { print(&closing(&told)) }
}

/// Where the comparison of several runs goes.
pub(super) fn comparison_folder(args: &ReportArgs) -> &Path {
    args.out.as_deref().unwrap_or(Path::new("comparison"))
}

fn compare(args: &ReportArgs) -> Result {
    let compared = report::Comparison::of(&cognate_run::reports(&args.dirs)?);
    let out = comparison_folder(args);
    let (json, page) = (out.join("comparison.json"), out.join("comparison.html"));
    let is_ours = json.exists() || !holds_more_than(out, LOCK)?;
    if !is_ours {
        return Err(Failure::setting("--out", out.display(), "a folder that is new, empty, or holds a comparison"));
    }
    let mut text = serde_json::to_string_pretty(&compared).map_err(std::io::Error::from)?;
    text.push('\n');
    write_atomic(&page, report::comparison_page(&compared))?;
    write_atomic(&json, text)?;
    if args.json {
        return print_json(&compared);
    }
    print(&format!("{}\ncomparison: {}\n", report::comparison_table(&compared), page.display()))
}

/// Whether a folder holds anything but one file.
fn holds_more_than(folder: &Path, file: &str) -> Result<bool> {
    for entry in fs_err::read_dir(folder)? {
        if entry?.file_name() != file {
            return Ok(true);
        }
    }
    Ok(false)
}
