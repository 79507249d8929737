//! The methods of `[[pairs]]`: the word of each, its own keys with what holds where they are not written, and the keys of `[pair]` that it reads.
//!
//! What a method does with them stands in its file in `stages/pair/`.

use std::path::PathBuf;

use cognate_pair::derived::Task;
use serde::Serialize;
use serde_json::{Map, Value};

use super::recipe_error::RecipeError;
use super::written::Section;

type Result<T, E = Box<RecipeError>> = std::result::Result<T, E>;

/// The preset of an embedding.
pub(super) const LSA: &str = "lsa";
/// The preset of pairs, of a synthesizer, and of a corpus, with the relation.
pub(super) const RELATED: &str = "related";
/// The word for all tasks of one document, an equal share each.
const ALL_TASKS: &str = "all";
/// Tokens of a piece of a document that pairs are made of, at most, as Zou et al. 2020 have it.
const PIECE_TOKENS: u64 = 512;
/// Entities that both documents of a pair name, at least.
const SHARED_ENTITIES: u64 = 2;
/// Documents that name an entity which joins them, at most.
const ENTITY_DOCUMENTS: u64 = 100;
/// Keywords of a form, at most.
const KEYWORDS: u64 = 24;
/// Pairs to make where their number follows from no document.
const MADE: u64 = 10_000;
/// Phrases or words of their texts, at most.
const PARTS: u64 = 16;
/// Words of a made language.
const WORDS: u64 = 1000;
/// How likely two branches of a tree are exchanged.
const SWAP: f64 = 0.15;
/// Own keys that name a thing or a file, whose content decides and not its name.
const NAMES: [&str; 4] = ["embedding", "of", "by", "path"];

/// Where pairs come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PairMethod {
    /// Documents that are near to each other.
    Neighbours(Neighbours),
    /// Another set, its second documents shuffled.
    Shuffled(Shuffled),
    /// A file.
    File(Given),
    /// What the corpus' world says.
    Truth(Truth),
    /// Those of another set from whose documents a synthesizer best finds back.
    Cycle(Cycle),
    /// Made of pieces of one document each.
    OneDocument(OneDocument),
    /// Documents that share entities.
    Entities(Entities),
    /// Documents and their forms.
    Forms(Forms),
    /// Phrases of a file, strung together.
    Phrases(Phrases),
    /// Sentences of two made languages.
    Trees(Trees),
    /// Another set, with words replaced by nonsense words.
    Obfuscated(Obfuscated),
}

/// Neighbours by an embedding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbours {
    /// By which vectors.
    pub embedding: String,
}

/// The pairs of another set, some with the second document of another pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shuffled {
    /// The set.
    pub of: String,
    /// The share of its training pairs that change their second documents.
    #[serde(skip_serializing_if = "is_one")]
    pub share: f64,
}

/// The pairs of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Given {
    /// The file.
    pub path: PathBuf,
}

/// The pairs that a world says share a concept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {}

/// The pairs of another set with the highest scores of cycle consistency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cycle {
    /// The set.
    pub of: String,
    /// The synthesizer that scores.
    pub by: String,
    /// The share of its training pairs that is kept.
    pub keep: f64,
}

/// Pairs of pieces of one document each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneDocument {
    /// By one of these; by each of them, an equal share of the pieces, where there are several.
    #[serde(skip)]
    pub tasks: Vec<Task>,
    /// Tokens of a piece, at most.
    pub piece_tokens: usize,
}

/// Documents that share entities.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entities {
    /// Entities that both name, at least.
    pub shared_entities: usize,
    /// Documents that name such an entity, at most.
    pub entity_documents: usize,
}

/// Documents and their keywords.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forms {
    /// Keywords of a form, at most.
    pub keywords: usize,
    /// Which of the two is to be written.
    pub direction: Direction,
}

/// Which side of a pair of a document and its form is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The document.
    ToDocument,
    /// The form.
    ToForm,
}

/// Phrases that say the same, strung together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phrases {
    /// The file.
    pub path: PathBuf,
    /// Phrases of a text, at most.
    pub parts: usize,
    /// Pairs to make.
    pub made: usize,
}

/// Sentences of two made languages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trees {
    /// Words of each.
    pub words: usize,
    /// Words of a sentence, at most.
    pub parts: usize,
    /// How likely two branches are exchanged.
    pub swap: f64,
    /// Pairs to make.
    pub made: usize,
}

/// The pairs of another set, with words replaced by nonsense words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Obfuscated {
    /// The set.
    pub of: String,
    /// The share of the distinct words.
    pub share: f64,
}

/// How many pairs a method gives, by what is known before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount<'a> {
    /// Every neighbour of every document, at most.
    Neighbours,
    /// One for each piece of so many tokens of a document.
    Pieces(usize),
    /// So many.
    Made(usize),
    /// This share of the pairs of another set.
    Of(&'a str, f64),
}

