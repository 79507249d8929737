//! What the operating system says of this process.

/// Most memory that the process has held at one time, in bytes; `None` where the system does not say (it does on Linux).
pub fn peak_rss_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Lets [`peak_rss_bytes`] begin anew from what the process holds now, so that the peak of one stage can be told from that of
/// the one before. Says whether the system did so; where it does not, a later peak may be an earlier stage's.
pub fn forget_peak_rss() -> bool {
    // Linux: 5 resets the high-water mark (proc(5), /proc/PID/clear_refs). The file system's own file: never a user's.
    fs_err::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_forgotten_peak_is_not_the_next_one() {
        let block = vec![1u8; 256 << 20];
        let sum = block.iter().map(|&b| u64::from(b)).sum::<u64>();
        let before = super::peak_rss_bytes().unwrap();
        drop(block);
        assert!(super::forget_peak_rss());
        let after = super::peak_rss_bytes().unwrap();
        // Other tests of this process may hold some of their own, but not as much.
        assert!(before >= sum && after + (128 << 20) < before, "{before} {after}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_was_touched_is_in_the_peak() {
        let block = vec![1u8; 64 << 20];
        let peak = super::peak_rss_bytes().unwrap();
        assert!(peak > block.iter().map(|&b| u64::from(b)).sum::<u64>(), "{peak}");
    }
}
