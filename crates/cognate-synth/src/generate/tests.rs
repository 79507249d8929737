//! Generation with a toy language model: every logit is a hash of all tokens in the slot, so that any mix-up shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, DocumentWriter, ReadOptions, Reader, TokenFile};
use cognate_ops::Precision;
use tempfile::TempDir;

use super::schedule::{Draw, Finish, Finished, Progress};
use super::seeds::seed_of;
use super::*;
use crate::filter::words::mix;
use crate::metadata;

/// Logits beyond the tokenizer's vocabulary.
const PADDING: usize = 5;

struct Toy {
    histories: Vec<Vec<u32>>,
    vocab: usize,
    related: u32,
    end: u32,
    calls: u64,
    /// A document whose prompt holds this token gets a NaN at this many new tokens.
    broken_at: Option<usize>,
}

impl Toy {
    fn new(slots: usize, tokenizer: &Tokenizer) -> Self {
        let (related, end) = (tokenizer.related().unwrap(), tokenizer.end_of_document());
        let vocab = tokenizer.vocab_size() + PADDING;
        Self { histories: vec![Vec::new(); slots], vocab, related, end, calls: 0, broken_at: None }
    }

    fn logits(&self, history: &[u32]) -> Vec<f32> {
        let state = history.iter().fold(1, |state, &token| mix(state ^ u64::from(token)).wrapping_add(1));
        let noise = |token: usize| (mix(state ^ ((token as u64) << 20)) >> 40) as f32 / (1 << 24) as f32;
        let mut logits: Vec<f32> = (0..self.vocab).map(|token| 6.0 * noise(token)).collect();
        logits[self.end as usize] = 7.0;
        // Neither may ever be drawn, however probable.
        logits[self.related as usize] = 12.0;
        logits[self.vocab - PADDING..].fill(40.0);
        logits
    }
}

impl Engine for Toy {
    fn slots(&self) -> usize {
        self.histories.len()
    }

    fn vocab(&self) -> usize {
        self.vocab
    }

    fn reset(&mut self, slot: usize) {
        self.histories[slot].clear();
    }

    fn advance(&mut self, work: &[(usize, &[u32])], draw: &mut Draw<'_>) -> Result<()> {
        assert!(!work.is_empty());
        assert!(work.windows(2).all(|pair| pair[0].0 < pair[1].0), "a slot twice in one step");
        self.calls += 1;
        let mut logits = Vec::new();
        for &(slot, tokens) in work {
            assert!(!tokens.is_empty());
            if self.histories[slot].is_empty() {
                assert_eq!((tokens[0], tokens[tokens.len() - 1]), (self.end, self.related), "a prompt");
            }
            self.histories[slot].extend_from_slice(tokens);
            let history = &self.histories[slot];
            let start = logits.len();
            logits.extend(self.logits(history));
            let new = history.len() - 1 - history.iter().position(|&token| token == self.related).unwrap();
            if self.broken_at == Some(new) {
                logits[start + 3] = f32::NAN;
            }
        }
        // In two parts, as a model's head may hand them on.
        let each = |tasks: usize, body: &(dyn Fn(usize) + Sync)| (0..tasks).for_each(body);
        let half = work.len() / 2;
        let (before, after) = logits.split_at(half * self.vocab);
        draw(&each, 0, before);
        draw(&each, half, after);
        Ok(())
    }
}

/// Interrupts after some steps.
struct Stopper(AtomicU64);

impl Stopper {
    fn after(steps: u64) -> Self {
        Self(AtomicU64::new(steps))
    }
}

