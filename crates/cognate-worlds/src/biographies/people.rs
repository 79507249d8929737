//! Made people and what is true of them.

use std::collections::BTreeSet;

use cognate_base::Monitor;
use cognate_base::random::{self, ChaCha8Rng};
use serde::{Deserialize, Serialize};

use super::Config;
use crate::Result;
use crate::draws::{below, pick};

/// What is known of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// `March 4, 1931`.
    BirthDate,
    /// A city.
    BirthPlace,
    /// `of` what the university is.
    University,
    /// What was studied.
    Subject,
    /// A firm.
    Employer,
    /// The city where the firm is: the same for all who work there.
    WorkPlace,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::BirthDate, Self::BirthPlace, Self::University, Self::Subject, Self::Employer, Self::WorkPlace];

    /// Its name in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::BirthDate => "birth_date",
            Self::BirthPlace => "birth_place",
            Self::University => "university",
            Self::Subject => "subject",
            Self::Employer => "employer",
            Self::WorkPlace => "work_place",
        }
    }

    /// Whether a text has the form of a value: one word, or a date.
    pub(super) fn may_be(self, text: &str) -> bool {
        match self {
            Self::BirthDate => {
                let parts: Vec<&str> = text.split(' ').collect();
                let [month, day, year] = parts[..] else { return false };
                let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                MONTHS.contains(&month) && day.strip_suffix(',').is_some_and(number) && number(year)
            }
            _ => !text.is_empty() && text.chars().all(char::is_alphabetic),
        }
    }
}

/// How a person is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pronoun {
    /// He.
    He,
    /// She.
    She,
}

impl Pronoun {
    /// Both.
    pub const ALL: [Self; 2] = [Self::He, Self::She];

    /// As subject, object and possessor.
    pub fn forms(self) -> [&'static str; 3] {
        match self {
            Self::He => ["he", "him", "his"],
            Self::She => ["she", "her", "her"],
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// First, middle and last name; no other person has it.
    pub name: String,
    /// How the person is spoken of.
    pub pronoun: Pronoun,
    /// What is true, in the order of [`Attribute::ALL`].
    pub values: [String; 6],
}

impl Person {
    /// What is true of the person.
    pub fn value(&self, attribute: Attribute) -> &str {
        &self.values[attribute as usize]
    }
}

/// All people, and the values that there are.
#[derive(Clone, Debug)]
pub struct People {
    /// The people.
    pub people: Vec<Person>,
    /// The values of each attribute, in the order of [`Attribute::ALL`]. Those of the birth date are every date there is.
    pub values: [Vec<String>; 6],
    /// First and middle names.
    pub first_names: Vec<String>,
    /// Last names.
    pub last_names: Vec<String>,
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Years of birth: 1900 to 1999, as many as a two-digit number tells apart.
const YEARS: std::ops::Range<usize> = 1900..2000;
/// Days of every month: no month is shorter.
const DAYS: usize = 28;

const ONSETS: [&str; 16] = ["b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];

/// Subjects are real words, so that they look like what they are.
pub(super) const SUBJECTS: [&str; 50] = [
    "accounting",
    "agronomy",
    "anatomy",
    "anthropology",
    "archaeology",
    "architecture",
    "astronomy",
    "biochemistry",
    "biology",
    "botany",
    "chemistry",
    "cartography",
    "criminology",
    "dentistry",
    "ecology",
    "economics",
    "electronics",
    "epidemiology",
    "ethics",
    "finance",
    "forestry",
    "genetics",
    "geography",
    "geology",
    "history",
    "hydrology",
    "immunology",
    "journalism",
    "law",
    "linguistics",
    "logic",
    "marketing",
    "mathematics",
    "mechanics",
    "medicine",
    "metallurgy",
    "meteorology",
    "mineralogy",
    "music",
    "neurology",
    "nursing",
    "optics",
    "pharmacy",
    "philosophy",
    "physics",
    "psychology",
    "sociology",
    "statistics",
    "theology",
    "zoology",
];

/// Makes the people.
pub(super) fn make(config: &Config, seed: u64, monitor: &dyn Monitor) -> Result<People> {
    config.check()?;
    let mut taken = BTreeSet::new();
    let mut words = |purpose: &str, count: usize, syllables: usize| {
        let mut rng = random::stream(seed, purpose, 0);
        unused_words(count, syllables, &mut taken, &mut rng)
    };
    let first = words("biographies first names", config.first_names, 2);
    let last = words("biographies last names", config.last_names, 3);
    let cities = words("biographies cities", config.cities, 3);
    let universities = words("biographies universities", config.universities, 3);
    let employers = words("biographies employers", config.employers, 3);
    let subjects: Vec<String> = SUBJECTS[..config.subjects].iter().map(|&subject| subject.to_owned()).collect();
    let mut rng = random::stream(seed, "biographies work places", 0);
    let work_places: Vec<String> = employers.iter().map(|_| pick(&cities, &mut rng).clone()).collect();
    let dates = YEARS.flat_map(|year| {
        MONTHS.iter().flat_map(move |month| (1..=DAYS).map(move |day| format!("{month} {day}, {year}")))
    });
    let values = [dates.collect(), cities.clone(), universities, subjects, employers, cities];
    let mut names = BTreeSet::new();
    let person = |number: usize| -> Result<Person> {
        monitor.check()?;
        let mut rng = random::stream(seed, "biographies person", number as u64);
        let name = loop {
            let name = format!("{} {} {}", pick(&first, &mut rng), pick(&first, &mut rng), pick(&last, &mut rng));
            if names.insert(name.clone()) {
                break name;
            }
        };
        let employer = below(&mut rng, values[Attribute::Employer as usize].len());
        let value = |attribute: Attribute, rng: &mut ChaCha8Rng| match attribute {
            Attribute::Employer => values[attribute as usize][employer].clone(),
            Attribute::WorkPlace => work_places[employer].clone(),
            _ => pick(&values[attribute as usize], rng).clone(),
        };
        let pronoun = Pronoun::ALL[below(&mut rng, 2)];
        Ok(Person { name, pronoun, values: Attribute::ALL.map(|attribute| value(attribute, &mut rng)) })
    };
    let people = (0..config.people).map(person).collect::<Result<_>>()?;
    Ok(People { people, values, first_names: first, last_names: last })
}

/// `count` capitalised words of so many syllables that nothing is called yet.
fn unused_words(count: usize, syllables: usize, taken: &mut BTreeSet<String>, rng: &mut ChaCha8Rng) -> Vec<String> {
    let mut words = Vec::with_capacity(count);
    while words.len() < count {
        let syllable =
            |rng: &mut ChaCha8Rng| [ONSETS[below(rng, ONSETS.len())], VOWELS[below(rng, VOWELS.len())]].concat();
        let small: String = (0..syllables).map(|_| syllable(rng)).collect();
        let word = format!("{}{}", small[..1].to_uppercase(), &small[1..]);
        if taken.insert(word.clone()) {
            words.push(word);
        }
    }
    words
}
