//! `entity-pairs`: documents that share entities. What EntiGraph (Yang et al. 2024, arXiv 2409.07431) asks a language model for, which entities a
//! document is about and what joins two of them, is taken from the corpus itself: an entity is a run of capitalised words, and two are
//! joined by the documents that name both.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use cognate_base::{Monitor, Unit};
use unicode_segmentation::UnicodeSegmentation;

use crate::{Copies, Error, Pair, Result};

/// Texts between two looks at the monitor.
const STRIDE: usize = 256;
/// Words of an entity, at most: more are a heading.
const MOST_WORDS: usize = 4;

/// The choices of [`entity_pairs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityConfig {
    /// Entities that both documents of a pair name, at least.
    pub shared: usize,
    /// Documents that name an entity, at most: what more do is no entity that joins them.
    pub most_documents: usize,
    /// Partners that a document chooses, at most: those with which it shares most. Others may choose it beside these.
    pub neighbours: usize,
}

/// What was found of entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EntityStats {
    /// Different entities of all documents.
    pub distinct: u64,
    /// Those that too many documents name.
    pub common: u64,
    /// Those that join documents: two at least, and not too many.
    pub joining: u64,
    /// Pairs of documents that are near-copies, and so no pairs.
    pub near_copies: u64,
}

/// How often words are written with a capital inside of a sentence, and how often without.
#[derive(Default)]
struct Capitals(HashMap<String, (u32, u32)>);

/// One word of a text, as far as entities need it.
struct Spoken<'a> {
    text: &'a str,
    is_capital: bool,
    /// Whether a sentence begins here.
    is_first: bool,
    /// Whether only a space or a hyphen stands before it.
    is_joined: bool,
}

fn spoken(text: &str) -> impl Iterator<Item = Spoken<'_>> {
    let (mut is_first, mut between) = (true, String::new());
    text.split_word_bounds().filter_map(move |part| {
        if !part.chars().any(char::is_alphanumeric) {
            // Quotes and brackets neither end a sentence nor hide that one has ended.
            is_first |= part.contains(['.', '!', '?', '\n', ':', ';', '…', '。']);
            between.push_str(part);
            return None;
        }
        let word = Spoken {
            text: part,
            is_capital: part.chars().next().is_some_and(char::is_uppercase),
            is_first,
            is_joined: matches!(between.as_str(), " " | "-"),
        };
        is_first = false;
        between.clear();
        Some(word)
    })
}

impl Capitals {
    fn count(&mut self, text: &str) {
        for word in spoken(text) {
            let counts = self.0.entry(word.text.to_lowercase()).or_default();
            if !word.is_capital {
                counts.1 += 1;
            } else if !word.is_first {
                counts.0 += 1;
            }
        }
    }

    /// Whether a word is a name also where a sentence begins with it: it is never, or mostly not, written without its capital.
    fn is_name(&self, word: &str) -> bool {
        self.0.get(&word.to_lowercase()).is_none_or(|(with, without)| *without == 0 || with > without)
    }

    /// The different entities of a text, in an order that is always the same: sums over them must be.
    fn entities(&self, text: &str) -> BTreeSet<String> {
        let (mut found, mut run) = (BTreeSet::new(), Vec::new());
        let mut close = |run: &mut Vec<&str>| {
            // A letter alone is an initial, a pronoun or an article.
            let says = run.iter().any(|word| word.chars().count() > 1);
            if says && (1..=MOST_WORDS).contains(&run.len()) {
                found.insert(run.join(" "));
            }
            run.clear();
        };
        for word in spoken(text) {
            if !word.is_joined || word.is_first {
                close(&mut run);
            }
            let counts = word.is_capital && (!word.is_first || self.is_name(word.text));
            match counts {
                true => run.push(word.text),
                false => close(&mut run),
            }
        }
        close(&mut run);
        found
    }
}

