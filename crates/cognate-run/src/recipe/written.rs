//! A recipe as written: its values with their lines, each of the right type and inside its interval, nothing unknown.
//!
//! What one key says about another is checked later, in `resolve`.

mod section;
mod variants;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_worlds::Dials;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, Key, Kind, Preset, TABLES, THINGS, table_label};
use super::recipe_error::{Place, RecipeError};

type Result<T = (), E = Box<RecipeError>> = std::result::Result<T, E>;

/// A whole recipe as written.
#[derive(Debug)]
pub(super) struct Written {
    /// The recipe's path, for messages.
    pub(super) file: PathBuf,
    tables: BTreeMap<&'static str, Section>,
    /// The tables of things, in their order.
    things: BTreeMap<&'static str, Vec<Section>>,
}

/// One table as written.
#[derive(Clone, Debug)]
pub(super) struct Section {
    file: PathBuf,
    table: &'static str,
    /// What messages call it.
    label: String,
    /// The line of its first key or heading.
    line: Option<usize>,
    entries: BTreeMap<&'static str, Entry>,
    /// Of a thing: what it says in the place of other tables.
    over: BTreeMap<&'static str, Section>,
    /// Of an arm: the shares of synthetic corpora.
    shares: Vec<(String, Entry)>,
    /// Of an arm: the lists in the place of values, with the table and key of each.
    lists: Vec<Listed>,
    /// Of an arm: the candidates that are written out.
    candidates: Vec<Section>,
}

/// A list that stands in the place of a value.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// The table of its key; `synthetic` for a share.
    table: &'static str,
    key: String,
    values: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    /// As it stands in the file.
    source: String,
    line: usize,
    /// The table that it stands in, for messages.
    label: String,
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
    World(cognate_worlds::Dials),
}

