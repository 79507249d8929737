//! Readers of text against changed inputs: whatever the bytes, there are documents or an error, soon.

use std::time::{Duration, Instant};

use cognate_base::Silent;
use cognate_base::random::{self, Rng};
use cognate_corpus::{OnBadRecord, ReadOptions, Reader};

use crate::support::{Folder, gzip, line, zstandard};

/// Changed inputs a reader; the variable `COGNATE_FUZZ_INPUTS` asks for more.
const INPUTS: u64 = 10_000;
/// One input is some thousand bytes long, so this is a hang and not a slow machine.
const HANG: Duration = Duration::from_secs(60);

/// Bytes that mean something to one of the readers.
const TOKENS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\n",
    b"\r\n",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"null",
    b"\"text\"",
    b"\"metadata\": ",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"99999999999999999999",
];

fn below(random: &mut impl Rng, n: usize) -> usize {
    (random.next_u64() % n.max(1) as u64) as usize
}

/// Changes some places of `bytes`: a bit, a token, a piece cut out, doubled or moved.
fn change(bytes: &mut Vec<u8>, random: &mut impl Rng) {
    for _ in 0..=below(random, 4) {
        let at = below(random, bytes.len() + 1);
        let end = (at + below(random, 40)).min(bytes.len());
        match below(random, 6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(random, 8),
            1 if at < bytes.len() => bytes[at] = random.next_u32() as u8,
            2 => drop(bytes.splice(at..at, TOKENS[below(random, TOKENS.len())].iter().copied())),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = below(random, bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
}

fn lines() -> String {
    let metadata =
        r#"{"id": 7, "text": "x\n\u00e9\ud83d\ude00\\", "metadata": {"a": [1, NaN, "b"]}, "score": -Infinity}"#;
    format!(
        "{}{metadata}\r\n\n{}{{\"text\": \"no id\", \"other\": {{}}}}",
        line("a", "first"),
        line("b", "second \"quoted\"")
    )
}

/// Reads `inputs` changed forms of a file, before or behind its packing.
fn fuzz(name: &str, text: &str, pack: fn(&[u8]) -> Vec<u8>) {
    let inputs = std::env::var("COGNATE_FUZZ_INPUTS").ok().and_then(|inputs| inputs.parse().ok()).unwrap_or(INPUTS);
    let folder = Folder::new();
    let mut random = random::stream(0, name, 0);
    let (mut read, mut refused) = (0u64, 0u64);
    for input in 0..inputs {
        let mut bytes = text.as_bytes().to_vec();
        let is_packed_after = below(&mut random, 2) == 0;
        if is_packed_after {
            change(&mut bytes, &mut random);
        }
        bytes = pack(&bytes);
        if !is_packed_after {
            change(&mut bytes, &mut random);
        }
        let path = folder.write(name, &bytes);
        let options = ReadOptions {
            on_bad_record: if below(&mut random, 2) == 0 { OnBadRecord::Skip } else { OnBadRecord::Stop },
            max_record_bytes: [64, 1 << 20][below(&mut random, 2)],
            // A field of its own, one of the metadata, and none.
            group_field: ["score", "a", "", ""][input as usize % 4].to_owned(),
            ..ReadOptions::default()
        };
        let since = Instant::now();
        for record in Reader::open(&[path], &options, &Silent).unwrap() {
            match record {
                Ok((origin, document)) => {
                    read += 1;
                    assert!(origin.row > 0 && !document.id.is_empty());
                    if let Some(json) = document.metadata.json() {
                        assert!(
                            !json.contains('\n')
                                && serde_json::from_str::<Box<serde_json::value::RawValue>>(json).is_ok()
                        );
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
        assert!(since.elapsed() < HANG, "{bytes:?}");
    }
    // The changes are neither all harmless nor all fatal.
    assert!(read > inputs / 10 && refused > inputs / 100, "{read} documents, {refused} refusals");
}

#[test]
fn changed_json_lines() {
    fuzz("a.jsonl", &lines(), <[u8]>::to_vec);
}

#[test]
fn changed_json_lines_in_gzip() {
    fuzz("a.jsonl.gz", &lines(), gzip);
}

#[test]
fn changed_json_lines_in_zstd() {
    fuzz("a.jsonl.zst", &lines(), zstandard);
}

#[test]
fn changed_arrays() {
    fuzz(
        "a.json",
        "[{\"text\": \"a]\\\"\"}, {\"id\": 1, \"text\": \"b\", \"metadata\": [\"\"]},\n{\"text\": \"c\"}]",
        <[u8]>::to_vec,
    );
}

#[test]
fn changed_tables() {
    fuzz(
        "a.csv",
        "id,text,metadata\r\n1,plain,\r\n2,\"quoted, \"\"so\"\"\nand on\",\"{\"\"a\"\": 1}\"\n,last,x",
        <[u8]>::to_vec,
    );
}
