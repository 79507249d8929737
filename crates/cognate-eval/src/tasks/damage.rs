//! Damaged and hostile files of tasks: 20,000 in each run, or as many as `COGNATE_FUZZ_INPUTS` says.
//!
//! A record is refused by an error that names file and line, or is a question: it has a right choice, and every request of it can be
//! made. Nothing panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cognate_base::random::{ChaCha8Rng, Rng, RngExt, stream};
use cognate_corpus::{Records, Tokenizer};
use serde_json::{Map, Value, json};

use super::definition::Kind;
use super::record::Question;
use super::request::Encoder;
use super::{Definition, names};
use crate::rows::Rows;

fn pick<'a, T>(random: &mut ChaCha8Rng, list: &'a [T]) -> &'a T {
    &list[random.random_range(0..list.len())]
}

/// A good record of each task.
fn good(task: &str) -> Map<String, Value> {
    let record = match task {
        "arc_easy" | "arc_challenge" => {
            json!({"question": "Why?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"})
        }
        "piqa" => json!({"goal": "g", "sol1": "a", "sol2": "b", "label": 1}),
        "winogrande" => json!({"sentence": "A met B so _ ran.", "option1": "A", "option2": "B", "answer": "2"}),
        "hellaswag" => {
            let endings = ["eats [title] it.", "b", "c", "d"];
            json!({"activity_label": "x", "ctx_a": "A [y] z.", "ctx_b": "then HE", "label": "1", "endings": endings})
        }
        "sciq" => {
            json!({"support": " s", "question": "q", "distractor1": "a", "distractor2": "b", "distractor3": "c", "correct_answer": "d"})
        }
        "boolq" => json!({"question": "is it", "answer": true, "passage": "It is."}),
        "mmlu" => json!({"question": " q ", "subject": "high_school", "choices": ["1", "2", "3", "4"], "answer": 1}),
        "extraction_once" | "extraction_several" | "in_context" => json!({"text": "a b / a b", "group": "once"}),
        "lambada" => json!({"text": "I don't care\nabout signs"}),
        "blimp" => json!({"sentence_good": "She left.", "sentence_bad": "Her left.", "UID": "case"}),
        "triviaqa" => json!({"question": "Who?", "answer": {"value": "Me", "aliases": ["I", "Me"]}}),
        "webquestions" => json!({"question": "Who?", "answers": ["I", "Me"]}),
        other => panic!("no record for {other}"),
    };
    let Value::Object(fields) = record else { unreachable!() };
    fields
}

/// Some value that does not belong, or does.
fn value(random: &mut ChaCha8Rng) -> Value {
    match random.random_range(0..12) {
        0 => Value::Null,
        1 => json!(random.random_range(0..2) == 0),
        2 => json!(random.random_range(0..5)),
        3 => json!(pick(random, &[-1.0, 0.0, 1.0, 2.0, 1.5, 1e300, -1e300])),
        4 => json!(pick(random, &[u64::MAX, 1 << 53, 1 << 32])),
        5 => json!(i64::MIN),
        6 => json!(pick(
            random,
            &["", " ", "_", "A", "1", "True", "no", "\u{0}", "ǆ é\u{1c}", "[title] [", "a_b_c", "\n\n"]
        )),
        7 => json!([]),
        8 => json!({}),
        9 => json!(["A", 1, null, true]),
        10 => json!({"text": ["a"], "label": [1, 2], "aliases": []}),
        _ => json!("x ".repeat(random.random_range(0..200))),
    }
}

/// Fields removed, replaced, moved or added, at the top or within one.
fn fields(random: &mut ChaCha8Rng, record: &mut Map<String, Value>) {
    let Some(name) = record.keys().nth(random.random_range(0..record.len().max(1))).cloned() else { return };
    match random.random_range(0..8) {
        0 => drop(record.remove(&name)),
        1..=3 => drop(record.insert(name, value(random))),
        4 => {
            let other = record.keys().next_back().cloned().unwrap_or_default();
            if let (Some(a), Some(b)) = (record.get(&name).cloned(), record.get(&other).cloned()) {
                record.insert(name, b);
                record.insert(other, a);
            }
        }
        5 => drop(record.insert(pick(random, &["label", "answer", "choices", "text"]).to_string(), value(random))),
        _ => match record.get_mut(&name) {
            Some(Value::Object(inner)) => fields(random, inner),
            Some(Value::Array(items)) if !items.is_empty() => {
                let at = random.random_range(0..items.len());
                if random.random_range(0..3) == 0 { drop(items.remove(at)) } else { items[at] = value(random) }
            }
            _ => {}
        },
    }
}

