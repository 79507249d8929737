//! What is true of a world that was written, as `truth.json`: enough to do all exact inference again, and to know the world from any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cognate_base::{Hash, Monitor};
use serde::{Deserialize, Serialize};

use crate::bigrams::bigram::sharing;
use crate::biographies::{Attribute, Person};
use crate::deal::Symbols;
use crate::document::Document;
use crate::ginc::Hmm;
use crate::world::{Dials, Kind, World};
use crate::{Error, Mixture, Split};

/// What a truth file says it is.
const FORMAT: &str = "cognate world";
/// Of the file, and of what the generators make of dials and a seed.
const VERSION: u32 = 1;

/// A truth file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What the file is.
    pub format: String,
    /// The version of the file and of the generators.
    pub version: u32,
    /// The hash of version, dials and seed: one for each world.
    pub fingerprint: String,
    /// The seed.
    pub seed: u64,
    /// The world's name and dials.
    pub dials: Dials,
    /// What documents are drawn from.
    pub parameters: Parameters,
    /// Every document of every split, in its file's order.
    pub documents: BTreeMap<Split, Vec<Told>>,
}

/// What is true of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Its identifier.
    pub id: String,
    /// Its concept: the number of a model or of a person, from 0.
    pub concept: u32,
    /// In `biographies`, what it states: numbers of attributes and wordings, from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<(u8, u8)>,
}

impl Told {
    /// Of a document.
    pub fn of(document: &Document) -> Self {
        // There are 6 attributes and 20 wordings.
        let told = |&(attribute, template): &(Attribute, usize)| (attribute as u8, template as u8);
        Self {
            id: document.id.clone(),
            concept: document.concept,
            statements: document.statements.iter().map(told).collect(),
        }
    }
}

/// What documents are drawn from. All rows are distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// Hidden Markov models, one a concept.
    HiddenMarkov {
        /// The word of each symbol.
        words: Vec<String>,
        /// The symbol of each state, the same for all concepts.
        emissions: Vec<Option<u32>>,
        /// The start distribution of each concept.
        start: Vec<Vec<f64>>,
        /// The transitions of each concept, row by row.
        transitions: Vec<Vec<f64>>,
    },
    /// Sparse contextual bigrams, one a concept.
    Bigrams {
        /// The word of each token.
        words: Vec<String>,
        /// Positions before the last token.
        window: usize,
        /// μ.
        start: Vec<f64>,
        /// P, row by row.
        transitions: Vec<f64>,
        /// q of each concept, a row a last token, earliest position first.
        attention: Vec<Vec<f64>>,
    },
    /// People.
    People {
        /// The attributes' names, in the order of their numbers.
        attributes: Vec<String>,
        /// Everybody, with values in the order of the attributes.
        people: Vec<Person>,
    },
}

/// Why a truth file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not JSON of that form.
    #[error("{path}: no truth file of a world: {source}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{path}: version {found} of a {format:?}, and this build reads version {VERSION} of a {FORMAT:?}: make the world again"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        format: String,
        /// Its version.
        found: u32,
    },
    /// Its dials or its seed are not those that it was written with.
    #[error(
        "{path}: field \"fingerprint\" is {found}, and that of its dials and seed is {expected}: the file was changed"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Of its dials.
        expected: String,
        /// As written.
        found: String,
    },
    /// It is of another world.
    #[error("{path}: the truth of another world: expected {expected}, found {found}")]
    AnotherWorld {
        /// The file.
        path: PathBuf,
        /// The world that is asked for.
        expected: String,
        /// The file's.
        found: String,
    },
    /// Its parameters make no world.
    #[error("{path}: parameters: {source}")]
    Parameters {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Error,
    },
}

/// The hash of what decides a world.
pub fn fingerprint(dials: &Dials, seed: u64) -> String {
    // Dials are numbers and flags: they are always JSON.
    let dials = serde_json::to_string(dials).unwrap_or_default();
    Hash::of(format!("{FORMAT} {VERSION} {seed} {dials}")).to_string()
}

/// A world in a few words, with the dials that `other` has otherwise.
fn described(dials: &Dials, seed: u64, other: &Dials) -> String {
    let value = |dials: &Dials| serde_json::to_value(dials).unwrap_or_default();
    let (own, other) = (value(dials), value(other));
    let mut text = format!("{}, seed {seed}", dials.name());
    let same_world = own["name"] == other["name"];
    for (name, value) in
        own.as_object().into_iter().flatten().filter(|(name, value)| same_world && other[*name] != **value)
    {
        text.push_str(&format!(", {name} = {value}"));
    }
    text
}

impl Truth {
    /// Of a world, with what is true of its documents.
    pub fn new(world: &World, documents: BTreeMap<Split, Vec<Told>>) -> Self {
        let (dials, seed) = (world.dials().clone(), world.seed());
        let fingerprint = fingerprint(&dials, seed);
        let parameters = Parameters::of(world);
        Self { format: FORMAT.to_owned(), version: VERSION, fingerprint, seed, dials, parameters, documents }
    }

