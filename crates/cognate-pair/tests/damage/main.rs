//! Damaged and hostile tables and arrays: vectors, pairs or an error, in bounded memory and time, and never a panic.
//!
//! A binary of its own because it counts allocations, and other tests would be counted too. With more inputs than usual:
//! `COGNATE_FUZZ_INPUTS=1000000 cargo nextest run --release -p cognate-pair --test damage`.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod mutation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch, StringArray};
use cognate_base::Silent;
use cognate_base::random::stream;
use cognate_pair::{Error, Pair, Vectors, read_npy, read_pairs, read_vectors, write_npy, write_pairs, write_vectors};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use peak_alloc::PeakAlloc;
use tempfile::tempdir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading a file of some kilobytes may allocate: the unpacked pages that are always allowed, and their values.
const PEAK_BYTES: usize = 256 << 20;

/// Reads `inputs` damaged variants of the good files, and returns how many were read for all that.
fn damaged<T>(name: &str, good: &[Vec<u8>], inputs: u64, read: impl Fn(&Path) -> Result<T, Error>) -> u64 {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    for good in good {
        fs_err::write(&path, good).unwrap();
        read(&path).unwrap();
    }
    let mut were_read = 0;
    for input in 0..mutation::inputs(inputs) {
        let mut random = stream(5, name, input);
        let mut bytes = good[input as usize % good.len()].clone();
        mutation::change(&mut random, &mut bytes);
        fs_err::write(&path, &bytes).unwrap();
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        match read(&path) {
            Ok(_) => were_read += 1,
            Err(error) => assert!(error.to_string().contains(name), "{input}: the file is not named: {error}"),
        }
        let peak = MEMORY.peak_usage() - before;
        assert!(peak < PEAK_BYTES, "{input}: {peak} bytes were allocated for a file of {}", bytes.len());
    }
    were_read
}

/// One of each way in which a table can lie in a file; `ids` is how the column `id` is encoded in one of them.
fn layouts(ids: Encoding) -> Vec<WriterProperties> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    vec![
        WriterProperties::default(),
        WriterProperties::builder().set_compression(Compression::SNAPPY).build(),
        plain().set_compression(Compression::ZSTD(Default::default())).set_data_page_row_count_limit(7).build(),
        plain().set_writer_version(WriterVersion::PARQUET_2_0).set_compression(Compression::LZ4_RAW).build(),
        plain()
            .set_compression(Compression::GZIP(Default::default()))
            .set_column_encoding("id".into(), ids)
            .set_column_encoding("id1".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .build(),
        WriterProperties::builder().set_compression(Compression::BROTLI(Default::default())).build(),
        WriterProperties::builder().set_max_row_group_row_count(Some(9)).build(),
    ]
}

fn tables(ids: Encoding, columns: Vec<(&str, ArrayRef)>) -> Vec<Vec<u8>> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = |properties: WriterProperties| {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    layouts(ids).into_iter().map(table).collect()
}

fn good_vectors() -> Vectors {
    let mut vectors = Vectors {
        ids: (0..24).map(|row| format!("document-{row}")).collect(),
        width: 4,
        data: (0..96).map(|at| ((at * 7) % 11) as f32 - 4.5).collect(),
    };
    vectors.normalise().unwrap();
    vectors
}

fn written(write: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempdir().unwrap();
    let path: PathBuf = folder.path().join("good");
    write(&path);
    fs_err::read(path).unwrap()
}

