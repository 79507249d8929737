//! Damaged files by small changes to good ones, drawn from a fixed seed.

use cognate_base::random::{ChaCha8Rng, Rng, RngExt};

/// Numbers that sizes, offsets and lengths go wrong with.
const SIZES: [u64; 14] = [
    0,
    1,
    2,
    127,
    128,
    1 << 15,
    1 << 16,
    (1 << 24) + 1,
    i32::MAX as u64,
    1 << 31,
    1 << 32,
    1 << 60,
    i64::MAX as u64,
    u64::MAX,
];

/// Changes a file in one to three places: bits flipped, bytes replaced, cut off, taken out or doubled, and numbers put in as
/// they are written there: plain, or in Thrift's seven bits a byte. Half of it at the file's end, where a Parquet file says
/// what it holds.
pub(crate) fn change(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let reach = if random.random_range(0..2) == 0 { len.min(400) } else { len };
        let at = len - 1 - random.random_range(0..reach);
        let end = (at + random.random_range(1..24)).min(len);
        match random.random_range(0..10) {
            0..=2 => bytes[at] ^= 1 << random.random_range(0..8),
            3 => bytes[at] = random.next_u64() as u8,
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let part = bytes[at..end].to_vec();
                let to = random.random_range(0..len);
                bytes.splice(to..to, part);
            }
            7 => {
                let size = SIZES[random.random_range(0..SIZES.len())].to_le_bytes();
                let width = [2, 4, 8][random.random_range(0..3)].min(len - at);
                bytes[at..at + width].copy_from_slice(&size[..width]);
            }
            _ => {
                let mut size = SIZES[random.random_range(0..SIZES.len())];
                let mut number = Vec::new();
                while size >= 128 {
                    number.push(size as u8 | 128);
                    size >>= 7;
                }
                number.push(size as u8);
                // In the place of a number of one byte; in the place of as many bytes, which moves nothing.
                let old = if random.random_range(0..2) == 0 { 1 } else { number.len() };
                bytes.splice(at..(at + old).min(len), number);
            }
        }
    }
}

/// How many inputs to try: `inputs`, or what the environment asks for.
pub(crate) fn inputs(inputs: u64) -> u64 {
    std::env::var("COGNATE_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(inputs)
}
