//! A corpus of one's own: groups, pieces, a limit, few pairs, and no oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cognate_base::Silent;
use cognate_corpus::{Document, ReadOptions, Reader};
use serde_json::Value;

use crate::support::{Scratch, corpus, recipe};

/// The corpus of the other tests, three documents in a row a book.
fn library(documents: usize) -> String {
    let book =
        |(i, line): (usize, &str)| format!("{}, \"metadata\": {{\"book\": {}}}}}\n", &line[..line.len() - 1], i / 3);
    corpus(documents).lines().enumerate().map(book).collect()
}

fn documents(path: &Path) -> Vec<Document> {
    let reader = Reader::open(&[path.to_path_buf()], &ReadOptions::with_groups(), &Silent).unwrap();
    reader.map(|record| record.unwrap().1).collect()
}

fn statistics(scratch: &Scratch, stage: &str) -> Value {
    let manifest = fs_err::read(scratch.path(&format!("runs/tiny/{stage}/manifest.json"))).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["statistics"].clone()
}

#[test]
fn books_stay_whole_from_the_splits_to_the_pairs_and_there_need_be_no_oracle() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", library(900));
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"random-pairs\"\n";
    let own = recipe(arms)
        .replace(
            "unique_share = 0.2\n",
            "unique_share = 0.85\nselection_share = 0.1\ngroup_field = \"book\"\nlimit = 600\nchunk_tokens = 60\n",
        )
        .replace("[pair]\n", "[pair]\nwithin_groups = false\n")
        .replace("[tune]\n", "[tune]\nmax_pairs = 150\n");
    scratch.write("r.toml", &own);
    let output = scratch.cognate(&["run", "r.toml"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    for expected in ["groups, each in one split", "left out by [corpus] limit", "are cut into", "150 of ", "0 of "] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let mut splits: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    for split in ["validation", "unique", "selection", "oracle"] {
        let found = documents(&scratch.path(&format!("runs/tiny/ingest/{split}.jsonl.zst")));
        assert_eq!(found.is_empty(), split == "oracle", "{split}");
        for document in found {
            let group = document.group.unwrap();
            splits.entry(group.clone()).or_default().insert(split);
            groups.insert(document.id, group);
        }
    }
    assert!(splits.values().all(|splits| splits.len() == 1), "{splits:?}");
    let ingested = statistics(&scratch, "ingest");
    let number = |stats: &Value, name: &str| stats[name].as_u64().unwrap_or_default();
    let taken = number(&ingested, "read") - number(&ingested, "beyond_limit");
    assert!(taken.abs_diff(600) <= 10 && number(&ingested, "pieces") > 0, "{ingested}");
    // No pair is of one book, in either set; a synthesizer learns from as many as are wanted.
    for set in ["related", "shuffled"] {
        let ids: Vec<String> = groups.keys().cloned().collect();
        let pairs =
            cognate_pair::read_shuffled_pairs(&scratch.path(&format!("runs/tiny/pair/{set}/train.parquet")), &ids)
                .unwrap();
        assert!(pairs.len() > 150, "{set}");
        let group = |document: u32| &groups[&ids[document as usize]];
        assert!(pairs.iter().all(|pair| group(pair.first) != group(pair.second)), "{set}");
    }
    assert_eq!(statistics(&scratch, "pair/related")["within_groups"], 0);
    let tuned = statistics(&scratch, "tune/related");
    assert!(number(&tuned, "pairs_of") > 150, "{tuned}");
    let page = fs_err::read_to_string(scratch.path("runs/tiny/report.html")).unwrap();
    assert!(page.contains("There is no oracle arm, so no gap to measure"));
    // Pairs apart from groups need groups.
    let without = own.replace("group_field = \"book\"\n", "").replace("chunk_tokens = 60\n", "");
    scratch.write("bad.toml", without);
    let (code, stderr) = scratch.fails(&["plan", "bad.toml"]);
    assert!(
        code == 2 && stderr.contains("[pair] within_groups = false: expected true, or `[corpus] group_field` or"),
        "{stderr}"
    );
    let wrong = own.replace("group_field = \"book\"", "group_field = \"page\"");
    scratch.write("wrong.toml", wrong);
    let (code, stderr) = scratch.fails(&["run", "wrong.toml", "--out", "wrong", "--quiet"]);
    assert!(
        code == 1 && stderr.contains("no record has the field \"page\"") && stderr.contains("metadata.book"),
        "{stderr}"
    );
    for key in ["limit = 600", "chunk_tokens = 60", "max_pairs = 150"] {
        let name = key.split(' ').next().unwrap();
        scratch.write("zero.toml", own.replace(key, &format!("{name} = 0")));
        let (code, stderr) = scratch.fails(&["plan", "zero.toml"]);
        assert!(code == 2 && stderr.contains(&format!("{name} = 0: expected a whole number from")), "{stderr}");
    }
}

#[test]
fn the_recipe_for_documents_of_ones_own_plans() {
    let scratch = Scratch::new();
    let text = include_str!("../../../../recipes/mine.toml");
    scratch.write("recipes/mine.toml", text);
    scratch.write("my-documents/d.jsonl", corpus(2000));
    let plan = scratch.succeeds(&["plan", "recipes/mine.toml"]);
    assert!(plan.contains("train sbp") && !plan.contains("train oracle"), "{plan}");
    // What is commented out can be taken.
    let keys = [
        "chunk_tokens",
        "limit",
        "group_field",
        "within_groups",
        "context",
        "[report]",
        "license",
        "language",
        "[[arm]]",
        "kind",
    ];
    let is_key = |line: &&str| keys.iter().any(|key| line.starts_with(&format!("# {key}")));
    let all: String = text.lines().map(|line| format!("{}\n", if is_key(&line) { &line[2..] } else { line })).collect();
    assert!(text.lines().filter(is_key).count() >= 12, "{all}");
    scratch.write("recipes/mine.toml", all);
    let plan = scratch.succeeds(&["plan", "recipes/mine.toml"]);
    assert!(plan.contains("train random-pairs"), "{plan}");
}
