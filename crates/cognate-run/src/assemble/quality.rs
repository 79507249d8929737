//! The quality tables: figure by figure, synthetic documents beside real ones.

use cognate_synth::{Figure, Quality};

use crate::report::{QualityFigure, QualityValue};
use crate::stages::synthesis::Filtered;

const BINOMIAL: &str = "binomial (Wilson)";
const BOOTSTRAP: &str = "bootstrap over documents";
const BLOCKS: &str = "bootstrap over blocks";
const ORDER: &str = "binomial (order statistics)";

/// Whose a figure of a collection is, and the collection's name among [`Quality`]s.
const COLLECTIONS: [(&str, &str); 3] = [("validation text", "real"), ("generated", "raw"), ("kept", "kept")];

/// A row: name, unit, kind of interval, and where it stands.
type Row = (&'static str, &'static str, &'static str, fn(&Quality) -> Option<Figure>);

/// What is measured of every collection, in the order of the table.
const ROWS: [Row; 18] = [
    ("words of a document, mean", "words", BOOTSTRAP, |q| q.mean_words),
    ("words of a document, lower quartile", "words", ORDER, |q| q.quartiles[0]),
    ("words of a document, median", "words", ORDER, |q| q.quartiles[1]),
    ("words of a document, upper quartile", "words", ORDER, |q| q.quartiles[2]),
    ("heavily repeated", "share", BINOMIAL, |q| q.repetition.figure()),
    ("near-duplicates of earlier ones, among equally many", "share", BINOMIAL, |q| q.near_duplicates.figure()),
    ("5-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[0]),
    ("8-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[1]),
    ("13-grams that no training document has", "share", BOOTSTRAP, |q| q.novel[2]),
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

/// The figures of all collections.
pub(super) fn figures(collections: &[Quality]) -> Vec<QualityFigure> {
    let row = |&(name, unit, interval, figure): &Row| {
        let values = COLLECTIONS.iter().filter_map(|&(whose, name)| {
            let quality = collections.iter().find(|quality| quality.name == name)?;
            Some(value(whose, figure(quality)?))
        });
        of(name, unit, interval, values.collect())
    };
    ROWS.iter().map(row).filter(|figure| !figure.of.is_empty()).collect()
}

/// The figures of pairs of seed and document.
pub(super) fn pair_figures(filtered: &Filtered) -> Vec<QualityFigure> {
    let collection = |name: &str| filtered.filter.quality.iter().find(|quality| quality.name == name);
    let Some(raw) = collection("raw") else { return Vec::new() };
    let synthetic = |figure: Option<Figure>| figure.map(|figure| value("synthetic", figure)).into_iter().collect();
    let copied = &raw.copied_from_seed;
    let rows = [
        of("near-copies of the seed", "share", BINOMIAL, synthetic(raw.pair_copying.figure())),
        of("longest run of the seed, mean", "words", BOOTSTRAP, synthetic(copied.longest)),
        of("coverage by fragments of the seed", "share", BOOTSTRAP, synthetic(copied.coverage)),
        of("density of fragments of the seed", "words", BOOTSTRAP, synthetic(copied.density)),
    ];
    rows.into_iter().filter(|figure| !figure.of.is_empty()).collect()
}

fn of(name: &str, unit: &str, interval: &str, of: Vec<QualityValue>) -> QualityFigure {
    QualityFigure { name: name.to_owned(), unit: unit.to_owned(), interval: interval.to_owned(), of }
}

fn value(whose: &str, figure: Figure) -> QualityValue {
    let Figure { value, low, high, n } = figure;
    QualityValue { whose: whose.to_owned(), value, low, high, n }
}
