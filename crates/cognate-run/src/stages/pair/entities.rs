//! Pairs of documents that share entities.

use std::path::Path;

use cognate_pair::{EntityConfig, entity_pairs, part_given};
use serde_json::json;

use super::method::{Effort, Job, Method, PAIR_BYTES, counts, tell_unseen};
use crate::context::Made;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::Entities;
use crate::stages::groups::Groups;
use crate::stages::related::copies_of;
use crate::stages::texts::texts_in;
use crate::step::Step;

/// Text that entities are looked for in within a second, on one core.
const ENTITY_BYTES_PER_S: f64 = 8e6;

impl Method for Entities {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Ingest]
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor, settings) = (job.context, job.monitor, &job.pairs().pair);
        let mut documents = texts_in(context, Path::new("ingest"), "unique", monitor)?;
        let unique = documents.len();
        documents.extend(texts_in(context, Path::new("ingest"), "selection", monitor)?);
        let (ids, texts): (Vec<String>, Vec<String>) = documents.into_iter().unzip();
        let copies = copies_of(&texts, settings, monitor)?;
        let config = EntityConfig {
            shared: self.shared_entities,
            most_documents: self.entity_documents,
            neighbours: settings.neighbours,
        };
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let groups = Groups::of_unique_if_any(context, monitor)?;
        let apart = if settings.within_groups { &[] } else { groups.numbers() };
        let (found, near, stats) = entity_pairs(&texts, unique, (&copies, apart), &config, monitor)?;
        let (pairs, unseen) = part_given(unique, &found, &near, settings.held_out_share, job.seed())?;
        let label = job.label();
        tracing::info!(
            "{label}: {} pairs of documents that share {} entities; {} of {} entities join documents, {} are in too many",
            pairs.train.len(),
            self.shared_entities,
            stats.joining,
            stats.distinct,
            stats.common
        );
        tell_unseen(&job.label(), &unseen);
        let mut statistics = groups.count(counts(&pairs, stats.near_copies, unseen), &pairs, &label);
        statistics["entities"] = json!(stats);
        job.write(Made::default(), &ids, &pairs, statistics)
    }

    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        Effort { wall_s: estimate.unique_bytes() / ENTITY_BYTES_PER_S, ..Effort::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        // The texts once, four bytes for each of their words while near-copies are made out, and each document's entities.
        2.0 * estimate.unique_bytes() + estimate.words_bytes() + estimate.pairs(set) * PAIR_BYTES
    }

    fn told(&self) -> Option<String> {
        let Self { shared_entities, entity_documents } = self;
        Some(format!(
            "Documents that name {shared_entities} entities in common, runs of words with capitals, of those that at most {entity_documents} \
             documents name."
        ))
    }

    fn passed_over(&self) -> (&'static str, &'static str) {
        ("near-copies, and so no pairs", "pairs")
    }

    fn more(&self) -> &'static str {
        "raise [corpus] unique_share or [pair] neighbours, or lower shared_entities"
    }
}
