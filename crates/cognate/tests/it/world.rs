//! `world`: a made corpus on disk, that `ingest` splits as the world did.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Scratch;

/// Small worlds, each with a dial of its own.
const LINES: [&str; 3] = [
    "world ginc --unique-documents 60 --oracle-documents 30 --validation-documents 9 --selection-documents 7 --length 20",
    "world bigrams --unique-documents 60 --oracle-documents 30 --validation-documents 9 --selection-documents 7 --length 20",
    "world biographies --people 40 --oracle-tellings 2 --first-names 10 --last-names 12",
];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The split of each document, by its identifier, of a folder's files with such names.
fn splits(scratch: &Scratch, folder: &str, ending: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for split in ["unique", "oracle", "validation", "selection"] {
        let path = scratch.path(&format!("{folder}/{split}{ending}"));
        let reader =
            cognate_corpus::Reader::open(&[path], &cognate_corpus::ReadOptions::default(), &cognate_base::Silent)
                .unwrap();
        found.extend(reader.map(|document| (document.unwrap().1.id, split.to_owned())));
    }
    found
}

#[test]
fn ingest_splits_a_world_as_the_world_did() {
    let scratch = Scratch::new();
    for (number, line) in LINES.iter().enumerate() {
        let out = format!("world-{number}");
        let told: Value =
            serde_json::from_str(&scratch.succeeds(&words(&format!("{line} --seed 5 --out {out}")))).unwrap();
        let recipe: toml::Table =
            toml::from_str(&fs_err::read_to_string(scratch.path(&format!("{out}/corpus.toml"))).unwrap()).unwrap();
        let corpus = recipe["corpus"].as_table().unwrap();
        let paths = corpus["paths"].as_array().unwrap().iter().map(|path| format!("{out}/{}", path.as_str().unwrap()));
        let paths: Vec<String> = paths.collect();
        scratch.succeeds(&words(&format!(
            "ingest {} --out in-{number} --seed {} --validation-share {} --unique-share {} --selection-share {} --contamination-words 0",
            paths.join(" "),
            recipe["seed"],
            corpus["validation_share"],
            corpus["unique_share"],
            corpus["selection_share"],
        )));
        let made = splits(&scratch, &out, ".jsonl");
        assert_eq!(splits(&scratch, &format!("in-{number}"), ".jsonl.zst"), made, "{line}");
        let truth: Value =
            serde_json::from_str(&fs_err::read_to_string(scratch.path(&format!("{out}/truth.json"))).unwrap()).unwrap();
        for (id, split) in &made {
            let told = truth["documents"][split].as_array().unwrap();
            assert!(told.iter().any(|told| told["id"] == **id), "{id} of {split} is in the truth file");
        }
        assert_eq!(told["fingerprint"], truth["fingerprint"]);
        assert_eq!(told["documents"]["unique"]["documents"], truth["documents"]["unique"].as_array().unwrap().len());
    }
}

#[test]
fn a_world_is_written_once_and_bad_dials_exit_with_2() {
    let scratch = Scratch::new();
    scratch.succeeds(&words(&format!("{} --out w", LINES[2])));
    let names = scratch.names("w");
    let (code, message) = scratch.fails(&words(&format!("{} --out w", LINES[2])));
    assert_eq!(code, 1);
    assert!(message.contains("w holds corpus.toml already"), "{message}");
    assert_eq!(scratch.names("w"), names);
    for (line, expected) in [
        ("world ginc --concepts 0", "expected a whole number from 1 to 10000"),
        ("world ginc --identity 1.5", "expected a number from 0 to 1"),
        ("world biographies --told-once 1", "--told-once = 1: expected a share that leaves somebody"),
        ("world biographies --people 5000 --first-names 10 --last-names 10", "--people = 5000: expected at most 500"),
        ("world bigrams --length 5", "--length = 5: expected at least 14"),
    ] {
        let (code, message) = scratch.fails(&words(&format!("{line} --out bad")));
        assert_eq!(code, 2, "{message}");
        assert!(message.contains(expected), "{message}");
        assert_eq!(scratch.names("bad"), [""; 0], "nothing is left");
    }
    let (code, message) = scratch
        .fails(&words("world ginc --unique-documents 2 --concepts 10000 --entities 2 --properties 2 --out lonely"));
    assert_eq!(code, 1);
    assert!(message.contains("no two of the 2 documents of the unique split have one concept"), "{message}");
}

/// What a killed call had put in place or begun goes, though another kind of world writes other files.
#[test]
fn what_a_killed_world_left_goes_with_another_kind_of_world() {
    let scratch = Scratch::new();
    for left in [".truth.json.partial", ".in_context.jsonl.partial", ".corpus.toml.partial", "unique.jsonl"] {
        scratch.write(&format!("w/{left}"), "half");
    }
    scratch.succeeds(&words(&format!("{} --out w", LINES[2])));
    scratch.succeeds(&words(&format!("{} --out undisturbed", LINES[2])));
    assert_eq!(scratch.names("w"), scratch.names("undisturbed"));
    assert!(scratch.names("w").contains(&"truth.json".to_owned()));
}

