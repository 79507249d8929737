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
mod shared;
mod synthesis;
mod watch;
mod world;

use crate::args::Command;
use crate::terminal::Terminal;
use cognate_base::Monitor as _;
use shared::Result;

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
