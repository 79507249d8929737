//! `inspect synthetic` on a run and on its plain files.

use std::collections::HashMap;

use cognate_base::Silent;
use cognate_corpus::{Document, ReadOptions, Reader};
use serde_json::Value;

use crate::support::{Scratch, corpus, recipe};

fn documents(scratch: &Scratch, path: &str) -> Vec<Document> {
    let reader = Reader::open(&[scratch.path(path)], &ReadOptions::default(), &Silent).unwrap();
    reader.map(|record| record.unwrap().1).collect()
}

fn inspect(scratch: &Scratch, more: &str) -> Vec<Value> {
    let line = format!("inspect synthetic {more} --json");
    let out = scratch.succeeds(&line.split(' ').collect::<Vec<_>>());
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The most similar target of each seed, and its similarity.
fn nearest(scratch: &Scratch) -> HashMap<String, (String, f32)> {
    let ids: Vec<String> =
        documents(scratch, "runs/tiny/ingest/unique.jsonl.zst").into_iter().map(|document| document.id).collect();
    let mut nearest: HashMap<String, (String, f32)> = HashMap::new();
    for part in ["train", "held_out"] {
        let path = scratch.path(&format!("runs/tiny/pair/related/{part}.parquet"));
        for pair in cognate_pair::read_pairs_among(&path, &ids, &cognate_base::Silent).unwrap().0 {
            let (first, second) = (ids[pair.first as usize].clone(), ids[pair.second as usize].clone());
            let best = nearest.entry(first).or_insert_with(|| (second.clone(), pair.similarity));
            if pair.similarity > best.1 {
                *best = (second, pair.similarity);
            }
        }
    }
    nearest
}

#[test]
fn documents_stand_beside_their_seeds_and_true_neighbours() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe("[filter]\nmin_words = 30\n").replacen("[filter]\nmin_words = 5\n", "", 1));
    scratch.succeeds(&["run", "r.toml"]);
    let texts: HashMap<String, String> = documents(&scratch, "runs/tiny/ingest/unique.jsonl.zst")
        .into_iter()
        .map(|document| (document.id, document.text))
        .collect();
    let nearest = nearest(&scratch);
    let check = |shown: &Value, from: &HashMap<String, Document>| {
        let synthetic = &shown["synthetic"];
        let document = &from[synthetic["id"].as_str().unwrap()];
        assert_eq!(synthetic["text"], document.text);
        for score in ["relevance", "cycle", "mean_log_probability", "tokens", "finish_reason", "dropped"] {
            assert_eq!(synthetic[score], document.metadata.get(score).cloned().unwrap_or(Value::Null), "{score}");
        }
        let seed = document.metadata["seed_id"].as_str().unwrap();
        assert_eq!(shown["seed"]["id"], seed);
        assert_eq!(shown["seed"]["text"], texts[seed]);
        match nearest.get(seed) {
            None => assert_eq!(shown["neighbour"], Value::Null),
            Some((id, similarity)) => {
                assert_eq!(shown["neighbour"]["similarity"], f64::from(*similarity));
                assert_eq!(shown["neighbour"]["text"], texts[id]);
                assert!(shown["neighbour"]["overlap"]["longest_words"].as_u64().unwrap() > 0);
            }
        }
    };
    let by_id = |path: &str| -> HashMap<String, Document> {
        documents(&scratch, path).into_iter().map(|document| (document.id.clone(), document)).collect()
    };
    let (kept, dropped) =
        (by_id("runs/tiny/filter/related/synthetic.jsonl.zst"), by_id("runs/tiny/filter/related/dropped.jsonl.zst"));
    let all = inspect(&scratch, "runs/tiny -n 100000");
    assert_eq!(all.len(), kept.len());
    all.iter().for_each(|shown| check(shown, &kept));
    assert!(all.iter().any(|shown| shown["synthetic"]["relevance"].is_number()));
    // A draw depends on its seed, and a larger one holds the smaller one, in the order of the corpus.
    let three = inspect(&scratch, "runs/tiny -n 3");
    let five = inspect(&scratch, "runs/tiny");
    assert!(three.len() == 3 && five.len() == 5 && three.iter().all(|shown| five.contains(shown)));
    assert_ne!(inspect(&scratch, "runs/tiny --seed 1"), five);
    let place = |shown: &Value| all.iter().position(|other| other == shown).unwrap();
    assert!(five.windows(2).all(|two| place(&two[0]) < place(&two[1])));
    let paired = inspect(&scratch, "runs/tiny -n 100000 --paired");
    assert!(paired.iter().all(|shown| shown["neighbour"].is_object()));
    assert_eq!(paired.len(), all.iter().filter(|shown| shown["neighbour"].is_object()).count());
    let out = inspect(&scratch, "runs/tiny -n 4 --dropped");
    assert_eq!(out.len(), 4);
    out.iter().for_each(|shown| check(shown, &dropped));
    assert!(out.iter().all(|shown| shown["synthetic"]["dropped"]["reason"].is_string()));

    // The plain files of the run say the same.
    let plain = "--documents runs/tiny/ingest/unique.jsonl.zst --pairs runs/tiny/pair/related/train.parquet";
    let from_folder = inspect(&scratch, &format!("runs/tiny/filter/related {plain} -n 3"));
    assert_eq!(from_folder[0]["synthetic"], three[0]["synthetic"]);
    assert_eq!(from_folder[0]["seed"], three[0]["seed"]);
    let raw = inspect(&scratch, &format!("runs/tiny/generate/related {plain} -n 100000"));
    assert_eq!(raw.len(), documents(&scratch, "runs/tiny/generate/related/synthetic-00000.jsonl.zst").len());

    // In a terminal and as a page.
    let wide = scratch.succeeds(&["inspect", "synthetic", "runs/tiny", "-n", "2", "--width", "120", "--paired"]);
    assert!(wide.contains("SEED D1") && wide.contains(" │ TRUE NEIGHBOUR D2\n"), "{wide}");
    assert!(wide.lines().all(|line| line.chars().count() <= 120), "{wide}");
    let narrow = scratch.succeeds(&["inspect", "synthetic", "runs/tiny", "-n", "2", "--width", "60"]);
    assert!(narrow.contains("\nSYNTHETIC D2\n") && !narrow.contains('│'), "{narrow}");
    for _ in 0..2 {
        let said = scratch.succeeds(&["inspect", "synthetic", "runs/tiny", "--html", "page.html"]);
        assert_eq!(said, "page: page.html\n");
    }
    let page = fs_err::read_to_string(scratch.path("page.html")).unwrap();
    assert_eq!(page.matches("<article>").count(), 15);
    assert!(five.iter().all(|shown| page.contains(shown["seed"]["text"].as_str().unwrap())));
    assert!(!page.contains("<script") && !page.contains("http:") && !page.contains("https:"), "nothing is fetched");
}

