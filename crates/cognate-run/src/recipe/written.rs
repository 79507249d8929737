//! A recipe as written: its values with their lines, each of the right type and inside its interval, nothing unknown.
//!
//! What one key says about another is checked later, in `resolve`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Place, RecipeError};
use super::keys::{self, KEYS, Key, Kind, Preset, TABLES, table_label};

type Result<T, E = Box<RecipeError>> = std::result::Result<T, E>;

/// A whole recipe as written.
#[derive(Debug)]
pub(super) struct Written {
    /// The recipe's path, for messages.
    pub(super) file: PathBuf,
    tables: BTreeMap<&'static str, Section>,
    /// The `[[arm]]` tables in their order.
    pub(super) arms: Vec<Section>,
}

/// One table as written.
#[derive(Debug)]
pub(super) struct Section {
    file: PathBuf,
    table: &'static str,
    /// The line of its first key or heading.
    line: Option<usize>,
    entries: BTreeMap<&'static str, Entry>,
}

#[derive(Debug)]
struct Entry {
    value: Value,
    /// As it stands in the file.
    source: String,
    line: usize,
}

/// A value of a recipe.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Integer(u64),
    Number(f64),
    Flag(bool),
    List(Vec<String>),
    Integers(Vec<u64>),
    Numbers(Vec<f64>),
}

/// Reads `text`, the content of the recipe at `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Written> {
    let lines = Lines { file, text };
    let root = DeTable::parse(text).map_err(|error| {
        let at = lines.place(error.span().map_or(0, |span| span.start));
        Box::new(RecipeError::Syntax { at, message: error.message().replace('\n', ", ") })
    })?;
    let mut written = Written { file: file.to_path_buf(), tables: BTreeMap::new(), arms: Vec::new() };
    for (table, _) in TABLES.iter().filter(|(table, _)| *table != "arm") {
        written.tables.insert(table, Section::empty(file, table));
    }
    let mut top: Vec<Item<'_, '_>> = Vec::new();
    for (name, value) in in_file_order(root.get_ref()) {
        let known = TABLES.iter().map(|(table, _)| *table).find(|table| *table == name.get_ref().as_ref());
        match (value.get_ref(), known) {
            (DeValue::Table(inner), Some(table)) if table != "arm" => {
                let section = lines.section(table, inner, value.span().start)?;
                written.tables.insert(table, section);
            }
            (DeValue::Array(items), Some("arm")) => {
                for item in items.iter() {
                    let DeValue::Table(inner) = item.get_ref() else { return Err(lines.arm_is_no_table(item)) };
                    written.arms.push(lines.section("arm", inner, item.span().start)?);
                }
            }
            (_, Some("arm")) => return Err(lines.arm_is_no_table(value)),
            (DeValue::Table(_), None) => return Err(lines.unknown_table(name)),
            _ => top.push((name, value)),
        }
    }
    let section = lines.section_of("", top.into_iter(), 0)?;
    written.tables.insert("", section);
    Ok(written)
}

impl Written {
    /// One table; an unwritten table is an empty one.
    ///
    /// # Panics
    /// For a table that no recipe has.
    pub(super) fn table(&self, table: &str) -> &Section {
        &self.tables[table]
    }
}

type Item<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// A table's keys as they follow each other in the file: the first mistake reported is the first one there.
fn in_file_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Item<'t, 'i>> {
    let mut items: Vec<_> = table.iter().collect();
    items.sort_by_key(|(name, _)| name.span().start);
    items
}

