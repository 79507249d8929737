//! What every stage says of its work, against the files that it read and wrote.

use std::path::Path;

use cognate_base::Silent;
use cognate_corpus::TokenFile;
use cognate_model::Config;
use cognate_model::checkpoint::read_config;
use cognate_pair::{LsaStats, read_shuffled_pairs, read_vectors};

use super::super::evaluate::read_scores;
use super::super::held_out::ids;
use super::super::quality::read_first;
use crate::context::Context;
use crate::recipe::{PairMethod, Vectors};
use crate::step::{Replicate, Step};

/// All stages of a run, but for the report.
fn steps(context: &Context<'_>) -> impl Iterator<Item = Step> + use<> {
    Step::all(context.recipe).into_iter().filter(|step| *step != Step::Report)
}

/// A file's records, counted by reading it.
fn count(context: &Context<'_>, step: Step, path: &Path) -> usize {
    let name = path.file_name().unwrap().to_str().unwrap();
    if name.ends_with(".jsonl.zst") {
        return read_first(path, usize::MAX, &Silent).unwrap().len();
    }
    match path.extension().unwrap().to_str().unwrap() {
        "jsonl" => fs_err::read_to_string(path).unwrap().lines().count(),
        "json" => serde_json::from_slice::<Vec<f32>>(&fs_err::read(path).unwrap()).unwrap().len(),
        "bin" => TokenFile::open(&path.with_extension("")).unwrap().tokens() as usize,
        "idx" => TokenFile::open(&path.with_extension("")).unwrap().documents(),
        "parquet" if ["vectors.parquet", "selection.parquet"].contains(&name) => {
            read_vectors(path, &Silent).unwrap().ids.len()
        }
        "parquet" => {
            let Step::Pair(set) = step else { panic!("{step:?} has pairs") };
            let (ids, _) = ids(context, set, &Silent).unwrap();
            // Whatever set it is: only of a shuffled one a pair may come twice.
            read_shuffled_pairs(path, &ids, &Silent).unwrap().len()
        }
        other => panic!("rows of .{other}"),
    }
}

pub(super) fn rows_are_those_of_the_files(context: &Context<'_>) {
    let rows = |step: Step| -> usize {
        let made = context.made(step);
        let files = made.manifest.files.iter().filter_map(|file| Some((&file.path, file.rows?)));
        let counted = files.map(|(path, rows)| {
            assert_eq!(count(context, step, &made.path(path)) as u64, rows, "{path} of {}", step.label(context.recipe));
        });
        counted.count()
    };
    for step in steps(context) {
        let expected = match step {
            Step::Ingest => 6,
            Step::Tokenize => 8,
            Step::Evaluate(_) => 1,
            Step::Embed(_) => 4,
            Step::Teach(_) => 4,
            Step::Pair(set) if context.recipe.texts_of(set) == Some(set) => 8,
            Step::Pair(_) => 2,
            Step::Filter(_) => 3,
            Step::Train(model)
                if !context.recipe.arms[model.arm].sweep.is_empty() && model.seed == context.recipe.seed =>
            {
                1
            }
            Step::Train(_) | Step::Sweep { .. } | Step::Tune(_) | Step::Generate(_) | Step::Report => 0,
        };
        assert_eq!(rows(step), expected, "{}", step.label(context.recipe));
    }
}

/// Operations of reading texts of so many tokens, each text on its own, with the likelihood of every token.
pub(super) fn reading(config: &Config, lengths: impl IntoIterator<Item = u64>) -> f64 {
    // A token attends to itself and to those before it: to half of its text on average.
    let alone = |tokens: u64| config.forward_flops(tokens as f64, tokens as f64, (tokens as f64 + 1.0) / 2.0);
    lengths.into_iter().map(alone).sum()
}

/// Whether two counts of operations are the same but for what a mean length leaves out.
#[track_caller]
pub(super) fn nearly(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.03, "{found:e} operations, and by each text {expected:e}");
}

