//! The crate from outside: documents to vectors to neighbours to pairs, and their files.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for tests")]

mod files;
mod lsa;
mod neighbours;
mod pairs;

use std::sync::atomic::{AtomicUsize, Ordering};

use cognate_base::Monitor;
use cognate_base::random::{RngExt, stream};
use cognate_pair::{Neighbours, Vectors};

/// A user who has asked to stop.
struct Stopped;

impl Monitor for Stopped {
    fn begin(&self, _: &str, _: Option<u64>, _: cognate_base::Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

/// A user who asks to stop after so many questions.
struct After(AtomicUsize);

impl Monitor for After {
    fn begin(&self, _: &str, _: Option<u64>, _: cognate_base::Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

/// `n` unit vectors around `centres` random directions, closer to them the smaller `spread` is.
fn vectors(n: usize, width: usize, centres: usize, spread: f32, seed: u64) -> Vectors {
    let mut random = stream(seed, "test.vectors", 0);
    let mut number = move || random.random_range(-1.0_f32..1.0);
    let centres: Vec<Vec<f32>> = (0..centres).map(|_| (0..width).map(|_| number()).collect()).collect();
    let data = (0..n).flat_map(|i| centres[i % centres.len()].clone()).map(|x| x + spread * number()).collect();
    let mut vectors = Vectors { ids: (0..n).map(|i| format!("d{i}")).collect(), width, data };
    vectors.normalise().unwrap();
    vectors
}

/// Runs `work` on a pool of its own.
fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// The neighbours of a document as a list.
fn list(neighbours: &Neighbours, document: usize) -> Vec<(u32, f32)> {
    neighbours.of(document).collect()
}
