//! What a task is: one of the TOML tables in `definitions/`, read and checked.

use serde::Deserialize;
use serde_json::Value;

use super::template::Template;
use crate::error::{Error, Result};

/// The tasks that come with the program: name and table.
const BUNDLED: [(&str, &str); 15] = [
    ("arc_easy", include_str!("definitions/arc_easy.toml")),
    ("arc_challenge", include_str!("definitions/arc_challenge.toml")),
    ("piqa", include_str!("definitions/piqa.toml")),
    ("winogrande", include_str!("definitions/winogrande.toml")),
    ("hellaswag", include_str!("definitions/hellaswag.toml")),
    ("sciq", include_str!("definitions/sciq.toml")),
    ("boolq", include_str!("definitions/boolq.toml")),
    ("mmlu", include_str!("definitions/mmlu.toml")),
    ("lambada", include_str!("definitions/lambada.toml")),
    ("blimp", include_str!("definitions/blimp.toml")),
    ("triviaqa", include_str!("definitions/triviaqa.toml")),
    ("webquestions", include_str!("definitions/webquestions.toml")),
    ("extraction_once", include_str!("definitions/extraction_once.toml")),
    ("extraction_several", include_str!("definitions/extraction_several.toml")),
    ("in_context", include_str!("definitions/in_context.toml")),
];

/// The names of all tasks.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(name, _)| *name)
}

/// How a question is answered, and so what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The likeliest of several continuations is chosen.
    Choice,
    /// One continuation is scored; right when it is the likeliest text.
    Completion,
    /// Text is written, and compared with accepted answers.
    Generation,
}

/// Over what the figure of the whole task is the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Average {
    /// All documents.
    #[default]
    Documents,
    /// The means of the groups.
    Groups,
}

/// In which order examples are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Drawn for each question.
    #[default]
    Drawn,
    /// The first of the file.
    First,
}

/// A cleaning of all texts of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Clean {
    /// [`super::template::clean_wikihow`].
    Wikihow,
}

/// Which choice is right.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Gold {
    /// The same of every record, counted from 0.
    Always { always: usize },
    /// The position of a field's value in a list, of the record or of the definition; without a list, the value counts the
    /// choices from 0. Of several fields, the first that a record has counts.
    Field { field: OneOrMany<String>, among: Option<Among> },
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Among {
    /// A list in the record.
    Field(String),
    /// The labels of each choice: data sets of one task write them in several ways.
    Values(Vec<OneOrMany<Value>>),
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Where the texts of the choices (or the accepted answers) come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choices {
    /// A list in the record.
    Field(String),
    /// One template each.
    Templates(Vec<Template>),
}

/// Examples before a question.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shots {
    /// How many where nobody says.
    #[serde(default)]
    pub(crate) default: usize,
    /// How many at most.
    pub(crate) most: Option<usize>,
    /// Names of the file of examples, without ending; without it they are other records of the task's own file.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    #[serde(default)]
    pub(crate) order: Order,
}

/// A task, ready for records.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) about: String,
    /// Names that its file may have, without ending.
    pub(crate) files: Vec<String>,
    pub(crate) kind: Kind,
    /// The metric that stands for the task.
    pub(crate) metric: String,
    pub(crate) description: Option<Template>,
    /// One for all choices, or one each.
    pub(crate) contexts: Vec<Template>,
    pub(crate) choices: Choices,
    pub(crate) gold: Option<Gold>,
    pub(crate) group: Option<String>,
    pub(crate) average: Average,
    pub(crate) clean: Option<Clean>,
    pub(crate) shots: Shots,
    /// What ends a written answer.
    pub(crate) until: Vec<String>,
    pub(crate) max_new_tokens: usize,
}

/// A table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    about: String,
    /// The data set, for who reads the table.
    #[serde(rename = "data")]
    _data: String,
    /// The task of lm-evaluation-harness that it follows.
    #[serde(rename = "reference")]
    _reference: String,
    files: Vec<String>,
    kind: Kind,
    metric: Option<String>,
    description: Option<String>,
    context: OneOrMany<String>,
    choices: OneOrMany<String>,
    gold: Option<Gold>,
    group: Option<String>,
    #[serde(default)]
    average: Average,
    clean: Option<Clean>,
    #[serde(default)]
    shots: Shots,
    #[serde(default)]
    until: Vec<String>,
    #[serde(default)]
    max_new_tokens: usize,
}

