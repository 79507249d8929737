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
