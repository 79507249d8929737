//! What is to be thought of texts that were written from seeds: do they share the seed's concept, and are they true?

use std::collections::BTreeSet;

use cognate_base::{Interrupted, Monitor, random};
use cognate_statistics::{Estimate, mean};
use serde::{Deserialize, Serialize};

use crate::biographies::{self, Attribute, Verdict};
use crate::deal::Symbols;
use crate::draws::draw;
use crate::words::known_symbols;
use crate::{Concept, Kind, Split, World};

/// How often a reader of written symbols expects a slip. A sampled symbol that no concept allows would else make a document impossible, and tell
/// nothing of the concept.
pub(crate) const SLIP: f64 = 0.01;
/// Equal parts of 0 to 1 that a calibration curve has.
const BINS: usize = 10;

/// Texts that were written from seeds, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// In a world of symbols.
    Symbols(JudgedSymbols),
    /// In a world of people.
    Biographies(JudgedPeople),
}

/// Do texts have their seeds' concepts? All but `possible` is to a reader who expects one symbol in a hundred to be a slip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedSymbols {
    /// Texts judged.
    pub documents: u64,
    /// Of the texts, how many the world can write: as many words as its documents have, all of them its own, and some concept gives them in
    /// that order.
    pub possible: u64,
    /// The probability that text and seed have one concept: mean of Σ P(c | seed) P(c | text). None of no texts.
    pub same_concept: Option<Estimate>,
    /// The same of texts that are drawn as the world would write them after these seeds: what a perfect synthesizer reaches.
    pub ideal: Option<Estimate>,
    /// P(c | text) over P(c | seed), for every text and concept.
    pub calibration: Vec<CalibrationBin>,
}

/// Texts and concepts whose P(c | seed) lies in one part of 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean P(c | seed).
    pub seed: f64,
    /// Mean P(c | text).
    pub written: f64,
    /// Mean P(c | what the world would write after that seed).
    pub ideal: f64,
    /// Texts and concepts.
    pub n: u64,
}

/// Texts by how often the unique split tells of their seed's person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedPeople {
    /// Of seeds about people whom it tells of once: no pair that a synthesizer learns from is about them.
    pub once: JudgedBiographies,
    /// Of seeds about other people.
    pub several: JudgedBiographies,
    /// Of texts whose seed is about nobody, or that have none.
    pub unseeded: JudgedBiographies,
}

impl JudgedPeople {
    /// All texts.
    pub fn all(&self) -> JudgedBiographies {
        let mut all = JudgedBiographies::default();
        for part in [&self.once, &self.several, &self.unseeded] {
            all.documents += part.documents;
            all.same_person += part.same_person;
            all.another_person += part.another_person;
            all.nobody += part.nobody;
            all.true_statements += part.true_statements;
            all.false_statements += part.false_statements;
            all.about_nobody += part.about_nobody;
            all.unread += part.unread;
            all.true_of_seed += part.true_of_seed;
            all.not_in_seed += part.not_in_seed;
            all.known_elsewhere += part.known_elsewhere;
        }
        all
    }
}

/// Whom are texts about, and are they true?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedBiographies {
    /// Texts.
    pub documents: u64,
    /// About the seed's person: that is named first among those who exist.
    pub same_person: u64,
    /// About somebody else who exists.
    pub another_person: u64,
    /// About nobody who exists.
    pub nobody: u64,
    /// Statements about somebody who exists that are true.
    pub true_statements: u64,
    /// Those that are false.
    pub false_statements: u64,
    /// Statements about nobody who exists.
    pub about_nobody: u64,
    /// Sentences in none of the wordings.
    pub unread: u64,
    /// True facts of the seed's person, each counted once a text.
    pub true_of_seed: u64,
    /// Those of them that the seed does not state.
    pub not_in_seed: u64,
    /// Those of these that another document of the unique split states. The others are invented, and lucky.
    pub known_elsewhere: u64,
}

impl World {
    /// Judges texts, each behind the seed that it was written from.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn judge<'a>(
        &self,
        texts: impl Iterator<Item = (&'a str, &'a str)>,
        monitor: &dyn Monitor,
    ) -> Result<Judged, Interrupted> {
        Ok(match self.kind() {
            Kind::Ginc(world) => Judged::Symbols(of_symbols(world, texts, monitor)?),
            Kind::Bigrams(world) => Judged::Symbols(of_symbols(world, texts, monitor)?),
            Kind::Biographies(world) => Judged::Biographies(of_biographies(world, texts, monitor)?),
        })
    }
}

