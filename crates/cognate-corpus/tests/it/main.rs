//! The crate from outside: files in, files out, and what a person is told when something is wrong.

#![allow(clippy::unwrap_used)] // helpers of tests too; clippy.toml allows it only inside #[test]

mod cutting;
mod damage;
mod folders;
mod formats;
mod frames;
mod fuzz;
mod grouping;
mod ingesting;
mod left_out;
mod reading;
mod records;
mod splitting;
mod support;
mod token_files;
mod tokenizers;
mod tokenizing;
mod writing;
