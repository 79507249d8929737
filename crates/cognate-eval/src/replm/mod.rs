//! `replm`: triples that a document states, written by the model from examples (Özyurt et al. 2023, arXiv 2310.11085).
//!
//! | module | what lives there |
//! |---|---|
//! | `docred` | files of DocRED and Re-DocRED |
//! | `prompts` | what the model is shown |
//! | `written` | what it writes, token by token, and the triples in it |
//! | `together` | several sets of examples as one answer, and what of it is right |
//!
//! Prompts, parsing and aggregation are those of the paper's code (oezyurty/REPLM at ebfca77); `docs/evaluation.md` says where not.

mod docred;
mod prompts;
#[cfg(test)]
mod tests;
mod together;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cognate_base::random::{self, SliceRandom};
use cognate_base::{Monitor, Unit};
use cognate_corpus::{Origin, Tokenizer};
use cognate_model::Ensemble;
use cognate_ops::Device;
use cognate_pair::{Lsa, LsaConfig};
use cognate_statistics::{Estimate, ratio};
use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::progress::Part;
use crate::rows::Rows;
use crate::tasks::request::Encoder;
use crate::tasks::{Group, TaskScores};
use docred::{Document, Fact};
use prompts::prompt;
pub use together::Triple;
use together::{LEAST, TEMPERATURE, right, together};
use written::{Written, triples, write};

/// The task's name.
pub const REPLM: &str = "replm";
/// The names of its files, which end in `.json`: the documents that are asked about, those that examples are drawn from, and the relations' names,
/// which may be missing.
pub const FILES: [&str; 3] = [REPLM, "replm_examples", "replm_relations"];
/// Nearest documents that examples are drawn from.
pub const NEAREST: usize = 20;
/// Characters of an example's text, at most.
const MOST_CHARACTERS: usize = 1000;
/// Tokens that are written, at most.
const NEW_TOKENS: usize = 200;
/// Questions whose prompts are in memory together.
const CHUNK: usize = 64;

/// Where the documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplmFiles {
    /// Documents that are asked about.
    pub questions: PathBuf,
    /// Documents that examples are drawn from.
    pub examples: PathBuf,
    /// A JSON object with the name of each relation; without one, its number is its name.
    pub relations: Option<PathBuf>,
}

/// How they are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplmOptions {
    /// Sets of examples for each question, one at least.
    pub sets: usize,
    /// Examples of a set, from 1 to [`NEAREST`].
    pub shots: usize,
    /// Only the first so many documents of each relation.
    pub limit: Option<usize>,
    /// With the relation, the document's place in its file and the set's number, decides which examples are drawn.
    pub seed: u64,
}

impl ReplmOptions {
    /// The paper's: five examples in a set.
    pub const SHOTS: usize = 5;
    /// Sets where nothing else is said.
    pub const SETS: usize = 5;
    /// More than any figure would gain from.
    pub const MOST_SETS: usize = 100;
}

/// What was asked about a document and one relation, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Extraction {
    /// [`REPLM`].
    pub task: &'static str,
    /// The document in its file, counted from 1.
    pub row: u64,
    /// The document's title.
    pub title: String,
    /// The relation.
    pub group: String,
    /// Each set of examples.
    pub sets: Vec<ExampleSet>,
    /// What was kept, the likeliest first.
    pub triples: Vec<Triple>,
    /// Which of these are right.
    pub right: Vec<bool>,
    /// Triples that the document has.
    pub gold: usize,
    /// Right ones of which another document among the examples states the same.
    pub known: usize,
    /// Prompts that lost tokens on the left.
    pub truncated: usize,
    /// Prompts that the tokenizer does not give back.
    pub lossy: usize,
}

/// A set of examples and what was written behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExampleSet {
    /// The examples' titles, in the order in which they stand.
    pub examples: Vec<String>,
    /// Their mean similarity to the document.
    pub similarity: f64,
    /// What the model was shown.
    pub prompt: String,
    /// What it wrote.
    pub written: String,
    /// The triples in it.
    pub triples: Vec<Triple>,
}

/// What is asked, whatever the model.
#[derive(Clone, Debug)]
pub struct Asked {
    file: Arc<Path>,
    questions: Vec<Document>,
    examples: Vec<Document>,
    /// By relation.
    names: BTreeMap<String, String>,
    asked: Vec<Question>,
    shots: usize,
}

/// A document that is asked about, and a relation.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    document: usize,
    relation: String,
    /// The examples of each set, by their numbers, and their mean similarity.
    sets: Vec<(Vec<usize>, f64)>,
}

/// A prompt as the model reads it.
struct Shown {
    text: String,
    truncated: bool,
    lossy: bool,
}

