//! Writes the cards of a run: `README.md` beside the synthetic corpus and in the checkpoints' folders, so that each folder can
//! be published as it is. They stand beside what manifests hash, and are in none.

use std::path::Path;

use cognate_base::Hash;
use cognate_base::files::write_atomic;
use cognate_results::{Checkpoint, Pages, Report};

use crate::assemble::Assembly;
use crate::error::Result;
use crate::rundir::MANIFEST;
use crate::step::{Replicate, Step, writer};

/// File name of a card, which is the Hub's.
const CARD: &str = "README.md";
/// Before the hash of the text above it, at a card's end: a card that no longer fits it was edited and is left alone.
const MARK: &str = "<!-- written by cognate, BLAKE3 of the text above: ";

/// Writes the card of everything in the run directory that is finished and in `report`.
///
/// # Errors
/// When a card cannot be written; the message names it. Cards already there stay whole.
pub(crate) fn write(run: &Assembly<'_>, report: &Report, pages: &dyn Pages) -> Result<()> {
    let place = |step: Step, folder: &str| {
        let artifact = run.root.join(step.folder(run.recipe));
        let folder = artifact.join(folder);
        (artifact.join(MANIFEST).exists() && folder.is_dir()).then_some(folder)
    };
    // The report, and with it these cards, tells of the corpus that the subject takes most of.
    if let Some(corpus) = run.subject_corpus() {
        if let (Some(folder), Some(card)) = (place(Step::Filter(corpus), ""), pages.dataset_card(report)) {
            write_card(&folder, &card)?;
        }
        let synthesizer = writer(run.recipe, corpus).filter(|_| run.recipe.is_related(corpus));
        if let Some(folder) = synthesizer.and_then(|step| place(step, "best")) {
            write_card(&folder, &pages.model_card(report, Checkpoint::Synthesizer))?;
        }
    }
    for replicate in Replicate::measured(run.recipe) {
        // The scores of several models together are of no single checkpoint.
        if replicate.members(run.recipe).len() > 1 {
            continue;
        }
        let Some(arm) = run.reported(report, replicate) else { continue };
        for (name, checkpoint) in [("final", Checkpoint::Final(arm)), ("best", Checkpoint::Best(arm))] {
            if let Some(folder) = place(Step::Train(replicate), name) {
                write_card(&folder, &pages.model_card(report, checkpoint))?;
            }
        }
    }
    Ok(())
}

/// Writes `text` as the card of `folder`, unless somebody else's words stand there.
fn write_card(folder: &Path, text: &str) -> Result<()> {
    let path = folder.join(CARD);
    let old = match fs_err::read(&path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if old.as_deref().is_some_and(|old| !is_ours(old)) {
        tracing::warn!("{} was edited and is left as it is; delete it to have it written anew", path.display());
        return Ok(());
    }
    let text = format!("{}\n\n", text.trim_end());
    let card = format!("{text}{MARK}{} -->\n", Hash::of(&text));
    if old.as_deref() != Some(card.as_bytes()) {
        write_atomic(&path, card)?;
    }
    Ok(())
}

/// Whether a card is as it was written.
fn is_ours(card: &[u8]) -> bool {
    let Some((text, mark)) = std::str::from_utf8(card).ok().and_then(|card| card.rsplit_once(MARK)) else {
        return false;
    };
    mark == format!("{} -->\n", Hash::of(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_card_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join(CARD);
        let read = || fs_err::read_to_string(&path).unwrap();
        write_card(scratch.path(), "one\n").unwrap();
        assert!(read().starts_with("one\n\n<!-- written by cognate"));
        write_card(scratch.path(), "two").unwrap();
        assert!(read().starts_with("two\n\n"), "our own is written anew");
        let edited = read().replace("two", "two, and a note");
        for theirs in [edited, "theirs".to_owned(), String::new()] {
            cognate_base::files::write_atomic(&path, &theirs).unwrap();
            write_card(scratch.path(), "three").unwrap();
            assert_eq!(read(), theirs);
        }
        fs_err::remove_file(&path).unwrap();
        write_card(scratch.path(), "three").unwrap();
        assert!(read().starts_with("three\n\n"));
    }
}
