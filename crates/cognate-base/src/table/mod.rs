//! Parquet tables, as far as Cognate's files need them: columns of text, integers, floats and lists of floats, a few rows
//! at a time; all others as records. Which tables there are, and what their columns mean, stands with their owners.
//!
//! ```no_run
//! # use cognate_base::table::{Fault, Kind, Table};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let table = Table::open(fs_err::File::open("documents.parquet")?)?;
//! let mut texts = table.column("text").filter(|column| column.kind() == Kind::Text).ok_or("no text")?;
//! loop {
//!     let batch = texts.texts(256)?;
//!     if batch.is_empty() {
//!         break;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! This is Parquet's own column interface and not Arrow's arrays: a batch of rows is all that we need of them, and the
//! crates behind them would be a good part of what a build compiles.
//!
//! Time and memory are bounded by the file's size (`pages.rs`), and a [`Fault`] says whether a file is something else, asks
//! for what is not supported, or is damaged.

mod delta;
mod fault;
mod kinds;
mod pages;
mod read;
mod thrift;
mod write;

pub use fault::{EXPECTED, Fault};
pub use kinds::Kind;
pub use read::{Column, Records, Table, Text};
pub use write::{RowGroup, TableWriter};
