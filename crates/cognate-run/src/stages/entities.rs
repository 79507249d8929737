//! Pairs of documents that share entities, for `pair`.

use std::path::Path;

use cognate_base::Monitor;
use cognate_pair::{EntityConfig, entity_pairs, part_given};
use serde_json::json;

use super::groups::Groups;
use super::pair::{counts, tell_unseen, write};
use super::related::copies;
use super::texts::texts_in;
use crate::context::{Context, Made};
use crate::error::Result;
use crate::rundir::Work;
use crate::step::Step;

/// Documents that name `shared` entities in common, of those that at most `most_documents` name.
pub(super) fn sharing(
    context: &Context<'_>,
    at: usize,
    (shared, most_documents): (usize, usize),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let set = &context.recipe.pairs[at].pair;
    let mut documents = texts_in(context, Path::new("ingest"), "unique", monitor)?;
    let unique = documents.len();
    documents.extend(texts_in(context, Path::new("ingest"), "selection", monitor)?);
    let (ids, texts): (Vec<String>, Vec<String>) = documents.into_iter().unzip();
    let copies = copies(context, set, &ids[unique..], monitor)?;
    let config = EntityConfig { shared, most_documents, neighbours: set.neighbours };
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let groups = Groups::of_unique_if_any(context, monitor)?;
    let apart = if set.within_groups { &[] } else { groups.numbers() };
    let (found, near, stats) = entity_pairs(&texts, unique, (&copies, apart), &config, monitor)?;
    let (pairs, unseen) = part_given(unique, &found, &near, set.held_out_share, context.recipe.seed)?;
    let label = Step::Pair(at).label(context.recipe);
    tracing::info!(
        "{label}: {} pairs of documents that share {shared} entities; {} of {} entities join documents, {} are in too many",
        pairs.train.len(),
        stats.joining,
        stats.distinct,
        stats.common
    );
    tell_unseen(&label, &unseen);
    let mut made = Made::default();
    write(folder, &ids, &pairs, &mut made)?;
    let mut statistics = groups.count(counts(&pairs, stats.near_copies, unseen), &pairs, &label);
    statistics["entities"] = json!(stats);
    made.work = Work { statistics, documents: ids.len() as u64, ..Work::default() };
    Ok(made)
}
