//! The training pairs of another set, all or some of them without their relation. Its held-out pairs stay as they are: by these a synthesizer
//! is measured.

use std::collections::HashSet;

use cognate_pair::{Pairs, part_share, read_shuffled_pairs, read_vectors, shuffle_apart, shuffle_targets};

use super::method::{Effort, Job, Method};
use super::own_texts::origins;
use crate::context::Made;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::pair_methods::{Neighbours, Shuffled};
use crate::recipe::{PairMethod, Recipe};
use crate::stages::groups::Groups;
use crate::stages::related::vectors_of;
use crate::step::Step;

impl Method for Shuffled {
    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        vec![Step::Pair(recipe.pair_set(&self.of))]
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor, seed) = (job.context, job.monitor, job.seed());
        let source = job.source(&self.of)?;
        let artifact = context.made(Step::Pair(source.set));
        let train = read_shuffled_pairs(&artifact.path("train.parquet"), &source.ids, monitor)?;
        let held_out = job.read(&source, "held_out.parquet")?;
        let (others, kept) = part_share(&train, self.share, seed);
        let mut train = match job.pairs().pair.within_groups {
            // A source is to have the target of another document.
            _ if context.recipe.texts_of(source.set).is_some() => {
                shuffle_apart(&others, &origins(&source.ids), seed, monitor)?
            }
            true => shuffle_targets(&others, seed, monitor)?,
            false => shuffle_apart(&others, Groups::of_unique(context, monitor)?.numbers(), seed, monitor)?,
        };
        let vectors = match &context.recipe.pairs[source.set].method {
            PairMethod::Neighbours(Neighbours { embedding }) => {
                Some(read_vectors(&vectors_of(context, embedding), monitor)?)
            }
            _ => None,
        };
        for pair in &mut train {
            let found = vectors.as_ref().map(|vectors| vectors.similarity(pair.first as usize, pair.second as usize));
            pair.similarity = found.unwrap_or(0.0);
        }
        if !job.pairs().is_shuffled() {
            // A set of pairs has each once.
            let mut seen: HashSet<(u32, u32)> = kept.iter().map(|pair| (pair.first, pair.second)).collect();
            train.retain(|pair| seen.insert((pair.first, pair.second)));
            train.extend(kept);
            train.sort_unstable_by_key(|pair| (pair.first, pair.second));
        }
        let pairs = Pairs { train, held_out };
        let statistics = source.counts(&pairs);
        job.write(Made::default(), &source.ids, &pairs, statistics)
    }

    fn cost(&self, _: &Estimate<'_>, _: usize) -> Effort {
        Effort::default()
    }

    fn told(&self) -> Option<String> {
        let (of, percent) = (&self.of, 100.0 * self.share);
        Some(match self.share < 1.0 {
            true => format!(
                "The pairs of the set {of}, {percent:.0} % of them with the second document of another: so many are false on purpose."
            ),
            false => {
                format!("The pairs of the set {of}, their second documents shuffled: nothing but chance relates them.")
            }
        })
    }
}
