//! Skip, resume, refuse: what a run directory does with what it finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor, Silent, Unit};
use serde_json::json;

use super::*;

fn identity(rate: f64) -> Identity {
    Identity {
        stage: "train".to_owned(),
        code: 1,
        config: json!({"seed": 0, "train": {"peak_rate": rate, "clip": 1.0}}),
        inputs: BTreeMap::from([("the unique tokens".to_owned(), Hash::of("tokens"))]),
    }
}

fn open(state: State) -> Attempt {
    match state {
        State::Open(attempt) => attempt,
        State::Done(manifest) => panic!("done already: {manifest:?}"),
    }
}

/// A run directory with one finished artifact `a` of one file.
fn finished() -> (tempfile::TempDir, RunDir) {
    let scratch = tempfile::tempdir().unwrap();
    let run = RunDir::open(&scratch.path().join("run")).unwrap();
    let attempt = open(run.enter(Path::new("a"), identity(1.0), 7, true).unwrap());
    cognate_base::files::write_atomic(attempt.folder().join("x/data.txt"), "content").unwrap();
    let rows = BTreeMap::from([("x/data.txt".to_owned(), 3)]);
    let work = Work { statistics: json!({"n": 3}), flops: 1e9, tokens: 10, documents: 3 };
    attempt.finish(&[PathBuf::from("x")], &rows, work).unwrap();
    (scratch, run)
}

fn refusal(result: Result<State>) -> (String, String) {
    let error = result.expect_err("it is refused");
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn a_run_of_the_first_release_is_refused_whatever_it_is_asked_for() {
    let recipe = "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n";
    let folder = |stage: &str, code: u32| {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("run");
        let run = RunDir::open(&root).unwrap();
        let identity = Identity { stage: stage.to_owned(), code, ..identity(1.0) };
        let attempt = open(run.enter(Path::new(stage), identity, 7, true).unwrap());
        attempt.finish(&[], &BTreeMap::new(), Work::default()).unwrap();
        drop(run);
        cognate_base::files::write_atomic(root.join(RECIPE), recipe).unwrap();
        (scratch, root)
    };
    for (stage, code, first) in [("ingest", 3, true), ("ingest", 4, false), ("pair", 1, true), ("tune", 1, true)] {
        let (_scratch, root) = folder(stage, code);
        let asked = [
            RunDir::open(&root).map(drop).map_err(|error| error.to_string()),
            crate::status(&root).map(drop).map_err(|error| error.to_string()),
            crate::reports(std::slice::from_ref(&root)).map(drop).map_err(|error| error.to_string()),
        ];
        let said = format!(
            "{} is a run of release 0.1.0, which this build can neither go on with nor report on",
            root.display()
        );
        for found in asked {
            assert_eq!(found.clone().err() == Some(said.clone()), first, "{stage} {code}: {found:?}");
        }
    }
}

#[test]
fn a_finished_artifact_is_skipped() {
    let (_scratch, run) = finished();
    let State::Done(manifest) = run.enter(Path::new("a"), identity(1.0), 7, true).unwrap() else { panic!("not done") };
    assert_eq!(manifest.fingerprint, identity(1.0).fingerprint());
    assert_eq!(manifest.files.len(), 1);
    let file = &manifest.files[0];
    assert_eq!((file.path.as_str(), file.bytes, file.hash, file.rows), ("x/data.txt", 7, Hash::of("content"), Some(3)));
    assert_eq!((manifest.seed, manifest.work.tokens), (7, 10));
    let names: Vec<_> = fs_err::read_dir(run.folder(Path::new("a"))).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no marks stay: {names:?}");
}

#[test]
fn another_configuration_is_refused_by_key() {
    let (_scratch, run) = finished();
    let folder = run.folder(Path::new("a"));
    let (message, hint) = refusal(run.enter(Path::new("a"), identity(2.0), 7, true));
    assert_eq!(
        message,
        format!("{} was made from something else: [train] peak_rate was 1.0 and is 2.0 now", folder.display())
    );
    assert_eq!(
        hint,
        format!(
            "give this recipe another directory with --out, or delete {} and what was made from it to make them again",
            folder.display()
        )
    );
    let early = run.check_config(Path::new("a"), "train", 1, &identity(2.0).config, true).expect_err("refused at once");
    assert_eq!(early.to_string(), message);
    run.check_config(Path::new("a"), "train", 1, &identity(1.0).config, true).unwrap();
}

#[test]
fn other_inputs_and_other_code_are_refused() {
    let (_scratch, run) = finished();
    let mut other = identity(1.0);
    other.inputs.insert("the unique tokens".to_owned(), Hash::of("others"));
    other.code = 2;
    let (message, _) = refusal(run.enter(Path::new("a"), other, 7, true));
    assert!(
        message
            .ends_with("by version 1 of the train stage, and this is version 2; the unique tokens had another content"),
        "{message}"
    );
}

#[test]
fn a_damaged_artifact_is_named() {
    let (_scratch, run) = finished();
    let path = run.folder(Path::new("a")).join("x/data.txt");
    cognate_base::files::write_atomic(&path, "cont").unwrap();
    let (message, hint) = refusal(run.enter(Path::new("a"), identity(1.0), 7, true));
    assert_eq!(message, format!("{} is damaged: its manifest says 7 bytes, and there are 4", path.display()));
    assert_eq!(hint, format!("delete {} and run again to make it anew", run.folder(Path::new("a")).display()));
    // The same size, one bit off.
    cognate_base::files::write_atomic(&path, "contenu").unwrap();
    let (message, _) = refusal(run.enter(Path::new("a"), identity(1.0), 7, true));
    assert!(
        message.contains("is damaged: its manifest says content ") && message.contains(", and there is "),
        "{message}"
    );
    fs_err::remove_file(&path).unwrap();
    let (message, _) = refusal(run.enter(Path::new("a"), identity(1.0), 7, true));
    assert!(message.ends_with("its manifest says 7 bytes, and it is not there"), "{message}");
}

#[test]
fn a_corrupt_manifest_is_named() {
    let (_scratch, run) = finished();
    let path = run.folder(Path::new("a")).join(MANIFEST);
    for (content, problem) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("{}", "it has no field `format`"),
        ("{\"format\": 2}", "its format is 2; this version reads 1"),
        ("{\"format\": 1}", "missing field `fingerprint`"),
    ] {
        cognate_base::files::write_atomic(&path, content).unwrap();
        let (message, _) = refusal(run.enter(Path::new("a"), identity(1.0), 7, true));
        assert_eq!(message, format!("{} is damaged: {problem}", path.display()));
    }
}

