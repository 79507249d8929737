//! The page's section about synthetic documents: what became of them, and what they are like beside real ones.

use cognate_results::numbers::{NONE, count, counted, decimals, measure, nats, percent, tokens};
use cognate_results::{Calibration, QualityFigure, QualityValue, Report, RocCurve, SyntheticQuality};
use cognate_statistics::FEWEST_POSITIVES;

use super::charts;
use super::download::{Csv, downloads, number};
use super::html::{Cell, figure, file_of, heading_of, section, table};
use super::markup::Markup;

/// What the tables' figures are.
const EXPLAINED: &str = "Each figure with what it was measured on (n), and its 95 % interval: none where all documents have the same value, or \
                         for the longest of all. The intervals take documents as independent; what another synthesizer or another corpus would change is not in them. Coverage \
                         and density are those of Newsroom: the share of words in fragments that stand elsewhere word for word, and the mean length of \
                         the fragment that a word is in.";

/// The section; nothing where nothing was generated. Several corpora stand each under its name.
pub(super) fn synthetic_quality(page: &mut Markup, report: &Report) {
    let all = report.corpora();
    if all.is_empty() {
        return;
    }
    let explained_at = all.iter().position(|quality| !quality.figures.is_empty());
    section(page, "synthetic", "Synthetic documents", |page| {
        for (at, quality) in all.iter().enumerate() {
            heading_of(page, report, &quality.name);
            if report.has_several() && !quality.made.is_empty() {
                page.leaf("p", &[], &quality.made);
            }
            fates(page, quality);
            if explained_at == Some(at) {
                page.leaf("p", &[], EXPLAINED);
            }
            tables(page, quality, at);
        }
    });
}

/// What is known of one corpus beside the fates of its documents.
fn tables(page: &mut Markup, quality: &SyntheticQuality, at: usize) {
    if !quality.figures.is_empty() {
        compared(page, "What the documents are like", &quality.figures);
    }
    if !quality.rules.is_empty() {
        compared(page, "What each rule of the filters alone would drop", &quality.rules);
    }
    if !quality.pair_figures.is_empty() {
        compared(page, "What they take from their seeds, and how related they are", &quality.pair_figures);
    }
    let (figures, roc) = (file_of("synthetic", &quality.name, at), file_of("roc", &quality.name, at));
    let mut data = vec![(figures.as_str(), figures_csv(quality))];
    if let Some(known) = &quality.calibration {
        calibration(page, known);
        data.push((&roc, roc_csv(known)));
    } else if !quality.pair_figures.is_empty() {
        page.leaf("p", &[], not_calibrated());
    }
    downloads(page, &data);
}

fn figures_csv(quality: &SyntheticQuality) -> Csv {
    let mut csv = Csv::new(&["figure", "unit", "whose", "value", "low", "high", "n", "interval"]);
    for figure in quality.figures.iter().chain(&quality.rules).chain(&quality.pair_figures) {
        for of in &figure.of {
            csv.row([
                figure.name.clone(),
                figure.unit.clone(),
                of.whose.clone(),
                number(of.value),
                number(of.low),
                number(of.high),
                of.n.to_string(),
                figure.interval.clone(),
            ]);
        }
    }
    csv
}

fn roc_csv(known: &Calibration) -> Csv {
    let mut csv = Csv::new(&["score", "random_share", "true_share"]);
    for curve in &known.curves {
        for &(random, real) in &curve.points {
            csv.row([curve.score.clone(), number(random), number(real)]);
        }
    }
    csv
}

/// What gives more held-out pairs.
const MORE_PAIRS: &str = "A larger [corpus] selection_share, or more documents, give more.";

/// Why there is no calibration.
fn not_calibrated() -> String {
    format!(
        "What scores of relevance are worth is not known here, so there are no ROC curve and no share of irrelevant documents: too few \
         held-out pairs had no say in choosing the synthesizer's checkpoint, three with different seeds at least. {MORE_PAIRS}"
    )
}

/// What the scores of relevance are worth.
fn calibration(page: &mut Markup, known: &Calibration) {
    page.leaf(
        "p",
        &[],
        format!(
            "Relevance is what the seed adds to the document's log-probability under the synthesizer (forward), or the document \
             to the seed's (backward). On held-out true pairs against random ones, the area under the curve is how often the \
             true pair scores higher; 0.5 is chance. {}",
            threshold_in_words(known)
        ),
    );
    page.element("div", &[("class", &"beside")], |page| {
        let row = |curve: &RocCurve| {
            let interval = format!("{} to {}", decimals(curve.low, 3), decimals(curve.high, 3));
            let pairs = format!("{} and {}", count(curve.true_pairs), count(curve.random_pairs));
            vec![Cell::new(&curve.score), Cell::with_detail(decimals(curve.area, 3), interval), Cell::new(pairs)]
        };
        let rows: Vec<Vec<Cell>> = known.curves.iter().map(row).collect();
        let caption = "Area under the curve, with its 95 % interval (Hanley and McNeil)";
        table(page, caption, &["score", "area", "true and random pairs"], &rows);
        let caption = "Solid: forward. Dashed: backward. Dotted: chance. The further to the upper left, the better.";
        figure(page, "panel", caption, |page| charts::roc_curves(page, "panel", known));
    });
}

