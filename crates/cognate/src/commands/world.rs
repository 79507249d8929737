//! `world`: a made corpus as files that every stage reads, with what is true of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use cognate_base::files::{AtomicFile, CompleteFile, is_unfinished};
use cognate_base::{Monitor, Unit, claim};
use cognate_corpus::id_in_split;
use cognate_pair::{Pair, write_pairs};
use cognate_worlds::biographies::Attribute;
use cognate_worlds::{Dials, Kind, Measures, Split, Told, Truth, World, fingerprint};
use serde::Serialize;
use serde_json::json;

use super::shared::{Result, print_json};
use crate::args::WorldArgs;
use crate::failure::Failure;
use crate::terminal::Terminal;

const PAIRS: &str = "pairs.parquet";
const QUESTIONS: &str = "questions.jsonl";
const CORPUS: &str = "corpus.toml";
const STATISTICS: &str = "statistics.json";
/// Put in place last: where it stands, all others do.
const TRUTH: &str = "truth.json";

/// Documents of a split.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Size {
    documents: u64,
    words: u64,
    bytes: u64,
}

/// What is told of a world that was written.
#[derive(Debug, Serialize)]
struct Statistics {
    fingerprint: String,
    seed: u64,
    dials: Dials,
    documents: BTreeMap<Split, Size>,
    /// True pairs, each in both directions.
    pairs: u64,
    measures: Measures,
}

fn file_of(split: Split) -> String {
    format!("{}.jsonl", split.word())
}

/// A world's error in the words of its flags.
fn failure(error: cognate_worlds::Error) -> Failure {
    match error {
        cognate_worlds::Error::Dial { dial, expected, found } => Failure::setting(dial, found, &expected),
        cognate_worlds::Error::Interrupted(interrupted) => interrupted.into(),
        other => std::io::Error::other(other).into(),
    }
}

pub(crate) fn world(args: &WorldArgs, terminal: &Terminal) -> Result {
    args.dials.check().map_err(failure)?;
    check_empty(&args.out)?;
    let world = World::new(&args.dials, args.seed).map_err(failure)?;
    let pairs = world.pairs(terminal).map_err(failure)?;
    let measures = world.measure(terminal).map_err(failure)?;
    // Its hidden file says that whatever else stands there is this command's.
    let truth_file = AtomicFile::create(args.out.join(TRUTH))?;
    let mut complete = Vec::new();
    let (mut told, mut sizes) = (BTreeMap::new(), BTreeMap::new());
    let shares = shares(&world);
    for split in Split::ALL.into_iter().filter(|split| world.count(*split) > 0) {
        let (file, records, size) = write_documents(&world, split, shares, &args.out, terminal)?;
        complete.push(file);
        told.insert(split, records);
        sizes.insert(split, size);
    }
    complete.extend(write_questions(&world, &args.out, terminal)?);
    complete.push(written(&args.out.join(CORPUS), corpus_toml(args.seed, shares, sizes.keys().copied()))?);
    let statistics = Statistics {
        fingerprint: fingerprint(&args.dials, args.seed),
        seed: args.seed,
        dials: args.dials.clone(),
        documents: sizes,
        pairs: pairs.len() as u64,
        measures,
    };
    let mut text = serde_json::to_string_pretty(&statistics).map_err(std::io::Error::from)?;
    text.push('\n');
    complete.push(written(&args.out.join(STATISTICS), text)?);

    let ids: Vec<String> = [Split::Unique, Split::Selection]
        .iter()
        .flat_map(|split| told.get(split).into_iter().flatten().map(|told: &Told| told.id.clone()))
        .collect();
    let pairs: Vec<Pair> = pairs.into_iter().map(|(first, second)| Pair { first, second, similarity: 1.0 }).collect();
    let truth = Truth::new(&world, told);
    let mut writer = truth_file;
    serde_json::to_writer(&mut writer, &truth).map_err(std::io::Error::from)?;
    writer.write_all(b"\n")?;
    let truth_file = writer.complete()?;
    terminal.check()?;
    write_pairs(&args.out.join(PAIRS), &ids, &pairs)?;
    complete.into_iter().try_for_each(CompleteFile::put_in_place)?;
    truth_file.put_in_place()?;
    print_json(&statistics)
}

