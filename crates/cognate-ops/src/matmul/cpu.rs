//! The products as tasks of single-threaded library products.

use crate::cpu::{Cpu, Shared, part};

/// Products of fewer rows are padded to this many, which keeps the library off its special paths.
pub(crate) const ROWS_MIN: usize = 16;
/// Rows of one task of a long product: long enough to make packing the weight cheap, short enough to balance two cores.
const ROWS_TASK: usize = 256;
/// Columns of one task of a short product, or rows of one task of a weight gradient.
const COLUMNS_TASK: usize = 128;

/// A matrix to read: element (i, j) stands at start + i·row + j·column.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    pub(crate) start: *const f32,
    pub(crate) row: isize,
    pub(crate) column: isize,
}

/// A matrix to write: element (i, j) stands at start + i + j·column.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) start: *mut f32,
    pub(crate) column: isize,
    pub(crate) add: bool,
}

/// target (m, n) (+)= left (m, k) · right (k, n), on the calling thread.
///
/// # Safety
/// Every element named by the shape and an operand's strides lies in a live slice, and the target's elements, which no operand
/// contains, are the caller's alone.
pub(crate) unsafe fn product((m, n, k): (usize, usize, usize), target: Target, left: Operand, right: Operand) {
    let gemm = gemm_f32::gemm::f32::get_gemm_fn();
    // SAFETY: the caller's promise is exactly what the library asks for; strides are in elements.
    unsafe {
        gemm(
            m,
            n,
            k,
            target.start,
            target.column,
            1,
            target.add,
            left.start,
            left.column,
            left.row,
            right.start,
            right.column,
            right.row,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}

pub(crate) fn forward(cpu: &Cpu, out: &mut [f32], x: &[f32], weight: &[f32], inputs: usize, outputs: usize, add: bool) {
    let rows = out.len() / outputs;
    assert_eq!((out.len(), x.len(), weight.len()), (rows * outputs, rows * inputs, outputs * inputs));
    if rows < ROWS_MIN {
        return padded(out, x, inputs, outputs, |out, x| forward(cpu, out, x, weight, inputs, outputs, add));
    }
    let target = Shared::new(out);
    let compute = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        // SAFETY: the assertion above puts all rows and columns inside the slices, and tasks write disjoint parts.
        unsafe {
            product(
                (columns.len(), rows.len(), inputs),
                Target { start: target.pointer(rows.start * outputs + columns.start), column: outputs as isize, add },
                Operand { start: weight[columns.start * inputs..].as_ptr(), row: inputs as isize, column: 1 },
                Operand { start: x[rows.start * inputs..].as_ptr(), row: 1, column: inputs as isize },
            );
        }
    };
    if rows >= 2 * ROWS_TASK {
        cpu.each(rows.div_ceil(ROWS_TASK), |i| compute(part_at_least(i, ROWS_TASK, rows), 0..outputs));
    } else {
        cpu.each(outputs.div_ceil(COLUMNS_TASK), |i| compute(0..rows, part_at_least(i, COLUMNS_TASK, outputs)));
    }
}

pub(crate) fn input_gradient(cpu: &Cpu, dx: &mut [f32], dout: &[f32], weight: &[f32], inputs: usize, outputs: usize) {
    let rows = dx.len() / inputs;
    assert_eq!((dx.len(), dout.len(), weight.len()), (rows * inputs, rows * outputs, outputs * inputs));
    let target = Shared::new(dx);
    let compute = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        // SAFETY: the assertion above puts all rows and columns inside the slices, and tasks write disjoint parts.
        unsafe {
            product(
                (columns.len(), rows.len(), outputs),
                Target {
                    start: target.pointer(rows.start * inputs + columns.start),
                    column: inputs as isize,
                    add: false,
                },
                Operand { start: weight[columns.start..].as_ptr(), row: 1, column: inputs as isize },
                Operand { start: dout[rows.start * outputs..].as_ptr(), row: 1, column: outputs as isize },
            );
        }
    };
    if rows >= 2 * ROWS_TASK {
        cpu.each(rows.div_ceil(ROWS_TASK), |i| compute(part(i, ROWS_TASK, rows), 0..inputs));
    } else {
        cpu.each(inputs.div_ceil(COLUMNS_TASK), |i| compute(0..rows, part(i, COLUMNS_TASK, inputs)));
    }
}

pub(crate) fn weight_gradient(cpu: &Cpu, dweight: &mut [f32], dout: &[f32], x: &[f32], inputs: usize, outputs: usize) {
    let rows = x.len() / inputs;
    assert_eq!((dweight.len(), dout.len(), x.len()), (outputs * inputs, rows * outputs, rows * inputs));
    // The longer side is cut, so that the packing of the other side, repeated by each task, stays small.
    let target = Shared::new(dweight);
    let compute = |o: std::ops::Range<usize>, i: std::ops::Range<usize>| {
        // SAFETY: as in `forward`.
        unsafe {
            product(
                (i.len(), o.len(), rows),
                Target { start: target.pointer(o.start * inputs + i.start), column: inputs as isize, add: true },
                Operand { start: x[i.start..].as_ptr(), row: 1, column: inputs as isize },
                Operand { start: dout[o.start..].as_ptr(), row: outputs as isize, column: 1 },
            );
        }
    };
    if outputs >= inputs {
        let size = task_size(outputs);
        cpu.each(outputs.div_ceil(size), |i| compute(part(i, size, outputs), 0..inputs));
    } else {
        let size = task_size(inputs);
        cpu.each(inputs.div_ceil(size), |i| compute(0..outputs, part(i, size, inputs)));
    }
}

/// About eight tasks, each a multiple of 48 (the library's register tile) wide.
fn task_size(total: usize) -> usize {
    total.div_ceil(8).next_multiple_of(48)
}

/// As [`part`], but a last part that would be shorter than [`ROWS_MIN`] joins the one before it, and is itself empty.
fn part_at_least(i: usize, size: usize, total: usize) -> std::ops::Range<usize> {
    let tail = total % size;
    let joined = tail > 0 && tail <= ROWS_MIN && total > size;
    let last = if joined { total / size - 1 } else { (total - 1) / size };
    match i.cmp(&last) {
        std::cmp::Ordering::Less => part(i, size, total),
        std::cmp::Ordering::Equal => i * size..total,
        std::cmp::Ordering::Greater => total..total,
    }
}

/// Runs a product on copies of `out` and `x` that have [`ROWS_MIN`] rows, the missing ones zero.
fn padded(out: &mut [f32], x: &[f32], inputs: usize, outputs: usize, run: impl FnOnce(&mut [f32], &[f32])) {
    let mut wide_x = vec![0.0; ROWS_MIN * inputs];
    wide_x[..x.len()].copy_from_slice(x);
    let mut wide_out = vec![0.0; ROWS_MIN * outputs];
    wide_out[..out.len()].copy_from_slice(out);
    run(&mut wide_out, &wide_x);
    out.copy_from_slice(&wide_out[..out.len()]);
}