/// Reads `text`, the content of the recipe at `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Written> {
    let lines = Lines { file, text };
    let root = DeTable::parse(text).map_err(|error| {
        let at = lines.place(error.span().map_or(0, |span| span.start));
        Box::new(RecipeError::Syntax { at, message: error.message().replace('\n', ", ") })
    })?;
    let mut written = Written { file: file.to_path_buf(), tables: BTreeMap::new(), things: BTreeMap::new() };
    for (table, _) in TABLES.iter().filter(|(table, _)| !THINGS.contains(table)) {
        written.tables.insert(table, Section::empty(file, table));
    }
    let mut top: Vec<Item<'_, '_>> = Vec::new();
    for (name, value) in in_file_order(root.get_ref()) {
        let known = TABLES.iter().map(|(table, _)| *table).find(|table| *table == name.get_ref().as_ref());
        match (value.get_ref(), known) {
            (DeValue::Array(items), Some(thing)) if THINGS.contains(&thing) => {
                for item in items.iter() {
                    let DeValue::Table(inner) = item.get_ref() else { return Err(lines.is_no_table(thing, item)) };
                    let section = lines.section(thing, inner, item.span().start)?;
                    written.things.entry(thing).or_default().push(section);
                }
            }
            (_, Some(thing)) if THINGS.contains(&thing) => return Err(lines.is_no_table(thing, value)),
            (DeValue::Table(inner), Some(table)) => {
                let section = lines.section(table, inner, value.span().start)?;
                written.tables.insert(table, section);
            }
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

    /// The tables of one kind of things.
    pub(super) fn things(&self, thing: &str) -> &[Section] {
        self.things.get(thing).map_or(&[], Vec::as_slice)
    }
}

type Name<'t, 'i> = &'t Spanned<std::borrow::Cow<'i, str>>;
type Item<'t, 'i> = (Name<'t, 'i>, &'t Spanned<DeValue<'i>>);

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
            self.read_into(&mut section, name, value)?;
        }
        let missing = keys::keys_of(table)
            .find(|key| matches!(key.default, Preset::Required) && !section.entries.contains_key(key.name));
        match missing {
            Some(key) => Err(section.missing(key)),
            None => Ok(section),
        }
    }

    /// Reads one key of a table, or one table inside of a thing's.
    fn read_into(&self, section: &mut Section, name: Name<'_, '_>, value: &Spanned<DeValue<'_>>) -> Result {
        let (table, word) = (section.table, name.get_ref().as_ref());
        let nested = keys::nested(table).iter().find(|nested| **nested == word);
        if let (Some(nested), DeValue::Table(inner)) = (nested, value.get_ref()) {
            let label = format!("{} {nested}", section.label);
            let (over, lists) = self.overrides(nested, &label, inner)?;
            if table != "arm"
                && let Some(list) = lists.first()
            {
                let message = format!("`{nested}.{}` is a list, and only an arm chooses between several", list.key);
                return Err(section.thing_refused(message, "write one value"));
            }
            section.over.insert(nested, over);
            section.lists.extend(lists);
            return Ok(());
        }
        let Some(key) = keys::keys_of(table).find(|key| key.name == word) else {
            // What a thing says in the place of a table of that stage.
            let of_stage = keys::inline(table).iter().find(|stage| keys::keys_of(stage).any(|key| key.name == word));
            let Some(stage) = of_stage else { return Err(self.unknown_key(table, name)) };
            let over = section.over.entry(stage);
            let over = over.or_insert_with(|| Section::empty(self.file, stage).called(&section.label));
            return self.read_into(over, name, value);
        };
        match (key.kind, value.get_ref()) {
            (Kind::Shares, DeValue::Table(shares)) => {
                for (corpus, share) in in_file_order(shares) {
                    self.share(section, key, corpus, share)?;
                }
                return Ok(());
            }
            (Kind::Sweep, DeValue::Array(items)) if items.len() > 1 => {
                for item in items.iter() {
                    let DeValue::Table(inner) = item.get_ref() else {
                        return Err(self.refused(section, key, name, value, None));
                    };
                    section.candidates.push(self.candidate(inner, item.span().start)?);
                }
                return Ok(());
            }
            (Kind::NumberOrNumbers(interval), DeValue::Array(_)) => {
                let values = self.list(section, key, Kind::Number(interval), name, value)?;
                section.lists.push(Listed { table: "", key: key.name.to_owned(), values });
                return Ok(());
            }
            _ => {}
        }
        let entry = self.entry(section, key, key.kind, name, value)?;
        section.entries.insert(key.name, entry);
        Ok(())
    }

    fn entry(
        &self,
        section: &Section,
        key: &Key,
        kind: Kind,
        name: Name<'_, '_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Entry> {
        let found = read_value(kind, value.get_ref());
        let found = found.map_err(|advice| self.refused(section, key, name, value, advice))?;
        Ok(Entry {
            value: found,
            source: self.source(value),
            line: self.line(name.span().start),
            label: section.label.clone(),
        })
    }

    fn refused(
        &self,
        section: &Section,
        key: &Key,
        name: Name<'_, '_>,
        value: &Spanned<DeValue<'_>>,
        advice: Option<String>,
    ) -> Box<RecipeError> {
        Box::new(RecipeError::Impossible {
            at: self.place(name.span().start),
            table: prefix(&section.label),
            key: key.name.to_owned(),
            found: self.source(value),
            expected: key.kind.to_string(),
            advice,
        })
    }

    /// The values of a list that stands in the place of one.
    fn list(
        &self,
        section: &Section,
        key: &Key,
        kind: Kind,
        name: Name<'_, '_>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Entry>> {
        let refuse = |advice: &str| {
            let mut error = self.refused(section, key, name, value, Some(advice.to_owned()));
            if let RecipeError::Impossible { expected, .. } = &mut *error {
                *expected = format!("{kind}, or a list of at least two different ones");
            }
            Err(error)
        };
        let DeValue::Array(items) = value.get_ref() else { return refuse("write a list") };
        let mut values: Vec<Entry> = Vec::new();
        for item in items.iter() {
            let entry = self.entry(section, key, kind, name, item)?;
            if values.iter().any(|other| other.value == entry.value) {
                return refuse("each candidate once");
            }
            values.push(entry);
        }
        if values.len() < 2 {
            return refuse("a sweep has at least two candidates; write one value without brackets");
        }
        Ok(values)
    }

    /// The share of one synthetic corpus, or the shares that are tried.
    fn share(&self, section: &mut Section, key: &Key, corpus: Name<'_, '_>, share: &Spanned<DeValue<'_>>) -> Result {
        let name = corpus.get_ref().as_ref().to_owned();
        let kind = Kind::Number(keys::Interval::SHARE);
        if let DeValue::Array(_) = share.get_ref() {
            let values = self.list(section, key, kind, corpus, share)?;
            section.lists.push(Listed { table: "synthetic", key: name, values });
        } else {
            let entry = self.entry(section, key, kind, corpus, share)?;
            section.shares.push((name, entry));
        }
        Ok(())
    }

    /// A table of an arm that holds keys of another table, and the lists among them.
    fn overrides(&self, table: &'static str, label: &str, items: &DeTable<'_>) -> Result<(Section, Vec<Listed>)> {
        let mut over = Section::empty(self.file, table).called(label);
        let mut lists = Vec::new();
        for (name, value) in in_file_order(items) {
            let key = keys::keys_of(table).find(|key| key.name == name.get_ref().as_ref());
            match (key, value.get_ref()) {
                (Some(key), DeValue::Array(_)) if matches!(key.kind, Kind::Number(_) | Kind::Integer(..)) => {
                    let values = self.list(&over, key, key.kind, name, value)?;
                    lists.push(Listed { table, key: key.name.to_owned(), values });
                }
                _ => self.read_into(&mut over, name, value)?,
            }
        }
        Ok((over, lists))
    }

    /// A candidate of a sweep: a table with a name, shares, and tables of other tables' keys.
    fn candidate(&self, items: &DeTable<'_>, offset: usize) -> Result<Section> {
        let mut section = Section { line: Some(self.line(offset)), ..Section::empty(self.file, "arm") };
        section.label = "[[arm]] sweep".to_owned();
        for (name, value) in in_file_order(items) {
            let known = ["name", "synthetic", "train", "model"];
            if !known.contains(&name.get_ref().as_ref()) {
                return Err(Box::new(RecipeError::UnknownKey {
                    at: self.place(name.span().start),
                    table: section.label,
                    key: name.get_ref().to_string(),
                    suggestion: format!("the nearest known key is `{}`", nearest(name.get_ref(), known.into_iter())),
                    known: known.to_vec(),
                }));
            }
            self.read_into(&mut section, name, value)?;
        }
        if !section.lists.is_empty() {
            return Err(
                section.thing_refused("a candidate has one value of each key".to_owned(), "write a table for each")
            );
        }
        let train = section.over.get("train");
        if train.is_some_and(|train| train.has("weight_decay") && train.has("weight_decay_epochs")) {
            let message = "a candidate has `weight_decay` and `weight_decay_epochs`, which say the same in other words"
                .to_owned();
            return Err(section.thing_refused(message, "remove one of the two"));
        }
        Ok(section)
    }

    fn unknown_key(&self, table: &'static str, name: Name<'_, '_>) -> Box<RecipeError> {
        let written = name.get_ref().as_ref();
        let own =
            || keys::inline(table).iter().chain([&table]).flat_map(|table| keys::keys_of(table)).map(|key| key.name);
        let elsewhere = KEYS.iter().find(|key| key.name == written && key.table != table);
        let suggestion = match (elsewhere, nearest(written, own())) {
            (Some(key), _) => format!("`{written}` belongs to {}", table_label(key.table)),
            (None, near) => format!("the nearest known key is `{near}`"),
        };
        Box::new(RecipeError::UnknownKey {
            at: self.place(name.span().start),
            table: table_label(table),
            key: written.to_owned(),
            suggestion,
            known: own().collect(),
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

    fn is_no_table(&self, thing: &str, value: &Spanned<DeValue<'_>>) -> Box<RecipeError> {
        Box::new(RecipeError::Things {
            at: self.place(value.span().start),
            message: format!("`{thing}` is not a list of tables"),
            advice: format!("begin each one with a line `[[{thing}]]`, with two brackets"),
        })
    }
}

/// A key's table, as it stands before the key in a message.
fn prefix(label: &str) -> String {
    if label == table_label("") { String::new() } else { format!("{label} ") }
}

/// The name spelt most like `written`.
fn nearest(written: &str, known: impl Iterator<Item = &'static str>) -> &'static str {
    let written = written.to_lowercase();
    let likeness = |name: &&'static str| strsim::jaro_winkler(&written, name);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
}

/// A world with its dials, or advice on what to write instead.
fn world(items: &DeTable<'_>) -> Result<Dials, String> {
    let names = Dials::WORLDS.map(|(name, ..)| name);
    let mut values = serde_json::Map::new();
    for (key, value) in in_file_order(items) {
        let found = match value.get_ref() {
            DeValue::String(text) => serde_json::Value::from(text.as_ref()),
            DeValue::Boolean(flag) => (*flag).into(),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok().into(),
            number @ DeValue::Integer(_) => integer(number).and_then(|n| u64::try_from(n).ok()).into(),
            _ => serde_json::Value::Null,
        };
        if found.is_null() {
            return Err(format!("`{}` is neither a number of at least 0 nor a flag", key.get_ref()));
        }
        values.insert(key.get_ref().to_string(), found);
    }
    let name = values.get("name").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let Some((_, _, dials)) = Dials::WORLDS.into_iter().find(|(world, ..)| *world == name) else {
        let near = nearest(&name, names.into_iter());
        return Err(if name.is_empty() {
            "it has no `name`".to_owned()
        } else {
            format!("the nearest world is \"{near}\"")
        });
    };
    if let Some(key) = values.keys().find(|key| *key != "name" && dials.iter().all(|dial| dial.name != **key)) {
        let near = nearest(key, dials.iter().map(|dial| dial.name));
        return Err(format!("`{name}` has no dial `{key}`; the nearest is `{near}`"));
    }
    for dial in dials {
        match values.get(dial.name) {
            Some(value) if !dial.range.holds(value) => {
                return Err(format!("{}: expected {}, found {value}", dial.name, dial.range.words()));
            }
            _ => {}
        }
    }
    let made: Dials = serde_json::from_value(values.into()).map_err(|error| error.to_string())?;
    made.check().map(|()| made).map_err(|error| error.to_string())
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
            Kind::Number(interval)
            | Kind::NumberOrNumbers(interval)
            | Kind::NumberOrAuto(interval)
            | Kind::NumberOrOff(interval),
            DeValue::Float(_) | DeValue::Integer(_),
        ) => match number(value) {
            Some(x) if interval.contains(x) => Ok(Value::Number(x)),
            _ => refuse(),
        },
        (Kind::NumberOrAuto(_), DeValue::String(text)) if text == "auto" => Ok(Value::Text(text.to_string())),
        (Kind::NumberOrOff(_), DeValue::String(text)) if text == "off" => Ok(Value::Text(text.to_string())),
        (Kind::Paths | Kind::Names, DeValue::String(text)) if !text.is_empty() => {
            Ok(Value::List(vec![text.to_string()]))
        }
        (Kind::Paths | Kind::Names | Kind::Choices(_), DeValue::Array(items)) if !items.is_empty() => {
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
        (Kind::World, DeValue::Table(items)) => world(items).map(Value::World).map_err(Some),
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
    let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    !text.is_empty() && !text.starts_with('.') && text.len() <= 100 && letters
}
