//! Documents that ingest leaves out, so that none of them stops a later stage, and what passes unchanged.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cognate_base::Silent;
use cognate_corpus::ingest::check_empty;
use cognate_corpus::{Document, IngestConfig, IngestStats, OnBadRecord, ReadOptions, Remedy, Result, Split, ingest};
use serde_json::Value;

use crate::support::{Folder, config as plain, line, prose, read_file};

fn config(on_bad_record: OnBadRecord) -> IngestConfig {
    let read = ReadOptions { on_bad_record, ..ReadOptions::default() };
    IngestConfig { seed: 3, validation_share: 0.2, unique_share: 0.4, read, ..plain() }
}

fn run(folder: &Folder, input: PathBuf, on_bad_record: OnBadRecord) -> Result<IngestStats> {
    ingest(&[input], &folder.path("out"), &config(on_bad_record), &Silent)
}

fn kept(folder: &Folder) -> Vec<Document> {
    Split::ALL.into_iter().flat_map(|split| read_file(&split.file(&folder.path("out"))).unwrap()).collect()
}

fn lines(folder: &Folder, name: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(folder.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn corpus(documents: std::ops::Range<u64>) -> String {
    documents.map(|i| line(&format!("doc-{i}"), &prose(i, 40))).collect()
}

#[test]
fn documents_without_text_are_dropped_counted_and_listed() {
    let folder = Folder::new();
    let blanks: String = ["", " \n\t", "\u{feff}\u{200b}", "\0"].iter().map(|text| line("blank", text)).collect();
    let input = folder.write("a.jsonl", corpus(0..50) + &blanks);
    let stats = run(&folder, input, OnBadRecord::Stop).unwrap();
    assert_eq!((stats.read, stats.without_text, stats.exact_duplicates, stats.rejected), (54, 4, 0, 0));
    assert!(kept(&folder).len() == 50 && kept(&folder).iter().all(Document::has_text));
    let dropped = lines(&folder, "out/dropped.jsonl");
    assert_eq!(dropped.len(), 4);
    assert!(dropped.iter().all(|line| line["reason"] == "no_text" && line["id"] == "blank"));
    assert!(dropped[3]["origin"].as_str().unwrap().ends_with("a.jsonl:54"));
}

#[test]
fn a_corpus_of_blanks_is_empty() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", line("a", "") + &line("b", " "));
    assert_eq!(
        folder.message(&run(&folder, input, OnBadRecord::Stop).unwrap_err()),
        "the corpus is empty: no document in DIR/a.jsonl (0 records were rejected, 2 documents have no text)"
    );
}

#[test]
fn of_several_documents_with_one_id_the_first_stays_where_bad_records_are_passed_over() {
    let folder = Folder::new();
    let more = line("doc-3", &prose(3, 40)) + &line("doc-4", "another text entirely") + "oops\n";
    let input = folder.write("a.jsonl", corpus(0..50) + &more);
    let error = run(&folder, input.clone(), OnBadRecord::Stop).unwrap_err();
    assert_eq!(error.remedies(), [Remedy::NoIdField, Remedy::Skip]);
    let stats = run(&folder, input, OnBadRecord::Skip).unwrap();
    assert_eq!((stats.read, stats.rejected, stats.exact_duplicates), (50, 3, 0));
    let found = kept(&folder);
    assert_eq!(found.iter().map(|document| &document.id).collect::<BTreeSet<_>>().len(), 50);
    assert!(found.iter().all(|document| document.text != "another text entirely"));
    let rejected = lines(&folder, "out/rejected.jsonl");
    let told: Vec<String> = rejected.iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    let first = folder.path("a.jsonl");
    assert_eq!(
        told[0],
        format!("the id \"doc-3\" stands at {}:4 already: ids must be unique in a corpus", first.display())
    );
    assert!(told[1].starts_with("the id \"doc-4\"") && told[2].starts_with("not JSON"), "{told:?}");
    assert!(rejected[1]["origin"].as_str().unwrap().ends_with("a.jsonl:52"));
}

#[test]
fn a_repeated_id_takes_no_part_in_what_is_dropped() {
    // Its text is that of another document, which stays.
    let folder = Folder::new();
    let input =
        folder.write("a.jsonl", line("doc-9", "something else") + &corpus(0..50) + &line("doc-1", &prose(9, 40)));
    let stats = run(&folder, input, OnBadRecord::Skip).unwrap();
    assert_eq!((stats.read, stats.rejected, stats.exact_duplicates), (50, 2, 0));
}

#[test]
fn ids_are_derived_where_no_field_is_named() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", (0..40).map(|i| line("same", &prose(i, 40))).collect::<String>());
    let mut config = config(OnBadRecord::Stop);
    config.read.id_field = String::new();
    assert_eq!(ingest(&[input], &folder.path("out"), &config, &Silent).unwrap().read, 40);
    let ids: BTreeSet<String> = kept(&folder).into_iter().map(|document| document.id).collect();
    assert_eq!(ids, (1..=40).map(|row| format!("a:{row}")).collect());
}

