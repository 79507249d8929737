//! Help, and the stage commands on plain files.

use std::process::Command;

use serde_json::Value;

use crate::support::{Scratch, corpus, lines, recipe};

#[test]
fn help_lists_every_command() {
    let help = Scratch::new().succeeds(&["--help"]);
    for command in [
        "run", "plan", "status", "report", "ingest", "tokenize", "embed", "pair", "train", "tune", "generate",
        "filter", "inspect", "evaluate", "bench",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{command} is missing in\n{help}");
    }
    assert!(help.contains("--threads <N>"), "{help}");
}

#[test]
fn bad_usage_exits_with_2() {
    let scratch = Scratch::new();
    for arguments in [&[][..], &["rnu"], &["run"], &["pair", "--method", "guess"], &["status", ".", "--threads", "0"]] {
        let output = scratch.cognate(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn ingest_and_tokenize_on_plain_files() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(100));
    let stats: Value = serde_json::from_str(&scratch.succeeds(&[
        "ingest",
        "documents.jsonl",
        "--out",
        "corpus",
        "--unique-share",
        "0.5",
        "--validation-share",
        "0.2",
        "--contamination-words",
        "0",
    ]))
    .unwrap();
    assert_eq!(stats["read"], 100);
    assert_eq!(
        scratch.names("corpus"),
        [
            "dropped.jsonl",
            "oracle.jsonl.zst",
            "rejected.jsonl",
            "selection.jsonl.zst",
            "unique.jsonl.zst",
            "validation.jsonl.zst"
        ]
    );
    let stats: Value = serde_json::from_str(&scratch.succeeds(&[
        "tokenize",
        "corpus/unique.jsonl.zst",
        "--tokenizer",
        "tokenizer.json",
        "--train",
        "300",
        "--out",
        "unique",
    ]))
    .unwrap();
    assert!(scratch.path("unique.bin").exists() && scratch.path("unique.idx").exists());
    let again: Value = serde_json::from_str(&scratch.succeeds(&[
        "tokenize",
        "corpus/unique.jsonl.zst",
        "--tokenizer",
        "tokenizer.json",
        "--out",
        "again",
    ]))
    .unwrap();
    assert_eq!(stats, again);
    assert_eq!(fs_err::read(scratch.path("unique.bin")).unwrap(), fs_err::read(scratch.path("again.bin")).unwrap());
}

/// The disk fills up when the second of five files is brought to disk: the first one must not stand there alone.
#[test]
fn a_full_disk_leaves_no_part_of_a_corpus() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let line = "ingest documents.jsonl --out c --unique-share 0.5 --validation-share 0.05 --contamination-words 0";
    // As in runs.rs: a limit on the size of files, whose signal is ignored so that writing fails.
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{}' {line}", env!("CARGO_BIN_EXE_cognate"));
    let output = Command::new("bash").args(["-c", &script]).current_dir(scratch.path(".")).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("File too large"), "{stderr}");
    assert_eq!(scratch.names("c").into_iter().filter(|name| !name.starts_with('.')).count(), 0);
    scratch.succeeds(&line.split(' ').collect::<Vec<_>>());
    let files = || scratch.names("c").into_iter().map(|name| fs_err::read(scratch.path(&format!("c/{name}"))).unwrap());
    let before: Vec<_> = files().collect();
    let (code, stderr) = scratch.fails(&format!("{line} --seed 2").split(' ').collect::<Vec<_>>());
    assert!(
        code == 1 && stderr.contains("error: c holds dropped.jsonl already: name a folder that is empty"),
        "{stderr}"
    );
    assert_eq!(files().collect::<Vec<_>>(), before);
}

