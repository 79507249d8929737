//! Training runs from start to end: resume, checkpoints, refusals.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod golden;
mod teaching;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cognate_base::{Monitor, Silent, Unit};
use cognate_corpus::{TokenFile, TokenWriter};
use cognate_model::{Batch, Config, Decoder, IGNORE, ScoreItem};
use cognate_ops::Cpu;
use cognate_train::{
    Contrast, Error, Job, Outcome, PairStream, PairTokens, Piece, PlainStream, Point, Progress, Row, Schedule, Shape,
    Source, Stream, TrainConfig, check_room, related_rows, train, training_bytes,
};

fn config() -> Config {
    Config {
        vocab: 60,
        width: 16,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_width: 8,
        ffn: 24,
        max_positions: 64,
        rope_base: 1e4,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: true,
        tied: true,
    }
}

fn settings() -> TrainConfig {
    TrainConfig {
        schedule: Schedule { peak_rate: 1e-2, final_rate: 1e-3, warmup_share: 0.1, shape: Shape::Cosine },
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip: 1.0,
        validate_every: 5,
        checkpoint_every: 4,
        keep_checkpoints: 2,
    }
}

/// Forty documents that count upwards from different starts: something to learn.
fn corpus(folder: &Path) -> TokenFile {
    let prefix = folder.join("tokens");
    let mut writer = TokenWriter::create(&prefix, 60).unwrap();
    for i in 0..40u32 {
        let document: Vec<u32> = (0..8 + i % 9).map(|j| 2 + (i * 3 + j) % 58).chain([0]).collect();
        writer.push(&document).unwrap();
    }
    writer.finish().unwrap();
    TokenFile::open(&prefix).unwrap()
}

fn stream(file: &TokenFile, steps: u64) -> PlainStream {
    let source = Source { name: "unique".into(), file: file.clone(), rows: None, tokens: steps * 64, repeat: true };
    PlainStream::new(vec![source], steps, 64, 32, 0, 1).unwrap()
}

/// The same documents in rows of 32 tokens, those of neighbouring numbers together.
fn row_stream(file: &TokenFile, steps: u64) -> PlainStream {
    let chains: Vec<Vec<u32>> = (0..4).map(|chain| (chain * 10..chain * 10 + 10).collect()).collect();
    let rows = Some(related_rows(file, &chains, 32));
    let source = Source { name: "unique".into(), file: file.clone(), rows, tokens: steps * 64, repeat: true };
    PlainStream::new(vec![source], steps, 64, 32, 0, 1).unwrap()
}

fn validation(file: &TokenFile) -> Vec<ScoreItem> {
    (0..5).map(|i| ScoreItem { prompt: vec![0], continuation: file.document(i) }).collect()
}

fn run(folder: &Path, stream: &dyn Stream, threads: usize, monitor: &dyn Monitor) -> cognate_train::Result<Outcome> {
    run_beside(folder, stream, None, threads, monitor)
}

fn run_beside(
    folder: &Path,
    stream: &dyn Stream,
    contrast: Option<&Contrast>,
    threads: usize,
    monitor: &dyn Monitor,
) -> cognate_train::Result<Outcome> {
    let mut model = Decoder::new(Cpu::new(threads).unwrap(), config(), 1).unwrap();
    run_as(folder, &mut model, stream, contrast, &settings(), monitor)
}

fn run_as(
    folder: &Path,
    model: &mut Decoder<Cpu>,
    stream: &dyn Stream,
    contrast: Option<&Contrast>,
    config: &TrainConfig,
    monitor: &dyn Monitor,
) -> cognate_train::Result<Outcome> {
    let file = TokenFile::open(&folder.join("tokens")).unwrap();
    let job = Job {
        stream,
        validation: &validation(&file),
        choice: &[],
        contrast,
        config,
        folder: &folder.join("run"),
        tokenizer: None,
        fingerprint: "this run",
    };
    train(model, &job, monitor)
}

