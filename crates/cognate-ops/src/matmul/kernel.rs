//! Register tiles: the innermost loop of every product, one for each instruction set.
//!
//! A tile of the output is kept in registers while k runs: each step multiplies a column of the left panel (one number a row,
//! broadcast) by a row of the right panel (one to three registers). Bound: two multiply-adds a cycle, each of a full register.
//! Nine rows by three AVX-512 registers are 27 of them a step with 12 loads. Taller and narrower tiles (14 by 2, 24 by 1) do
//! as well on an idle core, but issue more instructions for the same work, which shows where a sibling thread takes its share.
//!
//! Every output is one chain of multiply-adds in the order of k, so its bits depend neither on its place in a tile nor on
//! the tile's size. AVX2 and AVX-512 give the same bits; the portable tile rounds after each multiplication.

use crate::simd::{Isa, isa};

/// Most rows and columns of a register tile, over all instruction sets.
const LARGEST_TILE: usize = 9 * 48;

/// Size of a register tile: panels of the left matrix are as many rows high, panels of the right one as many columns wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Numbers in a register: the last right panel is as wide as a multiple of this.
    pub(super) lanes: usize,
    pub(super) isa: Isa,
    /// By rows, then by registers of columns, both counted from 1.
    kernels: &'static [&'static [Kernels]],
}

/// Where a tile reads its left side.
#[derive(Clone, Copy)]
pub(super) enum Left {
    /// A panel: all rows of one k, then of the next.
    Panel(*const f32),
    /// The matrix itself: k runs along a row, rows are that far apart.
    Rows(*const f32, usize),
}

/// The kernels of a tile of a fixed size, by where the left side is read.
#[derive(Clone, Copy, Debug)]
struct Kernels {
    panel: Kernel,
    rows: Kernel,
}

/// (k, left side, stride of its rows, right panel, what comes next, out, stride of out's rows, whether to add).
type Kernel = unsafe fn(usize, *const f32, usize, *const f32, *const f32, *mut f32, usize, bool);

/// The tile of the instruction set in use.
pub(super) fn tile() -> Tile {
    match isa() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::TILE,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::TILE,
        _ => portable::TILE,
    }
}

impl Tile {
    /// For `m` rows in all: as many panels, but of equal height (64 rows are eight of 8, not seven of 9 and one of 1).
    pub(super) fn even(self, m: usize) -> Self {
        Self { rows: m.div_ceil(m.div_ceil(self.rows).max(1)).max(1), ..self }
    }

    /// out (rows, columns) (+)= left (rows, k) · right panel (k, columns up to a multiple of `lanes`), rows of out being
    /// `stride` apart. Meanwhile half a cache line a step is fetched from `next`, which need not be readable.
    ///
    /// # Safety
    /// Both sides hold that many numbers, `out` may be written at `columns` numbers of each of `rows` rows, and both are at
    /// least 1 and at most `self`'s.
    #[inline]
    pub(super) unsafe fn multiply(
        self,
        k: usize,
        left: Left,
        right: *const f32,
        next: *const f32,
        out: *mut f32,
        (rows, columns, stride): (usize, usize, usize),
        add: bool,
    ) {
        let registers = columns.div_ceil(self.lanes);
        let kernels = self.kernels[rows - 1][registers - 1];
        let (kernel, left, row) = match left {
            Left::Panel(start) => (kernels.panel, start, 0),
            Left::Rows(start, row) => (kernels.rows, start, row),
        };
        if columns == registers * self.lanes {
            // SAFETY: the caller's promise; the processor has the instructions, since `tile` asked.
            return unsafe { kernel(k, left, row, right, next, out, stride, add) };
        }
        let mut whole = [0.0f32; LARGEST_TILE];
        let wide = registers * self.lanes;
        // SAFETY: as above, with `whole` as a target that all columns fit in.
        unsafe { kernel(k, left, row, right, next, whole.as_mut_ptr(), wide, false) };
        for (i, sums) in whole.chunks_exact(wide).take(rows).enumerate() {
            // SAFETY: the caller promises `columns` writable numbers in each row.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), columns) };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = if add { *out + sum } else { *sum };
            }
        }
    }
}

