//! Prompts and aggregation against golden values of numpy; parsing and matching by hand; a run on a model of random weights.

use std::path::PathBuf;

use cognate_base::Silent;
use cognate_model::{Config, Decoder};
use cognate_ops::Cpu;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::written::Written;
use super::*;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/replm/replm.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The golden documents as files.
fn files(folder: &TempDir) -> ReplmFiles {
    let golden = golden();
    let put = |name: &str| -> PathBuf {
        let path = folder.path().join(format!("{name}.json"));
        std::fs::write(&path, golden[name].to_string()).unwrap();
        path
    };
    ReplmFiles { questions: put("questions"), examples: put("examples"), relations: Some(put("names")) }
}

fn triple(subject: &str, object: &str, probability: f64) -> Triple {
    Triple { subject: subject.to_owned(), object: object.to_owned(), probability }
}

#[test]
fn prompts_are_those_of_the_reference() {
    let (folder, golden) = (tempfile::tempdir().unwrap(), golden());
    let files = files(&folder);
    let (questions, examples) = (docred::read(&files.questions).unwrap(), docred::read(&files.examples).unwrap());
    let asked = golden["prompts"].as_array().unwrap();
    assert_eq!(asked.len(), 3);
    for one in asked {
        let relation = one["relation"].as_str().unwrap();
        let chosen = one["examples"].as_array().unwrap().iter().map(|at| &examples[at.as_u64().unwrap() as usize]);
        let shown = chosen.map(|document| (document.text.as_str(), &document.facts[relation][..]));
        let question = &questions[one["question"].as_u64().unwrap() as usize];
        let name = golden["names"][relation].as_str().unwrap();
        assert_eq!(prompt(name, shown, &question.text), one["prompt"].as_str().unwrap());
    }
}

#[test]
fn sets_are_put_together_as_by_the_reference() {
    let golden = golden();
    let all = golden["aggregations"].as_array().unwrap();
    let mut kept_and_dropped = [0, 0];
    for one in all {
        let triples = |of: &Value| -> Vec<Triple> {
            let triple = |t: &Value| triple(t[0].as_str().unwrap(), t[1].as_str().unwrap(), t[2].as_f64().unwrap());
            of.as_array().unwrap().iter().map(triple).collect()
        };
        let sets: Vec<(f64, Vec<Triple>)> =
            one["sets"].as_array().unwrap().iter().map(|set| (set[0].as_f64().unwrap(), triples(&set[1]))).collect();
        let sets = sets.iter().map(|(similarity, triples)| (*similarity, &triples[..]));
        let (found, expected) = (together(sets.clone(), TEMPERATURE, LEAST), triples(&one["kept"]));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.subject, &found.object), (&expected.subject, &expected.object));
            assert!((found.probability - expected.probability).abs() < 1e-12, "{found:?} {expected:?}");
        }
        kept_and_dropped[0] += found.len();
        kept_and_dropped[1] += together(sets, TEMPERATURE, 0.0).len() - found.len();
    }
    assert!(kept_and_dropped.iter().all(|count| *count > 5), "{kept_and_dropped:?}");
}

/// A text in tokens of `length` bytes, the ln p of token n being −n / 10.
fn written(text: &str, length: usize) -> Written {
    let tokens = (0..text.len()).step_by(length).enumerate();
    let tokens = tokens.map(|(at, start)| (start..(start + length).min(text.len()), -(at as f64) / 10.0));
    Written { text: text.to_owned(), tokens: tokens.collect() }
}

#[test]
fn triples_are_read_line_by_line_until_one_is_none() {
    let read = |text: &str| -> Vec<(String, String)> {
        triples(&written(text, 3), "eats").into_iter().map(|found| (found.subject, found.object)).collect()
    };
    let pair = |subject: &str, object: &str| (subject.to_owned(), object.to_owned());
    let one = " <==> heron <==> frogs)\n";
    assert_eq!(read(one), [pair("heron", "frogs")]);
    let two = format!("{one}Relation: (eats <==> otter <==> eels (all))\n\nContext: more");
    assert_eq!(read(&two), [pair("heron", "frogs"), pair("otter", "eels (all)")]);
    assert_eq!(read(" <==> heron <==> frogs)"), [pair("heron", "frogs")], "the text may end there");
    assert_eq!(read(&format!("{one}Relation: (eats <==> otter <==> ee")), [pair("heron", "frogs")], "cut off");
    assert_eq!(read(&format!("{one}Relation: (lives by <==> otter <==> Avon)\n")), [pair("heron", "frogs")]);
    for none in ["", "heron <==> frogs)\n", " <==> heron)\n", " <==> he\nron <==> frogs)\n", " <==>  <==> frogs)\n"] {
        assert_eq!(read(none), [], "{none:?}");
    }
}