#[test]
fn what_is_not_there_is_said() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    let fails = |line: &str| scratch.fails(&format!("inspect synthetic {line}").split(' ').collect::<Vec<_>>());
    let (code, stderr) = fails("nowhere");
    assert!(code == 1 && stderr.starts_with("error: nowhere does not exist"), "{stderr}");
    scratch.write("notes/readme.txt", "");
    let (code, stderr) = fails("notes");
    assert!(
        code == 2 && stderr.starts_with("error: --documents = nothing: expected the documents that notes"),
        "{stderr}"
    );
    scratch.write("none/synthetic.jsonl", "");
    let (code, stderr) = fails("none --documents documents.jsonl");
    assert!(code == 1 && stderr.starts_with("error: none holds no synthetic documents"), "{stderr}");
    scratch.write("other/s.jsonl", "{\"id\": \"s\", \"text\": \"ba\", \"metadata\": {\"seed_id\": \"d9999\"}}\n");
    let (code, stderr) = fails("other --documents documents.jsonl");
    assert!(
        code == 1 && stderr.contains("document s names the seed d9999, which documents.jsonl does not hold"),
        "{stderr}"
    );

    scratch.succeeds(&["run", "r.toml"]);
    let (code, stderr) = fails("runs/tiny --pairs runs/tiny/pair/related/train.parquet");
    assert!(code == 2 && stderr.contains("expected nothing, since a run directory has its own"), "{stderr}");
    let (code, stderr) = fails("runs/tiny --html r.toml");
    assert!(code == 2 && stderr.starts_with("error: --html = r.toml: expected a file that is new"), "{stderr}");
    assert_eq!(fs_err::read_to_string(scratch.path("r.toml")).unwrap(), recipe(""));
    for (gone, stage) in
        [("filter/related", "filter"), ("tune/related", "tune"), ("train/repetition", "train repetition")]
    {
        fs_err::remove_file(scratch.path(&format!("runs/tiny/{gone}/manifest.json"))).unwrap();
        let (code, stderr) = fails("runs/tiny");
        let expected = format!(
            "error: runs/tiny has no synthetic documents to show yet: the stage `{stage}` is not finished\nhint: `cognate run` continues it"
        );
        assert!(code == 1 && stderr.starts_with(&expected), "{stderr}");
    }
}
