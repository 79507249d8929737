//! `cognate inspect synthetic`: documents drawn from what a synthesizer wrote, with their seeds and true neighbours, from a run
//! directory or from plain files. Reads and never writes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cognate_base::Silent;
use cognate_base::random::{self, Rng};
use cognate_corpus::{Document, ReadOptions, Reader};
use cognate_pair::{Pair, read_pairs, read_pairs_among};
use cognate_results::{DropReason, ExampleText, Inspected, Inspection, Neighbour, Overlap, Written};
use cognate_synth::filter::stage::{DROPPED, KEPT};
use cognate_synth::{generate::files::document_files, metadata, pair_overlap};

use crate::error::{Error, Result};
use crate::graph::behind;
use crate::recipe::{Recipe, SeedsOf};
use crate::rundir::{Manifest, RECIPE, refuse_first_release};
use crate::stages::related::nearest;
use crate::stages::texts::read_texts;
use crate::step::{Step, writer};

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InspectOptions {
    /// The documents that seeds are; a run directory has its own.
    pub documents: Option<PathBuf>,
    /// Pairs that neighbours are taken from; a run directory has its own.
    pub pairs: Option<PathBuf>,
    /// Documents that were filtered out, instead of those kept.
    pub dropped: bool,
    /// Only documents whose seed has a true neighbour.
    pub paired: bool,
    /// Most documents to draw.
    pub number: usize,
    /// Seed of the draw.
    pub seed: u64,
    /// Of a run, the synthetic corpus; that of the arm which the report is about where none is named.
    pub corpus: Option<String>,
    /// How documents are read that are not a run's own.
    pub read: ReadOptions,
}

/// Where everything lies.
struct Sources {
    is_run: bool,
    name: String,
    synthetic: Vec<PathBuf>,
    which: &'static str,
    documents: PathBuf,
    pairs: Vec<PathBuf>,
    read: ReadOptions,
}

/// Draws documents of `dir`, each as likely as any other: a run directory, or a folder (or one file) of synthetic documents.
///
/// # Errors
/// When `dir` is a run that has not come so far, or no run and the seeds' documents are not given; when there is nothing of the kind
/// asked for; when a document names an unknown seed; and when a file is damaged.
pub fn inspect(dir: &Path, options: &InspectOptions) -> Result<Inspection> {
    let sources = if dir.join(RECIPE).exists() { of_run(dir, options)? } else { of_files(dir, options)? };
    let (ids, texts): (Vec<String>, Vec<String>) =
        read_texts(&sources.documents, &sources.read, &Silent)?.into_iter().unzip();
    let mut pairs = Vec::new();
    for path in &sources.pairs {
        // Some of a run's pairs measure, and lead to documents that are no seeds.
        pairs.extend(if sources.is_run {
            read_pairs_among(path, &ids, &Silent)?.0
        } else {
            read_pairs(path, &ids, &Silent)?
        });
    }
    let corpus = Corpus {
        numbers: ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect(),
        ids: &ids,
        texts: &texts,
        path: &sources.documents,
        nearest: nearest(&pairs),
    };
    let (drawn, of) = draw(&sources, options, &corpus)?;
    if drawn.is_empty() {
        let what = match (options.dropped, options.paired && of > 0) {
            (false, false) => "synthetic documents",
            (true, false) => "dropped documents",
            (_, true) => "documents whose seed has a true neighbour",
        };
        return Err(Error::NoDocuments { path: dir.to_path_buf(), what });
    }
    Ok(Inspection {
        name: sources.name,
        which: sources.which.to_owned(),
        of,
        seed: options.seed,
        paired: options.paired,
        with_neighbours: !sources.pairs.is_empty(),
        documents: drawn.iter().map(|document| corpus.beside(document)).collect::<Result<_>>()?,
    })
}

