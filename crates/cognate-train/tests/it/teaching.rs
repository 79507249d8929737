//! What teachers expect: what is written of it, and what a student is given.

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{TokenFile, TokenWriter};
use cognate_model::{Batch, Config, Decoder};
use cognate_ops::Cpu;
use cognate_train::{PlainStream, Source, Stream, TeachConfig, Teachings, teach, teaching_bytes};

use crate::{config, corpus, run, stream};

fn teachers(count: u64) -> Vec<Decoder<Cpu>> {
    (0..count).map(|seed| Decoder::new(Cpu::new(1).unwrap(), config(), 5 + seed).unwrap()).collect()
}

const CONTEXT: usize = 7;

fn ask(temperature: f64, top: usize) -> TeachConfig {
    TeachConfig { context: CONTEXT, begin: 0, temperature, top, vocab: config().vocab }
}

/// softmax(logits / T) behind each token of one segment.
fn softmax(model: &mut Decoder<Cpu>, tokens: &[u32], temperature: f64) -> Vec<Vec<f64>> {
    let mut batch = Batch::new();
    batch.push(tokens, &vec![0; tokens.len()]);
    let logits = model.logits(&batch).unwrap();
    let row = |logits: &[f32]| {
        let weights: Vec<f64> = logits.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    };
    logits.chunks(config().vocab).map(row).collect()
}

#[test]
fn the_mean_of_the_teachers_probabilities_at_the_temperature_is_kept_in_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    // Random weights expect all tokens alike: larger ones do not.
    let mut teachers = teachers(2);
    for teacher in &mut teachers {
        teacher.parameters_mut().iter_mut().for_each(|p| *p *= 4.0);
    }
    let (temperature, top) = (1.5, 9);
    let stats = teach(&mut teachers, &file, ask(temperature, top), (folder.path(), "u"), &Silent).unwrap();
    let taught = Teachings::open(folder.path(), "u", top, &file).unwrap();
    let (mut rest, mut nats, mut entropy, mut lost, mut tokens) = (0.0, 0.0, 0.0, 0.0, 0);
    for document in 0..file.documents() {
        let text = file.document(document);
        for (i, piece) in text.chunks(CONTEXT).enumerate() {
            let before = if i == 0 { 0 } else { text[i * CONTEXT - 1] };
            let seen: Vec<u32> = std::iter::once(before).chain(piece[..piece.len() - 1].iter().copied()).collect();
            let [one, two] = [0, 1].map(|at| softmax(&mut teachers[at], &seen, temperature));
            for (at, target) in piece.iter().enumerate() {
                let mean: Vec<f64> = one[at].iter().zip(&two[at]).map(|(a, b)| (a + b) / 2.0).collect();
                let mut order: Vec<usize> = (0..mean.len()).collect();
                order.sort_by(|a, b| mean[*b].total_cmp(&mean[*a]));
                let (mut ids, mut probabilities) = (Vec::new(), Vec::new());
                let place = i * CONTEXT + at;
                taught.read(document, place..place + 1, &mut ids, &mut probabilities);
                let wanted: Vec<u32> = order[..top].iter().map(|id| *id as u32).collect();
                assert_eq!(ids, wanted, "document {document}, token {place}");
                for (id, p) in ids.iter().zip(&probabilities) {
                    let exact = mean[*id as usize];
                    // A 16-bit float has 11 bits, and is rounded down.
                    assert!((f64::from(*p) / exact - 1.0).abs() < 1.0 / 1023.0 && f64::from(*p) < exact + 1e-6);
                }
                let h = |p: f64| -p * p.ln();
                let others: Vec<f64> = order[top..].iter().map(|id| mean[*id]).collect();
                let mass: f64 = others.iter().sum();
                rest += 1.0 - probabilities.iter().map(|p| f64::from(*p)).sum::<f64>();
                nats -= mean[*target as usize].ln();
                entropy += mean.iter().map(|p| h(*p)).sum::<f64>();
                lost += others.iter().map(|p| h(*p)).sum::<f64>() - h(mass);
                tokens += 1;
            }
        }
    }
    assert_eq!((stats.tokens, stats.top), (tokens, top));
    let mean = |sum: f64| sum / tokens as f64;
    for (name, found, exact) in [
        ("rest", stats.rest, rest),
        ("nats", stats.nats, nats),
        ("entropy", stats.entropy, entropy),
        ("lost", stats.lost, lost),
    ] {
        assert!((found - mean(exact)).abs() < 1e-5, "{name}: {found} {}", mean(exact));
    }
    assert!(stats.lost > 0.05 && stats.rest > 0.05, "{stats:?}");
    // All of it is kept where the head is the whole vocabulary.
    let all = teach(&mut teachers, &file, ask(1.0, 500), (folder.path(), "all"), &Silent).unwrap();
    assert_eq!((all.top, all.rest, all.lost), (60, 0.0, 0.0));
}