impl Definition {
    /// The bundled task of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn bundled(name: &str) -> Result<Self> {
        match BUNDLED.iter().find(|(known, _)| *known == name) {
            Some((name, table)) => Self::parse(name, table),
            None => Err(Error::UnknownTask { name: name.to_owned(), known: names().collect::<Vec<_>>().join(", ") }),
        }
    }

    /// Whether the task's figure is the mean of its groups' means, and not of all its questions.
    #[must_use]
    pub fn averages_groups(&self) -> bool {
        self.average == Average::Groups
    }

    /// A task from its table.
    pub(crate) fn parse(name: &str, table: &str) -> Result<Self> {
        let bad = |problem: String| Error::Definition { name: name.to_owned(), problem };
        let written: Written = toml::from_str(table).map_err(|error| bad(error.to_string()))?;
        let templates = |texts: Vec<String>| -> Result<Vec<Template>> {
            texts.iter().map(|text| Template::parse(text).map_err(bad)).collect()
        };
        let choices = match written.choices {
            OneOrMany::One(field) => Choices::Field(field),
            OneOrMany::Many(texts) => Choices::Templates(templates(texts)?),
        };
        let contexts = match written.context {
            OneOrMany::One(text) => templates(vec![text])?,
            OneOrMany::Many(texts) => templates(texts)?,
        };
        let metric = written.metric.unwrap_or_else(|| {
            let usual = if written.kind == Kind::Generation { "exact_match" } else { "accuracy" };
            usual.to_owned()
        });
        if (written.kind == Kind::Generation) == written.gold.is_some() {
            return Err(bad("`gold` belongs to choices and completions, and only to them".to_owned()));
        }
        if written.kind == Kind::Generation && (written.until.is_empty() || written.max_new_tokens == 0) {
            return Err(bad("generation needs `until` and `max_new_tokens`".to_owned()));
        }
        if contexts.len() != 1 && !matches!(&choices, Choices::Templates(texts) if texts.len() == contexts.len()) {
            return Err(bad("as many contexts as choices, or one for all".to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            about: written.about,
            files: written.files,
            kind: written.kind,
            metric,
            description: written.description.map(|text| Template::parse(&text).map_err(bad)).transpose()?,
            contexts,
            choices,
            gold: written.gold,
            group: written.group,
            average: written.average,
            clean: written.clean,
            shots: written.shots,
            until: written.until,
            max_new_tokens: written.max_new_tokens,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it measures, in a line.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Names that its file may have, without ending.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Names that its file of examples may have; none where examples are other records of the task's file.
    pub fn example_files(&self) -> &[String] {
        &self.shots.files
    }

    /// The fields that its choices are made of.
    pub(crate) fn choice_fields(&self) -> Vec<String> {
        let mut fields = match &self.choices {
            Choices::Field(path) => vec![path.clone()],
            Choices::Templates(texts) => texts.iter().flat_map(Template::fields).map(str::to_owned).collect(),
        };
        fields.dedup();
        fields
    }

    /// Examples before each question where nobody says how many.
    pub fn default_shots(&self) -> usize {
        self.shots.default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_task_is_well_formed() {
        for name in names() {
            let task = Definition::bundled(name).unwrap_or_else(|error| panic!("{error}"));
            let years = task.about().split(|c: char| !c.is_ascii_digit());
            let year = |digits: &str| digits.parse().is_ok_and(|year: u32| (1990..2100).contains(&year));
            assert!(years.into_iter().any(year), "{name} names its paper with its year");
            assert!(!task.files().is_empty(), "{name}");
        }
        let error = Definition::bundled("arc").unwrap_err().to_string();
        assert!(error.starts_with("there is no task `arc`; the tasks are arc_easy, arc_challenge, "), "{error}");
    }

    #[test]
    fn a_task_says_what_stands_in_its_table() {
        let [mmlu, blimp] = ["mmlu", "blimp"].map(|name| Definition::bundled(name).unwrap());
        assert_eq!(
            (mmlu.name(), mmlu.files(), mmlu.example_files()),
            ("mmlu", &["mmlu".into()][..], &["mmlu_dev".into()][..])
        );
        assert_eq!(mmlu.about(), "MMLU: exam questions of 57 subjects (Hendrycks et al. 2021)");
        assert_eq!((mmlu.default_shots(), blimp.default_shots()), (5, 0));
        assert_eq!((mmlu.averages_groups(), blimp.averages_groups()), (false, true));
        assert_eq!(blimp.example_files(), [""; 0]);
        assert_eq!(blimp.choice_fields(), ["sentence_good", "sentence_bad"]);
    }

    #[test]
    fn tables_that_cannot_be_meant_are_refused() {
        let table = include_str!("definitions/piqa.toml");
        let problem = |from: &str, to: &str| {
            assert!(table.contains(from));
            Definition::parse("piqa", &table.replace(from, to)).unwrap_err().to_string()
        };
        let written = include_str!("definitions/webquestions.toml");
        for (from, to) in
            [("until = [\"\\n\"]", ""), ("max_new_tokens = 32", ""), ("max_new_tokens = 32", "max_new_tokens = 0")]
        {
            assert!(written.contains(from));
            let error = Definition::parse("w", &written.replace(from, to)).unwrap_err().to_string();
            assert_eq!(error, "the definition of the task `w`: generation needs `until` and `max_new_tokens`");
        }
        for (from, to, expected) in [
            ("gold = {", "prize = {", "unknown field `prize`"),
            ("{goal}", "{goal", "unpaired brace"),
            ("{goal}", "{goal|shout}", "unknown filter `shout`"),
            ("\"choice\"", "\"generation\"", "`gold` belongs to choices"),
            ("\"choice\"", "\"choices\"", "unknown variant `choices`"),
            ("\"Question: {goal}\\nAnswer:\"", "[\"a\", \"b\", \"c\"]", "as many contexts as choices"),
        ] {
            let error = problem(from, to);
            assert!(error.starts_with("the definition of the task `piqa`: ") && error.contains(expected), "{error}");
        }
    }
}
