//! Vectors and pairs on disk: what comes back, and what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int32Type};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int8Array,
    Int64Array, LargeListArray, LargeStringArray, ListArray, NullArray, RecordBatch, StringArray, StringViewArray,
    UInt16Array, UInt64Array,
};
use cognate_base::Silent;
use cognate_pair::{
    Error, Pair, read_npy, read_pairs, read_pairs_among, read_shuffled_pairs, read_vectors, write_npy, write_pairs,
    write_vectors,
};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::{After, vectors};

fn table(folder: &TempDir, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    table_with(folder, columns, WriterProperties::default())
}

fn table_with(folder: &TempDir, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> PathBuf {
    let path = folder.path().join("table.parquet");
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs_err::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn ids(ids: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(ids.to_vec()))
}

fn lists(rows: &[Option<&[Option<f32>]>]) -> ArrayRef {
    let rows = rows.iter().map(|row| row.map(|row| row.to_vec()));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

fn refused(folder: &TempDir, columns: Vec<(&str, ArrayRef)>) -> Error {
    read_vectors(&table(folder, columns), &Silent).unwrap_err()
}

#[test]
fn vectors_come_back_bit_for_bit_from_parquet() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("new/vectors.parquet");
    // More than one row group.
    let mut vectors = vectors(70_000, 7, 30, 0.5, 1);
    vectors.data[..7].fill(0.0);
    vectors.ids[1] = "ünï/コ\n\"x\"".to_string();
    write_vectors(&path, &vectors).unwrap();
    assert_eq!(read_vectors(&path, &Silent).unwrap(), vectors);
    assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no hidden file is left");
}

#[test]
fn vectors_of_other_writers_are_read_and_scaled() {
    let folder = tempdir().unwrap();
    let path = table(
        &folder,
        vec![
            ("extra", Arc::new(Int64Array::from(vec![1, 2]))),
            ("embedding", lists(&[Some(&[Some(3.0), Some(4.0)]), Some(&[Some(0.0), Some(-2.0)])])),
            ("id", Arc::new(LargeStringArray::from(vec!["a", "b"]))),
        ],
    );
    let vectors = read_vectors(&path, &Silent).unwrap();
    assert_eq!(
        (vectors.ids, vectors.width, vectors.data),
        (vec!["a".into(), "b".into()], 2, vec![0.6, 0.8, 0.0, -1.0])
    );
}

#[test]
fn vectors_in_every_layout_of_groups_and_pages_and_lists() {
    // More rows than one batch of the reader; groups and pages end inside batches.
    let folder = tempdir().unwrap();
    let vectors = vectors(5000, 7, 30, 0.5, 1);
    let rows = || (0..vectors.len()).map(|row| Some(vectors.row(row).iter().map(|&value| Some(value))));
    let texts: ArrayRef = Arc::new(StringArray::from(vectors.ids.clone()));
    let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(&vectors.ids));
    let lists: [ArrayRef; 3] = [
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows())),
        Arc::new(LargeListArray::from_iter_primitive::<Float32Type, _, _>(rows())),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows(), 7)),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for (group_rows, page_rows) in [(10_000, 10_000), (10_000, 100), (4096, 4096), (999, 10)] {
            for (lists, ids) in lists.iter().zip([&texts, &views, &texts]) {
                let properties = WriterProperties::builder()
                    .set_writer_version(version)
                    .set_max_row_group_row_count(Some(group_rows))
                    .set_data_page_row_count_limit(page_rows)
                    .set_write_batch_size(page_rows)
                    .build();
                let path = table_with(&folder, vec![("id", ids.clone()), ("embedding", lists.clone())], properties);
                assert!(read_vectors(&path, &Silent).unwrap() == vectors, "{version:?} {group_rows} {page_rows}");
            }
        }
    }
}

