//! Generation by a completion server, one that does as it should and one that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{TokenFile, Tokenizer};
use cognate_model::Config;
use cognate_ops::Precision;
use cognate_synth::endpoint::Fault;
use cognate_synth::generate::files::shards;
use cognate_synth::{
    EndpointConfig, Error, GenerateConfig, GenerateStats, Key, Sampling, Seeds, Target, generate_endpoint,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Act, Asked, Server, answer};
use crate::{document, read, write};

const TEXTS: [&str; 4] = ["stars and planets", "a planet", "cats and other animals that live in houses", "x"];
const JOURNAL: &str = "journal.jsonl";

struct World {
    folder: TempDir,
    tokenizer: Tokenizer,
    seeds: Seeds,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let documents: Vec<_> =
            TEXTS.iter().enumerate().map(|(i, text)| document(&format!("u{i}"), text, &[])).collect();
        let path = write(&folder.path().join("unique.jsonl"), &documents);
        let tokenizer = Tokenizer::train(TEXTS.iter().map(|text| (*text).to_owned()), 265).unwrap();
        let prefix = folder.path().join("unique");
        cognate_corpus::tokenize(&path, &tokenizer, &prefix, &Silent).unwrap();
        let seeds = Seeds::open(&path, TokenFile::open(&prefix).unwrap()).unwrap();
        Self { folder, tokenizer, seeds }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self) -> Config {
        Config {
            vocab: self.tokenizer.vocab_size(),
            width: 32,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            head_width: 16,
            ffn: 64,
            max_positions: 64,
            rope_base: 10_000.0,
            rope_scaling: None,
            norm_eps: 1e-6,
            qk_norm: true,
            tied: false,
        }
    }

    fn run(&self, out: &Path, endpoint: &EndpointConfig, monitor: &dyn Monitor) -> Result<GenerateStats, Error> {
        self.run_with(out, &config(), endpoint, monitor)
    }

    fn run_with(
        &self,
        out: &Path,
        config: &GenerateConfig,
        endpoint: &EndpointConfig,
        monitor: &dyn Monitor,
    ) -> Result<GenerateStats, Error> {
        generate_endpoint(&self.model(), &self.tokenizer, &self.seeds, out, config, endpoint, monitor)
    }

    /// What an undisturbed run writes.
    fn undisturbed(&self) -> (GenerateStats, BTreeMap<String, Vec<u8>>) {
        let server = Server::faultless();
        let stats = self.run(&self.out("undisturbed"), &endpoint(&server, 3), &Silent).unwrap();
        (stats, contents(&self.out("undisturbed")))
    }
}

fn config() -> GenerateConfig {
    GenerateConfig {
        seed: 9,
        first_document: 5,
        target: Target::Tokens(600),
        shard: None,
        samples_per_seed: 1,
        sampling: Sampling::nucleus(0.75, 0.9),
        precision: Precision::F32,
        max_new_tokens: 24,
        max_seed_tokens: 14,
        slots: 1,
        shard_documents: 8,
        synthesizer: "served".into(),
    }
}

fn endpoint(server: &Server, concurrency: usize) -> EndpointConfig {
    EndpointConfig {
        url: server.url(),
        model: "syn".into(),
        key: None,
        concurrency,
        timeout: Duration::from_secs(60),
        attempts: 3,
        first_wait: Duration::from_millis(1),
    }
}

/// Every file of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs_err::read(&path).unwrap()))
        .collect()
}

/// How often each document was asked for.
fn counts(asked: &[Asked]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for asked in asked {
        *counts.entry(asked.seed()).or_default() += 1;
    }
    counts
}

/// Interrupts once so many requests have come.
struct StopAt<'a>(&'a Server, usize);

impl Monitor for StopAt<'_> {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.asked().len() >= self.1
    }
}

/// Interrupts when it is told to.
struct Flag(AtomicBool);

