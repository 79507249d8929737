//! What a text says in a world, and how much of it is true.

use super::{Attribute, Statement, Whom, World, read};

/// What is to be thought of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    True,
    /// It is otherwise.
    False,
    /// Nobody has that name, or nobody was named yet.
    Nobody,
}

/// A text, sentence by sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The first person named who exists.
    pub person: Option<usize>,
    /// What was read, with the person it is about where there is one.
    pub statements: Vec<(Statement, Option<usize>, Verdict)>,
    /// Sentences in none of the wordings.
    pub unread: usize,
}

impl Reading {
    /// How many statements have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.statements.iter().filter(|(_, _, found)| *found == verdict).count()
    }

    /// The true statements about a person, without repetitions.
    pub fn true_attributes(&self, person: usize) -> Vec<Attribute> {
        let mut attributes: Vec<Attribute> = self
            .statements
            .iter()
            .filter(|(_, whom, verdict)| *whom == Some(person) && *verdict == Verdict::True)
            .map(|(statement, _, _)| statement.attribute)
            .collect();
        attributes.sort_unstable();
        attributes.dedup();
        attributes
    }
}

impl World {
    /// Reads a text. A sentence ends with a full stop before white space or the end; a pronoun is whoever was named last.
    pub fn read(&self, text: &str) -> Reading {
        let mut reading = Reading { person: None, statements: Vec::new(), unread: 0 };
        let mut last: Option<usize> = None;
        for sentence in sentences(text) {
            let Some(statement) = read(sentence) else {
                reading.unread += 1;
                continue;
            };
            if let Whom::Named(name) = &statement.whom {
                last = self.by_name(name);
                reading.person = reading.person.or(last);
            }
            let verdict = match last {
                Some(person) if self.people.people[person].value(statement.attribute) == statement.value => {
                    Verdict::True
                }
                Some(_) => Verdict::False,
                None => Verdict::Nobody,
            };
            reading.statements.push((statement, last, verdict));
        }
        reading
    }
}

/// A text's sentences, without their full stops. What follows the last full stop is one too.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split_inclusive(". ").flat_map(|part| part.split_inclusive(".\n"));
    parts.map(|part| part.trim().trim_end_matches('.')).filter(|sentence| !sentence.is_empty())
}
