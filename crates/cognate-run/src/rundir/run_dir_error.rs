//! What can be wrong with a run directory.

use std::path::PathBuf;

/// Why a run directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Another process writes there.
    #[error(transparent)]
    Claim(#[from] cognate_base::ClaimError),
    /// A folder with something else in it.
    #[error("{folder} is not empty and no run directory", folder = folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
    },
    /// Something stands where the run writes.
    #[error("{path} is in the way: the run writes {wanted} there", path = path.display())]
    InTheWay {
        /// What stands there.
        path: PathBuf,
        /// What should.
        wanted: &'static str,
    },
    /// There is no run directory.
    #[error("{folder} is no run directory: it has no `recipe.toml`", folder = folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// A run of a release whose artifacts lay elsewhere and said less.
    #[error("{folder} is a run of release 0.1.0, which this build can neither go on with nor report on", folder = folder.display())]
    FirstRelease {
        /// The folder.
        folder: PathBuf,
    },
    /// An artifact of the same name that depends on something else.
    #[error("{folder} was {verb} from something else: {difference}", folder = folder.display())]
    Differs {
        /// The artifact's folder.
        folder: PathBuf,
        /// `made` or, where it is partial, `begun`.
        verb: &'static str,
        /// What is not the same.
        difference: String,
    },
    /// A folder in which another training began.
    #[error("{folder} is the folder of another training: {difference}", folder = folder.display())]
    OtherTraining {
        /// The folder.
        folder: PathBuf,
        /// What is not the same.
        difference: String,
    },
    /// A manifest that cannot be understood.
    #[error("{path} is damaged: {message}", path = path.display())]
    Corrupt {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// The artifact's folder.
        folder: PathBuf,
    },
    /// A file of a finished artifact that is missing, or has another size or content.
    #[error("{path} is damaged: its manifest says {expected}, {found}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its size or hash when the artifact was finished.
        expected: String,
        /// What is there now.
        found: String,
        /// The artifact's folder.
        folder: PathBuf,
    },
    /// A file that a later stage needs and the manifest does not have.
    #[error("{manifest} lists no file `{path}`", manifest = manifest.display())]
    Unlisted {
        /// The manifest.
        manifest: PathBuf,
        /// The file.
        path: String,
    },
}

impl RunDirError {
    /// What to do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io(_) => None,
            Self::Claim(error) => error.hint().map(str::to_owned),
            Self::NotARun { .. } => Some("give a new or empty directory with --out".to_owned()),
            Self::InTheWay { path, .. } => {
                Some(format!("move {} away, or give another directory with --out", path.display()))
            }
            Self::FirstRelease { .. } => Some(
                "run its recipe again into another directory (--out); the report that it wrote stays readable"
                    .to_owned(),
            ),
            Self::NoRun { .. } => Some("`cognate run RECIPE --out DIR` makes one".to_owned()),
            Self::Differs { folder, .. } => Some(format!(
                "give this recipe another directory with --out, or delete {} and what was made from it to make them \
                 again",
                folder.display()
            )),
            Self::OtherTraining { folder, .. } => Some(format!(
                "give this one a folder of its own with --out, or delete {} to train anew there",
                folder.display()
            )),
            Self::Corrupt { folder, .. } | Self::Damaged { folder, .. } => {
                Some(format!("delete {} and run again to make it anew", folder.display()))
            }
            Self::Unlisted { .. } => Some("another version of the program wrote it; delete its folder".to_owned()),
        }
    }
}

pub(super) fn found_bytes(found: Option<u64>) -> String {
    found.map_or("and it is not there".to_owned(), |bytes| format!("and there are {bytes}"))
}
