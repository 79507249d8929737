//! The report as programs read it: its JSON contract, and what it refuses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::sample::sample;
use super::*;

#[test]
fn report_json_has_the_names_that_readers_rely_on() {
    let mut report = sample();
    report.arms.truncate(1);
    report.arms[0].validation = Validation {
        nats_per_token: 5.0,
        stderr: None,
        perplexity: 148.5,
        perplexity_stderr: None,
        bits_per_byte: 1.75,
        bits_per_byte_stderr: None,
    };
    let score =
        TaskScore { metric: "accuracy".to_owned(), value: 0.5, stderr: Some(0.25), n: 4, metrics: BTreeMap::new() };
    report.arms[0].tasks.insert("sciq".to_owned(), score);
    report.ledger.truncate(3);
    let json: Value = serde_json::from_str(&to_json(&report).unwrap()).unwrap();
    assert_eq!(json["name"], "quick");
    assert_eq!(
        json["arms"],
        json!([{
            "name": "repetition", "seed": 1, "train_tokens": 12_000_000, "unique_tokens": 600_000,
            "synthetic_tokens": 0, "epochs": 20.0, "flops": 2.61e14,
            "validation": {"nats_per_token": 5.0, "perplexity": 148.5, "bits_per_byte": 1.75},
            "tasks": {"sciq": {"metric": "accuracy", "value": 0.5, "stderr": 0.25, "n": 4}}
        }])
    );
    let share = (5.1273 - 5.0689) / (5.1273 - 4.8714);
    assert_eq!(json["gap_closed"]["validation"].as_object().unwrap().len(), 4);
    assert!((json["gap_closed"]["validation"]["mean"].as_f64().unwrap() - share).abs() < 1e-12);
    assert_eq!(json["gap_closed"]["validation"]["low"], Value::Null);
    assert_eq!(json["gap_closed"]["validation"]["high"], Value::Null);
    assert_eq!(json["gap_closed"]["validation"]["seeds"], 1);
    assert_eq!(json["synthetic_quality"]["dropped"][0], json!({"reason": "empty", "documents": 3}));
    assert_eq!(
        json["ledger"],
        json!([
            {"stage": "ingest", "arm": null, "wall_s": 1.9, "flops": 0.0, "tokens": 0, "documents": 8_412,
             "peak_rss_bytes": 1_100_000_000},
            {"stage": "tokenize", "arm": null, "wall_s": 2.74, "flops": 0.0, "tokens": 2_313_552, "documents": 8_412,
             "peak_rss_bytes": 1_100_000_000},
            {"stage": "train", "arm": "repetition", "wall_s": 74.2, "flops": 2.61e14,
             "tokens": 12_000_000, "documents": 0, "peak_rss_bytes": 1_100_000_000}
        ])
    );
    let mut names: Vec<&String> = json.as_object().unwrap().keys().collect();
    names.sort_unstable();
    let mut expected =
        ["name", "arms", "gap_closed", "comparisons", "synthetic_quality", "ledger", "curves", "pairs", "relation"]
            .to_vec();
    expected.extend([
        "examples",
        "recipe",
        "environment",
        "notes",
        "controls",
        "missing",
        "files",
        "by_similarity",
        "cards",
    ]);
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn a_report_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let report = sample();
    write(&report, folder.path()).unwrap();
    let path = folder.path().join(JSON_FILE);
    assert_eq!(read(&path).unwrap(), report);
    let json = fs_err::read_to_string(&path).unwrap();
    write_atomic(&path, json.replacen("\"seed\"", "\"sead\"", 1)).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("report.json") && error.contains("sead") && error.contains("line 6"), "{error}");
}

#[test]
fn a_number_that_is_not_finite_is_refused_by_name() {
    let refused = |spoil: fn(&mut Report)| {
        let mut report = sample();
        spoil(&mut report);
        let nowhere = PathBuf::from("/nonexistent/cognate-report");
        write(&report, &nowhere).unwrap_err().to_string()
    };
    let error = refused(|report| report.arms[1].validation.perplexity = f64::INFINITY);
    assert!(error.contains("not finite") && error.contains("perplexity"), "{error}");
    let error = refused(|report| report.curves[0].train[7].nats_per_token = f64::NAN);
    assert!(error.contains("not finite") && error.contains("nats_per_token"), "{error}");
    let error = refused(|report| report.examples[0].synthetic_similarity = Some(f64::NAN));
    assert!(error.contains("not finite") && error.contains("synthetic_similarity"), "{error}");
    let error = refused(|report| {
        report.gap_closed.values_mut().for_each(|gap| gap.mean = Some(f64::NAN));
    });
    assert!(error.contains("not finite") && error.contains("gap_closed"), "{error}");
}

#[test]
fn the_gap_is_a_share_or_nothing() {
    assert_eq!(gap_closed(5.0, 4.75, 4.0), Some(0.25));
    assert_eq!(gap_closed(5.0, 5.5, 4.0), Some(-0.5));
    assert_eq!(gap_closed(5.0, 3.0, 4.0), Some(2.0));
    assert_eq!(gap_closed(5.0, 4.5, 5.0), None, "no gap");
    assert_eq!(gap_closed(5.0, 4.5, 5.5), None, "the oracle is worse");
    assert_eq!(gap_closed(f64::NAN, 4.5, 4.0), None);
    assert_eq!(gap_closed(5.0, f64::INFINITY, 4.0), None);
    assert_eq!(gap_closed(5.0, 4.5, f64::NAN), None);
}