impl Monitor for Stopper {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1))).unwrap() == 0
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
            let document = Document { id: format!("seed-{i}"), text: (*text).into(), metadata: Map::new() };
            writer.write(&document).unwrap();
        }
        writer.finish().unwrap();
        let tokenizer = Tokenizer::train(texts.iter().map(|text| (*text).to_owned()), vocab_size).unwrap();
        let prefix = folder.path().join("unique");
        cognate_corpus::tokenize(&path, &tokenizer, &prefix, &Silent).unwrap();
        let seeds = Seeds::open(&path, TokenFile::open(&prefix).unwrap()).unwrap();
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
    Reader::open(&files, &ReadOptions::default()).unwrap().map(|record| record.unwrap().1).collect()
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
    assert!(matches!(world.run(&second, &rest, &Stopper::after(20)), Err(Error::Interrupted)));
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
fn a_resumed_run_is_an_undisturbed_one() {
    let world = World::new();
    let whole = world.out("whole");
    let stats = world.run(&whole, &config(6), &Silent).unwrap();
    // Killed at different steps, with another number of slots each time, with and without the saved partial work.
    for (steps, keep_partial) in [(1, true), (13, true), (13, false), (40, true), (97, false)] {
        let out = world.out(&format!("{steps}-{keep_partial}"));
        let mut interruptions = 0;
        let resumed = loop {
            let budget = steps * (1 + interruptions); // grows, since lost work would otherwise never end
            match world.run(&out, &config(6 + interruptions as usize % 3), &Stopper::after(budget)) {
                Ok(stats) => break stats,
                Err(Error::Interrupted) => interruptions += 1,
                Err(error) => panic!("{error}"),
            }
            if !keep_partial {
                fs_err::remove_file(out.join("partial.jsonl")).unwrap();
            }
        };
        assert!(interruptions >= 1, "{steps}");
        assert_eq!(resumed, stats, "{steps}");
        assert_eq!(contents(&out), contents(&whole), "{steps}");
    }
}

/// The parts of a generation, each interrupted and resumed, hold its documents number by number, and joined they are its files.
#[test]
fn parts_are_the_documents_of_the_whole() {
    let world = World::new();
    let all = GenerateConfig {
        target: Target::Documents(50),
        first_document: 3,
        samples_per_seed: 2,
        shard_documents: 5,
        ..config(7)
    };
    let stats = world.run(&world.out("whole"), &all, &Silent).unwrap();
    assert_eq!(stats.documents, 50);
    let whole = documents(&world.out("whole"));
    let mut parts = Vec::new();
    for index in [2, 0, 1, 3] {
        let part = GenerateConfig { shard: Some(Part { index, of: 4 }), ..all.clone() };
        let out = world.out(&format!("part-{index}"));
        assert!(matches!(world.run(&out, &part, &Stopper::after(6)), Err(Error::Interrupted)));
        let stats = world.run(&out, &part, &Silent).unwrap();
        let expected: Vec<Document> =
            (3..53).zip(&whole).filter(|(number, _)| number % 4 == index).map(|(_, d)| d.clone()).collect();
        assert_eq!((documents(&out), stats.documents), (expected.clone(), expected.len() as u64), "{index}");
        let other = GenerateConfig { shard: Some(Part { index, of: 5 }), ..all.clone() };
        match world.run(&out, &other, &Silent) {
            Err(Error::OtherSettings { field, .. }) => assert_eq!(field, "shard"),
            other => panic!("{other:?}"),
        }
        parts.push(out);
    }
    assert_eq!(join::join(&parts, &world.out("joined")).unwrap(), 50);
    assert_eq!(contents(&world.out("joined")), contents(&world.out("whole")));
    assert_eq!(world.run(&world.out("joined"), &all, &Silent).unwrap(), stats, "joined, it counts as the whole");
    let refused = |folders: &[PathBuf]| join::join(folders, &world.out("no")).unwrap_err().to_string();
    assert!(refused(&parts[..3]).contains("one of 4 parts, and 3 folders"), "{}", refused(&parts[..3]));
    assert!(refused(&[&parts[..3], &parts[..1]].concat()).contains("part 2/4 too"));
    assert!(refused(&[world.out("whole")]).contains("no part of a generation"));
    assert!(!world.out("no").exists());
    fs_err::remove_file(files::shards(&parts[1]).unwrap().pop().unwrap()).unwrap();
    assert!(refused(&parts).contains("it ends where"), "{}", refused(&parts));
    // A token target cannot be divided: the other parts' lengths are not known.
    let tokens = GenerateConfig { shard: Some(Part { index: 0, of: 4 }), ..config(7) };
    assert!(tokens.check().unwrap_err().to_string().starts_with("shard = 0/4: expected target_documents"));
}