/// Lets the manifest of the artifact in `folder` list its only file by another path.
fn rename_listed(folder: &Path, path: &str) {
    let manifest = folder.join(MANIFEST);
    let text = fs_err::read_to_string(&manifest).unwrap();
    let listed = serde_json::Value::from(path).to_string();
    cognate_base::files::write_atomic(&manifest, text.replace("\"x/data.txt\"", &listed)).unwrap();
}

#[test]
fn a_manifest_lists_files_below_its_folder_alone() {
    for path in ["../../victim", "/VICTIM", "x/../../a/x/data.txt", "./x/data.txt", "", MANIFEST] {
        let (scratch, run) = finished();
        let victim = scratch.path().join("victim");
        cognate_base::files::write_atomic(&victim, "content").unwrap();
        let path = path.replace("/VICTIM", &victim.display().to_string());
        let folder = run.folder(Path::new("a"));
        rename_listed(&folder, &path);
        let expected = format!(
            "{} is damaged: it lists the file {path:?}, which cannot be one of this artifact",
            folder.join(MANIFEST).display()
        );
        let (message, hint) = refusal(run.enter(Path::new("a"), identity(1.0), 7, true));
        assert_eq!(message, expected);
        assert_eq!(hint, format!("delete {} and run again to make it anew", folder.display()));
        // Nor is it taken over: the stage is done here.
        cognate_base::files::write_atomic(run.root().join(RECIPE), "").unwrap();
        let other = RunDir::open(&scratch.path().join("other")).unwrap().reusing(run.root()).unwrap();
        open(other.enter(Path::new("a"), identity(1.0), 7, true).unwrap());
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "content", "{path}");
        assert!(reuse::take_over(&folder, &scratch.path().join("third"), no_link).is_err());
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "content", "{path}");
    }
}

