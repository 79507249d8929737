//! How well latent semantic analysis finds true pairs, how well the choice of a least similarity does, and how long it takes.
//!
//! Reads JSON Lines from stdin; the second argument is the part of the id that true pairs have in common:
//! `suffix` for `<version>/<book>/<chapter>` (the Bible), `prefix` for `<story>/<level>` (OneStopEnglish), `person` for
//! `<person>-<telling>` (made-up biographies), `none` for a corpus without known pairs.
//!
//! ```text
//! zstd -dc ASV.jsonl.zst KJVPCE.jsonl.zst | cargo run --release -p cognate-pair --example recall -- 256 suffix
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::time::Instant;

use cognate_base::Silent;
use cognate_pair::{
    Copies, LsaConfig, PairConfig, exact_neighbours, lsa, measure_similarities, neighbours_needed, select_pairs,
    suggest_window,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dimensions = arguments.next().ok_or("give the dimensions")?.parse()?;
    let part = arguments.next().ok_or("give suffix, prefix, person or none")?;
    let limit = arguments.next().map_or(Ok(usize::MAX), |limit| limit.parse())?;
    let mut texts = Vec::new();
    for line in stdin().lock().lines().take(limit) {
        let record: serde_json::Value = serde_json::from_str(&line?)?;
        let field = |name: &str| record[name].as_str().map(str::to_string).ok_or("a record lacks id or text");
        texts.push((field("id")?, field("text")?));
    }
    let start = Instant::now();
    let config = LsaConfig { dimensions, seed: 1, min_documents: 2, max_document_share: 0.5, max_terms: 200_000 };
    let (vectors, stats) = lsa(&texts, &config, &Silent)?;
    let lsa_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let neighbours = exact_neighbours(&vectors, neighbours_needed(10, vectors.len()), &Silent)?;
    let neighbours_s = start.elapsed().as_secs_f64();
    println!(
        "{} documents, {} terms, {} weights, {} dimensions, explained {:.3}, singular values {:.2} to {:.2}",
        stats.documents,
        stats.terms,
        stats.weights,
        stats.dimensions,
        stats.explained,
        stats.singular_values[0],
        stats.singular_values[stats.dimensions - 1],
    );
    println!("lsa {lsa_s:.2} s, neighbours {neighbours_s:.2} s, {} without vector", stats.documents_without_vector);
    let similarities = measure_similarities(&vectors, &neighbours, 10, 1)?;
    println!("neighbours: {}", similarities.neighbour_quantiles);
    println!("nearest:    {}", similarities.nearest_quantiles);
    println!("random:     {}", similarities.random_quantiles);
    let key = |id: &str| match part.as_str() {
        "suffix" => id.split_once('/').map(|(_, rest)| rest.to_string()),
        "prefix" => id.rsplit_once('/').map(|(rest, _)| rest.to_string()),
        "person" => id.rsplit_once('-').map(|(person, _)| person.to_string()),
        _ => None,
    };
    let keys: Vec<_> = vectors.ids.iter().map(|id| key(id)).collect();
    let mut counts = std::collections::HashMap::new();
    keys.iter().flatten().for_each(|key| *counts.entry(key).or_insert(0) += 1);
    let with_pair: Vec<usize> =
        (0..keys.len()).filter(|&i| keys[i].as_ref().is_some_and(|key| counts[key] > 1)).collect();
    for k in [1, 10] {
        let hit = |&&i: &&usize| neighbours.of(i).take(k).any(|(j, _)| keys[j as usize] == keys[i]);
        let hits = with_pair.iter().filter(hit).count();
        println!("recall@{k}: {hits} of {} = {:.4}", with_pair.len(), hits as f64 / with_pair.len().max(1) as f64);
    }
    let copies = Copies::of(&texts.iter().map(|(_, text)| text).collect::<Vec<_>>(), 0.7, &Silent)?;
    let all: usize = with_pair.iter().filter_map(|&i| keys[i].as_ref()).map(|key| counts[key] - 1).sum();
    let is_true = |first: u32, second: u32| {
        let (first, second) = (&keys[first as usize], &keys[second as usize]);
        first.is_some() && first == second
    };
    // Near-copies are found and left out on purpose. Counted as pairs are, in both directions.
    let found = (0..neighbours.len() as u32).flat_map(|first| {
        neighbours.of(first as usize).take(10).map(move |(second, _)| (first.min(second), first.max(second)))
    });
    let found: std::collections::BTreeSet<(u32, u32)> = found.filter(|&(a, b)| copies.are(a, b)).collect();
    let true_copies = 2 * found.iter().filter(|&&(first, second)| is_true(first, second)).count();
    println!("{} near-copies among neighbours, {true_copies} of them true", 2 * found.len());
    for (name, min_similarity, precision) in [
        ("precision 0.95", None, 0.95),
        ("precision 0.99", None, 0.99),
        ("1 in 1000", Some(suggest_window(&similarities).min_similarity), 0.95),
    ] {
        let config =
            PairConfig { neighbours: 10, min_similarity, precision, max_similarity: 2.0, held_out_share: 0.0, seed: 1 };
        let (pairs, stats) = match select_pairs(&vectors, &neighbours, None, &copies, &config) {
            Ok(found) => found,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        let right = pairs.train.iter().filter(|pair| is_true(pair.first, pair.second)).count();
        println!(
            "{name}: {:?}, similarity from {:.3}, {} pairs of {} of {} documents, {} near-copies; of the pairs {:.3} are true by estimate; known: \
             precision {:.4}, recall {:.4} of all true pairs, {:.4} of those that are no near-copies, and {:.4} with the near-copies as found",
            stats.precision.rule,
            stats.window.min_similarity,
            stats.train_pairs,
            stats.documents_with_pairs,
            stats.documents,
            stats.near_copies,
            stats.precision.estimate.unwrap_or(f64::NAN),
            right as f64 / pairs.train.len().max(1) as f64,
            right as f64 / all.max(1) as f64,
            right as f64 / (all - true_copies).max(1) as f64,
            (right + true_copies) as f64 / all.max(1) as f64,
        );
    }
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or(""));
    Ok(())
}
