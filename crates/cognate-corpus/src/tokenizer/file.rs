//! A `tokenizer.json` of anybody, looked at before the library sees it.
//!
//! The library panics at some damaged files and sizes tables by the numbers that stand in them, so it is called behind
//! [`caught`], and numbers and patterns are bounded first.

use std::fmt;
use std::path::Path;

use cognate_base::format::Format;
use cognate_base::panics::caught;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::LARGEST_VOCABULARY;
use crate::error::{Error, Result};

/// The largest published tokenizers take 35 MB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Groups within groups of a splitting pattern. Published ones have 4; the regular-expression engine recurses for each.
const PATTERN_DEPTH_MAX: usize = 64;

/// Published patterns have some 600 bytes.
const PATTERN_BYTES_MAX: usize = 1 << 16;

/// The library's tokenizer in a file.
pub(super) fn read(path: &Path) -> Result<Inner> {
    parse(path, &regular(path, FILE_BYTES_MAX)?)
}

/// The content of a file that is read whole, of up to `most` bytes. A pipe, which would be waited for, and a folder are refused.
pub(super) fn regular(path: &Path, most: u64) -> Result<Vec<u8>> {
    let bad = |problem: String| Error::TokenizerFile { path: path.to_path_buf(), problem };
    let found = fs_err::metadata(path)?;
    if found.is_dir() {
        return Err(bad("it is a folder; name the tokenizer.json in it".to_owned()));
    }
    if !found.is_file() {
        return Err(bad("it is not an ordinary file".to_owned()));
    }
    if found.len() > most {
        return Err(bad(format!("it has {} bytes; expected {most} at most", found.len())));
    }
    Ok(fs_err::read(path)?)
}

/// Why bytes are no JSON of the kind that `otherwise` says: another file stands there, or a part of it is missing.
pub(super) fn not_json(bytes: &[u8], error: &serde_json::Error, otherwise: &str) -> String {
    match Format::of(bytes) {
        Format::Json if error.is_eof() => format!("it is cut short ({error}): fetch it again"),
        Format::Json | Format::Text | Format::Unknown => format!("{otherwise} ({error})"),
        other => other.instead_of("JSON"),
    }
}

/// The library's tokenizer in the bytes of a file. Messages name `path`.
pub(super) fn parse(path: &Path, json: &[u8]) -> Result<Inner> {
    let bad = |problem: String| Error::TokenizerFile { path: path.to_path_buf(), problem };
    let look: Look =
        serde_json::from_slice(json).map_err(|error| bad(not_json(json, &error, "it is no tokenizer.json")))?;
    look.check().map_err(bad)?;
    // Panics at a decoder or model whose fields contradict each other.
    quietly(|| Inner::from_bytes(json)).map_err(|problem| bad(format!("it is no tokenizer.json ({problem})")))
}

/// Runs a piece of the library while a tokenizer is made; after a failure the tokenizer is dropped.
pub(super) fn quietly<T>(piece: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    let outcome = caught(piece).map_err(|gave_up| format!("the tokenizers library gives up on it: {gave_up}"))?;
    outcome.map_err(|error| error.to_string())
}

/// What is looked at.
#[derive(Deserialize)]
struct Look {
    #[serde(default)]
    added_tokens: Vec<Added>,
    model: Option<Model>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    decoder: Value,
}

#[derive(Deserialize)]
struct Added {
    id: u64,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    vocab: Largest,
}

/// The largest token number of a vocabulary: an object of numbers, or a list in the order of the numbers.
#[derive(Default)]
struct Largest(Option<u64>);

impl<'de> Deserialize<'de> for Largest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Largest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vocabulary: an object of token numbers, or a list of tokens")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Largest, A::Error> {
                let mut largest = None;
                while let Some((IgnoredAny, number)) = map.next_entry::<IgnoredAny, Value>()? {
                    let found = number.as_u64();
                    let found = found.ok_or_else(|| A::Error::custom(format!("a token's number is {number}")))?;
                    largest = largest.max(Some(found));
                }
                Ok(Largest(largest))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Largest, A::Error> {
                let mut count = 0u64;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Largest(count.checked_sub(1)))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

impl Look {
    fn check(&self) -> Result<(), String> {
        let Some(model) = &self.model else { return Err("it is no tokenizer.json (it has no model)".to_owned()) };
        let largest = self.added_tokens.iter().map(|token| token.id).chain(model.vocab.0).max().unwrap_or_default();
        if largest >= LARGEST_VOCABULARY as u64 {
            return Err(format!("it has a token {largest}; expected numbers below {LARGEST_VOCABULARY}"));
        }
        [&self.normalizer, &self.pre_tokenizer, &self.decoder].into_iter().try_for_each(check_patterns)
    }
}

/// Bounds the regular expressions in a part of the file, wherever they stand.
fn check_patterns(part: &Value) -> Result<(), String> {
    match part {
        Value::Object(fields) => {
            if let Some(pattern) = fields.get("Regex").and_then(Value::as_str) {
                check_pattern(pattern)?;
            }
            fields.values().try_for_each(check_patterns)
        }
        Value::Array(list) => list.iter().try_for_each(check_patterns),
        _ => Ok(()),
    }
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let (mut depth, mut deepest, mut escaped) = (0usize, 0, false);
    for byte in pattern.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    let shown: String = pattern.chars().take(80).collect();
    if deepest > PATTERN_DEPTH_MAX {
        return Err(format!("its pattern {shown:?} nests {deepest} groups; expected {PATTERN_DEPTH_MAX} at most"));
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        let bytes = pattern.len();
        return Err(format!("its pattern {shown:?}... has {bytes} bytes; expected {PATTERN_BYTES_MAX} at most"));
    }
    Ok(())
}
