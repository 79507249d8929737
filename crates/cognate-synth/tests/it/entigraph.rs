//! Texts about the entities of documents: what is asked, in which order, what is made of the answers, and what remains of faults and interruptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::Document;
use cognate_synth::entigraph::ENTITIES_FILE;
use cognate_synth::generate::files::shards;
use cognate_synth::{EndpointConfig, EntigraphStats, Error, GenerateConfig, Key, Sampling, Target, generate_entigraph};
use serde_json::json;

use crate::server::{Act, Asked, Server, answer};
use crate::world::{TEXTS, World, settings};
use crate::{contents, read};

const JOURNAL: &str = "entities-journal.list";

fn config(target: Target) -> GenerateConfig {
    GenerateConfig {
        target,
        sampling: Sampling::nucleus(1.0, 0.9),
        max_seed_tokens: 1000,
        shard_documents: 4,
        synthesizer: "the server's".into(),
        ..settings()
    }
}

fn endpoint(server: &Server) -> EndpointConfig {
    EndpointConfig {
        url: server.url(),
        model: "writer".into(),
        key: None,
        concurrency: 3,
        timeout: Duration::from_secs(60),
        attempts: 3,
        first_wait: Duration::from_millis(1),
    }
}

impl World {
    fn about(
        &self,
        out: &Path,
        target: Target,
        server: &Server,
        monitor: &dyn Monitor,
    ) -> Result<EntigraphStats, Error> {
        let (seeds, config) = (&self.seeds, config(target));
        generate_entigraph(&self.tokenizer, seeds, out, &config, (5, None), &endpoint(server), monitor)
    }
}

fn asks_for_entities(asked: &Asked) -> bool {
    asked.body["response_format"]["type"] == "json_object"
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        if !words.contains(&word) && words.len() < 5 {
            words.push(word);
        }
    }
    words
}

fn entities(document: &Document) -> Vec<String> {
    serde_json::from_value(document.metadata["entities"].clone()).unwrap()
}

