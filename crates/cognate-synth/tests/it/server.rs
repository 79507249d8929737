//! A completion server on 127.0.0.1 that answers from what it is asked alone, and does wrong what a test tells it to. Used by the
//! tests of the library and of the program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// No test takes longer; a connection on which nothing comes for so long is closed.
const BOUND: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// How many came before it.
    pub(crate) ordinal: usize,
    /// How often the same document came before.
    pub(crate) repeats: usize,
    pub(crate) body: Value,
    pub(crate) authorization: Option<String>,
    pub(crate) at: Instant,
}

impl Asked {
    /// What tells documents apart.
    pub(crate) fn seed(&self) -> u64 {
        self.body["seed"].as_u64().unwrap()
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The right answer.
    Answer,
    /// The right answer, when so many requests are being held at once.
    AnswerTogether(usize),
    /// A status, headers (each with its line end) and a body.
    Say(u16, String, String),
    /// Nothing, for as long as the server runs.
    Stall,
    /// The first half of the right answer, then the end of the connection.
    Cut,
    /// The end of the connection at once.
    HangUp,
}

type Script = dyn Fn(&Asked) -> Act + Send + Sync;

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    repeats: BTreeMap<u64, usize>,
    held: usize,
    most_held: usize,
    together: usize,
    stopped: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    script: Box<Script>,
}

/// The server; it stops with this.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { state, changed: Condvar::new(), script: Box::new(script) });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.state.lock().unwrap().stopped {
                    return;
                }
                let shared = accepting.clone();
                // An error here is a client that went away.
                std::thread::spawn(move || stream.and_then(|stream| shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// The right answer to everything.
    pub(crate) fn faultless() -> Self {
        Self::start(|_| Act::Answer)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.state.lock().unwrap().asked.clone()
    }

    /// The most requests that were open at once.
    pub(crate) fn most_held(&self) -> usize {
        self.shared.state.lock().unwrap().most_held
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, requests: usize) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) =
            self.shared.changed.wait_timeout_while(state, BOUND, |state| state.asked.len() < requests).unwrap();
        assert!(state.asked.len() >= requests, "{} of {requests} requests came", state.asked.len());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().stopped = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// One connection, request after request.
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(BOUND))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some((authorization, body)) = read_request(&mut reader)? {
            let asked = self.enter(authorization, body);
            let goes_on = self.act(&mut stream, &asked);
            self.state.lock().unwrap().held -= 1;
            if !goes_on? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn enter(&self, authorization: Option<String>, body: Value) -> Asked {
        let mut state = self.state.lock().unwrap();
        let seen = state.repeats.entry(body["seed"].as_u64().unwrap()).or_default();
        let repeats = std::mem::replace(seen, *seen + 1);
        let asked = Asked { ordinal: state.asked.len(), repeats, body, authorization, at: Instant::now() };
        state.asked.push(asked.clone());
        state.held += 1;
        state.most_held = state.most_held.max(state.held);
        self.changed.notify_all();
        asked
    }

    /// Whether the connection stays open.
    fn act(&self, stream: &mut TcpStream, asked: &Asked) -> std::io::Result<bool> {
        let right = answer(&asked.body).to_string();
        match (self.script)(asked) {
            Act::Answer => respond(stream, 200, "", &right)?,
            Act::AnswerTogether(wanted) => {
                let mut state = self.state.lock().unwrap();
                state.together += 1;
                self.changed.notify_all();
                let missing = |state: &mut State| state.together < wanted && !state.stopped;
                let (state, _) = self.changed.wait_timeout_while(state, BOUND, missing).unwrap();
                drop(state);
                respond(stream, 200, "", &right)?;
            }
            Act::Say(status, headers, body) => respond(stream, status, &headers, &body)?,
            Act::Stall => {
                let state = self.state.lock().unwrap();
                let _ = self.changed.wait_timeout_while(state, BOUND, |state| !state.stopped).unwrap();
                return Ok(false);
            }
            Act::Cut => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", right.len());
                stream.write_all(head.as_bytes())?;
                stream.write_all(&right.as_bytes()[..right.len() / 2])?;
                return Ok(false);
            }
            Act::HangUp => return Ok(false),
        }
        Ok(true)
    }
}

/// A request's `Authorization` and its body; none at the connection's end.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(Option<String>, Value)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let is_chat = line == "POST /v1/chat/completions HTTP/1.1\r\n";
    assert!(is_chat || line == "POST /v1/completions HTTP/1.1\r\n", "{line}");
    let (mut length, mut authorization) = (0, None);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            "content-type" => assert_eq!(value.trim(), "application/json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["messages"].is_array(), is_chat, "{body}");
    Ok(Some((authorization, body)))
}

fn respond(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// The right answer: some words, which follow from prompt and seed. In a chat that wants an object, the words of the text as its entities.
pub(crate) fn answer(body: &Value) -> Value {
    let messages = &body["messages"];
    if body["response_format"]["type"] == "json_object" {
        let text = messages[1]["content"].as_str().unwrap().strip_prefix("Text:\n").unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let object = json!({"summary": "words", "entities": words}).to_string();
        return json!({"choices": [{"index": 0, "message": {"content": object}, "finish_reason": "stop"}]});
    }
    let prompt: Vec<u64> = match &body["prompt"] {
        Value::Null => messages.to_string().bytes().map(u64::from).collect(),
        Value::String(text) => text.bytes().map(u64::from).collect(),
        tokens => tokens.as_array().unwrap().iter().map(|token| token.as_u64().unwrap()).collect(),
    };
    // A fixed linear congruential generator: the same words everywhere.
    let mut state = prompt.iter().fold(body["seed"].as_u64().unwrap(), |state, &token| step(state ^ token));
    let mut next = |n: u64| {
        state = step(state);
        (state >> 33) % n
    };
    let syllables = ["ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "zu"];
    let most = body["max_tokens"].as_u64().unwrap();
    let tokens = 1 + next(most + most / 4);
    let capped = tokens > most;
    let tokens = tokens.min(most);
    let words: Vec<String> =
        (0..tokens).map(|_| format!("{}{}", syllables[next(15) as usize], syllables[next(15) as usize])).collect();
    let log_probabilities: Vec<f64> = (0..tokens).map(|_| -(next(4000) as f64) / 1000.0).collect();
    let finish = if capped { "length" } else { "stop" };
    if messages.is_array() {
        let message = json!({"role": "assistant", "content": words.join(" ")});
        return json!({"model": body["model"], "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    }
    json!({
        "id": "cmpl-0", "object": "text_completion", "model": body["model"],
        "choices": [{
            "index": 0, "text": words.join(" "), "finish_reason": finish,
            "logprobs": {"token_logprobs": log_probabilities},
        }],
        "usage": {"prompt_tokens": prompt.len(), "completion_tokens": tokens},
    })
}

fn step(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}
