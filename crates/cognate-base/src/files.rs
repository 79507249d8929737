//! Files and folders that are either whole or absent.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::claim::{create_locked, hidden_sibling};

/// How the hidden name ends of what is not whole yet: `.NAME.partial`.
const PARTIAL: &str = ".partial";

/// A file under construction: bytes go to a hidden sibling, and [`AtomicFile::commit`] flushes, syncs and renames it into
/// place. Dropped without a commit, it leaves nothing behind; what a killed process leaves, the next one removes that writes a
/// file of this name.
#[derive(Debug)]
pub struct AtomicFile {
    // Dropped in this order: the hidden file is removed while it is still locked.
    place: Place,
    writer: BufWriter<File>,
}

/// A file whose bytes are all on disk, under a hidden name still. What files a stage writes together is completed first, all of
/// it, and put in place then: a full disk shows while nothing has changed yet.
#[derive(Debug)]
pub struct CompleteFile {
    place: Place,
    /// Locked until the file is in place.
    _file: File,
}

/// Where a file is, and where it belongs; the hidden file goes with this, unless it was put in place.
#[derive(Debug)]
struct Place {
    target: PathBuf,
    hidden: Option<PathBuf>,
}

impl AtomicFile {
    /// Starts a file that will stand at `target`. Creates the folder where it is missing.
    ///
    /// # Errors
    /// When the folder or the hidden sibling cannot be created, or another process is writing a file of this name; the message
    /// names the path.
    pub fn create(target: impl AsRef<Path>) -> io::Result<Self> {
        let target = target.as_ref().to_path_buf();
        let hidden = hidden_sibling(&target, PARTIAL)?;
        if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs_err::create_dir_all(folder)?;
        }
        let Some(file) = create_locked(&hidden, |_| Ok(true))? else {
            let message = format!("{} is being written by another process", target.display());
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        };
        Ok(Self { place: Place { target, hidden: Some(hidden) }, writer: BufWriter::with_capacity(1 << 18, file) })
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
        let Self { place, writer } = self;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(CompleteFile { place, _file: file })
    }
}

impl CompleteFile {
    /// Makes the file appear at its target.
    ///
    /// # Errors
    /// When renaming fails; the target is then untouched.
    pub fn put_in_place(mut self) -> io::Result<()> {
        if let Some(hidden) = &self.place.hidden {
            fs_err::rename(hidden, &self.place.target)?;
            // The name is free now: another process may take it, and what it makes there is not ours to remove.
            self.place.hidden = None;
        }
        sync_folder(&self.place.target)
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
        if let Some(hidden) = &self.hidden {
            // There is nobody left to tell.
            let _ = fs_err::remove_file(hidden);
        }
    }
}

/// Whether a process that was killed while it wrote `target` has left the hidden file there. Good for the holder of the claim on the
/// folder: to others the file may be one that is being written.
pub fn is_unfinished(target: &Path) -> bool {
    hidden_sibling(target, PARTIAL).is_ok_and(|hidden| hidden.exists())
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

/// Copies a file to where nothing stands, and brings it to disk. What stands there may be the file itself by another name, which a copy
/// that writes into it would empty.
///
/// # Errors
/// When something stands there, and as [`AtomicFile`].
pub fn copy_new(source: &Path, target: &Path) -> io::Result<()> {
    if fs_err::symlink_metadata(target).is_ok() {
        let message = format!("{} is there already, and is not written over", target.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let mut copy = AtomicFile::create(target)?;
    io::copy(&mut File::open(source)?, &mut copy)?;
    copy.commit()
}

/// A folder under construction: files go to a hidden sibling, and [`AtomicFolder::commit`] renames it into place. Dropped
/// without a commit, it leaves nothing behind. That only one process writes it is up to the claim on the folder that it lies in.
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
        let hidden = hidden_sibling(&target, PARTIAL)?;
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

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // After a commit the hidden name is gone already; on an error path there is nobody left to tell.
        let _ = fs_err::remove_dir_all(&self.hidden);
    }
}

/// Removes what killed processes left of files and folders that they were still writing, in `folder` and, where `deep`, in the
/// folders inside it. For folders that this process has claimed.
///
/// # Errors
/// When something cannot be listed or removed.
pub fn remove_partials(folder: &Path, deep: bool) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let partial = name.starts_with('.') && name.ends_with(PARTIAL);
        match (partial, entry.file_type()?.is_dir()) {
            (true, true) => fs_err::remove_dir_all(entry.path())?,
            (true, false) => fs_err::remove_file(entry.path())?,
            (false, true) if deep => remove_partials(&entry.path(), deep)?,
            (false, _) => {}
        }
    }
    Ok(())
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
pub(crate) mod tests {
    use super::*;

