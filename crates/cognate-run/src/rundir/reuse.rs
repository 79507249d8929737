//! Finished artifacts of another run directory, taken over where they are what is asked for.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use cognate_base::Hash;
use cognate_base::files::{copy_new, remove_partials};

use super::{Manifest, Result, empty};

/// Folders of a run directory below its root, in which artifacts lie.
const DEPTH: usize = 3;

/// What another run directory has finished.
#[derive(Debug)]
pub(super) struct Finished {
    artifacts: Vec<(Hash, PathBuf)>,
}

impl Finished {
    /// What lies in the run directory at `root`. A manifest that cannot be read is none, with a warning.
    pub(super) fn in_run(root: &Path) -> Result<Self> {
        let mut artifacts = Vec::new();
        let mut level = vec![root.to_path_buf()];
        for _ in 0..DEPTH {
            let mut next = Vec::new();
            for folder in level {
                for entry in fs_err::read_dir(&folder)? {
                    let path = entry?.path();
                    if path.is_dir() && !path.is_symlink() {
                        match Manifest::read(&path) {
                            // A training that diverged is a candidate that lost, and no arm's model.
                            Ok(Some(manifest)) if manifest.work.statistics.get("diverged").is_none() => {
                                artifacts.push((manifest.identity.fingerprint(), path.clone()));
                            }
                            Ok(_) => {}
                            Err(error) => tracing::warn!("nothing is taken over from {}: {error}", path.display()),
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

/// Gives a file another name, as [`fs_err::hard_link`] does.
pub(super) type Link = fn(&Path, &Path) -> io::Result<()>;

/// Gives the finished artifact in `from` a second place: by `link` where that is to be had, by copies elsewhere. The manifest, with
/// what it cost there, comes last. A training's checkpoints, which no manifest holds, come along where links are to be had: they are what
/// `evaluate --all-checkpoints` measures, and several times as large as the model.
pub(super) fn take_over(from: &Path, folder: &Path, link: Link) -> Result<()> {
    let Some(manifest) = Manifest::read(from)? else { return Ok(()) };
    if folder.exists() {
        empty(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    let mut folders = BTreeSet::new();
    for file in &manifest.files {
        // What a link leads to: no link is put into the run, which would lead elsewhere from there.
        let (source, target) = (fs_err::canonicalize(from.join(&file.path))?, folder.join(&file.path));
        if let Some(parent) = target.parent() {
            fs_err::create_dir_all(parent)?;
        }
        if link(&source, &target).is_err() {
            copy_new(&source, &target)?;
        }
        folders.extend(target.ancestors().skip(1).take_while(|path| path.starts_with(folder)).map(Path::to_path_buf));
    }
    link_checkpoints(&from.join(CHECKPOINTS), &folder.join(CHECKPOINTS), link)?;
    remove_partials(folder, true)?;
    // The names must be on disk before the manifest is, which says that all is there.
    for folder in folders {
        fs_err::File::open(folder)?.sync_all()?;
    }
    manifest.write(folder)
}

/// Links all checkpoints, or none.
fn link_checkpoints(from: &Path, to: &Path, link: Link) -> Result<()> {
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
            if link(&file.path(), &target.join(file.file_name())).is_err() {
                fs_err::remove_dir_all(to)?;
                return Ok(());
            }
        }
    }
    Ok(())
}