/// The untrained model.
fn start() -> Decoder<Cpu> {
    Decoder::new(Cpu::new(1).unwrap(), config(), 1).unwrap()
}

fn weights(checkpoint: &Path) -> Vec<f32> {
    Decoder::load(Cpu::new(1).unwrap(), checkpoint).unwrap().0.parameters()
}

/// All lines of metrics.jsonl without the speed, which is all that may differ between two runs.
fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = fs_err::read_to_string(folder.join("run/metrics.jsonl")).unwrap();
    let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter_mut().for_each(|line| {
        let line = line.as_object_mut().unwrap();
        // What depends on the clock; a step has them, a validation has not.
        for clocked in ["tokens_per_s", "fraction_of_matmul"] {
            let found = line.remove(clocked);
            assert_eq!(found.is_some_and(|value| value.as_f64().unwrap() > 0.0), line.contains_key("loss"), "{line:?}");
        }
    });
    lines
}

/// Asks to stop after a number of steps.
struct StopAfter(AtomicU64);

impl Monitor for StopAfter {
    fn begin(&self, _: &str, _: Option<u64>, _: Unit) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// The same batch at every step.
struct Same {
    batch: Batch,
    steps: u64,
}

impl Stream for Same {
    fn steps(&self) -> u64 {
        self.steps
    }
    fn tokens(&self) -> u64 {
        self.steps * self.batch.len() as u64
    }
    fn fill(&self, _: u64, batch: &mut Batch) {
        batch.clone_from(&self.batch);
    }
}

/// Keeps what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Monitor for Told {
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit) {
        self.0.lock().unwrap().push(format!("{what} {total:?} {unit:?}"));
    }
    fn advance(&self, done: u64, detail: &str) {
        self.0.lock().unwrap().push(format!("{done} {detail}"));
    }
    fn end(&self) {
        self.0.lock().unwrap().push("end".into());
    }
    fn interrupted(&self) -> bool {
        false
    }
}

#[test]
fn training_learns_and_its_records_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 60);
    let outcome = run(folder.path(), &stream, 2, &Silent).unwrap();
    let progress = &outcome.progress;
    assert_eq!((progress.step, progress.tokens, progress.scored_tokens), (60, 60 * 64, 60 * 64));
    let curve: Vec<(u64, f64)> = progress.curve.iter().map(|p| (p.step, p.validation_nats.unwrap())).collect();
    assert_eq!(curve.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (0..=60).step_by(5).collect::<Vec<_>>());
    // At the start all 60 tokens are about equally likely; counting upwards is then learned.
    assert!((curve[0].1 - 60f64.ln()).abs() < 0.1, "{curve:?}");
    assert!(curve.last().unwrap().1 < 0.8 * curve[0].1, "{curve:?}");
    let best = curve[1..].iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(progress.best, Some(*best));
    assert_eq!(outcome.best, folder.path().join(format!("run/checkpoints/step-{:08}", best.0)));
    assert!(outcome.best.join("model.safetensors").exists() && outcome.last.join("config.json").exists());
    let lines = metrics(folder.path());
    assert_eq!(lines.len(), 60 + curve.len());
    // Every step scores as many tokens, so a point's training loss is the mean of its steps' losses.
    let losses: Vec<f64> = lines.iter().filter_map(|line| line.get("loss")?.as_f64()).collect();
    assert_eq!(progress.curve[0].train_nats, None);
    for (point, losses) in progress.curve[1..].iter().zip(losses.chunks(5)) {
        let mean = losses.iter().sum::<f64>() / 5.0;
        assert!((point.train_nats.unwrap() - mean).abs() < 1e-12, "{point:?} {losses:?}");
    }
    let kept = fs_err::read_dir(folder.path().join("run/checkpoints")).unwrap().count();
    assert!((2..=3).contains(&kept), "the two newest and the best, not {kept}");
}