#[test]
fn vectors_of_every_width_list_and_id_are_those_of_the_array() {
    let folder = tempdir().unwrap();
    // Halves hold these exactly.
    let values: Vec<f32> = (0..60).map(|at| ((at * 7) % 13) as f32 - 6.25).collect();
    let header = header("'<f4'", "False", "(12, 5)");
    let body: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let expected = read_npy(&npy(&folder, 1, &header, &body), &Silent).unwrap();
    let rows = || values.chunks(5).map(|row| Some(row.iter().map(|&value| Some(value)).collect::<Vec<_>>()));
    let doubles = || rows().map(|row| row.map(|row| row.into_iter().map(|x| x.map(f64::from)).collect::<Vec<_>>()));
    let halves = || rows().map(|row| row.map(|row| row.into_iter().map(|x| x.map(f16::from_f32)).collect::<Vec<_>>()));
    let lists: [ArrayRef; 7] = [
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows())),
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(doubles())),
        Arc::new(ListArray::from_iter_primitive::<Float16Type, _, _>(halves())),
        Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(doubles())),
        Arc::new(LargeListArray::from_iter_primitive::<Float16Type, _, _>(halves())),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(doubles(), 5)),
        Arc::new(FixedSizeListArray::from_iter_primitive::<Float16Type, _, _>(halves(), 5)),
    ];
    let ids: [ArrayRef; 6] = [
        Arc::new(StringArray::from_iter_values((0..12).map(|row| row.to_string()))),
        Arc::new(BinaryArray::from_iter_values((0..12).map(|row| row.to_string()))),
        Arc::new(Int8Array::from_iter_values(0..12)),
        Arc::new(Int64Array::from_iter_values(0..12)),
        Arc::new(UInt16Array::from_iter_values(0..12)),
        Arc::new(UInt64Array::from_iter_values(0..12)),
    ];
    for (lists, ids) in lists.iter().zip(ids.iter().cycle()).chain(lists.iter().zip(ids.iter().rev())) {
        let vectors =
            read_vectors(&table(&folder, vec![("id", ids.clone()), ("embedding", lists.clone())]), &Silent).unwrap();
        assert_eq!(vectors, expected, "{} {}", lists.data_type(), ids.data_type());
    }
}

#[test]
fn arrow_reads_what_docs_formats_says() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let columns = |path: &Path| -> (Vec<String>, Option<RecordBatch>) {
        let table = ParquetRecordBatchReaderBuilder::try_new(fs_err::File::open(path).unwrap().into_file()).unwrap();
        let fields = table.schema().fields().iter();
        let names = fields.map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()));
        (names.collect(), table.build().unwrap().next().transpose().unwrap())
    };
    let vectors = vectors(1000, 7, 30, 0.5, 1);
    write_vectors(&path, &vectors).unwrap();
    let (names, batch) = columns(&path);
    let batch = batch.unwrap();
    assert_eq!(names, ["id Utf8 false", "embedding List(non-null Float32, field: 'element') false"]);
    let ids: Vec<&str> = batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, vectors.ids);
    let lists = batch.column(1).as_list::<i32>();
    assert!((0..1000).all(|row| lists.value(row).as_primitive::<Float32Type>().values() == vectors.row(row)));
    let pairs = [Pair { first: 2, second: 0, similarity: 0.25 }];
    write_pairs(&path, &vectors.ids, &pairs).unwrap();
    let (names, batch) = columns(&path);
    let batch = batch.unwrap();
    assert_eq!(names, ["id1 Utf8 false", "id2 Utf8 false", "similarity Float32 false"]);
    assert_eq!(batch.column(0).as_string::<i32>().value(0), vectors.ids[2]);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), vectors.ids[0]);
    assert_eq!(batch.column(2).as_primitive::<Float32Type>().values(), &[0.25]);
}

