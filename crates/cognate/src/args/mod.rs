//! The command line as typed. What it means is worked out in `commands`.

mod benches;
#[cfg(test)]
mod defaults;
mod documents;
mod inspect;
mod models;
pub(crate) mod numbers;
mod world;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use cognate_run::DeviceKind;

pub(crate) use benches::{BenchArgs, BenchGenerateArgs, BenchTrainArgs};
pub(crate) use documents::{
    EmbedArgs, EmbedMethod, IngestArgs, OnBadRecord, PairArgs, PairMethod, ReadArgs, TokenizeArgs,
};
pub(crate) use inspect::{InspectArgs, InspectSyntheticArgs};
pub(crate) use models::{
    EndpointArgs, EvaluateArgs, FilterArgs, GenerateArgs, JoinArgs, JudgeArgs, OptimizerArgs, PERPLEXITY, SampleArgs,
    ShapeArgs, TrainArgs, TuneArgs,
};
pub(crate) use world::WorldArgs;

use crate::VERSION;

/// Synthetic bootstrapped pretraining: learns how the documents of a fixed corpus are related, writes new ones from
/// that, pretrains on both, and measures what it was worth.
#[derive(Debug, Parser)]
#[command(name = "cognate", version = VERSION, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Threads to use; all cores where it is not given. No result depends on it.
    #[arg(long, global = true, value_name = "N", value_parser = numbers::whole::<usize>(1, MOST_THREADS))]
    pub(crate) threads: Option<usize>,
    /// Only warnings and errors on stderr, no progress.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// More of what happens on stderr.
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a recipe: every stage, every arm, the report. Running again continues.
    Run(RunArgs),
    /// Say what a recipe would cost, measured as far as that takes under a minute, and leave nothing behind.
    Plan(PlanArgs),
    /// Say how far a run is.
    Status(StatusArgs),
    /// Write a run's report again, and print its closing table; of several runs, compare them.
    Report(ReportArgs),
    /// Show a run as it goes on, in this terminal or as a page.
    Watch(WatchArgs),
    /// Read documents, drop duplicates, split them.
    Ingest(IngestArgs),
    /// Encode documents, with a trained or a given tokenizer.
    Tokenize(TokenizeArgs),
    /// Turn documents into vectors.
    Embed(EmbedArgs),
    /// Find related documents.
    Pair(PairArgs),
    /// Pretrain a decoder on token files.
    Train(TrainArgs),
    /// Tune a checkpoint to write a document's related ones.
    Tune(TuneArgs),
    /// Write documents related to seeds, with a tuned checkpoint.
    Generate(GenerateArgs),
    /// Put the parts of a generation (generate --shard) together.
    Join(JoinArgs),
    /// Print documents related to a text, to read.
    Sample(SampleArgs),
    /// Keep good synthetic documents, and say why the others are not.
    Filter(FilterArgs),
    /// Look at what a run made.
    #[command(subcommand)]
    Inspect(InspectArgs),
    /// Measure a checkpoint on documents and on published tasks.
    Evaluate(EvaluateArgs),
    /// Write a corpus whose documents share a known concept, with true pairs and all that is true of it.
    #[command(subcommand)]
    World(WorldArgs),
    /// Time the engine on this machine.
    #[command(subcommand)]
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// The run directory [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Another run directory: what it has finished and this recipe asks for is taken over, by hard links, and not made again.
    #[arg(long, value_name = "DIR")]
    pub(crate) reuse: Option<PathBuf>,
    /// The last stage to do: what it does not need is left for a later call. The report tells what there is.
    #[arg(long, value_name = "STAGE")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The recipe, a TOML file.
    pub(crate) recipe: PathBuf,
    /// Print the recipe as resolved instead, as TOML: every default, and every thing that presets stand for.
    #[arg(long, conflicts_with = "json")]
    pub(crate) expand: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArg,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The run directory.
    pub(crate) dir: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run directory. Several, or their `report.json` alone, are compared.
    #[arg(required = true, num_args = 1.., value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
    /// Where the comparison of several runs is written to, as comparison.html and comparison.json; the runs themselves stay as
    /// they are [default: comparison]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The run directory; it need not be there yet.
    pub(crate) dir: PathBuf,
    /// Serve a page that updates instead, at this address; this machine alone reaches the default.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, require_equals = true, default_missing_value = "127.0.0.1:8321")]
    pub(crate) serve: Option<SocketAddr>,
}

/// Where models run.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DeviceArg {
    /// Where models run.
    #[arg(long, default_value = DeviceKind::default().word(), value_parser = device_kind())]
    pub(crate) device: DeviceKind,
}

/// Reads a device by its name.
fn device_kind() -> impl TypedValueParser<Value = DeviceKind> {
    PossibleValuesParser::new(DeviceKind::ALL.map(DeviceKind::word))
        .map(|word| DeviceKind::ALL.into_iter().find(|kind| kind.word() == word).unwrap_or_default())
}

/// More threads than this take longer to start than they save on any machine.
const MOST_THREADS: u64 = 1024;

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    /// Every flag that takes a number: the words of its command, its name, and whether the number is whole.
    fn numbers(command: &clap::Command, words: &[String], found: &mut Vec<(Vec<String>, String, bool)>) {
        for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let id = argument.get_value_parser().type_id();
            let whole =
                [TypeId::of::<usize>(), TypeId::of::<u64>(), TypeId::of::<u32>()].iter().any(|whole| id == *whole);
            if let (true, Some(flag)) = (whole || id == TypeId::of::<f64>(), argument.get_long()) {
                found.push((words.to_vec(), flag.to_owned(), whole));
            }
        }
        for inner in command.get_subcommands() {
            numbers(inner, &[words, &[inner.get_name().to_owned()]].concat(), found);
        }
    }

    #[test]
    fn no_number_is_without_an_upper_bound() {
        Cli::command().debug_assert();
        let mut found = Vec::new();
        numbers(&Cli::command(), &["cognate".to_owned()], &mut found);
        assert!(found.len() > 80, "{} flags", found.len());
        for (words, flag, whole) in found {
            let huge: &[&str] = match (whole, flag.as_str()) {
                // Every number of 64 bits is a seed.
                (true, "seed") => &["18446744073709551616", "-1", "1e9"],
                (true, _) => &["18446744073709551615", "9223372036854775807", "4503599627370496", "-1", "1e9", "inf"],
                (false, _) => &["inf", "NaN", "1e999", "-1e300"],
            };
            for value in huge {
                let typed = words.iter().cloned().chain([format!("--{flag}={value}")]);
                let error = Cli::try_parse_from(typed).expect_err(&format!("{words:?} --{flag}={value}"));
                let message = error.to_string();
                assert_eq!(error.kind(), ErrorKind::ValueValidation, "{words:?} --{flag}={value}: {message}");
                let told = flag == "seed" || message.contains("expected a");
                assert!(told && message.contains(&format!("--{flag}")) && message.contains(value), "{message}");
            }
        }
    }
}
