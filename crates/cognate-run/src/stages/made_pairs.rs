//! Pairs whose texts are made from documents' forms, from given phrases or from nothing, for `pair`.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::path::Path;

use cognate_base::{Monitor, Unit};
use cognate_corpus::Records;
use cognate_pair::derived::{Derived, Forms, Side, Trees, parted, strung};
use cognate_pair::{Pair, part_derived};
use serde_json::{Value, json};

use super::derived::Texts;
use super::pair::{counts, tell_unseen, write};
use super::texts::texts_in;
use crate::context::{Context, Made};
use crate::error::{Error, Result};
use crate::rundir::Work;
use crate::step::Step;

/// Pairs that measure, at least, and phrases that these are made of: as many as a synthesizer is measured by.
const LEAST_MEASURED: usize = 12;
/// The fields of a file of phrases.
const SIDES: [&str; 2] = ["source", "target"];

/// How many measure beside or of `n`: a share of them, and several where any do.
fn measuring(share: f64, n: usize) -> usize {
    if share > 0.0 { LEAST_MEASURED.max((share * n as f64).round() as usize) } else { 0 }
}

/// Pairs while they are made: first those that a synthesizer learns from, then those that measure it.
struct Writing<'a> {
    context: &'a Context<'a>,
    at: usize,
    folder: &'a Path,
    made: Made,
    ids: Vec<String>,
    given: Vec<Pair>,
    /// Texts of the first part.
    learned: usize,
}

impl<'a> Writing<'a> {
    fn new(context: &'a Context<'a>, at: usize, folder: &'a Path) -> Self {
        Self { context, at, folder, made: Made::default(), ids: Vec::new(), given: Vec::new(), learned: 0 }
    }

    /// Writes the pairs of a split, each with the name of what it is made from.
    fn part(
        &mut self,
        split: &'static str,
        of: u64,
        pairs: impl Iterator<Item = (String, Derived)>,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let tokenizer = self.context.tokenizer()?;
        let mut texts = Texts::create(self.folder, split, &tokenizer)?;
        monitor.begin("pairing", Some(of), Unit::Documents);
        for (number, (name, Derived { source, target })) in pairs.enumerate() {
            monitor.check()?;
            let first = (self.ids.len() + 2 * number) as u32;
            texts.push(format!("{name}#source"), source)?;
            texts.push(format!("{name}#target"), target)?;
            self.given.push(Pair { first, second: first + 1, similarity: 0.0 });
            monitor.advance(number as u64 + 1, "");
        }
        monitor.end();
        self.ids.extend(texts.finish(&mut self.made)?);
        if split == "unique" {
            self.learned = self.ids.len();
        }
        Ok(())
    }

    /// Writes which texts are pairs, with what else was counted.
    fn finish(mut self, passed_over: u64, reason: &str, more: Option<(&str, Value)>) -> Result<Made> {
        let recipe = self.context.recipe;
        let set = &recipe.pairs[self.at];
        if self.learned == 0 {
            return Err(Error::NothingDerived { pairs: set.name.clone(), passed_over: reason.to_owned() });
        }
        let label = Step::Pair(self.at).label(recipe);
        tracing::info!("{label}: {} pairs{reason}", self.given.len());
        let (pairs, unseen) = part_derived(self.learned, &self.given, set.pair.held_out_share, recipe.seed)?;
        tell_unseen(&label, &unseen);
        write(self.folder, &self.ids, &pairs, &mut self.made)?;
        let mut statistics = counts(&pairs, passed_over, unseen);
        if let Some((name, value)) = more {
            statistics[name] = value;
        }
        self.made.work = Work { statistics, documents: self.ids.len() as u64, ..Work::default() };
        Ok(self.made)
    }
}

