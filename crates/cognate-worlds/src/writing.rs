//! What a world writes from a seed, where it stands in a synthesizer's place: as true as it is asked to be.

use cognate_base::random::{self, Rng, unit};

use crate::deal::Symbols;
use crate::draws::{below, draw};
use crate::judged::SLIP;
use crate::words::{known_symbols, text};
use crate::{Concept, Kind, World};

impl World {
    /// Document `number`, written from the text `seed`; the same for the same three and the same world.
    ///
    /// In `biographies` it is about the seed's person, or about anybody where that is about nobody. Each of its statements is true with the
    /// probability `truth`; a false one has another value of the attribute, each as likely as any other. In the worlds of symbols the whole
    /// document is of a concept that is drawn from P(c | seed), or else, with the probability 1 − `truth`, of any other.
    pub fn write(&self, seed: &str, number: u64, truth: f64) -> String {
        match self.kind() {
            Kind::Ginc(world) => of_symbols(world, seed, number, truth),
            Kind::Bigrams(world) => of_symbols(world, seed, number, truth),
            Kind::Biographies(world) => world.tell_from(seed, number, truth),
        }
    }
}

fn of_symbols<C: Concept>(world: &Symbols<C>, seed: &str, number: u64, truth: f64) -> String {
    let mut rng = random::stream(world.seed, "world writes", number);
    let concepts = world.mixture.concepts();
    let of_seed = world.mixture.posterior_with_slips(&known_symbols(seed, &world.words).0, SLIP);
    let drawn = draw(&of_seed, &mut rng);
    let concept = if unit(rng.next_u64()) < truth || concepts.len() == 1 {
        drawn
    } else {
        let other = below(&mut rng, concepts.len() - 1);
        other + usize::from(other >= drawn)
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
        let texts: Vec<String> =
            (0..seeds.len()).map(|number| world.write(&seeds[number].text, number as u64, truth)).collect();
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
            .map(|number| world.write("", number, 1.0).split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        assert!(anybody.len() > 10, "{anybody:?}");
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
            assert!((perfect.mean - ideal.mean).abs() <= 4.0 * spread, "{name}: {perfect:?} {ideal:?}");
            // A document of another concept is hardly ever taken for one of the seed's.
            let (half, _) = same(0.5);
            assert!((half.mean - 0.5 * perfect.mean).abs() < 0.1, "{name}: {half:?} {perfect:?}");
            assert!(same(0.0).0.mean < 0.15, "{name}");
        }
        let alone = world(json!({"name": "bigrams", "unique_documents": 10, "concepts": 1}));
        assert!(!alone.write("", 0, 0.0).is_empty(), "there is no other concept");
    }
}
