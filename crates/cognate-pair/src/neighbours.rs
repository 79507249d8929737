//! The most similar documents of each document, found exactly.
//!
//! similarity(i, j) = Σ_c x_ic · x_jc over unit rows x (n, d). Every pair of rows is scored once: a task holds a block
//! of query rows, multiplies it with the blocks of rows from its own on, and offers each score to both of its rows. So
//! the work is n²·d operations, half of the plain 2·n²·d; looking at the scores costs n²/2 · 2 comparisons, sixteen at
//! a time, and only scores that pass the worst neighbour of one of the two rows are looked at singly. Memory: one tile
//! of scores per thread (1 MiB, inside a level-2 cache), and n·k neighbours.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use cognate_base::Monitor;
use cognate_ops::matmul_nt;
use rayon::prelude::*;

use crate::progress::Progress;
use crate::{Error, Result, Vectors};

/// Query rows of a tile, and rows behind one lock.
const ROWS: usize = 256;
/// Key rows of a tile, a multiple of [`ROWS`].
const KEYS: usize = 4 * ROWS;
/// Scores compared at a time.
const LANES: usize = 16;

/// Neighbours of all documents, 32 GiB of them: more is no use to anything here, and would be taken as memory at once.
const NEIGHBOURS_MAX: usize = 1 << 32;

/// The nearest neighbours of n documents: n rows of k, best first; equally similar ones in the order of their numbers.
/// A document is not its own neighbour.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Neighbours per document.
    pub k: usize,
    /// The neighbours' numbers. A row may end in [`Neighbours::NONE`]: a document with a zero vector has no neighbours
    /// and is no one's neighbour.
    pub ids: Vec<u32>,
    /// The similarities, in [-1, 1]; negative infinity where there is no neighbour.
    pub similarity: Vec<f32>,
}

impl Neighbours {
    /// In the place of a neighbour: there is none.
    pub const NONE: u32 = u32::MAX;

