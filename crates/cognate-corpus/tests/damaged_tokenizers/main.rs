//! Damaged and hostile tokenizers, made from good ones by changes that are drawn from a fixed seed.
//!
//! Each is parsed from memory. Either it is refused, by an error that names the file, or it encodes, decodes and is written again, or
//! says why not. The library's panics stay inside, nothing is printed, and little more memory is taken than the file is long. (This is a binary of its own
//! because it counts allocations and panics, and other tests would be counted too.)
//!
//! `COGNATE_FUZZ_INPUTS` asks for more cases than the usual ones.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod forms;

use std::panic;
use std::path::Path;
use std::sync::{Mutex, Once};

use cognate_base::random::{ChaCha8Rng, RngExt, stream};
use cognate_corpus::Tokenizer;
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value, json};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a tokenizer of 3 KB may allocate at its peak: tables of its added tokens, and of regular expressions.
const PEAK_BYTES: usize = 64 << 20;

/// Cases of each kind of change in the usual run.
const CASES: u64 = 6000;

const TEXTS: [&str; 8] = [
    "",
    " ",
    "ab ba  abba",
    "</s> a\u{301}\u{4f60}!",
    "aaaab 12345\r\n\tb ",
    "<x>a<0x41>##a",
    "A\u{2581}b",
    "\u{0}\u{1f600}_",
];

fn pick<'a, T>(random: &mut ChaCha8Rng, list: &'a [T]) -> &'a T {
    &list[random.random_range(0..list.len())]
}

/// Something that does not belong.
fn odd(random: &mut ChaCha8Rng) -> Value {
    let numbers = [0u64, 1, 2, 3, 5, 255, 256, 65_536, 4_194_303, 4_194_304, 4_294_967_295, 4_294_967_296, u64::MAX];
    let texts = [
        "",
        "a",
        "</s>",
        "[UNK]",
        "\u{4f60}",
        "##",
        "A",
        "B",
        "Removed",
        "Contiguous",
        "always",
        "(a+)+$|b",
        "a{2,}",
        "\\p{Nd}{3}+",
        "(?<=a+)b",
        "[a",
        "\\G.|$",
        "(?:a|b)*?",
        "\\1",
        "(?<n>a)\\k<n>",
        "\u{0}",
    ];
    match random.random_range(0..9) {
        0..=2 => json!(pick(random, &numbers)),
        3 => json!(-1),
        4 => json!(pick(random, &[0.5, -0.5, 1e300, 1.0])),
        5 => Value::Null,
        6 => json!(random.random_range(0..2) == 0),
        7 => json!(pick(random, &texts)),
        _ => pick(random, &[json!([]), json!({}), json!([["a", "b"]]), json!({"a": 1}), json!([[[]]])]).clone(),
    }
}

/// A value somewhere in `value`, by a walk that ends after `steps` or at a leaf.
fn somewhere<'a>(random: &mut ChaCha8Rng, value: &'a mut Value, steps: u32) -> &'a mut Value {
    let inner = match value {
        Value::Array(list) if steps > 0 => list.len(),
        Value::Object(fields) if steps > 0 => fields.len(),
        _ => 0,
    };
    if inner == 0 {
        return value;
    }
    let at = random.random_range(0..inner);
    match value {
        Value::Array(list) => somewhere(random, &mut list[at], steps - 1),
        Value::Object(fields) => somewhere(random, fields.values_mut().nth(at).unwrap(), steps - 1),
        _ => unreachable!("it has parts"),
    }
}

/// Changes values, leaves fields out, and puts parts of one tokenizer into another.
fn change(random: &mut ChaCha8Rng, json: &mut Value, others: &[Value]) {
    for _ in 0..random.random_range(1..4) {
        let steps = random.random_range(1..7);
        match random.random_range(0..5) {
            0 | 1 => *somewhere(random, json, steps) = odd(random),
            2 => {
                if let Value::Object(fields) = somewhere(random, json, steps)
                    && !fields.is_empty()
                {
                    let key = fields.keys().nth(random.random_range(0..fields.len())).unwrap().clone();
                    let value = fields.remove(&key).unwrap();
                    if random.random_range(0..2) == 0 {
                        fields.insert(format!("{key}\u{4f60}"), value);
                    }
                }
            }
            3 => {
                let part = *pick(
                    random,
                    &["normalizer", "pre_tokenizer", "post_processor", "decoder", "model", "added_tokens"],
                );
                let other = pick(random, others)[part].clone();
                if let Some(fields) = json.as_object_mut() {
                    fields.insert(part.to_owned(), other);
                }
            }
            _ => {
                let mut other = pick(random, others).clone();
                let taken = somewhere(random, &mut other, steps).clone();
                *somewhere(random, json, steps) = taken;
            }
        }
    }
}