/// More tokens than teachers are asked about at a time, some of a document of many pieces: each document has what it has alone.
#[test]
fn what_is_expected_does_not_depend_on_what_is_asked_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let documents: Vec<Vec<u32>> = [900, 1, 0, 2100, 30, 1300, 0]
        .into_iter()
        .enumerate()
        .map(|(i, length)| (0..length).map(|j| 1 + (7 * i as u32 + j * j) % 59).collect())
        .collect();
    let mut teachers = teachers(2);
    for teacher in &mut teachers {
        teacher.parameters_mut().iter_mut().for_each(|p| *p *= 4.0);
    }
    let mut ask = |name: &str, documents: &[Vec<u32>]| {
        let file = writer(folder.path(), name, documents);
        let told = Progress::default();
        let stats = teach(&mut teachers, &file, self::ask(1.5, 9), (folder.path(), name), &told).unwrap();
        (Teachings::open(folder.path(), name, 9, &file).unwrap(), stats, told.0.into_inner().unwrap())
    };
    let (all, stats, told) = ask("all", &documents);
    assert_eq!(stats.tokens, 4331);
    // Told whenever some were asked about, in tokens so far.
    assert!(told.len() >= 2 && told.is_sorted() && told.iter().all(|done| (1..=4331).contains(done)), "{told:?}");
    assert!(told[1] - told[0] >= 2048 && told[0] >= 2048, "{told:?}");
    for (number, document) in documents.iter().enumerate() {
        let (alone, ..) = ask(&format!("alone-{number}"), std::slice::from_ref(document));
        let read = |teachings: &Teachings, at: usize| {
            let (mut ids, mut probabilities) = (Vec::new(), Vec::new());
            teachings.read(at, 0..document.len(), &mut ids, &mut probabilities);
            (ids, probabilities)
        };
        assert_eq!(read(&all, number), read(&alone, 0), "document {number}");
    }
}

/// A teacher that leaves no doubt: the probability of a token is 1, which is the highest that can be kept.
#[test]
fn what_is_certain_is_kept_as_certain() {
    let folder = tempfile::tempdir().unwrap();
    let file = writer(folder.path(), "c", &[vec![3, 4, 5, 6]]);
    let mut sure = teachers(1);
    sure[0].parameters_mut().iter_mut().for_each(|p| *p *= 1000.0);
    teach(&mut sure, &file, ask(1e-6, 3), (folder.path(), "c"), &Silent).unwrap();
    let (mut ids, mut probabilities) = (Vec::new(), Vec::new());
    Teachings::open(folder.path(), "c", 3, &file).unwrap().read(0, 0..4, &mut ids, &mut probabilities);
    assert_eq!(probabilities, [1.0, 0.0, 0.0].repeat(4));
}

/// Keeps what is told of progress.
#[derive(Default)]
struct Progress(std::sync::Mutex<Vec<u64>>);

