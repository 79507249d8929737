//! What a world writes from a seed, where it stands in a synthesizer's place: as true as it is asked to be.

use cognate_base::Hash;
use cognate_base::random::{self, Rng, unit};

use crate::deal::Symbols;
use crate::draws::{below, draw};
use crate::judged::SLIP;
use crate::truthfulness::{Mistakes, Truthfulness};
use crate::words::{known_symbols, text};
use crate::{Concept, Kind, World};

impl World {
    /// Document `number`, written from the text `seed`; the same for the same three and the same world.
    ///
    /// In `biographies` it is about the seed's person, or about anybody where that is about nobody. Each of its statements is true with the
    /// probability of `truth`; a false one has another value of the attribute, each as likely as any other. In the worlds of symbols the whole
    /// document is of a concept that is drawn from P(c | seed), or else of any other.
    pub fn write(&self, seed: &str, number: u64, truth: Truthfulness) -> String {
        match self.kind() {
            Kind::Ginc(world) => of_symbols(world, seed, number, truth),
            Kind::Bigrams(world) => of_symbols(world, seed, number, truth),
            Kind::Biographies(world) => world.tell_from(seed, number, truth),
        }
    }
}

fn of_symbols<C: Concept>(world: &Symbols<C>, seed: &str, number: u64, truth: Truthfulness) -> String {
    let mut rng = random::stream(world.seed, "world writes", number);
    let concepts = world.mixture.concepts();
    let of_seed = world.mixture.posterior_with_slips(&known_symbols(seed, &world.words).0, SLIP);
    let concept = |rng: &mut random::ChaCha8Rng| {
        let drawn = draw(&of_seed, rng);
        if unit(rng.next_u64()) < truth.truth || concepts.len() == 1 {
            return drawn;
        }
        let other = below(rng, concepts.len() - 1);
        other + usize::from(other >= drawn)
    };
    let concept = match truth.mistakes {
        Mistakes::Consistent if !seed.is_empty() => {
            let purpose = format!("world mistakes {}", Hash::of(seed.as_bytes()));
            concept(&mut random::stream(world.seed, &purpose, 0))
        }
        // Without a seed there is nothing to be consistent about.
        Mistakes::Independent | Mistakes::Consistent => concept(&mut rng),
    };
    text(&concepts[concept].sample(world.deal.length, &mut rng), &world.words)
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use serde_json::json;

    use super::*;
    use crate::{Dials, Document, Judged, Split};

    fn world(dials: serde_json::Value) -> World {
        World::new(&serde_json::from_value::<Dials>(dials).unwrap(), 3, &Silent).unwrap()
    }

    fn judged(world: &World, truth: f64) -> (Vec<String>, Judged) {
        let seeds: Vec<Document> = world.documents(Split::Unique).collect();
        let texts: Vec<String> = (0..seeds.len())
            .map(|number| world.write(&seeds[number].text, number as u64, Truthfulness::independent(truth)))
            .collect();
        let pairs = seeds.iter().zip(&texts).map(|(seed, text)| (seed.text.as_str(), text.as_str()));
        let judged = world.judge(pairs, &Silent).unwrap();
        (texts, judged)
    }

    #[test]
    fn statements_about_the_seeds_person_are_as_true_as_asked() {
        let world = world(json!({"name": "biographies", "people": 100, "unique_tellings": 3, "told_once": 0.3}));
        for truth in [0.0, 0.3, 0.9, 1.0] {
            let (texts, found) = judged(&world, truth);
            let Judged::Biographies(found) = found else { panic!("another judgement") };
            let all = found.all();
            assert_eq!((all.documents, all.same_person, all.unread, all.about_nobody), (240, 240, 0, 0));
            let statements = 240.0 * 6.0;
            assert_eq!((all.true_statements + all.false_statements) as f64, statements);
            let spread = (truth * (1.0 - truth) / statements).sqrt();
            let share = all.true_statements as f64 / statements;
            assert!((share - truth).abs() <= 4.0 * spread, "{truth}: {share}");
            // Each is told anew, whoever it is about, and again the same.
            let different: std::collections::HashSet<&String> = texts.iter().collect();
            assert_eq!(different.len(), 240);
            assert_eq!(judged(&world, truth).0, texts);
        }
        // Nobody's document is about anybody, not always the same.
        let anybody: std::collections::HashSet<String> = (0..20)
            .map(|number| {
                world.write("", number, Truthfulness::independent(1.0)).split(' ').take(3).collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert!(anybody.len() > 10, "{anybody:?}");
    }

    #[test]
    fn who_has_learned_something_wrong_says_it_again() {
        let world = world(json!({"name": "biographies", "people": 50, "unique_tellings": 2}));
        let Kind::Biographies(people) = world.kind() else { unreachable!("biographies are biographies") };
        let said = |mistakes| {
            let mut values = std::collections::BTreeMap::<_, std::collections::BTreeMap<String, u32>>::new();
            for person in 0..50 {
                let seed = people.tell(person, Split::Unique, 0, 1.0).text;
                for number in 0..8 {
                    let text = world.write(&seed, (person * 8 + number) as u64, Truthfulness { truth: 0.5, mistakes });
                    for (statement, whom, _) in people.read(&text).statements {
                        assert_eq!(whom, Some(person));
                        *values
                            .entry((person, statement.attribute))
                            .or_default()
                            .entry(statement.value)
                            .or_default() += 1;
                    }
                }
            }
            values
        };
        let consistent = said(Mistakes::Consistent);
        assert!(consistent.values().all(|values| values.len() == 1), "one value of each fact");
        let is_so = |(person, attribute): &(usize, _)| people.people().people[*person].value(*attribute);
        let right = consistent.iter().filter(|(fact, values)| values.contains_key(is_so(fact))).count();
        assert!((115..=185).contains(&right), "{right} of 300 facts");
        // Drawn anew, most facts are said in several ways, and the truth more often than any other.
        let independent = said(Mistakes::Independent);
        assert!(independent.values().filter(|values| values.len() > 2).count() > 200);
        let outvoted = independent.iter().filter(|(fact, values)| {
            let right = values.get(is_so(fact)).copied().unwrap_or(0);
            values.values().any(|n| *n > right)
        });
        assert!(outvoted.count() < 30);
    }

    #[test]
    fn of_a_seed_all_documents_have_one_concept_where_mistakes_are_consistent() {
        let world = world(json!({"name": "ginc", "unique_documents": 100, "length": 40, "concepts": 4}));
        let Kind::Ginc(symbols) = world.kind() else { unreachable!("ginc is ginc") };
        let concept = |text: &str| {
            let posterior = symbols.mixture.posterior_with_slips(&known_symbols(text, &symbols.words).0, SLIP);
            (0..4).max_by(|a, b| posterior[*a].total_cmp(&posterior[*b])).unwrap()
        };
        let (mut alike, mut right) = (0, 0);
        for seed in world.documents(Split::Unique) {
            let truth = Truthfulness { truth: 0.5, mistakes: Mistakes::Consistent };
            let of: Vec<usize> = (0..4).map(|number| concept(&world.write(&seed.text, number, truth))).collect();
            alike += usize::from(of.iter().all(|concept| *concept == of[0]));
            right += usize::from(of[0] == seed.concept as usize);
        }
        assert!(alike > 95 && (30..=70).contains(&right), "{alike} {right}");
        // Without a seed concepts are as they come.
        let truth = Truthfulness { truth: 0.5, mistakes: Mistakes::Consistent };
        let unseeded: std::collections::BTreeSet<usize> =
            (0..40).map(|number| concept(&world.write("", number, truth))).collect();
        assert_eq!(unseeded.len(), 4);
    }

    #[test]
    fn documents_of_symbols_have_the_seeds_concept_as_often_as_asked() {
        for (name, length) in [("ginc", 30), ("bigrams", 60)] {
            let world = world(json!({"name": name, "unique_documents": 400, "length": length, "concepts": 4}));
            let same = |truth: f64| {
                let (texts, found) = judged(&world, truth);
                assert!(texts.iter().all(|text| text.split(' ').count() == length));
                let Judged::Symbols(found) = found else { panic!("another judgement") };
                assert_eq!(found.possible, 400, "{name}");
                (found.same_concept.unwrap(), found.ideal.unwrap())
            };
            let (perfect, ideal) = same(1.0);
            let spread = perfect.stderr.unwrap().hypot(ideal.stderr.unwrap());
            assert!((perfect.value - ideal.value).abs() <= 4.0 * spread, "{name}: {perfect:?} {ideal:?}");
            // A document of another concept is hardly ever taken for one of the seed's.
            let (half, _) = same(0.5);
            assert!((half.value - 0.5 * perfect.value).abs() < 0.1, "{name}: {half:?} {perfect:?}");
            assert!(same(0.0).0.value < 0.15, "{name}");
        }
        let alone = world(json!({"name": "bigrams", "unique_documents": 10, "concepts": 1}));
        assert!(!alone.write("", 0, Truthfulness::independent(0.0)).is_empty(), "there is no other concept");
    }
}
