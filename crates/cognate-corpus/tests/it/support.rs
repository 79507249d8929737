//! What the tests share: a scratch folder, packers, and documents to hand.

use std::io::Write;
use std::path::{Path, PathBuf};

use cognate_base::Silent;
use cognate_corpus::{Document, Error, IngestConfig, Metadata, Origin, ReadOptions, Reader, Result};

/// A folder that disappears with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// The names of all files in the folder, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs_err::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// An error as a person reads it, with the folder's own path written `DIR`.
    pub(crate) fn message(&self, error: &Error) -> String {
        error.to_string().replace(&self.0.path().display().to_string(), "DIR")
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstandard(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Splits of some hundred documents, each of which has some.
pub(crate) fn config() -> IngestConfig {
    IngestConfig {
        seed: 7,
        validation_share: 0.1,
        unique_share: 0.3,
        selection_share: 0.1,
        contamination_words: 13,
        contamination_documents: 10,
        limit: None,
        chunk_tokens: None,
        tokenizer: None,
        read: ReadOptions::default(),
    }
}

pub(crate) fn document(id: &str, text: &str) -> Document {
    Document { id: id.to_owned(), text: text.to_owned(), group: None, metadata: Metadata::default() }
}

pub(crate) fn line(id: &str, text: &str) -> String {
    serde_json::json!({"id": id, "text": text}).to_string() + "\n"
}

pub(crate) fn read(paths: &[PathBuf], options: &ReadOptions) -> Result<Vec<(Origin, Document)>> {
    Reader::open(paths, options, &Silent)?.collect()
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<Document>> {
    Ok(read(&[path.to_path_buf()], &ReadOptions::default())?.into_iter().map(|(_, document)| document).collect())
}

/// A text of `words` pseudo-random words that shares no long passage with one of another number.
pub(crate) fn prose(number: u64, words: usize) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635;
    let mut below = |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % n
    };
    const SYLLABLES: [&str; 12] = ["ba", "ke", "li", "mon", "nu", "ra", "sil", "to", "ves", "hap", "dor", "fen"];
    let mut word = || -> String { (0..=below(3)).map(|_| SYLLABLES[below(12) as usize]).collect() };
    (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
}
