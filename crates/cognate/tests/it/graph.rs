//! Recipes that name their things: what is made from what, resuming in every kind of node, and presets written out.

use std::collections::BTreeSet;
use std::process::Stdio;

use cognate_base::Hash;
use serde_json::Value;

use crate::support::{Scratch, corpus, recipe, wait_for};

/// Two embeddings, three sets of pairs, two rounds, a mixture of two corpora in every order, a sweep, and a model that goes on from
/// another.
const THINGS: &str = r#"
[[embedding]]
name = "narrow"
dimensions = 16
[[embedding]]
name = "given"
method = "file"
path = "vectors.parquet"
[[pairs]]
name = "narrow"
embedding = "narrow"
[[pairs]]
name = "of-vectors"
embedding = "given"
neighbours = 3
[[pairs]]
name = "given"
method = "file"
path = "pairs.parquet"
[[synthesizer]]
name = "first"
pairs = "narrow"
[[synthesizer]]
name = "second"
base = "mixture"
pairs = "given"
[[synthesizer]]
name = "third"
pairs = "of-vectors"
[[synthetic]]
name = "first"
by = "first"
[[synthetic]]
name = "third"
by = "third"
[[synthetic]]
name = "second"
by = "second"
seeds = "first"
[[arm]]
kind = "repetition"
[[arm]]
name = "mixture"
synthetic = { first = 0.125, third = 0.125 }
order = "synthetic-first"
[[arm]]
name = "rounds"
synthetic = { first = 0.125, second = 0.125 }
order = "real-last"
train.weight_decay = [0.1, 0.4]
control_of = "mixture"
[[arm]]
name = "continued"
init = "mixture"
synthetic.second = 0.25
train.peak_rate = 1e-3
train.weight_decay_epochs = 0.5
[report]
subject = "mixture"
"#;

/// A folder with the corpus, vectors and pairs that [`THINGS`] names.
fn ready() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.succeeds(&["--quiet", "embed", "documents.jsonl", "--out", "vectors.parquet", "--dimensions", "24"]);
    scratch.succeeds(&[
        "--quiet",
        "pair",
        "--embeddings",
        "vectors.parquet",
        "--neighbours",
        "2",
        "--out",
        "pairs.parquet",
    ]);
    scratch.write("r.toml", recipe(THINGS));
    scratch
}

fn report(scratch: &Scratch) -> Value {
    serde_json::from_str(&fs_err::read_to_string(scratch.path("runs/tiny/report.json")).unwrap()).unwrap()
}

fn weights(scratch: &Scratch, folder: &str) -> Hash {
    Hash::of_file(scratch.path(&format!("runs/tiny/{folder}/model.safetensors"))).unwrap()
}

/// What a run came to: every model, and every corpus.
fn outcome(scratch: &Scratch) -> Vec<Hash> {
    let models = ["train/repetition/final", "train/mixture/final", "train/rounds/final", "train/continued/final"];
    let tuned = ["tune/first/best", "tune/second/best", "tune/third/best"];
    let mut hashes: Vec<Hash> = models.iter().chain(&tuned).map(|folder| weights(scratch, folder)).collect();
    for corpus in ["first", "second", "third"] {
        let path = scratch.path(&format!("runs/tiny/filter/{corpus}/synthetic.jsonl.zst"));
        hashes.push(Hash::of_file(path).unwrap());
    }
    hashes
}

