//! What a record says about its group: a field of its own, or one of its metadata.

use std::path::Path;
use std::sync::Arc;

use cognate_base::Monitor;

use crate::delimited;
use crate::document::BadRecord;
use crate::error::Result;
use crate::input::{Input, Kind};
use crate::json::{METADATA, is_integer, kind_of, text_of};
use crate::metadata::{Metadata, field_names};
use crate::reader::ReadOptions;
use crate::records::Records;
use crate::unpack::Unpacked;

/// The field that holds a document's group in files that are written here.
pub(crate) const GROUP: &str = "group";

/// What is taken as the name of a group.
pub(crate) const EXPECTED: &str = "a string or a whole number";

/// Names of fields that a message has at most.
const NAMED: usize = 20;

/// The group that a JSON value names, which begins at byte `start` of its record: a text, or a whole number's digits. Null and the empty text
/// name none.
pub(crate) fn of_json(json: &str, field: &str, start: usize) -> Result<Option<String>, BadRecord> {
    match json {
        "null" | "\"\"" => Ok(None),
        text if text.starts_with('"') => text_of(text.as_bytes().to_vec(), 1..text.len() - 1)
            .map(Some)
            .map_err(|problem| problem.in_field(field, start)),
        digits if is_integer(digits) => Ok(Some(digits.to_owned())),
        _ => Err(BadRecord::WrongType { field: field.to_owned(), expected: EXPECTED, found: kind_of(json) }),
    }
}

/// The group that a field of its own names, or else the metadata's.
pub(crate) fn or_of_metadata(
    own: Option<String>,
    metadata: &Metadata,
    options: &ReadOptions,
) -> Result<Option<String>, BadRecord> {
    if own.is_some() || options.group_field.is_empty() || !options.group_of_metadata {
        return Ok(own);
    }
    match metadata.field_json(&options.group_field) {
        Some(json) => of_json(&json, &format!("{METADATA}.{}", options.group_field), 0),
        None => Ok(None),
    }
}

/// The fields that the first record of each of some files has, those of its metadata with its name before them: for a message.
pub(crate) fn fields_of(files: &[Input], monitor: &dyn Monitor) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for file in files.iter().take(NAMED) {
        // What cannot be read was told of by the reader.
        for name in first_fields(file, monitor).unwrap_or_default() {
            if !names.contains(&name) && names.len() < NAMED {
                names.push(name);
            }
        }
    }
    names
}

fn first_fields(file: &Input, monitor: &dyn Monitor) -> Result<Vec<String>> {
    let path: &Path = &file.path;
    match Kind::of(path) {
        Kind::Text => return Ok(Vec::new()),
        Kind::Table(delimiter) => {
            let source = Unpacked::open(Arc::clone(&file.path), &Arc::default(), monitor)?;
            return delimited::names(file.clone(), source, delimiter);
        }
        _ => {}
    }
    let Some(record) = Records::open(path)?.next() else { return Ok(Vec::new()) };
    let fields = record?.fields;
    let mut names: Vec<String> = fields.keys().cloned().collect();
    if let Some(metadata) = fields.get(METADATA) {
        let json = metadata.as_str().map_or_else(|| metadata.to_string(), str::to_owned);
        names.extend(field_names(&json).into_iter().map(|name| format!("{METADATA}.{name}")));
    }
    Ok(names)
}