fn of_symbols<'a, C: Concept>(
    world: &Symbols<C>,
    texts: impl Iterator<Item = (&'a str, &'a str)>,
    monitor: &dyn Monitor,
) -> Result<JudgedSymbols, Interrupted> {
    let mixture = &world.mixture;
    let (mut same, mut ideal, mut possible) = (Vec::new(), Vec::new(), 0);
    let mut bins = [CalibrationBin::default(); BINS];
    for (number, (seed, text)) in texts.enumerate() {
        monitor.check()?;
        let ((seed, _), (written, unknown)) = (known_symbols(seed, &world.words), known_symbols(text, &world.words));
        let of_length = unknown == 0 && written.len() == world.deal.length;
        possible += u64::from(of_length && mixture.log_marginal(&written) > f64::NEG_INFINITY);
        let of_seed = mixture.posterior_with_slips(&seed, SLIP);
        let mut rng = random::stream(world.seed, "world ideal", number as u64);
        let drawn = mixture.concepts()[draw(&of_seed, &mut rng)].sample(world.deal.length, &mut rng);
        let of_text = mixture.posterior_with_slips(&written, SLIP);
        let of_drawn = mixture.posterior_with_slips(&drawn, SLIP);
        let product = |other: &[f64]| of_seed.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        same.push(product(&of_text));
        ideal.push(product(&of_drawn));
        for (concept, p) in of_seed.iter().enumerate() {
            let bin = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
            bin.seed += p;
            bin.written += of_text[concept];
            bin.ideal += of_drawn[concept];
            bin.n += 1;
        }
    }
    for bin in &mut bins {
        let n = bin.n.max(1) as f64;
        (bin.seed, bin.written, bin.ideal) = (bin.seed / n, bin.written / n, bin.ideal / n);
    }
    let of = |samples: &[f64]| (!samples.is_empty()).then(|| mean(samples.iter().copied()));
    Ok(JudgedSymbols {
        possible,
        documents: same.len() as u64,
        same_concept: of(&same),
        ideal: of(&ideal),
        calibration: bins.into_iter().filter(|bin| bin.n > 0).collect(),
    })
}

