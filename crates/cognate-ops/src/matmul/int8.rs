//! Products of 8-bit integers: a weight (O, I) quantised once, rows of x (N, I) as they come.
//!
//! Row i of x becomes aᵢ·x̂ᵢ and row j of the weight bⱼ·ŵⱼ, with x̂ and ŵ whole numbers from −127 to 127 and a scale a row, the
//! largest magnitude / 127 (symmetric, per token and per output channel: ZeroQuant, Yao et al. 2022, arXiv 2206.01861). Then
//! out = aᵢ·bⱼ·Σₖ x̂·ŵ, where the sum is exact in 32 bits: no order of additions, no batch and no instruction set changes a bit of it.
//!
//! The instruction multiplies unsigned by signed bytes and adds four neighbours (`vpdpbusd`), so x̂ is stored with 128 added, and
//! 128·Σₖ ŵ is taken away at the end. Bound: a quarter of the bytes and of the instructions of the f32 product.

use super::product::Target;
use crate::cpu::{Cpu, Shared, part};
use crate::simd::{Isa, isa, kernel};

/// Most rows, and columns, of a register tile, as in the f32 product.
const ROWS: usize = 9;
const COLUMNS: usize = 48;
/// Columns of a register.
const LANES: usize = 16;
/// Neighbouring k that one instruction adds up.
const QUAD: usize = 4;
/// Panels of rows and columns of the weight of one task: a quarter of a second-level cache at I = 1024.
const PANELS_TASK: usize = 24;
const COLUMNS_TASK: usize = 2 * COLUMNS;
/// Σ of k products of 255 · 127 must fit an i32.
const INPUTS_MOST: usize = i32::MAX as usize / (255 * 127);
/// What is added to x̂.
const SHIFT: i32 = 128;
/// 1.5 · 2²³: what is added to it is rounded to a whole number, ties to even, which stands in the low bits of the sum.
const ROUNDING: f32 = 12_582_912.0;

/// A weight (outputs O, inputs I) in 8-bit integers.
pub(super) struct Int8Weight {
    /// Panels of 48 columns (the last one narrower, a multiple of 16): for each quad of k, four numbers a column.
    panels: Vec<i8>,
    /// b of each output; 0 beyond the last.
    scales: Vec<f32>,
    /// 128 · Σ ŵ of each output.
    offsets: Vec<i32>,
    inputs: usize,
    outputs: usize,
}

/// Σ x̂·ŵ of a tile: (quads of k, left panel, right panel, sums of rows by columns).
type Kernel = unsafe fn(usize, *const u8, *const i8, *mut i32);

kernel! {
    /// Writes the whole numbers of a row, plus 128, and returns its scale. Where a number of the row is not finite the scale is NaN,
    /// and so is every output of the row: a broken model must not look like a quiet one.
    fn quantise<const FMA: bool>(whole: &mut [u8], row: &[f32]) -> f32 {
        // As whole numbers, magnitudes are ordered like the floats, with infinity and then NaN above them all.
        let largest = f32::from_bits(row.iter().fold(0, |most, v| most.max(v.to_bits() & !(1 << 31))));
        if largest == 0.0 || !largest.is_finite() {
            whole.fill(SHIFT as u8);
            return if largest == 0.0 { 0.0 } else { f32::NAN };
        }
        let factor = 127.0 / largest;
        for (whole, value) in whole.iter_mut().zip(row) {
            let bits = (value * factor + ROUNDING).to_bits();
            *whole = (bits.wrapping_sub(ROUNDING.to_bits()) as i32 + SHIFT) as u8;
        }
        largest / 127.0
    }
}

kernel! {
    /// Writes or adds a row of a tile: (sum − offset) · scale of the row · scale of the column.
    fn finish<const FMA: bool>(out: &mut [f32], sums: &[i32], offsets: &[i32], row_scale: f32, scales: &[f32], add: bool) {
        for (((out, sum), scale), offset) in out.iter_mut().zip(sums).zip(scales).zip(offsets) {
            let product = (sum - offset) as f32 * (row_scale * scale);
            *out = if add { *out + product } else { product };
        }
    }
}

/// Rows of x as whole numbers: panels of `height` rows (the last one may be lower), for each quad of k four numbers a row.
struct Left {
    panels: Vec<u8>,
    scales: Vec<f32>,
    height: usize,
}