#[test]
fn vectors_that_are_wrong_are_refused_with_the_place() {
    let folder = tempdir().unwrap();
    let good = || lists(&[Some(&[Some(1.0), Some(0.0)]), Some(&[Some(0.0), Some(1.0)])]);
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("vector", good())]);
    assert!(
        matches!(&error, Error::NoColumn { column: "embedding", found, .. } if found == &["id", "vector"]),
        "{error}"
    );
    let error = refused(&folder, vec![("id", Arc::new(BooleanArray::from(vec![true, false]))), ("embedding", good())]);
    assert!(matches!(&error, Error::ColumnType { column: "id", found, .. } if found == "Boolean"), "{error}");
    let integers = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), Some([Some(1)])]);
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("embedding", Arc::new(integers))]);
    assert!(error.to_string().contains("holds List(Int32), expected lists of floats"), "{error}");
    let latin1: ArrayRef = Arc::new(BinaryArray::from_iter_values([&b"a"[..], b"caf\xe9"]));
    let error = refused(&folder, vec![("id", latin1), ("embedding", good())]);
    assert!(matches!(error, Error::NotUtf8 { column: "id", row: 1, .. }), "{error}");
    let nullable: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let error = refused(&folder, vec![("id", nullable), ("embedding", good())]);
    assert!(matches!(error, Error::Null { column: "id", row: 1, .. }), "{error}");
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("embedding", lists(&[Some(&[Some(1.0)]), None]))]);
    assert!(matches!(error, Error::Null { column: "embedding", row: 1, .. }), "{error}");
    let holes = lists(&[Some(&[Some(1.0), Some(0.0)]), Some(&[Some(1.0), None])]);
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("embedding", holes)]);
    assert!(matches!(error, Error::Null { column: "embedding", row: 1, .. }), "{error}");
    let ragged = lists(&[Some(&[Some(1.0), Some(0.0)]), Some(&[Some(1.0)])]);
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("embedding", ragged)]);
    assert!(matches!(error, Error::Ragged { row: 1, expected: 2, found: 1, .. }), "{error}");
    let error = refused(&folder, vec![("id", ids(&["a", "a"])), ("embedding", good())]);
    assert!(error.to_string().contains("table.parquet: rows 1 and 2 both have the id \"a\""), "{error}");
    let infinite = lists(&[Some(&[Some(1.0)]), Some(&[Some(f32::INFINITY)])]);
    let error = refused(&folder, vec![("id", ids(&["a", "b"])), ("embedding", infinite)]);
    assert!(error.to_string().contains("row 2 (id \"b\") holds inf"), "{error}");
    let error = refused(&folder, vec![("id", ids(&[])), ("embedding", lists(&[]))]);
    assert!(matches!(error, Error::NoVectors { .. }), "{error}");
    let error = refused(&folder, vec![("id", ids(&["a"])), ("embedding", lists(&[Some(&[])]))]);
    assert!(matches!(error, Error::NoVectors { .. }), "{error}");
}

#[test]
fn truncated_and_missing_parquet_files_are_errors_with_the_path() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("vectors.parquet");
    write_vectors(&path, &vectors(100, 16, 3, 0.5, 1)).unwrap();
    let whole = fs_err::read(&path).unwrap();
    for length in [4, 100, whole.len() / 2, whole.len() - 1] {
        fs_err::write(&path, &whole[..length]).unwrap();
        let error = read_vectors(&path, &Silent).unwrap_err();
        assert!(matches!(error, Error::Parquet { .. }), "{length}: {error}");
        assert!(error.to_string().contains("vectors.parquet"), "{error}");
    }
    // What is no Parquet is not called damaged.
    let pointer: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n";
    for (content, expected) in [
        (pointer, "this is a Git LFS pointer: its data was not fetched (git lfs pull)"),
        (b"\x93NUMPY\x01\x00", "this is a NumPy array (.npy), expected a Parquet file"),
        (b"", "this is an empty file, expected a Parquet file"),
        (b"PARE\0\0\0\0", "its footer is encrypted, which is not supported"),
    ] {
        fs_err::write(&path, content).unwrap();
        let error = read_vectors(&path, &Silent).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("vectors.parquet"), "{error}");
    }
    let error = read_vectors(&folder.path().join("none.parquet"), &Silent).unwrap_err();
    assert!(matches!(error, Error::Io(_)) && error.to_string().contains("none.parquet"), "{error}");
}

#[test]
fn no_change_to_a_parquet_file_brings_the_program_down() {
    // Without page checksums a changed number can go unseen; some of these changes make the decoder itself panic.
    let folder = tempdir().unwrap();
    let path = folder.path().join("vectors.parquet");
    write_vectors(&path, &vectors(20, 4, 3, 0.5, 1)).unwrap();
    let good = fs_err::read(&path).unwrap();
    let mut errors = 0;
    for at in 0..good.len() {
        for flip in [1, 64, 128, 255] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            fs_err::write(&path, bytes).unwrap();
            errors += usize::from(read_vectors(&path, &Silent).is_err());
        }
    }
    assert!(errors > good.len(), "{errors} of {} changes were noticed", 4 * good.len());
}

