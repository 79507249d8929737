//! What a recipe means that says little, and every refusal, whole: what a person reads when something is wrong.

use std::path::Path;

use super::keys::{self, Preset};
use super::{Real, Recipe, RecipeError, Threshold};

mod arms;
mod refusals;
mod servers;
mod worlds;

use servers::{JUDGE, SERVER};

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