/// Defines the kernels of one instruction set, for 1 to `$rows` rows and one to three registers of columns.
macro_rules! kernels {
    ($isa:expr, $feature:literal, $lanes:literal, [$($rows:literal)*], $register:ty, $load:ident, $splat:ident, $fma:ident, $sum:ident, $store:ident) => {
        const KERNELS: &[&[Kernels]] = &[$(&[kernels::<$rows, 1>(), kernels::<$rows, 2>(), kernels::<$rows, 3>()]),*];
        pub(super) const TILE: Tile =
            Tile { rows: KERNELS.len(), columns: 3 * $lanes, lanes: $lanes, isa: $isa, kernels: KERNELS };
        /// Steps a turn of the loop: fewer instructions that only count, where a sibling thread takes its share of them.
        const STEPS: usize = 4;
        /// Steps between a prefetch of the left panel and its use.
        const AHEAD: usize = 16;

        const fn kernels<const R: usize, const V: usize>() -> Kernels {
            Kernels { panel: multiply::<R, V, true>, rows: multiply::<R, V, false> }
        }

        /// sums += column of the left side, numbers `row` apart · row of the right panel, for one k.
        ///
        /// # Safety
        /// There are `R` numbers and `V` registers' worth of numbers to read.
        #[target_feature(enable = $feature)]
        #[inline]
        unsafe fn step<const R: usize, const V: usize>(
            sums: &mut [[$register; V]; R], left: *const f32, row: usize, right: *const f32,
        ) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut columns = [$splat(0.0); V];
                for j in 0..V {
                    columns[j] = $load(right.add(j * $lanes));
                }
                for i in 0..R {
                    let x = $splat(*left.add(i * row));
                    for j in 0..V {
                        sums[i][j] = $fma(x, columns[j], sums[i][j]);
                    }
                }
            }
        }

        /// One tile of `R` rows and `V` registers of columns.
        ///
        /// # Safety
        /// As [`super::Tile::multiply`], for a processor with the instructions.
        #[target_feature(enable = $feature)]
        unsafe fn multiply<const R: usize, const V: usize, const PANEL: bool>(
            k: usize, left: *const f32, row: usize, right: *const f32, next: *const f32, out: *mut f32, stride: usize,
            add: bool,
        ) {
            // How far apart the numbers of one k are, and those of one row.
            let (row, along) = if PANEL { (1, R) } else { (row, 1) };
            // SAFETY: every index is inside what the caller promises; prefetching an address does not read it.
            unsafe {
                for i in 0..R {
                    for j in 0..V {
                        _mm_prefetch::<_MM_HINT_T0>(out.add(i * stride + j * $lanes).cast());
                    }
                }
                let mut sums = [[$splat(0.0); V]; R];
                let mut p = 0;
                while p + STEPS <= k {
                    if PANEL {
                        for line in 0..(STEPS * R).div_ceil(16) {
                            _mm_prefetch::<_MM_HINT_T0>(left.wrapping_add((p + AHEAD) * R + 16 * line).cast());
                        }
                    }
                    for line in 0..STEPS / 2 {
                        _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(p * 8 + 16 * line).cast());
                    }
                    for u in 0..STEPS {
                        step(&mut sums, left.add((p + u) * along), row, right.add((p + u) * V * $lanes));
                    }
                    p += STEPS;
                }
                while p < k {
                    step(&mut sums, left.add(p * along), row, right.add(p * V * $lanes));
                    p += 1;
                }
                for i in 0..R {
                    for j in 0..V {
                        let out = out.add(i * stride + j * $lanes);
                        $store(out, if add { $sum($load(out), sums[i][j]) } else { sums[i][j] });
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Isa, Kernels, Tile};

    kernels!(
        Isa::Avx512,
        "avx512f",
        16,
        [1 2 3 4 5 6 7 8 9],
        __m512,
        _mm512_loadu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_storeu_ps
    );
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Isa, Kernels, Tile};

    kernels!(
        Isa::Avx2,
        "avx2,fma",
        8,
        [1 2 3 4],
        __m256,
        _mm256_loadu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_storeu_ps
    );
}

mod portable {
    use super::{Isa, Kernels, Tile};

    const COLUMNS: usize = 8;
    const KERNELS: &[&[Kernels]] = &[&[kernels::<1>()], &[kernels::<2>()], &[kernels::<3>()], &[kernels::<4>()]];
    pub(super) const TILE: Tile =
        Tile { rows: KERNELS.len(), columns: COLUMNS, lanes: COLUMNS, isa: Isa::Portable, kernels: KERNELS };

    const fn kernels<const R: usize>() -> Kernels {
        Kernels { panel: multiply::<R, true>, rows: multiply::<R, false> }
    }

    /// One tile of `R` rows, in whatever registers the compiler finds.
    ///
    /// # Safety
    /// As [`super::Tile::multiply`].
    unsafe fn multiply<const R: usize, const PANEL: bool>(
        k: usize,
        left: *const f32,
        row: usize,
        right: *const f32,
        _next: *const f32,
        out: *mut f32,
        stride: usize,
        add: bool,
    ) {
        let (row, along) = if PANEL { (1, R) } else { (row, 1) };
        // SAFETY: the caller promises a panel of this size.
        let right = unsafe { std::slice::from_raw_parts(right, k * COLUMNS) };
        let mut sums = [[0.0f32; COLUMNS]; R];
        for (p, right) in right.as_chunks::<COLUMNS>().0.iter().enumerate() {
            for (i, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller promises k numbers of each row.
                let x = unsafe { *left.add(p * along + i * row) };
                for j in 0..COLUMNS {
                    sums[j] += x * right[j];
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: the caller promises a writable tile.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), COLUMNS) };
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = if add { *out + sum } else { *sum };
            }
        }
    }
}
