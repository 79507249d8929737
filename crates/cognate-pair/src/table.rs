//! Parquet tables without nulls: columns by name and kind, errors that name file, column and row. Which tables there
//! are stands elsewhere.

use std::path::{Path, PathBuf};

use cognate_base::files::AtomicFile;
use cognate_base::table::{self, Fault, Kind, Table, TableWriter};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// Rows read at a time: of wide vectors some megabytes.
const BATCH_ROWS: usize = 1024;

/// A table being read.
pub(crate) struct TableReader {
    path: PathBuf,
    table: Table,
}

impl TableReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let table = Table::open(fs_err::File::open(path)?);
        let table = table.map_err(|fault| Error::of_table(path, fault))?;
        Ok(Self { path: path.to_path_buf(), table })
    }

    /// Rows that the file claims to have; not to be trusted with an allocation.
    pub(crate) fn rows(&self) -> usize {
        self.table.rows()
    }

    /// A column of one of some kinds, which `expected` puts into words.
    pub(crate) fn column(&self, name: &'static str, kinds: &[Kind], expected: &'static str) -> Result<Column> {
        let found = self.table.names();
        let missing = || Error::NoColumn { path: self.path.clone(), column: name, found };
        self.optional_column(name, kinds, expected)?.ok_or_else(missing)
    }

    /// The same; none where there is no such column.
    pub(crate) fn optional_column(
        &self,
        name: &'static str,
        kinds: &[Kind],
        expected: &'static str,
    ) -> Result<Option<Column>> {
        let path = self.path.clone();
        let Some(column) = self.table.column(name) else { return Ok(None) };
        // Many writers give a column without rows a type of its own.
        if !kinds.contains(&column.kind()) && self.rows() > 0 {
            return Err(Error::ColumnType { path, column: name, expected, found: column.type_name() });
        }
        Ok(Some(Column { path, name, column, row: 0 }))
    }

    /// A column of identifiers.
    pub(crate) fn ids(&self, name: &'static str) -> Result<Column> {
        let kinds = [Kind::Text, Kind::Integers { signed: true }, Kind::Integers { signed: false }];
        self.column(name, &kinds, "text or integers")
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
    /// The next rows of a column of identifiers; integers become their digits, as in documents.
    pub(crate) fn next_ids(&mut self) -> Result<Vec<String>> {
        if self.column.kind() != Kind::Text {
            let cells = self.column.integers(BATCH_ROWS);
            return Ok(self.without_nulls(cells)?.iter().map(i128::to_string).collect());
        }
        let start = self.row;
        let cells = self.column.texts(BATCH_ROWS);
        let texts = self.without_nulls(cells)?;
        let not_utf8 = |row| Error::NotUtf8 { path: self.path.clone(), column: self.name, row };
        let text = |(row, text): (usize, table::Text)| match text.as_str() {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(not_utf8(row)),
        };
        (start..).zip(texts).map(text).collect()
    }

    /// The next rows of a column of floats.
    pub(crate) fn next_floats(&mut self) -> Result<Vec<f64>> {
        let cells = self.column.floats(BATCH_ROWS);
        self.without_nulls(cells)
    }

    /// The next rows of a column of lists of floats.
    pub(crate) fn next_float_lists(&mut self) -> Result<Vec<Vec<f32>>> {
        let cells = self.column.float_lists(BATCH_ROWS);
        self.without_nulls(cells)
    }

    fn without_nulls<T>(&mut self, cells: Result<Vec<Option<T>>, Fault>) -> Result<Vec<T>> {
        let cells = cells.map_err(|fault| Error::of_table(&self.path, fault))?;
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
