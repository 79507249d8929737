//! Whole experiments: once, again, interrupted, killed, two at a time, on a full disk.

use std::process::{Child, Command, Stdio};

use cognate_base::{Hash, Silent};
use serde_json::Value;

use crate::support::{Scratch, corpus, recipe, wait_for};

/// A scratch folder with the tiny recipe and its documents.
fn ready() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    scratch
}

/// What must not depend on how a run came to its end: the report without times, memory and machine, and the bits of
/// every model and of the synthetic corpus.
pub(crate) fn outcome(scratch: &Scratch) -> (Value, Vec<Hash>) {
    let mut report = report_json(scratch);
    for entry in report["ledger"].as_array_mut().unwrap() {
        entry["wall_s"] = Value::Null;
        entry["peak_rss_bytes"] = Value::Null;
    }
    report["environment"] = Value::Null;
    let files = [
        "train/repetition/final",
        "train/repetition/best",
        "tune/related/best",
        "train/sbp/final",
        "train/oracle/final",
    ]
    .map(|folder| Hash::of_file(scratch.path(&format!("runs/tiny/{folder}/model.safetensors"))).unwrap());
    let mut hashes = files.to_vec();
    hashes.push(Hash::of_file(scratch.path("runs/tiny/filter/related/synthetic.jsonl.zst")).unwrap());
    (report, hashes)
}

fn report_json(scratch: &Scratch) -> Value {
    serde_json::from_str(&fs_err::read_to_string(scratch.path("runs/tiny/report.json")).unwrap()).unwrap()
}

