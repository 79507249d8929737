//! What a file is, by its first bytes: so that a reader that is given something else says what it was given, and calls
//! a file damaged only when it is.
//!
//! Names are no evidence: a pointer of Git LFS, or a server's error page, has the name of the file that it stands for.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// No bytes at all.
    Empty,
    /// What a repository keeps in place of a large file (Git LFS, also as Hugging Face uses it).
    GitLfsPointer,
    /// The same, of git-annex.
    GitAnnexPointer,
    /// A page for a browser.
    Html,
    /// Other markup; object stores put their errors so.
    Xml,
    /// JSON or JSON Lines: text that begins with a brace or a bracket.
    Json,
    /// Other text in UTF-8, as far as can be seen.
    Text,
    /// Text in UTF-16 or UTF-32, by its byte order mark.
    WideText,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// LZ4 frames.
    Lz4,
    /// A zip archive.
    Zip,
    /// A zip archive of NumPy arrays.
    Npz,
    /// A zip archive of PyTorch tensors.
    TorchZip,
    /// A tar archive.
    Tar,
    /// A 7-Zip archive.
    SevenZip,
    /// A RAR archive.
    Rar,
    /// Parquet.
    Parquet,
    /// Parquet whose footer is encrypted.
    EncryptedParquet,
    /// An Arrow IPC file, which is Feather 2 too.
    ArrowFile,
    /// An Arrow IPC stream, as `datasets` caches them.
    ArrowStream,
    /// Feather 1.
    Feather1,
    /// ORC.
    Orc,
    /// Avro.
    Avro,
    /// A NumPy array.
    Npy,
    /// Safetensors.
    Safetensors,
    /// GGUF, the weights of llama.cpp.
    Gguf,
    /// A Python pickle, which older PyTorch checkpoints are.
    Pickle,
    /// HDF5.
    Hdf5,
    /// An index of Megatron-LM's token files.
    MegatronIndex,
    /// A SQLite database.
    Sqlite,
    /// PDF.
    Pdf,
    /// Bytes that are none of these.
    Unknown,
}

impl Format {
    /// First bytes that suffice to tell all of them apart.
    pub const BYTES: usize = 512;

    /// What a file is that begins with `start`: its first [`Format::BYTES`] bytes, or all that it has.
    pub fn of(start: &[u8]) -> Self {
        let start = &start[..start.len().min(Self::BYTES)];
        if start.is_empty() {
            return Self::Empty;
        }
        let begins = |marks: &[&[u8]]| marks.iter().any(|mark| start.starts_with(mark));
        let marked = MARKS.iter().find(|(_, marks)| begins(marks)).map(|&(format, _)| format);
        match (marked, start) {
            (Some(Self::Zip), _) => zip_content(start),
            (Some(format), _) => format,
            // A skippable frame may precede the first one (RFC 8878, 3.1.2).
            (None, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) => Self::Zstd,
            (None, [0x80, 2..=5, ..]) => Self::Pickle,
            (None, _) if start.get(257..262) == Some(b"ustar") => Self::Tar,
            (None, _) if is_safetensors(start) => Self::Safetensors,
            (None, _) if is_arrow_stream(start) => Self::ArrowStream,
            (None, _) => text(start),
        }
    }