#[test]
fn a_triple_is_as_likely_as_subject_and_object_by_their_tokens() {
    // Tokens of three bytes: ` <=`, `=> `, `her`, `on `, `<==`, `> f`, `rog`, `s)\n`.
    let found = triples(&written(" <==> heron <==> frogs)\n", 3), "eats");
    // Behind the separator: ` heron` of tokens 1 to 3, ` frogs` of 5 to 7.
    let expected = (-(0.1 + 0.2 + 0.3) / 3.0f64).exp() * (-(0.5 + 0.6 + 0.7) / 3.0f64).exp();
    assert_eq!(found.len(), 1);
    assert!((found[0].probability - expected).abs() < 1e-12, "{} {expected}", found[0].probability);
}

#[test]
fn a_fact_takes_one_triple_by_any_of_its_names() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let fact = |subjects: &[&str], objects: &[&str]| Fact { subjects: names(subjects), objects: names(objects) };
    let facts = [fact(&["dipper", "water ouzel"], &["Dart"]), fact(&["heron"], &["Tamar", "River Tamar"])];
    let found = [
        triple("water ouzel", "Dart", 0.9),
        triple("dipper", "Dart", 0.8),
        triple("Dart", "dipper", 0.7),
        triple("heron", "River Tamar", 0.6),
    ];
    assert_eq!(right(&facts, &found), [Some(0), None, None, Some(1)]);
}

#[test]
fn figures_are_of_all_triples_and_ignore_what_examples_state() {
    let found = |group: &str, right: &[bool], gold, known| Extraction {
        task: REPLM,
        row: 1,
        title: String::new(),
        group: group.to_owned(),
        sets: Vec::new(),
        triples: vec![triple("a", "b", 0.5); right.len()],
        right: right.to_vec(),
        gold,
        known,
        truncated: false,
        lossy: false,
    };
    let all = [found("P1", &[true, true, false], 4, 1), found("P1", &[], 2, 0), found("P2", &[true], 1, 0)];
    let scores = scores(&all, 5);
    let value = |name: &str| scores.metrics[name].value;
    // Three right of four kept and seven that there are.
    assert_eq!((value("precision"), value("recall"), value("f1")), (0.75, 3.0 / 7.0, 6.0 / 11.0));
    let precision = 2.0 / 3.0;
    assert!((value("f1_ignoring_examples") - 2.0 * precision * (3.0 / 7.0) / (precision + 3.0 / 7.0)).abs() < 1e-12);
    assert_eq!((scores.value, scores.n, scores.metric.as_str()), (6.0 / 11.0, 3, "f1"));
    assert!(scores.stderr.is_some());
    assert_eq!((scores.groups["P1"].value, scores.groups["P1"].n, scores.groups["P2"].value), (4.0 / 9.0, 2, 1.0));
    let nothing = super::scores(&[found("P1", &[], 2, 0)], 5);
    assert_eq!((nothing.value, nothing.metrics["precision"].value), (0.0, 0.0));
}

fn tokenizer() -> Tokenizer {
    let golden = golden();
    let texts: Vec<String> =
        golden["prompts"].as_array().unwrap().iter().map(|one| one["prompt"].as_str().unwrap().to_owned()).collect();
    Tokenizer::train(texts.into_iter(), 400).unwrap()
}

fn model(vocab: usize, max_positions: usize, threads: usize) -> Ensemble<Cpu> {
    let config = Config {
        vocab,
        width: 32,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_width: 16,
        ffn: 64,
        max_positions,
        rope_base: 10_000.0,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: true,
    };
    Decoder::new(Cpu::new(threads).unwrap(), config, 8).unwrap().into()
}

const OPTIONS: ReplmOptions = ReplmOptions { sets: 3, shots: 2, limit: None, seed: 4, batch_tokens: 2000 };

