//! What a command writes, claimed before it starts: two processes never write one output.

use std::path::{Path, PathBuf};

use cognate_base::{Claim, ClaimError};
use cognate_results::TASK_CURVES;

use super::experiment::comparison_folder;
use crate::args::{Command, EvaluateArgs, InspectArgs};

/// A place that a command writes to.
enum Output<'a> {
    Folder(&'a Path),
    /// A file, or the files whose names begin so.
    File(PathBuf),
}

/// Claims all that a command writes to.
///
/// # Errors
/// When another process writes there.
pub(super) fn claim(command: &Command) -> Result<Vec<Claim>, ClaimError> {
    let claim = |output: &Output<'_>| match output {
        Output::Folder(path) => Claim::folder(path),
        Output::File(path) => Claim::file(path),
    };
    outputs(command).iter().map(claim).collect()
}

/// Every command says here what it writes to. Those about a run directory claim it themselves, once they know it to be one.
fn outputs(command: &Command) -> Vec<Output<'_>> {
    use Output::{File, Folder};
    match command {
        Command::Run(_) | Command::Plan(_) | Command::Status(_) | Command::Watch(_) => Vec::new(),
        Command::Sample(_) | Command::Bench(_) => Vec::new(),
        Command::Report(args) => match args.dirs.as_slice() {
            [_] => Vec::new(),
            _ => vec![Folder(comparison_folder(args))],
        },
        Command::World(args) => vec![Folder(&args.out)],
        Command::Ingest(args) => vec![Folder(&args.out)],
        Command::Tokenize(args) => {
            let tokenizer = args.train.map(|_| File(args.tokenizer.clone()));
            tokenizer.into_iter().chain([File(args.out.clone())]).collect()
        }
        Command::Embed(args) => vec![File(args.out.clone())],
        Command::Pair(args) => args.out.iter().cloned().map(File).collect(),
        Command::Train(args) => vec![Folder(&args.out)],
        Command::Tune(args) => vec![Folder(&args.out)],
        Command::Generate(args) => vec![Folder(&args.out)],
        Command::Join(args) => vec![Folder(&args.out)],
        Command::Filter(args) => vec![Folder(&args.out)],
        Command::Inspect(InspectArgs::Synthetic(args)) => args.html.iter().cloned().map(File).collect(),
        Command::Evaluate(args) => args.requests_out.iter().cloned().chain(curves(args)).map(File).collect(),
    }
}

/// Where `evaluate --all-checkpoints` writes to.
fn curves(args: &EvaluateArgs) -> Option<PathBuf> {
    let folder = args.all_checkpoints.as_ref().filter(|folder| folder.is_dir())?;
    Some(args.curves_out.clone().unwrap_or_else(|| folder.join(TASK_CURVES)))
}
