//! Files that are either whole or absent.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

/// A file under construction: bytes go to a hidden sibling, and [`AtomicFile::commit`] flushes, syncs and renames it into
/// place. Dropped without a commit, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<File>,
    place: Place,
}

/// A file whose bytes are all on disk, under a hidden name still. What files a stage writes together is completed first, all of
/// it, and put in place then: a full disk shows while nothing has changed yet.
#[derive(Debug)]
pub struct CompleteFile(Place);

/// Where a file is, and where it belongs; the hidden file goes with this.
#[derive(Debug)]
struct Place {
    target: PathBuf,
    hidden: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will stand at `target`. Creates the folder where it is missing.
    ///
    /// # Errors
    /// When the folder or the hidden sibling cannot be created; the message names the path.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        let target = target.as_ref().to_path_buf();
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", target.display())));
        };
        let mut hidden_name = std::ffi::OsString::from(".");
        hidden_name.push(name);
        hidden_name.push(format!(".{}.partial", std::process::id()));
        let hidden = target.with_file_name(hidden_name);
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder)?;
        }
        let writer = BufWriter::with_capacity(1 << 18, File::create(&hidden)?);
        Ok(Self { writer, place: Place { target, hidden } })
    }

    /// Makes the file appear at its target, whole and on disk.
    ///
    /// # Errors
    /// When flushing, syncing or renaming fails (a full disk shows here at the latest); the target is then untouched.
    pub fn commit(self) -> io::Result<()> {
        self.complete()?.put_in_place()
    }

    /// Brings all bytes to disk.
    ///
    /// # Errors
    /// When flushing or syncing fails; the target is then untouched.
    pub fn complete(self) -> io::Result<CompleteFile> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(CompleteFile(self.place))
    }
}

impl CompleteFile {
    /// Makes the file appear at its target.
    ///
    /// # Errors
    /// When renaming fails; the target is then untouched.
    pub fn put_in_place(self) -> io::Result<()> {
        fs_err::rename(&self.0.hidden, &self.0.target)?;
        sync_folder(&self.0.target)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a commit the hidden name is gone already; on an error path there is nobody left to tell.
        let _ = fs_err::remove_file(&self.hidden);
    }
}

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part.
///
/// # Errors
/// As [`AtomicFile`].
pub fn write_atomic(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.commit()
}

/// A folder under construction: files go to a hidden sibling, and [`AtomicFolder::commit`] renames it into place. Dropped
/// without a commit, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFolder {
    target: PathBuf,
    hidden: PathBuf,
}

impl AtomicFolder {
    /// Starts a folder that will stand at `target`. What an earlier, killed process left at the hidden place is removed.
    ///
    /// # Errors
    /// When the hidden sibling cannot be created; the message names the path.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        let target = target.as_ref().to_path_buf();
        let hidden = hidden_sibling(&target, ".partial")?;
        if hidden.exists() {
            fs_err::remove_dir_all(&hidden)?;
        }
        fs_err::create_dir_all(&hidden)?;
        Ok(Self { target, hidden })
    }

    /// Where to put the files.
    pub fn path(&self) -> &Path {
        &self.hidden
    }

    /// Makes the folder appear at its target, with all files on disk. A folder that stands there is replaced: it is moved aside
    /// (to `.NAME.replaced`) first and removed last, so a kill in between loses neither.
    ///
    /// # Errors
    /// When syncing, renaming or removing fails.
    pub fn commit(self) -> io::Result<()> {
        for entry in fs_err::read_dir(&self.hidden)? {
            let path = entry?.path();
            if path.is_file() {
                File::open(path)?.sync_all()?;
            }
        }
        let replaced = hidden_sibling(&self.target, ".replaced")?;
        if self.target.exists() {
            if replaced.exists() {
                fs_err::remove_dir_all(&replaced)?;
            }
            fs_err::rename(&self.target, &replaced)?;
        }
        fs_err::rename(&self.hidden, &self.target)?;
        sync_folder(&self.target)?;
        if replaced.exists() { fs_err::remove_dir_all(&replaced) } else { Ok(()) }
    }
}

/// `.NAME` and an ending, beside a folder.
fn hidden_sibling(folder: &Path, ending: &str) -> io::Result<PathBuf> {
    let Some(name) = folder.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no folder", folder.display())));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(ending);
    Ok(folder.with_file_name(hidden))
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // After a commit the hidden name is gone already; on an error path there is nobody left to tell.
        let _ = fs_err::remove_dir_all(&self.hidden);
    }
}

/// A file's bytes, mapped into memory to read.
///
/// # Errors
/// When the file cannot be opened or mapped; the message names it.
pub fn map(path: impl AsRef<Path>) -> io::Result<memmap2::Mmap> {
    let file = File::open(path.as_ref())?;
    // SAFETY: a mapping is sound as long as nobody truncates the file under it. Our own writers replace files by renaming
    // and never truncate; that nobody else does while a stage reads is the contract of a run directory.
    #[expect(unsafe_code, reason = "the one place where a file is mapped")]
    let map = unsafe { memmap2::Mmap::map(file.file()) };
    map.map_err(|error| io::Error::new(error.kind(), format!("{}: cannot map: {error}", path.as_ref().display())))
}

/// Makes a finished rename or creation in `path`'s folder survive a power cut.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("cognate-files-{name}-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_dropped_file_leaves_the_old_content_and_no_trace() {
        let folder = scratch("dropped");
        let path = folder.join("a.txt");
        write_atomic(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 1);
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = scratch("folder");
        let target = folder.join("checkpoint");
        let dropped = AtomicFolder::create(&target).unwrap();
        write_atomic(dropped.path().join("a"), "1").unwrap();
        drop(dropped);
        assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
        for content in ["first", "second"] {
            let made = AtomicFolder::create(&target).unwrap();
            write_atomic(made.path().join("a"), content).unwrap();
            made.commit().unwrap();
            assert_eq!(&map(target.join("a")).unwrap()[..], content.as_bytes());
        }
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_short_file() {
        // Linux's /dev/full accepts an open and fails every write with "no space left on device".
        let mut writer = BufWriter::with_capacity(8, File::create("/dev/full").unwrap());
        assert!(writer.write_all(&[0; 64]).is_err());
    }
}