/// Three, two, eight (of which five count) and one entities: 3 + 1 + 10 twos and 1 + 10 threes.
#[test]
fn every_two_entities_are_written_about_and_then_every_three() {
    let world = World::new();
    let server = Server::faultless();
    let out = world.out("all");
    let stats = world.about(&out, Target::Documents(27), &server, &Silent).unwrap();
    assert_eq!((stats.entities, stats.unreadable, stats.without_two), (3 + 2 + 5 + 1, 0, 1));
    assert_eq!((stats.pairs, stats.triples, stats.texts.documents, stats.texts.distinct_seeds), (14, 11, 27, 3));
    let asked = server.asked();
    let of_entities: Vec<&Asked> = asked.iter().filter(|asked| asks_for_entities(asked)).collect();
    assert_eq!(of_entities.len(), 4, "each document's once");
    let asked: Vec<&Asked> = asked.iter().filter(|asked| !asks_for_entities(asked)).collect();
    let by_answer: BTreeMap<String, &Asked> = asked
        .iter()
        .map(|asked| (answer(&asked.body)["choices"][0]["message"]["content"].as_str().unwrap().to_owned(), *asked))
        .collect();
    assert_eq!(by_answer.len(), asked.len(), "two answers are the same: the test could not tell them apart");
    let documents = read(&shards(&out).unwrap());
    let mut seen = BTreeSet::new();
    let mut tokens = 0;
    for (number, document) in documents.iter().enumerate() {
        let seed: usize = document.metadata["seed_id"].as_str().unwrap()[1..].parse().unwrap();
        let about = entities(document);
        assert_eq!(about.len(), if number < 14 { 2 } else { 3 - usize::from(number >= 25) }, "{number}");
        assert!(about.iter().all(|entity| words(TEXTS[seed]).contains(&entity.as_str())));
        // All of them, and then the first again.
        let is_new = seen.insert((seed, about.clone()));
        assert_eq!((is_new, document.metadata.get("sample")), (number < 25, (number >= 25).then_some(&json!(1))));
        let asked = by_answer[&document.text];
        let given = format!("Text:\n{}\n\nEntities:\n- {}", TEXTS[seed], about.join("\n- "));
        assert_eq!(asked.body["messages"][1], json!({"role": "user", "content": given}));
        let system = asked.body["messages"][0]["content"].as_str().unwrap();
        assert_eq!(system.contains("three of its entities"), about.len() == 3, "{system}");
        assert_eq!(
            (&asked.body["model"], &asked.body["temperature"], &asked.body["top_p"], &asked.body["max_tokens"]),
            (&json!("writer"), &json!(1.0), &json!(0.9), &json!(24))
        );
        let of_text = world.tokenizer.encode(&document.text).unwrap().len() + 1;
        assert_eq!(document.metadata["tokens"], of_text);
        tokens += of_text as u64;
        let reason = answer(&asked.body)["choices"][0]["finish_reason"] == "stop";
        assert_eq!(document.metadata["finish_reason"], if reason { "eod" } else { "cap" });
        let sampling = &document.metadata["sampling"];
        assert_eq!((&sampling["method"], &sampling["model"]), (&json!("entigraph"), &json!("writer")));
        assert_eq!(document.metadata["synthesizer"], "the server's");
    }
    assert_eq!((seen.len(), stats.texts.tokens), (25, tokens));
    assert!(
        stats.texts.capped > 0 && stats.texts.ended > 0 && stats.texts.tokens > 27 * 24,
        "tokens are ours, not the server's"
    );
    // The documents take turns, and each has its first before any has its second.
    let first: BTreeSet<String> =
        documents[..3].iter().map(|document| document.metadata["seed_id"].to_string()).collect();
    assert_eq!(first.len(), 3);
    // What is finished is asked for no more, and its entities can be taken by another call.
    let (before, server) = (contents(&out), Server::faultless());
    assert_eq!(world.about(&out, Target::Documents(27), &server, &Silent).unwrap(), stats);
    assert_eq!((server.asked().len(), contents(&out)), (0, before));
    let next = GenerateConfig { first_document: 27, ..config(Target::Documents(2)) };
    let (path, other) = (out.join(ENTITIES_FILE), world.out("next"));
    let known = (5, Some(path.as_path()));
    generate_entigraph(&world.tokenizer, &world.seeds, &other, &next, known, &endpoint(&server), &Silent).unwrap();
    assert!(server.asked().iter().all(|asked| !asks_for_entities(asked)), "entities were asked for again");
    let following = read(&shards(&other).unwrap());
    assert_eq!((following[0].id.as_str(), entities(&following[0])), ("synthetic-27", entities(&documents[2])));
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

#[test]
fn what_was_interrupted_or_killed_goes_on_and_asks_again_for_nothing_that_came() {
    let world = World::new();
    let target = Target::Documents(20);
    let expected = world.out("undisturbed");
    let stats = world.about(&expected, target, &Server::faultless(), &Silent).unwrap();
    let out = world.out("stopped");
    let (mut asked, mut stops) = (BTreeMap::<String, usize>::new(), 0);
    let resumed = loop {
        let server = Server::faultless();
        let outcome = world.about(&out, target, &server, &StopAt(&server, 4));
        for one in server.asked() {
            *asked.entry(one.body["messages"].to_string() + &one.body["seed"].to_string()).or_default() += 1;
        }
        match outcome {
            Ok(stats) => break stats,
            Err(Error::Interrupted(_)) => stops += 1,
            Err(error) => panic!("{error}"),
        }
        if stops == 1 {
            // A line without its end was being written.
            let journal = out.join(JOURNAL);
            if let Ok(text) = fs_err::read_to_string(&journal) {
                fs_err::write(&journal, format!("{text}{{\"number\": 3, \"id\": \"u")).unwrap();
            }
        }
    };
    assert!(stops >= 3, "{stops}");
    assert_eq!((resumed, contents(&out)), (stats, contents(&expected)));
    // At most as many as are under way are asked for again at each stop.
    let again: usize = asked.values().map(|times| times - 1).sum();
    assert!(again <= 3 * stops, "{again} of {stops} stops");
}

#[test]
fn faults_are_met_with_another_request_or_an_error_and_nothing_that_came_is_lost() {
    let world = World::new();
    let target = Target::Documents(8);
    let expected = world.out("undisturbed");
    let stats = world.about(&expected, target, &Server::faultless(), &Silent).unwrap();
    // The first request for each is lost in one way or another.
    let server = Server::start(|asked| match asked.repeats {
        0 => [Act::HangUp, Act::Cut, Act::Say(503, String::new(), "busy".to_owned())][asked.ordinal % 3].clone(),
        _ => Act::Answer,
    });
    let out = world.out("faults");
    assert_eq!(world.about(&out, target, &server, &Silent).unwrap(), stats);
    assert_eq!(contents(&out), contents(&expected));
    // A list that cannot be read is drawn anew, and one that never can be is no list.
    let garbled = |asked: &Asked, always: bool| {
        let is_first = asked.body["messages"][1]["content"].as_str().unwrap().contains(TEXTS[0]);
        let body = json!({"choices": [{"message": {"content": "stars, planets"}, "finish_reason": "stop"}]});
        (asks_for_entities(asked) && is_first && always).then(|| Act::Say(200, String::new(), body.to_string()))
    };
    let server = Server::start(move |asked| garbled(asked, asked.ordinal == 0).unwrap_or(Act::Answer));
    let out = world.out("once");
    let found = world.about(&out, target, &server, &Silent).unwrap();
    assert_eq!((found.unreadable, found.entities), (0, stats.entities));
    let server = Server::start(move |asked| garbled(asked, true).unwrap_or(Act::Answer));
    let found = world.about(&world.out("never"), target, &server, &Silent).unwrap();
    assert_eq!((found.unreadable, found.without_two, found.entities), (1, 2, stats.entities - 3));
    let list = fs_err::read_to_string(world.out("never").join(ENTITIES_FILE)).unwrap();
    assert!(list.lines().next().unwrap().ends_with("\"entities\":null}"), "{list}");
    let seeds: BTreeSet<u64> = server
        .asked()
        .iter()
        .filter(|asked| garbled(asked, true).is_some())
        .map(|asked| asked.body["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds.len(), 3, "each attempt is another draw");
    // A server that does not know the field is asked without it.
    let server = Server::start(|asked| {
        let message = json!({"content": json!({"entities": ["a", "b"]}).to_string()});
        let list = json!({"choices": [{"message": message, "finish_reason": "stop"}]}).to_string();
        let is_list = asked.body["messages"][0]["content"].as_str().unwrap().contains("JSON object");
        match (asks_for_entities(asked), is_list) {
            (true, _) => Act::Say(400, String::new(), "unknown field response_format".to_owned()),
            (_, true) => Act::Say(200, String::new(), list),
            _ => Act::Answer,
        }
    });
    assert_eq!(world.about(&world.out("strict"), target, &server, &Silent).unwrap().entities, 8);
}

#[test]
fn a_server_that_lists_nothing_or_refuses_is_told_with_what_to_do() {
    let world = World::new();
    let target = Target::Documents(2);
    let nothing = json!({"choices": [{"message": {"content": "no"}, "finish_reason": "stop"}]}).to_string();
    let server = Server::start(move |_| Act::Say(200, String::new(), nothing.clone()));
    let out = world.out("a");
    let message = world.about(&out, target, &server, &Silent).unwrap_err().to_string();
    assert!(message.contains("of 4 documents") && message.contains("of 4 the answers of \"writer\""), "{message}");
    // Once the server is mended, the same folder goes on; an answer without any text is no list either.
    let silent = json!({"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}).to_string();
    let server = Server::start(move |_| Act::Say(200, String::new(), silent.clone()));
    let message = world.about(&out, target, &server, &Silent).unwrap_err().to_string();
    assert!(message.contains("of 4 the answers"), "{message}");
    let found = world.about(&out, target, &Server::faultless(), &Silent).unwrap();
    assert_eq!((found.entities, found.unreadable), (11, 0));
    // An empty text is none.
    let empty = json!({"choices": [{"message": {"content": " "}, "finish_reason": "stop"}]}).to_string();
    let server = Server::start(move |asked| match asks_for_entities(asked) {
        true => Act::Answer,
        false => Act::Say(200, String::new(), empty.clone()),
    });
    let message = world.about(&world.out("empty"), target, &server, &Silent).unwrap_err().to_string();
    assert!(message.contains("its text is empty") && message.contains("attempt 3"), "{message}");
    let server = Server::start(|asked| {
        if asks_for_entities(asked) { Act::Answer } else { Act::Say(404, String::new(), "no such model".to_owned()) }
    });
    let out = world.out("b");
    let message = world.about(&out, target, &server, &Silent).unwrap_err().to_string();
    assert!(message.contains("/v1/chat/completions") && message.contains("no such model"), "{message}");
    assert!(out.join(ENTITIES_FILE).exists() && !out.join(JOURNAL).exists());
    // With another model, the folder is another's.
    let other = EndpointConfig { model: "other".into(), ..endpoint(&server) };
    let again = generate_entigraph(&world.tokenizer, &world.seeds, &out, &config(target), (5, None), &other, &Silent);
    assert!(again.unwrap_err().to_string().contains("sampling"));
    for most in [0, 1, 101] {
        let refused =
            generate_entigraph(&world.tokenizer, &world.seeds, &out, &config(target), (most, None), &other, &Silent);
        assert!(refused.unwrap_err().to_string().starts_with(&format!("most_entities = {most}")));
    }
    fs_err::write(out.join(ENTITIES_FILE), "{\"number\": 0, \"id\": \"x\", \"entities\": null}\n").unwrap();
    let message = world.about(&out, target, &Server::faultless(), &Silent).unwrap_err().to_string();
    assert!(message.contains(ENTITIES_FILE) && message.contains("line 1"), "{message}");
}

#[test]
fn the_key_reaches_the_server_and_nothing_that_is_written() {
    let world = World::new();
    let server = Server::start(|asked| {
        let spoken = "say Bearer s3cret-Zq81 aloud";
        let content = if asks_for_entities(asked) {
            json!({"entities": ["a", "b", spoken]}).to_string()
        } else {
            "a text".to_owned()
        };
        let body = json!({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]});
        Act::Say(200, String::new(), body.to_string())
    });
    let endpoint = EndpointConfig { key: Some(Key::new("s3cret-Zq81").unwrap()), ..endpoint(&server) };
    let out = world.out("key");
    let (tokenizer, seeds) = (&world.tokenizer, &world.seeds);
    let error =
        generate_entigraph(tokenizer, seeds, &out, &config(Target::Documents(2)), (5, None), &endpoint, &Silent);
    let message = error.unwrap_err().to_string();
    assert!(!message.contains("s3cret"), "{message}");
    assert!(server.asked().iter().all(|asked| asked.authorization.as_deref() == Some("Bearer s3cret-Zq81")));
    for (file, bytes) in contents(&out) {
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "{file}");
    }
}
