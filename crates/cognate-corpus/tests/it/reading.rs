//! Every format gives the same documents, and every damage a message that says where and what.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, Int8Array, Int16Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray, StructArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use cognate_base::Silent;
use cognate_corpus::{BadRecord, Document, DocumentWriter, Error, OnBadRecord, ReadOptions, Reader};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;

use crate::support::{Folder, document, gzip, line, read, read_file, zstandard};

fn three() -> Vec<Document> {
    let mut documents =
        vec![document("a", "first\r\n text"), document("b", ""), document("7", "d\u{e9}j\u{e0} \u{1F600}")];
    documents[1].metadata.insert("n".to_owned(), serde_json::json!([1, {"m": null}]));
    documents
}

fn three_as_json() -> String {
    let metadata = r#"{"id": "b", "metadata": {"n": [1, {"m": null}]}, "text": "", "other": [1, 2]}"#;
    format!("{}{metadata}\n{}", line("a", "first\r\n text"), r#"{"id": 7, "text": "d\u00e9j\u00e0 \ud83d\ude00"}"#)
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet_with(columns, WriterProperties::default())
}

fn parquet_with(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn three_as_parquet() -> Vec<u8> {
    parquet(vec![
        ("noise", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ("metadata", Arc::new(StringArray::from(vec![None, Some(r#"{"n": [1, {"m": null}]}"#), Some("{}")]))),
        ("text", Arc::new(LargeStringArray::from(vec!["first\r\n text", "", "d\u{e9}j\u{e0} \u{1F600}"]))),
        ("id", Arc::new(StringArray::from(vec!["a", "b", "7"]))),
    ])
}

fn stop(folder: &Folder, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.write(name, bytes);
    folder.message(&read_file(&path).unwrap_err())
}

#[test]
fn every_format_gives_the_same_documents_whatever_its_name() {
    let folder = Folder::new();
    let json = three_as_json();
    let (head, tail) = json.split_at(20);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (name, bytes) in [
        ("plain.jsonl", json.clone().into_bytes()),
        ("gzip.jsonl.gz", gzip(json.as_bytes())),
        ("members.gz", [gzip(head.as_bytes()), gzip(b""), gzip(tail.as_bytes())].concat()),
        ("zstd.jsonl.zst", zstandard(json.as_bytes())),
        ("frames.zst", [skippable, zstandard(head.as_bytes()), zstandard(tail.as_bytes())].concat()),
        ("rows.parquet", three_as_parquet()),
        ("plain-called.gz", json.clone().into_bytes()),
        ("gzip-called.parquet", gzip(json.as_bytes())),
        ("zstd-called.jsonl", zstandard(json.as_bytes())),
        ("rows-called.csv", three_as_parquet()),
        ("array.json", format!("\u{feff} [{}]\n", json.replace('\n', ",\r\n")).into_bytes()),
        ("array.json.gz", gzip(format!("[\n  {} ,]", json.replace('\n', " ,\n")).as_bytes())),
    ] {
        let path = folder.write(name, bytes);
        assert_eq!(read_file(&path).unwrap(), three(), "{name}");
        let mut reader = Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap();
        assert_eq!(reader.by_ref().count(), 3);
        assert_eq!(reader.read_bytes(), reader.total_bytes(), "{name}: progress reaches its end");
    }
}

#[test]
fn marks_blank_lines_and_line_ends_are_passed_over_and_counted() {
    let folder = Folder::new();
    let bytes = format!("\u{feff}{}\r\n \t\r\n\n{}", line("a", "x").trim(), line("b", "\u{feff}y").trim());
    let path = folder.write("a.jsonl", bytes);
    let found = read(std::slice::from_ref(&path), &ReadOptions::default()).unwrap();
    let rows: Vec<(u64, &str)> = found.iter().map(|(origin, document)| (origin.row, document.text.as_str())).collect();
    assert_eq!(rows, [(1, "x"), (4, "\u{feff}y")]);
    assert_eq!(found[1].0.to_string(), format!("{}:4", path.display()));
}

#[test]
fn a_folder_stands_for_its_files_by_name() {
    let folder = Folder::new();
    folder.write("in/b.jsonl", line("b", ""));
    folder.write("in/a.jsonl.gz", gzip(line("a", "").as_bytes()));
    folder.write("in/.hidden", "not JSON");
    let first = folder.write("z.jsonl", line("z", ""));
    let ids = |paths: &[PathBuf]| -> Vec<String> {
        read(paths, &ReadOptions::default()).unwrap().into_iter().map(|(_, document)| document.id).collect()
    };
    assert_eq!(ids(&[first, folder.path("in")]), ["z", "a", "b"]);
}

#[test]
fn paths_that_lead_nowhere() {
    let folder = Folder::new();
    let complaint =
        |path: PathBuf| folder.message(&Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap_err());
    assert_eq!(complaint(folder.path("none.jsonl")), "DIR/none.jsonl does not exist");
    assert_eq!(
        complaint(PathBuf::from("/dev/null")),
        "/dev/null is neither a regular file nor a folder of files; documents are read twice, so a pipe will not do"
    );
}

#[test]
fn a_bad_record_stops_with_its_place_and_stops_for_good() {
    let folder = Folder::new();
    let text = format!("{}\n{{\"id\": \"b\"}}\n{}", line("a", "x"), line("c", "x"));
    let path = folder.write("a.jsonl", text);
    let mut reader = Reader::open(&[path], &ReadOptions::default(), &Silent).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert_eq!(
        folder.message(&reader.next().unwrap().unwrap_err()),
        "DIR/a.jsonl:3: no field \"text\"; the record has no other fields: name the one that holds the text"
    );
    assert!(reader.next().is_none());
}

#[test]
fn bad_records_can_be_passed_over_and_are_kept_with_their_reasons() {
    let folder = Folder::new();
    let lines = [
        line("a", "x").into_bytes(),
        b"{\"id\": \"cut\", \"te\n".to_vec(),
        b"{\"text\": \"\xff\"}\n".to_vec(),
        b"{\"text\": 5}\n".to_vec(),
        line("b", "y").into_bytes(),
        b"[]".to_vec(),
    ];
    let path = folder.write("a.jsonl", lines.concat());
    let options = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    let mut reader = Reader::open(&[path], &options, &Silent).unwrap();
    let ids: Vec<String> = reader.by_ref().map(|record| record.unwrap().1.id).collect();
    assert_eq!(ids, ["a", "b"]);
    let rejected = reader.rejected();
    let rows: Vec<u64> = rejected.iter().map(|rejected| rejected.origin.row).collect();
    assert_eq!(rows, [2, 3, 4, 6]);
    assert_eq!(rejected[0].reason, BadRecord::Unfinished);
    assert_eq!(rejected[1].reason, BadRecord::NotUtf8 { byte: 11 });
    assert!(matches!(&rejected[2].reason, BadRecord::WrongType { field, .. } if field == "text"));
    assert_eq!(rejected[3].reason, BadRecord::NotAnObject { found: "an array" });
    assert!(reader.rejected().is_empty(), "handed out once");
}

#[test]
fn other_field_names() {
    let folder = Folder::new();
    let json = folder.write("a.jsonl", r#"{"key": 5, "content": "x", "id": [], "text": {}}"#);
    let rows = folder.write(
        "a.parquet",
        parquet(vec![
            ("key", Arc::new(Int64Array::from(vec![6]))),
            ("content", Arc::new(StringViewArray::from(vec!["y"]))),
        ]),
    );
    let options =
        ReadOptions { id_field: "key".to_owned(), text_field: "content".to_owned(), ..ReadOptions::default() };
    let documents: Vec<Document> = read(&[json, rows], &options).unwrap().into_iter().map(|(_, d)| d).collect();
    assert_eq!(documents, [document("5", "x"), document("6", "y")]);
}

#[test]
fn parquet_rows_without_an_id_and_with_integers() {
    let folder = Folder::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let ids = |columns| -> Vec<String> {
        let path = folder.write("news.parquet", parquet(columns));
        read_file(&path).unwrap().into_iter().map(|document| document.id).collect()
    };
    assert_eq!(ids(vec![("text", texts.clone())]), ["news:1", "news:2"]);
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(-3), None]));
    assert_eq!(ids(vec![("text", texts), ("id", integers)]), ["-3", "news:2"]);
}

#[test]
fn parquet_integers_of_every_width_and_sign() {
    let folder = Folder::new();
    let columns: [(ArrayRef, [&str; 2]); 8] = [
        (Arc::new(Int8Array::from(vec![i8::MIN, i8::MAX])), ["-128", "127"]),
        (Arc::new(Int16Array::from(vec![i16::MIN, i16::MAX])), ["-32768", "32767"]),
        (Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX])), ["-2147483648", "2147483647"]),
        (Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])), ["-9223372036854775808", "9223372036854775807"]),
        (Arc::new(UInt8Array::from(vec![0, u8::MAX])), ["0", "255"]),
        (Arc::new(UInt16Array::from(vec![0, u16::MAX])), ["0", "65535"]),
        (Arc::new(UInt32Array::from(vec![0, u32::MAX])), ["0", "4294967295"]),
        (Arc::new(UInt64Array::from(vec![0, u64::MAX])), ["0", "18446744073709551615"]),
    ];
    for (ids, expected) in columns {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let path = folder.write("a.parquet", parquet(vec![("id", ids), ("text", texts)]));
        let found: Vec<String> = read_file(&path).unwrap().into_iter().map(|document| document.id).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn parquet_in_every_layout_of_groups_and_pages() {
    // More rows than one batch of the reader; groups and pages end inside batches, and nulls stand at odd places.
    let folder = Folder::new();
    let id = |row: i64| (row % 7 != 3).then_some(row);
    let metadata = |row: i64| (row % 3 == 0).then(|| format!("{{\"n\":{}}}", row % 5));
    let expected: Vec<Document> = (0..700)
        .map(|row| {
            let id = id(row).map_or_else(|| format!("a:{}", row + 1), |id| id.to_string());
            let mut document = document(&id, &crate::support::prose(row as u64 % 50, 20));
            if row % 3 == 0 {
                document.metadata.insert("n".to_owned(), (row % 5).into());
            }
            document
        })
        .collect();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for (group_rows, page_rows) in [(1000, 1000), (1000, 30), (300, 7), (256, 256), (1, 1)] {
            for is_dictionary in [true, false] {
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_max_row_group_row_count(Some(group_rows))
                    .set_data_page_row_count_limit(page_rows)
                    .set_write_batch_size(page_rows)
                    .set_dictionary_enabled(is_dictionary)
                    .build();
                let texts: StringArray = expected.iter().map(|document| Some(&document.text)).collect();
                let columns: Vec<(&str, ArrayRef)> = vec![
                    ("text", Arc::new(texts)),
                    ("metadata", Arc::new((0..700).map(metadata).collect::<StringArray>())),
                    ("id", Arc::new((0..700).map(id).collect::<Int64Array>())),
                ];
                let path = folder.write("a.parquet", parquet_with(columns, properties));
                assert!(read_file(&path).unwrap() == expected, "{version:?} {group_rows} {page_rows} {is_dictionary}");
            }
        }
    }
}

#[test]
fn parquet_strings_that_arrow_had_as_categories() {
    let folder = Folder::new();
    let texts: DictionaryArray<Int32Type> = [Some("x"), Some("y"), Some("x")].into_iter().collect();
    let path = folder.write("a.parquet", parquet(vec![("text", Arc::new(texts))]));
    assert_eq!(read_file(&path).unwrap(), [document("a:1", "x"), document("a:2", "y"), document("a:3", "x")]);
}

#[test]
fn parquet_columns_that_cannot_serve() {
    let folder = Folder::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let floats: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1.0]));
    assert_eq!(
        stop(&folder, "a.parquet", parquet(vec![("content", texts.clone()), ("n", numbers.clone())])),
        "DIR/a.parquet has no column \"text\"; its columns are [\"content\", \"n\"]: name the one that holds the text"
    );
    assert_eq!(
        stop(&folder, "b.parquet", parquet(vec![("text", numbers)])),
        "DIR/b.parquet: column \"text\": expected strings, found Int32"
    );
    assert_eq!(
        stop(&folder, "c.parquet", parquet(vec![("text", texts.clone()), ("id", floats.clone())])),
        "DIR/c.parquet: column \"id\": expected strings or integers, found Float64"
    );
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    assert_eq!(
        stop(&folder, "e.parquet", parquet(vec![("text", texts.clone()), ("id", dates)])),
        "DIR/e.parquet: column \"id\": expected strings or integers, found Date"
    );
    let path = folder.write("d.parquet", parquet(vec![("text", texts), ("metadata", floats)]));
    assert_eq!(read_file(&path).unwrap()[0].metadata.json(), Some("1.0"), "metadata may be of any type");
}

