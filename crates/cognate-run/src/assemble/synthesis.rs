//! Sets of pairs, synthesizers and synthetic corpora: what a report says of each, those that the subject is made from first.

use cognate_pair::{Histogram, LsaStats, PairStats, Rule, UnseenStats};
use cognate_results::{
    Dropped, Measure, Pairs, Relation, RelationLoss, RelationPoint, SimilarityHistogram, SyntheticQuality,
};
use cognate_synth::Reason;
use serde::Deserialize;

use super::{Assembly, quality_tables};
use cognate_worlds::{Mistakes, Truthfulness};

use crate::error::Result;
use crate::recipe::pair_methods::Neighbours;
use crate::recipe::{Author, PairMethod, SeedsOf, Vectors, Writer};
use crate::stages::filter::Filtered;
use crate::stages::pair;
use crate::stages::train::training::Trained;
use crate::step::{Step, writer};

impl Assembly<'_> {
    /// The synthetic corpora, those of the subject first, the largest share before the others.
    pub(super) fn corpora(&self) -> Vec<usize> {
        distinct(self.recipe.subject_corpora(), self.recipe.synthetic.len())
    }

    /// The corpus that cards and examples tell of: that of which the subject takes most, or the first.
    pub(crate) fn subject_corpus(&self) -> Option<usize> {
        self.corpora().first().copied()
    }

    /// The pairs that its synthesizer learned from.
    pub(super) fn subject_pairs(&self) -> Option<usize> {
        Some(self.pairs_of(self.synthesizer_of(self.subject_corpus()?)?))
    }

    /// The synthesizer that wrote a corpus; none where an arm's model did.
    fn synthesizer_of(&self, corpus: usize) -> Option<usize> {
        match writer(self.recipe, corpus) {
            Some(Step::Tune(at)) => Some(at),
            _ => None,
        }
    }

    /// The synthesizers, in the order of their corpora.
    pub(super) fn synthesizers(&self) -> Vec<usize> {
        let writers = self.corpora().into_iter().filter_map(|corpus| self.synthesizer_of(corpus));
        distinct(writers, self.recipe.synthesizers.len())
    }

    /// The set of pairs that the synthesizer at `at` learned from.
    fn pairs_of(&self, at: usize) -> usize {
        self.recipe.pair_set(&self.recipe.synthesizers[at].pairs)
    }

    /// What became of the documents of each finished corpus: of the first, and of the others.
    pub(super) fn synthetic(&self) -> Result<(Option<SyntheticQuality>, Vec<SyntheticQuality>)> {
        first_and_further(self.corpora(), |corpus| self.synthetic_quality(corpus))
    }

    /// What is known of each finished set of pairs, in the order of the synthesizers that learn from them.
    pub(super) fn pair_sets(&self) -> Result<(Option<Pairs>, Vec<Pairs>)> {
        let learned = self.synthesizers().into_iter().map(|at| self.pairs_of(at));
        first_and_further(distinct(learned, self.recipe.pairs.len()), |set| self.pairs(set))
    }

    /// What tuning taught each finished synthesizer.
    pub(super) fn relations(&self) -> Result<(Option<Relation>, Vec<Relation>)> {
        let (first, mut further) = first_and_further(self.synthesizers(), |at| self.relation(at))?;
        // What the answer is about may be written by no synthesizer.
        if self.subject_corpus().is_some_and(|corpus| self.synthesizer_of(corpus).is_none()) {
            further.splice(0..0, first);
            return Ok((None, further));
        }
        Ok((first, further))
    }

    fn synthetic_quality(&self, corpus: usize) -> Result<Option<SyntheticQuality>> {
        let Some(filtered) = self.statistics_of::<Filtered>(Some(Step::Filter(corpus)))? else { return Ok(None) };
        let stats = &filtered.filter;
        let dropped = Reason::ALL.into_iter().map(|reason| Dropped {
            reason: reason.name().replace('_', " "),
            documents: stats.dropped.get(&reason).copied().unwrap_or(0),
        });
        let base = self.recipe.base_of(corpus).map(|arm| self.report_name(&self.recipe.arms[arm]));
        let calibration = filtered.measured.as_ref().and_then(|measured| measured.calibration.as_ref());
        Ok(Some(SyntheticQuality {
            name: self.recipe.synthetic[corpus].name.clone(),
            made: self.how_written(corpus),
            generated_documents: stats.read.documents,
            kept_documents: stats.kept.documents,
            kept_tokens: filtered.synthetic.tokens,
            dropped: dropped.collect(),
            figures: quality_tables::figures(&filtered, base),
            rules: quality_tables::rules(&filtered),
            pair_figures: quality_tables::pair_figures(&filtered),
            calibration: calibration.map(quality_tables::calibration),
        }))
    }

    /// By whom a corpus was written, and from what.
    fn how_written(&self, corpus: usize) -> String {
        let of = &self.recipe.synthetic[corpus];
        let from = match &of.seeds {
            SeedsOf::Unique => "from the unique documents".to_owned(),
            SeedsOf::Corpus(name) => format!("from the documents of the corpus {name}"),
            SeedsOf::None => "from no document".to_owned(),
        };
        let by = match &of.by {
            Author::Model(model) => self.model_of(model),
            Author::Server => {
                let model = of.generate.endpoint.as_ref().map_or("", |endpoint| &endpoint.model);
                format!("{model}, a model behind a server, about two or three entities of a document each")
            }
            Author::World(Truthfulness { truth, mistakes }) => {
                let mistakes = match mistakes {
                    Mistakes::Independent => "",
                    Mistakes::Consistent => " and makes the same mistakes each time",
                };
                format!("the world, which says what is true with a probability of {truth}{mistakes}")
            }
        };
        format!("Written by {by}, {from}.")
    }

    /// A synthesizer, or an arm's model, in words.
    fn model_of(&self, writer: &Writer) -> String {
        match writer {
            Writer::Synthesizer(name) => format!("the synthesizer {name}"),
            Writer::Arm(name) => {
                format!("the model of the arm {}", self.report_name(&self.recipe.arms[self.recipe.arm(name)]))
            }
        }
    }

    fn pairs(&self, set: usize) -> Result<Option<Pairs>> {
        let method = &self.recipe.pairs[set].method;
        if let PairMethod::Neighbours(Neighbours { embedding }) = method {
            return self.neighbours(set, embedding);
        }
        let method = pair::method(method);
        let Some(counted) = self.statistics_of::<Counted>(Some(Step::Pair(set)))? else { return Ok(None) };
        let mut counts = vec![
            count("pairs for training", counted.train_pairs, "pairs"),
            count("pairs held out", counted.held_out_pairs, "pairs"),
        ];
        if counted.passed_over > 0 {
            let (what, unit) = method.passed_over();
            counts.push(count(what, counted.passed_over, unit));
        }
        Ok(Some(Pairs {
            name: self.recipe.pairs[set].name.clone(),
            embedder: String::new(),
            min_similarity: 0.0,
            max_similarity: 0.0,
            chosen: method.told().unwrap_or_default(),
            counts,
            histogram: SimilarityHistogram {
                precision: Vec::new(),
                edges: Vec::new(),
                neighbours: Vec::new(),
                random: Vec::new(),
            },
        }))
    }

    fn neighbours(&self, set: usize, embedding: &str) -> Result<Option<Pairs>> {
        let Some(stats) = self.statistics_of::<PairStats>(Some(Step::Pair(set)))? else { return Ok(None) };
        let at = self.recipe.embedding(embedding);
        let embedder = match self.recipe.embeddings[at].vectors {
            Vectors::Lsa => {
                let stats = self.statistics_of::<LsaStats>(Some(Step::Embed(at)))?;
                format!("latent semantic analysis, {} dimensions", stats.map_or(0, |stats| stats.dimensions))
            }
            Vectors::File(_) => "given vectors".to_owned(),
        };
        let several = self.recipe.embeddings.len() > 1;
        let similarities = &stats.similarities;
        Ok(Some(Pairs {
            name: self.recipe.pairs[set].name.clone(),
            embedder: if several { format!("{embedding} ({embedder})") } else { embedder },
            min_similarity: f64::from(stats.window.min_similarity),
            max_similarity: f64::from(stats.window.max_similarity),
            chosen: chosen(&stats),
            counts: vec![
                count("documents", stats.documents, "documents"),
                count("documents with a related one", stats.documents_with_pairs, "documents"),
                count("pairs for training", stats.train_pairs, "pairs"),
                count("pairs held out", stats.held_out_pairs, "pairs"),
                count("documents of held-out pairs", stats.held_out_documents, "documents"),
                count("unseen documents with a related one", stats.unseen.with_pairs, "documents"),
                count("dropped as near-copies", stats.near_copies, "pairs"),
                count("dropped as not similar enough", stats.below_window, "pairs"),
                count("dropped because one document is held out", stats.straddling, "pairs"),
                measure("targets of a seed, mean", stats.targets_per_seed.mean, "documents"),
                count("targets of a seed, most", stats.targets_per_seed.max as usize, "documents"),
            ],
            histogram: SimilarityHistogram {
                precision: stats.precision.from_bin.clone(),
                edges: edges(&similarities.neighbour_histogram),
                neighbours: similarities.neighbour_histogram.counts.clone(),
                random: similarities.random_histogram.counts.clone(),
            },
        }))
    }

    fn relation(&self, at: usize) -> Result<Option<Relation>> {
        let Some(trained) = self.statistics_of::<Trained>(Some(Step::Tune(at)))? else { return Ok(None) };
        let losses = |relation: &cognate_eval::Relation| RelationLoss {
            true_seed: relation.true_seed,
            random_seed: relation.random_seed,
            no_seed: relation.no_seed,
            gain_over_random: relation.gain_over_random,
            gain_over_none: relation.gain_over_none,
        };
        let set = self.pairs_of(at);
        let counted = self.statistics_of::<Counted>(Some(Step::Pair(set)))?;
        let chosen_at = trained.curve.iter().find(|point| point.step == trained.best_step).map(|point| point.tokens);
        let synthesizer = &self.recipe.synthesizers[at];
        Ok(trained.relation.map(|relations| Relation {
            name: synthesizer.name.clone(),
            made: format!("Tuned on the pairs {}, from {}.", synthesizer.pairs, self.model_of(&synthesizer.base)),
            control: self.recipe.pairs[set].is_shuffled(),
            pairs: relations.after.pairs,
            unseen: counted.is_some_and(|counted| counted.unseen.measure),
            before: losses(&relations.before),
            after: losses(&relations.after),
            unused: relations.after.is_nothing(),
            curve: trained.curve.iter().filter_map(relation_point).collect(),
            chosen_at: chosen_at.unwrap_or_default(),
        }))
    }
}