#[test]
fn a_run_stopped_anywhere_ends_with_the_bits_of_one_that_was_not() {
    let undisturbed = tempfile::tempdir().unwrap();
    let whole = run(undisturbed.path(), &stream(&corpus(undisturbed.path()), 23), 2, &Silent).unwrap();
    let disturbed = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(disturbed.path()), 23);
    for stop_after in [3, 1, 6, 4] {
        let error = run(disturbed.path(), &stream, 1, &StopAfter(stop_after.into())).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)));
    }
    // A kill between checkpoints leaves metrics of steps that are done again, and perhaps half a line.
    let path = disturbed.path().join("run/metrics.jsonl");
    let mut text = fs_err::read_to_string(&path).unwrap();
    text.push_str("{\"step\":15,\"tokens\":960,\"loss\":9.0}\n{\"step\":16,\"tok");
    cognate_base::files::write_atomic(&path, text).unwrap();
    let resumed = run(disturbed.path(), &stream, 2, &Silent).unwrap();
    assert_eq!(weights(&resumed.last), weights(&whole.last));
    assert_eq!(metrics(disturbed.path()), metrics(undisturbed.path()));
    let mut progress = resumed.progress.clone();
    progress.wall_s = whole.progress.wall_s;
    assert_eq!(progress, whole.progress);
    // And once more: everything is there already.
    let again = run(disturbed.path(), &stream, 2, &StopAfter(1.into())).unwrap();
    assert_eq!(again.progress, resumed.progress);
}

#[test]
fn rows_of_documents_resume_to_the_same_bits() {
    let undisturbed = tempfile::tempdir().unwrap();
    let whole = run(undisturbed.path(), &row_stream(&corpus(undisturbed.path()), 23), 2, &Silent).unwrap();
    let alone = tempfile::tempdir().unwrap();
    let plain = run(alone.path(), &stream(&corpus(alone.path()), 23), 2, &Silent).unwrap();
    assert_ne!(weights(&whole.last), weights(&plain.last));
    assert!(whole.progress.flops > plain.progress.flops, "attention over rows is more work");
    let disturbed = tempfile::tempdir().unwrap();
    let file = corpus(disturbed.path());
    for stop_after in [3, 7, 2] {
        let error = run(disturbed.path(), &row_stream(&file, 23), 1, &StopAfter(stop_after.into())).unwrap_err();
        assert!(matches!(error, Error::Interrupted(_)));
    }
    let resumed = run(disturbed.path(), &row_stream(&file, 23), 2, &Silent).unwrap();
    assert_eq!(weights(&resumed.last), weights(&whole.last));
    assert_eq!(metrics(disturbed.path()), metrics(undisturbed.path()));
}

/// What a document's loss depends on: its own tokens alone, or also those of the document before it in its row.
#[test]
fn attention_crosses_the_documents_of_a_row_and_of_nothing_else() {
    /// The loss on the second document's four tokens, where the first is `first`.
    fn loss(first: [u32; 5], rows: Option<Vec<Row>>) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().join("tokens");
        let mut writer = TokenWriter::create(&prefix, 60).unwrap();
        writer.push(&first).unwrap();
        writer.push(&[20, 21, 22, 0]).unwrap();
        writer.finish().unwrap();
        let file = TokenFile::open(&prefix).unwrap();
        let source = Source { name: "unique".into(), file, rows, tokens: 9, repeat: true };
        let stream = PlainStream::new(vec![source], 1, 9, 32, 0, 1).unwrap();
        let mut batch = Batch::new();
        stream.fill(0, &mut batch);
        let second = batch.targets.iter().position(|target| *target == 20).unwrap();
        for (at, target) in batch.targets.iter_mut().enumerate() {
            if !(second..second + 4).contains(&at) {
                *target = IGNORE;
            }
        }
        let mut model = Decoder::new(Cpu::new(1).unwrap(), config(), 1).unwrap();
        let mut gradients = model.gradients();
        model.loss_and_gradients(&batch, &mut gradients, 1.0).unwrap()
    }
    let (this, that) = ([5, 6, 7, 8, 0], [45, 36, 27, 18, 0]);
    assert_eq!(loss(this, None), loss(that, None));
    let pieces = [Piece { document: 0, from: 0, to: 5 }, Piece { document: 1, from: 0, to: 4 }];
    let together = Some(vec![vec![pieces.to_vec()]]);
    assert!((loss(this, together.clone()) - loss(that, together)).abs() > 1e-4);
    let apart = pieces.map(|piece| vec![piece]);
    assert_eq!(loss(this, Some(apart.clone().map(|segment| vec![segment]).to_vec())), loss(that, None));
    assert_eq!(loss(this, Some(vec![apart.to_vec()])), loss(that, None), "two segments of one row");
}

