//! Records with all their fields, from every container.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use cognate_corpus::{Records, Result};
use serde_json::{Value, json};

use crate::support::{Folder, gzip, zstandard};

fn read(path: &Path) -> Result<Vec<(u64, Value)>> {
    Records::open(path)?.map(|record| record.map(|record| (record.origin.row, record.fields.into()))).collect()
}

const LINES: &str = "\u{feff}{\"q\": \"a\", \"choices\": {\"text\": [\"x\", \"y\"]}}\n\n {\"q\": 1.5, \"n\": null} \n";

#[test]
fn json_lines_keep_all_fields_and_count_blank_lines() {
    let folder = Folder::new();
    let expected = [(1, json!({"q": "a", "choices": {"text": ["x", "y"]}})), (3, json!({"q": 1.5, "n": null}))];
    for (name, bytes) in [
        ("a.jsonl", LINES.as_bytes().to_vec()),
        ("a.jsonl.gz", gzip(LINES.as_bytes())),
        ("a.jsonl.zst", zstandard(LINES.as_bytes())),
    ] {
        assert_eq!(read(&folder.write(name, bytes)).unwrap(), expected, "{name}");
    }
}

#[test]
fn parquet_has_lists_and_structs() {
    let list = |rows: &[&[&str]]| -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in rows {
            row.iter().for_each(|text| builder.values().append_value(text));
            builder.append(true);
        }
        Arc::new(builder.finish())
    };
    let (text, label) = (list(&[&["x", "y"], &["z"]]), list(&[&["A", "B"], &["C"]]));
    let choices = StructArray::try_from(vec![("text", text), ("label", label)]).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("q", Arc::new(StringArray::from(vec![Some("why"), None]))),
        ("choices", Arc::new(choices)),
        ("answer", Arc::new(Int64Array::from(vec![1, -2]))),
        ("true", Arc::new(BooleanArray::from(vec![true, false]))),
        ("share", Arc::new(Float64Array::from(vec![0.25, 1.0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let folder = Folder::new();
    let path = folder.write("a.parquet", &bytes);
    let expected = [
        (
            1,
            json!({"q": "why", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answer": 1, "true": true, "share": 0.25}),
        ),
        (2, json!({"q": null, "choices": {"text": ["z"], "label": ["C"]}, "answer": -2, "true": false, "share": 1.0})),
    ];
    assert_eq!(read(&path).unwrap(), expected);
    let half = folder.write("half.parquet", &bytes[..bytes.len() / 2]);
    let error = folder.message(&read(&half).unwrap_err());
    assert!(error.starts_with("DIR/half.parquet cannot be read as Parquet past record 0 ("), "{error}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new();
    for (content, expected) in [
        (&b"{\"q\": 1}\n{\"q\": "[..], "DIR/a.jsonl:2: not JSON (it ends inside a value)"),
        (b"[1]\n", "DIR/a.jsonl:1: expected a JSON object, found a number"),
        (b"{\"q\": \"caf\xe9\"}", "DIR/a.jsonl:1: invalid UTF-8 at byte 11; expected text in UTF-8"),
    ] {
        let path = folder.write("a.jsonl", content);
        let error = folder.message(&read(&path).unwrap_err());
        assert!(error.starts_with(expected), "{error}");
        let mut records = Records::open(&path).unwrap();
        assert!(records.by_ref().any(|record| record.is_err()));
        assert!(records.next().is_none(), "nothing comes after an error");
    }
    let error = folder.message(&read(&folder.path("none.jsonl")).unwrap_err());
    assert_eq!(error, "DIR/none.jsonl does not exist");
    assert!(read(folder.write("d/a.jsonl", "{}").parent().unwrap()).is_err(), "a folder is no file");
    let packed = zstandard(LINES.as_bytes());
    let cut = folder.write("cut.jsonl.zst", &packed[..packed.len() - 6]);
    let error = folder.message(&read(&cut).unwrap_err());
    assert!(error.starts_with("DIR/cut.jsonl.zst cannot be read as zstd past record "), "{error}");
}