impl Int8Weight {
    /// Quantises `weight` (O, I).
    ///
    /// # Panics
    /// When a row is longer than a 32-bit sum can take (66,000).
    pub(super) fn new(cpu: &Cpu, weight: &[f32], inputs: usize, outputs: usize) -> Self {
        super::check_pack(weight, inputs, outputs);
        assert!(inputs <= INPUTS_MOST, "{inputs} products of bytes overflow their sum");
        let (padded, depth) = (outputs.next_multiple_of(LANES), inputs.div_ceil(QUAD));
        let mut panels = vec![0i8; padded * depth * QUAD];
        let (mut scales, mut offsets) = (vec![0.0; padded], vec![0; padded]);
        let (panels_of, scales_of, offsets_of) =
            (Shared::new(&mut panels), Shared::new(&mut scales), Shared::new(&mut offsets));
        cpu.each(padded.div_ceil(COLUMNS), |panel| {
            let columns = part(panel, COLUMNS, padded);
            let width = columns.len();
            let bytes = columns.start * depth * QUAD..columns.end * depth * QUAD;
            // SAFETY: panels of different tasks do not overlap, nor do their columns.
            let (numbers, scales, offsets) = unsafe {
                (panels_of.range(bytes), scales_of.range(columns.clone()), offsets_of.range(columns.clone()))
            };
            let mut whole = vec![0; inputs];
            for (lane, output) in (columns.start..columns.end.min(outputs)).enumerate() {
                scales[lane] = quantise(&mut whole, &weight[output * inputs..][..inputs]);
                for (k, &number) in whole.iter().enumerate() {
                    let number = i32::from(number) - SHIFT;
                    offsets[lane] += SHIFT * number;
                    numbers[(k / QUAD * width + lane) * QUAD + k % QUAD] = number as i8;
                }
            }
        });
        Self { panels, scales, offsets, inputs, outputs }
    }

    /// out (N, O) = x (N, I) · weightᵀ, written or added.
    pub(super) fn forward(&self, cpu: &Cpu, out: &mut [f32], x: &[f32], add: bool) {
        let rows = super::check_packed(out, x, self.inputs, self.outputs);
        if rows == 0 {
            return;
        }
        let left = self.quantise_rows(cpu, x, rows);
        let target = Target { start: out.as_mut_ptr(), stride: self.outputs, add };
        let rows_task = PANELS_TASK * left.height;
        let (row_tasks, column_tasks) = (rows.div_ceil(rows_task), self.outputs.div_ceil(COLUMNS_TASK));
        cpu.each(row_tasks * column_tasks, |i| {
            let rows = part(i % row_tasks, rows_task, rows);
            let columns = part(i / row_tasks, COLUMNS_TASK, self.outputs);
            for column in columns.step_by(COLUMNS) {
                for row in rows.clone().step_by(left.height) {
                    // SAFETY: tasks have different rows or columns of `out`, which is borrowed exclusively.
                    unsafe { self.tile(&left, row..(row + left.height).min(rows.end), column, target) };
                }
            }
        });
    }

    fn depth(&self) -> usize {
        self.inputs.div_ceil(QUAD)
    }

    fn quantise_rows(&self, cpu: &Cpu, x: &[f32], rows: usize) -> Left {
        // Panels of equal height: 64 rows are eight of 8, not seven of 9 and one of 1.
        let height = rows.div_ceil(rows.div_ceil(ROWS));
        let stride = self.depth() * QUAD;
        let (mut panels, mut scales) = (vec![SHIFT as u8; rows * stride], vec![0.0; rows]);
        let (panels_of, scales_of) = (Shared::new(&mut panels), Shared::new(&mut scales));
        cpu.each(rows.div_ceil(height), |panel| {
            let rows = part(panel, height, rows);
            let height = rows.len();
            // SAFETY: rows of different tasks do not overlap.
            let (numbers, scales) =
                unsafe { (panels_of.range(rows.start * stride..rows.end * stride), scales_of.range(rows.clone())) };
            let mut whole = vec![SHIFT as u8; stride];
            for (lane, row) in rows.enumerate() {
                scales[lane] = quantise(&mut whole[..self.inputs], &x[row * self.inputs..][..self.inputs]);
                let quads = numbers.as_chunks_mut::<QUAD>().0;
                for (to, from) in quads[lane..].iter_mut().step_by(height).zip(whole.as_chunks::<QUAD>().0) {
                    *to = *from;
                }
            }
        });
        Left { panels, scales, height }
    }

