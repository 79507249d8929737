//! Names and texts that would steer a terminal, through every view.

use serde_json::Value;

use crate::support::{Scratch, corpus, recipe};

/// Clears the screen, sets the window's title, turns what follows, in C0, DEL, C1 and by Unicode.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{7f}\u{9b}31m\u{90}\u{202e}\u{2067}";

/// What a command prints, to both; it ends with `code`, and nothing in it steers a terminal.
fn shown(scratch: &Scratch, code: i32, arguments: &[&str]) -> String {
    let output = scratch.cognate(arguments).output().unwrap();
    let mut all = String::from_utf8(output.stdout).unwrap();
    all.push_str(&String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    let steers = |c: &char| c.is_control() && !"\n\t".contains(*c) || "\u{202e}\u{2067}".contains(*c);
    assert_eq!(all.chars().find(steers), None, "{arguments:?}: {all:?}");
    all
}

#[test]
fn nothing_that_is_printed_steers_a_terminal() {
    let scratch = Scratch::new();
    let json = serde_json::to_string(HOSTILE).unwrap();
    let inner = json.trim_matches('"');
    let documents = corpus(1200).replace("\"id\": \"", &format!("\"id\": \"{inner}"));
    let file = format!("documents{HOSTILE}.jsonl");
    scratch.write(&file, documents.replace("\"text\": \"", &format!("\"text\": \"{inner} ")));
    // TOML has four digits where Rust has braces.
    let toml: String = file.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    scratch.write(
        "r.toml",
        recipe("").replace("[filter]\n", "[filter]\nnon_text = \"off\"\n").replace("documents.jsonl", &toml),
    );
    let run = shown(&scratch, 0, &["run", "r.toml"]);
    assert!(run.contains("report: runs/tiny/report.html"), "{run}");

    // A report of somebody else, whose every name is hostile.
    let mut report: Value =
        serde_json::from_str(&fs_err::read_to_string(scratch.path("runs/tiny/report.json")).unwrap()).unwrap();
    report["name"] = format!("theirs{HOSTILE}").into();
    for arm in report["arms"].as_array_mut().unwrap() {
        arm["name"] = format!("{}{HOSTILE}", arm["name"].as_str().unwrap()).into();
    }
    scratch.write("theirs/report.json", report.to_string());

    let synthesizer = "runs/tiny/tune/related/best";
    let seed = format!("seed{HOSTILE}");
    scratch.write(&seed, format!("bade {HOSTILE} file"));
    let bad = format!("bad{HOSTILE}.jsonl");
    scratch.write(&bad, format!("{{\"id\": {json}, \"text\": \"a b c\"}}\n{{\"id\": \"b\", {json}: 1}}\n"));
    for (code, arguments) in [
        (0, &["plan", "r.toml"][..]),
        (0, &["status", "runs/tiny"]),
        (0, &["watch", "runs/tiny"]),
        (0, &["report", "runs/tiny"]),
        (0, &["report", "runs/tiny", "theirs/report.json", "--out", "comparison"]),
        (0, &["report", "runs/tiny", "theirs/report.json", "--out", "comparison", "--json"]),
        (0, &["inspect", "synthetic", "runs/tiny"]),
        (0, &["inspect", "synthetic", "runs/tiny", "--json"]),
        (0, &["sample", synthesizer, "--seed-text", &seed, "--max-new-tokens", "40"]),
        (0, &["sample", synthesizer, "--seed-text", &seed, "--max-new-tokens", "40", "--json"]),
        (0, &["evaluate", "--checkpoint", synthesizer, "--documents", &bad, "--on-bad-record", "skip"]),
        (1, &["evaluate", "--checkpoint", synthesizer, "--documents", &bad]),
        (1, &["ingest", &bad, "--out", "c", "--contamination-words", "0"]),
        (1, &["status", &seed]),
        (
            1,
            &[
                "train",
                "--tokens",
                &seed,
                "--tokenizer",
                &seed,
                "--out",
                "o",
                "--budget-tokens",
                "9",
                "--batch-tokens",
                "9",
            ],
        ),
        (2, &["ingest", &format!("--{HOSTILE}")]),
        (2, &[HOSTILE]),
    ] {
        shown(&scratch, code, arguments);
    }
    let told = shown(&scratch, 0, &["inspect", "synthetic", "runs/tiny"]);
    assert!(
        told.contains("\u{fffd}[2J\u{fffd}]0;owned\u{fffd}"),
        "what stood there is seen to have stood there: {told}"
    );
}

/// A name with an end of line in it cannot pass for another message.
#[test]
fn every_message_keeps_to_its_own_lines() {
    let scratch = Scratch::new();
    let told = shown(&scratch, 1, &["status", "nowhere\nhint: delete everything"]);
    assert!(told.starts_with("error: nowhere\n  hint: delete everything is no run directory"), "{told}");
}
