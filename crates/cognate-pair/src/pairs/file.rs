//! Pairs as a Parquet table `{id1: string, id2: string, similarity: float}`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Pair;
use crate::table::{TableReader, unwritable, write_table};
use crate::{Error, Result};

/// Pairs handed to the writer at a time.
const CHUNK: usize = 1 << 16;

/// Writes `pairs`, in their order, by the documents' identifiers.
///
/// # Errors
/// When writing fails (the old file then stays).
///
/// # Panics
/// When a pair names a document that is not in `ids`.
pub fn write_pairs(path: &Path, ids: &[String], pairs: &[Pair]) -> Result<()> {
    let schema = Schema::new(vec![
        Field::new("id1", DataType::Utf8, false),
        Field::new("id2", DataType::Utf8, false),
        Field::new("similarity", DataType::Float32, false),
    ]);
    let batches = pairs.chunks(CHUNK).map(|pairs| {
        let text =
            |of: fn(&Pair) -> u32| pairs.iter().map(|pair| Some(&ids[of(pair) as usize])).collect::<StringArray>();
        let similarity: Float32Array = pairs.iter().map(|pair| Some(pair.similarity)).collect();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(text(|pair| pair.first)), Arc::new(text(|pair| pair.second)), Arc::new(similarity)];
        RecordBatch::try_new(Arc::new(schema.clone()), columns).map_err(|source| unwritable(path, source))
    });
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    write_table(path, schema.clone(), properties, batches)
}

/// Reads the columns `id1`, `id2` and `similarity` of `path` as pairs of the documents `ids`, in their order; other
/// columns may be there. A file without rows is an empty list.
///
/// # Errors
/// When the file cannot be read, a column is missing or of another type, a value is null, an identifier is unknown, a
/// document is paired with itself, a pair comes twice, or a similarity is not a finite number.
pub fn read_pairs(path: &Path, ids: &[String]) -> Result<Vec<Pair>> {
    let numbers: HashMap<&str, u32> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
    let mut table = TableReader::open(path, &["id1", "id2", "similarity"])?;
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    while let Some((start, batch)) = table.next()? {
        let first = table.strings((start, &batch), "id1")?;
        let second = table.strings((start, &batch), "id2")?;
        let is_float = |kind: &DataType| *kind == DataType::Float32;
        let similarity = table.column((start, &batch), "similarity", "32-bit floats", is_float)?;
        let similarity = similarity.as_primitive::<Float32Type>();
        for at in 0..batch.num_rows() {
            let row = start + at;
            let number = |column, id: &str| {
                let unknown = || Error::UnknownId { path: path.to_path_buf(), column, row, id: id.to_string() };
                numbers.get(id).copied().ok_or_else(unknown)
            };
            let pair = Pair {
                first: number("id1", first.value(at))?,
                second: number("id2", second.value(at))?,
                similarity: similarity.value(at),
            };
            let problem = if pair.first == pair.second {
                Some("a document is no pair with itself")
            } else if !pair.similarity.is_finite() {
                Some("its similarity is not a finite number")
            } else if !seen.insert((pair.first, pair.second)) {
                Some("the pair is there already")
            } else {
                None
            };
            if let Some(problem) = problem {
                let (first, second) = (first.value(at).to_string(), second.value(at).to_string());
                return Err(Error::BadPair { path: path.to_path_buf(), row, first, second, problem });
            }
            pairs.push(pair);
        }
    }
    Ok(pairs)
}
