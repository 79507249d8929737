//! What each arm is made from, as a tree, and what it adds to the cost.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::duration::seconds;
use crate::estimate::StagePlan;
use crate::graph::behind;
use crate::recipe::Recipe;
use crate::step::{Replicate, Step};

/// What an arm is made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmPlan {
    /// The arm.
    pub arm: String,
    /// Seconds of everything that it is made from, its own training among it, with the recipe's own seed.
    pub whole_s: f64,
    /// Of these, seconds of what no arm above it needs.
    pub adds_s: f64,
    /// Operations of what no arm above it needs.
    pub adds_flops: f64,
    /// What it is made from.
    pub tree: Vec<Branch>,
}

/// A line of a tree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Branch {
    /// How deep it stands: what is one deeper behind a line is what that line is made from.
    pub depth: usize,
    /// Stage and thing.
    pub label: String,
    /// Seconds that it takes; none where it is made for a line above.
    pub wall_s: Option<f64>,
}

/// The arms of `recipe` with what they are made from, by the rows of its plan.
pub(super) fn arms(recipe: &Recipe, steps: &[Step], rows: &[StagePlan]) -> Vec<ArmPlan> {
    let row = |step: Step| steps.iter().position(|other| *other == step).map(|at| &rows[at]);
    let mut made: BTreeSet<Step> = BTreeSet::new();
    let mut arms = Vec::new();
    for (at, arm) in recipe.arms.iter().enumerate() {
        let own = Step::Train(Replicate::own(recipe, at));
        let needed = behind(recipe, own);
        let new: Vec<Step> = needed.iter().copied().filter(|step| !made.contains(step)).collect();
        let sum = |steps: &[Step], of: fn(&StagePlan) -> f64| steps.iter().filter_map(|step| row(*step)).map(of).sum();
        let mut tree = Vec::new();
        let time = |step: Step| row(step).map(|row| row.wall_s);
        grow(recipe, own, 0, &mut made, &time, &mut tree);
        arms.push(ArmPlan {
            arm: arm.name.clone(),
            whole_s: sum(&needed, |row| row.wall_s),
            adds_s: sum(&new, |row| row.wall_s),
            adds_flops: sum(&new, |row| row.flops),
            tree,
        });
    }
    arms
}

/// Adds `step` and what it is made from. Documents and tokens, which everything is made from, go without saying.
fn grow(
    recipe: &Recipe,
    step: Step,
    depth: usize,
    made: &mut BTreeSet<Step>,
    time: &dyn Fn(Step) -> Option<f64>,
    tree: &mut Vec<Branch>,
) {
    let is_new = made.insert(step);
    tree.push(Branch { depth, label: step.label(recipe), wall_s: time(step).filter(|_| is_new) });
    if is_new {
        let needs = step.needs(recipe).into_iter();
        for needed in needs.filter(|step| !matches!(step, Step::Ingest | Step::Tokenize)) {
            grow(recipe, needed, depth + 1, made, time, tree);
        }
        made.extend([Step::Ingest, Step::Tokenize]);
    }
}

impl fmt::Display for ArmPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arm, whole_s, adds_s, .. } = self;
        writeln!(f, "  {arm}: {} in all, {} of it shared with no arm above", seconds(*whole_s), seconds(*adds_s))?;
        for Branch { depth, label, wall_s } in &self.tree {
            let indent = 4 + 2 * depth;
            let time = wall_s.map_or_else(|| "see above".to_owned(), seconds);
            writeln!(f, "{:indent$}{label:<width$}{time:>14}", "", width = 56_usize.saturating_sub(indent))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_is_shared_is_made_once_and_every_arm_says_what_it_adds() {
        let text = "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
                    [[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"random-pairs\"\n";
        let recipe = Recipe::parse(Path::new("r.toml"), text).unwrap();
        let steps = Step::all(&recipe);
        // Each takes another power of two, so that a sum says what is in it.
        let row = |at: usize| StagePlan { wall_s: f64::from(1u32 << at), ..StagePlan::default() };
        let rows: Vec<StagePlan> = (0..steps.len()).map(row).collect();
        let found = arms(&recipe, &steps, &rows);
        let labels = |sum: f64| -> Vec<String> {
            let of = |at: &usize| (sum as u64) >> at & 1 == 1;
            (0..steps.len()).filter(of).map(|at| steps[at].label(&recipe)).collect()
        };
        assert_eq!(labels(found[0].adds_s), ["ingest", "tokenize", "train repetition"]);
        assert_eq!(labels(found[1].adds_s), ["embed", "pair", "tune", "generate", "filter", "train sbp"]);
        let shuffled = ["pair shuffled", "tune shuffled", "generate shuffled", "filter shuffled", "train random-pairs"];
        assert_eq!(labels(found[2].adds_s), shuffled);
        assert!(labels(found[2].whole_s).contains(&"embed".to_owned()), "it needs what sbp has made");
        let lines: Vec<(usize, &str, bool)> =
            found[2].tree.iter().map(|line| (line.depth, line.label.as_str(), line.wall_s.is_some())).collect();
        assert_eq!(
            lines,
            [
                (0, "train random-pairs", true),
                (1, "filter shuffled", true),
                (2, "generate shuffled", true),
                (3, "tune shuffled", true),
                (4, "pair shuffled", true),
                (5, "pair", false),
                (4, "train repetition", false),
            ]
        );
    }
}
