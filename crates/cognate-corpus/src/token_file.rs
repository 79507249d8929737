//! Token files in the format of Megatron-LM's indexed datasets, which Megatron, NeMo and torchtitan read:
//! `<prefix>.bin` holds the tokens of all documents, `<prefix>.idx` says where each begins. The bytes are written down
//! in docs/formats.md.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::Monitor;
use cognate_base::files::{AtomicFile, map};
use cognate_base::format::Format;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, TokenFileProblem};

const MAGIC: &[u8; 9] = b"MMIDIDX\0\0";
const VERSION: u64 = 1;
/// Magic, version, element type, sequences, document boundaries.
const HEADER: usize = 9 + 8 + 1 + 8 + 8;
/// Megatron-LM's own limit for two-byte tokens (`DType.optimal_dtype`).
const TWO_BYTE_VOCABULARY: usize = 65_500;

/// How one token is stored. Written are the two that Megatron-LM's own tools write; read are all of its whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    U8,
    I8,
    I16,
    I32,
    I64,
    U16,
}

impl Element {
    fn for_vocabulary(vocab_size: usize) -> Self {
        if vocab_size < TWO_BYTE_VOCABULARY { Self::U16 } else { Self::I32 }
    }

    /// The number that an index names it by (`DType` in Megatron-LM; 6 and 7 are numbers with a fraction, which are no tokens).
    fn code(self) -> u8 {
        match self {
            Self::U8 => 1,
            Self::I8 => 2,
            Self::I16 => 3,
            Self::I32 => 4,
            Self::I64 => 5,
            Self::U16 => 8,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        let all = [Self::U8, Self::I8, Self::I16, Self::I32, Self::I64, Self::U16];
        all.into_iter().find(|element| element.code() == code)
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// The numbers that some bytes hold.
    fn numbers<'a>(self, bytes: &'a [u8]) -> Box<dyn Iterator<Item = i64> + 'a> {
        match self {
            Self::U8 => Box::new(bytes.iter().map(|&byte| i64::from(byte))),
            Self::I8 => Box::new(bytes.iter().map(|&byte| i64::from(byte.cast_signed()))),
            Self::I16 => Box::new(bytes.as_chunks().0.iter().map(|chunk| i64::from(i16::from_le_bytes(*chunk)))),
            Self::U16 => Box::new(bytes.as_chunks().0.iter().map(|chunk| i64::from(u16::from_le_bytes(*chunk)))),
            Self::I32 => Box::new(bytes.as_chunks().0.iter().map(|chunk| i64::from(i32::from_le_bytes(*chunk)))),
            Self::I64 => Box::new(bytes.as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk))),
        }
    }
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    // Not `with_extension`: a prefix may hold a dot.
    let mut name = prefix.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What a token file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStats {
    /// Documents.
    pub documents: u64,
    /// Tokens of all documents together.
    pub tokens: u64,
}

/// Writes a pair of token files, document by document. They appear when [`TokenWriter::finish`] succeeds.
#[derive(Debug)]
pub struct TokenWriter {
    prefix: PathBuf,
    data: AtomicFile,
    element: Element,
    vocab_size: usize,
    lengths: Vec<i32>,
    buffer: Vec<u8>,
}

impl TokenWriter {
    /// Starts `<prefix>.bin` and `<prefix>.idx`. Tokens take two bytes in a vocabulary below 65,500, otherwise four.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(prefix: &Path, vocab_size: usize) -> Result<Self> {
        let data = AtomicFile::create(with_ending(prefix, ".bin"))?;
        let element = Element::for_vocabulary(vocab_size);
        Ok(Self { prefix: prefix.to_path_buf(), data, element, vocab_size, lengths: Vec::new(), buffer: Vec::new() })
    }

    /// Adds a document, which the caller has closed with its end-of-document token.
    ///
    /// # Errors
    /// When a token is outside the vocabulary, the document has more than 2³¹ − 1 tokens, or the file cannot be
    /// written.
    pub fn push(&mut self, tokens: &[u32]) -> Result<()> {
        let document = self.lengths.len();
        let too_long = |_| Error::DocumentTooLong { document, tokens: tokens.len() };
        let length = i32::try_from(tokens.len()).map_err(too_long)?;
        let limit = self.vocab_size.min(i32::MAX as usize);
        if let Some(&id) = tokens.iter().find(|id| **id as usize >= limit) {
            let path = with_ending(&self.prefix, ".bin");
            return Err(Error::TokenOutOfRange { path, document, id: id.into(), vocab_size: self.vocab_size });
        }
        self.buffer.clear();
        match self.element {
            Element::U16 => self.buffer.extend(tokens.iter().flat_map(|id| (*id as u16).to_le_bytes())),
            _ => self.buffer.extend(tokens.iter().flat_map(|id| id.to_le_bytes())),
        }
        self.data.write_all(&self.buffer)?;
        self.lengths.push(length);
        Ok(())
    }

    /// Puts both files in place, the index last: where an index stands, its tokens stand too.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub fn finish(self) -> Result<TokenStats> {
        let index_path = with_ending(&self.prefix, ".idx");
        // An older index must not be seen beside the new tokens.
        match fs_err::remove_file(&index_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => self.data.commit()?,
        }
        let mut index = AtomicFile::create(&index_path)?;
        let documents = self.lengths.len() as u64;
        index.write_all(MAGIC)?;
        index.write_all(&VERSION.to_le_bytes())?;
        index.write_all(&[self.element.code()])?;
        index.write_all(&documents.to_le_bytes())?;
        index.write_all(&(documents + 1).to_le_bytes())?;
        for length in &self.lengths {
            index.write_all(&length.to_le_bytes())?;
        }
        let mut tokens = 0u64;
        for length in &self.lengths {
            index.write_all(&(tokens * self.element.bytes() as u64).to_le_bytes())?;
            tokens += u64::from(length.unsigned_abs());
        }
        for document in 0..=documents {
            index.write_all(&document.to_le_bytes())?;
        }
        index.commit()?;
        Ok(TokenStats { documents, tokens })
    }
}

