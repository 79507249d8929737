//! The program from outside: what it prints, where, and with which exit code.

mod bad_input;
mod commands;
mod support;
