//! What columns hold, by what the schema says of them.

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::schema::types::Type;

/// What a column holds, and so which method reads it. Any value can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, JSON or bytes that may be either: [`Column::texts`](super::Column::texts). Some writers mark no text as such.
    Text,
    /// Integers of 8 to 64 bits: [`Column::integers`](super::Column::integers).
    Integers {
        /// Whether they can be negative.
        signed: bool,
    },
    /// Floats of 16, 32 or 64 bits: [`Column::floats`](super::Column::floats).
    Floats,
    /// Lists of such floats: [`Column::float_lists`](super::Column::float_lists).
    FloatLists,
    /// Anything else: [`Table::records`](super::Table::records).
    Other,
}

impl Kind {
    pub(super) fn of(root: &Type) -> Self {
        if let Some(item) = list_item(root) {
            return if is_float(item) { Self::FloatLists } else { Self::Other };
        }
        match integer(root) {
            Some((_, signed)) => Self::Integers { signed },
            None if is_text(root) => Self::Text,
            None if is_float(root) => Self::Floats,
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
            (Some(LogicalType::String | LogicalType::Json | LogicalType::Enum), _)
                | (None, ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM | ConvertedType::NONE)
        )
}

fn is_float(column: &Type) -> bool {
    if !column.is_primitive() {
        return false;
    }
    match (column.get_physical_type(), column.get_basic_info().logical_type_ref()) {
        (PhysicalType::FLOAT | PhysicalType::DOUBLE, logical) => logical.is_none(),
        (PhysicalType::FIXED_LEN_BYTE_ARRAY, logical) => logical == Some(&LogicalType::Float16),
        _ => false,
    }
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

/// The column's type for an error message: its name in Arrow where that is short, else as Parquet says it.
pub(super) fn type_name(column: &Type) -> String {
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
            ("optional binary c (ENUM);", Kind::Text, "Utf8"),
            ("optional binary c;", Kind::Text, "Utf8"),
            ("optional binary c (BSON);", Kind::Other, "Bson"),
            ("optional int32 c;", Kind::Integers { signed: true }, "Int32"),
            ("optional int32 c (UINT_8);", Kind::Integers { signed: false }, "UInt8"),
            ("optional int64 c (INTEGER(64,false));", Kind::Integers { signed: false }, "UInt64"),
            ("optional int32 c (DATE);", Kind::Other, "Date"),
            ("optional int64 c (TIME_MICROS);", Kind::Other, "TIME_MICROS"),
            ("optional float c;", Kind::Floats, "Float32"),
            ("optional double c;", Kind::Floats, "Float64"),
            ("optional fixed_len_byte_array(2) c (FLOAT16);", Kind::Floats, "Float16"),
            ("optional fixed_len_byte_array(2) c;", Kind::Other, "FIXED_LEN_BYTE_ARRAY"),
            ("optional boolean c;", Kind::Other, "Boolean"),
            ("optional int96 c;", Kind::Other, "INT96"),
            ("repeated float c;", Kind::FloatLists, "Float32"),
            ("repeated binary c (STRING);", Kind::Other, "Utf8"),
            ("optional group c (LIST) { repeated float element; }", Kind::FloatLists, "List(Float32)"),
            ("optional group c (LIST) { repeated group l { optional float x; } }", Kind::FloatLists, "List(Float32)"),
            ("optional group c (LIST) { repeated group l { optional double x; } }", Kind::FloatLists, "List(Float64)"),
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
}
