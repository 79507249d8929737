//! Arms that are trained otherwise than repetition, beside it: another weight decay, other contexts.

use std::collections::BTreeSet;
use std::process::Stdio;

use cognate_base::{Hash, Silent};
use cognate_pair::{Pair, chains, exact_neighbours, read_vectors};
use serde_json::Value;

use crate::support::{Scratch, corpus, lines, recipe, wait_for};

/// The tiny recipe with arms; no document of one split shares three words in a row with the validation split.
fn ready(arms: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    scratch.write("r.toml", tiny(arms));
    scratch
}

fn tiny(arms: &str) -> String {
    recipe(arms).replace("contamination_words = 0", "contamination_words = 3\nselection_share = 0.2")
}

const REPETITION: &str = "[[arm]]\nkind = \"repetition\"\n";

fn json(scratch: &Scratch, path: &str) -> Value {
    serde_json::from_str(&fs_err::read_to_string(scratch.path(&format!("runs/tiny/{path}"))).unwrap()).unwrap()
}

fn weights(scratch: &Scratch, folder: &str) -> Hash {
    let folder = if folder.contains('/') { folder.to_owned() } else { format!("train/{folder}") };
    Hash::of_file(scratch.path(&format!("runs/tiny/{folder}/final/model.safetensors"))).unwrap()
}

/// Operations of a training: of an arm, or in a folder of a sweep.
fn flops_of(scratch: &Scratch, folder: &str) -> f64 {
    let folder = if folder.contains('/') { folder.to_owned() } else { format!("train/{folder}") };
    json(scratch, &format!("{folder}/manifest.json"))["flops"].as_f64().unwrap()
}

fn texts(scratch: &Scratch, split: &str) -> Vec<(String, String)> {
    cognate_run::read_texts(&scratch.path(&format!("runs/tiny/ingest/{split}.jsonl.zst")), &Default::default(), &Silent)
        .unwrap()
}

