//! `embed` and `pair` on plain files.

use std::path::Path;
use std::time::Instant;

use cognate_pair::{
    Copies, LsaConfig, Pair, PairConfig, Vectors, exact_neighbours, neighbours_needed, read_npy, read_vectors,
    select_pairs, write_npy, write_pairs, write_vectors,
};
use serde_json::json;

use super::documents::read_options;
use super::shared::{Result, print_json};
use crate::args::{EmbedArgs, EmbedMethod, PairArgs, PairMethod};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// How vectors lie in a file, by its name's ending.
enum Kind {
    Parquet,
    Npy,
}

fn kind(flag: &str, path: &Path) -> Result<Kind> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => Ok(Kind::Parquet),
        Some("npy") => Ok(Kind::Npy),
        _ => Err(Failure::setting(flag, path.display(), "a name that ends in .parquet or .npy")),
    }
}

pub(crate) fn embed(args: &EmbedArgs, terminal: &Terminal) -> Result {
    let kind = kind("--out", &args.out)?;
    let texts = cognate_run::read_texts(&args.documents, &read_options(&args.read), terminal)?;
    let (vectors, stats) = match args.method {
        EmbedMethod::Lsa => {
            let config = LsaConfig {
                dimensions: args.dimensions,
                seed: args.seed,
                min_documents: args.min_documents,
                max_document_share: args.max_document_share,
                max_terms: args.max_terms,
            };
            cognate_pair::lsa(&texts, &config, terminal)?
        }
    };
    match kind {
        Kind::Parquet => write_vectors(&args.out, &vectors)?,
        Kind::Npy => write_npy(&args.out, &vectors)?,
    }
    // What its dimensions keep is told by one number; the values themselves are of no use without their directions.
    let mut told = serde_json::to_value(&stats).map_err(std::io::Error::from)?;
    told.as_object_mut().and_then(|stats| stats.remove("singular_values"));
    print_json(&told)
}

pub(crate) fn pair(args: &PairArgs, terminal: &Terminal) -> Result {
    let vectors: Vectors = match kind("--embeddings", &args.embeddings)? {
        Kind::Parquet => read_vectors(&args.embeddings, terminal)?,
        Kind::Npy => read_npy(&args.embeddings, terminal)?,
    };
    let is_chosen = args.related || args.diagnose;
    if args.documents.is_some() && !is_chosen {
        let expected = "--related or --diagnose beside it: near-copies are left out of these alone";
        return Err(Failure::setting("--documents", "it", expected));
    }
    let since = Instant::now();
    let k = if is_chosen { neighbours_needed(args.neighbours, vectors.len()) } else { args.neighbours };
    let (neighbours, method) = match args.method {
        PairMethod::Exact | PairMethod::Auto => (exact_neighbours(&vectors, k, terminal)?, "exact"),
    };
    let mut told = json!({"n": vectors.len(), "d": vectors.width, "k": args.neighbours, "method": method});
    let pairs: Vec<Pair> = if is_chosen {
        let copies = copies(args, &vectors, terminal)?;
        let config = PairConfig {
            neighbours: args.neighbours,
            min_similarity: None,
            precision: args.precision,
            // Near-copies are known by their words, or not at all.
            max_similarity: 2.0,
            held_out_share: 0.0,
            seed: args.seed,
        };
        let (pairs, stats) = select_pairs(&vectors, &neighbours, None, &copies, &config)?;
        cognate_run::tell_relation("pair", &stats);
        let mut relation = json!(stats.precision.rule);
        relation["precision"] = json!(stats.precision.estimate);
        relation["min_similarity"] = json!(stats.window.min_similarity);
        relation["documents_with_pairs"] = json!(stats.documents_with_pairs);
        relation["near_copies"] = json!(stats.near_copies);
        told["relation"] = relation;
        pairs.train
    } else {
        let of = |first: usize| {
            let pair = move |(second, similarity)| Pair { first: first as u32, second, similarity };
            neighbours.of(first).map(pair)
        };
        (0..neighbours.len()).flat_map(of).collect()
    };
    told["total_s"] = json!(since.elapsed().as_secs_f64());
    told["pairs"] = json!(pairs.len());
    if let Some(out) = &args.out {
        write_pairs(out, &vectors.ids, &pairs)?;
    }
    print_json(&told)
}

/// The near-copies among the documents of the vectors.
fn copies(args: &PairArgs, vectors: &Vectors, terminal: &Terminal) -> Result<Copies> {
    let Some(path) = &args.documents else { return Ok(Copies::none()) };
    if let Kind::Npy = kind("--embeddings", &args.embeddings)? {
        let expected = "a .parquet file beside --documents: .npy has no identifiers to compare with theirs";
        return Err(Failure::setting("--embeddings", args.embeddings.display(), expected));
    }
    let texts = cognate_run::read_texts(path, &read_options(&args.read), terminal)?;
    let (ids, texts): (Vec<String>, Vec<String>) = texts.into_iter().unzip();
    if ids != vectors.ids {
        let expected = "the documents that the vectors of --embeddings are of, in their order";
        return Err(Failure::setting("--documents", path.display(), expected));
    }
    Ok(Copies::of(&texts, args.near_copy, terminal)?)
}
