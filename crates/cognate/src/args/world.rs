//! `world`: a command for each, with a flag for every dial of the table that `cognate-worlds` has.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, Subcommand, value_parser};
use cognate_worlds::{Dial, Dials, Range};
use serde_json::{Map, Value, json};

use super::numbers::whole;

/// The world that is asked for.
#[derive(Debug)]
pub(crate) struct WorldArgs {
    /// Its name and dials.
    pub(crate) dials: Dials,
    /// The folder to write.
    pub(crate) out: PathBuf,
    /// What everything is drawn from.
    pub(crate) seed: u64,
}

/// A dial's name as a flag. Once for each dial of a process: clap keeps names for as long as it runs.
fn flag(dial: &Dial) -> &'static str {
    dial.name.replace('_', "-").leak()
}

fn argument(dial: &Dial) -> Arg {
    let argument = Arg::new(dial.name).long(flag(dial)).help(dial.about.trim().trim_end_matches('.'));
    match dial.range {
        Range::Whole(low, high) => argument.value_parser(whole::<u64>(low, high)).default_value(dial.default),
        Range::Share | Range::Above0(_) => {
            let range = dial.range;
            let number = move |text: &str| {
                let number = text.parse::<f64>().ok().filter(|x| range.holds(&json!(x)));
                number.ok_or_else(|| format!("expected {}", range.words()))
            };
            argument.value_parser(number).default_value(dial.default)
        }
        Range::Flag => argument.action(ArgAction::SetTrue),
    }
}

/// The command of a world.
fn command(name: &'static str, about: &'static str, dials: &[Dial]) -> Command {
    let out = Arg::new("out").long("out").value_name("DIR").required(true).value_parser(value_parser!(PathBuf)).help(
        "The folder for the documents, JSON Lines a split, pairs.parquet, truth.json, statistics.json and corpus.toml",
    );
    let seed = Arg::new("seed").long("seed").value_parser(value_parser!(u64)).default_value("0");
    let seed = seed.help("Seed of the world and of its documents");
    let numbers = dials
        .iter()
        .map(argument)
        .map(|argument| if argument.get_action().takes_values() { argument.value_name("N") } else { argument });
    Command::new(name).about(about).arg(out).arg(seed).args(numbers)
}

/// A world's dials as they were typed.
fn dials(name: &str, table: &[Dial], matches: &ArgMatches) -> Result<Dials, Error> {
    let mut values = Map::from_iter([("name".to_owned(), json!(name))]);
    for dial in table {
        let value = match dial.range {
            Range::Whole(..) => matches.get_one::<u64>(dial.name).map(|n| json!(n)),
            Range::Share | Range::Above0(_) => matches.get_one::<f64>(dial.name).map(|x| json!(x)),
            Range::Flag => Some(json!(matches.get_flag(dial.name))),
        };
        values.extend(value.map(|value| (dial.name.to_owned(), value)));
    }
    serde_json::from_value(Value::Object(values)).map_err(|error| Error::raw(ErrorKind::InvalidValue, error))
}

impl FromArgMatches for WorldArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let missing = || Error::new(ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let (_, _, table) = Dials::WORLDS.into_iter().find(|(world, ..)| *world == name).ok_or_else(missing)?;
        let out = matches.get_one::<PathBuf>("out").cloned().ok_or_else(missing)?;
        let seed = matches.get_one::<u64>("seed").copied().unwrap_or_default();
        Ok(Self { dials: dials(name, table, matches)?, out, seed })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for WorldArgs {
    fn augment_subcommands(cmd: Command) -> Command {
        cmd.subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(Dials::WORLDS.map(|(name, about, dials)| command(name, about, dials)))
    }

    fn augment_subcommands_for_update(cmd: Command) -> Command {
        Self::augment_subcommands(cmd)
    }

    fn has_subcommand(name: &str) -> bool {
        Dials::WORLDS.iter().any(|(world, ..)| *world == name)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::{Cli, Command};

    use super::*;

    #[test]
    fn nothing_typed_is_every_dial_at_its_default() {
        for (name, _, table) in Dials::WORLDS {
            let Command::World(args) = Cli::try_parse_from(["cognate", "world", name, "--out", "w"]).unwrap().command
            else {
                panic!("another command")
            };
            let alone: Dials = serde_json::from_value(json!({"name": name})).unwrap();
            assert_eq!((args.dials, args.seed), (alone, 0));
            assert!(!table.is_empty());
        }
    }

    #[test]
    fn every_dial_is_a_flag_and_a_key() {
        for (name, _, table) in Dials::WORLDS {
            let default =
                serde_json::to_value(serde_json::from_value::<Dials>(json!({"name": name})).unwrap()).unwrap();
            assert_eq!(default.as_object().unwrap().len(), table.len() + 1, "the name and the dials");
            for dial in table {
                let (value, typed) = match dial.range {
                    Range::Whole(low, _) => (json!(low), vec![format!("--{}={low}", flag(dial))]),
                    Range::Share | Range::Above0(_) => (json!(0.5), vec![format!("--{}=0.5", flag(dial))]),
                    Range::Flag => (json!(true), vec![format!("--{}", flag(dial))]),
                };
                let words = ["cognate", "world", name, "--out", "w"].map(str::to_owned).into_iter().chain(typed);
                let Command::World(args) = Cli::try_parse_from(words).unwrap().command else {
                    panic!("another command")
                };
                let mut expected = default.clone();
                expected[dial.name] = value;
                assert_eq!(serde_json::to_value(args.dials).unwrap(), expected, "{name} {}", dial.name);
            }
        }
    }
}
