//! Documents out: JSON Lines and Parquet, whole or absent.

use std::io::{BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use cognate_base::files::{AtomicFile, CompleteFile};
use cognate_base::table::TableWriter;
use flate2::write::GzEncoder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::group::GROUP;
use crate::json::METADATA;

/// Zstandard's own default: documents are written once and read many times, and 3 already packs text near threefold.
const ZSTD_LEVEL: i32 = 3;

/// Bytes that go to a packer at a time.
const BUFFER: usize = 1 << 16;

/// Writes documents to one file, in the format its name tells: `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`.
///
/// The fields are `id`, `text` and, where there are any, `group` and `metadata`. The file appears when [`DocumentWriter::finish`]
/// succeeds; before that, or without it, nothing stands at its path. The bytes depend on nothing but the documents.
pub struct DocumentWriter {
    path: PathBuf,
    sink: Sink,
    rows: u64,
}

enum Sink {
    Plain(AtomicFile),
    // Packers are slow with the small pieces that a record is written in.
    Gzip(BufWriter<GzEncoder<AtomicFile>>),
    Zstd(BufWriter<zstd::Encoder<'static, AtomicFile>>),
    Parquet(Box<ParquetSink>),
}

impl std::fmt::Debug for DocumentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl DocumentWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// When the name tells no format, or the file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let sink = if name.ends_with(".jsonl") {
            Sink::Plain(AtomicFile::create(path)?)
        } else if name.ends_with(".jsonl.gz") {
            let encoder = GzEncoder::new(AtomicFile::create(path)?, flate2::Compression::default());
            Sink::Gzip(BufWriter::with_capacity(BUFFER, encoder))
        } else if name.ends_with(".jsonl.zst") {
            let mut encoder = zstd::Encoder::new(AtomicFile::create(path)?, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            Sink::Zstd(BufWriter::with_capacity(BUFFER, encoder))
        } else if name.ends_with(".parquet") {
            Sink::Parquet(Box::new(ParquetSink::create(path).map_err(|error| parquet_error(path, error))?))
        } else {
            return Err(Error::UnknownFormat { path: path.to_path_buf() });
        };
        Ok(Self { path: path.to_path_buf(), sink, rows: 0 })
    }

    /// Adds a document.
    ///
    /// # Errors
    /// When the file cannot be written, for one when the disk is full.
    pub fn write(&mut self, document: &Document) -> Result<()> {
        let out: &mut dyn Write = match &mut self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder,
            Sink::Zstd(encoder) => encoder,
            Sink::Parquet(sink) => {
                sink.push(document).map_err(|error| parquet_error(&self.path, error))?;
                self.rows += 1;
                return Ok(());
            }
        };
        // Straight into the file's buffer: a line in between would hold a long text once more.
        serde_json::to_writer(&mut *out, &Line(document)).map_err(std::io::Error::from)?;
        out.write_all(b"\n")?;
        self.rows += 1;
        Ok(())
    }

    /// Puts the file in its place and says how many documents it holds.
    ///
    /// # Errors
    /// When the last bytes cannot be written; nothing then stands at the path, or what stood there before.
    pub fn finish(self) -> Result<u64> {
        let rows = self.rows;
        self.complete()?.put_in_place()?;
        Ok(rows)
    }

    /// Brings the whole file to disk, for its caller to put in place.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub(crate) fn complete(self) -> Result<CompleteFile> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(buffered) => buffered.into_inner().map_err(IntoInnerError::into_error)?.finish()?,
            Sink::Zstd(buffered) => buffered.into_inner().map_err(IntoInnerError::into_error)?.finish()?,
            Sink::Parquet(sink) => sink.finish().map_err(|error| parquet_error(&self.path, error))?,
        };
        Ok(file.complete()?)
    }
}

/// A document as one JSON object.
struct Line<'a>(&'a Document);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.0.id)?;
        map.serialize_entry("text", &self.0.text)?;
        if let Some(group) = &self.0.group {
            map.serialize_entry(GROUP, group)?;
        }
        if !self.0.metadata.is_empty() {
            map.serialize_entry(METADATA, &self.0.metadata)?;
        }
        map.end()
    }
}

/// Columns `id`, `text`, `group` (or null) and `metadata` (JSON as a string, or null), in row groups of about 64 MiB before
/// packing.
struct ParquetSink {
    table: TableWriter,
    /// The row group to come.
    rows: Vec<Row>,
    bytes: usize,
}

/// A document as the bytes of its four columns.
struct Row {
    id: Vec<u8>,
    text: Vec<u8>,
    group: Option<Vec<u8>>,
    metadata: Option<Vec<u8>>,
}

impl ParquetSink {
    const SCHEMA: &str = "message documents {
        required binary id (STRING);
        required binary text (STRING);
        optional binary group (STRING);
        optional binary metadata (STRING);
    }";
    const GROUP_BYTES: usize = 64 << 20;

    fn create(path: &Path) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_created_by("cognate".to_owned())
            .build();
        let table = TableWriter::new(AtomicFile::create(path)?, Self::SCHEMA, properties)?;
        Ok(Self { table, rows: Vec::new(), bytes: 0 })
    }

    fn push(&mut self, document: &Document) -> Result<(), ParquetError> {
        let metadata = document.metadata.json().map(|json| json.as_bytes().to_vec());
        let group = document.group.clone().map(String::into_bytes);
        let row =
            Row { id: document.id.clone().into_bytes(), text: document.text.clone().into_bytes(), group, metadata };
        let optional = [&row.group, &row.metadata].into_iter().flatten().map(Vec::len).sum::<usize>();
        // A row without text is not free either.
        self.bytes += size_of::<Row>() + row.id.len() + row.text.len() + optional;
        self.rows.push(row);
        if self.bytes >= Self::GROUP_BYTES {
            self.flush_group()?;
        }
        Ok(())
    }

    fn flush_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.table.row_group()?;
        group.texts(self.rows.iter_mut().map(|row| std::mem::take(&mut row.id)))?;
        group.texts(self.rows.iter_mut().map(|row| std::mem::take(&mut row.text)))?;
        group.optional_texts(self.rows.iter_mut().map(|row| row.group.take()))?;
        group.optional_texts(self.rows.iter_mut().map(|row| row.metadata.take()))?;
        group.finish()?;
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<AtomicFile, ParquetError> {
        if !self.rows.is_empty() {
            self.flush_group()?;
        }
        self.table.finish()
    }
}

fn parquet_error(path: &Path, source: ParquetError) -> Error {
    Error::WriteParquet { path: path.to_path_buf(), source }
}
