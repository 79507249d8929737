//! What a thing says in the place of its tables, and the candidates that an arm's lists stand for.

use super::super::keys;
use super::{Entry, Result, Section, Value, is_name};

/// Candidates of a sweep, at most.
const MOST_CANDIDATES: usize = 100;

/// The key that says the same as `key` in other words: only one of the two holds.
fn instead_of(key: &str) -> Option<&'static str> {
    match key {
        "weight_decay" => Some("weight_decay_epochs"),
        "weight_decay_epochs" => Some("weight_decay"),
        _ => None,
    }
}

impl Entry {
    fn number(&self) -> f64 {
        match &self.value {
            Value::Number(x) => *x,
            other => panic!("a share is a number, and not {other:?}"),
        }
    }
}

impl Section {
    /// This table with what `thing` says in its place.
    pub(in crate::recipe) fn under(&self, thing: &Self) -> Self {
        let mut both = self.clone();
        if let Some(over) = thing.over.get(self.table) {
            for key in over.entries.keys() {
                if let Some(other) = instead_of(key) {
                    both.entries.remove(other);
                }
            }
            let says_model =
                over.entries.get("method").is_some_and(|entry| entry.value == Value::Text("model".to_owned()));
            if says_model {
                // What the table says of a server is not for who has none.
                both.entries.retain(|key, _| !key.starts_with("endpoint_"));
            }
            both.entries.extend(over.entries.iter().map(|(key, entry)| (*key, entry.clone())));
            both.label.clone_from(&over.label);
        }
        both
    }

    /// The shares of synthetic corpora that an arm, or a candidate, says.
    pub(in crate::recipe) fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        self.shares.iter().map(|(name, entry)| (name.as_str(), entry.number()))
    }

    /// Whether an arm's candidates are written out.
    pub(in crate::recipe) fn has_candidates(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Refuses what the arm says and each of its candidates says otherwise: it would never be read.
    fn check_overruled(&self) -> Result<()> {
        let Some((first, others)) = self.candidates.split_first() else { return Ok(()) };
        let says = |candidate: &Self, table: &str, key: &str| {
            let over = candidate.over.get(table);
            over.is_some_and(|over| {
                over.entries.contains_key(key) || instead_of(key).is_some_and(|key| over.entries.contains_key(key))
            })
        };
        for (table, over) in &self.over {
            let key = over
                .entries
                .keys()
                .find(|key| says(first, table, key) && others.iter().all(|other| says(other, table, key)));
            if let Some(key) = key {
                let message = format!("`{table}.{key}` stands here, and each candidate of `sweep` has its own");
                return Err(self.thing_refused(message, "remove one of the two"));
            }
        }
        let share = self.shares.iter().map(|(name, _)| name).find(|name| {
            self.candidates.iter().all(|candidate| candidate.shares.iter().any(|(other, _)| other == *name))
        });
        match share {
            Some(name) => {
                let message = format!("`synthetic.{name}` stands here, and each candidate of `sweep` has its own");
                Err(self.thing_refused(message, "remove one of the two"))
            }
            None => Ok(()),
        }
    }

    /// What an arm's training may be: the candidates that are written out, or one for each way to take one value of each list. Each has a
    /// name and says all that the arm says beside. None where it sweeps nothing.
    pub(in crate::recipe) fn variants(&self) -> Result<Vec<(String, Self)>> {
        if !self.candidates.is_empty() && !self.lists.is_empty() {
            let advice = "write the lists' values into the candidates, or let the lists stand alone";
            return Err(self.thing_refused("an arm has either `sweep` or lists of values".to_owned(), advice));
        }
        self.check_overruled()?;
        for list in &self.lists {
            let is_written = match list.table {
                "synthetic" => self.shares.iter().any(|(name, _)| *name == list.key),
                table => {
                    let other = instead_of(&list.key);
                    let over = self.over.get(table).map(|over| &over.entries);
                    let twice = self.lists.iter().any(|one| one.table == table && Some(one.key.as_str()) == other);
                    let says = |key: &str| over.is_some_and(|over| over.contains_key(key));
                    let again = self.lists.iter().filter(|one| one.table == table && one.key == list.key).count() > 1;
                    twice || again || says(&list.key) || other.is_some_and(says)
                }
            };
            if is_written {
                let advice = "remove one of the two";
                return Err(self.thing_refused(format!("`{}` is swept, and stands here once more", list.key), advice));
            }
        }
        let combinations = self.lists.iter().fold(1usize, |n, list| n.saturating_mul(list.values.len()));
        if combinations.max(self.candidates.len()) > MOST_CANDIDATES {
            let message = format!("a sweep has {combinations} candidates, and at most {MOST_CANDIDATES} are trained");
            return Err(self.thing_refused(message, "shorten the lists"));
        }
        let mut variants = vec![(String::new(), self.clone())];
        if self.lists.is_empty() {
            variants.clear();
        }
        for list in &self.lists {
            let mut next = Vec::new();
            for (name, section) in &variants {
                for value in &list.values {
                    let mut section = section.clone();
                    section.say(list.table, &list.key, value.clone());
                    let joint = if name.is_empty() { "" } else { "-" };
                    let word = value.source.replace(['_', '+'], "");
                    next.push((format!("{name}{joint}{}-{word}", list.key.replace('_', "-")), section));
                }
            }
            variants = next;
        }
        for (at, candidate) in self.candidates.iter().enumerate() {
            let mut section = self.clone();
            for (table, over) in &candidate.over {
                for (key, entry) in &over.entries {
                    section.say(table, key, entry.clone());
                }
            }
            for (name, entry) in &candidate.shares {
                section.say("synthetic", name, entry.clone());
            }
            let name = candidate.text_if("name").unwrap_or_else(|| format!("candidate-{}", at + 1));
            if variants.iter().any(|(other, _)| *other == name) {
                let message = format!("two candidates of a sweep are called `{name}`");
                return Err(candidate.thing_refused(message, "give each a `name` of its own"));
            }
            variants.push((name, section));
        }
        for (at, (name, _)) in variants.iter_mut().enumerate() {
            if !is_name(name) {
                *name = format!("candidate-{}", at + 1);
            }
        }
        Ok(variants)
    }

    /// Puts `entry` where `table` has `key`.
    pub(super) fn say(&mut self, table: &'static str, key: &str, entry: Entry) {
        match table {
            "synthetic" => {
                self.shares.retain(|(name, _)| name != key);
                self.shares.push((key.to_owned(), entry));
            }
            "" => {
                let key = keys::keys_of(self.table).find(|known| known.name == key);
                self.entries.extend(key.map(|key| (key.name, entry)));
            }
            table => {
                let file = self.file.clone();
                let over = self.over.entry(table).or_insert_with(|| Self::empty(&file, table));
                if let Some(other) = instead_of(key) {
                    over.entries.remove(other);
                }
                let key = keys::keys_of(table).find(|known| known.name == key);
                over.entries.extend(key.map(|key| (key.name, entry)));
            }
        }
    }
}
