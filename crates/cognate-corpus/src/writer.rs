//! Documents out: JSON Lines and Parquet, whole or absent.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::builder::StringBuilder;
use arrow_schema::{DataType, Field, Schema};
use cognate_base::files::AtomicFile;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::jsonl::METADATA;

/// Zstandard's own default: documents are written once and read many times, and 3 already packs text near threefold.
const ZSTD_LEVEL: i32 = 3;

/// Writes documents to one file, in the format its name tells: `.jsonl`, `.jsonl.gz`, `.jsonl.zst` or `.parquet`.
///
/// The fields are `id`, `text` and, where there is any, `metadata`. The file appears when [`DocumentWriter::finish`]
/// succeeds; before that, or without it, nothing stands at its path. The bytes depend on nothing but the documents.
pub struct DocumentWriter {
    path: PathBuf,
    sink: Sink,
    line: Vec<u8>,
    rows: u64,
}

enum Sink {
    Plain(AtomicFile),
    Gzip(GzEncoder<AtomicFile>),
    Zstd(zstd::Encoder<'static, AtomicFile>),
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
            Sink::Gzip(GzEncoder::new(AtomicFile::create(path)?, flate2::Compression::default()))
        } else if name.ends_with(".jsonl.zst") {
            let mut encoder = zstd::Encoder::new(AtomicFile::create(path)?, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            Sink::Zstd(encoder)
        } else if name.ends_with(".parquet") {
            Sink::Parquet(Box::new(ParquetSink::create(path).map_err(|error| parquet_error(path, error))?))
        } else {
            return Err(Error::UnknownFormat { path: path.to_path_buf() });
        };
        Ok(Self { path: path.to_path_buf(), sink, line: Vec::new(), rows: 0 })
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
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Line(document)).map_err(std::io::Error::from)?;
        self.line.push(b'\n');
        out.write_all(&self.line)?;
        self.rows += 1;
        Ok(())
    }

    /// Puts the file in its place and says how many documents it holds.
    ///
    /// # Errors
    /// When the last bytes cannot be written; nothing then stands at the path, or what stood there before.
    pub fn finish(self) -> Result<u64> {
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder.finish()?,
            Sink::Zstd(encoder) => encoder.finish()?,
            Sink::Parquet(sink) => sink.finish().map_err(|error| parquet_error(&self.path, error))?,
        };
        file.commit()?;
        Ok(self.rows)
    }
}

/// A document as one JSON object.
struct Line<'a>(&'a Document);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.0.id)?;
        map.serialize_entry("text", &self.0.text)?;
        if !self.0.metadata.is_empty() {
            map.serialize_entry(METADATA, &self.0.metadata)?;
        }
        map.end()
    }
}

/// Columns `id`, `text` and `metadata` (a JSON object as a string, or null), in row groups of about 64 MiB of text.
struct ParquetSink {
    writer: ArrowWriter<AtomicFile>,
    schema: Arc<Schema>,
    id: StringBuilder,
    text: StringBuilder,
    metadata: StringBuilder,
    bytes: usize,
}

impl ParquetSink {
    const BATCH_BYTES: usize = 4 << 20;
    const GROUP_BYTES: usize = 64 << 20;

    fn create(path: &Path) -> Result<Self, ParquetError> {
        let field = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![field("id", false), field("text", false), field(METADATA, true)]));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_created_by("cognate".to_owned())
            .build();
        let writer = ArrowWriter::try_new(AtomicFile::create(path)?, Arc::clone(&schema), Some(properties))?;
        let (id, text, metadata) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        Ok(Self { writer, schema, id, text, metadata, bytes: 0 })
    }

    fn push(&mut self, document: &Document) -> Result<(), ParquetError> {
        self.id.append_value(&document.id);
        self.text.append_value(&document.text);
        if document.metadata.is_empty() {
            self.metadata.append_null();
        } else {
            let json =
                serde_json::to_string(&document.metadata).map_err(|error| ParquetError::External(error.into()))?;
            self.metadata.append_value(json);
        }
        self.bytes += document.id.len() + document.text.len();
        if self.bytes >= Self::BATCH_BYTES {
            self.flush_batch()?;
        }
        Ok(())
    }

    fn flush_batch(&mut self) -> Result<(), ParquetError> {
        let columns: Vec<arrow_array::ArrayRef> =
            vec![Arc::new(self.id.finish()), Arc::new(self.text.finish()), Arc::new(self.metadata.finish())];
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?;
        self.bytes = 0;
        if self.writer.in_progress_size() >= Self::GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<AtomicFile, ParquetError> {
        self.flush_batch()?;
        self.writer.into_inner()
    }
}

fn parquet_error(path: &Path, source: ParquetError) -> Error {
    Error::WriteParquet { path: path.to_path_buf(), source }
}
