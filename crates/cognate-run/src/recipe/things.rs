//! The things that a recipe names: what each is made from, and its own keys.

use std::path::PathBuf;

use cognate_corpus::MASK;
use cognate_pair::derived::Task;
use cognate_train::DenoisingTokens;
use cognate_worlds::Truthfulness;

use super::pair_methods::{Cycle, Direction, Forms, PairMethod, Shuffled};
use super::{About, Embed, Filter, Generate, Model, Pair, Recipe, Train, Tune};

/// Everything that a recipe names.
#[derive(Default)]
pub(super) struct Things {
    pub(super) embeddings: Vec<Embedding>,
    pub(super) pairs: Vec<PairSet>,
    pub(super) synthesizers: Vec<Synthesizer>,
    pub(super) synthetic: Vec<Synthetic>,
    pub(super) arms: Vec<Arm>,
    pub(super) report: About,
}

/// `[[embedding]]`: vectors of the unique documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// What other things call it.
    pub name: String,
    /// Where they come from.
    pub vectors: Vectors,
    /// Its keys of `[embed]`.
    pub embed: Embed,
}

/// Where vectors come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Vectors {
    /// Latent semantic analysis.
    Lsa,
    /// A file.
    File(PathBuf),
}

/// `[[pairs]]`: a set of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairSet {
    /// What other things call it.
    pub name: String,
    /// Where they come from.
    pub method: PairMethod,
    /// Its keys of `[pair]`.
    pub pair: Pair,
}

impl PairSet {
    /// Whether nothing but chance relates its documents.
    pub fn is_shuffled(&self) -> bool {
        self.method.false_share() == 1.0
    }
}

/// `[[synthesizer]]`: a model tuned on pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthesizer {
    /// What other things call it.
    pub name: String,
    /// The model whose best checkpoint it starts from.
    pub base: Writer,
    /// What it learns from.
    pub pairs: String,
    /// Its keys of `[tune]`.
    pub tune: Tune,
}

/// `[[synthetic]]`: a synthetic corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// What other things call it.
    pub name: String,
    /// Who writes it.
    pub by: Author,
    /// From what.
    pub seeds: SeedsOf,
    /// Its keys of `[generate]`.
    pub generate: Generate,
    /// Its keys of `[filter]`.
    pub filter: Filter,
}

/// Who writes a synthetic corpus.
#[derive(Clone, Debug, PartialEq)]
pub enum Author {
    /// A model.
    Model(Writer),
    /// The corpus' world, which knows what is true.
    World(Truthfulness),
    /// A language model behind a chat server, which is no model of the run.
    Server,
}

impl Author {
    /// The model that it is.
    pub fn model(&self) -> Option<&Writer> {
        match self {
            Self::Model(model) => Some(model),
            Self::World(_) | Self::Server => None,
        }
    }
}

/// A model that a corpus is written by, or that a synthesizer or an arm starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Writer {
    /// A synthesizer.
    Synthesizer(String),
    /// An arm.
    Arm(String),
}

impl Writer {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Synthesizer(name) | Self::Arm(name) => name,
        }
    }
}

/// What a corpus is written from.
#[derive(Clone, Debug, PartialEq)]
pub enum SeedsOf {
    /// The unique documents.
    Unique,
    /// Another synthetic corpus.
    Corpus(String),
    /// Nothing.
    None,
}

/// `[[arm]]`: one final model.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its folder and its row in the report.
    pub name: String,
    /// How it is trained, where it chooses from nothing; else how its first candidate is.
    pub training: Training,
    /// What it chooses from; empty where it does not.
    pub sweep: Vec<Candidate>,
    /// Documents to choose by, at most.
    pub selection_documents: usize,
    /// The arm that it is a control of.
    pub control_of: Option<String>,
    /// Whether its budget may be another than the baseline's.
    pub other_budget: bool,
    /// Whether it is measured.
    pub evaluate: bool,
    /// Models whose probabilities are averaged.
    pub members: usize,
}

impl Arm {
    /// Every way in which it is trained.
    pub fn trainings(&self) -> impl Iterator<Item = &Training> {
        let own = self.sweep.is_empty().then_some(&self.training);
        own.into_iter().chain(self.sweep.iter().map(|candidate| &candidate.training))
    }
}

/// One of the trainings that an arm chooses from.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it is called.
    pub name: String,
    /// How it is trained.
    pub training: Training,
}

