//! Long documents in pieces: their names, their groups, and nothing lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, Error, IngestConfig, OnBadRecord, ReadOptions, Split, ingest};
use serde_json::json;

use crate::support::{Folder, config as plain, line, prose, read};
use crate::tokenizers::TRAINED;

fn config() -> IngestConfig {
    IngestConfig { contamination_words: 0, chunk_tokens: Some(64), ..plain() }
}

/// A text of paragraphs, of a length that its number says.
fn text(number: u64) -> String {
    (0..number % 7 + 1).map(|at| prose(10 * number + at, 12) + ".\n\n").collect()
}

fn kept(folder: &Folder, out: &str) -> Vec<(Split, Document)> {
    let of = |split: Split| {
        let documents = read(&[split.file(&folder.path(out))], &ReadOptions::with_groups()).unwrap();
        documents.into_iter().map(move |(_, document)| (split, document))
    };
    Split::ALL.into_iter().flat_map(of).collect()
}

#[test]
fn pieces_are_named_by_their_document_and_stay_together() {
    let folder = Folder::new();
    let documents: String = (0..200)
        .map(|i| json!({"id": format!("doc-{i}"), "text": text(i), "metadata": {"n": i}}).to_string() + "\n")
        .collect();
    let input = folder.write("a.jsonl", documents);
    let stats = ingest(std::slice::from_ref(&input), &folder.path("out"), &config(), &Silent).unwrap();
    let mut whole: BTreeMap<u64, Vec<(u64, Document)>> = BTreeMap::new();
    let mut splits: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    let mut long = 0;
    for (split, document) in kept(&folder, "out") {
        let number = document.metadata["n"].as_u64().unwrap();
        let piece = match document.id.split_once('#') {
            None => {
                assert_eq!((document.id.clone(), &document.group), (format!("doc-{number}"), &None));
                1
            }
            Some((id, piece)) => {
                assert_eq!((id, document.group.as_deref()), (&*format!("doc-{number}"), Some(id)));
                piece.parse().unwrap()
            }
        };
        assert!(document.text.len() <= 63 * 3, "{}", document.text.len());
        splits.entry(number).or_default().insert(split.name());
        whole.entry(number).or_default().push((piece, document));
    }
    for (number, mut pieces) in whole {
        pieces.sort_by_key(|(piece, _)| *piece);
        assert!(pieces.iter().zip(1..).all(|((piece, _), expected)| *piece == expected), "{pieces:?}");
        assert_eq!(pieces.iter().map(|(_, document)| &*document.text).collect::<String>(), text(number));
        long += u64::from(pieces.len() > 1);
    }
    assert!(splits.len() == 200 && splits.values().all(|splits| splits.len() == 1), "{splits:?}");
    assert!(long > 100 && stats.cut == long, "{stats:?}");
    assert_eq!((stats.read, stats.groups), (200 - stats.cut + stats.pieces, 200));
    // A given tokenizer counts its own tokens, the closing one among them.
    TRAINED.save(&folder.path("tokenizer.json")).unwrap();
    let exact = IngestConfig { tokenizer: Some(folder.path("tokenizer.json")), ..config() };
    ingest(&[input], &folder.path("exact"), &exact, &Silent).unwrap();
    let longest =
        kept(&folder, "exact").iter().map(|(_, document)| TRAINED.encode(&document.text).unwrap().len()).max();
    assert!(longest.is_some_and(|longest| (40..=63).contains(&longest)), "{longest:?}");
}

#[test]
fn pieces_stay_in_the_group_of_their_document() {
    let folder = Folder::new();
    let mut documents: String = (0..120)
        .map(|i| json!({"id": format!("doc-{i}"), "text": text(i), "book": i / 4}).to_string() + "\n")
        .collect();
    let input = folder.write("a.jsonl", &documents);
    let read = ReadOptions { group_field: "book".to_owned(), ..ReadOptions::default() };
    let stats = ingest(&[input], &folder.path("out"), &IngestConfig { read, ..config() }, &Silent).unwrap();
    assert_eq!((stats.groups, stats.without_group), (30, 0));
    let mut splits: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (split, document) in kept(&folder, "out") {
        let number: u64 = document.id["doc-".len()..].split('#').next().unwrap().parse().unwrap();
        assert_eq!(document.group, Some((number / 4).to_string()));
        splits.entry(document.group.unwrap()).or_default().insert(split.name());
    }
    assert!(splits.values().all(|splits| splits.len() == 1), "{splits:?}");
    // One that names no group and is cut is one document without.
    documents += &(line("long", &text(6)) + &line("short", "a few words"));
    let input = folder.write("more.jsonl", documents);
    let read = ReadOptions { group_field: "book".to_owned(), ..ReadOptions::default() };
    let stats = ingest(&[input], &folder.path("more"), &IngestConfig { read, ..config() }, &Silent).unwrap();
    assert_eq!((stats.groups, stats.without_group), (32, 2));
}

#[test]
fn readings_that_find_nothing_are_left_out() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", (0..60).map(|i| line(&format!("doc-{i}"), &text(i))).collect::<String>());
    let readings = |contamination_words| {
        let begun = Begun::default();
        let config = IngestConfig { contamination_words, ..config() };
        ingest(std::slice::from_ref(&input), &folder.path("out"), &config, &begun).unwrap();
        begun.0.into_inner().unwrap()
    };
    assert_eq!(readings(0), ["reading documents", "splitting documents"]);
    let all = ["reading documents", "finding passages", "counting passages", "splitting documents"];
    assert_eq!(readings(8), all);
}

/// What was begun.
#[derive(Default)]
struct Begun(Mutex<Vec<String>>);

impl Monitor for Begun {
    fn begin(&self, what: &str, _: Option<u64>, _: Unit) {
        self.0.lock().unwrap().push(what.to_owned());
    }
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn a_piece_never_takes_the_name_of_another_document() {
    let folder = Folder::new();
    let others: String = (0..40).map(|i| line(&format!("doc-{i}"), &prose(i, 20))).collect();
    let long = line("long", &text(6));
    let mut skip = config();
    skip.read.on_bad_record = OnBadRecord::Skip;
    let input = folder.write("a.jsonl", line("long#2", "a b c") + &others + &long);
    for config in [&config(), &skip] {
        let error = ingest(std::slice::from_ref(&input), &folder.path("out"), config, &Silent).unwrap_err();
        assert_eq!(
            folder.message(&error),
            "DIR/a.jsonl:42: a piece of this document would be called \"long#2\", and DIR/a.jsonl:1 is called so: give one of the two \
             documents another id, or leave out chunk_tokens"
        );
    }
    // Behind it, it is a document with an id that is taken; a long one with a taken id is passed over whole.
    let input = folder.write("b.jsonl", long.clone() + &others + &line("long#2", "a b c") + &long);
    let error = ingest(std::slice::from_ref(&input), &folder.path("out"), &config(), &Silent).unwrap_err();
    assert!(matches!(&error, Error::DuplicateId { id, .. } if id == "long#2"), "{error}");
    let stats = ingest(&[input], &folder.path("out"), &skip, &Silent).unwrap();
    assert_eq!((stats.cut, stats.rejected, stats.read), (1, 2, 40 + stats.pieces));
}

#[test]
fn too_few_tokens_are_refused() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", line("a", "text"));
    let few = IngestConfig { chunk_tokens: Some(15), ..config() };
    let error = ingest(&[input], &folder.path("out"), &few, &Silent).unwrap_err();
    assert_eq!(error.to_string(), "chunk_tokens is 15: expected at least 16 tokens");
}