fn manifest(scratch: &Scratch, folder: &str) -> Value {
    let text = fs_err::read_to_string(scratch.path(&format!("runs/tiny/{folder}/manifest.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn two_embeddings_two_rounds_and_a_mixture_run_and_resume_from_a_kill_in_every_node() {
    let whole = ready();
    whole.succeeds(&["run", "r.toml", "--threads", "1"]);
    let killed = ready();
    let points = [
        "embed/given/started.json",
        "pair/of-vectors/started.json",
        "pair/given/started.json",
        "tune/first/metrics.jsonl",
        "generate/third/started.json",
        "train/mixture/checkpoints/step-00000020",
        "tune/second/started.json",
        "generate/second/generate.json",
        "filter/second/started.json",
        "sweep/rounds/weight-decay-0.4/started.json",
        "train/rounds/started.json",
        "train/continued/checkpoints/step-00000010",
    ];
    // Some nodes take no longer than a look: those are made once more until a kill comes in time.
    for point in points {
        let folder = killed.path(&format!("runs/tiny/{}", point.rsplit_once("/checkpoints").unwrap_or((point, "")).0));
        let folder = if folder.extension().is_some() { folder.parent().unwrap().to_owned() } else { folder };
        let in_time = (0..40).any(|_| {
            if folder.join("manifest.json").exists() {
                fs_err::remove_dir_all(&folder).unwrap();
            }
            let mut run = killed.cognate(&["--quiet", "run", "r.toml", "--threads", "2"]);
            let mut child = run.stderr(Stdio::null()).spawn().unwrap();
            let at_work = wait_for(&mut child, &killed, &format!("runs/tiny/{point}"));
            child.kill().unwrap();
            child.wait().unwrap();
            at_work && !folder.join("manifest.json").exists()
        });
        assert!(in_time, "no kill came in time at {point}");
    }
    killed.succeeds(&["run", "r.toml"]);
    assert_eq!(outcome(&killed), outcome(&whole));

    // The second round is written from the first, by a model that was tuned from the mixture.
    let inputs = |folder: &str| manifest(&whole, folder)["inputs"].clone();
    let hash_in = |folder: &str, file: &str| {
        let files = manifest(&whole, folder)["files"].as_array().unwrap().clone();
        files.iter().find(|one| one["path"] == file).unwrap()["hash"].clone()
    };
    assert_eq!(inputs("tune/second")["the base model"], hash_in("train/mixture", "best/model.safetensors"));
    assert_eq!(inputs("tune/second")["the training pairs"], hash_in("pair/given", "train.parquet"));
    assert_eq!(inputs("tune/first")["the training pairs"], hash_in("pair/narrow", "train.parquet"));
    assert_eq!(inputs("generate/second")["the seeds' tokens"], hash_in("filter/first", "synthetic.bin"));
    assert_eq!(inputs("generate/second")["the model that writes"], hash_in("tune/second", "best/model.safetensors"));
    assert_eq!(
        inputs("train/continued")["the model that it starts from"],
        hash_in("train/mixture", "final/model.safetensors")
    );
    assert_eq!(inputs("train/mixture")["the synthetic tokens"], hash_in("filter/first", "synthetic.bin"));
    assert_eq!(inputs("train/mixture")["the synthetic tokens, number 2"], hash_in("filter/third", "synthetic.bin"));
    assert_ne!(inputs("pair/narrow")["the vectors"], inputs("pair/of-vectors")["the vectors"]);
    let seeds = cognate_run::read_texts(
        &whole.path("runs/tiny/filter/first/synthetic.jsonl.zst"),
        &Default::default(),
        &cognate_base::Silent,
    );
    let seeds: Vec<String> = seeds.unwrap().into_iter().map(|(id, _)| id).collect();
    let shown = whole.succeeds(&["inspect", "synthetic", "runs/tiny", "--corpus", "second", "--json", "-n", "20"]);
    for line in shown.lines() {
        let document: Value = serde_json::from_str(line).unwrap();
        let seed = document["seed"]["id"].as_str().unwrap().to_owned();
        assert!(seeds.contains(&seed), "{seed} is no document of the first round");
    }

    // Figures of arms, with roles and controls as the recipe says.
    let report = report(&whole);
    let names: Vec<&str> = report["arms"].as_array().unwrap().iter().map(|arm| arm["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["repetition", "sbp", "rounds", "continued"], "the subject stands under its role");
    let against = |arm: &str| -> Vec<&str> {
        let found = report["comparisons"].as_array().unwrap().iter().filter(|found| found["arm"] == arm);
        found.map(|found| found["against"].as_str().unwrap()).collect()
    };
    assert_eq!((against("rounds"), against("continued")), (vec!["repetition", "sbp"], vec!["repetition"]));
    each_thing_is_told_once_and_by_its_own_figures(&whole, &report);
    let chosen = manifest(&whole, "train/rounds")["statistics"]["sweep"]["chosen"].as_str().unwrap().to_owned();
    assert_eq!(weights(&whole, "train/rounds/final"), weights(&whole, &format!("sweep/rounds/{chosen}/final")));

    // Half of the arms' cost is shared, and each says what it adds.
    let plan: Value = serde_json::from_str(&whole.succeeds(&["plan", "r.toml", "--json"])).unwrap();
    let arms = plan["arms"].as_array().unwrap();
    let adds: f64 = arms.iter().map(|arm| arm["adds_s"].as_f64().unwrap()).sum();
    let stages = plan["stages"].as_array().unwrap();
    let before_scores: f64 = stages
        .iter()
        .filter(|row| row["stage"] != "evaluate" && row["stage"] != "report")
        .map(|row| row["wall_s"].as_f64().unwrap())
        .sum();
    assert!(
        (adds - before_scores).abs() < 1e-6 * before_scores,
        "{adds} {before_scores}: every node is somebody's, once"
    );
}

/// Every set of pairs, synthesizer and corpus of [`THINGS`]: those of the subject first, each with what its own manifest says.
fn each_thing_is_told_once_and_by_its_own_figures(run: &Scratch, report: &Value) {
    let all = |first: &str, further: &str| -> Vec<Value> {
        let mut all = vec![report[first].clone()];
        all.extend(report[further].as_array().unwrap().iter().cloned());
        all
    };
    let names = |things: &[Value]| -> Vec<String> {
        things.iter().map(|thing| thing["name"].as_str().unwrap().to_owned()).collect()
    };
    let statistics = |stage: &str, thing: &Value| {
        manifest(run, &format!("{stage}/{}", thing["name"].as_str().unwrap()))["statistics"].clone()
    };
    let number = |value: &Value| value.as_f64().unwrap();
    let pairs = all("pairs", "further_pairs");
    assert_eq!(names(&pairs), ["narrow", "of-vectors", "given"]);
    for set in &pairs {
        let (told, found) = (set["counts"].as_array().unwrap(), statistics("pair", set));
        let told = told.iter().find(|count| count["name"] == "pairs for training").unwrap();
        assert_eq!(number(&told["value"]), number(&found["train_pairs"]), "{}", set["name"]);
        if let Some(window) = found.get("window") {
            assert_eq!(set["min_similarity"], window["min_similarity"], "{}", set["name"]);
            assert_eq!(set["histogram"]["neighbours"], found["similarities"]["neighbour_histogram"]["counts"]);
        }
    }
    assert!(pairs[0]["embedder"].as_str().unwrap().contains("narrow (latent semantic analysis, 16 "), "{}", pairs[0]);
    assert_eq!(pairs[1]["embedder"], "given (given vectors)");
    assert!(pairs[2]["chosen"].as_str().unwrap().starts_with("Given pairs"), "{}", pairs[2]);

    let taught = all("relation", "further_relations");
    assert_eq!(names(&taught), ["first", "third", "second"]);
    for relation in &taught {
        let found = statistics("tune", relation);
        assert_eq!(relation["after"]["true_seed"], found["relation"]["after"]["true_seed"], "{}", relation["name"]);
    }
    assert_eq!(taught[2]["made"], "Tuned on the pairs given, from the model of the arm sbp.");

    let corpora = all("synthetic_quality", "further_synthetic");
    assert_eq!(names(&corpora), ["first", "third", "second"]);
    for corpus in &corpora {
        let found = statistics("filter", corpus);
        assert_eq!(corpus["kept_documents"], found["filter"]["kept"]["documents"], "{}", corpus["name"]);
        assert_eq!(corpus["kept_tokens"], found["synthetic"]["tokens"], "{}", corpus["name"]);
    }
    assert_eq!(corpora[2]["made"], "Written by the synthesizer second, from the documents of the corpus first.");
    let figures: Vec<&str> =
        corpora[2]["figures"].as_array().unwrap().iter().filter_map(|figure| figure["name"].as_str()).collect();
    assert!(figures.contains(&"perplexity under the sbp arm's best model"), "{figures:?}");
    let card = fs_err::read_to_string(run.path("runs/tiny/filter/first/README.md")).unwrap();
    let hash = Hash::of_file(run.path("runs/tiny/filter/first/synthetic.jsonl.zst")).unwrap();
    assert!(card.contains(&hash.to_string()), "the hash of the documents beside it");
}

#[test]
fn a_preset_written_out_runs_to_the_same_bits() {
    let kinds = [
        "repetition",
        "sbp",
        "oracle",
        "random-pairs",
        "unconditional",
        "regularised",
        "related-context",
        "equal-flops",
    ];
    let arms: String = kinds.iter().map(|kind| format!("[[arm]]\nkind = \"{kind}\"\n")).collect();
    let (preset, expanded) = (Scratch::new(), Scratch::new());
    for scratch in [&preset, &expanded] {
        scratch.write("documents.jsonl", corpus(1200));
    }
    preset.write("r.toml", recipe(&arms));
    expanded.write("r.toml", preset.succeeds(&["plan", "r.toml", "--expand"]));
    assert!(!fs_err::read_to_string(expanded.path("r.toml")).unwrap().contains("kind"));
    for scratch in [&preset, &expanded] {
        scratch.succeeds(&["--quiet", "run", "r.toml"]);
    }
    for kind in kinds {
        let folder = format!("train/{kind}/final");
        assert_eq!(weights(&preset, &folder), weights(&expanded, &folder), "{kind}");
    }
    let figures = |scratch: &Scratch| {
        let report = report(scratch);
        ["arms", "gap_closed", "comparisons", "synthetic_quality", "pairs", "relation", "notes", "controls"]
            .map(|field| report[field].clone())
    };
    assert_eq!(figures(&preset), figures(&expanded));
    // A run goes on under either recipe: both say the same.
    preset.write("again.toml", fs_err::read_to_string(expanded.path("r.toml")).unwrap());
    let output = preset.cognate(&["run", "again.toml", "--out", "runs/tiny"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("train sbp: done before"), "{stderr}");
}

#[test]
fn a_decay_in_epochs_is_that_of_the_text_that_an_arm_sees() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let base = "[[arm]]\nkind = \"repetition\"\n";
    let with = |more: &str| scratch.write("r.toml", recipe(&format!("{base}[[arm]]\nname = \"a\"\n{more}")));
    with("train.weight_decay_epochs = 0.5\n");
    scratch.succeeds(&["--quiet", "run", "r.toml"]);
    let fading = weights(&scratch, "train/a/final");
    assert_ne!(fading, weights(&scratch, "train/repetition/final"));
    let epochs = report(&scratch)["arms"][1]["epochs"].as_f64().unwrap();
    // 40 steps at a peak rate of 0.01.
    let decay = 1.0 / (1e-2 * (40.0 / epochs) * 0.5);
    with(&format!("train.weight_decay = {decay}\n"));
    scratch.succeeds(&["--quiet", "run", "r.toml", "--out", "runs/again"]);
    let again = Hash::of_file(scratch.path("runs/again/train/a/final/model.safetensors")).unwrap();
    assert_eq!(again, fading, "{decay}");
}

#[test]
fn what_another_run_has_finished_is_taken_over_where_it_is_the_same() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    scratch.succeeds(&["--quiet", "run", "r.toml"]);
    scratch.write("cool.toml", recipe("[generate]\ntemperature = 0.75\n").replace("\"tiny\"", "\"cool\""));
    let run = |arguments: &[&str]| {
        let output = scratch.cognate(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr
    };
    let told = run(&["run", "cool.toml", "--reuse", "runs/tiny"]);
    let lines = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    // Documents, tokens, vectors, pairs, two arms, the synthesizer, and their two scores; generation and what follows is new.
    assert_eq!(lines("taken over from runs/tiny/"), 9, "{told}");
    for new in ["generate: done in", "filter: done in", "train sbp: done in", "evaluate sbp: done in"] {
        assert_eq!(lines(new), 1, "{new}: {told}");
    }
    // With the checkpoints on the way.
    let steps = |arm: &str| scratch.names(&format!("runs/{arm}/checkpoints"));
    let measured = scratch.succeeds(&[
        "--quiet",
        "evaluate",
        "--all-checkpoints",
        "runs/cool",
        "--documents",
        "runs/cool/ingest/validation.jsonl.zst",
    ]);
    for arm in ["repetition", "sbp", "oracle"] {
        let lines = measured.lines().filter(|line| line.starts_with(arm)).count();
        assert!(lines > 1 && lines == steps(&format!("cool/train/{arm}")).len(), "{arm}: {measured}");
    }
    assert_eq!(steps("cool/train/oracle"), steps("tiny/train/oracle"));
    // To the bits of a run that makes all of it.
    run(&["run", "cool.toml", "--out", "runs/alone"]);
    for folder in ["train/repetition/final", "train/sbp/final", "train/oracle/final", "tune/related/best"] {
        let hash = |run: &str| Hash::of_file(scratch.path(&format!("runs/{run}/{folder}/model.safetensors"))).unwrap();
        assert_eq!(hash("cool"), hash("alone"), "{folder}");
    }
    let of =
        |run: &str| fs_err::read_to_string(scratch.path(&format!("runs/{run}/tune/related/manifest.json"))).unwrap();
    assert_eq!(of("cool"), of("tiny"), "what it cost stays known");
    let (code, stderr) = scratch.fails(&["run", "cool.toml", "--out", "runs/other", "--reuse", "nowhere"]);
    assert!(code == 1 && stderr.contains("nowhere"), "{stderr}");
}

#[test]
fn a_run_stops_behind_the_stage_that_is_wanted_and_goes_on_later() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", recipe(""));
    let stages = |folder: &str| -> BTreeSet<String> {
        let all = fs_err::read_dir(scratch.path(folder)).unwrap().map(|entry| entry.unwrap());
        let folders = all.filter(|entry| entry.file_type().unwrap().is_dir());
        folders.map(|entry| entry.file_name().to_str().unwrap().to_owned()).collect()
    };
    // Pairs are found before anything is tokenized, where nothing else is wanted.
    for until in ["embed", "pair", "tokenize", "tune"] {
        scratch.succeeds(&["--quiet", "run", "r.toml", "--until", until]);
        assert_eq!(scratch.path("runs/tiny/tokenize").exists(), !["embed", "pair"].contains(&until), "{until}");
    }
    let made = stages("runs/tiny");
    let expected = ["ingest", "tokenize", "embed", "pair", "train", "tune"].map(str::to_owned);
    assert!(expected.iter().all(|stage| made.contains(stage)), "{made:?}");
    assert!(!made.contains("generate") && !made.contains("evaluate"), "{made:?}");
    // The base model of the synthesizer, and no arm that it does not need.
    assert_eq!(stages("runs/tiny/train"), BTreeSet::from(["repetition".to_owned()]));
    let (code, stderr) = scratch.fails(&["run", "r.toml", "--out", "runs/none", "--until", "tuning"]);
    let needed = "they need ingest, tokenize, embed, pair, train, tune, generate, filter, evaluate";
    assert!(code == 1 && stderr.contains("--until tuning") && stderr.contains(needed), "{stderr}");
    assert!(!scratch.path("runs/none").exists(), "a misspelt stage leaves nothing behind");
    scratch.succeeds(&["--quiet", "run", "r.toml", "--until", "report"]);
    scratch.succeeds(&["--quiet", "run", "r.toml", "--out", "runs/whole"]);
    for model in ["train/sbp/final", "tune/related/best"] {
        let of = |run: &str| Hash::of_file(scratch.path(&format!("runs/{run}/{model}/model.safetensors"))).unwrap();
        assert_eq!(of("tiny"), of("whole"), "{model}");
    }
}

#[test]
fn what_is_taken_over_has_all_that_it_took_and_nothing_that_was_trained_otherwise() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\ntrain.weight_decay = [100, 90]\n";
    let text = recipe(arms).replace("min_words = 5", "min_words = 25").replace("\"tiny\"", "\"tiny\"\nseeds = [0, 7]");
    scratch.write("r.toml", &text);
    scratch.succeeds(&["--quiet", "run", "r.toml"]);
    let costs = |run: &str| -> Value {
        let path = scratch.path(&format!("runs/{run}/report.json"));
        serde_json::from_str::<Value>(&fs_err::read_to_string(path).unwrap()).unwrap()["ledger"].clone()
    };
    scratch.succeeds(&["--quiet", "run", "r.toml", "--out", "runs/again", "--reuse", "runs/tiny"]);
    assert!(scratch.path("runs/again/rounds/related/2/manifest.json").exists(), "the filters took another round");
    assert_eq!(costs("again"), costs("tiny"));
    // Another rate of the arm alone: its further seed is trained anew, whichever candidate is chosen.
    let rate = "train.weight_decay = [100, 90]\ntrain.peak_rate = 5e-3\n";
    scratch.write("other.toml", text.replace("train.weight_decay = [100, 90]\n", rate));
    scratch.succeeds(&["--quiet", "run", "other.toml", "--out", "runs/other", "--reuse", "runs/tiny"]);
    for model in ["sbp", "sbp-seed-7"] {
        let of = |run: &str| {
            Hash::of_file(scratch.path(&format!("runs/{run}/train/{model}/final/model.safetensors"))).unwrap()
        };
        assert_ne!(of("other"), of("tiny"), "{model}");
        assert_eq!(of("again"), of("tiny"), "{model}");
    }
}

#[test]
fn what_given_things_lack_stops_a_run_before_training() {
    let scratch = ready();
    let untrained = |expected: &str| {
        let (code, stderr) = scratch.fails(&["run", "r.toml"]);
        assert!(code == 1 && stderr.contains(expected), "{code}: {stderr}");
        assert!(!scratch.path("runs/tiny/train").exists(), "trained before it stopped");
    };
    scratch.write("few.jsonl", corpus(300));
    scratch.succeeds(&["--quiet", "embed", "few.jsonl", "--out", "vectors.parquet", "--dimensions", "24"]);
    untrained("has no vector of the document \"d");
    scratch.succeeds(&["--quiet", "embed", "documents.jsonl", "--out", "vectors.parquet", "--dimensions", "24"]);
    fs_err::remove_file(scratch.path("pairs.parquet")).unwrap();
    untrained("pairs.parquet");
    scratch.write("r.toml", recipe(&format!("{THINGS}[[arm]]\nname = \"other\"\ninit = \"./nowhere\"\n")));
    untrained("train other: ./nowhere does not exist");
}