/// The recipe's text, to find lines in.
struct Lines<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }

    fn place(&self, offset: usize) -> Place {
        Place { file: self.file.to_path_buf(), line: Some(self.line(offset)) }
    }

    /// A value as it stands in the file, cut where it is long.
    fn source(&self, value: &Spanned<DeValue<'_>>) -> String {
        let source = self.text.get(value.span()).unwrap_or_default();
        let first = source.lines().next().unwrap_or_default();
        if first.chars().count() <= 60 && source == first {
            return source.to_owned();
        }
        first.chars().take(60).chain("…".chars()).collect()
    }

    fn section(&self, table: &'static str, items: &DeTable<'_>, offset: usize) -> Result<Section> {
        self.section_of(table, in_file_order(items).into_iter(), offset)
    }

    fn section_of<'t, 'i: 't>(
        &self,
        table: &'static str,
        items: impl Iterator<Item = Item<'t, 'i>>,
        offset: usize,
    ) -> Result<Section> {
        let mut section = Section { line: Some(self.line(offset)), ..Section::empty(self.file, table) };
        for (name, value) in items {
            let Some(key) = keys::keys_of(table).find(|key| key.name == name.get_ref().as_ref()) else {
                return Err(self.unknown_key(table, name));
            };
            let source = self.source(value);
            let line = self.line(name.span().start);
            let value = read_value(key.kind, value.get_ref()).map_err(|advice| RecipeError::Impossible {
                at: self.place(name.span().start),
                table: prefix(table),
                key: key.name.to_owned(),
                found: source.clone(),
                expected: key.kind.to_string(),
                advice,
            })?;
            section.entries.insert(key.name, Entry { value, source, line });
        }
        let missing = keys::keys_of(table)
            .find(|key| matches!(key.default, Preset::Required) && !section.entries.contains_key(key.name));
        match missing {
            Some(key) => Err(section.missing(key)),
            None => Ok(section),
        }
    }

    fn unknown_key(&self, table: &'static str, name: &Spanned<std::borrow::Cow<'_, str>>) -> Box<RecipeError> {
        let written = name.get_ref().as_ref();
        let elsewhere = KEYS.iter().find(|key| key.name == written && key.table != table);
        let suggestion = match (elsewhere, nearest(written, keys::keys_of(table).map(|key| key.name))) {
            (Some(key), _) => format!("`{written}` belongs to {}", table_label(key.table)),
            (None, near) => format!("the nearest known key is `{near}`"),
        };
        Box::new(RecipeError::UnknownKey {
            at: self.place(name.span().start),
            table: table_label(table),
            key: written.to_owned(),
            suggestion,
            known: keys::keys_of(table).map(|key| key.name).collect(),
        })
    }

    fn unknown_table(&self, name: &Spanned<std::borrow::Cow<'_, str>>) -> Box<RecipeError> {
        let tables = TABLES.iter().map(|(table, _)| *table).filter(|table| !table.is_empty());
        Box::new(RecipeError::UnknownTable {
            at: self.place(name.span().start),
            table: name.get_ref().to_string(),
            nearest: nearest(name.get_ref(), tables),
        })
    }

    fn arm_is_no_table(&self, value: &Spanned<DeValue<'_>>) -> Box<RecipeError> {
        Box::new(RecipeError::Arms {
            at: self.place(value.span().start),
            message: "`arm` is not a list of tables".to_owned(),
            advice: "begin each arm with a line `[[arm]]`, with two brackets".to_owned(),
        })
    }
}

/// A key's table, as it stands before the key in a message.
fn prefix(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!("{} ", table_label(table)) }
}

/// The name spelt most like `written`.
fn nearest(written: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let written = written.to_lowercase();
    let likeness = |name: &&'static str| strsim::jaro_winkler(&written, name);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
}

