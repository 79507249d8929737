//! Names and texts that would steer a terminal, through every view.

use serde_json::Value;

use crate::server::{Act, Server};
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

/// A checkpoint of somebody else, and a server, that name things so.
#[test]
fn checkpoints_and_servers_steer_no_terminal() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    let done = |line: &str| scratch.succeeds(&line.split_whitespace().collect::<Vec<_>>());
    done("tokenize documents.jsonl --tokenizer t.json --train 300 --out tokens");
    let told = done(
        "train --tokens tokens --tokenizer t.json --out base --budget-tokens 500 --batch-tokens 500 --context 64 --layers 1 \
         --width 32 --heads 2",
    );
    let told: Value = serde_json::from_str(&told).unwrap();
    let checkpoint = told["last"].as_str().unwrap();
    let read = |name: &str| fs_err::read(scratch.path(checkpoint).join(name)).unwrap();
    let copied = |folder: &str, changed: &str, content: &[u8]| {
        for name in scratch.names(checkpoint) {
            scratch.write(&format!("{folder}/{name}"), if name == changed { content.to_vec() } else { read(&name) });
        }
    };

    // The header of a safetensors file is behind its length.
    let weights = read("model.safetensors");
    let (length, rest) = weights.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    let name = header.keys().find(|name| *name != "__metadata__").unwrap().clone();
    let tensor = header.remove(&name).unwrap();
    header.insert(format!("{name}{HOSTILE}"), tensor);
    let header = serde_json::to_vec(&header).unwrap();
    copied("tensor", "model.safetensors", &[&(header.len() as u64).to_le_bytes(), &header[..], data].concat());
    let mut config: Value = serde_json::from_slice(&read("config.json")).unwrap();
    config["model_type"] = format!("llama{HOSTILE}").into();
    copied("type", "config.json", config.to_string().as_bytes());
    for (folder, code) in [("tensor", 1), ("type", 1)] {
        let told = shown(&scratch, code, &["evaluate", "--checkpoint", folder, "--documents", "documents.jsonl"]);
        assert!(told.contains("\u{fffd}[2J"), "{folder}: the name is told: {told}");
    }

    let message = serde_json::json!({"error": {"message": format!("there is no model syn{HOSTILE}")}}).to_string();
    let server = Server::start(move |_| Act::Say(404, String::new(), message.clone()));
    let url = server.url();
    let (documents, model) = (["--documents", "documents.jsonl", "--tokens", "tokens"], format!("syn{HOSTILE}"));
    let arguments =
        ["generate", checkpoint, "--target-tokens", "90", "--endpoint", &url[..], "--endpoint-model", &model[..]];
    let told = shown(&scratch, 1, &[&arguments[..], &documents, &["--out", "made", "-v"]].concat());
    assert!(told.contains("there is no model syn\\u{1b}[2J"), "{told}");
    let answering = Server::faultless();
    let url = answering.url();
    let arguments =
        ["generate", checkpoint, "--target-tokens", "90", "--endpoint", &url[..], "--endpoint-model", &model[..]];
    shown(&scratch, 0, &[&arguments[..], &documents, &["--out", "answered", "-v"]].concat());
    shown(&scratch, 0, &["inspect", "synthetic", "answered", "--documents", "documents.jsonl"]);
}

/// A name with an end of line in it cannot pass for another message.
#[test]
fn every_message_keeps_to_its_own_lines() {
    let scratch = Scratch::new();
    let told = shown(&scratch, 1, &["status", "nowhere\nhint: delete everything"]);
    assert!(told.starts_with("error: nowhere\n  hint: delete everything is no run directory"), "{told}");
}
