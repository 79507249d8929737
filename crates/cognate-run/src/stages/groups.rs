//! Which unique documents belong together, and how many pairs are of such.

use std::collections::HashMap;

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader};
use cognate_pair::{Pair, Pairs};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Result;

/// The groups of the unique documents.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Of each document, in the order of the file.
    numbers: Vec<u32>,
    /// How many there are.
    groups: usize,
}

impl Groups {
    /// Reads them. A document that names no group is one of its own, which its identifier names.
    pub(crate) fn of_unique(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Self> {
        let path = context.artifact("ingest").path("unique.jsonl.zst");
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut numbers = Vec::new();
        for record in Reader::open(&[path], &ReadOptions::with_groups(), monitor)? {
            let (_, document) = record?;
            let next = known.len() as u32;
            numbers.push(*known.entry(document.group.unwrap_or(document.id)).or_insert(next));
        }
        Ok(Self { numbers, groups: known.len() })
    }

    /// The same; nothing where no document is one of several of a group.
    pub(crate) fn of_unique_if_any(context: &Context<'_>, monitor: &dyn Monitor) -> Result<Self> {
        match context.recipe.corpus.has_groups() {
            true => Self::of_unique(context, monitor),
            false => Ok(Self::default()),
        }
    }

    /// Each document's group.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Whether two documents are of one group, as none is with a document of another split.
    pub(crate) fn together(&self, pair: &Pair) -> bool {
        let of = |document: u32| self.numbers.get(document as usize);
        of(pair.first).zip(of(pair.second)).is_some_and(|(first, second)| first == second)
    }

    /// Statistics of pairs with how many of them are within a group, which is also told; as they were where no document shares its group.
    pub(crate) fn count(&self, mut statistics: Value, pairs: &Pairs, label: &str) -> Value {
        if self.groups < self.numbers.len() {
            let all = pairs.train.len() + pairs.held_out.len();
            let within = pairs.train.iter().chain(&pairs.held_out).filter(|pair| self.together(pair)).count();
            statistics["within_groups"] = json!(within);
            tracing::info!("{label}: {within} of {all} pairs are of documents of one group");
        }
        statistics
    }
}
