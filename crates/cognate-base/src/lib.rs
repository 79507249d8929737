//! What every stage shares and no stage owns: seeded randomness, crash-safe files, outputs with one writer, Parquet tables, content
//! hashes, what a file is, what a word is, what texts share, lines of a terminal, the handle through which a long computation reports progress and learns that it should
//! stop, and what the system says of the process and of the machine.
//!
//! Nothing here knows what a document, a model or a recipe is.

pub mod claim;
pub mod files;
pub mod format;
pub mod hash;
pub mod monitor;
pub mod panics;
pub mod process;
pub mod random;
pub mod shingles;
pub mod table;
pub mod terminal;
pub mod words;

pub use claim::{Claim, ClaimError};
pub use format::Format;
pub use hash::Hash;
pub use monitor::{Interrupted, Monitor, Quiet, Silent, Unit, Unsaved};