    /// One tile of the output: up to 48 columns from `column` on.
    ///
    /// # Safety
    /// The target has a number for each of `rows` and of the columns, up to the weight's outputs, which this thread alone may touch.
    unsafe fn tile(&self, left: &Left, rows: std::ops::Range<usize>, column: usize, target: Target) {
        let (depth, height) = (self.depth(), rows.len());
        let width = COLUMNS.min(self.scales.len() - column);
        let panel = &left.panels[rows.start * depth * QUAD..][..height * depth * QUAD];
        let right = &self.panels[column * depth * QUAD..][..width * depth * QUAD];
        let mut sums = [0i32; ROWS * COLUMNS];
        match kernel_of(height, width / LANES) {
            // SAFETY: the panels hold that many numbers by the slices above, and the sums have room for the largest tile.
            Some(kernel) => unsafe { kernel(depth, panel.as_ptr(), right.as_ptr(), sums.as_mut_ptr()) },
            None => plain(depth, panel, right, &mut sums[..height * width]),
        }
        let columns = width.min(self.outputs - column);
        let (offsets, scales) = (&self.offsets[column..][..columns], &self.scales[column..][..columns]);
        for (row, sums) in rows.zip(sums.chunks_exact(width)) {
            // SAFETY: the caller's promise.
            let out = unsafe { std::slice::from_raw_parts_mut(target.from(row, column).start, columns) };
            finish(out, sums, offsets, left.scales[row], scales, target.add);
        }
    }
}

/// The sums of a tile in plain code: the same whole numbers.
fn plain(depth: usize, left: &[u8], right: &[i8], sums: &mut [i32]) {
    let (height, width) = (left.len() / (depth * QUAD), right.len() / (depth * QUAD));
    for (left, right) in left.chunks_exact(height * QUAD).zip(right.chunks_exact(width * QUAD)) {
        for (row, sums) in left.as_chunks::<QUAD>().0.iter().zip(sums.chunks_exact_mut(width)) {
            for (column, sum) in right.as_chunks::<QUAD>().0.iter().zip(sums) {
                for (x, w) in row.iter().zip(column) {
                    *sum += i32::from(*x) * i32::from(*w);
                }
            }
        }
    }
}

