//! What reading an answer takes: about its bytes, whatever it lists.
//!
//! A binary of its own because it counts allocations, and other tests would be counted too.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use cognate_base::Silent;
use cognate_synth::{JudgeConfig, KnownPairs};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of an answer: as many as one of a word may have.
const ANSWER_BYTES: usize = 1 << 20;
/// The answer as it is sent, as it is received, with what its buffer has too much, and what a client needs besides.
const PEAK_BYTES: usize = 5 * ANSWER_BYTES;

/// A choice, and behind it `element` as often as there is room.
fn answer(before: &str, element: &str, after: &str) -> String {
    let listed = (ANSWER_BYTES - before.len() - after.len()) / (element.len() + 1);
    format!("{before}{}{after}", vec![element; listed].join(","))
}

#[test]
fn an_answer_takes_no_more_memory_than_its_bytes() {
    for (before, element, after) in [
        (r#"{"choices": [{"text": "related"},"#, "{}", "]}"),
        (r#"{"choices": [{"text": "related", "logprobs": {"token_logprobs": ["#, "0", "]}}]}"),
        (r#"{"choices": [{"text": "related", "logprobs": {"content": ["#, "{}", "]}}]}"),
        (r#"{"choices": [{"text": "related", "tokens": ["#, "[]", "]}]}"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = answer(before, element, after);
        MEMORY.reset_peak_usage();
        let start = MEMORY.current_usage();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                let read = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..read]);
            }
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
        });
        let judge = JudgeConfig::new(url, "wise".into(), None, 1, 7);
        KnownPairs::judge(&["one text", "another text"], None, &judge.asked_once(), &Silent).unwrap();
        server.join().unwrap();
        let peak = MEMORY.peak_usage() - start;
        assert!(peak < PEAK_BYTES, "{peak} bytes for an answer of {ANSWER_BYTES} with {element} again and again");
    }
}
