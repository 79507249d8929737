//! Vectors as a Parquet table `{id: string, embedding: list of float}`.

use std::path::Path;

use cognate_base::Monitor;
use cognate_base::table::Kind;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::table::{TableReader, write_table};
use crate::vectors::Vectors;
use crate::{Error, Result};

const SCHEMA: &str = "message vectors {
    required binary id (STRING);
    required group embedding (LIST) { repeated group list { required float element; } }
}";
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 16;

/// Reads the columns `id` and `embedding` of `path`; other columns may be there. An id is text or an integer, the embedding
/// a list (of any kind) of floats of 16, 32 or 64 bits, of one length in all rows. Rows that are not unit vectors are scaled to length 1
/// ([`Vectors::normalise`]); what this crate wrote comes back bit for bit.
///
/// # Errors
/// When the file cannot be read, is empty, a column is missing or of another type, a value is null or not finite,
/// lengths differ, an identifier comes twice, or the monitor interrupts.
pub fn read_vectors(path: &Path, monitor: &dyn Monitor) -> Result<Vectors> {
    let table = TableReader::open(path)?;
    let mut ids = table.ids("id")?;
    let mut embeddings = table.column("embedding", &[Kind::FloatLists], "lists of floats")?;
    let mut vectors = Vectors { ids: Vec::new(), width: 0, data: Vec::new() };
    loop {
        monitor.check()?;
        let start = vectors.len();
        vectors.ids.append(&mut ids.next_ids()?);
        if vectors.len() == start {
            break;
        }
        for (row, values) in (start..).zip(embeddings.next_float_lists()?) {
            if row == 0 {
                vectors.width = values.len();
                let claimed = table.rows().saturating_mul(vectors.width);
                // A hostile row count must not become a huge allocation: a gigabyte at most in advance.
                vectors.data.reserve(claimed.min(1 << 28));
            }
            if values.len() != vectors.width {
                let (expected, found) = (vectors.width, values.len());
                return Err(Error::Ragged { path: path.to_path_buf(), row, expected, found });
            }
            vectors.data.extend_from_slice(&values);
        }
    }
    if vectors.is_empty() || vectors.width == 0 {
        return Err(Error::NoVectors { path: path.to_path_buf() });
    }
    vectors.normalise().and_then(|_| vectors.check()).map_err(|error| error.in_file(path))?;
    Ok(vectors)
}

/// Writes `vectors` as `{id: string, embedding: list of float}`, nothing null.
///
/// # Errors
/// When the vectors break a promise of their type, or writing fails (the old file then stays).
pub fn write_vectors(path: &Path, vectors: &Vectors) -> Result<()> {
    vectors.check()?;
    write_table(path, SCHEMA, properties(), |table| {
        for (ids, data) in vectors.ids.chunks(GROUP_ROWS).zip(vectors.data.chunks(GROUP_ROWS * vectors.width)) {
            let mut group = table.row_group()?;
            group.texts(ids.iter().map(String::as_str))?;
            group.float_lists(data, vectors.width)?;
            group.finish()?;
        }
        Ok(())
    })
}

/// Identifiers packed; the floats plain, because they are as good as random and packing them only costs time.
fn properties() -> WriterProperties {
    let floats = ColumnPath::from(vec!["embedding".to_string(), "list".to_string(), "element".to_string()]);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_compression(floats.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(floats, false)
        .build()
}
