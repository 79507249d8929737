//! Texts that lie in a page as differences ("Delta Encoding" in Encodings.md of parquet-format): how many they are, and what they take.
//!
//! Their lengths stand inside of the page. The decoder makes room for as many as are announced there, whatever the page's header says;
//! and a text of some bytes may repeat all of the text before it.

use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::Result;

use super::thrift::damage;

/// Bytes that the texts of a page repeat of each other. `levels` are the column's highest of repetition and definition.
///
/// # Errors
/// When more lengths are announced than the page has values.
pub(super) fn repeated(page: &Page, levels: [i16; 2]) -> Result<u64> {
    let (encoding, most) = (page.encoding(), u64::from(page.num_values()));
    match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => Header::read(&mut values(page, levels)?, most).map(|_| 0),
        Encoding::DELTA_BYTE_ARRAY => {
            let mut part = values(page, levels)?;
            let repeated = lengths(&mut part, most)?;
            Header::read(&mut part, most)?;
            Ok(repeated)
        }
        _ => Ok(0),
    }
}

/// A data page without its levels.
fn values(page: &Page, levels: [i16; 2]) -> Result<Part<'_>> {
    let mut part = Part(page.buffer());
    match page {
        Page::DataPage { num_values, rep_level_encoding, def_level_encoding, .. } => {
            for (highest, encoding) in levels.into_iter().zip([rep_level_encoding, def_level_encoding]) {
                if highest > 0 {
                    let bytes = if *encoding == Encoding::RLE {
                        let length = part.take(4)?;
                        length.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte))
                    } else {
                        // Packed: all in as many bits as the highest takes.
                        (u64::from(*num_values) * u64::from(highest.ilog2() + 1)).div_ceil(8)
                    };
                    part.take(bytes)?;
                }
            }
        }
        Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
            part.take(u64::from(*rep_levels_byte_len) + u64::from(*def_levels_byte_len))?;
        }
        Page::DictionaryPage { .. } => {}
    }
    Ok(part)
}

/// How numbers begin that are packed as differences.
struct Header {
    /// Numbers in each part of a block, and such parts.
    numbers: u64,
    parts: u64,
    count: u64,
    first: i64,
}

impl Header {
    fn read(part: &mut Part<'_>, most: u64) -> Result<Self> {
        let (block, parts, count, first) = (part.varint()?, part.varint()?, part.varint()?, part.integer()?);
        if count > most {
            return Err(damage(&format!("a page of {most} values claims {count} lengths")));
        }
        let numbers = block.checked_div(parts).filter(|numbers| *numbers > 0 && numbers.is_multiple_of(8));
        Ok(Self { numbers: numbers.ok_or_else(|| damage("lengths are in no blocks"))?, parts, count, first })
    }
}

/// The sum of lengths that are packed as differences, of which there may be `most`.
fn lengths(part: &mut Part<'_>, most: u64) -> Result<u64> {
    let Header { numbers, parts, count, first } = Header::read(part, most)?;
    let mut length = first as i32;
    let mut sum = 0_u64;
    // What is below zero is left to the decoder.
    let mut add = |length: i32| sum += u64::try_from(length).unwrap_or(0);
    let Some(mut left) = count.checked_sub(1) else { return Ok(0) };
    add(length);
    while left > 0 {
        let least = part.integer()? as i32;
        for &width in part.take(parts)? {
            if left == 0 {
                break;
            }
            if width > 32 {
                return Err(damage("a length has more than 32 bits"));
            }
            let packed = part.take((numbers / 8).saturating_mul(width.into()))?;
            let here = left.min(numbers);
            for number in 0..here as usize {
                length = length.wrapping_add(least).wrapping_add(bits(packed, number, width) as i32);
                add(length);
            }
            left -= here;
        }
    }
    Ok(sum)
}

/// A number of up to 32 bits, of many that lie one behind the other from the lowest bit on.
fn bits(packed: &[u8], number: usize, width: u8) -> u32 {
    let at = number * usize::from(width);
    let bytes = packed.iter().skip(at / 8).take(5).rev();
    let word = bytes.fold(0_u64, |word, &byte| word << 8 | u64::from(byte)) >> (at % 8);
    (word & ((1 << width) - 1)) as u32
}

