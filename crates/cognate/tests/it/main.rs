//! The program from outside: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used)] // helpers of tests too; clippy.toml allows it only inside #[test]

mod arms;
mod bad_input;
mod commands;
mod endpoint;
mod evaluation;
mod foreign;
mod graph;
mod hostile;
mod inspect;
mod interrupts;
mod judge;
mod own_corpus;
mod runs;
#[allow(dead_code, reason = "the library's tests need more faults than the program's")]
#[path = "../../../cognate-synth/tests/it/server.rs"]
mod server;
mod stages;
mod support;
mod watch;
mod world;
