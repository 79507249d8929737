//! `generate` by a completion server, from outside: killed, and with a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::server::{Act, Server};
use crate::support::{Scratch, corpus, recipe};

const KEY: &str = "s3cret-Zq81";
const VARIABLE: &str = "COGNATE_TEST_KEY";

/// A folder with seed documents, their tokens, and a checkpoint.
fn ready() -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "t.json", "--train", "300", "--out", "tokens"]);
    let train = "train --tokens tokens --tokenizer t.json --out base --budget-tokens 500 --batch-tokens 500 --context 64 \
                 --layers 1 --width 32 --heads 2";
    let arguments: Vec<&str> = train.split_whitespace().collect();
    let trained: Value = serde_json::from_str(&scratch.succeeds(&arguments)).unwrap();
    let checkpoint = trained["last"].as_str().unwrap().to_owned();
    (scratch, checkpoint)
}

fn generate(scratch: &Scratch, checkpoint: &str, url: &str, out: &str, more: &[&str]) -> Command {
    let mut arguments =
        vec!["generate", checkpoint, "--documents", "documents.jsonl", "--tokens", "tokens", "--target-tokens", "900"];
    arguments.extend(["--shard-documents", "10", "--endpoint", url, "--out", out]);
    arguments.extend(more);
    scratch.cognate(&arguments)
}

fn printed(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path).into_iter().map(|(name, bytes)| (folder.join(name), bytes))),
            false => drop(found.insert(path.clone(), fs_err::read(&path).unwrap())),
        }
    }
    found
}

/// A folder's files by their names alone, without the hidden one that a kill leaves while it is being written.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let named = files(folder).into_iter();
    let named = named.map(|(path, bytes)| (path.file_name().unwrap().to_str().unwrap().to_owned(), bytes));
    named.filter(|(name, _)| !name.starts_with('.')).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn has_no_key(scratch: &Scratch, output: &Output) {
    assert!(!holds(&output.stdout, KEY) && !holds(&output.stderr, KEY), "{}", String::from_utf8_lossy(&output.stderr));
    let all = files(&scratch.path(""));
    assert!(all.len() > 3);
    for (path, bytes) in all {
        assert!(!holds(&bytes, KEY), "{} holds the key", path.display());
    }
}

/// Killed without warning, twice. When request n has come and t can be under way at a time, n − t answers stand in the journal.
#[test]
fn a_killed_generation_goes_on_to_the_same_bytes() {
    let (scratch, checkpoint) = ready();
    let undisturbed = Server::faultless();
    let stats = printed(&mut generate(&scratch, &checkpoint, &undisturbed.url(), "whole", &[]));
    assert!(stats["documents"].as_u64().unwrap() > 30, "{stats}");
    for threads in [1, 4] {
        let (out, text) = (format!("killed-{threads}"), threads.to_string());
        let command =
            |server: &Server| generate(&scratch, &checkpoint, &server.url(), &out, &["--endpoint-concurrency", &text]);
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        let mut count = |server: &Server| {
            for asked in server.asked() {
                *times.entry(asked.seed()).or_default() += 1;
            }
        };
        for at in [8, 18] {
            let server = Server::start(move |asked| if asked.ordinal < at { Act::Answer } else { Act::Stall });
            let mut child = command(&server).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            server.wait_for(at + 1);
            child.kill().unwrap();
            assert!(!child.wait().unwrap().success());
            assert!(scratch.path(&out).join("journal.jsonl").exists());
            count(&server);
        }
        let shards = scratch.names(&out).iter().filter(|name| name.starts_with("synthetic-")).count();
        // One after the other, 26 documents of 10 to a file. With four, the first may be the last to come.
        assert!(threads > 1 || shards == 2, "{shards}");
        let server = Server::faultless();
        assert_eq!(printed(&mut command(&server)), stats);
        count(&server);
        assert_eq!(contents(&scratch.path(&out)), contents(&scratch.path("whole")));
        // What had arrived is not asked for again: at most what was under way at each kill.
        let again: usize = times.values().map(|times| times - 1).sum();
        assert!(again <= 2 * threads, "{again} documents were asked for twice");
    }
}

