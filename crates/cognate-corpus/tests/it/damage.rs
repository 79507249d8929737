//! Damaged and hostile token files: 20,000 in each run, or as many as `COGNATE_FUZZ_INPUTS` says.
//!
//! A pair of files is refused by an error that names one of the two, or opens; then every document is readable, all of them together
//! are the numbers of the data file in their order, and whether a number is a token is told exactly. Nothing panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cognate_base::Silent;
use cognate_base::random::{ChaCha8Rng, Rng, RngExt, stream};
use cognate_corpus::{Error, TokenFile};

use crate::support::Folder;

/// Inputs of a campaign.
fn cases() -> u64 {
    std::env::var("COGNATE_FUZZ_INPUTS").map_or(20_000, |cases| cases.parse().unwrap())
}

fn pick<'a, T>(random: &mut ChaCha8Rng, list: &'a [T]) -> &'a T {
    &list[random.random_range(0..list.len())]
}

/// Megatron-LM's codes, the widths of what they name, and whether that has a sign; 6 and 7 are no whole numbers.
const TYPES: [(u8, usize, bool); 6] =
    [(1, 1, false), (2, 1, true), (3, 2, true), (4, 4, true), (5, 8, true), (8, 2, false)];

/// Index and data.
type Pair = (Vec<u8>, Vec<u8>);

/// A good pair: documents of several sequences, empty sequences, empty documents, of any type.
fn good(random: &mut ChaCha8Rng) -> Pair {
    let (code, width, _) = *pick(random, &TYPES);
    let (mut lengths, mut boundaries) = (Vec::<i32>::new(), vec![0i64]);
    for _ in 0..random.random_range(0..5) {
        for _ in 0..random.random_range(0..3) {
            lengths.push(random.random_range(0..4));
        }
        boundaries.push(lengths.len() as i64);
    }
    let tokens: i32 = lengths.iter().sum();
    let data =
        (0..tokens as usize * width).map(|_| if random.random_range(0..2) == 0 { 0 } else { random.next_u64() as u8 });
    let data: Vec<u8> = data.collect();
    let mut index = b"MMIDIDX\0\0\x01\0\0\0\0\0\0\0".to_vec();
    index.push(code);
    index.extend((lengths.len() as u64).to_le_bytes());
    index.extend((boundaries.len() as u64).to_le_bytes());
    index.extend(lengths.iter().flat_map(|number| number.to_le_bytes()));
    let mut start = 0i64;
    for length in &lengths {
        index.extend(start.to_le_bytes());
        start += i64::from(*length) * width as i64;
    }
    index.extend(boundaries.iter().flat_map(|number| number.to_le_bytes()));
    (index, data)
}

/// Numbers that sizes and places go wrong with.
const SIZES: [u64; 14] =
    [0, 1, 2, 3, 4, 7, 8, 1000, 1 << 31, 1 << 32, 1 << 60, i64::MAX as u64, u64::MAX, u64::MAX / 12];

fn damage(random: &mut ChaCha8Rng, (index, data): &mut Pair) {
    for _ in 0..random.random_range(1..4) {
        let bytes = if random.random_range(0..4) == 0 { &mut *data } else { &mut *index };
        let len = bytes.len();
        if len == 0 {
            bytes.push(random.next_u64() as u8);
            continue;
        }
        let at = random.random_range(0..len);
        match random.random_range(0..10) {
            0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.next_u64() as u8,
            3 => bytes.truncate(at),
            4 => bytes.extend((0..random.random_range(1..20)).map(|_| 0)),
            5 => drop(bytes.drain(at..(at + random.random_range(1..20usize)).min(len))),
            // A count, length, place or boundary, where one stands.
            6 | 7 if len >= 26 => {
                let places = [18, 26, 34 + (at / 4) * 4, len - 8 * (1 + at % (len / 8).max(1))];
                let place = *pick(random, &places);
                let number = pick(random, &SIZES).to_le_bytes();
                let end = (place + 8).min(len);
                if place < end {
                    bytes[place..end].copy_from_slice(&number[..end - place]);
                }
            }
            8 if len > 17 => bytes[17] = random.random_range(0..10) as u8,
            _ => bytes.swap(at, len - 1),
        }
    }
}

/// The numbers of the data, by their definition and not by the reader's.
fn numbers(code: u8, data: &[u8]) -> Vec<i64> {
    let (_, width, signed) = *TYPES.iter().find(|(known, ..)| *known == code).unwrap();
    let one = |bytes: &[u8]| {
        let unsigned = bytes.iter().rev().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        let unused = 64 - 8 * width as u32;
        if signed { (unsigned << unused).cast_signed() >> unused } else { unsigned.cast_signed() }
    };
    data.chunks_exact(width).map(one).collect()
}

/// Whether the pair opens; panics where something is wrong with how.
fn opens(folder: &Folder, (index, data): &Pair) -> bool {
    folder.write("a.idx", index);
    folder.write("a.bin", data);
    let file = match TokenFile::open(&folder.path("a")) {
        Ok(file) => file,
        Err(error) => {
            let message = folder.message(&error);
            assert!(matches!(error, Error::TokenFile { .. }), "{message}");
            assert!(message.starts_with("DIR/a.idx ") || message.starts_with("DIR/a.bin "), "{message}");
            return false;
        }
    };
    let expected = numbers(index[17], data);
    let documents: Vec<Vec<u32>> = (0..file.documents()).map(|document| file.document(document)).collect();
    assert_eq!(file.tokens(), expected.len() as u64);
    for (document, tokens) in documents.iter().enumerate() {
        assert_eq!(file.len(document), tokens.len());
        let mut read = Vec::new();
        file.read(document, tokens.len() / 2..tokens.len(), &mut read);
        assert_eq!(read, tokens[tokens.len() / 2..]);
    }
    let as_token = |number: &i64| u32::try_from(*number).unwrap_or(u32::MAX);
    assert_eq!(documents.concat(), expected.iter().map(as_token).collect::<Vec<_>>());
    for vocabulary in [1usize, 200, 1 << 20] {
        let all = expected.iter().all(|number| usize::try_from(*number).is_ok_and(|number| number < vocabulary));
        assert_eq!(file.check_ids(vocabulary, &Silent).is_ok(), all, "vocabulary of {vocabulary}");
    }
    true
}

#[test]
fn a_damaged_token_file_is_refused_or_right() {
    let folder = Folder::new();
    let (cases, mut opened) = (cases(), 0);
    for case in 0..cases {
        let mut random = stream(2026, "token files", case);
        let mut pair = good(&mut random);
        if case % 16 == 0 {
            assert!(opens(&folder, &pair), "case {case}: a good pair");
        }
        damage(&mut random, &mut pair);
        let result = catch_unwind(AssertUnwindSafe(|| opens(&folder, &pair)));
        let Ok(open) = result else { panic!("case {case}: see above; {pair:x?}") };
        opened += u64::from(open);
    }
    // Both outcomes are common, or the damage shows nothing.
    assert!(opened > cases / 20 && opened < cases * 19 / 20, "{opened} of {cases} opened");
}
