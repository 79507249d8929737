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
use cognate_base::random::stream;
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

#[test]
fn damaged_documents_are_documents_or_an_error() {
    let options = ReadOptions { on_bad_record: OnBadRecord::Skip, ..ReadOptions::default() };
    damaged(10_000, |path| {
        let paths: [PathBuf; 1] = [path.to_path_buf()];
        Reader::open(&paths, &options, &Silent)?.try_for_each(|record| record.map(drop))
    });
}

#[test]
fn damaged_records_are_records_or_an_error() {
    damaged(10_000, |path| Records::open(path)?.try_for_each(|record| record.map(drop)));
}
