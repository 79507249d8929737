//! Vectors as a NumPy array file: two axes in either order, numbers of 2, 4 or 8 bytes, little- or big-endian. Identifiers
//! are the row numbers.
//!
//! The format (numpy.lib.format): 6 magic bytes, version (major, minor), the length of the header (16 bits in version
//! 1, 32 bits in versions 2 and 3), the header as a Python dictionary literal, the numbers.

use std::io::{BufReader, Read, Write};
use std::path::Path;

use cognate_base::files::AtomicFile;
use cognate_base::{Format, Monitor};
use fs_err::File;

use crate::vectors::Vectors;
use crate::{Error, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy itself refuses headers longer than 10,000 bytes; a two-axis array needs about 70.
const HEADER_MAX: u64 = 1 << 16;
/// Numbers converted at a time.
const CHUNK: usize = 1 << 16;

/// How one number is stored.
#[derive(Clone, Copy)]
enum Number {
    Half,
    Single,
    Double,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Single => 4,
            Self::Double => 8,
        }
    }
}

struct Header {
    number: Number,
    big_endian: bool,
    /// Whether the numbers of a column stand together, and not those of a row.
    by_columns: bool,
    rows: usize,
    width: usize,
}

/// Reads `path`; the identifiers are `"0"`, `"1"`, … Rows that are not unit vectors are scaled to length 1
/// ([`Vectors::normalise`]): similarity is the cosine, whatever the lengths that another tool wrote.
///
/// # Errors
/// When the file is not a whole `.npy` file of floating-point numbers with two axes, is empty, or holds a number that is
/// not finite; or when the monitor interrupts.
pub fn read_npy(path: &Path, monitor: &dyn Monitor) -> Result<Vectors> {
    let file = File::open(path)?;
    match Format::of_file(path)? {
        Format::Npy => {}
        found => return Err(Error::OtherFormat { path: path.to_path_buf(), found, expected: "a NumPy array (.npy)" }),
    }
    let size = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let bad = |problem: String| Error::Npy { path: path.to_path_buf(), problem };
    let (text, start) = read_header(&mut reader, size).map_err(bad)?;
    let header = parse_header(&text).map_err(bad)?;
    if header.rows == 0 || header.width == 0 {
        return Err(Error::NoVectors { path: path.to_path_buf() });
    }
    let expected = header.rows.checked_mul(header.width).and_then(|n| n.checked_mul(header.number.bytes()));
    let found = size - start;
    if expected.map(|n| n as u64) != Some(found) {
        let (rows, width) = (header.rows, header.width);
        let expected =
            expected.map_or("more bytes than can be addressed".to_string(), |n| format!("{n} bytes of numbers"));
        return Err(bad(format!("its shape ({rows}, {width}) means {expected}, but it holds {found}; write it again")));
    }
    let mut data = read_numbers(&mut reader, &header, monitor)?;
    if header.by_columns {
        let columns = std::mem::replace(&mut data, Vec::with_capacity(header.rows * header.width));
        for row in 0..header.rows {
            monitor.check()?;
            data.extend((0..header.width).map(|column| columns[column * header.rows + row]));
        }
    }
    let ids = (0..header.rows).map(|row| row.to_string()).collect();
    let mut vectors = Vectors { ids, width: header.width, data };
    vectors.normalise().map_err(|error| error.in_file(path))?;
    Ok(vectors)
}

/// Writes the numbers of `vectors` as a version 1 file of `<f4`; the identifiers are not in it.
///
/// # Errors
/// When the sizes do not fit, or writing fails (the old file then stays).
pub fn write_npy(path: &Path, vectors: &Vectors) -> Result<()> {
    if vectors.len() * vectors.width != vectors.data.len() {
        return Err(Error::Shape { ids: vectors.len(), width: vectors.width, values: vectors.data.len() });
    }
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", vectors.len(), vectors.width);
    // The numbers start at a multiple of 64 bytes: magic, version and length take 10, the header ends in a new line.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', padded - 1 - header.len()));
    header.push('\n');
    let mut file = AtomicFile::create(path)?;
    file.write_all(MAGIC)?;
    file.write_all(&[1, 0])?;
    file.write_all(&(header.len() as u16).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    let mut bytes = Vec::with_capacity(4 * CHUNK);
    for chunk in vectors.data.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        file.write_all(&bytes)?;
    }
    Ok(file.commit()?)
}