#[test]
fn integers_and_metadata_keep_their_digits() {
    let folder = Folder::new();
    let digits = "1267650600228229401496703205376";
    let special = format!(
        "{{\"id\": {digits}, \"text\": \"numbers\", \"metadata\": {{\"z\": -{digits}, \"a\": [1e400, 1.10], \"n\": NaN}}}}\n\
         {{\"id\": \"list\", \"text\": \"a list\", \"metadata\": [1, \"a\"]}}\n\
         {{\"id\": \"text\", \"text\": \"a text\", \"metadata\": \"\"}}\n"
    );
    let input = folder.write("a.jsonl", corpus(0..50) + &special);
    run(&folder, input, OnBadRecord::Stop).unwrap();
    let found = kept(&folder);
    let metadata = |id: &str| found.iter().find(|found| found.id == id).unwrap().metadata.json().unwrap();
    assert_eq!(metadata(digits), format!(r#"{{"z":-{digits},"a":[1e400,1.10],"n":"NaN"}}"#));
    assert_eq!((metadata("list"), metadata("text")), (r#"[1,"a"]"#, r#""""#));
}

#[test]
fn a_folder_that_holds_something_is_told_from_an_empty_one() {
    let folder = Folder::new();
    assert!(check_empty(&folder.path("out")).is_ok());
    folder.write("out/.unique.jsonl.zst.partial", "left by a killed process");
    assert!(check_empty(&folder.path("out")).is_ok());
    // A command that writes there holds its lock there.
    folder.write("out/lock", "");
    assert!(check_empty(&folder.path("out")).is_ok());
    folder.write("out/notes.txt", "mine");
    assert_eq!(
        folder.message(&check_empty(&folder.path("out")).unwrap_err()),
        "DIR/out holds notes.txt already: name a folder that is empty or not there yet, or remove it"
    );
    let file = folder.write("file", "");
    assert!(check_empty(&file).is_err());
}

#[test]
fn a_call_killed_while_it_put_its_files_in_place_is_not_in_the_way_of_the_next() {
    let folder = Folder::new();
    let input = folder.write("a.jsonl", corpus(0..40));
    run(&folder, input.clone(), OnBadRecord::Stop).unwrap();
    let expected = kept(&folder);
    let out = |name: &str| folder.path(&format!("out/{name}"));
    fs_err::rename(out("rejected.jsonl"), out(".rejected.jsonl.partial")).unwrap();
    fs_err::remove_file(out("oracle.jsonl.zst")).unwrap();
    assert!(check_empty(&folder.path("out")).is_ok());
    run(&folder, input, OnBadRecord::Stop).unwrap();
    assert_eq!(kept(&folder), expected);
    assert!(check_empty(&folder.path("out")).is_err() && !out(".rejected.jsonl.partial").exists());
    // What is not ours stays in the way.
    fs_err::rename(out("rejected.jsonl"), out(".rejected.jsonl.partial")).unwrap();
    folder.write("out/notes.txt", "mine");
    assert!(check_empty(&folder.path("out")).is_err());
}
