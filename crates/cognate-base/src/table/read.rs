//! Tables in: each column is read on its own, from row group to row group.

use std::fmt;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;

/// Why a table cannot be read any further; who reads it knows its path and says it.
pub type Damage = Box<dyn std::error::Error + Send + Sync>;

/// What a column holds, and so which method reads it. Any value can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text in UTF-8, or JSON: [`Column::texts`].
    Text,
    /// Integers of 8 to 64 bits: [`Column::integers`].
    Integers {
        /// Whether they can be negative.
        signed: bool,
    },
    /// 32-bit floats: [`Column::floats`].
    Floats,
    /// Lists of 32-bit floats: [`Column::float_lists`].
    FloatLists,
    /// Anything else, which no method reads.
    Other,
}

/// An open table.
pub struct Table {
    file: Arc<SerializedFileReader<File>>,
    kinds: Vec<Kind>,
    rows: usize,
}

impl Table {
    /// Reads what a Parquet file says of itself.
    ///
    /// # Errors
    /// When the file is truncated, damaged or something else.
    pub fn open(file: fs_err::File) -> Result<Self, Damage> {
        guarded(|| {
            // Parquet reads by position, which only the standard file does.
            let file = SerializedFileReader::new(file.into_file())?;
            let kinds = roots(&file).iter().map(|root| Kind::of(root)).collect();
            let mut rows = 0_usize;
            for group in file.metadata().row_groups() {
                rows = rows.saturating_add(usize::try_from(group.num_rows())?);
            }
            Ok(Self { file: Arc::new(file), kinds, rows })
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
        Some(Column {
            file: Arc::clone(&self.file),
            root,
            leaf,
            kind: self.kinds[root],
            next_group: 0,
            reader: None,
            left: 0,
        })
    }
}

/// One column of a [`Table`], read from its first row to its last.
///
/// The columns of one table that are read with the same numbers of rows give the same numbers of rows. After an error
/// there is nothing more to be had from a column.
pub struct Column {
    file: Arc<SerializedFileReader<File>>,
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
    pub fn texts(&mut self, most: usize) -> Result<Vec<Option<String>>, Damage> {
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::ByteArrayColumnReader(reader), rows)) => {
                cells(reader, rows, |bytes| Ok(bytes.as_utf8()?.to_owned()))
            }
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of integers, whatever their width.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn integers(&mut self, most: usize) -> Result<Vec<Option<i128>>, Damage> {
        // Parquet keeps an unsigned integer in the bits of a signed one.
        let signed = self.kind == Kind::Integers { signed: true };
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::Int32ColumnReader(reader), rows)) => {
                cells(reader, rows, |bits| Ok(if signed { bits.into() } else { bits.cast_unsigned().into() }))
            }
            Some((ColumnReader::Int64ColumnReader(reader), rows)) => {
                cells(reader, rows, |bits| Ok(if signed { bits.into() } else { bits.cast_unsigned().into() }))
            }
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of 32-bit floats.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn floats(&mut self, most: usize) -> Result<Vec<Option<f32>>, Damage> {
        guarded(|| match self.advance(most)? {
            None => Ok(Vec::new()),
            Some((ColumnReader::FloatColumnReader(reader), rows)) => cells(reader, rows, Ok),
            Some(_) => Err(another_kind()),
        })
    }

    /// The next rows of a column of lists of 32-bit floats; `None` is a null or a list with a null in it.
    ///
    /// # Errors
    /// As [`Column::texts`].
    pub fn float_lists(&mut self, most: usize) -> Result<Vec<Option<Vec<f32>>>, Damage> {
        guarded(|| {
            let leaf = self.file.metadata().file_metadata().schema_descr().column(self.leaf);
            let Some((reader, rows)) = self.advance(most)? else { return Ok(Vec::new()) };
            let ColumnReader::FloatColumnReader(reader) = reader else { return Err(another_kind()) };
            let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
            let (found, ..) = reader.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
            check_rows(rows, found)?;
            lists(&defined, &repeated, &values, (leaf.repeated_ancestor_def_level(), leaf.max_def_level()), rows)
        })
    }