#[test]
fn bad_parquet_rows_are_told_by_row() {
    let folder = Folder::new();
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    assert!(
        stop(&folder, "a.parquet", parquet(vec![("text", texts)]))
            .starts_with("DIR/a.parquet:2: field \"text\": expected a string, found null")
    );
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let ids: ArrayRef = Arc::new(StringArray::from(vec![""]));
    assert!(
        stop(&folder, "c.parquet", parquet(vec![("text", texts.clone()), ("id", ids)]))
            .starts_with("DIR/c.parquet:1: field \"id\": expected a non-empty identifier")
    );
}

#[test]
fn parquet_metadata_of_every_type_is_kept_and_loses_no_document() {
    let folder = Folder::new();
    let kept = |metadata: ArrayRef| -> Vec<String> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..metadata.len()).map(|row| format!("x{row}"))));
        let path = folder.write("a.parquet", parquet(vec![("text", texts), ("metadata", metadata)]));
        let found = read_file(&path).unwrap();
        found.iter().map(|document| document.metadata.json().unwrap_or("nothing").to_owned()).collect()
    };
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), None]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(-1)]));
    let structs = StructArray::try_from(vec![("name", names.clone()), ("n", numbers.clone())]).unwrap();
    // Fields in the order of their names: an object of JSON has none of its own.
    assert_eq!(kept(Arc::new(structs)), [r#"{"n":9223372036854775807,"name":"a\"b"}"#, r#"{"n":-1,"name":null}"#]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    assert_eq!(kept(Arc::new(lists)), ["[1,null]", "nothing"]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float32Builder::new());
    map.keys().append_value("p");
    map.values().append_value(0.1);
    map.append(true).unwrap();
    map.append(true).unwrap();
    assert_eq!(kept(Arc::new(map.finish())), [r#"{"p":0.1}"#, "nothing"]);
    let floats = arrow_array::Float64Array::from(vec![0.25, f64::NAN, f64::NEG_INFINITY]);
    assert_eq!(kept(Arc::new(floats)), ["0.25", "\"NaN\"", "\"-Infinity\""]);
    assert_eq!(kept(Arc::new(BooleanArray::from(vec![Some(true), None]))), ["true", "nothing"]);
    assert_eq!(kept(numbers), ["9223372036854775807", "-1"]);
    assert_eq!(kept(Arc::new(Date32Array::from(vec![19_723]))), ["\"2024-01-01\""]);
    // Text that is none costs its own metadata, and no other's.
    assert_eq!(
        kept(Arc::new(BinaryArray::from_iter_values([&b"{}"[..], b"\xff", b"{\"a\":1}"]))),
        ["nothing", "nothing", "{\"a\":1}"]
    );
}

#[test]
fn parquet_metadata_is_json_or_text() {
    let folder = Folder::new();
    let cells =
        [r#"{"b": 1e400, "a": [18446744073709551616]}"#, r#"["a"]"#, r#""a""#, "crawl 2024", "", "12", "{1}", " null "];
    let metadata: ArrayRef = Arc::new(StringArray::from(cells.to_vec()));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"; cells.len()]));
    let path = folder.write("a.parquet", parquet(vec![("text", texts), ("metadata", metadata)]));
    let found = read_file(&path).unwrap();
    let kept: Vec<&str> = found.iter().map(|document| document.metadata.json().unwrap_or("nothing")).collect();
    let expected = [
        r#"{"b":1e400,"a":[18446744073709551616]}"#,
        r#"["a"]"#,
        r#""a""#,
        r#""crawl 2024""#,
        r#""""#,
        r#""12""#,
        r#""{1}""#,
        "nothing",
    ];
    assert_eq!(kept, expected);
    // What is written of it reads as the same.
    let mut writer = DocumentWriter::create(folder.path("b.parquet")).unwrap();
    found.iter().for_each(|document| writer.write(document).unwrap());
    writer.finish().unwrap();
    assert_eq!(read_file(&folder.path("b.parquet")).unwrap(), found);
}

#[test]
fn parquet_values_that_are_no_utf8_are_bad_records_and_no_damage() {
    let folder = Folder::new();
    // Columns of bytes: a schema that promises text promises what nobody has checked.
    let bytes = |values: [&[u8]; 3]| -> ArrayRef { Arc::new(BinaryArray::from_iter_values(values)) };
    let ids = bytes([b"a", b"b", b"c"]);
    let path = folder.write("a.parquet", parquet(vec![("id", ids), ("text", bytes([b"x", b"caf\xe9 au", b"z"]))]));
    let options = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    let mut reader = Reader::open(std::slice::from_ref(&path), &options, &Silent).unwrap();
    let documents: Vec<Document> = reader.by_ref().map(|record| record.unwrap().1).collect();
    assert_eq!(documents, [document("a", "x"), document("c", "z")]);
    let rejected = reader.rejected();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].origin.row, 2);
    assert_eq!(rejected[0].reason, BadRecord::FieldNotUtf8 { field: "text".to_owned(), byte: 4 });
    let error = read_file(&path).unwrap_err();
    assert!(folder.message(&error).starts_with("DIR/a.parquet:2: field \"text\": invalid UTF-8 at byte 4"), "{error}");
    let path =
        folder.write("b.parquet", parquet(vec![("id", bytes([b"a", b"\xff", b"c"])), ("text", bytes([b"x"; 3]))]));
    let mut reader = Reader::open(&[path], &options, &Silent).unwrap();
    assert_eq!(reader.by_ref().map(|record| record.unwrap().1.id).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(reader.rejected()[0].reason, BadRecord::FieldNotUtf8 { field: "id".to_owned(), byte: 1 });
}

#[test]
fn parquet_of_every_packer_is_read() {
    let folder = Folder::new();
    let text = "some text ".repeat(50);
    for packing in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let properties = WriterProperties::builder().set_compression(packing).build();
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 3]));
        let path = folder.write("a.parquet", parquet_with(vec![("text", texts)], properties));
        let documents = read_file(&path).unwrap();
        assert!(documents.len() == 3 && documents.iter().all(|document| document.text == text), "{packing:?}");
    }
    // Packed with LZO by its footer: the field of the codec stands once, before the numbers of values.
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let good =
        parquet_with(vec![("text", texts)], WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let footer = good.len() - 8 - u32::from_le_bytes(good[good.len() - 8..good.len() - 4].try_into().unwrap()) as usize;
    // Path "text" ends, then field 4 (i32): the codec, zigzag.
    let codec = footer + good[footer..].windows(6).rposition(|bytes| bytes == b"text\x15\x02").unwrap() + 5;
    let mut lzo = good.clone();
    lzo[codec] = 3 << 1;
    assert_eq!(
        stop(&folder, "lzo.parquet", &lzo),
        "DIR/lzo.parquet cannot be read as Parquet: its column \"text\" is packed with LZO, which is not supported; write it \
         again without that"
    );
}

