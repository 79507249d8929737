//! Documents that belong together: where their group stands, and that it is never divided.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cognate_base::{Hash, Silent, random};
use cognate_corpus::{Document, DocumentWriter, IngestConfig, IngestStats, OnBadRecord, ReadOptions, Split, ingest};
use serde_json::{Value, json};

use crate::support::{Folder, config as plain, line, prose, read};

fn config() -> IngestConfig {
    IngestConfig { read: ReadOptions { group_field: "book".to_owned(), ..ReadOptions::default() }, ..plain() }
}

fn run(folder: &Folder, input: PathBuf, out: &str, config: &IngestConfig) -> IngestStats {
    ingest(&[input], &folder.path(out), config, &Silent).unwrap()
}

/// The kept documents of every split, with their groups.
fn kept(folder: &Folder, out: &str) -> Vec<(Split, Document)> {
    let of = |split: Split| {
        let documents = read(&[split.file(&folder.path(out))], &ReadOptions::with_groups()).unwrap();
        documents.into_iter().map(move |(_, document)| (split, document))
    };
    Split::ALL.into_iter().flat_map(of).collect()
}

fn chapter(book: &Value, number: u64, text: &str) -> String {
    json!({"id": format!("{book}/{number}"), "text": text, "book": book}).to_string() + "\n"
}

/// Books of 1 to 12 chapters, chapter by chapter, so that a book's are scattered over the file.
fn library(books: u64) -> Vec<String> {
    let chapters = |number: u64| (0..books).filter(move |book| number <= book % 12);
    let line = |(number, book): (u64, u64)| chapter(&json!(book), number, &prose(100 * book + number, 40));
    (0..12).flat_map(|number| chapters(number).map(move |book| (number, book))).map(line).collect()
}

#[test]
fn a_group_stays_in_one_split_and_shares_are_met() {
    let folder = Folder::new();
    let lines = library(120);
    let stats = run(&folder, folder.write("a.jsonl", lines.concat()), "out", &config());
    assert_eq!((stats.read, stats.groups, stats.without_group, stats.contaminated), (780, 120, 0, 0));
    let mut splits: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (split, document) in kept(&folder, "out") {
        assert_eq!(document.id.split_once('/').map(|(book, _)| book), document.group.as_deref());
        splits.entry(document.group.unwrap()).or_default().insert(split.name());
    }
    assert_eq!(splits.len(), 120);
    assert!(splits.values().all(|splits| splits.len() == 1), "{splits:?}");
    // The smallest books have one chapter, so shares are met exactly.
    let counts = [stats.validation, stats.unique, stats.oracle, stats.selection].map(|split| split.documents);
    assert_eq!(counts, [78, 234, 390, 78]);
    // Another order of the records changes nothing, another seed does.
    let reversed: String = lines.iter().rev().map(String::as_str).collect();
    run(&folder, folder.write("b.jsonl", reversed), "reversed", &config());
    let members = |out: &str| -> BTreeSet<(&str, String)> {
        kept(&folder, out).into_iter().map(|(split, document)| (split.name(), document.id)).collect()
    };
    assert_eq!(members("out"), members("reversed"));
    run(&folder, folder.path("a.jsonl"), "other", &IngestConfig { seed: 8, ..config() });
    assert_ne!(members("out"), members("other"));
}

#[test]
fn without_the_key_a_document_is_placed_by_its_id_alone() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", library(40).concat());
    let none = IngestConfig { read: ReadOptions::default(), ..config() };
    let stats = run(&folder, input, "out", &none);
    assert_eq!((stats.groups, stats.without_group), (0, 0));
    for (split, document) in kept(&folder, "out") {
        let key = [b"split".as_slice(), &7u64.to_le_bytes(), document.id.as_bytes()].concat();
        let expected = match random::unit(Hash::of(key).prefix()) {
            place if place < 0.1 => Split::Validation,
            place if place < 0.4 => Split::Unique,
            place if place < 0.9 => Split::Oracle,
            _ => Split::Selection,
        };
        assert_eq!((split, document.group), (expected, None), "{}", document.id);
    }
}

