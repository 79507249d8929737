//! From tables to things: those that are written, and those that presets and unwritten names stand for.
//!
//! A name that is not written may be a preset's: `lsa`, `related`, `shuffled`, `unconditional`. It is made as if it stood in the recipe
//! with nothing but its name, and so on for what it is made from. The name of a set of pairs is also that of a synthesizer which is tuned on it, and
//! the name of a synthesizer that of a corpus which it writes. `cognate plan --expand` writes everything out.

use std::path::PathBuf;

use cognate_worlds::{Mistakes, Truthfulness};

use super::kinds::{Kind, arm, model_called};
use super::pair_methods::{Cycle, LSA, Neighbours, PairMethod, RELATED};
use super::recipe_error::RecipeError;
use super::resolve::{ENTIGRAPH, about, embed, filter, generate, model, pair, train, tune};
use super::sound;
use super::things::{Author, Contexts, Init, SeedsOf, Things, Vectors, Writer};
use super::written::{Section, Written};
use super::{Embedding, Filter, Limit, Model, Off, Pair, PairSet, Synthesizer, Synthetic, Tune};

pub(super) type Result<T = (), E = Box<RecipeError>> = std::result::Result<T, E>;

/// The preset of pairs, of a synthesizer, and of a corpus, without the relation.
pub(super) const SHUFFLED: &str = "shuffled";
/// The preset of a corpus that is written from nothing.
pub(super) const UNCONDITIONAL: &str = "unconditional";
/// Mistakes that are the same each time.
pub(super) const CONSISTENT: &str = "consistent";
/// What seeds are that are the unique documents.
const UNIQUE: &str = "unique";
/// What seeds are where there are none.
const NONE: &str = "none";

/// The filters of a corpus of forms: what is asked of sentences is not asked of keywords, and two forms may be alike. What the corpus' table says holds.
fn of_forms(filter: &Filter, section: &Section) -> Filter {
    let (mut own, written) = (filter.clone(), section.says_of("filter"));
    let off = |limit: &mut Limit, key: &str| {
        if !written.contains(&key) {
            *limit = Limit::Off(Off::Off);
        }
    };
    own.repetition.each(off);
    off(&mut own.non_text, "non_text");
    off(&mut own.near_copy, "near_copy");
    off(&mut own.near_duplicate, "near_duplicate");
    if !written.contains(&"min_words") {
        own.min_words = 0;
    }
    own
}

/// Who asks for a thing by its name.
#[derive(Clone, Copy)]
struct Asker<'a> {
    section: &'a Section,
    /// The key that holds the name.
    key: &'a str,
}

impl Things {
    /// The things of a recipe.
    pub(super) fn of(written: &Written) -> Result<Self> {
        let mut sections = match written.things("arm") {
            [] => ["repetition", "sbp", "oracle"].map(|kind| written.table("").arm_of_kind(kind)).to_vec(),
            sections => sections.to_vec(),
        };
        for synthesizer in written.things("synthesizer").iter().filter(|synthesizer| synthesizer.has_over("model")) {
            let base = shaped_base(synthesizer, &sections)?;
            if shaped_name(written, synthesizer) == own_base(synthesizer) {
                sections.push(base);
            }
        }
        let kinds = Kind::of(&sections)?;
        let sections: Vec<Section> = sections.iter().zip(&kinds).map(|(section, kind)| kind.section(section)).collect();
        let mut maker = Maker { written, kinds: &kinds, sections: &sections, things: Self::default() };
        // Written things stand first, in their order, so that what is expanded reads back as the same.
        for section in written.things("embedding") {
            maker.embedding(section)?;
        }
        for section in written.things("pairs") {
            maker.pair_set(section)?;
        }
        for section in written.things("synthesizer") {
            maker.synthesizer(section)?;
        }
        for section in written.things("synthetic") {
            maker.corpus(section)?;
        }
        for at in 0..sections.len() {
            maker.arm(at)?;
        }
        maker.roles()?;
        let things = maker.things;
        sound::check(written, &sections, &kinds, &things)?;
        Ok(things)
    }
}

