//! What is refused wherever it stands: unknown keys, wrong types, impossible values, and combinations that cannot be.

use std::path::Path;

use cognate_worlds::Range;

use super::super::Recipe;
use super::super::keys::{self, KEYS, Key, Kind};
use super::{LEAST, parse, refusal, refused};

#[test]
fn unknown_and_misplaced_keys() {
    assert_eq!(
        refused("width = 32", "widht = 32"),
        "recipes/r.toml:8: unknown key `widht` in [model]; the nearest known key is `width`\n\
         hint: the keys of [model] are layers, width, heads, kv_heads, head_width, ffn, rope_base, norm_eps, qk_norm, \
         tied, context"
    );
    assert_eq!(
        refused("heads = 2", "heads = 2\nbatch_tokens = 64"),
        "recipes/r.toml:10: unknown key `batch_tokens` in [model]; `batch_tokens` belongs to [train]\n\
         hint: the keys of [model] are layers, width, heads, kv_heads, head_width, ffn, rope_base, norm_eps, qk_norm, \
         tied, context"
    );
    assert_eq!(
        refused("name = \"least\"", "name = \"least\"\nsede = 1"),
        "recipes/r.toml:2: unknown key `sede` in the top of the file; the nearest known key is `seed`\n\
         hint: the keys of the top of the file are name, seed, seeds"
    );
    assert_eq!(
        refused("[train]", "[trian]"),
        "recipes/r.toml:11: unknown table `[trian]`; the nearest known table is `[train]`\n\
         hint: docs/recipes.md lists every table and key"
    );
}

#[test]
fn what_is_not_toml() {
    assert_eq!(
        refused("heads = 2", "heads = "),
        "recipes/r.toml:9: not valid TOML: string values must be quoted, expected literal string"
    );
    assert_eq!(refused("heads = 2", "heads = 2\nheads = 3"), "recipes/r.toml:10: not valid TOML: duplicate key");
}

#[test]
fn what_must_be_written() {
    assert_eq!(
        refused("layers = 2\n", ""),
        "recipes/r.toml:6: [model] has no `layers`: expected a whole number from 1 to 4096\n\
         hint: Decoder blocks (paper, 3B: 26)"
    );
    assert_eq!(
        refused("[model]", "[[pairs]]\nneighbours = 3\n[[pairs]]\nname = \"b\"\n[model]").lines().next().unwrap(),
        "recipes/r.toml:6: [[pairs]] has no `name`: expected a name of letters, digits, `-`, `_` and, inside of it, `.`"
    );
    assert_eq!(
        refused("[model]", "[[arm]]\ntrain.weight_decay = 0.3\n[model]").lines().next().unwrap(),
        "recipes/r.toml:6: an arm has neither `kind` nor `name`"
    );
    assert_eq!(
        refusal("name = \"a\""),
        "recipes/r.toml: [corpus] has no `paths`: expected a list of at least one path\n\
         hint: Files or folders of documents (JSON Lines, CSV, text, Parquet; see docs/formats.md), relative to the recipe"
    );
}

#[test]
fn wrong_types() {
    for (from, to, expected) in [
        ("heads = 2", "heads = \"two\"", "9: [model] heads = \"two\": expected a whole number from 1 to 4096"),
        ("heads = 2", "heads = 2.5", "9: [model] heads = 2.5: expected a whole number from 1 to 4096"),
        ("heads = 2", "heads = 2\nqk_norm = 1", "10: [model] qk_norm = 1: expected true or false"),
        (
            "1_000_000",
            "1e6",
            "12: [train] budget_tokens = 1e6: expected a whole number from 1 to 1125899906842624\nhint: write it as 1000000",
        ),
        ("[\"documents.jsonl\"]", "[]", "4: [corpus] paths = []: expected a list of at least one path"),
        ("[\"documents.jsonl\"]", "[1]", "4: [corpus] paths = [1]: expected a list of at least one path"),
        (
            "\"least\"",
            "\"a/b\"",
            "1: name = \"a/b\": expected a name of letters, digits, `-`, `_` and, inside of it, `.`",
        ),
        ("\"least\"", "7", "1: name = 7: expected a name of letters, digits, `-`, `_` and, inside of it, `.`"),
        (
            "[model]",
            "on_bad_record = \"skp\"\n[model]",
            "6: [corpus] on_bad_record = \"skp\": expected one of \"stop\", \"skip\"\nhint: the nearest of them is \
             \"skip\"",
        ),
    ] {
        assert_eq!(refused(from, to), format!("recipes/r.toml:{expected}"));
    }
}

