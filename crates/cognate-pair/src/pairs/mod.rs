//! Which documents are pairs, and which pairs are held out.
//!
//! `precision.rs` finds the least similarity of a pair, by `similarities.rs` and `strangers.rs`; `copies.rs` knows near-copies;
//! `unseen.rs` finds the pairs that measure, `hold_out.rs` divides the documents where there are too few, `part.rs` keeps what chooses from
//! what is measured, `stats.rs` counts, `file.rs` is the format on disk.

pub(crate) mod copies;
pub(crate) mod file;
pub(crate) mod hold_out;
pub(crate) mod pair;
pub(crate) mod part;
pub(crate) mod precision;
pub(crate) mod shuffle;
pub(crate) mod similarities;
pub(crate) mod stats;
mod strangers;
pub(crate) mod unseen;

use serde::{Deserialize, Serialize};

use crate::neighbours::Neighbours;
use crate::{Error, Result, Vectors};
use copies::Copies;
use hold_out::hold_out;
pub use pair::Pair;
use precision::{Bound, Precision, Rule};
use similarities::{Window, measure_similarities, suggest_window};
use stats::{Degrees, PairStats, UnseenStats};
use strangers::Strangers;

/// The choices of [`select_pairs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairConfig {
    /// Neighbours of each document that are looked at; at most those that were searched for.
    pub neighbours: usize,
    /// Neighbours less similar than this are unrelated. The paper's 0.75 belongs to its embedder; none finds where [`precision`](Self::precision)
    /// holds.
    pub min_similarity: Option<f32>,
    /// Share of true pairs that is wanted where no least similarity is given.
    pub precision: f64,
    /// Neighbours at least this similar count as near-copies, whatever their texts; above 1, nothing does.
    pub max_similarity: f32,
    /// Share of the related documents that is held out where too few unseen ones are related to any, in [0, 1). 0.05 is usual.
    pub held_out_share: f64,
    /// Seed of the choice of held-out documents, and of the random pairs that are measured.
    pub seed: u64,
}

impl PairConfig {
    fn check(&self, k: usize) -> Result<()> {
        let bad = |field, found: String, expected| Err(Error::Config { field, found, expected });
        if self.neighbours == 0 || self.neighbours > k {
            let expected = "at least 1 and at most the neighbours that were searched for";
            return bad("neighbours", format!("{} (searched for: {k})", self.neighbours), expected);
        }
        if let Some(least) = self.min_similarity.filter(|least| !(-1.0..=1.0).contains(least)) {
            return bad("min_similarity", least.to_string(), "a cosine, from -1 to 1");
        }
        if !(self.precision > 0.0 && self.precision < 1.0) {
            return bad("precision", self.precision.to_string(), "a share above 0 and below 1");
        }
        if !(self.max_similarity > self.min_similarity.unwrap_or(-1.0) && self.max_similarity.is_finite()) {
            let expected = "a number above min_similarity (above 1 to keep near-copies)";
            return bad("max_similarity", self.max_similarity.to_string(), expected);
        }
        if !(0.0..1.0).contains(&self.held_out_share) {
            return bad("held_out_share", self.held_out_share.to_string(), "at least 0 and below 1");
        }
        Ok(())
    }
}

/// The pairs of a corpus, in the order of (first, second).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// To learn from, in both directions.
    pub train: Vec<Pair>,
    /// To measure by. Seeds with unseen targets, whose numbers go on behind those of the corpus; or, where these are too few, pairs of
    /// documents of the corpus in both directions: no document of these, and no near-copy of one, is in a training pair.
    pub held_out: Vec<Pair>,
}

/// Neighbours to search for, in a corpus of `documents`, so that `config` can be decided: its own, and as many as tell how similar
/// strangers are.
pub fn neighbours_needed(neighbours: usize, documents: usize) -> usize {
    neighbours.max(Strangers::ranks(documents)).min(documents.saturating_sub(1)).max(neighbours)
}