/// Refuses a folder that holds something already. What an earlier, killed call had put in place goes.
fn check_empty(out: &Path) -> Result {
    let entries = match fs_err::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<String>>>()?;
    names.retain(|name| !name.starts_with('.') && name != claim::LOCK);
    let own = |name: &String| {
        [PAIRS, QUESTIONS, CORPUS, STATISTICS].contains(&name.as_str())
            || Split::ALL.iter().any(|split| *name == file_of(*split))
    };
    if is_unfinished(&out.join(TRUTH)) && names.iter().all(own) {
        names.drain(..).try_for_each(|name| fs_err::remove_file(out.join(name)))?;
    }
    match names.into_iter().min() {
        Some(found) => Err(cognate_corpus::Error::OutputNotEmpty { path: out.to_path_buf(), found }.into()),
        None => Ok(()),
    }
}

/// The shares of validation, unique and selection documents.
fn shares(world: &World) -> [f64; 3] {
    let total: usize = Split::ALL.iter().map(|split| world.count(*split)).sum();
    [Split::Validation, Split::Unique, Split::Selection].map(|split| world.count(split) as f64 / total as f64)
}

/// A file of this text, not in place yet.
fn written(path: &Path, text: String) -> std::io::Result<CompleteFile> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text.as_bytes())?;
    file.complete()
}

/// Writes the documents of a split, under names by which `ingest` draws them into it too.
fn write_documents(
    world: &World,
    split: Split,
    shares: [f64; 3],
    out: &Path,
    terminal: &Terminal,
) -> Result<(CompleteFile, Vec<Told>, Size)> {
    let drawn = match split {
        Split::Unique => cognate_corpus::Split::Unique,
        Split::Oracle => cognate_corpus::Split::Oracle,
        Split::Validation => cognate_corpus::Split::Validation,
        Split::Selection => cognate_corpus::Split::Selection,
    };
    let mut file = AtomicFile::create(out.join(file_of(split)))?;
    let (mut told, mut size) = (Vec::new(), Size::default());
    terminal.begin(&format!("documents of {}", split.word()), Some(world.count(split) as u64), Unit::Documents);
    for mut document in world.documents(split) {
        terminal.check()?;
        if let Some(id) = id_in_split(&document.id, drawn, world.seed(), shares) {
            document.id = id;
        }
        let line = json!({
            "id": document.id,
            "text": document.text,
            "metadata": {"split": split.word(), "concept": document.concept},
        });
        writeln!(file, "{line}")?;
        size.documents += 1;
        size.words += document.text.split_whitespace().count() as u64;
        size.bytes += document.text.len() as u64;
        told.push(Told::of(&document));
        terminal.advance(size.documents, "");
    }
    terminal.end();
    Ok((file.complete()?, told, size))
}

/// Of biographies, what can be asked about every person whom the unique split tells of: statements whose last word is to be told, in wordings
/// that it used for others only. The task LAMBADA reads the field `text`.
fn write_questions(world: &World, out: &Path, terminal: &Terminal) -> Result<Option<CompleteFile>> {
    let Kind::Biographies(world) = world.kind() else { return Ok(None) };
    let mut file = AtomicFile::create(out.join(QUESTIONS))?;
    for person in 0..world.config().people {
        terminal.check()?;
        for attribute in Attribute::ALL {
            let Some(text) = world.unheard(person, attribute) else { continue };
            let tellings = world.config().tellings(person, Split::Unique);
            let line = json!({"text": text, "person": person, "attribute": attribute.word(), "tellings": tellings});
            writeln!(file, "{line}")?;
        }
    }
    Ok(Some(file.complete()?))
}

/// The part of a recipe that reads the folder.
fn corpus_toml(seed: u64, [validation, unique, selection]: [f64; 3], splits: impl Iterator<Item = Split>) -> String {
    let paths: Vec<String> = splits.map(|split| format!("\"{}\"", file_of(split))).collect();
    format!(
        "# For a recipe: documents are named so that with this seed and these shares each is drawn into its own split.\n\
         seed = {seed}\n\n[corpus]\npaths = [{}]\nvalidation_share = {validation}\nunique_share = {unique}\n\
         selection_share = {selection}\n# All documents are of the same wordings.\ncontamination_words = 0\n\n\
         [[pairs]]\nname = \"true\"\nmethod = \"file\"\npath = \"{PAIRS}\"\n",
        paths.join(", ")
    )
}