#[test]
fn vectors_that_break_their_promises_are_not_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("vectors.parquet");
    let mut bad = vectors(3, 4, 3, 0.5, 1);
    bad.data[5] = f32::NAN;
    assert!(matches!(write_vectors(&path, &bad).unwrap_err(), Error::NotFinite { row: 1, .. }));
    bad.data.pop();
    assert!(matches!(write_npy(&path, &bad).unwrap_err(), Error::Shape { .. }));
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_in_the_way_is_an_error_and_nothing_is_left() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("taken");
    fs_err::create_dir_all(path.join("x")).unwrap();
    assert!(matches!(write_vectors(&path, &vectors(3, 4, 3, 0.5, 1)).unwrap_err(), Error::Io(_)));
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
}

/// A `.npy` file of a version, header and body.
fn npy(folder: &TempDir, version: u8, header: &str, body: &[u8]) -> PathBuf {
    let path = folder.path().join("x.npy");
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(body);
    fs_err::write(&path, bytes).unwrap();
    path
}

fn header(descr: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n")
}

#[test]
fn npy_files_come_back_bit_for_bit_and_are_aligned() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let mut vectors = vectors(321, 17, 30, 0.5, 1);
    write_npy(&path, &vectors).unwrap();
    vectors.ids = (0..321).map(|i| i.to_string()).collect();
    assert_eq!(read_npy(&path, &Silent).unwrap(), vectors);
    let bytes = fs_err::read(&path).unwrap();
    assert_eq!((bytes.len() - 321 * 17 * 4) % 64, 0);
    assert!(
        bytes.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (321, 17), }")
    );
}

