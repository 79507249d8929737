//! Every function that may take long stops at any look at the monitor, and says that it was interrupted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cognate_base::{Interrupted, Monitor, Silent, Unit};
use cognate_corpus::{Document, ReadOptions, TokenFile};
use cognate_synth::filter::stage::{KEPT, filter};
use cognate_synth::generate::join::join;
use cognate_synth::{
    Collection, FilterConfig, FilterInputs, GenerateConfig, JudgeConfig, KnownPairs, Part, RelevanceOptions, Result,
    Scoring, Seeds, Target, TextPair, TokenPair, Training, calibrate, generate, pair_overlap, quality, relevance,
    relevance_of_texts, write_related,
};
use serde_json::json;

use crate::server::{Act, Server};
use crate::world::{TEXTS, World, settings};
use crate::{contents, document, write};

/// Says at the look of this number, from 0 on, and ever after, that the user wants to stop.
struct StopAt(u64, AtomicU64);

impl Monitor for StopAt {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.1.fetch_add(1, Ordering::SeqCst) >= self.0
    }
}

/// Stops `work` at its first look, its second, …, until it has come to its end; then ever fewer of them, since resampling has thousands.
/// It must have looked `least` times.
fn stops_at_every_look<T>(least: u64, work: impl Fn(&dyn Monitor, u64) -> Result<T>) {
    let mut at = 0;
    loop {
        match work(&StopAt(at, AtomicU64::new(0)), at) {
            Err(error) if Interrupted::caused(&error) => at += 1 + at / 20,
            Ok(_) => break,
            Err(error) => panic!("look {at}: {error}"),
        }
    }
    assert!(at >= least, "it looked {at} times, for {least} items");
}

fn words(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!("w{i} ")).collect()
}

#[test]
fn seeds_and_generation() {
    let world = World::new();
    let tokens = TokenFile::open(&world.out("unique")).unwrap();
    stops_at_every_look(TEXTS.len() as u64, |monitor, _| {
        Seeds::open(&world.out("unique.jsonl"), &ReadOptions::default(), tokens.clone(), monitor)
    });
    let config = GenerateConfig { target: Target::Documents(15), shard_documents: 5, slots: 4, ..settings() };
    let out = world.out("whole");
    generate(&mut world.model(1), &world.tokenizer, &world.seeds, &out, &config, &Silent).unwrap();
    // 8-bit integers are measured on the seeds first; figures are taken of every document at the end.
    for precision in [cognate_ops::Precision::F32, cognate_ops::Precision::Int8] {
        let config = GenerateConfig { precision, ..config.clone() };
        stops_at_every_look(24 + 15, |monitor, at| {
            let out = world.out(&format!("{}-{at}", precision.name()));
            let mut model = world.model(1);
            generate(&mut model, &world.tokenizer, &world.seeds, &out, &config, monitor).inspect_err(|_| {
                if out.exists() {
                    fs_err::remove_dir_all(&out).unwrap();
                }
            })
        });
    }
    // One folder that is stopped again and again comes to the same files.
    let stopped = world.out("stopped");
    let mut stops = 0;
    let run = |monitor: &dyn Monitor| {
        generate(&mut world.model(1), &world.tokenizer, &world.seeds, &stopped, &config, monitor)
    };
    while let Err(error) = run(&StopAt(40 + stops, AtomicU64::new(0))) {
        assert!(Interrupted::caused(&error), "{error}");
        stops += 1;
    }
    assert!(stops > 1 && contents(&stopped) == contents(&out), "{stops}");
    stops_at_every_look(24, |monitor, _| {
        let drawing = (settings().sampling, 3);
        write_related(&mut world.model(1), &world.tokenizer, TEXTS[0], (3, 24), drawing, monitor)
    });
}

#[test]
fn parts_put_together() {
    let world = World::new();
    let parts: Vec<_> = (0..2).map(|index| world.out(&format!("part-{index}"))).collect();
    for (index, part) in (0..).zip(&parts) {
        let shard = Some(Part { index, of: 2 });
        let config = GenerateConfig { target: Target::Documents(12), shard, slots: 4, ..settings() };
        generate(&mut world.model(1), &world.tokenizer, &world.seeds, part, &config, &Silent).unwrap();
    }
    stops_at_every_look(2 * 12, |monitor, at| join(&parts, &world.out(&format!("joined-{at}")), monitor));
}

struct Texts {
    documents: Vec<Document>,
    real: Vec<Document>,
    seeds: Vec<Document>,
}

