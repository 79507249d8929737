//! The `cognate` program: flags to settings to commands. The only place that prints; data goes to stdout, logs and bars
//! to stderr.

mod args;
mod commands;
mod failure;
mod flags;
mod interrupt;
mod output;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::terminal::Terminal;

/// The package's version, with the commit that it was built from and whether the code was changed since, where that is known.
const VERSION: &str = env!("COGNATE_VERSION");

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return usage(&told),
    };
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => return Failure::from(error).report(None),
    };
    let terminal = Terminal::new(&cli.global, interrupt.clone());
    terminal.log();
    if let Err(error) = terminal.end_when_stuck() {
        return Failure::from(error).report(None);
    }
    let outcome = start_threads(cli.global.threads).and_then(|threads| commands::run(cli.command, threads, &terminal));
    terminal.close();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(interrupt.signal()),
    }
}

/// What clap says instead of a command: help and version to stdout, bad usage to stderr.
fn usage(told: &clap::Error) -> ExitCode {
    let text = told.to_string();
    if told.use_stderr() {
        // Its lines are its own, and it quotes what was typed on one of them.
        text.lines().for_each(output::tell);
        return ExitCode::from(2);
    }
    match output::text(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).report(None),
    }
}

/// The one pool that all stages work on. What its threads compute with is looked at first.
fn start_threads(asked: Option<usize>) -> Result<usize, Failure> {
    cognate_ops::checked_isa()?;
    let threads = match asked {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("cognate-{i}"))
        .build_global()
        .map_err(std::io::Error::other)?;
    Ok(threads)
}