/// A file system without links.
fn no_link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::CrossesDevices.into())
}

#[test]
fn what_cannot_be_linked_is_copied() {
    use std::os::unix::fs::MetadataExt as _;
    let (scratch, run) = finished();
    let folder = run.folder(Path::new("a"));
    let file = folder.join("x/data.txt");
    // A file that was moved to another disk, with a link in its place.
    let moved = scratch.path().join("moved.txt");
    fs_err::rename(&file, &moved).unwrap();
    fs_err::os::unix::fs::symlink("../../../moved.txt", &file).unwrap();
    cognate_base::files::write_atomic(folder.join("checkpoints/step-1/model"), "weights").unwrap();
    let hard_link = |from: &Path, to: &Path| fs_err::hard_link(from, to);
    let links: [(&str, reuse::Link, bool); 2] = [("linked", hard_link, true), ("copied", no_link, false)];
    for (name, link, is_linked) in links {
        let other = scratch.path().join("other").join(name);
        cognate_base::files::write_atomic(other.join("left.txt"), "of an attempt").unwrap();
        reuse::take_over(&folder, &other, link).unwrap();
        let taken = fs_err::symlink_metadata(other.join("x/data.txt")).unwrap();
        assert!(taken.is_file(), "a link would lead elsewhere");
        assert_eq!(taken.ino() == fs_err::metadata(&moved).unwrap().ino(), is_linked);
        assert_eq!(fs_err::read_to_string(other.join("x/data.txt")).unwrap(), "content");
        assert_eq!(Manifest::read(&other).unwrap(), Manifest::read(&folder).unwrap());
        assert_eq!(other.join("checkpoints/step-1/model").exists(), is_linked, "all checkpoints or none");
        let left = fs_err::read_dir(other.join("x")).unwrap().count();
        assert!(left == 1 && !other.join("left.txt").exists());
    }
}

#[test]
fn a_copy_is_written_over_nothing() {
    /// Says that there are no links, behind something that took the place: the file itself, as it were.
    fn taken(from: &Path, to: &Path) -> std::io::Result<()> {
        fs_err::hard_link(from, to)?;
        no_link(from, to)
    }
    let (scratch, run) = finished();
    let (folder, other) = (run.folder(Path::new("a")), scratch.path().join("other"));
    let error = reuse::take_over(&folder, &other, taken).expect_err("something is there").to_string();
    assert_eq!(error, format!("{} is there already, and is not written over", other.join("x/data.txt").display()));
    assert_eq!(fs_err::read_to_string(folder.join("x/data.txt")).unwrap(), "content");
    assert!(!other.join(MANIFEST).exists());
}

#[test]
fn a_partial_artifact_resumes_or_begins_anew() {
    let scratch = tempfile::tempdir().unwrap();
    let run = RunDir::open(scratch.path()).unwrap();
    for (name, resumes) in [("long", true), ("short", false)] {
        let attempt = open(run.enter(Path::new(name), identity(1.0), 7, resumes).unwrap());
        let kept = attempt.folder().join("kept.txt");
        cognate_base::files::write_atomic(&kept, "half").unwrap();
        cognate_base::files::write_atomic(attempt.folder().join(".x.123.partial"), "torn").unwrap();
        fs_err::create_dir_all(attempt.folder().join("inner/.y.123.partial/z")).unwrap();
        drop(attempt);
        let attempt = open(run.enter(Path::new(name), identity(1.0), 7, resumes).unwrap());
        assert_eq!(kept.exists(), resumes);
        assert!(!attempt.folder().join(".x.123.partial").exists());
        assert!(!attempt.folder().join("inner/.y.123.partial").exists());
    }
    let (message, _) = refusal(run.enter(Path::new("long"), identity(2.0), 7, true));
    assert!(
        message.contains("long was begun from something else: [train] peak_rate was 1.0 and is 2.0 now"),
        "{message}"
    );
    // Nothing is lost when what begins anew anyway begins from something else.
    open(run.enter(Path::new("short"), identity(2.0), 7, false).unwrap());
}

