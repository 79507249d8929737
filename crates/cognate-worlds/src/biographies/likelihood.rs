//! How likely a document is to somebody who knows how documents are made, and all of the people or none.

use super::{Attribute, Config, Person, Pronoun, Statement, Whom, World, sentence};

/// What is known of the people beforehand. How documents are made, and which names and values there are, is always known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Everybody, with all attributes: what remains is whom a document is about, and how it is said.
    Everybody,
    /// Nobody: every name and every value of an attribute is as likely as any other, and the place of work is not known from the
    /// employer.
    Nobody,
}

/// A document that the world can write: whom it names, the pronoun where one stands in it, and what it states.
struct Written {
    name: String,
    pronoun: Option<Pronoun>,
    statements: Vec<Statement>,
}

impl World {
    /// ln P(document) in nats; −∞ for a text that the world does not write.
    pub fn log_probability(&self, text: &str, knowledge: Knowledge) -> f64 {
        let Some(document) = self.written(text) else { return f64::NEG_INFINITY };
        let manner = self.log_manner(&document.statements);
        match knowledge {
            Knowledge::Everybody => {
                let true_of = |person: &Person| {
                    let fits = document.pronoun.is_none_or(|pronoun| person.pronoun == pronoun);
                    fits && document.statements.iter().all(|told| person.value(told.attribute) == told.value)
                };
                let person = self.by_name(&document.name).map(|number| &self.people.people[number]);
                let known = person.is_some_and(true_of);
                if known { manner - (self.config.people as f64).ln() } else { f64::NEG_INFINITY }
            }
            Knowledge::Nobody => {
                let pronoun = if document.pronoun.is_some() { -(Pronoun::ALL.len() as f64).ln() } else { 0.0 };
                let values: f64 = document.statements.iter().map(|told| self.log_value(told)).sum();
                manner + self.log_name(&document.name) + pronoun + values
            }
        }
    }

    /// ln P(d2 | d1) for two documents of one person, to somebody who knows nobody else: what d1 tells is known, the rest as to a
    /// stranger. −∞ where they contradict each other, name different people, or either is none of the world's.
    pub fn log_conditional(&self, second: &str, first: &str) -> f64 {
        let (Some(first), Some(second)) = (self.written(first), self.written(second)) else { return f64::NEG_INFINITY };
        if first.name != second.name {
            return f64::NEG_INFINITY;
        }
        let pronoun = match (first.pronoun, second.pronoun) {
            (Some(known), Some(used)) if known != used => return f64::NEG_INFINITY,
            (None, Some(_)) => -(Pronoun::ALL.len() as f64).ln(),
            _ => 0.0,
        };
        let value = |told: &Statement| match first.statements.iter().find(|known| known.attribute == told.attribute) {
            Some(known) if known.value == told.value => 0.0,
            Some(_) => f64::NEG_INFINITY,
            None => self.log_value(told),
        };
        self.log_manner(&second.statements) + pronoun + second.statements.iter().map(value).sum::<f64>()
    }

    /// Reads a text as a document. What was read is what was written only where writing it again gives the text.
    fn written(&self, text: &str) -> Option<Written> {
        let statements: Vec<Statement> = self.read(text).statements.into_iter().map(|(told, _, _)| told).collect();
        let Whom::Named(name) = statements.first()?.whom.clone() else { return None };
        let mut attributes: Vec<Attribute> = statements.iter().map(|told| told.attribute).collect();
        attributes.sort_unstable();
        attributes.dedup();
        if statements.len() != self.config.attributes
            || attributes.len() != statements.len()
            || statements.iter().any(|told| told.template >= self.config.templates)
        {
            return None;
        }
        let again = |pronoun: Pronoun| {
            let person = Person { name: name.clone(), pronoun, values: Default::default() };
            let say = |told: &Statement| {
                let named = matches!(told.whom, Whom::Named(_));
                sentence(&person, told.attribute, told.template, &told.value, named)
            };
            statements.iter().map(say).collect::<Vec<_>>().join(" ")
        };
        let pronoun = Pronoun::ALL.into_iter().find(|&pronoun| again(pronoun) == text)?;
        let used = statements.iter().any(|told| told.whom == Whom::Pronoun);
        Some(Written { name, pronoun: used.then_some(pronoun), statements })
    }

    /// ln of the probability of which attributes are told, their order, their wordings, and names or pronouns.
    fn log_manner(&self, statements: &[Statement]) -> f64 {
        let Config { templates, full_names, .. } = self.config;
        // The first m of six shuffled attributes: 6! / (6 − m)! sequences.
        let orders: f64 = (0..statements.len()).map(|taken| ((Attribute::ALL.len() - taken) as f64).ln()).sum();
        let wordings = statements.len() as f64 * (templates as f64).ln();
        let again = statements.iter().skip(1).map(|told| match told.whom {
            Whom::Named(_) => full_names.ln(),
            Whom::Pronoun => (1.0 - full_names).ln(),
        });
        again.sum::<f64>() - orders - wordings
    }

    /// ln of the probability of a name to somebody who knows nobody. That no two people have one name is not taken into account.
    fn log_name(&self, name: &str) -> f64 {
        let parts: Vec<&str> = name.split(' ').collect();
        let known = |names: &[String], part: &str| names.iter().any(|name| name == part);
        let (first, last) = (&self.people.first_names, &self.people.last_names);
        match parts[..] {
            [a, b, c] if known(first, a) && known(first, b) && known(last, c) => {
                -2.0 * (first.len() as f64).ln() - (last.len() as f64).ln()
            }
            _ => f64::NEG_INFINITY,
        }
    }

    /// ln of the probability of a value to somebody who does not know the person.
    fn log_value(&self, told: &Statement) -> f64 {
        let values = &self.values[told.attribute as usize];
        if values.contains(&told.value) { -(values.len() as f64).ln() } else { f64::NEG_INFINITY }
    }
}
