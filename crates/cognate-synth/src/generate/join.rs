//! The parts of one generation put together: the files that a generation without parts writes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader};
use serde_json::{Map, Value};

use super::config::MOST_DOCUMENTS;
use super::files::{SETTINGS, check_settings, document_id, read_settings, shard_name, shards};
use super::numbers::Part;
use crate::error::{Error, Result};

/// Writes the documents of all parts in the order of their numbers into `out`: files and settings are byte for byte those of a
/// generation that was not divided. Returns how many documents there are.
///
/// # Errors
/// [`Error::Part`] for a folder that is no part, one that is there twice, missing, made with other settings than the first, or
/// not finished; [`Error::OtherSettings`] where `out` holds another generation; [`Error::Interrupted`] when the monitor says so.
pub fn join(folders: &[PathBuf], out: &Path, monitor: &dyn Monitor) -> Result<u64> {
    let (settings, parts) = parts(folders)?;
    let number = |field: &str| {
        let missing = || Error::Part { path: folders[0].join(SETTINGS), what: format!("{field} is no whole number") };
        settings.get(field).and_then(Value::as_u64).ok_or_else(missing)
    };
    let (first, documents) = (number("first_document")?, number("target_documents")?);
    let per_file = number("shard_documents")?.max(1);
    let end = first.checked_add(documents).filter(|&end| end <= MOST_DOCUMENTS.saturating_mul(2));
    let Some(end) = end else {
        let what = format!("first_document and target_documents are beyond {MOST_DOCUMENTS}");
        return Err(Error::Part { path: folders[0].join(SETTINGS), what });
    };
    // Nothing is written before every part is known to be whole.
    merge(&parts, first..end, monitor, |_| Ok(()))?;
    fs_err::create_dir_all(out)?;
    check_settings(out, &settings)?;
    let (mut file, mut writer, mut room) = (0, None, 0);
    merge(&parts, first..end, monitor, |document| {
        if room == 0 {
            finish(writer.take())?;
            writer = Some(DocumentWriter::create(out.join(shard_name(file)))?);
            (file, room) = (file + 1, per_file);
        }
        room -= 1;
        writer.as_mut().map_or(Ok(()), |writer| writer.write(document))?;
        Ok(())
    })?;
    finish(writer)?;
    Ok(documents)
}

fn finish(writer: Option<DocumentWriter>) -> Result<()> {
    writer.map_or(Ok(0), DocumentWriter::finish)?;
    Ok(())
}

/// Goes through the documents of all parts in the order of their numbers.
fn merge(
    parts: &[PathBuf],
    numbers: Range<u64>,
    monitor: &dyn Monitor,
    mut each: impl FnMut(&Document) -> Result<()>,
) -> Result<()> {
    let mut readers = Vec::new();
    for folder in parts {
        let files = shards(folder)?;
        readers.push(if files.is_empty() {
            None
        } else {
            Some(Reader::open(&files, &ReadOptions::default(), monitor)?)
        });
    }
    for number in numbers {
        monitor.check()?;
        let part = (number % parts.len() as u64) as usize;
        let record = readers[part].as_mut().and_then(Iterator::next).transpose()?;
        let id = document_id(number);
        match record {
            Some((_, document)) if document.id == id => each(&document)?,
            other => {
                let found = other.map_or("ends".to_owned(), |(_, document)| format!("has {:?}", document.id));
                let what = format!(
                    "it {found} where {id:?} should come: finish this part first, with the command that began it; nothing was written"
                );
                return Err(Error::Part { path: parts[part].clone(), what });
            }
        }
    }
    Ok(())
}

/// The settings that all parts share, and their folders in the order of the parts.
fn parts(folders: &[PathBuf]) -> Result<(Map<String, Value>, Vec<PathBuf>)> {
    let mut shared: Option<Map<String, Value>> = None;
    let mut found: Vec<Option<PathBuf>> = Vec::new();
    for folder in folders {
        let damaged = |what: String| Error::Part { path: folder.join(SETTINGS), what };
        let mut settings = read_settings(folder)?;
        let shard = settings.remove("shard");
        let part: Option<Part> = shard.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
        let Some(Part { index, of }) = part else {
            return Err(damaged("it is no part of a generation: generate --shard I/N makes such".into()));
        };
        if of != folders.len() as u64 {
            return Err(damaged(format!("it is one of {of} parts, and {} folders are given", folders.len())));
        }
        found.resize(folders.len(), None);
        if let Some(earlier) = found[index as usize].replace(folder.clone()) {
            return Err(damaged(format!("{} is part {index}/{of} too", earlier.display())));
        }
        if let Some(field) = shared.as_ref().and_then(|shared| {
            shared.keys().chain(settings.keys()).find(|&key| shared.get(key) != settings.get(key)).cloned()
        }) {
            return Err(damaged(format!("{field} differs from that in {}", folders[0].display())));
        }
        shared.get_or_insert(settings);
    }
    Ok((shared.unwrap_or_default(), found.into_iter().flatten().collect()))
}