impl Asked {
    /// Reads the files, and draws the examples of every question.
    ///
    /// # Errors
    /// When a file is missing, damaged or not of the format, no relation has enough examples, a relation has no name, or the monitor
    /// interrupts.
    pub fn read(files: &ReplmFiles, options: ReplmOptions, monitor: &dyn Monitor) -> Result<Self> {
        let (questions, examples) = (docred::read(&files.questions)?, docred::read(&files.examples)?);
        let names = names(files, &questions)?;
        let similarities = Similarities::of(files, &questions, &examples, options.seed, monitor)?;
        let relations: BTreeSet<&String> = questions.iter().flat_map(|document| document.facts.keys()).collect();
        let (mut asked, mut without) = (Vec::new(), Vec::new());
        for relation in relations {
            let is_example = |document: &Document| {
                document.facts.contains_key(relation) && document.text.chars().count() <= MOST_CHARACTERS
            };
            let from: Vec<usize> = (0..examples.len()).filter(|at| is_example(&examples[*at])).collect();
            let of: Vec<usize> =
                (0..questions.len()).filter(|at| questions[*at].facts.contains_key(relation)).collect();
            let of = &of[..of.len().min(options.limit.unwrap_or(usize::MAX))];
            let sets = of.par_iter().map(|&document| {
                monitor.check()?;
                let sets = similarities.sets(document, &questions[document].text, &examples, &from, relation, options);
                Ok(sets.map(|sets| Question { document, relation: relation.clone(), sets }))
            });
            let own: Vec<Option<Question>> = sets.collect::<Vec<Result<_>>>().into_iter().collect::<Result<_>>()?;
            match own.into_iter().collect::<Option<Vec<Question>>>() {
                Some(own) => asked.extend(own),
                None => without.push(relation.as_str()),
            }
        }
        if asked.is_empty() {
            let problem = format!(
                "of no relation that the documents of {} state it has {} documents of at most {MOST_CHARACTERS} characters: lower --shots, or \
                 give more",
                files.questions.display(),
                options.shots
            );
            return Err(Error::Relations { path: files.examples.clone(), problem });
        }
        if !without.is_empty() {
            tracing::warn!(
                task = REPLM,
                relations = without.join(", "),
                "too few examples state these, so they are left out"
            );
        }
        let file = files.questions.as_path().into();
        Ok(Self { file, questions, examples, names, asked, shots: options.shots })
    }

    /// The prompts of a question, one a set.
    fn shown(&self, question: &Question, encoder: &Encoder<'_>) -> Result<Vec<(Vec<u32>, Shown)>> {
        let origin = self.origin(question);
        let document = &self.questions[question.document];
        let prompt = |(set, _): &(Vec<usize>, f64)| {
            let examples = set.iter().map(|example| &self.examples[*example]);
            let shown = examples.map(|example| (example.text.as_str(), &example.facts[&question.relation][..]));
            let text = prompt(self.name(&question.relation), shown, &document.text);
            let encoded = encoder.prompt(&origin, &text, NEW_TOKENS)?;
            Ok((encoded.tokens, Shown { text, truncated: encoded.truncated, lossy: encoded.lossy }))
        };
        question.sets.iter().map(prompt).collect()
    }

    fn origin(&self, question: &Question) -> Origin {
        Origin { file: Arc::clone(&self.file), row: question.document as u64 + 1 }
    }

    fn name<'a>(&'a self, relation: &'a str) -> &'a str {
        self.names.get(relation).map_or(relation, String::as_str)
    }

    /// What came of a question: what was shown and written, set by set.
    fn extraction(&self, question: &Question, of_sets: Vec<(Shown, Written)>) -> Extraction {
        let document = &self.questions[question.document];
        let count = |wanted: fn(&Shown) -> bool| of_sets.iter().filter(|(shown, _)| wanted(shown)).count();
        let (truncated, lossy) = (count(|shown| shown.truncated), count(|shown| shown.lossy));
        let set = |((set, similarity), (shown, written)): (&(Vec<usize>, f64), (Shown, Written))| ExampleSet {
            examples: set.iter().map(|example| self.examples[*example].title.clone()).collect(),
            similarity: *similarity,
            prompt: shown.text,
            triples: triples(&written, self.name(&question.relation)),
            written: written.text,
        };
        let sets: Vec<ExampleSet> = question.sets.iter().zip(of_sets).map(set).collect();
        let kept = together(sets.iter().map(|set| (set.similarity, &set.triples[..])), TEMPERATURE, LEAST);
        let facts = &document.facts[&question.relation];
        let matched = right(facts, &kept);
        Extraction {
            task: REPLM,
            row: question.document as u64 + 1,
            title: document.title.clone(),
            group: question.relation.clone(),
            known: matched
                .iter()
                .flatten()
                .filter(|fact| self.is_known(document, &question.relation, &facts[**fact]))
                .count(),
            right: matched.iter().map(Option::is_some).collect(),
            sets,
            triples: kept,
            gold: facts.len(),
            truncated,
            lossy,
        }
    }

