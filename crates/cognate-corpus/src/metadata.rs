//! What a source says about a document beside its text: a JSON value that passes through with its characters.
//!
//! Numbers keep their digits (`1e400`, integers beyond 64 bits), objects the order of their fields. Only white space
//! between tokens goes, so that a value fits on a line; and `NaN`, `Infinity` and `-Infinity`, which Python's `json`
//! writes and JSON does not know, become the strings of these names, as in the JSON form of Protocol Buffers.

use std::fmt;
use std::ops::{Index, Range};
use std::path::Path;
use std::sync::{Once, OnceLock};

use memchr::memchr2;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A document's metadata; most often an object, or nothing.
#[derive(Clone, Default)]
pub struct Metadata {
    json: Option<Box<RawValue>>,
    /// The fields, once somebody asks for one.
    fields: OnceLock<Map<String, Value>>,
}

impl Metadata {
    /// Metadata from JSON text, which may hold `NaN`, `Infinity` and `-Infinity`. `null` and `{}` say nothing.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        let json = RawValue::from_string(compact(json))?;
        Ok(if matches!(json.get(), "null" | "{}") { Self::default() } else { json.into() })
    }

    /// Metadata that is one text.
    pub fn from_text(text: &str) -> Self {
        // A string is always JSON; nothing is lost where it should not be.
        serde_json::value::to_raw_value(text).map_or_else(|_| Self::default(), Self::from)
    }

    /// Metadata from the cell of a table: JSON where the cell holds an object, an array, a string or null, else its text.
    pub fn from_cell(cell: &str) -> Self {
        let begins = cell.trim_ascii_start();
        let may_be_json = begins.starts_with(['{', '[', '"']) || begins.trim_ascii_end() == "null";
        match may_be_json.then(|| Self::from_json(cell)) {
            Some(Ok(metadata)) => metadata,
            _ => Self::from_text(cell),
        }
    }

    /// Whether the source says nothing.
    pub fn is_empty(&self) -> bool {
        self.json.is_none()
    }

    /// The JSON text, on one line; none where there is nothing.
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref().map(RawValue::get)
    }

    /// A field of the object. A number that no [`Value`] holds is the string of its digits.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields().get(field)
    }

    /// The JSON text of a field of the object, the first of that name.
    pub(crate) fn field_json(&self, field: &str) -> Option<String> {
        let json = self.json().filter(|json| json.starts_with('{'))?;
        Raw::of(json).0.into_iter().find(|(name, _)| name == field).map(|(_, json)| json)
    }

    /// Whether the object has a field.
    pub fn contains_key(&self, field: &str) -> bool {
        self.fields().contains_key(field)
    }

    /// Sets a field of the object, after the others where it is new. What is no object becomes its field `value`.
    pub fn insert(&mut self, field: String, value: Value) {
        let others = match self.json() {
            Some(json) if json.starts_with('{') => Raw::of(json),
            Some(json) => Raw(vec![("value".to_owned(), json.to_owned())]),
            None => Raw(Vec::new()),
        };
        let mut fields = others.0;
        let value = value.to_string();
        match fields.iter_mut().find(|(name, _)| *name == field) {
            Some((_, place)) => *place = value,
            None => fields.push((field, value)),
        }
        let fields: Vec<String> =
            fields.into_iter().map(|(name, value)| format!("{}:{value}", Value::String(name))).collect();
        // Made of whole values, it is one.
        *self = Self::from_json(&format!("{{{}}}", fields.join(","))).unwrap_or_default();
    }

    fn fields(&self) -> &Map<String, Value> {
        self.fields.get_or_init(|| {
            let read = |json: String| serde_json::from_str(&json).unwrap_or(Value::String(json));
            Raw::of(self.json().unwrap_or("{}")).0.into_iter().map(|(name, json)| (name, read(json))).collect()
        })
    }
}

/// The names of an object's fields, in their order; none where there is no object.
pub(crate) fn field_names(json: &str) -> Vec<String> {
    Raw::of(json).0.into_iter().map(|(name, _)| name).collect()
}

/// The fields of an object, each with its JSON text; none where there is no object.
struct Raw(Vec<(String, String)>);

impl Raw {
    fn of(json: &str) -> Self {
        struct Fields;
        impl<'de> serde::de::Visitor<'de> for Fields {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((name, value.get().to_owned()));
                }
                Ok(Raw(fields))
            }
        }
        let mut json = serde_json::Deserializer::from_str(json);
        serde::Deserializer::deserialize_map(&mut json, Fields).unwrap_or(Self(Vec::new()))
    }
}

impl From<Box<RawValue>> for Metadata {
    fn from(json: Box<RawValue>) -> Self {
        Self { json: Some(json), fields: OnceLock::new() }
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(fields: Map<String, Value>) -> Self {
        Self::from_json(&Value::Object(fields).to_string()).unwrap_or_default()
    }
}

impl FromIterator<(String, Value)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Map::from_iter(fields).into()
    }
}

impl Index<&str> for Metadata {
    type Output = Value;

    /// A field of the object; null where there is none.
    fn index(&self, field: &str) -> &Value {
        self.get(field).unwrap_or(&Value::Null)
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json().unwrap_or("{}"))
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

/// Says, once a run of the program, that a column's metadata is left unread.
pub(crate) fn warn_unread(path: &Path, kind: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "{}: the column `metadata` holds {kind}, which cannot be kept: left unread, here and in other files",
            path.display()
        );
    });
}