    /// Documents.
    pub fn len(&self) -> usize {
        self.ids.len() / self.k.max(1)
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The same, with all similarities of a document multiplied by its number in `factors`, which are above 0.
    ///
    /// # Panics
    /// When there are not as many factors as documents.
    #[must_use]
    pub fn scaled(mut self, factors: &[f32]) -> Self {
        assert_eq!(factors.len(), self.len(), "a factor for each document");
        for (row, factor) in self.similarity.chunks_mut(self.k.max(1)).zip(factors) {
            row.iter_mut().filter(|similarity| similarity.is_finite()).for_each(|similarity| *similarity *= factor);
        }
        self
    }

    /// The (number, similarity) of a document's neighbours, best first.
    ///
    /// # Panics
    /// When there is no such document.
    pub fn of(&self, document: usize) -> impl Iterator<Item = (u32, f32)> {
        let range = document * self.k..(document + 1) * self.k;
        let both = self.ids[range.clone()].iter().copied().zip(self.similarity[range].iter().copied());
        both.take_while(|&(id, _)| id != Self::NONE)
    }
}

/// The `k` nearest neighbours of every row, by the scores of f32 products. The result does not depend on threads.
///
/// # Errors
/// When the vectors break a promise of their type, k is zero or there are no k other rows, or the user asked to stop.
pub fn exact_neighbours(vectors: &Vectors, k: usize, monitor: &dyn Monitor) -> Result<Neighbours> {
    neighbours_apart(vectors, k, None, monitor)
}

/// The same, but rows of one group, by the numbers in `groups` (one for each row), are no neighbours: the `k` nearest of other groups are found.
/// A row ends early where other groups have fewer.
///
/// # Errors
/// As [`exact_neighbours`]; and when all rows are of one group.
///
/// # Panics
/// When there are not as many numbers as rows.
pub fn exact_neighbours_apart(
    vectors: &Vectors,
    k: usize,
    groups: &[u32],
    monitor: &dyn Monitor,
) -> Result<Neighbours> {
    assert_eq!(groups.len(), vectors.len(), "a group for each row");
    if let [first, others @ ..] = groups
        && others.iter().all(|other| other == first)
    {
        return Err(Error::OneGroup { documents: groups.len() });
    }
    neighbours_apart(vectors, k, Some(groups), monitor)
}

fn neighbours_apart(vectors: &Vectors, k: usize, groups: Option<&[u32]>, monitor: &dyn Monitor) -> Result<Neighbours> {
    vectors.check()?;
    let n = vectors.len();
    if k == 0 {
        return Err(Error::Config { field: "neighbours", found: "0".to_string(), expected: "at least 1" });
    }
    if n <= k {
        return Err(Error::TooFewRows { rows: n, k });
    }
    if n.checked_mul(k).is_none_or(|all| all > NEIGHBOURS_MAX) {
        return Err(Error::TooManyNeighbours { rows: n, k, most: NEIGHBOURS_MAX / n });
    }
    // Zero rows are left out of the search; `present` are the others' numbers.
    let present: Vec<u32> = (0..n as u32).filter(|&row| !vectors.is_zero(row as usize)).collect();
    let rows: Cow<'_, [f32]> = if present.len() == n {
        Cow::Borrowed(&vectors.data)
    } else {
        Cow::Owned(present.iter().flat_map(|&row| vectors.row(row as usize)).copied().collect())
    };
    let groups: Option<Vec<u32>> = groups.map(|groups| present.iter().map(|&row| groups[row as usize]).collect());
    let found = search(&rows, vectors.width, k, groups.as_deref(), monitor)?;
    let mut all = Neighbours { k, ids: vec![Neighbours::NONE; n * k], similarity: vec![f32::NEG_INFINITY; n * k] };
    let best = found.iter().flat_map(|block| block.lists.chunks_exact(k));
    for (&row, list) in present.iter().zip(best) {
        for (place, &(similarity, id)) in list.iter().enumerate().filter(|(_, entry)| entry.1 != Neighbours::NONE) {
            all.ids[row as usize * k + place] = present[id as usize];
            all.similarity[row as usize * k + place] = similarity;
        }
    }
    Ok(all)
}

/// The `k` nearest of `vectors` for every row of `others`, which are other documents in the same space: row i of the result are the
/// neighbours of the i-th of these, by their numbers in `vectors`. Every score is computed once, by f32 products; the result does
/// not depend on threads.
///
/// # Errors
/// When vectors break a promise of their type, the widths differ, k is zero or there are no k rows, or the user asked to stop.
pub fn neighbours_among(vectors: &Vectors, others: &Vectors, k: usize, monitor: &dyn Monitor) -> Result<Neighbours> {
    vectors.check()?;
    others.check()?;
    if others.width != vectors.width {
        return Err(Error::Widths { expected: vectors.width, found: others.width });
    }
    if k == 0 {
        return Err(Error::Config { field: "neighbours", found: "0".to_string(), expected: "at least 1" });
    }
    let (n, width) = (vectors.len(), vectors.width);
    if n < k {
        return Err(Error::TooFewRows { rows: n, k });
    }
    if others.len().checked_mul(k).is_none_or(|all| all > NEIGHBOURS_MAX) {
        return Err(Error::TooManyNeighbours { rows: others.len(), k, most: NEIGHBOURS_MAX / others.len() });
    }
    let zero: Vec<bool> = (0..n).map(|row| vectors.is_zero(row)).collect();
    let progress = Progress::begin(monitor, "neighbours of unseen documents", others.len());
    let blocks: Vec<Best> = others
        .data
        .par_chunks(ROWS * width)
        .enumerate()
        .map_init(
            || vec![0.0; ROWS * KEYS],
            |scores, (block, queries)| {
                let m = queries.len() / width;
                let mut best = Best::new(m, k);
                for (tile, keys) in vectors.data.chunks(KEYS * width).enumerate() {
                    progress.check()?;
                    let n = keys.len() / width;
                    matmul_nt(&mut scores[..m * n], queries, keys, m, n, width);
                    for (i, scores) in scores[..m * n].chunks_exact(n).enumerate() {
                        if others.is_zero(block * ROWS + i) {
                            continue;
                        }
                        for (j, &score) in scores.iter().enumerate() {
                            let id = tile * KEYS + j;
                            if score >= best.floors[i] && !zero[id] {
                                best.offer(i, score.clamp(-1.0, 1.0), id as u32);
                            }
                        }
                    }
                }
                progress.advance(m)?;
                Ok::<_, Error>(best)
            },
        )
        .collect::<Result<_>>()?;
    let lists = || blocks.iter().flat_map(|best| best.lists.iter());
    Ok(Neighbours {
        k,
        ids: lists().map(|&(_, id)| id).collect(),
        similarity: lists().map(|&(similarity, _)| similarity).collect(),
    })
}