#[test]
fn a_model_is_asked_once_for_each_set_and_its_answer_does_not_depend_on_batches() {
    let folder = tempfile::tempdir().unwrap();
    let (files, tokenizer) = (files(&folder), tokenizer());
    let mut model = model(400, 1200, 2);
    let (scores, found) = extract(&mut model, &tokenizer, &files, OPTIONS, &Silent).unwrap();
    let asked: Vec<(u64, &str)> = found.iter().map(|one| (one.row, one.group.as_str())).collect();
    assert_eq!(asked, [(1, "P1"), (2, "P1"), (1, "P2")]);
    assert_eq!((scores.n, scores.shots, scores.truncated), (3, 2, 0));
    for one in &found {
        assert_eq!(one.sets.len(), 3);
        for set in &one.sets {
            assert_eq!(set.examples.len(), 2);
            assert!(!set.examples.contains(&"Long".to_owned()), "its text is too long for an example");
            assert!(
                set.prompt.ends_with(&format!("\nRelation: ({}", if one.group == "P1" { "lives by" } else { "eats" }))
            );
            assert!((-1.0..=1.000_001).contains(&set.similarity));
        }
    }
    let orders: BTreeSet<&Vec<String>> = found.iter().flat_map(|one| &one.sets).map(|set| &set.examples).collect();
    assert!(orders.len() > 3, "sets differ: {orders:?}");
    let (_, alone) =
        extract(&mut model, &tokenizer, &files, ReplmOptions { batch_tokens: 1, ..OPTIONS }, &Silent).unwrap();
    assert_eq!(alone, found);
    let (_, first) =
        extract(&mut model, &tokenizer, &files, ReplmOptions { limit: Some(1), ..OPTIONS }, &Silent).unwrap();
    assert_eq!(first.len(), 2);
    let short = extract(&mut self::model(400, 400, 1), &tokenizer, &files, OPTIONS, &Silent).unwrap().0;
    assert_eq!(short.truncated, 3, "prompts lose their left side");
}

/// What the model writes is what it finds likeliest, token by token, and a token is as likely as its logits say.
#[test]
fn tokens_have_the_probabilities_of_their_logits() {
    let tokenizer = tokenizer();
    let mut model = model(400, 300, 1);
    model.members_mut()[0].parameters_mut().iter_mut().for_each(|p| *p *= 3.0);
    let prompt = tokenizer.encode("the heron eats").unwrap();
    let answer = write(&mut model, &tokenizer, vec![prompt.clone()], 12, 100, &Silent).unwrap().remove(0);
    assert!(!answer.tokens.is_empty());
    let mut tokens = prompt;
    let mut text = Vec::new();
    for (_, log) in &answer.tokens {
        let mut batch = cognate_model::Batch::new();
        batch.push(&tokens, &vec![cognate_model::IGNORE; tokens.len()]);
        let logits = model.members_mut()[0].logits(&batch).unwrap();
        let row = &logits[(tokens.len() - 1) * 400..];
        let best = likeliest_of(row);
        let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        assert!((log - (f64::from(row[best]) - total.ln())).abs() < 1e-4, "{log}");
        tokens.push(best as u32);
        text.push(best as u32);
    }
    assert_eq!(answer.text, tokenizer.decode(&text).unwrap());
    assert_eq!(answer.tokens.last().unwrap().0.end, answer.text.len());
}

fn likeliest_of(row: &[f32]) -> usize {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
}

#[test]
fn files_that_are_no_documents_with_relations_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(&folder);
    check(&good).unwrap();
    let refused = |name: &str, content: Value| {
        let path = folder.path().join("bad.json");
        std::fs::write(&path, content.to_string()).unwrap();
        let mut files = good.clone();
        match name {
            "questions" => files.questions = path,
            "examples" => files.examples = path,
            _ => files.relations = Some(path),
        }
        check(&files).unwrap_err().to_string()
    };
    let golden = golden();
    let mut label = golden["questions"].clone();
    label[0]["labels"][0]["t"] = json!(7);
    for (name, content, said) in [
        ("questions", json!({"sents": []}), "expected an array of documents"),
        ("questions", json!([]), "it holds no documents"),
        ("questions", label, "document 1 (\"Dipper\"): a label is of the entities 0 and 7, and `vertexSet` has 3"),
        ("examples", json!([golden["examples"][3].clone()]), "none of its documents of at most 1000 characters"),
        ("names", json!({"P1": "lives by"}), "no name for the relation P2"),
        ("names", json!(["P1"]), "expected an object of names by relation"),
    ] {
        let error = refused(name, content);
        assert!(error.contains(said) && error.contains("bad.json"), "{error}");
    }
    let mut missing = good.clone();
    missing.examples = folder.path().join("none.json");
    assert!(check(&missing).unwrap_err().to_string().contains("none.json"));
}
