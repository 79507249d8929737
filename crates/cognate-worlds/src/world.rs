//! Any of the worlds, from its dials: documents by split, true pairs, what can be computed, and what is to be thought of a text.

use cognate_base::{Interrupted, Monitor};
use serde::{Deserialize, Serialize};

use crate::bigrams::{self, Bigram};
use crate::biographies::{self, Attribute, Knowledge, Verdict};
use crate::deal::{Symbols, related};
use crate::dials::Dial;
use crate::ginc::{self, Hmm};
use crate::words::words;
use crate::{Error, Estimate, Result, Split};

/// Documents or pairs that a Monte Carlo estimate is over.
pub const SAMPLES: usize = 400;
/// Contexts that an exact Bayes loss may go through.
const MOST_CONTEXTS: u64 = 10_000_000;

/// A world's name and its dials, as the table of a recipe has them: `{ name = "ginc", concepts = 5 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Dials {
    /// A mixture of hidden Markov models.
    Ginc(ginc::Config),
    /// Sparse contextual bigrams.
    Bigrams(bigrams::Config),
    /// Made people.
    Biographies(biographies::Config),
}

impl Dials {
    /// The worlds there are, with one line about each and their dials.
    pub const WORLDS: [(&'static str, &'static str, &'static [Dial]); 3] = [
        ("ginc", "Documents of a mixture of hidden Markov models (Xie et al., arXiv 2111.02080)", ginc::Config::DIALS),
        ("bigrams", "Sparse contextual bigrams (arXiv 2410.23438)", bigrams::Config::DIALS),
        (
            "biographies",
            "Made people, each told of in several documents (after bioS of Allen-Zhu and Li, arXiv 2309.14316)",
            biographies::Config::DIALS,
        ),
    ];

    /// The world's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ginc(_) => "ginc",
            Self::Bigrams(_) => "bigrams",
            Self::Biographies(_) => "biographies",
        }
    }

    /// Checks every dial.
    ///
    /// # Errors
    /// [`Error::Dial`], with what it may be.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Ginc(config) => config.check(),
            Self::Bigrams(config) => config.check(),
            Self::Biographies(config) => config.check(),
        }
    }

    /// Checks that a model with a context of `context` tokens can read a document whole. A word is one token at least, and one closes the document.
    ///
    /// # Errors
    /// [`Error::Context`], with what the world's documents take.
    pub fn check_context(&self, context: usize) -> Result<()> {
        let (dial, words) = match self {
            Self::Ginc(config) => ("length", config.length),
            Self::Bigrams(config) => ("length", config.length),
            Self::Biographies(config) => ("attributes", biographies::LEAST_WORDS * config.attributes),
        };
        if words < context { Ok(()) } else { Err(Error::Context { dial, tokens: words + 1, context }) }
    }
}

/// A document of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its identifier: the split and its number, and in `biographies` the person's.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its concept: the number of a model or of a person.
    pub concept: u32,
    /// In `biographies`, what it states: attributes with the wordings' numbers.
    pub statements: Vec<(Attribute, usize)>,
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    dials: Dials,
    seed: u64,
    kind: Kind,
}

/// What a world consists of.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Of `ginc`.
    Ginc(Symbols<Hmm>),
    /// Of `bigrams`.
    Bigrams(Symbols<Bigram>),
    /// Of `biographies`.
    Biographies(Box<biographies::World>),
}

impl World {
    /// Makes a world from its dials and a seed.
    ///
    /// # Errors
    /// When a dial is out of its range.
    pub fn new(dials: &Dials, seed: u64) -> Result<Self> {
        let kind = match dials {
            Dials::Ginc(config) => {
                let mixture = ginc::make(config, seed)?;
                Kind::Ginc(Symbols { mixture, words: words(config.symbols), deal: config.deal(), seed })
            }
            Dials::Bigrams(config) => {
                let mixture = bigrams::make(config, seed)?;
                // There is no delimiter among them.
                let words = words(config.symbols + 1).split_off(1);
                Kind::Bigrams(Symbols { mixture, words, deal: config.deal(), seed })
            }
            Dials::Biographies(config) => Kind::Biographies(Box::new(biographies::World::new(config.clone(), seed)?)),
        };
        Ok(Self::of(dials.clone(), seed, kind))
    }

