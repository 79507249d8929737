//! A product on one thread, and one on all of them: blocks for the caches around the register tiles.
//!
//! k is cut into blocks by its length alone, and every output is the sum of its blocks' chains in order, so the bits of an
//! output depend on its row of the left matrix, its column of the right one, and nothing else. Per block of k, panels of the
//! right matrix pass through the first-level cache while the left block stays in the second-level one (Goto and van de
//! Geijn, "Anatomy of high-performance matrix multiplication", 2008).

use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

use super::kernel::{Tile, tile};
use super::pack::{Operand, pack};
use crate::cpu::{Cpu, Shared};

/// Longest block of k: a panel of 48 columns then takes 36 KiB of a first-level cache of 48, the tile's left panel 7.
const K_BLOCK: usize = 192;
/// Columns of one block: with [`K_BLOCK`] numbers each they take 864 KiB.
const COLUMNS_BLOCK: usize = 1152;
/// Panels of left rows in one task: the block stays in the second-level cache, and tasks are small enough to share evenly.
const PANELS_TASK: usize = 6;
/// Numbers of the right matrix that are packed at a time (32 MiB).
const SHARED_MOST: usize = 8 << 20;
/// Products of no more rows are cut by columns, and each task packs its own part of the right matrix.
const ROWS_SHORT: usize = 108;
/// Columns of one task of such a product: widths such as 384 are an even number of them, so that two threads have as much to do.
const COLUMNS_TASK: usize = 96;

/// A matrix to write: number (i, j) stands at start + i·stride + j.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) start: *mut f32,
    pub(crate) stride: usize,
    pub(crate) add: bool,
}

// SAFETY: tasks write disjoint parts, which is the promise made with the target.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    pub(super) fn from(self, row: usize, column: usize) -> Self {
        Self { start: self.start.wrapping_add(row * self.stride + column), ..self }
    }
}

/// A cache line's worth of numbers, so that panels start on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line([f32; 16]);

impl Line {
    /// Makes room for `len` numbers.
    pub(super) fn extend(lines: &mut Vec<Self>, len: usize) {
        if lines.len() * 16 < len {
            lines.resize(len.div_ceil(16), Self([0.0; 16]));
        }
    }

    /// The first `len` numbers of some lines.
    pub(super) fn numbers(lines: &[Self], len: usize) -> &[f32] {
        // SAFETY: a Line is 16 numbers without padding.
        let numbers = unsafe { std::slice::from_raw_parts(lines.as_ptr().cast::<f32>(), lines.len() * 16) };
        &numbers[..len]
    }

    /// The first `len` numbers of some lines, to write.
    pub(super) fn numbers_mut(lines: &mut [Self], len: usize) -> &mut [f32] {
        // SAFETY: a Line is 16 numbers without padding.
        let numbers = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<f32>(), lines.len() * 16) };
        &mut numbers[..len]
    }
}

type Scratch = LocalKey<Cell<Vec<Line>>>;

thread_local! {
    /// Panels that one task packs for itself.
    static OWN: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
    /// Panels that the tasks of one product share.
    static SHARED: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Runs `work` on `len` numbers of a thread's scratch, with any content.
fn with<R>(scratch: &'static Scratch, len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    // Taken, not borrowed: a thread that waits inside `work` may be given another product to run.
    let mut lines = scratch.take();
    Line::extend(&mut lines, len);
    let result = work(Line::numbers_mut(&mut lines, len));
    scratch.set(lines);
    result
}

/// Blocks of k, of nearly equal length.
fn k_blocks(k: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let length = k.div_ceil(k.div_ceil(K_BLOCK).max(1)).next_multiple_of(8).max(8);
    (0..k).step_by(length).map(move |start| start..(start + length).min(k))
}

/// Numbers of a block's longest part, for scratch.
fn k_longest(k: usize) -> usize {
    k_blocks(k).map(|block| block.len()).max().unwrap_or(0)
}

/// Packs rows of the left matrix for a block of k.
///
/// # Safety
/// As [`pack`], for those rows and the whole block.
unsafe fn pack_left(t: Tile, panels: &mut [f32], left: Operand, k: &Range<usize>, rows: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { pack(t.isa, panels, left.from(k.start, rows.start), k.len(), rows.len(), t.rows, 1) }
}

/// Packs columns of the right matrix for a block of k.
///
/// # Safety
/// As [`pack`], for those columns and the whole block.
unsafe fn pack_right(t: Tile, panels: &mut [f32], right: Operand, k: &Range<usize>, columns: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { pack(t.isa, panels, right.from(k.start, columns.start), k.len(), columns.len(), t.columns, t.lanes) }
}

/// target (rows, columns) (+)= left panels · right panels for one block of k.
///
/// # Safety
/// The panels are those of that many rows and columns, and the target may be written there.
unsafe fn tiles(t: Tile, k: usize, left: &[f32], rows: usize, right: &[f32], columns: usize, target: Target) {
    assert!(left.len() >= rows * k && right.len() >= columns.next_multiple_of(t.lanes) * k);
    for j in (0..columns).step_by(t.columns) {
        for i in (0..rows).step_by(t.rows) {
            // The tiles of one right panel fetch the next one, each its share.
            let next = right.as_ptr().wrapping_add((j + t.columns) * k + i / t.rows * k * 8);
            let size = (t.rows.min(rows - i), t.columns.min(columns - j), target.stride);
            // SAFETY: the assertion covers the panels, the caller's promise the target.
            unsafe {
                let (left, right) = (left.as_ptr().add(i * k), right.as_ptr().add(j * k));
                t.multiply(k, left, right, next, target.from(i, j).start, size, target.add);
            }
        }
    }
}

/// target (m, n) = 0.
///
/// # Safety
/// The target may be written.
unsafe fn clear(m: usize, n: usize, target: Target) {
    for i in 0..m {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(target.from(i, 0).start, n) }.fill(0.0);
    }
}

