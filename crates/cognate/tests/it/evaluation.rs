//! `evaluate` on tasks: files found or not, figures, and what each question contributed.

use serde_json::Value;

use crate::support::{Scratch, corpus, lines};

/// A scratch folder with a small checkpoint; its path there.
fn checkpoint() -> (Scratch, &'static str) {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "t.json", "--train", "300", "--out", "tokens"]);
    scratch.succeeds(
        &"train --tokens tokens --tokenizer t.json --out base --budget-tokens 2000 --batch-tokens 500 --context 64 \
          --layers 1 --width 32 --heads 2"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    (scratch, "base/checkpoints/step-00000004")
}

/// Records of arc_easy and blimp in the fields of the published files, all made up.
fn write_data(scratch: &Scratch) {
    let arc = |question: &str, key: &str| {
        format!(
            "{{\"id\": \"x\", \"question\": \"{question}\", \"choices\": {{\"text\": [\"bade\", \"fi gohu\", \"ka\"], \"label\": \
             [\"A\", \"B\", \"C\"]}}, \"answerKey\": \"{key}\"}}\n"
        )
    };
    scratch.write("data/arc_easy.jsonl", arc("leba de?", "A") + &arc("mi no?", "C") + &arc("zu?", "B"));
    let pair = |group: &str| {
        format!("{{\"sentence_good\": \"bade fi.\", \"sentence_bad\": \"fi bade.\", \"UID\": \"{group}\"}}\n")
    };
    scratch.write("data/blimp.jsonl", pair("one").repeat(3) + &pair("two").repeat(3));
}

#[test]
fn tasks_have_figures_and_a_line_a_question() {
    let (scratch, checkpoint) = checkpoint();
    write_data(&scratch);
    let arguments = [
        "evaluate",
        "--checkpoint",
        checkpoint,
        "--data-dir",
        "data",
        "--tasks",
        "arc_easy,blimp,perplexity",
        "--documents",
        "documents.jsonl",
        "--limit",
        "2",
        "--requests-out",
        "out/requests.jsonl",
        "--json",
    ];
    let found: Value = serde_json::from_str(&scratch.succeeds(&arguments)).unwrap();
    let outcomes: Vec<Value> =
        lines(&scratch.path("out/requests.jsonl")).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |task: &str| outcomes.iter().filter(|outcome| outcome["task"] == task).collect::<Vec<_>>();
    // Two of arc_easy, and two of each paradigm.
    assert_eq!((of("arc_easy").len(), of("blimp").len()), (2, 4));
    for task in ["arc_easy", "blimp"] {
        let scores = &found["tasks"][task];
        let right: f64 = of(task).iter().map(|outcome| outcome["metrics"]["accuracy"].as_f64().unwrap()).sum();
        assert_eq!(scores["metric"], "accuracy");
        assert_eq!(scores["n"].as_u64().unwrap() as usize, of(task).len());
        assert!((scores["value"].as_f64().unwrap() - right / of(task).len() as f64).abs() < 1e-12);
        assert!(scores["stderr"].is_number() && scores["metrics"]["accuracy_per_character"]["stderr"].is_number());
    }
    assert_eq!(found["tasks"]["blimp"]["groups"]["two"]["n"], 2);
    assert_eq!(of("arc_easy")[1]["row"], 2);
    assert_eq!(of("arc_easy")[1]["choices"].as_array().unwrap().len(), 3);
    // Perplexity stays where it was, beside the tasks.
    assert_eq!(found["tasks"]["perplexity"]["metric"], "perplexity");
    assert_eq!(found["tasks"]["perplexity"]["value"], found["perplexity"]);
    // Once more, on one thread and in other batches: the same bits.
    let mut other = arguments.to_vec();
    other[12] = "out/again.jsonl";
    other.extend(["--threads", "1", "--batch-tokens", "1"]);
    scratch.succeeds(&other);
    assert_eq!(lines(&scratch.path("out/again.jsonl")), lines(&scratch.path("out/requests.jsonl")));
    let text = scratch.succeeds(&["evaluate", "--checkpoint", checkpoint, "--data-dir", "data", "--tasks", "arc_easy"]);
    assert!(text.starts_with("arc_easy (3 documents, 0 examples before each)\n* accuracy "), "{text}");
}

#[test]
fn bad_files_are_named_and_nothing_is_written() {
    let (scratch, checkpoint) = checkpoint();
    write_data(&scratch);
    let fails = |more: &[&str]| {
        let start = ["evaluate", "--checkpoint", checkpoint, "--quiet", "--requests-out", "requests.jsonl"];
        let failure = scratch.fails(&[&start[..], more].concat());
        assert!(!scratch.path("requests.jsonl").exists());
        failure
    };
    assert_eq!(
        fails(&["--tasks", "piqa"]),
        (2, "error: --data-dir = not given: expected a file for piqa: --task-file piqa=FILE, or --data-dir\n".into())
    );
    let (code, stderr) = fails(&["--tasks", "piqa", "--data-dir", "data"]);
    assert_eq!(code, 2);
    assert_eq!(
        stderr,
        "error: --data-dir = data: expected a folder with piqa.{jsonl,jsonl.zst,jsonl.gz,json,parquet}\n"
    );
    let (code, stderr) = fails(&["--tasks", "arc_easy", "--task-file", "arc_easy=data/blimp.jsonl"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: data/blimp.jsonl:1: no field \"choices.text\"; the record has \""), "{stderr}");
    scratch.write("bad.jsonl", lines(&scratch.path("data/arc_easy.jsonl"))[1].replace("\"C\"}", "\"D\"}"));
    let (code, stderr) = fails(&["--tasks", "arc_easy", "--task-file", "arc_easy=bad.jsonl"]);
    let expected = "error: bad.jsonl:1: field \"answerKey\": the label \"D\" is none of the choices A, B, C\n";
    assert_eq!((code, stderr.as_str()), (1, expected));
    let (code, stderr) = fails(&["--tasks", "arc"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("arc_easy") && stderr.contains("webquestions"), "{stderr}");
    let (code, stderr) = fails(&[]);
    assert_eq!(code, 2, "perplexity needs documents");
    assert!(stderr.starts_with("error: --documents = not given: expected the documents"), "{stderr}");
}
