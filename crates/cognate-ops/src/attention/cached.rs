//! Attention of new rows against a key/value cache: the decoding side.
//!
//! The cache holds, for each slot and key/value head, the keys in blocks of 16 positions (capacity/16, E, 16), so that 16
//! scores are computed together from one contiguous run, then the values (capacity, E); as f32, or as bfloat16 in half of the room.
//! Sums are f32 in either case. A row's result depends on its own slot alone. Bound: bytes, one read of the slot's keys and values
//! for every [`QUERIES`] of the slot's new rows and query heads: of a prompt four rows together, of heads that share their keys all.

use std::ops::Range;

use super::Rows;
use super::cpu::with_scratch;
use crate::cpu::{Cpu, Shared};
use crate::operands::size;
use crate::simd::{LANES, exp, fma, kernel, max, sum_lanes};
use crate::{Heads, Precision};

/// Partial sums a score is split into, and registers an output is: to keep both multiply-add units busy.
const CHAINS: usize = 4;
/// Queries that share one read of keys and values: their sums fill half of the registers.
const QUERIES: usize = 4;

/// How the cache holds a number.
trait Stored: Copy + Send {
    fn widen(self) -> f32;
    fn narrow(value: f32) -> Self;
}

impl Stored for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        value
    }
}

/// bfloat16: the upper half of an f32, rounded to the nearest, ties to even. Every magnitude of f32 has its place.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Bfloat16(u16);

impl Stored for Bfloat16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        // Rounding a NaN up could make an infinity of it, or a zero.
        Self(((if value.is_nan() { bits | 1 << 22 } else { rounded }) >> 16) as u16)
    }
}

/// How far ahead of what is read the next keys and values are asked for, in bytes: processors stop looking ahead at the end of a page.
const AHEAD: usize = 4096;

/// Asks for the cache line [`AHEAD`] of `numbers`, which need not be there.
#[inline(always)]
fn fetch<T>(numbers: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: fetching an address that cannot be read does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().wrapping_byte_add(AHEAD).cast()) };
    }
}

/// Sixteen numbers widened.
#[inline(always)]
fn widened<T: Stored>(numbers: &[T; LANES]) -> [f32; LANES] {
    let mut wide = [0.0; LANES];
    for i in 0..LANES {
        wide[i] = numbers[i].widen();
    }
    wide
}

/// Scores of Q queries with sixteen positions at a time: `scores` (Q, positions), `queries` (E, Q).
#[inline(always)]
fn score<const FMA: bool, const Q: usize, T: Stored>(scores: &mut [f32], queries: &[[f32; Q]], keys: &[T]) {
    let positions = scores.len() / Q;
    let (keys, _) = keys.as_chunks::<LANES>();
    for (block, keys) in keys.chunks_exact(queries.len()).enumerate() {
        let mut sums = [[[0.0f32; LANES]; CHAINS]; Q];
        for (queries, keys) in queries.chunks(CHAINS).zip(keys.chunks(CHAINS)) {
            for (chain, (query, key)) in queries.iter().zip(keys).enumerate() {
                fetch(key);
                let key = widened(key);
                for q in 0..Q {
                    for i in 0..LANES {
                        sums[q][chain][i] = fma::<FMA>(query[q], key[i], sums[q][chain][i]);
                    }
                }
            }
        }
        for q in 0..Q {
            let scores = &mut scores[q * positions + block * LANES..][..LANES];
            for i in 0..LANES {
                scores[i] = (sums[q][0][i] + sums[q][1][i]) + (sums[q][2][i] + sums[q][3][i]);
            }
        }
    }
}

/// Scores to e^{scale·(s − max)}; returns 1 / their sum.
#[inline(always)]
fn soften<const FMA: bool>(scores: &mut [f32], scale: f32) -> f32 {
    let top = max(scores);
    let mut lanes = [0.0f32; LANES];
    for chunk in scores.chunks_mut(LANES) {
        for (s, lane) in chunk.iter_mut().zip(&mut lanes) {
            *s = exp::<FMA>(scale * (*s - top));
            *lane += *s;
        }
    }
    1.0 / sum_lanes(lanes)
}

/// Adds Σ_j weight_j · values_j to the sums of one query, W columns from `at` on.
#[inline(always)]
fn weigh<const FMA: bool, const W: usize, T: Stored>(
    sums: &mut [f32; W],
    weights: &[f32],
    values: &[T],
    stride: usize,
    at: usize,
) {
    for (weight, values) in weights.iter().zip(values.chunks_exact(stride)) {
        let values: &[T; W] = values[at..at + W].as_array().expect("W columns");
        for i in 0..W {
            sums[i] = fma::<FMA>(*weight, values[i].widen(), sums[i]);
        }
    }
}

