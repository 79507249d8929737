//! One JSON Lines file as records: unpacking, lines, and one line to a document. Which files, and what to do with bad
//! records, is the reader's business.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::document::{BadRecord, Document, Origin, kind};
use crate::error::{Error, Result};
use crate::reader::ReadOptions;

/// The marks a file begins with. Anything else is taken for plain JSON Lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Plain,
    Gzip,
    Zstd,
    Parquet,
}

impl Container {
    /// Bytes that tell all of them apart.
    pub(crate) const MARK: usize = 4;

    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one of the skippable frames that may precede it (RFC 8878, 3.1).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Plain,
        }
    }

    /// What the file's name promises; tells an empty file from one that lost all its bytes.
    pub(crate) fn promised(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            Some("parquet") => Self::Parquet,
            _ => Self::Plain,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Parquet => "Parquet",
        }
    }
}

/// Counts the bytes that leave a file, before unpacking.
pub(crate) struct Counted<R> {
    pub(crate) inner: R,
    pub(crate) bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// All fields of a record.
type Object = Map<String, Value>;

/// The lines of one file, unpacked.
pub(crate) struct Lines {
    path: Arc<Path>,
    container: Container,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("path", &self.path).field("line", &self.line).finish_non_exhaustive()
    }
}

impl Lines {
    pub(crate) fn new(path: Arc<Path>, container: Container, packed: impl BufRead + Send + 'static) -> Result<Self> {
        const BUFFER: usize = 1 << 17;
        let reader: Box<dyn BufRead + Send> = match container {
            Container::Gzip => Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(packed))),
            Container::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(packed)?;
                // Large published dumps are packed with `zstd --long=31`; the window is only as large as the frame asks
                // for.
                decoder.window_log_max(31)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Container::Plain | Container::Parquet => Box::new(packed),
        };
        Ok(Self { path, container, reader, line: 0, buffer: Vec::new() })
    }

    /// The next record that is not a blank line; `None` at the end of the file.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        self.line(|line, origin| parse_line(line, options, origin))
    }

    /// The next record with all its fields; `None` at the end of the file.
    pub(crate) fn next_fields(&mut self) -> Option<Result<(Origin, Result<Object, BadRecord>)>> {
        self.line(|line, _| parse_fields(line))
    }

    /// What `parse` makes of the next line that is not blank; `None` at the end of the file.
    fn line<T>(
        &mut self,
        parse: impl FnOnce(&[u8], &Origin) -> Result<T, BadRecord>,
    ) -> Option<Result<(Origin, Result<T, BadRecord>)>> {
        loop {
            self.buffer.clear();
            match self.reader.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => self.line += 1,
                Err(error) => return Some(Err(self.broken(error))),
            }
            let mut line = self.buffer.as_slice();
            if self.line == 1 {
                line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let origin = Origin { file: Arc::clone(&self.path), row: self.line };
            let parsed = parse(line, &origin);
            return Some(Ok((origin, parsed)));
        }
    }

    fn broken(&self, error: io::Error) -> Error {
        match self.container {
            Container::Plain | Container::Parquet => Error::Io(error),
            Container::Gzip | Container::Zstd => Error::Damaged {
                path: self.path.to_path_buf(),
                container: self.container.name(),
                records: self.line,
                source: error.into(),
            },
        }
    }
}

/// One line as a document. The text is taken over byte for byte.
fn parse_line(line: &[u8], options: &ReadOptions, origin: &Origin) -> Result<Document, BadRecord> {
    let line = object_text(line)?;
    let mut json = serde_json::Deserializer::from_str(line);
    let fields = FieldsSeed(options).deserialize(&mut json).map_err(|error| not_json(&error))?;
    json.end().map_err(|error| not_json(&error))?;
    fields.into_document(options, origin)
}

/// One line as an object with all its fields.
fn parse_fields(line: &[u8]) -> Result<Object, BadRecord> {
    serde_json::from_str(object_text(line)?).map_err(|error| not_json(&error))
}

/// A line that is text, and seems to be an object.
fn object_text(line: &[u8]) -> Result<&str, BadRecord> {
    let line =
        std::str::from_utf8(line).map_err(|error| BadRecord::NotUtf8 { byte: error.valid_up_to() + 1 })?.trim_end();
    if line.trim_start().starts_with('{') {
        return Ok(line);
    }
    Err(match serde_json::from_str::<Value>(line) {
        Ok(value) => BadRecord::NotAnObject { found: kind(&value) },
        Err(error) => not_json(&error),
    })
}

fn not_json(error: &serde_json::Error) -> BadRecord {
    // The parser sees one line, so its own "at line 1 column 7" would mislead.
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    BadRecord::NotJson { message: message.to_owned(), column: error.column() }
}

/// The fields of a record that matter, as they stand.
#[derive(Default)]
struct Fields {
    id: Option<Value>,
    text: Option<Value>,
    metadata: Option<Value>,
    repeated: Option<String>,
    /// The first names, to tell the user what is there instead of the text.
    others: Vec<String>,
}

