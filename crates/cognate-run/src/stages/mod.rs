//! From a recipe's tables to the stage crates' functions, one file per part of the data flow. What a stage computes
//! lives in its own crate.

pub(crate) mod documents;
pub(crate) mod evaluate;
pub(crate) mod groups;
pub(crate) mod held_out;
pub(crate) mod judge;
pub(crate) mod quality;
pub(crate) mod relations;
pub(crate) mod similarity;
pub(crate) mod sweep;
pub(crate) mod synthesis;
pub(crate) mod tasks;
pub(crate) mod train;
pub(crate) mod tune;

#[cfg(test)]
mod tests;
