//! Pairs that are known before: those of a file, and those that a world says are true.

use std::path::Path;

use cognate_pair::{part_given, read_pairs_among};

use super::method::{Effort, Job, Method, counts, tell_unseen};
use crate::context::{Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::Estimate;
use crate::recipe::Recipe;
use crate::recipe::pair_methods::{Given, Truth};
use crate::stages::groups::Groups;
use crate::stages::held_out::ids;
use crate::step::Step;
use crate::world_files::PAIRS;

impl Method for Given {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Ingest]
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        inputs.file("the given pairs", context.recipe.at(&self.path))
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        take(job, &job.context.recipe.at(&self.path))
    }

    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        Effort { wall_s: estimate.given_s(&self.path), ..Effort::default() }
    }

    fn told(&self) -> Option<String> {
        Some("Given pairs: nothing is known of them but their numbers.".to_owned())
    }
}

impl Method for Truth {
    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Ingest]
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        inputs.add("the true pairs", context.made(Step::Ingest), PAIRS)
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        take(job, &job.context.made(Step::Ingest).path(PAIRS))
    }

    fn cost(&self, _: &Estimate<'_>, _: usize) -> Effort {
        Effort::default()
    }

    fn told(&self) -> Option<String> {
        Some("The pairs that the world says are true: each of two documents with one concept.".to_owned())
    }
}

/// Takes the pairs of a file.
fn take(job: &Job<'_>, path: &Path) -> Result<Made> {
    let (context, monitor) = (job.context, job.monitor);
    let (ids, unique) = ids(context, job.set, monitor)?;
    let (mut given, passed_over) = read_pairs_among(path, &ids, monitor)?;
    given.iter_mut().filter(|pair| pair.similarity.is_nan()).for_each(|pair| pair.similarity = 0.0);
    let mut within = 0;
    let settings = &job.pairs().pair;
    if !settings.within_groups {
        let (groups, before) = (Groups::of_unique(context, monitor)?, given.len());
        given.retain(|pair| !groups.together(pair));
        within = (before - given.len()) as u64;
    }
    let (pairs, unseen) = part_given(unique, &given, &[], settings.held_out_share, job.seed())?;
    let of_groups = if within > 0 { format!(", and {within} within a group, left out") } else { String::new() };
    tracing::info!("{}: {} pairs, and {passed_over} of documents of other splits{of_groups}", job.label(), given.len());
    tell_unseen(&job.label(), &unseen);
    let statistics = counts(&pairs, passed_over, unseen);
    job.write(Made::default(), &ids, &pairs, statistics)
}
