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
use written::{triples, write};

/// The task's name.
pub const REPLM: &str = "replm";
/// The names of its files: the documents that are asked about, those that examples are drawn from, and the relations' names, which may be
/// missing.
pub const FILES: [&str; 3] = [REPLM, "replm_examples", "replm_relations"];
/// Nearest documents that examples are drawn from.
const NEAREST: usize = 20;
/// Characters of an example's text, at most.
const MOST_CHARACTERS: usize = 1000;
/// Tokens that are written, at most.
const NEW_TOKENS: usize = 200;

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
    /// Sets of examples for each question.
    pub sets: usize,
    /// Examples of a set.
    pub shots: usize,
    /// Only the first so many documents of each relation.
    pub limit: Option<usize>,
    /// With the question, decides which examples are drawn.
    pub seed: u64,
    /// Tokens of key/value cache that a batch takes. Changes the speed, never the result.
    pub batch_tokens: usize,
}

impl ReplmOptions {
    /// The paper's: five examples in a set.
    pub const SHOTS: usize = 5;
    /// Sets where nothing else is said.
    pub const SETS: usize = 5;
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
    /// Right ones of which an example document states the same.
    pub known: usize,
    /// Whether a prompt lost tokens on the left.
    pub truncated: bool,
    /// Whether the tokenizer does not give a prompt back.
    pub lossy: bool,
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

/// A question: a document of the file, and a relation.
struct Question<'a> {
    at: usize,
    document: &'a Document,
    relation: &'a str,
    /// The examples of each set, by their numbers, and their mean similarity.
    sets: Vec<(Vec<usize>, f64)>,
}

/// Refuses, before there is a model, what [`extract`] would refuse for its files.
///
/// # Errors
/// As [`extract`], but for the model.
pub fn check(files: &ReplmFiles) -> Result<()> {
    let (questions, examples) = (docred::read(&files.questions)?, docred::read(&files.examples)?);
    names(files, &questions)?;
    relations(files, &questions, &examples).map(drop)
}

/// Measures a model: micro F1 over all relations, and what each question contributed, relation by relation.
///
/// # Errors
/// When a file is missing, damaged or not of the format, no relation has an example, the model has no room for an answer, a token has no
/// row in its embedding, or the monitor interrupts.
pub fn extract<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    files: &ReplmFiles,
    options: ReplmOptions,
    monitor: &dyn Monitor,
) -> Result<(TaskScores, Vec<Extraction>)> {
    let (questions, examples) = (docred::read(&files.questions)?, docred::read(&files.examples)?);
    let names = names(files, &questions)?;
    let relations = relations(files, &questions, &examples)?;
    let similarities = Similarities::of(&questions, &examples, options.seed, monitor)?;
    let known = known(&examples);
    let rows = Rows { tokenizer, rows: model.config().vocab };
    let encoder = Encoder::new(rows, model.config().max_positions)?;
    let asked = |relation: &str| {
        let of = questions
            .iter()
            .enumerate()
            .filter(|(_, document)| document.facts.contains_key(relation))
            .map(|(at, _)| at);
        of.take(options.limit.unwrap_or(usize::MAX)).collect::<Vec<usize>>()
    };
    let total = relations.iter().map(|relation| asked(relation).len() as u64).sum();
    let part = Part::of(monitor, REPLM, Some(total), Unit::Documents);
    let mut found = Vec::new();
    for (number, relation) in relations.iter().enumerate() {
        let from: Vec<usize> = (0..examples.len()).filter(|at| is_example(&examples[*at], relation)).collect();
        let of_relation: Vec<Question<'_>> = asked(relation)
            .into_iter()
            .map(|at| {
                let item = (number * questions.len() + at) as u64;
                let document = &questions[at];
                Question {
                    at,
                    document,
                    relation,
                    sets: similarities.sets(at, document, &examples, &from, options, item),
                }
            })
            .collect();
        let name = names.get(*relation).map_or(*relation, String::as_str);
        found.extend(answered(
            model,
            &encoder,
            tokenizer,
            files,
            name,
            (&of_relation, &examples),
            &known,
            options,
            &part,
        )?);
        part.finish_one();
    }
    let scores = scores(&found, options.shots);
    if scores.lossy > 0 {
        tracing::warn!(task = REPLM, documents = scores.lossy, "the tokenizer does not give these texts back");
    }
    Ok((scores, found))
}

/// Whether a document can stand as an example of a relation.
fn is_example(document: &Document, relation: &str) -> bool {
    document.facts.contains_key(relation) && document.text.chars().count() <= MOST_CHARACTERS
}