/// target (m, n) (+)= left (m, k) · right (k, n), on the calling thread.
///
/// # Safety
/// Every number named by the shape and an operand's strides lies in a live slice, and the target's numbers, which no operand
/// contains, are the caller's alone.
pub(crate) unsafe fn product((m, n, k): (usize, usize, usize), target: Target, left: Operand, right: Operand) {
    let t = tile();
    if k == 0 && !target.add {
        // SAFETY: the caller's promise.
        unsafe { clear(m, n, target) };
    }
    let rows_block = PANELS_TASK * t.rows;
    let (left_len, longest) = (rows_block.min(m) * k_longest(k), k_longest(k));
    let left_len = left_len.next_multiple_of(16);
    with(&OWN, left_len + COLUMNS_BLOCK.min(n).next_multiple_of(t.lanes) * longest, |panels| {
        let (left_panels, right_panels) = panels.split_at_mut(left_len);
        for column in (0..n).step_by(COLUMNS_BLOCK) {
            let columns = column..(column + COLUMNS_BLOCK).min(n);
            for block in k_blocks(k) {
                // SAFETY: the caller's promise.
                unsafe { pack_right(t, right_panels, right, &block, columns.clone()) };
                for row in (0..m).step_by(rows_block) {
                    let rows = row..(row + rows_block).min(m);
                    let target = Target { add: target.add || block.start > 0, ..target.from(row, column) };
                    // SAFETY: the caller's promise.
                    unsafe {
                        pack_left(t, left_panels, left, &block, rows.clone());
                        tiles(t, block.len(), left_panels, rows.len(), right_panels, columns.len(), target);
                    }
                }
            }
        }
    });
}

/// target (m, n) (+)= left (m, k) · right (k, n), on all threads of `cpu`; the same bits as [`product`].
///
/// # Safety
/// As [`product`].
pub(crate) unsafe fn parallel(
    cpu: &Cpu,
    (m, n, k): (usize, usize, usize),
    target: Target,
    left: Operand,
    right: Operand,
) {
    // SAFETY: the caller's promise is what all three ask for.
    unsafe {
        if k == 0 || m.min(n) == 0 {
            product((m, n, k), target, left, right);
        } else if m <= ROWS_SHORT {
            short(cpu, (m, n, k), target, left, right);
        } else {
            long(cpu, (m, n, k), target, left, right);
        }
    }
}

/// Few rows: the left matrix is packed once, and each task packs its own columns of the right one.
///
/// # Safety
/// As [`product`].
unsafe fn short(cpu: &Cpu, (m, n, k): (usize, usize, usize), target: Target, left: Operand, right: Operand) {
    let t = tile();
    with(&SHARED, m * k, |left_panels| {
        for block in k_blocks(k) {
            // SAFETY: the caller's promise.
            unsafe { pack_left(t, &mut left_panels[m * block.start..], left, &block, 0..m) };
        }
        let left_panels = &*left_panels;
        cpu.each(n.div_ceil(COLUMNS_TASK), |task| {
            let columns = task * COLUMNS_TASK..((task + 1) * COLUMNS_TASK).min(n);
            with(&OWN, columns.len().next_multiple_of(t.lanes) * k_longest(k), |right_panels| {
                for block in k_blocks(k) {
                    let target = Target { add: target.add || block.start > 0, ..target.from(0, columns.start) };
                    // SAFETY: the caller's promise; tasks write different columns.
                    unsafe {
                        pack_right(t, right_panels, right, &block, columns.clone());
                        tiles(t, block.len(), &left_panels[m * block.start..], m, right_panels, columns.len(), target);
                    }
                }
            });
        });
    });
}