#[test]
fn a_group_is_named_by_a_field_of_the_record_or_of_its_metadata() {
    let folder = Folder::new();
    let lines = [
        json!({"id": "a", "text": "t", "book": "one\n"}),
        json!({"id": "b", "text": "t", "book": 7}),
        json!({"id": "c", "text": "t", "metadata": {"book": "7", "x": 1}}),
        json!({"id": "d", "text": "t", "book": "own", "metadata": {"book": "other"}}),
        json!({"id": "e", "text": "t", "book": null}),
        json!({"id": "f", "text": "t", "book": ""}),
        json!({"id": "g", "text": "t", "metadata": "book"}),
    ];
    let expected = [Some("one\n"), Some("7"), Some("7"), Some("own"), None, None, None];
    let groups = |path: PathBuf| -> Vec<Option<String>> {
        let documents = read(&[path], &config().read).unwrap();
        documents.into_iter().map(|(_, document)| document.group).collect()
    };
    let jsonl: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let jsonl = folder.write("a.jsonl", jsonl.replacen("\"book\":7,", "\"book\":123456789012345678901234567890,", 1));
    let mut large = expected;
    large[1] = Some("123456789012345678901234567890");
    assert_eq!(groups(jsonl), large.map(|group| group.map(str::to_owned)));
    let csv = folder.write("a.csv", "id,book,text,metadata\na,x,t,\nb,,t,\"{\"\"book\"\": 3}\"\nc,,t,\n");
    assert_eq!(groups(csv), [Some("x".to_owned()), Some("3".to_owned()), None]);
    // Parquet: the column that is written here, and metadata.
    let path = folder.path("a.parquet");
    let mut writer = DocumentWriter::create(&path).unwrap();
    for (group, metadata) in [(Some("g"), json!({})), (None, json!({"group": 5})), (None, json!({}))] {
        let metadata = metadata.as_object().unwrap().clone().into();
        let document = Document { id: "x".into(), text: "t".into(), group: group.map(str::to_owned), metadata };
        writer.write(&document).unwrap();
    }
    writer.finish().unwrap();
    let documents =
        read(std::slice::from_ref(&path), &ReadOptions { id_field: String::new(), ..ReadOptions::with_groups() })
            .unwrap();
    let found: Vec<Option<&str>> = documents.iter().map(|(_, document)| document.group.as_deref()).collect();
    assert_eq!(found, [Some("g"), None, None], "what the metadata calls a group is the source's");
    // Read without groups, none is there.
    assert!(
        read(&[path], &ReadOptions { id_field: String::new(), ..ReadOptions::default() })
            .unwrap()
            .iter()
            .all(|(_, document)| document.group.is_none())
    );
}