/// The header's text and the place of the first number, or what is wrong.
fn read_header(reader: &mut impl Read, size: u64) -> std::result::Result<(String, u64), String> {
    let mut read = |n: u64| {
        let mut bytes = vec![0; n as usize];
        reader.read_exact(&mut bytes).map(|()| bytes).map_err(|_| "it ends inside its header".to_string())
    };
    let start = read(8)?;
    if start[..6] != MAGIC[..] {
        return Err("it does not start with \\x93NUMPY".to_string());
    }
    let (length, after) = match start[6] {
        1 => (read(2)?.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)), 10),
        2 | 3 => (read(4)?.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)), 12),
        other => return Err(format!("its format version is {other}, expected 1, 2 or 3")),
    };
    if length > HEADER_MAX || after + length > size {
        return Err(format!("it claims a header of {length} bytes, and the file has {size}"));
    }
    let text = String::from_utf8(read(length)?).map_err(|_| "its header is not text".to_string())?;
    Ok((text, after + length))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order.
fn parse_header(text: &str) -> std::result::Result<Header, String> {
    let value = |key: &str| {
        let found = [format!("'{key}'"), format!("\"{key}\"")]
            .iter()
            .find_map(|quoted| text.find(quoted.as_str()).map(|at| text[at + quoted.len()..].trim_start()));
        let value = found.and_then(|rest| rest.strip_prefix(':')).map(str::trim_start);
        value.ok_or_else(|| format!("its header has no {key:?}: {}", text.trim_end()))
    };
    let descr = value("descr")?;
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let name = quote.and_then(|quote| descr[1..].split(quote).next()).unwrap_or_else(|| descr.trim_end());
    // "=" and "|" do not occur where a number has several bytes: numpy.save writes the order that the machine has.
    let (big_endian, number) = match name.split_at_checked(1) {
        Some(("<", "f2")) => (false, Number::Half),
        Some(("<", "f4")) => (false, Number::Single),
        Some(("<", "f8")) => (false, Number::Double),
        Some((">", "f2")) => (true, Number::Half),
        Some((">", "f4")) => (true, Number::Single),
        Some((">", "f8")) => (true, Number::Double),
        _ => return Err(format!("its numbers are {name:?}, expected '<f4' (or f2, f8, '>'): use x.astype('<f4')")),
    };
    let fortran = value("fortran_order")?;
    if !fortran.starts_with("True") && !fortran.starts_with("False") {
        return Err(format!("its fortran_order is neither True nor False: {}", text.trim_end()));
    }
    let by_columns = fortran.starts_with("True");
    let shape = value("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inside, _)| inside);
    let shape = shape.ok_or_else(|| format!("its shape is not a tuple: {}", text.trim_end()))?;
    let axes: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|axis| !axis.is_empty()).map(|axis| axis.parse().ok()).collect();
    match axes.as_deref() {
        Some(&[rows, width]) => Ok(Header { number, big_endian, by_columns, rows, width }),
        _ => Err(format!("its shape is ({shape}), expected (rows, width)")),
    }
}

fn read_numbers(reader: &mut impl Read, header: &Header, monitor: &dyn Monitor) -> Result<Vec<f32>> {
    let (number, count) = (header.number, header.rows * header.width);
    let mut data = Vec::with_capacity(count);
    let mut bytes = vec![0; CHUNK * number.bytes()];
    while data.len() < count {
        monitor.check()?;
        let n = CHUNK.min(count - data.len());
        let bytes = &mut bytes[..n * number.bytes()];
        reader.read_exact(bytes)?;
        if header.big_endian {
            bytes.chunks_exact_mut(number.bytes()).for_each(<[u8]>::reverse);
        }
        match number {
            Number::Half => data.extend(bytes.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b).to_f32())),
            Number::Single => data.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            Number::Double => data.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
        }
    }
    Ok(data)
}
