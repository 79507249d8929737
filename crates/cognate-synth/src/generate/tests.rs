//! Generation with a toy language model.

mod drawing;
mod folders;
mod fuzz;
mod seeds;
mod toy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader, TokenFile};
use cognate_ops::{Cpu, Precision};
use tempfile::TempDir;

use self::toy::Toy;
use super::schedule::{Finish, Finished, Progress};
use super::seeds::SeedPrompts;
use super::seeds::seed_of;
use super::*;
use crate::metadata;
use crate::sampling::Sampling;
use cognate_corpus::CutCounts;
use serde_json::{Map, Value, json};

/// Interrupts after some steps; the looks before and after them do not count.
struct Stopper {
    left: AtomicU64,
    steps: AtomicBool,
}

impl Stopper {
    fn after(steps: u64) -> Self {
        Self { left: AtomicU64::new(steps), steps: AtomicBool::new(false) }
    }
}

impl Monitor for Stopper {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {
        self.steps.store(true, Ordering::SeqCst);
    }
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {
        self.steps.store(false, Ordering::SeqCst);
    }
    fn interrupted(&self) -> bool {
        let count = |left: u64| Some(left.saturating_sub(1));
        self.steps.load(Ordering::SeqCst)
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count).unwrap() == 0
    }
}

struct World {
    folder: TempDir,
    tokenizer: Tokenizer,
    seeds: Seeds,
}

const SEED_TEXTS: [&str; 5] =
    ["a short seed", "another seed about cats", "x", "the quick brown fox jumps over the lazy dog", "dogs"];

impl World {
    fn new() -> Self {
        Self::of(&SEED_TEXTS, 270)
    }

    fn of(texts: &[&str], vocab_size: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("unique.jsonl");
        let mut writer = DocumentWriter::create(&path).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let document =
                Document { id: format!("seed-{i}"), text: (*text).into(), group: None, metadata: Default::default() };
            writer.write(&document).unwrap();
        }
        writer.finish().unwrap();
        let tokenizer = Tokenizer::train(texts.iter().map(|text| (*text).to_owned()), vocab_size).unwrap();
        let prefix = folder.path().join("unique");
        cognate_corpus::tokenize(&path, &ReadOptions::default(), &tokenizer, &prefix, &Silent).unwrap();
        let seeds = Seeds::open(&path, &ReadOptions::default(), TokenFile::open(&prefix).unwrap(), &Silent).unwrap();
        Self { folder, tokenizer, seeds }
    }

    /// The prompts of [`draw_all`].
    fn prompts(&self) -> SeedPrompts<'_> {
        let config = GenerateConfig { seed: 3, ..config(1) };
        config.prompts(&self.seeds, &self.tokenizer, self.tokenizer.related().unwrap())
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, out: &Path, config: &GenerateConfig, monitor: &dyn Monitor) -> Result<GenerateStats> {
        generate_with(&mut Toy::new(config.slots, &self.tokenizer), &self.tokenizer, &self.seeds, out, config, monitor)
    }
}

fn config(slots: usize) -> GenerateConfig {
    GenerateConfig {
        seed: 11,
        first_document: 0,
        target: Target::Tokens(1500),
        shard: None,
        samples_per_seed: 1,
        sampling: Sampling::nucleus(0.8, 0.9),
        precision: Precision::F32,
        max_new_tokens: 30,
        max_seed_tokens: 12,
        slots,
        shard_documents: 16,
        synthesizer: "toy".into(),
    }
}

/// Every file of a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs_err::read(path).unwrap()))
        .collect()
}

fn documents(folder: &Path) -> Vec<Document> {
    let files = files::shards(folder).unwrap();
    Reader::open(&files, &ReadOptions::default(), &Silent).unwrap().map(|record| record.unwrap().1).collect()
}

#[test]
fn slots_and_threads_do_not_change_the_documents() {
    let world = World::new();
    let single = world.run(&world.out("1"), &config(1), &Silent).unwrap();
    assert!(single.ended > 10 && single.capped > 3, "both ends must occur: {single:?}");
    for slots in [3, 16, 200] {
        let out = world.out(&slots.to_string());
        assert_eq!(world.run(&out, &config(slots), &Silent).unwrap(), single, "{slots} slots");
        assert_eq!(contents(&out), contents(&world.out("1")), "{slots} slots");
    }
    let out = world.out("threads");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap();
    assert_eq!(pool.install(|| world.run(&out, &config(16), &Silent).unwrap()), single);
    assert_eq!(contents(&out), contents(&world.out("1")));
}

