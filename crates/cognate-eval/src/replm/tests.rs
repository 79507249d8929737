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
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// The golden documents as files.
fn files(folder: &TempDir) -> ReplmFiles {
    let golden = golden();
    let put = |name: &str| -> PathBuf {
        let path = folder.path().join(format!("{name}.json"));
        fs_err::write(&path, golden[name].to_string()).unwrap();
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
    Written { text: text.to_owned(), tokens: tokens.collect(), ended: true }
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
    let cut = Written { ended: false, ..written(" <==> heron <==> frogs (green)", 3) };
    assert_eq!(triples(&cut, "eats"), [], "but not be cut off there");
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

/// Letters that several tokens make: each of these has the whole letter, and a name at whose end it stands has them all.
#[test]
fn letters_of_several_tokens_are_of_all_of_them() {
    let mut written = Written::default();
    // `caf`, the two bytes of `é`, `)`, the four of a heron's emoji.
    for (at, text) in
        ["caf", "caf\u{fffd}", "café", "café)", "café)\u{fffd}", "café)\u{fffd}", "café)\u{fffd}", "café)🐦"]
            .into_iter()
            .enumerate()
    {
        written.add(text.to_owned(), -(at as f64));
    }
    let ranges: Vec<std::ops::Range<usize>> = written.tokens.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(ranges, [0..3, 3..5, 3..5, 5..6, 6..10, 6..10, 6..10, 6..10]);
    assert_eq!(
        written.tokens.iter().map(|(_, log)| *log).collect::<Vec<_>>(),
        (0..8).map(|at| -f64::from(at)).collect::<Vec<_>>()
    );
}

fn counts(row: u64, group: &str, [right, kept, gold, known]: [f64; 4]) -> Counts {
    Counts { row, group: group.to_owned(), of: Sums { right, kept, gold, known }, truncated: 0, lossy: 0 }
}

#[test]
fn figures_are_of_all_triples_and_ignore_what_examples_state() {
    let all = [
        counts(1, "P1", [2.0, 3.0, 4.0, 1.0]),
        counts(2, "P1", [0.0, 0.0, 2.0, 0.0]),
        counts(1, "P2", [1.0, 1.0, 1.0, 0.0]),
    ];
    let scores = scores(&all, 5);
    let near =
        |name: &str, value: f64| assert!((scores.metrics[name].value - value).abs() < 1e-12, "{name}: {scores:?}");
    // Three right of four kept and seven that there are; without the known one two of three.
    near("precision", 0.75);
    near("recall", 3.0 / 7.0);
    near("f1", 6.0 / 11.0);
    near("f1_ignoring_examples", 12.0 / 23.0);
    assert_eq!((scores.value, scores.n, scores.metric.as_str()), (6.0 / 11.0, 3, "f1"));
    // Two documents: 2·3 of 9 and 0 of 2. With R = 6/11, √(2 · ((6 − 9R)² + (2R)²)) / 11.
    assert!((scores.stderr.unwrap() - 0.198_347_107).abs() < 1e-8, "{:?}", scores.stderr);
    assert_eq!((scores.groups["P1"].value, scores.groups["P1"].n, scores.groups["P2"].value), (4.0 / 9.0, 2, 1.0));
    let nothing = super::scores(&[counts(1, "P1", [0.0, 0.0, 2.0, 0.0])], 5);
    assert_eq!((nothing.value, nothing.metrics["precision"].value), (0.0, 0.0));
}

/// Made-up answers to the golden questions: each set's answer is read as its own, and what an example states is known.
#[test]
fn answers_belong_to_their_sets_and_are_held_against_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Asked::read(&files(&folder), OPTIONS, &Silent).unwrap();
    let question =
        asked.asked.iter().find(|question| (question.document, &question.relation[..]) == (1, "P1")).unwrap();
    assert_eq!(question.sets.len(), 3);
    let texts = [" <==> heron <==> River Tamar)\n", " <==> heron <==> Exe)\n", " no triple"];
    let of_sets = texts.map(|text| {
        let shown = Shown { text: text.trim().to_owned(), truncated: text == texts[1], lossy: false };
        // Every token is certain.
        (shown, Written { text: text.to_owned(), tokens: vec![(0..text.len(), 0.0)], ended: true })
    });
    let found = asked.extraction(question, of_sets.into());
    assert_eq!(found.sets.iter().map(|set| set.written.as_str()).collect::<Vec<_>>(), texts);
    assert_eq!(found.sets.iter().map(|set| set.triples.len()).collect::<Vec<_>>(), [1, 1, 0]);
    // By hand: the softmax of the sets' similarities at 0.1.
    let weights: Vec<f64> = question.sets.iter().map(|(_, similarity)| (similarity / 0.1).exp()).collect();
    let share = |at: usize| weights[at] / weights.iter().sum::<f64>();
    for (object, at) in [("River Tamar", 0), ("Exe", 1)] {
        match found.triples.iter().find(|triple| triple.object == object) {
            Some(triple) => assert!((triple.probability - share(at)).abs() < 1e-9, "{object}"),
            None => assert!(share(at) < LEAST, "{object}"),
        }
    }
    let right: Vec<&str> =
        found.triples.iter().zip(&found.right).filter(|(_, right)| **right).map(|(t, _)| t.object.as_str()).collect();
    assert!(share(0) >= LEAST, "the seed gives the first set too little weight for this test");
    assert_eq!((right, found.gold, found.truncated), (vec!["River Tamar"], 1, 1));
    // Another document says by other names that the heron lives by the Tamar.
    assert_eq!(found.known, 1);
    let dipper = &asked.questions[0];
    assert!(!asked.is_known(dipper, "P1", &dipper.facts["P1"][0]), "nobody else says so of the dipper");
}

/// Sixty documents, of which those with a higher number share more words with the question. Words of more than half of them do not count.
#[test]
fn examples_are_drawn_from_the_nearest_without_the_document_itself() {
    let folder = tempfile::tempdir().unwrap();
    let document = |title: &str, words: Vec<String>| {
        json!({
            "title": title, "sents": [words], "vertexSet": [[{"name": "a"}], [{"name": "b"}]],
            "labels": [{"r": "P1", "h": 0, "t": 1}]
        })
    };
    let word = |of: usize, at: usize| format!("w{of}x{at}");
    let asked_words: Vec<String> = (0..60).map(|at| word(99, at)).collect();
    let example = |number: usize| {
        let words = (0..60).map(|at| if at < number { word(99, at) } else { word(number, at) }).collect();
        document(&number.to_string(), words)
    };
    let put = |name: &str, documents: Vec<Value>| {
        let path = folder.path().join(name);
        fs_err::write(&path, Value::Array(documents).to_string()).unwrap();
        path
    };
    let mut examples: Vec<Value> = (0..60).map(example).collect();
    examples.push(document("itself", asked_words.clone()));
    let files = ReplmFiles {
        questions: put("q.json", vec![document("q", asked_words)]),
        examples: put("e.json", examples),
        relations: None,
    };
    let read = |options: ReplmOptions| Asked::read(&files, options, &Silent).unwrap();
    let options = ReplmOptions { sets: 12, shots: 5, limit: None, seed: 1 };
    let asked = read(options);
    let sets = &asked.asked[0].sets;
    let drawn: BTreeSet<usize> = sets.iter().flat_map(|(set, _)| set.iter().copied()).collect();
    assert!(
        drawn.iter().all(|example| (40..60).contains(example)),
        "the twenty nearest, and not 60, itself: {drawn:?}"
    );
    assert!(drawn.len() > 15, "{drawn:?}");
    assert!(sets.iter().all(|(set, _)| set.iter().collect::<BTreeSet<_>>().len() == 5));
    // What is near says so.
    let nearer = |one: &(Vec<usize>, f64), other: &(Vec<usize>, f64)| {
        one.0.iter().min() > other.0.iter().max() && one.1 <= other.1
    };
    assert!(!sets.iter().any(|one| sets.iter().any(|other| nearer(one, other))));
    // More sets begin with the same ones, and all others are as many as there are.
    assert_eq!(read(ReplmOptions { sets: 20, ..options }).asked[0].sets[..12], sets[..]);
    let all = read(ReplmOptions { shots: NEAREST, ..options });
    assert!(
        all.asked[0]
            .sets
            .iter()
            .all(|(set, _)| set.iter().all(|example| (40..60).contains(example)) && set.len() == 20)
    );
    assert_ne!(read(ReplmOptions { seed: 2, ..options }).asked[0].sets, *sets);
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

const OPTIONS: ReplmOptions = ReplmOptions { sets: 3, shots: 2, limit: None, seed: 4 };

/// What a model scores, and each question.
fn measured(
    model: &mut Ensemble<Cpu>,
    files: &ReplmFiles,
    options: ReplmOptions,
    batch: usize,
) -> (TaskScores, Vec<Extraction>) {
    let asked = Asked::read(files, options, &Silent).unwrap();
    let mut found = Vec::new();
    let scores = extract(model, &tokenizer(), &asked, batch, |one| found.push(one), &Silent).unwrap();
    (scores, found)
}

#[test]
fn a_model_is_asked_once_for_each_set_and_its_answer_does_not_depend_on_batches() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let mut model = model(400, 1200, 2);
    let (scores, found) = measured(&mut model, &files, OPTIONS, 2000);
    let asked: Vec<(u64, &str)> = found.iter().map(|one| (one.row, one.group.as_str())).collect();
    assert_eq!(asked, [(1, "P1"), (2, "P1"), (1, "P2")]);
    assert_eq!((scores.n, scores.shots, scores.truncated), (3, 2, 0));
    for one in &found {
        assert_eq!(one.sets.len(), 3);
        for set in &one.sets {
            assert_eq!(set.examples.len(), 2);
            assert!(!set.examples.contains(&"Long".to_owned()), "its text is too long for an example");
            let name = if one.group == "P1" { "lives by" } else { "eats" };
            assert!(set.prompt.ends_with(&format!("\nRelation: ({name}")));
        }
    }
    assert_eq!(measured(&mut model, &files, OPTIONS, 1).1, found);
    assert_eq!(measured(&mut model, &files, ReplmOptions { limit: Some(1), ..OPTIONS }, 2000).1.len(), 2);
    let (short, cut) = measured(&mut self::model(400, 400, 1), &files, OPTIONS, 2000);
    assert_eq!((short.truncated, cut[0].truncated), (3, 3), "questions, and prompts that lose their left side");
    // Of two relations, one has enough examples.
    let three = measured(&mut model, &files, ReplmOptions { shots: 3, ..OPTIONS }, 2000).1;
    assert!(three.len() == 2 && three.iter().all(|one| one.group == "P1"));
}

/// What the model writes is what it finds likeliest, token by token, and a token is as likely as its logits say.
#[test]
fn tokens_have_the_probabilities_of_their_logits() {
    let tokenizer = tokenizer();
    let mut model = model(400, 300, 1);
    model.members_mut()[0].parameters_mut().iter_mut().for_each(|p| *p *= 3.0);
    let prompt = tokenizer.encode("the heron eats").unwrap();
    let answer = write(&mut model, &tokenizer, vec![prompt.clone()], (12, 100), &|at| at.to_string(), &Silent)
        .unwrap()
        .remove(0);
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
    let read = |files: &ReplmFiles| Asked::read(files, OPTIONS, &Silent).map(drop);
    read(&good).unwrap();
    let refused = |name: &str, content: &str| {
        let path = folder.path().join("bad.json");
        fs_err::write(&path, content).unwrap();
        let mut files = good.clone();
        match name {
            "questions" => files.questions = path,
            "examples" => files.examples = path,
            _ => files.relations = Some(path),
        }
        read(&files).unwrap_err().to_string()
    };
    let golden = golden();
    let changed = |change: fn(&mut Value)| {
        let mut questions = golden["questions"].clone();
        change(&mut questions[1]);
        questions.to_string()
    };
    let same = Value::Array(vec![golden["examples"][0].clone(); 3]).to_string();
    let long = json!([golden["examples"][3], golden["examples"][0]]).to_string();
    for (name, content, said) in [
        ("questions", "{\"sents\": []}".to_owned(), "expected an array of documents"),
        ("questions", "[]".to_owned(), "it holds no documents"),
        ("questions", "[{\"sents\": [[\"a\"]], \"vertexSet\": []}, 7]".to_owned(), "document 2: "),
        ("questions", changed(|one| one["sents"][0][0] = Value::Null), "document 2: "),
        ("questions", changed(|one| one["sents"] = json!([])), "document 2 (\"Heron 2\"): `sents` has no words"),
        (
            "questions",
            changed(|one| one["vertexSet"][0][0]["name"] = json!(" ")),
            "document 2 (\"Heron 2\"): an entity of `vertexSet` has an empty",
        ),
        (
            "questions",
            changed(|one| one["labels"][0]["t"] = json!(7)),
            "document 2 (\"Heron 2\"): a label is of the entities 0 and 7",
        ),
        ("examples", same, "no word that half of them do not have"),
        ("examples", long, "2 documents of at most 1000 characters"),
        ("names", "{\"P1\": \"lives by\"}".to_owned(), "no name for the relation P2"),
        ("names", "[\"P1\"]".to_owned(), "expected an object of names by relation"),
    ] {
        let error = refused(name, &content);
        assert!(error.contains(said) && error.contains("bad.json"), "{error}");
    }
    let missing = ReplmFiles { examples: folder.path().join("none.json"), ..good.clone() };
    assert!(read(&missing).unwrap_err().to_string().contains("none.json"));
    // Words may be numbers.
    let numbers = changed(|one| one["sents"][0][0] = json!(1999));
    fs_err::write(folder.path().join("bad.json"), numbers).unwrap();
    let numbers = ReplmFiles { questions: folder.path().join("bad.json"), ..good.clone() };
    assert!(Asked::read(&numbers, OPTIONS, &Silent).unwrap().questions[1].text.starts_with("1999 grey"));
}