#[test]
fn the_key_is_in_no_file_and_in_no_message() {
    let (scratch, checkpoint) = ready();
    let server = Server::start(|asked| match asked.authorization.as_deref() {
        Some("Bearer s3cret-Zq81") if asked.ordinal == 5 => Act::Say(429, String::new(), format!("{KEY} is too busy")),
        Some("Bearer s3cret-Zq81") if asked.ordinal < 20 => Act::Answer,
        other => {
            let other = other.unwrap_or("none");
            Act::Say(401, String::new(), format!("{{\"error\": {{\"message\": \"bad key: {other}\"}}}}"))
        }
    });
    let run = |variable: &str| {
        // One at a time: the refusal of the fifth is told before another ends the command.
        let more = ["--endpoint-key-env", variable, "-v", "--endpoint-concurrency", "1"];
        generate(&scratch, &checkpoint, &server.url(), "out", &more).env(VARIABLE, KEY).output().unwrap()
    };
    // Accepted at first, then refused by a server that repeats the key.
    let output = run(VARIABLE);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("bad key: Bearer (the key)") && stderr.contains("--endpoint-key-env"), "{stderr}");
    assert!(stderr.contains("(the key) is too busy"), "the first refusal is told with -v: {stderr}");
    assert!(scratch.path("out/journal.jsonl").exists());
    has_no_key(&scratch, &output);
    // A server that puts the key into its answers: into a document, or where the reason should stand, as it is or as JSON writes it.
    for (at, (key, text, reason)) in [
        (KEY, format!("words and {KEY}"), "stop".to_owned()),
        (KEY, "words".to_owned(), KEY.to_owned()),
        ("s3cret\"Zq\\81", "words".to_owned(), "s3cret\"Zq\\81".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let body = serde_json::json!({"choices": [{"text": text, "finish_reason": reason}], "usage": {"completion_tokens": 3}});
        let echo = Server::start(move |_| Act::Say(200, String::new(), body.to_string()));
        let more = ["--endpoint-key-env", VARIABLE, "-v", "--endpoint-attempts", "1"];
        let output = generate(&scratch, &checkpoint, &echo.url(), &format!("echo-{at}"), &more)
            .env(VARIABLE, key)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let expected = if at == 0 { "the answer repeats the key" } else { "finish_reason is \"(the key)\"" };
        assert!(stderr.contains(expected), "{stderr}");
        assert!(!stderr.contains("s3cret"), "{stderr}");
        assert!(files(&scratch.path(&format!("echo-{at}"))).values().all(|bytes| !holds(bytes, "s3cret")));
    }
    // The key in the place of its variable's name.
    let output = run(KEY);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not the key itself"));
    has_no_key(&scratch, &output);
}

#[test]
fn flags_about_a_server_need_one() {
    let (scratch, checkpoint) = ready();
    let arguments = ["--documents", "documents.jsonl", "--tokens", "tokens", "--out", "o", "--target-tokens", "9"];
    let (code, stderr) =
        scratch.fails(&[&["generate", &checkpoint], &arguments[..], &["--endpoint-concurrency", "2"]].concat());
    assert!(code == 2 && stderr.contains("--endpoint <URL>"), "{stderr}");
    let server = ["--endpoint", "http://127.0.0.1:9/v1", "--precision", "int8"];
    let (code, stderr) = scratch.fails(&[&["generate", &checkpoint], &arguments[..], &server].concat());
    assert!(code == 2 && stderr.starts_with("error: --precision = int8: expected f32 beside --endpoint"), "{stderr}");
}

/// Every server calls its model what it likes; that it is another one is said once, and not for each document.
#[test]
fn another_models_name_in_the_answers_is_told_once() {
    let (scratch, checkpoint) = ready();
    let server = Server::start(|asked| {
        let mut answer = crate::server::answer(&asked.body);
        answer["model"] = "somebody-else".into();
        Act::Say(200, String::new(), answer.to_string())
    });
    let output = generate(&scratch, &checkpoint, &server.url(), "o", &[]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches("the server says that somebody-else answers, and ").count(), 1, "{stderr}");
}

/// A whole experiment, whose server appears only once there is a synthesizer to serve, and moves afterwards.
#[test]
fn a_recipe_may_name_a_server() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let ready = Arc::new(AtomicBool::new(false));
    let told = ready.clone();
    let first = Server::start(move |_| match told.load(Ordering::SeqCst) {
        true => Act::Answer,
        false => Act::Say(404, String::new(), "no such model".to_owned()),
    });
    let write = |url: &str| {
        let keys = format!("endpoint_url = \"{url}\"\nendpoint_key_env = \"{VARIABLE}\"\nendpoint_concurrency = 4\n");
        scratch.write("r.toml", recipe(&format!("[generate]\nmethod = \"endpoint\"\n{keys}")));
    };
    let run = |key: Option<&str>| {
        let mut command = scratch.cognate(&["run", "r.toml"]);
        match key {
            Some(key) => command.env(VARIABLE, key),
            None => command.env_remove(VARIABLE),
        };
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), output)
    };
    write(&first.url());
    // Before the first stage, not after the training.
    let (code, stderr, _) = run(None);
    assert!(code == Some(2) && stderr.contains(VARIABLE) && stderr.contains("not set"), "{stderr}");
    assert_eq!(scratch.names("runs/tiny").iter().filter(|name| *name == "ingest").count(), 0);
    let (code, stderr, _) = run(Some(KEY));
    assert!(code == Some(1) && stderr.contains("error: generate: ") && stderr.contains("no such model"), "{stderr}");
    assert!(stderr.contains("it must serve runs/tiny/tune/related/best as \"synthesizer\""), "{stderr}");
    ready.store(true, Ordering::SeqCst);
    let (code, stderr, output) = run(Some(KEY));
    assert_eq!(code, Some(0), "{stderr}");
    has_no_key(&scratch, &output);
    let manifest = fs_err::read_to_string(scratch.path("runs/tiny/generate/related/manifest.json")).unwrap();
    assert!(!manifest.contains("127.0.0.1") && manifest.contains("endpoint"), "{manifest}");
    // Done is done, wherever the server has gone, and without a key.
    write("http://127.0.0.1:9/v1");
    let (code, stderr, _) = run(None);
    assert!(code == Some(0) && stderr.lines().all(|line| line.ends_with(": done before")), "{stderr}");
}