impl Fields {
    fn into_document(self, options: &ReadOptions, origin: &Origin) -> Result<Document, BadRecord> {
        if let Some(field) = self.repeated {
            return Err(BadRecord::RepeatedField { field });
        }
        let wrong = |field: &str, expected, found: &Value| {
            Err(BadRecord::WrongType { field: field.to_owned(), expected, found: kind(found) })
        };
        let text = match self.text {
            Some(Value::String(text)) => text,
            Some(other) => return wrong(&options.text_field, "a string", &other),
            None => return Err(BadRecord::NoText { field: options.text_field.clone(), fields: self.others }),
        };
        let id = match self.id {
            None | Some(Value::Null) => origin.derived_id(),
            Some(Value::String(id)) if id.is_empty() => {
                return Err(BadRecord::EmptyId { field: options.id_field.clone() });
            }
            Some(Value::String(id)) => id,
            Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
            Some(other) => return wrong(&options.id_field, "a string or an integer", &other),
        };
        let metadata = match self.metadata {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(other) => return wrong(METADATA, "an object", &other),
        };
        Ok(Document { id, text, metadata })
    }
}

/// The field that holds a document's metadata.
pub(crate) const METADATA: &str = "metadata";

/// Picks the fields out of a record without building the rest of it.
struct FieldsSeed<'a>(&'a ReadOptions);

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        const NAMED: usize = 8;
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let place = if name == self.0.text_field {
                &mut fields.text
            } else if name == self.0.id_field {
                &mut fields.id
            } else if name == METADATA {
                &mut fields.metadata
            } else {
                map.next_value::<IgnoredAny>()?;
                if fields.others.len() < NAMED {
                    fields.others.push(name);
                }
                continue;
            };
            if place.replace(map.next_value::<Value>()?).is_some() {
                fields.repeated = Some(name);
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Document, BadRecord> {
        let origin = Origin { file: Path::new("news.jsonl").into(), row: 3 };
        parse_line(line.as_bytes(), &ReadOptions::default(), &origin)
    }

    fn complaint(line: &str) -> String {
        parse(line).unwrap_err().to_string()
    }

    #[test]
    fn a_record_keeps_its_text_byte_for_byte() {
        let text = " \u{feff}line\r\n\ttab\u{0}nul e\u{301} \u{1F600} \u{2028} end ";
        let line = serde_json::json!({"id": "a", "text": text, "metadata": {"n": [1, 2.5]}, "url": "x"}).to_string();
        let document = parse(&line).unwrap();
        assert_eq!(document.text, text);
        assert_eq!(serde_json::to_string(&document.metadata).unwrap(), r#"{"n":[1,2.5]}"#);
    }

    #[test]
    fn integers_become_text_and_a_missing_id_is_derived() {
        assert_eq!(parse(r#"{"id": -7, "text": ""}"#).unwrap().id, "-7");
        assert_eq!(parse(r#"{"id": 18446744073709551615, "text": ""}"#).unwrap().id, "18446744073709551615");
        assert_eq!(parse(r#"{"id": null, "text": ""}"#).unwrap().id, "news:3");
        assert_eq!(parse(r#"{"text": ""}"#).unwrap().id, "news:3");
    }

    #[test]
    fn bad_records_say_what_was_expected() {
        for (line, expected) in [
            ("{\"text\": ", "not JSON (EOF while parsing a value, column 8); expected one JSON object per line"),
            ("{\"text\": \"a\"} x", "not JSON (trailing characters, column 15); expected one JSON object per line"),
            ("plain prose", "not JSON (expected value, column 1); expected one JSON object per line"),
            ("[1]", "expected a JSON object, found an array"),
            (
                "{}",
                "no field \"text\"; the record has no other fields: name the field that holds the text (text_field)",
            ),
            (
                r#"{"id": 1, "content": "a", "url": "b"}"#,
                "no field \"text\"; the record has \"content\", \"url\": name the field that holds the text (text_field)",
            ),
            (r#"{"text": 5}"#, "field \"text\": expected a string, found a number"),
            (r#"{"text": null}"#, "field \"text\": expected a string, found null"),
            (r#"{"text": "a", "id": 1.5}"#, "field \"id\": expected a string or an integer, found a number"),
            (r#"{"text": "a", "id": true}"#, "field \"id\": expected a string or an integer, found a boolean"),
            (r#"{"text": "a", "metadata": "b"}"#, "field \"metadata\": expected an object, found a string"),
            (r#"{"text": "a", "text": "b"}"#, "field \"text\" occurs twice in the record"),
            (
                r#"{"text": "a", "id": ""}"#,
                "field \"id\": expected a non-empty identifier; leave the field out to have one derived from file and row",
            ),
        ] {
            assert_eq!(complaint(line), expected, "{line}");
        }
    }
}
