//! Every refusal of a recipe, whole: what a person reads when something is wrong.

use std::path::Path;

use super::keys::{self, KEYS, Key, Kind, Preset};
use super::{Candidate, Decay, GenerateMethod, Real, Recipe, RecipeError, Threshold};

/// The least that a recipe must say; tests put lines into it or take lines out.
const LEAST: &str = r#"name = "least"

[corpus]
paths = ["documents.jsonl"]

[model]
layers = 2
width = 32
heads = 2

[train]
budget_tokens = 1_000_000
"#;

fn parse(text: &str) -> Result<Recipe, Box<RecipeError>> {
    Recipe::parse(Path::new("recipes/r.toml"), text)
}

/// The refusal as the binary prints it: message, then hint.
fn refusal(text: &str) -> String {
    let error = parse(text).expect_err("the recipe is refused");
    error.hint().map_or(error.to_string(), |hint| format!("{error}\nhint: {hint}"))
}

/// The refusal of the least recipe with `from` replaced by `to`.
fn refused(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from}");
    refusal(&LEAST.replace(from, to))
}

#[test]
fn the_least_recipe_resolves_to_documented_defaults() {
    let recipe = parse(LEAST).unwrap();
    assert_eq!((recipe.model.kv_heads, recipe.model.head_width, recipe.model.ffn), (2, 16, 128));
    assert_eq!((recipe.train.batch_tokens, recipe.train.steps(), recipe.train.tokens()), (8192, 122, 999_424));
    assert_eq!(
        (recipe.tune.context, recipe.generate.max_new_tokens, recipe.generate.max_seed_tokens),
        (2048, 1024, 1022)
    );
    assert_eq!(recipe.tokenize.vocab_size, Some(8192));
    assert_eq!(recipe.arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>(), ["repetition", "sbp", "oracle"]);
    assert_eq!(recipe.synthetic_tokens(recipe.corpus_of("related")), 249_856);
    assert_eq!(recipe.at(Path::new("documents.jsonl")), Path::new("recipes/documents.jsonl"));
}

#[test]
fn the_default_arms_are_those_of_the_written_ones() {
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"oracle\"\n";
    assert_eq!(parse(&format!("{LEAST}{arms}")).unwrap().arms, parse(LEAST).unwrap().arms);
}

#[test]
fn every_default_fits_its_type_and_every_key_resolves() {
    // Reading each key checks its default; the resolved recipe written out holds each key that has a value. (Of the ways to restrict
    // draws it holds those that are on.)
    let on = "[generate]\ntop_k = 50\nmin_p = 0.1\nrepetition_penalty = 1.1\nsamples_per_seed = 2\n";
    let recipe = parse(&LEAST.replace("[train]", &format!("{on}[train]"))).unwrap();
    let resolved: toml::Table = recipe.to_toml().unwrap().parse().unwrap();
    for key in keys::KEYS.iter().filter(|key| !keys::THINGS.contains(&key.table)) {
        let table = if key.table.is_empty() { Some(&resolved) } else { resolved[key.table].as_table() };
        let present = table.is_some_and(|table| table.contains_key(key.name));
        let optional = matches!(key.default, Preset::Derived(_));
        assert!(present || optional, "{} {} is not resolved", key.table, key.name);
    }
    for (table, value) in &resolved {
        for key in value.as_table().into_iter().flat_map(|table| table.keys()) {
            assert!(keys::keys_of(table).any(|known| known.name == key), "[{table}] {key} is missing in keys.rs");
        }
    }
}

#[test]
fn a_resolved_recipe_reads_back_as_itself() {
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"half\"\nkind = \"sbp\"\nsynthetic_share = 0.5\n";
    let text = LEAST.replace("[train]", "[pair]\nmin_similarity = 0.25\n\n[train]");
    let server = LEAST.replace("[train]", &format!("{SERVER}endpoint_key_env = \"THE_KEY\"\n\n[train]"));
    let judge = LEAST.replace("[train]", &format!("{JUDGE}judge_key_env = \"THE_KEY\"\n\n[train]"));
    for text in [LEAST.to_owned(), format!("{LEAST}{arms}"), text, server, judge] {
        let recipe = parse(&text).unwrap();
        assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
    }
}