/// W columns of the outputs of Q queries, of which query q sees `seen[q]` positions, the first the fewest.
#[inline(always)]
fn columns<const FMA: bool, const Q: usize, const W: usize, T: Stored>(
    outs: &mut [&mut [f32]; Q],
    scores: &[f32],
    inverses: &[f32; Q],
    seen: &[usize; Q],
    values: &[T],
    stride: usize,
    at: usize,
) {
    let positions = scores.len() / Q;
    let mut sums = [[0.0f32; W]; Q];
    for (j, values) in values.chunks_exact(stride).take(seen[0]).enumerate() {
        let values: &[T; W] = values[at..at + W].as_array().expect("W columns");
        values.chunks(64 / size_of::<T>()).for_each(fetch);
        for q in 0..Q {
            let weight = scores[q * positions + j];
            for i in 0..W {
                sums[q][i] = fma::<FMA>(weight, values[i].widen(), sums[q][i]);
            }
        }
    }
    for q in 0..Q {
        let rest = seen[0]..seen[q];
        let weights = &scores[q * positions..][rest.clone()];
        weigh::<FMA, W, T>(&mut sums[q], weights, &values[rest.start * stride..], stride, at);
        for i in 0..W {
            outs[q][at + i] = sums[q][i] * inverses[q];
        }
    }
}

/// outs (Q, E) = softmax(scale · ⟨q, keys⟩) · values; each query's arithmetic is the same whatever Q is. `scratch` has room for Q
/// rows of a whole number of blocks, and for the queries.
#[inline(always)]
fn attend<const FMA: bool, const Q: usize, T: Stored>(
    mut outs: [&mut [f32]; Q],
    queries: [&[f32]; Q],
    seen: [usize; Q],
    (keys, values): (&[T], &[T]),
    scratch: &mut [f32],
    scale: f32,
) {
    let width = queries[0].len();
    assert!(queries.iter().all(|query| query.len() == width));
    let (together, scores) = scratch.split_at_mut(Q * width);
    let positions = scores.len() / Q;
    let (together, _) = together.as_chunks_mut::<Q>();
    for (e, together) in together.iter_mut().enumerate() {
        for q in 0..Q {
            together[q] = queries[q][e];
        }
    }
    score::<FMA, Q, T>(scores, together, &keys[..positions * width]);
    let mut inverses = [0.0; Q];
    for q in 0..Q {
        inverses[q] = soften::<FMA>(&mut scores[q * positions..][..seen[q]], scale);
    }
    let mut at = 0;
    while at + CHAINS * LANES <= width {
        columns::<FMA, Q, { CHAINS * LANES }, T>(&mut outs, scores, &inverses, &seen, values, width, at);
        at += CHAINS * LANES;
    }
    while at + LANES <= width {
        columns::<FMA, Q, LANES, T>(&mut outs, scores, &inverses, &seen, values, width, at);
        at += LANES;
    }
    while at < width {
        columns::<FMA, Q, 1, T>(&mut outs, scores, &inverses, &seen, values, width, at);
        at += 1;
    }
}

kernel! {
    fn one_f32<const FMA: bool>(
        outs: [&mut [f32]; 1], queries: [&[f32]; 1], seen: [usize; 1], cache: (&[f32], &[f32]), scratch: &mut [f32], scale: f32,
    ) {
        attend::<FMA, 1, f32>(outs, queries, seen, cache, scratch, scale);
    }
}

kernel! {
    fn four_f32<const FMA: bool>(
        outs: [&mut [f32]; 4], queries: [&[f32]; 4], seen: [usize; 4], cache: (&[f32], &[f32]), scratch: &mut [f32], scale: f32,
    ) {
        attend::<FMA, 4, f32>(outs, queries, seen, cache, scratch, scale);
    }
}

kernel! {
    fn one_bf16<const FMA: bool>(
        outs: [&mut [f32]; 1], queries: [&[f32]; 1], seen: [usize; 1], cache: (&[Bfloat16], &[Bfloat16]), scratch: &mut [f32], scale: f32,
    ) {
        attend::<FMA, 1, Bfloat16>(outs, queries, seen, cache, scratch, scale);
    }
}

kernel! {
    fn four_bf16<const FMA: bool>(
        outs: [&mut [f32]; 4], queries: [&[f32]; 4], seen: [usize; 4], cache: (&[Bfloat16], &[Bfloat16]), scratch: &mut [f32], scale: f32,
    ) {
        attend::<FMA, 4, Bfloat16>(outs, queries, seen, cache, scratch, scale);
    }
}

/// The kernels for one and for four queries.
type Kernel<const Q: usize, T> = fn([&mut [f32]; Q], [&[f32]; Q], [usize; Q], (&[T], &[T]), &mut [f32], f32);

/// Numbers of a cache of that many positions in all slots together, in numbers of 32 bits.
pub(crate) fn len(positions: usize, heads: Heads, precision: Precision) -> usize {
    let numbers = size(&[2, positions, heads.kv, heads.width]);
    match precision {
        Precision::F32 => numbers,
        Precision::Int8 => numbers.div_ceil(2),
    }
}

