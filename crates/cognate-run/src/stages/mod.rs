//! The stages: each one file that owns its version, what it is made from, its part of the recipe, its inputs, its work, and what
//! it takes. What a stage computes lives in its own crate. What stages share lies in files beside them.

use std::path::Path;

use cognate_base::{Hash, Monitor};
use serde_json::Value;

use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate};
use crate::recipe::{Model, Recipe, Training};
use crate::rundir::Identity;
use crate::step::Step;

pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod filter;
pub(crate) mod generate;
pub(crate) mod groups;
pub(crate) mod held_out;
pub(crate) mod ingest;
pub(crate) mod judge;
pub(crate) mod nearest;
pub(crate) mod of_world;
pub(crate) mod pair;
pub(crate) mod quality;
pub(crate) mod related;
pub(crate) mod report;
pub(crate) mod tasks;
pub(crate) mod teach;
pub(crate) mod texts;
pub(crate) mod tokenize;
pub(crate) mod tokenized;
pub(crate) mod train;
pub(crate) mod tune;

#[cfg(test)]
mod tests;

/// A stage with the thing that it makes. `graph.rs` says which one a node of the graph is.
pub(crate) trait Stage {
    /// The node of the graph that it is.
    fn step(&self) -> Step;

    /// Raised whenever its code changes what the same configuration and inputs give: what the older code made is then refused instead of
    /// taken for the newer.
    fn version(&self, recipe: &Recipe) -> u32;

    /// What it is made from, directly.
    fn needs(&self, recipe: &Recipe) -> Vec<Step>;

    /// Puts the resolved keys that it depends on, in the recipe's own tables, so that a difference can be named by its key. Keys that
    /// change how and not what (checkpoint intervals, slots) and paths are not among them.
    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()>;

    /// Adds the content of everything that it reads.
    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()>;

    /// Everything that its artifact depends on.
    fn identity(&self, context: &Context<'_>) -> Result<Identity> {
        let mut inputs = Inputs::new(context);
        self.inputs(context, &mut inputs)?;
        let stage = self.step().stage().to_owned();
        let config = self.resolved(context.recipe)?;
        Ok(Identity { stage, code: self.version(context.recipe), config, inputs: inputs.into_hashes() })
    }

    /// The resolved keys that it depends on.
    fn resolved(&self, recipe: &Recipe) -> Result<Value> {
        let mut config = Config::default();
        self.config(recipe, &mut config)?;
        Ok(config.into_value())
    }

    /// Does it, into the folder of `place`.
    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made>;

    /// Sees to what belongs to its artifact beside it, where that was done before.
    fn found(&self, _context: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// Whether a partial folder is worth keeping: these stages checkpoint inside themselves, the others begin anew.
    fn resumes(&self) -> bool {
        false
    }

    /// The training that it does; none where it trains nothing, or takes what another has trained.
    fn training<'a>(&self, _recipe: &'a Recipe) -> Option<&'a Training> {
        None
    }

    /// The shape of the decoder that it works with; none where it works with none.
    fn model<'a>(&self, _recipe: &'a Recipe) -> Option<&'a Model> {
        None
    }

    /// Checkpoints that it keeps beside the best one; none where it trains nothing.
    fn keeps_checkpoints(&self, _recipe: &Recipe) -> Option<usize> {
        None
    }

    /// Which work of its model it does, and the bytes of memory that it holds for it; none where it is done elsewhere. A step of training
    /// ends with a whole document, whose tokens `longest` gives for a context.
    fn model_memory(
        &self,
        _recipe: &Recipe,
        _model: &cognate_model::Config,
        _longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        None
    }

    /// What it takes, by what is known before.
    fn cost(&self, estimate: &Estimate<'_>) -> Cost;

    /// Bytes of memory that it holds at most, beside the program itself.
    fn memory(&self, estimate: &Estimate<'_>) -> f64;
}

/// Tokens scored together; changes the speed, never a result.
pub(crate) const BATCH_TOKENS: usize = 4096;

/// Where a stage works.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The folder that it writes into.
    pub(crate) folder: &'a Path,
    /// The hash of everything that its artifact depends on.
    pub(crate) fingerprint: Hash,
}
