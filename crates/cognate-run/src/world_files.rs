//! A world as files: documents that every stage reads, true pairs, the task that asks about it, and what is true.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use cognate_base::files::{AtomicFile, CompleteFile};
use cognate_base::process::check_memory;
use cognate_base::{Monitor, Unit};
use cognate_corpus::id_in_split;
use cognate_pair::{Pair, write_pairs};
use cognate_worlds::biographies::{self, Attribute};
use cognate_worlds::{Dials, Kind, Measures, Split, Told, Truth, World, fingerprint};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Result;

/// True pairs.
pub const PAIRS: &str = "pairs.parquet";
/// Statements of `biographies` to be completed, about people whom the unique split tells of once, and about the others.
pub const EXTRACTION: [&str; 2] = ["extraction_once.jsonl", "extraction_several.jsonl"];
/// Prompts of `ginc`, as the task `in_context` reads them.
pub const IN_CONTEXT: &str = "in_context.jsonl";
/// The part of a recipe that reads the folder.
pub const CORPUS: &str = "corpus.toml";
/// What is counted and computed.
pub const STATISTICS: &str = "statistics.json";
/// What is true. Put in place last: where it stands, all others do.
pub const TRUTH: &str = "truth.json";

/// Documents of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Documents.
    pub documents: u64,
    /// Words between white space.
    pub words: u64,
    /// Bytes of UTF-8.
    pub bytes: u64,
}

/// What is told of a world that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldStatistics {
    /// That of its truth file.
    pub fingerprint: String,
    /// Its seed.
    pub seed: u64,
    /// Its name and dials.
    pub dials: Dials,
    /// Each split that has documents.
    pub documents: BTreeMap<Split, Size>,
    /// True pairs, each in both directions.
    pub pairs: u64,
    /// Questions of its tasks, by task and group.
    pub questions: BTreeMap<String, Questions>,
    /// What can be computed of it.
    pub measures: Measures,
}

/// Questions of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Questions {
    /// How many.
    pub n: u64,
    /// How many the Bayes-optimal predictor answers right, which knows the world and not the concept. Of `in_context` only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bayes: Option<u64>,
    /// How many are right of who knows nobody, and says for each attribute what is most often right. Of statements about people only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guessed: Option<u64>,
}

/// The file of a split's documents.
pub fn file_of(split: Split) -> String {
    format!("{}.jsonl", split.word())
}

/// Writes a world into the folder `out`, where nothing of these names may stand.
///
/// # Errors
/// When the dials make no pair, the machine has too little memory, the folder cannot be written to, or the user interrupts.
pub fn write_world(world: &World, out: &Path, monitor: &dyn Monitor) -> Result<WorldStatistics> {
    check_memory("writing this world", world.dials().written_bytes())?;
    let pairs = world.pairs(monitor)?;
    let measures = world.measure(monitor)?;
    // Its hidden file says that whatever else stands there is this writer's.
    let mut truth_file = AtomicFile::create(out.join(TRUTH))?;
    let mut complete = Vec::new();
    let (mut told, mut sizes) = (BTreeMap::new(), BTreeMap::new());
    for split in Split::ALL.into_iter().filter(|split| world.count(*split) > 0) {
        let (file, records, size) = write_documents(world, split, out, monitor)?;
        complete.push(file);
        told.insert(split, records);
        sizes.insert(split, size);
    }
    let (questions, files) = write_questions(world, out, monitor)?;
    complete.extend(files);
    complete.push(written(&out.join(CORPUS), corpus_toml(world, sizes.keys().copied()))?);
    let statistics = WorldStatistics {
        fingerprint: fingerprint(world.dials(), world.seed()),
        seed: world.seed(),
        dials: world.dials().clone(),
        documents: sizes,
        pairs: pairs.len() as u64,
        questions,
        measures,
    };
    let mut text = serde_json::to_string_pretty(&statistics).map_err(io::Error::from)?;
    text.push('\n');
    complete.push(written(&out.join(STATISTICS), text)?);

    let ids: Vec<String> = [Split::Unique, Split::Selection]
        .iter()
        .flat_map(|split| told.get(split).into_iter().flatten().map(|told: &Told| told.id.clone()))
        .collect();
    let pairs: Vec<Pair> = pairs.into_iter().map(|(first, second)| Pair { first, second, similarity: 1.0 }).collect();
    let watched = Watched { file: &mut truth_file, monitor };
    serde_json::to_writer(watched, &Truth::new(world, told)).map_err(io::Error::from)?;
    truth_file.write_all(b"\n")?;
    let truth_file = truth_file.complete()?;
    monitor.check()?;
    write_pairs(&out.join(PAIRS), &ids, &pairs)?;
    complete.into_iter().try_for_each(CompleteFile::put_in_place)?;
    truth_file.put_in_place()?;
    Ok(statistics)
}

/// A file in which nothing more is written once the user interrupts.
struct Watched<'a> {
    file: &'a mut AtomicFile,
    monitor: &'a dyn Monitor,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.monitor.check().map_err(|interrupted| io::Error::other(crate::error::Error::from(interrupted)))?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file of this text, not in place yet.