/// The relations that are asked about, in their order: those of the documents of which there is an example. The others are told.
fn relations<'a>(files: &ReplmFiles, questions: &'a [Document], examples: &[Document]) -> Result<Vec<&'a str>> {
    let all: BTreeSet<&str> = questions.iter().flat_map(|document| document.facts.keys()).map(String::as_str).collect();
    let (asked, without): (Vec<&str>, Vec<&str>) =
        all.into_iter().partition(|relation| examples.iter().any(|document| is_example(document, relation)));
    if asked.is_empty() {
        let problem = format!(
            "none of its documents of at most {MOST_CHARACTERS} characters states a relation that the documents of {} do",
            files.questions.display()
        );
        return Err(Error::Relations { path: files.examples.clone(), problem });
    }
    if !without.is_empty() {
        tracing::warn!(task = REPLM, relations = without.join(", "), "no example states these, so they are left out");
    }
    Ok(asked)
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

/// All that the examples state: subject, object, relation, by each of the names.
fn known(examples: &[Document]) -> BTreeSet<(&str, &str, &str)> {
    let mut known = BTreeSet::new();
    for (relation, facts) in examples.iter().flat_map(|document| &document.facts) {
        for Fact { subjects, objects } in facts {
            for subject in subjects {
                known.extend(objects.iter().map(|object| (subject.as_str(), object.as_str(), relation.as_str())));
            }
        }
    }
    known
}

/// How similar each document is to each example: cosines of LSA, fitted on the examples.
struct Similarities {
    width: usize,
    questions: Vec<f32>,
    examples: Vec<f32>,
}

impl Similarities {
    fn of(questions: &[Document], examples: &[Document], seed: u64, monitor: &dyn Monitor) -> Result<Self> {
        let texts = |documents: &[Document]| -> Vec<(String, String)> {
            documents.iter().map(|document| (document.title.clone(), document.text.clone())).collect()
        };
        let config = LsaConfig { dimensions: 256, seed, min_documents: 1, max_document_share: 0.5, max_terms: 200_000 };
        let (embedder, vectors, _) = Lsa::fit(&texts(examples), &config, monitor)?;
        let of_questions = embedder.embed(&texts(questions));
        Ok(Self { width: vectors.width, questions: of_questions.data, examples: vectors.data })
    }

