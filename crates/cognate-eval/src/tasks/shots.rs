//! Examples before a question: other records, with their answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::random::{self, Rng};

use super::definition::{Definition, Order};
use super::record::Question;
use crate::error::{Error, Result};

/// What examples are taken from.
pub(crate) struct Examples {
    task: String,
    path: PathBuf,
    order: Order,
    texts: Vec<String>,
    /// The numbers of the examples of each group; of all where the task has none.
    groups: HashMap<Option<String>, Vec<usize>>,
    /// Whether the examples are the questions themselves.
    own: bool,
}

impl Examples {
    /// The records of a file of examples.
    pub(crate) fn of_file(task: &Definition, path: &Path, records: &[Question]) -> Self {
        Self::new(task, path, records, false)
    }

    /// The questions themselves: each gets others.
    pub(crate) fn of_questions(task: &Definition, path: &Path, questions: &[Question]) -> Self {
        Self::new(task, path, questions, true)
    }

    fn new(task: &Definition, path: &Path, records: &[Question], own: bool) -> Self {
        let mut groups: HashMap<Option<String>, Vec<usize>> = HashMap::new();
        for (index, record) in records.iter().enumerate() {
            groups.entry(record.group.clone()).or_default().push(index);
        }
        let texts = records.iter().map(Question::as_example).collect();
        Self { task: task.name.clone(), path: path.to_path_buf(), order: task.shots.order, texts, groups, own }
    }

    /// `shots` different examples for the question with number `index`, as one text. They are of the question's group, and none of
    /// them says what the question and its answer say.
    pub(crate) fn before(&self, question: &Question, index: usize, shots: usize, seed: u64) -> Result<String> {
        let itself = question.as_example();
        let group = self.groups.get(&question.group).map_or(&[][..], Vec::as_slice);
        let mut candidates: Vec<usize> =
            group.iter().copied().filter(|&at| !(self.own && at == index) && self.texts[at] != itself).collect();
        if candidates.len() < shots {
            return Err(Error::TooFewExamples {
                origin: question.origin.clone(),
                asked: shots,
                path: self.path.clone(),
                found: candidates.len(),
            });
        }
        if self.order == Order::Drawn {
            // The first places of a Fisher-Yates shuffle.
            let mut stream = random::stream(seed, &format!("shots/{}", self.task), question.origin.row);
            for place in 0..shots {
                let left = candidates.len() - place;
                let drawn = (random::unit(stream.next_u64()) * left as f64) as usize;
                candidates.swap(place, place + drawn.min(left - 1));
            }
        }
        Ok(candidates[..shots].iter().map(|&at| self.texts[at].as_str()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cognate_corpus::Origin;

    use super::*;

    fn question(row: u64, group: Option<&str>, answer: &str) -> Question {
        Question {
            origin: Origin { file: Path::new("q.jsonl").into(), row },
            group: group.map(str::to_owned),
            description: String::new(),
            contexts: vec![format!("Q{row}:")],
            choices: vec![answer.to_owned()],
            gold: 0,
        }
    }

    #[test]
    fn a_question_gets_others_drawn_by_seed_and_row() {
        let task = Definition::bundled("triviaqa").unwrap();
        let questions: Vec<Question> = (0..30).map(|i| question(i, None, "a")).collect();
        let examples = Examples::of_questions(&task, Path::new("q.jsonl"), &questions);
        let before = |i: usize, seed| examples.before(&questions[i], i, 3, seed).unwrap();
        let mut firsts = HashSet::new();
        for i in 0..30 {
            let text = before(i, 1);
            let parts: HashSet<&str> = text.split_terminator("\n\n").collect();
            assert_eq!(parts.len(), 3, "{text}");
            assert!(!parts.contains(format!("Q{i}: a").as_str()), "{text}");
            assert_eq!(text, before(i, 1));
            firsts.insert(text);
        }
        assert!(firsts.len() > 25, "other questions get other examples");
        assert_ne!(before(3, 1), before(3, 2));
        // The same question once more in the file gives its answer away too.
        let twice: Vec<Question> = vec![question(1, None, "a"), question(1, None, "a"), question(2, None, "b")];
        let examples = Examples::of_questions(&task, Path::new("q.jsonl"), &twice);
        assert_eq!(examples.before(&twice[0], 0, 1, 0).unwrap(), "Q2: b\n\n");
        let error = examples.before(&twice[0], 0, 2, 0).unwrap_err().to_string();
        assert_eq!(error, "q.jsonl:1: 2 examples were asked for, and q.jsonl has 1 for this question: lower --shots");
    }

    #[test]
    fn examples_in_order_are_the_first_of_the_group() {
        let task = Definition::bundled("mmlu").unwrap();
        let records: Vec<Question> =
            (0..8).map(|i| question(i, Some(if i % 2 == 0 { "law" } else { "art" }), "A")).collect();
        let examples = Examples::of_file(&task, Path::new("dev.jsonl"), &records);
        let asked = question(0, Some("art"), "B");
        assert_eq!(examples.before(&asked, 0, 2, 5).unwrap(), "Q1: A\n\nQ3: A\n\n");
        // The number of a question says nothing of another file.
        assert_eq!(examples.before(&asked, 1, 2, 5).unwrap(), "Q1: A\n\nQ3: A\n\n");
        assert!(examples.before(&question(0, Some("physics"), "B"), 0, 1, 5).is_err());
    }
}
