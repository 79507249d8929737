//! One run directory, one writer.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use fs_err::{File, OpenOptions};

use super::error::RunDirError;

/// File name of the lock.
pub(super) const LOCK: &str = "lock";

/// Held while a run writes into its directory. The operating system lets go of it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `folder`, which exists.
    ///
    /// # Errors
    /// When another process has it; the message says which.
    pub fn take(folder: &Path) -> Result<Self, RunDirError> {
        let path = folder.join(LOCK);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        // `status` holds the lock for an instant to see whether it is free: try again before giving up.
        for attempt in 0..5 {
            match file.file().try_lock() {
                Ok(()) => {
                    file.set_len(0)?;
                    file.rewind()?;
                    writeln!(file, "process {} on {}", std::process::id(), host())?;
                    return Ok(Self { file });
                }
                Err(TryLockError::WouldBlock) if attempt < 4 => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(
                        std::io::Error::new(error.kind(), format!("cannot lock {}: {error}", path.display())).into()
                    );
                }
            }
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder)?;
        let holder = if holder.trim().is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
        Err(RunDirError::Locked { folder: folder.to_path_buf(), holder })
    }

    /// Who writes into `folder` now, if anybody does.
    ///
    /// # Errors
    /// When the lock file is there and cannot be read.
    pub fn holder(folder: &Path) -> Result<Option<String>, RunDirError> {
        let mut file = match File::open(folder.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match file.file().try_lock_shared() {
            Ok(()) => Ok(None),
            Err(_) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                Ok(Some(holder.trim().to_owned()))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The file stays: removing it would let two processes lock two files of one name.
        let _ = self.file.set_len(0);
    }
}

/// The machine's name, for people who share a file system.
fn host() -> String {
    let name = fs_err::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs_err::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned())
}
