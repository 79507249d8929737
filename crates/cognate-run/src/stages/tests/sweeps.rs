//! Arms that choose: by which documents, which of their candidates, and what their other seeds are trained as.

use std::collections::BTreeSet;
use std::path::Path;

use cognate_base::Silent;
use cognate_corpus::Document;
use cognate_eval::{DocumentScore, PerplexityOptions, perplexity};
use serde::Deserialize;

use super::super::BATCH_TOKENS;
use super::super::quality::read_first;
use super::super::train::sweep;
use super::super::train::training::Trained;
use super::finished::{Finished, texts};
use super::work::{self, nearly, reading};
use super::{identities, load};
use crate::context::Context;
use crate::error::Error;
use crate::recipe::Real;
use crate::step::{Replicate, Step};

/// Both arms' third candidate is best; the second arm's first diverges.
pub(super) const RECIPE: &str = r#"
name = "sweeps"
seed = 5
seeds = [5, 9]
[corpus]
paths = ["documents.jsonl"]
validation_share = 0.05
unique_share = 0.3
selection_share = 0.25
contamination_words = 8
[tokenize]
vocab_size = 420
[model]
layers = 1
width = 32
heads = 2
context = 64
[train]
budget_tokens = 10240
batch_tokens = 512
peak_rate = 1e-2
[[arm]]
kind = "repetition"
[[arm]]
name = "rates"
train.peak_rate = [1e-6, 1e-5, 1e-2]
selection_documents = 30
[[arm]]
name = "fresh"
documents = "all"
max_epochs = 3
selection_documents = 30
sweep = [
    { name = "far", train.weight_decay = 1e30 },
    { name = "slow", train.peak_rate = 1e-5 },
    { name = "usual", train.peak_rate = 9e-3 },
]
"#;

/// Every document ends with a passage that two more have, or with one of its own.
fn documents() -> String {
    let line = |(number, text): (usize, String)| {
        let group = if number % 2 == 0 { format!("g{}", number % 168 / 2) } else { format!("n{number}") };
        let passage: String = (0..9).map(|word| format!(" {group}w{word}")).collect();
        format!("{{\"id\": \"d{number}\", \"text\": \"{text}{passage}\"}}\n")
    };
    texts(500).into_iter().enumerate().map(line).collect()
}

/// The passage that a document shares.
fn group(document: &Document) -> &str {
    document.text.rsplit(' ').next().unwrap()
}

#[derive(Deserialize)]
struct Line {
    document: String,
    tokens: u64,
    nats: Vec<Option<f64>>,
}

#[test]
fn arms_choose_by_documents_that_no_arm_has_seen() {
    let finished = Finished::new(RECIPE, &[("documents.jsonl", documents())], |_| {});
    {
        let context = finished.context();
        work::rows_are_those_of_the_files(&context);
        work::operations_and_tokens_follow_from_what_was_read(&context);
        for arm in ["rates", "fresh"] {
            the_choice_is_made_by_each_document_s_loss(&context, arm);
        }
        // Of the same thirty documents, the arm that sees more text has seen more.
        assert!(swept(&context, "fresh").left_out > swept(&context, "rates").left_out);
        other_seeds_are_trained_as_the_choice_says(&context);
        what_diverges_is_told_and_counts(&context, &finished.told);
        identities::inputs_are_those_of_the_list(&context);
    }
    documents_that_are_all_seen_leave_no_choice(&finished);
}

fn swept(context: &Context<'_>, arm: &str) -> sweep::Sweep {
    let own = Replicate::own(context.recipe, context.recipe.arm(arm));
    let trained: Trained = context.statistics(Step::Train(own).folder(context.recipe)).unwrap();
    trained.sweep.unwrap()
}

fn read(context: &Context<'_>, split: &str) -> Vec<Document> {
    read_first(&context.artifact("ingest").path(&format!("{split}.jsonl.zst")), usize::MAX, &Silent).unwrap()
}