/// What a recipe says of a method.
struct Asked<'a> {
    word: &'a str,
    section: &'a Section,
    /// The usual context of tuning.
    context: u64,
}

impl Asked<'_> {
    fn count(&self, key: &str, unsaid: u64) -> usize {
        self.section.integer_or(key, unsaid) as usize
    }

    fn name(&self, key: &str, unsaid: &str) -> String {
        self.section.text_if(key).unwrap_or_else(|| unsaid.to_owned())
    }

    fn path(&self) -> PathBuf {
        self.section.text("path").into()
    }

    /// The set that pairs are taken from.
    fn of(&self) -> String {
        self.name("of", RELATED)
    }
}

/// What a recipe may say of a method, and what holds where it does not.
trait Settings: Sized {
    /// Its own keys.
    const OWN: &'static [&'static str];
    /// Those of them that must be written, each with what to do where it is not.
    const NEEDED: &'static [(&'static str, &'static str)] = &[];
    /// The keys of `[pair]` that it reads.
    const SHARED: &'static [&'static str];

    fn read(asked: &Asked<'_>) -> Self;
}

/// A word of a method, with what may be said of it.
struct Method {
    word: &'static str,
    own: &'static [&'static str],
    needed: &'static [(&'static str, &'static str)],
    shared: &'static [&'static str],
    read: fn(&Asked<'_>) -> PairMethod,
}

const fn method<S: Settings>(word: &'static str, read: fn(&Asked<'_>) -> PairMethod) -> Method {
    Method { word, own: S::OWN, needed: S::NEEDED, shared: S::SHARED, read }
}

const fn of_one_document(word: &'static str) -> Method {
    method::<OneDocument>(word, |asked| PairMethod::OneDocument(Settings::read(asked)))
}

static METHODS: [Method; 14] = [
    method::<Neighbours>("neighbours", |asked| PairMethod::Neighbours(Settings::read(asked))),
    method::<Obfuscated>("obfuscated", |asked| PairMethod::Obfuscated(Settings::read(asked))),
    method::<Shuffled>("shuffled", |asked| PairMethod::Shuffled(Settings::read(asked))),
    method::<Cycle>("cycle", |asked| PairMethod::Cycle(Settings::read(asked))),
    method::<Given>("file", |asked| PairMethod::File(Settings::read(asked))),
    method::<Truth>("truth", |asked| PairMethod::Truth(Settings::read(asked))),
    method::<Entities>("entity-pairs", |asked| PairMethod::Entities(Settings::read(asked))),
    of_one_document("reorder"),
    of_one_document("next-sentences"),
    of_one_document("masked-span"),
    of_one_document(ALL_TASKS),
    method::<Forms>("forms", |asked| PairMethod::Forms(Settings::read(asked))),
    method::<Phrases>("phrases", |asked| PairMethod::Phrases(Settings::read(asked))),
    method::<Trees>("trees", |asked| PairMethod::Trees(Settings::read(asked))),
];

impl Method {
    fn called(word: &str) -> &'static Self {
        METHODS.iter().find(|method| method.word == word).unwrap_or_else(|| panic!("no method is called `{word}`"))
    }
}

impl PairMethod {
    /// The method called `word`, as `section` says, beside a `context` of the usual model.
    ///
    /// # Errors
    /// When a key that it needs is missing, or one is written that it does not read.
    pub(super) fn read(word: &str, section: &Section, context: u64) -> Result<Self> {
        let method = Method::called(word);
        for key in METHODS.iter().flat_map(|other| other.own) {
            if section.has(key) && !method.own.contains(key) {
                let owners = METHODS.iter().filter(|other| other.own.contains(key));
                let owners: Vec<String> = owners.map(|owner| format!("\"{}\"", owner.word)).collect();
                return Err(section.only_with(key, &format!("method = {}", owners.join(" or "))));
            }
        }
        if let Some(key) = section.says_of("pair").into_iter().find(|key| !method.shared.contains(key)) {
            let expected = format!("no `{key}` with method = \"{word}\", which does not read it");
            return Err(section.impossible(key, "it", expected, "remove the key"));
        }
        if let Some((key, advice)) = method.needed.iter().find(|(key, _)| !section.has(key)) {
            return Err(section.impossible("method", "", format_args!("`{key}` beside it"), advice));
        }
        Ok((method.read)(&Asked { word, section, context }))
    }

