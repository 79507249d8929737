//! One output, one writer: files that this process alone holds, by a lock that the operating system lets go of when the process
//! ends, however it ends.
//!
//! A locked file is always one that this process has made. What a dead process left at its place is removed first, and is known
//! by its lock being free: a process number may belong to another program by now. Links are not followed, and nothing is emptied.

use std::fs::TryLockError;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use fs_err::{File, OpenOptions};

/// File name of a folder's claim.
pub const LOCK: &str = "lock";
/// How the content of a claim begins.
const HOLDER: &str = "process ";
/// Looking whether a claim is free takes it for an instant: so often and so long until it counts as held.
const ATTEMPTS: usize = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Why an output could not be claimed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Another process writes there.
    #[error("{output} is in use: {holder}", output = output.display())]
    Held {
        /// The file or folder.
        output: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// A file that is no claim stands where the claim would be.
    #[error("{path} is in the way: its content is not that of a lock", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ClaimError {
    /// What to do about it, in one line.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Held { .. } => Some("wait until it has ended, or write to another place"),
            Self::Foreign { .. } => Some("move it away, or write to another place"),
            Self::Io(_) => None,
        }
    }
}

/// Held while a command writes its output: a second command with the same output is refused.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Folders that were made for the claim, the outermost first.
    made: Vec<PathBuf>,
    _locked: File,
}

impl Claim {
    /// Claims a folder, which is made where it is missing, by the file `lock` in it.
    ///
    /// # Errors
    /// When another process has it; the message says which.
    pub fn folder(folder: &Path) -> Result<Self, ClaimError> {
        Self::take(folder, folder.join(LOCK), folder)
    }

    /// Claims a file, or all files whose names begin so, by a hidden file beside it.
    ///
    /// # Errors
    /// As [`Claim::folder`].
    pub fn file(file: &Path) -> Result<Self, ClaimError> {
        let lock = hidden_sibling(file, ".lock")?;
        Self::take(file, lock, file.parent().unwrap_or(Path::new("")))
    }

