//! Documents in: files and folders as one stream of documents.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::document::{BadRecord, Document, Origin, Rejected};
use crate::error::{Error, Result};
use crate::jsonl::{Container, Counted, Lines};
use crate::parquet_rows::Rows;

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
    /// The field or column that holds the identifier; a record without it gets one from its file and row.
    pub id_field: String,
    /// The field or column that holds the text.
    pub text_field: String,
    /// What to do with a record that is not a document.
    pub on_bad_record: OnBadRecord,
}

impl Default for ReadOptions {
    /// The fields `id` and `text`, and a stop at the first bad record: how Cognate writes its own files.
    fn default() -> Self {
        Self { id_field: "id".to_owned(), text_field: "text".to_owned(), on_bad_record: OnBadRecord::Stop }
    }
}

/// A stream of documents from JSON Lines (plain, gzip or zstd, of one or many members) and Parquet, told apart by their
/// first bytes. A byte order mark at a file's start and blank lines are passed over; texts are never changed.
///
/// After an error there are no more documents.
#[derive(Debug)]
pub struct Reader {
    files: std::vec::IntoIter<Arc<Path>>,
    current: Option<Source>,
    options: ReadOptions,
    rejected: Vec<Rejected>,
    total_bytes: u64,
    read_bytes: Arc<AtomicU64>,
    failed: bool,
}

#[derive(Debug)]
enum Source {
    Lines(Lines),
    /// With the file's size, and how much of it is counted as read.
    Rows {
        rows: Box<Rows>,
        bytes: u64,
        counted: u64,
    },
}

impl Reader {
    /// Reads the files in `paths` in the order given; a folder stands for its files, sorted by name (names that begin
    /// with a dot do not count).
    ///
    /// # Errors
    /// When a path does not exist, is neither file nor folder, or is a folder without files or with folders in it.
    pub fn open(paths: &[PathBuf], options: &ReadOptions) -> Result<Self> {
        let files = expand(paths)?;
        let mut total_bytes = 0;
        for file in &files {
            total_bytes += fs_err::metadata(file)?.len();
        }
        Ok(Self {
            files: files.into_iter(),
            current: None,
            options: options.clone(),
            rejected: Vec::new(),
            total_bytes,
            read_bytes: Arc::default(),
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

    fn open_source(&self, path: Arc<Path>) -> Result<Source> {
        let (container, start) = open_file(&path, &self.read_bytes)?;
        if container == Container::Parquet {
            // Parquet is read from its end, through a file of its own.
            let bytes = fs_err::metadata(&*path)?.len();
            let rows = Rows::open(Arc::clone(&path), fs_err::File::open(&*path)?, &self.options)?;
            self.read_bytes.fetch_sub(start.buffer().len() as u64, Ordering::Relaxed);
            return Ok(Source::Rows { rows: Box::new(rows), bytes, counted: 0 });
        }
        Ok(Source::Lines(Lines::new(path, container, start)?))
    }

    /// The next record, good or bad, of the current or a later file.
    fn record(&mut self) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        loop {
            let record = match &mut self.current {
                Some(Source::Lines(lines)) => lines.next(&self.options),
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

impl Iterator for Reader {
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

/// A file at its beginning, and what it is by its first bytes; what is read of it is added to `read_bytes`.
pub(crate) fn open_file(
    path: &Path,
    read_bytes: &Arc<AtomicU64>,
) -> Result<(Container, BufReader<Counted<fs_err::File>>)> {
    let counted = Counted { inner: fs_err::File::open(path)?, bytes: Arc::clone(read_bytes) };
    let mut start = BufReader::with_capacity(1 << 17, counted);
    let found = start.fill_buf()?;
    let promised = Container::promised(path);
    // The name is believed only where there is too little content to believe.
    if found.len() < Container::MARK && promised != Container::Plain {
        let nothing = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("{} bytes", found.len()));
        return Err(Error::Damaged {
            path: path.to_path_buf(),
            container: promised.name(),
            records: 0,
            source: nothing.into(),
        });
    }
    let container = Container::of(found);
    Ok((container, start))
}

/// The files that `paths` stand for, in the order in which they are read: files as given, folders as the files in them by
/// name, without hidden ones.
///
/// # Errors
/// When a path does not exist or is neither file nor folder, or when a folder holds folders.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<Arc<Path>>> {
    let mut files = Vec::new();
    for path in paths {
        match fs_err::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing { path: path.clone() });
            }
            Err(error) => return Err(error.into()),
            Ok(kind) if kind.is_dir() => files.extend(files_in(path)?),
            Ok(kind) if kind.is_file() => files.push(Arc::from(path.as_path())),
            Ok(_) => return Err(Error::NotAFile { path: path.clone() }),
        }
    }
    Ok(files)
}

fn files_in(folder: &Path) -> Result<Vec<Arc<Path>>> {
    let mut files: Vec<Arc<Path>> = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let kind = fs_err::metadata(&path)?;
        if kind.is_dir() {
            return Err(Error::NestedFolder { path });
        }
        if !kind.is_file() {
            return Err(Error::NotAFile { path });
        }
        files.push(path.into());
    }
    if files.is_empty() {
        return Err(Error::EmptyFolder { path: folder.to_path_buf() });
    }
    files.sort();
    Ok(files)
}