    pub(crate) fn of(dials: Dials, seed: u64, kind: Kind) -> Self {
        Self { dials, seed, kind }
    }

    /// The dials.
    pub fn dials(&self) -> &Dials {
        &self.dials
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What it consists of.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// How many documents a split has.
    pub fn count(&self, split: Split) -> usize {
        match &self.kind {
            Kind::Ginc(world) => world.documents(split),
            Kind::Bigrams(world) => world.documents(split),
            Kind::Biographies(world) => world.order(split).count(),
        }
    }

    /// All documents of a split.
    pub fn documents(&self, split: Split) -> Box<dyn Iterator<Item = Document> + '_> {
        match &self.kind {
            Kind::Ginc(world) => Box::new((0..world.documents(split)).map(move |number| world.document(split, number))),
            Kind::Bigrams(world) => {
                Box::new((0..world.documents(split)).map(move |number| world.document(split, number)))
            }
            Kind::Biographies(world) => Box::new(world.documents(split).map(|telling| Document {
                id: telling.id,
                text: telling.text,
                concept: telling.person as u32,
                statements: telling.statements.into_iter().map(|told| (told.attribute, told.template)).collect(),
            })),
        }
    }

    /// The concepts of a split's documents, in their order.
    fn concepts(&self, split: Split) -> Box<dyn Iterator<Item = u32> + '_> {
        match &self.kind {
            Kind::Ginc(world) => Box::new((0..world.documents(split)).map(move |number| world.concept(split, number))),
            Kind::Bigrams(world) => {
                Box::new((0..world.documents(split)).map(move |number| world.concept(split, number)))
            }
            Kind::Biographies(world) => Box::new(world.order(split).map(|(person, _)| person as u32)),
        }
    }

    /// True pairs: of two documents of the unique split, and of one of it and one of the selection split, each in both directions. Documents are
    /// numbered through both, the unique ones first.
    ///
    /// # Errors
    /// [`Error::NoPair`] where no two documents of the unique split have one concept; and when the user interrupts.
    pub fn pairs(&self, monitor: &dyn Monitor) -> Result<Vec<(u32, u32)>> {
        let watched = |split: Split| -> std::result::Result<Vec<u32>, Interrupted> {
            self.concepts(split).map(|concept| monitor.check().map(|()| concept)).collect()
        };
        let (unique, selection) = (watched(Split::Unique)?, watched(Split::Selection)?);
        let partners = match &self.kind {
            Kind::Ginc(world) => Some(world.deal.partners),
            Kind::Bigrams(world) => Some(world.deal.partners),
            Kind::Biographies(_) => None,
        };
        let pairs = related(&unique, &selection, partners, self.seed, monitor)?;
        let within = |&(first, second): &(u32, u32)| (first.max(second) as usize) < unique.len();
        if pairs.iter().any(within) { Ok(pairs) } else { Err(Error::NoPair { documents: unique.len() }) }
    }

    /// What can be computed of the world.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn measure(&self, monitor: &dyn Monitor) -> Result<Measures> {
        Ok(match &self.kind {
            Kind::Ginc(world) => Measures::Symbols(SymbolMeasures::of(world, None, monitor)?),
            Kind::Bigrams(world) => {
                let losses: Option<Vec<f64>> =
                    world.mixture.concepts().iter().map(|bigram| bigram.bayes_loss(MOST_CONTEXTS)).collect();
                let mean = losses.map(|losses| losses.iter().sum::<f64>() / losses.len() as f64);
                Measures::Symbols(SymbolMeasures::of(world, mean, monitor)?)
            }
            Kind::Biographies(world) => Measures::Biographies(BiographyMeasures::of(world, monitor)?),
        })
    }

    /// ln P(second) and ln P(second | first) in nats, to a reader who knows how documents are made, and, in `biographies`, nobody beforehand.
    /// −∞ for what the world does not write.
    pub fn log_probabilities(&self, second: &str, first: &str) -> (f64, f64) {
        let none = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        match &self.kind {
            Kind::Ginc(world) => world.log_probabilities(second, first).unwrap_or(none),
            Kind::Bigrams(world) => world.log_probabilities(second, first).unwrap_or(none),
            Kind::Biographies(world) => {
                (world.log_probability(second, Knowledge::Nobody), world.log_conditional(second, first))
            }
        }
    }

    /// What is to be thought of a text that was written for a seed document.
    pub fn judge(&self, seed: &str, text: &str) -> Judgement {
        match &self.kind {
            Kind::Ginc(world) => Judgement::Symbols(SymbolJudgement::of(world, seed, text)),
            Kind::Bigrams(world) => Judgement::Symbols(SymbolJudgement::of(world, seed, text)),
            Kind::Biographies(world) => Judgement::Biography(BiographyJudgement::of(world, seed, text)),
        }
    }
}