#[test]
fn time_adds_up_over_attempts() {
    let scratch = tempfile::tempdir().unwrap();
    let run = RunDir::open(scratch.path()).unwrap();
    let mut attempt = open(run.enter(Path::new("a"), identity(1.0), 7, true).unwrap());
    attempt.spent_before_s = 100.0;
    let watched = Watched::new(&Silent, "train a", &attempt);
    watched.begin("steps", Some(8), Unit::Tokens);
    watched.advance(3, "loss 1.0");
    watched.stop();
    let progress = Progress::read(attempt.folder()).unwrap().unwrap();
    assert_eq!((progress.what.as_str(), progress.done, progress.detail.as_str()), ("steps", 3, "loss 1.0"));
    let attempt = open(run.enter(Path::new("a"), identity(1.0), 7, true).unwrap());
    assert!(attempt.spent_s() >= 100.0);
}

#[test]
fn one_directory_has_one_writer() {
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(Claim::holder(scratch.path()).unwrap(), None);
    let run = RunDir::open(scratch.path()).unwrap();
    let error = RunDir::open(scratch.path()).expect_err("it is taken");
    let message = error.to_string();
    let holder = format!("is in use: process {} on ", std::process::id());
    assert!(message.contains(&holder), "{message}");
    assert_eq!(error.hint().unwrap(), "wait until it has ended, or write to another place");
    assert!(Claim::holder(scratch.path()).unwrap().is_some());
    drop(run);
    assert_eq!(Claim::holder(scratch.path()).unwrap(), None);
    RunDir::open(scratch.path()).unwrap();
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    cognate_base::files::write_atomic(scratch.path().join("thesis.tex"), "\\begin").unwrap();
    let error = RunDir::open(scratch.path()).expect_err("it is no run");
    assert_eq!(error.to_string(), format!("{} is not empty and no run directory", scratch.path().display()));
    assert_eq!(fs_err::read_dir(scratch.path()).unwrap().count(), 1);
}

#[test]
fn fingerprints_depend_on_content_and_not_on_order() {
    let a = identity(1.0);
    let mut b = identity(1.0);
    b.config = serde_json::from_str(r#"{"train": {"clip": 1.0, "peak_rate": 1.0}, "seed": 0}"#).unwrap();
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert_ne!(a.fingerprint(), identity(1.0 + f64::EPSILON).fingerprint());
    // The bytes that are hashed must not change silently: every existing run would be refused.
    assert_eq!(a.fingerprint().to_string(), "a073f1af7615299890d197f20e21db509271800cfa44f9313c4645f060038296");
}

/// `COGNATE_FUZZ_INPUTS` says how many.
#[test]
fn a_damaged_manifest_is_refused_by_name_or_found_as_it_was() {
    let (scratch, run) = finished();
    let folder = run.folder(Path::new("a"));
    let path = folder.join(MANIFEST);
    let good: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let victim = scratch.path().join("x");
    cognate_base::files::write_atomic(&victim, "content").unwrap();
    let inputs = damaged_json::inputs(10_000);
    let mut done = 0;
    for input in 0..inputs {
        let mut random = cognate_base::random::stream(6, MANIFEST, input);
        fs_err::write(&path, damaged_json::damaged(&good, &mut random)).unwrap();
        let other = scratch.path().join("other");
        // It waits for the disk.
        if input.is_multiple_of(64)
            && let Err(error) = reuse::take_over(&folder, &other, no_link)
        {
            let message = error.to_string();
            assert!(message.contains(&folder.display().to_string()) || message.contains("other"), "{input}: {message}");
        }
        match run.enter(Path::new("a"), identity(1.0), 7, true) {
            Ok(State::Done(manifest)) => {
                done += 1;
                let expected = Identity { stage: manifest.identity.stage.clone(), ..identity(1.0) };
                assert_eq!(manifest.identity, expected, "{input}");
            }
            Ok(State::Open(_)) => panic!("{input}: a damaged manifest is none"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(&folder.display().to_string()), "{input}: {message}");
            }
        }
        assert_eq!(fs_err::read_to_string(folder.join("x/data.txt")).unwrap(), "content", "{input}");
        assert_eq!(fs_err::read_to_string(&victim).unwrap(), "content", "{input}");
    }
    assert!(done > inputs / 100 && done < inputs * 9 / 10, "{done} of {inputs} were found");
}