/// A form of each document and the document; the other way round `to_form`.
pub(super) fn forms(
    context: &Context<'_>,
    at: usize,
    (keywords, to_form): (usize, bool),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let unique = texts_in(context, Path::new("ingest"), "unique", monitor)?;
    let forms = Forms::of(unique.iter().map(|(_, text)| text.as_str()), monitor)?;
    let mut writing = Writing::new(context, at, folder);
    let mut without = 0;
    let selection = texts_in(context, Path::new("ingest"), "selection", monitor)?;
    for (split, texts) in [("unique", unique), ("selection", selection)] {
        let of = texts.len() as u64;
        let pairs = texts.into_iter().filter_map(|(id, text)| {
            let Some(form) = forms.form(&text, keywords) else {
                without += 1;
                return None;
            };
            let (source, target) = if to_form { (text, form) } else { (form, text) };
            Some((format!("{id}#form"), Derived { source: Side::Text(source), target: Side::Text(target) }))
        });
        writing.part(split, of, pairs, monitor)?;
    }
    let reason =
        if without > 0 { format!("; passed over: {without} documents without two keywords") } else { String::new() };
    writing.finish(without, &reason, None)
}

/// Pairs of phrases that a file gives, strung together.
pub(super) fn phrases(
    context: &Context<'_>,
    at: usize,
    (path, parts, made): (&Path, usize, usize),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let mut all = Vec::new();
    for record in Records::open(path)? {
        monitor.check()?;
        let record = record?;
        let side = |field: &'static str| match record.fields.get(field) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
            other => Err(Error::Phrase {
                origin: record.origin.to_string(),
                field,
                found: other.map_or_else(|| "missing".to_owned(), |value| format!("{value}")),
            }),
        };
        let [source, target] = SIDES.map(side);
        all.push((source?, target?));
    }
    all.sort_unstable();
    all.dedup();
    let share = recipe.pairs[at].pair.held_out_share;
    // What measures is of phrases that are learned nowhere, and of several.
    let several = if share > 0.0 { LEAST_MEASURED } else { 1 };
    if all.len() < 2 * several {
        let pairs = recipe.pairs[at].name.clone();
        return Err(Error::FewPhrases { pairs, path: path.to_path_buf(), found: all.len(), least: 2 * several });
    }
    let held = measuring(share, all.len()).min(all.len() - several);
    let (learned, held_out) = parted(&all, held, recipe.seed);
    let measured = measuring(share, made);
    let mut writing = Writing::new(context, at, folder);
    let named = |split: &str| {
        let split = split.to_owned();
        move |(number, pair): (usize, Derived)| (format!("phrases-{split}-{number}"), pair)
    };
    let pairs = strung(&learned, made, parts, recipe.seed).enumerate().map(named("unique"));
    writing.part("unique", made as u64, pairs, monitor)?;
    let pairs = strung(&held_out, measured, parts, recipe.seed).enumerate().map(named("selection"));
    writing.part("selection", measured as u64, pairs, monitor)?;
    let counted = json!({"learned": learned.len(), "held_out": held_out.len()});
    writing.finish(0, &format!(", of {} different phrases", all.len()), Some(("phrases", counted)))
}

/// What tells a text from others.
fn sum(side: &Side) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    match side {
        Side::Text(text) => text.hash(&mut hasher),
        Side::Tokens(tokens) => tokens.hash(&mut hasher),
    }
    hasher.finish()
}

/// Sentences of two made languages.
pub(super) fn trees(
    context: &Context<'_>,
    at: usize,
    (words, parts, swap, made): (usize, usize, f64, usize),
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Made> {
    let recipe = context.recipe;
    let trees = Trees::new(words, parts, swap, recipe.seed, monitor)?;
    let share = recipe.pairs[at].pair.held_out_share;
    let measured = measuring(share, made);
    let mut writing = Writing::new(context, at, folder);
    let pair = |number: u64| (format!("tree-{number}"), trees.pair(number));
    let (made, measured) = (made as u64, measured as u64);
    let mut learned = HashSet::new();
    let unique = (0..made).map(pair).inspect(|(_, pair)| {
        learned.insert(sum(&pair.source));
    });
    writing.part("unique", made, unique, monitor)?;
    // Of few words and short sentences some come twice, and there may be no others.
    let tries = made..made + 10 * measured;
    let others = tries.map(pair).filter(|(_, pair)| !learned.contains(&sum(&pair.source))).take(measured as usize);
    writing.part("selection", measured, others, monitor)?;
    writing.finish(0, "", None)
}
