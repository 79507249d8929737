//! The ingest stage: any documents become a corpus that an honest experiment can be run on.
//!
//! The inputs are read three times (`survey`, then here). The first reading keeps hashes of every document and the passages of the
//! validation documents, the second counts the documents that hold each passage, the third writes. Where groups or a limit are drawn, which documents
//! are of validation is known behind the first reading only, and another one keeps their passages. So memory grows by about 150 bytes
//! per document and 30 per validation word, whatever the length of the texts.
//!
//! A document's split, and whether it is dropped, depend on the seed, its identifier and the other documents, never on
//! the order of files or records; only of several documents with one identifier, where these are passed over, the first
//! stays. The order *inside* an output file is that of the inputs: sorting would need all texts
//! in memory, and training draws documents in a seeded order of its own.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use cognate_base::files::{AtomicFile, is_unfinished};
use cognate_base::{Monitor, Unit};
use serde::{Deserialize, Serialize};

use crate::document::{BadRecord, Document, Origin, Rejected};
use crate::error::{Error, Result};
use crate::input::{Input, expand};
use crate::json::METADATA;
use crate::pieces::Cutter;
use crate::reader::ReadOptions;
use crate::split::Entry;
use crate::survey::{FileNumber, LeftOut, Survey, open, origin_of, report};
use crate::tokenizer::Tokenizer;
use crate::writer::DocumentWriter;

/// Tokens of a piece, at least: any character fits.
const FEWEST_TOKENS: usize = 16;
/// The file of documents that are in no split.
const DROPPED: &str = "dropped.jsonl";
/// The file of bad records, which is put in place last.
const LAST: &str = "rejected.jsonl";

/// The part of the corpus that a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Measured on, never trained on.
    Validation,
    /// The unique text that the experiment pretends is all there is.
    Unique,
    /// The text that only the oracle sees.
    Oracle,
    /// What choices are made by: trained on by nobody, and nothing is scored on it.
    Selection,
}

impl Split {
    /// All splits, in the order of their places.
    pub const ALL: [Self; 4] = [Self::Validation, Self::Unique, Self::Oracle, Self::Selection];

    /// The split's name, which is its file's name too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Unique => "unique",
            Self::Oracle => "oracle",
            Self::Selection => "selection",
        }
    }

    /// The file of this split in an ingested corpus.
    pub fn file(self, corpus: &Path) -> PathBuf {
        corpus.join(self.file_name())
    }

    fn file_name(self) -> String {
        format!("{}.jsonl.zst", self.name())
    }
}

/// How a corpus is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IngestConfig {
    /// Seed of the split.
    pub seed: u64,
    /// Share of all documents that are measured on, in (0, 1).
    pub validation_share: f64,
    /// Share of all documents in the unique split, in (0, 1].
    pub unique_share: f64,
    /// Share of all documents that choices are made by, in [0, 1); what the three shares leave is the oracle's.
    pub selection_share: f64,
    /// A training document that shares this many consecutive words with a validation document is dropped; 13 is the
    /// length of Brown et al. 2020, 0 switches the check off.
    pub contamination_words: usize,
    /// A passage that more documents of the corpus hold is nobody's, and counts for none.
    pub contamination_documents: u32,
    /// Documents that are taken of all that there are, drawn by the seed; all where it is none. Groups are taken whole, so that it may be a few
    /// more or fewer.
    pub limit: Option<u64>,
    /// Documents of more tokens are cut into pieces of at most so many; none are where it is none.
    pub chunk_tokens: Option<usize>,
    /// The tokenizer.json that counts them. Without one, [`TOKEN_BYTES`](crate::pieces::TOKEN_BYTES) bytes count as a token.
    pub tokenizer: Option<PathBuf>,
    /// How records become documents.
    pub read: ReadOptions,
}

impl IngestConfig {
    /// What cuts long documents.
    pub(crate) fn cutter(&self) -> Result<Option<Cutter>> {
        let Some(tokens) = self.chunk_tokens else { return Ok(None) };
        let tokenizer = self.tokenizer.as_deref().map(Tokenizer::load).transpose()?;
        Ok(Some(Cutter { tokens, tokenizer }))
    }
}

