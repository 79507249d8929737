//! Any of the worlds, from its dials: documents by split, true pairs, what can be computed, and what is to be thought of a text.

use cognate_base::process::check_memory;
use cognate_base::{Interrupted, Monitor};
use cognate_statistics::{Estimate, mean};
use serde::{Deserialize, Serialize};

use crate::bigrams::{self, Bigram};
use crate::biographies::{self, Attribute, Knowledge};
use crate::deal::{Symbols, related};
use crate::dials::Dial;
use crate::document::Document;
use crate::ginc::{self, Hmm};
use crate::limits::{DOCUMENT_BYTES, PAIR_BYTES};
use crate::words::words;
use crate::{Error, Result, Split};

/// Documents or pairs that a Monte Carlo estimate is over.
pub const SAMPLES: usize = 400;
/// Validation documents whose probability is computed, at most.
const VALIDATION: usize = 10_000;
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

    /// Checks every dial, and what they make together.
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

    /// How many documents a split has.
    pub fn count(&self, split: Split) -> usize {
        match self {
            Self::Ginc(config) => config.deal().documents[split as usize],
            Self::Bigrams(config) => config.deal().documents[split as usize],
            Self::Biographies(config) => {
                let once = config.people_told_once();
                let others = config.people - once;
                // The first person is told of once, and the last one is not, where there are both.
                let of_once = if once == 0 { 0 } else { once * config.tellings(0, split) };
                let of_others = if others == 0 { 0 } else { others * config.tellings(config.people - 1, split) };
                of_once + of_others
            }
        }
    }

    /// True pairs at most, each direction counted.
    pub fn most_pairs(&self) -> usize {
        let of = |deal: crate::Deal| {
            let unique = deal.documents[Split::Unique as usize];
            2 * (unique + deal.documents[Split::Selection as usize]) * deal.partners.min(unique)
        };
        match self {
            Self::Ginc(config) => of(config.deal()),
            Self::Bigrams(config) => of(config.deal()),
            Self::Biographies(config) => config.all_pairs(),
        }
    }

    /// Bytes that [`World::new`] takes.
    pub fn bytes(&self) -> f64 {
        match self {
            Self::Ginc(config) => config.bytes(),
            Self::Bigrams(config) => config.bytes(),
            Self::Biographies(config) => config.bytes(),
        }
    }

    /// Bytes that a world takes while it is written: itself, once more for what is true of it and once for what is asked of it; its documents'
    /// concepts; and its pairs.
    pub fn written_bytes(&self) -> f64 {
        let documents: usize = Split::ALL.iter().map(|split| self.count(*split)).sum();
        3.0 * self.bytes() + DOCUMENT_BYTES * documents as f64 + PAIR_BYTES * self.most_pairs() as f64
    }

    /// Much the same world where this one is large, made in a moment: with fewer concepts or people, so that its documents are as long and of
    /// the same words, or words like them.
    #[must_use]
    pub fn smaller(&self) -> Self {
        // A little less than 64 MiB: what all concepts share does not get smaller with them.
        const BYTES: f64 = 0.97 * (64 << 20) as f64;
        let fewer = |n: usize| if self.bytes() > BYTES { (n as f64 * BYTES / self.bytes()) as usize } else { n };
        let mut smaller = self.clone();
        match &mut smaller {
            Self::Ginc(config) => config.concepts = fewer(config.concepts).max(1),
            Self::Bigrams(config) => config.concepts = fewer(config.concepts).max(1),
            Self::Biographies(config) => config.people = fewer(config.people).max(2),
        }
        smaller
    }

    /// The shares of validation, unique and selection documents.
    pub fn shares(&self) -> [f64; 3] {
        let total: usize = Split::ALL.iter().map(|split| self.count(*split)).sum();
        [Split::Validation, Split::Unique, Split::Selection].map(|split| self.count(split) as f64 / total as f64)
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
    /// When a dial is out of its range, the machine has too little memory, or the user interrupts.
    pub fn new(dials: &Dials, seed: u64, monitor: &dyn Monitor) -> Result<Self> {
        dials.check()?;
        check_memory("making this world", dials.bytes())?;
        let kind = match dials {
            Dials::Ginc(config) => {
                let mixture = ginc::make(config, seed, monitor)?;
                Kind::Ginc(Symbols { mixture, words: words(config.symbols), deal: config.deal(), seed })
            }
            Dials::Bigrams(config) => {
                let mixture = bigrams::make(config, seed, monitor)?;
                // There is no delimiter among them.
                let words = words(config.symbols + 1).split_off(1);
                Kind::Bigrams(Symbols { mixture, words, deal: config.deal(), seed })
            }
            Dials::Biographies(config) => {
                Kind::Biographies(Box::new(biographies::World::new(config.clone(), seed, monitor)?))
            }
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
        self.dials.count(split)
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
                let concepts = world.mixture.concepts().iter();
                let losses = concepts.map(|bigram| bigram.bayes_loss(MOST_CONTEXTS, monitor));
                let losses: Option<Vec<f64>> = losses.collect::<std::result::Result<_, Interrupted>>()?;
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
}

/// What can be computed of a world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measures {
    /// Of documents of symbols.
    Symbols(SymbolMeasures),
    /// Of biographies.
    Biographies(BiographyMeasures),
}

impl Measures {
    /// Losses on the validation documents that no model without luck goes below, in nats a document, each with who has it.
    pub fn floors(&self) -> [(&'static str, Estimate); 2] {
        match self {
            Self::Symbols(of) => [
                ("who knows the world", of.validation_loss),
                ("who knows the world and each concept", of.validation_loss_knowing_concepts),
            ],
            Self::Biographies(of) => [
                ("who knows the wordings and nobody", of.loss_knowing_nobody),
                ("who knows everybody", of.loss_knowing_everybody),
            ],
        }
    }
}

/// What can be computed of documents of symbols. Estimates are by Monte Carlo over [`SAMPLES`] documents or pairs of their own, of the length of the world's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SymbolMeasures {
    /// −ln P(document) a symbol: the loss of who knows the world and not the concept.
    pub loss: Estimate,
    /// −ln P(second half | first half, c) a symbol: an upper bound of the entropy rate.
    pub entropy_rate: Estimate,
    /// Entropy of the concept in nats, exactly: no pair can tell more.
    pub concept_entropy: f64,
    /// What one document tells of another of its concept, in nats a document.
    pub mutual_information: Estimate,
    /// −ln P(document) of the validation documents, in nats a document, to who knows the world.
    pub validation_loss: Estimate,
    /// The same to who also knows each document's concept.
    pub validation_loss_knowing_concepts: Estimate,
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
        let (mut unknown, mut known) = (Vec::new(), Vec::new());
        for number in 0..deal.documents[Split::Validation as usize].min(VALIDATION) {
            monitor.check()?;
            let (concept, document) = mixture.sample(deal.length, *seed, Split::Validation.purpose(), number as u64);
            unknown.push(-mixture.log_marginal(&document));
            known.push(-mixture.concepts()[concept].log_likelihood(&document));
        }
        Ok(Self {
            validation_loss: mean(unknown.into_iter()),
            validation_loss_knowing_concepts: mean(known.into_iter()),
            loss: mixture.loss(deal.length, SAMPLES, *seed, monitor)?,
            entropy_rate: mixture.entropy_rate(deal.length, SAMPLES, *seed, monitor)?,
            concept_entropy: (mixture.concepts().len() as f64).ln(),
            mutual_information: mixture.mutual_information(deal.length, SAMPLES, *seed, monitor)?,
            bayes_loss,
        })
    }
}

/// What can be computed of biographies. All but `facts` are exact for each document, and means over the validation documents, 10,000 at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        let stated = world.stated(Split::Unique, monitor)?;
        let (mut everybody, mut nobody, mut information) = (Vec::new(), Vec::new(), Vec::new());
        for telling in world.documents(Split::Validation).take(VALIDATION) {
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
            loss_knowing_everybody: mean(everybody.into_iter()),
            loss_knowing_nobody: mean(nobody.into_iter()),
            mutual_information: mean(information.into_iter()),
        })
    }
}