#[test]
fn what_cards_say_is_checked() {
    let with = |about: &str| LEAST.replace("[train]", &format!("[report]\n{about}\n\n[train]"));
    let recipe = parse(&with("license = \"cc0-1.0\"\nlanguage = \"en, de\"")).unwrap();
    assert_eq!(recipe.report.license.as_deref(), Some("cc0-1.0"));
    assert_eq!(recipe.report.languages(), ["en", "de"]);
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
    for (about, expected) in [
        (
            "language = \"English\"",
            "[report] language = \"English\": expected ISO 639 codes of two or three small letters",
        ),
        ("language = \"en,\"", "[report] language = \"en,\": expected ISO 639 codes"),
        ("license = \"a: b\"", "[report] license = \"a: b\": expected an identifier of letters, digits"),
    ] {
        let error = parse(&with(about)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn values_are_read_as_written() {
    let text = LEAST.replace("heads = 2", "heads = 4\nkv_heads = 2\nhead_width = 64\nqk_norm = false");
    let text =
        format!("{text}peak_rate = 1e-2\n[pair]\nmin_similarity = 0\n[[arm]]\nkind = \"oracle\"\nmax_epochs = 2\n");
    let recipe = parse(&text).unwrap();
    assert_eq!((recipe.model.kv_heads, recipe.model.head_width, recipe.model.qk_norm), (2, 64, false));
    assert_eq!((recipe.train.peak_rate, recipe.train.final_rate), (1e-2, 5e-5));
    assert_eq!(recipe.pair.min_similarity, Threshold::At(0.0));
    let training = &recipe.arms[0].training;
    assert_eq!((training.documents, training.max_epochs), (Real::All, Some(2.0)));
    assert!(recipe.synthetic.is_empty(), "no arm sees any");
}

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
        "recipes/r.toml: [model] has no `layers`: expected a whole number from 1 to 4096\n\
         hint: Decoder blocks (paper, 3B: 26)"
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

const SERVER: &str = "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://host:8000/v1\"\n";

#[test]
fn a_completion_server_has_keys_of_its_own() {
    let recipe = parse(&LEAST.replace("[train]", &format!("{SERVER}[train]"))).unwrap();
    let endpoint = recipe.generate.endpoint.unwrap();
    assert_eq!((endpoint.url.as_str(), endpoint.model.as_str()), ("http://host:8000/v1", "synthesizer"));
    assert_eq!((endpoint.concurrency, endpoint.timeout_s, endpoint.attempts), (32, 300, 8));
    assert_eq!((recipe.generate.method, endpoint.key_env), (GenerateMethod::Endpoint, None));
    for (written, expected) in [
        (
            "[generate]\nendpoint_timeout_s = 9\n",
            "13: [generate] endpoint_timeout_s = 9: expected no `endpoint_…` key beside method = \"model\"\n\
             hint: remove the key, or write method = \"endpoint\"",
        ),
        (
            "[generate]\nmethod = \"endpoint\"\n",
            "13: [generate] method = \"endpoint\": expected `endpoint_url` beside it\n\
             hint: give the address of the server, as http://127.0.0.1:8000/v1",
        ),
    ] {
        assert_eq!(refused("[train]", &format!("\n{written}[train]")), format!("recipes/r.toml:{expected}"));
    }
}

#[test]
fn a_servers_precision_is_its_own() {
    let message = refused("[train]", &format!("{SERVER}precision = \"int8\"\n[train]"));
    assert!(message.starts_with("recipes/r.toml:14: [generate] precision"), "{message}");
    assert!(message.contains("the server decides how it multiplies"), "{message}");
    let resolved = parse(&LEAST.replace("[train]", "[generate]\nprecision = \"int8\"\n[train]")).unwrap();
    let config = crate::context::config(&resolved, crate::stage::Step::Generate(0)).unwrap();
    assert_eq!(config["generate"]["precision"], "int8");
}

/// A key that was written where its variable's name or the server's address belongs is not repeated.
#[test]
fn what_may_be_a_secret_is_refused_unseen() {
    let written = |line: &str| refused("[train]", &format!("{SERVER}{line}[train]"));
    for name in ["sk-s3cret", "hf_s3cret", "$S3CRET"] {
        let message = written(&format!("endpoint_key_env = \"{name}\"\n"));
        assert!(message.starts_with("recipes/r.toml:14: [generate] endpoint_key_env = (not shown): "), "{message}");
        assert!(!message.to_lowercase().contains("s3cret"), "{message}");
    }
    let message =
        refused("[train]", "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://me:s3cret@host/v1\"\n[train]");
    assert!(message.starts_with("recipes/r.toml:13: [generate] endpoint_url = (not shown): "), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
    let message = refused("[train]", "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"host:8000\"\n[train]");
    assert!(
        message.starts_with("recipes/r.toml:13: [generate] endpoint_url = host:8000: expected http://"),
        "{message}"
    );
}

/// What was made before there was a second method was made by the first: its manifests must still fit. And where a server is does
/// not change what it writes.
#[test]
fn where_a_server_is_does_not_count_and_the_first_method_goes_unsaid() {
    let generate = |more: &str| {
        let recipe = parse(&LEAST.replace("[train]", &format!("{more}[train]"))).unwrap();
        crate::context::config(&recipe, crate::stage::Step::Generate(0)).unwrap()["generate"].clone()
    };
    let mut keys: Vec<String> = generate("").as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["max_new_tokens", "max_seed_tokens", "oversample", "temperature", "top_p"]);
    let more = "[generate]\ntop_k = 40\nmin_p = 0.05\nrepetition_penalty = 1.1\n";
    assert_eq!(generate("[generate]\ntop_k = 0\nmin_p = 0\nrepetition_penalty = 1\n"), generate(""), "all off");
    let on = generate(more);
    assert_eq!((&on["top_k"], &on["min_p"], &on["repetition_penalty"]), (&40.into(), &0.05.into(), &1.1.into()));
    let here = generate(SERVER);
    assert_eq!((&here["method"], &here["endpoint_model"]), (&"endpoint".into(), &"synthesizer".into()));
    let how = "endpoint_concurrency = 3\nendpoint_timeout_s = 4\nendpoint_attempts = 5\nendpoint_key_env = \"K\"\n";
    assert_eq!(here, generate(&format!("{}{how}", SERVER.replace("host", "other"))));
    assert_ne!(here, generate(&format!("{SERVER}endpoint_model = \"other\"\n")));
    assert!(!here.to_string().contains("host"), "{here}");
}

const JUDGE: &str = "[filter]\njudge_url = \"http://host:8000/v1\"\njudge_model = \"wise\"\n";

#[test]
fn a_judge_has_an_address_and_a_name_and_shows_no_secret() {
    let recipe = parse(&LEAST.replace("[train]", &format!("{JUDGE}[train]"))).unwrap();
    let judge = recipe.filter.judge.unwrap();
    assert_eq!((judge.model.as_str(), judge.samples, judge.key_env), ("wise", 200, None));
    let written = |more: &str| refused("[train]", &format!("[filter]\n{more}[train]"));
    assert_eq!(
        written("judge_samples = 9\n"),
        "recipes/r.toml:12: [filter] judge_samples = 9: expected `judge_url` beside it\n\
         hint: give the address of the judge's server, or remove the key"
    );
    assert_eq!(
        written("judge_url = \"http://host\"\n"),
        "recipes/r.toml:12: [filter] judge_url = \"http://host\": expected `judge_model` beside it\n\
         hint: give the name that the server knows the judge by"
    );
    for secret in [
        "judge_url = \"http://me:s3cret@host/v1\"\n",
        "judge_key_env = \"sk-s3cret\"\n",
        "judge_url = \"http://host\"\njudge_model = \"wise\"\njudge_key_env = \"sk-s3cret\"\n",
    ] {
        let message = written(secret);
        assert!(message.contains("(not shown)") && !message.contains("s3cret"), "{message}");
    }
    let of = |more: &str, corpus: &str| {
        let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"random-pairs\"\n";
        let recipe = parse(&format!("{}{arms}", LEAST.replace("[train]", &format!("{more}[train]")))).unwrap();
        let filter = crate::stage::Step::Filter(recipe.corpus_of(corpus));
        crate::context::config(&recipe, filter).unwrap()["filter"].clone()
    };
    let filter = |more: &str| of(more, "related");
    assert!(filter("").as_object().unwrap().keys().all(|key| !key.starts_with("judge")), "as before there were judges");
    let here = filter(JUDGE);
    assert_eq!((&here["judge_model"], &here["judge_samples"]), (&"wise".into(), &200.into()));
    assert_eq!(here, filter(&format!("{}judge_key_env = \"K\"\n", JUDGE.replace("host", "other"))));
    assert!(!here.to_string().contains("host"), "{here}");
    assert_ne!(here, filter(&JUDGE.replace("wise", "wiser")));
    let control = |more: &str| of(more, "shuffled");
    assert_eq!(control(JUDGE), control(""), "a control's documents go before no judge");
}

#[test]
fn arms_that_cannot_be() {
    let refused = |arms: &str| refusal(&format!("{LEAST}{arms}"));
    let base = "[[arm]]\nkind = \"repetition\"\n";
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"spb\"\n")),
        "recipes/r.toml:16: [[arm]] kind = \"spb\": expected one of \"repetition\", \"sbp\", \"oracle\", \
         \"random-pairs\", \"unconditional\", \"equal-flops\", \"regularised\", \"related-context\"\n\
         hint: the nearest of them is \"sbp\""
    );
    assert_eq!(
        refused("[[arm]]\norder = \"mixed\"\n"),
        "recipes/r.toml:13: an arm has neither `kind` nor `name`\nhint: give it a name, or a kind, which is its name then"
    );
    assert_eq!(
        refused("[arm]\nkind = \"sbp\"\n"),
        "recipes/r.toml:13: `arm` is not a list of tables\nhint: begin each one with a line `[[arm]]`, with two \
         brackets"
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.5\n")),
        "recipes/r.toml:17: a second arm is called `sbp`\nhint: give each a `name` of its own"
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nname = \"again\"\nkind = \"repetition\"\n")),
        "recipes/r.toml:15: arm `again` is the same as arm `repetition`\nhint: remove one of the two, or make them \
         differ"
    );
    assert_eq!(
        refused("[[arm]]\nname = \"sbp\"\nkind = \"oracle\"\n"),
        "recipes/r.toml:13: an arm of kind `oracle` cannot be called `sbp`: that is another kind\n\
         hint: give the arm another name"
    );
    assert_eq!(
        refused("[[arm]]\nkind = \"sbp\"\n"),
        "recipes/r.toml:13: arm `sbp` has no arm of kind `repetition` beside it\n\
         hint: the synthesizer starts from the repetition arm's best checkpoint: add `[[arm]]` with kind = \
         \"repetition\""
    );
    assert_eq!(
        refused(&format!("{base}synthetic_share = 0.5\n")),
        "recipes/r.toml:15: [[arm]] synthetic_share = 0.5: expected no `synthetic_share` in an arm of kind \
         \"repetition\"\n\
         hint: remove the key, or write kind = \"sbp\""
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"sbp\"\nsynthetic_share = 1.2\n")),
        "recipes/r.toml:17: [[arm]] synthetic_share = 1.2: expected a number from 0 to 1, or a list of at least \
         two different ones"
    );
}

