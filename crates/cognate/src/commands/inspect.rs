//! `inspect`: what a run made, in the terminal or as a page.

use std::path::Path;

use cognate_base::files::write_atomic;
use cognate_report as report;
use cognate_run::InspectOptions;

use super::documents::read_options;
use super::shared::{Result, columns, print, print_json};
use crate::args::{InspectArgs, InspectSyntheticArgs};
use crate::failure::Failure;

/// Columns where there is no terminal.
const PLAIN_COLUMNS: usize = 100;

pub(crate) fn inspect(args: &InspectArgs) -> Result {
    match args {
        InspectArgs::Synthetic(args) => synthetic(args),
    }
}

fn synthetic(args: &InspectSyntheticArgs) -> Result {
    if let Some(path) = &args.html {
        check_replaceable(path)?;
    }
    let options = InspectOptions {
        documents: args.documents.clone(),
        pairs: args.pairs.clone(),
        dropped: args.dropped,
        paired: args.paired,
        number: args.number,
        seed: args.seed,
        corpus: args.corpus.clone(),
        read: read_options(&args.read),
    };
    let inspection = cognate_run::inspect(&args.dir, &options)?;
    if args.json {
        return inspection.documents.iter().try_for_each(print_json);
    }
    match &args.html {
        Some(path) => {
            write_atomic(path, report::inspection_page(&inspection))?;
            print(&format!("page: {}\n", path.display()))
        }
        None => print(&report::inspection_text(&inspection, args.width.or(columns()?).unwrap_or(PLAIN_COLUMNS))),
    }
}

/// Refuses to write over anything but an earlier page.
fn check_replaceable(path: &Path) -> Result {
    match fs_err::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(content) if report::is_inspection_page(&String::from_utf8_lossy(&content)) => Ok(()),
        _ => Err(Failure::setting("--html", path.display(), "a file that is new, or a page that this command wrote")),
    }
}
