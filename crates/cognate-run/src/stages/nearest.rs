//! How similar each validation document is to the unique document nearest to it, which `embed` finds beside its vectors.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::write_atomic;
use cognate_pair::{Vectors, neighbours_among};
use serde::{Deserialize, Serialize};

use super::evaluate::read_lines;
use crate::error::{Error, Result};

/// The file, a [`Nearest`] a line.
pub(crate) const NEAREST: &str = "validation.jsonl";

/// A validation document and the unique document nearest to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Nearest {
    pub(crate) document: String,
    pub(crate) nearest: String,
    /// The cosine of their vectors, times how much of the document the directions hold.
    pub(crate) similarity: f64,
}

/// Writes those of `validation` that have a vector, and says how many they are.
/// With each comes how much of it the directions hold.
pub(super) fn write(
    folder: &Path,
    vectors: &Vectors,
    (validation, held): &(Vectors, Vec<f32>),
    monitor: &dyn Monitor,
) -> Result<u64> {
    let found = neighbours_among(vectors, validation, 1, monitor)?.scaled(held);
    let (mut text, mut lines) = (String::new(), 0);
    for (at, document) in validation.ids.iter().enumerate() {
        let Some((nearest, similarity)) = found.of(at).next() else { continue };
        let nearest = vectors.ids[nearest as usize].clone();
        let line = Nearest { document: document.clone(), nearest, similarity: f64::from(similarity) };
        text.push_str(&serde_json::to_string(&line).map_err(|error| Error::Io(error.into()))?);
        text.push('\n');
        lines += 1;
    }
    write_atomic(folder.join(NEAREST), text)?;
    Ok(lines)
}

/// What [`write()`] wrote into `folder`.
pub(crate) fn read(folder: &Path) -> Result<Vec<Nearest>> {
    read_lines(&folder.join(NEAREST))
}