#[test]
fn saved_state_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 4);
    let outcome = run(folder.path(), &stream, 1, &Silent).unwrap();
    let refused = || {
        let error = run(folder.path(), &stream, 1, &Silent).unwrap_err().to_string();
        error.replace(outcome.last.to_str().unwrap(), "…")
    };
    let state = outcome.last.join("training.json");
    let good = fs_err::read_to_string(&state).unwrap();
    let write = |text: &str| cognate_base::files::write_atomic(&state, text).unwrap();
    write(&good.replace("this run", "another"));
    assert_eq!(
        refused(),
        "…/training.json: belongs to another training run (fingerprint another, this run has this run)"
    );
    write(&good.replace("\"format\": 2", "\"format\": 9"));
    assert_eq!(refused(), "…/training.json: format 9; this version reads format 2");
    write("{}");
    assert_eq!(refused(), "…/training.json: no format; this version reads format 2");
    write(&good[..50]);
    assert!(refused().starts_with("…/training.json: EOF while parsing"), "{}", refused());
    write(&good);
    for name in ["optimizer.safetensors", "model.safetensors"] {
        let path = outcome.last.join(name);
        let bytes = fs_err::read(&path).unwrap();
        let write = |bytes: &[u8]| cognate_base::files::write_atomic(&path, bytes).unwrap();
        let mut flipped = bytes.clone();
        let last = flipped.len() - 3;
        flipped[last] ^= 1; // a bit of a number's fraction: a number like any other
        for damaged in [&bytes[..100], &flipped] {
            write(damaged);
            let expected = format!("…/{name}: is damaged: its content is not what was saved; delete this checkpoint");
            assert!(refused().starts_with(&expected), "{}", refused());
        }
        write(&bytes);
    }
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let stream = stream(&file, 40);
    // A learning rate past anything sane drives the weights to infinity within a few steps.
    let mut config = settings();
    config.schedule = Schedule { peak_rate: 1e38, final_rate: 1e38, warmup_share: 0.3, shape: Shape::Constant };
    config.checkpoint_every = 1;
    config.validate_every = 100;
    config.schedule.warmup_share = 0.0;
    let mut model = Decoder::new(Cpu::new(1).unwrap(), self::config(), 1).unwrap();
    let job = Job {
        stream: &stream,
        validation: &[],
        choice: &[],
        contrast: None,
        config: &config,
        folder: &folder.path().join("run"),
        tokenizer: None,
        fingerprint: "x",
    };
    let error = train(&mut model, &job, &Silent).unwrap_err();
    let Error::NotFinite { step, last, .. } = &error else { panic!("{error}") };
    let last = last.clone().unwrap();
    assert_eq!(last.file_name().unwrap().to_str().unwrap(), format!("step-{:08}", step - 1));
    assert!(last.join("model.safetensors").exists());
    assert!(error.to_string().contains(&format!("step {step}: the ")), "{error}");
}