#[test]
fn impossible_numbers() {
    for (table, line, expected) in [
        ("corpus", "unique_share = 1.5", "expected a number above 0 and at most 1"),
        ("corpus", "validation_share = 0", "expected a number above 0 and below 1"),
        ("generate", "temperature = -1", "expected a number from 0 to 10"),
        ("generate", "temperature = nan", "expected a number from 0 to 10"),
        ("generate", "temperature = inf", "expected a number from 0 to 10"),
        ("generate", "top_p = 0", "expected a number above 0 and at most 1"),
        ("generate", "top_k = -1", "expected a whole number from 0 to 1048576"),
        ("generate", "min_p = 1.5", "expected a number from 0 to 1"),
        ("generate", "repetition_penalty = 0", "expected a number above 0 and at most 10"),
        ("generate", "repetition_penalty = 11", "expected a number above 0 and at most 10"),
        ("generate", "top_p = 1.01", "expected a number above 0 and at most 1"),
        ("pair", "min_similarity = -1.5", "expected a number from -1 to 1, or \"auto\""),
        ("pair", "min_similarity = \"low\"", "expected a number from -1 to 1, or \"auto\""),
        ("pair", "neighbours = 0", "expected a whole number from 1 to 65536"),
        ("tune", "epochs = 0", "expected a whole number from 1 to 1000"),
        ("filter", "near_copy = 0", "expected a number above 0 and at most 1, or \"off\""),
        ("tokenize", "vocab_size = 256", "expected a whole number from 258 to 1048576"),
    ] {
        let text = match table {
            "corpus" => LEAST.replace("[model]", &format!("{line}\n[model]")),
            table => format!("{LEAST}[{table}]\n{line}\n"),
        };
        let at = 1 + text.lines().position(|written| written == line).unwrap();
        assert_eq!(refusal(&text), format!("recipes/r.toml:{at}: [{table}] {line}: {expected}"));
    }
}

/// A recipe that is whole but for the line `name = value`.
fn with_key(key: &Key, value: &str) -> String {
    let line = format!("{} = {value}\n", key.name);
    match key.table {
        "" => line + LEAST,
        "arm" => {
            let kind = match key.name {
                "max_epochs" => "kind = \"oracle\"",
                "weight_decays" => "kind = \"regularised\"",
                "synthetic_share" => "kind = \"sbp\"",
                _ => "name = \"other\"\ntrain.warmup_share = 0.5",
            };
            format!("{LEAST}[[arm]]\nkind = \"repetition\"\n[[arm]]\n{kind}\n{line}")
        }
        thing if keys::THINGS.contains(&thing) => {
            let name = if key.name == "name" { "" } else { "name = \"it\"\n" };
            format!("{LEAST}[[{thing}]]\n{name}{line}")
        }
        table if LEAST.contains(&format!("[{table}]\n")) => {
            let kept = LEAST.lines().filter(|kept| !kept.starts_with(&format!("{} = ", key.name)));
            let kept: String = kept.map(|kept| format!("{kept}\n")).collect();
            kept.replace(&format!("[{table}]\n"), &format!("[{table}]\n{line}"))
        }
        table => format!("{LEAST}[{table}]\n{line}"),
    }
}

#[test]
fn no_number_is_without_an_upper_bound() {
    let mut keys = 0;
    for key in KEYS {
        let huge: &[&str] = match key.kind {
            Kind::Integer(..) | Kind::CountOrList(_) => {
                &["9223372036854775807", "9223372036854775808", "99999999999999999999999999", "-1", "1e300"]
            }
            Kind::Number(_) | Kind::NumberOrAuto(_) | Kind::NumberOrOff(_) => &["inf", "nan", "-1e300", "1e999"],
            Kind::Numbers(_) => &["[1.0, inf]", "[nan, 1.0]", "[1.0, -1e300]"],
            _ => continue,
        };
        keys += 1;
        // Every number that TOML holds is a seed.
        for value in &huge[usize::from(key.name == "seed")..] {
            let refused = refusal(&with_key(key, value));
            let name = format!("{} = {value}: expected ", key.name);
            assert!(refused.contains(&name), "[{}] {}: {refused}", key.table, key.name);
        }
        if let Kind::Integer(_, most) = key.kind {
            // What is refused for another key's sake names one of the two; nothing overflows on the way.
            if let Err(error) = parse(&with_key(key, &most.to_string())) {
                assert!(error.to_string().contains("expected "), "{error}");
            }
        }
    }
    assert!(keys > 60, "{keys}");
    let world = KEYS.iter().find(|key| matches!(key.kind, Kind::World)).unwrap();
    let mut dials = 0;
    for (name, _, of_world) in cognate_worlds::Dials::WORLDS {
        for dial in of_world {
            let huge: &[&str] = match dial.range {
                Range::Whole(..) => &["9223372036854775807", "99999999999999999999999999", "-1", "1e300"],
                Range::Share | Range::Above0(_) => &["inf", "nan", "-1e300", "1e999"],
                Range::Flag => continue,
            };
            dials += 1;
            for value in huge {
                let refused = refusal(&with_key(world, &format!("{{ name = \"{name}\", {} = {value} }}", dial.name)));
                assert!(refused.contains("[corpus] world = ") && refused.contains(dial.name), "{name}: {refused}");
            }
        }
    }
    assert!(dials > 35, "{dials}");
}