fn of_biographies<'a>(
    world: &biographies::World,
    texts: impl Iterator<Item = (&'a str, &'a str)>,
    monitor: &dyn Monitor,
) -> Result<JudgedPeople, Interrupted> {
    let stated: BTreeSet<(usize, Attribute)> = world.stated(Split::Unique, monitor)?;
    let mut all = JudgedPeople::default();
    for (seed, text) in texts {
        monitor.check()?;
        let (seed, reading) = (world.read(seed), world.read(text));
        let judged = match seed.person.map(|person| world.config().tellings(person, Split::Unique)) {
            None => &mut all.unseeded,
            Some(1) => &mut all.once,
            Some(_) => &mut all.several,
        };
        judged.documents += 1;
        match reading.person {
            None => judged.nobody += 1,
            person if person == seed.person => judged.same_person += 1,
            Some(_) => judged.another_person += 1,
        }
        judged.true_statements += reading.count(Verdict::True) as u64;
        judged.false_statements += reading.count(Verdict::False) as u64;
        judged.about_nobody += reading.count(Verdict::Nobody) as u64;
        judged.unread += reading.unread as u64;
        let Some(person) = seed.person else { continue };
        let (known, told) = (seed.true_attributes(person), reading.true_attributes(person));
        let new: Vec<Attribute> = told.iter().copied().filter(|attribute| !known.contains(attribute)).collect();
        judged.true_of_seed += told.len() as u64;
        judged.not_in_seed += new.len() as u64;
        judged.known_elsewhere += new.iter().filter(|attribute| stated.contains(&(person, **attribute))).count() as u64;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use serde_json::json;

    use super::*;
    use crate::{Dials, Document};

    fn world(dials: serde_json::Value) -> World {
        World::new(&serde_json::from_value::<Dials>(dials).unwrap(), 3, &Silent).unwrap()
    }

    #[test]
    fn symbols_are_judged_by_the_concepts_of_seed_and_text() {
        for (name, length) in [("ginc", 8), ("bigrams", 20)] {
            let documents = json!({"name": name, "unique_documents": 400, "length": length, "concepts": 4});
            let world = world(documents);
            let documents: Vec<Document> = world.documents(Split::Unique).collect();
            let judge = |text: &dyn Fn(usize) -> String| {
                let texts: Vec<String> = (0..documents.len()).map(text).collect();
                let pairs = documents.iter().zip(&texts).map(|(seed, text)| (seed.text.as_str(), text.as_str()));
                let Judged::Symbols(judged) = world.judge(pairs, &Silent).unwrap() else { panic!("another judgement") };
                judged
            };
            // Another document of the same concept is as good as what a perfect synthesizer would write.
            let partner = |number: usize, same: bool| {
                let others = (1..documents.len()).map(|step| &documents[(number + step) % documents.len()]);
                let mut fitting = others.filter(|other| (other.concept == documents[number].concept) == same);
                fitting.next().unwrap().text.clone()
            };
            let related = judge(&|number| partner(number, true));
            let (same, ideal) = (related.same_concept.unwrap(), related.ideal.unwrap());
            assert!(
                (same.value - ideal.value).abs() < 4.0 * same.stderr.unwrap().hypot(ideal.stderr.unwrap()),
                "{name}: {same:?} {ideal:?}"
            );
            assert_eq!(related.possible, 400);
            for bin in related.calibration.iter().filter(|bin| bin.n > 100) {
                assert!((bin.written - bin.ideal).abs() < 0.1, "{name}: {bin:?}");
            }
            assert_eq!(related.calibration.iter().map(|bin| bin.n).sum::<u64>(), 4 * 400);
            let strangers = judge(&|number| partner(number, false));
            assert!(strangers.same_concept.unwrap().value < same.value - 0.3, "{name}: {strangers:?} {same:?}");
            // One slip and a word of no world leave the concept known, and make the text impossible.
            let slip = judge(&|number| format!("nosuchword {}", partner(number, true)));
            assert_eq!((slip.possible, slip.same_concept), (0, related.same_concept));
            let half = judge(&|number| {
                partner(number, true).split_whitespace().take(length / 2).collect::<Vec<_>>().join(" ")
            });
            assert_eq!(half.possible + judge(&|_| String::new()).possible, 0, "no document of the world is so short");
        }
    }

    #[test]
    fn a_symbol_that_no_concept_allows_tells_nothing_and_ruins_nothing() {
        let world = world(json!({"name": "ginc", "unique_documents": 50, "length": 30}));
        let Kind::Ginc(symbols) = world.kind() else { unreachable!("ginc is ginc") };
        let mut spoilt = 0;
        for document in world.documents(Split::Unique) {
            let mut written = crate::words::symbols(&document.text, &symbols.words).unwrap();
            let before = symbols.mixture.posterior_with_slips(&written, SLIP)[document.concept as usize];
            written[15] = (written[15] + 17) % 50;
            spoilt += usize::from(symbols.mixture.log_marginal(&written) == f64::NEG_INFINITY);
            let after = symbols.mixture.posterior_with_slips(&written, SLIP)[document.concept as usize];
            assert!(before > 0.9 && after > 0.5, "{before} {after}");
        }
        assert!(spoilt > 10, "{spoilt} are impossible");
        // Without slips it is the likelihood itself.
        let text = world.documents(Split::Oracle).next().unwrap().text;
        let document = crate::words::symbols(&text, &symbols.words).unwrap();
        for concept in symbols.mixture.concepts() {
            assert_eq!(concept.log_likelihood_with_slips(&document, 0.0), concept.log_likelihood(&document));
        }
    }

    #[test]
    fn biographies_are_judged_by_person_and_truth() {
        let world = world(json!({
            "name": "biographies", "people": 40, "attributes": 3, "unique_tellings": 3, "first_names": 10, "last_names": 12,
        }));
        let Kind::Biographies(people) = world.kind() else { unreachable!("biographies are biographies") };
        let stated = people.stated(Split::Unique, &Silent).unwrap();
        let (mut told, mut new, mut elsewhere) = (0, 0, 0);
        let mut texts = Vec::new();
        for person in 0..40 {
            let seed = people.tell(person, Split::Unique, 0, 1.0);
            let text = people.tell(person, Split::Oracle, 1, 1.0);
            for statement in &text.statements {
                let in_seed = seed.statements.iter().any(|known| known.attribute == statement.attribute);
                told += 1;
                new += u64::from(!in_seed);
                elsewhere += u64::from(!in_seed && stated.contains(&(person, statement.attribute)));
            }
            texts.push((seed.text, format!("{} He says nothing.", text.text)));
        }
        let lie = people.tell(7, Split::Oracle, 0, 0.0).text;
        texts.push((people.tell(7, Split::Unique, 0, 1.0).text, lie));
        texts.push((people.tell(8, Split::Unique, 0, 1.0).text, people.tell(9, Split::Oracle, 0, 1.0).text));
        texts.push((people.tell(8, Split::Unique, 0, 1.0).text, "Abc Def Ghi majored in law.".to_owned()));
        let pairs = texts.iter().map(|(seed, text)| (seed.as_str(), text.as_str()));
        let Judged::Biographies(found) = world.judge(pairs, &Silent).unwrap() else { panic!("another judgement") };
        let expected = JudgedBiographies {
            documents: 43,
            same_person: 41,
            another_person: 1,
            nobody: 1,
            true_statements: told + 3,
            false_statements: 3,
            about_nobody: 1,
            unread: 40,
            true_of_seed: told,
            not_in_seed: new,
            known_elsewhere: elsewhere,
        };
        assert_eq!(found.all(), expected);
        // A quarter of the people is told of once; the other three texts have seeds of people 7, 8 and 8, who are among them.
        assert_eq!((found.once.documents, found.several.documents), (13, 30));
        assert_eq!((found.once.false_statements, found.once.nobody, found.several.same_person), (3, 1, 30));
        let alone = [("", texts[0].1.as_str())];
        let Judged::Biographies(alone) = world.judge(alone.into_iter(), &Silent).unwrap() else {
            panic!("another judgement")
        };
        assert_eq!((alone.unseeded.documents, alone.unseeded.another_person, alone.once.documents), (1, 1, 0));
        assert!(0 < elsewhere && elsewhere < new && new < told, "{elsewhere} {new} {told}");
    }
}
