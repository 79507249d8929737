//! Inputs made at random from good ones, for tests.

use cognate_base::random::Rng;

/// How many inputs a test tries: a bounded number, or as many as `COGNATE_FUZZ_INPUTS` says.
pub(crate) fn inputs() -> u64 {
    std::env::var("COGNATE_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// What programs stumble over.
const PIECES: [&[u8]; 24] = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"18446744073709551616",
    b"-1",
    b"null",
    b"{",
    b"[[[[[[[[",
    b"\"",
    b"\\ud83d",
    b"\\u0000",
    b"\\",
    b"\xff",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b":",
    b",",
    b"ffffffffffffffff",
    b"0",
    b"\x1b[31m",
    b"<|related|>",
    b"s3cret-Zq81",
    b"\xe2\x80\xae",
];

/// A copy with one to four changes: bits, bytes, pieces put in, taken out, doubled, or the end cut off.
pub(crate) fn mutated(bytes: &[u8], stream: &mut impl Rng) -> Vec<u8> {
    let mut below = |n: usize| (stream.next_u64() % n.max(1) as u64) as usize;
    let mut bytes = bytes.to_vec();
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        let end = (at + below(20)).min(bytes.len());
        match below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            1 if at < bytes.len() => bytes[at] = below(256) as u8,
            2 => drop(bytes.splice(at..at, PIECES[below(PIECES.len())].iter().copied())),
            3 => drop(bytes.splice(at..end, PIECES[below(PIECES.len())].iter().copied())),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            6 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}