/// One split's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitStats {
    /// Documents.
    pub documents: u64,
    /// Bytes of text in UTF-8.
    pub bytes: u64,
}

/// A passage for which documents were dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPassage {
    /// Its words as they stand in one of them, with single spaces; the end of a long one is left out.
    pub passage: String,
    /// Documents that were dropped for it: of several passages that one shares, the first counts.
    pub documents: u64,
}

/// What became of the documents: `read` is the sum of what was left out and of the splits, `rejected` apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestStats {
    /// Documents read; the pieces of one that is cut count.
    pub read: u64,
    /// Documents that were cut because they are long.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
    /// The pieces of these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pieces: u64,
    /// Bad records passed over, and documents whose identifier another one has already.
    pub rejected: u64,
    /// Documents dropped because their text has nothing to read. None were in a run of a version that kept them.
    #[serde(default)]
    pub without_text: u64,
    /// Documents with text that were not taken because of the limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond_limit: u64,
    /// Documents dropped because another one has the same text.
    pub exact_duplicates: u64,
    /// Documents of the other splits dropped because they share a passage with a validation document.
    pub contaminated: u64,
    /// The passages that most of these share, at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_passages: Vec<SharedPassage>,
    /// Passages of validation documents that were looked for in no document, because too many hold them.
    #[serde(default)]
    pub frequent_passages: u64,
    /// Groups of documents, those of one document included; 0 where nothing names groups.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub groups: u64,
    /// Documents without the field that names groups, each a group of its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_group: u64,
    /// The validation split.
    pub validation: SplitStats,
    /// The unique split.
    pub unique: SplitStats,
    /// The oracle split.
    pub oracle: SplitStats,
    /// The selection split.
    #[serde(default)]
    pub selection: SplitStats,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl IngestStats {
    /// Documents that are not of validation, those included that share a passage with it.
    fn beside_validation(&self) -> u64 {
        self.contaminated + self.unique.documents + self.oracle.documents + self.selection.documents
    }

    /// Share of the documents outside of validation that are dropped because they share a passage with it; 0 where there are none.
    pub fn contaminated_share(&self) -> f64 {
        self.contaminated as f64 / self.beside_validation().max(1) as f64
    }

    /// Whether so many are dropped for a passage that [`ingest()`] warns of it.
    pub fn is_much_contaminated(&self) -> bool {
        self.contaminated_share() > MUCH_CONTAMINATED
    }

    /// How many documents are dropped for a passage, and the most frequent ones, in words; none where there are none.
    pub fn told_contamination(&self) -> Option<String> {
        (self.contaminated > 0).then(|| {
            format!(
                "{} of {} documents outside of validation ({:.1} %) are dropped because they share a passage with a validation document; most \
                 often: {}",
                self.contaminated,
                self.beside_validation(),
                100.0 * self.contaminated_share(),
                self.told_passages()
            )
        })
    }

    /// The passages that most of the dropped documents share, each with how many do, in words.
    pub fn told_passages(&self) -> String {
        let told = |shared: &SharedPassage| format!("\"{}\" ({})", shared.passage, shared.documents);
        self.shared_passages.iter().map(told).collect::<Vec<_>>().join(", ")
    }

    fn split_mut(&mut self, split: Split) -> &mut SplitStats {
        match split {
            Split::Validation => &mut self.validation,
            Split::Unique => &mut self.unique,
            Split::Oracle => &mut self.oracle,
            Split::Selection => &mut self.selection,
        }
    }

    fn dropped_mut(&mut self, reason: Reason) -> &mut u64 {
        match reason {
            Reason::NoText => &mut self.without_text,
            Reason::ExactDuplicate => &mut self.exact_duplicates,
            Reason::Contaminated => &mut self.contaminated,
        }
    }
}

/// Why a document was dropped.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    NoText,
    ExactDuplicate,
    Contaminated,
}

/// A line of `dropped.jsonl`.
#[derive(Serialize)]
struct Dropped<'a> {
    id: &'a str,
    origin: String,
    reason: Reason,
    detail: String,
}