#[test]
fn a_missing_recipe_names_its_path() {
    let error = Recipe::load(Path::new("no/such.toml")).expect_err("there is none");
    let source = std::error::Error::source(&error).expect("the cause").to_string();
    assert_eq!(error.to_string(), "the recipe cannot be read");
    assert!(source.contains("no/such.toml"), "{source}");
}

/// docs/recipes.md behind its introduction is [`keys::reference_markdown`]; `COGNATE_UPDATE=1` writes it anew.
#[test]
fn the_reference_in_docs_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes.md");
    let page = fs_err::read_to_string(&path).unwrap();
    let marker = "<!-- From here on written by the code. -->\n";
    let (introduction, written) = page.split_once(marker).expect("the page has the marker");
    let expected = keys::reference_markdown();
    if std::env::var_os("COGNATE_UPDATE").is_some() {
        cognate_base::files::write_atomic(&path, format!("{introduction}{marker}{expected}")).unwrap();
    } else {
        assert!(written == expected, "run this test with COGNATE_UPDATE=1 and look at the difference");
    }
}

/// Arms that presets name look the same in every report.
#[test]
fn every_kind_of_arm_has_a_look() {
    assert_eq!(super::keys::ARM_KINDS, cognate_report::ARM_KINDS);
}

#[test]
fn published_tasks_need_their_folder_and_are_those_that_there_are() {
    let recipe = |table: &str| parse(&format!("{LEAST}[evaluate]\n{table}"));
    let error = recipe("tasks = [\"perplexity\", \"arc_easy\"]\n").unwrap_err().to_string();
    assert!(error.contains("`data_dir` beside it"), "{error}");
    let error = recipe("tasks = [\"arc\"]\n").unwrap_err().to_string();
    let there: Vec<&str> = [super::PERPLEXITY].into_iter().chain(cognate_eval::tasks::names()).collect();
    for task in &there {
        assert!(error.contains(task), "{task} is missing in {error}");
        assert!(recipe(&format!("data_dir = \"tasks\"\ntasks = [\"{task}\"]\n")).is_ok(), "{task}");
    }
    let found = recipe("data_dir = \"tasks\"\ntasks = [\"blimp\", \"blimp\"]\nlimit = 7\n").unwrap().evaluate;
    assert_eq!((found.tasks, found.limit), (vec!["blimp".to_owned()], 7));
}