/// The kernel of a tile of `rows` rows and `registers` registers of columns, where the processor has the instruction.
fn kernel_of(rows: usize, registers: usize) -> Option<Kernel> {
    #[cfg(target_arch = "x86_64")]
    if isa() == Isa::Avx512 && is_x86_feature_detected!("avx512vnni") {
        return Some(vnni::KERNELS[rows - 1][registers - 1]);
    }
    None
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::*;

    use super::{Kernel, LANES, QUAD};

    macro_rules! kernels {
        ($($rows:literal)*) => { &[$([multiply::<$rows, 1>, multiply::<$rows, 2>, multiply::<$rows, 3>]),*] };
    }

    /// By rows, then by registers of columns, both counted from 1.
    pub(super) const KERNELS: &[[Kernel; 3]; super::ROWS] = kernels!(1 2 3 4 5 6 7 8 9);

    /// # Safety
    /// The panels hold `depth` quads of `R` rows and of `V` registers of columns, there is room for as many sums, and the
    /// processor has the instructions.
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn multiply<const R: usize, const V: usize>(depth: usize, left: *const u8, right: *const i8, out: *mut i32) {
        let mut sums = [[_mm512_setzero_si512(); V]; R];
        for p in 0..depth {
            // SAFETY: the caller's promise.
            unsafe {
                let right = right.add(p * V * LANES * QUAD);
                let left = left.add(p * R * QUAD);
                let mut columns = [_mm512_setzero_si512(); V];
                for (j, column) in columns.iter_mut().enumerate() {
                    *column = _mm512_loadu_si512(right.add(j * LANES * QUAD).cast());
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let row = _mm512_set1_epi32(left.add(i * QUAD).cast::<i32>().read_unaligned());
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = _mm512_dpbusd_epi32(*sum, row, column);
                    }
                }
            }
        }
        for (at, sum) in sums.iter().flatten().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_si512(out.add(at * LANES).cast(), *sum) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul::reference;
    use crate::testing::{numbers, numbers64};

    /// Rows of x, in f64, each number the nearest of 255 steps between ± the row's largest magnitude.
    fn rounded(x: &[f32], width: usize) -> Vec<f64> {
        let row = |row: &[f32]| -> Vec<f64> {
            let largest = row.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let whole = row.iter().map(|v| f64::from((v * (127.0 / largest)).round_ties_even()));
            whole.map(|whole| f64::from(largest) / 127.0 * whole).collect()
        };
        x.chunks_exact(width).flat_map(row).collect()
    }

    /// Against an f64 product of the rounded numbers: what is left is the rounding of the scales' product and of the result.
    #[test]
    fn a_product_is_that_of_the_rounded_numbers() {
        let cpu = Cpu::new(2).unwrap();
        for (rows, inputs, outputs) in
            [(1, 1, 1), (1, 5, 17), (9, 64, 48), (10, 66, 50), (64, 130, 200), (230, 33, 161)]
        {
            let (x, w, mut out) = (numbers(7, rows * inputs), numbers(8, outputs * inputs), numbers(9, rows * outputs));
            let mut expected = numbers64(&out);
            let (x64, w64) = (rounded(&x, inputs), rounded(&w, inputs));
            reference::forward(&mut expected, &x64, &w64, inputs, outputs, true);
            let weight = Int8Weight::new(&cpu, &w, inputs, outputs);
            weight.forward(&cpu, &mut out, &x, true);
            for (found, expected) in out.iter().zip(&expected) {
                // |Σ| ≤ inputs, and at most six roundings: three of the scales, their product, the result, the addition.
                let bound = 6.0 * f64::from(f32::EPSILON) / 2.0 * (inputs as f64 + 1.0);
                assert!((f64::from(*found) - expected).abs() < bound, "{rows} {inputs} {outputs}: {found} {expected}");
            }
        }
    }

    #[test]
    fn rows_threads_and_instructions_do_not_change_a_bit() {
        let (rows, inputs, outputs) = (37, 131, 75);
        let (x, w) = (numbers(3, rows * inputs), numbers(4, outputs * inputs));
        let run = |threads: usize, x: &[f32]| {
            let cpu = Cpu::new(threads).unwrap();
            let mut out = vec![0.0; x.len() / inputs * outputs];
            Int8Weight::new(&cpu, &w, inputs, outputs).forward(&cpu, &mut out, x, false);
            out
        };
        let all = run(1, &x);
        assert_eq!(run(3, &x), all);
        for row in [0, 8, 9, 36] {
            assert_eq!(run(1, &x[row * inputs..][..inputs]), all[row * outputs..][..outputs]);
        }
        let (left, right) = ([3u8, 250, 128, 0, 255, 7, 9, 1], [-127i8, 127, 5, -1, 0, 3, -9, 100].repeat(LANES));
        let mut plainly = vec![0; LANES];
        plain(2, &left, &right, &mut plainly);
        if let Some(kernel) = kernel_of(1, 1) {
            let mut sums = vec![0; LANES];
            // SAFETY: two quads of one row and of one register of columns.
            unsafe { kernel(2, left.as_ptr(), right.as_ptr(), sums.as_mut_ptr()) };
            assert_eq!(sums, plainly);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        let cpu = Cpu::new(1).unwrap();
        let weight = Int8Weight::new(&cpu, &numbers(1, 20 * 8), 8, 20);
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = numbers(2, 2 * 8);
            x[3] = broken;
            let mut out = vec![0.0; 2 * 20];
            weight.forward(&cpu, &mut out, &x, false);
            let (broken_row, sound_row) = out.split_at(20);
            assert!(broken_row.iter().all(|v| v.is_nan()), "{broken}: {out:?}");
            assert!(sound_row.iter().all(|v| v.is_finite()), "{broken}: {out:?}");
        }
        let mut out = vec![1.0; 20];
        weight.forward(&cpu, &mut out, &[0.0; 8], false);
        assert_eq!(out, [0.0; 20]);
    }
}
