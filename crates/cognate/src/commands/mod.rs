//! From what was typed to what is done, one file per group of commands.

mod bench;
mod curves;
mod documents;
mod evaluate;
mod experiment;
mod inspect;
mod judge;
mod models;
mod outputs;
mod relations;
mod serve;
mod synthesis;
mod watch;
mod world;

use std::io::IsTerminal;

pub(crate) use bench::BenchArgs;

use cognate_base::Monitor as _;
use cognate_run::device::Device;

use crate::args::{Command, DeviceArg};
use crate::failure::Failure;
use crate::output;
use crate::terminal::Terminal;

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Runs a command on `threads` threads.
pub(crate) fn run(command: Command, threads: usize, terminal: &Terminal) -> Result {
    terminal.check()?;
    let _claims = outputs::claim(&command)?;
    match command {
        Command::Run(args) => experiment::run(&args, threads, terminal),
        Command::Plan(args) => experiment::plan(&args, threads, terminal),
        Command::Status(args) => experiment::status(&args),
        Command::Report(args) => experiment::report(&args, threads),
        Command::Watch(args) => watch::watch(&args, terminal),
        Command::Ingest(args) => documents::ingest(&args, terminal),
        Command::Tokenize(args) => documents::tokenize(&args, terminal),
        Command::Embed(args) => relations::embed(&args, terminal),
        Command::Pair(args) => relations::pair(&args, terminal),
        Command::Train(args) => models::train(&args, threads, terminal),
        Command::Tune(args) => models::tune(&args, threads, terminal),
        Command::Generate(args) => synthesis::generate(&args, threads, terminal),
        Command::Join(args) => synthesis::join(&args, terminal),
        Command::Sample(args) => synthesis::sample(&args, threads, terminal),
        Command::Filter(args) => synthesis::filter(&args, threads, terminal),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Evaluate(args) => evaluate::evaluate(&args, threads, terminal),
        Command::World(args) => world::world(&args, terminal),
        Command::Bench(args) => bench::bench(&args, threads, terminal),
    }
}

/// Writes text for people to stdout.
fn print(text: &str) -> Result {
    Ok(output::text(text)?)
}

/// Columns of the terminal that stdout is, if it is one.
fn columns() -> Result<Option<usize>> {
    let size = std::io::stdout().is_terminal().then(crossterm::terminal::size).transpose()?;
    Ok(size.map(|(columns, _)| usize::from(columns)))
}

/// Writes one JSON value on one line to stdout.
fn print_json(value: &impl serde::Serialize) -> Result {
    Ok(output::json(value)?)
}

/// The device that models run on.
fn device(args: DeviceArg, threads: usize) -> Result<Device> {
    Ok(args.device.open(threads)?)
}
