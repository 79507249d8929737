//! Bad input: a clear message, the right exit code, nothing half-written.

use crate::support::{Scratch, corpus, recipe};

/// The last lines of stderr: what went wrong, without what was done before.
fn error(stderr: &str) -> String {
    let at = stderr.find("error: ").unwrap_or_else(|| panic!("no error in\n{stderr}"));
    stderr[at..].trim_end().to_owned()
}

#[test]
fn a_missing_recipe() {
    let (code, stderr) = Scratch::new().fails(&["run", "none.toml"]);
    assert_eq!(code, 2);
    assert!(
        stderr.starts_with("error: the recipe cannot be read\n  because: failed to open file `none.toml`"),
        "{stderr}"
    );
}

#[test]
fn a_misspelt_key() {
    let scratch = Scratch::new();
    scratch.write("r.toml", recipe("clpi = 1\n"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 2);
    let expected =
        "error: r.toml:26: unknown key `clpi` in [train]; the nearest known key is `clip`\nhint: the keys of [train]";
    assert!(stderr.starts_with(expected), "{stderr}");
    assert_eq!(scratch.names("."), ["r.toml"], "nothing is written");
}

#[test]
fn a_missing_document_file() {
    let scratch = Scratch::new();
    scratch.write("r.toml", recipe(""));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    assert_eq!(error(&stderr), "error: ingest: documents.jsonl does not exist");
}

#[test]
fn bad_records_stop_the_run_and_leave_no_artifact() {
    let good = corpus(50);
    for (bad, expected) in [
        (&b"{\"id\": \"x\""[..], "documents.jsonl:51: not JSON ("),
        (b"{\"id\": \"x\"}", "documents.jsonl:51: "),
        (b"{\"id\": \"x\", \"text\": 7}", "documents.jsonl:51: "),
        (b"{\"id\": \"x\", \"text\": \"caf\xe9\"}", "documents.jsonl:51: invalid UTF-8 at byte 25"),
    ] {
        let scratch = Scratch::new();
        scratch.write("r.toml", recipe(""));
        scratch.write("documents.jsonl", [good.as_bytes(), bad, b"\n"].concat());
        let (code, stderr) = scratch.fails(&["run", "r.toml"]);
        assert_eq!(code, 1);
        assert!(error(&stderr).starts_with(&format!("error: ingest: {expected}")), "{stderr}");
        let left = scratch.names("runs/tiny/ingest");
        assert!(left.iter().all(|name| name == "started.json" || name == "progress.json"), "{left:?}");
    }
}

#[test]
fn a_corpus_too_small_for_the_budget() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(40));
    scratch.write("r.toml", recipe(""));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let error = error(&stderr);
    let start =
        "error: the corpus is too small for the arm `oracle`: its budget of 40960 tokens asks for fresh documents only";
    assert!(error.starts_with(start) && error.contains("splits together hold "), "{error}");
    assert!(error.contains("hint: lower [train] budget_tokens to at most "), "{error}");
}

