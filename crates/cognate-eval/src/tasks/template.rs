//! Texts with fields of a record in them: `Question: {question|trim}`.
//!
//! A field is a path of names and list positions with dots between them, then any number of filters. Nothing else is special, and
//! there is no way to write a brace that is text: no task needs one.

use serde_json::{Map, Value};

use super::problem::RecordProblem;

/// A text with places to fill in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field { path: String, filters: Vec<Filter> },
}

/// What is done to a field's text before it is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// No white space at either end.
    Trim,
    /// No white space at the start.
    TrimStart,
    /// The first letter large, all others small.
    Capitalise,
    /// Spaces for underscores.
    Spaces,
    /// What stands before the first underscore.
    BeforeBlank,
    /// What stands after it, trimmed.
    AfterBlank,
    /// What stands before the last space; nothing where there is none.
    AllButLastWord,
    /// What stands after the last space.
    LastWord,
}

const FILTERS: [(&str, Filter); 8] = [
    ("trim", Filter::Trim),
    ("trim_start", Filter::TrimStart),
    ("capitalise", Filter::Capitalise),
    ("spaces", Filter::Spaces),
    ("before_blank", Filter::BeforeBlank),
    ("after_blank", Filter::AfterBlank),
    ("all_but_last_word", Filter::AllButLastWord),
    ("last_word", Filter::LastWord),
];

impl Template {
    /// Reads a template; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            let field = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let Some((field, after)) = field.filter(|(field, _)| !field.contains('{')) else {
                return Err(format!("unpaired brace in {text:?}"));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let mut parts = field.split('|').map(str::trim);
            let path = parts.next().unwrap_or_default().to_owned();
            let filter = |name: &str| {
                let known = FILTERS.iter().find(|(known, _)| *known == name);
                known.map(|(_, filter)| *filter).ok_or_else(|| format!("unknown filter `{name}` in {text:?}"))
            };
            pieces.push(Piece::Field { path, filters: parts.map(filter).collect::<Result<_, _>>()? });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The paths of its fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Field { path, .. } => Some(path.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Fills the fields of a record in.
    pub(crate) fn fill(&self, fields: &Map<String, Value>) -> Result<String, RecordProblem> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { path, filters } => {
                    let mut text = text_at(fields, path)?.to_owned();
                    for filter in filters {
                        text = filter.apply(&text).ok_or_else(|| RecordProblem::NoBlank { field: path.clone() })?;
                    }
                    out.push_str(&text);
                }
            }
        }
        Ok(out)
    }
}

impl Filter {
    /// The filtered text; none where it has no blank.
    fn apply(self, text: &str) -> Option<String> {
        Some(match self {
            Self::Trim => trim(text).to_owned(),
            Self::TrimStart => text.trim_start_matches(is_space).to_owned(),
            Self::Capitalise => {
                // Only the first of several large letters stays large (ß becomes Ss). Python also knows three-way letters such
                // as ǆ, which no text of a task begins with.
                let mut letters = text.chars();
                let first: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
                let mut large = first.chars();
                let start = large.next().map(String::from).unwrap_or_default();
                start + &large.as_str().to_lowercase() + &letters.as_str().to_lowercase()
            }
            Self::Spaces => text.replace('_', " "),
            Self::BeforeBlank => text.split_once('_')?.0.to_owned(),
            Self::AfterBlank => trim(text.split_once('_')?.1).to_owned(),
            Self::AllButLastWord => text.rsplit_once(' ').map_or("", |(before, _)| before).to_owned(),
            Self::LastWord => text.rsplit_once(' ').map_or(text, |(_, last)| last).to_owned(),
        })
    }
}

/// White space as Python's `str.strip` has it, which the reference's prompts are made with: Unicode's and four separators.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Words of a text as the reference counts them, Python's `len(re.split(r"\s+", text))`: white space at an end parts a word off
/// that has no letters.
pub(crate) fn words(text: &str) -> u64 {
    let (mut words, mut within) = (1, false);
    for c in text.chars() {
        words += u64::from(is_space(c) && !within);
        within = is_space(c);
    }
    words
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// HellaSwag's texts without the marks of the pages that they were taken from, step by step as the reference does it: `[title]`
/// ends a sentence, other brackets of one line go with what stands in them, and pairs of spaces become one.
pub(crate) fn clean_wikihow(text: &str) -> String {
    let text = trim(text).replace(" [title]", ". ");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, inside)) = rest.split_once('[') {
        out.push_str(before);
        match inside.split_once(']') {
            Some((dropped, after)) if !dropped.contains('\n') => rest = after,
            _ => {
                out.push('[');
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    out.replace("  ", " ")
}

/// The value at a path such as `choices.text` or `choices.0`.
pub(crate) fn value_at<'a>(fields: &'a Map<String, Value>, path: &str) -> Result<&'a Value, RecordProblem> {
    let missing = || RecordProblem::NoField { field: path.to_owned(), found: fields.keys().take(8).cloned().collect() };
    let mut names = path.split('.');
    let mut value = names.next().and_then(|name| fields.get(name)).ok_or_else(missing)?;
    for name in names {
        let inner = match value {
            Value::Array(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
            Value::Object(object) => object.get(name),
            _ => None,
        };
        value = inner.ok_or_else(missing)?;
    }
    Ok(value)
}

/// The text at a path.
pub(crate) fn text_at<'a>(fields: &'a Map<String, Value>, path: &str) -> Result<&'a str, RecordProblem> {
    let value = value_at(fields, path)?;
    value.as_str().ok_or_else(|| RecordProblem::wrong_type(path, "a string", value))
}

