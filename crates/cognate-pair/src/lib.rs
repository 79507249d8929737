//! How the documents of a corpus are related: vectors, neighbours, and the pairs a synthesizer learns from.
//!
//! - [`lsa`] embeds documents by latent semantic analysis, without any outside model.
//! - [`exact_neighbours`] finds the most similar documents of each document.
//! - [`select_pairs`] turns neighbours into training and held-out pairs, and [`Similarities`] says whether the embedder
//!   tells related documents from unrelated ones.
//! - [`entity_pairs`] joins documents that name the same.
//! - [`derived`] makes pairs whose texts are no documents, but made of them.
//! - [`chains`] lines documents up so that each follows one that it is paired with.
//! - [`Vectors`] and pairs go to disk in formats that other tools read, so that each part can be swapped for another
//!   tool's.
//!
//! Work runs on the calling thread's rayon pool. No result depends on the number of threads: work is cut by sizes
//! alone, partial sums are added in a fixed order, and neighbours are a total order over scores that are computed once
//! each.

mod chains;
pub mod derived;
mod entities;
mod error;
mod lsa;
mod neighbours;
mod pairs;
mod progress;
mod table;
mod vectors;

pub use chains::chains;
pub use entities::{EntityConfig, EntityStats, entity_pairs};
pub use error::{Error, Result};
pub use lsa::{Lsa, LsaConfig, LsaStats, lsa, lsa_bytes};
pub use neighbours::{Neighbours, exact_neighbours, exact_neighbours_apart, neighbours_among, neighbours_bytes};
pub use pairs::copies::Copies;
pub use pairs::file::{read_pairs, read_pairs_among, read_shuffled_pairs, write_pairs};
pub use pairs::part::part_held_out;
pub use pairs::precision::{Precision, Rule};
pub use pairs::shuffle::{part_share, shuffle_apart, shuffle_targets};
pub use pairs::similarities::{Histogram, Quantiles, Similarities, Window, measure_similarities, suggest_window};
pub use pairs::stats::{Degrees, PairStats, UnseenStats};
pub use pairs::unseen::{LEAST_MEASURING, measuring};
pub use pairs::{Pair, PairConfig, Pairs, neighbours_needed, part_derived, part_given, select_pairs};
pub use vectors::npy::{read_npy, write_npy};
pub use vectors::parquet::{read_vectors, write_vectors};
pub use vectors::{UNIT_TOLERANCE, Vectors};
