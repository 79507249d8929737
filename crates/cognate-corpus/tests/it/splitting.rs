//! Texts are split as the Python package `tokenizers` splits them, by the patterns of twenty families of tokenizers
//! (`tools/reference/splitting.py` wrote the values), or not at all.

use std::path::{Path, PathBuf};

use cognate_corpus::{Error, Tokenizer};
use serde_json::{Value, json};

use crate::tokenizers::{TRAINED, foreign};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/splitting")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

#[test]
fn every_family_splits_as_the_reference_does() {
    let texts: Vec<String> = serde_json::from_value(read(&golden().join("texts.json"))).unwrap();
    let mut families = 0;
    for entry in fs_err::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == "texts.json" {
            continue;
        }
        families += 1;
        let golden = read(&path);
        let tokenizer = Tokenizer::parse(&path, golden["tokenizer"].to_string().as_bytes()).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(golden["ids"].clone()).unwrap();
        assert_eq!(expected.len(), texts.len());
        for (text, expected) in texts.iter().zip(&expected) {
            assert_eq!(&tokenizer.encode(text).unwrap(), expected, "{}: {text:?}", path.display());
        }
    }
    assert_eq!(families, 20);
}

/// A tokenizer that splits by a pattern.
fn splitting_by(pattern: &str) -> Result<Tokenizer, Error> {
    let mut json = foreign();
    json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    Tokenizer::parse(Path::new("t.json"), json.to_string().as_bytes())
}

#[test]
fn a_pattern_that_takes_too_many_steps_is_an_error_and_not_an_unsplit_text() {
    let tokenizer = splitting_by("(a|a)*b|\\s+").unwrap();
    assert!(tokenizer.encode("aab aaa").is_ok());
    let error = tokenizer.encode(&"a".repeat(64)).unwrap_err().to_string();
    assert!(error.starts_with("the tokenizer of t.json failed: ") && error.contains("retry-limit"), "{error}");
}

#[test]
fn patterns_that_cannot_be_used_are_named() {
    let complaint = |pattern: &str| splitting_by(pattern).unwrap_err().to_string();
    let message = complaint("a(b");
    assert!(message.starts_with("t.json cannot serve as the tokenizer: it is no tokenizer.json ("), "{message}");
    let deep = format!("{}a{}", "(".repeat(65), ")".repeat(65));
    assert!(complaint(&deep).ends_with("nests 65 groups; expected 64 at most"));
    let (deep, escaped) = ("(".repeat(64) + "a" + &")".repeat(64), "\\(".repeat(100));
    assert!(splitting_by(&deep).is_ok() && splitting_by(&escaped).is_ok());
    assert!(complaint(&"a".repeat(70_000)).ends_with("has 70000 bytes; expected 65536 at most"));
}

#[test]
fn the_encoding_of_a_huge_text_without_spaces_is_that_of_its_parts() {
    // Between \u{4f60} and a letter of another script no merge was learned.
    let part = TRAINED.encode(&"\u{4f60}ba".repeat(1000)).unwrap();
    let whole = TRAINED.encode(&"\u{4f60}ba".repeat(300_000)).unwrap();
    assert_eq!(whole.len(), part.len() * 300);
    assert!(whole.chunks(part.len()).all(|chunk| chunk == part));
}
