//! The ingest stage: nothing lost, nothing counted twice, and no dependence on the order of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, Error, IngestConfig, IngestStats, OnBadRecord, Result, Split, ingest};

use crate::support::{Folder, config, gzip, line, prose, read_file};

fn run(folder: &Folder, inputs: &[PathBuf], out: &str) -> Result<IngestStats> {
    ingest(inputs, &folder.path(out), &config(), &Silent)
}

fn complaint(folder: &Folder, inputs: &[PathBuf], config: &IngestConfig) -> String {
    let error = ingest(inputs, &folder.path("out"), config, &Silent).unwrap_err();
    assert!(folder.names("out").is_empty(), "{error}: an error leaves nothing behind");
    folder.message(&error)
}

fn split(folder: &Folder, out: &str, split: Split) -> Vec<Document> {
    read_file(&split.file(&folder.path(out))).unwrap()
}

/// The split of every kept document, by id.
fn membership(folder: &Folder, out: &str) -> BTreeMap<String, &'static str> {
    let mut members = BTreeMap::new();
    for part in Split::ALL {
        for document in split(folder, out, part) {
            assert!(members.insert(document.id, part.name()).is_none(), "a document stands in one split");
        }
    }
    members
}

fn corpus(documents: std::ops::Range<u64>) -> String {
    documents.map(|i| line(&format!("doc-{i}"), &prose(i, 40))).collect()
}