    fn cosine(&self, question: usize, example: usize) -> f64 {
        let row = |data: &'_ [f32], at: usize| data[at * self.width..(at + 1) * self.width].to_vec();
        let (a, b) = (row(&self.questions, question), row(&self.examples, example));
        a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    /// Sets of examples of a question: each drawn anew from the nearest of `from`, without the document itself.
    fn sets(
        &self,
        question: usize,
        document: &Document,
        examples: &[Document],
        from: &[usize],
        options: ReplmOptions,
        item: u64,
    ) -> Vec<(Vec<usize>, f64)> {
        let others = from.iter().copied().filter(|at| examples[*at].text != document.text);
        let mut nearest: Vec<(f64, usize)> = others.map(|at| (self.cosine(question, at), at)).collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(NEAREST.max(options.shots));
        let set = |set: usize| {
            let mut drawn = nearest.clone();
            drawn.shuffle(&mut random::stream(
                options.seed,
                "sets of examples",
                item * options.sets as u64 + set as u64,
            ));
            drawn.truncate(options.shots);
            let mean = drawn.iter().map(|(similarity, _)| similarity).sum::<f64>() / drawn.len().max(1) as f64;
            (drawn.into_iter().map(|(_, at)| at).collect(), mean)
        };
        (0..options.sets).map(set).collect()
    }
}

/// Asks all questions about one relation.
#[expect(clippy::too_many_arguments, reason = "what one relation is asked with")]
fn answered<D: Device>(
    model: &mut Ensemble<D>,
    encoder: &Encoder<'_>,
    tokenizer: &Tokenizer,
    files: &ReplmFiles,
    name: &str,
    (questions, examples): (&[Question<'_>], &[Document]),
    known: &BTreeSet<(&str, &str, &str)>,
    options: ReplmOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Extraction>> {
    let file: Arc<Path> = files.questions.as_path().into();
    let (mut shown, mut prompts) = (Vec::new(), Vec::new());
    for Question { at, document, relation, sets } in questions {
        let origin = Origin { file: Arc::clone(&file), row: *at as u64 + 1 };
        for (set, _) in sets {
            let examples = set.iter().map(|example| &examples[*example]);
            let text = prompt(
                name,
                examples.map(|example| (example.text.as_str(), &example.facts[*relation][..])),
                &document.text,
            );
            let encoded = encoder.prompt(&origin, &text, NEW_TOKENS)?;
            prompts.push(encoded.tokens);
            shown.push((text, encoded.truncated, encoded.lossy));
        }
    }
    let mut answers =
        write(model, tokenizer, prompts, NEW_TOKENS, options.batch_tokens, monitor)?.into_iter().zip(shown);
    let mut found = Vec::with_capacity(questions.len());
    for Question { at, document, relation, sets } in questions {
        let (mut of_sets, mut truncated, mut lossy) = (Vec::with_capacity(sets.len()), false, false);
        for ((set, similarity), (answer, (prompt, cut, changed))) in sets.iter().zip(&mut answers) {
            (truncated, lossy) = (truncated | cut, lossy | changed);
            of_sets.push(ExampleSet {
                examples: set.iter().map(|example| examples[*example].title.clone()).collect(),
                similarity: *similarity,
                prompt,
                triples: triples(&answer, name),
                written: answer.text,
            });
        }
        let kept = together(of_sets.iter().map(|set| (set.similarity, &set.triples[..])), TEMPERATURE, LEAST);
        let facts = &document.facts[*relation];
        let matched = right(facts, &kept);
        let stated = |fact: &Fact| {
            let same =
                |subject: &String| fact.objects.iter().any(|object| known.contains(&(subject, object, *relation)));
            fact.subjects.iter().any(same)
        };
        found.push(Extraction {
            task: REPLM,
            row: *at as u64 + 1,
            title: document.title.clone(),
            group: (*relation).to_owned(),
            sets: of_sets,
            known: matched.iter().flatten().filter(|fact| stated(&facts[**fact])).count(),
            right: matched.iter().map(Option::is_some).collect(),
            triples: kept,
            gold: facts.len(),
            truncated,
            lossy,
        });
    }
    Ok(found)
}

/// Counts of some questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    right: f64,
    kept: f64,
    gold: f64,
    known: f64,
}

impl Counts {
    fn of(found: &Extraction) -> Self {
        let right = found.right.iter().filter(|right| **right).count();
        Self {
            right: right as f64,
            kept: found.triples.len() as f64,
            gold: found.gold as f64,
            known: found.known as f64,
        }
    }
}

/// Precision, recall and F1 over all triples of all relations, and F1 without those that the examples state. F1 is 2·right / (kept + gold), a ratio
/// of sums over questions, so it has the ratio's standard error.
fn scores(found: &[Extraction], shots: usize) -> TaskScores {
    let units: Vec<Counts> = found.iter().map(Counts::of).collect();
    let f1 = |units: &[Counts]| over(units, |of| (of.kept + of.gold, 2.0 * of.right));
    let sum = |part: fn(&Counts) -> f64| units.iter().map(part).sum::<f64>();
    let (right, kept, gold, known) = (sum(|of| of.right), sum(|of| of.kept), sum(|of| of.gold), sum(|of| of.known));
    let share = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
    // As DocRED's own evaluation has it: precision without right triples that are known, recall as it is.
    let (precision, recall) = (share(right - known, kept - known), share(right, gold));
    let ignoring = share(2.0 * precision * recall, precision + recall);
    let main = f1(&units);
    let metrics = BTreeMap::from([
        ("f1".to_owned(), main),
        ("precision".to_owned(), over(&units, |of| (of.kept, of.right))),
        ("recall".to_owned(), over(&units, |of| (of.gold, of.right))),
        ("f1_ignoring_examples".to_owned(), Estimate { value: ignoring, stderr: None }),
    ]);
    let mut groups: BTreeMap<String, Vec<Counts>> = BTreeMap::new();
    for (found, of) in found.iter().zip(&units) {
        groups.entry(found.group.clone()).or_default().push(*of);
    }
    let group = |(name, units): (String, Vec<Counts>)| {
        let Estimate { value, stderr } = f1(&units);
        (name, Group { value, stderr, n: units.len() as u64 })
    };
    TaskScores {
        metric: "f1".to_owned(),
        value: main.value,
        stderr: main.stderr,
        n: found.len() as u64,
        shots,
        truncated: found.iter().filter(|found| found.truncated).count() as u64,
        lossy: found.iter().filter(|found| found.lossy).count() as u64,
        metrics,
        groups: groups.into_iter().map(group).collect(),
    }
}

/// A ratio of sums, 0 where there is nothing to divide by.
fn over(units: &[Counts], parts: impl Fn(&Counts) -> (f64, f64) + Copy) -> Estimate {
    match units.iter().any(|of| parts(of).0 > 0.0) {
        true => ratio(units.iter().map(parts)),
        false => Estimate { value: 0.0, stderr: None },
    }
}
