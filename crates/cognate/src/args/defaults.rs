//! Commands and recipes have one source of defaults: a flag that means a key is what the key is where neither is written.

use std::collections::BTreeSet;

use clap::CommandFactory;
use cognate_run::recipe::keys::{Key, Preset, keys_of};
use cognate_synth::Thresholds;

use super::Cli;

/// The stages' commands, with the tables whose keys their flags mean.
const COMMANDS: [(&str, &[&str]); 8] = [
    ("ingest", &["corpus", ""]),
    ("tokenize", &["tokenize", "corpus"]),
    ("embed", &["embed", "corpus", ""]),
    ("pair", &["pair"]),
    ("train", &["train", "model", ""]),
    ("tune", &["tune", "train", "corpus", ""]),
    ("generate", &["generate", "corpus", ""]),
    ("filter", &["filter", "corpus"]),
];

/// Flags whose default follows from other keys in a recipe, and stands for itself in a command, which has no such keys.
const ALONE: [(&str, &str, &str); 7] = [
    // 8 times the context where neither is written.
    ("train", "batch_tokens", "8192"),
    ("tune", "batch_tokens", "8192"),
    // A tenth of the base's rate, which the command does not know; this is that of a base of some ten million parameters.
    ("tune", "rate", "3e-4"),
    // A recipe's synthesizer takes its base's, whose default this is.
    ("tune", "weight_decay", "0.1"),
    // A recipe must say these.
    ("train", "layers", "6"),
    ("train", "width", "384"),
    ("train", "heads", "6"),
];

/// A default as it would be typed.
fn typed(text: &str) -> String {
    text.trim_matches(['`', '"']).replace('_', "")
}

fn same(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// What is wrong with the flag's default `found`; none where it is the key's.
fn difference(command: &str, key: &Key, found: Option<&str>) -> Option<String> {
    let alone = ALONE.iter().find(|(of, name, _)| *of == command && *name == key.name);
    let wanted = match (alone, key.default) {
        (Some((_, _, wanted)), _) => Some((*wanted).to_owned()),
        (None, Preset::Value(value)) => Some(typed(value)),
        // `32`: a value, and not what it follows from.
        (None, Preset::Derived(how)) => {
            let literal =
                how.starts_with('`') && how.ends_with('`') && !how.trim_matches('`').contains(['`', ' ', '.', '[']);
            literal.then(|| typed(how)).filter(|value| !keys_of("model").any(|key| key.name.replace('_', "") == *value))
        }
        (None, Preset::Required) => None,
    };
    let is = match (&wanted, found) {
        (Some(wanted), Some(found)) => same(wanted, found),
        (None, None) => true,
        _ => false,
    };
    (!is).then(|| format!("{command} --{}: {found:?}, and in a recipe {wanted:?}", key.name))
}

#[test]
fn a_flag_that_means_a_key_has_its_default() {
    let cli = Cli::command();
    let (mut compared, mut wrong) = (BTreeSet::new(), Vec::new());
    for (name, tables) in COMMANDS {
        let command = cli.find_subcommand(name).unwrap();
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long().map(|flag| flag.replace('-', "_")) else { continue };
            let keys = tables.iter().flat_map(|table| keys_of(table)).chain(keys_of(name));
            // Seeds of a pair's search and of a draw mean the recipe's; a file of documents has no key.
            let Some(key) = keys.into_iter().find(|key| key.name == flag) else { continue };
            if (name, key.table, key.name) == ("train", "model", "context") {
                // Where it is not typed it is the key's default, or what a checkpoint's positions leave of that.
                continue;
            }
            let defaults = argument.get_default_values();
            let found = defaults.first().map(|value| typed(&value.to_string_lossy()));
            wrong.extend(difference(name, key, found.as_deref()));
            compared.insert(format!("{name} {flag}"));
        }
    }
    assert_eq!(wrong, [""; 0], "{compared:#?}");
    for flag in ["tune warmup_share", "train warmup_share", "ingest unique_share", "generate slots", "filter near_copy"]
    {
        assert!(compared.contains(flag), "{flag} was not looked at: {compared:#?}");
    }
    assert!(compared.len() >= 60, "{}: {compared:#?}", compared.len());
}

#[test]
fn flags_that_mean_the_opposite_of_a_key_are_off() {
    let key = |table: &str, name: &str| keys_of(table).find(|key| key.name == name).unwrap().default;
    for (table, name) in [("model", "tied"), ("model", "qk_norm"), ("filter", "drop_unfinished")] {
        assert!(matches!(key(table, name), Preset::Value("true")), "{name}");
    }
    let Thresholds(published) = Thresholds::published();
    for (rule, limit) in published {
        let Preset::Value(of_recipes) = key("filter", rule.name()) else { panic!("{} has no default", rule.name()) };
        assert_eq!(of_recipes.parse::<f64>().unwrap(), limit, "{}", rule.name());
    }
}
