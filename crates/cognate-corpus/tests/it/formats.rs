//! Files as other programs write them: padded, packed in parts, of numbers that JSON does not know, tables of text, and
//! records that are too long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, DocumentWriter, Error, Metadata, OnBadRecord, ReadOptions, Reader, Remedy, Result};

use crate::support::{Folder, document, gzip, line, read, read_file, zstandard};

fn documents(path: &std::path::Path, options: &ReadOptions) -> Result<Vec<Document>> {
    Ok(read(&[path.to_path_buf()], options)?.into_iter().map(|(_, found)| found).collect())
}

fn stop(folder: &Folder, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.write(name, bytes);
    folder.message(&read_file(&path).unwrap_err())
}

#[test]
fn zeros_behind_gzip_are_padding_and_other_bytes_are_not() {
    let folder = Folder::new();
    let member = gzip(line("a", "x").as_bytes());
    let second = gzip(line("b", "y").as_bytes());
    for (bytes, ids) in [
        ([&member[..], &[0; 512]].concat(), 1),
        ([&member[..], &vec![0; 300_000]].concat(), 1),
        ([&member[..], &[0; 7], &second, &[0; 3]].concat(), 2),
        ([&member[..], &second].concat(), 2),
    ] {
        assert_eq!(read_file(&folder.write("a.jsonl.gz", bytes)).unwrap().len(), ids);
    }
    for bytes in
        [[&member[..], b"x"].concat(), [&member[..], &[0, 0, 7]].concat(), [&member[..], &second[..9]].concat()]
    {
        let told = stop(&folder, "a.jsonl.gz", bytes);
        assert!(told.starts_with("DIR/a.jsonl.gz cannot be read as gzip past record 1 ("), "{told}");
    }
}

#[test]
fn a_whole_zstd_file_that_needs_a_dictionary_is_not_said_to_be_damaged() {
    let folder = Folder::new();
    // A frame of one segment with the dictionary 7 and one byte, stored as it is (RFC 8878, 3.1.1).
    let frame = b"\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00x";
    assert_eq!(
        stop(&folder, "a.jsonl.zst", frame),
        "DIR/a.jsonl.zst cannot be read as zstd: it needs a dictionary that is not in the file; unpack it with the tool that \
         packed it"
    );
}

