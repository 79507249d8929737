//! Biographies, after bioS of Allen-Zhu and Li 2023 (arXiv 2309.14316): made people with six attributes, each told in several documents
//! by wordings in shuffled order. Two documents of one person are truly related, and every statement is true or false.

mod likelihood;
mod people;
mod reading;
mod telling;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::{share, within};
use crate::{Error, Result, Split};

pub use likelihood::Knowledge;
pub use people::{Attribute, People, Person, Pronoun};
pub use reading::{Reading, Verdict};
pub use telling::Telling;
pub use templates::{Statement, TEMPLATES, Whom, ends_with_value, read, sentence};

/// The dials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many people there are.
    pub people: usize,
    /// Documents of each person in the unique split, unless the person is told of only once.
    pub unique_tellings: usize,
    /// Documents of each person in the oracle split.
    pub oracle_tellings: usize,
    /// Documents of each person in the validation split.
    pub validation_tellings: usize,
    /// Documents of each person in the selection split.
    pub selection_tellings: usize,
    /// Share of the people whom the unique split tells of only once.
    pub told_once: f64,
    /// Attributes that a document tells, drawn anew for each.
    pub attributes: usize,
    /// Wordings of each attribute, the first so many of twenty.
    pub templates: usize,
    /// How often a sentence after a document's first has the full name, and not a pronoun.
    pub full_names: f64,
    /// Different first names; middle names are of the same.
    pub first_names: usize,
    /// Different last names.
    pub last_names: usize,
    /// Different cities, of birth and of work.
    pub cities: usize,
    /// Different universities.
    pub universities: usize,
    /// Different subjects.
    pub subjects: usize,
    /// Different employers.
    pub employers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            people: 1500,
            unique_tellings: 2,
            oracle_tellings: 36,
            validation_tellings: 1,
            selection_tellings: 1,
            told_once: 0.25,
            attributes: 6,
            templates: 16,
            full_names: 1.0,
            first_names: 120,
            last_names: 300,
            cities: 100,
            universities: 100,
            subjects: 50,
            employers: 100,
        }
    }
}

/// Most names of three syllables: a tenth of all there are, so that drawing unused ones stays quick.
const MOST_NAMES: usize = 10_000;

impl Config {
    /// Checks every dial.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        within("people", self.people, 2, 10_000_000)?;
        within("unique_tellings", self.unique_tellings, 1, 10_000)?;
        within("oracle_tellings", self.oracle_tellings, 0, 10_000)?;
        within("validation_tellings", self.validation_tellings, 1, 10_000)?;
        within("selection_tellings", self.selection_tellings, 0, 10_000)?;
        share("told_once", self.told_once)?;
        within("attributes", self.attributes, 1, Attribute::ALL.len())?;
        within("templates", self.templates, 1, TEMPLATES)?;
        share("full_names", self.full_names)?;
        // A thousandth of all names of two syllables are 6.
        within("first_names", self.first_names, 1, 640)?;
        within("last_names", self.last_names, 1, MOST_NAMES)?;
        within("cities", self.cities, 2, MOST_NAMES)?;
        within("universities", self.universities, 2, MOST_NAMES)?;
        within("subjects", self.subjects, 2, people::SUBJECTS.len())?;
        within("employers", self.employers, 2, MOST_NAMES)?;
        // Half of all names, so that drawing one that nobody has stays quick.
        let names = self.first_names * self.first_names * self.last_names;
        if self.people > names / 2 {
            let expected = format!("at most {}, half of the names that there are ({names})", names / 2);
            return Err(Error::dial("people", expected, self.people));
        }
        if self.pairs() == 0 {
            let expected =
                "a share that leaves somebody whom the unique split tells of twice, and unique_tellings of at least 2";
            return Err(Error::dial("told_once", expected, self.told_once));
        }
        Ok(())
    }

    /// How many people the unique split tells of only once; they are the first ones.
    pub fn people_told_once(&self) -> usize {
        if self.unique_tellings == 1 { self.people } else { (self.told_once * self.people as f64).round() as usize }
    }

    /// Documents of a person in a split.
    pub fn tellings(&self, person: usize, split: Split) -> usize {
        match split {
            Split::Unique if person < self.people_told_once() => 1,
            Split::Unique => self.unique_tellings,
            Split::Oracle => self.oracle_tellings,
            Split::Validation => self.validation_tellings,
            Split::Selection => self.selection_tellings,
        }
    }

    /// True pairs in the unique split, each in both directions.
    pub fn pairs(&self) -> usize {
        (self.people - self.people_told_once()) * self.unique_tellings * (self.unique_tellings - 1)
    }
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    config: Config,
    people: People,
    by_name: HashMap<String, usize>,
    values: [HashSet<String>; 6],
    seed: u64,
}

impl World {
    /// Makes the world.
    ///
    /// # Errors
    /// When a dial is out of its range.
    pub fn new(config: Config, seed: u64) -> Result<Self> {
        let people = people::make(&config, seed)?;
        let by_name = people.people.iter().enumerate().map(|(number, person)| (person.name.clone(), number)).collect();
        let values = people.values.each_ref().map(|values| values.iter().cloned().collect());
        Ok(Self { config, people, by_name, values, seed })
    }

    /// The dials.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The people, and the values that there are.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The person of that name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}