/// All that decides a model beside its seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {
    /// Its decoder.
    pub model: Model,
    /// Its keys of `[train]`.
    pub train: Train,
    /// The real documents that it sees.
    pub documents: Real,
    /// How often these may be seen at most; none for any number.
    pub max_epochs: Option<f64>,
    /// How documents share contexts.
    pub contexts: Contexts,
    /// The synthetic corpora that it sees, with their shares of the budget; none of them is 0.
    pub synthetic: Vec<(String, f64)>,
    /// In which order.
    pub order: Order,
    /// What it starts from; random weights where there is none.
    pub init: Option<Init>,
    /// The arm whose operations it is trained to; its budget where there is none.
    pub operations_of: Option<String>,
    /// Arms whose expectations it learns; none where these would count nothing.
    pub teachers: Vec<String>,
}

impl Training {
    /// Share of the budget that is synthetic.
    pub fn synthetic_share(&self) -> f64 {
        self.synthetic.iter().map(|(_, share)| share).sum()
    }

    /// What its teachers are to say, of each corpus that it sees in turn; nothing where it has none.
    fn teachings(&self) -> Vec<Teaching> {
        let Some(taught) = &self.train.taught else { return Vec::new() };
        let mut corpora = vec![Taught::Unique];
        if self.documents == Real::All {
            corpora.push(Taught::Oracle);
        }
        corpora.extend(self.synthetic.iter().map(|(corpus, _)| Taught::Synthetic(corpus.clone())));
        let teaching = |of: Taught| {
            let by = self.teachers.join("-and-");
            let mut name = match &of {
                Taught::Unique => by,
                Taught::Oracle => format!("{by}-of-oracle"),
                Taught::Synthetic(corpus) => format!("{by}-of-{corpus}"),
            };
            // What is asked otherwise has another name wherever it stands in the recipe.
            if taught.teacher_temperature != 1.0 {
                name.push_str(&format!("-t{}", taught.teacher_temperature));
            }
            if taught.teacher_top != TOP {
                name.push_str(&format!("-top{}", taught.teacher_top));
            }
            Teaching {
                name,
                teachers: self.teachers.clone(),
                temperature: taught.teacher_temperature,
                top: taught.teacher_top,
                context: self.model.context,
                of,
            }
        };
        corpora.into_iter().map(teaching).collect()
    }

    /// Tokens of one synthetic corpus among a budget of `tokens`.
    pub fn tokens_of(share: f64, tokens: u64) -> u64 {
        (share * tokens as f64).round() as u64
    }
}

/// Tokens of a keyword of a form, with what stands behind it.
const TOKENS_OF_A_KEYWORD: usize = 4;
/// Tokens that are kept of a teacher's distribution, where the recipe does not say how many.
const TOP: usize = 64;

/// What arms expect of a corpus, for others to learn.
#[derive(Clone, Debug, PartialEq)]
pub struct Teaching {
    /// Its folder: the teachers and the corpus.
    pub name: String,
    /// The arms.
    pub teachers: Vec<String>,
    /// The temperature of their probabilities.
    pub temperature: f64,
    /// Tokens that are kept of each distribution.
    pub top: usize,
    /// Longest piece of a document, as the student sees it.
    pub context: usize,
    /// The corpus.
    pub of: Taught,
}

/// A corpus that arms are taught by.
#[derive(Clone, Debug, PartialEq)]
pub enum Taught {
    /// The unique split.
    Unique,
    /// The oracle split.
    Oracle,
    /// A synthetic corpus.
    Synthetic(String),
}

impl Teaching {
    /// Everything that `arms` are taught, each once and under a name of its own.
    pub(super) fn of(arms: &[Arm]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for mut teaching in arms.iter().flat_map(Arm::trainings).flat_map(Training::teachings) {
            if all.iter().any(|other| other.is_same(&teaching)) {
                continue;
            }
            let name = teaching.name.clone();
            let mut number = 1;
            while all.iter().any(|other| other.name == teaching.name) {
                number += 1;
                teaching.name = format!("{name}-{number}");
            }
            all.push(teaching);
        }
        all
    }

    fn is_same(&self, other: &Self) -> bool {
        Self { name: String::new(), ..self.clone() } == Self { name: String::new(), ..other.clone() }
    }
}

/// Real documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Real {
    /// Of the unique split.
    Unique,
    /// Of the oracle split too.
    All,
}

/// How documents share contexts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contexts {
    /// Each stands alone.
    Single,
    /// Each stands behind related ones, by an embedding.
    Related(String),
}

/// In which order real and synthetic documents are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Shuffled together.
    Mixed,
    /// Synthetic ones, then real ones.
    SyntheticFirst,
    /// Shuffled together, but for the end.
    RealLast,
}

impl Order {
    /// All of them, with their words in recipes.
    pub(crate) const ALL: [(Self, &'static str); 3] =
        [(Self::Mixed, "mixed"), (Self::SyntheticFirst, "synthetic-first"), (Self::RealLast, "real-last")];

    /// Its word in recipes.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(order, _)| *order == self).map_or("", |(_, word)| *word)
    }
}

/// What a training starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Another arm's last checkpoint, of the same seed, or a synthesizer's best one.
    Model(Writer),
    /// A checkpoint's folder.
    Folder(PathBuf),
}

