//! Which token ends a document, and which begins it: one answer for every stage and command.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::Tokenizer as Inner;

use super::{END_OF_DOCUMENT, RELATED, file};
use crate::error::{Error, Result};

/// The file that names the tokens first of all.
pub(super) const CONFIG: &str = "tokenizer_config.json";

/// The files beside a tokenizer that name tokens by their texts, in the order of trust.
const TEXT_FILES: [&str; 2] = [CONFIG, "special_tokens_map.json"];

/// Those that name them by their numbers.
const NUMBER_FILES: [&str; 2] = ["config.json", "generation_config.json"];

/// The names under which tokenizers keep the token that ends a document.
const USUAL_NAMES: [&str; 8] =
    [END_OF_DOCUMENT, "<|end_of_text|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>", "<|eos|>", "<EOS>", "[EOS]"];

/// `tokenizer_config.json` lists every added token and may hold templates; the longest seen has some 400 KB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The texts of the tokens around a document.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    /// None where none is defined: a document then begins with its end token.
    pub(super) begin: Option<String>,
    pub(super) end: String,
}

/// Whether the files beside `path` speak of it: they belong to the `tokenizer.json` of their folder.
pub(super) fn is_asked_about(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tokenizer.json")
}

/// The files beside a tokenizer's own that are asked, of those that are there.
pub(super) fn files_beside(path: &Path) -> Vec<PathBuf> {
    let names = if is_asked_about(path) { [TEXT_FILES, NUMBER_FILES].concat() } else { Vec::new() };
    names.into_iter().map(|name| path.with_file_name(name)).filter(|path| path.exists()).collect()
}

/// The frame that the files beside a tokenizer's own define, or that its special tokens suggest.
pub(super) fn of_file(path: &Path, inner: &Inner) -> Result<Frame> {
    let mut asked = Asked { inner, begin: Answer::Open, end: None, remarks: Vec::new() };
    if is_asked_about(path) {
        for name in TEXT_FILES {
            asked.ask_texts(&path.with_file_name(name))?;
        }
        for name in NUMBER_FILES {
            asked.ask_numbers(&path.with_file_name(name))?;
        }
    }
    let begin = match asked.begin {
        Answer::Named(begin) => Some(begin),
        Answer::Open | Answer::Absent => None,
    };
    if let Some(end) = asked.end {
        return Ok(Frame { begin, end });
    }
    let guess = Frame::guess(inner, &asked.remarks);
    let guess = guess.map_err(|problem| Error::TokenizerFile { path: path.to_path_buf(), problem })?;
    if guess.end != END_OF_DOCUMENT || !is_special(inner, RELATED) {
        let remarks = asked.remarks.join("; ");
        tracing::warn!(tokenizer = %path.display(), end = guess.end, remarks, "no file names the token that ends a document; its name suggests this one");
    }
    Ok(Frame { begin, ..guess })
}

impl Frame {
    /// That of a tokenizer trained here.
    pub(super) fn ours() -> Self {
        Self { begin: None, end: END_OF_DOCUMENT.to_owned() }
    }

    /// The end token by its name, where exactly one special token has a usual one. `remarks` say what was passed over before.
    pub(super) fn guess(inner: &Inner, remarks: &[String]) -> Result<Self, String> {
        let found: Vec<String> = specials(inner)
            .into_iter()
            .map(|(_, text)| text)
            .filter(|text| USUAL_NAMES.contains(&text.as_str()))
            .collect();
        let remarks: String = remarks.iter().map(|remark| format!("; {remark}")).collect();
        let advice = "name the right one as eos_token in a tokenizer_config.json beside the tokenizer.json";
        match &found[..] {
            [end] => Ok(Self { begin: None, end: end.clone() }),
            [] => Err(format!("none of its special tokens is known to end a document{remarks}; {advice}")),
            several => Err(format!(
                "several of its special tokens may end a document, {}{remarks}; {advice}",
                several.join(" and ")
            )),
        }
    }
}

