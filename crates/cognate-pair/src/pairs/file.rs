//! Pairs as a Parquet table `{id1: string, id2: string, similarity: float}`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cognate_base::Monitor;
use cognate_base::table::Kind;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::pair::Pair;
use crate::table::{Column, TableReader, write_table};
use crate::{Error, Result};

const SCHEMA: &str = "message pairs {
    required binary id1 (STRING);
    required binary id2 (STRING);
    required float similarity;
}";
/// Pairs of a row group.
const GROUP_ROWS: usize = 1 << 20;

/// Writes `pairs`, in their order, by the documents' identifiers.
///
/// # Errors
/// When writing fails (the old file then stays).
///
/// # Panics
/// When a pair names a document that is not in `ids`.
pub fn write_pairs(path: &Path, ids: &[String], pairs: &[Pair]) -> Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    write_table(path, SCHEMA, properties, |table| {
        for pairs in pairs.chunks(GROUP_ROWS) {
            let mut group = table.row_group()?;
            group.texts(pairs.iter().map(|pair| ids[pair.first as usize].as_str()))?;
            group.texts(pairs.iter().map(|pair| ids[pair.second as usize].as_str()))?;
            group.floats(pairs.iter().map(|pair| pair.similarity))?;
            group.finish()?;
        }
        Ok(())
    })
}

/// Reads the columns `id1`, `id2` and `similarity` of `path` as pairs of the documents `ids`, in their order; other
/// columns may be there. An id is text or an integer, a similarity a float of 16, 32 or 64 bits; without that column it is not
/// a number (NaN). A file without rows is an empty list.
///
/// # Errors
/// When the file cannot be read, a column is missing or of another type, a value is null, an identifier is unknown, a
/// document is paired with itself, a pair comes twice, a similarity is not a finite number, or the monitor interrupts.
pub fn read_pairs(path: &Path, ids: &[String], monitor: &dyn Monitor) -> Result<Vec<Pair>> {
    read(path, ids, None, false, monitor)
}

/// The same, but a pair may come several times, as in pairs that were shuffled.
///
/// # Errors
/// As [`read_pairs`], but for repeated pairs.
pub fn read_shuffled_pairs(path: &Path, ids: &[String], monitor: &dyn Monitor) -> Result<Vec<Pair>> {
    read(path, ids, None, true, monitor)
}

/// The same, but pairs of documents that are not among `ids` are passed over; says how many these are.
///
/// # Errors
/// As [`read_pairs`], but for unknown identifiers.
pub fn read_pairs_among(path: &Path, ids: &[String], monitor: &dyn Monitor) -> Result<(Vec<Pair>, u64)> {
    let mut passed_over = 0;
    let pairs = read(path, ids, Some(&mut passed_over), false, monitor)?;
    Ok((pairs, passed_over))
}

fn read(
    path: &Path,
    ids: &[String],
    mut passed_over: Option<&mut u64>,
    repeats: bool,
    monitor: &dyn Monitor,
) -> Result<Vec<Pair>> {
    let numbers: HashMap<&str, u32> = ids.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
    let table = TableReader::open(path)?;
    let (mut id1, mut id2) = (table.ids("id1")?, table.ids("id2")?);
    let mut similarities = table.optional_column("similarity", &[Kind::Floats], "floats")?;
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    let mut rows = 0;
    loop {
        monitor.check()?;
        let (first, second) = (id1.next_ids()?, id2.next_ids()?);
        if first.is_empty() {
            break;
        }
        let values: Option<Vec<f64>> = similarities.as_mut().map(Column::next_floats).transpose()?;
        for (at, (first, second)) in first.into_iter().zip(second).enumerate() {
            let similarity = values.as_ref().and_then(|values| values.get(at)).map_or(f32::NAN, |&value| value as f32);
            let row = rows;
            rows += 1;
            if let Some(passed_over) = &mut passed_over
                && !(numbers.contains_key(&*first) && numbers.contains_key(&*second))
            {
                **passed_over += 1;
                continue;
            }
            let number = |column, id: &str| {
                let unknown = || Error::UnknownId { path: path.to_path_buf(), column, row, id: id.to_string() };
                numbers.get(id).copied().ok_or_else(unknown)
            };
            let pair = Pair { first: number("id1", &first)?, second: number("id2", &second)?, similarity };
            let problem = if pair.first == pair.second {
                Some("a document is no pair with itself")
            } else if values.is_some() && !pair.similarity.is_finite() {
                Some("its similarity is not a finite number")
            } else if !seen.insert((pair.first, pair.second)) && !repeats {
                Some("the pair is there already")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(Error::BadPair { path: path.to_path_buf(), row, first, second, problem });
            }
            pairs.push(pair);
        }
    }
    Ok(pairs)
}