pub(super) fn operations_and_tokens_follow_from_what_was_read(context: &Context<'_>) {
    let documents = |split: &str| context.tokens("tokenize", split).unwrap().documents() as u64;
    let [unique, selection, validation] = ["unique", "selection", "validation"].map(documents);
    for step in steps(context) {
        let work = &context.made(step).manifest.work;
        match step {
            Step::Ingest => {
                let read: u64 = fs_err::read_to_string(&context.document_paths()[0]).unwrap().lines().count() as u64;
                // A record that is none is no document.
                assert_eq!(work.documents, read - work.statistics["rejected"].as_u64().unwrap());
                let kept: u64 = ["validation", "unique", "oracle", "selection"].into_iter().map(documents).sum();
                let dropped = fs_err::read_to_string(context.made(step).path("dropped.jsonl")).unwrap();
                assert_eq!(work.documents, kept + dropped.lines().count() as u64);
            }
            Step::Embed(at) => {
                assert_eq!(work.documents, unique + selection + validation);
                let vectors = read_vectors(&context.made(step).path("vectors.parquet"), &Silent).unwrap();
                // The nearest of each validation document, among all.
                let search = 2 * unique * validation * vectors.width as u64;
                let fit = match context.recipe.embeddings[at].vectors {
                    Vectors::Lsa => {
                        let stats: LsaStats = serde_json::from_value(work.statistics.clone()).unwrap();
                        // Twelve products of the sparse matrix with 32 directions more than are kept; each weight is multiplied and added.
                        12 * stats.weights * (vectors.width + 32) * 2
                    }
                    Vectors::File(_) => 0,
                };
                assert_eq!(work.flops, (fit as u64 + search) as f64);
            }
            Step::Pair(at) => {
                assert_eq!(work.documents, unique + selection);
                assert!(work.statistics["train_pairs"].as_u64().unwrap() > 0);
                if let PairMethod::Neighbours(_) = context.recipe.pairs[at].method {
                    // Each unique document beside each, and beside each of the selection split in both directions.
                    let pairs = unique * unique + 2 * unique * selection;
                    assert_eq!(
                        work.flops,
                        (pairs * context.recipe.embed.dimensions as u64) as f64,
                        "a vector has every direction"
                    );
                }
            }
            Step::Train(model) if context.recipe.arms[model.arm].sweep.is_empty() => {
                assert_eq!(work.statistics["tokens"], work.tokens);
                assert_eq!(work.statistics["diet"]["train_tokens"], work.tokens);
            }
            Step::Generate(_) => {
                assert_eq!(work.statistics["documents"], work.documents);
                assert_eq!(work.statistics["tokens"], work.tokens);
            }
            Step::Filter(_) => {
                let kept = TokenFile::open(&context.made(step).path("synthetic")).unwrap();
                assert_eq!(work.tokens, kept.tokens());
                assert_eq!(work.statistics["filter"]["read"]["documents"], work.documents);
            }
            Step::Evaluate(model) => evaluated(context, model),
            _ => {}
        }
    }
}

/// A model's documents are read whole, its questions as their own figures say.
fn evaluated(context: &Context<'_>, model: Replicate) {
    let made = context.made(Step::Evaluate(model));
    let (config, _) = read_config(&context.made(Step::Train(model)).path("final")).unwrap();
    let documents: Vec<u64> = read_scores(&made.folder).unwrap().iter().map(|score| score.tokens + 1).collect();
    let work = &made.manifest.work;
    assert_eq!(work.documents, documents.len() as u64);
    assert_eq!(work.documents, context.tokens("tokenize", "validation").unwrap().documents() as u64);
    let asks = context.recipe.evaluate.tasks.len() > 1;
    assert_eq!(work.statistics.get("tasks").is_some(), asks);
    assert_eq!(made.manifest.files.iter().any(|file| file.path == "questions.jsonl"), asks);
    if !asks {
        assert_eq!(work.tokens, documents.iter().sum::<u64>());
        nearly(work.flops, reading(&config, documents));
    }
}
