//! Tables out: row group by row group, each column by column.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::files::AtomicFile;

/// Rows encoded at a time.
const CHUNK_ROWS: usize = 1024;

/// A table under construction.
pub struct TableWriter(SerializedFileWriter<AtomicFile>);

impl TableWriter {
    /// Starts a table with a `schema` in Parquet's notation: `message name { required binary id (STRING); … }`.
    ///
    /// # Errors
    /// When the file cannot be written, or the schema is none.
    pub fn new(file: AtomicFile, schema: &str, properties: WriterProperties) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(schema)?);
        SerializedFileWriter::new(file, schema, Arc::new(properties)).map(Self)
    }

    /// Starts a row group; its rows are held in memory only as far as the caller holds them.
    ///
    /// # Errors
    /// When the row group before was not finished.
    pub fn row_group(&mut self) -> Result<RowGroup<'_>, ParquetError> {
        self.0.next_row_group().map(RowGroup)
    }

    /// Writes what stands behind the rows, and gives the file back for its commit.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> Result<AtomicFile, ParquetError> {
        self.0.into_inner()
    }
}

/// Some rows of a table. Each call writes the next column of the schema, with as many rows as the one before.
///
/// # Panics
/// All methods for columns panic when the schema has another type for the column.
pub struct RowGroup<'a>(SerializedRowGroupWriter<'a, AtomicFile>);

impl RowGroup<'_> {
    /// Writes a `required binary … (STRING)`.
    ///
    /// # Errors
    /// When the file cannot be written, or there is no such column.
    pub fn texts<T: Into<ByteArray>>(&mut self, texts: impl Iterator<Item = T>) -> Result<(), ParquetError> {
        self.column::<ByteArrayType>(texts.map(|text| Some(text.into())))
    }

    /// Writes an `optional binary … (STRING)`; `None` is a null.
    ///
    /// # Errors
    /// As [`RowGroup::texts`].
    pub fn optional_texts<T: Into<ByteArray>>(
        &mut self,
        texts: impl Iterator<Item = Option<T>>,
    ) -> Result<(), ParquetError> {
        self.column::<ByteArrayType>(texts.map(|text| text.map(Into::into)))
    }

    /// Writes a `required float`.
    ///
    /// # Errors
    /// As [`RowGroup::texts`].
    pub fn floats(&mut self, values: impl Iterator<Item = f32>) -> Result<(), ParquetError> {
        self.column::<FloatType>(values.map(Some))
    }

    /// Writes a `required group … (LIST) { repeated group list { required float element; } }`: lists of `width` values
    /// each, one after the other.
    ///
    /// # Errors
    /// As [`RowGroup::texts`].
    ///
    /// # Panics
    /// When `width` is 0.
    pub fn float_lists(&mut self, values: &[f32], width: usize) -> Result<(), ParquetError> {
        let mut column = self.next_column()?;
        let repeated: Vec<i16> = (0..CHUNK_ROWS * width).map(|at| i16::from(at % width != 0)).collect();
        let defined = vec![1; repeated.len()];
        for chunk in values.chunks(repeated.len()) {
            let (defined, repeated) = (&defined[..chunk.len()], &repeated[..chunk.len()]);
            column.typed::<FloatType>().write_batch(chunk, Some(defined), Some(repeated))?;
        }
        column.close()
    }

    /// Ends the row group.
    ///
    /// # Errors
    /// When the file cannot be written, a column is missing, or columns have different numbers of rows.
    pub fn finish(self) -> Result<(), ParquetError> {
        self.0.close().map(drop)
    }

    /// Writes the next column; a null is for an optional one only.
    fn column<T: DataType>(&mut self, mut cells: impl Iterator<Item = Option<T::T>>) -> Result<(), ParquetError> {
        let mut column = self.next_column()?;
        loop {
            let chunk: Vec<Option<T::T>> = cells.by_ref().take(CHUNK_ROWS).collect();
            if chunk.is_empty() {
                return column.close();
            }
            // Level 1 is a value and 0 a null; a required column takes no notice of its levels.
            let defined: Vec<i16> = chunk.iter().map(|cell| i16::from(cell.is_some())).collect();
            let values: Vec<T::T> = chunk.into_iter().flatten().collect();
            column.typed::<T>().write_batch(&values, Some(&defined), None)?;
        }
    }

    fn next_column(&mut self) -> Result<SerializedColumnWriter<'_>, ParquetError> {
        self.0.next_column()?.ok_or_else(|| ParquetError::General("the schema has no further column".to_owned()))
    }
}
