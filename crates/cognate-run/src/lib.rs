//! Experiments: recipes, plans, run directories with their manifests, the runner, the cost ledger and the report.
//!
//! The only crate that knows all stages. It prints nothing: the binary does.

pub mod recipe;
pub mod report;
pub mod rundir;
pub mod stage;
