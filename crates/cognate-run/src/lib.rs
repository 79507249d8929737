//! Experiments: recipes, plans, run directories with their manifests, the runner and the cost ledger.
//!
//! The only crate that knows all stages. It prints nothing: the binary does.

pub mod arms;
mod assemble;
mod cards;
mod checks;
mod context;
pub mod device;
mod duration;
mod error;
mod estimate;
mod graph;
mod inspect;
mod metrics;
mod perform;
mod plan;
pub mod recipe;
pub mod rundir;
mod runner;
mod stages;
mod status;
pub mod step;
mod warnings;
mod watch;
pub mod world_files;

pub use context::Settings;
pub use device::DeviceKind;
pub use duration::seconds;
pub use error::{Error, Result};
pub use estimate::StagePlan;
pub use inspect::{InspectOptions, inspect};
pub use plan::{ArmPlan, Branch, Plan, plan};
pub use runner::{Outcome, Told, report_again, reports, run};
pub use stages::ingest::tell_shared_passages;
pub use stages::pair::neighbours::tell as tell_relation;
pub use stages::texts::read_texts;
pub use stages::tokenize::train_tokenizer;
pub use stages::train::training::tokenizer_files;
pub use stages::tune::{LEAST_SEEDS, tell_use_of_seed, training_pairs};
pub use status::{StageState, StageStatus, Status, status};
pub use watch::{Live, Snapshot};