/// The files of a run, whose stages must have come so far.
fn of_run(root: &Path, options: &InspectOptions) -> Result<Sources> {
    for (flag, given) in [("--documents", &options.documents), ("--pairs", &options.pairs)] {
        if let Some(given) = given {
            return Err(setting(flag, given, "nothing, since a run directory has its own"));
        }
    }
    refuse_first_release(root)?;
    let recipe = Recipe::load(&root.join(RECIPE))?;
    let corpus = match &options.corpus {
        Some(name) => recipe.synthetic.iter().position(|corpus| corpus.name == *name).ok_or_else(|| {
            let known: Vec<&str> = recipe.synthetic.iter().map(|corpus| corpus.name.as_str()).collect();
            let expected = format!("the name of a synthetic corpus of this run: {}", known.join(", "));
            Error::Setting { name: "--corpus".to_owned(), found: name.clone(), expected }
        })?,
        None => recipe.subject_corpora().first().copied().or((!recipe.synthetic.is_empty()).then_some(0)).ok_or_else(
            || setting("DIR", root, "a run with an arm that sees synthetic documents, as one of the kind `sbp` does"),
        )?,
    };
    for step in behind(&recipe, Step::Filter(corpus)) {
        if Manifest::read(&root.join(step.folder(&recipe)))?.is_none() {
            return Err(Error::Unfinished { folder: root.to_path_buf(), stage: step.label(&recipe) });
        }
    }
    let pairs = match writer(&recipe, corpus) {
        Some(Step::Tune(at)) if recipe.is_related(corpus) => {
            let set = recipe.true_set(recipe.pair_set(&recipe.synthesizers[at].pairs));
            let folder = root.join(Step::Pair(set).folder(&recipe));
            // What was made of documents is no document of the corpus.
            let of_documents = recipe.texts_of(set).is_none();
            ["train.parquet", "held_out.parquet"]
                .into_iter()
                .filter(|_| of_documents)
                .map(|part| folder.join(part))
                .collect()
        }
        _ => Vec::new(),
    };
    let documents = match &recipe.synthetic[corpus].seeds {
        SeedsOf::Corpus(name) => root.join(Step::Filter(recipe.corpus_of(name)).folder(&recipe)).join(KEPT),
        SeedsOf::Unique | SeedsOf::None => root.join("ingest/unique.jsonl.zst"),
    };
    let recipe_seeds_are_unique = recipe.synthetic[corpus].seeds == SeedsOf::Unique;
    let (file, which) = if options.dropped { (DROPPED, "dropped") } else { (KEPT, "kept") };
    Ok(Sources {
        synthetic: vec![root.join(Step::Filter(corpus).folder(&recipe)).join(file)],
        is_run: true,
        name: recipe.name,
        which,
        documents,
        // Pairs are of unique documents: other seeds have no neighbours among them.
        pairs: if recipe_seeds_are_unique { pairs } else { Vec::new() },
        read: ReadOptions::default(),
    })
}