#[test]
fn what_names_no_group_is_refused_with_its_place_and_what_is_there() {
    let folder = Folder::new();
    let complaint = |input: PathBuf, config: &IngestConfig| {
        folder.message(&ingest(&[input], &folder.path("out"), config, &Silent).unwrap_err())
    };
    let bad = chapter(&json!("a"), 0, "x") + &chapter(&json!(1.5), 0, "y");
    assert_eq!(
        complaint(folder.write("a.jsonl", bad), &config()),
        "DIR/a.jsonl:2: field \"book\": expected a string or a whole number, found a number"
    );
    let bad = json!({"id": "a", "text": "t", "metadata": {"book": [1]}}).to_string();
    assert_eq!(
        complaint(folder.write("b.jsonl", &bad), &config()),
        "DIR/b.jsonl:1: field \"metadata.book\": expected a string or a whole number, found an array"
    );
    let mut other = config();
    other.read.group_field = "page".to_owned();
    let expected = |fields: &str| {
        format!(
            "no record has the field \"page\", which should name its group, nor has its metadata; the fields are {fields}: name one of these \
             as group_field, or leave it out"
        )
    };
    let line = json!({"id": "a", "text": "t", "book": 1, "metadata": {"chapter": 2}}).to_string();
    assert_eq!(
        complaint(folder.write("c.jsonl", &line), &other),
        expected("[\"book\", \"id\", \"metadata\", \"text\", \"metadata.chapter\"]")
    );
    assert_eq!(
        complaint(folder.write("d.csv", "id,text,book\na,t,b\n"), &other),
        expected("[\"id\", \"text\", \"book\"]")
    );
    let array = format!(" [\n  {line},\n  {line}]").replacen("\"a\"", "\"b\"", 1);
    assert_eq!(
        complaint(folder.write("f.json", array), &other),
        expected("[\"book\", \"id\", \"metadata\", \"text\", \"metadata.chapter\"]")
    );
    for taken in ["id", "text", "metadata"] {
        other.read.group_field = taken.to_owned();
        let expected = format!(
            "group_field is \"{taken}\", which holds a document's id, text or metadata: expected a field that several documents share"
        );
        assert_eq!(complaint(folder.path("c.jsonl"), &other), expected);
    }
    // Two groups of ten chapters: neither is near to a tenth.
    let two: String = (0..20).map(|i| chapter(&json!(i % 2), i, &prose(i, 30))).collect();
    assert_eq!(
        complaint(folder.write("e.jsonl", two), &config()),
        "the validation split is empty: a share of 0.1 of 20 documents left none; a group is never divided: take more groups, or raise \
         validation_share above the share of the smallest one"
    );
}

#[test]
fn a_limit_takes_documents_from_everywhere_and_a_larger_one_keeps_them() {
    let folder = Folder::new();
    let copies: String = (0..50).map(|i| line(&format!("copy-{i}"), &prose(i, 40))).collect();
    let input = folder
        .write("a.jsonl", (0..1000).map(|i| line(&format!("doc-{i}"), &prose(i, 40))).collect::<String>() + &copies);
    let all = IngestConfig { read: ReadOptions::default(), contamination_words: 0, ..config() };
    let ids = |limit: Option<u64>| -> BTreeMap<String, Split> {
        let stats = run(&folder, input.clone(), "out", &IngestConfig { limit, ..all.clone() });
        assert_eq!((stats.read, stats.beyond_limit), (1050, 1050 - limit.unwrap_or(1050).min(1050)));
        let kept: BTreeMap<String, Split> =
            kept(&folder, "out").into_iter().map(|(split, document)| (document.id, split)).collect();
        assert_eq!(kept.len() as u64, 1050 - stats.beyond_limit - stats.exact_duplicates);
        kept
    };
    let (small, large, whole) = (ids(Some(200)), ids(Some(400)), ids(Some(2000)));
    assert_eq!(whole, ids(None));
    let number = |id: &str| id.strip_prefix("doc-").and_then(|number| number.parse::<u32>().ok());
    // Of the first 200, about 38 by chance; six standard deviations are 32.
    let first = small.keys().filter_map(|id| number(id)).filter(|&number| number < 200).count();
    assert!((6..70).contains(&first), "{first}");
    // All splits have their share: the draw of the limit says nothing about that of the splits.
    let validation = small.values().filter(|split| **split == Split::Validation).count();
    assert!((6..40).contains(&validation), "{validation}");
    for (id, split) in &small {
        // A document may go for a copy that a larger limit takes too.
        assert!(
            large.get(id).is_none_or(|other| other == split) && whole.get(id).is_none_or(|other| other == split),
            "{id}"
        );
    }
    let gone = small.keys().filter(|id| !large.contains_key(*id)).count();
    assert!(gone < 15, "{gone}");
    // As if there were no others.
    let alone: String = small.keys().map(|id| line(id, &format!("alone {id}"))).collect();
    let alone = folder.write("alone.jsonl", alone);
    run(&folder, alone, "alone", &all);
    let splits: BTreeMap<String, Split> =
        kept(&folder, "alone").into_iter().map(|(split, document)| (document.id, split)).collect();
    assert_eq!(splits, small);
    let zero = IngestConfig { limit: Some(0), ..all };
    let error = ingest(&[input], &folder.path("out"), &zero, &Silent).unwrap_err();
    assert_eq!(error.to_string(), "limit is 0: expected at least 1 document");
}