#[test]
fn content_of_another_kind_is_named() {
    let folder = Folder::new();
    for (bytes, expected) in [
        (&b"BZh91AY&SY"[..], "this is a bzip2 file"),
        (b"\xff\xfe{\0\"\0", "this is text in UTF-16 or UTF-32"),
        (b"<!DOCTYPE html><html>", "this is an HTML page"),
        (b"PK\x03\x04", "this is a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "this is a Git LFS pointer"),
    ] {
        for packed in [bytes.to_vec(), gzip(bytes)] {
            let told = stop(&folder, "a.jsonl", packed);
            assert!(told.starts_with(&format!("DIR/a.jsonl: {expected}")), "{told}");
        }
    }
    // An essay on HTML is a text like any other.
    assert_eq!(read_file(&folder.write("a.txt", "<html> is a tag")).unwrap(), [document("a.txt", "<html> is a tag")]);
}

#[test]
fn an_array_that_does_not_end_is_damaged_and_bad_elements_are_told_by_their_number() {
    let folder = Folder::new();
    for text in ["[{\"text\": \"a\"}", "[{\"text\": \"a\"},", "[{\"text\": \"]\\\"", "["] {
        let told = stop(&folder, "a.json", text);
        assert!(told.contains("as an array of JSON past record") && told.contains("ends inside the array"), "{told}");
    }
    assert!(stop(&folder, "a.json", "[] {}").contains("something follows the array"));
    assert_eq!(
        stop(&folder, "a.json", "[{\"text\": \"a\"}, {\"text\": 1}]"),
        "DIR/a.json:2: field \"text\": expected a string, found a number"
    );
    let options = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    let path = folder.write("a.json", "[{\"text\": \"a\"}, {\"text\": [1, \"]\"]}, 7, {\"text\": \"b,]\"}]");
    assert_eq!(documents(&path, &options).unwrap(), [document("a:1", "a"), document("a:4", "b,]")]);
    assert_eq!(read_file(&folder.write("a.json", " [ ] \n")).unwrap(), []);
}

#[test]
fn lines_that_python_wrote_with_no_numbers_are_documents() {
    let folder = Folder::new();
    let text = "{\"text\": \"a\", \"score\": NaN}\n{\"text\": \"b\", \"metadata\": {\"x\": [-Infinity, 1267650600228229401496703205376]}}\n";
    let found = read_file(&folder.write("a.jsonl", text)).unwrap();
    assert_eq!(found[0], document("a:1", "a"));
    assert_eq!(found[1].metadata.json(), Some(r#"{"x":["-Infinity",1267650600228229401496703205376]}"#));
}

#[test]
fn tables_of_text_are_read_by_their_first_row() {
    let folder = Folder::new();
    let table = "\u{feff}url,text,id,metadata\r\n\
                 u,plain,7,\r\n\
                 u,\"two\nlines, \"\"quoted\"\" \",,\"{\"\"a\"\": 1}\"\r\n\
                 \r\n\
                 u, spaces stay ,x,crawl\r\n";
    let mut expected =
        [document("7", "plain"), document("a:3", "two\nlines, \"quoted\" "), document("x", " spaces stay ")];
    expected[1].metadata.insert("a".to_owned(), 1.into());
    expected[2].metadata = cognate_corpus::Metadata::from_text("crawl");
    assert_eq!(read_file(&folder.write("a.csv", table)).unwrap(), expected);
    assert_eq!(read_file(&folder.write("a.csv.zst", zstandard(table.as_bytes()))).unwrap(), expected);
    let found = read_file(&folder.write("b.tsv", "id\ttext\n1\ta, b\n2\t\"c\td\"")).unwrap();
    assert_eq!(found, [document("1", "a, b"), document("2", "c\td")]);
    assert_eq!(read_file(&folder.write("empty.csv", "")).unwrap(), []);
    assert_eq!(read_file(&folder.write("head.csv", "text\n")).unwrap(), []);
    assert_eq!(
        stop(&folder, "a.csv", "id;text\n1;a\n"),
        "DIR/a.csv has no column \"text\"; its columns are [\"id;text\"]: name the one that holds the text"
    );
    assert_eq!(
        stop(&folder, "a.csv", "id,text\n1,a\n\n2\n"),
        "DIR/a.csv:4: expected 2 fields, as the first row has, found 1"
    );
    assert_eq!(
        stop(&folder, "a.csv", b"id,text\n1,caf\xe9\n"),
        "DIR/a.csv:2: field \"text\": invalid UTF-8 at byte 4 of the value; expected text in UTF-8"
    );
}

#[test]
fn long_rows_and_wide_tables_are_whole() {
    let folder = Folder::new();
    let long = crate::support::prose(1, 30_000);
    let wide = |cell: &str| vec![cell; 1000].join(",");
    let table = format!("{},text\n{},{long}\n{},short\n", wide("n"), wide("1"), wide("2"));
    let found = read_file(&folder.write("a.csv", table)).unwrap();
    assert_eq!(found, [document("a:2", &long), document("a:3", "short")]);
}

#[test]
fn a_record_that_is_too_long_is_named_and_can_be_passed_over() {
    let folder = Folder::new();
    let long = "x".repeat(300_000);
    let small = |on_bad_record| ReadOptions { on_bad_record, max_record_bytes: 1000, ..ReadOptions::default() };
    let lines = line("a", "x") + &line("long", &long) + &line("b", "y");
    let array = format!("[{}]", lines.trim().replace('\n', ","));
    let table = format!("id,text\na,x\nlong,\"{long}\"\nb,y\n");
    for (name, text, row) in [("a.jsonl", &lines, 2), ("a.json", &array, 2), ("a.csv", &table, 3)] {
        for bytes in [text.clone().into_bytes(), gzip(text.as_bytes()), zstandard(text.as_bytes())] {
            let path = folder.write(name, bytes);
            let error = documents(&path, &small(OnBadRecord::Stop)).unwrap_err();
            assert_eq!(
                folder.message(&error),
                format!("DIR/{name}:{row}: longer than 1000 bytes, the most that a record may have")
            );
            assert_eq!(error.remedies(), [Remedy::MaxRecordBytes, Remedy::Skip]);
            let kept = documents(&path, &small(OnBadRecord::Skip)).unwrap();
            assert_eq!(kept, [document("a", "x"), document("b", "y")], "{name}");
        }
    }
    // A cell of Parquet, of text or of metadata.
    for described in [false, true] {
        let path = folder.path("a.parquet");
        let mut writer = DocumentWriter::create(&path).unwrap();
        let (text, metadata) = if described { ("z", long.as_str()) } else { (long.as_str(), "") };
        let metadata = Metadata::from_text(metadata);
        let long = Document { id: "long".into(), text: text.into(), group: None, metadata };
        for document in [document("a", "x"), long, document("b", "y")] {
            writer.write(&document).unwrap();
        }
        writer.finish().unwrap();
        let message = folder.message(&documents(&path, &small(OnBadRecord::Stop)).unwrap_err());
        assert_eq!(message, "DIR/a.parquet:2: longer than 1000 bytes, the most that a record may have");
        let kept = documents(&path, &small(OnBadRecord::Skip)).unwrap();
        assert_eq!(kept, [document("a", "x"), document("b", "y")]);
    }
    let path = folder.write("a.txt", &long);
    let message = folder.message(&documents(&path, &small(OnBadRecord::Stop)).unwrap_err());
    assert_eq!(message, "DIR/a.txt:1: longer than 1000 bytes, the most that a record may have");
    // The limit itself is allowed.
    let exact = ReadOptions { max_record_bytes: lines.len(), ..ReadOptions::default() };
    assert_eq!(documents(&folder.write("b.jsonl", &lines), &exact).unwrap().len(), 3);
}

/// Is interrupted after some looks.
struct After(AtomicUsize);

impl Monitor for After {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1)).is_err()
    }
}

#[test]
fn reading_is_interrupted_inside_one_long_record() {
    let folder = Folder::new();
    let long = "x".repeat(8 << 20);
    let in_quotes = format!("text\n\"{long}\"\n");
    let paths: [PathBuf; 5] = [
        folder.write("a.jsonl", line("a", &long)),
        folder.write("b.jsonl.zst", zstandard(line("a", &long).as_bytes())),
        folder.write("c.json.gz", gzip(format!("[{}]", line("a", &long)).as_bytes())),
        folder.write("d.csv.zst", zstandard(in_quotes.as_bytes())),
        folder.write("e.txt.gz", gzip(long.as_bytes())),
    ];
    for path in paths {
        // 8 MiB are more than sixty stretches of 128 KiB.
        for looks in [0, 5, 20, 60] {
            let monitor = After(AtomicUsize::new(looks));
            let first = match Reader::open(std::slice::from_ref(&path), &ReadOptions::default(), &monitor) {
                Ok(mut reader) => reader.next().unwrap().map(drop),
                Err(error) => Err(error),
            };
            assert!(matches!(first, Err(Error::Interrupted(_))), "{} {looks}: {first:?}", path.display());
        }
        assert_eq!(Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap().count(), 1);
    }
}
