//! Experiments: recipes, plans, run directories with their manifests, the runner and the cost ledger.
//!
//! The only crate that knows all stages. It prints nothing: the binary does.

pub mod arms;
mod assemble;
mod cards;
mod checks;
mod context;
pub mod device;
mod error;
mod inspect;
mod metrics;
mod perform;
mod plan;
pub mod recipe;
pub mod rundir;
mod runner;
pub mod stage;
mod stages;
mod status;
mod warnings;
mod watch;

pub use context::Settings;
pub use device::DeviceKind;
pub use error::{Error, Result};
pub use inspect::{InspectOptions, inspect};
pub use plan::{ArmPlan, Branch, Plan, StagePlan, plan};
pub use runner::{Outcome, compare, report_again, run, seconds};
pub use stages::documents::train_tokenizer;
pub use stages::relations::read_texts;
pub use stages::train::{tokenizer_files, validation_items};
pub use stages::tune::training_pairs;
pub use status::{StageState, StageStatus, Status, status};
pub use watch::{Live, Snapshot};
