//! One table as written: its values by their types, and refusals that name its keys.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::super::keys::{self, Key, Preset, THINGS, table_label};
use super::super::recipe_error::{Place, RecipeError};
use super::{Entry, Listed, Result, Section, Value, prefix, read_value};

impl Section {
    pub(super) fn empty(file: &Path, table: &'static str) -> Self {
        Self {
            file: file.to_path_buf(),
            table,
            label: table_label(table),
            line: None,
            entries: BTreeMap::new(),
            over: BTreeMap::new(),
            shares: Vec::new(),
            lists: Vec::new(),
            candidates: Vec::new(),
        }
    }

    pub(super) fn called(mut self, label: &str) -> Self {
        label.clone_into(&mut self.label);
        self
    }

    /// A thing that is not written, with nothing but its name.
    pub(in crate::recipe) fn thing(&self, table: &'static str, name: &str) -> Self {
        Self::empty(&self.file, table).with_text("name", name)
    }

    /// An arm that is not written, with nothing but its kind.
    pub(in crate::recipe) fn arm_of_kind(&self, kind: &str) -> Self {
        Self::empty(&self.file, "arm").with_text("kind", kind)
    }

    /// The same with a text.
    pub(in crate::recipe) fn with_text(mut self, key: &'static str, text: &str) -> Self {
        let entry = self.unwritten(Value::Text(text.to_owned()), format!("{text:?}"));
        self.entries.insert(key, entry);
        self
    }

    /// The same with a list of one text.
    pub(in crate::recipe) fn with_one(mut self, key: &'static str, text: &str) -> Self {
        let entry = self.unwritten(Value::List(vec![text.to_owned()]), format!("{text:?}"));
        self.entries.insert(key, entry);
        self
    }

    /// The same with a list of numbers in the place of one.
    pub(in crate::recipe) fn with_list(&self, table: &'static str, key: &str, numbers: &[f64]) -> Self {
        let mut section = self.clone();
        let values = numbers.iter().map(|number| self.unwritten(Value::Number(*number), number.to_string())).collect();
        section.lists.push(Listed { table, key: key.to_owned(), values });
        section
    }

    pub(super) fn unwritten(&self, value: Value, source: String) -> Entry {
        Entry { value, source, line: self.line.unwrap_or(1), label: self.label.clone() }
    }

    /// Whether it says keys of `table` in a table of that name.
    pub(in crate::recipe) fn has_over(&self, table: &str) -> bool {
        self.over.get(table).is_some_and(|over| !over.entries.is_empty())
    }

    /// Whether it says the same keys of `[model]` as another.
    pub(in crate::recipe) fn has_shape_of(&self, other: &Self) -> bool {
        let values = |section: &Self| -> Option<Vec<(&'static str, Value)>> {
            let over = section.over.get("model")?;
            Some(over.entries.iter().map(|(key, entry)| (*key, entry.value.clone())).collect())
        };
        values(self) == values(other)
    }