/// A tiny run on a world, with the true pairs.
const RECIPE: &str = r#"
name = "made"
seed = 5
[corpus.world]
name = "ginc"
unique_documents = 120
oracle_documents = 60
validation_documents = 30
selection_documents = 40
length = 20
[tokenize]
vocab_size = 300
[model]
layers = 1
width = 16
heads = 2
context = 64
[train]
budget_tokens = 12288
batch_tokens = 512
peak_rate = 1e-2
[tune]
batch_tokens = 512
epochs = 1
[filter]
min_words = 2
top_2_gram = "off"
top_3_gram = "off"
top_4_gram = "off"
near_copy = "off"
near_duplicate = "off"
non_text = "off"
[[pairs]]
name = "related"
method = "truth"
[[arm]]
kind = "repetition"
[[arm]]
kind = "sbp"
synthetic_share = 0.1
[[arm]]
kind = "random-pairs"
synthetic_share = 0.1
"#;

#[test]
fn a_recipe_of_a_world_makes_what_the_command_writes_and_is_read_as_that() {
    let scratch = Scratch::new();
    scratch.write("r.toml", RECIPE);
    scratch.succeeds(&["plan", "r.toml"]);
    scratch.succeeds(&["--quiet", "run", "r.toml"]);
    let line = "world ginc --unique-documents 120 --oracle-documents 60 --validation-documents 30 --selection-documents 40 --length 20";
    let told: Value = serde_json::from_str(&scratch.succeeds(&words(&format!("{line} --seed 5 --out w")))).unwrap();
    // The same documents in the same splits, the same truth and the same questions.
    assert_eq!(splits(&scratch, "runs/made/ingest", ".jsonl.zst"), splits(&scratch, "w", ".jsonl"));
    let read = |path: &str| fs_err::read(scratch.path(path)).unwrap();
    for file in ["truth.json", "in_context.jsonl", "pairs.parquet"] {
        assert_eq!(read(&format!("runs/made/ingest/{file}")), read(&format!("w/{file}")), "{file}");
    }
    assert!(!scratch.path("runs/made/ingest/world").exists(), "documents stand there once");
    let report: Value = serde_json::from_slice(&read("runs/made/report.json")).unwrap();
    let world = &report["world"];
    let floor = |at: usize| world["floors"][at]["loss"]["value"].as_f64().unwrap();
    let measured = |name: &str| told["measures"][name]["value"].as_f64().unwrap();
    assert!((floor(0) - measured("validation_loss")).abs() < 1e-9);
    assert!((floor(1) - measured("validation_loss_knowing_concepts")).abs() < 1e-9);
    // Nats a document: those of all documents' tokens over how many they are.
    let lines = crate::support::lines(&scratch.path("runs/made/evaluate/repetition/documents.jsonl"));
    let scores: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let nats: f64 = scores
        .iter()
        .map(|score| -score["log_likelihood"].as_f64().unwrap() - score["end_log_likelihood"].as_f64().unwrap())
        .sum();
    let loss = world["losses"][0]["loss"]["value"].as_f64().unwrap();
    assert!((loss - nats / scores.len() as f64).abs() < 1e-6, "{loss} {}", nats / scores.len() as f64);
    assert!(loss > floor(0), "nothing this small knows the world");
    // All true pairs of unique documents are taken, and shuffled ones are true as often as chance has it.
    let sets = world["pairs"].as_array().unwrap();
    let figure = |at: usize, name: &str| sets[at][name].as_u64().unwrap();
    assert_eq!((&sets[0]["name"], figure(0, "pairs")), (&"related".into(), figure(0, "named")));
    assert!(figure(0, "true_pairs") == figure(0, "pairs") && figure(0, "found") == figure(0, "named"));
    assert_eq!((&sets[1]["name"], figure(1, "pairs")), (&"shuffled".into(), figure(0, "pairs")));
    let by_chance = figure(1, "true_pairs") as f64 / figure(1, "pairs") as f64;
    assert!((0.05..0.4).contains(&by_chance), "one in five, about: {by_chance}");
    assert_eq!(world["learned"][0]["name"], "related");
    assert_eq!(world["written"][0]["name"], "related");
    let groups = world["questions"].as_array().unwrap();
    assert_eq!(groups[0]["bayes"].as_f64().unwrap(), {
        let of = &told["questions"][groups[0]["group"].as_str().unwrap()];
        of["bayes"].as_f64().unwrap() / of["n"].as_f64().unwrap()
    });
    // Written out as it was resolved, it is the same run: nothing is done again.
    let expanded = scratch.succeeds(&["plan", "--expand", "r.toml"]);
    scratch.write("e.toml", expanded);
    let again = scratch.cognate(&["run", "e.toml", "--out", "runs/made"]).output().unwrap();
    let message = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.success() && !message.contains("done in"), "{message}");
    // Another world is another run.
    scratch.write("other.toml", RECIPE.replace("length = 20", "length = 21"));
    let (code, message) = scratch.fails(&["run", "other.toml", "--out", "runs/made"]);
    assert!(code != 0 && message.contains("[corpus] world.length was 20 and is 21 now"), "{message}");
}
