//! (skeleton)

pub mod report;