    /// What the file at `path` is.
    ///
    /// # Errors
    /// When it cannot be opened or read; the message names it.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut start = Vec::with_capacity(Self::BYTES);
        fs_err::File::open(path)?.take(Self::BYTES as u64).read_to_end(&mut start)?;
        Ok(Self::of(&start))
    }

    /// For an error message that begins with the file's name: what the file is where `expected` was, and what to do.
    pub fn instead_of(self, expected: &str) -> String {
        match self.advice() {
            None => format!("this is {self}, expected {expected}"),
            // What a stand-in stands for may well be what was expected.
            Some(advice) if self.is_stand_in() => format!("this is {self}: {advice}"),
            Some(advice) => format!("this is {self}, expected {expected}: {advice}"),
        }
    }

    /// Whether the file stands where another should be: a pointer, or a server's page.
    pub fn is_stand_in(self) -> bool {
        matches!(self, Self::GitLfsPointer | Self::GitAnnexPointer | Self::Html)
    }

    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::GitLfsPointer => "its data was not fetched (git lfs pull)",
            Self::GitAnnexPointer => "its data was not fetched (git annex get)",
            Self::Html => {
                "what was saved is a server's answer and not the file; fetch it again, signed in where that is needed"
            }
            Self::Xml => "if a server sent it, fetch the file again",
            Self::Bzip2 => "unpack it first (bunzip2)",
            Self::Xz => "unpack it first (unxz)",
            Self::Lz4 => "unpack it first (lz4 -d)",
            Self::Gzip => "unpack it first (gunzip)",
            Self::Zstd => "unpack it first (unzstd)",
            Self::Zip | Self::Tar | Self::SevenZip | Self::Rar => "unpack it first",
            Self::Npz => "save one array of it with numpy.save",
            Self::TorchZip | Self::Pickle => {
                "save it again in the expected format; pickles are not read, since they can run code"
            }
            Self::ArrowFile | Self::ArrowStream | Self::Feather1 | Self::Orc | Self::Avro => {
                "save it again in the expected format"
            }
            Self::WideText => "save it again in UTF-8",
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    /// With its article: `a Git LFS pointer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::GitLfsPointer => "a Git LFS pointer",
            Self::GitAnnexPointer => "a git-annex pointer",
            Self::Html => "an HTML page",
            Self::Xml => "an XML file",
            Self::Json => "JSON",
            Self::Text => "plain text",
            Self::WideText => "text in UTF-16 or UTF-32",
            Self::Gzip => "a gzip file",
            Self::Zstd => "a zstd file",
            Self::Bzip2 => "a bzip2 file",
            Self::Xz => "an xz file",
            Self::Lz4 => "an LZ4 file",
            Self::Zip => "a zip archive",
            Self::Npz => "an archive of NumPy arrays (.npz)",
            Self::TorchZip => "a PyTorch file (a zip of pickles)",
            Self::Tar => "a tar archive",
            Self::SevenZip => "a 7-Zip archive",
            Self::Rar => "a RAR archive",
            Self::Parquet => "a Parquet file",
            Self::EncryptedParquet => "a Parquet file with an encrypted footer",
            Self::ArrowFile => "an Arrow IPC file (Feather)",
            Self::ArrowStream => "an Arrow IPC stream",
            Self::Feather1 => "a Feather file of version 1",
            Self::Orc => "an ORC file",
            Self::Avro => "an Avro file",
            Self::Npy => "a NumPy array (.npy)",
            Self::Safetensors => "a safetensors file",
            Self::Gguf => "a GGUF file",
            Self::Pickle => "a Python pickle",
            Self::Hdf5 => "an HDF5 file",
            Self::MegatronIndex => "a Megatron-LM index (.idx)",
            Self::Sqlite => "a SQLite database",
            Self::Pdf => "a PDF file",
            Self::Unknown => "a binary file of an unknown format",
        })
    }
}

