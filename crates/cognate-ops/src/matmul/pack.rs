//! Panels: parts of a matrix copied into the order in which the register tiles read them.
//!
//! A panel holds `width` neighbouring lanes (rows of the left matrix, columns of the right one) for a run of k: all lanes of
//! one k, then all of the next. Where lanes stand side by side in memory that is a copy, where a lane's own numbers do it is
//! a transposition, done in registers. Bound: bytes, one read and one write a number.

use crate::simd::Isa;

/// A matrix to read: number p of lane l stands at start + p·k + l·lane.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    pub(crate) start: *const f32,
    pub(crate) k: usize,
    pub(crate) lane: usize,
}

// SAFETY: a pointer that is only read; what it points to outlives the product that it is passed to.
unsafe impl Send for Operand {}
// SAFETY: as above.
unsafe impl Sync for Operand {}

impl Operand {
    /// A matrix whose lanes are the rows of `x`, `width` apart.
    pub(crate) fn rows(x: &[f32], width: usize) -> Self {
        Self { start: x.as_ptr(), k: 1, lane: width }
    }

    /// A matrix whose lanes are the columns of `x`, which has rows of `width`.
    pub(crate) fn columns(x: &[f32], width: usize) -> Self {
        Self { start: x.as_ptr(), k: width, lane: 1 }
    }

    /// The part of the matrix from `k` and `lane` on.
    pub(super) fn from(self, k: usize, lane: usize) -> Self {
        Self { start: self.start.wrapping_add(k * self.k + lane * self.lane), ..self }
    }
}