#[test]
fn the_shortest_run_of_documents_that_reaches_the_target() {
    let world = World::new();
    let stats = world.run(&world.out("a"), &config(7), &Silent).unwrap();
    let found = documents(&world.out("a"));
    let tokens: Vec<u64> = found.iter().map(|document| metadata::tokens(document).unwrap().unwrap()).collect();
    assert_eq!((stats.documents, stats.tokens), (found.len() as u64, tokens.iter().sum()));
    assert!(stats.tokens >= 1500 && stats.tokens - tokens.last().unwrap() < 1500);
    assert_eq!(
        found.iter().map(|d| d.id.clone()).collect::<Vec<_>>(),
        (0..found.len()).map(|j| format!("synthetic-{j}")).collect::<Vec<_>>()
    );
    // A larger target continues the same sequence.
    let larger = GenerateConfig { target: Target::Tokens(2500), ..config(4) };
    world.run(&world.out("b"), &larger, &Silent).unwrap();
    assert_eq!(documents(&world.out("b"))[..found.len()], found);
    // A second folder that begins where the first ended goes on with it, whatever happens in between.
    let rest = GenerateConfig { first_document: stats.documents, target: Target::Tokens(600), ..config(5) };
    let second = world.out("rest");
    assert!(matches!(world.run(&second, &rest, &Stopper::after(20)), Err(Error::Interrupted(_))));
    world.run(&second, &rest, &Silent).unwrap();
    let both: Vec<Document> = found.iter().cloned().chain(documents(&second)).collect();
    let longer = documents(&world.out("b"));
    let shared = both.len().min(longer.len());
    assert!(shared > found.len() + 5);
    assert_eq!(both[..shared], longer[..shared]);
    // A target of one token is one document.
    let tiny = GenerateConfig { target: Target::Tokens(1), ..config(16) };
    assert_eq!(world.run(&world.out("c"), &tiny, &Silent).unwrap().documents, 1);
}

#[test]
fn impossible_settings_are_refused_before_anything_is_written() {
    let world = World::new();
    let cases = [
        ("target_tokens", GenerateConfig { target: Target::Tokens(0), ..config(4) }),
        ("max_new_tokens", GenerateConfig { max_new_tokens: 0, ..config(4) }),
        ("max_seed_tokens", GenerateConfig { max_seed_tokens: 0, ..config(4) }),
        ("slots", GenerateConfig { slots: 0, ..config(4) }),
        ("shard_documents", GenerateConfig { shard_documents: 0, ..config(4) }),
        ("temperature", GenerateConfig { sampling: Sampling::nucleus(-1.0, 0.9), ..config(4) }),
        ("target_documents", GenerateConfig { target: Target::Documents(u64::MAX), ..config(4) }),
        ("first_document", GenerateConfig { first_document: u64::MAX, ..config(4) }),
        ("samples_per_seed", GenerateConfig { samples_per_seed: u64::MAX, ..config(4) }),
        ("samples_per_seed", GenerateConfig { samples_per_seed: 0, ..config(4) }),
        ("shard_documents", GenerateConfig { shard_documents: usize::MAX, ..config(4) }),
        (
            "shard",
            GenerateConfig { shard: Some(Part { index: 0, of: u64::MAX }), target: Target::Documents(9), ..config(4) },
        ),
    ];
    let mut model = tiny_model(&world);
    let mut generate = |config: &GenerateConfig| {
        let error = generate(&mut model, &world.tokenizer, &world.seeds, &world.out("a"), config, &Silent);
        error.unwrap_err().to_string()
    };
    for (field, config) in cases {
        let message = generate(&config);
        assert!(message.starts_with(&format!("{field} = ")), "{message}");
    }
    // No memory holds so many caches, and no context so long a document, however the sum is taken.
    for slots in [1_000_000_000_000, usize::MAX] {
        let message = generate(&config(slots));
        assert!(message.starts_with(&format!("slots = {slots}: expected at most ")), "{message}");
        let most = message.split(": each takes").next().unwrap().rsplit(' ').next().unwrap();
        // The value that is named is accepted: what is refused then is something else.
        let named = GenerateConfig { max_new_tokens: 0, ..config(most.parse().unwrap()) };
        assert!(generate(&named).starts_with("max_new_tokens"), "{message}");
        assert!(check_memory(tiny_model(&world).config(), &config(most.parse().unwrap())).is_ok(), "{message}");
    }
    let message = generate(&GenerateConfig { max_new_tokens: usize::MAX, ..config(4) });
    assert!(message.contains("context of 64 tokens cannot hold a seed of 12"), "{message}");
    assert!(!world.out("a").exists());
}

/// A decoder that knows the world's tokens.
fn tiny_model(world: &World) -> Decoder<Cpu> {
    let config = cognate_model::Config {
        vocab: world.tokenizer.vocab_size(),
        width: 16,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_width: 8,
        ffn: 16,
        max_positions: 64,
        rope_base: 10_000.0,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: false,
        tied: false,
    };
    Decoder::new(Cpu::new(1).unwrap(), config, 1).unwrap()
}