fn the_choice_is_made_by_each_document_s_loss(context: &Context<'_>, name: &str) {
    let recipe = context.recipe;
    let at = recipe.arm(name);
    let arm = &recipe.arms[at];
    let made = context.made(Step::Train(Replicate::own(recipe, at)));
    let text = fs_err::read_to_string(made.path("selection.jsonl")).unwrap();
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = swept(context, name);

    // Those of the selection split whose passage is in no document that the arm sees.
    let splits: &[&str] =
        if arm.sweep[0].training.documents == Real::All { &["unique", "oracle"] } else { &["unique"] };
    let seen: Vec<Document> = splits.iter().flat_map(|split| read(context, split)).collect();
    let seen: BTreeSet<&str> = seen.iter().map(group).collect();
    let selection = read(context, "selection");
    assert!(selection.len() > 60, "{} documents for choices", selection.len());
    let chosen: Vec<&Document> =
        selection.iter().filter(|document| lines.iter().any(|line| line.document == document.id)).collect();
    assert_eq!(chosen.len(), lines.len());
    assert!(chosen.iter().all(|document| !seen.contains(group(document))), "{name}");
    assert_eq!((found.documents, found.documents + found.left_out), (lines.len() as u64, 30));
    assert!(found.left_out > 2 && found.documents > 5, "{name}: {} of 30 left out", found.left_out);
    assert_eq!(made.manifest.work.documents, found.documents);

    // What each candidate makes of them, in its order.
    let tokenizer = context.tokenizer().unwrap();
    let scored = |folder: &Path| {
        let mut model = load(context, &folder.join("final"));
        let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
        let documents = chosen.iter().map(|document| Ok((*document).clone()));
        let (found, each) = perplexity(&mut model, &tokenizer, documents, options, &Silent).unwrap();
        let flops = reading(model.config(), each.iter().map(|score| score.tokens + 1));
        (found, each, flops)
    };
    let (mut flops, mut tokens) = (0.0, 0);
    for (number, (candidate, step)) in found.candidates.iter().zip(crate::step::candidates(recipe, at)).enumerate() {
        assert_eq!(candidate.name, arm.sweep[number].name);
        let of = |line: &Line| line.nats[number];
        if candidate.diverged.is_some() {
            assert!(lines.iter().all(|line| of(line).is_none()) && candidate.nats_per_token.is_none());
            continue;
        }
        let (figures, each, operations) = scored(&context.made(step).folder);
        assert_eq!((candidate.nats_per_token, candidate.stderr), (Some(figures.nats_per_token), figures.stderr));
        flops += operations;
        tokens += figures.tokens;
        for (line, score) in lines.iter().zip(&each) {
            let DocumentScore { document, log_likelihood, end_log_likelihood, .. } = score;
            assert_eq!((document, line.tokens), (&line.document, score.tokens + 1));
            let nats = of(line).unwrap();
            assert!(nats > 0.0 && (nats + log_likelihood + end_log_likelihood).abs() < 1e-9, "{nats} {score:?}");
        }
        // Those of its own documents, together.
        let sum: f64 = lines.iter().filter_map(of).sum();
        let all: u64 = lines.iter().map(|line| line.tokens).sum();
        assert!((sum / all as f64 - figures.nats_per_token).abs() < 1e-9);
    }
    nearly(made.manifest.work.flops, flops);
    assert_eq!(made.manifest.work.tokens, tokens);
    let losses = found.candidates.iter().filter_map(|candidate| Some((candidate.nats_per_token?, &candidate.name)));
    let best = losses.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1;
    assert_eq!((&found.chosen, best), (&arm.sweep[2].name, best), "the third is to be the best");
}