/// Bytes that [`exact_neighbours`] and the choice of pairs among what it finds hold at most, the vectors included: `k` neighbours of
/// each document, as they are found, as they are handed on, and as pairs in both directions.
pub fn neighbours_bytes(documents: f64, width: f64, k: f64) -> f64 {
    let vectors = documents * width * size_of::<f32>() as f64;
    let entry = 2 * size_of::<(f32, u32)>() + 2 * size_of::<crate::Pair>();
    vectors + documents * k * entry as f64
}

/// The best neighbours so far of a block of rows.
struct Best {
    k: usize,
    /// k entries per row, best first.
    lists: Vec<(f32, u32)>,
    /// Per row, the similarity of its last entry: a lower one need not be offered.
    floors: Vec<f32>,
}

impl Best {
    fn new(rows: usize, k: usize) -> Self {
        let nothing = (f32::NEG_INFINITY, Neighbours::NONE);
        Self { k, lists: vec![nothing; rows * k], floors: vec![nothing.0; rows] }
    }

    /// Puts a neighbour in its place, if it has one. Neighbours are in a total order, so the order of offers does not
    /// matter.
    fn offer(&mut self, row: usize, similarity: f32, id: u32) {
        let list = &mut self.lists[row * self.k..(row + 1) * self.k];
        let place = list.partition_point(|&(s, i)| s > similarity || (s == similarity && i < id));
        if place < self.k {
            list[place..].rotate_right(1);
            list[place] = (similarity, id);
            self.floors[row] = list[self.k - 1].0;
        }
    }
}

/// A score that passed a floor: (query row, key row, similarity), rows counted inside the tile.
type Candidate = (usize, usize, f32);