/// Reads documents, checks their identifiers, drops those without text, exact duplicates and contaminated training
/// documents, and writes `validation.jsonl.zst`, `unique.jsonl.zst`, `oracle.jsonl.zst`, `selection.jsonl.zst`, `dropped.jsonl` (what
/// was dropped, each with its reason) and `rejected.jsonl` (bad records, each with its reason) into `out`.
///
/// # Errors
/// When a setting is out of range, an input cannot be read, two documents have one identifier, the corpus or one of the
/// splits `validation` and `unique` is empty, a file cannot be written, or the user interrupts. The outputs are then as
/// they were before.
pub fn ingest(inputs: &[PathBuf], out: &Path, config: &IngestConfig, monitor: &dyn Monitor) -> Result<IngestStats> {
    check(config)?;
    let files = expand(inputs, monitor)?;
    check_outputs(&files, out)?;
    let survey = Survey::take(&files, config, monitor)?;
    let stats = write(&files, out, config, &survey, monitor)?;
    if stats.without_text > 0 {
        tracing::warn!("documents without text: {}; they are left out and listed in dropped.jsonl", stats.without_text);
    }
    tracing::info!(?stats, "ingested");
    Ok(stats)
}

fn check(config: &IngestConfig) -> Result<()> {
    let read = &config.read;
    if !read.group_field.is_empty() && [&read.id_field, &read.text_field, METADATA].contains(&read.group_field.as_str())
    {
        return Err(Error::GroupFieldTaken { field: read.group_field.clone() });
    }
    if let Some(tokens) = config.chunk_tokens.filter(|tokens| *tokens < FEWEST_TOKENS) {
        return Err(Error::Setting { name: "chunk_tokens", value: tokens as f64, expected: "at least 16 tokens" });
    }
    if config.limit == Some(0) {
        return Err(Error::Setting { name: "limit", value: 0.0, expected: "at least 1 document" });
    }
    let bad = |name, value, expected| Err(Error::Setting { name, value, expected });
    let (validation, unique) = (config.validation_share, config.unique_share);
    // Negated comparisons, so that NaN is out of range too.
    if !(validation > 0.0 && validation < 1.0) {
        return bad("validation_share", validation, "a share above 0 and below 1");
    }
    if !(unique > 0.0 && unique <= 1.0) {
        return bad("unique_share", unique, "a share above 0 and at most 1");
    }
    let selection = config.selection_share;
    if !(0.0..1.0).contains(&selection) {
        return bad("selection_share", selection, "a share of at least 0 and below 1");
    }
    if validation + unique + selection > 1.0 + 1e-9 {
        return bad(
            "validation_share + unique_share + selection_share",
            validation + unique + selection,
            "at most 1: all are shares of all documents",
        );
    }
    Ok(())
}

/// The selection split's share where nobody says another: the validation split's, but at most half of what the other two leave.
pub fn default_selection_share(validation_share: f64, unique_share: f64) -> f64 {
    let left = 1.0 - validation_share - unique_share;
    // 0.1 and 0.9 leave nothing, though not in binary.
    if left < 1e-9 { 0.0 } else { validation_share.min(left / 2.0) }
}

fn check_outputs(files: &[Input], out: &Path) -> Result<()> {
    // An output folder that does not exist yet cannot hold an input.
    let Ok(canonical) = fs_err::canonicalize(out) else { return Ok(()) };
    for file in files {
        let written = Split::ALL.map(|split| split.file(&canonical));
        if written.contains(&fs_err::canonicalize(&*file.path)?) {
            return Err(Error::OutputIsInput { path: file.path.to_path_buf() });
        }
    }
    Ok(())
}

/// Refuses a folder that holds something already, for a caller whose folders nobody else looks after, and who has claimed it: what a
/// killed call had put in place of its files goes.
///
/// # Errors
/// [`Error::OutputNotEmpty`]; and when the folder is there and cannot be read.
pub fn check_empty(out: &Path) -> Result<()> {
    let entries = match fs_err::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    // What a killed process left half-written is hidden, and the lock is its own or that of whoever called.
    names.retain(|name| !name.as_encoded_bytes().starts_with(b".") && name != cognate_base::claim::LOCK);
    // Killed while its files were put in place, an earlier call has left the last one hidden: the others are no corpus.
    if is_unfinished(&out.join(LAST)) && names.iter().all(|name| is_output(name)) {
        names.drain(..).try_for_each(|name| fs_err::remove_file(out.join(name)))?;
    }
    match names.iter().min() {
        Some(found) => {
            let found = found.to_string_lossy().into_owned();
            Err(Error::OutputNotEmpty { path: out.to_path_buf(), found })
        }
        None => Ok(()),
    }
}