#[test]
fn a_limit_leaves_groups_whole() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", library(120).concat());
    let stats = run(&folder, input.clone(), "out", &IngestConfig { limit: Some(300), ..config() });
    let taken = stats.read - stats.beyond_limit;
    assert!(taken.abs_diff(300) <= 6 && stats.groups < 60, "{stats:?}");
    let mut chapters: BTreeMap<String, u64> = BTreeMap::new();
    for (_, document) in kept(&folder, "out") {
        *chapters.entry(document.group.unwrap()).or_default() += 1;
    }
    assert!(chapters.iter().all(|(book, chapters)| *chapters == book.parse::<u64>().unwrap() % 12 + 1), "{chapters:?}");
    // Shares are of what is taken.
    assert!(stats.validation.documents.abs_diff(taken / 10) <= 1, "{stats:?}");
}

#[test]
fn documents_without_the_field_are_groups_of_their_own_and_counted() {
    let folder = Folder::new();
    let alone: String = (0..60).map(|i| line(&format!("doc-{i}"), &prose(5000 + i, 40))).collect();
    let bad = "{}\n";
    let mut config = config();
    config.read.on_bad_record = OnBadRecord::Skip;
    // A document that bears the name of a group, as the first message of a thread may, is of it.
    let root = line("0", &prose(6000, 40));
    let input = folder.write("a.jsonl", library(30).concat() + &alone + bad + &root);
    let stats = run(&folder, input, "out", &config);
    assert_eq!((stats.groups, stats.without_group, stats.rejected), (90, 61, 1));
    let kept = kept(&folder, "out");
    let split_of = |id: &str| kept.iter().find(|(_, document)| document.id == id).map(|(split, _)| *split);
    assert_eq!(split_of("0"), split_of("0/0"));
}

#[test]
fn copies_and_passages_of_other_groups_stay_out_of_training() {
    let folder = Folder::new();
    // Every book has a chapter that all have, one that its neighbour has, and one that quotes its neighbour.
    let lines: Vec<String> = (0..100u64)
        .flat_map(|book| {
            let own = prose(book, 40);
            let quote = format!("{} {}", prose(1000 + book, 10), &prose((book + 1) % 100, 40));
            [(0, "the preface of all".to_owned()), (1, own), (2, prose(2000 + book / 2, 40)), (3, quote)]
                .map(|(number, text)| chapter(&json!(book), number, &text))
        })
        .collect();
    let stats = run(&folder, folder.write("a.jsonl", lines.concat()), "out", &config());
    assert_eq!(stats.exact_duplicates, 99 + 50);
    let kept = kept(&folder, "out");
    let mut texts: BTreeMap<&str, Split> = BTreeMap::new();
    for (split, document) in &kept {
        assert_eq!(texts.insert(&document.text, *split), None, "a text stands once");
    }
    // Of copies, the one stays that is in validation.
    let validation: BTreeSet<u64> = kept
        .iter()
        .filter(|(split, _)| *split == Split::Validation)
        .map(|(_, document)| document.group.as_ref().unwrap().parse().unwrap())
        .collect();
    assert!(validation.len() >= 10, "{validation:?}");
    for book in 0..100 {
        let is_shared = validation.contains(&(book / 2 * 2)) || validation.contains(&(book / 2 * 2 + 1));
        let held = texts[prose(2000 + book / 2, 40).as_str()] == Split::Validation;
        assert_eq!(held, is_shared, "{book}");
    }
    // A chapter that quotes a validation book is in no other split.
    for (split, document) in &kept {
        if let (true, Some(book)) = (document.id.ends_with("/3"), &document.group) {
            let next = (book.parse::<u64>().unwrap() + 1) % 100;
            assert!(*split == Split::Validation || !validation.contains(&next), "{}", document.id);
        }
    }
    assert!(stats.contaminated >= 9, "{stats:?}");
}