/// Pairs of documents that share entities, both ways, in the order of (first, second); their similarity is the cosine of their entities, each
/// weighed by its rarity. Behind `unique` documents stand unseen ones: with these a pair has the document first. One that is a near-copy of a document has
/// no pair, since a model may have been trained on its text. Of two documents of one of the `groups`, where these are given by document, none is a pair.
/// Near-copies are named too, each two once.
///
/// # Errors
/// When no two documents share so many entities, or the user interrupts.
pub fn entity_pairs(
    texts: &[&str],
    unique: usize,
    (copies, groups): (&Copies, &[u32]),
    config: &EntityConfig,
    monitor: &dyn Monitor,
) -> Result<(Vec<Pair>, Vec<Pair>, EntityStats)> {
    let mut capitals = Capitals::default();
    for (at, text) in texts[..unique].iter().enumerate() {
        if at.is_multiple_of(STRIDE) {
            monitor.check()?;
        }
        capitals.count(text);
    }
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut of_documents: Vec<Vec<u32>> = Vec::with_capacity(texts.len());
    monitor.begin("finding entities", Some(texts.len() as u64), Unit::Documents);
    for (at, text) in texts.iter().enumerate() {
        monitor.check()?;
        let mut own: Vec<u32> = Vec::new();
        for entity in capitals.entities(text) {
            let next = numbers.len() as u32;
            own.push(*numbers.entry(entity).or_insert(next));
        }
        own.sort_unstable();
        of_documents.push(own);
        monitor.advance(at as u64 + 1, "");
    }
    monitor.end();
    let mut named_by: Vec<Vec<u32>> = vec![Vec::new(); numbers.len()];
    for (document, entities) in of_documents[..unique].iter().enumerate() {
        entities.iter().for_each(|entity| named_by[*entity as usize].push(document as u32));
    }
    let mut stats =
        EntityStats { distinct: named_by.iter().filter(|by| !by.is_empty()).count() as u64, ..Default::default() };
    // Rarity squared, as a cosine has each side's; nothing for what joins no documents.
    let weights: Vec<f64> = named_by
        .iter()
        .map(|by| match by.len() {
            n if n > config.most_documents => {
                stats.common += 1;
                0.0
            }
            // Who is named by one document can still join it with an unseen one.
            n => {
                stats.joining += u64::from(n > 1);
                if n == 0 { 0.0 } else { ((1.0 + unique as f64) / n as f64).ln().powi(2) }
            }
        })
        .collect();
    let lengths: Vec<f64> =
        of_documents.iter().map(|own| own.iter().map(|entity| weights[*entity as usize]).sum::<f64>().sqrt()).collect();
    let (mut pairs, mut near_copies): (Vec<Pair>, Vec<Pair>) = Default::default();
    monitor.begin("pairing", Some(texts.len() as u64), Unit::Documents);
    for (document, entities) in of_documents.iter().enumerate() {
        monitor.check()?;
        let mut shared: HashMap<u32, (usize, f64)> = HashMap::new();
        for entity in entities.iter().filter(|entity| weights[**entity as usize] > 0.0) {
            for other in named_by[*entity as usize].iter().filter(|other| **other as usize != document) {
                let found = shared.entry(*other).or_default();
                *found = (found.0 + 1, found.1 + weights[*entity as usize]);
            }
        }
        let group = |of: usize| groups.get(of);
        let mut partners: Vec<(f64, u32)> = Vec::new();
        for (other, (entities, weight)) in shared {
            let is_apart = group(document).is_none() || group(document) != group(other as usize);
            if entities >= config.shared && is_apart {
                partners.push((weight / (lengths[document] * lengths[other as usize]), other));
            }
        }
        partners.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (is_unseen, document) = (document >= unique, document as u32);
        let mut chosen = Vec::new();
        for (similarity, other) in partners {
            if chosen.len() == config.neighbours {
                break;
            }
            let pair = Pair { first: other, second: document, similarity: similarity as f32 };
            if copies.are(other, document) {
                near_copies.push(pair);
                if is_unseen {
                    chosen.clear();
                    break;
                }
                continue;
            }
            chosen.push(pair);
        }
        for pair in chosen {
            pairs.push(pair);
            if !is_unseen {
                pairs.push(Pair { first: pair.second, second: pair.first, ..pair });
            }
        }
        monitor.advance(document as u64 + 1, "");
    }
    monitor.end();
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second, Reverse(pair.similarity.to_bits())));
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    // Found from either side.
    near_copies
        .iter_mut()
        .filter(|pair| pair.first > pair.second)
        .for_each(|pair| std::mem::swap(&mut pair.first, &mut pair.second));
    near_copies.sort_unstable_by_key(|pair| (pair.first, pair.second));
    near_copies.dedup_by_key(|pair| (pair.first, pair.second));
    stats.near_copies = near_copies.len() as u64;
    if pairs.iter().all(|pair| pair.second as usize >= unique) {
        let EntityStats { distinct, common, near_copies, .. } = stats;
        return Err(Error::NothingShared { shared: config.shared, distinct, common, near_copies });
    }
    near_copies.retain(|pair| (pair.second as usize) < unique);
    Ok((pairs, near_copies, stats))
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;

    use super::*;

    const CONFIG: EntityConfig = EntityConfig { shared: 2, most_documents: 3, neighbours: 4 };

    fn sorted(text: &str, of: &[&str]) -> Vec<String> {
        let mut capitals = Capitals::default();
        of.iter().for_each(|text| capitals.count(text));
        capitals.entities(text).into_iter().collect()
    }

    #[test]
    fn entities_are_runs_of_capitalised_words() {
        let text = "Yesterday Ada Lovelace met Mr. Babbage in London. The Analytical-Engine, said Ada, was his.";
        let of = [text, "we saw the engine yesterday; the king of the Isle of Man saw the queen"];
        // "Yesterday" and "The" begin sentences, and stand without a capital elsewhere. A full stop or a comma ends a run.
        assert_eq!(sorted(text, &of), ["Ada", "Ada Lovelace", "Analytical Engine", "Babbage", "London", "Mr"]);
        // What begins a sentence is a name if it is mostly written so elsewhere, or never otherwise.
        assert_eq!(sorted("London is large.", &["in London", "to London", "a london cab"]), ["London"]);
        assert_eq!(sorted("London is large.", &["a pea"]), ["London"]);
        assert_eq!(sorted("Large is London.", &["in London", "a Large", "large, large"]), ["London"]);
        assert_eq!(
            sorted("so I and J and the VERY LONG TITLE OF IT", &[""]),
            [""; 0],
            "letters, and a heading of five"
        );
        assert_eq!(sorted("nach 北京 und К. Маркс", &[""]), ["Маркс"]);
    }

    /// Two documents share Ann and Oslo; a third shares Ann alone. Everybody names the Sun.
    const TEXTS: [&str; 6] = [
        "the Sun and Ann and Oslo",
        "in Oslo with Ann, as the Sun",
        "of Ann and Rome, the Sun",
        "as Kim saw the Sun in Rome",
        "when the Sun set",
        // Unseen.
        "by Kim in Rome, the Sun",
    ];

    #[test]
    fn documents_are_joined_by_two_entities_that_few_name() {
        let (pairs, _, stats) = entity_pairs(&TEXTS, 5, (&Copies::none(), &[]), &CONFIG, &Silent).unwrap();
        let numbers: Vec<(u32, u32)> = pairs.iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(numbers, [(0, 1), (1, 0), (3, 5)], "an unseen document is the second of its pair");
        assert_eq!(stats, EntityStats { distinct: 5, common: 1, joining: 3, near_copies: 0 });
        assert!((pairs[0].similarity - 1.0).abs() < 1e-6, "they name the same, but for the Sun");
        let one = EntityConfig { shared: 1, ..CONFIG };
        let (pairs, ..) = entity_pairs(&TEXTS, 5, (&Copies::none(), &[]), &one, &Silent).unwrap();
        let of = |first, second| pairs.iter().find(|pair| (pair.first, pair.second) == (first, second)).unwrap();
        // By hand: ln(6/3)² shared, over the lengths of (Ann, Oslo) and (Ann, Rome).
        let (ann, oslo) = (2f64.ln().powi(2), 3f64.ln().powi(2));
        assert!((f64::from(of(0, 2).similarity) - ann / (ann + oslo)).abs() < 1e-6);
        assert_eq!(of(2, 0).similarity, of(0, 2).similarity);
    }

    #[test]
    fn a_document_has_no_more_partners_than_asked_and_no_near_copy() {
        let near = EntityConfig { shared: 1, neighbours: 1, ..CONFIG };
        let (pairs, ..) = entity_pairs(&TEXTS, 5, (&Copies::none(), &[]), &near, &Silent).unwrap();
        let of_two: Vec<u32> = pairs.iter().filter(|pair| pair.first == 2).map(|pair| pair.second).collect();
        assert_eq!(of_two, [3], "Rome is rarer than Ann; nobody else has this one for its first");
        // A document that others choose has them all.
        let hub = ["by Ann and Bea and Cid", "to Ann", "of Bea", "as Cid"];
        let (pairs, ..) = entity_pairs(&hub, 4, (&Copies::none(), &[]), &near, &Silent).unwrap();
        assert_eq!(pairs.iter().filter(|pair| pair.first == 0).count(), 3);
        let twice =
            ["so Ann saw Oslo and slept", "so Ann saw Oslo and slept", "how Oslo met Ann on a cold day in June"];
        let copies = Copies::of(&twice, 0.8, &Silent).unwrap();
        let (pairs, near, stats) = entity_pairs(&twice, 3, (&copies, &[]), &CONFIG, &Silent).unwrap();
        assert!(pairs.len() == 4 && pairs.iter().all(|pair| pair.first == 2 || pair.second == 2), "{pairs:?}");
        assert_eq!((stats.near_copies, near.len(), near[0].first, near[0].second), (1, 1, 0, 1));
    }

    /// An unseen text that a model has read, with a word changed, measures nothing: neither beside its copy nor beside others.
    #[test]
    fn an_unseen_near_copy_has_no_pair() {
        let read = "so Ann saw Oslo on a cold day in June and slept until the morning came";
        let texts = [read, "how Oslo met Ann", &read.replace("until", "till"), "when Ann left Oslo"];
        let copies = Copies::of(&texts, 0.5, &Silent).unwrap();
        assert!(copies.are(0, 2));
        let (pairs, near, stats) = entity_pairs(&texts, 2, (&copies, &[]), &CONFIG, &Silent).unwrap();
        let numbers: Vec<(u32, u32)> = pairs.iter().map(|pair| (pair.first, pair.second)).collect();
        assert_eq!(numbers, [(0, 1), (0, 3), (1, 0), (1, 3)]);
        assert_eq!((near.len(), stats.near_copies), (0, 1), "of two documents of the corpus there is none");
    }

    /// Those of one group take no other's place.
    #[test]
    fn documents_of_one_group_are_no_pairs() {
        let near = EntityConfig { shared: 1, neighbours: 1, ..CONFIG };
        let (pairs, ..) = entity_pairs(&TEXTS, 5, (&Copies::none(), &[7, 7, 8, 9, 10]), &near, &Silent).unwrap();
        let of_first: Vec<u32> = pairs.iter().filter(|pair| pair.first == 0).map(|pair| pair.second).collect();
        assert_eq!(of_first, [2], "the nearest is of its group, and the next one comes");
    }

    #[test]
    fn a_corpus_without_shared_entities_is_refused_with_what_was_found() {
        let error = entity_pairs(&["a Bee", "a bee", "Cee"], 3, (&Copies::none(), &[]), &CONFIG, &Silent).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("2 shared entities") && said.contains("shared_entities"), "{said}");
    }
}
