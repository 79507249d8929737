//! Finished artifacts of another run directory, taken over where they are what is asked for.

use std::path::{Path, PathBuf};

use cognate_base::Hash;
use cognate_base::files::remove_partials;

use super::{MANIFEST, Manifest, Result, empty};

/// Folders of a run directory below its root, in which artifacts lie.
const DEPTH: usize = 3;

/// What another run directory has finished.
#[derive(Debug)]
pub(super) struct Finished {
    artifacts: Vec<(Hash, PathBuf)>,
}

impl Finished {
    /// What lies in the run directory at `root`. A manifest that cannot be read is none.
    pub(super) fn in_run(root: &Path) -> Result<Self> {
        let mut artifacts = Vec::new();
        let mut level = vec![root.to_path_buf()];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for folder in level {
                for entry in fs_err::read_dir(&folder)? {
                    let path = entry?.path();
                    if path.is_dir() && !path.is_symlink() {
                        // A training that diverged is a candidate that lost, and no arm's model.
                        if let Ok(Some(manifest)) = Manifest::read(&path)
                            && manifest.work.statistics.get("diverged").is_none()
                        {
                            artifacts.push((manifest.identity.fingerprint(), path.clone()));
                        }
                        next.push(path);
                    }
                }
            }
            next.sort_unstable();
            level = next;
        }
        Ok(Self { artifacts })
    }

    /// Where an artifact of this fingerprint lies.
    pub(super) fn find(&self, fingerprint: Hash) -> Option<&Path> {
        let found = self.artifacts.iter().find(|(other, _)| *other == fingerprint);
        found.map(|(_, folder)| folder.as_path())
    }
}

/// Where a training's checkpoints lie in its folder.
const CHECKPOINTS: &str = "checkpoints";

/// Gives the finished artifact in `from` a second place: hard links where the file system has them, copies elsewhere. The manifest, with
/// what it cost there, comes last. A training's checkpoints, which no manifest holds, come along where links are to be had: they are what
/// `evaluate --all-checkpoints` measures, and several times as large as the model.
pub(super) fn take_over(from: &Path, folder: &Path) -> Result<()> {
    let Some(manifest) = Manifest::read(from)? else { return Ok(()) };
    if folder.exists() {
        empty(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    for file in &manifest.files {
        let (source, target) = (from.join(&file.path), folder.join(&file.path));
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        if fs_err::hard_link(&source, &target).is_err() {
            fs_err::copy(&source, &target)?;
        }
    }
    link_checkpoints(&from.join(CHECKPOINTS), &folder.join(CHECKPOINTS))?;
    remove_partials(folder, true)?;
    debug_assert!(!folder.join(MANIFEST).exists());
    manifest.write(folder)
}

/// Links all checkpoints, or none.
fn link_checkpoints(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    for checkpoint in fs_err::read_dir(from)? {
        let checkpoint = checkpoint?;
        let target = to.join(checkpoint.file_name());
        if !checkpoint.path().is_dir() {
            continue;
        }
        fs_err::create_dir_all(&target)?;
        for file in fs_err::read_dir(checkpoint.path())? {
            let file = file?;
            if fs_err::hard_link(file.path(), target.join(file.file_name())).is_err() {
                fs_err::remove_dir_all(to)?;
                return Ok(());
            }
        }
    }
    Ok(())
}