/// Starts the run in the background.
fn start(scratch: &Scratch) -> Child {
    let mut command = scratch.cognate(&["run", "r.toml", "--threads", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_run_ends_with_a_report_and_running_again_skips_everything() {
    let scratch = ready();
    let closing = scratch.succeeds(&["run", "r.toml"]);
    for expected in ["repetition", "sbp", "oracle", "nats/token", "report: runs/tiny/report.html"] {
        assert!(closing.contains(expected), "{expected} is missing in\n{closing}");
    }
    let (report, _) = outcome(&scratch);
    assert_eq!(report["name"], "tiny");
    let arms = report["arms"].as_array().unwrap();
    assert_eq!(arms.len(), 3);
    for arm in arms {
        assert_eq!(arm["train_tokens"], 40960, "every arm sees the same number of tokens: {arm}");
        assert!(arm["validation"]["bits_per_byte"].as_f64().unwrap() > 0.0);
    }
    assert!(arms[1]["synthetic_tokens"].as_u64().unwrap().abs_diff(10240) < 200, "{}", arms[1]);
    assert_eq!(report["gap_closed"]["validation"]["seeds"], 1);
    assert_eq!(report["examples"].as_array().unwrap().len(), 3);
    assert_eq!(report["ledger"].as_array().unwrap().len(), 13);
    let gain = &report["relation"]["after"]["gain_over_random"];
    assert!(gain["value"].is_f64() && gain["stderr"].is_f64(), "{}", report["relation"]);
    let page = fs_err::read_to_string(scratch.path("runs/tiny/report.html")).unwrap();
    assert!(page.contains("<html"));
    let bytes = fs_err::read(scratch.path("runs/tiny/report.json")).unwrap();

    cards_say_what_the_report_says(&scratch, &report);

    let output = scratch.cognate(&["run", "r.toml"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), closing);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 13, "{stderr}");
    assert!(stderr.lines().all(|line| line.ends_with(": done before")), "{stderr}");
    assert_eq!(fs_err::read(scratch.path("runs/tiny/report.json")).unwrap(), bytes);

    let status: Value = serde_json::from_str(&scratch.succeeds(&["status", "runs/tiny", "--json"])).unwrap();
    assert!(status["stages"].as_array().unwrap().iter().all(|stage| stage["state"] == "done"), "{status}");

    // What it made is no document of the folder that it lies in.
    let ingested =
        |paths: &str| scratch.succeeds(&["ingest", paths, "--out", "ingested", "--contamination-words", "0"]);
    let alone = ingested("documents.jsonl");
    fs_err::remove_dir_all(scratch.path("ingested")).unwrap();
    assert_eq!(ingested("."), alone);

    assert_eq!(scratch.succeeds(&["report", "runs/tiny"]), closing);
    assert_eq!(fs_err::read(scratch.path("runs/tiny/report.json")).unwrap(), bytes);
}

/// Each folder that somebody may publish has its card, with the numbers of `report`, and no stage minds.
fn cards_say_what_the_report_says(scratch: &Scratch, report: &Value) {
    let header = |folder: &str| -> Value {
        let card = fs_err::read_to_string(scratch.path(&format!("runs/tiny/{folder}/README.md"))).unwrap();
        let yaml = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
        serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{folder}: {error}\n{yaml}"))
    };
    for (at, arm) in ["repetition", "sbp", "oracle"].into_iter().enumerate() {
        let result = &header(&format!("train/{arm}/final"))["model-index"][0]["results"][0]["metrics"][0];
        assert_eq!(result["value"], report["arms"][at]["validation"]["perplexity"], "{arm}");
        assert_eq!(header(&format!("train/{arm}/best"))["library_name"], "transformers");
    }
    assert_eq!(header("tune/related/best")["pipeline_tag"], "text-generation");
    let data = header("filter/related");
    assert_eq!((&data["license"], &data["size_categories"][0]), (&Value::from("unknown"), &Value::from("n<1K")));
    let card = fs_err::read_to_string(scratch.path("runs/tiny/filter/related/README.md")).unwrap();
    let kept = report["synthetic_quality"]["kept_documents"].as_u64().unwrap();
    assert!(kept < 1000 && card.contains(&format!("| what | {kept} documents of ")), "{card}");
    let documents = Hash::of_file(scratch.path("runs/tiny/filter/related/synthetic.jsonl.zst")).unwrap();
    assert!(card.contains(&documents.to_string()), "the hash of the documents beside it");
}

#[test]
fn a_half_finished_run_has_a_report_of_what_exists() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    // As if it had been killed while the second arm was trained.
    for gone in ["train/sbp/manifest.json", "report.json", "report.html"] {
        fs_err::remove_file(scratch.path(&format!("runs/tiny/{gone}"))).unwrap();
    }
    for gone in ["train/oracle", "evaluate", "train/sbp/final", "train/sbp/best"] {
        fs_err::remove_dir_all(scratch.path(&format!("runs/tiny/{gone}"))).unwrap();
    }
    let closing = scratch.succeeds(&["report", "runs/tiny"]).replace('\n', " ");
    let sentence = "This run is not finished. Missing: train sbp, train oracle, evaluate repetition, evaluate sbp, evaluate \
                    oracle. What stands here is what exists.";
    assert!(closing.contains(sentence), "{closing}");
    let report = report_json(&scratch);
    assert_eq!(report["arms"], Value::Array(vec![]));
    assert_eq!(report["curves"].as_array().unwrap().len(), 2);
    assert_eq!(report["curves"][1]["arm"], "sbp", "as far as it came");
    assert!(report["synthetic_quality"]["kept_documents"].as_u64().unwrap() > 0);
    let page = fs_err::read_to_string(scratch.path("runs/tiny/report.html")).unwrap();
    assert!(page.contains("This run is not finished.") && page.contains("Data card of the synthetic corpus"));
    assert!(
        scratch.path("runs/tiny/filter/related/README.md").exists()
            && !scratch.path("runs/tiny/train/sbp/README.md").exists()
    );
    // What is damaged is named, and nothing that was written before goes away.
    scratch.write("runs/tiny/train/repetition/manifest.json", "{\"format\": 1}");
    let (code, stderr) = scratch.fails(&["report", "runs/tiny"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: runs/tiny/train/repetition/manifest.json is damaged: "), "{stderr}");
    assert_eq!(report_json(&scratch), report);
}

/// A base that has gone on repeating until it memorised its text writes it back, so tuning starts from the checkpoint with the
/// lowest validation loss. At a rate too small to move any weight, what tuning ends with is what it began with.
#[test]
fn tuning_starts_from_the_best_checkpoint_not_from_the_last() {
    let scratch = ready();
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.05\n";
    let recipe = recipe(&format!("final_rate = 1e-2\n{arms}"))
        .replace("unique_share = 0.2", "unique_share = 0.1")
        .replace("budget_tokens = 40960", "budget_tokens = 122880")
        .replace("[tune]\n", "[tune]\nrate = 1e-30\n");
    scratch.write("r.toml", recipe);
    scratch.succeeds(&["run", "r.toml"]);
    let weights = |folder: &str| Hash::of_file(scratch.path(&format!("runs/tiny/{folder}/model.safetensors"))).unwrap();
    assert_ne!(weights("train/repetition/best"), weights("train/repetition/final"), "this recipe no longer overfits");
    assert_eq!(weights("tune/related/best"), weights("train/repetition/best"));
}

#[test]
fn threads_and_batches_of_generation_do_not_change_a_bit() {
    let (one, two) = (ready(), ready());
    one.succeeds(&["run", "r.toml", "--threads", "1"]);
    two.write("r.toml", recipe("checkpoint_every_tokens = 7168\n[generate]\nslots = 3\n"));
    two.succeeds(&["run", "r.toml", "--threads", "3"]);
    let ((mut first, hashes), (mut second, again)) = (outcome(&one), outcome(&two));
    first["recipe"] = Value::Null;
    second["recipe"] = Value::Null;
    assert_eq!(first, second);
    assert_eq!(hashes, again);
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
    let undisturbed = ready();
    undisturbed.succeeds(&["run", "r.toml", "--threads", "1"]);
    let killed = ready();
    // Each as soon as it is there: at the beginning and in the middle of short and of long stages.
    let points = [
        "ingest/started.json",
        "tokenize/tokenizer.json",
        "pair/related/started.json",
        "train/repetition/started.json",
        "train/repetition/checkpoints/step-00000002",
        "train/repetition/checkpoints/step-00000009",
        "tune/related/checkpoints/step-00000003",
        "generate/related/started.json",
        "generate/related/generate.json",
        "filter/related/synthetic.jsonl.zst",
        "train/sbp/checkpoints/step-00000004",
        "train/sbp/checkpoints/step-00000039",
        "train/sbp/best",
        "train/oracle/checkpoints/step-00000020",
        "evaluate/sbp/started.json",
        "report.json",
    ];
    let mut kills = 0;
    for point in points {
        let mut child = start(&killed);
        if wait_for(&mut child, &killed, &format!("runs/tiny/{point}")) && child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills > 8, "only {kills} kills came in time");
    killed.succeeds(&["run", "r.toml", "--threads", "1"]);
    assert_eq!(outcome(&undisturbed), outcome(&killed));
    let left = Command::new("find").arg(killed.path("runs")).args(["-name", ".*.partial"]).output().unwrap();
    assert_eq!(String::from_utf8(left.stdout).unwrap(), "", "nothing half-written is left");
}

#[test]
fn an_interrupted_run_exits_with_130_or_143_and_continues() {
    let undisturbed = ready();
    undisturbed.succeeds(&["run", "r.toml", "--threads", "1"]);
    let scratch = ready();
    for (point, name, code) in [
        ("train/repetition/metrics.jsonl", "-INT", 130),
        ("train/sbp/started.json", "-TERM", 143),
        ("train/oracle/metrics.jsonl", "-INT", 130),
    ] {
        let mut child = start(&scratch);
        assert!(wait_for(&mut child, &scratch, &format!("runs/tiny/{point}")));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.ends_with("interrupted: the same command continues where it stopped\n"), "{stderr}");
        scratch.succeeds(&["report", "runs/tiny"]);
        let status: Value = serde_json::from_str(&scratch.succeeds(&["status", "runs/tiny", "--json"])).unwrap();
        assert!(status["running"].is_null());
        let stages = status["stages"].as_array().unwrap();
        assert_eq!(stages.iter().filter(|stage| stage["state"] == "stopped").count(), 1);
        let report = stages.last().unwrap();
        assert_eq!((&report["stage"], &report["state"]), (&"report".into(), &"waiting".into()), "a report of a part");
    }
    scratch.succeeds(&["run", "r.toml", "--threads", "1"]);
    assert_eq!(outcome(&undisturbed), outcome(&scratch));
}

#[test]
fn a_second_run_on_the_same_directory_fails_at_once() {
    let scratch = ready();
    let mut child = start(&scratch);
    assert!(wait_for(&mut child, &scratch, "runs/tiny/train/repetition/started.json"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let start = format!("error: runs/tiny is in use: process {} on ", child.id());
    assert!(stderr.starts_with(&start), "{stderr}");
    assert!(stderr.ends_with("hint: wait until it has ended, or write to another place\n"), "{stderr}");
    let status = scratch.succeeds(&["status", "runs/tiny"]);
    assert!(status.starts_with(&format!("tiny: running (process {} on ", child.id())), "{status}");
    assert!(status.contains("train repetition        running"), "{status}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The disk is full: simulated by a limit on the size of files, whose signal is ignored so that writing fails.
#[test]
fn a_full_disk_is_an_error_and_leaves_no_half_written_artifact() {
    let scratch = ready();
    let mut limits = Vec::new();
    for blocks in [8, 60, 120] {
        let program = env!("CARGO_BIN_EXE_cognate");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec '{program}' run r.toml --threads 1");
        let output = Command::new("bash").args(["-c", &script]).current_dir(scratch.path(".")).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(error.contains("File too large"), "{stderr}");
        limits.push(error.to_owned());
    }
    assert!(limits.iter().any(|error| error.starts_with("error: train repetition: ")), "{limits:?}");
    scratch.succeeds(&["run", "r.toml", "--threads", "1"]);
    let undisturbed = ready();
    undisturbed.succeeds(&["run", "r.toml", "--threads", "1"]);
    assert_eq!(outcome(&undisturbed), outcome(&scratch));
}

#[test]
fn a_later_key_that_changed_is_refused_before_anything_runs() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    fs_err::remove_dir_all(scratch.path("runs/tiny/train/repetition")).unwrap();
    scratch.write("r.toml", recipe("[generate]\ntemperature = 0.5\n"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr.lines().next().unwrap(),
        "error: runs/tiny/generate/related was made from something else: [generate] temperature was 1.0 and is 0.5 now"
    );
}

#[test]
fn filters_that_leave_too_little_are_told() {
    let scratch = ready();
    scratch.write("r.toml", recipe("").replace("min_words = 5", "min_words = 120"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let at = stderr.find("error: ").unwrap();
    let error = "error: filter: the synthesizer's documents do not last: of ";
    assert!(
        stderr[at..].starts_with(error) && stderr.contains("dropped: ") && stderr.contains("too_short"),
        "{stderr}"
    );
    // Before that, at once: the rule does not fit real text either.
    let rule = "warning: filter: the rule `min_words` would drop 100 % of the real unique documents";
    let told = &stderr[..at];
    assert!(told.contains(rule) && told.contains("[filter] min_words = 120 does not fit this corpus"), "{stderr}");
    assert!(told.contains("warning: filter: the filters keep 0 of "), "{stderr}");
}

#[test]
fn too_few_kept_documents_make_another_round() {
    let scratch = ready();
    scratch.write("r.toml", recipe("").replace("min_words = 5", "min_words = 25"));
    scratch.succeeds(&["run", "r.toml"]);
    let report: Value = serde_json::from_slice(&fs_err::read(scratch.path("runs/tiny/report.json")).unwrap()).unwrap();
    assert!(scratch.path("runs/tiny/rounds/related/2/manifest.json").exists());
    let notes = report["notes"].to_string();
    assert!(notes.contains("Generation took "), "{notes}");
    let ids = cognate_run::read_texts(
        &scratch.path("runs/tiny/filter/related/synthetic.jsonl.zst"),
        &Default::default(),
        &Silent,
    )
    .unwrap();
    let distinct: std::collections::BTreeSet<_> = ids.iter().map(|(id, _)| id).collect();
    assert_eq!(distinct.len(), ids.len(), "no document comes twice");
}

#[test]
fn a_report_that_cannot_be_read_is_written_again() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    let path = scratch.path("runs/tiny/report.json");
    let whole: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    // One of a newer version: what ran the experiment is kept.
    let mut newer = whole.clone();
    newer["new_field"] = 1.into();
    newer["environment"]["threads"] = 77.into();
    fs_err::write(&path, newer.to_string()).unwrap();
    scratch.succeeds(&["report", "runs/tiny"]);
    let mut expected = whole.clone();
    expected["environment"]["threads"] = 77.into();
    let written = || -> Value { serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap() };
    assert_eq!(written(), expected);
    fs_err::write(&path, "{").unwrap();
    let output = scratch.cognate(&["report", "runs/tiny"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && stderr.contains("report.json does not say what ran the experiment"), "{stderr}");
    assert_eq!(written()["arms"], whole["arms"]);
    // What wrote it is the program as it calls itself; from a checkout it knows which.
    let version = scratch.succeeds(&["--version"]);
    assert_eq!(version.trim_end(), format!("cognate {}", whole["environment"]["version"].as_str().unwrap()));
}

/// What a finished stage left and the report needs: lost, it is named with what to do, and what scores do not depend on is a note.
#[test]
fn a_report_says_what_is_lost_of_a_finished_run() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    let report = || -> Value {
        scratch.succeeds(&["report", "runs/tiny"]);
        serde_json::from_str(&fs_err::read_to_string(scratch.path("runs/tiny/report.json")).unwrap()).unwrap()
    };
    let whole = report();
    assert!(!whole["notes"].to_string().contains("are lost"), "{}", whole["notes"]);
    let path = scratch.path("runs/tiny/train/sbp/metrics.jsonl");
    let losses = fs_err::read_to_string(&path).unwrap();
    let half: String = losses.split_inclusive('\n').take(losses.lines().count() / 2).collect();
    fs_err::write(&path, half).unwrap();
    let note = "The training losses of sbp after ";
    assert!(report()["notes"].to_string().contains(note));
    fs_err::remove_file(&path).unwrap();
    let found = report();
    assert!(
        found["notes"].to_string().contains(&format!("{note}0 tokens are lost: train/sbp/metrics.jsonl was cut short"))
    );
    assert_eq!(found["arms"], whole["arms"]);
    fs_err::write(&path, losses).unwrap();
    let path = scratch.path("runs/tiny/evaluate/sbp/documents.jsonl");
    for damage in [Some("{}\n"), None] {
        match damage {
            Some(text) => fs_err::write(&path, text).unwrap(),
            None => fs_err::remove_file(&path).unwrap(),
        }
        let (code, stderr) = scratch.fails(&["report", "runs/tiny"]);
        assert!(stderr.starts_with("error: runs/tiny/evaluate/sbp/documents.jsonl is damaged: "), "{stderr}");
        let hint = "hint: delete runs/tiny/evaluate/sbp and run the recipe again to make it anew";
        assert!(code == 1 && stderr.contains(hint), "{stderr}");
    }
    fs_err::remove_dir_all(scratch.path("runs/tiny/evaluate/sbp")).unwrap();
    scratch.succeeds(&["run", "r.toml"]);
    assert_eq!(report()["arms"], whole["arms"]);
}

/// The recipe's own seed gives the models that it gives alone; another one is trained and measured beside it.
#[test]
fn further_seeds_come_beside_the_first_and_give_an_interval() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    let (alone, before) = outcome(&scratch);
    let found = &alone["comparisons"].as_array().unwrap()[0];
    assert_eq!((found["arm"].as_str(), found["seeds"].as_u64()), (Some("sbp"), Some(1)), "{found}");
    let documents = alone["comparisons"][0]["documents"].as_u64().unwrap();
    assert_eq!(
        documents,
        cognate_run::read_texts(&scratch.path("runs/tiny/ingest/validation.jsonl.zst"), &Default::default(), &Silent)
            .unwrap()
            .len() as u64
    );

    scratch.write("r.toml", recipe("").replace("name = \"tiny\"", "name = \"tiny\"\nseeds = [7, 0]"));
    let output = scratch.cognate(&["run", "r.toml"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let done: Vec<&str> = stderr.lines().filter(|line| !line.ends_with(": done before")).collect();
    let names = ["repetition, seed 7", "sbp, seed 7", "oracle, seed 7"];
    let starts = ["train", "evaluate"].map(|stage| names.map(|name| format!("{stage} {name}: done in "))).concat();
    assert_eq!(done.len(), 6, "{stderr}");
    assert!(done.iter().zip(&starts).all(|(line, start)| line.starts_with(start)), "{stderr}");
    let (both, after) = outcome(&scratch);
    assert_eq!(before, after, "the recipe's own seed is what it was");
    let of = |seed: u64| -> Vec<f64> {
        let arms = both["arms"].as_array().unwrap().iter().filter(|arm| arm["seed"] == seed);
        arms.map(|arm| arm["validation"]["nats_per_token"].as_f64().unwrap()).collect()
    };
    let (first, second) = (of(0), of(7));
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(first.iter().zip(&second).all(|(a, b)| a != b), "{first:?} {second:?}");
    let mean = |arm: usize| (first[arm] + second[arm]) / 2.0;
    assert_eq!(both["gap_closed"]["validation"]["seeds"], 2);
    let found = &both["comparisons"][0];
    let number = |name: &str| found[name].as_f64().unwrap();
    assert!((number("difference") - (mean(1) - mean(0))).abs() < 1e-9, "{found}");
    assert!(number("low") < number("difference") && number("difference") < number("high"), "{found}");
    assert_eq!((found["seeds"].as_u64(), found["documents"].as_u64()), (Some(2), Some(documents)));
    let plan: Value = serde_json::from_str(&scratch.succeeds(&["plan", "r.toml", "--json"])).unwrap();
    let trained = plan["stages"].as_array().unwrap().iter().filter(|stage| stage["stage"] == "train");
    assert_eq!(trained.count(), 6);
}

/// The three arms with every control beside them.
fn with_controls() -> String {
    let kinds = ["repetition", "sbp", "oracle", "random-pairs", "unconditional", "equal-flops"];
    let arms: String = kinds.iter().map(|kind| format!("[[arm]]\nkind = \"{kind}\"\n")).collect();
    recipe(&format!("{arms}[[arm]]\nname = \"equal-repetition\"\noperations_of = \"repetition\"\n"))
}

#[test]
fn controls_come_beside_the_arms_and_differ_in_one_thing_each() {
    let scratch = ready();
    scratch.succeeds(&["run", "r.toml"]);
    let (_, before) = outcome(&scratch);
    scratch.write("r.toml", with_controls());
    for point in ["tune/shuffled/checkpoints", "generate/unconditional/started.json"] {
        let mut child = start(&scratch);
        assert!(wait_for(&mut child, &scratch, &format!("runs/tiny/{point}")));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    scratch.succeeds(&["run", "r.toml"]);
    let (report, after) = outcome(&scratch);
    assert_eq!(before, after, "what was there is what it was");
    let arm = |name: &str| report["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == name).unwrap().clone();
    let number = |value: &Value| value.as_f64().unwrap();
    for control in ["random-pairs", "unconditional"] {
        assert_eq!(arm(control)["train_tokens"], 40960, "{control}");
        let synthetic = arm(control)["synthetic_tokens"].as_u64().unwrap();
        assert!(synthetic.abs_diff(10240) < 200, "{control}: {synthetic}");
        assert_eq!(report["gap_closed"][format!("validation of {control}")]["seeds"], 1, "{}", report["gap_closed"]);
        for against in ["repetition", "sbp"] {
            let found = report["comparisons"].as_array().unwrap();
            let found: Vec<&Value> =
                found.iter().filter(|found| found["arm"] == control && found["against"] == against).collect();
            assert_eq!(found.len(), 1, "{control} beside {against}");
            let nats = |name: &str| number(&arm(name)["validation"]["nats_per_token"]);
            let difference = nats(control) - nats(against);
            assert!((number(&found[0]["difference"]) - difference).abs() < 1e-9, "{difference}: {}", found[0]);
        }
    }
    let beside_sbp = |arm: &str| {
        report["comparisons"].as_array().unwrap().iter().any(|found| found["arm"] == arm && found["against"] == "sbp")
    };
    assert_eq!(["sbp", "repetition", "oracle", "equal-flops"].map(beside_sbp), [false, false, false, true]);
    let seeds = |folder: &str| -> Vec<bool> {
        let path = scratch.path(&format!("runs/tiny/{folder}/synthetic.jsonl.zst"));
        let reader = cognate_corpus::Reader::open(&[path], &Default::default(), &Silent).unwrap();
        reader.map(|record| record.unwrap().1.metadata.contains_key("seed_id")).collect()
    };
    for (folder, seeded) in [("filter/related", true), ("filter/shuffled", true), ("filter/unconditional", false)] {
        let found = seeds(folder);
        assert!(!found.is_empty() && found.iter().all(|has| *has == seeded), "{folder}");
    }
    let weights =
        |folder: &str| Hash::of_file(scratch.path(&format!("runs/tiny/{folder}/best/model.safetensors"))).unwrap();
    assert_ne!(weights("tune/related"), weights("tune/shuffled"));

    // All that the sbp arm needed, from the ledger: its base, pairing, tuning, generation, its own training.
    let ledger = report["ledger"].as_array().unwrap();
    let stages = ["embed", "pair", "tune", "generate", "filter"];
    let shared = ledger.iter().filter(|row| stages.iter().any(|stage| row["stage"] == *stage) && row["arm"].is_null());
    let mut parts: Vec<f64> = shared.map(|row| number(&row["flops"])).collect();
    assert!(parts.len() == 5 && parts.iter().all(|flops| *flops > 0.0), "{parts:?}");
    // Scores of relevance drop no document here: the ledger counts them, and no arm needs them.
    parts.pop();
    // The arms' lines begin there: a control's at what it shares with sbp and at its own stages.
    let of = |control: &str| -> f64 {
        ledger
            .iter()
            .filter(|row| row["arm"] == control && row["stage"] != "train" && row["stage"] != "evaluate")
            .map(|row| number(&row["flops"]))
            .sum()
    };
    let starts = ["sbp", "random-pairs", "unconditional"].map(|name| number(&arm(name)["preparation_flops"]));
    let expected = [parts.iter().sum(), parts[0] + parts[1] + of("random-pairs"), of("unconditional")];
    for (start, expected) in starts.into_iter().zip(expected) {
        assert!(expected > 0.0 && (start - expected).abs() < 1e-9 * expected, "{starts:?} {expected:?}");
    }
    let repetition = number(&arm("repetition")["flops"]);
    // All three start from repetition's model, which the other two do not need.
    for name in ["sbp", "random-pairs", "unconditional"] {
        assert_eq!(number(&arm(name)["base_flops"]), repetition, "{name}");
    }
    assert!(["repetition", "equal-flops"].iter().all(|name| arm(name)["base_flops"].is_null()));
    let all = repetition + parts.iter().sum::<f64>() + number(&arm("sbp")["flops"]);
    let spent = number(&arm("equal-flops")["flops"]);
    // To half a step of forty, and what later documents are longer or shorter by.
    assert!((spent - all).abs() < repetition / 40.0, "{spent} {all}");
    assert_eq!(arm("equal-flops")["synthetic_tokens"], 0);
    assert!(arm("equal-flops")["train_tokens"].as_u64().unwrap() > 2 * 40960);
    let names = |of: &Value| -> Vec<String> {
        of.as_array().unwrap().iter().map(|thing| thing["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&report["further_synthetic"]), ["shuffled", "unconditional"]);
    assert_eq!(
        (names(&report["further_pairs"]), names(&report["further_relations"])),
        (vec!["shuffled".to_owned()], vec!["shuffled".to_owned()])
    );
    let (pairs, taught) = (&report["further_pairs"][0], &report["further_relations"][0]);
    assert!(
        pairs["chosen"].as_str().unwrap().contains("second documents shuffled") && taught["control"] == true,
        "{pairs}"
    );
    assert_eq!(pairs["counts"][0]["value"], report["pairs"]["counts"][2]["value"], "as many pairs, shuffled");
    let notes = report["controls"].to_string();
    for expected in [
        "The arm equal-flops was trained with ",
        "The arm equal-repetition was trained with ",
        "shares no training with repetition",
        "for train repetition (the base model), ",
        "FLOP together. Scores of relevance drop nothing here",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    let plan: Value = serde_json::from_str(&scratch.succeeds(&["plan", "r.toml", "--json"])).unwrap();
    let planned = plan["stages"].as_array().unwrap();
    let of = |rows: &[Value], stage: &str, arm: Option<&str>| {
        let row = rows.iter().find(|row| row["stage"] == stage && row["arm"].as_str() == arm);
        number(&row.unwrap_or_else(|| panic!("{stage} {arm:?}"))["flops"])
    };
    // What the ledger counts for sbp is planned too, and nothing else: equal-flops is equal to what of it is needed in both.
    let mut all = 0.0;
    // Pairs are planned at most, and with them tuning and the pairs by which filters read relevance.
    let stages = [("embed", None, 1.5), ("pair", None, 1.5), ("tune", None, 10.0), ("generate", None, 1.5)];
    let trained = [("filter", None, 5.0), ("train", Some("repetition"), 1.1), ("train", Some("sbp"), 1.1)];
    for (stage, arm, most) in stages.into_iter().chain(trained) {
        let (planned, spent) = (of(planned, stage, arm), of(ledger, stage, arm));
        assert!(planned < most * spent && spent < 1.5 * planned, "{stage} {arm:?}: {planned} planned, {spent} spent");
        all += if stage == "filter" { 0.0 } else { planned };
    }
    let equal = of(planned, "train", Some("equal-flops"));
    assert!((equal - all).abs() <= 0.5001 * of(planned, "train", Some("repetition")) / 40.0, "{equal} {all}");
}
