//! A judge of pairs, from outside: in a recipe and in `filter`.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Act, Server};
use crate::support::{Scratch, corpus, recipe};

const KEY: &str = "s3cret-Jq55";
const VARIABLE: &str = "COGNATE_TEST_JUDGE_KEY";

/// Calls every other pair related; every fifth answer is neither word, and every seventh request fails at first.
fn judge() -> Server {
    Server::start(|asked| match asked.authorization.as_deref() {
        Some("Bearer s3cret-Jq55") if asked.ordinal % 7 == 3 && asked.repeats == 0 => {
            Act::Say(429, "Retry-After: 0\r\n".to_owned(), format!("{KEY} is too busy"))
        }
        Some("Bearer s3cret-Jq55") => {
            let text = match asked.seed() % 10 {
                0 | 5 => "perhaps",
                odd if odd % 2 == 1 => " related",
                _ => " unrelated",
            };
            Act::Say(200, String::new(), json!({"choices": [{"text": text}]}).to_string())
        }
        _ => Act::Say(401, String::new(), "no key".to_owned()),
    })
}

/// Whether a file below the folder holds the text.
fn holds(folder: &Path, text: &str) -> bool {
    fs_err::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        fs_err::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn figure<'a>(report: &'a Value, name: &str) -> &'a Value {
    let figures = report["synthetic_quality"]["pair_figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("{name}: {figures:?}"))
}

#[test]
fn a_judges_answers_are_in_the_statistics_and_the_report_and_its_key_is_nowhere() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    let write = |url: &str| {
        let keys = format!(
            "min_words = 5\njudge_url = \"{url}\"\njudge_model = \"wise\"\njudge_key_env = \"{VARIABLE}\"\n\
             judge_samples = 20"
        );
        scratch.write("r.toml", recipe("").replace("min_words = 5", &keys));
    };
    let run = |key: Option<&str>| {
        let mut command = scratch.cognate(&["run", "r.toml", "-v"]);
        match key {
            Some(key) => command.env(VARIABLE, key),
            None => command.env_remove(VARIABLE),
        };
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains(KEY), "{stderr}");
        (output.status.code(), stderr)
    };
    let server = judge();
    write(&server.url());
    let (code, stderr) = run(None);
    assert!(code == Some(2) && stderr.contains("judge_key_env") && stderr.contains("not set"), "{stderr}");
    assert!(!scratch.path("runs/tiny/ingest").exists(), "before the first stage, not after the training");
    let (code, stderr) = run(Some(KEY));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("(the key) is too busy"), "{stderr}");
    assert!(!holds(&scratch.path("runs"), KEY));

    let read =
        |path: &str| -> Value { serde_json::from_str(&fs_err::read_to_string(scratch.path(path)).unwrap()).unwrap() };
    let manifest = read("runs/tiny/filter/related/manifest.json");
    assert!(!manifest["config"].to_string().contains("127.0.0.1"), "{manifest}");
    let stats = &manifest["statistics"]["filter"]["judge"];
    let report = read("runs/tiny/report.json");
    let irrelevant = &figure(&report, "irrelevant pairs by the judge wise")["of"];
    let unclear = &figure(&report, "unclear answers of the judge wise")["of"];
    for (at, kind) in ["synthetic", "neighbours", "random"].into_iter().enumerate() {
        let found = &stats[kind];
        let count = |name: &str| found[name].as_u64().unwrap();
        assert_eq!(count("related") + count("unrelated") + count("unclear"), 20, "{kind}: {stats}");
        assert_eq!(irrelevant[at]["n"], count("related") + count("unrelated"));
        assert_eq!(irrelevant[at]["value"], found["irrelevant"]["value"]);
        assert_eq!((&unclear[at]["value"], &unclear[at]["n"]), (&json!(count("unclear") as f64), &json!(20)));
    }
    let page = fs_err::read_to_string(scratch.path("runs/tiny/report.html")).unwrap();
    assert!(page.contains("irrelevant pairs by the judge wise"));

    // Where the judge is does not count once it has spoken.
    write("http://127.0.0.1:9/v1");
    let (code, stderr) = run(None);
    assert!(code == Some(0) && stderr.contains("filter: done before"), "{stderr}");

    // The same in a command: with the run's pairs, and without.
    let url = server.url();
    let run = "filter runs/tiny/generate/related/synthetic-00000.jsonl.zst --training runs/tiny/ingest/unique.jsonl.zst --min-words 5";
    let judged = format!("{run} --judge-url {url} --judge-model wise --judge-samples 9 --judge-key-env {VARIABLE}");
    let filter = |more: &str| {
        let arguments = format!("{judged} {more}");
        let mut command = scratch.cognate(&arguments.split_whitespace().collect::<Vec<_>>());
        let output = command.env(VARIABLE, KEY).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let bare = filter("--out bare");
    assert_eq!((&bare["judge"]["model"], &bare["judge"]["neighbours"]), (&json!("wise"), &Value::Null));
    let paired = filter("--out paired --judge-pairs runs/tiny/pair/related/train.parquet");
    assert!(paired["judge"]["neighbours"]["irrelevant"]["high"].is_number(), "{paired}");
    assert_eq!(paired["judge"]["random"], bare["judge"]["random"]);

    // A judge that refuses does so before anything is written.
    let refused = judged.replace(&format!(" --judge-key-env {VARIABLE}"), " --out none");
    let (code, stderr) = scratch.fails(&refused.split_whitespace().collect::<Vec<_>>());
    assert!(code == 1 && stderr.contains("the server wants a key") && stderr.contains(&url), "{stderr}");
    assert!(!scratch.path("none").exists());
}

#[test]
fn a_judge_that_fails_late_takes_nothing_with_it() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(1200));
    // Asked once behind `pair`, then in `filter` about three pairs of each kind: it goes before the second kind, then before the last.
    for answers in [4, 7] {
        let server = Server::start(move |asked| match asked.ordinal < answers {
            true => Act::Say(200, String::new(), json!({"choices": [{"text": " related"}]}).to_string()),
            false => Act::Say(404, String::new(), "gone".to_owned()),
        });
        let keys =
            format!("min_words = 5\njudge_url = \"{}\"\njudge_model = \"wise\"\njudge_samples = 3", server.url());
        scratch.write("r.toml", recipe("").replace("min_words = 5", &keys));
        let run = || {
            let output = scratch.cognate(&["run", "r.toml", "--until", "filter"]).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(0), "{stderr}");
            stderr
        };
        let stderr = run();
        let told =
            "The report goes without the judge's word; delete runs/tiny/filter/related and run again to ask it again";
        assert!(stderr.contains("404") && stderr.contains(told), "{stderr}");
        let manifest = scratch.path("runs/tiny/filter/related/manifest.json");
        let manifest: Value = serde_json::from_str(&fs_err::read_to_string(manifest).unwrap()).unwrap();
        let stats = &manifest["statistics"]["filter"];
        assert!(stats["kept"]["documents"].as_u64().unwrap() > 0 && stats["judge"].is_null(), "{stats}");
        assert!(run().contains("filter: done before"));
        // As the warning says; what the judge was asked about is there still.
        fs_err::remove_dir_all(scratch.path("runs/tiny/filter/related")).unwrap();
    }
}