/// A pair of token files, memory-mapped and checked. Clones share the mapping.
#[derive(Clone, Debug)]
pub struct TokenFile(Arc<Mapped>);

#[derive(Debug)]
struct Mapped {
    data_path: PathBuf,
    data: Mmap,
    index: Mmap,
    element: Element,
    sequences: usize,
    documents: usize,
}

impl TokenFile {
    /// Maps `<prefix>.bin` and `<prefix>.idx` and checks every number of the index against all others and the files'
    /// lengths.
    ///
    /// Reads what Megatron-LM writes too: tokens of any whole type, and documents of several sequences, or of none.
    ///
    /// # Errors
    /// When a file cannot be opened, or anything in them does not fit; the message names the file and the
    /// contradiction.
    pub fn open(prefix: &Path) -> Result<Self> {
        let (index_path, data_path) = (with_ending(prefix, ".idx"), with_ending(prefix, ".bin"));
        let (index, data) = (map(&index_path)?, map(&data_path)?);
        let bad = |problem| Error::TokenFile { path: index_path.clone(), problem };
        let (element, sequences, documents) = check_header(&index).map_err(bad)?;
        let mapped = Mapped { data_path, data, index, element, sequences, documents };
        let bytes = mapped.check_sequences().map_err(bad)?;
        mapped.check_documents().map_err(bad)?;
        if bytes != mapped.data.len() as u64 {
            let problem = TokenFileProblem::DataLength { bytes: mapped.data.len(), expected: bytes };
            return Err(Error::TokenFile { path: mapped.data_path, problem });
        }
        Ok(Self(Arc::new(mapped)))
    }

    /// Where the tokens are.
    pub fn path(&self) -> &Path {
        &self.0.data_path
    }

    /// How many documents there are.
    pub fn documents(&self) -> usize {
        self.0.documents
    }

    /// How many tokens all documents have together.
    pub fn tokens(&self) -> u64 {
        (self.0.data.len() / self.0.element.bytes()) as u64
    }

    /// How many tokens a document has.
    ///
    /// # Panics
    /// When there is no such document.
    pub fn len(&self, document: usize) -> usize {
        self.0.document(document).len() / self.0.element.bytes()
    }

    /// Whether there is not one token.
    pub fn is_empty(&self) -> bool {
        self.0.data.is_empty()
    }

    /// Appends the tokens `range` of a document to `out`.
    ///
    /// # Panics
    /// When there is no such document, or it has no such tokens.
    pub fn read(&self, document: usize, range: Range<usize>, out: &mut Vec<u32>) {
        let width = self.0.element.bytes();
        self.0.decode(&self.0.document(document)[range.start * width..range.end * width], out);
    }

    /// The tokens of a document.
    ///
    /// # Panics
    /// When there is no such document.
    pub fn document(&self, document: usize) -> Vec<u32> {
        let mut out = Vec::new();
        self.0.decode(self.0.document(document), &mut out);
        out
    }