impl Monitor for Progress {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: Unit) {}

    fn advance(&self, done: u64, _detail: &str) {
        self.0.lock().unwrap().push(done);
    }

    fn end(&self) {}

    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn a_temperature_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let asked = teach(&mut teachers(1), &file, ask(temperature, 9), (folder.path(), "none"), &Silent);
        assert!(asked.unwrap_err().to_string().contains("temperature"), "{temperature}");
    }
}

/// Beside the teachers, what one of them computes: a row of 32-bit floats for each token of a batch, which one more piece may fill up.
#[test]
fn teaching_takes_the_teachers_and_their_rows() {
    let one = config();
    let bytes = |teachers: &[&Config], context| teaching_bytes(teachers.iter().copied(), context);
    let rows = |rows: usize| (rows * 60 * 4) as f64;
    assert_eq!(bytes(&[&one], 7) - one.scoring_bytes(2055), rows(2055));
    assert_eq!(bytes(&[&one, &one], 7), 2.0 * bytes(&[&one], 7));
    // With a vocabulary of 2^20, probabilities of 16 tokens come to 64 MiB.
    let large = Config { vocab: 1 << 20, ..config() };
    assert_eq!(bytes(&[&large], 0) - large.scoring_bytes(16), (1u64 << 26) as f64);
    let larger = Config { vocab: 1 << 25, ..config() };
    assert_eq!(bytes(&[&larger], 0) - larger.scoring_bytes(1), (1u64 << 27) as f64);
}

fn writer(folder: &std::path::Path, name: &str, documents: &[Vec<u32>]) -> TokenFile {
    let prefix = folder.join(name);
    let mut writer = TokenWriter::create(&prefix, 60).unwrap();
    documents.iter().for_each(|document| writer.push(document).unwrap());
    writer.finish().unwrap();
    TokenFile::open(&prefix).unwrap()
}

#[test]
fn a_student_is_given_what_is_expected_of_the_tokens_that_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    // Two corpora whose documents are longer than the context, and an empty one.
    let one = writer(
        folder.path(),
        "one",
        &(0..9u32).map(|i| (0..i * 3).map(|j| 1 + (i + j) % 59).collect()).collect::<Vec<_>>(),
    );
    let two = writer(
        folder.path(),
        "two",
        &(0..9u32).map(|i| (0..i * 2 + 1).map(|j| 1 + (i * 7 + j * 3) % 59).collect()).collect::<Vec<_>>(),
    );
    let mut teachers = teachers(1);
    let taught = [("one", &one), ("two", &two)].map(|(name, file)| {
        teach(&mut teachers, file, ask(1.0, 4), (folder.path(), &format!("{name}-taught")), &Silent).unwrap();
        Teachings::open(folder.path(), &format!("{name}-taught"), 4, file).unwrap()
    });
    let source = |name: &str, file: &TokenFile, tokens| Source {
        name: name.into(),
        file: file.clone(),
        rows: None,
        tokens,
        repeat: true,
    };
    let plain = || {
        let sources = vec![source("one", &one, 2 * one.tokens()), source("two", &two, 90)];
        let all = 2 * one.tokens() + 90;
        assert!(all.is_multiple_of(18), "{all}");
        PlainStream::new(sources, all / 18, 18, CONTEXT, 0, 3).unwrap()
    };
    let stream = plain().taught(taught.to_vec(), 0.5, 1.0).unwrap();
    // By the tokens before it in its piece, each target's expectation is the teacher's own.
    let (mut batch, mut bare) = (Batch::new(), Batch::new());
    let mut cut = 0;
    for step in 0..stream.steps() {
        stream.fill(step, &mut batch);
        plain().fill(step, &mut bare);
        let soft = batch.soft.take().unwrap();
        assert_eq!(batch, bare, "teachers change no token");
        assert_eq!((soft.ids.len(), soft.top, soft.share, soft.temperature), (18 * 4, 4, 0.5, 1.0));
        for segment in batch.segments() {
            let tokens = &batch.tokens[segment.clone()];
            // A piece that a batch's end has cut in two was asked about whole.
            if segment.start == 0 || segment.end == batch.len() {
                cut += 1;
                continue;
            }
            for (row, expected) in segment.clone().zip(softmax(&mut teachers[0], tokens, 1.0)) {
                let (ids, probabilities) = (&soft.ids[row * 4..][..4], &soft.probabilities[row * 4..][..4]);
                for (id, p) in ids.iter().zip(probabilities) {
                    assert!((f64::from(*p) / expected[*id as usize] - 1.0).abs() < 2e-3, "step {step}, row {row}");
                }
            }
        }
    }
    assert!(cut > 3);
    let refused = |taught: Vec<Teachings>| plain().taught(taught, 0.5, 1.0).err().unwrap().to_string();
    assert_eq!(refused(vec![taught[0].clone()]), "teachings = 1: expected one for each source");
    let other = Teachings::open(folder.path(), "one-taught", 4, &two).unwrap_err().to_string();
    assert!(other.contains("one-taught-ids") && other.contains("is not of the documents of"), "{other}");
    let fewer = Teachings::open(folder.path(), "one-taught", 3, &one).unwrap_err().to_string();
    assert!(fewer.contains("is not of the documents of"), "{fewer}");
}