/// From which score on a pair counts as relevant.
fn threshold_in_words(known: &Calibration) -> String {
    match (known.threshold, known.true_above, known.random_above) {
        (Some(threshold), Some(real), Some(random)) => format!(
            "A pair is irrelevant below a forward score of {} nats per token: {} of the true pairs score at least so much, and {} of the \
             random ones.",
            nats(threshold),
            percent(real),
            percent(random)
        ),
        _ if known
            .curves
            .iter()
            .any(|curve| curve.score == "forward" && curve.true_pairs as usize >= FEWEST_POSITIVES) =>
        {
            format!(
                "Which pairs are irrelevant is not said: the forward score may tell nothing, since the interval of its area reaches down to \
             0.5, which is chance. {MORE_PAIRS}"
            )
        }
        _ => format!(
            "From which score on a pair is relevant is not said: with fewer than {FEWEST_POSITIVES} held-out pairs there is no threshold that \
             one in {FEWEST_POSITIVES} true pairs would miss. {MORE_PAIRS}"
        ),
    }
}

fn fates(page: &mut Markup, quality: &SyntheticQuality) {
    let generated = quality.generated_documents;
    let share = |documents: u64| documents as f64 / generated.max(1) as f64;
    page.leaf(
        "p",
        &[],
        format!(
            "Of {} the filters kept {} ({}), with {} tokens.",
            counted(generated, "generated document", "generated documents"),
            count(quality.kept_documents),
            percent(share(quality.kept_documents)),
            tokens(quality.kept_tokens)
        ),
    );
    let row = |name: Cell, documents: u64| {
        vec![name, Cell::new(count(documents)), Cell::bar(percent(share(documents)), share(documents))]
    };
    let mut rows = vec![row(Cell::new("kept"), quality.kept_documents)];
    rows.extend(quality.dropped.iter().map(|drop| row(Cell::new(format!("dropped: {}", drop.reason)), drop.documents)));
    rows.push(row(Cell::strong("generated"), generated));
    page.element("div", &[("class", &"slim")], |page| {
        table(page, "What became of them", &["", "documents", "share"], &rows);
    });
}

/// A table with a row per figure and a column per collection, in the order in which collections first appear.
fn compared(page: &mut Markup, caption: &str, figures: &[QualityFigure]) {
    let mut whose: Vec<&str> = Vec::new();
    for value in figures.iter().flat_map(|figure| &figure.of) {
        if !whose.contains(&value.whose.as_str()) {
            whose.push(&value.whose);
        }
    }
    let row = |figure: &QualityFigure| {
        let mut cells = vec![Cell::new(&figure.name)];
        cells.extend(whose.iter().map(|whose| {
            let value = figure.of.iter().find(|value| value.whose == *whose);
            value.map_or_else(|| Cell::new(""), |value| with_interval(value, figure))
        }));
        cells.push(Cell::new(&figure.interval));
        cells
    };
    let mut columns = vec!["figure"];
    columns.extend(&whose);
    columns.push("interval");
    table(page, caption, &columns, &figures.iter().map(row).collect::<Vec<_>>());
}

fn with_interval(value: &QualityValue, figure: &QualityFigure) -> Cell {
    let bound = |bound: f64| {
        let text = measure(bound, &figure.unit);
        text.strip_suffix(figure.unit.as_str()).map_or(text.clone(), |number| number.trim_end().to_owned())
    };
    let n = format!("n = {}", count(value.n));
    let detail = if value.low == value.high && value.low == value.value {
        n
    } else {
        format!("{} to {}, {n}", bound(value.low), bound(value.high))
    };
    let shown = if value.value.is_finite() { bound(value.value) } else { NONE.to_owned() };
    Cell::with_detail(shown, detail)
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;
    use cognate_results::Report;

    fn section_of(report: &Report) -> String {
        let mut page = Markup::default();
        synthetic_quality(&mut page, report);
        page.finish().replace('\u{a0}', " ")
    }

    #[test]
    fn the_calibration_stands_in_words_in_a_table_and_as_a_figure() {
        let mut report = sample();
        let page = section_of(&report);
        for shown in [
            "below a forward score of 0.031 nats per token: 95 % of the true pairs",
            "and 63 % of the random ones",
            "<span>0.900</span>",
            "<small>0.880 to 0.920</small>",
            "412 and 412",
            "backward, area 0.867",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        let known = report.synthetic_quality.calibration.as_mut().unwrap();
        (known.threshold, known.true_above, known.random_above) = (None, None, None);
        let page = section_of(&report);
        assert!(page.contains("the forward score may tell nothing") && page.contains("roc.csv"), "{page}");
        let known = report.synthetic_quality.calibration.as_mut().unwrap();
        known.curves.iter_mut().for_each(|curve| curve.true_pairs = 19);
        let page = section_of(&report);
        assert!(
            page.contains("with fewer than 20 held-out pairs there is no threshold") && page.contains("roc.csv"),
            "{page}"
        );
        assert!(!page.contains(">threshold<"));
        report.synthetic_quality.calibration = None;
        let page = section_of(&report);
        assert!(page.contains("no ROC curve") && page.contains("three with different seeds"), "{page}");
        assert!(!page.contains("roc.csv"));
    }
}