/// Numbers and texts of a tokenizer's special tokens, in the order of the numbers.
pub(super) fn specials(inner: &Inner) -> Vec<(u32, String)> {
    let added = inner.get_added_tokens_decoder().into_iter();
    let mut special: Vec<_> = added.filter(|(_, token)| token.special).map(|(id, token)| (id, token.content)).collect();
    special.sort_unstable();
    special
}

fn is_special(inner: &Inner, text: &str) -> bool {
    specials(inner).iter().any(|(_, special)| special == text)
}

/// What is known of a token.
enum Answer {
    /// No file has spoken yet.
    Open,
    /// A file says that there is none.
    Absent,
    Named(String),
}

/// What the files asked so far have said.
struct Asked<'a> {
    inner: &'a Inner,
    begin: Answer,
    end: Option<String>,
    remarks: Vec<String>,
}

impl Asked<'_> {
    /// Asks a file that names tokens by their texts. Naming a token so declares it special.
    fn ask_texts(&mut self, path: &Path) -> Result<()> {
        let Some(fields) = object(path)? else { return Ok(()) };
        let token = |field: &str| match fields.get(field) {
            None => Ok(Answer::Open),
            Some(Value::Null) => Ok(Answer::Absent),
            Some(value) => {
                self.text(value).map(Answer::Named).map_err(|problem| bad(path, format!("its {field} {problem}")))
            }
        };
        let (begin, end) = (token("bos_token")?, token("eos_token")?);
        if matches!(self.begin, Answer::Open) {
            self.begin = begin;
        }
        if let (None, Answer::Named(end)) = (&self.end, end) {
            self.end = Some(end);
        }
        Ok(())
    }

    /// A token's text: plain, or in an object that holds it with how it is stripped.
    fn text(&self, value: &Value) -> Result<String, String> {
        let text = match value {
            Value::Object(token) => token.get("content").and_then(Value::as_str),
            other => other.as_str(),
        };
        match text {
            Some(text) if self.inner.token_to_id(text).is_some() => Ok(text.to_owned()),
            Some(text) => Err(format!("{text:?} is not in the vocabulary of tokenizer.json")),
            None => Err(format!("is {value}; expected a token's text")),
        }
    }

    /// Asks a file that names tokens by their numbers. It may have been written for another tokenizer, or have its numbers by
    /// default, so only special tokens count; what is passed over is remembered.
    fn ask_numbers(&mut self, path: &Path) -> Result<()> {
        let Some(fields) = object(path)? else { return Ok(()) };
        if matches!(self.begin, Answer::Open)
            && let Some(begin) = self.special(path, "bos_token_id", &fields)
        {
            self.begin = Answer::Named(begin);
        }
        if self.end.is_none() {
            self.end = self.special(path, "eos_token_id", &fields);
        }
        Ok(())
    }

    /// The first special token of a number or a list of numbers.
    fn special(&mut self, path: &Path, field: &str, fields: &Map<String, Value>) -> Option<String> {
        let numbers = match fields.get(field)? {
            Value::Array(list) => list.as_slice(),
            Value::Null => return None,
            number => std::slice::from_ref(number),
        };
        let file = path.file_name().unwrap_or_default().display();
        for number in numbers {
            let id = number.as_u64().and_then(|id| u32::try_from(id).ok());
            let Some(text) = id.and_then(|id| self.inner.id_to_token(id)) else {
                self.remarks.push(format!("{file} has {field} {number}, which is no token"));
                continue;
            };
            if is_special(self.inner, &text) {
                return Some(text);
            }
            self.remarks.push(format!("{file} has {field} {number}, the token {text:?}, which is not special"));
        }
        None
    }
}

fn bad(path: &Path, problem: String) -> Error {
    Error::TokenizerFile { path: path.to_path_buf(), problem }
}

/// The object that a file holds; none where there is no such file.
fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let json = file::regular(path, FILE_BYTES_MAX)?;
    let object = serde_json::from_slice(&json);
    object.map(Some).map_err(|error| bad(path, file::not_json(&json, &error, "it is not a JSON object")))
}