#[test]
fn npy_files_of_every_version_and_width_are_read_and_scaled() {
    let folder = tempdir().unwrap();
    let singles: Vec<u8> = [3.0_f32, 4.0, 0.0, -2.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let doubles: Vec<u8> = [3.0_f64, 4.0, 0.0, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
    let halves = [0x4200_u16, 0x4400, 0, 0xC000].into_iter().flat_map(u16::to_le_bytes).collect();
    for version in [1, 2, 3] {
        for (descr, body) in [("'<f4'", &singles), ("'<f8'", &doubles), ("'<f2'", &halves), ("\"<f4\"", &singles)] {
            let vectors = read_npy(&npy(&folder, version, &header(descr, "False", "(2, 2)"), body), &Silent).unwrap();
            assert_eq!((vectors.ids, vectors.data), (vec!["0".into(), "1".into()], vec![0.6, 0.8, 0.0, -1.0]));
            let mut turned: Vec<u8> = body.clone();
            turned.chunks_mut(body.len() / 4).for_each(<[u8]>::reverse);
            let vectors = read_npy(
                &npy(&folder, version, &header(&descr.replace('<', ">"), "False", "(2, 2)"), &turned),
                &Silent,
            )
            .unwrap();
            assert_eq!(vectors.data, [0.6, 0.8, 0.0, -1.0], "big-endian {descr}");
        }
    }
}

#[test]
fn npy_files_in_fortran_order_are_read_by_columns() {
    let folder = tempdir().unwrap();
    // Rows (3, 4), (0, -2), (5, 12).
    let body: Vec<u8> = [3.0_f32, 0.0, 5.0, 4.0, -2.0, 12.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let vectors = read_npy(&npy(&folder, 1, &header("'<f4'", "True", "(3, 2)"), &body), &Silent).unwrap();
    assert_eq!((vectors.width, &vectors.data[..4]), (2, &[0.6, 0.8, 0.0, -1.0][..]));
    assert_eq!(vectors.row(2), [5.0 / 13.0, 12.0 / 13.0]);
}

#[test]
fn npy_files_that_are_something_else_are_refused() {
    let folder = tempdir().unwrap();
    let body = [0; 16];
    let cases = [
        (1, header("'<f4'", "Maybe", "(2, 2)"), "neither True nor False"),
        (1, header("'>i4'", "False", "(2, 2)"), ">i4"),
        (1, header("'<i8'", "False", "(2, 1)"), "<i8"),
        (1, header("[('a', '<f4')]", "False", "(4,)"), "expected '<f4'"),
        (1, header("'<f4'", "False", "(4,)"), "expected (rows, width)"),
        (1, header("'<f4'", "False", "(1, 2, 2)"), "expected (rows, width)"),
        (1, header("'<f4'", "False", "(-2, 2)"), "expected (rows, width)"),
        (1, header("'<f4'", "False", "2, 2"), "not a tuple"),
        (1, header("'<f4'", "False", "(2, 3)"), "24 bytes of numbers, but it holds 16"),
        (1, header("'<f4'", "False", "(2, 1)"), "8 bytes of numbers, but it holds 16"),
        (1, header("'<f4'", "False", "(9223372036854775807, 9223372036854775807)"), "more bytes than"),
        (1, header("'<f4'", "False", "(0, 2)"), "no vectors"),
        (1, header("'<f4'", "False", "(2, 0)"), "no vectors"),
        (1, "{'descr': '<f4', 'shape': (2, 2), }".to_string(), "fortran_order"),
        (1, "{'descr': ".to_string(), "expected '<f4'"),
        (1, String::new(), "no \"descr\""),
        (4, header("'<f4'", "False", "(2, 2)"), "version is 4"),
    ];
    for (version, header, expected) in cases {
        let error = read_npy(&npy(&folder, version, &header, &body), &Silent).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("x.npy"), "{header}: {error}");
    }
    let nan: Vec<u8> = [1.0, f32::NAN].into_iter().flat_map(f32::to_le_bytes).collect();
    let error = read_npy(&npy(&folder, 1, &header("'<f4'", "False", "(2, 1)"), &nan), &Silent).unwrap_err().to_string();
    assert!(error.contains("row 2") && error.contains("NaN"), "{error}");
    assert!(matches!(read_npy(Path::new("/nowhere/x.npy"), &Silent).unwrap_err(), Error::Io(_)));
}

#[test]
fn npy_headers_with_hostile_lengths_are_errors() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let starts: [&[u8]; 6] = [
        b"",
        b"\x93NUM",
        b"PK\x03\x04aaaaaaaa",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x01\x00\x02",
    ];
    for start in starts {
        fs_err::write(&path, start).unwrap();
        let error = read_npy(&path, &Silent).unwrap_err();
        assert!(matches!(error, Error::Npy { .. }) == start.starts_with(b"\x93NUMPY"), "{error}");
        assert!(matches!(error, Error::Npy { .. } | Error::OtherFormat { .. }), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    // Whatever one byte of the header becomes, the answer is vectors or an error.
    #[test]
    fn a_damaged_npy_header_never_panics(at in 0_usize..128, byte in 0_u8..=255) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("x.npy");
        write_npy(&path, &vectors(3, 4, 3, 0.5, 1)).unwrap();
        let mut bytes = fs_err::read(&path).unwrap();
        bytes[at] = byte;
        fs_err::write(&path, bytes).unwrap();
        let _ = read_npy(&path, &Silent);
    }
}

/// Each reader asks for every block of rows, and not for a file once.
#[test]
fn reading_a_long_file_is_interrupted() {
    let folder = tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let vectors = vectors(5000, 16, 3, 0.5, 1);
    write_vectors(&file("vectors.parquet"), &vectors).unwrap();
    write_npy(&file("vectors.npy"), &vectors).unwrap();
    let pairs: Vec<Pair> = (1..5000).map(|second| Pair { first: 0, second, similarity: 0.5 }).collect();
    write_pairs(&file("pairs.parquet"), &vectors.ids, &pairs).unwrap();
    let pairs = file("pairs.parquet");
    let read = |which: usize, asked: usize| {
        let monitor = After(AtomicUsize::new(asked));
        match which {
            0 => read_vectors(&file("vectors.parquet"), &monitor).map(drop),
            1 => read_npy(&file("vectors.npy"), &monitor).map(drop),
            2 => read_pairs(&pairs, &vectors.ids, &monitor).map(drop),
            3 => read_shuffled_pairs(&pairs, &vectors.ids, &monitor).map(drop),
            _ => read_pairs_among(&pairs, &vectors.ids, &monitor).map(drop),
        }
    };
    // Five blocks of 1,024 rows and the end of the file; of an array, two blocks of 65,536 numbers.
    for (which, blocks) in [(0, 6), (1, 2), (2, 6), (3, 6), (4, 6)] {
        for asked in [0, blocks - 1] {
            assert!(matches!(read(which, asked), Err(Error::Interrupted(_))), "{which}, {asked}");
        }
        read(which, blocks).unwrap();
    }
}

#[test]
fn pairs_come_back_in_their_order() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("pairs.parquet");
    let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
    let pair = |first, second, similarity| Pair { first, second, similarity };
    let pairs = vec![pair(2, 0, 0.25), pair(0, 2, 0.25), pair(1, 2, -0.5)];
    write_pairs(&path, &names, &pairs).unwrap();
    assert_eq!(read_pairs(&path, &names, &Silent).unwrap(), pairs);
    write_pairs(&path, &names, &[]).unwrap();
    assert!(read_pairs(&path, &names, &Silent).unwrap().is_empty());
    // An empty table of a writer that types its columns by their values.
    let untyped = || -> ArrayRef { Arc::new(NullArray::new(0)) };
    let path = table(&folder, vec![("id1", untyped()), ("id2", untyped()), ("similarity", untyped())]);
    assert!(read_pairs(&path, &names, &Silent).unwrap().is_empty());
}

#[test]
fn pairs_of_other_writers_are_read_with_any_width_of_similarity_or_none() {
    let folder = tempdir().unwrap();
    let names: Vec<String> = ["7", "-3", "18446744073709551615"].map(String::from).to_vec();
    let signed: ArrayRef = Arc::new(Int64Array::from(vec![7, -3]));
    let unsigned: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 7]));
    let pairs = |similarity: Option<ArrayRef>| {
        let ids = vec![("id1", signed.clone()), ("id2", unsigned.clone())];
        let columns = ids.into_iter().chain(similarity.map(|values| ("similarity", values))).collect();
        read_pairs(&table(&folder, columns), &names, &Silent).unwrap()
    };
    let pair = |first, second, similarity| Pair { first, second, similarity };
    let floats: [ArrayRef; 3] = [
        Arc::new(Float16Array::from_iter_values([0.25, -0.5].map(f16::from_f32))),
        Arc::new(Float32Array::from(vec![0.25, -0.5])),
        Arc::new(Float64Array::from(vec![0.25, -0.5])),
    ];
    for similarity in floats {
        assert_eq!(pairs(Some(similarity)), [pair(0, 2, 0.25), pair(1, 0, -0.5)]);
    }
    let without = pairs(None);
    assert_eq!(without.iter().map(|pair| (pair.first, pair.second)).collect::<Vec<_>>(), [(0, 2), (1, 0)]);
    assert!(without.iter().all(|pair| pair.similarity.is_nan()));
}