    fn take(output: &Path, path: PathBuf, folder: &Path) -> Result<Self, ClaimError> {
        let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let mut made: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        made.reverse();
        if !made.is_empty() {
            fs_err::create_dir_all(folder)?;
        }
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            let mut foreign = false;
            let found = create_locked(&path, |left| {
                foreign = !holder_in(left)?.is_some_and(|holder| holder.is_empty() || holder.starts_with(HOLDER));
                Ok(!foreign)
            })?;
            if foreign {
                return Err(ClaimError::Foreign { path });
            }
            if let Some(mut file) = found {
                // One write: who looks reads all of it or nothing.
                file.write_all(format!("{HOLDER}{} on {}\n", std::process::id(), host()).as_bytes())?;
                return Ok(Self { path, made, _locked: file });
            }
        }
        let holder = open_existing(&path)?.map(|file| holder_in(&file)).transpose()?.flatten();
        let holder = holder.filter(|holder| !holder.is_empty()).unwrap_or_else(|| "another process".to_owned());
        Err(ClaimError::Held { output: output.to_path_buf(), holder })
    }

    /// Who writes into `folder` now, if anybody does.
    ///
    /// # Errors
    /// When the lock file is there and cannot be read.
    pub fn holder(folder: &Path) -> io::Result<Option<String>> {
        let Some(file) = open_existing(&folder.join(LOCK))? else { return Ok(None) };
        match file.file().try_lock_shared() {
            Ok(()) => Ok(None),
            Err(_) => Ok(Some(holder_in(&file)?.unwrap_or_default())),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is still locked: nobody else can have put another file there. There is nobody left to tell of an error.
        let _ = fs_err::remove_file(&self.path);
        // Folders that nothing was written into were made for nothing; others are not empty and stay.
        for folder in self.made.iter().rev() {
            if fs_err::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// Makes the file at `path` and locks it for as long as it is open; `None` where another process holds it. A file that is there
/// and that nobody holds is removed first where `is_ours` says so; otherwise nothing is done and `None` is returned.
pub(crate) fn create_locked(
    path: &Path,
    mut is_ours: impl FnMut(&File) -> io::Result<bool>,
) -> io::Result<Option<File>> {
    loop {
        match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
            // Another process may find it before it is locked, and remove it as a dead one's: then once more.
            Ok(file) => {
                if try_lock(&file, path)? && is_at(&file, path)? {
                    return Ok(Some(file));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let Some(left) = open_existing(path)? else { continue };
                if !try_lock(&left, path)? {
                    return Ok(None);
                }
                if is_at(&left, path)? {
                    if !is_ours(&left)? {
                        return Ok(None);
                    }
                    fs_err::remove_file(path)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// `.NAME` and an ending, beside a file or folder.
pub(crate) fn hidden_sibling(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} names no file and no folder", path.display())));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(ending);
    Ok(path.with_file_name(hidden))
}

/// Opens a regular file that is there; follows no link, and waits for nobody, as a pipe would.
fn open_existing(path: &Path) -> io::Result<Option<File>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).write(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if fs_err::symlink_metadata(path).is_ok_and(|there| !there.is_file()) => {
            return Err(io::Error::new(error.kind(), no_file(path)));
        }
        // Of somebody else, or on a disk that can only be read: enough to look at.
        Err(_) => OpenOptions::new().read(true).custom_flags(flags).open(path)?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, no_file(path)));
    }
    Ok(Some(file))
}

fn no_file(path: &Path) -> String {
    format!("{} is in the way: expected nothing there or a plain file, and links are not followed", path.display())
}

/// Whether the lock was free, and is ours now.
fn try_lock(file: &File, path: &Path) -> io::Result<bool> {
    match file.file().try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => {
            Err(io::Error::new(error.kind(), format!("cannot lock {}: {error}", path.display())))
        }
    }
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let open = file.metadata()?;
    match fs_err::symlink_metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a claim says, from its beginning; `None` where that is not short text.
fn holder_in(file: &File) -> io::Result<Option<String>> {
    let mut content = Vec::new();
    file.take(512).read_to_end(&mut content)?;
    Ok(String::from_utf8(content).ok().map(|holder| holder.trim().to_owned()))
}

/// The machine's name, for people who share a file system.
fn host() -> String {
    let name = fs_err::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs_err::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{tests::scratch, write_atomic};

    #[test]
    fn a_second_writer_of_a_file_or_folder_is_refused_until_the_first_has_ended() {
        let folder = scratch("second-writer");
        let own = format!("is in use: process {} on ", std::process::id());
        type Take = fn(&Path) -> Result<Claim, ClaimError>;
        for take in [Claim::file as Take, Claim::folder as Take] {
            let output = folder.join("a/b");
            let claim = take(&output).unwrap();
            let error = take(&output).expect_err("it is taken").to_string();
            assert!(error.starts_with(&format!("{} {own}", output.display())), "{error}");
            drop(claim);
            drop(take(&output).unwrap());
            assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0, "nothing was written");
        }
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_is_taken_over_whatever_number_it_had() {
        let folder = scratch("dead");
        for left in ["", "process 1 on elsewhere\n", &format!("process {} on here\n", std::process::id())] {
            write_atomic(folder.join(LOCK), left).unwrap();
            assert_eq!(Claim::holder(&folder).unwrap(), None);
            let claim = Claim::folder(&folder).unwrap();
            let holder = Claim::holder(&folder).unwrap().unwrap();
            assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
            drop(claim);
        }
        assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_a_pipe_a_folder_and_a_file_of_somebody_else_are_left_alone() {
        let folder = scratch("foreign-lock");
        let (lock, victim) = (folder.join(LOCK), folder.join("victim"));
        write_atomic(&victim, "content").unwrap();
        let refused = |what: &str| {
            let error = Claim::folder(&folder).expect_err(what).to_string();
            assert!(error.starts_with(&format!("{} is in the way", lock.display())), "{what}: {error}");
            assert_eq!(fs_err::read_to_string(&victim).unwrap(), "content", "{what}");
        };
        for target in [victim.as_path(), Path::new("nowhere")] {
            fs_err::os::unix::fs::symlink(target, &lock).unwrap();
            refused("a link");
            assert!(!folder.join("nowhere").exists());
            fs_err::remove_file(&lock).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(&lock).status().unwrap().success());
        refused("a pipe");
        fs_err::remove_file(&lock).unwrap();
        fs_err::create_dir(&lock).unwrap();
        refused("a folder");
        fs_err::remove_dir(&lock).unwrap();
        fs_err::hard_link(&victim, &lock).unwrap();
        refused("another name of a file");
        assert_eq!(fs_err::read_to_string(&lock).unwrap(), "content", "it is somebody's, and was replaced");
        fs_err::remove_file(&lock).unwrap();
        fs_err::remove_dir_all(folder).unwrap();
    }
}