#[test]
fn a_run_directory_of_another_recipe() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(40));
    scratch.write("r.toml", recipe(""));
    scratch.fails(&["run", "r.toml"]); // too few tokens, but ingest and tokenize are done
    scratch.write("r.toml", recipe("").replace("unique_share = 0.2", "unique_share = 0.4"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    assert_eq!(
        error(&stderr),
        "error: runs/tiny/ingest was made from something else: [corpus] unique_share was 0.2 and is 0.4 now\n\
         hint: give this recipe another directory with --out, or delete runs/tiny/ingest and what was made from it to \
         make them again"
    );
}

#[test]
fn a_directory_that_is_no_run() {
    let scratch = Scratch::new();
    scratch.write("home/letter.txt", "Dear");
    let (code, stderr) = scratch.fails(&["status", "home"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: home is no run directory: it has no `recipe.toml`\nhint: "), "{stderr}");
    scratch.write("documents.jsonl", corpus(40));
    scratch.write("r.toml", recipe(""));
    let (code, stderr) = scratch.fails(&["run", "r.toml", "--out", "home"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: home is not empty and no run directory\nhint: "), "{stderr}");
    assert_eq!(scratch.names("home"), ["letter.txt"]);
}

#[test]
fn a_hint_names_the_flags_of_a_command_and_the_keys_of_a_recipe() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", "{\"id\": \"a\", \"body\": \"no text\"}\n");
    scratch.write("r.toml", recipe(""));
    let (_, stderr) = scratch.fails(&["ingest", "documents.jsonl", "--out", "c"]);
    assert!(stderr.contains("--text-field") && stderr.contains("--on-bad-record skip"), "{stderr}");
    assert!(!stderr.contains("text_field") && !stderr.contains("on_bad_record"), "{stderr}");
    let (_, stderr) = scratch.fails(&["--threads", "1", "run", "r.toml"]);
    assert!(stderr.contains("text_field") && stderr.contains("on_bad_record"), "{stderr}");
    assert!(!stderr.contains("--text-field"), "{stderr}");
    scratch.write("documents.jsonl", corpus(3));
    let (_, stderr) =
        scratch.fails(&["--quiet", "embed", "documents.jsonl", "--out", "v.npy", "--min-documents", "50"]);
    assert!(stderr.contains("lower --min-documents, raise --max-document-share"), "{stderr}");
}

#[test]
fn vectors_of_an_unknown_kind() {
    let (code, stderr) = Scratch::new().fails(&["pair", "--embeddings", "v.bin", "--out", "p.parquet"]);
    assert_eq!(code, 2);
    assert_eq!(stderr, "error: --embeddings = v.bin: expected a name that ends in .parquet or .npy\n");
}

#[test]
fn an_empty_corpus() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", "\n\n");
    scratch.write("r.toml", recipe(""));
    for command in ["run", "plan"] {
        let (code, stderr) = scratch.fails(&[command, "r.toml"]);
        assert_eq!(code, 1);
        assert!(error(&stderr).contains("documents.jsonl"), "{stderr}");
    }
}

#[test]
fn a_loss_that_is_no_number_stops_training_and_names_the_step() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe("").replace("peak_rate = 1e-2", "peak_rate = 1e30"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let error = error(&stderr);
    assert!(error.starts_with("error: train repetition: step "), "{error}");
    assert!(error.contains("training stopped before this update. Last good checkpoint: "), "{error}");
    assert!(!scratch.path("runs/tiny/train/repetition/manifest.json").exists());
}

/// The program does not compute otherwise than it was asked to.
#[test]
fn an_instruction_set_that_is_none() {
    let scratch = Scratch::new();
    let output = scratch.cognate(&["bench", "train"]).env("COGNATE_SIMD", "avx1024").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "error: COGNATE_SIMD=\"avx1024\": expected avx512, avx2, portable\n");
}

/// What a command says that may hold a gigabyte of addresses.
#[cfg(target_os = "linux")]
fn within_a_gigabyte(scratch: &Scratch, arguments: &[&str]) -> String {
    let program = scratch.cognate(&[]).get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\""]).arg(program).args(arguments);
    let output = shell.current_dir(scratch.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    error(&String::from_utf8(output.stderr).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn models_that_the_machine_has_no_memory_for() {
    let scratch = Scratch::new();
    let refused = |arguments: &[&str], what: &str| {
        let said = within_a_gigabyte(&scratch, &[arguments, &["--threads", "1", "--quiet"]].concat());
        let start = format!("error: {what} takes about ");
        assert!(
            said.starts_with(&start) && said.contains(" GB of memory, and this process may hold 1.02 GB"),
            "{said}"
        );
    };
    // 29 M parameters: 0.1 GB, and seven times that in training.
    let shape = ["--layers", "14", "--width", "384", "--heads", "6"];
    let timed = |batch| [&["bench", "train", "--context", "2048", "--batch", batch][..], &shape[..]].concat();
    refused(&timed("1"), "training this model");
    scratch.write("documents.jsonl", corpus(20));
    let tokenize = ["tokenize", "documents.jsonl", "--train", "300", "--tokenizer", "tokenizer.json", "--out", "t"];
    scratch.succeeds(&tokenize);
    let train = ["train", "--tokens", "t", "--tokenizer", "tokenizer.json", "--out", "m", "--budget-tokens", "64"];
    let step = ["--batch-tokens", "32", "--context", "32"];
    refused(
        &[&train[..], &step, &["--layers", "14", "--width", "512", "--heads", "8"]].concat(),
        "training this model",
    );
    assert!(!scratch.path("m").exists());
    refused(&[&train[..], &step, &["--layers", "100", "--width", "512", "--heads", "8"]].concat(), "this model");
    // A small model for which a batch is too large.
    let small = [&train[..], &step, &["--layers", "1", "--width", "32", "--heads", "1"]].concat();
    scratch.succeeds(&small);
    let (_, stderr) = scratch.fails(&[&train[..], &step, &["--layers", "1", "--width", "64", "--heads", "1"]].concat());
    assert!(stderr.contains("m is the folder of another training: "), "{stderr}");
    assert!(stderr.contains("--head-width was 32 and is 64 now") && !stderr.contains("Config {"), "{stderr}");
    let checkpoint = scratch.path("m/checkpoints");
    let checkpoint = fs_err::read_dir(checkpoint).unwrap().next().unwrap().unwrap().path().display().to_string();
    let shape = ["--prompt-tokens", "10000", "--new-tokens", "10000", "--batch", "60000"];
    refused(&[&["bench", "generate", &checkpoint][..], &shape].concat(), "decoding with this model");
}