#[test]
fn damaged_vectors_are_vectors_or_an_error() {
    let vectors = good_vectors();
    let rows = || (0..vectors.len()).map(|row| Some(vectors.row(row).iter().map(|&value| Some(value))));
    let doubles = rows().map(|row| row.map(|row| row.map(|value| value.map(f64::from)).collect::<Vec<_>>()));
    let ids: ArrayRef = Arc::new(StringArray::from(vectors.ids.clone()));
    let singles: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows()));
    let doubles: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(doubles));
    let integers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..24));
    let mut good = tables(Encoding::DELTA_BYTE_ARRAY, vec![("id", ids), ("embedding", singles)]);
    good.extend(tables(Encoding::DELTA_BINARY_PACKED, vec![("id", integers), ("embedding", doubles)]));
    good.push(written(|path| write_vectors(path, &vectors).unwrap()));
    let inputs = 10_000;
    let were_read = damaged("vectors.parquet", &good, inputs, |path| read_vectors(path, &Silent));
    assert!(were_read < mutation::inputs(inputs) * 9 / 10, "{were_read} were read: the changes hit nothing");
}

#[test]
fn damaged_pairs_are_pairs_or_an_error() {
    let ids: Vec<String> = (0..24).map(|row| format!("document-{row}")).collect();
    let pairs: Vec<Pair> = (0..23).map(|first| Pair { first, second: first + 1, similarity: 0.5 }).collect();
    let first: ArrayRef = Arc::new(StringArray::from_iter_values(&ids[..23]));
    let second: ArrayRef = Arc::new(StringArray::from_iter_values(&ids[1..]));
    let singles: ArrayRef = Arc::new(Float32Array::from(vec![0.5; 23]));
    let doubles: ArrayRef = Arc::new(Float64Array::from_iter_values((0..23).map(f64::from)));
    let mut good =
        tables(Encoding::PLAIN, vec![("id1", first.clone()), ("id2", second.clone()), ("similarity", singles)]);
    good.extend(tables(Encoding::PLAIN, vec![("id1", first), ("similarity", doubles), ("id2", second)]));
    good.push(written(|path| write_pairs(path, &ids, &pairs).unwrap()));
    let inputs = 10_000;
    let were_read = damaged("pairs.parquet", &good, inputs, |path| read_pairs(path, &ids, &Silent));
    assert!(were_read < mutation::inputs(inputs) * 9 / 10, "{were_read} were read: the changes hit nothing");
}

#[test]
fn damaged_arrays_are_vectors_or_an_error() {
    let good = written(|path| write_npy(path, &good_vectors()).unwrap());
    let turned = String::from_utf8_lossy(&good[..128]).replace("'<f4'", "'>f4'").replace("False, ", "True,  ");
    assert!(turned.contains("True") && turned.contains(">f4"));
    // The header of version 1 is ASCII but for the mark.
    let mut other = good.clone();
    other[10..128].copy_from_slice(&turned.as_bytes()[turned.len() - 118..]);
    let inputs = 10_000;
    let were_read = damaged("vectors.npy", &[good, other], inputs, |path| read_npy(path, &Silent));
    assert!(were_read < mutation::inputs(inputs) * 9 / 10, "{were_read} were read: the changes hit nothing");
}