    /// Reads a truth file.
    ///
    /// # Errors
    /// When it cannot be read, is none or of another version, or was changed.
    pub fn read(path: &Path) -> Result<Self, TruthError> {
        let text = fs_err::read_to_string(path)?;
        let form = |source| TruthError::Form { path: path.to_path_buf(), source };
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let Head { format, version } = serde_json::from_str(&text).map_err(form)?;
        if format != FORMAT || version != VERSION {
            return Err(TruthError::Version { path: path.to_path_buf(), format, found: version });
        }
        let truth: Self = serde_json::from_str(&text).map_err(form)?;
        let expected = fingerprint(&truth.dials, truth.seed);
        if truth.fingerprint != expected {
            return Err(TruthError::Changed { path: path.to_path_buf(), expected, found: truth.fingerprint });
        }
        Ok(truth)
    }

    /// Reads the truth file of the world of these dials and this seed.
    ///
    /// # Errors
    /// As [`Truth::read`]; and when it is another world's.
    pub fn read_of(path: &Path, dials: &Dials, seed: u64) -> Result<Self, TruthError> {
        let truth = Self::read(path)?;
        if truth.fingerprint != fingerprint(dials, seed) {
            return Err(TruthError::AnotherWorld {
                path: path.to_path_buf(),
                expected: described(dials, seed, &truth.dials),
                found: described(&truth.dials, truth.seed, dials),
            });
        }
        Ok(truth)
    }

    /// The world, from the parameters as they stand in the file; `path` is for messages.
    ///
    /// # Errors
    /// When they make none: probabilities that do not sum to 1, states that never emit, people who are not the world's; and when the user
    /// interrupts.
    pub fn world(&self, path: &Path, monitor: &dyn Monitor) -> Result<World, TruthError> {
        let wrong = |source| TruthError::Parameters { path: path.to_path_buf(), source };
        self.dials.check().map_err(wrong)?;
        let kind = self.parameters.kind(&self.dials, self.seed, monitor).map_err(wrong)?;
        Ok(World::of(self.dials.clone(), self.seed, kind))
    }
}

impl Parameters {
    fn of(world: &World) -> Self {
        match world.kind() {
            Kind::Ginc(Symbols { mixture, words, .. }) => {
                let first = &mixture.concepts()[0];
                Self::HiddenMarkov {
                    words: words.clone(),
                    emissions: (0..first.states()).map(|state| Some(first.symbol(state))).collect(),
                    start: mixture.concepts().iter().map(|hmm| hmm.start().to_vec()).collect(),
                    transitions: mixture.concepts().iter().map(|hmm| hmm.transitions().to_vec()).collect(),
                }
            }
            Kind::Bigrams(Symbols { mixture, words, .. }) => {
                let first = &mixture.concepts()[0];
                Self::Bigrams {
                    words: words.clone(),
                    window: first.window(),
                    start: first.start().to_vec(),
                    transitions: first.transitions().to_vec(),
                    attention: mixture.concepts().iter().map(|bigram| bigram.attention().to_vec()).collect(),
                }
            }
            Kind::Biographies(world) => Self::People {
                attributes: Attribute::ALL.map(|attribute| attribute.word().to_owned()).to_vec(),
                people: world.people().people.clone(),
            },
        }
    }

    fn kind(&self, dials: &Dials, seed: u64, monitor: &dyn Monitor) -> crate::Result<Kind> {
        match (self, dials) {
            (Self::HiddenMarkov { words, emissions, start, transitions }, Dials::Ginc(config)) => {
                let silent = emissions.iter().position(Option::is_none);
                if let Some(state) = silent {
                    return Err(Error::Silent { state });
                }
                concepts(config.concepts, [start.len(), transitions.len()])?;
                let emissions: Vec<u32> = emissions.iter().flatten().copied().collect();
                let hmm = |(start, transitions): (&Vec<f64>, &Vec<f64>)| {
                    monitor.check()?;
                    Hmm::new(start.clone(), transitions.clone(), emissions.clone(), words.len())
                };
                let hmms = start.iter().zip(transitions).map(hmm).collect::<crate::Result<Vec<_>>>()?;
                let mixture = Mixture::uniform(hmms);
                Ok(Kind::Ginc(Symbols { mixture, words: words.clone(), deal: config.deal(), seed }))
            }
            (Self::Bigrams { words, window, start, transitions, attention }, Dials::Bigrams(config)) => {
                concepts(config.concepts, [attention.len()])?;
                if words.len() != start.len() {
                    return Err(Error::Shape { what: "start", expected: words.len(), found: start.len() });
                }
                if *window == 0 {
                    return Err(Error::dial("window", "at least 1", window));
                }
                let attentions = attention.iter().cloned();
                let mixture =
                    Mixture::uniform(sharing(*window, start.clone(), transitions.clone(), attentions, monitor)?);
                Ok(Kind::Bigrams(Symbols { mixture, words: words.clone(), deal: config.deal(), seed }))
            }
            (Self::People { people, .. }, Dials::Biographies(config)) => {
                let world = crate::biographies::World::new(config.clone(), seed, monitor)?;
                let made = &world.people().people;
                let differs = (0..people.len().max(made.len())).find(|&number| people.get(number) != made.get(number));
                match differs {
                    Some(number) => Err(Error::OtherPerson { number }),
                    None => Ok(Kind::Biographies(Box::new(world))),
                }
            }
            _ => Err(Error::OtherParameters { world: dials.name() }),
        }
    }
}

/// Checks that arrays have a part for every concept.
fn concepts<const N: usize>(expected: usize, found: [usize; N]) -> crate::Result<()> {
    match found.into_iter().find(|found| *found != expected || *found == 0) {
        Some(found) => Err(Error::Shape { what: "concepts", expected, found }),
        None => Ok(()),
    }
}