    /// Whether another document than the one asked about states a fact among the examples, by any of its names.
    fn is_known(&self, document: &Document, relation: &str, fact: &Fact) -> bool {
        let shares = |one: &[String], other: &[String]| one.iter().any(|name| other.contains(name));
        let same = |other: &Fact| shares(&other.subjects, &fact.subjects) && shares(&other.objects, &fact.objects);
        let states = |example: &Document| example.facts.get(relation).is_some_and(|facts| facts.iter().any(same));
        self.examples.iter().any(|example| example.text != document.text && states(example))
    }
}

/// Measures a model: micro F1 over all relations. `found` is handed what each question contributed, relation by relation. `batch_tokens` of key/value cache
/// are taken by a batch: they change the speed, never the result.
///
/// # Errors
/// When the model has no room for an answer, a token has no row in its embedding, a probability is no number, or the monitor interrupts.
pub fn extract<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    asked: &Asked,
    batch_tokens: usize,
    mut found: impl FnMut(Extraction),
    monitor: &dyn Monitor,
) -> Result<TaskScores> {
    let rows = Rows { tokenizer, rows: model.config().vocab };
    let encoder = Encoder::new(rows, model.config().max_positions)?;
    let prompts = asked.asked.iter().map(|question| question.sets.len() as u64).sum();
    let part = Part::of(monitor, REPLM, Some(prompts), Unit::Documents);
    let mut counted: Vec<Counts> = Vec::with_capacity(asked.asked.len());
    for chunk in asked.asked.chunks(CHUNK) {
        let shown = chunk.par_iter().map(|question| {
            part.check()?;
            asked.shown(question, &encoder)
        });
        let shown: Vec<Vec<(Vec<u32>, Shown)>> =
            shown.collect::<Vec<Result<_>>>().into_iter().collect::<Result<_>>()?;
        let of: Vec<&Question> =
            chunk.iter().flat_map(|question| std::iter::repeat_n(question, question.sets.len())).collect();
        let (prompts, shown): (Vec<Vec<u32>>, Vec<Shown>) = shown.into_iter().flatten().unzip();
        let origin = |at: usize| format!("{}, relation {}", asked.origin(of[at]), of[at].relation);
        let answers = write(model, tokenizer, prompts, (NEW_TOKENS, batch_tokens), &origin, &part)?;
        let mut of_sets = shown.into_iter().zip(answers);
        for question in chunk {
            let own = of_sets.by_ref().take(question.sets.len()).collect();
            let extraction = asked.extraction(question, own);
            counted.push(Counts::of(&extraction));
            found(extraction);
        }
        part.finish_one();
    }
    let scores = scores(&counted, asked.shots);
    if scores.lossy > 0 {
        tracing::warn!(task = REPLM, documents = scores.lossy, "the tokenizer does not give these texts back");
    }
    Ok(scores)
}

/// The relations' names.
fn names(files: &ReplmFiles, questions: &[Document]) -> Result<BTreeMap<String, String>> {
    let Some(path) = &files.relations else { return Ok(BTreeMap::new()) };
    let names = docred::names(path)?;
    let missing =
        questions.iter().flat_map(|document| document.facts.keys()).find(|relation| !names.contains_key(*relation));
    match missing {
        Some(relation) => {
            let problem =
                format!("it has no name for the relation {relation}, which {} states", files.questions.display());
            Err(Error::Relations { path: path.clone(), problem })
        }
        None => Ok(names),
    }
}

/// How similar each document is to each example: cosines of LSA, fitted on the examples.
struct Similarities {
    width: usize,
    questions: Vec<f32>,
    examples: Vec<f32>,
}

impl Similarities {
    fn of(
        files: &ReplmFiles,
        questions: &[Document],
        examples: &[Document],
        seed: u64,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let texts = |documents: &[Document]| -> Vec<(String, String)> {
            documents.iter().map(|document| (String::new(), document.text.clone())).collect()
        };
        let config = LsaConfig { dimensions: 256, seed, min_documents: 1, max_document_share: 0.5, max_terms: 200_000 };
        let (embedder, vectors, _) = Lsa::fit(&texts(examples), &config, monitor).map_err(|error| match error {
            cognate_pair::Error::NoTerms { .. } => {
                let problem = "its documents have no word that half of them do not have, so none is nearer than another: give \
                               more documents";
                Error::Relations { path: files.examples.clone(), problem: problem.to_owned() }
            }
            other => other.into(),
        })?;
        let of_questions = embedder.embed(&texts(questions));
        Ok(Self { width: vectors.width, questions: of_questions.data, examples: vectors.data })
    }