/// A table of one row group, filled so that much stands in few bytes; texts are encoded by `encoding`.
fn hostile(
    schema: &str,
    encoding: Encoding,
    fill: impl FnOnce(&mut parquet::file::writer::SerializedRowGroupWriter<'_, Vec<u8>>),
) -> Vec<u8> {
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_dictionary_enabled(false)
        .set_column_encoding("id".into(), encoding)
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None);
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    fill(&mut group);
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn numbers_in_a_file_decide_neither_time_nor_memory() {
    use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.parquet");
    // One vector of 8 million nulls: three bytes of levels.
    let nulls = hostile(
        "message m { required binary id (STRING); required group embedding (LIST) {
            repeated group list { optional float element; } } }",
        Encoding::PLAIN,
        |group| {
            let mut ids = group.next_column().unwrap().unwrap();
            ids.typed::<ByteArrayType>().write_batch(&[ByteArray::from("a")], None, None).unwrap();
            ids.close().unwrap();
            let mut values = group.next_column().unwrap().unwrap();
            let (defined, mut repeated) = (vec![1_i16; 1 << 23], vec![1_i16; 1 << 23]);
            repeated[0] = 0;
            values.typed::<FloatType>().write_batch(&[], Some(&defined), Some(&repeated)).unwrap();
            values.close().unwrap();
        },
    );
    let of_ids = |encoding, values: &[ByteArray]| {
        hostile("message m { required binary id (STRING); }", encoding, |group| {
            let mut ids = group.next_column().unwrap().unwrap();
            ids.typed::<ByteArrayType>().write_batch(values, None, None).unwrap();
            ids.close().unwrap();
        })
    };
    // One id of 200 million zeros, packed.
    let zeros = of_ids(Encoding::PLAIN, &[ByteArray::from(vec![0_u8; 200_000_000])]);
    // 1,000 ids of 200,000 zeros, each of which is all of the one before it.
    let again = of_ids(Encoding::DELTA_BYTE_ARRAY, &vec![ByteArray::from(vec![0_u8; 200_000]); 1000]);
    let bytes = "unpacked bytes in a file of";
    for (bytes, expected) in [(nulls, "values in a file of"), (zeros, bytes), (again, bytes)] {
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        fs_err::write(&path, &bytes).unwrap();
        drop(bytes);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let error = read_pairs_or_vectors(&path, expected);
        assert!(error.contains(expected), "{error}");
        let peak = MEMORY.peak_usage() - before;
        assert!(peak < 16 << 20, "{peak} bytes for: {error}");
    }
}

#[test]
fn a_dictionary_has_no_more_values_than_bytes() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.parquet");
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..70).map(|row| row.to_string())));
    let mut bytes = tables(Encoding::PLAIN, vec![("id", ids)]).swap_remove(0);
    // The header of the dictionary, as far as 70, and then 8,191, in two bytes each.
    let header = [0x4c, 0x15, 0x8c, 0x01];
    let at = bytes.windows(4).position(|window| window == header).unwrap();
    bytes[at..at + 4].copy_from_slice(&[0x4c, 0x15, 0xfe, 0x7f]);
    fs_err::write(&path, bytes).unwrap();
    let error = read_pairs_or_vectors(&path, "an id");
    assert!(error.contains("a dictionary has more values than bytes"), "{error}");
}

#[test]
fn a_footer_decides_neither_time_nor_the_depth_of_recursion() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("hostile.parquet");
    let file = |footer: &[u8]| [b"PAR1", footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat();
    let good = written(|path| write_vectors(path, &good_vectors()).unwrap());
    let length = u32::from_le_bytes(good[good.len() - 8..good.len() - 4].try_into().unwrap()) as usize;
    let footer = &good[good.len() - 8 - length..good.len() - 8];
    // Field 100, a list of 2³¹ − 1 truth values, for each of which the decoder takes no byte.
    let mut busy = footer[..length - 1].to_vec();
    busy.extend([0x09, 0xc8, 0x01, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]);
    // A schema of 200,000 groups in each other (fields name and number of children), and a column of integers.
    let mut deep = vec![0x15, 0x02, 0x19, 0xfc, 0xc1, 0x9a, 0x0c];
    (0..200_000).for_each(|_| deep.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]));
    deep.extend([0x15, 0x02, 0x25, 0x00, 0x18, 0x01, b'x', 0x00, 0x16, 0x00, 0x19, 0x0c, 0x00]);
    for (footer, expected) in [(busy, "a header holds what no header has"), (deep, "nested too deep")] {
        fs_err::write(&path, file(&footer)).unwrap();
        let error = read_vectors(&path, &Silent).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// The error of whichever reader gets to the column.
fn read_pairs_or_vectors(path: &Path, expected: &str) -> String {
    use cognate_base::table::Table;
    if expected.starts_with("values") {
        return read_vectors(path, &Silent).unwrap_err().to_string();
    }
    let mut ids = Table::open(fs_err::File::open(path).unwrap()).unwrap().column("id").unwrap();
    ids.texts(1).unwrap_err().to_string()
}