fn json_lines(folder: &Folder, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs_err::read_to_string(folder.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_document_ends_in_one_place() {
    let folder = Folder::new();
    // Ten repeated texts and one bad line among 1000 documents.
    let repeated: String = (0..10).map(|i| line(&format!("again-{i}"), &prose(i, 40))).collect();
    let input = folder.write("a.jsonl", corpus(0..1000) + &repeated + "oops\n");
    let mut config = config();
    config.read.on_bad_record = OnBadRecord::Skip;
    let stats = ingest(&[input], &folder.path("out"), &config, &Silent).unwrap();
    assert_eq!((stats.read, stats.rejected, stats.exact_duplicates, stats.contaminated), (1010, 1, 10, 0));
    let kept = [stats.validation, stats.unique, stats.oracle, stats.selection];
    assert_eq!(kept.iter().map(|split| split.documents).sum::<u64>(), 1000);
    for (part, stats) in Split::ALL.into_iter().zip(kept) {
        let documents = split(&folder, "out", part);
        assert_eq!(documents.len() as u64, stats.documents);
        assert_eq!(documents.iter().map(|document| document.text.len() as u64).sum::<u64>(), stats.bytes);
    }
    // Five standard deviations of a binomial count around the shares.
    assert!(stats.validation.documents.abs_diff(100) < 48 && stats.unique.documents.abs_diff(300) < 73, "{stats:?}");
    assert!(stats.selection.documents.abs_diff(100) < 48, "{stats:?}");
    let dropped = json_lines(&folder, "out/dropped.jsonl");
    assert_eq!(dropped.len(), 10);
    assert!(dropped.iter().all(|line| line["reason"] == "exact_duplicate"));
    let rejected = json_lines(&folder, "out/rejected.jsonl");
    assert!(rejected.len() == 1 && rejected[0]["origin"].ends_with("a.jsonl:1011"), "{rejected:?}");
    assert_eq!(rejected[0]["reason"], "not JSON (expected value, column 1); expected one JSON object per line");
    let names = ["dropped", "oracle", "rejected", "selection", "unique", "validation"];
    assert_eq!(folder.names("out").iter().map(|name| name.split('.').next().unwrap()).collect::<Vec<_>>(), names);
    // No other split depends on the selection split's share but the oracle's.
    let without = IngestConfig { selection_share: 0.0, ..config };
    ingest(&[folder.path("a.jsonl")], &folder.path("without"), &without, &Silent).unwrap();
    for part in [Split::Validation, Split::Unique] {
        assert_eq!(split(&folder, "without", part), split(&folder, "out", part));
    }
    let fresh = split(&folder, "out", Split::Oracle).len() + split(&folder, "out", Split::Selection).len();
    assert_eq!(
        (split(&folder, "without", Split::Oracle).len(), split(&folder, "without", Split::Selection).len()),
        (fresh, 0)
    );
}

#[test]
fn texts_and_metadata_pass_unchanged() {
    let folder = Folder::new();
    let text = "\u{feff} two  spaces\r\n\ttab \u{0} e\u{301} \u{1F600} ";
    let special = serde_json::json!({"id": "special", "text": text, "metadata": {"a": [1, null]}}).to_string() + "\n";
    let input = folder.write("a.jsonl", corpus(0..60) + &special);
    run(&folder, &[input], "out").unwrap();
    let all: Vec<Document> = Split::ALL.into_iter().flat_map(|part| split(&folder, "out", part)).collect();
    let found = all.iter().find(|document| document.id == "special").unwrap();
    assert_eq!(found.text, text);
    assert_eq!(serde_json::to_string(&found.metadata).unwrap(), r#"{"a":[1,null]}"#);
}

/// 300 documents, ten of them in two copies, and a hundred that quote another document.
fn entangled() -> Vec<String> {
    let mut lines: Vec<String> = (0..300).map(|i| line(&format!("doc-{i}"), &prose(i, 40))).collect();
    lines.extend((0..10).map(|i| line(&format!("copy-{i}"), &prose(i * 3, 40))));
    lines.extend((0..100).map(|i| line(&format!("quote-{i}"), &format!("{} {}", prose(900 + i, 9), prose(i * 2, 40)))));
    lines
}

#[test]
fn neither_files_nor_formats_nor_order_change_who_is_where() {
    let folder = Folder::new();
    let mut lines = entangled();
    let one = folder.write("one.jsonl", lines.concat());
    let first = run(&folder, &[one], "first").unwrap();
    assert!(first.exact_duplicates == 10 && first.contaminated > 0, "{first:?}: the case is not trivial");
    lines.reverse();
    lines.rotate_left(77);
    let (left, right) = lines.split_at(130);
    folder.write("many/b.jsonl", left.concat());
    folder.write("many/a.jsonl", gzip(right.concat().as_bytes()));
    let second = run(&folder, &[folder.path("many")], "second").unwrap();
    assert_eq!(first, second);
    assert_eq!(membership(&folder, "first"), membership(&folder, "second"));
}

#[test]
fn the_seed_decides_and_the_same_seed_decides_the_same() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", entangled().concat());
    run(&folder, std::slice::from_ref(&input), "first").unwrap();
    run(&folder, std::slice::from_ref(&input), "second").unwrap();
    for name in folder.names("first") {
        let [a, b] = ["first", "second"].map(|run| fs_err::read(folder.path(run).join(&name)).unwrap());
        assert!(a == b, "{name}");
    }
    let other = IngestConfig { seed: 8, ..config() };
    ingest(&[input], &folder.path("other"), &other, &Silent).unwrap();
    assert_ne!(membership(&folder, "first"), membership(&folder, "other"));
}

#[test]
fn a_long_passage_of_a_validation_document_leaves_training_and_a_shorter_one_stays() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", corpus(0..200));
    run(&folder, std::slice::from_ref(&input), "before").unwrap();
    let members = membership(&folder, "before");
    let validation = split(&folder, "before", Split::Validation).remove(0);
    let quoted: Vec<&str> = validation.text.split(' ').collect();
    // Two documents that quote it, 13 and 12 words, under many ids so that every split gets both.
    let mut more = String::new();
    for i in 0..40u64 {
        let quote = |number: u64, words: usize| {
            let quote = quoted[5..5 + words].join(", ");
            format!("{} before{number}. \"{quote}\" after{number} {}", prose(number, 9), prose(number + 50, 9))
        };
        more += &line(&format!("long-{i}"), &quote(500 + i, 13).to_uppercase());
        more += &line(&format!("short-{i}"), &quote(600 + i, 12));
    }
    let more = folder.write("b.jsonl", more);
    // So often quoted that it would count as boilerplate.
    let quotes = IngestConfig { contamination_documents: 1000, ..config() };
    let stats = ingest(&[input, more], &folder.path("after"), &quotes, &Silent).unwrap();
    let after = membership(&folder, "after");
    assert!(members.iter().all(|(id, split)| after.get(id) == Some(split)), "earlier documents stay where they were");
    let dropped = json_lines(&folder, "after/dropped.jsonl");
    assert_eq!(dropped.len() as u64, stats.contaminated);
    let dropped: BTreeSet<&str> = dropped.iter().map(|line| line["id"].as_str()).collect();
    for i in 0..40 {
        let (long, short) = (format!("long-{i}"), format!("short-{i}"));
        assert_eq!(dropped.contains(long.as_str()), after.get(&long) != Some(&"validation"), "{long}");
        assert!(after.contains_key(&short), "{short}");
    }
    assert!(dropped.len() > 20, "training had most of them");
    let reason = &json_lines(&folder, "after/dropped.jsonl")[0];
    assert_eq!(reason["reason"], "contaminated");
    assert_eq!(
        reason["detail"],
        format!("shares with a validation document: {}", quoted[5..18].join(", ").to_uppercase())
    );
}

#[test]
fn the_check_for_contamination_can_be_switched_off() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", entangled().concat());
    let off = IngestConfig { contamination_words: 0, ..config() };
    assert_eq!(ingest(&[input], &folder.path("out"), &off, &Silent).unwrap().contaminated, 0);
}