    /// Its word in recipes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Neighbours(_) => "neighbours",
            Self::Shuffled(_) => "shuffled",
            Self::File(_) => "file",
            Self::Truth(_) => "truth",
            Self::Cycle(_) => "cycle",
            Self::OneDocument(OneDocument { tasks, .. }) => match tasks[..] {
                [task] => task.word(),
                _ => ALL_TASKS,
            },
            Self::Entities(_) => "entity-pairs",
            Self::Forms(_) => "forms",
            Self::Phrases(_) => "phrases",
            Self::Trees(_) => "trees",
            Self::Obfuscated(_) => "obfuscated",
        }
    }

    /// The keys of `[pair]` that it reads.
    pub(crate) fn shared_keys(&self) -> &'static [&'static str] {
        Method::called(self.word()).shared
    }

    /// Its own keys that decide, beside the content of what they name.
    ///
    /// # Errors
    /// Never: all of them can be written.
    pub(crate) fn own_values(&self) -> serde_json::Result<Map<String, Value>> {
        let mut own = match serde_json::to_value(self)? {
            Value::Object(own) => own,
            _ => Map::new(),
        };
        own.retain(|key, _| !NAMES.contains(&key.as_str()));
        Ok(own)
    }

    /// The set that its pairs are taken from.
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::Shuffled(Shuffled { of, .. }) | Self::Obfuscated(Obfuscated { of, .. }) => Some(of),
            Self::Cycle(Cycle { of, .. }) => Some(of),
            _ => None,
        }
    }

    /// The synthesizer that it asks.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Cycle(Cycle { by, .. }) => Some(by),
            _ => None,
        }
    }

    /// Whether its texts are no documents of the corpus, but made for it.
    pub fn makes_texts(&self) -> bool {
        match self {
            Self::OneDocument(_) | Self::Obfuscated(_) | Self::Forms(_) | Self::Phrases(_) | Self::Trees(_) => true,
            Self::Neighbours(_) | Self::File(_) | Self::Truth(_) | Self::Entities(_) => false,
            Self::Shuffled(_) | Self::Cycle(_) => false,
        }
    }

    /// Whether it finds or is told which documents of the corpus are related.
    pub(super) fn relates_documents(&self) -> bool {
        self.of().is_none() && !self.makes_texts()
    }

    /// The share of another set's pairs that it makes false; 0 where it makes none false.
    pub fn false_share(&self) -> f64 {
        match self {
            Self::Shuffled(Shuffled { share, .. }) => *share,
            _ => 0.0,
        }
    }

    /// Whether a synthesizer learns from it to write forms.
    pub(super) fn writes_forms(&self) -> bool {
        matches!(self, Self::Forms(Forms { direction: Direction::ToForm, .. }))
    }

    /// How many pairs it gives.
    pub(crate) fn amount(&self) -> Amount<'_> {
        match self {
            Self::Neighbours(_) | Self::File(_) | Self::Truth(_) | Self::Entities(_) => Amount::Neighbours,
            Self::OneDocument(OneDocument { piece_tokens, .. }) => Amount::Pieces(*piece_tokens),
            Self::Forms(_) => Amount::Pieces(usize::MAX),
            Self::Phrases(Phrases { made, .. }) | Self::Trees(Trees { made, .. }) => Amount::Made(*made),
            Self::Shuffled(Shuffled { of, .. }) | Self::Obfuscated(Obfuscated { of, .. }) => Amount::Of(of, 1.0),
            Self::Cycle(Cycle { of, keep, .. }) => Amount::Of(of, *keep),
        }
    }
}

impl Settings for Neighbours {
    const OWN: &'static [&'static str] = &["embedding"];
    const SHARED: &'static [&'static str] = &[
        "neighbours",
        "min_similarity",
        "precision",
        "near_copy",
        "max_similarity",
        "held_out_share",
        "within_groups",
    ];

    fn read(asked: &Asked<'_>) -> Self {
        Self { embedding: asked.name("embedding", LSA) }
    }
}

impl Settings for Shuffled {
    const OWN: &'static [&'static str] = &["of", "share"];
    const SHARED: &'static [&'static str] = &["within_groups"];

    fn read(asked: &Asked<'_>) -> Self {
        Self { of: asked.of(), share: asked.section.number_or("share", 1.0) }
    }
}

impl Settings for Given {
    const OWN: &'static [&'static str] = &["path"];
    const NEEDED: &'static [(&'static str, &'static str)] = &[("path", "give the file with the pairs")];
    const SHARED: &'static [&'static str] = &["held_out_share", "within_groups"];

    fn read(asked: &Asked<'_>) -> Self {
        Self { path: asked.path() }
    }
}

impl Settings for Truth {
    const OWN: &'static [&'static str] = &[];
    const SHARED: &'static [&'static str] = &["held_out_share", "within_groups"];

    fn read(_: &Asked<'_>) -> Self {
        Self {}
    }
}

