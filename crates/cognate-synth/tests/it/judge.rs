//! A judge behind a completion server, one that does as it should and one that does not.

use std::collections::HashMap;
use std::time::Duration;

use cognate_base::Silent;
use cognate_corpus::Document;
use cognate_synth::endpoint::Fault;
use cognate_synth::score::judge::PROMPT;
use cognate_synth::{EndpointConfig, Error, JudgeConfig, JudgeStats, Key, KnownPairs, Result, TextPair};
use serde_json::{Value, json};

use crate::document;
use crate::server::{Act, Asked, Server};

const KEY: &str = "s3cret-Zq81";

fn says(text: &str) -> Act {
    Act::Say(200, String::new(), json!({"choices": [{"text": text, "finish_reason": "stop"}]}).to_string())
}

/// Related where both texts have the same first word.
fn right(asked: &Asked) -> Act {
    let prompt = asked.body["prompt"].as_str().unwrap();
    let word = |title: &str| prompt.split_once(title).unwrap().1.split_whitespace().next().unwrap().to_owned();
    says(if word("First text:") == word("Second text:") { " related\n" } else { " unrelated" })
}

fn config(server: &Server) -> JudgeConfig {
    let judge = JudgeConfig::new(server.url(), "wise".into(), Some(Key::new(KEY).unwrap()), 12, 7);
    let server = EndpointConfig { first_wait: Duration::from_millis(1), attempts: 3, ..judge.server };
    JudgeConfig { server, ..judge }
}

/// Twenty texts of subjects of their own, and twenty synthetic documents, of which every fourth strays from its seed.
fn ask(judge: &JudgeConfig) -> Result<JudgeStats> {
    let texts: Vec<(String, String)> = (0..20).map(|i| (format!("u{i}"), format!("subject{i} in a text"))).collect();
    let written = |i: usize| {
        let subject = if i.is_multiple_of(4) { 100 + i } else { i };
        document(&format!("s{i}"), &format!("subject{subject} again"), &[("seed_id", json!(format!("u{i}")))])
    };
    let mut documents: Vec<Document> = (0..20).map(written).collect();
    documents.push(document("orphan", "no seed", &[]));
    let neighbours: Vec<TextPair<'_>> =
        texts.iter().map(|(id, text)| TextPair { name: id, seed: text, document: text }).collect();
    let bare: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let by_id: HashMap<&str, &str> = texts.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    KnownPairs::judge(&bare, Some(&neighbours), judge, &Silent)?.beside(&documents, &by_id, judge, &Silent)
}

#[test]
fn right_answers_are_counted_for_each_kind_of_pairs() {
    let server = Server::start(right);
    let stats = ask(&config(&server)).unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 3 * 12);
    assert!(
        asked.iter().all(|asked| asked.repeats == 0 && asked.authorization.as_deref() == Some("Bearer s3cret-Zq81"))
    );
    let start = PROMPT.split_once("{first}").unwrap().0;
    for asked in &asked {
        assert!(asked.body["prompt"].as_str().unwrap().starts_with(start), "{}", asked.body);
        assert_eq!((&asked.body["model"], &asked.body["temperature"]), (&json!("wise"), &json!(0)));
    }
    let neighbours = stats.neighbours.unwrap();
    assert_eq!((neighbours.related, neighbours.unrelated, neighbours.unclear), (12, 0, 0));
    assert_eq!((stats.random.related, stats.random.unrelated), (0, 12));
    let figure = stats.synthetic.irrelevant.unwrap();
    assert_eq!((stats.synthetic.asked(), figure.n), (12, 12));
    assert_eq!(figure.value, stats.synthetic.unrelated as f64 / 12.0);
    // Drawn once: the sample depends on the seed alone. Some of the five strays are among twelve of twenty.
    assert_eq!(stats, ask(&config(&server)).unwrap());
    assert!((1..=5).contains(&stats.synthetic.unrelated), "{stats:?}");
}

#[test]
fn what_passes_is_asked_again() {
    let faultless = ask(&config(&Server::start(right))).unwrap();
    let server = Server::start(|asked| match (asked.repeats, asked.ordinal % 5) {
        (0, 0) => Act::Say(429, "Retry-After: 0\r\n".into(), String::new()),
        (0, 1) => Act::Say(500, String::new(), "broken".into()),
        (0, 2) => Act::Say(200, String::new(), "{\"choices\": [".into()),
        (0, 3) => Act::HangUp,
        _ => right(asked),
    });
    assert_eq!(ask(&config(&server)).unwrap(), faultless);
    assert!(server.asked().len() > 36 && server.most_held() <= 8);
}

#[test]
fn an_unclear_answer_is_no_answer_and_is_counted() {
    let server = Server::start(|asked| match asked.ordinal % 3 {
        0 => says("related to some extent"),
        1 => says(""),
        _ => says("Related"),
    });
    let stats = ask(&config(&server)).unwrap();
    for found in [stats.synthetic, stats.neighbours.unwrap(), stats.random] {
        assert_eq!((found.related, found.unrelated, found.unclear, found.irrelevant), (0, 0, 12, None));
    }
}

#[test]
fn a_server_that_fails_is_named_without_the_key() {
    let refused = |server: &Server, expected: &str| {
        let judge = config(server);
        let error = ask(&judge).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("{}/completions: pair ", judge.server.url)), "{message}");
        assert!(message.contains(expected) && !message.contains(KEY) && !message.contains("endpoint_"), "{message}");
        match error {
            Error::Endpoint(error) => error.fault,
            other => panic!("{other}"),
        }
    };
    let garbled = Server::start(|_| Act::Say(200, String::new(), format!("{{\"{KEY}\": ")));
    assert!(matches!(refused(&garbled, "not JSON"), Fault::Answer { .. }));
    let strange = Server::start(|_| Act::Say(200, String::new(), "{}".into()));
    assert!(matches!(refused(&strange, "serves the judge"), Fault::Answer { .. }));
    assert!(strange.asked().iter().all(|asked| asked.repeats == 0), "what would be said again is not asked again");
    let locked = Server::start(|_| Act::Say(401, String::new(), format!("bad key {KEY}")));
    assert!(matches!(refused(&locked, "judge_key_env"), Fault::Status { status: 401, .. }));
    // Nobody there.
    let mut judge = config(&garbled);
    judge.server.url = "http://127.0.0.1:9/v1".into();
    let message = ask(&judge).unwrap_err().to_string();
    assert!(
        message.starts_with("http://127.0.0.1:9/v1/completions: pair ") && message.contains("(attempt 3)"),
        "{message}"
    );
    assert!(message.contains("check that the server runs at judge_url"), "{message}");
}

#[test]
fn what_is_told_of_a_judge_holds_neither_key_nor_address() {
    let server = Server::start(right);
    let stats = ask(&config(&server)).unwrap();
    let text = serde_json::to_string(&stats).unwrap();
    assert!(text.contains("wise") && !text.contains(KEY) && !text.contains("127.0.0.1"), "{text}");
    assert!(!format!("{:?}", config(&server)).contains(KEY));
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["synthetic"]["irrelevant"]["n"], 12);
    assert_eq!(serde_json::from_str::<JudgeStats>(&text).unwrap(), stats);
}