impl Monitor for Flag {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn answers_become_documents_in_order_and_each_is_asked_for_once() {
    let world = World::new();
    let server = Server::faultless();
    let out = world.out("a");
    let stats = world.run(&out, &endpoint(&server, 4), &Silent).unwrap();
    let asked = server.asked();
    assert!(counts(&asked).values().all(|&times| times == 1));
    let found = read(&shards(&out).unwrap());
    // Some beyond the target: under way, or asked for while an earlier one was; none further ahead than is allowed.
    assert!((found.len()..=found.len() + 4 * 16).contains(&asked.len()), "{} {}", found.len(), asked.len());
    let by_text: BTreeMap<String, &Asked> =
        asked.iter().map(|asked| (answer(&asked.body)["choices"][0]["text"].to_string(), asked)).collect();
    assert_eq!(by_text.len(), asked.len(), "two answers are the same: the test could not tell them apart");
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let (mut tokens, mut sum, mut prompts, mut cut) = (0, 0.0, 0, 0);
    for (i, document) in found.iter().enumerate() {
        assert_eq!(document.id, format!("synthetic-{}", i + 5));
        let asked = by_text[&json!(document.text).to_string()];
        let given = answer(&asked.body);
        let seed: usize = document.metadata["seed_id"].as_str().unwrap()[1..].parse().unwrap();
        let encoded = world.tokenizer.encode(TEXTS[seed]).unwrap();
        let short = world.tokenizer.cut(&encoded, 14);
        cut += u64::from(short.is_some());
        let mut prompt = vec![end];
        prompt.extend(encoded.iter().take(short.map_or(14, |short| short.tokens)));
        prompt.push(related);
        assert_eq!(asked.body["prompt"], json!(prompt));
        assert_eq!((&asked.body["model"], &asked.body["temperature"]), (&json!("syn"), &json!(0.75)));
        prompts += prompt.len() as u64;
        let drawn = given["usage"]["completion_tokens"].as_u64().unwrap();
        let log_probabilities = given["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap();
        let mean = log_probabilities.iter().map(|x| x.as_f64().unwrap()).sum::<f64>() / drawn as f64;
        assert!((document.metadata["mean_log_probability"].as_f64().unwrap() - mean).abs() < 1e-6);
        assert_eq!(document.metadata["tokens"], drawn);
        let reason = if given["choices"][0]["finish_reason"] == "stop" { "eod" } else { "cap" };
        assert_eq!(document.metadata["finish_reason"], reason);
        let sampling = json!({
            "seed": 9, "temperature": 0.75, "top_p": 0.9, "max_seed_tokens": 14, "max_new_tokens": 24,
            "method": "endpoint", "model": "syn",
        });
        assert_eq!((&document.metadata["sampling"], &document.metadata["synthesizer"]), (&sampling, &json!("served")));
        assert!(tokens < 600, "the target was reached before document {i}");
        tokens += drawn;
        sum += document.metadata["mean_log_probability"].as_f64().unwrap() * drawn as f64;
    }
    assert!(tokens >= 600 && stats.ended > 5 && stats.capped > 2, "{stats:?}");
    let expected = GenerateStats {
        documents: found.len() as u64,
        tokens,
        prompt_tokens: prompts,
        seeds_cut: cut,
        distinct_seeds: 4,
        mean_log_probability: Some(sum / tokens as f64),
        ..stats.clone()
    };
    assert_eq!((stats.ended + stats.capped, &stats), (stats.documents, &expected));
    assert!(!out.join(JOURNAL).exists());
    // Finished is finished.
    let (before, server) = (contents(&out), Server::faultless());
    assert_eq!(world.run(&out, &endpoint(&server, 4), &Silent).unwrap(), stats);
    assert_eq!((server.asked().len(), contents(&out)), (0, before));
}

#[test]
fn the_number_of_threads_is_the_number_of_requests_at_a_time_and_changes_nothing() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    for threads in [1, 7] {
        // The first seven are answered when all of them are there: fewer threads would wait in vain.
        let server = Server::start(
            move |asked| if asked.ordinal < threads { Act::AnswerTogether(threads) } else { Act::Answer },
        );
        let out = world.out(&threads.to_string());
        assert_eq!(world.run(&out, &endpoint(&server, threads), &Silent).unwrap(), stats);
        assert_eq!(server.most_held(), threads);
        assert_eq!(contents(&out), expected);
    }
}

#[test]
fn faults_that_pass_change_nothing() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let say = |status, headers: &str, body: &str| Act::Say(status, headers.to_owned(), body.to_owned());
    let aborted = r#"{"choices": [{"text": "half", "finish_reason": "abort"}], "usage": {"completion_tokens": 1}}"#;
    let faults = [
        (1, say(429, "Retry-After: 1\r\n", r#"{"error": {"message": "slow down"}}"#)),
        (2, say(500, "", "oops")),
        (4, Act::Stall),
        (5, Act::Cut),
        (7, say(200, "", "{\"choices\": [")),
        (9, Act::HangUp),
        (11, say(503, "", "")),
        (12, say(200, "", aborted)),
        (14, say(408, "Retry-After: soon\r\n", "")),
    ];
    let places: Vec<usize> = faults.iter().map(|(at, _)| *at).collect();
    let faults: Arc<BTreeMap<usize, Act>> = Arc::new(faults.into_iter().collect());
    for threads in [1, 3] {
        let faults = faults.clone();
        let server = Server::start(move |asked| faults.get(&asked.ordinal).cloned().unwrap_or(Act::Answer));
        let out = world.out(&threads.to_string());
        // A short timeout, for the stall. Answers that a busy machine delays for so long are asked for again, too.
        let timeout = Duration::from_millis(1500);
        let endpoint = EndpointConfig { timeout, attempts: 12, ..endpoint(&server, threads) };
        assert_eq!(world.run(&out, &endpoint, &Silent).unwrap(), stats);
        assert_eq!(contents(&out), expected);
        let asked = server.asked();
        for &at in &places {
            let again = asked.iter().find(|again| again.ordinal > at && again.seed() == asked[at].seed());
            let again = again.unwrap_or_else(|| panic!("request {at} was not asked again"));
            assert_eq!(again.body, asked[at].body, "the same question");
            if at == 1 {
                assert!(again.at - asked[at].at >= Duration::from_secs(1), "Retry-After was not honoured");
            }
        }
    }
}

#[test]
fn faults_that_stay_are_told_and_what_had_arrived_is_kept() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let key = Key::new("s3cret-key").unwrap();
    let no_model = r#"{"error": {"message": "The model `syn` does not exist.", "code": 404}}"#;
    let echo = r#"{"error": {"message": "Incorrect API key provided: s3cret-key"}}"#;
    let say = |status, headers: &str, body: &str| Act::Say(status, headers.to_owned(), body.to_owned());
    let long = "y".repeat(5000);
    // What the server says from its tenth request on, how often it is asked then, and what the message holds.
    let cases: Vec<(Act, usize, &[&str])> = vec![
        (say(404, "", no_model), 1, &["404", "The model `syn` does not exist.", "endpoint_model gives, \"syn\""]),
        (say(401, "", echo), 1, &["401", "Incorrect API key provided: (the key)", "endpoint_key_env"]),
        (say(403, "", "no"), 1, &["403", "\"no\"", "endpoint_key_env"]),
        (say(400, "", r#"{"detail": "too long"}"#), 1, &["400", "\"too long\"", "max_seed_tokens"]),
        (say(307, "Location: http://127.0.0.1:1/v1/completions\r\n", ""), 1, &["307", "redirects"]),
        (say(429, "Retry-After: 86400\r\n", ""), 1, &["429", "wait 86400 s"]),
        (say(200, "", r#"{"choices": []}"#), 1, &["200", "no choices", "docs/endpoint.md"]),
        (say(200, "", "<html>sign in</html>"), 3, &["not JSON", "<html>sign in</html>", "attempt 3"]),
        (say(500, "", &long), 3, &["500", "yyy…", "attempt 3", "run again"]),
        (Act::Cut, 3, &["no whole answer", "attempt 3"]),
        (Act::HangUp, 3, &["no whole answer", "run again"]),
    ];
    for (i, (act, times, words)) in cases.into_iter().enumerate() {
        let server = Server::start(move |asked| if asked.ordinal < 10 { Act::Answer } else { act.clone() });
        let out = world.out(&format!("case-{i}"));
        let endpoint = EndpointConfig { key: Some(key.clone()), ..endpoint(&server, 1) };
        let error = world.run(&out, &endpoint, &Silent).unwrap_err();
        let message = error.to_string();
        let Error::Endpoint(error) = error else { panic!("{message}") };
        assert!(message.starts_with(&format!("{}/completions: document 15: ", server.url())), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}\nexpected: {words:?}");
        assert!(message.len() < 900 && !message.contains("s3cret"), "{message}");
        let asked = server.asked();
        assert_eq!((asked.len(), error.attempts as usize), (10 + times, times), "{message}");
        assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer s3cret-key")));
        // The same command, once the server is as it should be.
        let server = Server::faultless();
        let endpoint = EndpointConfig { url: server.url(), ..endpoint };
        assert_eq!(world.run(&out, &endpoint, &Silent).unwrap(), stats);
        assert_eq!(contents(&out), expected);
        let known: BTreeSet<u64> = asked[..10].iter().map(Asked::seed).collect();
        assert!(server.asked().iter().all(|asked| !known.contains(&asked.seed())), "asked for what it had");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let world = World::new();
    let server = Server::faultless();
    let gone = endpoint(&server, 2);
    drop(server);
    let error = world.run(&world.out("a"), &gone, &Silent).unwrap_err();
    let Error::Endpoint(error) = error else { panic!("{error}") };
    assert!(matches!(error.fault, Fault::Transport(_)) && error.attempts == 3, "{error}");
    assert!(error.to_string().contains(&gone.url), "{error}");
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    for threads in [1, 4] {
        let out = world.out(&threads.to_string());
        let (mut asked, mut stops) = (Vec::new(), 0);
        let resumed = loop {
            let server = Server::faultless();
            let outcome = world.run(&out, &endpoint(&server, threads), &StopAt(&server, 9));
            let earlier = counts(&asked);
            asked.extend(server.asked());
            // In every run at most as many as there are threads had been under way.
            let twice = counts(&server.asked()).keys().filter(|seed| earlier.contains_key(seed)).count();
            assert!(twice <= threads, "{twice} documents were asked for again");
            match outcome {
                Ok(stats) => break stats,
                Err(Error::Interrupted) => stops += 1,
                Err(error) => panic!("{error}"),
            }
        };
        assert!(stops >= 3, "{stops}");
        assert_eq!((resumed, contents(&out)), (stats.clone(), expected.clone()), "{threads} threads");
    }
}

/// A folder that was left with a shard and some documents in the journal.
fn left_behind(world: &World, name: &str) -> PathBuf {
    let server =
        Server::start(
            |asked| if asked.ordinal < 13 { Act::Answer } else { Act::Say(404, String::new(), String::new()) },
        );
    let out = world.out(name);
    let error = world.run(&out, &endpoint(&server, 1), &Silent).unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    assert_eq!(shards(&out).unwrap().len(), 1);
    assert_eq!(fs_err::read_to_string(out.join(JOURNAL)).unwrap().lines().count(), 5);
    out
}

#[test]
fn a_journal_is_taken_up_wherever_the_kill_came() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let journal = |out: &Path| fs_err::read_to_string(out.join(JOURNAL)).unwrap();
    let save = |out: &Path, text: &str| cognate_base::files::write_atomic(out.join(JOURNAL), text).unwrap();
    // Within a line; before any; between a shard and the shorter journal, whose lines the shard holds; beyond the whole.
    type Damage<'a> = &'a dyn Fn(&Path);
    let kills: [(&str, Damage<'_>, usize); 4] = [
        ("within", &|out| save(out, &journal(out)[..journal(out).len() - 7]), 4),
        ("before", &|out| fs_err::remove_file(out.join(JOURNAL)).unwrap(), 0),
        (
            "between",
            &|out| {
                save(
                    out,
                    &(r#"{"number":6,"text":"in the shard","tokens":3,"finish":"eod"}"#.to_owned()
                        + "\n"
                        + &journal(out)),
                )
            },
            5,
        ),
        ("beyond", &|_| (), 5),
    ];
    for (name, damage, kept) in kills {
        let out = left_behind(&world, name);
        damage(&out);
        // And killed once more, so that what stands in the journal was written by two.
        let server =
            Server::start(
                |asked| if asked.ordinal < 2 { Act::Answer } else { Act::Say(404, String::new(), String::new()) },
            );
        let error = world.run(&out, &endpoint(&server, 1), &Silent).unwrap_err();
        assert!(matches!(error, Error::Endpoint(_)), "{name}: {error}");
        let server = Server::faultless();
        assert_eq!(world.run(&out, &endpoint(&server, 1), &Silent).unwrap(), stats, "{name}");
        assert_eq!(contents(&out), expected, "{name}");
        assert_eq!(server.asked().len() as u64, stats.documents - 8 - kept as u64 - 2, "{name}");
    }
}

#[test]
fn a_damaged_or_foreign_folder_is_refused() {
    let world = World::new();
    let server = Server::faultless();
    let refused = |out: &Path, endpoint: &EndpointConfig, expected: &str| {
        let before = contents(out);
        let message = world.run(out, endpoint, &Silent).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
        assert_eq!(contents(out), before);
    };
    let asking = endpoint(&server, 2);
    let out = left_behind(&world, "a");
    refused(&out, &EndpointConfig { model: "other".into(), ..asking.clone() }, "begun with sampling = ");
    // Another process at it: here another thread, whose server answers nothing until it is interrupted.
    let stalling = Server::start(|_| Act::Stall);
    let (waiting, stop) = (endpoint(&stalling, 1), Flag(AtomicBool::new(false)));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| world.run(&out, &waiting, &stop).unwrap_err());
        stalling.wait_for(1);
        refused(&out, &asking, "no other process");
        stop.0.store(true, Ordering::SeqCst);
        assert!(matches!(other.join().unwrap(), Error::Interrupted));
    });
    let text = fs_err::read_to_string(out.join(JOURNAL)).unwrap();
    let twice = text.clone() + text.lines().next().unwrap() + "\n";
    cognate_base::files::write_atomic(out.join(JOURNAL), twice).unwrap();
    refused(&out, &asking, "line 6: document 13 comes a second time");
    cognate_base::files::write_atomic(out.join(JOURNAL), text.replacen("tokens", "tokes", 1)).unwrap();
    refused(&out, &asking, "journal.jsonl: line 1");
    assert!(server.asked().is_empty());
}

#[test]
fn one_document_that_fails_holds_the_others_back() {
    let world = World::new();
    let server = Server::start(|asked| if asked.repeats == 0 && asked.ordinal == 0 { Act::Stall } else { Act::Answer });
    // Long enough to ask for hundreds of others.
    let endpoint = EndpointConfig { timeout: Duration::from_secs(2), attempts: 1, ..endpoint(&server, 2) };
    let config = GenerateConfig { target: Target::Tokens(1_000_000), ..config() };
    let error = world.run_with(&world.out("a"), &config, &endpoint, &Silent).unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    // 32 from the first missing one on, which is the first or, where the second request came before it, the second.
    assert!((32..=33).contains(&server.asked().len()), "{}", server.asked().len());
}

#[test]
fn impossible_settings_are_refused_before_anything_is_written() {
    let world = World::new();
    let server = Server::faultless();
    let out = world.out("a");
    let good = endpoint(&server, 2);
    let cases = [
        ("endpoint_url", EndpointConfig { url: "127.0.0.1".into(), ..good.clone() }),
        ("endpoint_model", EndpointConfig { model: String::new(), ..good.clone() }),
        ("endpoint_concurrency", EndpointConfig { concurrency: 0, ..good.clone() }),
        ("endpoint_concurrency", EndpointConfig { concurrency: 1_000_000, ..good.clone() }),
        ("endpoint_timeout_s", EndpointConfig { timeout: Duration::ZERO, ..good.clone() }),
        ("endpoint_attempts", EndpointConfig { attempts: 0, ..good.clone() }),
    ];
    for (field, endpoint) in cases {
        let message = world.run(&out, &endpoint, &Silent).unwrap_err().to_string();
        assert!(message.starts_with(field), "{message}");
    }
    let long = GenerateConfig { max_seed_tokens: 39, ..config() };
    let error = world.run_with(&out, &long, &good, &Silent).unwrap_err();
    assert!(matches!(error, Error::Context { excess: 1, .. }), "{error}");
    let small = Config { vocab: world.tokenizer.vocab_size() - 1, ..world.model() };
    let error = generate_endpoint(&small, &world.tokenizer, &world.seeds, &out, &config(), &good, &Silent).unwrap_err();
    assert!(matches!(error, Error::Vocabulary { .. }), "{error}");
    assert!(!out.exists() && server.asked().is_empty());
}

/// Not every server gives log-probabilities: then no record holds a number that nobody said.
#[test]
fn without_log_probabilities_there_is_no_mean() {
    let world = World::new();
    let server = Server::start(|asked| {
        let mut right = answer(&asked.body);
        right["choices"][0]["logprobs"] = Value::Null;
        Act::Say(200, String::new(), right.to_string())
    });
    let stats = world.run(&world.out("a"), &endpoint(&server, 2), &Silent).unwrap();
    assert_eq!(stats.mean_log_probability, None);
    assert!(read(&shards(&world.out("a")).unwrap()).iter().all(|d| !d.metadata.contains_key("mean_log_probability")));
}