/// A corpus that a model from outside writes about the entities of documents: killed while these are listed and while it writes, and gone on with; what
/// is asked is what was planned, and the report says who wrote.
#[test]
fn a_server_may_write_about_the_entities_of_documents() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let arms = |url: &str, model: &str| {
        let keys =
            format!("endpoint_url = \"{url}\"\nendpoint_model = \"{model}\"\nendpoint_key_env = \"{VARIABLE}\"\n");
        let corpus = format!(
            "[[synthetic]]\nname = \"about\"\nmethod = \"entigraph\"\nmost_entities = 4\nmax_new_tokens = 60\n{keys}"
        );
        let corpus = format!("{corpus}endpoint_concurrency = 3\nmin_words = 1\ndrop_unfinished = false\n");
        let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"about\"\nsynthetic.about = 0.2\n";
        scratch.write("r.toml", recipe(&format!("{corpus}{arms}")));
    };
    arms("http://127.0.0.1:9/v1", "writer");
    let plan = scratch.succeeds(&["plan", "r.toml"]);
    assert!(plan.contains("generate about: http://127.0.0.1:9/v1 is asked"), "{plan}");
    let expanded = scratch.succeeds(&["plan", "--expand", "r.toml"]);
    scratch.write("expanded.toml", expanded.clone());
    assert_eq!(scratch.succeeds(&["plan", "--expand", "expanded.toml"]), expanded);
    // One short question at the start of each run says whether the server is there.
    let is_first =
        |asked: &crate::server::Asked| asked.body["messages"][1]["content"] == "Text:\nAda wrote to Charles.";
    let lists = |asked: &crate::server::Asked| asked.body["response_format"].is_object() && !is_first(asked);
    let run = |server: &Server, kill_at: Option<usize>| {
        arms(&server.url(), "writer");
        let mut command = scratch.cognate(&["run", "r.toml"]);
        command.env(VARIABLE, KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if let Some(requests) = kill_at {
            server.wait_for(requests);
            child.kill().unwrap();
        }
        child.wait_with_output().unwrap()
    };
    // A server that does not know the model is told before anything is done.
    let stranger = Server::start(|_| Act::Say(404, String::new(), "no such model".to_owned()));
    let refused = run(&stranger, None);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("generate about: ") && told.contains("no such model") && !told.contains("done in"), "{told}");
    assert_eq!((refused.status.code(), stranger.asked().len()), (Some(1), 1));
    let servers = [Server::faultless(), Server::faultless(), Server::faultless()];
    run(&servers[0], Some(20));
    let folder = scratch.path("runs/tiny/generate/about");
    let partial = |name: &str| files(&scratch.path("runs/tiny")).keys().any(|path| path.ends_with(name));
    assert!(partial("entities-journal.list") && !partial("entities.list"));
    let manifest = fs_err::read(scratch.path("runs/tiny/ingest/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let documents = manifest["statistics"]["unique"]["documents"].as_u64().unwrap() as usize;
    run(&servers[1], Some(documents + 10));
    assert!(partial("entities.list") && partial("journal.jsonl"));
    let output = run(&servers[2], None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    has_no_key(&scratch, &output);
    assert!(servers.iter().all(|server| server.asked().iter().filter(|asked| is_first(asked)).count() == 1));
    let asked: Vec<_> = servers.iter().flat_map(Server::asked).collect();
    let listed = asked.iter().filter(|asked| lists(asked)).count();
    // Three are under way at each kill.
    assert!((documents..=documents + 6).contains(&listed), "{listed} lists of {documents} documents");
    assert!(servers[2].asked().iter().all(|asked| !lists(asked)), "entities were asked for again");
    assert!(folder.join("entities.list").exists() && !folder.join("journal.jsonl").exists());
    let report: Value = serde_json::from_slice(&fs_err::read(scratch.path("runs/tiny/report.json")).unwrap()).unwrap();
    let report = report.to_string();
    assert!(report.contains("writer, a model behind a server, about two or three entities"), "{report}");
    assert!(report.contains("A model from outside of this run wrote these documents."), "{report}");
    // Another model's documents are others.
    arms("http://127.0.0.1:9/v1", "another");
    let (code, stderr) = scratch.fails(&["run", "r.toml"]);
    assert!(code == 1 || code == 2, "{stderr}");
    assert!(stderr.contains("endpoint_model") || stderr.contains(VARIABLE), "{stderr}");
}
