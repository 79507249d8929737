//! What stages would take, beside what it must come to.

use crate::graph::whole_flops;
use crate::step::Step;
use std::path::Path;

use super::*;

const RECIPE: &str = "name = \"a\"\n[corpus]\npaths = [\"d\"]\nunique_share = 0.5\n[embed]\ndimensions = 64\n[model]\nlayers = 1\n\
                          width = 8\nheads = 1\n[train]\nbudget_tokens = 100000\nbatch_tokens = 1000\n[[arm]]\nkind = \"repetition\"\n\
                          [[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"equal-flops\"\n[[arm]]\nkind = \"related-context\"\n";

/// The operations of every training and stage of [`RECIPE`], by their labels, on a corpus of so many documents.
fn flops(documents: f64) -> impl Fn(&str) -> f64 {
    flops_of(RECIPE, documents)
}

/// The same for another recipe.
fn flops_of(recipe: &str, documents: f64) -> impl Fn(&str) -> f64 + use<> {
    let recipe = Recipe::parse(Path::new("r.toml"), recipe).unwrap();
    let survey = Survey {
        documents,
        all_documents: documents,
        file_bytes: 0.0,
        bytes_per_document: 1000.0,
        tokens_per_document: 250.0,
        sampled_tokens: vec![250],
        vocabulary: 300,
        encode_bytes_per_s: 1e6,
        cut_bytes_per_s: f64::INFINITY,
        train_bytes_per_s: 1e6,
        whole: true,
    };
    let speed = Speed {
        threads: 1,
        training_flops_per_s: 1e9,
        update_s: 1e-9,
        prompt_flops_per_s: 1e9,
        writing_flops_per_s: 1e9,
        measured_flops: 0.0,
    };
    let estimate =
        Estimate { recipe: &recipe, survey: &survey, measured: &Measured::default(), speed: &speed, whole_flops };
    let rows: Vec<(String, f64)> = Step::all(&recipe)
        .into_iter()
        .map(|step| (step.label(&recipe), step.stage_of().cost(&estimate).flops))
        .collect();
    move |label| rows.iter().find(|row| row.0 == label).unwrap_or_else(|| panic!("{label}")).1
}

#[test]
fn equal_flops_is_planned_equal_to_everything_that_sbp_costs() {
    // So many documents that every stage is worth many steps.
    let of = flops(1e5);
    let parts = ["embed", "pair", "tune", "generate", "train repetition", "train sbp"].map(&of);
    let step = of("train repetition") / 100.0;
    assert!(of("filter") > step && parts.iter().all(|part| *part > step), "{parts:?} {step}");
    let equal = of("train equal-flops");
    assert!((equal - parts.iter().sum::<f64>()).abs() <= 0.5001 * step, "{equal} {parts:?} {step}");
    // Scores that documents are dropped by are part of it.
    let of = flops_of(&format!("{RECIPE}[filter]\nmin_relevance = 0.0\n"), 1e5);
    let equal = of("train equal-flops");
    assert!((equal - parts.iter().sum::<f64>() - of("filter")).abs() <= 0.5001 * step, "{equal} {parts:?} {step}");
}

#[test]
fn related_contexts_are_planned_with_their_search() {
    let search = flops(1e5)("train related-context") - flops(0.0)("train related-context");
    // Half of the documents are unique, with vectors of 64 numbers.
    assert!((search - 5e4 * 5e4 * 64.0).abs() < 1.0, "{search}");
}
