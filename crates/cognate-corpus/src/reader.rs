//! Documents in: files and folders as one stream of documents.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cognate_base::Monitor;
use cognate_base::format::Format;
use serde::{Deserialize, Serialize};

use crate::delimited;
use crate::document::{BadRecord, Document, Origin, Rejected};
use crate::error::{Error, Result};
use crate::group::GROUP;
use crate::input::{Input, Kind, expand};
use crate::jsonl::Lines;
use crate::parquet_rows::Rows;
use crate::plain_text::TextFile;
use crate::unpack::{Container, Unpacked};

/// What to do with a record that is not a document. A truncated or damaged file stops the reading in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRecord {
    /// Stop at the first one.
    Stop,
    /// Pass over it and keep its origin and the reason.
    Skip,
}

/// How records become documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOptions {
    /// The field or column that holds the identifier; a record without it gets one from its file and row. Empty: all do.
    pub id_field: String,
    /// The field or column that holds the text.
    pub text_field: String,
    /// The field or column, or else the field of the metadata, that names a document's group; empty: none does.
    pub group_field: String,
    /// Whether the metadata is asked where the record has no such field of its own.
    pub group_of_metadata: bool,
    /// What to do with a record that is not a document.
    pub on_bad_record: OnBadRecord,
    /// Most bytes of a record before it is parsed: a line, an element of an array, a row of a table of text, a text file, the cells that are
    /// read of a row of Parquet.
    pub max_record_bytes: usize,
}

impl Default for ReadOptions {
    /// The fields `id` and `text`, and a stop at the first bad record: how Cognate writes its own files.
    fn default() -> Self {
        Self {
            id_field: "id".to_owned(),
            text_field: "text".to_owned(),
            group_field: String::new(),
            group_of_metadata: true,
            on_bad_record: OnBadRecord::Stop,
            max_record_bytes: Self::MAX_RECORD_BYTES,
        }
    }
}

impl ReadOptions {
    /// Far more than any document has that a model is trained on, and little enough to hold in memory.
    pub const MAX_RECORD_BYTES: usize = 256 << 20;

    /// Whether a field of this name holds the identifier.
    pub(crate) fn is_id(&self, name: &str) -> bool {
        !self.id_field.is_empty() && name == self.id_field
    }

    /// Whether a field of this name holds the group.
    pub(crate) fn is_group(&self, name: &str) -> bool {
        !self.group_field.is_empty() && name == self.group_field
    }

    /// The same for documents as [`DocumentWriter`](crate::DocumentWriter) writes them: their group stands in the field of that name,
    /// and what the metadata says under it is the source's.
    pub fn with_groups() -> Self {
        Self { group_field: GROUP.to_owned(), group_of_metadata: false, ..Self::default() }
    }

    /// Whether bad records are passed over.
    pub(crate) fn skips(&self) -> bool {
        self.on_bad_record == OnBadRecord::Skip
    }
}

/// A stream of documents from JSON Lines, an array of JSON, CSV and TSV, text files (all of them plain, gzip or zstd, of one
/// or many members) and Parquet. Formats are told apart by the first bytes, and tables and texts by their names. A byte
/// order mark at a file's start and blank lines are passed over; texts are never changed.
///
/// The monitor is asked at every record, and at every stretch of a long one, whether to stop. After an error there are no
/// more documents.
#[derive(Debug)]
pub struct Reader<'m> {
    files: std::vec::IntoIter<Input>,
    current: Option<Source<'m>>,
    options: ReadOptions,
    rejected: Vec<Rejected>,
    total_bytes: u64,
    read_bytes: Arc<AtomicU64>,
    monitor: Watched<'m>,
    failed: bool,
}

#[derive(Clone, Copy)]
struct Watched<'m>(&'m dyn Monitor);

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Monitor")
    }
}

