//! Published tasks: a record of a task's file becomes requests, the requests likelihoods or answers, and these figures.
//!
//! | module | what lives there |
//! |---|---|
//! | [`definition`] | a task's TOML table, and the bundled ones |
//! | `template` | texts with fields of a record in them |
//! | [`record`] | a record as context, choices and the right one |
//! | `shots` | examples before a question |
//! | `request` | texts to tokens |
//! | `answer` | written answers, and what counts as the same answer |
//! | [`scores`] | figures with their standard errors |
//!
//! Prompts, requests and definitions of metrics are those of lm-evaluation-harness 0.4.13; `docs/evaluation.md` says where not.

pub(crate) mod answer;
#[cfg(test)]
mod damage;
pub mod definition;
pub(crate) mod problem;
pub mod record;
pub(crate) mod request;
pub mod scores;
mod shots;
mod template;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::{Monitor, Unit};
use cognate_corpus::{Records, Tokenizer};
use cognate_model::{Ensemble, ScoreItem};
use cognate_ops::Device;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::likelihood::likelihoods;
use crate::progress::Part;
use crate::rows::Rows;
use answer::encoded_prompt;
use definition::Kind;
pub use definition::{Definition, names};
pub use problem::RecordProblem;
use record::Question;
pub(crate) use request::is_lossy;
use request::{Encoded, Encoder};
pub use scores::{ANSWER_NATS, ChoiceOutcome, Group, Outcome, TaskScores};
use shots::Examples;
pub(crate) use template::words;

/// Questions encoded and scored together.
const CHUNK: usize = 1024;

/// Where a task's records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFiles {
    /// The questions.
    pub questions: PathBuf,
    /// The examples; none where they are other questions.
    pub examples: Option<PathBuf>,
}

/// Endings that a task's file may have.
pub const ENDINGS: [&str; 5] = ["jsonl", "jsonl.zst", "jsonl.gz", "json", "parquet"];

/// The file in `folder` that goes by one of some names, the first of them first.
pub fn file_in(folder: &Path, names: &[String]) -> Option<PathBuf> {
    let mut paths = names.iter().flat_map(|name| ENDINGS.map(|ending| folder.join(format!("{name}.{ending}"))));
    paths.find(|path| path.is_file())
}

/// What a file that [`file_in`] finds may be called, in words.
pub fn file_names(names: &[String]) -> String {
    format!("{}.{{{}}}", names.join(" or "), ENDINGS.join(","))
}

/// How a task is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOptions {
    /// Examples before each question; none for as many as the task's definition says.
    pub shots: Option<usize>,
    /// Only the first so many questions, of each group where the task has groups.
    pub limit: Option<usize>,
    /// With a question's row, decides which examples it gets.
    pub seed: u64,
    /// Tokens of key/value cache that a batch takes. Changes the speed, never the result.
    pub batch_tokens: usize,
}

/// Measures a model on a task: the figures, and what each question contributed, in the order of the file.
///
/// # Errors
/// When a file is missing, empty or damaged, a record is no question of the task, there are not enough examples, a token has
/// no row in the model's embedding, the model has no room for an answer, a likelihood is not a number, or the monitor interrupts.
pub fn evaluate_task<D: Device>(
    model: &mut Ensemble<D>,
    tokenizer: &Tokenizer,
    task: &Definition,
    files: &TaskFiles,
    options: TaskOptions,
    monitor: &dyn Monitor,
) -> Result<(TaskScores, Vec<Outcome>)> {
    let asked = Asked::read(task, files, options)?;
    let rows = Rows { tokenizer, rows: model.config().vocab };
    let encoder = Encoder::new(rows, model.config().max_positions)?;
    let part = Part::of(monitor, &task.name, Some(asked.chosen.len() as u64), Unit::Documents);
    let mut outcomes = Vec::with_capacity(asked.chosen.len());
    for chunk in asked.chosen.chunks(CHUNK) {
        let befores: Vec<(&Question, String)> =
            chunk.iter().map(|&index| Ok((&asked.questions[index], asked.before(index)?))).collect::<Result<_>>()?;
        outcomes.extend(match task.kind {
            Kind::Generation => {
                answer::answers(model, &encoder, tokenizer, task, &befores, options.batch_tokens, &part)?
            }
            Kind::Choice | Kind::Completion => chosen_by_likelihood(model, &encoder, task, &befores, options, &part)?,
        });
        part.finish_one();
    }
    let scores = TaskScores::of(task, asked.shots, &outcomes);
    if scores.lossy > 0 {
        tracing::warn!(task = task.name, documents = scores.lossy, "the tokenizer does not give these texts back");
    }
    Ok((scores, outcomes))
}