#[test]
fn a_repeated_id_names_both_bearers() {
    let folder = Folder::new();
    let a = folder.write("a.jsonl", corpus(0..10));
    let b = folder.write("b.jsonl", corpus(20..25) + "\n" + &line("doc-3", "other text"));
    assert_eq!(
        complaint(&folder, &[a, b], &config()),
        "the id \"doc-3\" occurs twice, at DIR/a.jsonl:4 and at DIR/b.jsonl:7: ids must be unique in a corpus"
    );
}

#[test]
fn too_little_text_for_the_split() {
    let folder = Folder::new();
    let empty = folder.write("empty.jsonl", "\n\n");
    assert_eq!(
        complaint(&folder, &[empty], &config()),
        "the corpus is empty: no document in DIR/empty.jsonl (0 records were rejected, 0 documents have no text)"
    );
    let bad = folder.write("bad.jsonl", "1\n2\n");
    let mut skip = config();
    skip.read.on_bad_record = OnBadRecord::Skip;
    assert_eq!(
        complaint(&folder, &[bad], &skip),
        "the corpus is empty: no document in DIR/bad.jsonl (2 records were rejected, 0 documents have no text)"
    );
    let few = folder.write("few.jsonl", corpus(0..3));
    let small = |validation_share, unique_share| IngestConfig {
        validation_share,
        unique_share,
        selection_share: 0.0,
        ..config()
    };
    assert_eq!(
        complaint(&folder, std::slice::from_ref(&few), &small(1e-9, 0.5)),
        "the validation split is empty: a share of 0.000000001 of 3 documents left none; take more documents, or raise \
         validation_share"
    );
    assert_eq!(
        complaint(&folder, &[few], &small(0.999_999, 1e-9)),
        "the unique split is empty: a share of 0.000000001 of 3 documents left none; take more documents, raise \
         unique_share, or raise contamination_words if it took them out"
    );
}

#[test]
fn impossible_shares() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", corpus(0..10));
    for (validation_share, unique_share, selection_share, expected) in [
        (0.0, 0.5, 0.1, "validation_share is 0: expected a share above 0 and below 1"),
        (1.0, 0.5, 0.1, "validation_share is 1: expected a share above 0 and below 1"),
        (f64::NAN, 0.5, 0.1, "validation_share is NaN: expected a share above 0 and below 1"),
        (0.1, -1.0, 0.1, "unique_share is -1: expected a share above 0 and at most 1"),
        (0.1, f64::NAN, 0.1, "unique_share is NaN: expected a share above 0 and at most 1"),
        (0.1, 0.5, 1.0, "selection_share is 1: expected a share of at least 0 and below 1"),
        (0.1, 0.5, f64::NAN, "selection_share is NaN: expected a share of at least 0 and below 1"),
        (
            0.5,
            0.25,
            0.5,
            "validation_share + unique_share + selection_share is 1.25: expected at most 1: all are shares of all documents",
        ),
    ] {
        let config = IngestConfig { validation_share, unique_share, selection_share, ..config() };
        assert_eq!(complaint(&folder, std::slice::from_ref(&input), &config), expected);
    }
}

#[test]
fn a_damaged_input_leaves_nothing_behind() {
    let folder = Folder::new();
    let bytes = gzip(corpus(0..100).as_bytes());
    let cut = folder.write("cut.jsonl.gz", &bytes[..bytes.len() / 2]);
    let good = folder.write("good.jsonl", corpus(200..300));
    assert!(complaint(&folder, &[good, cut], &config()).contains("truncated or damaged"));
}

#[test]
fn the_inputs_are_not_overwritten() {
    let folder = Folder::new();
    let input = folder.write("corpus/unique.jsonl.zst", corpus(0..100));
    let error = ingest(&[input], &folder.path("corpus"), &config(), &Silent).unwrap_err();
    assert_eq!(
        folder.message(&error),
        "DIR/corpus/unique.jsonl.zst is both an input and an output: write the corpus into a folder of its own"
    );
    assert_eq!(folder.names("corpus"), ["unique.jsonl.zst"]);
}