    /// Whether an arm has candidates of different shapes that are written out.
    pub(in crate::recipe) fn sweeps_shapes(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.has_over("model"))
    }

    /// The same arm under another name, in the shape that `thing` says, not measured.
    pub(in crate::recipe) fn shaped_as(&self, thing: &Self, name: &str) -> Self {
        let mut arm = self.clone().with_text("name", name);
        // Another model's weights have another shape.
        arm.entries.remove("init");
        let entry = self.unwritten(Value::Flag(false), "false".to_owned());
        arm.entries.insert("evaluate", entry);
        let table = "model";
        if let Some(shape) = thing.over.get(table) {
            arm.lists.retain(|list| list.table != table || !shape.entries.contains_key(list.key.as_str()));
            let over = arm.over.entry(table).or_insert_with(|| Self::empty(&self.file, table).called(&shape.label));
            over.entries.extend(shape.entries.iter().map(|(key, entry)| (*key, entry.clone())));
        }
        arm
    }

    /// What its table is for, in words.
    pub(in crate::recipe) fn what(&self) -> &'static str {
        match self.table {
            "pairs" => "set of pairs",
            "synthetic" => "synthetic corpus",
            table => table,
        }
    }

    /// Whether it says shares of synthetic corpora.
    pub(in crate::recipe) fn has_shares(&self) -> bool {
        !self.shares.is_empty()
            || self.lists.iter().any(|list| list.table == "synthetic")
            || self.candidates.iter().any(|candidate| !candidate.shares.is_empty())
    }

    /// Whether it says a value of `key`, or a list of them.
    pub(in crate::recipe) fn says(&self, key: &str) -> bool {
        self.has(key) || self.lists.iter().any(|list| list.table.is_empty() && list.key == key)
    }

    /// Whether it has a list in the place of one of these keys of `table`.
    pub(in crate::recipe) fn sweeps(&self, table: &str, keys: &[&str]) -> bool {
        self.lists.iter().any(|list| list.table == table && keys.contains(&list.key.as_str()))
    }

    /// Every synthetic corpus that is named, whatever its share.
    pub(in crate::recipe) fn named_corpora(&self) -> impl Iterator<Item = &str> {
        let own = self.shares.iter().map(|(name, _)| name.as_str());
        let of_lists = self.lists.iter().filter(|list| list.table == "synthetic").map(|list| list.key.as_str());
        own.chain(of_lists)
            .chain(self.candidates.iter().flat_map(|one| one.shares.iter().map(|(name, _)| name.as_str())))
    }

    /// The keys of `table` that it says in that table's place.
    pub(in crate::recipe) fn says_of(&self, table: &str) -> Vec<&'static str> {
        self.over.get(table).map_or_else(Vec::new, |over| over.entries.keys().copied().collect())
    }

    /// A number, where it is written.
    pub(in crate::recipe) fn number_written(&self, key: &str) -> Option<f64> {
        self.has(key).then(|| self.number_if(key)).flatten()
    }

    /// A list of numbers, where it is written.
    pub(in crate::recipe) fn numbers_written(&self, key: &str) -> Option<Vec<f64>> {
        self.has(key).then(|| self.numbers(key))
    }

    /// A refusal of the thing itself.
    pub(in crate::recipe) fn thing_refused(&self, message: String, advice: &str) -> Box<RecipeError> {
        Box::new(RecipeError::Things { at: self.place(), message, advice: advice.to_owned() })
    }

    pub(in crate::recipe) fn missing(&self, key: &Key) -> Box<RecipeError> {
        Box::new(RecipeError::Missing {
            at: self.place(),
            table: self.label.clone(),
            key: key.name,
            meaning: key.meaning,
            expected: key.kind.to_string(),
        })
    }

    /// Refuses an unwritten table that has a key without default.
    pub(in crate::recipe) fn check_required(&self) -> Result<()> {
        let missing = keys::keys_of(self.table)
            .find(|key| matches!(key.default, Preset::Required) && !self.entries.contains_key(key.name));
        missing.map_or(Ok(()), |key| Err(self.missing(key)))
    }

    pub(super) fn is_thing(&self) -> bool {
        THINGS.contains(&self.table)
    }

    /// Whether `key` is written.
    pub(in crate::recipe) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The line where the table begins.
    pub(in crate::recipe) fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line }
    }

    /// A refusal of `key`, whose value, written or derived, is `found`.
    pub(in crate::recipe) fn impossible(
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
    pub(in crate::recipe) fn impossible_shown(
        &self,
        key: &str,
        found: &str,
        expected: impl ToString,
        advice: &str,
    ) -> Box<RecipeError> {
        let entry = self.entries.get(key);
        Box::new(RecipeError::Impossible {
            at: Place {
                file: self.file.clone(),
                line: entry.map(|entry| entry.line).or(self.line.filter(|_| self.is_thing())),
            },
            table: prefix(entry.map_or(&self.label, |entry| &entry.label)),
            key: key.to_owned(),
            found: found.to_owned(),
            expected: expected.to_string(),
            advice: (!advice.is_empty()).then(|| advice.to_owned()),
        })
    }

    /// A refusal of `key`, which is written without what it belongs to.
    pub(in crate::recipe) fn only_with(&self, key: &str, owner: &str) -> Box<RecipeError> {
        let expected = format_args!("no `{key}` without {owner}");
        self.impossible(key, "", expected, &format!("remove the key, or write {owner}"))
    }

    /// The written value, or the default where the list of keys holds one.
    pub(super) fn value(&self, key: &str) -> Option<Value> {
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
    pub(in crate::recipe) fn integer(&self, key: &str) -> u64 {
        self.integer_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A whole number, or what it derives to.
    pub(in crate::recipe) fn integer_or(&self, key: &str, derived: u64) -> u64 {
        self.integer_if(key).unwrap_or(derived)
    }

    /// A whole number where it is written.
    pub(in crate::recipe) fn integer_if(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Integer(n) => Some(n),
            other => panic!("`{key}` is no whole number but {other:?}"),
        }
    }

    /// A number that is written or has a plain default.
    pub(in crate::recipe) fn number(&self, key: &str) -> f64 {
        self.number_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A number, or what it derives to.
    pub(in crate::recipe) fn number_or(&self, key: &str, derived: f64) -> f64 {
        self.number_if(key).unwrap_or(derived)
    }

    /// A number, or none for `"auto"` or `"off"`.
    pub(in crate::recipe) fn number_if(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::Number(x) => Some(x),
            Value::Text(word) if word == "auto" || word == "off" => None,
            other => panic!("`{key}` is no number but {other:?}"),
        }
    }

    /// A list of numbers that is written or has a plain default.
    pub(in crate::recipe) fn numbers(&self, key: &str) -> Vec<f64> {
        match self.value(key) {
            Some(Value::Numbers(numbers)) => numbers,
            other => panic!("`{key}` is no list of numbers but {other:?}"),
        }
    }

    /// A text that is written or has a plain default.
    pub(in crate::recipe) fn text(&self, key: &str) -> String {
        self.text_if(key).unwrap_or_else(|| self.no_default(key))
    }

    /// A text where it is written.
    pub(in crate::recipe) fn text_if(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            other => panic!("`{key}` is no text but {other:?}"),
        }
    }

    /// A world where it is written.
    pub(in crate::recipe) fn world_if(&self, key: &str) -> Option<cognate_worlds::Dials> {
        match self.value(key)? {
            Value::World(dials) => Some(dials),
            other => panic!("`{key}` is no world but {other:?}"),
        }
    }

    /// A flag that is written or has a plain default.
    pub(in crate::recipe) fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Flag(flag)) => flag,
            other => panic!("`{key}` is no flag but {other:?}"),
        }
    }

    /// A list of texts where it is written.
    pub(in crate::recipe) fn list_if(&self, key: &str) -> Option<Vec<String>> {
        match self.value(key)? {
            Value::List(list) => Some(list),
            other => panic!("`{key}` is no list but {other:?}"),
        }
    }

    /// The numbers of a list, or those from `first` on, as many as are written; none where nothing is.
    pub(in crate::recipe) fn integers_from(&self, key: &str, first: u64) -> Option<Vec<u64>> {
        match self.value(key)? {
            Value::Integer(n) => Some((0..n).map(|i| first.saturating_add(i)).collect()),
            Value::Integers(numbers) => Some(numbers),
            other => panic!("`{key}` is neither a number nor a list but {other:?}"),
        }
    }

    pub(super) fn no_default(&self, key: &str) -> ! {
        panic!("`{key}` of {} is neither required nor has it a plain default", table_label(self.table))
    }
}
