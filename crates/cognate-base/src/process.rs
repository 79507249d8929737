//! What the operating system says of this process, and of what the machine has for it.

use std::path::{Path, PathBuf};

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

/// Whether there is a process with this number.
pub fn is_alive(process: u32) -> bool {
    #[cfg(unix)]
    {
        let number = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
        // A process that may not be asked is there.
        number.is_some_and(|number| !matches!(rustix::process::test_kill_process(number), Err(rustix::io::Errno::SRCH)))
    }
    #[cfg(not(unix))]
    {
        let _ = process;
        true
    }
}

/// Memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that this process may hold in all: the machine's, or what a control group or a limit on the process grants where that is
    /// less.
    pub total: u64,
    /// Of these, bytes that nobody holds now.
    pub available: u64,
}

/// What memory there is; `None` where the system does not say (Linux does).
pub fn memory() -> Option<Memory> {
    let own = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let granted = control_groups(&own).iter().filter_map(|folder| granted(folder)).min();
    memory_of(&fs_err::read_to_string("/proc/meminfo").ok()?, granted.into_iter().chain(address_space()).min())
}

/// Bytes of addresses that the process may use: what `ulimit -v` and schedulers set.
#[cfg(unix)]
fn address_space() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

/// A computation for which the machine is too small.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} takes about {} GB of memory, and this process may hold {} GB: take a smaller model, fewer tokens or documents at a time, or a \
     larger machine",
    gigabytes(*needed),
    gigabytes(*total)
)]
pub struct TooLarge {
    /// What was to be done, as a sentence begins: "training this model".
    pub what: &'static str,
    /// Bytes that it takes.
    pub needed: u64,
    /// Bytes that there are: [`Memory::total`].
    pub total: u64,
}

/// With two digits at least.
fn gigabytes(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes < 10.0 { format!("{gigabytes:.2}") } else { format!("{gigabytes:.0}") }
}

/// Refuses a computation that takes more memory than this process may ever hold: it would be killed, or die, on its way. What other
/// programs hold now is not counted, since they may let go of it.
///
/// # Errors
/// When `needed` bytes are more than [`Memory::total`]; never where the system does not say how many there are.
pub fn check_memory(what: &'static str, needed: f64) -> Result<(), TooLarge> {
    match memory() {
        Some(Memory { total, .. }) if needed > total as f64 => Err(TooLarge { what, needed: needed as u64, total }),
        _ => Ok(()),
    }
}

/// From the content of `/proc/meminfo` and the least that anything else grants.
fn memory_of(meminfo: &str, granted: Option<u64>) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let machine = field("MemTotal:")?;
    let total = machine.min(granted.unwrap_or(machine));
    Some(Memory { total, available: field("MemAvailable:")?.min(total) })
}

/// The folders of the control groups that a process is in, from the content of its `/proc/PID/cgroup`: the inner one and those around
/// it, of version 2 and, for memory, of version 1.
fn control_groups(own: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            some if some.split(',').any(|controller| controller == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let group = Path::new(group.trim_start_matches('/'));
        folders.extend(group.ancestors().map(|group| Path::new(root).join(group)));
    }
    folders
}

/// Bytes that a control group grants; none where it grants all ("max") or there is no such group.
fn granted(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs_err::read_to_string(folder.join(name)).ok()?.trim().parse().ok();
    read("memory.max").or_else(|| read("memory.limit_in_bytes"))
}

/// Bytes that this user may still write below `path`, or below the nearest folder around it that exists; `None` where the system
/// does not say.
#[cfg(unix)]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Bytes that this user may still write below `path`; this system is not asked.
#[cfg(not(unix))]
pub fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_bounds_the_memory_of_the_machine() {
        let meminfo = "MemTotal:       2048 kB\nMemFree:         5 kB\nMemAvailable:   1024 kB\n";
        let bytes = |total: u64, available: u64| Some(Memory { total: total << 10, available: available << 10 });
        assert_eq!(memory_of(meminfo, None), bytes(2048, 1024));
        assert_eq!(memory_of(meminfo, Some(512 << 10)), bytes(512, 512));
        assert_eq!(memory_of(meminfo, Some(u64::MAX)), bytes(2048, 1024));
        assert_eq!(memory_of("MemTotal: 2048 kB\n", None), None);
    }

    #[test]
    fn the_groups_around_a_group_count_too() {
        let paths = |own: &str| -> Vec<String> {
            control_groups(own).iter().map(|path| path.display().to_string().trim_end_matches('/').to_owned()).collect()
        };
        assert_eq!(paths("0::/a/b\n"), ["/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"]);
        assert_eq!(paths("5:cpu:/x\n7:memory,hugetlb:/\n"), ["/sys/fs/cgroup/memory"]);
        assert_eq!(paths(""), [""; 0]);
        let scratch = tempfile::tempdir().unwrap();
        let grant = |content: &str| {
            crate::files::write_atomic(scratch.path().join("memory.max"), content).unwrap();
            granted(scratch.path())
        };
        assert_eq!(granted(scratch.path()), None);
        assert_eq!([grant("4096\n"), grant("max\n")], [Some(4096), None]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_no_machine_can_hold_is_refused() {
        let total = memory().unwrap().total;
        assert_eq!(check_memory("this", 0.5 * total as f64), Ok(()));
        let refused = check_memory("training this model", 1e15).unwrap_err();
        assert_eq!(refused, TooLarge { what: "training this model", needed: 1_000_000_000_000_000, total });
        let shown = TooLarge { total: 2_345_678_901, ..refused }.to_string();
        let expected = "training this model takes about 1000000 GB of memory, and this process may hold 2.35 GB: ";
        assert!(shown.starts_with(expected), "{shown}");
    }

    #[test]
    #[cfg(unix)]
    fn free_space_is_that_of_the_nearest_folder_that_exists() {
        let scratch = tempfile::tempdir().unwrap();
        let (here, below) = (free_bytes(scratch.path()).unwrap(), free_bytes(&scratch.path().join("a/b")).unwrap());
        // Others write meanwhile.
        assert!(here > 0 && below.abs_diff(here) < 1 << 30, "{here} {below}");
    }

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