#[test]
fn tuning_runs_on_the_same_loop() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let pairs: Vec<(u32, u32)> = (0..39).map(|i| (i, i + 1)).collect();
    let frame = PairTokens { begin_of_document: 0, related: 1, context: 40 };
    let stream = PairStream::new(file, &pairs, 6, 120, frame, 1).unwrap();
    let outcome = run(folder.path(), &stream, 2, &Silent).unwrap();
    let progress = &outcome.progress;
    assert_eq!((progress.step, progress.tokens), (stream.steps(), stream.tokens()));
    assert!(progress.scored_tokens < progress.tokens * 6 / 10, "d1's tokens are not scored");
    let first = progress.curve[1].train_nats.unwrap();
    assert!(progress.curve.last().unwrap().train_nats.unwrap() < 0.8 * first, "{:?}", progress.curve);
}

#[test]
fn the_best_checkpoint_saves_most_after_the_right_seed_and_where_none_saves_anything_has_the_lowest_loss() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let stream = stream(&file, 60);
    let right = validation(&file);
    // The same continuations after tokens that no document begins with.
    let wrong: Vec<ScoreItem> = right.iter().map(|item| ScoreItem { prompt: vec![59, 7], ..item.clone() }).collect();
    let of = |random_seed: &[ScoreItem], no_seed: &[ScoreItem]| {
        let contrast = Contrast { random_seed: random_seed.to_vec(), no_seed: no_seed.to_vec() };
        let _ = fs_err::remove_dir_all(folder.path().join("run"));
        run_beside(folder.path(), &stream, Some(&contrast), 2, &Silent).unwrap().progress
    };
    let highest = |progress: &Progress, of: fn(&Point) -> f64| {
        progress.curve.iter().max_by(|a, b| of(a).total_cmp(&of(b))).map(|point| point.step)
    };
    let gain = |point: &Point| point.seed_gain().unwrap();
    let loss = |point: &Point| -point.validation_nats.unwrap();

    let saves = of(&wrong, &wrong);
    assert_eq!(saves.best.map(|(step, _)| step), highest(&saves, gain));
    assert!(saves.best_gain.unwrap() > 0.1 && saves.best_gain == saves.curve.iter().map(gain).reduce(f64::max));
    // What is saved over the worse of the two contexts is not what counts.
    let over_one = of(&wrong, &right);
    assert_eq!(over_one.best_gain, Some(0.0));
    assert_eq!(over_one.best.map(|(step, _)| step), highest(&over_one, loss));
    assert_ne!(highest(&over_one, loss), Some(0), "the first checkpoint would do as well");
}

#[test]
fn the_best_checkpoint_has_the_lowest_loss_on_what_it_is_chosen_by() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let stream = stream(&file, 60);
    // No document holds these tokens in this order, so the longer the training, the less likely they are.
    let strange = [ScoreItem { prompt: vec![0], continuation: vec![59, 7, 59, 7, 59, 7] }];
    let job = Job {
        stream: &stream,
        validation: &validation(&file),
        choice: &strange,
        contrast: None,
        config: &settings(),
        folder: &folder.path().join("run"),
        tokenizer: None,
        fingerprint: "this run",
    };
    let progress = train(&mut start(), &job, &Silent).unwrap().progress;
    // The start is no candidate.
    let lowest = |of: fn(&Point) -> Option<f64>| {
        let nats = progress.curve[1..].iter().map(|point| (point.step, of(point).unwrap()));
        nats.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    let by_validation = lowest(|point| point.validation_nats);
    let chosen = lowest(|point| point.choice_nats);
    assert_eq!(progress.best, Some(chosen));
    assert_ne!(chosen.0, by_validation.0, "both choose the same");
    let written: Vec<f64> =
        metrics(folder.path()).iter().filter_map(|line| line["choice_nats_per_token"].as_f64()).collect();
    assert_eq!(written, progress.curve.iter().map(|point| point.choice_nats.unwrap()).collect::<Vec<_>>());
}

