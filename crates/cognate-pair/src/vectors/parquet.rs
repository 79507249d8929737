//! Vectors as a Parquet table `{id: string, embedding: list of float}`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::table::{TableReader, unwritable, write_table};
use crate::vectors::Vectors;
use crate::{Error, Result};

/// Rows handed to the writer at a time.
const CHUNK_ROWS: usize = 8192;

/// Reads the columns `id` and `embedding` of `path`; other columns may be there. The embedding is a list (or fixed-size
/// list) of 32-bit floats, of one length in all rows. Rows that are not unit vectors are scaled to length 1
/// ([`Vectors::normalise`]); what this crate wrote comes back bit for bit.
///
/// # Errors
/// When the file cannot be read, is empty, a column is missing or of another type, a value is null or not finite,
/// lengths differ, or an identifier comes twice.
pub fn read_vectors(path: &Path) -> Result<Vectors> {
    let mut table = TableReader::open(path, &["id", "embedding"])?;
    let mut vectors = Vectors { ids: Vec::new(), width: 0, data: Vec::new() };
    while let Some((start, batch)) = table.next()? {
        let ids = table.strings((start, &batch), "id")?;
        let is_vector =
            |kind: &DataType| matches!(kind, DataType::List(item) if *item.data_type() == DataType::Float32);
        let lists = table.column((start, &batch), "embedding", "a list of 32-bit floats", is_vector)?.as_list::<i32>();
        for row in 0..batch.num_rows() {
            let values = lists.value(row);
            let values = values.as_primitive::<Float32Type>();
            let at = start + row;
            if values.null_count() > 0 {
                return Err(Error::Null { path: path.to_path_buf(), column: "embedding", row: at });
            }
            if at == 0 {
                vectors.width = values.len();
                let claimed = table.rows().saturating_mul(vectors.width);
                // A hostile row count must not become a huge allocation: a gigabyte at most in advance.
                vectors.data.reserve(claimed.min(1 << 28));
            }
            if values.len() != vectors.width {
                let (expected, found) = (vectors.width, values.len());
                return Err(Error::Ragged { path: path.to_path_buf(), row: at, expected, found });
            }
            vectors.data.extend_from_slice(values.values());
            vectors.ids.push(ids.value(row).to_string());
        }
    }
    if vectors.is_empty() || vectors.width == 0 {
        return Err(Error::NoVectors { path: path.to_path_buf() });
    }
    vectors.normalise().and_then(|_| vectors.check()).map_err(|error| error.in_file(path))?;
    Ok(vectors)
}

/// Writes `vectors` as `{id: string, embedding: FixedSizeList<float>[width]}`.
///
/// # Errors
/// When the vectors break a promise of their type, or writing fails (the old file then stays).
pub fn write_vectors(path: &Path, vectors: &Vectors) -> Result<()> {
    vectors.check()?;
    let too_wide = |_| Error::Shape { ids: vectors.len(), width: vectors.width, values: vectors.data.len() };
    let width = i32::try_from(vectors.width).map_err(too_wide)?;
    let item = Arc::new(Field::new("element", DataType::Float32, false));
    let schema = Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("embedding", DataType::FixedSizeList(item.clone(), width), false),
    ]);
    let batches = (0..vectors.len()).step_by(CHUNK_ROWS).map(|start| {
        let rows = start..(start + CHUNK_ROWS).min(vectors.len());
        let ids: StringArray = vectors.ids[rows.clone()].iter().map(|id| Some(id.as_str())).collect();
        let values = vectors.data[rows.start * vectors.width..rows.end * vectors.width].to_vec();
        let lists = FixedSizeListArray::try_new(item.clone(), width, Arc::new(Float32Array::from(values)), None);
        let lists = lists.map_err(|source| unwritable(path, source))?;
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(lists)];
        RecordBatch::try_new(Arc::new(schema.clone()), columns).map_err(|source| unwritable(path, source))
    });
    write_table(path, schema.clone(), properties(), batches)
}

/// Identifiers packed; the floats plain, because they are as good as random and packing them only costs time.
fn properties() -> WriterProperties {
    let floats = ColumnPath::from(vec!["embedding".to_string(), "list".to_string(), "element".to_string()]);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_compression(floats.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(floats, false)
        .set_max_row_group_row_count(Some(1 << 16))
        .build()
}
