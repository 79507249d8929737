//! `embed` and `pair` on plain files.

use std::path::Path;
use std::time::Instant;

use cognate_pair::{
    LsaConfig, Pair, Vectors, exact_neighbours, read_npy, read_vectors, write_npy, write_pairs, write_vectors,
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
    let since = Instant::now();
    let (neighbours, method) = match args.method {
        PairMethod::Exact | PairMethod::Auto => (exact_neighbours(&vectors, args.neighbours, terminal)?, "exact"),
    };
    let total_s = since.elapsed().as_secs_f64();
    let pairs: Vec<Pair> = (0..neighbours.len())
        .flat_map(|first| {
            let pair = move |(second, similarity)| Pair { first: first as u32, second, similarity };
            neighbours.of(first).map(pair)
        })
        .collect();
    write_pairs(&args.out, &vectors.ids, &pairs)?;
    print_json(&json!({
        "n": vectors.len(),
        "d": vectors.width,
        "k": args.neighbours,
        "total_s": total_s,
        "method": method,
        "pairs": pairs.len(),
    }))
}