/// Makes pairs of neighbours: two documents are related when one is among the first `config.neighbours` of the other, they are similar
/// enough (given, or found so that the share `config.precision` of the pairs is true, see [`Precision`]), and no near-copies.
///
/// `unseen` are the neighbours, among the documents, of others that no model is trained on
/// ([`neighbours_among`](crate::neighbours_among)). Pairs with these measure a synthesizer. Where they are too few, `config.held_out_share` of
/// the documents is held out for that. `copies` numbers the unseen documents behind the others.
///
/// # Errors
/// When a setting is impossible, the neighbours are not those of the vectors, nothing is similar enough (the error
/// suggests another setting), or there are too few pairs to hold some out.
pub fn select_pairs(
    vectors: &Vectors,
    neighbours: &Neighbours,
    unseen: Option<&Neighbours>,
    copies: &Copies,
    config: &PairConfig,
) -> Result<(Pairs, PairStats)> {
    config.check(neighbours.k)?;
    let similarities = measure_similarities(vectors, neighbours, config.neighbours, config.seed)?;
    let links = links(neighbours, config.neighbours);
    let strangers = Strangers::of(neighbours);
    let suggested = suggest_window(&similarities);
    // Near-copies are no pairs, so they have no say in what pairs are.
    let is_copy = |link: &Pair| link.similarity >= config.max_similarity || copies.are(link.first, link.second);
    let (near_copies, others): (Vec<Pair>, Vec<Pair>) = links.iter().partition(|link| is_copy(link));
    let (k, documents) = (config.neighbours, neighbours.len());
    let possible = precision::similarities(neighbours, k, is_copy);
    let share_of = |least| precision::share_of(&possible, k, least, &strangers);
    let (bound, rule, estimate) = match config.min_similarity {
        Some(least) => (Bound::similarity(least), Rule::Given, share_of(least)),
        None => match precision::choose(documents, &possible, &others, &strangers, config.precision) {
            Some((bound, rule, estimate)) => (bound, rule, Some(estimate)),
            None => (Bound::similarity(suggested.min_similarity), Rule::OneHill, share_of(suggested.min_similarity)),
        },
    };
    let is_related =
        |link: &Pair| bound.lets(link.similarity, || strangers.expected(link.first, link.second, link.similarity));
    let related: Vec<Pair> = others.into_iter().filter(is_related).collect();
    let least = match bound.strangers {
        None => bound.least,
        Some(_) => related.iter().map(|link| link.similarity).fold(1.0, f32::min),
    };
    let window = Window { min_similarity: least, max_similarity: config.max_similarity };
    if related.is_empty() {
        return Err(Error::NoPairs {
            window,
            suggested,
            neighbours: Box::new(similarities.neighbour_quantiles),
            random: Box::new(similarities.random_quantiles),
        });
    }
    let (with_unseen, unseen_copies) = unseen.map_or((Vec::new(), 0), |unseen| {
        unseen::related(neighbours, unseen, config.neighbours, (bound, &strangers), is_copy)
    });
    let is_unseen = unseen::suffice(&with_unseen);
    let share = if is_unseen { 0.0 } else { config.held_out_share };
    let unseen = UnseenStats {
        documents: unseen.map_or(0, Neighbours::len),
        with_pairs: unseen::targets(&with_unseen),
        near_copies: unseen_copies,
        measure: is_unseen,
    };
    let held = hold_out(neighbours.len(), &related, &near_copies, share, config.seed);
    let mut pairs = Pairs { train: Vec::new(), held_out: if is_unseen { with_unseen } else { Vec::new() } };
    for link in &related {
        let turned = Pair { first: link.second, second: link.first, similarity: link.similarity };
        match (held[link.first as usize], held[link.second as usize]) {
            (true, true) => pairs.held_out.extend([*link, turned]),
            (false, false) => pairs.train.extend([*link, turned]),
            _ => {}
        }
    }
    pairs.train.sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs.held_out.sort_unstable_by_key(|pair| (pair.first, pair.second));
    let documents_with_pairs = stats::documents(&related, neighbours.len());
    if pairs.train.is_empty() || (share > 0.0 && pairs.held_out.is_empty()) {
        return Err(Error::TooFewPairs {
            related: documents_with_pairs,
            share,
            train: pairs.train.len(),
            held_out: pairs.held_out.len(),
        });
    }
    let stats = PairStats {
        documents: neighbours.len(),
        documents_with_pairs,
        held_out_documents: stats::documents(&pairs.held_out, neighbours.len() + unseen.documents),
        train_documents: stats::documents(&pairs.train, neighbours.len()),
        train_pairs: pairs.train.len(),
        held_out_pairs: pairs.held_out.len(),
        near_copies: 2 * near_copies.len(),
        below_window: 2 * (links.len() - related.len() - near_copies.len()),
        straddling: 2 * related.len() - pairs.train.len() - if is_unseen { 0 } else { pairs.held_out.len() },
        unseen,
        targets_per_seed: Degrees::of(&pairs.train, neighbours.len()),
        window,
        precision: Precision {
            rule,
            wanted: config.precision,
            estimate,
            from_bin: precision::from_bins(&possible, k, &strangers),
        },
        similarities,
    };
    Ok((pairs, stats))
}

