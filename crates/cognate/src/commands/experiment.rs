//! `run`, `plan`, `status` and `report`: whole experiments.

use std::path::PathBuf;

use cognate_run::recipe::Recipe;
use cognate_run::{DeviceKind, Settings};

use super::{Result, print, print_json};
use crate::args::{Device, PlanArgs, RunArgs, StatusArgs};
use crate::terminal::Terminal;

fn device(device: Device) -> DeviceKind {
    match device {
        Device::Cpu => DeviceKind::Cpu,
    }
}

pub(crate) fn run(args: &RunArgs, threads: usize, terminal: &Terminal) -> Result {
    let recipe = Recipe::load(&args.recipe)?;
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&recipe.name));
    let command = format!("cognate run {}", args.recipe.display());
    let settings = Settings { out, threads, device: device(args.device.device), command };
    let outcome = cognate_run::run(&recipe, &settings, terminal)?;
    print(&outcome.closing)
}

pub(crate) fn plan(args: &PlanArgs, threads: usize, terminal: &Terminal) -> Result {
    let recipe = Recipe::load(&args.recipe)?;
    let plan = cognate_run::plan(&recipe, device(args.device.device), threads, terminal)?;
    if args.json { print_json(&plan) } else { print(&plan.to_string()) }
}

pub(crate) fn status(args: &StatusArgs) -> Result {
    let status = cognate_run::status(&args.dir)?;
    if args.json { print_json(&status) } else { print(&status.to_string()) }
}