/// The marks that files begin with.
const MARKS: &[(Format, &[&[u8]])] = &[
    (Format::GitLfsPointer, &[b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"]),
    (Format::GitAnnexPointer, &[b"/annex/objects/"]),
    (Format::Gzip, &[&[0x1f, 0x8b]]),
    (Format::Zstd, &[&[0x28, 0xb5, 0x2f, 0xfd]]),
    (Format::Bzip2, &[b"BZh"]),
    (Format::Xz, &[b"\xfd7zXZ\0"]),
    (Format::Lz4, &[&[0x04, 0x22, 0x4d, 0x18]]),
    (Format::Zip, &[b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"]),
    (Format::SevenZip, &[b"7z\xbc\xaf\x27\x1c"]),
    (Format::Rar, &[b"Rar!\x1a\x07"]),
    (Format::Parquet, &[b"PAR1"]),
    (Format::EncryptedParquet, &[b"PARE"]),
    (Format::ArrowFile, &[b"ARROW1"]),
    (Format::Feather1, &[b"FEA1"]),
    (Format::Orc, &[b"ORC"]),
    (Format::Avro, &[b"Obj\x01"]),
    (Format::Npy, &[b"\x93NUMPY"]),
    (Format::Gguf, &[b"GGUF"]),
    (Format::Hdf5, &[b"\x89HDF\r\n\x1a\n"]),
    (Format::MegatronIndex, &[b"MMIDIDX\0\0"]),
    (Format::Sqlite, &[b"SQLite format 3\0"]),
    (Format::Pdf, &[b"%PDF-"]),
    (Format::WideText, &[&[0xff, 0xfe], &[0xfe, 0xff], &[0, 0, 0xfe, 0xff]]),
];

/// What a zip archive is for, by its first entry's name, which stands at byte 30 with its length at 26.
fn zip_content(start: &[u8]) -> Format {
    let name = match start {
        [b'P', b'K', 3, 4, ..] if start.len() >= 30 => {
            let length = usize::from(u16::from_le_bytes([start[26], start[27]]));
            &start[30..start.len().min(30 + length)]
        }
        _ => &[],
    };
    match name {
        _ if name.ends_with(b".npy") => Format::Npz,
        _ if name.ends_with(b"/data.pkl") => Format::TorchZip,
        _ => Format::Zip,
    }
}

/// The length of a header in JSON, then that header.
fn is_safetensors(start: &[u8]) -> bool {
    /// The format's own limit.
    const HEADER_MAX: u64 = 100_000_000;
    let Some((length, header)) = start.split_first_chunk() else { return false };
    (2..=HEADER_MAX).contains(&u64::from_le_bytes(*length)) && header.first() == Some(&b'{')
}

/// The mark of a message, then the length of what describes it: a multiple of 8, as all of Arrow's are.
fn is_arrow_stream(start: &[u8]) -> bool {
    const DESCRIPTION_MAX: u32 = 1 << 26;
    let Some((mark, rest)) = start.split_first_chunk() else { return false };
    let length = rest.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    u32::from_le_bytes(*mark) == u32::MAX && length > 0 && length % 8 == 0 && length <= DESCRIPTION_MAX
}

/// Which text it is, if it is any.
fn text(start: &[u8]) -> Format {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let content = start.trim_ascii_start();
    let begins =
        |mark: &str| content.get(..mark.len()).is_some_and(|content| content.eq_ignore_ascii_case(mark.as_bytes()));
    if begins("<!doctype html") || begins("<html") || begins("<head") {
        return Format::Html;
    }
    if begins("<?xml") {
        return Format::Xml;
    }
    if matches!(content.first(), Some(b'{' | b'[')) {
        return Format::Json;
    }
    let is_text = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The last character may go on behind what was read.
        Err(error) => error.error_len().is_none() && error.valid_up_to() + 4 > start.len(),
    };
    if is_text && !start.contains(&0) { Format::Text } else { Format::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let zip = |name: &str| {
            let mut bytes = b"PK\x03\x04".to_vec();
            bytes.resize(26, 0);
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
            bytes.extend(name.bytes());
            bytes.extend([0; 20]);
            bytes
        };
        let tar = {
            let mut bytes = b"data/train.jsonl".to_vec();
            bytes.resize(257, 0);
            bytes.extend(b"ustar\x0000");
            bytes
        };
        let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
        let cases: &[(&[u8], Format)] = &[
            (b"", Format::Empty),
            (lfs.as_bytes(), Format::GitLfsPointer),
            (b"/annex/objects/SHA256E-s5--aa.parquet\n", Format::GitAnnexPointer),
            (b"\n  <!DOCTYPE HTML><html>", Format::Html),
            (b"\xef\xbb\xbf<html lang=\"en\">", Format::Html),
            (b"<?xml version=\"1.0\"?><Error>", Format::Xml),
            (b"{\"text\": \"a\"}\n", Format::Json),
            (b"\xef\xbb\xbf [1]", Format::Json),
            ("prose, größer".as_bytes(), Format::Text),
            ("größ".as_bytes().split_at(6).0, Format::Text),
            (b"caf\xe9 au lait is no UTF-8", Format::Unknown),
            (b"a\0b", Format::Unknown),
            (b"\xff\xfe{\0", Format::WideText),
            (b"\x1f\x8b\x08\0", Format::Gzip),
            (b"\x28\xb5\x2f\xfd\0", Format::Zstd),
            (b"\x52\x2a\x4d\x18\0\0\0\0", Format::Zstd),
            (b"BZh91AY", Format::Bzip2),
            (b"\xfd7zXZ\0\0", Format::Xz),
            (b"\x04\x22\x4d\x18\0", Format::Lz4),
            (&zip("report.txt"), Format::Zip),
            (&zip("arr_0.npy"), Format::Npz),
            (&zip("archive/data.pkl"), Format::TorchZip),
            (b"PK\x05\x06", Format::Zip),
            (b"PK\x03\x04\0", Format::Zip),
            (&tar, Format::Tar),
            (b"PAR1\x15\x04", Format::Parquet),
            (b"PARE", Format::EncryptedParquet),
            (b"ARROW1\0\0", Format::ArrowFile),
            (b"\xff\xff\xff\xff\x78\x01\0\0", Format::ArrowStream),
            (b"\xff\xff\xff\xff", Format::Unknown),
            (b"\x93NUMPY\x01\0", Format::Npy),
            (b"\x10\0\0\0\0\0\0\0{\"a\": {}}", Format::Safetensors),
            (b"\x80\x02}q\0.", Format::Pickle),
            (b"GGUF\x03\0\0\0", Format::Gguf),
            (b"SQLite format 3\0", Format::Sqlite),
            (b"%PDF-1.7", Format::Pdf),
            (b"MMIDIDX\0\0\x01", Format::MegatronIndex),
        ];
        for (start, expected) in cases {
            assert_eq!(Format::of(start), *expected, "{:?}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn every_start_of_a_file_is_something() {
        for first in 0..=255 {
            for length in 0..40 {
                let mut bytes = vec![first; length];
                let _ = Format::of(&bytes);
                bytes.insert(0, b'P');
                let _ = Format::of(&bytes);
            }
        }
    }

    #[test]
    fn what_stands_in_for_a_file_is_not_said_to_have_the_wrong_format() {
        assert_eq!(
            Format::GitLfsPointer.instead_of("Parquet"),
            "this is a Git LFS pointer: its data was not fetched (git lfs pull)"
        );
        assert_eq!(
            Format::Bzip2.instead_of("JSON Lines"),
            "this is a bzip2 file, expected JSON Lines: unpack it first (bunzip2)"
        );
        assert_eq!(Format::Json.instead_of("Parquet"), "this is JSON, expected Parquet");
    }
}