/// Runs, is killed as soon as `path` is there, and runs again.
fn run_killed_at(scratch: &Scratch, path: &str) {
    let mut command = scratch.cognate(&["run", "r.toml", "--threads", "1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(wait_for(&mut child, scratch, &format!("runs/tiny/{path}")), "{path} was there too late");
    child.kill().unwrap();
    child.wait().unwrap();
    scratch.succeeds(&["run", "r.toml"]);
}

#[test]
fn a_regularised_arm_is_the_best_candidate_by_documents_that_no_arm_is_scored_on() {
    let others = format!("{REPETITION}[[arm]]\nkind = \"oracle\"\n");
    let scratch = ready(&others);
    scratch.succeeds(&["run", "r.toml"]);
    let before = json(&scratch, "report.json");
    let sweep = "[[arm]]\nkind = \"regularised\"\nweight_decays = [100, 0.1, 3]\nselection_documents = 200\n";
    scratch.write("r.toml", tiny(&format!("{others}{sweep}")));
    run_killed_at(&scratch, "sweep/regularised/weight-decay-3/checkpoints");
    let report = json(&scratch, "report.json");
    for at in 0..2 {
        assert_eq!(report["arms"][at], before["arms"][at], "another arm's numbers are what they were");
    }

    // What it was chosen by: fresh documents, scored by nobody, that share no passage with the text it was trained on.
    let selected: Vec<Value> = lines(&scratch.path("runs/tiny/train/regularised/selection.jsonl"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids = |split: &str| texts(&scratch, split).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    let chosen_by: BTreeSet<String> =
        selected.iter().map(|line| line["document"].as_str().unwrap().to_owned()).collect();
    assert!(chosen_by.is_disjoint(&ids("validation")) && chosen_by.is_disjoint(&ids("unique")));
    assert!(chosen_by.is_subset(&ids("selection")));
    let passages = |text: &str| -> BTreeSet<Vec<String>> {
        let words: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect();
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.windows(3).map(<[String]>::to_vec).collect()
    };
    let unique: BTreeSet<Vec<String>> = texts(&scratch, "unique").iter().flat_map(|(_, text)| passages(text)).collect();
    for (id, text) in texts(&scratch, "selection") {
        assert!(!chosen_by.contains(&id) || passages(&text).is_disjoint(&unique), "{id}");
    }

    // The choice, from each document's loss.
    let statistics = &json(&scratch, "train/regularised/manifest.json")["statistics"];
    let found = &statistics["sweep"];
    assert_eq!(found["documents"], chosen_by.len());
    assert_eq!(found["left_out"], 200 - chosen_by.len());
    assert!((30..190).contains(&chosen_by.len()), "{}", chosen_by.len());
    let tokens: f64 = selected.iter().map(|line| line["tokens"].as_f64().unwrap()).sum();
    let loss = |at: usize| selected.iter().map(|line| line["nats"][at].as_f64().unwrap()).sum::<f64>() / tokens;
    let losses: Vec<f64> = (0..3).map(loss).collect();
    for (at, (tried, weight_decay)) in found["candidates"].as_array().unwrap().iter().zip([100.0, 0.1, 3.0]).enumerate()
    {
        assert_eq!(tried["name"], format!("weight-decay-{weight_decay}"));
        assert!((tried["nats_per_token"].as_f64().unwrap() - losses[at]).abs() < 1e-6, "{tried} {losses:?}");
        assert_eq!(tried["reused"].as_str(), (weight_decay == 0.1).then_some("train repetition"));
    }
    let best = (0..3).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap();
    let folders = ["sweep/regularised/weight-decay-100", "train/repetition", "sweep/regularised/weight-decay-3"];
    let models = folders.map(|folder| weights(&scratch, folder));
    assert!(models[0] != models[1] && models[1] != models[2]);
    assert_eq!(weights(&scratch, "regularised"), models[best]);
    assert_eq!(found["chosen"], ["weight-decay-100", "weight-decay-0.1", "weight-decay-3"][best]);
    assert!(!scratch.path("runs/tiny/sweep/regularised/weight-decay-0.1").exists(), "that is repetition");

    // Its model's operations are that training's; the ledger has all that was tried, in one row.
    let flops = |folder: &str| flops_of(&scratch, folder);
    let arm = &report["arms"][2];
    assert_eq!((&arm["name"], arm["flops"].as_f64().unwrap()), (&"regularised".into(), flops(folders[best])));
    assert_eq!(arm["train_tokens"], 40960);
    let rows: Vec<&Value> = report["ledger"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["stage"] == "train" && row["arm"] == "regularised")
        .collect();
    let spent = flops(folders[0]) + flops(folders[2]) + flops("regularised");
    assert!(rows.len() == 1 && (rows[0]["flops"].as_f64().unwrap() - spent).abs() < 1e-6 * spent, "{rows:?}");
    assert!(flops("regularised") > 0.0 && spent > 1.9 * arm["flops"].as_f64().unwrap());
    // Before its own training came all else that it chose from, repetition's model too, and the scoring of them.
    let tried = spent + flops("train/repetition") - flops(folders[best]);
    let preparation = arm["preparation_flops"].as_f64().unwrap();
    assert!((preparation - tried).abs() < 1e-6 * spent, "{preparation} {tried}");
    let notes = report["controls"].to_string();
    assert!(notes.contains("The arm regularised chose by nats per token on "), "{notes}");
    assert!(notes.contains("the model of train repetition, not trained again"), "{notes}");
    assert!(report["gap_closed"]["validation of regularised"]["mean"].is_f64(), "{}", report["gap_closed"]);
    let curve = report["curves"].as_array().unwrap().iter().find(|curve| curve["arm"] == "regularised").unwrap();
    assert!(!curve["train"].as_array().unwrap().is_empty() && !curve["validation"].as_array().unwrap().is_empty());
}

/// With a recipe's further seeds, the choice holds for all; where it is repetition's own weight decay, each is repetition's model.
#[test]
fn a_choice_of_repetitions_own_weight_decay_trains_nothing_twice() {
    let sweep = "[[arm]]\nkind = \"regularised\"\nweight_decays = [100, 0.1]\n[[arm]]\nname = \"heavy\"\nkind = \"regularised\"\n\
                 weight_decays = [90, 100]\n";
    let scratch = ready(&format!("{REPETITION}{sweep}"));
    let text = fs_err::read_to_string(scratch.path("r.toml")).unwrap();
    scratch.write("r.toml", text.replace("name = \"tiny\"", "name = \"tiny\"\nseeds = [7, 0]"));
    scratch.succeeds(&["run", "r.toml"]);
    for seed in ["", "-seed-7"] {
        assert_eq!(weights(&scratch, &format!("regularised{seed}")), weights(&scratch, &format!("repetition{seed}")));
        assert!(!scratch.path(&format!("runs/tiny/train/regularised{seed}/checkpoints")).exists());
    }
    let heavy =
        json(&scratch, "train/heavy/manifest.json")["statistics"]["sweep"]["chosen"].as_str().unwrap().to_owned();
    let chosen = weights(&scratch, &format!("sweep/heavy/{heavy}"));
    assert_eq!(weights(&scratch, "heavy"), chosen);
    let further = weights(&scratch, "heavy-seed-7");
    assert!(further != chosen && further != weights(&scratch, "train/repetition-seed-7"));
    let report = json(&scratch, "report.json");
    let notes = report["controls"].to_string();
    let reused = "The arm regularised, seed 7 has the same training as the stage train repetition, seed 7";
    assert!(notes.contains(reused) && notes.contains("for all seeds"), "{notes}");
    let arms = report["arms"].as_array().unwrap();
    let nats = |name: &str, seed: u64| {
        let arm = arms.iter().find(|arm| arm["name"] == name && arm["seed"] == seed).unwrap();
        (arm["validation"]["nats_per_token"].clone(), arm["flops"].clone())
    };
    assert_eq!(nats("regularised", 7), nats("repetition", 7));
    // Every seed has its weight decay from the sweep. Its own training is one more, where it is none of those that were tried.
    let flops = |folder: &str| flops_of(&scratch, folder);
    let decay = |weight_decay: u32| flops(&format!("sweep/heavy/weight-decay-{weight_decay}"));
    let prepared = |name: &str, seed: u64| {
        let arm = arms.iter().find(|arm| arm["name"] == name && arm["seed"] == seed).unwrap();
        arm["preparation_flops"].as_f64().unwrap()
    };
    let tried = flops("sweep/regularised/weight-decay-100") + flops("regularised");
    // What another seed's model was chosen from are the models of the recipe's own seed, repetition's among them.
    let further = tried + flops("train/repetition");
    assert!((prepared("regularised", 7) - further).abs() < 1e-9 * further, "{further}");
    assert_eq!(prepared("regularised", 0), tried);
    let other = if heavy == "weight-decay-90" { 100 } else { 90 };
    assert_eq!(prepared("heavy", 0), decay(other) + flops("heavy"));
    assert_eq!(prepared("heavy", 7), decay(90) + decay(100) + flops("heavy"));
    let status = scratch.succeeds(&["status", "runs/tiny"]);
    assert!(
        status.contains("train heavy, weight-decay-90  ") && !status.contains("regularised, weight-decay-0.1"),
        "{status}"
    );
    let plan: Value = serde_json::from_str(&scratch.succeeds(&["plan", "r.toml", "--json"])).unwrap();
    let row = |arm: &str| {
        let rows = plan["stages"].as_array().unwrap().iter().find(|row| row["stage"] == "train" && row["arm"] == arm);
        rows.unwrap_or_else(|| panic!("{arm}: {plan}"))["flops"].as_f64().unwrap()
    };
    assert_eq!(row("heavy, weight-decay-90"), row("repetition"));
    assert!(row("heavy") > 0.0 && row("heavy") < row("repetition"), "it only scores");
    assert_eq!(row("heavy, seed 7"), row("repetition"));
}

#[test]
fn a_regularised_arm_without_documents_to_choose_by_is_refused() {
    let sweep = "[[arm]]\nkind = \"regularised\"\nselection_documents = 2\n";
    let scratch = ready(&format!("{REPETITION}{sweep}"));
    let text = fs_err::read_to_string(scratch.path("r.toml")).unwrap();
    // Shares that leave almost nothing, and of so few documents none.
    let text = text.replace("unique_share = 0.2", "unique_share = 0.9499999");
    scratch.write("r.toml", text.replace("selection_share = 0.2", "selection_share = 0.00000004"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let error = "error: the arm `regularised` has no documents to choose by: the selection split is empty\n\
                 hint: raise [corpus] selection_share or the arm's selection_documents, or remove the arm\n";
    assert!(stderr.ends_with(error), "{stderr}");
    assert!(!scratch.path("runs/tiny/train/repetition").exists(), "before anything is trained");
}

#[test]
fn related_documents_stand_in_one_context() {
    let arms = format!("{REPETITION}[[arm]]\nkind = \"related-context\"\n");
    let (whole, killed) = (ready(&arms), ready(&arms));
    // So low that some documents of one topic count as near-copies.
    const NEAR_COPY: f32 = 0.9;
    for scratch in [&whole, &killed] {
        let text = fs_err::read_to_string(scratch.path("r.toml")).unwrap();
        scratch.write("r.toml", text.replace("[pair]\n", "[pair]\nmax_similarity = 0.9\n"));
    }
    whole.succeeds(&["run", "r.toml", "--threads", "3"]);
    run_killed_at(&killed, "train/related-context/checkpoints");
    assert_eq!(weights(&whole, "related-context"), weights(&killed, "related-context"));
    let report = json(&whole, "report.json");
    let (repetition, related) = (&report["arms"][0], &report["arms"][1]);
    for same in ["train_tokens", "unique_tokens", "epochs", "synthetic_tokens"] {
        assert_eq!(repetition[same], related[same], "{same}");
    }
    assert!(related["flops"].as_f64() > repetition["flops"].as_f64(), "attention over several documents is more work");
    assert_ne!(repetition["validation"], related["validation"]);

    // The contexts come from the nearest neighbours.
    let vectors = read_vectors(&whole.path("runs/tiny/embed/lsa/vectors.parquet"), &Silent).unwrap();
    let neighbours = exact_neighbours(&vectors, 10, &Silent).unwrap();
    let mut pairs = Vec::new();
    for first in 0..neighbours.len() {
        pairs.extend(neighbours.of(first).map(|(second, similarity)| Pair { first: first as u32, second, similarity }));
    }
    let with_copies = chains(vectors.len(), &pairs).len();
    pairs.retain(|pair| pair.similarity < NEAR_COPY);
    assert_ne!(chains(vectors.len(), &pairs).len(), with_copies, "this corpus has no near-copies");
    // The search is counted as that of the stage `pair` is, beside the model's own operations; it comes before them.
    let search = (vectors.len() * vectors.len() * vectors.width) as f64;
    let row = |stage: &str, arm: Option<&str>| {
        let rows = report["ledger"].as_array().unwrap();
        let row = rows.iter().find(|row| row["stage"] == stage && row["arm"].as_str() == arm);
        row.unwrap_or_else(|| panic!("{stage}"))["flops"].as_f64().unwrap()
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b;
    let last = whole.names("runs/tiny/train/related-context/checkpoints").into_iter().max().unwrap();
    let state = json(&whole, &format!("train/related-context/checkpoints/{last}/training.json"));
    let trained = state["progress"]["flops"].as_f64().unwrap();
    assert!(near(related["flops"].as_f64().unwrap(), trained), "{related} {trained}");
    assert!(near(row("train", Some("related-context")), trained + search));
    assert!(near(related["preparation_flops"].as_f64().unwrap(), row("embed", None) + search));
    assert!(row("embed", None) > 0.0 && repetition["preparation_flops"].is_null());
    let ids = vectors.ids;
    let packing = &json(&whole, "train/related-context/manifest.json")["statistics"]["packing"];
    let number = |name: &str| packing[name].as_u64().unwrap() as usize;
    assert_eq!((number("documents"), number("chains")), (ids.len(), chains(ids.len(), &pairs).len()));
    assert!(number("chains") < ids.len() / 4 && number("contexts") < ids.len() * 2 / 3, "{packing}");
    assert!(number("alone") < ids.len() / 4, "{packing}");
    // 1,024 tokens a batch are eight rows of 128.
    let tokens = related["unique_tokens"].as_u64().unwrap() as usize;
    assert_eq!((number("repeated_tokens"), number("cut_rows")), (tokens.next_multiple_of(128) - tokens, 0));
    let note = format!("saw its {} documents in {} contexts", ids.len(), number("contexts"));
    assert!(report["controls"].to_string().contains(&note), "{}", report["controls"]);
}

#[test]
fn rows_that_batches_cut_are_counted_and_told() {
    let scratch = ready(&format!("{REPETITION}[[arm]]\nkind = \"related-context\"\n"));
    let text = fs_err::read_to_string(scratch.path("r.toml")).unwrap();
    scratch.write("r.toml", text.replace("batch_tokens = 1024\npeak_rate", "batch_tokens = 1000\npeak_rate"));
    let plan = scratch.succeeds(&["plan", "r.toml"]);
    assert!(plan.contains("batch_tokens = 1000 is no multiple of [model] context = 128"), "{plan}");
    scratch.succeeds(&["run", "r.toml"]);
    let packing = &json(&scratch, "train/related-context/manifest.json")["statistics"]["packing"];
    // Of 40 batches the ends of the 16th and 32nd are ends of rows; the last cuts off what is not trained on.
    assert_eq!(packing["cut_rows"], 37, "{packing}");
    let notes = json(&scratch, "report.json")["controls"].to_string();
    assert!(notes.contains("37 rows were cut where a batch ended"), "{notes}");
}

/// With a learning rate of 1e-2, a weight decay of 1e30 multiplies weights by some -1e28 a step.
#[test]
fn a_candidate_that_diverges_loses_and_stops_nothing() {
    let sweep = "[[arm]]\nkind = \"regularised\"\nweight_decays = [1e30, 3]\n";
    let scratch = ready(&format!("{REPETITION}{sweep}"));
    let printed = scratch.succeeds(&["run", "r.toml"]);
    assert!(printed.contains("regularised"), "{printed}");
    let diverged = json(&scratch, "sweep/regularised/weight-decay-1000000000000000000000000000000/manifest.json");
    let how = diverged["statistics"]["diverged"].as_str().unwrap();
    assert!(how.starts_with("the ") && how.contains(" of step "), "{how}");
    let found = &json(&scratch, "train/regularised/manifest.json")["statistics"]["sweep"];
    assert_eq!((&found["chosen"], &found["candidates"][0]["nats_per_token"]), (&"weight-decay-3".into(), &Value::Null));
    assert_eq!(found["candidates"][0]["diverged"], how);
    assert_eq!(weights(&scratch, "regularised"), weights(&scratch, "sweep/regularised/weight-decay-3"));
    let selected = lines(&scratch.path("runs/tiny/train/regularised/selection.jsonl"));
    assert!(!selected.is_empty() && selected.iter().all(|line| line.contains("\"nats\":[null,")), "{selected:?}");
    let report = json(&scratch, "report.json");
    let note = format!("(diverged: {how}), weight-decay-3 (");
    assert!(report["controls"].to_string().contains(&note), "{}", report["controls"]);
    // What it cost until then is in the ledger.
    let rows = report["ledger"].as_array().unwrap().iter();
    let row = rows.clone().find(|row| row["stage"] == "train" && row["arm"] == "regularised").unwrap();
    let flops = |folder: &str| flops_of(&scratch, folder);
    let spent = diverged["flops"].as_f64().unwrap() + flops("sweep/regularised/weight-decay-3") + flops("regularised");
    assert!((row["flops"].as_f64().unwrap() - spent).abs() < 1e-6 * spent, "{row}");
    let again = scratch.succeeds(&["run", "r.toml"]);
    assert!(again.contains("regularised"), "{again}");

    let scratch = ready(&format!("{REPETITION}{}", sweep.replace("3]", "2e30]")));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let told =
        "error: train regularised: the arm `regularised` has no candidate to choose: the training of each diverged (";
    assert!(stderr.contains(told), "{stderr}");
    assert!(stderr.contains("hint: lower the arm's weight decays or rates, or remove the arm"), "{stderr}");
}

#[test]
fn too_few_documents_for_neighbours_are_told_before_anything_is_trained() {
    let scratch = ready(&format!("{REPETITION}[[arm]]\nkind = \"related-context\"\n"));
    let text = fs_err::read_to_string(scratch.path("r.toml")).unwrap();
    scratch.write("r.toml", text.replace("unique_share = 0.2", "unique_share = 0.005"));
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert_eq!(code, 1);
    let error = "error: the corpus is too small for the arm `related-context`: each document's 10 nearest neighbours are looked for, \
                 and the unique split holds ";
    assert!(stderr.contains(error) && stderr.contains("hint: lower [pair] neighbours to at most "), "{stderr}");
    assert!(
        scratch.path("runs/tiny/tokenize").exists() && !scratch.path("runs/tiny/embed").exists(),
        "before embedding"
    );
}