    /// Reads every token once, and checks that it belongs to a vocabulary of `vocab_size` tokens.
    ///
    /// # Errors
    /// Names the first document with a token that does not; or when the monitor interrupts.
    pub fn check_ids(&self, vocab_size: usize, monitor: &dyn Monitor) -> Result<()> {
        let outside = |id: &i64| !usize::try_from(*id).is_ok_and(|id| id < vocab_size);
        for document in 0..self.documents() {
            monitor.check()?;
            if let Some(id) = self.0.element.numbers(self.0.document(document)).find(outside) {
                return Err(Error::TokenOutOfRange { path: self.0.data_path.clone(), document, id, vocab_size });
            }
        }
        Ok(())
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// The element type, sequences and documents of an index whose length agrees with them.
fn check_header(index: &[u8]) -> Result<(Element, usize, usize), TokenFileProblem> {
    if !index.starts_with(&MAGIC[..index.len().min(MAGIC.len())]) {
        return Err(TokenFileProblem::Magic { instead: Format::of(index).instead_of("a Megatron-LM index") });
    }
    if index.len() < HEADER {
        return Err(TokenFileProblem::NoHeader { bytes: index.len() });
    }
    let version = u64_at(index, 9);
    if version != VERSION {
        return Err(TokenFileProblem::Version { found: version });
    }
    let element = Element::of_code(index[17]).ok_or(TokenFileProblem::ElementType { found: index[17] })?;
    let (sequences, boundaries) = (u64_at(index, 18), u64_at(index, 26));
    // A length and a place for each sequence, and the boundaries.
    let needed = sequences.checked_mul(12).zip(boundaries.checked_mul(8)).and_then(|(a, b)| a.checked_add(b));
    if boundaries == 0 || needed.and_then(|needed| needed.checked_add(HEADER as u64)) != Some(index.len() as u64) {
        return Err(TokenFileProblem::IndexLength { bytes: index.len(), sequences, boundaries });
    }
    // Both fit: the index that holds them is in memory.
    Ok((element, sequences as usize, boundaries as usize - 1))
}

impl Mapped {
    fn length(&self, sequence: usize) -> i32 {
        let at = HEADER + 4 * sequence;
        let mut number = [0; 4];
        number.copy_from_slice(&self.index[at..at + 4]);
        i32::from_le_bytes(number)
    }

    /// The byte at which a sequence begins; the end of the data for the one after the last.
    fn start(&self, sequence: usize) -> u64 {
        if sequence == self.sequences {
            return self.data.len() as u64;
        }
        u64_at(&self.index, HEADER + 4 * self.sequences + 8 * sequence)
    }

    fn boundary(&self, document: usize) -> u64 {
        u64_at(&self.index, HEADER + 12 * self.sequences + 8 * document)
    }

    /// Sequences stand one after the other without gaps; returns where the last one ends.
    fn check_sequences(&self) -> Result<u64, TokenFileProblem> {
        let mut expected = 0u64;
        for sequence in 0..self.sequences {
            let found = u64_at(&self.index, HEADER + 4 * self.sequences + 8 * sequence);
            if found != expected {
                return Err(TokenFileProblem::SequenceStart { sequence, found: found.cast_signed(), expected });
            }
            let length = self.length(sequence);
            let bytes =
                u64::try_from(length).map_err(|_| TokenFileProblem::SequenceLength { sequence, found: length })?;
            // Lengths of a damaged index may sum up to anything.
            expected = (bytes * self.element.bytes() as u64)
                .checked_add(expected)
                .ok_or(TokenFileProblem::SequenceLength { sequence, found: length })?;
        }
        Ok(expected)
    }

    /// Documents follow each other, and together they have all sequences. One without any is an empty document, as Megatron-LM writes
    /// it for an empty text.
    fn check_documents(&self) -> Result<(), TokenFileProblem> {
        let mut least = 0;
        for boundary in 0..=self.documents {
            let found = self.boundary(boundary);
            let last = boundary == self.documents;
            let expected = match boundary {
                0 if !last => "0".to_owned(),
                _ if last => self.sequences.to_string(),
                _ => format!("at least {least}"),
            };
            let fits = found >= least && (boundary > 0 || found == 0) && (!last || found == self.sequences as u64);
            if !fits {
                return Err(TokenFileProblem::DocumentBoundary { boundary, found: found.cast_signed(), expected });
            }
            least = found;
        }
        Ok(())
    }

    fn document(&self, document: usize) -> &[u8] {
        assert!(document < self.documents, "document {document} of {}", self.documents);
        let [start, end] = [document, document + 1].map(|at| self.start(self.boundary(at) as usize) as usize);
        &self.data[start..end]
    }

    /// A number that no token can have (one below 0 or beyond 32 bits) becomes the largest: in no vocabulary, so whoever checks the
    /// file's tokens is told.
    fn decode(&self, bytes: &[u8], out: &mut Vec<u32>) {
        out.extend(self.element.numbers(bytes).map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
    }
}