pub(crate) fn forward(
    cpu: &Cpu,
    out: &mut [f32],
    cache: &mut [f32],
    rows: &Rows<'_, f32>,
    capacity: usize,
    heads: Heads,
    precision: Precision,
) {
    super::check_cached(out, cache.len(), len(capacity, heads, precision), rows, capacity, heads);
    match precision {
        Precision::F32 => run(cpu, out, cache, rows, (capacity, heads), (one_f32, four_f32)),
        Precision::Int8 => {
            // SAFETY: any 16 bits are a Bfloat16.
            let (before, cache, _) = unsafe { cache.align_to_mut::<Bfloat16>() };
            assert!(before.is_empty(), "a smaller alignment");
            run(cpu, out, cache, rows, (capacity, heads), (one_bf16, four_bf16));
        }
    }
}

/// The rows of each slot.
fn runs(slots: &[u32]) -> Vec<Range<usize>> {
    let mut start = 0;
    let run = |run: &[u32]| {
        start += run.len();
        start - run.len()..start
    };
    slots.chunk_by(|a, b| a == b).map(run).collect()
}

fn run<T: Stored + Sync>(
    cpu: &Cpu,
    out: &mut [f32],
    cache: &mut [T],
    rows: &Rows<'_, f32>,
    (capacity, heads): (usize, Heads),
    kernels: (Kernel<1, T>, Kernel<QUERIES, T>),
) {
    let (runs, width) = (runs(rows.slots), heads.width);
    let (out, cache) = (Shared::new(out), Shared::new(cache));
    let (half, group) = (capacity * width, heads.query / heads.kv);
    let scale = 1.0 / (width as f32).sqrt();
    // A task owns one key/value head of one slot, so it may write new keys and values and then read all of them.
    cpu.each(runs.len() * heads.kv, |task| {
        let (run, kv) = (&runs[task / heads.kv], task % heads.kv);
        let start = (rows.slots[run.start] as usize * heads.kv + kv) * 2 * half;
        // SAFETY: a slot has one run, so no other task touches this part.
        let own = unsafe { cache.range(start..start + 2 * half) };
        let (keys, values) = own.split_at_mut(half);
        for row in run.clone() {
            store(keys, values, rows, row, kv, heads);
        }
        let (keys, values) = (&*keys, &*values);
        let queries: Vec<(usize, usize)> =
            run.clone().flat_map(|row| (kv * group..(kv + 1) * group).map(move |head| (row, head))).collect();
        let query = |&(row, head): &(usize, usize)| &rows.qk[row * heads.qk_width() + head * width..][..width];
        let seen = |&(row, _): &(usize, usize)| rows.positions[row] as usize + 1;
        // SAFETY: each task writes its own rows' query heads.
        let target = |&(row, head): &(usize, usize)| unsafe {
            let at = row * heads.query_width() + head * width;
            out.range(at..at + width)
        };
        let (fours, rest) = queries.as_chunks::<QUERIES>();
        for four in fours {
            let seen = four.each_ref().map(seen);
            with_scratch(QUERIES * (width + seen[QUERIES - 1].next_multiple_of(LANES)), |scratch| {
                let (outs, queries) = (four.each_ref().map(target), four.each_ref().map(query));
                kernels.1(outs, queries, seen, (keys, values), scratch, scale);
            });
        }
        for one in rest {
            with_scratch(width + seen(one).next_multiple_of(LANES), |scratch| {
                kernels.0([target(one)], [query(one)], [seen(one)], (keys, values), scratch, scale);
            });
        }
    });
}

/// Writes a row's key and value to its position.
fn store<T: Stored>(keys: &mut [T], values: &mut [T], rows: &Rows<'_, f32>, row: usize, kv: usize, heads: Heads) {
    let (position, width) = (rows.positions[row] as usize, heads.width);
    let block = &mut keys[position / LANES * width * LANES..][..width * LANES];
    let key = &rows.qk[row * heads.qk_width() + (heads.query + kv) * width..][..width];
    for (to, from) in block[position % LANES..].iter_mut().step_by(LANES).zip(key) {
        *to = T::narrow(*from);
    }
    let value = &rows.qkv[row * heads.qkv_width() + (heads.query + heads.kv + kv) * width..][..width];
    for (to, from) in values[position * width..][..width].iter_mut().zip(value) {
        *to = T::narrow(*from);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bfloat16, Stored};

    #[test]
    fn bfloat16_is_the_nearest_with_ties_to_even() {
        // Eight bits of precision: between 1 and 2 the numbers are 2⁻⁷ apart.
        let step = 1.0 / 128.0;
        for (value, nearest) in [
            (1.0, 1.0),
            (1.0 + 0.49 * step, 1.0),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 0.51 * step, 1.0 + step),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (-(2.0 - 0.4 * step), -2.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (-0.0, -0.0),
        ] {
            assert_eq!(Bfloat16::narrow(value).widen().to_bits(), f32::to_bits(nearest), "{value}");
        }
        for bits in [0x7f80_0001u32, 0x7fff_ffff, 0xffff_ffff] {
            assert!(Bfloat16::narrow(f32::from_bits(bits)).widen().is_nan(), "{bits:x}");
        }
    }
}