/// Parts pairs that are given, each in its order. Documents from number `documents` on are unseen: pairs of a document and an unseen target measure,
/// where there are enough of them; where not, pairs of which both documents are held out. Pairs with an unseen seed are passed over.
///
/// # Errors
/// When there are too few pairs to hold some out.
pub fn part_given(
    documents: usize,
    given: &[Pair],
    near_copies: &[Pair],
    share: f64,
    seed: u64,
) -> Result<(Pairs, UnseenStats)> {
    let is_seen = |document: u32| (document as usize) < documents;
    let (given, others): (Vec<Pair>, Vec<Pair>) =
        given.iter().partition(|pair| is_seen(pair.first) && is_seen(pair.second));
    let with_unseen = unseen::most_similar(others.into_iter().filter(|pair| is_seen(pair.first)).collect());
    part(documents, &given, near_copies, with_unseen, share, seed)
}

/// Parts pairs whose texts were made of documents. Those of unseen documents, from number `documents` on on both sides, measure, where there are
/// enough of them; where not, pairs of this share of the texts.
///
/// # Errors
/// As [`part_given`].
pub fn part_derived(documents: usize, made: &[Pair], share: f64, seed: u64) -> Result<(Pairs, UnseenStats)> {
    let is_seen = |pair: &&Pair| (pair.first as usize) < documents;
    let (made, unseen): (Vec<Pair>, Vec<Pair>) = made.iter().partition(is_seen);
    part(documents, &made, &[], unseen, share, seed)
}

fn part(
    documents: usize,
    given: &[Pair],
    near_copies: &[Pair],
    with_unseen: Vec<Pair>,
    share: f64,
    seed: u64,
) -> Result<(Pairs, UnseenStats)> {
    let measure = unseen::suffice(&with_unseen);
    let share = if measure { 0.0 } else { share };
    let targets = unseen::targets(&with_unseen);
    let unseen = UnseenStats { documents: targets, with_pairs: targets, near_copies: 0, measure };
    let mut once: Vec<Pair> = given
        .iter()
        .map(|pair| Pair { first: pair.first.min(pair.second), second: pair.first.max(pair.second), ..*pair })
        .collect();
    once.sort_unstable_by_key(|pair| (pair.first, pair.second));
    once.dedup_by_key(|pair| (pair.first, pair.second));
    let mut pairs = Pairs::default();
    if !once.is_empty() {
        let held = hold_out(documents, &once, near_copies, share, seed);
        for pair in given.iter().copied() {
            match (held[pair.first as usize], held[pair.second as usize]) {
                (true, true) => pairs.held_out.push(pair),
                (false, false) => pairs.train.push(pair),
                _ => {}
            }
        }
    }
    if pairs.train.is_empty() || (share > 0.0 && pairs.held_out.is_empty()) {
        return Err(Error::TooFewPairs {
            related: stats::documents(&once, documents),
            share,
            train: pairs.train.len(),
            held_out: pairs.held_out.len(),
        });
    }
    if measure {
        pairs.held_out = with_unseen;
    }
    Ok((pairs, unseen))
}

/// Each two documents of which one is among the first `k` neighbours of the other, once, the lower number first.
fn links(neighbours: &Neighbours, k: usize) -> Vec<Pair> {
    let mut links: Vec<Pair> = (0..neighbours.len())
        .flat_map(|document| {
            neighbours.of(document).take(k).map(move |(other, similarity)| {
                let document = document as u32;
                Pair { first: document.min(other), second: document.max(other), similarity }
            })
        })
        .collect();
    // Where the two directions were scored apart and differ by rounding, the larger score stays.
    links.sort_unstable_by(|a, b| {
        (a.first, a.second).cmp(&(b.first, b.second)).then(b.similarity.total_cmp(&a.similarity))
    });
    links.dedup_by_key(|link| (link.first, link.second));
    links
}
