//! A resolved recipe as TOML: every key of every table, and every thing with what it says beside the tables.

use cognate_worlds::{Mistakes, Truthfulness};
use serde::Serialize;
use toml::{Table, Value};

use super::presets::CONSISTENT;
use super::things::{Author, Contexts, Init, Real, SeedsOf, Vectors};
use super::{Arm, Recipe, Training};

type Error = toml::ser::Error;

/// Keys of `[generate]` that are not written where they are off, with what off is.
const OFF: [(&str, Value); 4] = [
    ("top_k", Value::Integer(0)),
    ("min_p", Value::Float(0.0)),
    ("repetition_penalty", Value::Float(1.0)),
    ("samples_per_seed", Value::Integer(1)),
];

impl Recipe {
    /// The recipe as TOML: every key of every table written out, and every thing that an arm needs, with those keys that are not its
    /// table's. It reads back as the same recipe.
    ///
    /// # Errors
    /// When a path is not Unicode.
    pub fn to_toml(&self) -> Result<String, Error> {
        let mut root = Table::new();
        root.insert("name".into(), self.name.clone().into());
        root.insert("seed".into(), integer(self.seed));
        root.insert("seeds".into(), self.seeds.iter().map(|seed| integer(*seed)).collect::<Vec<_>>().into());
        let tables = [
            ("corpus", self.corpus_table()?),
            ("tokenize", table(&self.tokenize)?),
            ("model", table(&self.model)?),
            ("train", table(&self.train)?),
            ("embed", table(&self.embed)?),
            ("pair", table(&self.pair)?),
            ("tune", table(&self.tune)?),
            ("generate", table(&self.generate)?),
            ("filter", table(&self.filter)?),
            ("evaluate", table(&self.evaluate)?),
            ("report", table(&self.report)?),
        ];
        root.extend(tables.into_iter().map(|(name, table)| (name.to_owned(), Value::Table(table))));
        self.put_things(&mut root)?;
        let arms = self.arms.iter().map(|arm| self.arm_table(arm)).collect::<Result<Vec<_>, _>>()?;
        root.insert("arm".into(), arms.into());
        toml::to_string(&root)
    }

    /// `[corpus]`; of a made one its world alone.
    fn corpus_table(&self) -> Result<Table, Error> {
        let mut corpus = table(&self.corpus)?;
        if self.corpus.world.is_some() {
            corpus.retain(|key, _| key == "world");
        }
        Ok(corpus)
    }

    fn put_things(&self, root: &mut Table) -> Result<(), Error> {
        let mut put = |name: &str, things: Vec<Table>| {
            if !things.is_empty() {
                root.insert(name.into(), things.into_iter().map(Value::Table).collect::<Vec<_>>().into());
            }
        };
        let mut embeddings = Vec::new();
        for embedding in &self.embeddings {
            let mut thing = named(&embedding.name);
            if let Vectors::File(path) = &embedding.vectors {
                say(&mut thing, "method", "file");
                thing.insert("path".into(), Value::try_from(path)?);
            }
            beside(&mut thing, &embedding.embed, &self.embed)?;
            embeddings.push(thing);
        }
        put("embedding", embeddings);
        let mut sets = Vec::new();
        for pairs in &self.pairs {
            let mut thing = named(&pairs.name);
            say(&mut thing, "method", pairs.method.word());
            thing.extend(table(&pairs.method)?);
            beside(&mut thing, &pairs.pair, &self.pair)?;
            sets.push(thing);
        }
        put("pairs", sets);
        let mut synthesizers = Vec::new();
        for synthesizer in &self.synthesizers {
            let mut thing = named(&synthesizer.name);
            say(&mut thing, "base", synthesizer.base.name());
            say(&mut thing, "pairs", &synthesizer.pairs);
            beside(&mut thing, &synthesizer.tune, &self.tune)?;
            synthesizers.push(thing);
        }
        put("synthesizer", synthesizers);
        let mut corpora = Vec::new();
        for corpus in &self.synthetic {
            let mut thing = named(&corpus.name);
            match &corpus.by {
                Author::Model(model) => say(&mut thing, "by", model.name()),
                // Its method says it.
                Author::Server => {}
                Author::World(Truthfulness { truth, mistakes }) => {
                    thing.insert("truth".into(), (*truth).into());
                    if *mistakes == Mistakes::Consistent {
                        say(&mut thing, "mistakes", CONSISTENT);
                    }
                }
            }
            let seeds = match &corpus.seeds {
                SeedsOf::Unique => "unique",
                SeedsOf::None => "none",
                SeedsOf::Corpus(name) => name,
            };
            say(&mut thing, "seeds", seeds);
            beside(&mut thing, &corpus.generate, &self.generate)?;
            // What is off is not written, and would read back as the table's.
            let (own, shared) = (table(&corpus.generate)?, table(&self.generate)?);
            // A server is not asked for these.
            for (key, off) in OFF.into_iter().filter(|_| corpus.by != Author::Server) {
                if shared.contains_key(key) && !own.contains_key(key) {
                    thing.insert(key.to_owned(), off);
                }
            }
            beside(&mut thing, &corpus.filter, &self.filter)?;
            corpora.push(thing);
        }
        put("synthetic", corpora);
        Ok(())
    }

