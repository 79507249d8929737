//! The filter stage on files.

use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{Document, ReadOptions};
use cognate_synth::filter::stage::{DROPPED, KEPT, filter};
use cognate_synth::{Error, FilterConfig, FilterInputs, FilterStats, Reason, Relevance, Result, Scoring, TextPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{document, read, write};

fn words(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!("w{i} ")).collect()
}

struct World {
    folder: TempDir,
    training: PathBuf,
    real: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let training = write(
            &at("unique.jsonl.zst"),
            &[document("a", &words(0..100), &[]), document("b", &words(1000..1100), &[])],
        );
        let real = write(&at("validation.jsonl"), &[document("v", &words(5000..5060), &[])]);
        Self { folder, training, real }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, documents: &[Document], config: &FilterConfig) -> (Result<FilterStats>, PathBuf) {
        // Two files: the order of documents runs on from one to the next.
        let (first, second) = documents.split_at(documents.len() / 2);
        let files = [write(&self.path("s-0.jsonl.zst"), first), write(&self.path("s-1.jsonl.zst"), second)];
        let out = self.path("out");
        let inputs = FilterInputs {
            synthetic: &files,
            training: &self.training,
            seeds: None,
            real: Some(&self.real),
            read_synthetic: &ReadOptions::default(),
            read: &ReadOptions::default(),
        };
        (filter(inputs, &out, config, None, &Silent), out)
    }
}

fn from_a(id: &str, text: &str, more: &[(&str, Value)]) -> Document {
    let mut fields = vec![("seed_id", json!("a")), ("tokens", json!(100))];
    fields.extend_from_slice(more);
    document(id, text, &fields)
}

#[test]
fn every_reason_is_counted_sampled_and_told() {
    let world = World::new();
    let documents = [
        from_a("good", &words(200..260), &[]),
        from_a("empty", " ", &[]),
        from_a("short", "four words are few", &[]),
        from_a("cut", &words(300..360), &[("finish_reason", json!("cap"))]),
        from_a("cut again", &words(300..360), &[("finish_reason", json!("cap"))]),
        from_a("special", &words(400..460), &[("special_token", json!("<|related|>"))]),
        from_a("foreign", &words(400..460), &[("unencodable", json!("no token for it"))]),
        from_a("bytes", &words(400..460).replace(' ', " \u{fffd}"), &[]),
        from_a("again and again", &words(400..420).repeat(3), &[]),
        from_a("copy", &words(10..70), &[]),
        from_a("recited", &(words(500..580) + &words(1000..1040)), &[]),
        from_a("twin", &words(201..261), &[]),
        from_a("fine", &words(300..360), &[("finish_reason", json!("eod"))]),
        document("orphan", &words(10..49), &[]),
    ];
    let config = FilterConfig { samples: 1, ..FilterConfig::standard() };
    let (stats, out) = world.run(&documents, &config);
    let stats = stats.unwrap();
    // A dropped document is no earlier document: "fine" says what "cut" says, and stays.
    let kept = read(&[out.join(KEPT)]);
    assert_eq!(kept, [&documents[0], &documents[12], &documents[13]].map(Clone::clone));
    let counts: Vec<u64> = Reason::ALL.iter().map(|reason| stats.dropped[reason]).collect();
    assert_eq!(counts, [1, 1, 2, 1, 1, 1, 1, 1, 1, 0, 1]);
    assert_eq!((stats.read.documents, stats.read.tokens, stats.kept.documents, stats.kept.tokens), (14, 1300, 3, 200));
    assert_eq!(stats.kept.bytes, kept.iter().map(|d| d.text.len() as u64).sum::<u64>());
    assert_eq!((stats.without_seed, stats.repetition_rules.values().sum::<u64>()), (1, 1));

    let dropped = read(&[out.join(DROPPED)]);
    let told: Vec<(&str, &str)> =
        dropped.iter().map(|d| (d.id.as_str(), d.metadata["dropped"]["reason"].as_str().unwrap())).collect();
    let expected = [
        ("empty", "empty"),
        ("short", "too_short"),
        ("cut", "unfinished"),
        ("special", "special_token"),
        ("foreign", "unencodable"),
        ("bytes", "non_text"),
        ("again and again", "repetition"),
        ("copy", "near_copy"),
        ("recited", "verbatim"),
        ("twin", "near_duplicate"),
    ];
    assert_eq!(told, expected);
    assert!(dropped[9].metadata["dropped"]["detail"].as_str().unwrap().ends_with("to good"));

    let names: Vec<&str> = stats.quality.iter().map(|quality| quality.name.as_str()).collect();
    assert_eq!(names, ["real", "raw", "kept"]);
    assert_eq!(stats.quality[1].repetition.count, 1);
    assert_eq!(stats.quality[1].pair_copying.count, 1);
    let text = serde_json::to_string(&stats).unwrap();
    assert!(text.contains("\"near_duplicate\":1"), "{text}");
    assert_eq!(serde_json::from_str::<FilterStats>(&text).unwrap(), stats);
}