#[test]
fn impossible_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 4);
    let refused = |change: fn(&mut TrainConfig)| {
        let mut config = settings();
        change(&mut config);
        let mut model = Decoder::new(Cpu::new(1).unwrap(), self::config(), 1).unwrap();
        let job = Job {
            stream: &stream,
            validation: &[],
            choice: &[],
            contrast: None,
            config: &config,
            folder: &folder.path().join("run"),
            tokenizer: None,
            fingerprint: "x",
        };
        train(&mut model, &job, &Silent).unwrap_err().to_string()
    };
    assert_eq!(refused(|c| c.validate_every = 0), "validate_every = 0: expected at least 1 step");
    assert_eq!(refused(|c| c.clip = -1.0), "clip = -1: expected a positive number");
    assert_eq!(refused(|c| c.epsilon = 0.0), "epsilon = 0: expected a positive number");
    assert_eq!(refused(|c| c.schedule.peak_rate = f64::NAN), "peak_rate = NaN: expected a positive number");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_checkpoint_is_there_after_every_fourth_step_after_each_that_is_the_best_so_far_and_after_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 23);
    let config = TrainConfig { keep_checkpoints: 100, ..settings() };
    let progress = run_as(folder.path(), &mut start(), &stream, None, &config, &Silent).unwrap().progress;
    let mut lowest = f64::INFINITY;
    let mut expected: Vec<u64> = vec![4, 8, 12, 16, 20, 23];
    for point in &progress.curve[1..] {
        let nats = point.validation_nats.unwrap();
        if nats < lowest {
            (lowest, _) = (nats, expected.push(point.step));
        }
    }
    expected.sort_unstable();
    expected.dedup();
    assert!(expected.contains(&5) && expected.contains(&10), "{expected:?}");
    let checkpoints = fs_err::read_dir(folder.path().join("run/checkpoints")).unwrap();
    let mut found: Vec<String> = checkpoints.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, expected.iter().map(|step| format!("step-{step:08}")).collect::<Vec<_>>());
}

#[test]
fn of_checkpoints_that_are_as_good_the_first_is_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 15);
    // At this rate no weight changes in any of its digits.
    let still = Schedule { peak_rate: 1e-30, final_rate: 1e-30, ..settings().schedule };
    let config = TrainConfig { schedule: still, ..settings() };
    let progress = run_as(folder.path(), &mut start(), &stream, None, &config, &Silent).unwrap().progress;
    let losses: Vec<Option<f64>> = progress.curve.iter().map(|point| point.validation_nats).collect();
    assert_eq!(losses, [losses[0]; 4]);
    assert_eq!(progress.best.map(|(step, _)| step), Some(5));
}

#[test]
fn a_monitor_hears_what_is_done_how_many_tokens_there_are_and_how_many_are_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = corpus(folder.path());
    let told = |stream: &dyn Stream| {
        let told = Told::default();
        run(folder.path(), stream, 1, &told).unwrap();
        told.0.into_inner().unwrap()
    };
    let training = told(&stream(&file, 2));
    assert_eq!(training[..2], ["train Some(128) Tokens", "0 "]);
    assert!(training[2].starts_with("64 loss 4.") && training[3].starts_with("128 loss 4."), "{training:?}");
    assert_eq!(training[4..], ["end"]);
    assert_eq!(told(&stream(&file, 2)), ["train Some(128) Tokens", "128 ", "end"], "all is done already");
    fs_err::remove_dir_all(folder.path().join("run")).unwrap();
    let frame = PairTokens { begin_of_document: 0, related: 1, context: 40 };
    let pairs = PairStream::new(file, &[(0, 1), (1, 2)], 1, 40, frame, 1).unwrap();
    assert_eq!(told(&pairs)[0], format!("tune Some({}) Tokens", pairs.tokens()));
}