#[test]
fn seeds_are_a_number_or_a_list_with_the_recipes_own() {
    let seeds = |line: &str| parse(&LEAST.replace("name = \"least\"", &format!("name = \"least\"\n{line}")));
    assert_eq!(parse(LEAST).unwrap().seeds, [0]);
    assert_eq!(seeds("seed = 5\nseeds = 3").unwrap().seeds, [5, 6, 7]);
    assert_eq!(seeds("seed = 5\nseeds = [9, 5]").unwrap().seeds, [9, 5]);
    let resolved = seeds("seed = 5\nseeds = 3").unwrap();
    assert_eq!(parse(&resolved.to_toml().unwrap()).unwrap(), resolved);
    let refused = |line: &str| {
        let error = seeds(line).expect_err("refused");
        error.hint().map_or(error.to_string(), |hint| format!("{error}\nhint: {hint}"))
    };
    let expected = "expected a whole number from 1 to 1000, or a list of as many different whole numbers";
    for wrong in ["0", "1001", "[]", "[0, 0]", "[0, -1]", "[0, 1.5]", "\"all\""] {
        assert_eq!(refused(&format!("seeds = {wrong}")), format!("recipes/r.toml:2: seeds = {wrong}: {expected}"));
    }
    assert_eq!(
        refused("seed = 4\nseeds = [0, 1]"),
        "recipes/r.toml:3: seeds = [0, 1]: expected a list with seed = 4 in it\n\
         hint: the synthesizer starts from the repetition arm of `seed`: add it to the list, or change `seed`"
    );
    let named = format!("{LEAST}[[arm]]\nkind = \"repetition\"\nname = \"plain-seed-3\"\n");
    assert!(refusal(&named).contains("an arm cannot be called `plain-seed-3`"), "{}", refusal(&named));
}

