//! Tables in: each column is read on its own, from row group to row group.

use std::fmt;
use std::io::{Read, Seek};
use std::sync::Arc;

use half::f16;
use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::file::reader::FileReader;
use parquet::record::Row;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::fault::{Fault, guarded};
use super::kinds::{Kind, type_name};
use super::pages::Bounded;
use crate::format::Format;

/// A value of a column of text, as it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Text(ByteArray);

impl Text {
    /// The text.
    ///
    /// # Errors
    /// When the bytes are no UTF-8, whatever the schema promises.
    pub fn as_str(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(self.0.data())
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// An open table.
pub struct Table {
    file: Bounded,
    kinds: Vec<Kind>,
    rows: usize,
}

impl Table {
    /// Reads what a Parquet file says of itself.
    ///
    /// # Errors
    /// When the file is something else, truncated, damaged, or claims more rows than a file of its size can have.
    pub fn open(file: fs_err::File) -> Result<Self, Fault> {
        // Parquet reads by position, which only the standard file does.
        let mut file = file.into_file();
        let mut start = Vec::with_capacity(Format::BYTES);
        (&mut file).take(Format::BYTES as u64).read_to_end(&mut start)?;
        match Format::of(&start) {
            Format::Parquet => {}
            Format::EncryptedParquet => return Err(Fault::Unsupported("its footer is encrypted".to_owned())),
            other => return Err(Fault::Format(other)),
        }
        file.rewind()?;
        guarded(|| {
            let file = Bounded::open(file)?;
            let kinds = roots(&file).iter().map(|root| Kind::of(root)).collect();
            let rows = file.rows()?;
            Ok(Self { file, kinds, rows })
        })
    }

    /// Rows that the file claims to have; not to be trusted with an allocation.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the columns, in their order.
    pub fn names(&self) -> Vec<String> {
        roots(&self.file).iter().map(|root| root.name().to_owned()).collect()
    }

    /// A column from its first row on; `None` where no column has this name.
    pub fn column(&self, name: &str) -> Option<Column> {
        let root = roots(&self.file).iter().position(|root| root.name() == name)?;
        let schema = self.file.metadata().file_metadata().schema_descr();
        let leaf = (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == root)?;
        let file = self.file.anew();
        Some(Column { file, root, leaf, kind: self.kinds[root], next_group: 0, reader: None, left: 0 })
    }

    /// All rows with the columns that `names` names, or with all columns; those of every type. The others are not read.
    ///
    /// # Errors
    /// When no column has one of the names, or the file is damaged.
    pub fn records(&self, names: Option<&[&str]>) -> Result<Records, Fault> {
        guarded(|| {
            let file = self.file.anew();
            let projection = names.map(|names| self.projection(names)).transpose()?;
            supported(&file, |leaf| {
                let schema = file.metadata().file_metadata().schema_descr();
                names.is_none_or(|names| names.contains(&schema.get_column_root(leaf).name()))
            })?;
            Ok(Records(RowIter::from_file_into(Box::new(file)).project(projection)?))
        })
    }

    fn projection(&self, names: &[&str]) -> Result<Type, Fault> {
        let found = names.iter().map(|name| roots(&self.file).iter().find(|root| root.name() == *name).cloned());
        let fields: Option<Vec<_>> = found.collect();
        let fields = fields.ok_or_else(|| Fault::damage(format!("it has no columns {names:?}")))?;
        let schema = self.file.metadata().file_metadata().schema_descr();
        Ok(Type::group_type_builder(schema.name()).with_fields(fields).build()?)
    }
}

/// The rows of a table, as Parquet's own records. After an error there is nothing more to be had.
pub struct Records(RowIter<'static>);

impl Records {
    /// The next row.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_record(&mut self) -> Result<Option<Row>, Fault> {
        guarded(|| Ok(self.0.next().transpose()?))
    }
}

/// One column of a [`Table`], read from its first row to its last.
///
/// The columns of one table that are read with the same numbers of rows give the same numbers of rows. After an error
/// there is nothing more to be had from a column.
pub struct Column {
    file: Bounded,
    root: usize,
    leaf: usize,
    kind: Kind,
    next_group: usize,
    /// The reader of the present row group, and the rows that are left there.
    reader: Option<ColumnReader>,
    left: usize,
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").field("leaf", &self.leaf).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Column {
    /// What the column holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The column's type for an error message: its name in Arrow where that is short, else as Parquet says it.
    pub fn type_name(&self) -> String {
        type_name(&roots(&self.file)[self.root])
    }

    /// The next rows of a column of text: `most` or fewer, none only at the end.
    ///
    /// # Errors
    /// When the file is damaged, or the column is of another kind.
    pub fn texts(&mut self, most: usize) -> Result<Vec<Option<Text>>, Fault> {
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::ByteArrayColumnReader(reader), rows)) => cells(reader, rows, Text),
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of integers, whatever their width.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn integers(&mut self, most: usize) -> Result<Vec<Option<i128>>, Fault> {
        // Parquet keeps an unsigned integer in the bits of a signed one.
        let signed = self.kind == Kind::Integers { signed: true };
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::Int32ColumnReader(reader), rows)) => {
                cells(reader, rows, |bits| if signed { bits.into() } else { bits.cast_unsigned().into() })
            }
            Some((ColumnReader::Int64ColumnReader(reader), rows)) => {
                cells(reader, rows, |bits| if signed { bits.into() } else { bits.cast_unsigned().into() })
            }
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of floats, whatever their width.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn floats(&mut self, most: usize) -> Result<Vec<Option<f64>>, Fault> {
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::FloatColumnReader(reader), rows)) => cells(reader, rows, f64::from),
            Some((ColumnReader::DoubleColumnReader(reader), rows)) => cells(reader, rows, |value| value),
            Some((ColumnReader::FixedLenByteArrayColumnReader(reader), rows)) => {
                cells(reader, rows, |bits| f64::from(half(&bits)))
            }
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of lists of floats, rounded to 32 bits; `None` is a null or a list with a null in it.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn float_lists(&mut self, most: usize) -> Result<Vec<Option<Vec<f32>>>, Fault> {
        guarded(|| {
            let leaf = self.file.metadata().file_metadata().schema_descr().column(self.leaf);
            let levels = (leaf.repeated_ancestor_def_level(), leaf.max_def_level());
            match self.advance(most)? {
                None => Ok(Vec::new()),
                Some((ColumnReader::FloatColumnReader(reader), rows)) => lists(reader, rows, levels, |value| value),
                Some((ColumnReader::DoubleColumnReader(reader), rows)) => {
                    lists(reader, rows, levels, |value| value as f32)
                }
                Some((ColumnReader::FixedLenByteArrayColumnReader(reader), rows)) => {
                    lists(reader, rows, levels, |bits| half(&bits))
                }
                Some(_) => Err(another_kind()),
            }
        })
    }

    /// The reader that stands at the next row, and how many rows to take from it; `None` at the end.
    fn advance(&mut self, most: usize) -> Result<Option<(&mut ColumnReader, usize)>, Fault> {
        if self.next_group == 0 {
            supported(&self.file, |leaf| leaf == self.leaf)?;
        }
        while self.left == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.file.get_row_group(self.next_group)?;
            self.next_group += 1;
            self.left = usize::try_from(group.metadata().num_rows())?;
            // A row group without rows need not have pages.
            self.reader = if self.left > 0 { Some(group.get_column_reader(self.leaf)?) } else { None };
        }
        let rows = most.min(self.left);
        self.left -= rows;
        Ok(self.reader.as_mut().map(|reader| (reader, rows)))
    }
}

