//! A record of a task's file as a question: context, continuations, and which of them is right.

use cognate_corpus::{Origin, Record};
use serde_json::{Map, Value};

use super::definition::{Among, Choices, Clean, Definition, Gold, Kind, OneOrMany};
use super::problem::RecordProblem;
use super::template::{clean_wikihow, text_at, texts_at, trim, value_at};
use crate::error::{Error, Result};

/// Stands between a context and its continuation, as in the reference.
const DELIMITER: char = ' ';

/// Stands after an example, as in the reference.
const AFTER_EXAMPLE: &str = "\n\n";

/// A question, in text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    /// Where it stands.
    pub(crate) origin: Origin,
    /// The group that its figures are also given for.
    pub(crate) group: Option<String>,
    /// What stands before everything else.
    pub(crate) description: String,
    /// One for all choices, or one each.
    pub(crate) contexts: Vec<String>,
    /// The choices, or the accepted answers, without the delimiter.
    pub(crate) choices: Vec<String>,
    /// The right choice.
    pub(crate) gold: usize,
}

impl Question {
    /// Reads a record.
    pub(crate) fn new(task: &Definition, record: &Record) -> Result<Self> {
        Self::read(task, record).map_err(|problem| Error::TaskRecord { origin: record.origin.clone(), problem })
    }

    fn read(task: &Definition, record: &Record) -> Result<Self, RecordProblem> {
        let fields = &record.fields;
        let clean = |text: String| match task.clean {
            Some(Clean::Wikihow) => clean_wikihow(&text),
            None => text,
        };
        let choices: Vec<String> = match &task.choices {
            Choices::Field(path) => texts_at(fields, path)?.into_iter().map(|text| clean(text.to_owned())).collect(),
            Choices::Templates(texts) => {
                texts.iter().map(|text| Ok(clean(text.fill(fields)?))).collect::<Result<_, RecordProblem>>()?
            }
        };
        let contexts = task.contexts.iter().map(|text| Ok(clean(text.fill(fields)?)));
        let contexts = contexts.collect::<Result<_, RecordProblem>>()?;
        let gold = match &task.gold {
            Some(gold) if task.kind != Kind::Generation => right_choice(gold, record, choices.len())?,
            _ => 0,
        };
        if !choices.is_empty() && choices.iter().all(|choice| trim(choice).is_empty()) {
            return Err(RecordProblem::NoText { fields: task.choice_fields() });
        }
        Ok(Self {
            origin: record.origin.clone(),
            group: task.group.as_deref().map(|path| text_at(fields, path).map(str::to_owned)).transpose()?,
            description: task.description.as_ref().map(|text| text.fill(fields)).transpose()?.unwrap_or_default(),
            contexts,
            choices,
            gold,
        })
    }

    /// The context of a choice.
    pub(crate) fn context(&self, choice: usize) -> &str {
        &self.contexts[if self.contexts.len() == 1 { 0 } else { choice }]
    }

    /// What follows the context if it is this choice.
    pub(crate) fn continuation(&self, choice: usize) -> String {
        format!("{DELIMITER}{}", self.choices[choice])
    }

    /// The question with its answer, as it stands before others.
    pub(crate) fn as_example(&self) -> String {
        format!("{}{}{AFTER_EXAMPLE}", self.context(self.gold), self.continuation(self.gold))
    }
}

/// The number of the right choice.
fn right_choice(gold: &Gold, record: &Record, choices: usize) -> Result<usize, RecordProblem> {
    let (names, among) = match gold {
        Gold::Always { always } => return Ok(*always),
        Gold::Field { field, among } => (field.as_slice(), among),
    };
    let field = names.iter().find(|name| value_at(&record.fields, name).is_ok()).unwrap_or(&names[0]);
    let value = value_at(&record.fields, field)?;
    let found = label(field, value)?;
    let (labels, listed): (Vec<Vec<String>>, String) = match among {
        None => ((0..choices).map(|choice| vec![choice.to_string()]).collect(), format!("0 to {}", choices - 1)),
        Some(Among::Field(path)) => {
            let labels = labels_at(&record.fields, path)?;
            if labels.len() != choices {
                return Err(RecordProblem::Unequal { labels: path.clone(), found: labels.len(), choices });
            }
            let listed = labels.join(", ");
            (labels.into_iter().map(|label| vec![label]).collect(), listed)
        }
        Some(Among::Values(values)) => {
            let ways = |ways: &OneOrMany<Value>| ways.as_slice().iter().map(|value| label(field, value)).collect();
            let labels: Vec<Vec<String>> = values.iter().map(ways).collect::<Result<_, _>>()?;
            let listed = labels.iter().map(|ways| ways.join(" or ")).collect::<Vec<_>>().join(", ");
            (labels, listed)
        }
    };
    let same = |known: &String| known.eq_ignore_ascii_case(&found);
    let at = labels.iter().position(|ways| ways.iter().any(same)).filter(|at| *at < choices);
    at.ok_or_else(|| RecordProblem::Label { field: field.clone(), found: value.to_string(), choices: listed })
}