#[test]
fn controls_take_the_share_of_the_arm_that_they_control() {
    let arms = |more: &str| format!("{LEAST}[[arm]]\nkind = \"repetition\"\n{more}");
    let controls = "[[arm]]\nkind = \"random-pairs\"\n[[arm]]\nkind = \"unconditional\"\n";
    let shares = |text: &str| -> Vec<f64> {
        let recipe = parse(text).unwrap();
        assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
        recipe.arms.iter().flat_map(|arm| &arm.training.synthetic).map(|(_, share)| *share).collect()
    };
    assert_eq!(shares(&arms(controls)), [0.25, 0.25]);
    let sbp = "[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.5\n";
    assert_eq!(shares(&arms(&format!("{controls}{sbp}"))), [0.5, 0.5, 0.5]);
    let own =
        format!("{sbp}[[arm]]\nkind = \"unconditional\"\nsynthetic_share = 0.1\n[[arm]]\nkind = \"equal-flops\"\n");
    assert_eq!(shares(&arms(&own)), [0.5, 0.1]);
    assert_eq!(
        refusal(&arms("[[arm]]\nkind = \"equal-flops\"\n")),
        "recipes/r.toml:15: arm `equal-flops` has no arm of kind `sbp` beside it\n\
         hint: its operations are as many as that arm cost: add `[[arm]]` with kind = \"sbp\""
    );
    assert!(
        refusal(&format!("{LEAST}{controls}")).contains("`random-pairs` has no arm of kind `repetition` beside it")
    );
    assert!(
        refusal(&arms("[[arm]]\nkind = \"equal-flops\"\nsynthetic_share = 0.5\n"))
            .contains("expected no `synthetic_share` in an arm of kind \"equal-flops\"")
    );
    let server = arms(controls).replace("[train]", &format!("{SERVER}\n[train]"));
    assert!(refusal(&server).contains("`shuffled` cannot be written by a completion server"), "{}", refusal(&server));
}