/// What is left of a page.
struct Part<'a>(&'a [u8]);

impl<'a> Part<'a> {
    fn take(&mut self, bytes: u64) -> Result<&'a [u8]> {
        let parts = usize::try_from(bytes).ok().and_then(|bytes| self.0.split_at_checked(bytes));
        let (taken, rest) = parts.ok_or_else(|| damage("a page ends inside its levels or lengths"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err(damage("a page holds a number that is too long"))
    }

    /// A signed integer: zigzag.
    fn integer(&mut self) -> Result<i64> {
        let bits = self.varint()?;
        Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::random::{RngExt as _, stream};

    /// The one page in which the encoder puts `values`, where each of `levels` (of definition, and of repetition) has a row or a slot.
    fn page(
        schema: &str,
        encoding: Encoding,
        version: WriterVersion,
        levels: [Option<&[i16]>; 2],
        values: &[ByteArray],
    ) -> (Page, [i16; 2]) {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .set_writer_version(version)
            .build();
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(values, levels[0], levels[1]).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&writer.into_inner().unwrap()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let group = reader.get_row_group(0).unwrap();
        let column = group.metadata().column(0).column_descr_ptr();
        let mut pages = group.get_column_page_reader(0).unwrap();
        let page = pages.get_next_page().unwrap().unwrap();
        assert!(pages.get_next_page().unwrap().is_none());
        (page, [column.max_rep_level(), column.max_def_level()])
    }
    #[test]
    fn what_texts_repeat_of_each_other_is_what_the_encoder_left_out() {
        let required = "message m { required binary id (STRING); }";
        let optional = "message m { optional binary id (STRING); }";
        let lists = "message m { required group ids (LIST) { repeated group list { optional binary element; } } }";
        let mut random = stream(1, "repeated", 0);
        for (case, rows) in [1, 2, 33, 34, 129, 300, 1000].into_iter().cycle().take(42).enumerate() {
            let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][case % 2];
            // Slots of lists, of which each first one begins a row; and those that hold a text.
            let highest = [0, 1, 2][case % 3];
            let repeats: Vec<i16> = (0..rows).map(|row| i16::from(row > 0 && random.random_range(0..3) > 0)).collect();
            let defined: Vec<i16> = (0..rows).map(|_| highest - i16::from(random.random_range(0..4) == 0)).collect();
            let count = if highest == 0 { rows } else { defined.iter().filter(|level| **level == highest).count() };
            let texts: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let length = random.random_range(0..if case % 5 == 0 { 2000 } else { 20 });
                    (0..length)
                        .map(|at| if at < 1900 && random.random_range(0..200) > 0 { b'a' } else { b'b' })
                        .collect()
                })
                .collect();
            let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(text.clone())).collect();
            let shared = |pair: &[Vec<u8>; 2]| pair[0].iter().zip(&pair[1]).take_while(|(a, b)| a == b).count() as u64;
            let expected: u64 = texts.array_windows().map(shared).sum();
            let levels = [(highest > 0).then_some(&defined[..]), (highest > 1).then_some(&repeats[..])];
            let schema = [required, optional, lists][case % 3];
            let (found, highest) = page(schema, Encoding::DELTA_BYTE_ARRAY, version, levels, &values);
            assert_eq!(repeated(&found, highest).unwrap(), expected, "{case}");
            let (found, highest) = page(schema, Encoding::DELTA_LENGTH_BYTE_ARRAY, version, levels, &values);
            assert_eq!(repeated(&found, highest).unwrap(), 0, "{case}");
        }
    }

    #[test]
    fn more_lengths_than_values_are_refused_before_there_is_room_for_them() {
        let none = [128, 1, 4, 0, 0];
        let many = [128, 1, 4, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
        for (encoding, buf) in [
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, many.to_vec()),
            (Encoding::DELTA_BYTE_ARRAY, many.to_vec()),
            (Encoding::DELTA_BYTE_ARRAY, [&none[..], &many].concat()),
        ] {
            let page = Page::DataPage {
                buf: buf.into(),
                num_values: 24,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let error = repeated(&page, [0, 0]).unwrap_err().to_string();
            assert!(error.contains("a page of 24 values claims 2147483647 lengths"), "{error}");
        }
    }
}
