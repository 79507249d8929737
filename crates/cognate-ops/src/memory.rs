//! Large buffers in large pages: a buffer that is read from end to end at the speed of memory should not wait for the tables that
//! say where its 4 KiB pages are. On Linux, transparent huge pages are usually given to those who ask.

/// Buffers below this many bytes are left alone: a page of 2 MiB would be mostly empty.
const LEAST: usize = 8 << 20;
/// A huge page of x86-64 and of most arm64 systems.
const PAGE: usize = 2 << 20;

/// Asks for huge pages under `numbers`, which should not have been written yet. Nothing depends on the answer but speed.
pub(crate) fn prefer_huge_pages<T>(numbers: &mut [T]) {
    let range = numbers.as_mut_ptr_range();
    let (start, end) = ((range.start as usize).next_multiple_of(PAGE), range.end as usize / PAGE * PAGE);
    if size_of_val(numbers) < LEAST || start >= end {
        return;
    }
    #[cfg(target_os = "linux")]
    // SAFETY: whole pages inside a slice that is borrowed exclusively; the advice changes no content.
    unsafe {
        libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
    }
}