#[derive(Debug)]
enum Source<'m> {
    Lines(Lines<'m>),
    Table(Box<delimited::Rows<'m>>),
    Text(TextFile<'m>),
    /// With the file's size, and how much of it is counted as read.
    Rows {
        rows: Box<Rows>,
        bytes: u64,
        counted: u64,
    },
}

impl<'m> Reader<'m> {
    /// Reads the files in `paths` in the order given; a folder stands for the data in it, see [`expand`].
    ///
    /// # Errors
    /// As [`expand`].
    pub fn open(paths: &[PathBuf], options: &ReadOptions, monitor: &'m dyn Monitor) -> Result<Self> {
        Self::of_files(expand(paths, monitor)?, options, monitor)
    }

    /// Reads the files that [`expand`] found.
    ///
    /// # Errors
    /// When one of them is no longer there.
    pub fn of_files(files: Vec<Input>, options: &ReadOptions, monitor: &'m dyn Monitor) -> Result<Self> {
        let mut total_bytes = 0;
        for file in &files {
            total_bytes += fs_err::metadata(&*file.path)?.len();
        }
        Ok(Self {
            files: files.into_iter(),
            current: None,
            options: options.clone(),
            rejected: Vec::new(),
            total_bytes,
            read_bytes: Arc::default(),
            monitor: Watched(monitor),
            failed: false,
        })
    }

    /// The bad records passed over since the last call, in order. Only [`OnBadRecord::Skip`] makes any.
    pub fn rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// The size of all files on disk, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// How much of [`Reader::total_bytes`] has been read.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    fn open_source(&self, input: Input) -> Result<Source<'m>> {
        let path = &input.path;
        let mut file = Unpacked::open(Arc::clone(path), &self.read_bytes, self.monitor.0)?;
        if file.container == Container::Parquet {
            // Parquet is read from its end, through a file of its own.
            self.read_bytes.fetch_sub(file.fill(0)?.len() as u64, Ordering::Relaxed);
            let bytes = fs_err::metadata(&**path)?.len();
            let rows = Rows::open(input.clone(), fs_err::File::open(&**path)?, &self.options)?;
            return Ok(Source::Rows { rows: Box::new(rows), bytes, counted: 0 });
        }
        refuse_other_formats(path, &mut file)?;
        Ok(match Kind::of(path) {
            Kind::Table(delimiter) => {
                Source::Table(Box::new(delimited::Rows::open(input, file, delimiter, &self.options)?))
            }
            Kind::Text => Source::Text(TextFile::new(input, file)),
            _ => Source::Lines(Lines::new(input, file)),
        })
    }

    /// The next record, good or bad, of the current or a later file.
    fn record(&mut self) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        loop {
            if let Err(error) = self.monitor.0.check() {
                return Some(Err(error.into()));
            }
            let record = match &mut self.current {
                Some(Source::Lines(lines)) => lines.next(&self.options),
                Some(Source::Table(rows)) => rows.next(&self.options),
                Some(Source::Text(file)) => file.next(&self.options),
                Some(Source::Rows { rows, bytes, counted }) => {
                    let record = rows.next(&self.options);
                    let now = if record.is_none() { *bytes } else { (*bytes as f64 * rows.share()) as u64 };
                    self.read_bytes.fetch_add(now.saturating_sub(*counted), Ordering::Relaxed);
                    *counted = now.max(*counted);
                    record
                }
                None => None,
            };
            if record.is_some() {
                return record;
            }
            let file = self.files.next()?;
            match self.open_source(file) {
                Ok(source) => self.current = Some(source),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Refuses content that is known to be something else, packed or not.
pub(crate) fn refuse_other_formats(path: &Path, file: &mut Unpacked<'_>) -> Result<()> {
    let format = Format::of(file.fill(0)?);
    match format {
        Format::Empty | Format::Json | Format::Text | Format::Unknown => Ok(()),
        // A text may begin like anything; only a pointer in its place is no text.
        Format::Xml | Format::Html if Kind::of(path) == Kind::Text => Ok(()),
        _ => Err(Error::OtherFormat { path: path.to_path_buf(), problem: format.instead_of("documents") }),
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<(Origin, Document)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        loop {
            let error = match self.record()? {
                Ok((origin, Ok(document))) => return Some(Ok((origin, document))),
                Ok((origin, Err(reason))) => match self.options.on_bad_record {
                    OnBadRecord::Skip => {
                        self.rejected.push(Rejected { origin, reason });
                        continue;
                    }
                    OnBadRecord::Stop => Error::Record { origin, problem: reason },
                },
                Err(error) => error,
            };
            self.failed = true;
            return Some(Err(error));
        }
    }
}
