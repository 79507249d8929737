//! Which planted mutant is on, and which were reached. Written by plant-mutants; not part of the crate.
// It is put into any crate, whose own rules for what is public, documented and used say nothing of it.
#![allow(missing_docs, unreachable_pub, dead_code)]

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static SWITCH: OnceLock<(u32, Option<std::path::PathBuf>)> = OnceLock::new();
static REACHED: [AtomicU64; 256] = [const { AtomicU64::new(0) }; 256];

/// Whether mutant `n` is on (COGNATE_MUTANT); notes in the folder COGNATE_MUTANT_REACHED that it was asked.
pub fn on(n: u32) -> bool {
    let (active, folder) = SWITCH.get_or_init(|| {
        let active = std::env::var("COGNATE_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
        (active, std::env::var_os("COGNATE_MUTANT_REACHED").map(Into::into))
    });
    if let Some(folder) = folder {
        let (word, bit) = (&REACHED[n as usize / 64], 1 << (n % 64));
        if word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            let path = folder.join(std::process::id().to_string());
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            file.and_then(|mut file| file.write_all(format!("{n}\n").as_bytes())).expect("the folder of reached mutants");
        }
    }
    *active == n
}

/// One of two iterators: what a function that returns `impl Iterator` returns with mutants in it.
pub enum Or<A, B> {
    A(A),
    B(B),
}

impl<A: Iterator, B: Iterator<Item = A::Item>> Iterator for Or<A, B> {
    type Item = A::Item;
    fn next(&mut self) -> Option<A::Item> {
        match self {
            Or::A(a) => a.next(),
            Or::B(b) => b.next(),
        }
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Or::A(a) => a.size_hint(),
            Or::B(b) => b.size_hint(),
        }
    }
}

impl<A: ExactSizeIterator, B: ExactSizeIterator<Item = A::Item>> ExactSizeIterator for Or<A, B> {}

impl<A: DoubleEndedIterator, B: DoubleEndedIterator<Item = A::Item>> DoubleEndedIterator for Or<A, B> {
    fn next_back(&mut self) -> Option<A::Item> {
        match self {
            Or::A(a) => a.next_back(),
            Or::B(b) => b.next_back(),
        }
    }
}

impl<A: Clone, B: Clone> Clone for Or<A, B> {
    fn clone(&self) -> Self {
        match self {
            Or::A(a) => Or::A(a.clone()),
            Or::B(b) => Or::B(b.clone()),
        }
    }
}
