//! The CPU device: f32, SIMD chosen at run time, a pool of threads.

use std::ops::Range;
use std::sync::Arc;

use crate::device::{View, ViewMut};
use crate::pool::Pool;
use crate::simd::checked_isa;

mod dispatch;

/// The processor's cores as a device.
#[derive(Clone, Debug)]
pub struct Cpu {
    pool: Arc<Pool>,
    threads: usize,
}

impl Cpu {
    /// A device of `threads` threads, at least one.
    ///
    /// # Errors
    /// When the operating system refuses to start the threads, or no instruction set can be chosen ([`checked_isa`]).
    pub fn new(threads: usize) -> std::io::Result<Self> {
        checked_isa().map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let threads = threads.max(1);
        Ok(Self { pool: Arc::new(Pool::new(threads)?), threads })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `task` for each number below `tasks`, on all threads. Which thread runs which task is left open; tasks must
    /// not depend on it.
    pub(crate) fn each(&self, tasks: usize, task: impl Fn(usize) + Sync + Send) {
        self.pool.each(tasks, &task);
    }
}

/// A slice that tasks write to in parts which never overlap.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is through `range` and `pointer`, whose callers promise that parts in use at one time are disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), lifetime: std::marker::PhantomData }
    }

    /// # Safety
    /// No other part that overlaps `range` may be in use while the result is.
    pub(crate) unsafe fn range(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part {range:?} of a slice of {}", self.len);
        // SAFETY: inside the slice by the assertion, exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Pointer to element `index`, for strided writes by a task that owns the elements it touches.
    pub(crate) fn pointer(&self, index: usize) -> *mut T {
        assert!(index <= self.len, "element {index} of a slice of {}", self.len);
        self.start.wrapping_add(index)
    }
}

/// Start and end of task `i` when `total` is cut into parts of `size`.
pub(crate) fn part(i: usize, size: usize, total: usize) -> Range<usize> {
    i * size..((i + 1) * size).min(total)
}

impl<'a> View<'a, Cpu> {
    pub(crate) fn slice(&self) -> &'a [f32] {
        &self.buffer[self.range.clone()]
    }
}

impl ViewMut<'_, Cpu> {
    pub(crate) fn slice(&mut self) -> &mut [f32] {
        &mut self.buffer[self.range.clone()]
    }
}
