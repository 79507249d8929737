//! What the operating system says of this process.

/// Most memory that the process has held at one time, in bytes; `None` where the system does not say (it does on Linux).
pub fn peak_rss_bytes() -> Option<u64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_was_touched_is_in_the_peak() {
        let block = vec![1u8; 64 << 20];
        let peak = super::peak_rss_bytes().unwrap();
        assert!(peak > block.iter().map(|&b| u64::from(b)).sum::<u64>(), "{peak}");
    }
}