    pub(crate) fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("cognate-files-{name}-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs_err::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs_err::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
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
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file.complete().unwrap());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(&folder), ["a.txt"]);
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_copy_is_written_over_nothing() {
        let folder = scratch("copied");
        let (source, target) = (folder.join("a.txt"), folder.join("b/c.txt"));
        write_atomic(&source, "content").unwrap();
        copy_new(&source, &target).unwrap();
        assert_eq!(fs_err::read_to_string(&target).unwrap(), "content");
        fs_err::remove_file(&target).unwrap();
        fs_err::os::unix::fs::symlink(&source, &target).unwrap();
        for taken in [&source, &target] {
            let error = copy_new(&source, taken).expect_err("it is the file itself").to_string();
            assert_eq!(error, format!("{} is there already, and is not written over", taken.display()));
            assert_eq!(fs_err::read_to_string(&source).unwrap(), "content");
        }
        assert_eq!(names(&folder.join("b")), ["c.txt"]);
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_has_one_writer_until_it_is_in_place() {
        let folder = scratch("one-writer");
        let path = folder.join("a.txt");
        let refused = || {
            let error = AtomicFile::create(&path).expect_err("it is being written").to_string();
            assert_eq!(error, format!("{} is being written by another process", path.display()));
        };
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"first").unwrap();
        refused();
        let complete = file.complete().unwrap();
        refused();
        complete.put_in_place().unwrap();
        write_atomic(&path, "second").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "second");
        assert_eq!(names(&folder), ["a.txt"]);
        fs_err::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_file_of_that_name() {
        let folder = scratch("killed");
        // The hidden file, longer than what comes now, and nobody who holds it.
        let left = folder.join(".a.txt.partial");
        write_atomic(folder.join("other"), "left by another").unwrap();
        fs_err::hard_link(folder.join("other"), &left).unwrap();
        write_atomic(folder.join("a.txt"), "new").unwrap();
        assert_eq!(fs_err::read_to_string(folder.join("a.txt")).unwrap(), "new");
        assert!(!left.exists());
        assert_eq!(fs_err::read_to_string(folder.join("other")).unwrap(), "left by another", "removed, not emptied");
        fs_err::os::unix::fs::symlink(folder.join("other"), &left).unwrap();
        let error = write_atomic(folder.join("a.txt"), "newer").expect_err("a link").to_string();
        assert!(error.starts_with(&format!("{} is in the way", left.display())), "{error}");
        assert_eq!(fs_err::read_to_string(folder.join("other")).unwrap(), "left by another");
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
    fn bytes_that_do_not_reach_the_disk_are_an_error_and_leave_the_old_file() {
        let folder = scratch("unsynced");
        let path = folder.join("a.txt");
        write_atomic(&path, "old").unwrap();
        let AtomicFile { place, .. } = AtomicFile::create(&path).unwrap();
        // A device that takes all bytes and has no disk to bring them to.
        let device = fs_err::OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut file = AtomicFile { place, writer: BufWriter::new(device) };
        file.write_all(b"new").unwrap();
        let error = file.commit().expect_err("they are on no disk").to_string();
        assert!(error.contains("sync"), "{error}");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(&folder), ["a.txt"]);
        fs_err::remove_dir_all(folder).unwrap();
    }

    /// Bytes that a file may have in [`a_full_disk_is_an_error_and_leaves_the_old_file`]; a shell counts them in blocks of 512.
    const ROOM: usize = 64 << 10;

    #[test]
    fn a_full_disk_is_an_error_and_leaves_the_old_file() {
        let folder = match std::env::var_os("COGNATE_TEST_LIMITED") {
            Some(folder) => return in_little_room(Path::new(&folder)),
            None => scratch("full"),
        };
        write_atomic(folder.join("a"), "old").unwrap();
        // The system refuses to let files grow as a full disk does. The limit belongs to a process, so this test runs itself again.
        let test = "files::tests::a_full_disk_is_an_error_and_leaves_the_old_file";
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" --exact {test} --nocapture", ROOM / 512);
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env("COGNATE_TEST_LIMITED", &folder)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        assert_eq!(fs_err::read_to_string(folder.join("a")).unwrap(), "old");
        assert_eq!(names(&folder), ["a"]);
        fs_err::remove_dir_all(folder).unwrap();
    }

    fn in_little_room(folder: &Path) {
        // Both within the buffer, which meets the disk at the end, and far beyond it.
        for size in [ROOM + 1, 1 << 20] {
            let mut file = AtomicFile::create(folder.join("a")).unwrap();
            let written = file.write_all(&vec![7; size]).and_then(|()| file.commit());
            assert!(written.is_err(), "{size} bytes were written into room for {ROOM}");
        }
        write_atomic(folder.join("b"), vec![7; ROOM / 2]).unwrap();
        fs_err::remove_file(folder.join("b")).unwrap();
    }
}
