//! One JSON object as a document. The object is parsed once without building anything: only the places of the fields
//! that matter are kept. Its text is then made in the memory that the object was read into, so that a document takes
//! about as much as its line.

use std::fmt;
use std::ops::Range;

use memchr::memchr;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::document::{BadRecord, Document, kind};
use crate::group;
use crate::metadata::{Metadata, field_names, no_numbers, with_names_as_strings};
use crate::reader::ReadOptions;

/// The field that holds a document's metadata.
pub(crate) const METADATA: &str = "metadata";

/// An object as a document, whose id is `derived` where it brings none. The text is taken over byte for byte.
pub(crate) fn document(
    object: Vec<u8>,
    options: &ReadOptions,
    derived: impl FnOnce() -> String,
) -> Result<Document, BadRecord> {
    let json = object_text(&object)?;
    let fields = fields(json, options)?;
    let Some(text) = fields.text else {
        return Err(BadRecord::NoText { field: options.text_field.clone(), fields: names(json, options) });
    };
    let wrong = |field: &str, expected, span: &Range<usize>| {
        let found = kind_of(&json[span.clone()]);
        Err(BadRecord::WrongType { field: field.to_owned(), expected, found })
    };
    if !json[text.clone()].starts_with('"') {
        return wrong(&options.text_field, "a string", &text);
    }
    let id = match &fields.id {
        None => derived(),
        Some(span) => match &json[span.clone()] {
            "null" => derived(),
            "\"\"" => return Err(BadRecord::EmptyId { field: options.id_field.clone() }),
            id if id.starts_with('"') => text_of(id.as_bytes().to_vec(), 1..id.len() - 1)
                .map_err(|problem| problem.in_field(&options.id_field, span.start))?,
            digits if is_integer(digits) => digits.to_owned(),
            _ => return wrong(&options.id_field, "a string or an integer", span),
        },
    };
    let metadata = match fields.metadata {
        None => Metadata::default(),
        // It was parsed already.
        Some(span) => Metadata::from_json(&json[span]).unwrap_or_default(),
    };
    let group = match fields.group {
        Some(span) => group::of_json(&json[span.clone()], &options.group_field, span.start)?,
        None => None,
    };
    let group = group::or_of_metadata(group, &metadata, options)?;
    let span = text.start + 1..text.end - 1;
    let text = text_of(object, span).map_err(|problem| problem.in_field(&options.text_field, text.start))?;
    Ok(Document { id, text, group, metadata })
}

/// An object with all its fields. `NaN`, `Infinity` and `-Infinity` are the strings of these names.
pub(crate) fn all_fields(object: &[u8]) -> Result<Map<String, Value>, BadRecord> {
    let json = object_text(object)?;
    serde_json::from_str(json).or_else(|error| match with_names_as_strings(json) {
        Some(mended) => serde_json::from_str(&mended).map_err(|_| not_json(&error)),
        None => Err(not_json(&error)),
    })
}

/// A line that is text, and seems to be an object.
fn object_text(line: &[u8]) -> Result<&str, BadRecord> {
    let line = std::str::from_utf8(line).map_err(|error| BadRecord::NotUtf8 { byte: error.valid_up_to() + 1 })?;
    if line.trim_start().starts_with('{') {
        return Ok(line);
    }
    Err(match serde_json::from_str::<Value>(line) {
        Ok(value) => BadRecord::NotAnObject { found: kind(&value) },
        Err(error) => not_json(&error),
    })
}

fn not_json(error: &serde_json::Error) -> BadRecord {
    if error.is_eof() {
        return BadRecord::Unfinished;
    }
    // The parser sees one record, so its own "at line 1 column 7" would mislead.
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    BadRecord::NotJson { message: message.to_owned(), column: error.column() }
}

/// Where the fields that matter stand in a record.
#[derive(Default)]
struct Fields {
    id: Option<Range<usize>>,
    text: Option<Range<usize>>,
    group: Option<Range<usize>>,
    metadata: Option<Range<usize>>,
}

fn fields(json: &str, options: &ReadOptions) -> Result<Fields, BadRecord> {
    let error = match parse(json, options) {
        Ok(fields) => return fields,
        Err(error) => error,
    };
    // Python writes NaN and its like, which no other JSON has. Numbers of the same length in their place leave all else
    // where it is.
    let found = no_numbers(json);
    if found.is_empty() {
        return Err(not_json(&error));
    }
    let mut numbers = json.as_bytes().to_vec();
    for span in found {
        let digits = span.start + usize::from(numbers[span.start] == b'-');
        numbers[digits..span.end].fill(b'1');
    }
    let numbers = String::from_utf8(numbers).unwrap_or_default();
    parse(&numbers, options).map_err(|error| not_json(&error))?
}

fn parse(json: &str, options: &ReadOptions) -> serde_json::Result<Result<Fields, BadRecord>> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let fields = FieldsSeed { json, options }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(fields)
}

