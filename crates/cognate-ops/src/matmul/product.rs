//! A product on one thread, and one on all of them: blocks for the caches around the register tiles.
//!
//! k is cut into blocks by its length alone, and every output is the sum of its blocks' chains in order, so the bits of an
//! output depend on its row of the left matrix, its column of the right one, and nothing else. Per block of k, panels of the
//! right matrix pass through the first-level cache while the left block stays in the second-level one (Goto and van de
//! Geijn, "Anatomy of high-performance matrix multiplication", 2008).

use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

use super::kernel::{Left, Tile, tile};
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

/// Numbers of scratch that [`left_side`] needs for `rows` rows of a block of `k`.
fn left_scratch(left: Operand, rows: usize, k: usize) -> usize {
    if left.k == 1 { 0 } else { (rows * k).next_multiple_of(16) }
}

/// Rows of the left matrix for a block of k: where they stand, if k runs along them, or else in panels. A row's numbers are
/// broadcast one by one, so moving them gains nothing; across rows each k is a cache line of its own, and reading them in place
/// gained 3 % of a training step at width 192 and lost as much at 1024.
///
/// # Safety
/// As [`pack`], for those rows and the whole block; the result may be read for as long as both.
unsafe fn left_side(t: Tile, panels: &mut [f32], left: Operand, k: &Range<usize>, rows: Range<usize>) -> Left {
    let left = left.from(k.start, rows.start);
    if left.k == 1 {
        return Left::Rows(left.start, left.lane);
    }
    // SAFETY: the caller's promise.
    unsafe { pack(t.isa, panels, left, k.len(), rows.len(), t.rows, 1) };
    Left::Panel(panels.as_ptr())
}

/// Packs columns of the right matrix for a block of k.
///
/// # Safety
/// As [`pack`], for those columns and the whole block.
unsafe fn pack_right(t: Tile, panels: &mut [f32], right: Operand, k: &Range<usize>, columns: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe { pack(t.isa, panels, right.from(k.start, columns.start), k.len(), columns.len(), t.columns, t.lanes) }
}

/// target (rows, columns) (+)= left side · right panels for one block of k.
///
/// # Safety
/// The left side is that of those rows, the panels are those of that many columns, and the target may be written there.
unsafe fn tiles(t: Tile, k: usize, left: Left, rows: usize, right: &[f32], columns: usize, target: Target) {
    assert!(right.len() >= columns.next_multiple_of(t.lanes) * k);
    for j in (0..columns).step_by(t.columns) {
        for i in (0..rows).step_by(t.rows) {
            // The tiles of one right panel fetch the next one, each its share.
            let next = right.as_ptr().wrapping_add((j + t.columns) * k + i / t.rows * k * 8);
            let size = (t.rows.min(rows - i), t.columns.min(columns - j), target.stride);
            let left = match left {
                Left::Panel(start) => Left::Panel(start.wrapping_add(i * k)),
                Left::Rows(start, row) => Left::Rows(start.wrapping_add(i * row), row),
            };
            // SAFETY: the assertion covers the right panels, the caller's promise the left side and the target.
            unsafe {
                let right = right.as_ptr().add(j * k);
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
    let longest = k_longest(k);
    let left_len = left_scratch(left, rows_block.min(m), longest);
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
                        let left = left_side(t, left_panels, left, &block, rows.clone());
                        tiles(t, block.len(), left, rows.len(), right_panels, columns.len(), target);
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

/// The left side of every block of k, for tasks that share it.
#[derive(Clone, Copy)]
struct LeftSides<'a> {
    left: Operand,
    rows: usize,
    panels: &'a [f32],
}

impl LeftSides<'_> {
    /// Runs `work` on the left side of `rows` rows.
    ///
    /// # Safety
    /// As [`pack`], for those rows and all of k.
    unsafe fn with(t: Tile, left: Operand, rows: usize, k: usize, work: impl FnOnce(LeftSides<'_>)) {
        with(&SHARED, left_scratch(left, rows, k), |panels| {
            if !panels.is_empty() {
                for block in k_blocks(k) {
                    // SAFETY: the caller's promise.
                    unsafe { left_side(t, &mut panels[rows * block.start..], left, &block, 0..rows) };
                }
            }
            work(LeftSides { left, rows, panels });
        });
    }

    fn of(&self, block: &Range<usize>) -> Left {
        match self.panels {
            [] => Left::Rows(self.left.from(block.start, 0).start, self.left.lane),
            panels => Left::Panel(panels[self.rows * block.start..].as_ptr()),
        }
    }
}

/// Few rows: each task packs its own columns of the right matrix.
///
/// # Safety
/// As [`product`].
unsafe fn short(cpu: &Cpu, (m, n, k): (usize, usize, usize), target: Target, left: Operand, right: Operand) {
    let t = tile();
    let tasks = |left: LeftSides<'_>| {
        cpu.each(n.div_ceil(COLUMNS_TASK), |task| {
            let columns = task * COLUMNS_TASK..((task + 1) * COLUMNS_TASK).min(n);
            with(&OWN, columns.len().next_multiple_of(t.lanes) * k_longest(k), |right_panels| {
                for block in k_blocks(k) {
                    let target = Target { add: target.add || block.start > 0, ..target.from(0, columns.start) };
                    // SAFETY: the caller's promise; tasks write different columns.
                    unsafe {
                        pack_right(t, right_panels, right, &block, columns.clone());
                        tiles(t, block.len(), left.of(&block), m, right_panels, columns.len(), target);
                    }
                }
            });
        });
    };
    // SAFETY: the caller's promise.
    unsafe { LeftSides::with(t, left, m, k, tasks) };
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
    let tasks = |left: LeftSides<'_>| {
        cpu.each(n.div_ceil(COLUMNS_TASK), |task| {
            let columns = task * COLUMNS_TASK..((task + 1) * COLUMNS_TASK).min(n);
            for block in k_blocks(k) {
                let target = Target { add: target.add || block.start > 0, ..target.from(0, columns.start) };
                let right_panels = &right_panels[padded * block.start + columns.start * block.len()..];
                // SAFETY: the caller's promise; tasks write different columns.
                unsafe { tiles(t, block.len(), left.of(&block), m, right_panels, columns.len(), target) };
            }
        });
    };
    // SAFETY: the caller's promise.
    unsafe { LeftSides::with(t, left, m, k, tasks) };
}

/// Many rows: the right matrix is packed once by all threads, and each task takes some rows.
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
        with(&OWN, left_scratch(left, rows.len(), k_longest(k)), |left_panels| {
            for block in k_blocks(k) {
                let target = Target { add: target.add || block.start > 0, ..target.from(rows.start, column) };
                let right_panels = &right_panels[padded * block.start + column * block.len()..];
                // SAFETY: the caller's promise; tasks write different rows or columns.
                unsafe {
                    let left = left_side(t, left_panels, left, &block, rows.clone());
                    tiles(t, block.len(), left, rows.len(), right_panels, columns, target);
                }
            }
        });
    });
}