#[test]
fn rows_that_a_teacher_has_to_spare_are_of_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let plain = teachers(2);
    let written = |teachers: &mut [Decoder<Cpu>], name: &str| {
        let stats = teach(teachers, &file, ask(1.0, 9), (folder.path(), name), &Silent).unwrap();
        let bytes = ["ids", "probabilities"]
            .map(|part| fs_err::read(folder.path().join(format!("{name}-{part}.bin"))).unwrap());
        (stats.tokens, bytes)
    };
    let expected = written(&mut teachers(2), "plain");
    // One of the two has rows of its own, which stand for nothing here.
    let mut wide = plain.into_iter();
    let spare = wide.next().unwrap().with_rows(config().vocab + 5).unwrap();
    let mut mixed: Vec<Decoder<Cpu>> = std::iter::once(spare).chain(wide).collect();
    assert_eq!(written(&mut mixed, "mixed"), expected);
    let lacking = TeachConfig { vocab: config().vocab + 6, ..ask(1.0, 9) };
    let refused = teach(&mut mixed, &file, lacking, (folder.path(), "lacking"), &Silent).unwrap_err().to_string();
    assert!(refused.contains("expected a row for each token"), "{refused}");
}

#[test]
fn a_student_of_a_trained_teacher_comes_nearer_to_it_than_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let outcome = run(folder.path(), &stream(&file, 60), 1, &Silent).unwrap();
    let mut teacher = [Decoder::load(Cpu::new(1).unwrap(), &outcome.last).unwrap().0];
    teach(&mut teacher, &file, TeachConfig { context: 32, ..ask(1.0, 60) }, (folder.path(), "t"), &Silent).unwrap();
    let taught = || vec![Teachings::open(folder.path(), "t", 60, &file).unwrap()];
    let mut divergence = |share: f64| {
        let own = tempfile::tempdir().unwrap();
        let file = corpus(own.path());
        let stream = stream(&file, 20).taught(taught(), share, 1.0).unwrap();
        let outcome = run(own.path(), &stream, 1, &Silent).unwrap();
        let mut student = Decoder::load(Cpu::new(1).unwrap(), &outcome.last).unwrap().0;
        let (text, mut sum) = (file.document(3), 0.0);
        let both = [softmax(&mut teacher[0], &text, 1.0), softmax(&mut student, &text, 1.0)];
        for (p, q) in both[0].iter().zip(&both[1]) {
            sum += p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        }
        (sum / text.len() as f64, outcome.progress.curve.last().unwrap().train_nats.unwrap())
    };
    let (plain, taught_half, taught_all) = (divergence(0.0), divergence(0.5), divergence(1.0));
    assert!(taught_half.0 < plain.0 && taught_all.0 < plain.0, "{plain:?} {taught_half:?} {taught_all:?}");
    assert_ne!(plain.1, taught_half.1);
}