#[test]
fn a_regularised_arm_says_what_it_tries_and_needs_documents_to_choose_by() {
    let arm = |more: &str| format!("{LEAST}[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"regularised\"\n{more}");
    let kind = |more: &str| {
        let recipe = parse(&arm(more)).unwrap();
        assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
        let arm = &recipe.arms[1];
        let tried = |candidate: &Candidate| (candidate.name.clone(), candidate.training.train.decay);
        (arm.sweep.iter().map(tried).collect::<Vec<_>>(), arm.selection_documents)
    };
    let tries = |decays: &[(&str, f64)], selection_documents: usize| {
        let decay = |weight_decay| Decay::Plain { weight_decay };
        let tried = decays.iter().map(|(name, weight_decay)| (format!("weight-decay-{name}"), decay(*weight_decay)));
        (tried.collect::<Vec<_>>(), selection_documents)
    };
    assert_eq!(kind(""), tries(&[("0.1", 0.1), ("0.8", 0.8), ("3.2", 3.2)], 500));
    let own = "weight_decays = [1, 0.0]\nselection_documents = 7\n";
    assert_eq!(kind(own), tries(&[("1", 1.0), ("0", 0.0)], 7));
    let listed = format!(
        "{LEAST}[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"regularised\"\ntrain.weight_decay = [0.1, 0.8, 3.2]\n"
    );
    assert_eq!(
        parse(&listed).unwrap().arms[1].sweep,
        parse(&arm("")).unwrap().arms[1].sweep,
        "the same in other words"
    );
    for wrong in ["[]", "[0.1]", "[0.1, 0.1]", "[0.1, -1]", "[0.1, inf]", "[0.1, \"1\"]", "0.1"] {
        assert_eq!(
            refusal(&arm(&format!("weight_decays = {wrong}\n"))),
            format!(
                "recipes/r.toml:17: [[arm]] weight_decays = {wrong}: expected a list of at least two different numbers, each a \
                 number of at least 0"
            )
        );
    }
    assert_eq!(
        refusal(&arm("selection_documents = 0\n")),
        "recipes/r.toml:17: [[arm]] selection_documents = 0: expected a whole number from 1 to 4294967295"
    );
    assert_eq!(
        refusal(&arm("").replace("[model]", "validation_share = 0.1\nunique_share = 0.9\n[model]")),
        "recipes/r.toml:17: arm `regularised` has no documents to choose by: validation_share = 0.1 and \
         unique_share = 0.9 leave none\n\
         hint: the choice is made on documents of neither split, so that no arm is scored on what it was chosen by: lower \
         unique_share in [corpus] a little"
    );
    assert_eq!(
        refusal(&format!("{LEAST}[[arm]]\nkind = \"regularised\"\n")),
        "recipes/r.toml:13: arm `regularised` has no arm of kind `repetition` beside it\n\
         hint: it is repetition otherwise trained, and is compared with it: add `[[arm]]` with kind = \"repetition\""
    );
    let text = arm("[[arm]]\nkind = \"related-context\"\nweight_decays = [0.1, 1]\n");
    assert!(refusal(&text).ends_with("hint: remove the key, or write kind = \"regularised\""), "{}", refusal(&text));
}
