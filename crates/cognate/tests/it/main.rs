//! The program from outside: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used)] // helpers of tests too; clippy.toml allows it only inside #[test]

mod bad_input;
mod commands;
mod evaluation;
mod runs;
mod stages;
mod support;
