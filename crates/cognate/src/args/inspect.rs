//! `inspect`: what a run made, to look at.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::documents::ReadArgs;
use super::numbers::{MOST_SMALL, whole};

#[derive(Debug, Subcommand)]
pub(crate) enum InspectArgs {
    /// Show synthetic documents beside their seeds and true neighbours, with their scores.
    Synthetic(InspectSyntheticArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InspectSyntheticArgs {
    /// A run directory; or a folder that `generate` or `filter` wrote, or any file or folder of synthetic documents.
    pub(crate) dir: PathBuf,
    /// The documents that they were written from, where DIR is no run directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) documents: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    /// Pairs to take true neighbours from (cognate pair), where DIR is no run directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) pairs: Option<PathBuf>,
    /// Which synthetic corpus of a run [default: the one that the report is about]
    #[arg(long, value_name = "NAME")]
    pub(crate) corpus: Option<String>,
    /// Documents to show.
    #[arg(short = 'n', long = "number", default_value_t = 5, value_name = "N", value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) number: usize,
    /// Seed of the draw: another one shows others.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Documents that were filtered out, with the reason, instead of those kept.
    #[arg(long)]
    pub(crate) dropped: bool,
    /// Only documents whose seed has a true neighbour.
    #[arg(long)]
    pub(crate) paired: bool,
    /// Columns to write [default: the terminal's, or 100 where there is none]
    #[arg(long, value_name = "COLUMNS", value_parser = whole::<usize>(1, MOST_SMALL))]
    pub(crate) width: Option<usize>,
    /// One JSON object a document instead of text.
    #[arg(long, conflicts_with = "width")]
    pub(crate) json: bool,
    /// Write a page instead, one file that needs nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "width"])]
    pub(crate) html: Option<PathBuf>,
}