/// Few rows and a packed right matrix: each task takes some columns.
///
/// # Safety
/// As [`product`], with the panels of all columns and all of k.
pub(super) unsafe fn short_by_panels(
    cpu: &Cpu,
    t: Tile,
    (m, n, k): (usize, usize, usize),
    target: Target,
    left: Operand,
    right_panels: &[f32],
) {
    let (t, padded) = (t.even(m), n.next_multiple_of(t.lanes));
    with(&SHARED, m * k, |left_panels| {
        for block in k_blocks(k) {
            // SAFETY: the caller's promise.
            unsafe { pack_left(t, &mut left_panels[m * block.start..], left, &block, 0..m) };
        }
        let left_panels = &*left_panels;
        cpu.each(n.div_ceil(COLUMNS_TASK), |task| {
            let columns = task * COLUMNS_TASK..((task + 1) * COLUMNS_TASK).min(n);
            for block in k_blocks(k) {
                let target = Target { add: target.add || block.start > 0, ..target.from(0, columns.start) };
                let right_panels = &right_panels[padded * block.start + columns.start * block.len()..];
                // SAFETY: the caller's promise; tasks write different columns.
                unsafe {
                    tiles(t, block.len(), &left_panels[m * block.start..], m, right_panels, columns.len(), target);
                }
            }
        });
    });
}

/// Many rows: the right matrix is packed once by all threads, and each task packs its own rows of the left one.
///
/// # Safety
/// As [`product`].
unsafe fn long(cpu: &Cpu, (m, n, k): (usize, usize, usize), target: Target, left: Operand, right: Operand) {
    let t = tile();
    // Cut so that the packed part of the right matrix stays within bounds, in whole blocks of columns.
    let columns_most = (SHARED_MOST / k / COLUMNS_BLOCK).max(1) * COLUMNS_BLOCK;
    for column in (0..n).step_by(columns_most) {
        let columns = column..(column + columns_most).min(n);
        let padded = columns.len().next_multiple_of(t.lanes);
        with(&SHARED, padded * k, |right_panels| {
            // SAFETY: the caller's promise.
            unsafe { pack_shared(cpu, t, right_panels, right, columns.clone(), k) };
            // SAFETY: as above.
            unsafe { rows_by_columns(cpu, t, (m, columns.len(), k), target.from(0, column), left, right_panels) };
        });
    }
}

/// Packs `columns` of the right matrix on all threads, one block of k after the other.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn pack_shared(
    cpu: &Cpu,
    t: Tile,
    panels: &mut [f32],
    right: Operand,
    columns: Range<usize>,
    k: usize,
) {
    /// Panels of one task.
    const PANELS: usize = 4;
    let (wide, padded) = (PANELS * t.columns, columns.len().next_multiple_of(t.lanes));
    let blocks: Vec<Range<usize>> = k_blocks(k).collect();
    let tasks = padded.div_ceil(wide);
    let panels = Shared::new(panels);
    cpu.each(tasks * blocks.len(), |i| {
        let (block, first) = (&blocks[i / tasks], i % tasks * wide);
        let last = (first + wide).min(padded);
        // SAFETY: tasks have different panels, and the caller's promise.
        unsafe {
            let start = padded * block.start;
            let part = panels.range(start + first * block.len()..start + last * block.len());
            let lanes = columns.start + first..(columns.start + last).min(columns.end);
            pack_right(t, part, right, block, lanes);
        }
    });
}

/// The product with a packed right matrix, in tasks of some rows by a block of columns.
///
/// # Safety
/// As [`product`].
pub(super) unsafe fn rows_by_columns(
    cpu: &Cpu,
    t: Tile,
    (m, n, k): (usize, usize, usize),
    target: Target,
    left: Operand,
    right_panels: &[f32],
) {
    let padded = n.next_multiple_of(t.lanes);
    let panels = m.div_ceil(t.rows);
    // An even number of row blocks, equal to one panel: halves of the work for two threads.
    let row_blocks = (2 * panels.div_ceil(2 * PANELS_TASK)).min(panels);
    let column_blocks = n.div_ceil(COLUMNS_BLOCK);
    cpu.each(row_blocks * column_blocks, |i| {
        // One block of columns after the other: it stays in a cache while rows pass by.
        let (at, column) = (i % row_blocks, i / row_blocks * COLUMNS_BLOCK);
        let rows = panels * at / row_blocks * t.rows..(panels * (at + 1) / row_blocks * t.rows).min(m);
        let columns = COLUMNS_BLOCK.min(n - column);
        with(&OWN, rows.len() * k_longest(k), |left_panels| {
            for block in k_blocks(k) {
                let target = Target { add: target.add || block.start > 0, ..target.from(rows.start, column) };
                let right_panels = &right_panels[padded * block.start + column * block.len()..];
                // SAFETY: the caller's promise; tasks write different rows or columns.
                unsafe {
                    pack_left(t, left_panels, left, &block, rows.clone());
                    tiles(t, block.len(), left_panels, rows.len(), right_panels, columns, target);
                }
            }
        });
    });
}
