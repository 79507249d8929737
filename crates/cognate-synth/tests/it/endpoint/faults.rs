//! A server that does not do as it should: what passes is asked again, what stays is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cognate_base::Silent;
use cognate_synth::endpoint::Fault;
use cognate_synth::generate::files::shards;
use cognate_synth::{EndpointConfig, Error, GenerateConfig, Key, Target};

use super::{config, endpoint};
use crate::server::{Act, Asked, Server, answer};
use crate::world::World;
use crate::{contents, read};

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
        assert_eq!(world.ask(&out, &endpoint, &Silent).unwrap(), stats);
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
        let error = world.ask(&out, &endpoint, &Silent).unwrap_err();
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
        assert_eq!(world.ask(&out, &endpoint, &Silent).unwrap(), stats);
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
    let error = world.ask(&world.out("a"), &gone, &Silent).unwrap_err();
    let Error::Endpoint(error) = error else { panic!("{error}") };
    assert!(matches!(error.fault, Fault::Transport(_)) && error.attempts == 3, "{error}");
    assert!(error.to_string().contains(&gone.url), "{error}");
}

#[test]
fn one_document_that_fails_holds_the_others_back() {
    let world = World::new();
    let server = Server::start(|asked| if asked.repeats == 0 && asked.ordinal == 0 { Act::Stall } else { Act::Answer });
    // Long enough to ask for hundreds of others.
    let endpoint = EndpointConfig { timeout: Duration::from_secs(2), attempts: 1, ..endpoint(&server, 2) };
    let config = GenerateConfig { target: Target::Tokens(1_000_000), ..config() };
    let error = world.ask_with(&world.out("a"), &config, &endpoint, &Silent).unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    // 32 from the first missing one on, which is the first or, where the second request came before it, the second.
    assert!((32..=33).contains(&server.asked().len()), "{}", server.asked().len());
}

/// A server that takes only the fields it knows: what it refuses is left out from then on, and the documents are the same.
#[test]
fn a_strict_server_is_asked_for_less() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let server = Server::start(|asked| match asked.body.get("skip_special_tokens") {
        Some(_) => Act::Say(400, String::new(), r#"{"error": {"message": "Unrecognized request argument"}}"#.into()),
        None => Act::Answer,
    });
    let out = world.out("strict");
    assert_eq!(world.ask(&out, &endpoint(&server, 1), &Silent).unwrap(), stats);
    assert_eq!(contents(&out), expected);
    let refused = server.asked().iter().filter(|asked| asked.body.get("skip_special_tokens").is_some()).count();
    assert_eq!(refused, 1, "asked for it again after it was refused");
    // One that refuses the rest too is told with what it says of the rest.
    let server = Server::start(|asked| {
        let what = if asked.body.get("skip_special_tokens").is_some() { "no such field" } else { "too long" };
        Act::Say(400, String::new(), format!("{{\"detail\": \"{what}\"}}"))
    });
    let error = world.ask(&world.out("refused"), &endpoint(&server, 1), &Silent).unwrap_err().to_string();
    assert!(["400", "\"too long\"", "max_seed_tokens"].iter().all(|word| error.contains(word)), "{error}");
    assert_eq!(server.asked().len(), 2);
}

/// The right answer with something done to its text, as a body.
fn with_text(asked: &Asked, change: impl Fn(&str) -> String) -> serde_json::Value {
    let mut right = answer(&asked.body);
    right["choices"][0]["text"] = change(right["choices"][0]["text"].as_str().unwrap()).into();
    right
}

#[test]
fn special_tokens_in_an_answer_are_cut_off_or_the_record_is_marked() {
    let world = World::new();
    let (stats, expected) = world.undisturbed();
    let asks = |asked: &Asked| asked.body["skip_special_tokens"] == true;
    let closing = Server::start(move |asked| {
        assert!(asks(asked));
        Act::Say(200, String::new(), with_text(asked, |text| format!("{text}<|endoftext|>")).to_string())
    });
    let out = world.out("closing");
    assert_eq!(world.ask(&out, &endpoint(&closing, 3), &Silent).unwrap(), stats);
    assert_eq!(contents(&out), expected);
    let within = Server::start(|asked| {
        let change =
            |text: &str| if asked.seed() % 2 == 0 { format!("{text}<|related|> more") } else { text.to_owned() };
        Act::Say(200, String::new(), with_text(asked, change).to_string())
    });
    let out = world.out("within");
    world.ask(&out, &endpoint(&within, 3), &Silent).unwrap();
    let found = read(&shards(&out).unwrap());
    let (special, plain): (Vec<_>, Vec<_>) = found.iter().partition(|document| document.text.contains("<|related|>"));
    assert!(special.len() > 3 && plain.len() > 3);
    assert!(special.iter().all(|document| document.metadata["special_token"] == "<|related|>"));
    assert!(plain.iter().all(|document| !document.metadata.contains_key("special_token")));
}

/// The server's JSON hides the key from whoever looks at its bytes; the document would hold it.
#[test]
fn a_key_that_is_spelt_in_escapes_reaches_no_file_and_no_message() {
    let world = World::new();
    let key = "s3cret-key/Zq81";
    let escaped = |codes: fn(u8) -> String| key.bytes().map(codes).collect::<String>();
    let spellings = [
        escaped(|byte| format!("\\u{byte:04x}")),
        escaped(|byte| format!("\\u{byte:04X}")),
        escaped(|byte| format!("%{byte:02X}")),
        escaped(|byte| format!("&#{byte};")),
        key.replace('/', "\\/"),
        key.to_uppercase(),
        "czNjcmV0LWtleS9acTgx".to_owned(),
    ];
    for (at, spelt) in spellings.into_iter().enumerate() {
        let server = Server::start(move |asked| {
            let body = with_text(asked, |text| format!("{text} KEY b")).to_string();
            Act::Say(200, String::new(), body.replace("KEY", &spelt))
        });
        let out = world.out(&format!("key-{at}"));
        let endpoint = EndpointConfig { key: Some(Key::new(key).unwrap()), ..endpoint(&server, 1) };
        let error = world.ask(&out, &endpoint, &Silent).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains("the answer repeats the key"), "{message}");
        for text in
            contents(&out).into_values().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).chain([message])
        {
            assert!(!text.to_lowercase().contains("zq81") && !text.contains("acTgx"), "{text}");
        }
        assert_eq!(server.asked().len(), 1, "asked again for what would be said again");
    }
}

#[test]
fn an_answer_that_is_larger_than_what_was_asked_for_is_none() {
    let world = World::new();
    let server = Server::start(|_| Act::Say(200, String::new(), " ".repeat(4 << 20)));
    let error = world.ask(&world.out("a"), &endpoint(&server, 1), &Silent).unwrap_err().to_string();
    // 24 tokens were asked for.
    assert!(error.contains(&format!("more than {} bytes", (1 << 20) + 24 * (16 << 10))), "{error}");
    assert_eq!(server.asked().len(), 1);
}