/// `first` in their order, then what is left of `all` things, each once.
fn distinct(first: impl IntoIterator<Item = usize>, all: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(all);
    for at in first.into_iter().chain(0..all) {
        if !order.contains(&at) {
            order.push(at);
        }
    }
    order
}

/// What is known of the first of some things, and of those others of which something is.
fn first_and_further<T>(things: Vec<usize>, known: impl Fn(usize) -> Result<Option<T>>) -> Result<(Option<T>, Vec<T>)> {
    let mut things = things.into_iter();
    let first = things.next().map_or(Ok(None), &known)?;
    let further = things.map(known).collect::<Result<Vec<_>>>()?;
    Ok((first, further.into_iter().flatten().collect()))
}

/// What the statistics of every set of pairs say.
#[derive(Deserialize)]
struct Counted {
    train_pairs: usize,
    held_out_pairs: usize,
    #[serde(default)]
    passed_over: usize,
    #[serde(default)]
    unseen: UnseenStats,
}

fn count(name: &str, value: usize, unit: &str) -> Measure {
    measure(name, value as f64, unit)
}

fn measure(name: &str, value: f64, unit: &str) -> Measure {
    Measure { name: name.to_owned(), value, unit: unit.to_owned(), n: None }
}

/// One more border than there are bins.
fn edges(histogram: &Histogram) -> Vec<f64> {
    let (low, bin) = (f64::from(histogram.low), f64::from(histogram.bin));
    // Rounded so that the last border is 1 and not 0.99999997.
    (0..=histogram.counts.len()).map(|i| ((low + bin * i as f64) * 1e6).round() / 1e6).collect()
}