#[test]
fn samples_of_one_seed_stand_in_a_row_and_say_which_they_are() {
    let world = World::new();
    let three = GenerateConfig { target: Target::Documents(31), samples_per_seed: 3, ..config(7) };
    world.run(&world.out("a"), &three, &Silent).unwrap();
    for (number, document) in documents(&world.out("a")).iter().enumerate() {
        let seed = seed_of(11, number as u64 / 3, SEED_TEXTS.len());
        assert_eq!(document.metadata["seed_id"], format!("seed-{seed}"));
        assert_eq!(document.metadata["sample"], number % 3);
    }
    world.run(&world.out("b"), &config(7), &Silent).unwrap();
    assert!(documents(&world.out("b")).iter().all(|document| !document.metadata.contains_key("sample")));
}

#[test]
fn seeds_of_a_larger_vocabulary_are_refused() {
    let world = World::new();
    let small = Tokenizer::train(["x".to_owned()].into_iter(), 258).unwrap();
    assert!(small.vocab_size() < world.tokenizer.vocab_size());
    let outcome = generate_with(&mut Toy::new(2, &small), &small, &world.seeds, &world.out("a"), &config(2), &Silent);
    assert!(matches!(outcome, Err(Error::Corpus(_))), "{outcome:?}");
    assert!(!world.out("a").exists());
}

#[test]
fn saved_work_is_not_done_again() {
    let world = World::new();
    let out = world.out("a");
    let mut toy = Toy::new(4, &world.tokenizer);
    let mut run = |monitor: &dyn Monitor| {
        let before = toy.calls;
        let outcome = generate_with(&mut toy, &world.tokenizer, &world.seeds, &out, &config(4), monitor);
        (outcome.is_ok(), toy.calls - before)
    };
    let (done, first) = run(&Stopper::after(150));
    assert!(!done && first == 150);
    let (done, second) = run(&Silent);
    let mut fresh = Toy::new(4, &world.tokenizer);
    generate_with(&mut fresh, &world.tokenizer, &world.seeds, &world.out("b"), &config(4), &Silent).unwrap();
    // Only what stood unfinished in the four slots (at most 30 tokens each) is drawn twice.
    assert!(done && first + second <= fresh.calls + 30, "{first} + {second} against {}", fresh.calls);
    assert_eq!(run(&Silent), (true, 0), "a finished generation is left as it is");
}

#[test]
fn records_say_where_they_come_from() {
    let world = World::new();
    let stats = world.run(&world.out("a"), &config(5), &Silent).unwrap();
    let found = documents(&world.out("a"));
    let (mut cut, mut prompt) = (0, 0);
    for (number, document) in found.iter().enumerate() {
        let seed = seed_of(11, number as u64, SEED_TEXTS.len());
        assert_eq!(document.metadata["seed_id"], format!("seed-{seed}"));
        assert_eq!(document.metadata["synthesizer"], "toy");
        assert_eq!(document.metadata["sampling"]["top_p"], 0.9);
        assert!(document.metadata["mean_log_probability"].as_f64().unwrap() < 0.0);
        let capped = metadata::unfinished(document).unwrap();
        assert!(!capped || document.metadata["tokens"] == 30);
        let encoded = world.tokenizer.encode(SEED_TEXTS[seed]).unwrap();
        let found = world.tokenizer.cut(&encoded, 12);
        cut += u64::from(found.is_some());
        prompt += found.map_or(encoded.len(), |found| found.tokens) as u64 + 2;
    }
    assert!(cut > 0, "no seed was long enough");
    assert_eq!((stats.seeds_cut, stats.prompt_tokens, stats.distinct_seeds), (cut, prompt, 5));
}