/// The list of texts at a path; not empty.
pub(crate) fn texts_at<'a>(fields: &'a Map<String, Value>, path: &str) -> Result<Vec<&'a str>, RecordProblem> {
    let value = value_at(fields, path)?;
    let wrong = |found| RecordProblem::wrong_type(path, "a list of strings", found);
    let items = value.as_array().ok_or_else(|| wrong(value))?;
    if items.is_empty() {
        return Err(RecordProblem::NoChoices { field: path.to_owned() });
    }
    items.iter().map(|item| item.as_str().ok_or_else(|| wrong(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    fn fill(template: &str, json: &str) -> String {
        match Template::parse(template).unwrap().fill(&fields(json)) {
            Ok(text) => text,
            Err(problem) => format!("! {problem}"),
        }
    }

    #[test]
    fn fields_and_filters() {
        let json = r#"{"q": " What IS it? ", "c": ["x", "y"], "in": {"a_b": "high_school_physics"}, "s": "He saw _ , then left. "}"#;
        assert_eq!(fill("Q: {q|trim}\nB. {c.1}\n", json), "Q: What IS it?\nB. y\n");
        assert_eq!(fill("{q|trim_start}|", json), "What IS it? |");
        assert_eq!(fill("{in.a_b|spaces}", json), "high school physics");
        assert_eq!(fill("{s|before_blank}her {s|after_blank}", json), "He saw her , then left.");
        assert_eq!(fill("{q|trim|capitalise}", json), "What is it?");
        assert_eq!(fill("{a|capitalise}{b|capitalise}", r#"{"a": "ßA", "b": ""}"#), "Ssa");
        let text = r#"{"t": "one two  three", "u": "alone", "v": "a\nb c"}"#;
        assert_eq!(fill("{t|all_but_last_word}+{t|last_word}", text), "one two +three");
        assert_eq!(fill("{u|all_but_last_word}+{u|last_word}", text), "+alone");
        assert_eq!(fill("{v|all_but_last_word}+{v|last_word}", text), "a\nb+c");
    }

    #[test]
    fn problems_name_the_field() {
        let json = r#"{"q": 5, "c": ["x"], "s": "no blank"}"#;
        for (template, expected) in [
            (
                "{w}",
                "no field \"w\"; the record has \"c\", \"q\", \"s\": is this the file of the task, in the version that \
                     its definition names?",
            ),
            (
                "{c.1}",
                "no field \"c.1\"; the record has \"c\", \"q\", \"s\": is this the file of the task, in the version \
                       that its definition names?",
            ),
            ("{q}", "field \"q\": expected a string, found a number"),
            ("{s|before_blank}", "field \"s\": expected a text with a blank `_` in it"),
        ] {
            assert_eq!(fill(template, json), format!("! {expected}"), "{template}");
        }
        let problem = |path: &str| texts_at(&fields(json), path).unwrap_err().to_string();
        assert_eq!(problem("q"), "field \"q\": expected a list of strings, found a number");
        for (bad, expected) in
            [("{a", "unpaired"), ("a}", "unpaired"), ("{a{b}", "unpaired"), ("{a|b}", "unknown filter `b`")]
        {
            assert!(Template::parse(bad).unwrap_err().starts_with(expected), "{bad}");
        }
    }

    #[test]
    fn wikihow_marks_go() {
        assert_eq!(
            clean_wikihow(" How to [title] Mix. [step] Stir  it [substeps] well. "),
            "How to. Mix. Stir it well."
        );
        assert_eq!(clean_wikihow("a [b\nc] d [e] ]"), "a [b\nc] d ]");
        assert_eq!(clean_wikihow("one    two"), "one  two");
    }
}