    /// The reader that stands at the next row, and how many rows to take from it; `None` at the end.
    fn advance(&mut self, most: usize) -> Result<Option<(&mut ColumnReader, usize)>, Damage> {
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
fn roots(file: &SerializedFileReader<File>) -> &[Arc<Type>] {
    file.metadata().file_metadata().schema_descr().root_schema().get_fields()
}

/// Runs a piece of the Parquet decoder, which answers some damaged files with a panic (a negative offset in the footer,
/// for one): to the caller a damaged file is an error, however the decoder puts it.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    // After a panic the caller is done with the file, so nothing sees the decoder's state any more.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("the decoder gave up on it".into()))
}

fn another_kind() -> Damage {
    "a column is of another kind than it is read as".into()
}

fn check_rows(expected: usize, found: usize) -> Result<(), Damage> {
    if found == expected { Ok(()) } else { Err(format!("a column has {found} rows where {expected} should be").into()) }
}

/// The next rows of a column without lists.
fn cells<T: DataType, C>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    cell: impl Fn(T::T) -> Result<C, Damage>,
) -> Result<Vec<Option<C>>, Damage> {
    let (mut defined, mut values) = (Vec::new(), Vec::new());
    let (found, ..) = reader.read_records(rows, Some(&mut defined), None, &mut values)?;
    check_rows(rows, found)?;
    // Level 1 is a value and 0 a null; a column that cannot be null has no levels. The reader has made sure that there
    // are as many values as levels that promise one.
    let mut values = values.into_iter().map(cell);
    let is_value = |row: usize| defined.get(row).is_none_or(|&level| level == 1);
    (0..rows).map(|row| if is_value(row) { values.next().transpose() } else { Ok(None) }).collect()
}