/// The three names of Python's `json` for what is no number of JSON.
const NO_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Where JSON text has `NaN`, `Infinity` or `-Infinity` in the place of a value.
pub(crate) fn no_numbers(json: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    outside_strings(json, |piece, at| {
        let bytes = piece.as_bytes();
        let mut from = 0;
        while let Some(ahead) = memchr2(b'N', b'I', &bytes[from..]) {
            let mut start = from + ahead;
            if start > 0 && bytes[start - 1] == b'-' {
                start -= 1;
            }
            // A word that goes on is none of the three.
            let goes_on = |end: usize| bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
            let name = NO_NUMBERS.iter().find(|name| piece[start..].starts_with(**name));
            from = match name {
                Some(name) if !goes_on(start + name.len()) => {
                    found.push(at + start..at + start + name.len());
                    start + name.len()
                }
                _ => from + ahead + 1,
            };
        }
    });
    found
}

/// JSON text without white space between its tokens, and with the three names as strings.
fn compact(json: &str) -> String {
    let names = no_numbers(json);
    let mut out = String::with_capacity(json.len() + 2 * names.len());
    let mut names = names.into_iter().peekable();
    let mut end_of_last = 0;
    outside_strings(json, |piece, at| {
        out.push_str(&json[end_of_last..at]);
        end_of_last = at + piece.len();
        let mut from = at;
        while let Some(name) = names.next_if(|name| name.end <= end_of_last) {
            push_tokens(&mut out, &json[from..name.start]);
            out.extend(["\"", &json[name.clone()], "\""]);
            from = name.end;
        }
        push_tokens(&mut out, &json[from..end_of_last]);
    });
    out.push_str(&json[end_of_last..]);
    out
}

/// JSON text with the three names as strings; none where it has none of them.
pub(crate) fn with_names_as_strings(json: &str) -> Option<String> {
    let names = no_numbers(json);
    if names.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(json.len() + 2 * names.len());
    let mut from = 0;
    for name in names {
        out.extend([&json[from..name.start], "\"", &json[name.clone()], "\""]);
        from = name.end;
    }
    out.push_str(&json[from..]);
    Some(out)
}

fn push_tokens(out: &mut String, piece: &str) {
    out.extend(piece.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')));
}

/// Calls `visit` with every stretch of JSON text that is in no string, and where it begins.
fn outside_strings<'a>(json: &'a str, mut visit: impl FnMut(&'a str, usize)) {
    let bytes = json.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let quote = memchr::memchr(b'"', &bytes[at..]).map_or(bytes.len(), |ahead| at + ahead);
        visit(&json[at..quote], at);
        // Past the string that begins there; one that does not end takes all that follows.
        at = quote + 1;
        at = loop {
            match bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
                None => break bytes.len(),
                Some(ahead) if bytes[at + ahead] == b'"' => break at + ahead + 1,
                Some(ahead) => at += ahead + 2,
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(json: &str) -> String {
        Metadata::from_json(json).unwrap().json().unwrap_or("nothing").to_owned()
    }

    #[test]
    fn digits_order_and_repeated_names_stay_and_white_space_goes() {
        assert_eq!(
            kept(
                "{ \"z\" : 1267650600228229401496703205376,\r\n\t\"a\": [1e400, -0.0, 1.50],\"a\": \"two  words\\n\" }"
            ),
            r#"{"z":1267650600228229401496703205376,"a":[1e400,-0.0,1.50],"a":"two  words\n"}"#
        );
        for (json, expected) in [("null", "nothing"), (" { } ", "nothing"), ("\"\"", "\"\""), ("[ ]", "[]"), ("7", "7")]
        {
            assert_eq!(kept(json), expected, "{json}");
        }
        assert!(Metadata::from_json("{\"a\":}").is_err());
    }

    #[test]
    fn the_names_of_what_is_no_number_become_strings_outside_strings_only() {
        assert_eq!(
            kept(r#"{"a": NaN, "NaN": "is NaN, \" NaN", "b": [-Infinity, Infinity]}"#),
            r#"{"a":"NaN","NaN":"is NaN, \" NaN","b":["-Infinity","Infinity"]}"#
        );
        for json in [r#"{"a": NaNs}"#, r#"{"a": -NaN}"#, r#"{"a": Inf}"#, r#"{"a": nan}"#, r#"{"a": 1NaN}"#] {
            assert!(Metadata::from_json(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_no_metadata_wherever_it_ends() {
        for json in ["\"é", "{\"é\\é", "{\"a\": NaN, \"\\", "\"\\\"", "é\"é\"é NaN \"", "N", "-", "{\"a\": \"é NaN"]
        {
            assert!(Metadata::from_json(json).is_err(), "{json}");
        }
        // What stands in a string that does not end is in a string.
        assert_eq!(no_numbers("[NaN, \"é NaN"), std::slice::from_ref(&(1..4)));
    }

    #[test]
    fn fields_are_read_and_set_beside_what_no_value_holds() {
        let mut metadata = Metadata::from_json(r#"{"big": 1e400, "n": 18446744073709551616, "name": "a"}"#).unwrap();
        assert_eq!(metadata["name"], "a");
        assert_eq!(metadata.get("big"), Some(&json!("1e400")));
        assert_eq!(metadata.get("none"), None);
        metadata.insert("name".to_owned(), json!({"b": 1}));
        metadata.insert("new\"".to_owned(), json!(0.5));
        assert_eq!(metadata["name"]["b"], 1);
        assert_eq!(metadata.json().unwrap(), r#"{"big":1e400,"n":18446744073709551616,"name":{"b":1},"new\"":0.5}"#);
        let mut text = Metadata::from_text("crawl");
        text.insert("a".to_owned(), json!(1));
        assert_eq!(text.json().unwrap(), r#"{"value":"crawl","a":1}"#);
    }
}