#[test]
fn the_speeds_of_a_run_agree_with_each_other_and_its_time_goes_on_where_it_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let mut batch = Batch::new();
    batch.push(&[3; 48], &[4; 48]);
    batch.push(&[5; 16], &[6; 16]);
    let stream = Same { batch, steps: 12 };
    let started = Instant::now();
    let whole_s = |progress: &Progress| {
        let whole_s = started.elapsed().as_secs_f64();
        assert!(progress.wall_s > 0.0 && progress.wall_s < whole_s, "{} of {whole_s}", progress.wall_s);
        whole_s
    };
    run(folder.path(), &stream, 1, &StopAfter(3.into())).unwrap_err();
    let saved = fs_err::read_to_string(folder.path().join("run/checkpoints/step-00000003/training.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    let first: Progress = serde_json::from_value(saved["progress"].clone()).unwrap();
    whole_s(&first);
    let progress = run(folder.path(), &stream, 1, &Silent).unwrap().progress;
    let whole_s = whole_s(&progress);
    assert!(progress.wall_s > first.wall_s);

    let text = fs_err::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let speeds: Vec<[f64; 2]> = lines
        .filter(|line| line.get("loss").is_some())
        .map(|line| ["tokens_per_s", "fraction_of_matmul"].map(|name| line[name].as_f64().unwrap()))
        .collect();
    assert_eq!(speeds.len(), 12);
    let steps_s: f64 = speeds.iter().map(|[tokens_per_s, _]| 64.0 / tokens_per_s).sum();
    assert!(steps_s < whole_s, "{steps_s} of {whole_s}");
    // Every step has as many operations, so within a sitting one speed is a multiple of the other.
    for sitting in [&speeds[..3], &speeds[3..]] {
        let multiple = |[tokens_per_s, fraction]: [f64; 2]| fraction / tokens_per_s;
        assert!(
            sitting.iter().all(|speed| (multiple(*speed) / multiple(sitting[0]) - 1.0).abs() < 1e-9),
            "{sitting:?}"
        );
    }
    // Whatever else the machine does, a step is not a hundred times as quick as products alone.
    assert!(speeds.iter().all(|[_, fraction]| *fraction < 100.0), "{speeds:?}");
}

#[test]
fn a_checkpoint_of_another_architecture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 4);
    let outcome = run(folder.path(), &stream, 1, &Silent).unwrap();
    let refused = |change: fn(&mut Config)| {
        let mut other = config();
        change(&mut other);
        let mut model = Decoder::new(Cpu::new(1).unwrap(), other, 1).unwrap();
        let error = run_as(folder.path(), &mut model, &stream, None, &settings(), &Silent).unwrap_err().to_string();
        error.replace(outcome.last.to_str().unwrap(), "…")
    };
    let (saved, wider) = (config().parameters(), config().parameters() + 2 * 3 * 16 * 8);
    assert_eq!(
        refused(|config| config.ffn += 8),
        format!("…/optimizer.safetensors: first_moment has {saved} values for {wider} parameters")
    );
    assert_eq!(refused(|config| config.rope_base = 1e5), "…/config.json: is a checkpoint of another architecture");
}

#[test]
fn training_holds_a_piece_of_a_batch_and_its_longest_segment_at_most() {
    let config = config();
    assert_eq!(training_bytes(&config, 100, 32), config.training_bytes(100));
    assert_eq!(training_bytes(&config, 5000, 32), config.training_bytes(2048 + 32));
    assert_eq!(training_bytes(&config, usize::MAX, usize::MAX), config.training_bytes(usize::MAX));
}

#[test]
#[cfg(target_os = "linux")]
fn a_model_that_no_machine_can_train_is_refused_before_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let stream = stream(&corpus(folder.path()), 4);
    check_room(&config(), &stream).unwrap();
    let huge = Config { width: 1 << 16, ffn: 1 << 18, layers: 1000, ..config() };
    let error = check_room(&huge, &stream).unwrap_err().to_string();
    assert!(error.starts_with("training this model takes about "), "{error}");
}