/// A folder that `filter` or `generate` wrote, or any other file or folder of documents.
fn of_files(dir: &Path, options: &InspectOptions) -> Result<Sources> {
    if !dir.exists() {
        return Err(cognate_corpus::Error::Missing { path: dir.to_path_buf() }.into());
    }
    if let Some(corpus) = &options.corpus {
        let (name, expected) = ("--corpus".to_owned(), "nothing, since DIR is no run directory".to_owned());
        return Err(Error::Setting { name, found: corpus.clone(), expected });
    }
    let Some(documents) = options.documents.clone() else {
        let expected = format!(
            "the documents that {} was written from, since it is no run directory: it has no `{RECIPE}`",
            dir.display()
        );
        return Err(Error::Setting { name: "--documents".to_owned(), found: "nothing".to_owned(), expected });
    };
    let filtered = dir.join(KEPT).exists() || dir.join(DROPPED).exists();
    let (synthetic, which) = match (filtered, options.dropped) {
        (true, false) => (vec![dir.join(KEPT)], "kept"),
        (_, true) => (vec![dir.join(DROPPED)], "dropped"),
        (false, false) => (document_files(&[dir.to_path_buf()])?, "synthetic"),
    };
    let whole = fs_err::canonicalize(dir)?;
    let name = whole.file_name().map_or_else(|| "documents".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(Sources {
        is_run: false,
        name,
        synthetic,
        which,
        documents,
        pairs: options.pairs.iter().cloned().collect(),
        read: options.read.clone(),
    })
}

fn setting(name: &str, found: &Path, expected: &str) -> Error {
    Error::Setting { name: name.to_owned(), found: found.display().to_string(), expected: expected.to_owned() }
}

/// The documents with the lowest places, in the order of the files, and how many there are in all. A document's place depends on
/// the seed and its number alone, so a larger draw holds the smaller one.
fn draw(sources: &Sources, options: &InspectOptions, corpus: &Corpus<'_>) -> Result<(Vec<Document>, u64)> {
    let mut drawn: Vec<(u64, u64, Document)> = Vec::new();
    let mut of = 0;
    for (number, record) in (0u64..).zip(Reader::open(&sources.synthetic, &ReadOptions::default(), &Silent)?) {
        let (_, document) = record?;
        of += 1;
        if options.paired && corpus.seed_of(&document)?.is_none_or(|seed| !corpus.nearest.contains_key(&(seed as u32)))
        {
            continue;
        }
        let place = random::stream(options.seed, "inspect", number).next_u64();
        let at = drawn.partition_point(|(other, ..)| *other <= place);
        if at < options.number {
            drawn.insert(at, (place, number, document));
            drawn.truncate(options.number);
        }
    }
    drawn.sort_unstable_by_key(|(_, number, _)| *number);
    Ok((drawn.into_iter().map(|(.., document)| document).collect(), of))
}

/// The documents that seeds are, and their relations.
struct Corpus<'a> {
    numbers: HashMap<&'a str, usize>,
    ids: &'a [String],
    texts: &'a [String],
    path: &'a Path,
    nearest: HashMap<u32, Pair>,
}

impl Corpus<'_> {
    /// The number of the seed that a document names.
    fn seed_of(&self, document: &Document) -> Result<Option<usize>> {
        let Some(seed_id) = metadata::seed_id(document)? else { return Ok(None) };
        let unknown = || cognate_synth::Error::UnknownSeed {
            id: document.id.clone(),
            seed_id: seed_id.to_owned(),
            path: self.path.to_path_buf(),
        };
        Ok(Some(self.numbers.get(seed_id).copied().ok_or_else(unknown)?))
    }

    fn text(&self, number: usize) -> ExampleText {
        ExampleText { id: self.ids[number].clone(), text: self.texts[number].clone() }
    }

    /// A synthetic document with everything that is known about it.
    fn beside(&self, document: &Document) -> Result<Inspected> {
        let seed = self.seed_of(document)?;
        let overlap = |text: &str| seed.map(|seed| overlap(&self.texts[seed], text)).transpose();
        let dropped = metadata::dropped(document)?;
        let synthetic = Written {
            id: document.id.clone(),
            dropped: dropped
                .map(|(reason, detail)| DropReason { reason: reason.to_owned(), detail: detail.to_owned() }),
            relevance: metadata::relevance(document)?,
            cycle: metadata::cycle(document)?,
            mean_log_probability: metadata::mean_log_probability(document)?,
            tokens: metadata::tokens(document)?,
            finish_reason: metadata::finish_reason(document)?.map(str::to_owned),
            overlap: overlap(&document.text)?,
            text: document.text.clone(),
        };
        let neighbour = seed.and_then(|seed| self.nearest.get(&(seed as u32))).map(|pair| -> Result<Neighbour> {
            let ExampleText { id, text } = self.text(pair.second as usize);
            Ok(Neighbour { similarity: f64::from(pair.similarity), overlap: overlap(&text)?, id, text })
        });
        Ok(Inspected { seed: seed.map(|seed| self.text(seed)), synthetic, neighbour: neighbour.transpose()? })
    }
}

/// What `text` takes over from `seed`, by the words of the filters.
fn overlap(seed: &str, text: &str) -> Result<Overlap> {
    let (_, copied) = pair_overlap(&[(seed, text)], 1.0, &Silent)?;
    Ok(Overlap { share: copied.coverage.map(|coverage| coverage.value), longest_words: copied.most })
}