/// The top-level columns of a table.
fn roots(file: &Bounded) -> &[Arc<Type>] {
    file.metadata().file_metadata().schema_descr().root_schema().get_fields()
}

/// Makes sure that the columns can be unpacked and decoded, before damage is suspected.
fn supported(file: &Bounded, is_read: impl Fn(usize) -> bool) -> Result<(), Fault> {
    for group in file.metadata().row_groups() {
        for (_, chunk) in group.columns().iter().enumerate().filter(|&(leaf, _)| is_read(leaf)) {
            if chunk.compression() == Compression::LZO {
                let what = format!("its column {:?} is packed with LZO", chunk.column_path().string());
                return Err(Fault::Unsupported(what));
            }
        }
    }
    Ok(())
}

fn half(bits: &FixedLenByteArray) -> f32 {
    bits.data().first_chunk().map_or(f32::NAN, |&bits| f16::from_le_bytes(bits).to_f32())
}

fn another_kind() -> Fault {
    Fault::damage("a column is of another kind than it is read as")
}

fn check_rows(expected: usize, found: usize) -> Result<(), Fault> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::damage(format!("a column has {found} rows where {expected} should be")))
}

/// The next rows of a column without lists.
fn cells<T: DataType, C>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    cell: impl Fn(T::T) -> C,
) -> Result<Vec<Option<C>>, Fault> {
    let (mut defined, mut values) = (Vec::new(), Vec::new());
    let (found, ..) = reader.read_records(rows, Some(&mut defined), None, &mut values)?;
    check_rows(rows, found)?;
    // Level 1 is a value and 0 a null; a column that cannot be null has no levels. The reader has made sure that there
    // are as many values as levels that promise one.
    let mut values = values.into_iter().map(cell);
    let is_value = |row: usize| defined.get(row).is_none_or(|&level| level == 1);
    Ok((0..rows).map(|row| if is_value(row) { values.next() } else { None }).collect())
}

