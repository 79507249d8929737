//! `world`: a made corpus as files that every stage reads, with what is true of it.

use std::path::Path;

use cognate_base::claim;
use cognate_base::files::{is_unfinished, remove_partials};
use cognate_run::world_files::{CORPUS, EXTRACTION, IN_CONTEXT, PAIRS, STATISTICS, TRUTH, file_of, write_world};
use cognate_worlds::{Split, World};

use super::shared::{Result, print_json};
use crate::args::WorldArgs;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// A world's error in the words of its flags.
fn failure(error: cognate_worlds::Error) -> Failure {
    match error {
        cognate_worlds::Error::Dial { dial, expected, found } => Failure::setting(dial, found, &expected),
        other => cognate_run::Error::from(other).into(),
    }
}

pub(crate) fn world(args: &WorldArgs, terminal: &Terminal) -> Result {
    args.dials.check().map_err(failure)?;
    check_empty(&args.out)?;
    let world = World::new(&args.dials, args.seed, terminal).map_err(failure)?;
    print_json(&write_world(&world, &args.out, terminal)?)
}

/// Refuses a folder that holds something already. What an earlier, killed call had put in place goes.
fn check_empty(out: &Path) -> Result {
    let entries = match fs_err::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<String>>>()?;
    names.retain(|name| !name.starts_with('.') && name != claim::LOCK);
    let own = |name: &String| {
        EXTRACTION.iter().chain(&[PAIRS, IN_CONTEXT, CORPUS, STATISTICS]).any(|own| own == name)
            || Split::ALL.iter().any(|split| *name == file_of(*split))
    };
    if is_unfinished(&out.join(TRUTH)) && names.iter().all(own) {
        names.drain(..).try_for_each(|name| fs_err::remove_file(out.join(name)))?;
    }
    if let Some(found) = names.into_iter().min() {
        return Err(cognate_corpus::Error::OutputNotEmpty { path: out.to_path_buf(), found }.into());
    }
    // Of another kind of world, which has files that this one has not.
    Ok(remove_partials(out, false)?)
}