/// Puts lists together from their levels. Each list has at least one level, the first of them repeated at 0. An `item`
/// level is a value; one from `slot` on, below that, is a null in the list. A list of one level below `slot` is empty
/// where that level is the next lower one, else null.
fn lists(
    defined: &[i16],
    repeated: &[i16],
    values: &[f32],
    (slot, item): (i16, i16),
    rows: usize,
) -> Result<Vec<Option<Vec<f32>>>, Damage> {
    let torn = || Damage::from("the levels of a list column contradict each other");
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

impl Kind {
    fn of(root: &Type) -> Self {
        let is_float = |column: &Type| column.is_primitive() && column.get_physical_type() == PhysicalType::FLOAT;
        if let Some(item) = list_item(root) {
            return if is_float(item) { Self::FloatLists } else { Self::Other };
        }
        match integer(root) {
            Some((_, signed)) => Self::Integers { signed },
            None if is_text(root) => Self::Text,
            None if is_float(root) && root.get_basic_info().logical_type_ref().is_none() => Self::Floats,
            None => Self::Other,
        }
    }
}

fn is_repeated(column: &Type) -> bool {
    let info = column.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// What a list holds: the items of a group marked as a list, in three levels or the older two, or what a bare column
/// repeats.
fn list_item(root: &Type) -> Option<&Type> {
    if root.is_primitive() {
        return is_repeated(root).then_some(root);
    }
    let info = root.get_basic_info();
    let is_list = info.logical_type_ref() == Some(&LogicalType::List) || info.converted_type() == ConvertedType::LIST;
    match root.get_fields() {
        [list] if is_list && !is_repeated(root) && is_repeated(list) => match &**list {
            Type::PrimitiveType { .. } => Some(list),
            Type::GroupType { fields, .. } => match fields.as_slice() {
                [item] if !is_repeated(item) => Some(item),
                _ => None,
            },
        },
        _ => None,
    }
}

fn is_text(column: &Type) -> bool {
    let info = column.get_basic_info();
    column.is_primitive()
        && column.get_physical_type() == PhysicalType::BYTE_ARRAY
        && matches!(
            (info.logical_type_ref(), info.converted_type()),
            (Some(LogicalType::String | LogicalType::Json), _) | (None, ConvertedType::UTF8 | ConvertedType::JSON)
        )
}

/// Width in bits, and whether there are negative ones; `None` where it is no integer, or one that stands for something
/// else (a date, a decimal).
fn integer(column: &Type) -> Option<(i8, bool)> {
    if !column.is_primitive() {
        return None;
    }
    let info = column.get_basic_info();
    match (info.logical_type_ref(), info.converted_type(), column.get_physical_type()) {
        (Some(LogicalType::Integer(kind)), ..) => Some((kind.bit_width, kind.is_signed)),
        (Some(_), ..) => None,
        (None, ConvertedType::INT_8, _) => Some((8, true)),
        (None, ConvertedType::INT_16, _) => Some((16, true)),
        (None, ConvertedType::INT_32, _) | (None, ConvertedType::NONE, PhysicalType::INT32) => Some((32, true)),
        (None, ConvertedType::INT_64, _) | (None, ConvertedType::NONE, PhysicalType::INT64) => Some((64, true)),
        (None, ConvertedType::UINT_8, _) => Some((8, false)),
        (None, ConvertedType::UINT_16, _) => Some((16, false)),
        (None, ConvertedType::UINT_32, _) => Some((32, false)),
        (None, ConvertedType::UINT_64, _) => Some((64, false)),
        _ => None,
    }
}

fn type_name(column: &Type) -> String {
    if let Some(item) = list_item(column).filter(|_| !column.is_primitive()) {
        return format!("List({})", type_name(item));
    }
    if !column.is_primitive() {
        return "Struct".to_owned();
    }
    if let Some((bits, signed)) = integer(column) {
        return format!("{}{bits}", if signed { "Int" } else { "UInt" });
    }
    if is_text(column) {
        return "Utf8".to_owned();
    }
    let info = column.get_basic_info();
    match (info.logical_type_ref(), info.converted_type(), column.get_physical_type()) {
        (Some(logical), ..) => format!("{logical:?}"),
        (None, ConvertedType::NONE, PhysicalType::BOOLEAN) => "Boolean".to_owned(),
        (None, ConvertedType::NONE, PhysicalType::FLOAT) => "Float32".to_owned(),
        (None, ConvertedType::NONE, PhysicalType::DOUBLE) => "Float64".to_owned(),
        (None, ConvertedType::NONE, PhysicalType::BYTE_ARRAY) => "Binary".to_owned(),
        (None, ConvertedType::NONE, physical) => physical.to_string(),
        (None, converted, _) => converted.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;

    use super::*;

    fn kind(column: &str) -> (Kind, String) {
        let schema = parse_message_type(&format!("message table {{ {column} }}")).unwrap();
        (Kind::of(&schema.get_fields()[0]), type_name(&schema.get_fields()[0]))
    }

    #[test]
    fn columns_are_told_apart_by_what_they_stand_for() {
        for (column, expected, name) in [
            ("required binary c (STRING);", Kind::Text, "Utf8"),
            ("optional binary c (UTF8);", Kind::Text, "Utf8"),
            ("optional binary c (JSON);", Kind::Text, "Utf8"),
            ("optional binary c (ENUM);", Kind::Other, "Enum"),
            ("optional binary c;", Kind::Other, "Binary"),
            ("optional int32 c;", Kind::Integers { signed: true }, "Int32"),
            ("optional int32 c (UINT_8);", Kind::Integers { signed: false }, "UInt8"),
            ("optional int64 c (INTEGER(64,false));", Kind::Integers { signed: false }, "UInt64"),
            ("optional int32 c (DATE);", Kind::Other, "Date"),
            ("optional int64 c (TIME_MICROS);", Kind::Other, "TIME_MICROS"),
            ("optional float c;", Kind::Floats, "Float32"),
            ("optional double c;", Kind::Other, "Float64"),
            ("optional boolean c;", Kind::Other, "Boolean"),
            ("optional int96 c;", Kind::Other, "INT96"),
            ("repeated float c;", Kind::FloatLists, "Float32"),
            ("repeated binary c (STRING);", Kind::Other, "Utf8"),
            ("optional group c (LIST) { repeated float element; }", Kind::FloatLists, "List(Float32)"),
            ("optional group c (LIST) { repeated group l { optional float x; } }", Kind::FloatLists, "List(Float32)"),
            ("optional group c (LIST) { repeated group l { optional double x; } }", Kind::Other, "List(Float64)"),
            ("repeated group c (LIST) { repeated group l { optional float x; } }", Kind::Other, "Struct"),
            ("optional group c (LIST) { repeated group l { repeated float x; } }", Kind::Other, "Struct"),
            ("optional group c { required float x; }", Kind::Other, "Struct"),
            (
                "optional group c (LIST) { repeated group l { optional group m (LIST) { repeated float x; } } }",
                Kind::Other,
                "List(List(Float32))",
            ),
            (
                "optional group c (MAP) { repeated group kv { required binary key; optional float value; } }",
                Kind::Other,
                "Struct",
            ),
        ] {
            assert_eq!(kind(column), (expected, name.to_owned()), "{column}");
        }
    }

    #[test]
    fn lists_are_put_together_from_their_levels() {
        // An optional list of optional items: null 0, empty 1, null item 2, value 3.
        let found = lists(&[3, 3, 0, 1, 3, 2, 3], &[0, 1, 0, 0, 0, 1, 0], &[1.0, 2.0, 3.0, 4.0], (2, 3), 5).unwrap();
        assert_eq!(found, [Some(vec![1.0, 2.0]), None, Some(vec![]), None, Some(vec![4.0])]);
        // A required list of required items: empty 0, value 1.
        let found = lists(&[1, 0, 1, 1], &[0, 0, 0, 1], &[1.0, 2.0, 3.0], (1, 1), 3).unwrap();
        assert_eq!(found, [Some(vec![1.0]), Some(vec![]), Some(vec![2.0, 3.0])]);
        assert_eq!(lists(&[], &[], &[], (1, 1), 0).unwrap(), []);
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
            assert!(lists(defined, repeated, values, (1, 1), rows).is_err(), "{defined:?} {repeated:?} {values:?}");
        }
    }
}