#[test]
fn a_packed_file_cut_anywhere_is_an_error_even_when_bad_records_are_passed_over() {
    let folder = Folder::new();
    let text: String = (0..40).map(|i| line(&format!("doc-{i}"), &crate::support::prose(i, 8))).collect();
    let options = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    for (name, bytes) in [
        ("a.jsonl.gz", gzip(text.as_bytes())),
        ("a.jsonl.zst", zstandard(text.as_bytes())),
        ("a.parquet", three_as_parquet()),
    ] {
        for length in 0..bytes.len() {
            let path = folder.write(name, &bytes[..length]);
            let error = read(&[path], &options).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. }), "{name} cut to {length} bytes: {error}");
        }
    }
    let message = stop(&folder, "a.jsonl.gz", &gzip(text.as_bytes())[..200]);
    assert!(
        message.starts_with("DIR/a.jsonl.gz cannot be read as gzip past record ")
            && message.ends_with(": the file is truncated or damaged; fetch or write it again"),
        "{message}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_change_to_a_packed_file_goes_unseen(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let folder = Folder::new();
        let text: String = (0..5).map(|i| line(&format!("doc-{i}"), &crate::support::prose(i, 8))).collect();
        for (name, mut bytes) in [("a.gz", gzip(text.as_bytes())), ("a.zst", zstandard(text.as_bytes()))] {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let path = folder.write(name, &bytes);
            // Bytes without meaning (gzip's time and system) may change; documents may not.
            if let Ok(documents) = read_file(&path) {
                prop_assert_eq!(documents.len(), 5, "byte {} of {}", at, name);
                for (i, document) in documents.iter().enumerate() {
                    prop_assert_eq!(&document.text, &crate::support::prose(i as u64, 8));
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_documents_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), mark in 0usize..5) {
        let folder = Folder::new();
        let start: &[u8] = [&b""[..], b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"{\"text\": \""][mark];
        let path = folder.write("a", [start, &bytes].concat());
        let _ = read_file(&path);
    }
}

#[test]
fn our_own_parquet_survives_a_reader_of_small_batches() {
    // More rows than one batch of the reader, and more bytes than one row group of the writer.
    let folder = Folder::new();
    let path = folder.path("a.parquet");
    let mut writer = DocumentWriter::create(&path).unwrap();
    let documents: Vec<Document> =
        (0..1000u64).map(|i| document(&i.to_string(), &crate::support::prose(i, 1000).repeat(15))).collect();
    let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    documents.iter().for_each(|document| writer.write(document).unwrap());
    assert_eq!(writer.finish().unwrap(), 1000);
    let file = SerializedFileReader::new(fs_err::File::open(&path).unwrap().into_file()).unwrap();
    assert_eq!(file.num_row_groups(), bytes.div_ceil(64 << 20));
    assert!(bytes > 64 << 20 && read_file(&path).unwrap() == documents);
}

#[test]
fn no_change_to_a_parquet_file_brings_the_program_down() {
    // Without page checksums a changed text can go unseen; some of these changes make the decoder itself panic.
    let folder = Folder::new();
    let path = folder.path("good.parquet");
    let mut writer = DocumentWriter::create(&path).unwrap();
    (0..20).for_each(|i| writer.write(&document(&i.to_string(), &"some text ".repeat(i))).unwrap());
    writer.finish().unwrap();
    let good = fs_err::read(path).unwrap();
    let mut errors = 0;
    for at in 0..good.len() {
        for flip in [1, 64, 128, 255] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            errors += usize::from(read_file(&folder.write("a.parquet", bytes)).is_err());
        }
    }
    assert!(errors > good.len(), "{errors} of {} changes were noticed", 4 * good.len());
}