/// Refuses, before there is a model, what [`evaluate_task`] would refuse for its files: a record that is no question, too few examples,
/// and, where the tokenizer and the positions of the models are known, a text or an answer for which these have no room.
///
/// # Errors
/// As [`evaluate_task`], but for the model.
pub fn check_task(
    models: Option<(&Tokenizer, usize)>,
    task: &Definition,
    files: &TaskFiles,
    options: TaskOptions,
    monitor: &dyn Monitor,
) -> Result<()> {
    let asked = Asked::read(task, files, options)?;
    // The models have a row for every token of the run's tokenizer.
    let all = |tokenizer| Rows { tokenizer, rows: usize::MAX };
    let encoder = models.map(|(tokenizer, positions)| Encoder::new(all(tokenizer), positions)).transpose()?;
    for chunk in asked.chosen.chunks(CHUNK) {
        monitor.check()?;
        chunk.par_iter().try_for_each(|&index| {
            let (question, before) = (&asked.questions[index], asked.before(index)?);
            let Some(encoder) = &encoder else { return Ok(()) };
            match task.kind {
                Kind::Generation => encoded_prompt(encoder, task, question, &before).map(drop),
                Kind::Choice | Kind::Completion => encoded_choices(encoder, question, &before).map(drop),
            }
        })?;
    }
    Ok(())
}

/// What a task asks: its questions, which of them, and the examples before each.
struct Asked {
    questions: Vec<Question>,
    /// The numbers of those that are asked.
    chosen: Vec<usize>,
    examples: Option<Examples>,
    shots: usize,
    seed: u64,
}

impl Asked {
    fn read(task: &Definition, files: &TaskFiles, options: TaskOptions) -> Result<Self> {
        let shots = options.shots.unwrap_or(task.shots.default);
        if let Some(most) = task.shots.most.filter(|most| shots > *most) {
            return Err(Error::TooManyShots { task: task.name.clone(), most, asked: shots });
        }
        let questions = read(task, &files.questions)?;
        let examples = match &files.examples {
            _ if shots == 0 => None,
            Some(path) => Some(Examples::of_file(task, path, &read(task, path)?)),
            None => Some(Examples::of_questions(task, &files.questions, &questions)),
        };
        Ok(Self { chosen: limited(&questions, options.limit), questions, examples, shots, seed: options.seed })
    }

    /// What stands before the question with number `index`.
    fn before(&self, index: usize) -> Result<String> {
        let question = &self.questions[index];
        let examples = self.examples.as_ref().map(|examples| examples.before(question, index, self.shots, self.seed));
        Ok(question.description.clone() + &examples.transpose()?.unwrap_or_default())
    }
}

/// All questions of a file.
fn read(task: &Definition, path: &Path) -> Result<Vec<Question>> {
    let questions: Vec<Question> =
        Records::open(path)?.map(|record| Question::new(task, &record?)).collect::<Result<_>>()?;
    if questions.is_empty() {
        return Err(Error::EmptyTask { task: task.name.clone(), path: path.to_path_buf() });
    }
    Ok(questions)
}

/// The numbers of the first `limit` questions of each group.
fn limited(questions: &[Question], limit: Option<usize>) -> Vec<usize> {
    let mut seen: HashMap<Option<&str>, usize> = HashMap::new();
    let within = |index: &usize| {
        let count = seen.entry(questions[*index].group.as_deref()).or_default();
        *count += 1;
        limit.is_none_or(|limit| *count <= limit)
    };
    (0..questions.len()).filter(within).collect()
}

/// Every choice of a question behind what stands before it.
fn encoded_choices(encoder: &Encoder<'_>, question: &Question, before: &str) -> Result<Vec<Encoded<ScoreItem>>> {
    let pair = |choice| {
        let context = format!("{before}{}", question.context(choice));
        encoder.pair(&question.origin, &context, &question.continuation(choice))
    };
    (0..question.choices.len()).map(pair).collect()
}

/// Scores every choice of some questions, each with what stands before it.
fn chosen_by_likelihood<D: Device>(
    model: &mut Ensemble<D>,
    encoder: &Encoder<'_>,
    task: &Definition,
    questions: &[(&Question, String)],
    options: TaskOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<Outcome>> {
    let encoded: Vec<Vec<Encoded<ScoreItem>>> = questions
        .par_iter()
        .map(|(question, before)| encoded_choices(encoder, question, before))
        .collect::<Vec<Result<_>>>()
        .into_iter()
        .collect::<Result<_>>()?;
    let items: Vec<Vec<ScoreItem>> =
        encoded.iter().map(|items| items.iter().map(|item| item.tokens.clone()).collect()).collect();
    let found = likelihoods(model, &items, options.batch_tokens, monitor)?;
    let mut outcomes = Vec::with_capacity(questions.len());
    for (((question, _), items), found) in questions.iter().zip(&encoded).zip(found) {
        if let Some(bad) = found.iter().find(|found| !found.log_likelihood.is_finite()) {
            let item = format!("{}: {}", task.name, question.origin);
            return Err(Error::NotFinite { item, nats: -bad.log_likelihood });
        }
        let choices = found.iter().zip(items).zip(&question.choices).map(|((found, item), text)| ChoiceOutcome {
            log_likelihood: found.log_likelihood,
            tokens: item.tokens.continuation.len(),
            characters: text.chars().count(),
            greedy: found.greedy,
        });
        outcomes.push(Outcome {
            task: task.name.clone(),
            row: question.origin.row,
            group: question.group.clone(),
            gold: Some(question.gold),
            choices: choices.collect(),
            answer: None,
            truncated: items.iter().any(|item| item.truncated),
            lossy: items.iter().any(|item| item.lossy),
            metrics: Default::default(),
        });
    }
    for outcome in &mut outcomes {
        outcome.score(task.kind);
    }
    Ok(outcomes)
}
