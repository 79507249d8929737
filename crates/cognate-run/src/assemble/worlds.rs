//! What a report holds of a run on a made corpus: models, synthesizers and synthetic documents beside the right answers.

use std::collections::{BTreeMap, BTreeSet};

use cognate_base::Silent;
use cognate_eval::Perplexity;
use cognate_pair::{Pair, read_pairs, read_pairs_among, read_shuffled_pairs};
use cognate_results::{
    CalibrationPoint, DocumentLoss, Floor, GapClosed, JudgedCorpus, LearnedShare, Measure, PairTruth, QuestionGroup,
    TruthPoint, VALIDATION, World, gap_key,
};
use cognate_statistics::Estimate;
use cognate_worlds::{Judged, JudgedPeople, JudgedSymbols, Mistakes, Split, Truth};
use serde::Deserialize;

use super::Assembly;
use crate::error::Result;
use crate::recipe::{Author, SeedsOf, Synthetic};
use crate::stages::ingest::Ingested;
use crate::stages::tasks::Scored;
use crate::stages::train::training::Trained;
use crate::step::{Replicate, Step};
use crate::world_files::{PAIRS, TRUTH, WorldStatistics};

/// As much of the statistics of `filter` as is told here.
#[derive(Deserialize)]
struct InWorld {
    #[serde(default)]
    judged: Option<Judged>,
}