/// The next rows of a column of lists, by the definition levels of a slot and of a value in it.
fn lists<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    levels: (i16, i16),
    number: impl Fn(T::T) -> f32,
) -> Result<Vec<Option<Vec<f32>>>, Fault> {
    let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (found, ..) = reader.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
    check_rows(rows, found)?;
    let values: Vec<f32> = values.into_iter().map(number).collect();
    assembled(&defined, &repeated, &values, levels, rows)
}

/// Puts lists together from their levels. Each list has at least one level, the first of them repeated at 0. An `item`
/// level is a value; one from `slot` on, below that, is a null in the list. A list of one level below `slot` is empty
/// where that level is the next lower one, else null.
fn assembled(
    defined: &[i16],
    repeated: &[i16],
    values: &[f32],
    (slot, item): (i16, i16),
    rows: usize,
) -> Result<Vec<Option<Vec<f32>>>, Fault> {
    let torn = || Fault::damage("the levels of a list column contradict each other");
    let (mut defined, mut values) = (defined, values);
    let mut lists = Vec::with_capacity(rows);
    for levels in repeated.chunk_by(|_, &next| next != 0) {
        let (own, others) = defined.split_at_checked(levels.len()).ok_or_else(torn)?;
        let items = own.iter().filter(|&&level| level == item).count();
        let (list, rest) = values.split_at_checked(items).ok_or_else(torn)?;
        (defined, values) = (others, rest);
        let is_whole = items == own.len() || *own == [slot - 1];
        lists.push(is_whole.then(|| list.to_vec()));
    }
    if lists.len() == rows && defined.is_empty() && values.is_empty() { Ok(lists) } else { Err(torn()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_put_together_from_their_levels() {
        // An optional list of optional items: null 0, empty 1, null item 2, value 3.
        let found =
            assembled(&[3, 3, 0, 1, 3, 2, 3], &[0, 1, 0, 0, 0, 1, 0], &[1.0, 2.0, 3.0, 4.0], (2, 3), 5).unwrap();
        assert_eq!(found, [Some(vec![1.0, 2.0]), None, Some(vec![]), None, Some(vec![4.0])]);
        // A required list of required items: empty 0, value 1.
        let found = assembled(&[1, 0, 1, 1], &[0, 0, 0, 1], &[1.0, 2.0, 3.0], (1, 1), 3).unwrap();
        assert_eq!(found, [Some(vec![1.0]), Some(vec![]), Some(vec![2.0, 3.0])]);
        assert_eq!(assembled(&[], &[], &[], (1, 1), 0).unwrap(), []);
    }

    #[test]
    fn levels_that_contradict_each_other_are_errors() {
        for (defined, repeated, values, rows) in [
            (&[1, 1][..], &[0, 0][..], &[1.0][..], 2),
            (&[1], &[0, 0], &[1.0], 2),
            (&[1, 1], &[0], &[1.0], 1),
            (&[1], &[0], &[1.0, 2.0], 1),
            (&[1, 1], &[0, 1], &[1.0, 2.0], 2),
        ] {
            assert!(assembled(defined, repeated, values, (1, 1), rows).is_err(), "{defined:?} {repeated:?} {values:?}");
        }
    }
}