impl Settings for Cycle {
    const OWN: &'static [&'static str] = &["of", "by", "keep", "rounds"];
    const NEEDED: &'static [(&'static str, &'static str)] =
        &[("keep", "say which share of the pairs is kept, such as 0.5")];
    const SHARED: &'static [&'static str] = &[];

    fn read(asked: &Asked<'_>) -> Self {
        let of = asked.of();
        Self { by: asked.name("by", &of), of, keep: asked.section.number_or("keep", 1.0) }
    }
}

impl Settings for OneDocument {
    const OWN: &'static [&'static str] = &["piece_tokens"];
    const SHARED: &'static [&'static str] = &["held_out_share"];

    fn read(asked: &Asked<'_>) -> Self {
        let is_asked = |task: &Task| asked.word == ALL_TASKS || task.word() == asked.word;
        let tasks = Task::ALL.into_iter().filter(is_asked).collect();
        // As many as half of the usual context of tuning holds, with the frame of a pair.
        let unsaid = PIECE_TOKENS.min(asked.context.saturating_sub(2)).max(2);
        Self { tasks, piece_tokens: asked.count("piece_tokens", unsaid) }
    }
}

impl Settings for Entities {
    const OWN: &'static [&'static str] = &["shared_entities", "entity_documents"];
    const SHARED: &'static [&'static str] = &["neighbours", "near_copy", "held_out_share", "within_groups"];

    fn read(asked: &Asked<'_>) -> Self {
        Self {
            shared_entities: asked.count("shared_entities", SHARED_ENTITIES),
            entity_documents: asked.count("entity_documents", ENTITY_DOCUMENTS),
        }
    }
}

impl Settings for Forms {
    const OWN: &'static [&'static str] = &["keywords", "direction"];
    const SHARED: &'static [&'static str] = &["held_out_share"];

    fn read(asked: &Asked<'_>) -> Self {
        let direction = match asked.section.text_if("direction").as_deref() {
            Some("to-form") => Direction::ToForm,
            _ => Direction::ToDocument,
        };
        Self { keywords: asked.count("keywords", KEYWORDS), direction }
    }
}

impl Settings for Phrases {
    const OWN: &'static [&'static str] = &["path", "parts", "made"];
    const NEEDED: &'static [(&'static str, &'static str)] = &[("path", "give the file with the phrases")];
    const SHARED: &'static [&'static str] = &["held_out_share"];

    fn read(asked: &Asked<'_>) -> Self {
        Self { path: asked.path(), parts: asked.count("parts", PARTS), made: asked.count("made", MADE) }
    }
}

impl Settings for Trees {
    const OWN: &'static [&'static str] = &["words", "parts", "swap", "made"];
    const SHARED: &'static [&'static str] = &["held_out_share"];

    fn read(asked: &Asked<'_>) -> Self {
        Self {
            words: asked.count("words", WORDS),
            parts: asked.count("parts", PARTS),
            swap: asked.section.number_or("swap", SWAP),
            made: asked.count("made", MADE),
        }
    }
}

impl Settings for Obfuscated {
    const OWN: &'static [&'static str] = &["of", "share"];
    const NEEDED: &'static [(&'static str, &'static str)] =
        &[("share", "say which share of the words becomes nonsense, from 0 to 1")];
    const SHARED: &'static [&'static str] = &[];

    fn read(asked: &Asked<'_>) -> Self {
        Self { of: asked.of(), share: asked.section.number_or("share", 1.0) }
    }
}

fn is_one(share: &f64) -> bool {
    *share == 1.0
}

#[cfg(test)]
mod tests {
    use super::super::keys::{Kind, key_of, keys_of};
    use super::*;

    #[test]
    fn every_word_and_every_key_of_the_list_is_that_of_a_method() {
        let Kind::Choice(listed) = key_of("pairs", "method").kind else { panic!("no choice") };
        let sorted = |words: &mut dyn Iterator<Item = &'static str>| {
            let mut words: Vec<&str> = words.collect();
            words.sort_unstable();
            words.dedup();
            words
        };
        let words = sorted(&mut METHODS.iter().map(|method| method.word));
        assert_eq!((words.len(), &words), (METHODS.len(), &sorted(&mut listed.iter().copied())));
        let keys = keys_of("pairs").map(|key| key.name).filter(|key| !["name", "method"].contains(key));
        assert_eq!(sorted(&mut { keys }), sorted(&mut METHODS.iter().flat_map(|method| method.own.iter().copied())));
        let shared = METHODS.iter().flat_map(|method| method.shared.iter().copied());
        assert_eq!(sorted(&mut { shared }), sorted(&mut keys_of("pair").map(|key| key.name)));
        assert_eq!(Method::called("neighbours").shared.len(), keys_of("pair").count(), "it reads all of them");
    }
}