/// The value, or advice on what to write instead.
fn read_value(kind: Kind, value: &DeValue<'_>) -> Result<Value, Option<String>> {
    let number = |value: &DeValue<'_>| -> Option<f64> {
        match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => integer(value).map(|n| n as f64),
            _ => None,
        }
    };
    let refuse = || Err(None);
    match (kind, value) {
        (Kind::TextOrNone, DeValue::String(text)) => Ok(Value::Text(text.to_string())),
        (Kind::Text | Kind::Path, DeValue::String(text)) if !text.is_empty() => Ok(Value::Text(text.to_string())),
        (Kind::Name, DeValue::String(text)) if is_name(text) => Ok(Value::Text(text.to_string())),
        (Kind::Choice(choices), DeValue::String(text)) if choices.contains(&text.as_ref()) => {
            Ok(Value::Text(text.to_string()))
        }
        (Kind::Choice(choices), DeValue::String(text)) => {
            Err(Some(format!("the nearest of them is \"{}\"", nearest(text, choices.iter().copied()))))
        }
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Integer(low, high), DeValue::Integer(_)) => match integer(value) {
            Some(n) if (i128::from(low)..=i128::from(high)).contains(&n) => Ok(Value::Integer(n as u64)),
            _ => refuse(),
        },
        (Kind::Integer(low, high), DeValue::Float(_)) => match number(value) {
            Some(x) if (low as f64..=(high as f64).min(9e15)).contains(&x) && x.fract() == 0.0 => {
                Err(Some(format!("write it as {x:.0}")))
            }
            _ => refuse(),
        },
        (
            Kind::Number(interval) | Kind::NumberOrAuto(interval) | Kind::NumberOrOff(interval),
            DeValue::Float(_) | DeValue::Integer(_),
        ) => match number(value) {
            Some(x) if interval.contains(x) => Ok(Value::Number(x)),
            _ => refuse(),
        },
        (Kind::NumberOrAuto(_), DeValue::String(text)) if text == "auto" => Ok(Value::Text(text.to_string())),
        (Kind::NumberOrOff(_), DeValue::String(text)) if text == "off" => Ok(Value::Text(text.to_string())),
        (Kind::Paths, DeValue::String(text)) if !text.is_empty() => Ok(Value::List(vec![text.to_string()])),
        (Kind::Paths | Kind::Choices(_), DeValue::Array(items)) if !items.is_empty() => {
            let allowed = |text: &str| match kind {
                Kind::Choices(choices) => choices.contains(&text),
                _ => !text.is_empty(),
            };
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) if allowed(text) => Ok(text.to_string()),
                _ => Err(None),
            });
            texts.collect::<Result<Vec<_>, _>>().map(Value::List)
        }
        (Kind::Numbers(interval), DeValue::Array(items)) if items.len() > 1 => {
            let mut numbers: Vec<f64> = Vec::new();
            for item in items.iter() {
                match number(item.get_ref()) {
                    Some(x) if interval.contains(x) && !numbers.contains(&x) => numbers.push(x),
                    _ => return refuse(),
                }
            }
            Ok(Value::Numbers(numbers))
        }
        (Kind::CountOrList(most), DeValue::Integer(_)) => match integer(value) {
            Some(n) if (1..=i128::from(most)).contains(&n) => Ok(Value::Integer(n as u64)),
            _ => refuse(),
        },
        (Kind::CountOrList(most), DeValue::Array(items)) if !items.is_empty() && items.len() as u64 <= most => {
            let mut numbers: Vec<u64> = Vec::new();
            for item in items.iter() {
                match integer(item.get_ref()) {
                    Some(n) if (0..=i128::from(i64::MAX)).contains(&n) && !numbers.contains(&(n as u64)) => {
                        numbers.push(n as u64);
                    }
                    _ => return refuse(),
                }
            }
            Ok(Value::Integers(numbers))
        }
        _ => refuse(),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    match value {
        DeValue::Integer(n) => i128::from_str_radix(n.as_str(), n.radix()).ok(),
        _ => None,
    }
}

/// Whether a name can stand for a folder everywhere.
pub(super) fn is_name(text: &str) -> bool {
    let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    !text.is_empty() && text.len() <= 100 && letters
}

impl Section {
    fn empty(file: &Path, table: &'static str) -> Self {
        Self { file: file.to_path_buf(), table, line: None, entries: BTreeMap::new() }
    }

    fn missing(&self, key: &Key) -> Box<RecipeError> {
        Box::new(RecipeError::Missing {
            file: self.file.clone(),
            table: table_label(self.table),
            key: key.name,
            meaning: key.meaning,
            expected: key.kind.to_string(),
        })
    }

    /// Refuses an unwritten table that has a key without default.
    pub(super) fn check_required(&self) -> Result<()> {
        let missing = keys::keys_of(self.table)
            .find(|key| matches!(key.default, Preset::Required) && !self.entries.contains_key(key.name));
        missing.map_or(Ok(()), |key| Err(self.missing(key)))
    }