/// Dials of which each is in its range, and which make more together than any machine holds, or than documents can be numbered.
#[test]
fn no_world_is_without_an_upper_bound() {
    let paths = "paths = [\"documents.jsonl\"]";
    for (world, expected) in [
        (
            "name = \"ginc\", concepts = 10_000, entities = 64, properties = 64",
            "concepts: expected at most 31 beside these entities, properties and symbols, found 10000",
        ),
        ("name = \"ginc\", concepts = 10_000, symbols = 1_000_000", "concepts: expected at most 178 beside"),
        (
            "name = \"bigrams\", concepts = 10_000, symbols = 4096, window = 4096, length = 5000",
            "concepts: expected at most 30 beside these symbols, window and positions, found 10000",
        ),
        (
            "name = \"biographies\", people = 10_000_000, first_names = 640, oracle_tellings = 10_000",
            "oracle_tellings: expected at most 10 beside these people, found 10000",
        ),
        (
            "name = \"biographies\", people = 1000, unique_tellings = 10_000",
            "unique_tellings: expected at most 815 beside these people and selection_tellings, found 10000",
        ),
    ] {
        let found = refused(paths, &format!("world = {{ {world} }}"));
        assert!(found.contains(expected), "{world}: {found}");
    }
}

#[test]
fn shapes_that_no_decoder_has_are_refused_where_they_are_written() {
    let wide = LEAST.replace("width = 32", "width = 131072").replace("heads = 2", "heads = 4");
    assert_eq!(
        refusal(&wide),
        "recipes/r.toml: [model] head_width = 32768: expected an even number up to 512 (rotary embedding turns pairs)"
    );
    let deep = LEAST.replace("width = 32", "width = 131072").replace("heads = 2", "heads = 1024");
    let deep = refusal(&deep.replace("layers = 2", "layers = 4096"));
    assert!(deep.contains("[model] layers = 4096: expected") && deep.contains("parameters"), "{deep}");
}

#[test]
fn impossible_shapes() {
    assert_eq!(
        refused("heads = 2", "heads = 0"),
        "recipes/r.toml:9: [model] heads = 0: expected a whole number from 1 to 4096"
    );
    assert_eq!(
        refused("heads = 2", "heads = 5"),
        "recipes/r.toml:8: [model] width = 32: expected a multiple of heads = 5, or `head_width` beside it\n\
         hint: the nearest multiples are 30 and 35"
    );
    assert_eq!(
        refused("heads = 2", "heads = 4\nkv_heads = 3"),
        "recipes/r.toml:10: [model] kv_heads = 3: expected a divisor of heads = 4\n\
         hint: each key and value head serves the same number of query heads: 1, 2, 4"
    );
    assert_eq!(
        refused("width = 32", "width = 6"),
        "recipes/r.toml: [model] head_width = 3: expected an even number, because rotary positions turn pairs of \
         numbers\n\
         hint: `head_width` is width / heads = 6 / 2 where it is not written"
    );
}

#[test]
fn impossible_combinations() {
    for (from, to, expected) in [
        (
            "[model]",
            "validation_share = 0.5\nunique_share = 0.75\n[model]",
            "7: [corpus] unique_share = 0.75: expected at most 0.5, because validation_share = 0.5 and the two sum \
             above 1\n\
             hint: the rest of the documents, 1 - validation_share - unique_share, is the oracle's and the choices'",
        ),
        (
            "1_000_000",
            "1000",
            "12: [train] budget_tokens = 1000: expected at least one step, that is batch_tokens = 8192\n\
             hint: raise the budget or lower batch_tokens",
        ),
        (
            "1_000_000",
            "1_000_000\nfinal_rate = 0.1",
            "13: [train] final_rate = 0.1: expected at most peak_rate = 0.011\n\
             hint: the cosine falls from one to the other",
        ),
        (
            "[train]",
            "[pair]\nmin_similarity = 0.9\nmax_similarity = 0.8\n[train]",
            "12: [pair] min_similarity = 0.9: expected less than max_similarity = 0.8\n\
             hint: neighbours between the two are pairs; above max_similarity they are near-copies",
        ),
        (
            "[train]",
            "[tune]\nbatch_tokens = 100\n[train]",
            "12: [tune] batch_tokens = 100: expected at least tune.context = 2048, so that one pair fits\n\
             hint: raise it, or lower tune.context",
        ),
        (
            "[train]",
            "[generate]\nmax_new_tokens = 2000\n[train]",
            "12: [generate] max_new_tokens = 2000: expected at most 1024: tune.context = 2048 holds max_seed_tokens = \
             1022, two special tokens and the new ones\n\
             hint: lower one of the two lengths or raise tune.context",
        ),
        (
            "[train]",
            "[tokenize]\nvocab_size = 512\ntokenizer = \"t.json\"\n[train]",
            "12: [tokenize] vocab_size = 512: expected no `vocab_size` beside `tokenizer`\n\
             hint: a given tokenizer has its vocabulary already; remove one of the two keys",
        ),
    ] {
        assert_eq!(refused(from, to), format!("recipes/r.toml:{expected}"));
    }
}

#[test]
fn a_missing_recipe_names_its_path() {
    let error = Recipe::load(Path::new("no/such.toml")).expect_err("there is none");
    let source = std::error::Error::source(&error).expect("the cause").to_string();
    assert_eq!(error.to_string(), "the recipe cannot be read");
    assert!(source.contains("no/such.toml"), "{source}");
}