/// The first names of other fields, to tell the user what is there instead of the text.
fn names(json: &str, options: &ReadOptions) -> Vec<String> {
    const NAMED: usize = 8;
    let mended = with_names_as_strings(json);
    let names = field_names(mended.as_deref().unwrap_or(json)).into_iter();
    names.filter(|name| !options.is_id(name) && name != METADATA).take(NAMED).collect()
}

/// Whether a JSON value is a number without fraction and exponent, of any length.
pub(crate) fn is_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The kind of a JSON value, in words.
pub(crate) fn kind_of(json: &str) -> &'static str {
    match json.as_bytes() {
        [b'n', ..] => "null",
        [b't' | b'f', ..] => "a boolean",
        [b'"', ..] => "a string",
        [b'[', ..] => "an array",
        [b'{', ..] => "an object",
        [b'N', ..] => "NaN",
        [b'I', ..] => "Infinity",
        [b'-', b'I', ..] => "-Infinity",
        _ => "a number",
    }
}

/// A string of JSON that holds half of a surrogate pair, at this byte.
#[derive(Debug)]
pub(crate) struct LoneSurrogate(usize);

impl LoneSurrogate {
    pub(crate) fn in_field(self, field: &str, start: usize) -> BadRecord {
        BadRecord::LoneSurrogate { field: field.to_owned(), column: start + 2 + self.0 }
    }
}

/// Turns what stands at `span` of a record, the inside of a valid JSON string, into text, in the record's own memory.
pub(crate) fn text_of(mut record: Vec<u8>, span: Range<usize>) -> Result<String, LoneSurrogate> {
    record.truncate(span.end);
    let (mut read, mut write) = (span.start, 0);
    while let Some(ahead) = memchr(b'\\', &record[read..]) {
        record.copy_within(read..read + ahead, write);
        (read, write) = (read + ahead, write + ahead);
        let Some((character, length)) = escaped(&record[read..]) else { return Err(LoneSurrogate(read - span.start)) };
        // No character takes more bytes than its escape.
        write += character.encode_utf8(&mut record[write..]).len();
        read += length;
    }
    record.copy_within(read.., write);
    record.truncate(write + span.end - read);
    if record.capacity() - record.len() > record.len() / 8 {
        record.shrink_to_fit();
    }
    // All of the record is UTF-8, and a string in it ends where a character does.
    Ok(String::from_utf8(record).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The character that a valid escape stands for, and the escape's length; none for half of a surrogate pair.
fn escaped(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = escape.get(at..at + 6)? else { return None };
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    };
    let character = match escape.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            return match unit(0)? {
                high @ 0xd800..0xdc00 => {
                    let low = unit(6).filter(|low| (0xdc00..0xe000).contains(low))?;
                    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 12))
                }
                unit => Some((char::from_u32(unit)?, 6)),
            };
        }
        &other => char::from(other),
    };
    Some((character, 2))
}

/// Picks the places of the fields out of a record.
struct FieldsSeed<'a> {
    json: &'a str,
    options: &'a ReadOptions,
}

impl<'de> DeserializeSeed<'de> for FieldsSeed<'de> {
    type Value = Result<Fields, BadRecord>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'de> {
    type Value = Result<Fields, BadRecord>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        let mut repeated = None;
        while let Some(name) = map.next_key_seed(NameSeed(self.options))? {
            let (place, name) = match name {
                Name::Text => (&mut fields.text, &*self.options.text_field),
                Name::Id => (&mut fields.id, &*self.options.id_field),
                Name::Group => (&mut fields.group, &*self.options.group_field),
                Name::Metadata => (&mut fields.metadata, METADATA),
                Name::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<&RawValue>()?.get();
            let start = value.as_ptr().addr() - self.json.as_ptr().addr();
            if place.replace(start..start + value.len()).is_some() {
                repeated = Some(name);
            }
        }
        Ok(match repeated {
            Some(field) => Err(BadRecord::RepeatedField { field: field.to_owned() }),
            None => Ok(fields),
        })
    }
}

/// What a field is to a document.
enum Name {
    Text,
    Id,
    Group,
    Metadata,
    Other,
}