/// Whether one of our own files is called so.
fn is_output(name: &OsStr) -> bool {
    [DROPPED, LAST].iter().any(|own| name == *own) || Split::ALL.iter().any(|split| name == split.file_name().as_str())
}

/// The files that ingest writes, open together and put in place together.
struct Outputs {
    splits: [DocumentWriter; 4],
    dropped: AtomicFile,
    rejected: AtomicFile,
}

impl Outputs {
    fn create(out: &Path) -> Result<Self> {
        let split = |split: Split| DocumentWriter::create(split.file(out));
        Ok(Self {
            splits: [split(Split::Validation)?, split(Split::Unique)?, split(Split::Oracle)?, split(Split::Selection)?],
            dropped: AtomicFile::create(out.join(DROPPED))?,
            rejected: AtomicFile::create(out.join(LAST))?,
        })
    }

    /// Lists bad records, and says how many.
    fn reject(&mut self, records: &[Rejected]) -> Result<u64> {
        records.iter().try_for_each(|record| json_line(&mut self.rejected, record))?;
        Ok(records.len() as u64)
    }

    /// All files are whole on disk before the first is put in place, so that a full disk leaves what was there.
    fn commit(self) -> Result<()> {
        let mut files = self.splits.into_iter().map(DocumentWriter::complete).collect::<Result<Vec<_>>>()?;
        files.push(self.dropped.complete()?);
        files.push(self.rejected.complete()?);
        for file in files {
            file.put_in_place()?;
        }
        Ok(())
    }
}

fn json_line(file: &mut AtomicFile, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *file, value).map_err(std::io::Error::from)?;
    file.write_all(b"\n")?;
    Ok(())
}

/// The last reading: every document to its split or to `dropped.jsonl`.
fn write(
    files: &[Input],
    out: &Path,
    config: &IngestConfig,
    survey: &Survey,
    monitor: &dyn Monitor,
) -> Result<IngestStats> {
    let mut reader = open(files, config, monitor)?;
    let mut outputs = Outputs::create(out)?;
    let (cut, pieces) = survey.cuttings.counts();
    let mut stats = IngestStats {
        cut,
        pieces,
        frequent_passages: survey.frequent_passages,
        groups: survey.draw.groups(),
        ..IngestStats::default()
    };
    let mut shared: HashMap<String, u64> = HashMap::new();
    let mut number = FileNumber::default();
    let mut place = 0;
    monitor.begin("splitting documents", Some(reader.total_bytes()), Unit::Bytes);
    while let Some(record) = reader.next(&survey.cuttings) {
        let (origin, document) = record?;
        stats.rejected += outputs.reject(&reader.rejected())?;
        let entry = Entry::of(config.seed, &document, number.of(&origin, files), origin.row);
        if survey.entries.get(place) != Some(&entry) {
            return Err(Error::InputChanged { origin });
        }
        let (id, verdict) = (&document.id, verdict(place, &document, survey, files));
        if !config.read.group_field.is_empty() && !survey.left_out.contains_key(&place) {
            stats.without_group += u64::from(reader.take_alone());
        }
        place += 1;
        report(monitor, &reader, place);
        if let Verdict::RepeatedId { first } = verdict {
            let reason = BadRecord::RepeatedId { id: document.id, first };
            stats.rejected += outputs.reject(&[Rejected { origin, reason }])?;
            continue;
        }
        stats.read += 1;
        match verdict {
            Verdict::BeyondLimit => stats.beyond_limit += 1,
            Verdict::Keep(split) => {
                outputs.splits[split as usize].write(&document)?;
                let kept = stats.split_mut(split);
                kept.documents += 1;
                kept.bytes += document.text.len() as u64;
            }
            Verdict::Drop { reason, detail } => {
                *stats.dropped_mut(reason) += 1;
                if let Some(passage) = detail.strip_prefix(SHARES) {
                    *shared.entry(passage.to_owned()).or_default() += 1;
                }
                json_line(&mut outputs.dropped, &Dropped { id, origin: origin.to_string(), reason, detail })?;
            }
            Verdict::RepeatedId { .. } => {}
        }
    }
    stats.rejected += outputs.reject(&reader.rejected())?;
    if let Some(missing) = survey.entries.get(place) {
        return Err(Error::InputChanged { origin: origin_of(missing, files) });
    }
    monitor.end();
    stats.shared_passages = most_shared(shared);
    if let Some(told) = stats.told_contamination().filter(|_| stats.is_much_contaminated()) {
        tracing::warn!("{told}. Where that is boilerplate, lower contamination_documents or raise contamination_words");
    }
    check_splits(&stats, config, survey.draw.is_of_groups())?;
    outputs.commit()?;
    Ok(stats)
}