fn written(path: &Path, text: String) -> io::Result<CompleteFile> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text.as_bytes())?;
    file.complete()
}

/// Writes the documents of a split, under names by which `ingest` draws them into it too.
fn write_documents(
    world: &World,
    split: Split,
    out: &Path,
    monitor: &dyn Monitor,
) -> Result<(CompleteFile, Vec<Told>, Size)> {
    let drawn = match split {
        Split::Unique => cognate_corpus::Split::Unique,
        Split::Oracle => cognate_corpus::Split::Oracle,
        Split::Validation => cognate_corpus::Split::Validation,
        Split::Selection => cognate_corpus::Split::Selection,
    };
    let shares = world.dials().shares();
    let mut file = AtomicFile::create(out.join(file_of(split)))?;
    let (mut told, mut size) = (Vec::new(), Size::default());
    monitor.begin(&format!("documents of {}", split.word()), Some(world.count(split) as u64), Unit::Documents);
    for mut document in world.documents(split) {
        monitor.check()?;
        if let Some(id) = id_in_split(&document.id, drawn, world.seed(), shares, monitor)? {
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
        monitor.advance(size.documents, "");
    }
    monitor.end();
    Ok((file.complete()?, told, size))
}

/// Writes what can be asked about the world.
fn write_questions(
    world: &World,
    out: &Path,
    monitor: &dyn Monitor,
) -> Result<(BTreeMap<String, Questions>, Vec<CompleteFile>)> {
    let mut questions: BTreeMap<String, Questions> = BTreeMap::new();
    let mut files = Vec::new();
    match world.kind() {
        Kind::Ginc(symbols) => {
            let mut file = AtomicFile::create(out.join(IN_CONTEXT))?;
            for prompt in cognate_worlds::ginc::prompts(&symbols.mixture, symbols.deal.length, symbols.seed, monitor)? {
                let (text, group) = prompt.text(&symbols.words);
                let line = json!({"text": text, "group": group, "examples": prompt.examples, "length": prompt.length});
                writeln!(file, "{line}")?;
                let of_group = questions.entry(group).or_default();
                of_group.n += 1;
                *of_group.bayes.get_or_insert(0) += u64::from(prompt.bayes == prompt.answer);
            }
            if !questions.is_empty() {
                files.push(file.complete()?);
            }
        }
        Kind::Bigrams(_) => {}
        Kind::Biographies(people) => {
            for (number, name) in EXTRACTION.into_iter().enumerate() {
                let mut file = AtomicFile::create(out.join(name))?;
                let mut asked = 0;
                let mut answers: BTreeMap<Attribute, BTreeMap<String, u64>> = BTreeMap::new();
                for person in 0..people.config().people {
                    monitor.check()?;
                    if (people.config().tellings(person, Split::Unique) > 1) != (number == 1) {
                        continue;
                    }
                    for (attribute, text) in statements(people, person) {
                        let tellings = people.config().tellings(person, Split::Unique);
                        let attribute_word = attribute.word();
                        let line =
                            json!({"text": text, "person": person, "attribute": attribute_word, "tellings": tellings});
                        writeln!(file, "{line}")?;
                        asked += 1;
                        let answer = text.split_whitespace().next_back().unwrap_or_default().to_owned();
                        *answers.entry(attribute).or_default().entry(answer).or_default() += 1;
                    }
                }
                if asked > 0 {
                    let commonest = |of: &BTreeMap<String, u64>| of.values().copied().max().unwrap_or(0);
                    let guessed = Some(answers.values().map(commonest).sum());
                    let found = Questions { n: asked, bayes: None, guessed };
                    questions.insert(name.trim_end_matches(".jsonl").to_owned(), found);
                    files.push(file.complete()?);
                }
            }
        }
    }
    Ok((questions, files))
}

/// What can be asked about a person of whom the unique split tells: statements whose last word is to be told, in wordings of the world that it did
/// not use for that person.
fn statements(people: &biographies::World, person: usize) -> Vec<(Attribute, String)> {
    Attribute::ALL.into_iter().filter_map(|attribute| Some((attribute, people.unheard(person, attribute)?))).collect()
}

/// The part of a recipe that reads the folder.
fn corpus_toml(world: &World, splits: impl Iterator<Item = Split>) -> String {
    let paths: Vec<String> = splits.map(|split| format!("\"{}\"", file_of(split))).collect();
    let (seed, [validation, unique, selection]) = (world.seed(), world.dials().shares());
    format!(
        "# For a recipe: documents are named so that with this seed and these shares each is drawn into its own split.\n\
         seed = {seed}\n\n[corpus]\npaths = [{}]\nvalidation_share = {validation}\nunique_share = {unique}\n\
         selection_share = {selection}\n# All documents are of the same wordings.\ncontamination_words = 0\n\n\
         [[pairs]]\nname = \"true\"\nmethod = \"file\"\npath = \"{PAIRS}\"\n",
        paths.join(", ")
    )
}