/// The arm that a synthesizer with a shape of its own starts from.
fn shaped_base(synthesizer: &Section, arms: &[Section]) -> Result<Section> {
    if synthesizer.has("base") {
        let expected = "no `base` beside `model`: a model is tuned in the shape in which it was trained";
        return Err(synthesizer.impossible("base", "", expected, "remove one of the two"));
    }
    let of_kind = arms.iter().find(|arm| arm.text_if("kind").is_some_and(|kind| kind == "repetition"));
    let arm = of_kind.ok_or_else(|| no_repetition(synthesizer))?;
    if arm.sweeps_shapes() {
        let message =
            "the arm of kind `repetition` chooses its shape itself, so it is no base of another one".to_owned();
        return Err(synthesizer
            .thing_refused(message, "write an arm of this shape with evaluate = false, and name it as `base`"));
    }
    Ok(arm.shaped_as(synthesizer, &own_base(synthesizer)))
}

/// What the base is called of a synthesizer with a shape of its own: after the first one of that shape, whose base it has.
fn shaped_name(written: &Written, synthesizer: &Section) -> String {
    let first =
        written.things("synthesizer").iter().find(|other| other.has_over("model") && other.has_shape_of(synthesizer));
    own_base(first.unwrap_or(synthesizer))
}

fn own_base(synthesizer: &Section) -> String {
    format!("{}-base", synthesizer.text("name"))
}

fn no_repetition(section: &Section) -> Box<RecipeError> {
    let message = "a synthesizer starts from an arm, and there is none of kind `repetition`".to_owned();
    section.thing_refused(message, "add `[[arm]]` with kind = \"repetition\", or name the arm")
}

/// Makes things, each once.
struct Maker<'a> {
    written: &'a Written,
    sections: &'a [Section],
    kinds: &'a [Kind],
    things: Things,
}

