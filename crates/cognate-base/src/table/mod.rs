//! Parquet tables, as far as Cognate's files need them: columns of text, integers, 32-bit floats and lists of such
//! floats, a few rows at a time. Which tables there are, and what their columns mean, stands with their owners.
//!
//! ```no_run
//! # use cognate_base::table::{Damage, Kind, Table};
//! # fn main() -> Result<(), Damage> {
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

mod read;
mod write;

pub use read::{Column, Damage, Kind, Table};
pub use write::{RowGroup, TableWriter};