/// Changes the bytes of a file.
fn flip(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match random.random_range(0..4) {
            _ if bytes.is_empty() => bytes.push(b'{'),
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *pick(random, b"0123456789\"\\{}[],:ab()+*?.|$")),
            _ => {
                let end = (at + random.random_range(1..40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// What became of a case.
#[derive(Debug, Default)]
struct Counts {
    refused: u64,
    taken: u64,
    /// Calls of tokenizers that were taken which gave an error.
    failed: u64,
}

fn try_it(random: &mut ChaCha8Rng, bytes: &[u8], counts: &mut Counts) {
    let path = Path::new("memory/t.json");
    let tokenizer = match Tokenizer::parse(path, bytes) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.starts_with("memory/t.json cannot serve as the tokenizer: "),
                "the error names no file: {error}"
            );
            counts.refused += 1;
            return;
        }
    };
    counts.taken += 1;
    assert!(tokenizer.vocab_size() <= cognate_corpus::LARGEST_VOCABULARY + 2);
    let mut ids = vec![0, 1, tokenizer.vocab_size() as u32, u32::MAX];
    let mut fine = |error: cognate_corpus::Error| {
        let error = error.to_string();
        let known = error.contains("the tokenizer of memory/t.json failed: ") || error.contains("the reserved token");
        assert!(known, "the error names no file: {error}");
        counts.failed += 1;
    };
    for text in TEXTS {
        match tokenizer.encode(text) {
            Ok(found) => {
                assert!(found.iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
                ids.extend(found);
            }
            Err(error) => fine(error),
        }
    }
    ids.extend((0..8).map(|_| random.random_range(0..tokenizer.vocab_size() as u32)));
    for outcome in [tokenizer.decode(&ids).map(drop), tokenizer.prefix().map(drop)] {
        outcome.unwrap_or_else(&mut fine);
    }
    let _ = tokenizer.cut(&ids, 5);
    let written = tokenizer.to_json();
    let again = Tokenizer::parse(path, written.as_bytes())
        .unwrap_or_else(|error| panic!("what was written: {error}\n{written}"));
    assert_eq!(again.to_json(), written);
}

/// Panics that came out.
static PRINTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Panics are noted from now on, before they are printed. Comes before the first tokenizer, which has its own panics kept from this.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |information| {
            PRINTED.lock().unwrap().push(information.to_string());
            before(information);
        }));
    });
}

fn cases(purpose: &str, make: impl Fn(&mut ChaCha8Rng, &Value, &[Value]) -> Vec<u8>) -> Counts {
    note_panics();
    let good = forms::good();
    let mut counts = Counts::default();
    for form in &good {
        try_it(&mut stream(1, "good", 0), form.to_string().as_bytes(), &mut counts);
    }
    assert_eq!(counts.taken, good.len() as u64, "the undamaged ones load");
    counts = Counts::default();
    let asked = std::env::var("COGNATE_FUZZ_INPUTS").ok().map(|text| text.parse().unwrap());
    for case in 0..asked.unwrap_or(CASES) {
        let mut random = stream(2026, purpose, case);
        let bytes = make(&mut random, &good[case as usize % good.len()], &good);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| try_it(&mut random, &bytes, &mut counts)));
        let peak = MEMORY.peak_usage().saturating_sub(before);
        let show = String::from_utf8_lossy(&bytes);
        assert!(outcome.is_ok(), "{purpose} {case}: see above; {show}");
        assert!(peak < PEAK_BYTES, "{purpose} {case}: {peak} bytes for {show}");
    }
    // Let go of first: an assertion that fails is noted too.
    let printed = PRINTED.lock().unwrap().clone();
    assert!(printed.is_empty(), "{printed:?}");
    counts
}

#[test]
fn changed_fields() {
    let counts = cases("fields", |random, good, all| {
        let mut json = good.clone();
        change(random, &mut json, all);
        json.to_string().into_bytes()
    });
    println!("{counts:?}");
    // Enough of both, or the changes miss what they are for.
    let all = counts.refused + counts.taken;
    assert!(counts.refused > all / 5 && counts.taken > all / 5 && counts.failed > 0, "{counts:?}");
}

#[test]
fn changed_bytes() {
    let counts = cases("bytes", |random, good, _| {
        let mut bytes = good.to_string().into_bytes();
        flip(random, &mut bytes);
        bytes
    });
    println!("{counts:?}");
    assert!(counts.refused > 0 && counts.taken > 0, "{counts:?}");
}

#[test]
fn a_list_of_what_is_changed_has_every_part() {
    let good = forms::good();
    let kinds = |part: &str| -> Map<String, Value> {
        let found = good.iter().filter_map(|form| form[part]["type"].as_str());
        found.map(|kind| (kind.to_owned(), Value::Null)).collect()
    };
    assert_eq!(kinds("model").len(), 4);
    assert!(["normalizer", "pre_tokenizer", "post_processor", "decoder"].iter().all(|part| kinds(part).len() >= 3));
}