impl Texts {
    fn new() -> Self {
        let seeds = (0..6).map(|i| document(&format!("u{i}"), &words(100 * i..100 * i + 30), &[])).collect();
        let written = |i: usize| {
            document(&i.to_string(), &words(9000 + 50 * i..9030 + 50 * i), &[("seed_id", json!(format!("u{}", i % 6)))])
        };
        let real = (0..5).map(|i| document(&i.to_string(), &words(5000 + 50 * i..5030 + 50 * i), &[])).collect();
        Self { documents: (0..20).map(written).collect(), real, seeds }
    }

    fn by_id(&self) -> HashMap<String, String> {
        self.seeds.iter().map(|seed| (seed.id.clone(), seed.text.clone())).collect()
    }
}

#[test]
fn filters_and_scores() {
    let (world, texts) = (World::new(), Texts::new());
    let synthetic = [write(&world.out("s.jsonl.zst"), &texts.documents)];
    let training = write(&world.out("training.jsonl.zst"), &texts.seeds);
    let real = write(&world.out("real.jsonl.zst"), &texts.real);
    let inputs = FilterInputs {
        synthetic: &synthetic,
        training: &training,
        seeds: None,
        real: Some(&real),
        read_synthetic: &ReadOptions::default(),
        read: &ReadOptions::default(),
    };
    let options = RelevanceOptions::of(&world.tokenizer, 14, 64).unwrap();
    let run = |monitor: &dyn Monitor, out: &Path, scored: bool| {
        let mut model = world.model(1);
        let mut scorer =
            |pairs: &[TextPair<'_>]| relevance_of_texts(&mut model, &world.tokenizer, pairs, options, monitor);
        let scoring = scored.then_some(Scoring { scorer: &mut scorer, threshold: None });
        filter(inputs, out, &FilterConfig::standard(), scoring, monitor)
    };
    for scored in [false, true] {
        // Read twice, judged, settled, and looked at three times over in the figures.
        stops_at_every_look(20 * 4 + 1000, |monitor, at| {
            let out = world.out(&format!("{scored}-{at}"));
            let outcome = run(monitor, &out, scored);
            assert_eq!(out.join(KEPT).exists(), outcome.is_ok(), "{at}");
            outcome
        });
    }
    let pairs: Vec<TextPair<'_>> = texts
        .documents
        .iter()
        .map(|document| TextPair { name: &document.id, seed: &texts.seeds[0].text, document: &document.text })
        .collect();
    stops_at_every_look(40, |monitor, _| {
        relevance_of_texts(&mut world.model(1), &world.tokenizer, &pairs, options, monitor)
    });
    let tokens = |text: &str| world.tokenizer.encode(text).unwrap();
    let token_pairs: Vec<TokenPair> = (0..22)
        .map(|i| TokenPair { name: i.to_string(), seed: tokens(&words(i..i + 4)), document: tokens(&words(i..i + 6)) })
        .collect();
    stops_at_every_look(22, |monitor, _| {
        relevance(&mut world.model(1), &world.tokenizer, &token_pairs, options, monitor)
    });
    stops_at_every_look(66 + 1000, |monitor, _| {
        calibrate(&mut world.model(1), &world.tokenizer, &token_pairs, options, 3, monitor)
    });
}

#[test]
fn figures() {
    let texts = Texts::new();
    stops_at_every_look(6, |monitor, _| Training::new(texts.by_id(), monitor));
    let training = Training::new(texts.by_id(), &Silent).unwrap();
    let collections =
        [Collection { name: "real", documents: &texts.real }, Collection { name: "raw", documents: &texts.documents }];
    let config = FilterConfig::standard();
    stops_at_every_look(25 * 5 + 2000, |monitor, _| quality(&collections, &training, &config, monitor));
    let (first, second) = (words(0..40), words(20..60));
    let pairs = vec![(first.as_str(), second.as_str()); 20];
    stops_at_every_look(3 * 20 + 1000, |monitor, _| pair_overlap(&pairs, 0.5, monitor));
}

#[test]
fn a_judge() {
    let texts = Texts::new();
    let server = Server::start(|_| {
        Act::Say(200, String::new(), json!({"choices": [{"text": "related", "finish_reason": "stop"}]}).to_string())
    });
    let judge = JudgeConfig::new(server.url(), "wise".into(), None, 5, 7);
    let bare: Vec<&str> = texts.seeds.iter().map(|seed| seed.text.as_str()).collect();
    let by_id: HashMap<&str, &str> = texts.seeds.iter().map(|seed| (seed.id.as_str(), seed.text.as_str())).collect();
    let pair = TextPair { name: "p", seed: bare[0], document: bare[1] };
    stops_at_every_look(2, |monitor, _| KnownPairs::judge(&bare, Some(&[pair; 5]), &judge, monitor));
    let known = KnownPairs::judge(&bare, None, &judge, &Silent).unwrap();
    stops_at_every_look(20, |monitor, _| known.beside(&texts.documents, &by_id, &judge, monitor));
}
