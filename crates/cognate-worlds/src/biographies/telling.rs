//! Telling of a person: which attributes, in which order and wording, by name or pronoun.

use cognate_base::random::{self, ChaCha8Rng, Rng, SliceRandom, unit};

use super::{Attribute, Statement, Whom, World, ends_with_value, sentence};
use crate::Split;
use crate::draws::{below, pick};
use crate::truthfulness::{Mistakes, Truthfulness};

/// A document, as it was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// `unique-000012-1`: split, person, number.
    pub id: String,
    /// The person's number.
    pub person: usize,
    /// The text.
    pub text: String,
    /// What it states, in order.
    pub statements: Vec<Statement>,
}

impl World {
    /// Document `number` of a person in a split. Each statement is true with probability `truth`; a false one has another value of the same
    /// attribute, each as likely as any other.
    pub fn tell(&self, person: usize, split: Split, number: usize, truth: f64) -> Telling {
        let purpose = format!("biographies telling {} {number}", split.word());
        let rng = &mut random::stream(self.seed, &purpose, person as u64);
        let (text, statements) = self.told(person, Truthfulness::independent(truth), rng);
        Telling { id: format!("{}-{person:06}-{number}", split.word()), person, text, statements }
    }

    /// Document `number` about the person of the text `seed`, or about anybody where that is about nobody. A false statement has another
    /// value, as in [`World::tell`].
    pub(crate) fn tell_from(&self, seed: &str, number: u64, truth: Truthfulness) -> String {
        let mut rng = random::stream(self.seed, "biographies telling from a seed", number);
        let anybody = below(&mut rng, self.config.people);
        self.told(self.read(seed).person.unwrap_or(anybody), truth, &mut rng).0
    }

    fn told(&self, person: usize, truth: Truthfulness, rng: &mut ChaCha8Rng) -> (String, Vec<Statement>) {
        let who = &self.people.people[person];
        let mut attributes = Attribute::ALL;
        attributes.shuffle(rng);
        let mut text = String::new();
        let mut statements = Vec::with_capacity(self.config.attributes);
        for attribute in attributes.into_iter().take(self.config.attributes) {
            let template = below(rng, self.config.templates);
            let by_name = unit(rng.next_u64()) < self.config.full_names;
            let named = statements.is_empty() || by_name;
            let value = match truth.mistakes {
                Mistakes::Independent => self.said(person, attribute, truth.truth, rng),
                Mistakes::Consistent => {
                    let fact = (person * Attribute::ALL.len() + attribute as usize) as u64;
                    self.said(
                        person,
                        attribute,
                        truth.truth,
                        &mut random::stream(self.seed, "biographies mistakes", fact),
                    )
                }
            };
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&sentence(who, attribute, template, value, named));
            let whom = if named { Whom::Named(who.name.clone()) } else { Whom::Pronoun };
            statements.push(Statement { whom, attribute, template, value: value.to_owned() });
        }
        (text, statements)
    }

    /// What is said of a person: the truth with this probability, or else any other value.
    fn said(&self, person: usize, attribute: Attribute, truth: f64, rng: &mut ChaCha8Rng) -> &str {
        let is_so = self.people.people[person].value(attribute);
        if unit(rng.next_u64()) < truth {
            return is_so;
        }
        loop {
            let other = pick(&self.people.values[attribute as usize], rng);
            if other != is_so {
                return other;
            }
        }
    }

    /// All documents of a split: first one of every person, then a second of all who have one, and so on, so that documents of one
    /// person do not stand beside each other.
    pub fn documents(&self, split: Split) -> impl Iterator<Item = Telling> + '_ {
        self.order(split).map(move |(person, number)| self.tell(person, split, number, 1.0))
    }

    /// Persons and numbers of a split's documents, in their order.
    pub fn order(&self, split: Split) -> impl Iterator<Item = (usize, usize)> + '_ {
        let most = (0..self.config.people).map(|person| self.config.tellings(person, split)).max().unwrap_or(0);
        (0..most).flat_map(move |number| {
            // Only those whom the unique split tells of once have fewer than others, and they are the first.
            let has_one = self.config.tellings(0, split) > number;
            let first = if has_one { 0 } else { self.config.people_told_once() };
            (first..self.config.people).map(move |person| (person, number))
        })
    }

    /// A true statement about a person that the unique split makes, without its full stop and ending with the value, in one of the world's wordings
    /// that it did not make it in; `None` where it does not make it, or in all of them.
    pub fn unheard(&self, person: usize, attribute: Attribute) -> Option<String> {
        let heard: Vec<usize> = (0..self.config.tellings(person, Split::Unique))
            .flat_map(|number| self.tell(person, Split::Unique, number, 1.0).statements)
            .filter(|statement| statement.attribute == attribute)
            .map(|statement| statement.template)
            .collect();
        // What nobody told, nobody can be asked.
        if heard.is_empty() {
            return None;
        }
        let fitting = |template: &usize| ends_with_value(attribute, *template) && !heard.contains(template);
        let templates: Vec<usize> = (0..self.config.templates).filter(fitting).collect();
        if templates.is_empty() {
            return None;
        }
        let mut rng = random::stream(self.seed, &format!("biographies unheard {}", attribute.word()), person as u64);
        let who = &self.people.people[person];
        let text = sentence(who, attribute, *pick(&templates, &mut rng), who.value(attribute), true);
        Some(text.trim_end_matches('.').to_owned())
    }
}