fn bytes(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let at = random.random_range(0..len);
        match random.random_range(0..6) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.next_u64() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + random.random_range(1..30usize)).min(len))),
            4 => bytes.insert(at, *pick(random, b"\n{\"[\\")),
            _ => bytes[at] = b'0' + random.random_range(0..10) as u8,
        }
    }
}

/// Questions that a file gives, and whether it was refused; panics where something is wrong with either.
fn questions(task: &Definition, path: &Path, encoder: &Encoder<'_>) -> (usize, bool) {
    let start = path.display().to_string();
    let records = match Records::open(path) {
        Ok(records) => records,
        Err(error) => {
            assert!(error.to_string().contains(&start), "{error}");
            return (0, true);
        }
    };
    let mut found = 0;
    for record in records {
        let question = match record.map_err(crate::Error::from).and_then(|record| Question::new(task, &record)) {
            Ok(question) => question,
            Err(error) => {
                assert!(error.to_string().starts_with(&start), "{error}");
                return (found, true);
            }
        };
        found += 1;
        let example = question.as_example();
        assert!(task.kind == Kind::Generation || question.gold < question.choices.len());
        assert!(example.ends_with("\n\n"));
        for choice in 0..question.choices.len() {
            let (context, continuation) = (question.context(choice), question.continuation(choice));
            // Refused or made, as long as the model's context allows.
            match encoder.pair(&question.origin, context, &continuation) {
                Ok(made) => {
                    assert!(made.tokens.prompt.len() + made.tokens.continuation.len() <= encoder.max_positions + 1)
                }
                Err(error) => assert!(error.to_string().starts_with(&start), "{error}"),
            }
        }
    }
    (found, false)
}

#[test]
fn a_damaged_file_of_a_task_is_refused_or_questions() {
    let cases: u64 = std::env::var("COGNATE_FUZZ_INPUTS").map_or(20_000, |cases| cases.parse().unwrap());
    let tasks: Vec<Definition> = names().map(|name| Definition::bundled(name).unwrap()).collect();
    let tokenizer = Tokenizer::train(["the cat sat on the mat".repeat(3)].into_iter(), 270).unwrap();
    let encoder = Encoder::new(Rows { tokenizer: &tokenizer, rows: tokenizer.vocab_size() }, 64).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.jsonl");
    let (mut taken, mut refused) = (vec![0u64; tasks.len()], vec![0u64; tasks.len()]);
    for case in 0..cases {
        let mut random = stream(2026, "files of tasks", case);
        let at = case as usize % tasks.len();
        let mut records: Vec<Map<String, Value>> = (0..3).map(|_| good(&tasks[at].name)).collect();
        if random.random_range(0..2) == 0 {
            let record = random.random_range(0..3);
            (0..random.random_range(1..3)).for_each(|_| fields(&mut random, &mut records[record]));
        }
        let lines = records.iter().map(|record| format!("{}\n", Value::Object(record.clone())));
        let mut text = lines.collect::<String>().into_bytes();
        if random.random_range(0..2) == 0 {
            bytes(&mut random, &mut text);
        }
        fs_err::write(&path, &text).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| questions(&tasks[at], &path, &encoder)));
        let Ok((found, bad)) = result else {
            panic!("case {case}, {}: see above; {:?}", tasks[at].name, String::from_utf8_lossy(&text))
        };
        taken[at] += u64::from(found == 3 && !bad);
        refused[at] += u64::from(bad);
    }
    // Both outcomes are common for each task, or the damage shows nothing.
    let each = cases / tasks.len() as u64;
    for (task, (taken, refused)) in tasks.iter().zip(taken.iter().zip(&refused)) {
        assert!(*taken > each / 20 && *refused > each / 20, "{}: {taken} taken, {refused} refused", task.name);
    }
}
