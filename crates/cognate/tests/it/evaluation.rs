//! `evaluate` on tasks: files found or not, figures, and what each question contributed.

use serde_json::Value;

use crate::support::{Scratch, corpus, lines, recipe};

/// A scratch folder with a small checkpoint; its path there.
fn checkpoint() -> (Scratch, &'static str) {
    checkpoint_of(64)
}

/// The same with a model of other positions.
fn checkpoint_of(context: usize) -> (Scratch, &'static str) {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "t.json", "--train", "300", "--out", "tokens"]);
    scratch.succeeds(
        &format!(
            "train --tokens tokens --tokenizer t.json --out base --budget-tokens 2000 --batch-tokens 500 --context {context} \
             --layers 1 --width 32 --heads 2"
        )
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

/// Documents with relations, as DocRED has them: the first four sentences of the corpus, each with two entities.
fn documents_with_relations(count: usize) -> String {
    let document = |at: usize| {
        serde_json::json!({
            "title": format!("d{at}"), "sents": [["bade", "fi", "of", format!("go{at}")], ["ka", "."]],
            "vertexSet": [[{"name": "bade fi"}], [{"name": format!("go{at}")}]], "labels": [{"r": "P1", "h": 0, "t": 1}]
        })
    };
    serde_json::Value::Array((0..count).map(document).collect()).to_string()
}

#[test]
fn triples_that_documents_state_are_asked_for_with_sets_of_examples() {
    let (scratch, checkpoint) = checkpoint_of(400);
    scratch.write("data/replm.json", documents_with_relations(3));
    scratch.write("data/replm_examples.json", documents_with_relations(9));
    let mut arguments = vec!["evaluate", "--checkpoint", checkpoint, "--tasks", "replm", "--data-dir", "data"];
    arguments.extend(["--sets", "2", "--shots", "1", "--limit", "2", "--requests-out", "out/asked.jsonl"]);
    let told = scratch.succeeds(&arguments);
    assert!(told.starts_with("replm (2 questions, 1 examples before each)\n") && told.contains("* f1 "), "{told}");
    arguments.push("--json");
    let found: Value = serde_json::from_str(&scratch.succeeds(&arguments)).unwrap();
    let scores = &found["tasks"]["replm"];
    assert_eq!((&scores["metric"], &scores["n"], &scores["groups"]["P1"]["n"]), (&"f1".into(), &2.into(), &2.into()));
    let asked: Vec<Value> =
        lines(&scratch.path("out/asked.jsonl")).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(asked.len(), 2);
    for (number, one) in asked.iter().enumerate() {
        let sets = one["sets"].as_array().unwrap();
        assert!(sets.len() == 2 && sets[0]["prompt"].as_str().unwrap().ends_with("\nRelation: (P1"));
        let own = format!("d{number}");
        assert!(sets.iter().all(|set| set["examples"][0] != own.as_str()), "a document is no example of itself");
    }
    // What is missing or wrong is said before a model is read.
    let without: Vec<&str> = arguments.iter().map(|word| if *word == "data" { "nowhere" } else { *word }).collect();
    assert!(scratch.fails(&without).1.contains("--data-dir with replm.json"));
    scratch.write("data/replm_relations.json", "{\"P2\": \"is in\"}");
    let (_, said) = scratch.fails(&arguments);
    assert!(said.contains("data/replm_relations.json: it has no name for the relation P1"), "{said}");
    scratch.write("data/replm_relations.json", "{\"P1\": \"is of\"}");
    arguments[2] = "none";
    assert!(!scratch.fails(&arguments).1.contains("replm"));
}

/// An answer takes 200 tokens.
#[test]
fn a_model_without_room_for_an_answer_is_not_asked_for_triples() {
    let (scratch, checkpoint) = checkpoint();
    scratch.write("q.json", documents_with_relations(3));
    let files = ["--task-file", "replm=q.json", "--task-file", "replm_examples=q.json"];
    let (_, said) = scratch
        .fails(&[&["evaluate", "--checkpoint", checkpoint, "--tasks", "replm", "--shots", "1"][..], &files].concat());
    assert!(said.contains("q.json:1: the answer takes 200 tokens"), "{said}");
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
    // A document has its id where a question has its task.
    assert_eq!(outcomes.iter().filter(|outcome| outcome["document"].is_string()).count(), 60);
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
fn perplexity_of_any_document_file() {
    let (scratch, checkpoint) = checkpoint();
    let text = "bade fi gohu ka. ".repeat(40);
    scratch.write(
        "own.jsonl",
        format!("{{\"name\": \"long\", \"body\": \"{text}\"}}\n{{\"name\": \"short\", \"body\": \"fi\"}}\n"),
    );
    scratch.write("page.txt", &text);
    let evaluate = |more: &[&str]| -> Value {
        let start = ["evaluate", "--checkpoint", checkpoint, "--json", "--requests-out", "out.jsonl", "--documents"];
        serde_json::from_str(&scratch.succeeds(&[&start[..], more].concat())).unwrap()
    };
    let found = evaluate(&["own.jsonl", "--id-field", "name", "--text-field", "body"]);
    let documents: Vec<Value> =
        lines(&scratch.path("out.jsonl")).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&documents[0]["document"], &documents[1]["document"]), (&"long".into(), &"short".into()));
    assert!(documents[0]["windows"].as_u64().unwrap() > 1 && found["windowed"] == 1, "{documents:?}");
    // The figures follow from the documents' lines.
    let sum = |field: &str| documents.iter().map(|document| document[field].as_f64().unwrap()).sum::<f64>();
    let nats = -sum("log_likelihood");
    for (figure, expected) in [
        ("word_perplexity", (nats / sum("words")).exp()),
        ("byte_perplexity", (nats / sum("bytes")).exp()),
        ("bits_per_byte", nats / sum("bytes") / 2.0f64.ln()),
    ] {
        let value = found["tasks"]["perplexity"]["metrics"][figure]["value"].as_f64().unwrap();
        assert!((value / expected - 1.0).abs() < 1e-9, "{figure}: {value} against {expected}");
        assert_eq!(found["text"][figure], found["tasks"]["perplexity"]["metrics"][figure]);
        assert!(found["text"][figure]["stderr"].as_f64().unwrap() > 0.0, "{figure}");
    }
    // The same text as a plain text file is one document.
    let page = evaluate(&["page.txt"]);
    assert_eq!((&page["documents"], &page["text"]["word_perplexity"]["stderr"]), (&1.into(), &Value::Null));
    let line: Value = serde_json::from_str(&lines(&scratch.path("out.jsonl"))[0]).unwrap();
    assert_eq!((&line["document"], &line["log_likelihood"]), (&"page.txt".into(), &documents[0]["log_likelihood"]));
    // A record that is none is left out only where that was asked for, and is counted.
    scratch.write("bad.jsonl", "{\"id\": \"a\", \"text\": \"fi\"}\n{\"id\": \"b\"}\n");
    assert_eq!(evaluate(&["bad.jsonl", "--on-bad-record", "skip"])["rejected"], 1);
    let (code, stderr) =
        scratch.fails(&["evaluate", "--checkpoint", checkpoint, "--documents", "bad.jsonl", "--quiet"]);
    assert!(code == 1 && stderr.starts_with("error: bad.jsonl:2: "), "{stderr}");
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
    // A file under a name that no task has is no detail.
    let named = ["--tasks", "arc_easy", "--task-file", "arc_easy=data/arc_easy.jsonl", "--task-file", "arc=x.jsonl"];
    let expected = "error: --task-file = arc=x.jsonl: expected NAME to be a file of these tasks: arc_easy\n";
    assert_eq!(fails(&named), (2, expected.to_owned()));
    let (code, stderr) = fails(&["--tasks", "arc"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("arc_easy") && stderr.contains("webquestions"), "{stderr}");
    let (code, stderr) = fails(&[]);
    assert_eq!(code, 2, "perplexity needs documents");
    assert!(stderr.starts_with("error: --documents = not given: expected the documents"), "{stderr}");
    // A task that is named twice is measured once.
    let twice = ["evaluate", "--checkpoint", checkpoint, "--tasks", "arc_easy,arc_easy", "--data-dir", "data"];
    assert_eq!(scratch.succeeds(&twice).matches("arc_easy (").count(), 1);
}

#[test]
fn every_checkpoint_of_a_run_is_measured_and_the_report_draws_it() {
    let scratch = Scratch::new();
    write_data(&scratch);
    scratch.write("documents.jsonl", corpus(1200));
    let more = "checkpoint_every_tokens = 10240\nkeep_checkpoints = 9\n[evaluate]\ntasks = [\"arc_easy\", \"blimp\"]\n\
                data_dir = \"data\"\nlimit = 2\n[[arm]]\nkind = \"repetition\"\nname = \"plain\"\n[[arm]]\nkind = \
                \"oracle\"\n";
    let text = recipe(more);
    // A file that is not there is missed before anything is computed.
    scratch.write("no.toml", text.replace("\"arc_easy\"", "\"sciq\""));
    let (code, stderr) = scratch.fails(&["run", "no.toml", "--out", "none", "--quiet"]);
    let expected =
        "error: evaluate.data_dir = data: expected a folder with sciq.{jsonl,jsonl.zst,jsonl.gz,json,parquet}\n";
    assert_eq!((code, stderr.as_str(), scratch.path("none/ingest").exists()), (2, expected, false));
    scratch.write("r.toml", text);
    let plan = scratch.succeeds(&["plan", "r.toml"]);
    assert!(plan.contains("published tasks (arc_easy, blimp) are counted neither in FLOPs nor in time"), "{plan}");
    scratch.succeeds(&["run", "r.toml"]);
    let report = || -> Value {
        serde_json::from_str(&fs_err::read_to_string(scratch.path("runs/tiny/report.json")).unwrap()).unwrap()
    };
    let arms = report()["arms"].clone();
    for arm in arms.as_array().unwrap() {
        let tasks = &arm["tasks"];
        assert_eq!((&tasks["arc_easy"]["n"], &tasks["blimp"]["n"]), (&2.into(), &4.into()), "{tasks}");
        assert!(tasks["blimp"]["stderr"].is_number() && tasks["blimp"]["metric"] == "accuracy");
    }
    assert_eq!(lines(&scratch.path("runs/tiny/evaluate/oracle/questions.jsonl")).len(), 6);
    // The oracle beside repetition, on validation, each task and their average: differences of the arms' own figures.
    let comparisons = report()["comparisons"].clone();
    let value = |arm: usize, task: &str| arms[arm]["tasks"][task]["value"].as_f64().unwrap();
    let differences = ["arc_easy", "blimp"].map(|task| value(1, task) - value(0, task));
    let answer_nats = ["arc_easy", "blimp"].map(|task| {
        let nats = |arm: usize| arms[arm]["tasks"][task]["metrics"]["answer_nats"]["value"].as_f64().unwrap();
        nats(1) - nats(0)
    });
    let expected = [
        ("arc_easy", differences[0], 2),
        ("arc_easy answer nats", answer_nats[0], 2),
        ("blimp", differences[1], 4),
        ("blimp answer nats", answer_nats[1], 4),
        ("task average", (differences[0] + differences[1]) / 2.0, 6),
    ];
    let found = comparisons.as_array().unwrap();
    assert_eq!((found.len(), &found[0]["measure"]), (6, &"validation".into()));
    for ((measure, difference, questions), found) in expected.into_iter().zip(&found[1..]) {
        assert_eq!((&found["measure"], &found["documents"]), (&measure.into(), &questions.into()), "{found}");
        assert!((found["difference"].as_f64().unwrap() - difference).abs() < 1e-12, "{found}");
    }
    assert_eq!(report()["task_curves"], Value::Null);
    let measure = [
        "evaluate",
        "--all-checkpoints",
        "runs/tiny",
        "--data-dir",
        "data",
        "--tasks",
        "arc_easy,blimp",
        "--limit",
        "2",
    ];
    // A synthesizer's checkpoints are no final model's.
    fs_err::create_dir_all(scratch.path("runs/tiny/tune/shuffled/checkpoints/step-00000001")).unwrap();
    let table = scratch.succeeds(&measure);
    let points: Vec<Value> = lines(&scratch.path("runs/tiny/task_curves.jsonl"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // Two arms, each with its checkpoints, and two tasks.
    let names = ["plain", "oracle"].map(|arm| scratch.names(&format!("runs/tiny/train/{arm}/checkpoints")));
    let count = 2 * (names[0].len() + names[1].len());
    assert!(names[0].len() > 2 && names[1].len() > 2, "{names:?}");
    // Beside them each of the two paradigms of blimp, which the table leaves out.
    let parts = |group: &str| points.iter().filter(|point| point["group"] == group && point["task"] == "blimp").count();
    assert_eq!((parts("one"), parts("two"), points.len()), (count / 2, count / 2, 2 * count));
    assert_eq!(table.lines().count(), count + 1, "{table}");
    let tokens: Vec<u64> = points
        .iter()
        .filter(|point| point["arm"] == "plain" && point["task"] == "blimp" && point["group"].is_null())
        .map(|point| point["tokens"].as_u64().unwrap())
        .collect();
    assert!(tokens.len() == names[0].len() && tokens.is_sorted() && tokens.last() == Some(&40960), "{tokens:?}");
    // The last checkpoint is the final model: the same figures as the stage's.
    let last = points.iter().find(|p| p["arm"] == "oracle" && p["task"] == "arc_easy" && p["tokens"] == 40960).unwrap();
    assert_eq!(
        (&last["value"], &last["stderr"]),
        (&arms[1]["tasks"]["arc_easy"]["value"], &arms[1]["tasks"]["arc_easy"]["stderr"])
    );
    scratch.succeeds(&["report", "runs/tiny"]);
    let curves = report()["task_curves"].clone();
    assert_eq!(curves.as_array().unwrap().len(), 2 * count);
    // Under the report's names of the arms.
    assert!(curves.as_array().unwrap().iter().all(|p| p["arm"] == "repetition" || p["arm"] == "oracle"), "{curves}");
    // In proportion to the tokens, up to the operations of the whole training.
    for point in curves.as_array().unwrap() {
        let arm = arms.as_array().unwrap().iter().find(|arm| arm["name"] == point["arm"]).unwrap();
        let share = point["tokens"].as_f64().unwrap() / arm["train_tokens"].as_f64().unwrap();
        let expected = arm["flops"].as_f64().unwrap() * share;
        assert!((point["flops"].as_f64().unwrap() - expected).abs() < 1e-9 * expected, "{point} {expected}");
    }
    let page = fs_err::read_to_string(scratch.path("runs/tiny/report.html")).unwrap();
    // What the questions took is counted beside the validation documents.
    let scores = fs_err::read_to_string(scratch.path("runs/tiny/evaluate/oracle/scores.json")).unwrap();
    let validation = serde_json::from_str::<Value>(&scores).unwrap()["tokens"].as_u64().unwrap();
    let ledger = report()["ledger"].clone();
    let is_it = |entry: &&Value| entry["stage"] == "evaluate" && entry["arm"] == "oracle";
    let entry = ledger.as_array().unwrap().iter().find(is_it).unwrap();
    let questions = entry["tokens"].as_u64().unwrap() - validation;
    // 2 choices of 2 questions and 2 of 4, with what the choices of a question share read once.
    assert!((20..200).contains(&questions), "{entry} {validation}");
    // About the operations a token of a forward pass, a third of training.
    let per_token = entry["flops"].as_f64().unwrap() / (validation + questions) as f64;
    let parameters =
        report()["arms"][1]["flops"].as_f64().unwrap() / report()["arms"][1]["train_tokens"].as_f64().unwrap() / 3.0;
    assert!((per_token / parameters - 1.0).abs() < 0.2, "{per_token} {parameters}");
    for axis in ["training tokens", "floating-point operations"] {
        assert!(page.contains(&format!("accuracy on blimp over {axis}")), "{axis}");
    }
    // Too few for a curve: said, and measured all the same.
    let stderr = || String::from_utf8(scratch.cognate(&measure).output().unwrap().stderr).unwrap();
    assert!(!stderr().contains("make no curve"));
    for step in &names[1][3..] {
        fs_err::remove_dir_all(scratch.path(&format!("runs/tiny/train/oracle/checkpoints/{step}"))).unwrap();
    }
    let warned = stderr();
    assert!(warned.contains("oracle has fewer than 4 checkpoints, which make no curve"), "{warned}");
    let found =
        scratch.fails(&["evaluate", "--all-checkpoints", "data", "--data-dir", "data", "--tasks", "blimp", "--quiet"]);
    let expected = "error: --all-checkpoints = data: expected a run directory or a training's folder, with checkpoints/step-* in it\n";
    assert_eq!(found, (2, expected.into()));
    scratch.write("runs/tiny/task_curves.jsonl", "{\"arm\": \"plain\"}\n");
    let (code, stderr) = scratch.fails(&["report", "runs/tiny"]);
    assert!(
        code == 1 && stderr.contains("task_curves.jsonl") && stderr.contains("line 1: missing field `step`"),
        "{stderr}"
    );
}
