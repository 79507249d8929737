//! Generation by a completion server: what is asked for, and what is made of the answers.

mod faults;
mod resume;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cognate_base::{Monitor, Silent};
use cognate_model::Config;
use cognate_synth::generate::files::shards;
use cognate_synth::{EndpointConfig, Error, GenerateConfig, GenerateStats, Sampling, Target, generate_endpoint};
use serde_json::{Value, json};

use crate::server::{Act, Asked, Server, answer};
use crate::world::{TEXTS, World, settings, shape};
use crate::{contents, read};

const JOURNAL: &str = "journal.jsonl";

impl World {
    fn ask(&self, out: &Path, endpoint: &EndpointConfig, monitor: &dyn Monitor) -> Result<GenerateStats, Error> {
        self.ask_with(out, &config(), endpoint, monitor)
    }

    fn ask_with(
        &self,
        out: &Path,
        config: &GenerateConfig,
        endpoint: &EndpointConfig,
        monitor: &dyn Monitor,
    ) -> Result<GenerateStats, Error> {
        let model = shape(self.tokenizer.vocab_size());
        generate_endpoint(&model, &self.tokenizer, &self.seeds, out, config, endpoint, monitor)
    }

    /// What an undisturbed run writes.
    fn undisturbed(&self) -> (GenerateStats, BTreeMap<String, Vec<u8>>) {
        let server = Server::faultless();
        let stats = self.ask(&self.out("undisturbed"), &endpoint(&server, 3), &Silent).unwrap();
        (stats, contents(&self.out("undisturbed")))
    }
}

fn config() -> GenerateConfig {
    GenerateConfig {
        first_document: 5,
        target: Target::Tokens(600),
        sampling: Sampling::nucleus(0.75, 0.9),
        shard_documents: 8,
        synthesizer: "served".into(),
        ..settings()
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

/// How often each document was asked for.
fn counts(asked: &[Asked]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for asked in asked {
        *counts.entry(asked.seed()).or_default() += 1;
    }
    counts
}

#[test]
fn answers_become_documents_in_order_and_each_is_asked_for_once() {
    let world = World::new();
    let server = Server::faultless();
    let out = world.out("a");
    let stats = world.ask(&out, &endpoint(&server, 4), &Silent).unwrap();
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
        let short = world.cut(TEXTS[seed], 14);
        cut += u64::from(short.len() < encoded.len());
        let prompt = [&[end], short.as_slice(), &[related]].concat();
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
    assert_eq!(world.ask(&out, &endpoint(&server, 4), &Silent).unwrap(), stats);
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
        assert_eq!(world.ask(&out, &endpoint(&server, threads), &Silent).unwrap(), stats);
        assert_eq!(server.most_held(), threads);
        assert_eq!(contents(&out), expected);
    }
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
        let message = world.ask(&out, &endpoint, &Silent).unwrap_err().to_string();
        assert!(message.starts_with(field), "{message}");
    }
    let long = GenerateConfig { max_seed_tokens: 39, ..config() };
    let error = world.ask_with(&out, &long, &good, &Silent).unwrap_err();
    assert!(matches!(error, Error::Context { excess: 1, .. }), "{error}");
    // The related-document token is number 1 of our own tokenizers.
    let small = Config { vocab: 1, ..shape(world.tokenizer.vocab_size()) };
    let error = generate_endpoint(&small, &world.tokenizer, &world.seeds, &out, &config(), &good, &Silent).unwrap_err();
    assert!(matches!(error, Error::NoRow { id: 1, rows: 1, .. }), "{error}");
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
    let stats = world.ask(&world.out("a"), &endpoint(&server, 2), &Silent).unwrap();
    assert_eq!(stats.mean_log_probability, None);
    assert!(read(&shards(&world.out("a")).unwrap()).iter().all(|d| !d.metadata.contains_key("mean_log_probability")));
}
