//! Answers at random, through the client and all that reads them: an answer is a document, or an error that tells nothing it should not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::SystemTime;

use cognate_base::random;

use super::client::Client;
use super::key::Discretion;
use super::protocol::{Asking, Job, Written};
use super::retry::retry_after;
use super::workers::Question;
use super::*;
use crate::fuzz::{inputs, mutated};
use crate::sampling::Sampling;

const KEY: &str = "s3cret-Zq81";

fn job() -> Job {
    let config = GenerateConfig {
        seed: 5,
        first_document: 0,
        target: crate::Target::Tokens(100),
        shard: None,
        samples_per_seed: 1,
        sampling: Sampling::nucleus(0.8, 0.9),
        precision: cognate_ops::Precision::F32,
        max_new_tokens: 20,
        max_seed_tokens: 10,
        slots: 1,
        shard_documents: 10,
        synthesizer: "s".into(),
    };
    let tokenizer = Tokenizer::train(std::iter::once("a".to_owned()), 258).unwrap();
    Job::new(&Asking::new(&config, "syn", &tokenizer, 1), 3, &[0, 7, 8, 1])
}

/// What servers answer, and what they answer wrongly.
fn bodies() -> Vec<Vec<u8>> {
    [
        r#"{"id":"1","model":"syn","choices":[{"index":0,"text":" a b","finish_reason":"stop","logprobs":{"tokens":["a"],"token_logprobs":[-1.0,null,-0.5],"top_logprobs":[{"a":-1.0}]}}],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}"#,
        r#"{"choices":[{"text":"caf\u00e9 \ud83d\ude00<|endoftext|>","finish_reason":"length","logprobs":{"content":[{"token":"a","logprob":-3.0}]}}],"usage":{"completion_tokens":20.0}}"#,
        r#"{"choices":[{"text":"","finish_reason":"abort"}],"usage":null}"#,
        r#"{"error":{"message":"bad key s3cret-Zq81, try again","code":401}}"#,
        r#"{"choices":[{"text":" a \u0073\u0033cret-Zq81 b","finish_reason":"stop"}],"usage":{"completion_tokens":3}}"#,
        "<html>502 Bad Gateway</html>",
        "data: {}\n\ndata: [DONE]\n\n",
    ]
    .map(|body| body.as_bytes().to_vec())
    .to_vec()
}

fn check(read: Result<Written, (Fault, bool)>, discretion: &Discretion, number: u64) -> bool {
    match read {
        Ok(written) => {
            assert!(written.number == 3 && (1..=20).contains(&written.tokens), "{number}: {written:?}");
            assert!(written.text.len() <= 20 * 256 && !discretion.is_broken_by(&written.text), "{number}: {written:?}");
            assert!(written.mean_log_probability.is_none_or(f64::is_finite), "{number}: {written:?}");
            true
        }
        Err((fault, _)) => {
            check_fault(&fault, discretion, number);
            false
        }
    }
}

fn check_fault(fault: &Fault, discretion: &Discretion, number: u64) {
    let message = fault.to_string();
    assert!(message.len() < 4000 && !message.contains(char::is_control), "{number}: {message}");
    assert!(!discretion.is_broken_by(&message), "{number}: {message}");
}

#[test]
fn a_damaged_body_is_a_document_or_an_error_without_the_key() {
    let (job, discretion) = (job(), Discretion(Some(Key::new(KEY).unwrap())));
    let bodies = bodies();
    let documents = (0..inputs()).filter(|&number| {
        let mut stream = random::stream(3, "bodies", number);
        let body = mutated(&bodies[number as usize % bodies.len()], &mut stream);
        check(job.read(&body, &discretion), &discretion, number)
    });
    let documents = documents.count() as u64;
    assert!(documents > inputs() / 50 && documents < inputs() / 2, "{documents} documents");
}

/// Whole answers over HTTP: status line, headers and body, plain or in chunks.
fn answers() -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for (at, body) in bodies().into_iter().enumerate() {
        let status = ["200 OK", "429 Too Many Requests", "503 Service Unavailable"][at % 3];
        let length = body.len();
        let more =
            ["", "Retry-After: 1\r\n", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "Location: /x\r\n"][at % 4];
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}");
        answers.push([format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), &body].concat());
        let (first, second) = body.split_at(length / 2);
        let mut chunked = format!("HTTP/1.1 200 OK\r\n{more}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in [first, second] {
            chunked.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
        }
        chunked.extend(b"0\r\n\r\n");
        answers.push(chunked);
    }
    answers
}

/// Serves one connection after the other: `answer` for each, by its number, then the connection's end.
fn serve(listener: &TcpListener, connections: u64, answer: impl Fn(u64) -> Vec<u8>) {
    for number in 0..connections {
        let Ok((mut stream, _)) = listener.accept() else { return };
        // All of the request, or the answer would be lost with the connection's reset.
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"}") {
            match stream.read(&mut piece) {
                Ok(read) if read > 0 => request.extend_from_slice(&piece[..read]),
                _ => break,
            }
        }
        let _ = stream.write_all(&answer(number));
    }
}

#[test]
fn a_damaged_answer_over_http_is_a_document_or_an_error_without_the_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let key = Key::new(KEY).unwrap();
    // No connection is kept: each answer is the first of its own.
    let client = Client::new(&url, Role::Synthesizer, Some(key), Duration::from_secs(20), 0).unwrap();
    let answers = Arc::new(answers());
    let given = answers.clone();
    let server = std::thread::spawn(move || {
        serve(&listener, inputs(), |number| {
            let mut stream = random::stream(4, "answers", number);
            mutated(&given[number as usize % given.len()], &mut stream)
        });
    });
    let job = job();
    let (mut documents, mut replies) = (0, 0);
    for number in 0..inputs() {
        match client.post(&job.body(), job.most_bytes()) {
            Ok(reply) => {
                replies += 1;
                assert!(reply.body.len() <= job.most_bytes());
                let asked = reply.retry_after.and_then(|value| retry_after(&value, SystemTime::now()));
                assert!(asked.is_none_or(|asked| asked.as_secs_f64().is_finite()));
                documents += u64::from(check(job.read(&reply.body, client.discretion()), client.discretion(), number));
            }
            Err(none) => check_fault(&none.fault, client.discretion(), number),
        }
    }
    server.join().unwrap();
    assert!(replies > inputs() / 5 && documents > inputs() / 100, "{replies} replies, {documents} documents");
}