#[test]
fn every_command_that_reads_documents_takes_other_fields_and_passes_over_bad_records() {
    let scratch = Scratch::new();
    let read = "--id-field key --text-field body --on-bad-record skip --max-record-bytes 2000";
    let own = |at: usize, line: &str| {
        line.replace("\"id\"", "\"key\"").replace("\"text\"", "\"body\"") + if at == 7 { "\n7" } else { "" }
    };
    let lines: Vec<String> = corpus(80).lines().enumerate().map(|(at, line)| own(at, line)).collect();
    scratch.write(
        "own.jsonl",
        format!("{}\n{{\"key\": \"long\", \"body\": \"{}\"}}\n", lines.join("\n"), "a b ".repeat(1000)),
    );
    let run = |line: &str| -> Value {
        let stats = scratch.succeeds(&format!("{line} own.jsonl {read} --quiet").split(' ').collect::<Vec<_>>());
        serde_json::from_str(&stats).unwrap()
    };
    assert_eq!(run("embed --out v.parquet --dimensions 8")["documents"], 80);
    assert_eq!(run("tokenize --out t --tokenizer t.json --train 300")["documents"], 80);
    let ingested = run("ingest --out c --unique-share 0.5 --validation-share 0.2 --contamination-words 0");
    assert_eq!((&ingested["read"], &ingested["rejected"]), (&80.into(), &2.into()));
    // The commands behind these read the same documents, and what they write has names of its own.
    let names = "--id-field key --text-field body";
    let says = |line: &str| scratch.succeeds(&line.split_whitespace().collect::<Vec<_>>());
    scratch.write("own-80.jsonl", corpus(80).replace("\"id\"", "\"key\"").replace("\"text\"", "\"body\""));
    says(&format!("tokenize own-80.jsonl {names} --out t80 --tokenizer t.json"));
    says(&format!("embed own-80.jsonl {names} --out v80.parquet --dimensions 8"));
    says("pair --embeddings v80.parquet --out p80.parquet --neighbours 2");
    says(
        "train --tokens t80 --tokenizer t.json --out base --budget-tokens 600 --batch-tokens 300 --context 200 --layers 1 --width 32 --heads 2",
    );
    let last = |folder: &str| {
        let names = scratch.names(&format!("{folder}/checkpoints"));
        format!("{folder}/checkpoints/{}", names.iter().rev().find(|name| name.starts_with("step-")).unwrap())
    };
    let base = last("base");
    says(&format!(
        "tune {base} --documents own-80.jsonl {names} --tokens t80 --pairs p80.parquet --out tuned --epochs 1 --batch-tokens 400"
    ));
    let tuned = last("tuned");
    let documents = format!("--documents own-80.jsonl {names}");
    says(&format!(
        "generate {tuned} {documents} --tokens t80 --out g --target-tokens 200 --max-new-tokens 20 --max-seed-tokens 40"
    ));
    let kept: Value = serde_json::from_str(&says(&format!(
        "filter g --training own-80.jsonl {names} --out kept --min-words 0 --keep-unfinished --near-copy off --near-duplicate off"
    )))
    .unwrap();
    assert!(kept["read"]["documents"].as_u64().unwrap() >= 10, "{kept}");
    assert!(says(&format!("inspect synthetic g {documents}")).contains("synthetic-"));
    let evaluated = says(&format!("evaluate --checkpoint {base} --documents own-80.jsonl {names}"));
    assert!(evaluated.contains("perplexity"), "{evaluated}");
    for command in ["ingest", "tokenize", "embed", "tune", "generate", "filter", "evaluate", "inspect synthetic"] {
        let help = scratch.succeeds(&format!("{command} --help").split(' ').collect::<Vec<_>>());
        for flag in ["--id-field", "--text-field", "--on-bad-record", "--max-record-bytes"] {
            assert!(help.contains(flag), "{command} has no {flag}");
        }
    }
}

#[test]
fn embed_and_pair_on_plain_files() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(80));
    let embed = |out: &str| scratch.succeeds(&["embed", "documents.jsonl", "--out", out, "--dimensions", "8"]);
    let stats: Value = serde_json::from_str(&embed("v.parquet")).unwrap();
    assert_eq!(stats["documents"], 80);
    embed("v.npy");
    for (vectors, method) in [("v.parquet", "exact"), ("v.npy", "auto")] {
        let line = scratch.succeeds(&[
            "pair",
            "--embeddings",
            vectors,
            "--neighbours",
            "5",
            "--method",
            method,
            "--out",
            "p.parquet",
        ]);
        let found: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&found["n"], &found["d"], &found["k"]), (&80.into(), &8.into(), &5.into()));
        assert_eq!((&found["method"], &found["pairs"]), (&"exact".into(), &400.into()));
        assert!(found["total_s"].as_f64().unwrap() > 0.0);
        assert!(scratch.path("p.parquet").exists());
    }
}