#[test]
fn long_seeds_are_cut_at_the_end_of_a_sentence_or_a_word_and_counted() {
    // Every byte is a token; fourteen fit.
    let texts = ["A dog sat. Cats sat too.", "dogs about cats", "xxxxxxxxxxxxxxxxxxxx", "a short seed"];
    let expected = ["A dog sat.", "dogs about", "xxxxxxxxxxxxxx", "a short seed"];
    let world = World::of(&texts, 258);
    let config = GenerateConfig { max_seed_tokens: 14, ..config(3) };
    let stats = world.run(&world.out("a"), &config, &Silent).unwrap();
    let prompts = config.prompts(&world.seeds, &world.tokenizer, world.tokenizer.related().unwrap());
    let (mut counts, mut cut) = ([0; 4], CutCounts::default());
    for number in 0..stats.documents {
        let seed = seed_of(11, number, 4);
        counts[seed] += 1;
        let prompt = prompts.prompt(number);
        assert_eq!(world.tokenizer.decode(&prompt[1..prompt.len() - 1]), expected[seed]);
        assert_eq!(prompts.prompt_tokens(number), prompt.len());
    }
    [cut.sentence, cut.word, cut.token, _] = counts;
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    assert_eq!((stats.seeds_cut_at, stats.seeds_cut), (cut, stats.documents - counts[3]));
    assert_eq!(world.run(&world.out("a"), &config, &Silent).unwrap(), stats);
}

/// Runs the schedule alone and returns what it hands on.
fn draw_all(world: &World, toy: &mut Toy, sampling: Sampling) -> Vec<Finished> {
    let (end_of_document, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let rules = Rules {
        seed: 3,
        sampling,
        max_new_tokens: 30,
        end_of_document,
        never: vec![related],
        vocab: world.tokenizer.vocab_size(),
        numbers: Numbers::until(600),
    };
    let prompts = world.prompts();
    let mut all = Vec::new();
    let mut sink = |finished: &Finished| {
        all.push(finished.clone());
        Ok(())
    };
    schedule::run(toy, &prompts, &rules, &mut Progress::default(), &mut sink, &Silent).unwrap();
    all
}

/// Turns red when a document's random numbers depend on its seed document alone: then every sample of a seed is the same.
#[test]
fn two_documents_of_one_seed_differ() {
    let world = World::new();
    let mut toy = Toy::new(4, &world.tokenizer);
    let prompts = world.prompts();
    let mut by_prompt: BTreeMap<Vec<u32>, Vec<Vec<u32>>> = BTreeMap::new();
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(1.0, 1.0)) {
        // Shorter ones may coincide by chance: the toy has hardly 300 likely tokens.
        if finished.tokens.len() >= 4 {
            by_prompt.entry(prompts.prompt(finished.number)).or_default().push(finished.tokens);
        }
    }
    let samples: usize = by_prompt.values().map(Vec::len).sum();
    assert!(samples >= 2 * by_prompt.len() && samples > by_prompt.len() + 3, "too few samples a seed to tell");
    for tokens in by_prompt.values() {
        let distinct: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len(), "two samples of one seed are the same");
    }
}

#[test]
fn log_probabilities_are_the_models_and_special_tokens_stay_out() {
    let world = World::new();
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    let mut toy = Toy::new(4, &world.tokenizer);
    let prompts = world.prompts();
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(1.3, 0.7)) {
        let mut history = prompts.prompt(finished.number);
        let mut expected = 0.0;
        for &token in &finished.tokens {
            assert!(token != related && (token as usize) < world.tokenizer.vocab_size());
            let logits = &toy.logits(&history)[..world.tokenizer.vocab_size()];
            let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            expected += f64::from(logits[token as usize]) - total.ln();
            history.push(token);
        }
        let found = f64::from_bits(finished.log_probability_bits);
        assert!((found - expected).abs() < 1e-5 * expected.abs(), "{found} {expected}");
        let ends = finished.tokens.iter().filter(|&&token| token == end).count();
        match finished.finish {
            Finish::Eod => assert_eq!((ends, finished.tokens.last()), (1, Some(&end))),
            Finish::Cap => assert_eq!((ends, finished.tokens.len()), (0, 30)),
        }
    }
}

#[test]
fn temperature_zero_is_greedy() {
    let world = World::new();
    let mut toy = Toy::new(4, &world.tokenizer);
    let (end, related) = (world.tokenizer.end_of_document(), world.tokenizer.related().unwrap());
    for finished in draw_all(&world, &mut toy, Sampling::nucleus(0.0, 1.0)) {
        // The toy's end-of-document token is its most probable one everywhere.
        assert_eq!((finished.tokens.as_slice(), related != end), ([end].as_slice(), true));
    }
}