#[test]
fn many_documents_keep_the_first_of_each_cluster_whatever_the_threads() {
    let world = World::new();
    // More than one chunk; document i and i + 700 are twins.
    let text = |i: usize| words(10_000 + 100 * (i % 700)..10_050 + 100 * (i % 700));
    let documents: Vec<Document> = (0..1400).map(|i| from_a(&i.to_string(), &text(i), &[])).collect();
    let config = FilterConfig { quality_documents: 50, ..FilterConfig::standard() };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (stats, out) = pool.install(|| world.run(&documents, &config));
        (stats.unwrap(), fs_err::read(out.join(KEPT)).unwrap(), fs_err::read(out.join(DROPPED)).unwrap())
    };
    let one = run(1);
    assert_eq!((one.0.kept.documents, one.0.dropped[&Reason::NearDuplicate]), (700, 700));
    assert_eq!(read(&[world.path("out").join(KEPT)]), documents[..700]);
    assert_eq!(read(&[world.path("out").join(DROPPED)]).len(), 20);
    assert!(run(4) == one);
}

fn nothing_in(out: &Path) -> bool {
    !out.exists() || fs_err::read_dir(out).unwrap().next().is_none()
}

#[test]
fn bad_input_is_named_and_nothing_is_left_half_written() {
    let world = World::new();
    let standard = FilterConfig::standard();
    let good = from_a("good", &words(200..260), &[]);
    let stray = document("stray", &words(0..50), &[("seed_id", json!("nowhere"))]);
    let (error, out) = world.run(&[good.clone(), stray], &standard);
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::UnknownSeed { id, seed_id, .. } if id == "stray" && seed_id == "nowhere"),
        "{error}"
    );
    assert!(nothing_in(&out));

    let odd = document("odd", &words(0..50), &[("seed_id", json!(7))]);
    let (error, out) = world.run(&[good.clone(), odd], &standard);
    assert!(matches!(error.unwrap_err(), Error::Metadata { field: "seed_id", .. }));
    assert!(nothing_in(&out));

    let (error, out) = world.run(&[good], &FilterConfig { near_copy: Some(2.0), ..standard });
    assert!(matches!(error.unwrap_err(), Error::Setting { field: "near_copy", .. }));
    assert!(nothing_in(&out));
}

struct Stopped;

impl Monitor for Stopped {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        true
    }
}

#[test]
fn an_interrupted_filter_leaves_nothing() {
    let world = World::new();
    let files = [write(&world.path("s.jsonl"), &[from_a("good", &words(200..260), &[])])];
    let inputs = FilterInputs {
        synthetic: &files,
        training: &world.training,
        seeds: None,
        real: None,
        read_synthetic: &ReadOptions::default(),
        read: &ReadOptions::default(),
    };
    let out = world.path("out");
    let error = filter(inputs, &out, &FilterConfig::standard(), None, &Stopped).unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error}");
    assert!(nothing_in(&out));
    let stats = filter(inputs, &out, &FilterConfig::standard(), None, &Silent).unwrap();
    assert_eq!(stats.quality.len(), 2, "no real documents, no column of theirs");
}

