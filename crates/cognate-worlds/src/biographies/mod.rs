//! Biographies, after bioS of Allen-Zhu and Li 2023 (arXiv 2309.14316): made people with six attributes, each told in several documents
//! by wordings in shuffled order. Two documents of one person are truly related, and every statement is true or false.

mod likelihood;
mod people;
mod reading;
mod telling;
mod templates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use cognate_base::{Interrupted, Monitor};

use crate::dials::Range::{Share, Whole};
use crate::dials::{self, dials};
use crate::limits::{MOST_DOCUMENTS, MOST_PAIRS, at_most};
use crate::{Error, Result, Split};

pub use likelihood::Knowledge;
pub use people::{Attribute, People, Person, Pronoun};
pub use reading::{Reading, Verdict};
pub use telling::Telling;
pub use templates::{Statement, TEMPLATES, Whom, ends_with_value, read, sentence};

dials! {
    /// The dials.
    Config {
        /// How many people there are.
        people: usize = 1500, Whole(2, 10_000_000);
        /// Documents of each person in the unique split, unless the person is told of only once.
        unique_tellings: usize = 2, Whole(1, 10_000);
        /// Documents of each person in the oracle split.
        oracle_tellings: usize = 36, Whole(0, 10_000);
        /// Documents of each person in the validation split.
        validation_tellings: usize = 1, Whole(1, 10_000);
        /// Documents of each person in the selection split.
        selection_tellings: usize = 1, Whole(0, 10_000);
        /// Share of the people whom the unique split tells of only once.
        told_once: f64 = 0.25, Share;
        /// Attributes that a document tells, drawn anew for each.
        attributes: usize = 6, Whole(1, Attribute::ALL.len() as u64);
        /// Wordings of each attribute, the first so many of twenty.
        templates: usize = 16, Whole(1, TEMPLATES as u64);
        /// How often a sentence after a document's first has the full name, and not a pronoun.
        full_names: f64 = 1.0, Share;
        /// Different first names; middle names are of the same.
        first_names: usize = 120, Whole(1, MOST_FIRST_NAMES);
        /// Different last names.
        last_names: usize = 300, Whole(1, MOST_NAMES);
        /// Different cities, of birth and of work.
        cities: usize = 100, Whole(2, MOST_NAMES);
        /// Different universities.
        universities: usize = 100, Whole(2, MOST_NAMES);
        /// Different subjects.
        subjects: usize = 50, Whole(2, people::SUBJECTS.len() as u64);
        /// Different employers.
        employers: usize = 100, Whole(2, MOST_NAMES);
    }
}

/// Words of the shortest statement: a name of three, and a verb and a value at least.
pub(crate) const LEAST_WORDS: usize = 5;

/// Most names of three syllables: a tenth of all there are, so that drawing unused ones stays quick.
const MOST_NAMES: u64 = 10_000;
/// Most names of two syllables: a tenth of all there are.
const MOST_FIRST_NAMES: u64 = 640;

impl Config {
    /// Checks every dial, and what they make together.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        dials::check(Self::DIALS, self)?;
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
        let (once, people) = (self.people_told_once() as u64, self.people as u64);
        let most = (MOST_DOCUMENTS - once) / (people - once);
        at_most("unique_tellings", self.unique_tellings, most, "beside these people")?;
        for (dial, tellings) in [
            ("oracle_tellings", self.oracle_tellings),
            ("validation_tellings", self.validation_tellings),
            ("selection_tellings", self.selection_tellings),
        ] {
            at_most(dial, tellings, MOST_DOCUMENTS / people, "beside these people")?;
        }
        // Two tellings each are the least that make a pair: with them there is room for some of selection.
        let pairs = |unique: u64, selection: u64| {
            (people - once) * unique * (unique - 1) + 2 * ((people - once) * unique + once) * selection
        };
        let selection = self.selection_tellings as u64;
        let most = (0..=selection).rev().find(|fewer| pairs(2, *fewer) <= MOST_PAIRS).unwrap_or(0);
        at_most("selection_tellings", self.selection_tellings, most, "beside these people")?;
        let unique = self.unique_tellings as u64;
        let most = (2..=unique).rev().find(|fewer| pairs(*fewer, selection) <= MOST_PAIRS).unwrap_or(2);
        at_most("unique_tellings", self.unique_tellings, most, "beside these people and selection_tellings")
    }

    /// Bytes of the people: names and values, the table of names, and which facts are stated.
    pub(crate) fn bytes(&self) -> f64 {
        800.0 * self.people as f64
    }

    /// True pairs, each in both directions, with those of the selection split.
    pub(crate) fn all_pairs(&self) -> usize {
        let unique = self.people_told_once() + (self.people - self.people_told_once()) * self.unique_tellings;
        self.pairs() + 2 * unique * self.selection_tellings
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
    /// When a dial is out of its range, or the user interrupts.
    pub fn new(config: Config, seed: u64, monitor: &dyn Monitor) -> Result<Self> {
        let people = people::make(&config, seed, monitor)?;
        let mut by_name = HashMap::with_capacity(people.people.len());
        for (number, person) in people.people.iter().enumerate() {
            monitor.check()?;
            by_name.insert(person.name.clone(), number);
        }
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

    /// The seed that it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The facts that a split states: persons with attributes.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn stated(
        &self,
        split: Split,
        monitor: &dyn Monitor,
    ) -> std::result::Result<BTreeSet<(usize, Attribute)>, Interrupted> {
        let mut stated = BTreeSet::new();
        for telling in self.documents(split) {
            monitor.check()?;
            stated.extend(telling.statements.iter().map(|told| (telling.person, told.attribute)));
        }
        Ok(stated)
    }

    /// The person of that name.
    pub fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}