/// Of made people, each told of twice, it is known which documents belong together; of single words in random order nothing does.
#[test]
fn pair_says_whether_documents_are_related_and_takes_those_that_are() {
    let scratch = Scratch::new();
    scratch.succeeds(&[
        "world",
        "biographies",
        "--out",
        "w",
        "--people",
        "150",
        "--told-once",
        "0",
        "--unique-tellings",
        "2",
    ]);
    scratch.succeeds(&["embed", "w/unique.jsonl", "--out", "v.parquet"]);
    let pair = |more: &[&str]| {
        let output = scratch.cognate(&[&["pair", "--embeddings", "v.parquet"], more].concat()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (found, stderr)
    };
    let documents = ["--documents", "w/unique.jsonl"];
    let (found, told) = pair(&[&["--diagnose"], &documents[..]].concat());
    assert!(told.contains("300 documents have a pair; ") && told.contains("true by estimate"), "{told}");
    assert_eq!(found["relation"]["rule"], "two-hills", "{found}");
    assert!(found["relation"]["precision"].as_f64().unwrap() > 0.9 && !scratch.path("p.parquet").exists());
    let related: Vec<&str> = ["--related", "--out", "p.parquet"].into_iter().chain(documents).collect();
    let (taken, _) = pair(&related);
    assert_eq!((&taken["pairs"], &taken["relation"]), (&found["pairs"], &found["relation"]));
    let ids: Vec<String> = lines(&scratch.path("w/unique.jsonl"))
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let read = |file: &str| cognate_pair::read_pairs_among(&scratch.path(file), &ids, &cognate_base::Silent).unwrap().0;
    let ends = |pairs: Vec<cognate_pair::Pair>| -> std::collections::BTreeSet<(u32, u32)> {
        pairs.into_iter().map(|pair| (pair.first.min(pair.second), pair.first.max(pair.second))).collect()
    };
    let (found, truth) = (ends(read("p.parquet")), ends(read("w/pairs.parquet")));
    let right = found.intersection(&truth).count() as f64;
    assert!(
        right > 0.9 * found.len() as f64 && right > 0.9 * truth.len() as f64,
        "{right} {} {}",
        found.len(),
        truth.len()
    );
    // What a copy says is no relation.
    let copied: String = fs_err::read_to_string(scratch.path("w/unique.jsonl")).unwrap();
    scratch.write("copies.jsonl", format!("{copied}{}", copied.replace("{\"id\":\"", "{\"id\":\"copy-")));
    scratch.succeeds(&["embed", "copies.jsonl", "--out", "v.parquet"]);
    let (found, _) = pair(&["--diagnose", "--documents", "copies.jsonl"]);
    assert!(found["relation"]["near_copies"].as_u64().unwrap() >= 300, "{found}");
    assert_eq!(
        pair(&["--diagnose"]).0["relation"]["near_copies"],
        0,
        "without their words, copies are as good as others"
    );
    // Nothing but chance relates these.
    scratch.write("documents.jsonl", corpus(300));
    scratch.succeeds(&["embed", "documents.jsonl", "--out", "v.npy", "--dimensions", "8"]);
    scratch.succeeds(&["embed", "documents.jsonl", "--out", "v.parquet", "--dimensions", "8"]);
    assert!(pair(&["--diagnose"]).1.contains("no usable relation"));
    for (more, said) in [
        (&["--out", "p.parquet", "--documents", "copies.jsonl"][..], "--related or --diagnose beside it"),
        (&["--diagnose", "--documents", "copies.jsonl"], "in their order"),
        (&["--diagnose", "--out", "p.parquet"], "cannot be used with"),
        (&[], "--out"),
        (&["--diagnose", "--precision", "1"], "below 1"),
        (&["--embeddings", "v.npy", "--diagnose", "--documents", "copies.jsonl"], "no identifiers"),
    ] {
        let vectors: &[&str] = if more.contains(&"--embeddings") { &[] } else { &["--embeddings", "v.parquet"] };
        let (code, stderr) = scratch.fails(&[&["pair"], vectors, more].concat());
        assert!(code == 2 && stderr.contains(said), "{more:?}: {stderr}");
    }
}

#[test]
fn plan_runs_nothing_and_names_every_stage() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(200));
    scratch.write("tiny.toml", recipe(""));
    let table = scratch.succeeds(&["plan", "tiny.toml"]);
    for label in [
        "ingest",
        "tokenize",
        "embed",
        "pair",
        "train repetition",
        "tune",
        "generate",
        "filter",
        "train sbp",
        "evaluate oracle",
    ] {
        assert!(table.contains(&format!("  {label} ")), "{label} is missing in\n{table}");
    }
    let plan: Value =
        serde_json::from_str(&scratch.succeeds(&["plan", "tiny.toml", "--json", "--threads", "1"])).unwrap();
    let stages = plan["stages"].as_array().unwrap();
    let train = stages.iter().find(|stage| stage["stage"] == "train").unwrap();
    assert_eq!(train["tokens"], 40960);
    for number in ["flops", "bytes", "wall_s"] {
        assert!(train[number].as_f64().unwrap() > 0.0, "{number}: {train}");
    }
    assert_eq!(scratch.names("."), ["documents.jsonl", "tiny.toml"]);
}

#[test]
fn progress_goes_to_stderr_and_quiet_means_quiet() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    let arguments = ["ingest", "documents.jsonl", "--out", "c", "--unique-share", "0.5", "--quiet"];
    let output = scratch.cognate(&arguments).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    assert_eq!(lines(&scratch.path("c/rejected.jsonl")).len(), 0);
}

/// The run may write where there is room.
#[test]
fn a_full_temporary_disk_stops_no_run_by_its_plan() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", crate::support::recipe("[[arm]]\nkind = \"repetition\"\n"));
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{}' plan r.toml", env!("CARGO_BIN_EXE_cognate"));
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).env("TMPDIR", scratch.path(".")).current_dir(scratch.path("."));
    let output = shell.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("the temporary folder has no room for `ingest`: "), "{told}");
    assert!(!told.contains("the run would stop"), "{told}");
}
