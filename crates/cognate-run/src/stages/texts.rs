//! The texts of document files.

use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};

use crate::context::Context;
use crate::error::Result;

/// Identifiers and texts of a document file. Bad records that are passed over are named in warnings.
///
/// # Errors
/// When a document cannot be read, or the user interrupts.
pub fn read_texts(path: &Path, options: &ReadOptions, monitor: &dyn Monitor) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::open(&[PathBuf::from(path)], options, monitor)?;
    let texts = reader.by_ref().map(|record| Ok(record.map(|(_, document)| (document.id, document.text))?)).collect();
    reader.rejected().iter().for_each(|record| tracing::warn!("{}: passed over: {}", record.origin, record.reason));
    texts
}

/// The documents of a split, or what was made of them, in the artifact of this folder.
pub(crate) fn texts_in(
    context: &Context<'_>,
    folder: &Path,
    split: &str,
    monitor: &dyn Monitor,
) -> Result<Vec<(String, String)>> {
    read_texts(&context.artifact(folder).path(&format!("{split}.jsonl.zst")), &ReadOptions::default(), monitor)
}

/// The documents of the unique split.
pub(crate) fn unique_texts(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Vec<(String, String)>> {
    texts_in(context, Path::new("ingest"), "unique", monitor)
}

/// The documents of the selection split.
pub(crate) fn selection_texts(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Vec<(String, String)>> {
    texts_in(context, Path::new("ingest"), "selection", monitor)
}