#[test]
fn relevance_is_written_counted_and_may_filter() {
    let world = World::new();
    let documents = [
        from_a("near", &words(200..260), &[]),
        from_a("far", &words(300..360), &[]),
        from_a("twin of far", &words(301..361), &[]),
        from_a("cut", &words(400..460), &[("finish_reason", json!("cap"))]),
        document("orphan", &words(600..660), &[]),
        from_a("foreign", &words(700..760), &[]),
    ];
    let files = [write(&world.path("s.jsonl"), &documents)];
    let out = world.path("out");
    let run = |min_relevance: Option<f64>| {
        let inputs = FilterInputs {
            synthetic: &files,
            training: &world.training,
            seeds: None,
            real: None,
            read_synthetic: &ReadOptions::default(),
            read: &ReadOptions::default(),
        };
        let config = FilterConfig { min_relevance, ..FilterConfig::standard() };
        let mut asked = Vec::new();
        let mut scorer = |pairs: &[TextPair<'_>]| {
            asked.extend(pairs.iter().map(|pair| pair.name.to_owned()));
            assert!(pairs.iter().all(|pair| pair.seed == words(0..100)));
            let relevance = |name: &str| Relevance {
                forward: if name == "near" { 0.5 } else { 0.125 },
                backward: 0.25,
                cut: name == "far",
                tokens: 1,
            };
            let score = |pair: &TextPair<'_>| (pair.name != "foreign").then(|| relevance(pair.name));
            Ok(pairs.iter().map(score).collect())
        };
        let scoring = Scoring { scorer: &mut scorer, threshold: Some(0.2) };
        let stats = filter(inputs, &out, &config, Some(scoring), &Silent).unwrap();
        (stats, asked)
    };
    let (stats, asked) = run(None);
    // What is dropped already, and what has no seed, costs no scoring.
    assert_eq!(asked, ["near", "far", "twin of far", "foreign"]);
    // What the synthesizer cannot read is dropped, and the others are not lost.
    assert_eq!(stats.dropped[&Reason::Unencodable], 1);
    let relevance = stats.relevance.unwrap();
    assert_eq!((relevance.scored, relevance.cut, relevance.forward.unwrap().value), (3, 1, 0.25));
    assert_eq!(relevance.irrelevant.map(|share| (share.count, share.n)), Some((2, 3)));
    let kept = read(&[out.join(KEPT)]);
    assert_eq!(kept.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["near", "far", "orphan"]);
    assert_eq!((&kept[0].metadata["relevance"], &kept[0].metadata["cycle"]), (&json!(0.5), &json!(0.25)));
    assert!(!kept[2].metadata.contains_key("relevance"));

    let (stats, _) = run(Some(0.2));
    assert_eq!((stats.dropped[&Reason::Irrelevant], stats.dropped[&Reason::NearDuplicate]), (2, 0));
    let dropped = read(&[out.join(DROPPED)]);
    let told = dropped.iter().find(|d| d.id == "far").unwrap();
    assert_eq!(told.metadata["dropped"]["detail"], "relevance 0.125 nats per token, at least 0.2");

    let inputs = FilterInputs {
        synthetic: &files,
        training: &world.training,
        seeds: None,
        real: None,
        read_synthetic: &ReadOptions::default(),
        read: &ReadOptions::default(),
    };
    let config = FilterConfig { min_relevance: Some(0.2), ..FilterConfig::standard() };
    let error = filter(inputs, &world.path("none"), &config, None, &Silent).unwrap_err();
    assert!(matches!(error, Error::Setting { field: "min_relevance", .. }), "{error}");
}