impl Recipe {
    /// An arm by its name.
    ///
    /// # Panics
    /// When there is none: names are checked as the recipe is read.
    pub fn arm(&self, name: &str) -> usize {
        place(self.arms.iter().map(|arm| &arm.name), name)
    }

    /// An embedding by its name.
    ///
    /// # Panics
    /// As [`Recipe::arm`].
    pub fn embedding(&self, name: &str) -> usize {
        place(self.embeddings.iter().map(|embedding| &embedding.name), name)
    }

    /// A set of pairs by its name.
    ///
    /// # Panics
    /// As [`Recipe::arm`].
    pub fn pair_set(&self, name: &str) -> usize {
        place(self.pairs.iter().map(|pairs| &pairs.name), name)
    }

    /// A synthesizer by its name.
    ///
    /// # Panics
    /// As [`Recipe::arm`].
    pub fn synthesizer(&self, name: &str) -> usize {
        place(self.synthesizers.iter().map(|synthesizer| &synthesizer.name), name)
    }

    /// A synthetic corpus by its name.
    ///
    /// # Panics
    /// As [`Recipe::arm`].
    pub fn corpus_of(&self, name: &str) -> usize {
        place(self.synthetic.iter().map(|synthetic| &synthetic.name), name)
    }

    /// What `training` is taught, of each corpus that it sees in turn.
    pub fn teachings_of(&self, training: &Training) -> Vec<usize> {
        let place = |wanted: Teaching| self.teachings.iter().position(|one| one.is_same(&wanted));
        training.teachings().into_iter().filter_map(place).collect()
    }

    /// The arm of a role that `[report]` names.
    fn role(&self, name: Option<&String>) -> Option<usize> {
        name.map(|name| self.arm(name))
    }

    /// The arm that every other one is compared with.
    pub fn baseline(&self) -> Option<usize> {
        self.role(self.report.baseline.as_ref())
    }

    /// The arm at which the gap is closed.
    pub fn ceiling(&self) -> Option<usize> {
        self.role(self.report.ceiling.as_ref())
    }

    /// The arm that the answer is about.
    pub fn subject(&self) -> Option<usize> {
        self.role(self.report.subject.as_ref())
    }

    /// Tokens that are needed of the synthetic corpus at `corpus`: as many as the arm takes that takes most, or the corpus that is written
    /// from it.
    pub fn synthetic_tokens(&self, corpus: usize) -> u64 {
        let name = &self.synthetic[corpus].name;
        let of_training = |training: &Training| {
            let shares = training.synthetic.iter().filter(|(other, _)| other == name);
            shares.map(|(_, share)| Training::tokens_of(*share, training.train.tokens())).max()
        };
        let of_arms = self.arms.iter().flat_map(Arm::trainings).filter_map(of_training);
        let from_it = |other: &usize| self.synthetic[*other].seeds == SeedsOf::Corpus(name.clone());
        let of_corpora = (0..self.synthetic.len()).filter(from_it).map(|other| self.seed_tokens_of(corpus, other));
        of_arms.chain(of_corpora).max().unwrap_or(0)
    }

    /// Tokens that are needed of the corpus at `corpus` for that at `other`, which is written from it: as many; of forms, which are shorter than documents,
    /// as much less as their keywords come to beside the longest document.
    fn seed_tokens_of(&self, corpus: usize, other: usize) -> u64 {
        let tokens = self.synthetic_tokens(other);
        let writer = self.synthetic[corpus].by.model().map(Writer::name);
        let tuned = self.synthesizers.iter().find(|tuned| Some(tuned.name.as_str()) == writer);
        let set = tuned.and_then(|tuned| self.pairs.iter().find(|set| set.name == tuned.pairs));
        match set.map(|set| &set.method) {
            Some(PairMethod::Forms(Forms { keywords, direction: Direction::ToForm })) => {
                let form = (TOKENS_OF_A_KEYWORD * keywords) as f64;
                let longest = self.synthetic[other].generate.max_new_tokens.max(1) as f64;
                (tokens as f64 * (form / longest).min(1.0)).ceil() as u64
            }
            _ => tokens,
        }
    }

    /// The set of pairs in whose folder the texts lie that the pairs of the set at `set` name; none where these are documents of the corpus.
    pub fn texts_of(&self, set: usize) -> Option<usize> {
        let method = &self.pairs[set].method;
        match method.of() {
            _ if method.makes_texts() => Some(set),
            of => of.and_then(|of| self.texts_of(self.pair_set(of))),
        }
    }