/// What can be computed of a world.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Measures {
    /// Of documents of symbols.
    Symbols(SymbolMeasures),
    /// Of biographies.
    Biographies(BiographyMeasures),
}

/// What can be computed of documents of symbols. Estimates are by Monte Carlo over [`SAMPLES`] documents or pairs of their own, of the length of the world's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SymbolMeasures {
    /// −ln P(document) a symbol: the loss of who knows the world and not the concept.
    pub loss: Estimate,
    /// −ln P(second half | first half, c) a symbol: an upper bound of the entropy rate.
    pub entropy_rate: Estimate,
    /// Entropy of the concept in nats, exactly: no pair can tell more.
    pub concept_entropy: f64,
    /// What one document tells of another of its concept, in nats a document.
    pub mutual_information: Estimate,
    /// The Bayes loss of the first token that is not independent, in nats, concept known, exactly. `bigrams` only, and where few enough positions matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bayes_loss: Option<f64>,
}

impl SymbolMeasures {
    fn of<C: crate::Concept>(
        world: &Symbols<C>,
        bayes_loss: Option<f64>,
        monitor: &dyn Monitor,
    ) -> std::result::Result<Self, Interrupted> {
        let Symbols { mixture, deal, seed, .. } = world;
        Ok(Self {
            loss: mixture.loss(deal.length, SAMPLES, *seed, monitor)?,
            entropy_rate: mixture.entropy_rate(deal.length, SAMPLES, *seed, monitor)?,
            concept_entropy: (mixture.concepts().len() as f64).ln(),
            mutual_information: mixture.mutual_information(deal.length, SAMPLES, *seed, monitor)?,
            bayes_loss,
        })
    }
}

/// What can be computed of biographies. All but `facts` are exact for each document, and means over up to [`SAMPLES`] documents of validation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BiographyMeasures {
    /// People whom the unique split tells of only once.
    pub people_told_once: usize,
    /// Facts that there are.
    pub facts: usize,
    /// Facts that the unique split states.
    pub facts_in_unique: usize,
    /// −ln P(document) to who knows everybody, in nats a document.
    pub loss_knowing_everybody: Estimate,
    /// −ln P(document) to who knows nobody, in nats a document.
    pub loss_knowing_nobody: Estimate,
    /// What a document of the person tells of another one to who knows nobody, in nats a document.
    pub mutual_information: Estimate,
}

