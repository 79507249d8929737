//! Damaged and hostile Parquet files of documents: documents or an error, in bounded memory and time, and never a panic.
//!
//! A binary of its own because it counts allocations, and other tests would be counted too. With more inputs than usual:
//! `COGNATE_FUZZ_INPUTS=1000000 cargo nextest run --release -p cognate-corpus --test damage`.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../../../cognate-pair/tests/damage/mutation.rs"]
mod mutation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, StructArray};
use cognate_base::Silent;
use cognate_base::random::{Rng, stream};
use cognate_corpus::{Error, OnBadRecord, ReadOptions, Reader, Records};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use peak_alloc::PeakAlloc;
use tempfile::tempdir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading a file of some kilobytes may allocate: the unpacked pages that are always allowed, and their values.
const PEAK_BYTES: usize = 256 << 20;

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
            .set_column_encoding("text".into(), Encoding::DELTA_BYTE_ARRAY)
            .build(),
        WriterProperties::builder().set_compression(Compression::BROTLI(Default::default())).build(),
        WriterProperties::builder().set_max_row_group_row_count(Some(9)).build(),
    ]
}

fn good() -> Vec<Vec<u8>> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..24).map(|row| "some text ".repeat(row % 5))));
    let integers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..24));
    let strings: ArrayRef = Arc::new(StringArray::from_iter_values((0..24).map(|row| format!("document-{row}"))));
    let json: ArrayRef =
        Arc::new(StringArray::from_iter((0..24).map(|row| (row % 3 > 0).then(|| format!("{{\"n\": {row}}}")))));
    let structs: ArrayRef =
        Arc::new(StructArray::try_from(vec![("n", integers.clone()), ("s", strings.clone())]).unwrap());
    let mut files = Vec::new();
    for (ids, columns) in [
        (Encoding::DELTA_BINARY_PACKED, vec![("id", integers), ("text", texts.clone()), ("metadata", json)]),
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, vec![("text", texts), ("id", strings), ("metadata", structs)]),
    ] {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for properties in layouts(ids) {
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            files.push(writer.into_inner().unwrap());
        }
    }
    files
}

fn damaged(inputs: u64, read: impl Fn(&Path) -> Result<(), Error>) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("documents.parquet");
    let good = good();
    for good in &good {
        fs_err::write(&path, good).unwrap();
        read(&path).unwrap();
    }
    let inputs = mutation::inputs(inputs);
    let mut were_read = 0;
    for input in 0..inputs {
        let mut random = stream(5, "documents.parquet", input);
        let mut bytes = good[input as usize % good.len()].clone();
        mutation::change(&mut random, &mut bytes);
        fs_err::write(&path, &bytes).unwrap();
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        match read(&path) {
            Ok(()) => were_read += 1,
            Err(error) => assert!(error.to_string().contains("documents.parquet"), "{input}: {error}"),
        }
        let peak = MEMORY.peak_usage() - before;
        assert!(peak < PEAK_BYTES, "{input}: {peak} bytes were allocated for a file of {}", bytes.len());
    }
    assert!(were_read < inputs * 9 / 10, "{were_read} of {inputs} were read: the changes hit nothing");
}

/// Writes a file of one column of text beside `text`, packed hard, and reads its documents: how many there are, or the complaint, and the
/// most memory that it took.
fn read_packed(column: &str, cells: &[&str], options: &ReadOptions) -> (Result<u64, String>, usize) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("packed.parquet");
    let plain: ArrayRef = Arc::new(StringArray::from_iter_values(cells.iter().map(|_| "plain")));
    let packed: ArrayRef = Arc::new(StringArray::from_iter_values(cells));
    // A column that nobody reads and nothing packs: bounds follow from the file's size.
    let mut random = stream(6, "filling", 0);
    let filling: String = (0..300_000).map(|_| char::from(b' ' + (random.next_u32() % 94) as u8)).collect();
    let other: ArrayRef = Arc::new(StringArray::from_iter((0..cells.len()).map(|row| (row == 0).then_some(&*filling))));
    let mut columns = vec![(column, packed), ("other", other)];
    if column != "text" {
        columns.push(("text", plain));
    }
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(Default::default()))
        .set_dictionary_page_size_limit(1 << 30);
    let file = fs_err::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    drop(batch);
    let size = fs_err::metadata(&path).unwrap().len();
    assert!(size < 1 << 20, "{size} bytes are packed");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let read = Reader::open(&[path], options, &Silent)
        .and_then(|mut reader| reader.try_fold(0, |documents, record| record.map(|_| documents + 1)));
    (read.map_err(|error| error.to_string()), MEMORY.peak_usage() - before)
}

#[test]
fn small_files_do_not_unpack_to_texts_that_fill_the_memory() {
    let (text, metadata) = ("x".repeat(100 << 20), "y".repeat(1 << 20));
    // What is longer than a record may be is not copied from its page.
    let short = ReadOptions { max_record_bytes: 1000, on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    for column in ["text", "metadata", "id"] {
        let (read, peak) = read_packed(column, &[&text], &short);
        assert!(read == Ok(0) && peak < 150 << 20, "{column}: {read:?}, {peak} bytes");
    }
    let (read, peak) = read_packed("text", &[&text], &ReadOptions::default());
    assert!(read == Ok(1) && peak < 250 << 20, "{read:?}, {peak} bytes");
    // One text that many rows have is there once, and not once a row.
    for column in ["metadata", "id"] {
        let (read, peak) = read_packed(column, &[metadata.as_str(); 100], &ReadOptions::default());
        assert!(read == Ok(100) && peak < 20 << 20, "{column}: {read:?}, {peak} bytes");
    }
    // A page that no writer makes is not unpacked.
    let (read, peak) = read_packed("text", &[&"x".repeat(258 << 20)], &ReadOptions::default());
    let complaint = read.unwrap_err();
    assert!(
        complaint.contains("a page of ") && complaint.contains(" unpacked bytes") && peak < 20 << 20,
        "{complaint}, {peak}"
    );
}

#[test]
fn damaged_documents_are_documents_or_an_error() {
    let plain = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    // Groups by a column, of integers or of texts, and by a field of the metadata.
    let [of_column, of_metadata] =
        ["id", "n"].map(|field| ReadOptions { group_field: field.to_owned(), ..plain.clone() });
    damaged(10_000, |path| {
        let paths: [PathBuf; 1] = [path.to_path_buf()];
        let read =
            |options: &ReadOptions| Reader::open(&paths, options, &Silent)?.try_for_each(|record| record.map(drop));
        read(&plain).and(read(&of_column)).and(read(&of_metadata))
    });
}

#[test]
fn damaged_records_are_records_or_an_error() {
    damaged(10_000, |path| Records::open(path)?.try_for_each(|record| record.map(drop)));
}
