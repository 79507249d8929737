//! The quality tables: figure by figure, synthetic documents beside real ones.

use cognate_results::{self as results, QualityFigure, QualityValue};
use cognate_statistics::{Figure, Roc, Share};
use cognate_synth::{Calibration, JudgeStats, Judgement, Quality, RuleShares};

use crate::stages::filter::Filtered;

const BINOMIAL: &str = "binomial (Wilson)";
const BOOTSTRAP: &str = "bootstrap over documents";
const BLOCKS: &str = "bootstrap over blocks";
const NORMAL: &str = "normal, documents as units";
const ORDER: &str = "binomial (order statistics)";

/// Whose a figure of a collection is, and the collection's name among [`Quality`]s.
const COLLECTIONS: [(&str, &str); 3] = [("validation text", "real"), ("generated", "raw"), ("kept", "kept")];

/// Whose a figure of pairs is.
const PAIRS: [&str; 3] = ["synthetic", "true neighbours", "random pairs"];

/// A row: name, unit, kind of interval, and where it stands.
type Row = (&'static str, &'static str, &'static str, fn(&Quality) -> Option<Figure>);

/// What is measured of every collection, in the order of the table.
const ROWS: [Row; 20] = [
    ("words of a document, mean", "words", BOOTSTRAP, |q| q.mean_words),
    ("words of a document, lower quartile", "words", ORDER, |q| q.quartiles[0]),
    ("words of a document, median", "words", ORDER, |q| q.quartiles[1]),
    ("words of a document, upper quartile", "words", ORDER, |q| q.quartiles[2]),
    ("heavily repeated", "share", BINOMIAL, |q| q.repetition.figure()),
    ("near-duplicates of earlier ones, among equally many", "share", BINOMIAL, |q| q.near_duplicates.figure()),
    // What was kept is not dropped.
    ("dropped by the filters together, among equally many", "share", BINOMIAL, |q| {
        q.dropped.figure().filter(|_| q.name != "kept")
    }),
    ("words that no training document has", "share", BOOTSTRAP, |q| q.novel[0]),
    ("5-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[1]),
    ("8-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[2]),
    ("13-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[3]),
    ("longest run of a training document, mean", "words", BOOTSTRAP, |q| q.copied_from_training.longest),
    ("coverage by fragments of training documents", "share", BOOTSTRAP, |q| q.copied_from_training.coverage),
    ("density of fragments of training documents", "words", BOOTSTRAP, |q| q.copied_from_training.density),
    ("distinct 1-grams in 2,000 words", "share", BLOCKS, |q| q.distinct[0]),
    ("distinct 2-grams in 2,000 words", "share", BLOCKS, |q| q.distinct[1]),
    ("distinct 3-grams in 2,000 words", "share", BLOCKS, |q| q.distinct[2]),
    ("distinct 4-grams in 2,000 words", "share", BLOCKS, |q| q.distinct[3]),
    ("self-BLEU of 100 documents", "", BOOTSTRAP, |q| q.self_bleu),
    ("longest run of all", "words", "none", |q| {
        let most = q.copied_from_training.most as f64;
        (q.documents > 0).then_some(Figure { value: most, low: most, high: most, n: q.documents })
    }),
];

/// The figures of all collections; `base` is the arm whose model their perplexity is under.
pub(super) fn figures(filtered: &Filtered, base: Option<&str>) -> Vec<QualityFigure> {
    let collections = &filtered.filter.quality;
    let row = |&(name, unit, interval, figure): &Row| {
        let values = COLLECTIONS.iter().filter_map(|&(whose, name)| {
            let quality = collections.iter().find(|quality| quality.name == name)?;
            Some(value(whose, figure(quality)?))
        });
        of(name, unit, interval, values.collect())
    };
    let mut rows: Vec<QualityFigure> = ROWS.iter().map(row).collect();
    if let Some((measured, base)) = filtered.measured.as_ref().zip(base) {
        let found = [("validation text", measured.perplexity_validation), ("kept", measured.perplexity_kept)];
        let values = found.into_iter().filter_map(|(whose, figure)| Some(value(whose, figure?))).collect();
        rows.push(of(&format!("perplexity under the {base} arm's best model"), "", NORMAL, values));
    }
    rows.retain(|figure| !figure.of.is_empty());
    rows
}

/// What each rule alone would drop, where it drops anything.
pub(super) fn rules(filtered: &Filtered) -> Vec<QualityFigure> {
    let some = filtered.filter.rules.iter().filter(|rule| rule.written.count + rule.real.count > 0);
    let row = |rule: &RuleShares| {
        let shares = [("generated", rule.written), ("unique documents", rule.real)];
        let values = shares.into_iter().filter_map(|(whose, share)| Some(value(whose, share.figure()?)));
        of(&format!("{} = {}", rule.rule, rule.limit), "share", BINOMIAL, values.collect())
    };
    some.map(row).collect()
}

/// The figures of pairs of seed and document; none of a control.
pub(super) fn pair_figures(filtered: &Filtered) -> Vec<QualityFigure> {
    let raw = filtered.filter.quality.iter().find(|quality| quality.name == "raw");
    let (Some(raw), Some(measured)) = (raw, &filtered.measured) else { return Vec::new() };
    let (synthetic, real) = (&raw.copied_from_seed, &measured.neighbour_copied);
    let copying = [raw.pair_copying.figure(), measured.neighbour_copying.figure(), None];
    let mut rows = vec![
        pairs("near-copies of the seed", "share", BINOMIAL, copying),
        pairs("longest run of the seed, mean", "words", BOOTSTRAP, [synthetic.longest, real.longest, None]),
        pairs("coverage by fragments of the seed", "share", BOOTSTRAP, [synthetic.coverage, real.coverage, None]),
        pairs("density of fragments of the seed", "words", BOOTSTRAP, [synthetic.density, real.density, None]),
    ];
    let similarity = &measured.similarity;
    let found = [similarity.synthetic, similarity.neighbours, similarity.random];
    rows.push(pairs("cosine similarity to the seed, mean", "", BOOTSTRAP, found));
    let scored = filtered.filter.relevance.as_ref();
    let calibration = measured.calibration.as_ref();
    let of = |synthetic, known: fn(&Calibration) -> [Option<Figure>; 2]| {
        let [neighbours, random] = calibration.map_or([None; 2], known);
        [synthetic, neighbours, random]
    };
    rows.push(pairs(
        "relevance, forward, mean",
        "nats per token",
        BOOTSTRAP,
        of(scored.and_then(|scored| scored.forward), |known| [known.true_forward, known.random_forward]),
    ));
    rows.push(pairs(
        "relevance, backward, mean",
        "nats per token",
        BOOTSTRAP,
        of(scored.and_then(|scored| scored.backward), |known| [known.true_backward, known.random_backward]),
    ));
    let share = |known: &Calibration| {
        [known.true_irrelevant, known.random_irrelevant].map(|share| share.and_then(Share::figure))
    };
    let irrelevant = scored.and_then(|scored| scored.irrelevant).and_then(Share::figure);
    rows.push(pairs("irrelevant pairs", "share", BINOMIAL, of(irrelevant, share)));
    if let Some(judge) = &filtered.filter.judge {
        rows.extend(judged(judge));
    }
    rows.retain(|figure| !figure.of.is_empty());
    rows
}

/// What the judge says, and how often it said nothing that counts.
fn judged(judge: &JudgeStats) -> [QualityFigure; 2] {
    let kinds = [Some(&judge.synthetic), judge.neighbours.as_ref(), Some(&judge.random)];
    let unclear = |found: &Judgement| {
        let count = found.unclear as f64;
        (found.asked() > 0).then_some(Figure { value: count, low: count, high: count, n: found.asked() })
    };
    let name = |what: &str| format!("{what} {}", judge.model);
    [
        pairs(&name("irrelevant pairs by the judge"), "share", BINOMIAL, kinds.map(|kind| kind?.irrelevant)),
        pairs(&name("unclear answers of the judge"), "answers", "none", kinds.map(|kind| unclear(kind?))),
    ]
}

/// How well relevance tells true pairs from random ones.
pub(super) fn calibration(known: &Calibration) -> results::Calibration {
    let curve = |score: &str, roc: &Roc| results::RocCurve {
        score: score.to_owned(),
        area: roc.area,
        low: roc.low,
        high: roc.high,
        true_pairs: roc.positives,
        random_pairs: roc.negatives,
        points: roc.points.clone(),
    };
    let above = |below: Option<Share>| below.and_then(Share::value).map(|below| 1.0 - below);
    results::Calibration {
        curves: vec![curve("forward", &known.forward), curve("backward", &known.backward)],
        threshold: known.threshold,
        true_above: above(known.true_irrelevant),
        random_above: above(known.random_irrelevant),
    }
}

fn pairs(name: &str, unit: &str, interval: &str, figures: [Option<Figure>; 3]) -> QualityFigure {
    let values = PAIRS.iter().zip(figures).filter_map(|(whose, figure)| Some(value(whose, figure?)));
    of(name, unit, interval, values.collect())
}

fn of(name: &str, unit: &str, interval: &str, of: Vec<QualityValue>) -> QualityFigure {
    QualityFigure { name: name.to_owned(), unit: unit.to_owned(), interval: interval.to_owned(), of }
}

fn value(whose: &str, figure: Figure) -> QualityValue {
    let Figure { value, low, high, n } = figure;
    QualityValue { whose: whose.to_owned(), value, low, high, n }
}