impl BiographyMeasures {
    fn of(world: &biographies::World, monitor: &dyn Monitor) -> std::result::Result<Self, Interrupted> {
        let mut stated = std::collections::BTreeSet::new();
        for telling in world.documents(Split::Unique) {
            monitor.check()?;
            stated.extend(telling.statements.iter().map(|told| (telling.person, told.attribute)));
        }
        let (mut everybody, mut nobody, mut information) = (Vec::new(), Vec::new(), Vec::new());
        for telling in world.documents(Split::Validation).take(SAMPLES) {
            monitor.check()?;
            let unknown = world.log_probability(&telling.text, Knowledge::Nobody);
            everybody.push(-world.log_probability(&telling.text, Knowledge::Everybody));
            nobody.push(-unknown);
            let first = world.tell(telling.person, Split::Unique, 0, 1.0).text;
            information.push(world.log_conditional(&telling.text, &first) - unknown);
        }
        let config = world.config();
        Ok(Self {
            people_told_once: config.people_told_once(),
            facts: config.people * Attribute::ALL.len(),
            facts_in_unique: stated.len(),
            loss_knowing_everybody: Estimate::of(&everybody),
            loss_knowing_nobody: Estimate::of(&nobody),
            mutual_information: Estimate::of(&information),
        })
    }
}

/// What is to be thought of a text that was written for a seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Judgement {
    /// In a world of symbols.
    Symbols(SymbolJudgement),
    /// In a world of people.
    Biography(BiographyJudgement),
}

/// Does a text share its seed's concept?
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SymbolJudgement {
    /// P(c | seed) for every concept. Empty where a word is none of the world's or no concept writes the seed.
    pub of_seed: Vec<f64>,
    /// P(c | text) for every concept. Empty likewise.
    pub of_text: Vec<f64>,
    /// The probability that both have one concept: Σ P(c | seed) P(c | text). None where either is empty.
    pub same_concept: Option<f64>,
}

impl SymbolJudgement {
    fn of<C: crate::Concept>(world: &Symbols<C>, seed: &str, text: &str) -> Self {
        let posterior = |text: &str| -> Vec<f64> {
            let Ok(document) = crate::words::symbols(text, &world.words) else { return Vec::new() };
            if world.mixture.log_marginal(&document) == f64::NEG_INFINITY {
                return Vec::new();
            }
            world.mixture.log_posterior(&document).iter().map(|p| p.exp()).collect()
        };
        let (of_seed, of_text) = (posterior(seed), posterior(text));
        let known = !of_seed.is_empty() && !of_text.is_empty();
        let same_concept = known.then(|| of_seed.iter().zip(&of_text).map(|(a, b)| a * b).sum());
        Self { of_seed, of_text, same_concept }
    }
}

/// Whom is a text about, and is it true?
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BiographyJudgement {
    /// The person whom it names first among those who exist.
    pub person: Option<usize>,
    /// Whether that is the seed's person.
    pub same_person: bool,
    /// True statements.
    pub true_statements: usize,
    /// Statements about somebody who exists that are false.
    pub false_statements: usize,
    /// Statements about nobody who exists.
    pub about_nobody: usize,
    /// Sentences in none of the wordings.
    pub unread: usize,
    /// True facts of the seed's person, each counted once.
    pub true_of_seed: usize,
    /// Those of them that the seed does not state.
    pub not_in_seed: usize,
}

impl BiographyJudgement {
    fn of(world: &biographies::World, seed: &str, text: &str) -> Self {
        let (seed, reading) = (world.read(seed), world.read(text));
        let of_seed = |reading: &biographies::Reading| {
            seed.person.map(|person| reading.true_attributes(person)).unwrap_or_default()
        };
        let (known, told) = (of_seed(&seed), of_seed(&reading));
        Self {
            person: reading.person,
            same_person: reading.person.is_some() && reading.person == seed.person,
            true_statements: reading.count(Verdict::True),
            false_statements: reading.count(Verdict::False),
            about_nobody: reading.count(Verdict::Nobody),
            unread: reading.unread,
            true_of_seed: told.len(),
            not_in_seed: told.iter().filter(|attribute| !known.contains(attribute)).count(),
        }
    }
}
