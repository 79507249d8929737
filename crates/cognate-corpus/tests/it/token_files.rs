//! Token files: the exact bytes, every sequence back, and no damage that goes unseen or brings the program down.

use std::path::Path;
use std::sync::LazyLock;

use cognate_base::Silent;
use cognate_base::format::Format;
use cognate_corpus::{Error, TokenFile, TokenStats, TokenWriter};
use proptest::prelude::*;

use crate::support::Folder;

fn write(prefix: &Path, vocab_size: usize, documents: &[Vec<u32>]) -> TokenStats {
    let mut writer = TokenWriter::create(prefix, vocab_size).unwrap();
    documents.iter().for_each(|document| writer.push(document).unwrap());
    writer.finish().unwrap()
}

fn everything(file: &TokenFile) -> Vec<Vec<u32>> {
    (0..file.documents()).map(|document| file.document(document)).collect()
}

/// The bytes that docs/formats.md describes, written down by hand.
fn index_by_hand(code: u8, lengths: &[i32], starts: &[i64], boundaries: &[i64]) -> Vec<u8> {
    let mut bytes = b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0".to_vec();
    bytes.push(code);
    bytes.extend((lengths.len() as u64).to_le_bytes());
    bytes.extend((boundaries.len() as u64).to_le_bytes());
    bytes.extend(lengths.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(starts.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(boundaries.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

#[test]
fn the_bytes_are_those_of_megatron() {
    let folder = Folder::new();
    let documents = [vec![5, 258, 0], vec![0], vec![7, 0]];
    let stats = write(&folder.path("two.v1"), 65_499, &documents);
    assert_eq!(stats, TokenStats { documents: 3, tokens: 6 });
    assert_eq!(fs_err::read(folder.path("two.v1.bin")).unwrap(), [5, 0, 2, 1, 0, 0, 0, 0, 7, 0, 0, 0]);
    let index = index_by_hand(8, &[3, 1, 2], &[0, 6, 8], &[0, 1, 2, 3]);
    assert_eq!(fs_err::read(folder.path("two.v1.idx")).unwrap(), index);
    write(&folder.path("four"), 65_500, &documents[1..]);
    assert_eq!(fs_err::read(folder.path("four.bin")).unwrap(), [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fs_err::read(folder.path("four.idx")).unwrap(), index_by_hand(4, &[1, 2], &[0, 4], &[0, 1, 2]));
}

#[test]
fn documents_of_several_sequences_are_read_whole() {
    let folder = Folder::new();
    let prefix = folder.path("a");
    folder.write("a.bin", [1, 0, 2, 0, 3, 0, 4, 0]);
    folder.write("a.idx", index_by_hand(8, &[2, 0, 1, 1], &[0, 4, 4, 6], &[0, 3, 4]));
    let file = TokenFile::open(&prefix).unwrap();
    assert_eq!(everything(&file), [vec![1, 2, 3], vec![4]]);
    assert_eq!((file.documents(), file.tokens(), file.len(0)), (2, 4, 3));
}

/// Megatron-LM's `IndexedDatasetBuilder` closes a document that got no sequence: two boundaries are the same.
#[test]
fn empty_documents_are_read() {
    let folder = Folder::new();
    folder.write("a.bin", [1, 0, 2, 0, 3, 0]);
    folder.write("a.idx", index_by_hand(8, &[2, 1], &[0, 4], &[0, 0, 1, 1, 1, 2, 2]));
    let file = TokenFile::open(&folder.path("a")).unwrap();
    assert_eq!(everything(&file), [vec![], vec![1u32, 2], vec![], vec![], vec![3], vec![]]);
    assert_eq!((file.documents(), file.tokens(), file.len(0), file.len(5)), (6, 3, 0, 0));
    file.check_ids(4, &Silent).unwrap();
    folder.write("none.bin", []);
    folder.write("none.idx", index_by_hand(8, &[], &[], &[0, 0, 0]));
    let none = TokenFile::open(&folder.path("none")).unwrap();
    assert!(none.is_empty() && everything(&none) == vec![Vec::<u32>::new(); 2]);
}

#[test]
fn tokens_of_every_whole_type_are_read() {
    let folder = Folder::new();
    let tokens = [5i64, 0, 100];
    let bytes =
        |width: usize| -> Vec<u8> { tokens.iter().flat_map(|token| token.to_le_bytes()[..width].to_vec()).collect() };
    for (code, width) in [(1, 1), (2, 1), (3, 2), (4, 4), (5, 8), (8, 2)] {
        folder.write("a.bin", bytes(width));
        folder.write("a.idx", index_by_hand(code, &[1, 2], &[0, width as i64], &[0, 1, 2]));
        let file = TokenFile::open(&folder.path("a")).unwrap();
        assert_eq!(everything(&file), [vec![5], vec![0, 100]], "type {code}");
        let mut out = Vec::new();
        file.read(1, 1..2, &mut out);
        assert_eq!((out, file.tokens()), (vec![100], 3), "type {code}");
        file.check_ids(101, &Silent).unwrap();
    }
    // A number that no token has is told as it stands there, and never taken for another.
    for (code, bytes, found) in [
        (2u8, vec![255u8], "-1"),
        (3, vec![0, 128], "-32768"),
        (4, vec![255; 4], "-1"),
        (5, (1i64 << 32).to_le_bytes().to_vec(), "4294967296"),
    ] {
        folder.write("b.bin", &bytes);
        folder.write("b.idx", index_by_hand(code, &[1], &[0], &[0, 1]));
        let file = TokenFile::open(&folder.path("b")).unwrap();
        assert_eq!(everything(&file), [vec![u32::MAX]], "type {code}");
        assert_eq!(
            folder.message(&file.check_ids(1 << 20, &Silent).unwrap_err()),
            format!("DIR/b.bin: document 0 holds token {found}, outside the vocabulary of 1048576 tokens")
        );
    }
}

#[test]
fn no_documents_at_all() {
    let folder = Folder::new();
    assert_eq!(write(&folder.path("a"), 300, &[]), TokenStats { documents: 0, tokens: 0 });
    let file = TokenFile::open(&folder.path("a")).unwrap();
    assert!(file.is_empty() && file.documents() == 0);
}

proptest! {
    #[test]
    fn every_range_of_every_document_comes_back(
        documents in prop::collection::vec(prop::collection::vec(0u32..70_000, 0..20), 0..12),
        two_bytes in any::<bool>(),
        cut in any::<[prop::sample::Index; 2]>(),
    ) {
        let folder = Folder::new();
        let (vocab_size, limit) = if two_bytes { (65_499, 65_499) } else { (70_000, 70_000) };
        let documents: Vec<Vec<u32>> =
            documents.into_iter().map(|tokens| tokens.into_iter().map(|id| id % limit).collect()).collect();
        let stats = write(&folder.path("a"), vocab_size, &documents);
        let file = TokenFile::open(&folder.path("a")).unwrap().clone();
        prop_assert_eq!(stats.tokens, file.tokens());
        prop_assert_eq!(&everything(&file), &documents);
        for (i, document) in documents.iter().enumerate() {
            prop_assert_eq!(file.len(i), document.len());
            let [a, b] = cut.map(|cut| cut.index(document.len() + 1));
            let mut out = vec![99];
            file.read(i, a.min(b)..a.max(b), &mut out);
            prop_assert_eq!(out[0], 99);
            prop_assert_eq!(&out[1..], &document[a.min(b)..a.max(b)]);
        }
        let largest = documents.iter().flatten().max().copied().unwrap_or_default() as usize;
        prop_assert!(file.check_ids(largest + 1, &Silent).is_ok());
        prop_assert_eq!(file.check_ids(largest, &Silent).is_ok(), documents.iter().all(Vec::is_empty));
    }
}

/// The index and data of documents of several lengths, one of them empty.
static HEALTHY: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let folder = Folder::new();
    write(&folder.path("a"), 300, &[vec![1, 2, 3, 0], vec![], vec![4, 0], vec![0], vec![255, 256, 257, 258, 0]]);
    (fs_err::read(folder.path("a.idx")).unwrap(), fs_err::read(folder.path("a.bin")).unwrap())
});

/// Opens a pair of files; what opens must be readable to its last token.
fn open(folder: &Folder, index: &[u8], data: &[u8]) -> Result<Vec<Vec<u32>>, Error> {
    folder.write("a.idx", index);
    folder.write("a.bin", data);
    let file = TokenFile::open(&folder.path("a"))?;
    let _ = file.check_ids(300, &Silent);
    Ok(everything(&file))
}

#[test]
fn every_change_of_one_byte_of_the_index_is_an_error_or_moves_a_boundary() {
    let folder = Folder::new();
    let (index, data) = HEALTHY.clone();
    let healthy = open(&folder, &index, &data).unwrap();
    let boundaries = index.len() - 8 * (healthy.len() + 1);
    for at in 0..index.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut damaged = index.clone();
            damaged[at] ^= flip;
            let opened = open(&folder, &damaged, &data);
            if let (true, Ok(moved)) = (at >= boundaries, &opened) {
                // Another legal file: every token is in one document all the same.
                assert_eq!(moved.concat(), healthy.concat(), "byte {at}");
                continue;
            }
            let error = opened.expect_err("damage goes unseen");
            assert!(matches!(error, Error::TokenFile { .. }), "byte {at}: {error}");
        }
    }
}

#[test]
fn every_other_length_of_either_file_is_an_error() {
    let folder = Folder::new();
    let (index, data) = HEALTHY.clone();
    for length in (0..index.len()).chain([index.len() + 1, index.len() + 8]) {
        let mut other = index.clone();
        other.resize(length, 0);
        assert!(matches!(open(&folder, &other, &data), Err(Error::TokenFile { .. })), "index of {length}");
    }
    for length in (0..data.len()).chain([data.len() + 1, data.len() + 2]) {
        let mut other = data.clone();
        other.resize(length, 0);
        assert!(matches!(open(&folder, &index, &other), Err(Error::TokenFile { .. })), "data of {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_damage_brings_the_program_down(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        interesting in prop::option::of((18usize..42, prop::sample::select(vec![0u64, 1, u64::MAX, 1 << 63, 1 << 61, u64::MAX / 12, i64::MAX as u64]))),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = Folder::new();
        let (mut index, mut data) = HEALTHY.clone();
        for (at, byte) in changes {
            let at = at.index(index.len() + data.len());
            *(if at < index.len() { &mut index[at] } else { &mut data[at - index.len()] }) = byte;
        }
        if let Some((at, number)) = interesting {
            index[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        if let Some(length) = length {
            index.truncate(length.index(index.len() + 1));
        }
        let _ = open(&folder, &index, &data);
    }
}

/// What a repository keeps in the place of a large file.
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn what_is_wrong_is_said() {
    let folder = Folder::new();
    let complaint = |index: &[u8], data: &[u8]| folder.message(&open(&folder, index, data).unwrap_err());
    let two = |code, lengths: &[i32], starts: &[i64], boundaries: &[i64]| {
        complaint(&index_by_hand(code, lengths, starts, boundaries), &[1, 0, 2, 0, 3, 0])
    };
    let mut newer = index_by_hand(8, &[], &[], &[0]);
    newer[9] = 2;
    for (message, expected) in [
        (complaint(b"", b""), "a.idx is not a usable token file: 0 bytes, less than the header's 34"),
        (
            complaint(&[b'x'; 50], b""),
            "a.idx is not a usable token file: it does not begin with MMIDIDX, the mark of a Megatron-LM index: this is plain text, expected a \
             Megatron-LM index",
        ),
        (
            complaint(POINTER.as_bytes(), b""),
            &format!(
                "a.idx is not a usable token file: it does not begin with MMIDIDX, the mark of a Megatron-LM index: {}",
                Format::GitLfsPointer.instead_of("")
            ),
        ),
        (complaint(&newer, b""), "a.idx is not a usable token file: version 2, expected 1"),
        (
            two(7, &[3], &[0], &[0, 1]),
            "a.idx is not a usable token file: element type 7, expected a whole number's: 8 (uint16), 4 (int32), 5 (int64), \
             3 (int16), 1 (uint8) or 2 (int8)",
        ),
        (
            two(8, &[3], &[0, 6], &[0, 1]),
            "a.idx is not a usable token file: 70 bytes, but 1 sequences and 2 document boundaries need another length",
        ),
        (two(8, &[-1, 4], &[0, 2], &[0, 1, 2]), "a.idx is not a usable token file: sequence 0 has length -1"),
        (
            two(8, &[1, 2], &[0, 4], &[0, 1, 2]),
            "a.idx is not a usable token file: sequence 1 begins at byte 4, expected 2",
        ),
        (
            two(8, &[1, 1, 1], &[0, 2, 4], &[0, 2, 1, 3]),
            "a.idx is not a usable token file: document boundary 2 is 1, expected at least 2",
        ),
        (two(8, &[1, 2], &[0, 2], &[0, 1]), "a.idx is not a usable token file: document boundary 1 is 1, expected 2"),
        (two(8, &[1, 2], &[0, 2], &[1, 2]), "a.idx is not a usable token file: document boundary 0 is 1, expected 0"),
        (two(8, &[3], &[0], &[0]), "a.idx is not a usable token file: document boundary 0 is 0, expected 1"),
        (two(4, &[1], &[0], &[0, 1]), "a.bin is not a usable token file: 6 bytes, but its index tells of 4"),
    ] {
        assert_eq!(message, format!("DIR/{expected}; write it again"));
    }
    let missing = TokenFile::open(&folder.path("none")).unwrap_err();
    assert!(folder.message(&missing).contains("DIR/none.idx"), "{missing}");
}

#[test]
fn tokens_outside_the_vocabulary() {
    let folder = Folder::new();
    let mut writer = TokenWriter::create(&folder.path("a"), 300).unwrap();
    writer.push(&[299]).unwrap();
    assert_eq!(
        folder.message(&writer.push(&[1, 300]).unwrap_err()),
        "DIR/a.bin: document 1 holds token 300, outside the vocabulary of 300 tokens"
    );
    let file = {
        write(&folder.path("b"), 300, &[vec![0], vec![1, 250]]);
        TokenFile::open(&folder.path("b")).unwrap()
    };
    assert_eq!(
        folder.message(&file.check_ids(250, &Silent).unwrap_err()),
        "DIR/b.bin: document 1 holds token 250, outside the vocabulary of 250 tokens"
    );
}

#[test]
fn files_appear_together_or_not_at_all() {
    let folder = Folder::new();
    let mut writer = TokenWriter::create(&folder.path("a"), 300).unwrap();
    writer.push(&[1, 2]).unwrap();
    drop(writer);
    assert!(folder.names("").is_empty());
    write(&folder.path("a"), 300, &[vec![1]]);
    write(&folder.path("a"), 300, &[vec![2]]);
    assert_eq!(folder.names(""), ["a.bin", "a.idx"]);
    assert_eq!(everything(&TokenFile::open(&folder.path("a")).unwrap()), [vec![2]]);
}

#[test]
fn an_open_file_survives_its_replacement() {
    let folder = Folder::new();
    write(&folder.path("a"), 300, &[vec![1, 2, 3]]);
    let old = TokenFile::open(&folder.path("a")).unwrap();
    write(&folder.path("a"), 300, &[vec![9]]);
    assert_eq!(everything(&old), [vec![1, 2, 3]]);
}