    fn cosine(&self, question: usize, example: usize) -> f64 {
        let rows = |at: usize| at * self.width..(at + 1) * self.width;
        let (a, b) = (&self.questions[rows(question)], &self.examples[rows(example)]);
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    /// Sets of examples of a question: each drawn anew from the nearest of `from`, without documents of the same text. None where these are too few
    /// for a set.
    fn sets(
        &self,
        question: usize,
        text: &str,
        examples: &[Document],
        from: &[usize],
        relation: &str,
        options: ReplmOptions,
    ) -> Option<Vec<(Vec<usize>, f64)>> {
        let others = from.iter().copied().filter(|at| examples[*at].text != text);
        let mut nearest: Vec<(f64, usize)> = others.map(|at| (self.cosine(question, at), at)).collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(NEAREST);
        let set = |set: usize| {
            let mut drawn = nearest.clone();
            let purpose = format!("replm/{relation}/{set}");
            drawn.shuffle(&mut random::stream(options.seed, &purpose, question as u64 + 1));
            drawn.truncate(options.shots);
            let mean = drawn.iter().map(|(similarity, _)| similarity).sum::<f64>() / drawn.len() as f64;
            (drawn.into_iter().map(|(_, at)| at).collect(), mean)
        };
        (nearest.len() >= options.shots).then(|| (0..options.sets).map(set).collect())
    }
}

/// Counts of a question.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    row: u64,
    group: String,
    of: Sums,
    truncated: u64,
    lossy: u64,
}

/// Counts that add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    right: f64,
    kept: f64,
    gold: f64,
    known: f64,
}

impl Counts {
    fn of(found: &Extraction) -> Self {
        let right = found.right.iter().filter(|right| **right).count();
        let of = Sums {
            right: right as f64,
            kept: found.triples.len() as f64,
            gold: found.gold as f64,
            known: found.known as f64,
        };
        let (truncated, lossy) = (u64::from(found.truncated > 0), u64::from(found.lossy > 0));
        Self { row: found.row, group: found.group.clone(), of, truncated, lossy }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.kept += other.kept;
        self.gold += other.gold;
        self.known += other.known;
    }
}

/// Precision, recall and F1 over all triples of all relations, and F1 without those that the examples state. F1 is 2·right / (kept + gold), a ratio
/// of sums over documents, so it has the ratio's standard error.
fn scores(units: &[Counts], shots: usize) -> TaskScores {
    let (mut documents, mut groups): (BTreeMap<u64, Sums>, BTreeMap<String, Vec<Sums>>) = Default::default();
    let mut all = Sums::default();
    for unit in units {
        // What is asked about one document is no independent sample.
        *documents.entry(unit.row).or_default() += unit.of;
        groups.entry(unit.group.clone()).or_default().push(unit.of);
        all += unit.of;
    }
    let documents: Vec<Sums> = documents.into_values().collect();
    let f1 = |units: &[Sums]| over(units, |of| (of.kept + of.gold, 2.0 * of.right));
    let share = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
    // As DocRED's own evaluation has it: precision without right triples that are known, recall as it is.
    let (precision, recall) = (share(all.right - all.known, all.kept - all.known), share(all.right, all.gold));
    let ignoring = share(2.0 * precision * recall, precision + recall);
    let main = f1(&documents);
    let metrics = BTreeMap::from([
        ("f1".to_owned(), main),
        ("precision".to_owned(), over(&documents, |of| (of.kept, of.right))),
        ("recall".to_owned(), over(&documents, |of| (of.gold, of.right))),
        ("f1_ignoring_examples".to_owned(), Estimate { value: ignoring, stderr: None }),
    ]);
    let group = |(name, units): (String, Vec<Sums>)| {
        let Estimate { value, stderr } = f1(&units);
        (name, Group { value, stderr, n: units.len() as u64 })
    };
    TaskScores {
        metric: "f1".to_owned(),
        value: main.value,
        stderr: main.stderr,
        n: units.len() as u64,
        shots,
        truncated: units.iter().map(|unit| unit.truncated).sum(),
        lossy: units.iter().map(|unit| unit.lossy).sum(),
        metrics,
        groups: groups.into_iter().map(group).collect(),
    }
}

/// A ratio of sums, 0 where there is nothing to divide by.
fn over(units: &[Sums], parts: impl Fn(&Sums) -> (f64, f64) + Copy) -> Estimate {
    match units.iter().any(|of| parts(of).0 > 0.0) {
        true => ratio(units.iter().map(parts)),
        false => Estimate { value: 0.0, stderr: None },
    }
}