#[test]
fn pairs_that_are_wrong_are_refused_with_the_place() {
    let folder = tempdir().unwrap();
    let names: Vec<String> = ["a", "b"].map(String::from).to_vec();
    let pairs = |id1: &[&str], id2: &[&str], similarity: ArrayRef| {
        let path = table(&folder, vec![("id1", ids(id1)), ("id2", ids(id2)), ("similarity", similarity)]);
        read_pairs(&path, &names, &Silent).unwrap_err()
    };
    let floats = |values: &[f32]| -> ArrayRef { Arc::new(Float32Array::from(values.to_vec())) };
    let error = pairs(&["a", "b"], &["b", "x"], floats(&[0.5, 0.5]));
    assert!(matches!(&error, Error::UnknownId { column: "id2", row: 1, id, .. } if id == "x"), "{error}");
    for (id1, id2, similarity, expected) in [
        (["a", "b"], ["b", "b"], [0.5, 0.5], "with itself"),
        (["a", "a"], ["b", "b"], [0.5, 0.4], "already"),
        (["a", "b"], ["b", "a"], [0.5, f32::NAN], "finite"),
    ] {
        let error = pairs(&id1, &id2, floats(&similarity));
        assert!(matches!(&error, Error::BadPair { row: 1, .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = pairs(&["a"], &["b"], Arc::new(Int64Array::from(vec![1])));
    assert!(matches!(&error, Error::ColumnType { column: "similarity", found, .. } if found == "Int64"), "{error}");
    let error = pairs(&["a"], &["b"], Arc::new(Float32Array::from(vec![None])));
    assert!(matches!(&error, Error::Null { column: "similarity", row: 0, .. }), "{error}");
    let path = table(&folder, vec![("id1", ids(&["a"])), ("other", ids(&["b"]))]);
    assert!(matches!(read_pairs(&path, &names, &Silent).unwrap_err(), Error::NoColumn { column: "id2", .. }));
    fs_err::write(&path, b"PAR1").unwrap();
    assert!(matches!(read_pairs(&path, &names, &Silent).unwrap_err(), Error::Parquet { .. }));
}
