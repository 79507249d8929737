//! What is written is what is read, and a file is whole or absent.

use arrow_array::cast::AsArray;
use cognate_corpus::{Document, DocumentWriter};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use crate::support::{Folder, document, read_file};

const FORMATS: [&str; 4] = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"];

fn documents() -> impl Strategy<Value = Vec<Document>> {
    let metadata = prop::collection::btree_map(any::<String>(), any::<(bool, i64)>(), 0..3);
    let one = (any::<String>(), metadata).prop_map(|(text, metadata)| {
        let metadata = metadata.into_iter().map(|(key, value)| (key, serde_json::json!(value))).collect();
        Document { id: String::new(), text, group: None, metadata }
    });
    prop::collection::vec(one, 0..12).prop_map(|mut documents| {
        documents.iter_mut().enumerate().for_each(|(i, document)| document.id = format!("{i}/\u{e9}"));
        documents
    })
}

proptest! {
    #[test]
    fn documents_come_back_as_they_were(documents in documents()) {
        let folder = Folder::new();
        for name in FORMATS {
            let path = folder.path(name);
            let mut writer = DocumentWriter::create(&path).unwrap();
            documents.iter().for_each(|document| writer.write(document).unwrap());
            prop_assert_eq!(writer.finish().unwrap(), documents.len() as u64);
            prop_assert_eq!(&read_file(&path).unwrap(), &documents, "{}", name);
        }
    }
}

#[test]
fn the_lines_are_what_docs_formats_says() {
    let folder = Folder::new();
    let path = folder.path("a.jsonl");
    let mut writer = DocumentWriter::create(&path).unwrap();
    let mut second = document("b", "\u{e9}\n");
    second.metadata.insert("k".to_owned(), serde_json::json!(1));
    writer.write(&document("a", "x")).unwrap();
    writer.write(&second).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        fs_err::read_to_string(path).unwrap(),
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\"text\":\"\u{e9}\\n\",\"metadata\":{\"k\":1}}\n"
    );
}

#[test]
fn arrow_reads_what_docs_formats_says() {
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    let mut writer = DocumentWriter::create(&path).unwrap();
    let mut second = document("b", "\u{e9}\n");
    second.metadata.insert("k".to_owned(), serde_json::json!(1));
    writer.write(&document("a", "x")).unwrap();
    writer.write(&second).unwrap();
    writer.finish().unwrap();
    let table = ParquetRecordBatchReaderBuilder::try_new(fs_err::File::open(path).unwrap().into_file()).unwrap();
    let columns: Vec<String> = table
        .schema()
        .fields()
        .iter()
        .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    assert_eq!(columns, ["id Utf8 false", "text Utf8 false", "group Utf8 true", "metadata Utf8 true"]);
    let batch = table.build().unwrap().next().unwrap().unwrap();
    let column =
        |name| -> Vec<Option<&str>> { batch.column_by_name(name).unwrap().as_string::<i32>().iter().collect() };
    assert_eq!(column("id"), [Some("a"), Some("b")]);
    assert_eq!(column("text"), [Some("x"), Some("\u{e9}\n")]);
    assert_eq!(column("metadata"), [None, Some("{\"k\":1}")]);
}

#[test]
fn an_unfinished_file_leaves_nothing_and_the_old_one_in_place() {
    let folder = Folder::new();
    for name in FORMATS {
        let old = folder.write(name, "old");
        let mut writer = DocumentWriter::create(&old).unwrap();
        writer.write(&document("a", "x")).unwrap();
        drop(writer);
        assert_eq!(fs_err::read(&old).unwrap(), b"old", "{name}");
        fs_err::remove_file(old).unwrap();
    }
    assert!(folder.names("").is_empty());
}

#[test]
fn equal_documents_make_equal_bytes() {
    let folder = Folder::new();
    for name in FORMATS {
        let bytes = ["first", "second"].map(|run| {
            let path = folder.path(run).join(name);
            let mut writer = DocumentWriter::create(&path).unwrap();
            (0..50u64).for_each(|i| writer.write(&document(&i.to_string(), &crate::support::prose(i, 50))).unwrap());
            writer.finish().unwrap();
            fs_err::read(path).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn a_name_without_a_format() {
    let folder = Folder::new();
    let error = DocumentWriter::create(folder.path("a.csv")).unwrap_err();
    assert_eq!(folder.message(&error), "DIR/a.csv: a document file ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet");
    assert!(folder.names("").is_empty());
}