impl Assembly<'_> {
    /// What is known because the corpus is made; none where it was read, or nothing was measured.
    pub(super) fn world(&self, gap_closed: &BTreeMap<String, GapClosed>) -> Result<Option<World>> {
        let ingested: Option<Ingested> = self.statistics("ingest")?;
        let Some(made) = ingested.and_then(|ingested| ingested.world) else { return Ok(None) };
        let mut losses = Vec::new();
        let mut tokens_per_document = 0.0;
        for model in Replicate::measured(self.recipe) {
            let step = Some(Step::Evaluate(model));
            let Some(scores) = self.statistics_of::<Perplexity>(step)? else { continue };
            // The same documents for every model.
            tokens_per_document = scores.tokens as f64 / scores.documents.max(1) as f64;
            let loss = Estimate {
                value: scores.nats_per_token * tokens_per_document,
                stderr: scores.stderr.map(|stderr| stderr * tokens_per_document),
            };
            let arm = self.report_name(&self.recipe.arms[model.arm]).to_owned();
            losses.push(DocumentLoss { arm, seed: model.seed, loss });
        }
        if losses.is_empty() {
            return Ok(None);
        }
        let floor = |(who, of): (&str, Estimate)| Floor { who: who.to_owned(), loss: exact(of) };
        Ok(Some(World {
            name: made.dials.name().to_owned(),
            tokens_per_document,
            floors: made.measures.floors().into_iter().map(floor).collect(),
            losses,
            pairs: self.pair_truth(&made)?,
            learned: self.learned()?,
            written: self.judged()?,
            questions: self.questions(&made)?,
            truths: self.truths(gap_closed)?,
        }))
    }

    /// The training pairs of every finished set beside those that the world names.
    fn pair_truth(&self, made: &WorldStatistics) -> Result<Vec<PairTruth>> {
        let Some(ingest) = self.artifact("ingest")? else { return Ok(Vec::new()) };
        let truth = Truth::read_of(&ingest.path(TRUTH), &made.dials, made.seed)?;
        let unique = truth.documents.get(&Split::Unique).map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<String> = unique.iter().map(|told| told.id.clone()).collect();
        let number = |pair: &Pair| (pair.first, pair.second);
        let (named, _) = read_pairs_among(&ingest.path(PAIRS), &ids, &Silent)?;
        let named: BTreeSet<(u32, u32)> = named.iter().map(number).collect();
        let mut found = Vec::new();
        for (set, pairs) in self.recipe.pairs.iter().enumerate() {
            // The world names no texts that were made of its documents.
            if self.recipe.texts_of(set).is_some() {
                continue;
            }
            let Some(artifact) = self.artifact(Step::Pair(set).folder(self.recipe))? else { continue };
            let path = artifact.path("train.parquet");
            // A shuffled set may have a pair several times.
            let read = if pairs.is_shuffled() { read_shuffled_pairs } else { read_pairs };
            let training: Vec<(u32, u32)> = read(&path, &ids, &Silent)?.iter().map(number).collect();
            let concept = |number: u32| unique[number as usize].concept;
            let distinct: BTreeSet<(u32, u32)> = training.iter().copied().collect();
            found.push(PairTruth {
                name: pairs.name.clone(),
                pairs: training.len() as u64,
                true_pairs: training.iter().filter(|(a, b)| concept(*a) == concept(*b)).count() as u64,
                named: named.len() as u64,
                found: distinct.intersection(&named).count() as u64,
            });
        }
        Ok(found)
    }

    /// Arms that see one synthetic corpus, by how true it is; none where the world writes none of them.
    fn truths(&self, gap_closed: &BTreeMap<String, GapClosed>) -> Result<Vec<TruthPoint>> {
        let mut truths = Vec::new();
        for arm in self.recipe.arms.iter().filter(|arm| arm.evaluate) {
            let training = &arm.training;
            let [(corpus, share)] = &training.synthetic[..] else { continue };
            let name = self.report_name(arm);
            let Some(gap) = gap_closed.get(&gap_key(VALIDATION, name)) else { continue };
            // Which share an arm has that chooses its share is not its recipe's to say.
            if arm.trainings().any(|other| other.synthetic != training.synthetic) {
                continue;
            }
            let at = self.recipe.corpus_of(corpus);
            let Some(filtered) = self.statistics_of::<InWorld>(Some(Step::Filter(at)))? else { continue };
            let Some(truth) = filtered.judged.as_ref().and_then(true_share) else { continue };
            truths.push(TruthPoint {
                arm: name.to_owned(),
                corpus: corpus.clone(),
                by_world: how_told(&self.recipe.synthetic[at]),
                share: *share,
                truth,
                gap: *gap,
            });
        }
        Ok(if truths.iter().any(|point| point.by_world.is_some()) { truths } else { Vec::new() })
    }

    fn learned(&self) -> Result<Vec<LearnedShare>> {
        let mut learned = Vec::new();
        for at in self.synthesizers() {
            let Some(trained) = self.statistics_of::<Trained>(Some(Step::Tune(at)))? else { continue };
            learned.extend(trained.learned.map(|of| LearnedShare {
                name: self.recipe.synthesizers[at].name.clone(),
                pairs: of.pairs,
                left_out: of.left_out,
                marginal: of.marginal,
                conditional: of.conditional,
                true_seed: of.true_seed,
                random_seed: of.random_seed,
                no_seed: of.no_seed,
                share: of.share,
                share_by_seed: of.share_by_seed,
                base: of.base.map(|base| (base.loss, base.share)),
            }));
        }
        Ok(learned)
    }

    fn judged(&self) -> Result<Vec<JudgedCorpus>> {
        let mut written = Vec::new();
        for corpus in self.corpora() {
            let Some(filtered) = self.statistics_of::<InWorld>(Some(Step::Filter(corpus)))? else { continue };
            let Some(judged) = filtered.judged else { continue };
            let name = self.recipe.synthetic[corpus].name.clone();
            written.push(match judged {
                Judged::Symbols(of) => JudgedCorpus { name, measures: of_symbols(&of), calibration: calibration(&of) },
                Judged::Biographies(of) => {
                    JudgedCorpus { name, measures: of_biographies(&of), calibration: Vec::new() }
                }
            });
        }
        Ok(written)
    }

    /// The groups of the world's tasks, each with every arm's share of right answers, its mean over seeds.
    fn questions(&self, made: &WorldStatistics) -> Result<Vec<QuestionGroup>> {
        let mut values: BTreeMap<(String, String), BTreeMap<usize, Vec<f64>>> = BTreeMap::new();
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for model in Replicate::measured(self.recipe) {
            let Some(scored) = self.statistics_of::<Scored>(Some(Step::Evaluate(model)))? else { continue };
            for (task, scores) in scored.tasks {
                let groups = scores.groups.into_iter().map(|(group, found)| (group, found.n, found.value));
                // A task without groups is one.
                let all = (task.clone(), scores.n, scores.value);
                let asked = groups.chain([all]).filter(|(group, ..)| made.questions.contains_key(group));
                for (group, n, value) in asked {
                    let key = (task.clone(), group);
                    counts.insert(key.clone(), n);
                    values.entry(key).or_default().entry(model.arm).or_default().push(value);
                }
            }
        }
        let group = |((task, group), arms): ((String, String), BTreeMap<usize, Vec<f64>>)| {
            let of_world = made.questions[&group];
            let mean = |(arm, values): (usize, Vec<f64>)| {
                let name = self.report_name(&self.recipe.arms[arm]).to_owned();
                (name, values.iter().sum::<f64>() / values.len() as f64)
            };
            let n = counts[&(task.clone(), group.clone())];
            // Where models were asked fewer questions, it says nothing of those.
            let share = |right: Option<u64>| {
                right.filter(|_| n == of_world.n).map(|right| right as f64 / of_world.n.max(1) as f64)
            };
            QuestionGroup {
                n,
                bayes: share(of_world.bayes),
                guessed: share(of_world.guessed),
                arms: arms.into_iter().map(mean).collect(),
                task,
                group,
            }
        };
        let mut groups: Vec<QuestionGroup> = values.into_iter().map(group).collect();
        groups.sort_by_cached_key(|group| (group.task.clone(), numbers_in(&group.group)));
        Ok(groups)
    }
}