/// What a label says, whatever type it has: authors and converters write the same one as 1, `"1"` and 1.0 (a column of whole numbers
/// with gaps), or as true and `"True"`.
fn label(field: &str, value: &Value) -> Result<String, RecordProblem> {
    let text = match value {
        Value::String(text) => Some(trim(text).to_owned()),
        Value::Bool(flag) => Some(flag.to_string()),
        // Beyond 2^53 not every whole number is one of these; no task has as many choices.
        Value::Number(number) => match number.as_f64() {
            Some(x) if !number.is_i64() && !number.is_u64() && x.fract() == 0.0 && x.abs() < 9e15 => {
                Some(format!("{x:.0}"))
            }
            _ if number.is_i64() || number.is_u64() => Some(number.to_string()),
            _ => None,
        },
        _ => None,
    };
    text.ok_or_else(|| RecordProblem::wrong_type(field, "a label: a text, a whole number, true or false", value))
}

/// The labels in the list at a path.
fn labels_at(fields: &Map<String, Value>, path: &str) -> Result<Vec<String>, RecordProblem> {
    let value = value_at(fields, path)?;
    let list = value.as_array().ok_or_else(|| RecordProblem::wrong_type(path, "a list of labels", value))?;
    list.iter().map(|value| label(path, value)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(task: &str, json: &str) -> Result<Question> {
        let origin = Origin { file: Path::new("questions.jsonl").into(), row: 7 };
        let record = Record { origin, fields: serde_json::from_str(json).unwrap() };
        Question::new(&Definition::bundled(task).unwrap(), &record)
    }

    /// Contexts, continuations and the right choice of a record, as lm-evaluation-harness 0.4.13 makes them.
    fn requests(task: &str, json: &str) -> (Vec<(String, String)>, usize) {
        let question = read(task, json).unwrap();
        let pair = |choice| (question.context(choice).to_owned(), question.continuation(choice));
        ((0..question.choices.len()).map(pair).collect(), question.gold)
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(context, continuation)| ((*context).to_owned(), (*continuation).to_owned())).collect()
    }

    #[test]
    fn records_become_the_references_requests() {
        let arc = r#"{"id": "M1", "question": "Why?", "choices": {"text": ["a", "b", "c"], "label": ["1", "2", "3"]},
                      "answerKey": "3"}"#;
        for task in ["arc_easy", "arc_challenge"] {
            let q = "Question: Why?\nAnswer:";
            assert_eq!(requests(task, arc), (pairs(&[(q, " a"), (q, " b"), (q, " c")]), 2));
        }
        let q = "Question: dresser\nAnswer:";
        let piqa = r#"{"goal": "dresser", "sol1": "replace drawer ", "sol2": "finish", "label": 1}"#;
        assert_eq!(requests("piqa", piqa), (pairs(&[(q, " replace drawer "), (q, " finish")]), 1));
        let winogrande =
            r#"{"sentence": "Sarah met Maria so _ had cake.", "option1": "Sarah", "option2": "Maria", "answer": "2"}"#;
        let expected = pairs(&[("Sarah met Maria so Sarah", " had cake."), ("Sarah met Maria so Maria", " had cake.")]);
        assert_eq!(requests("winogrande", winogrande), (expected, 1));
        let hellaswag = r#"{"activity_label": "Baking", "ctx_a": "A man [x] bakes.", "ctx_b": "then HE", "label": "1",
                            "endings": ["eats [title] it.", "sleeps", "c", "d"]}"#;
        let q = "Baking: A man bakes. Then he";
        let expected = pairs(&[(q, " eats. it."), (q, " sleeps"), (q, " c"), (q, " d")]);
        assert_eq!(requests("hellaswag", hellaswag), (expected, 1));
        let sciq = r#"{"support": "  Cells divide.", "question": "What?", "distractor1": "a", "distractor2": "b",
                       "distractor3": "c", "correct_answer": "d"}"#;
        let q = "Cells divide.\nQuestion: What?\nAnswer:";
        assert_eq!(requests("sciq", sciq), (pairs(&[(q, " a"), (q, " b"), (q, " c"), (q, " d")]), 3));
        let boolq = r#"{"question": "is it", "answer": true, "passage": "It is."}"#;
        let q = "It is.\nQuestion: is it?\nAnswer:";
        assert_eq!(requests("boolq", boolq), (pairs(&[(q, " no"), (q, " yes")]), 1));
        let blimp = r#"{"sentence_good": "She left.", "sentence_bad": "Her left.", "UID": "case"}"#;
        assert_eq!(requests("blimp", blimp), (pairs(&[("", " She left."), ("", " Her left.")]), 0));
        assert_eq!(read("blimp", blimp).unwrap().group.as_deref(), Some("case"));
        let lambada = requests("lambada", r#"{"text": "I don't care\nabout signs"}"#);
        assert_eq!(lambada, (pairs(&[("I don't care\nabout", " signs")]), 0));
    }

    #[test]
    fn labels_are_read_in_every_form_that_data_sets_have() {
        let arc = |labels: &str, key: &str| {
            let text = r#""text": ["a", "b", "c"]"#;
            format!(r#"{{"question": "q", "choices": {{{text}, "label": {labels}}}, "answerKey": {key}}}"#)
        };
        let piqa = |label: &str| format!(r#"{{"goal": "g", "sol1": "a", "sol2": "b", "label": {label}}}"#);
        let winogrande = |label: &str| {
            format!(r#"{{"sentence": "A met B so _ ran.", "option1": "A", "option2": "B", "answer": {label}}}"#)
        };
        let hellaswag = |label: &str| {
            let endings = r#""endings": ["a", "b", "c", "d"]"#;
            format!(r#"{{"activity_label": "x", "ctx_a": "y", "ctx_b": "z", {endings}, "label": {label}}}"#)
        };
        let boolq = |label: &str| format!(r#"{{"question": "q", "passage": "p", {label}}}"#);
        let mmlu = |label: &str| {
            format!(r#"{{"question": "q", "subject": "s", "choices": ["1", "2", "3", "4"], "answer": {label}}}"#)
        };
        for (task, record, gold) in [
            ("arc_easy", arc(r#"["A", "B", "C"]"#, r#""B""#), 1),
            ("arc_easy", arc(r#"["1", "2", "3"]"#, r#""2""#), 1),
            ("arc_easy", arc(r#"["1", "2", "3"]"#, "2"), 1),
            ("arc_challenge", arc("[1, 2, 3]", r#""2""#), 1),
            ("arc_challenge", arc("[1, 2, 3]", "2.0"), 1),
            ("piqa", piqa("1"), 1),
            ("piqa", piqa(r#""0""#), 0),
            ("piqa", piqa("1.0"), 1),
            ("winogrande", winogrande(r#""2""#), 1),
            ("winogrande", winogrande("1"), 0),
            ("hellaswag", hellaswag(r#""3""#), 3),
            ("hellaswag", hellaswag("3"), 3),
            ("boolq", boolq(r#""answer": true"#), 1),
            ("boolq", boolq(r#""answer": "False""#), 0),
            ("boolq", boolq(r#""label": 1"#), 1),
            ("boolq", boolq(r#""label": false"#), 0),
            ("boolq", boolq(r#""answer": "yes""#), 1),
            ("mmlu", mmlu("2"), 2),
            ("mmlu", mmlu(r#""C""#), 2),
            ("mmlu", mmlu(r#""2""#), 2),
        ] {
            assert_eq!(read(task, &record).unwrap_or_else(|error| panic!("{error}")).gold, gold, "{task}: {record}");
        }
    }

    #[test]
    fn a_whole_number_is_a_label_as_long_as_it_is_exact() {
        let of = |value: Value| label("f", &value).map_err(|problem| problem.to_string());
        assert_eq!(of(8_999_999_999_999_999.0.into()).as_deref(), Ok("8999999999999999"));
        assert_eq!([of((-3.0).into()), of((-3).into())], [Ok("-3".to_owned()), Ok("-3".to_owned())]);
        assert_eq!(of(u64::MAX.into()).as_deref(), Ok("18446744073709551615"));
        let refused =
            Err("field \"f\": expected a label: a text, a whole number, true or false, found a number".to_owned());
        assert_eq!([of(9e15.into()), of(0.5.into())], [refused.clone(), refused]);
    }

    #[test]
    fn mmlu_has_a_description_and_letters() {
        let mmlu =
            r#"{"question": " 1+1? ", "subject": "high_school_math", "choices": ["1", "2", "3", "4"], "answer": 1}"#;
        let question = read("mmlu", mmlu).unwrap();
        assert_eq!(
            question.description,
            "The following are multiple choice questions (with answers) about high school math.\n\n"
        );
        assert_eq!(question.as_example(), "1+1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n");
    }

    #[test]
    fn examples_are_questions_with_their_first_answer() {
        let trivia =
            read("triviaqa", r#"{"question": "Who?", "answer": {"value": "Me", "aliases": ["I", "Me"]}}"#).unwrap();
        assert_eq!(trivia.as_example(), "Question: Who??\nAnswer: I\n\n");
        let winogrande = r#"{"sentence": "A met B so _ ran.", "option1": "A", "option2": "B", "answer": "2"}"#;
        assert_eq!(read("winogrande", winogrande).unwrap().as_example(), "A met B so B ran.\n\n");
    }

    #[test]
    fn bad_records_name_file_line_and_field() {
        let arc = |key: &str| {
            format!(r#"{{"question": "Why?", "choices": {{"text": ["a", "b"], "label": ["A", "B"]}}{key}}}"#)
        };
        for (task, json, expected) in [
            (
                "arc_easy",
                arc(r#", "answerKey": "C""#),
                r#"field "answerKey": the label "C" is none of the choices A, B"#,
            ),
            ("arc_easy", arc(r#", "answerKey": 1"#), r#"field "answerKey": the label 1 is none of the choices A, B"#),
            (
                "arc_easy",
                arc(r#", "answerKey": 1.5"#),
                r#"field "answerKey": expected a label: a text, a whole number"#,
            ),
            (
                "arc_easy",
                arc(r#", "answerKey": ["A"]"#),
                r#"field "answerKey": expected a label: a text, a whole number"#,
            ),
            (
                "hellaswag",
                r#"{"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["d", "e"], "label": ""}"#.into(),
                r#"field "label": the label "" is none of the choices 0, 1, 2, 3"#,
            ),
            (
                "hellaswag",
                r#"{"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["d", "e"], "label": 2}"#.into(),
                r#"field "label": the label 2 is none of the choices"#,
            ),
            (
                "mmlu",
                r#"{"question": "q", "subject": "s", "choices": ["1", "2", "3", "4"], "answer": "E"}"#.into(),
                r#"field "answer": the label "E" is none of the choices A or 0, B or 1, C or 2, D or 3"#,
            ),
            (
                "boolq",
                r#"{"question": "q", "passage": "p"}"#.into(),
                r#"no field "answer"; the record has "passage", "question""#,
            ),
            ("arc_easy", arc(""), r#"no field "answerKey"; the record has "choices", "question": is this the file"#),
            (
                "arc_easy",
                r#"{"question": "Why?", "choices": ["a"], "answerKey": "A"}"#.into(),
                r#"no field "choices.text""#,
            ),
            (
                "piqa",
                r#"{"goal": "g", "sol1": "a", "sol2": "b", "label": -1}"#.into(),
                r#"field "label": the label -1 is none of the choices 0 to 1"#,
            ),
            (
                "piqa",
                r#"{"goal": "g", "sol1": "a", "sol2": "b", "label": 2}"#.into(),
                r#"field "label": the label 2 is none of the choices 0 to 1"#,
            ),
            (
                "boolq",
                r#"{"question": "q", "answer": "maybe", "passage": "p"}"#.into(),
                r#"field "answer": the label "maybe" is none of the choices false or 0 or no, true or 1 or yes"#,
            ),
            (
                "winogrande",
                r#"{"sentence": "no", "option1": "a", "option2": "b", "answer": "1"}"#.into(),
                r#"field "sentence": expected a text with a blank `_` in it"#,
            ),
            (
                "winogrande",
                r#"{"sentence": "a _", "option1": "a", "option2": "b", "answer": ""}"#.into(),
                r#"field "answer": the label "" is none of the choices 1, 2"#,
            ),
            (
                "arc_easy",
                r#"{"question": "Why?", "choices": {"text": ["a"], "label": ["A", "B"]}, "answerKey": "B"}"#.into(),
                r#"field "choices.label": expected a label for each of the 1 choices, found 2"#,
            ),
            ("lambada", r#"{"text": ""}"#.into(), r#"field "text": expected text to predict, found none"#),
            (
                "blimp",
                r#"{"sentence_good": "", "sentence_bad": " ", "UID": "case"}"#.into(),
                r#"field "sentence_good" and "sentence_bad": expected text to predict, found none"#,
            ),
            (
                "webquestions",
                r#"{"question": "q", "answers": []}"#.into(),
                r#"field "answers": expected at least one choice, found an empty list"#,
            ),
        ] {
            let error = read(task, &json).unwrap_err().to_string();
            assert!(error.starts_with(&format!("questions.jsonl:7: {expected}")), "{task}: {error}");
        }
    }
}
