//! What decides each stage's artifact, beside lists that are committed. What is in a list and changes makes older runs be refused; what is
//! not in it and should be gives a stale artifact for a fresh one.
//!
//! `COGNATE_UPDATE=1` writes the lists anew. Raise a stage's version wherever the same configuration gives other output.

use std::path::Path;

use cognate_base::files::write_atomic;

use super::{derived, graph, made_pairs, sweeps, teaching};
use crate::context::Context;
use crate::recipe::Recipe;
use crate::step::Step;

#[track_caller]
fn is_listed(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages/tests/identities").join(file);
    if std::env::var_os("COGNATE_UPDATE").is_some() {
        write_atomic(&path, found).unwrap();
    }
    let listed = fs_err::read_to_string(&path).unwrap();
    for (listed, found) in listed.lines().zip(found.lines()) {
        assert_eq!(found, listed, "{file}: run this test with COGNATE_UPDATE=1 and look at the difference");
    }
    assert_eq!(found.lines().count(), listed.lines().count(), "{file}");
}

/// Each stage's version, what it is made from, the keys that decide it, the model that it works with, and what it leaves to go on from.
#[test]
fn keys_and_versions_that_decide_an_artifact_are_those_of_the_list() {
    for (name, text) in [
        ("graph", graph::RECIPE),
        ("sweeps", sweeps::RECIPE),
        ("derived", derived::RECIPE),
        ("made", made_pairs::RECIPE),
        ("taught", teaching::RECIPE),
    ] {
        let text = text.replace("JUDGE", "http://localhost/v1");
        let recipe = Recipe::parse(Path::new("recipe.toml"), &text).unwrap();
        let mut list = String::new();
        for step in Step::all(&recipe) {
            let stage = step.stage_of();
            assert_eq!(stage.step(), step);
            let needs: Vec<String> = step.needs(&recipe).into_iter().map(|step| step.label(&recipe)).collect();
            list += &format!("{}, version {}\n", step.label(&recipe), stage.version(&recipe));
            list += &format!("  made from: {}\n", needs.join("; "));
            if let Some(model) = stage.model(&recipe) {
                list += &format!("  works with: a decoder of width {}\n", model.width);
            }
            if let Some(training) = stage.training(&recipe) {
                list += &format!("  trains: on {} tokens\n", training.train.budget_tokens);
            }
            if stage.resumes() {
                list += &format!("  resumes: with {} checkpoints\n", stage.keeps_checkpoints(&recipe).unwrap_or(0));
            }
            list += &format!("  decided by: {}\n", step.resolved(&recipe).unwrap());
        }
        is_listed(&format!("{name}.txt"), &list);
    }
}

/// The files that each stage read.
pub(super) fn inputs_are_those_of_the_list(context: &Context<'_>) {
    let recipe = context.recipe;
    let mut list = String::new();
    for step in Step::all(recipe).into_iter().filter(|step| *step != Step::Report) {
        let names: Vec<&str> = context.made(step).manifest.identity.inputs.keys().map(String::as_str).collect();
        list += &format!("{}: {}\n", step.label(recipe), names.join("; "));
    }
    is_listed(&format!("{}-inputs.txt", recipe.name), &list);
}