fn other_seeds_are_trained_as_the_choice_says(context: &Context<'_>) {
    let recipe = context.recipe;
    let own = |name: &str| Replicate::own(recipe, recipe.arm(name));
    let weights = |model: Replicate| context.made(Step::Train(model)).hash("final/model.safetensors").unwrap();
    let other = |name: &str| Replicate { seed: 9, ..own(name) };
    // The third rate is that of repetition, whose models it takes.
    for (model, same) in [(own("rates"), own("repetition")), (other("rates"), other("repetition"))] {
        assert_eq!(weights(model), weights(same));
        let step = Step::Train(same);
        let trained: Trained = context.statistics(Step::Train(model).folder(recipe)).unwrap();
        let taken = trained.taken.unwrap();
        assert_eq!((taken.from, taken.folder), (step.label(recipe), step.folder(recipe)));
        assert_eq!(taken.flops, context.made(step).manifest.work.flops);
        let trained: Trained = context.statistics(step.folder(recipe)).unwrap();
        assert_eq!(trained.taken, None);
    }
    assert_ne!(weights(own("repetition")), weights(other("repetition")));
    // Nobody has trained the third candidate with the other seed.
    let trained: Trained = context.statistics(Step::Train(other("fresh")).folder(recipe)).unwrap();
    let arm = recipe.arm("fresh");
    let candidate: Trained = context.statistics(Step::Sweep { arm, candidate: 2 }.folder(recipe)).unwrap();
    assert_eq!((trained.taken, trained.sweep, trained.steps), (None, None, candidate.steps));
    assert_eq!(trained.diet.unwrap().unique_tokens, candidate.diet.unwrap().unique_tokens);
    assert_ne!(weights(other("fresh")), weights(own("fresh")));
    let metrics = fs_err::read_to_string(context.made(Step::Train(other("fresh"))).path("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let rates = lines.filter_map(|line| line["learning_rate"].as_f64());
    let highest = rates.fold(0.0, f64::max);
    assert!((highest / 9e-3 - 1.0).abs() < 0.02, "a highest rate of {highest}");
    assert_eq!(sweep::chosen(context, arm).unwrap(), 2);
}

/// With a rate of 1e-2, a decay of 1e30 multiplies weights by some -1e28 a step.
fn what_diverges_is_told_and_counts(context: &Context<'_>, told: &[String]) {
    let recipe = context.recipe;
    let step = Step::Sweep { arm: recipe.arm("fresh"), candidate: 0 };
    let (made, label) = (context.made(step), step.label(recipe));
    let trained: Trained = context.statistics(step.folder(recipe)).unwrap();
    let how = trained.diverged.unwrap();
    assert!(how.starts_with("the ") && how.contains(" of step "), "{how}");
    assert!(told.contains(&format!("{label}: {how}; it counts as lost")), "{told:?}");
    let next: Trained =
        context.statistics(Step::Sweep { arm: recipe.arm("fresh"), candidate: 1 }.folder(recipe)).unwrap();
    assert_eq!(trained.parameters, next.parameters);
    assert!(made.manifest.work.flops > 0.0 && trained.steps < next.steps && trained.steps > 0);
    assert_eq!(made.manifest.work.tokens, trained.steps * 512);
}

/// Where a single word counts as a passage, there is none that was not seen; and none that counts where two documents are many.
fn documents_that_are_all_seen_leave_no_choice(finished: &Finished) {
    let mut recipe = finished.recipe();
    let at = recipe.arm("rates");
    sweep::check(&finished.context(), at).unwrap();
    (recipe.corpus.contamination_words, recipe.corpus.contamination_documents) = (1, u32::MAX);
    let error = sweep::check(&finished.context_of(&recipe), at).unwrap_err();
    assert!(matches!(&error, Error::NoSelection { arm, .. } if arm == "rates"), "{error}");
    assert!(error.hint().unwrap().contains("lower [corpus] contamination_documents"));
    recipe.corpus.contamination_documents = 1;
    sweep::check(&finished.context_of(&recipe), at).unwrap();
}