    /// The set whose pairs stand for true ones where the set at `set` is asked for them: it, or the one that a share of its pairs was made false
    /// of.
    pub fn true_set(&self, set: usize) -> usize {
        match &self.pairs[set].method {
            PairMethod::Shuffled(Shuffled { of, share }) if *share < 1.0 => self.true_set(self.pair_set(of)),
            PairMethod::Cycle(Cycle { of, .. }) => {
                let of = self.pair_set(of);
                // What is kept of false pairs is no measure of true ones.
                if self.true_set(of) == of { set } else { self.true_set(of) }
            }
            _ => set,
        }
    }

    /// The synthesizer that the set of pairs at `set` waits for, directly or through the set that it is taken from.
    pub fn scorer_of(&self, set: usize) -> Option<usize> {
        let method = &self.pairs[set].method;
        match method.by() {
            Some(by) => Some(self.synthesizer(by)),
            None => method.of().and_then(|of| self.scorer_of(self.pair_set(of))),
        }
    }

    /// The special tokens that the tokenizer must have beside those of every run, each with what is made with it.
    pub fn reserved_tokens(&self) -> Vec<(String, &'static str)> {
        let masks = |set: &PairSet| matches!(&set.method, PairMethod::OneDocument(own) if own.tasks.contains(&Task::MaskedSpan));
        let mask = self.pairs.iter().any(masks).then(|| (MASK.to_owned(), Task::MaskedSpan.word()));
        let denoised = self.arms.iter().flat_map(Arm::trainings).any(|training| training.train.denoisers.is_some());
        let denoising = if denoised { DenoisingTokens::names() } else { Vec::new() };
        mask.into_iter().chain(denoising.into_iter().map(|token| (token, "mixture-of-denoisers"))).collect()
    }

    /// The pairs that the synthetic corpus at `corpus` comes from; none where no synthesizer writes it.
    pub fn pairs_behind(&self, corpus: usize) -> Option<&PairSet> {
        let Some(Writer::Synthesizer(name)) = self.synthetic[corpus].by.model() else { return None };
        Some(&self.pairs[self.pair_set(&self.synthesizers[self.synthesizer(name)].pairs)])
    }

    /// Whether the synthetic corpus at `corpus` is written by a synthesizer of related documents: its relations are measured.
    pub fn is_related(&self, corpus: usize) -> bool {
        self.pairs_behind(corpus).is_some_and(|pairs| !pairs.is_shuffled())
    }

    /// The synthetic corpora of the subject, the largest share first.
    pub fn subject_corpora(&self) -> Vec<usize> {
        let Some(subject) = self.subject() else { return Vec::new() };
        let mut shares: Vec<&(String, f64)> =
            self.arms[subject].trainings().flat_map(|training| &training.synthetic).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut corpora: Vec<usize> = Vec::new();
        for (name, _) in shares {
            let corpus = self.corpus_of(name);
            if !corpora.contains(&corpus) {
                corpora.push(corpus);
            }
        }
        corpora
    }

    /// The arm that the synthesizer at `synthesizer` comes from: its base, or that of the synthesizer that is its base.
    pub fn base_arm(&self, synthesizer: usize) -> usize {
        self.arm_behind(&self.synthesizers[synthesizer].base)
    }

    /// A model that is an arm, or the arm that it comes from.
    fn arm_behind(&self, model: &Writer) -> usize {
        match model {
            Writer::Arm(name) => self.arm(name),
            Writer::Synthesizer(name) => self.base_arm(self.synthesizer(name)),
        }
    }

    /// How the arm is trained that the synthesizer at `synthesizer` comes from; of one with a sweep, its first candidate.
    pub fn base_training(&self, synthesizer: usize) -> &Training {
        &self.arms[self.base_arm(synthesizer)].training
    }

    /// As much of a seed as the synthesizer at `synthesizer` is shown when it writes.
    pub fn seed_tokens(&self, synthesizer: usize) -> usize {
        let writer = Author::Model(Writer::Synthesizer(self.synthesizers[synthesizer].name.clone()));
        let corpus = self.synthetic.iter().find(|corpus| corpus.by == writer);
        corpus.map_or(self.generate.max_seed_tokens, |corpus| corpus.generate.max_seed_tokens)
    }

    /// The arm whose checkpoint the model that writes a corpus began from, or is; none where no model writes it.
    pub fn base_of(&self, corpus: usize) -> Option<usize> {
        self.synthetic[corpus].by.model().map(|model| self.arm_behind(model))
    }
}

fn place<'a>(mut names: impl Iterator<Item = &'a String>, name: &str) -> usize {
    names.position(|other| other == name).unwrap_or_else(|| panic!("nothing is called `{name}`"))
}