/// By what pairs were chosen, for people.
fn chosen(stats: &PairStats) -> String {
    let Some(estimate) = stats.precision.estimate else {
        return "Which share of the pairs is true cannot be said: most documents have too few others outside of their group to tell related \
                ones from strangers. Pairs are as similar as was given, or as one in a thousand random pairs."
            .to_owned();
    };
    let how = match stats.precision.rule {
        Rule::Given => "The least similarity was given.".to_owned(),
        Rule::TwoHills { valley } => format!(
            "The similarities of neighbours have two hills, strangers and related documents, with the valley at {valley:.2}: pairs lie behind it."
        ),
        Rule::StandingOut { strangers, valley } => {
            let hills = valley.map_or_else(
                || "one hill. A pair stands out from it".to_owned(),
                |valley| {
                    format!(
                        "two hills with the valley at {valley:.2}, behind which too many strangers lie. A pair lies behind it, and stands out"
                    )
                },
            );
            format!(
                "The similarities of neighbours have {hills}: no more than {strangers:.2} strangers are to be expected so near to either of its \
                 documents."
            )
        }
        Rule::OneHill => "No similarity tells related documents from strangers: this corpus has no usable relation. Pairs are as similar as \
                          one in a thousand random pairs."
            .to_owned(),
    };
    format!("{how} Of the pairs, {:.0} % are true by estimate.", 100.0 * estimate)
}

fn relation_point(point: &cognate_train::Point) -> Option<RelationPoint> {
    Some(RelationPoint {
        tokens: point.tokens,
        true_seed: point.validation_nats?,
        random_seed: point.random_seed_nats?,
        no_seed: point.no_seed_nats?,
    })
}