impl Maker<'_> {
    fn embedding(&mut self, section: &Section) -> Result {
        let name = section.text("name");
        unused(section, self.things.embeddings.iter().map(|other| &other.name), &name)?;
        let path = section.text_if("path").map(PathBuf::from);
        let vectors = match (section.text("method").as_str(), path) {
            ("file", Some(path)) => Vectors::File(path),
            ("file", None) => {
                return Err(section.impossible("method", "", "`path` beside it", "give the file with the vectors"));
            }
            (_, Some(_)) => return Err(section.only_with("path", "method = \"file\"")),
            _ => Vectors::Lsa,
        };
        let embed = embed(&self.written.table("embed").under(section));
        self.things.embeddings.push(Embedding { name, vectors, embed });
        Ok(())
    }

    fn pair_set(&mut self, section: &Section) -> Result {
        let name = section.text("name");
        unused(section, self.things.pairs.iter().map(|other| &other.name), &name)?;
        let is_preset = name == SHUFFLED && !["method", "embedding", "path"].iter().any(|key| section.has(key));
        let method = if is_preset { SHUFFLED.to_owned() } else { section.text("method") };
        let context = self.written.table("model").integer("context");
        let mut method = PairMethod::read(&method, section, context)?;
        if matches!(method, PairMethod::Truth(_)) && !self.written.table("corpus").has("world") {
            let advice = "nothing is known of documents that are read: give [corpus] world, or another method";
            return Err(section.impossible("method", "", "[corpus] world beside it", advice));
        }
        let pair = pair(&self.written.table("pair").under(section))?;
        if let PairMethod::Cycle(cycle) = &mut method {
            self.rounds(section, &name, cycle, &pair)?;
        }
        self.things.pairs.push(PairSet { name, method: method.clone(), pair });
        if let PairMethod::Neighbours(Neighbours { embedding }) = &method {
            self.need_embedding(embedding, Asker { section, key: "embedding" })?;
        }
        if let Some(of) = method.of() {
            self.need_pairs(of, Asker { section, key: "of" })?;
        }
        if let Some(by) = method.by() {
            self.know_synthesizer(by, Asker { section, key: "by" })?;
        }
        Ok(())
    }

    /// The rounds of scoring before the last. Each makes a set of its own, and a synthesizer that is tuned on it scores all pairs again.
    fn rounds(&mut self, section: &Section, name: &str, cycle: &mut Cycle, pair: &Pair) -> Result {
        for round in 1..section.integer_or("rounds", 1) {
            let kept = format!("{name}-round-{round}");
            unused(section, self.things.pairs.iter().map(|other| &other.name), &kept)?;
            unused(section, self.things.synthesizers.iter().map(|other| &other.name), &kept)?;
            self.know_synthesizer(&cycle.by, Asker { section, key: "by" })?;
            let method = PairMethod::Cycle(cycle.clone());
            self.things.pairs.push(PairSet { name: kept.clone(), method, pair: pair.clone() });
            let table = self.written.table("");
            self.synthesizer(&table.thing("synthesizer", &kept).with_text("pairs", &kept))?;
            cycle.by = kept;
        }
        Ok(())
    }

    fn synthesizer(&mut self, section: &Section) -> Result {
        let name = section.text("name");
        unused(section, self.things.synthesizers.iter().map(|other| &other.name), &name)?;
        let base = self.base_of(section)?;
        let unsaid = || if self.is_set(&name) { name.clone() } else { RELATED.to_owned() };
        let pairs = section.text_if("pairs").unwrap_or_else(unsaid);
        let base = self.model_of(base, Asker { section, key: "base" })?;
        let at = self.arm_behind(&base, Asker { section, key: "base" }, &mut vec![name.clone()])?;
        let (model, train) = self.trained(at)?;
        let tune = tune(&self.written.table("tune").under(section), &model, &train)?;
        if let Writer::Synthesizer(other) = &base {
            self.know_synthesizer(other, Asker { section, key: "base" })?;
        }
        self.things.synthesizers.push(Synthesizer { name, base, pairs: pairs.clone(), tune });
        self.need_pairs(&pairs, Asker { section, key: "pairs" })
    }

    /// The arm or the synthesizer of a name, made or not.
    fn model_of(&self, name: String, asker: Asker<'_>) -> Result<Writer> {
        let model = model_called(self.written, asker.section, asker.key, self.kinds, self.sections, name)?;
        if let Writer::Arm(name) = &model {
            self.need_arm(name, asker)?;
        }
        Ok(model)
    }

    /// The place of the arm that a model is or comes from. `path` are the synthesizers on the way, of which none may come again.
    fn arm_behind(&self, model: &Writer, asker: Asker<'_>, path: &mut Vec<String>) -> Result<usize> {
        let name = match model {
            Writer::Arm(name) => return self.need_arm(name, asker),
            Writer::Synthesizer(name) => name,
        };
        if path.contains(name) {
            let circle = path.iter().chain([name]).map(|name| format!("synthesizer {name}")).collect::<Vec<_>>();
            let message = format!("things are made from each other in a circle: {}", circle.join(" <- "));
            return Err(asker.section.thing_refused(message, "let one of them be made from something else"));
        }
        path.push(name.clone());
        let section = self.written.things("synthesizer").iter().find(|section| section.text("name") == *name);
        // That of a set of pairs says no base.
        let base = section.map_or_else(|| self.repetition(asker.section), |section| self.base_of(section))?;
        let section = section.unwrap_or(asker.section);
        let asker = Asker { section, key: "base" };
        self.arm_behind(&self.model_of(base, asker)?, asker, path)
    }

    fn corpus(&mut self, section: &Section) -> Result {
        let name = section.text("name");
        unused(section, self.things.synthetic.iter().map(|other| &other.name), &name)?;
        if name == UNIQUE || name == NONE {
            let message = format!("a synthetic corpus cannot be called `{name}`: as seeds, that is something else");
            return Err(section.thing_refused(message, "give it another name"));
        }
        if let Some(truth) = section.number_if("truth") {
            return self.told(section, name, truth);
        }
        if section.has("mistakes") {
            return Err(section.only_with("mistakes", "`truth`"));
        }
        if self.written.table("generate").under(section).text("method") == ENTIGRAPH {
            return self.entigraph(section, name);
        }
        let by = match section.list_if("by") {
            Some(by) if by.len() > 1 => return self.chain(section, &name, &by),
            Some(by) => by.concat(),
            None if self.is_synthesizer(&name) => name.clone(),
            None if name == UNCONDITIONAL => self.repetition(section)?,
            None => RELATED.to_owned(),
        };
        let asker = Asker { section, key: "by" };
        let is_arm = self.sections.iter().zip(self.kinds).any(|(section, kind)| kind.name(section) == by);
        let is_synthesizer = self.is_synthesizer(&by);
        let by = match (is_arm, is_synthesizer) {
            (true, true) => {
                let message = format!(
                    "`{by}` is an arm and a synthesizer (or a set of pairs, which stands for one), and one of the two is to write here"
                );
                return Err(section.thing_refused(message, "give one of the two another name"));
            }
            (true, false) => Writer::Arm(by),
            (false, _) => {
                self.need_synthesizer(&by, asker)?;
                Writer::Synthesizer(by)
            }
        };
        let from_nothing = matches!(by, Writer::Arm(_));
        let seeds = match section.text_if("seeds").as_deref() {
            Some(NONE) => SeedsOf::None,
            Some(UNIQUE) => SeedsOf::Unique,
            None if from_nothing => SeedsOf::None,
            None => SeedsOf::Unique,
            Some(corpus) => SeedsOf::Corpus(corpus.to_owned()),
        };
        let tuned = |name: &str| self.things.synthesizers.iter().find(|other| other.name == name);
        let tune = match &by {
            Writer::Synthesizer(name) => tuned(name).map(|other| other.tune.clone()),
            Writer::Arm(_) => None,
        };
        let tune = match tune {
            Some(tune) => tune,
            // What an arm writes fits where a synthesizer's would.
            None => self.tune_of(by.name(), asker)?,
        };
        if from_nothing != (seeds == SeedsOf::None) {
            let message = match from_nothing {
                true => format!("`{}` was tuned on no pairs, so it cannot write from seeds", by.name()),
                false => format!("`{}` was tuned on pairs, so it writes from seeds", by.name()),
            };
            return Err(section.thing_refused(message, "an arm writes from no seed, a synthesizer from seeds"));
        }
        let generate = generate(&self.written.table("generate").under(section), &tune)?;
        let filter = filter(&self.written.table("filter").under(section))?;
        if from_nothing && generate.endpoint.is_some() || self.is_shuffled(&by) && generate.endpoint.is_some() {
            let message = format!("`{name}` cannot be written by a completion server, which serves one synthesizer");
            return Err(section.thing_refused(message, "write method = \"model\" for it"));
        }
        let by = Author::Model(by);
        self.things.synthetic.push(Synthetic { name, by, seeds: seeds.clone(), generate, filter });
        self.need_seeds(&seeds, section)
    }

    /// A corpus that several write in turn, each from what the one before wrote. All but the last write corpora of their own.
    fn chain(&mut self, section: &Section, name: &str, by: &[String]) -> Result {
        let mut own = section.clone();
        for (at, writer) in by.iter().enumerate() {
            own = own.with_one("by", writer);
            if at + 1 == by.len() {
                return self.corpus(&own);
            }
            let step = format!("{name}-step-{}", at + 1);
            self.corpus(&own.clone().with_text("name", &step))?;
            if self.writes_forms(writer) {
                for corpus in self.things.synthetic.iter_mut().filter(|corpus| corpus.name == step) {
                    corpus.filter = of_forms(&corpus.filter, section);
                }
            }
            own = own.with_text("seeds", &step);
        }
        Ok(())
    }

    /// A corpus that the world writes, which reads few of the keys that a model does.
    fn told(&mut self, section: &Section, name: String, truth: f64) -> Result {
        if !self.written.table("corpus").has("world") {
            let advice = "nothing is known of documents that are read: give [corpus] world, or let a model write";
            return Err(section.impossible("truth", truth, "[corpus] world beside it", advice));
        }
        if section.has("by") {
            return Err(section.impossible(
                "by",
                "",
                "no `by` beside `truth`: the world writes",
                "remove one of the two",
            ));
        }
        let read = ["samples_per_seed", "oversample", "most_written"];
        let unread = section.says_of("generate").into_iter().find(|key| !read.contains(key));
        let of_models = |key: &&str| ["min_relevance", "drop_unfinished"].contains(key) || key.starts_with("judge_");
        if let Some(key) = unread.or_else(|| section.says_of("filter").into_iter().find(of_models)) {
            let expected = format!("no `{key}` beside `truth`: it is about what a model writes");
            return Err(section.impossible(key, "it", expected, "remove the key"));
        }
        let seeds = match section.text_if("seeds").as_deref() {
            Some(NONE) => SeedsOf::None,
            Some(UNIQUE) | None => SeedsOf::Unique,
            Some(corpus) => SeedsOf::Corpus(corpus.to_owned()),
        };
        let model = model(self.written.table("model"))?;
        let train = train(self.written.table("train"), &model)?;
        let tune = tune(self.written.table("tune"), &model, &train)?;
        let mut generate = generate(&self.written.table("generate").under(section), &tune)?;
        generate.endpoint = None;
        let filter = filter(&self.written.table("filter").under(section))?;
        let mistakes = match section.text_if("mistakes").as_deref() {
            Some(CONSISTENT) => Mistakes::Consistent,
            _ => Mistakes::Independent,
        };
        let by = Author::World(Truthfulness { truth, mistakes });
        self.things.synthetic.push(Synthetic { name, by, seeds: seeds.clone(), generate, filter });
        self.need_seeds(&seeds, section)
    }

    /// A corpus that a server writes about the entities of documents.
    fn entigraph(&mut self, section: &Section, name: String) -> Result {
        if section.has("by") {
            let expected = "no `by` beside method = \"entigraph\": the server writes";
            return Err(section.impossible("by", "", expected, "remove one of the two"));
        }
        let of_model = ["samples_per_seed", "top_k", "min_p", "repetition_penalty", "slots"];
        let unread = section.says_of("generate").into_iter().find(|key| of_model.contains(key));
        let of_synthesizer = |key: &&str| *key == "min_relevance" || key.starts_with("judge_");
        if let Some(key) = unread.or_else(|| section.says_of("filter").into_iter().find(of_synthesizer)) {
            let expected = format!("no `{key}` beside method = \"entigraph\", which does not read it");
            return Err(section.impossible(key, "it", expected, "remove the key"));
        }
        let seeds = match section.text_if("seeds").as_deref() {
            Some(NONE) => {
                let expected = "`unique` or a synthetic corpus: entities are those of documents";
                return Err(section.impossible("seeds", "", expected, "remove the key"));
            }
            Some(UNIQUE) | None => SeedsOf::Unique,
            Some(corpus) => SeedsOf::Corpus(corpus.to_owned()),
        };
        let model = model(self.written.table("model"))?;
        let train = train(self.written.table("train"), &model)?;
        let tune = tune(self.written.table("tune"), &model, &train)?;
        let generate = generate(&self.written.table("generate").under(section), &tune)?;
        let filter = filter(&self.written.table("filter").under(section))?;
        self.things.synthetic.push(Synthetic { name, by: Author::Server, seeds: seeds.clone(), generate, filter });
        self.need_seeds(&seeds, section)
    }

    fn need_seeds(&mut self, seeds: &SeedsOf, section: &Section) -> Result {
        match seeds {
            SeedsOf::Corpus(corpus) => self.need_corpus(corpus, Asker { section, key: "seeds" }),
            SeedsOf::Unique | SeedsOf::None => Ok(()),
        }
    }

    /// Whether a synthesizer has learned to write forms.
    fn writes_forms(&self, name: &str) -> bool {
        let pairs = self.things.synthesizers.iter().find(|other| other.name == name).map(|other| &other.pairs);
        let set = self.things.pairs.iter().find(|set| Some(&set.name) == pairs);
        set.is_some_and(|set| set.method.writes_forms())
    }

    fn is_shuffled(&self, by: &Writer) -> bool {
        let Writer::Synthesizer(name) = by else { return false };
        let pairs = self.things.synthesizers.iter().find(|other| other.name == *name).map(|other| &other.pairs);
        self.things.pairs.iter().any(|set| Some(&set.name) == pairs && set.is_shuffled())
    }

    fn tune_of(&self, base: &str, asker: Asker<'_>) -> Result<Tune> {
        let at = self.need_arm(base, asker)?;
        let (model, train) = self.trained(at)?;
        let mut tune = tune(self.written.table("tune"), &model, &train)?;
        // Nothing is tuned for it: what counts is how much it may write at once.
        tune.context = tune.context.max(2 * model.context);
        Ok(tune)
    }

    /// The decoder and the keys of `[train]` of the arm at `at`, of its first candidate where it has several.
    fn trained(&self, at: usize) -> Result<(Model, super::Train)> {
        let section = &self.sections[at];
        let variants = section.variants()?;
        let section = variants.first().map_or(section, |(_, first)| first);
        let model = model(&self.written.table("model").under(section))?;
        let train = train(&self.written.table("train").under(section), &model)?;
        Ok((model, train))
    }

    fn arm(&mut self, at: usize) -> Result {
        let (section, kind) = (&self.sections[at], &self.kinds[at]);
        let name = kind.name(section);
        unused(section, self.things.arms.iter().map(|other| &other.name), &name)?;
        let made = arm(self.written, section, kind, self.sections, self.kinds)?;
        for corpus in section.named_corpora() {
            self.need_corpus(corpus, Asker { section, key: "synthetic" })?;
        }
        for training in made.trainings() {
            for (corpus, _) in &training.synthetic {
                self.need_corpus(corpus, Asker { section, key: "synthetic" })?;
            }
            if let Contexts::Related(embedding) = &training.contexts {
                self.need_embedding(embedding, Asker { section, key: "embedding" })?;
            }
            for (key, other) in [("operations_of", &training.operations_of)] {
                if let Some(other) = other {
                    self.need_arm(other, Asker { section, key })?;
                }
            }
            for teacher in &training.teachers {
                self.need_arm(teacher, Asker { section, key: "teachers" })?;
            }
            let asker = Asker { section, key: "init" };
            match &training.init {
                Some(Init::Model(Writer::Arm(other))) => {
                    self.need_arm(other, asker)?;
                }
                Some(Init::Model(Writer::Synthesizer(other))) => self.need_synthesizer(other, asker)?,
                Some(Init::Folder(_)) | None => {}
            }
        }
        if let Some(other) = &made.control_of {
            self.need_arm(other, Asker { section, key: "control_of" })?;
            if *other == made.name {
                return Err(section.impossible("control_of", "", "another arm", "remove the key"));
            }
        }
        self.things.arms.push(made);
        Ok(())
    }

    /// What the synthesizer of a table starts from.
    fn base_of(&self, section: &Section) -> Result<String> {
        match section.text_if("base") {
            Some(base) => Ok(base),
            None if section.has_over("model") => Ok(shaped_name(self.written, section)),
            None => self.repetition(section),
        }
    }

    /// The first arm of kind `repetition`, which is the base of what does not say another.
    fn repetition(&self, section: &Section) -> Result<String> {
        let at = self.kinds.iter().position(|kind| kind.word() == Some("repetition"));
        let at = at.ok_or_else(|| no_repetition(section))?;
        Ok(self.kinds[at].name(&self.sections[at]))
    }

    fn need_embedding(&mut self, name: &str, asker: Asker<'_>) -> Result {
        let known: Vec<String> = self.names("embedding");
        if self.things.embeddings.iter().any(|other| other.name == name) || known.iter().any(|other| other == name) {
            return Ok(());
        }
        match name {
            LSA => self.embedding(&self.written.table("").thing("embedding", name)),
            _ => Err(unknown(asker, "an embedding", name, known.iter().map(String::as_str).chain([LSA]))),
        }
    }

    fn need_pairs(&mut self, name: &str, asker: Asker<'_>) -> Result {
        let known: Vec<String> = self.names("pairs");
        if self.things.pairs.iter().any(|other| other.name == name) || known.iter().any(|other| other == name) {
            return Ok(());
        }
        let table = self.written.table("");
        match name {
            RELATED => self.pair_set(&table.thing("pairs", name)),
            SHUFFLED => self.pair_set(&table.thing("pairs", name).with_text("method", "shuffled")),
            _ => {
                Err(unknown(asker, "a set of pairs", name, known.iter().map(String::as_str).chain([RELATED, SHUFFLED])))
            }
        }
    }

    fn need_synthesizer(&mut self, name: &str, asker: Asker<'_>) -> Result {
        let known: Vec<String> = self.names("synthesizer");
        if self.things.synthesizers.iter().any(|other| other.name == name) {
            return Ok(());
        }
        if let Some(section) = self.written.things("synthesizer").iter().find(|section| section.text("name") == name) {
            return self.synthesizer(section);
        }
        let table = self.written.table("");
        match self.is_set(name) {
            true => self.synthesizer(&table.thing("synthesizer", name)),
            false => Err(unknown(
                asker,
                "a synthesizer or an arm",
                name,
                known.iter().map(String::as_str).chain([RELATED, SHUFFLED]),
            )),
        }
    }

    /// As [`Maker::need_synthesizer`], but one that is written is made when its turn comes.
    fn know_synthesizer(&mut self, name: &str, asker: Asker<'_>) -> Result {
        match self.names("synthesizer").iter().any(|other| other == name) {
            true => Ok(()),
            false => self.need_synthesizer(name, asker),
        }
    }

    fn need_corpus(&mut self, name: &str, asker: Asker<'_>) -> Result {
        let known: Vec<String> = self.names("synthetic");
        if self.things.synthetic.iter().any(|other| other.name == name) || known.iter().any(|other| other == name) {
            return Ok(());
        }
        let table = self.written.table("");
        match name == UNCONDITIONAL || self.is_synthesizer(name) {
            true => self.corpus(&table.thing("synthetic", name)),
            false => {
                let presets = [RELATED, SHUFFLED, UNCONDITIONAL];
                let others = if asker.key == "seeds" { &[UNIQUE, NONE][..] } else { &[] };
                let known = known.iter().map(String::as_str).chain(presets).chain(others.iter().copied());
                Err(unknown(asker, "a synthetic corpus", name, known))
            }
        }
    }

    /// The place of an arm, made or not.
    fn need_arm(&self, name: &str, asker: Asker<'_>) -> Result<usize> {
        let names: Vec<String> =
            self.sections.iter().zip(self.kinds).map(|(section, kind)| kind.name(section)).collect();
        let place = names.iter().position(|other| other == name);
        place.ok_or_else(|| unknown(asker, "an arm", name, names.iter().map(String::as_str)))
    }

    /// Whether a name is that of a set of pairs.
    fn is_set(&self, name: &str) -> bool {
        let is_made = || self.things.pairs.iter().any(|set| set.name == name);
        [RELATED, SHUFFLED].contains(&name) || self.names("pairs").iter().any(|other| other == name) || is_made()
    }

    /// Whether a name is that of a synthesizer, or of a set of pairs that one is tuned on.
    fn is_synthesizer(&self, name: &str) -> bool {
        self.is_set(name) || self.names("synthesizer").iter().any(|other| other == name)
    }

    fn names(&self, thing: &str) -> Vec<String> {
        self.written.things(thing).iter().map(|section| section.text("name")).collect()
    }

    /// What the report compares: as it says, or the first arms of these kinds.
    fn roles(&mut self) -> Result {
        let section = self.written.table("report");
        let mut report = about(section)?;
        for (key, role, kind) in [
            ("baseline", &mut report.baseline, "repetition"),
            ("ceiling", &mut report.ceiling, "oracle"),
            ("subject", &mut report.subject, "sbp"),
        ] {
            if let Some(name) = role {
                let at = self.need_arm(name, Asker { section, key })?;
                if !self.things.arms[at].evaluate {
                    let expected = "an arm that is measured";
                    return Err(section.impossible(key, "", expected, "remove evaluate = false from it"));
                }
                continue;
            }
            let first = self
                .kinds
                .iter()
                .zip(&self.things.arms)
                .find(|(found, arm)| found.word() == Some(kind) && arm.evaluate);
            *role = first.map(|(_, arm)| arm.name.clone());
        }
        self.things.report = report;
        Ok(())
    }
}

/// Refuses a name that another thing of the kind has.
fn unused<'a>(section: &Section, mut names: impl Iterator<Item = &'a String>, name: &str) -> Result {
    match names.any(|other| other == name) {
        false => Ok(()),
        true => {
            let message = format!("a second {} is called `{name}`", section.what());
            Err(section.thing_refused(message, "give each a `name` of its own"))
        }
    }
}

/// A refusal of a name that nothing defines.
fn unknown<'a>(asker: Asker<'_>, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Box<RecipeError> {
    let likeness = |other: &&str| strsim::jaro_winkler(name, other);
    let near = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let advice = near.map_or_else(|| "there is none at all".to_owned(), |near| format!("the nearest name is `{near}`"));
    asker.section.impossible(asker.key, name, format_args!("the name of {what}; nothing defines `{name}`"), &advice)
}