#[test]
fn a_broken_model_is_named_with_seed_and_position() {
    let world = World::new();
    let mut toy = Toy::new(1, &world.tokenizer);
    toy.broken_at = Some(4);
    let out = world.out("a");
    let error = generate_with(&mut toy, &world.tokenizer, &world.seeds, &out, &config(1), &Silent).unwrap_err();
    let Error::Logits { document, seed_id, position: 4, token: 3, .. } = &error else { panic!("{error}") };
    assert_eq!(*seed_id, format!("seed-{}", seed_of(11, *document, 5)));
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn other_settings_are_refused_and_named() {
    let world = World::new();
    let out = world.out("a");
    world.run(&out, &config(4), &Silent).unwrap();
    let before = contents(&out);
    let cases = [
        ("target_tokens", GenerateConfig { target: Target::Tokens(1501), ..config(4) }),
        ("first_document", GenerateConfig { first_document: 1, ..config(4) }),
        ("sampling", GenerateConfig { seed: 12, ..config(4) }),
        ("sampling", GenerateConfig { max_new_tokens: 31, ..config(4) }),
        ("synthesizer", GenerateConfig { synthesizer: "other".into(), ..config(4) }),
        ("shard_documents", GenerateConfig { shard_documents: 17, ..config(4) }),
    ];
    for (expected, config) in cases {
        match world.run(&out, &config, &Silent) {
            Err(Error::OtherSettings { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(contents(&out), before);
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
    ];
    for (field, config) in cases {
        let message = config.check().unwrap_err().to_string();
        assert!(message.starts_with(field), "{message}");
    }
    assert!(!world.out("a").exists());
}

#[test]
fn damaged_folders_are_refused() {
    let damage = |what: &dyn Fn(&Path), expected: &str| {
        let world = World::new();
        let out = world.out("a");
        assert!(matches!(world.run(&out, &config(4), &Stopper::after(300)), Err(Error::Interrupted)));
        assert!(files::shards(&out).unwrap().len() >= 2);
        what(&out);
        let message = world.run(&out, &config(4), &Silent).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    };
    let shard = |out: &Path, index| out.join(files::shard_name(index));
    let move_shard = |out: &Path, from, to| fs_err::rename(shard(out, from), shard(out, to)).unwrap();
    damage(&|out| fs_err::remove_file(out.join("generate.json")).unwrap(), "settings that made it are unknown");
    damage(&|out| fs_err::write(out.join("generate.json"), "[1").unwrap(), "not a JSON object");
    damage(&|out| fs_err::remove_file(shard(out, 0)).unwrap(), "should come before it and is missing");
    damage(&|out| move_shard(out, 1, 0), "expected \"synthetic-0\"");
    damage(&|out| fs_err::write(out.join("partial.jsonl"), "{\"number\":").unwrap(), "line 1");
    damage(
        &|out| {
            let bytes = fs_err::read(shard(out, 0)).unwrap();
            fs_err::write(shard(out, 0), &bytes[..bytes.len() / 2]).unwrap();
        },
        "synthetic-00000.jsonl.zst",
    );
    damage(
        &|out| {
            let kept: Vec<Document> = documents(out).into_iter().take(3).collect();
            let mut writer = DocumentWriter::create(shard(out, 0)).unwrap();
            kept.iter().for_each(|document| writer.write(document).unwrap());
            writer.finish().unwrap();
        },
        "it holds 3 documents, expected 16",
    );
}

#[test]
fn seeds_must_match_their_token_file() {
    let world = World::new();
    let tokens = TokenFile::open(&world.folder.path().join("unique")).unwrap();
    let write = |name: &str, count: usize| {
        let path = world.out(name);
        let mut writer = DocumentWriter::create(&path).unwrap();
        for i in 0..count {
            writer.write(&Document { id: i.to_string(), text: "t".into(), metadata: Map::new() }).unwrap();
        }
        writer.finish().unwrap();
        path
    };
    let error = Seeds::open(&write("four.jsonl", 4), tokens.clone()).unwrap_err();
    assert!(matches!(error, Error::SeedCount { documents: 4, tokenized: 5, .. }), "{error}");
    let empty = Seeds::open(&write("none.jsonl", 0), tokens).unwrap_err();
    assert!(empty.to_string().contains("none.jsonl"), "{empty}");
}