struct NameSeed<'a>(&'a ReadOptions);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(if name == self.0.text_field {
            Name::Text
        } else if self.0.is_id(name) {
            Name::Id
        } else if self.0.is_group(name) {
            Name::Group
        } else if name == METADATA {
            Name::Metadata
        } else {
            Name::Other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Document, BadRecord> {
        document(line.as_bytes().to_vec(), &ReadOptions::default(), || "news:3".to_owned())
    }

    fn complaint(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn a_record_keeps_its_text_byte_for_byte() {
        let text = " \u{feff}line\r\n\ttab\u{0}nul\u{8}\u{c} \"\\/ e\u{301} \u{1F600} \u{2028} end ";
        let line = serde_json::json!({"id": "a", "text": text, "metadata": {"n": [1, 2.5]}, "url": "x"}).to_string();
        let document = parse(&line).unwrap();
        assert_eq!(document.text, text);
        assert_eq!(document.metadata.json(), Some(r#"{"n":[1,2.5]}"#));
    }

    #[test]
    fn escapes_are_read_as_the_json_library_reads_them() {
        for json in [
            r#""""#,
            r#""\\\"\/\b\f\n\r\t""#,
            r#""\u00e9\ud83d\ude00\u0000\uFFFF x\u4e2d""#,
            r#""a\u0041é\n""#,
            r#""\\u0041""#,
        ] {
            let expected: String = serde_json::from_str(json).unwrap();
            assert_eq!(
                parse(&format!("{{\"id\": {json}, \"text\":{json} }}").replace("\"id\": \"\",", "")).unwrap().text,
                expected
            );
        }
    }

    #[test]
    fn integers_of_any_length_become_text_and_a_missing_id_is_derived() {
        for (id, expected) in [
            ("-7", "-7"),
            ("18446744073709551616", "18446744073709551616"),
            ("-1267650600228229401496703205376", "-1267650600228229401496703205376"),
            ("\"\\u0061\"", "a"),
            ("null", "news:3"),
        ] {
            assert_eq!(parse(&format!(r#"{{"id": {id}, "text": ""}}"#)).unwrap().id, expected);
        }
        assert_eq!(parse(r#"{"text": ""}"#).unwrap().id, "news:3");
        let none = ReadOptions { id_field: String::new(), ..ReadOptions::default() };
        let derived = document(br#"{"id": "a", "": "b", "text": ""}"#.to_vec(), &none, || "n".to_owned());
        assert_eq!(derived.unwrap().id, "n");
    }

    #[test]
    fn what_python_writes_for_no_number_is_passed_over_kept_or_named() {
        let line = r#"{"score": NaN, "text": "NaN \" -Infinity", "b": [{"c": -Infinity}], "metadata": {"x": Infinity}, "id": 3}"#;
        let document = parse(line).unwrap();
        assert_eq!((document.text.as_str(), document.id.as_str()), ("NaN \" -Infinity", "3"));
        assert_eq!(document.metadata.json(), Some(r#"{"x":"Infinity"}"#));
        let fields = all_fields(line.as_bytes()).unwrap();
        assert_eq!((&fields["score"], &fields["b"][0]["c"]), (&"NaN".into(), &"-Infinity".into()));
        for (line, expected) in [
            (r#"{"text": NaN}"#, "field \"text\": expected a string, found NaN"),
            (r#"{"text": "a", "id": -Infinity}"#, "field \"id\": expected a string or an integer, found -Infinity"),
            // The place is the line's own.
            (r#"{"a": NaN, "b": nan}"#, "not JSON (expected ident, column 18); expected one JSON object per line"),
        ] {
            assert_eq!(complaint(line), expected);
        }
    }

    #[test]
    fn metadata_of_any_kind_is_kept() {
        for metadata in [r#""crawl 2024""#, r#""""#, r#"["a",1]"#, "true", "1e400"] {
            let document = parse(&format!(r#"{{"text": "a", "metadata": {metadata}}}"#)).unwrap();
            assert_eq!(document.metadata.json(), Some(metadata));
        }
    }

    #[test]
    fn bad_records_say_what_was_expected() {
        for (line, expected) in [
            (
                "{\"text\": ",
                "not JSON (it ends inside a value); expected one JSON object per line: `jq -c .` puts objects that go on \
                 over several lines on one each",
            ),
            ("{\"text\": \"a\"} x", "not JSON (trailing characters, column 15); expected one JSON object per line"),
            ("plain prose", "not JSON (expected value, column 1); expected one JSON object per line"),
            ("[1]", "expected a JSON object, found an array"),
            ("{}", "no field \"text\"; the record has no other fields: name the one that holds the text"),
            (
                r#"{"id": 1, "content": "a", "b": NaN, "a": 1}"#,
                "no field \"text\"; the record has \"content\", \"b\", \"a\": name the one that holds the text",
            ),
            (r#"{"text": 5}"#, "field \"text\": expected a string, found a number"),
            (r#"{"text": null}"#, "field \"text\": expected a string, found null"),
            (r#"{"text": "a", "id": 1.5}"#, "field \"id\": expected a string or an integer, found a number"),
            (r#"{"text": "a", "id": true}"#, "field \"id\": expected a string or an integer, found a boolean"),
            (r#"{"text": "a", "text": "b"}"#, "field \"text\" occurs twice in the record"),
            (
                r#"{"text": "ab\ud83d"}"#,
                "field \"text\" holds half of a surrogate pair (\\ud800 to \\udfff alone) at column 13, which is no character",
            ),
            (
                r#"{"text": "a", "id": ""}"#,
                "field \"id\": expected a non-empty identifier; leave the field out to have one derived from file and row",
            ),
        ] {
            assert_eq!(complaint(line), expected, "{line}");
        }
        // Where nothing is read of it, half of a pair is no fault.
        assert!(parse(r#"{"text": "a", "other": "\udc00"}"#).is_ok());
    }
}
