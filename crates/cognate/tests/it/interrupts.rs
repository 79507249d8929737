//! SIGTERM at moments that are the same in every run: every command ends with 143 or as if nothing had been, and goes on to the
//! same bits.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use cognate_base::{Claim, Hash};

use crate::runs::outcome;
use crate::server::Server;
use crate::support::{Scratch, corpus, recipe};

/// Makes the program send itself SIGTERM when it asks for the n-th time whether to stop.
const STOP_AT_LOOK: &str = "COGNATE_TEST_STOP_AT_LOOK";

/// Runs a command that is stopped at its n-th look; whether it was.
fn stopped_at(scratch: &Scratch, looks: usize, line: &str) -> bool {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let output = scratch.cognate(&arguments).env(STOP_AT_LOOK, looks.to_string()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 143)), "{line}: {code:?} when stopped at look {looks}\n{stderr}");
    if code == Some(143) {
        assert!(stderr.ends_with("interrupted: the same command continues where it stopped\n"), "{line}: {stderr}");
    }
    code == Some(143)
}

/// The content of every file below a folder, but what tells the time.
fn contents(folder: &Path) -> BTreeMap<String, Hash> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let tells_time = ["training.json", "metrics.jsonl", "manifest.json", "report.json", "report.html"]
                .contains(&&*name)
                || name.starts_with("events.out");
            if path.is_dir() {
                folders.push(path);
            } else if !tells_time {
                found.insert(name, Hash::of_file(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn every_command_that_is_interrupted_says_so_and_goes_on_to_the_same_bits() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(700));
    scratch.write("seed.txt", "bade file");
    let world =
        "{ name = \"bigrams\", unique_documents = 60, oracle_documents = 30, validation_documents = 9, length = 20 }";
    let plain = recipe("");
    let of_world = plain.lines().map(|line| match line.split(" = ").next() {
        Some("paths") => format!("world = {world}\n"),
        Some("validation_share" | "unique_share" | "contamination_words") => String::new(),
        _ => format!("{line}\n"),
    });
    scratch.write("world.toml", of_world.collect::<String>());
    let server = Server::faultless();
    let done = |line: &str| scratch.succeeds(&line.split_whitespace().collect::<Vec<_>>());
    // Stops the command ever later, until it ends; then makes the same undisturbed, with `OUT` in its line elsewhere.
    let stopped = |line: &str, at_least: usize| {
        let line_to = |out: &str| line.replace("OUT", out);
        let mut stops = 0;
        for looks in (0..24).map(|at| 1usize << at) {
            if !stopped_at(&scratch, looks, &line_to("stopped")) {
                break;
            }
            stops += 1;
        }
        assert!(stops >= at_least, "{line}: looked {stops} times in doubling steps");
        if line.contains("OUT") {
            done(&line_to("undisturbed"));
            let both = ["stopped", "undisturbed"].map(|out| scratch.path(out));
            assert_eq!(contents(&both[0]), contents(&both[1]), "{line}");
            for out in both {
                fs_err::remove_dir_all(out).unwrap();
            }
            done(&line_to("next"));
        }
    };
    let base = "next/train/checkpoints/step-00000020";
    let synthesizer = "next/tuned/last";
    for (at_least, line) in [
        (3, "ingest documents.jsonl --out OUT/c --validation-share 0.2 --unique-share 0.8 --contamination-words 0"),
        (1, "tokenize next/c/unique.jsonl.zst --tokenizer OUT/t.json --train 420 --out OUT/unique"),
        (1, "tokenize next/c/validation.jsonl.zst --tokenizer next/t.json --out OUT/validation"),
        (2, "embed next/c/unique.jsonl.zst --dimensions 16 --out OUT/vectors.parquet"),
        (1, "pair --embeddings next/vectors.parquet --neighbours 3 --out OUT/pairs.parquet"),
        (
            3,
            "train --tokens next/unique --validation next/validation --tokenizer next/t.json --out OUT/train \
             --budget-tokens 20000 --batch-tokens 1000 --context 128 --layers 1 --width 32 --heads 2 --peak-rate 1e-2",
        ),
        (
            3,
            "tune BASE --documents next/c/unique.jsonl.zst --tokens next/unique --pairs next/pairs.parquet --out OUT/tuned \
             --batch-tokens 4000",
        ),
        (
            3,
            "generate SYNTHESIZER --documents next/c/unique.jsonl.zst --tokens next/unique --out OUT/synthetic \
             --target-documents 40 --slots 8 --max-new-tokens 30",
        ),
        (
            1,
            "generate SYNTHESIZER --documents next/c/unique.jsonl.zst --tokens next/unique --out OUT/part-0 \
             --target-documents 6 --slots 8 --max-new-tokens 30 --shard 0/2",
        ),
        (
            1,
            "generate SYNTHESIZER --documents next/c/unique.jsonl.zst --tokens next/unique --out OUT/part-1 \
             --target-documents 6 --slots 8 --max-new-tokens 30 --shard 1/2",
        ),
        (1, "join next/part-0 next/part-1 --out OUT/joined"),
        (
            2,
            "generate SYNTHESIZER --documents next/c/unique.jsonl.zst --tokens next/unique --out OUT/served \
             --target-documents 12 --max-new-tokens 30 --endpoint SERVER",
        ),
        (1, "inspect synthetic next/synthetic --documents next/c/unique.jsonl.zst"),
        (
            5,
            "world ginc --unique-documents 60 --oracle-documents 30 --validation-documents 9 --selection-documents 7 \
             --length 20 --out OUT/ginc",
        ),
        (
            5,
            "world bigrams --unique-documents 60 --oracle-documents 30 --validation-documents 9 --selection-documents 7 \
             --length 20 --out OUT/bigrams",
        ),
        (5, "world biographies --people 40 --oracle-tellings 2 --first-names 10 --last-names 12 --out OUT/people"),
        (5, "run world.toml --until ingest --out OUT/run"),
        (1, "run world.toml --until ingest --reuse next/run --out OUT/reusing"),
        (
            2,
            "filter next/synthetic --training next/c/unique.jsonl.zst --real next/c/validation.jsonl.zst --out OUT/kept \
             --min-words 3 --synthesizer SYNTHESIZER",
        ),
        (2, "evaluate --checkpoint BASE --documents next/c/validation.jsonl.zst --requests-out OUT/requests.jsonl"),
        (
            2,
            "evaluate --all-checkpoints next/train --documents next/c/validation.jsonl.zst --curves-out OUT/curves.jsonl",
        ),
        (2, "sample SYNTHESIZER --seed-text seed.txt -n 3 --max-new-tokens 20"),
        (
            2,
            "bench train --layers 1 --width 32 --heads 2 --kv-heads 2 --ffn 64 --vocab 300 --context 32 --batch 2 --steps 3",
        ),
        (2, "bench generate BASE --batch 2 --prompt-tokens 8 --new-tokens 8 --runs 2"),
    ] {
        if line.contains("SYNTHESIZER") && !scratch.path(synthesizer).exists() {
            // The name of the last step depends on how many pairs there are.
            let last = scratch.names("next/tuned/checkpoints").into_iter().next_back().unwrap();
            let checkpoint = scratch.path("next/tuned/checkpoints").join(last);
            fs_err::os::unix::fs::symlink(checkpoint, scratch.path(synthesizer)).unwrap();
        }
        let line = line.replace("BASE", base).replace("SYNTHESIZER", synthesizer).replace("SERVER", &server.url());
        stopped(&line, at_least);
    }
}

#[test]
fn a_run_that_is_interrupted_at_ever_later_looks_ends_with_the_same_bits() {
    let ready = || {
        let scratch = Scratch::new();
        scratch.write("documents.jsonl", corpus(1200));
        scratch.write("r.toml", recipe(""));
        scratch
    };
    let (undisturbed, scratch) = (ready(), ready());
    undisturbed.succeeds(&["run", "r.toml"]);
    let (mut looks, mut stops) = (1, 0);
    while stopped_at(&scratch, looks, "run r.toml") {
        stops += 1;
        // Odd, and not a multiple of a stage's own rhythm.
        looks += 1 + looks / 3;
        if stops % 5 == 0 {
            for line in ["report runs/tiny", "status runs/tiny", "watch runs/tiny", "plan r.toml"] {
                stopped_at(&scratch, 1, line);
            }
        }
    }
    assert!(stops >= 10, "only {stops} stops came before the end");
    assert_eq!(outcome(&undisturbed), outcome(&scratch));
}

/// A command that waits for a file of another program looks at nothing until that has come.
#[test]
fn a_command_that_cannot_look_ends_all_the_same() {
    let scratch = Scratch::new();
    let pipe = scratch.path("seed.txt");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = scratch.cognate(&["sample", "nowhere", "--seed-text", "seed.txt"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Opens once the command has opened its end: it is waiting now.
    let writer = fs_err::OpenOptions::new().write(true).open(&pipe).unwrap();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(writer);
    assert_eq!(output.status.code(), Some(143));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "interrupted: the same command continues where it stopped\n");
}

#[test]
fn a_second_command_with_the_same_output_is_refused_before_it_reads_anything() {
    let scratch = Scratch::new();
    fs_err::create_dir_all(scratch.path("all")).unwrap();
    let holder = format!(" is in use: process {} on ", std::process::id());
    type Take = fn(&Path) -> Result<Claim, cognate_base::ClaimError>;
    let (folder, file) = (Claim::folder as Take, Claim::file as Take);
    for (output, take, line) in [
        ("out", folder, "world biographies --people 5000 --first-names 10 --last-names 10 --out out"),
        ("out", folder, "ingest none --out out"),
        ("out", file, "tokenize none --tokenizer t --out out"),
        ("t.json", file, "tokenize none --tokenizer t.json --train 300 --out out"),
        ("out.npy", file, "embed none --out out.npy"),
        ("out.parquet", file, "pair --embeddings none.npy --out out.parquet"),
        ("out", folder, "train --tokens none --tokenizer none --out out --budget-tokens 1 --batch-tokens 1"),
        ("out", folder, "tune none --documents none --tokens none --pairs none --out out"),
        ("out", folder, "generate none --documents none --tokens none --out out --target-tokens 1"),
        ("out", folder, "join none --out out"),
        ("out", folder, "filter none --training none --out out"),
        ("out.html", file, "inspect synthetic none --html out.html"),
        ("out.jsonl", file, "evaluate --checkpoint none --documents none --requests-out out.jsonl"),
        ("out.jsonl", file, "evaluate --all-checkpoints all --documents none --curves-out out.jsonl"),
        ("all/task_curves.jsonl", file, "evaluate --all-checkpoints all --documents none"),
        ("out", folder, "report none also-none --out out"),
    ] {
        let claim = take(&scratch.path(output)).unwrap();
        let (code, stderr) = scratch.fails(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(code, 1, "{line}: {stderr}");
        assert!(stderr.starts_with(&format!("error: {output}{holder}")), "{line}: {stderr}");
        assert!(stderr.ends_with("hint: wait until it has ended, or write to another place\n"), "{line}: {stderr}");
        drop(claim);
        // Free again: now it is the missing input that is told, and nothing is left of the attempt.
        let (_, stderr) = scratch.fails(&line.split_whitespace().collect::<Vec<_>>());
        assert!(!stderr.contains("is in use"), "{line}: {stderr}");
        assert_eq!(scratch.names("."), ["all"], "{line}");
        assert_eq!(scratch.names("all"), [""; 0], "{line}");
    }
}
