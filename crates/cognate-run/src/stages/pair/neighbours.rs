//! Pairs of documents that are near to each other by an embedding.

use cognate_base::Monitor;
use cognate_pair::{
    PairConfig, PairStats, Rule, Vectors, exact_neighbours, exact_neighbours_apart, neighbours_among,
    neighbours_needed, read_vectors, select_pairs,
};
use serde_json::json;

use super::method::{Effort, Job, Method, tell_unseen};
use crate::context::{Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Estimate, search_flops};
use crate::recipe::pair_methods::Neighbours;
use crate::recipe::{Recipe, Threshold};
use crate::stages::embed::{HELD, SELECTION};
use crate::stages::groups::Groups;
use crate::stages::related::{copies, vectors_of};
use crate::step::Step;

impl Method for Neighbours {
    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        vec![Step::Embed(recipe.embedding(&self.embedding))]
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let vectors = context.made(Step::Embed(context.recipe.embedding(&self.embedding)));
        inputs.add("the vectors", vectors, "vectors.parquet")?;
        inputs.add("the selection's vectors", vectors, SELECTION)?;
        inputs.add("how much of them the directions hold", vectors, HELD)
    }

    fn work(&self, job: &Job<'_>) -> Result<Made> {
        let (context, monitor, pair) = (job.context, job.monitor, &job.pairs().pair);
        let vectors = read_vectors(&vectors_of(context, &self.embedding), monitor)?;
        let unseen = unseen_vectors(context, &self.embedding, monitor)?;
        let groups = Groups::of_unique_if_any(context, monitor)?;
        let k = neighbours_needed(pair.neighbours, vectors.len());
        let neighbours = match pair.within_groups {
            true => exact_neighbours(&vectors, k, monitor)?,
            false => exact_neighbours_apart(&vectors, k, groups.numbers(), monitor)?,
        };
        // A group is whole in one split, so none of these is of a unique document's group.
        let among = match &unseen {
            Some(unseen) => {
                Some(neighbours_among(&vectors, unseen, k, monitor)?.scaled(&held(context, &self.embedding)?))
            }
            None => None,
        };
        let of_unseen = unseen.map(|unseen| unseen.ids).unwrap_or_default();
        let config = PairConfig {
            neighbours: pair.neighbours,
            min_similarity: match pair.min_similarity {
                Threshold::At(similarity) => Some(similarity as f32),
                Threshold::Auto(_) => None,
            },
            precision: pair.precision,
            max_similarity: pair.max_similarity as f32,
            held_out_share: pair.held_out_share,
            seed: job.seed(),
        };
        let copies = copies(context, pair, &of_unseen, monitor)?;
        let (pairs, stats) = select_pairs(&vectors, &neighbours, among.as_ref(), &copies, &config)?;
        let label = job.label();
        tell(&label, &stats);
        tell_unseen(&job.label(), &stats.unseen);
        let (documents, unseen, width) = (vectors.len() as f64, of_unseen.len() as f64, vectors.width as f64);
        let ids = [vectors.ids, of_unseen].concat();
        let statistics = groups.count(json!(stats), &pairs, &label);
        let mut made = job.write(Made::default(), &ids, &pairs, statistics)?;
        made.work.flops = search_flops(documents, width) + 2.0 * documents * unseen * width;
        Ok(made)
    }

    fn cost(&self, estimate: &Estimate<'_>, _: usize) -> Effort {
        let flops = estimate.search_flops(&self.embedding);
        Effort { flops, wall_s: estimate.search_s(flops), ..Effort::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>, set: usize) -> f64 {
        estimate.search_bytes(&self.embedding, estimate.recipe.pairs[set].pair.neighbours)
    }

    fn told(&self) -> Option<String> {
        None
    }

    fn more(&self) -> &'static str {
        "raise [corpus] unique_share or [pair] neighbours, or lower [pair] min_similarity or precision"
    }
}

/// Says at once what was found to be related.
pub fn tell(label: &str, stats: &PairStats) {
    let (with_pair, documents) = (stats.documents_with_pairs, stats.documents);
    let Some(estimate) = stats.precision.estimate else {
        return tracing::warn!(
            "{label}: {with_pair} of {documents} documents have a pair. Which share of the pairs is true cannot be said: most documents have too \
             few others outside of their group to tell related ones from strangers. Give [pair] min_similarity if you know one, or \
             write within_groups = true"
        );
    };
    let percent = 100.0 * estimate;
    match stats.precision.rule {
        Rule::OneHill => tracing::warn!(
            "{label}: this corpus has no usable relation: no similarity tells related documents from strangers, and of the pairs that were \
             taken {percent:.0} % are true by estimate. Change [embed], or give [pair] min_similarity if you know better"
        ),
        _ => tracing::info!(
            "{label}: {with_pair} of {documents} documents have a pair; {percent:.0} % of the pairs are true by estimate: nearer than strangers are, which may \
             be less than you mean by related"
        ),
    }
}

/// The vectors of the selection split, in the space of an embedding; none where it has none.
fn unseen_vectors(context: &Context<'_>, embedding: &str, monitor: &dyn Monitor) -> Result<Option<Vectors>> {
    let embedded = context.made(Step::Embed(context.recipe.embedding(embedding)));
    let has_rows = embedded.rows(SELECTION) > 0;
    Ok(has_rows.then(|| read_vectors(&embedded.path(SELECTION), monitor)).transpose()?)
}

/// How much of each of their documents the directions hold.
fn held(context: &Context<'_>, embedding: &str) -> Result<Vec<f32>> {
    let path = context.made(Step::Embed(context.recipe.embedding(embedding))).path(HELD);
    let damaged = |error: serde_json::Error| Error::Damaged { path: path.clone(), message: error.to_string() };
    serde_json::from_str(&fs_err::read_to_string(&path)?).map_err(damaged)
}