/// The whole numbers of a text, the last one first: prompts are sorted by the length of their examples, and then by how many they are.
fn numbers_in(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).rev().filter_map(|digits| digits.parse().ok()).collect()
}

/// How the world writes a corpus, where it does, beside how true.
fn how_told(corpus: &Synthetic) -> Option<String> {
    let Author::World(truth) = &corpus.by else { return None };
    let mistakes = (truth.mistakes == Mistakes::Consistent).then(|| "consistent".to_owned());
    let seeds = match &corpus.seeds {
        SeedsOf::Unique => None,
        SeedsOf::Corpus(name) => Some(format!("from {name}")),
        SeedsOf::None => Some("from no seed".to_owned()),
    };
    Some(mistakes.into_iter().chain(seeds).collect::<Vec<_>>().join(", "))
}

/// How much of what documents say is true; none of documents that say nothing.
fn true_share(judged: &Judged) -> Option<f64> {
    match judged {
        Judged::Symbols(of) => of.same_concept.map(|same| same.value),
        Judged::Biographies(people) => {
            let of = people.all();
            let statements = of.true_statements + of.false_statements + of.about_nobody;
            (statements > 0).then(|| of.true_statements as f64 / statements as f64)
        }
    }
}

/// What is the same for every document differs by rounding alone.
fn exact(of: Estimate) -> Estimate {
    let stderr = of.stderr.map(|stderr| if stderr < 1e-9 * of.value.abs() { 0.0 } else { stderr });
    Estimate { stderr, ..of }
}

/// A share of counts; none of nothing.
fn share(name: &str, count: u64, of: u64) -> Option<Measure> {
    (of > 0).then(|| measured(name, count as f64 / of as f64, of))
}

fn measured(name: &str, value: f64, n: u64) -> Measure {
    Measure { name: name.to_owned(), value, unit: "share".to_owned(), n: Some(n) }
}

fn of_symbols(of: &JudgedSymbols) -> Vec<Measure> {
    let mean = |name: &str, found: Option<Estimate>| found.map(|found| measured(name, found.value, of.documents));
    let measures = [
        mean("have the seed's concept, by probability", of.same_concept),
        mean("would have it, if the world had written them", of.ideal),
        share("can be of this world", of.possible, of.documents),
    ];
    measures.into_iter().flatten().collect()
}

fn of_biographies(people: &JudgedPeople) -> Vec<Measure> {
    let of = people.all();
    let statements = of.true_statements + of.false_statements + of.about_nobody;
    let measures = [
        share("about the seed's person", of.same_person, of.documents - people.unseeded.documents),
        share("about somebody else", of.another_person, of.documents),
        share("about nobody who exists", of.nobody, of.documents),
        share("statements that are true", of.true_statements, statements),
        share("statements that are false", of.false_statements, statements),
        share("statements about nobody who exists", of.about_nobody, statements),
        share("sentences that state nothing", of.unread, statements + of.unread),
        share("true facts of the seed's person that the seed does not state", of.not_in_seed, of.true_of_seed),
        share("of these, facts that another unique document states", of.known_elsewhere, of.not_in_seed),
    ];
    let apart = [("people told of once", &people.once), ("other people", &people.several)].map(|(whom, of)| {
        let statements = of.true_statements + of.false_statements + of.about_nobody;
        [
            share(&format!("after seeds about {whom}: about that person"), of.same_person, of.documents),
            share(&format!("after seeds about {whom}: statements that are true"), of.true_statements, statements),
        ]
    });
    measures.into_iter().chain(apart.into_iter().flatten()).flatten().collect()
}

fn calibration(of: &JudgedSymbols) -> Vec<CalibrationPoint> {
    let point = |bin: &cognate_worlds::CalibrationBin| {
        let cognate_worlds::CalibrationBin { seed, written, ideal, n } = *bin;
        CalibrationPoint { seed, written, ideal, n }
    };
    of.calibration.iter().map(point).collect()
}