/// Fills `panels` with `lanes` lanes of `k` numbers from `source`, `width` lanes a panel. The last panel is as narrow as what is
/// left, up to a multiple of `grain`, a divisor of `width`; the lanes it then has too many are zeros.
///
/// # Safety
/// `source` names `k` numbers of each of `lanes` lanes inside a live slice.
pub(super) unsafe fn pack(
    isa: Isa,
    panels: &mut [f32],
    source: Operand,
    k: usize,
    lanes: usize,
    width: usize,
    grain: usize,
) {
    let columns = lanes.next_multiple_of(grain);
    let panels = &mut panels[..columns * k];
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the panels' size is checked, the source's is the caller's promise, and the isa is the processor's.
        Isa::Avx512 if source.lane == 1 => unsafe { avx512::copy(panels, source, k, lanes, width) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx512 if source.k == 1 => unsafe { avx512::transpose(panels, source, k, lanes, width) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 if source.lane == 1 => unsafe { avx2::copy(panels, source, k, lanes, width) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 if source.k == 1 => unsafe { avx2::transpose(panels, source, k, lanes, width) },
        _ => {
            for (first, panel) in (0..lanes).step_by(width).zip(panels.chunks_mut(width * k)) {
                let width = panel.len() / k;
                for (p, row) in panel.chunks_exact_mut(width).enumerate() {
                    for (lane, number) in (first..).zip(row) {
                        // SAFETY: the caller's promise.
                        *number = if lane < lanes { unsafe { *source.from(p, lane).start } } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Defines the packing of one instruction set from its masked `load` and `store`, `mask`, and `transposed`.
#[cfg(target_arch = "x86_64")]
macro_rules! packing {
    ($feature:literal, $lanes:literal, $zero:ident) => {
        const LANES: usize = $lanes;

        /// Lanes that stand side by side are copied. A few rows of the source at a time pass through all panels, so that what a
        /// panel leaves of a cache line is there for the next one.
        ///
        /// # Safety
        /// As [`super::pack`], with the instructions.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn copy(panels: &mut [f32], source: Operand, k: usize, lanes: usize, width: usize) {
            const ROWS: usize = 16;
            let columns = panels.len() / k;
            for start in (0..k).step_by(ROWS) {
                let end = (start + ROWS).min(k);
                for first in (0..columns).step_by(width) {
                    let width = width.min(columns - first);
                    for l in (0..width).step_by(LANES) {
                        let (read, write) = (mask(lanes.saturating_sub(first + l)), mask(width - l));
                        let (source, panel) = (source.from(0, first + l), panels[first * k + l..].as_mut_ptr());
                        for p in start..end {
                            // SAFETY: the masks keep reads inside the lanes and writes inside the panel's row.
                            unsafe { store(panel.add(p * width), write, load(source.from(p, 0).start, read)) };
                        }
                    }
                }
            }
        }

        /// Lanes whose own numbers stand side by side are transposed in registers.
        ///
        /// # Safety
        /// As [`super::pack`], with the instructions.
        #[target_feature(enable = $feature)]
        pub(super) unsafe fn transpose(panels: &mut [f32], source: Operand, k: usize, lanes: usize, width: usize) {
            for (first, panel) in (0..lanes).step_by(width).zip(panels.chunks_mut(width * k)) {
                let width = panel.len() / k;
                for l in (0..width).step_by(LANES) {
                    let write = mask(width - l);
                    for p in (0..k).step_by(LANES) {
                        let read = mask(k - p);
                        let mut rows = [$zero(); LANES];
                        for (lane, row) in (first + l..lanes).zip(&mut rows) {
                            // SAFETY: the mask keeps the read inside the lane.
                            *row = unsafe { load(source.from(p, lane).start, read) };
                        }
                        for (p, column) in (p..k).zip(transposed(rows)) {
                            // SAFETY: the mask keeps the write inside the panel's row.
                            unsafe { store(panel.as_mut_ptr().add(p * width + l), write, column) };
                        }
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::Operand;

    packing!("avx512f", 16, _mm512_setzero_ps);

    /// The first `n` lanes.
    fn mask(n: usize) -> __mmask16 {
        ((1u32 << n.min(LANES)) - 1) as __mmask16
    }

    /// # Safety
    /// The lanes of the mask may be read.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load(from: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    /// # Safety
    /// The lanes of the mask may be written.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store(to: *mut f32, mask: __mmask16, numbers: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_mask_storeu_ps(to, mask, numbers) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn transposed(rows: [__m512; LANES]) -> [__m512; LANES] {
        // quads[4g + c] holds, in its quarter q, column 4q + c of rows 4g to 4g + 3.
        let mut quads = rows;
        for g in (0..LANES).step_by(4) {
            let (a, b) = (_mm512_unpacklo_ps(rows[g], rows[g + 1]), _mm512_unpacklo_ps(rows[g + 2], rows[g + 3]));
            let (c, d) = (_mm512_unpackhi_ps(rows[g], rows[g + 1]), _mm512_unpackhi_ps(rows[g + 2], rows[g + 3]));
            let [a, b, c, d] = [a, b, c, d].map(|x| _mm512_castps_pd(x));
            quads[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            quads[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            quads[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
            quads[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
        }
        let mut columns = rows;
        for c in 0..4 {
            let [a, b, d, e] = [quads[c], quads[4 + c], quads[8 + c], quads[12 + c]];
            const EVEN: i32 = 0b10_00_10_00;
            const ODD: i32 = 0b11_01_11_01;
            let (low, high) = (_mm512_shuffle_f32x4::<EVEN>(a, b), _mm512_shuffle_f32x4::<EVEN>(d, e));
            columns[c] = _mm512_shuffle_f32x4::<EVEN>(low, high);
            columns[8 + c] = _mm512_shuffle_f32x4::<ODD>(low, high);
            let (low, high) = (_mm512_shuffle_f32x4::<ODD>(a, b), _mm512_shuffle_f32x4::<ODD>(d, e));
            columns[4 + c] = _mm512_shuffle_f32x4::<EVEN>(low, high);
            columns[12 + c] = _mm512_shuffle_f32x4::<ODD>(low, high);
        }
        columns
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::Operand;

    packing!("avx2,fma", 8, _mm256_setzero_ps);

    /// The first `n` lanes.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn mask(n: usize) -> __m256i {
        let numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(LANES) as i32), numbers)
    }

    /// # Safety
    /// The lanes of the mask may be read.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn load(from: *const f32, mask: __m256i) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_maskload_ps(from, mask) }
    }

    /// # Safety
    /// The lanes of the mask may be written.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn store(to: *mut f32, mask: __m256i, numbers: __m256) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_maskstore_ps(to, mask, numbers) }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn transposed(rows: [__m256; LANES]) -> [__m256; LANES] {
        // quads[4g + c] holds, in its half h, column 4h + c of rows 4g to 4g + 3.
        let mut quads = rows;
        for g in (0..LANES).step_by(4) {
            let (a, b) = (_mm256_unpacklo_ps(rows[g], rows[g + 1]), _mm256_unpacklo_ps(rows[g + 2], rows[g + 3]));
            let (c, d) = (_mm256_unpackhi_ps(rows[g], rows[g + 1]), _mm256_unpackhi_ps(rows[g + 2], rows[g + 3]));
            let [a, b, c, d] = [a, b, c, d].map(|x| _mm256_castps_pd(x));
            quads[g] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            quads[g + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
            quads[g + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(c, d));
            quads[g + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(c, d));
        }
        let mut columns = rows;
        for c in 0..4 {
            columns[c] = _mm256_permute2f128_ps::<0x20>(quads[c], quads[4 + c]);
            columns[4 + c] = _mm256_permute2f128_ps::<0x31>(quads[c], quads[4 + c]);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::numbers;

    /// Turns red when a transposition exchanges two numbers, reads past a lane or leaves a missing lane unwritten.
    #[test]
    fn panels_hold_every_number_in_its_place() {
        let mut sets = vec![Isa::Portable];
        sets.extend((crate::isa() != Isa::Portable).then_some(Isa::Avx2));
        sets.extend((crate::isa() == Isa::Avx512).then_some(Isa::Avx512));
        let x = numbers(1, 40 * 70);
        for isa in sets {
            for (k, lanes, width) in [
                (1usize, 1usize, 2usize),
                (5, 14, 14),
                (16, 31, 14),
                (33, 28, 14),
                (40, 32, 32),
                (39, 40, 48),
                (23, 6, 6),
            ] {
                for source in [Operand::rows(&x, 70), Operand::columns(&x, 40)] {
                    for grain in [1, width / 2, width] {
                        let columns = lanes.next_multiple_of(grain);
                        let mut panels = vec![9.0; k * columns];
                        // SAFETY: 40 rows of 70 hold 40 lanes of 70 numbers, and 70 rows of 40 hold 40 lanes of 70.
                        unsafe { pack(isa, &mut panels, source, k, lanes, width, grain) };
                        for p in 0..k {
                            for lane in 0..columns {
                                let first = lane / width * width;
                                let at = first * k + p * width.min(columns - first) + lane - first;
                                let expected = if lane < lanes { x[p * source.k + lane * source.lane] } else { 0.0 };
                                assert_eq!(panels[at], expected, "{isa:?} k {k} lanes {lanes} at {p}, {lane}");
                            }
                        }
                    }
                }
            }
        }
    }
}