    /// Whether `key` is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The line where the table begins.
    pub(super) fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line }
    }

    /// A refusal of `key`, whose value, written or derived, is `found`.
    pub(super) fn impossible(
        &self,
        key: &str,
        found: impl ToString,
        expected: impl ToString,
        advice: &str,
    ) -> Box<RecipeError> {
        let found = self.entries.get(key).map_or_else(|| found.to_string(), |entry| entry.source.clone());
        self.impossible_shown(key, &found, expected, advice)
    }

    /// The same with `found` in the place of what is written: what should not be shown is not.
    pub(super) fn impossible_shown(
        &self,
        key: &str,
        found: &str,
        expected: impl ToString,
        advice: &str,
    ) -> Box<RecipeError> {
        let entry = self.entries.get(key);
        Box::new(RecipeError::Impossible {
            at: Place { file: self.file.clone(), line: entry.map(|entry| entry.line) },
            table: prefix(self.table),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_string(),
            advice: (!advice.is_empty()).then(|| advice.to_owned()),
        })
    }

    /// The written value, or the default where the list of keys holds one.
    fn value(&self, key: &str) -> Option<Value> {
        if let Some(entry) = self.entries.get(key) {
            return Some(entry.value.clone());
        }
        let known = keys::keys_of(self.table).find(|known| known.name == key);
        let known = known.unwrap_or_else(|| panic!("no key `{key}` in {}", table_label(self.table)));
        match known.default {
            Preset::Value(default) => {
                let parsed =
                    DeValue::parse(default).ok().and_then(|value| read_value(known.kind, value.get_ref()).ok());
                assert!(parsed.is_some(), "the default of `{key}` does not fit its type");
                parsed
            }
            Preset::Required | Preset::Derived(_) => None,
        }
    }

    /// A whole number that is written or has a plain default.
    pub(super) fn integer(&self, key: &str) -> u64 {
        self.integer_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A whole number, or what it derives to.
    pub(super) fn integer_or(&self, key: &str, derived: u64) -> u64 {
        self.integer_if(key).unwrap_or(derived)
    }

    /// A whole number where it is written.
    pub(super) fn integer_if(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Integer(n) => Some(n),
            other => panic!("`{key}` is no whole number but {other:?}"),
        }
    }

    /// A number that is written or has a plain default.
    pub(super) fn number(&self, key: &str) -> f64 {
        self.number_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A number, or what it derives to.
    pub(super) fn number_or(&self, key: &str, derived: f64) -> f64 {
        self.number_if(key).unwrap_or(derived)
    }

    /// A number, or none for `"auto"` or `"off"`.
    pub(super) fn number_if(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::Number(x) => Some(x),
            Value::Text(word) if word == "auto" || word == "off" => None,
            other => panic!("`{key}` is no number but {other:?}"),
        }
    }

    /// A list of numbers that is written or has a plain default.
    pub(super) fn numbers(&self, key: &str) -> Vec<f64> {
        match self.value(key) {
            Some(Value::Numbers(numbers)) => numbers,
            other => panic!("`{key}` is no list of numbers but {other:?}"),
        }
    }

    /// A text that is written or has a plain default.
    pub(super) fn text(&self, key: &str) -> String {
        self.text_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A text where it is written.
    pub(super) fn text_if(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            other => panic!("`{key}` is no text but {other:?}"),
        }
    }

    /// A flag that is written or has a plain default.
    pub(super) fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Flag(flag)) => flag,
            other => panic!("`{key}` is no flag but {other:?}"),
        }
    }

    /// A list of texts that is written or has a plain default.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Some(Value::List(list)) => list,
            other => panic!("`{key}` is no list but {other:?}"),
        }
    }

    /// The numbers of a list, or those from `first` on, as many as are written; none where nothing is.
    pub(super) fn integers_from(&self, key: &str, first: u64) -> Option<Vec<u64>> {
        match self.value(key)? {
            Value::Integer(n) => Some((0..n).map(|i| first.saturating_add(i)).collect()),
            Value::Integers(numbers) => Some(numbers),
            other => panic!("`{key}` is neither a number nor a list but {other:?}"),
        }
    }

    fn no_default(&self, key: &str) -> ! {
        panic!("`{key}` of {} is neither required nor has it a plain default", table_label(self.table))
    }
}
