//! Parquet tables without nulls: columns by name and kind, errors that name file, column and row. Which tables there
//! are stands elsewhere.

use std::path::{Path, PathBuf};

use cognate_base::files::AtomicFile;
use cognate_base::table::{self, Damage, Kind, Table, TableWriter};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// Rows read at a time.
const BATCH_ROWS: usize = 4096;

/// A table being read.
pub(crate) struct TableReader {
    path: PathBuf,
    table: Table,
}

impl TableReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let table = Table::open(fs_err::File::open(path)?);
        let table = table.map_err(|source| Error::Parquet { path: path.to_path_buf(), source })?;
        Ok(Self { path: path.to_path_buf(), table })
    }

    /// Rows that the file claims to have; not to be trusted with an allocation.
    pub(crate) fn rows(&self) -> usize {
        self.table.rows()
    }

    /// A column of a kind, which `expected` puts into words.
    pub(crate) fn column(&self, name: &'static str, kind: Kind, expected: &'static str) -> Result<Column> {
        let path = self.path.clone();
        let Some(column) = self.table.column(name) else {
            return Err(Error::NoColumn { path, column: name, found: self.table.names() });
        };
        // Many writers give a column without rows a type of its own.
        if column.kind() != kind && self.rows() > 0 {
            return Err(Error::ColumnType { path, column: name, expected, found: column.type_name() });
        }
        Ok(Column { path, name, column, row: 0 })
    }

    /// A column of text.
    pub(crate) fn texts(&self, name: &'static str) -> Result<Column> {
        self.column(name, Kind::Text, "text")
    }
}

/// A column being read. The columns of one table give equally many rows at a time, and none only at the end.
pub(crate) struct Column {
    path: PathBuf,
    name: &'static str,
    column: table::Column,
    row: usize,
}

impl Column {
    /// The next rows of a column of text.
    pub(crate) fn next_texts(&mut self) -> Result<Vec<String>> {
        let cells = self.column.texts(BATCH_ROWS);
        self.without_nulls(cells)
    }

    /// The next rows of a column of floats.
    pub(crate) fn next_floats(&mut self) -> Result<Vec<f32>> {
        let cells = self.column.floats(BATCH_ROWS);
        self.without_nulls(cells)
    }

    /// The next rows of a column of lists of floats.
    pub(crate) fn next_float_lists(&mut self) -> Result<Vec<Vec<f32>>> {
        let cells = self.column.float_lists(BATCH_ROWS);
        self.without_nulls(cells)
    }

    fn without_nulls<T>(&mut self, cells: Result<Vec<Option<T>>, Damage>) -> Result<Vec<T>> {
        let cells = cells.map_err(|source| Error::Parquet { path: self.path.clone(), source })?;
        let start = self.row;
        self.row += cells.len();
        let null = |row| Error::Null { path: self.path.clone(), column: self.name, row };
        (start..).zip(cells).map(|(row, cell)| cell.ok_or_else(|| null(row))).collect()
    }
}

/// Writes a table that is either whole or absent; `fill` writes its row groups.
pub(crate) fn write_table(
    path: &Path,
    schema: &str,
    properties: WriterProperties,
    fill: impl FnOnce(&mut TableWriter) -> Result<(), ParquetError>,
) -> Result<()> {
    let failed = |source: ParquetError| Error::Write { path: path.to_path_buf(), source: Box::new(source) };
    let mut table = TableWriter::new(AtomicFile::create(path)?, schema, properties).map_err(failed)?;
    fill(&mut table).map_err(failed)?;
    Ok(table.finish().map_err(failed)?.commit()?)
}
