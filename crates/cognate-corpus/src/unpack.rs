//! A file's bytes, unpacked: what it is packed in, its members one after the other, and the look at the monitor that
//! every stretch of it takes.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cognate_base::{Interrupted, Monitor};
use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};

/// The marks a file begins with. Anything else is taken for plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Plain,
    Gzip,
    Zstd,
    Parquet,
}

impl Container {
    /// Bytes that tell all of them apart.
    pub(crate) const MARK: usize = 4;

    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one of the skippable frames that may precede it (RFC 8878, 3.1).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Plain,
        }
    }

    /// What the file's name promises; tells an empty file from one that lost all its bytes.
    pub(crate) fn promised(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            Some("parquet") => Self::Parquet,
            _ => Self::Plain,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Parquet => "Parquet",
        }
    }
}

/// Bytes unpacked at a time.
pub(crate) const BUFFER: usize = 1 << 17;

/// One file, unpacked as it is read.
pub(crate) struct Unpacked<'m> {
    pub(crate) path: Arc<Path>,
    pub(crate) container: Container,
    reader: Box<dyn BufRead + Send + 'm>,
    monitor: &'m dyn Monitor,
}

impl fmt::Debug for Unpacked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked").field("path", &self.path).field("container", &self.container).finish_non_exhaustive()
    }
}

impl<'m> Unpacked<'m> {
    /// A file at its beginning; what is read of it is added to `read_bytes`. Parquet, which is read from its end, comes
    /// as it is.
    pub(crate) fn open(path: Arc<Path>, read_bytes: &Arc<AtomicU64>, monitor: &'m dyn Monitor) -> Result<Self> {
        let counted = Counted { inner: fs_err::File::open(&*path)?, bytes: Arc::clone(read_bytes), monitor };
        let mut start = BufReader::with_capacity(BUFFER, counted);
        let found = start.fill_buf()?;
        let promised = Container::promised(&path);
        // The name is believed only where there is too little content to believe.
        if found.len() < Container::MARK && promised != Container::Plain {
            let nothing = io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} bytes", found.len()));
            return Err(Error::Damaged {
                path: path.to_path_buf(),
                container: promised.name(),
                records: 0,
                source: nothing.into(),
            });
        }
        let container = Container::of(found);
        let reader: Box<dyn BufRead + Send + 'm> = match container {
            Container::Gzip => Box::new(BufReader::with_capacity(BUFFER, Members::new(start))),
            Container::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(start)?;
                // Large published dumps are packed with `zstd --long=31`; the window is only as large as the frame asks
                // for.
                decoder.window_log_max(31)?;
                Box::new(BufReader::with_capacity(BUFFER, decoder))
            }
            Container::Plain | Container::Parquet => Box::new(start),
        };
        Ok(Self { path, container, reader, monitor })
    }

    /// The next bytes, none at the file's end; `records` is how many were read before, for the message.
    pub(crate) fn fill(&mut self, records: u64) -> Result<&[u8]> {
        self.monitor.check()?;
        match self.reader.fill_buf() {
            Ok([]) => Ok(&[]),
            // What is there already is given once more, and asks the file for nothing.
            Ok(_) => Ok(self.reader.fill_buf()?),
            Err(error) => Err(self.broken(error, records)),
        }
    }

    pub(crate) fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }

    fn broken(&self, error: io::Error, records: u64) -> Error {
        if Interrupted::caused(&error) {
            return Interrupted.into();
        }
        let (path, container) = (self.path.to_path_buf(), self.container.name());
        match self.container {
            Container::Plain | Container::Parquet => Error::Io(error),
            Container::Gzip | Container::Zstd => match unsupported(&error) {
                Some(needs) => Error::Unsupported { path, container, needs },
                None => Error::Damaged { path, container, records, source: error.into() },
            },
        }
    }
}

/// What a whole file asks for that the unpacker does not do, by what it says.
fn unsupported(error: &io::Error) -> Option<&'static str> {
    let said = error.to_string();
    [
        ("Dictionary mismatch", "a dictionary that is not in the file"),
        ("requires too much memory", "a window of more than 2 GiB"),
        ("Unsupported frame parameter", "a newer form of the format"),
        ("Version not supported", "a form of the format from before its standard"),
    ]
    .into_iter()
    .find_map(|(sign, needs)| said.contains(sign).then_some(needs))
}

/// Counts the bytes that leave a file, before unpacking, and stops where the user asks.
struct Counted<'m, R> {
    inner: R,
    bytes: Arc<AtomicU64>,
    monitor: &'m dyn Monitor,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.monitor.check().map_err(io::Error::other)?;
        let n = self.inner.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The members of a gzip file, one after the other. Zeros behind a member are padding (tapes and block devices leave it,
/// and `gzip` passes over it); anything else there is an error.
struct Members<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let n = member.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            let Some(mut packed) = self.member.take().map(GzDecoder::into_inner) else { return Ok(0) };
            loop {
                let ahead = packed.fill_buf()?;
                let zeros = ahead.iter().take_while(|&&byte| byte == 0).count();
                match ahead.get(zeros) {
                    None if zeros == 0 => return Ok(0),
                    None => packed.consume(zeros),
                    Some(0x1f) => {
                        packed.consume(zeros);
                        break;
                    }
                    Some(_) => {
                        let told = "what follows the last member is neither gzip nor padding";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, told));
                    }
                }
            }
            self.member = Some(GzDecoder::new(packed));
        }
    }
}