fn search(rows: &[f32], width: usize, k: usize, groups: Option<&[u32]>, monitor: &dyn Monitor) -> Result<Vec<Best>> {
    let n = rows.len() / width;
    let search = Search {
        rows,
        width,
        groups,
        best: rows.chunks(ROWS * width).map(|block| Mutex::new(Best::new(block.len() / width, k))).collect(),
    };
    let blocks = search.best.len();
    // The blocks on the diagonal come first: they give every row neighbours and a floor, so that few scores pass later.
    let progress = Progress::begin(monitor, "neighbours", n);
    (0..blocks).into_par_iter().with_max_len(1).try_for_each_init(Tile::new, |tile, block| {
        progress.check()?;
        search.tile(tile, block, block);
        Ok::<_, Error>(())
    })?;
    // The first blocks have the most others behind them: progress counts tiles, as documents.
    let all = blocks * blocks.saturating_sub(1) / 2;
    (0..blocks).into_par_iter().with_max_len(1).try_for_each_init(Tile::new, |tile, block| {
        let others = blocks - block - 1;
        for keys in (block + 1..blocks).step_by(KEYS / ROWS) {
            progress.check()?;
            search.tile(tile, block, keys);
        }
        progress.advance((n * others).checked_div(all).unwrap_or(0))
    })?;
    drop(progress);
    Ok(search.best.into_iter().map(|best| best.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

/// What a thread needs for one tile.
struct Tile {
    scores: Vec<f32>,
    key_floors: Vec<f32>,
    candidates: Vec<Candidate>,
}

impl Tile {
    fn new() -> Self {
        Self { scores: vec![0.0; ROWS * KEYS], key_floors: Vec::with_capacity(KEYS), candidates: Vec::new() }
    }
}

struct Search<'a> {
    rows: &'a [f32],
    width: usize,
    /// Each row's group, where rows of one are no neighbours.
    groups: Option<&'a [u32]>,
    best: Vec<Mutex<Best>>,
}

impl Search<'_> {
    fn best(&self, block: usize) -> std::sync::MutexGuard<'_, Best> {
        self.best[block].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scores block `block` against the blocks of a tile from `keys` on (for `keys == block`, against itself), and
    /// offers what passes. Locks are held for copying floors and for offers, not while scoring; a floor that has risen
    /// since only means a candidate too many.
    fn tile(&self, tile: &mut Tile, block: usize, keys: usize) {
        let itself = block == keys;
        let key_blocks = if itself { keys..keys + 1 } else { keys..(keys + KEYS / ROWS).min(self.best.len()) };
        let queries = &self.rows[block * ROWS * self.width..];
        let queries = &queries[..queries.len().min(ROWS * self.width)];
        let key_rows = &self.rows[keys * ROWS * self.width..];
        let key_rows = &key_rows[..key_rows.len().min(key_blocks.len() * ROWS * self.width)];
        let (m, n) = (queries.len() / self.width, key_rows.len() / self.width);
        let scores = &mut tile.scores[..m * n];
        matmul_nt(scores, queries, key_rows, m, n, self.width);
        let floors = self.best(block).floors.clone();
        tile.key_floors.clear();
        key_blocks.clone().for_each(|keys| tile.key_floors.extend_from_slice(&self.best(keys).floors));
        tile.candidates.clear();
        for (i, (scores, &floor)) in scores.chunks_exact(n).zip(&floors).enumerate() {
            let start = if itself { i + 1 } else { 0 };
            passing(&scores[start..], &tile.key_floors[start..], floor, |j, score| {
                tile.candidates.push((i, start + j, score.clamp(-1.0, 1.0)));
            });
        }
        if let Some(groups) = self.groups {
            tile.candidates.retain(|&(i, j, _)| groups[block * ROWS + i] != groups[keys * ROWS + j]);
        }
        let mut best = self.best(block);
        for &(i, j, score) in &tile.candidates {
            best.offer(i, score, (keys * ROWS + j) as u32);
        }
        drop(best);
        for key_block in key_blocks {
            let start = (key_block - keys) * ROWS;
            let mut best = self.best(key_block);
            for &(i, j, score) in tile.candidates.iter().filter(|(_, j, _)| (start..start + ROWS).contains(j)) {
                best.offer(j - start, score, (block * ROWS + i) as u32);
            }
        }
    }
}

/// Calls `found` for every score that reaches its query's floor or its key's.
fn passing(scores: &[f32], key_floors: &[f32], floor: f32, mut found: impl FnMut(usize, f32)) {
    let (blocks, rest) = scores.as_chunks::<LANES>();
    let (floor_blocks, floor_rest) = key_floors.as_chunks::<LANES>();
    for (at, (scores, floors)) in blocks.iter().zip(floor_blocks).enumerate() {
        let passes =
            scores.iter().zip(floors).fold(false, |any, (&score, &key)| any | (score >= floor) | (score >= key));
        if passes {
            for (lane, (&score, &key)) in scores.iter().zip(floors).enumerate() {
                if score >= floor || score >= key {
                    found(at * LANES + lane, score);
                }
            }
        }
    }
    for (lane, (&score, &key)) in rest.iter().zip(floor_rest).enumerate() {
        if score >= floor || score >= key {
            found(blocks.len() * LANES + lane, score);
        }
    }
}