/// Calls back when a piece of work begins, and is interrupted at a given look.
struct Hook<F> {
    begin: F,
    begun: AtomicUsize,
    looks_left: AtomicUsize,
}

impl<F: Fn(usize) + Sync> Monitor for Hook<F> {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {
        (self.begin)(self.begun.fetch_add(1, Ordering::Relaxed));
    }
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.looks_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1)).is_err()
    }
}

fn hook<F: Fn(usize) + Sync>(looks: usize, begin: F) -> Hook<F> {
    Hook { begin, begun: AtomicUsize::new(0), looks_left: AtomicUsize::new(looks) }
}

#[test]
fn an_interrupted_ingest_stops_in_either_reading_and_leaves_nothing() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", corpus(0..1000));
    // Where a reading of 1000 documents looks: at least once each.
    let whole = hook(usize::MAX, |_| ());
    ingest(std::slice::from_ref(&input), &folder.path("whole"), &config(), &whole).unwrap();
    let all = usize::MAX - whole.looks_left.load(Ordering::Relaxed);
    assert!(all > 2000, "{all}");
    for looks in (0..all).step_by(97).chain([all - 1]) {
        let result = ingest(std::slice::from_ref(&input), &folder.path("out"), &config(), &hook(looks, |_| ()));
        assert!(matches!(result, Err(Error::Interrupted(_))), "{looks}");
        assert!(folder.names("out").is_empty());
    }
    ingest(&[input], &folder.path("out"), &config(), &hook(all, |_| ())).unwrap();
}

#[test]
fn an_input_that_changes_between_the_readings_is_noticed() {
    let folder = Folder::new();
    for (changed, row) in [(corpus(0..99), 100), (corpus(0..101), 101), (corpus(0..50) + &corpus(51..101), 51)] {
        let input = folder.write("a.jsonl", corpus(0..100));
        let change = |begun| {
            if begun == 1 {
                fs_err::write(&input, &changed).unwrap();
            }
        };
        let result = ingest(std::slice::from_ref(&input), &folder.path("out"), &config(), &hook(usize::MAX, change));
        let message = folder.message(&result.unwrap_err());
        assert_eq!(
            message,
            format!(
                "DIR/a.jsonl:{row} is not the record that the first reading found there: the inputs changed while they \
                 were read"
            )
        );
        assert!(folder.names("out").is_empty());
    }
}

#[test]
fn boilerplate_of_many_documents_drops_none_of_them() {
    let folder = Folder::new();
    let notice = "all rights are reserved and nothing of this may be printed without leave of the house";
    let documents: String =
        (0..100).map(|i| line(&format!("doc-{i}"), &format!("{} {notice}", prose(i, 40)))).collect();
    // Every document has a copy but for one word more, and the two may fall to both sides.
    let copies: String = (0..100).map(|i| line(&format!("copy-{i}"), &format!("{} more", prose(i, 40)))).collect();
    let input = folder.write("a.jsonl", documents + &copies);
    let with = |contamination_documents| {
        let config = IngestConfig { contamination_documents, ..config() };
        ingest(std::slice::from_ref(&input), &folder.path("out"), &config, &Silent).unwrap()
    };
    let counted = with(10);
    let whole = with(u32::MAX);
    // Of the notice's sixteen words four passages of thirteen, and more with the words before them.
    assert!(counted.frequent_passages >= 4 && whole.frequent_passages == 0, "{counted:?} {whole:?}");
    assert!(whole.contaminated > 80 && counted.contaminated > 5 && counted.contaminated < 60, "{counted:?} {whole:?}");
    // Each passage that most share is told, and nothing but the passage.
    let most = &whole.shared_passages[0];
    assert!(whole.shared_passages.len() == 3 && most.documents > 10, "{whole:?}");
    assert!(notice.contains(most.passage.split_once(' ').unwrap().1) && !most.passage.contains(": "), "{most:?}");
    assert!(whole.shared_passages.is_sorted_by_key(|shared| std::cmp::Reverse(shared.documents)), "{whole:?}");
    let others = whole.contaminated + whole.unique.documents + whole.oracle.documents + whole.selection.documents;
    assert_eq!(whole.contaminated_share(), whole.contaminated as f64 / others as f64);
}