    fn arm_table(&self, arm: &Arm) -> Result<Value, Error> {
        let mut thing = named(&arm.name);
        let training = &arm.training;
        if training.documents == Real::All {
            say(&mut thing, "documents", "all");
        }
        if let Some(max_epochs) = training.max_epochs {
            thing.insert("max_epochs".into(), max_epochs.into());
        }
        say(&mut thing, "order", training.order.word());
        if let Contexts::Related(embedding) = &training.contexts {
            say(&mut thing, "contexts", "related");
            say(&mut thing, "embedding", embedding);
        }
        match &training.init {
            Some(Init::Model(model)) => say(&mut thing, "init", model.name()),
            Some(Init::Folder(path)) => {
                thing.insert("init".into(), Value::try_from(path)?);
            }
            None => {}
        }
        let mut teachers = arm.trainings().map(|training| &training.teachers);
        if let Some(teachers) = teachers.find(|teachers| !teachers.is_empty()) {
            thing.insert("teachers".into(), Value::try_from(teachers)?);
        }
        if let Some(other) = &training.operations_of {
            say(&mut thing, "operations_of", other);
        }
        if let Some(other) = &arm.control_of {
            say(&mut thing, "control_of", other);
        }
        if arm.other_budget {
            thing.insert("other_budget".into(), true.into());
        }
        if !arm.evaluate {
            thing.insert("evaluate".into(), false.into());
        }
        if arm.members > 1 {
            thing.insert("members".into(), integer(arm.members as u64));
        }
        if arm.sweep.is_empty() {
            self.put_training(&mut thing, training)?;
            return Ok(Value::Table(thing));
        }
        thing.insert("selection_documents".into(), integer(arm.selection_documents as u64));
        let mut candidates = Vec::new();
        for candidate in &arm.sweep {
            let mut one = named(&candidate.name);
            self.put_training(&mut one, &candidate.training)?;
            if candidate.training.teachers.is_empty() && thing.contains_key("teachers") {
                let train = one.entry("train").or_insert_with(|| Value::Table(Table::new()));
                train.as_table_mut().map(|train| train.insert("teacher_share".into(), 0.0.into()));
            }
            candidates.push(Value::Table(one));
        }
        thing.insert("sweep".into(), candidates.into());
        Ok(Value::Table(thing))
    }

    /// What a training says beside `[model]` and `[train]`.
    fn put_training(&self, thing: &mut Table, training: &Training) -> Result<(), Error> {
        if !training.synthetic.is_empty() {
            let shares = training.synthetic.iter().map(|(name, share)| (name.clone(), Value::from(*share)));
            thing.insert("synthetic".into(), Value::Table(shares.collect()));
        }
        for (name, own, shared) in [
            ("model", table(&training.model)?, table(&self.model)?),
            ("train", table(&training.train)?, table(&self.train)?),
        ] {
            let own = difference(own, &shared);
            if !own.is_empty() {
                thing.insert(name.into(), Value::Table(own));
            }
        }
        Ok(())
    }
}

/// # Panics
/// Never: seeds and sizes fit, as the recipe's reader sees to.
fn integer(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn named(name: &str) -> Table {
    Table::from_iter([("name".to_owned(), Value::from(name))])
}

fn say(thing: &mut Table, key: &str, word: &str) {
    thing.insert(key.to_owned(), word.into());
}

fn table(value: &impl Serialize) -> Result<Table, Error> {
    Table::try_from(value)
}

fn difference(mut own: Table, shared: &Table) -> Table {
    own.retain(|key, value| shared.get(key) != Some(value));
    own
}

/// Adds the keys of a thing that are not its table's.
fn beside(thing: &mut Table, own: &impl Serialize, shared: &impl Serialize) -> Result<(), Error> {
    thing.extend(difference(table(own)?, &table(shared)?));
    Ok(())
}