/// Share of the documents outside of validation above which it is warned of that so many are dropped.
const MUCH_CONTAMINATED: f64 = 0.05;
/// Passages that are told of.
const TOLD_PASSAGES: usize = 3;
/// Characters of a passage that are told.
const TOLD_CHARACTERS: usize = 200;
/// What stands before the passage in the list of dropped documents.
const SHARES: &str = "shares with a validation document: ";

/// The most frequent passages, of those that documents were dropped for.
fn most_shared(shared: HashMap<String, u64>) -> Vec<SharedPassage> {
    let mut most: Vec<(String, u64)> = shared.into_iter().collect();
    most.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let told = most.into_iter().take(TOLD_PASSAGES);
    told.map(|(passage, documents)| SharedPassage { passage: shortened(&passage), documents }).collect()
}

/// A passage on one line, and not too long a one.
fn shortened(passage: &str) -> String {
    let line = passage.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TOLD_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

enum Verdict {
    Keep(Split),
    Drop { reason: Reason, detail: String },
    RepeatedId { first: Origin },
    BeyondLimit,
}

fn verdict(place: usize, document: &Document, survey: &Survey, files: &[Input]) -> Verdict {
    let origin = |place: usize| origin_of(&survey.entries[place], files);
    match survey.left_out.get(&place) {
        Some(LeftOut::RepeatedId(first)) => return Verdict::RepeatedId { first: origin(*first) },
        Some(LeftOut::NoText) => {
            let detail = "nothing but white space".to_owned();
            return Verdict::Drop { reason: Reason::NoText, detail };
        }
        Some(LeftOut::BeyondLimit) => return Verdict::BeyondLimit,
        None => {}
    }
    if let Some(&keeper) = survey.duplicates.get(&place) {
        let detail = format!("the text of {}", origin(keeper));
        return Verdict::Drop { reason: Reason::ExactDuplicate, detail };
    }
    let split = survey.draw.split(survey.entries[place].place);
    if split != Split::Validation
        && let Some(passage) = survey.passages.shared(&document.text)
    {
        let detail = format!("{SHARES}{passage}");
        return Verdict::Drop { reason: Reason::Contaminated, detail };
    }
    Verdict::Keep(split)
}

fn check_splits(stats: &IngestStats, config: &IngestConfig, of_groups: bool) -> Result<()> {
    let documents = stats.read - stats.exact_duplicates - stats.without_text - stats.beyond_limit;
    let (mut of_validation, mut of_unique) = (
        "take more documents, or raise validation_share",
        "take more documents, raise unique_share, or raise contamination_words if it took them out",
    );
    if of_groups {
        of_validation =
            "a group is never divided: take more groups, or raise validation_share above the share of the smallest one";
        of_unique = "a group is never divided: take more groups, raise unique_share, or raise contamination_words if it took them out";
    }
    for (split, share, kept, advice) in [
        ("validation", config.validation_share, stats.validation, of_validation),
        ("unique", config.unique_share, stats.unique, of_unique),
    ] {
        if kept.documents == 0 {
            return Err(Error::EmptySplit { split, share, documents, advice });
        }
    }
    Ok(())
}
