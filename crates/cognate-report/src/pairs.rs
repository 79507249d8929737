//! The page's sections about sets of pairs, and about what tuning on them taught. Where there are several, each stands under its name.

use cognate_results::numbers::{NONE, count, counted, decimals, estimated, measure, nats, signed_nats, tokens};
use cognate_results::{Measure, Pairs, Relation, RelationPoint, Report};
use cognate_statistics::Estimate;

use super::charts::{self, Line, LineChart, Size};
use super::download::{Csv, downloads, number};
use super::html::{Cell, both_sizes, figure, file_of, heading_of, section, table};
use super::markup::Markup;

/// What the second documents of held-out pairs are.
const UNSEEN: &str = "No model has been trained on d2, which is a document of the selection split.";
const SEEN: &str = "Too few documents of the selection split have a related one, so d2 was held out of tuning alone. The base model has been \
                    trained on it, finds it likely without any seed, and forgets some of it in tuning: what a seed is worth looks like \
                    too little.";

/// The section about what tuning taught; nothing where nothing was tuned.
pub(super) fn relations(page: &mut Markup, report: &Report) {
    let all = report.relations();
    if all.is_empty() {
        return;
    }
    section(page, "relation", "What tuning taught about related documents", |page| {
        for (at, relation) in all.iter().enumerate() {
            heading_of(page, report, &relation.name);
            if report.has_several() {
                page.leaf("p", &[], format!("{} {}", relation.made, verdict(relation)).trim_start());
            }
            page.leaf("p", &[], measured_on(relation, at == 0));
            what_was_taught(page, relation);
            downloads(page, &[(&file_of("relation", &relation.name, at), relation_csv(relation))]);
        }
    });
}

/// Whether a synthesizer makes anything of its seed.
fn verdict(relation: &Relation) -> &'static str {
    match relation {
        Relation { control: true, .. } => "They are shuffled: nothing is to be expected of its seed.",
        Relation { unused: true, .. } => {
            "It does not use its seed: the true one may save nothing over a random one, or over none."
        }
        _ => "It uses its seed: the true one saves something over a random one, and over none.",
    }
}

/// What the figures are of, and, where it is `first` of them, what they are.
fn measured_on(relation: &Relation, first: bool) -> String {
    let pairs = counted(relation.pairs, "held-out pair", "held-out pairs");
    let of = if relation.unseen { UNSEEN } else { SEEN };
    if !first {
        return format!("On {pairs}. {of}");
    }
    format!(
        "On {pairs} that had no say in choosing the checkpoint: how well the model predicts d2 after its true seed d1, after a random \
         document, and after nothing. A true seed that saves more than a random one is knowledge of the relation. {of} ± is one standard \
         error over the documents d2."
    )
}

fn what_was_taught(page: &mut Markup, relation: &Relation) {
    page.element("div", &[("class", &"beside")], |page| {
        let (before, after) = (relation.before, relation.after);
        let row = |name: &str, before: Estimate, after: Estimate, shown: &dyn Fn(f64) -> String| {
            vec![
                Cell::new(name),
                Cell::new(estimated(before, shown)),
                Cell::new(estimated(after, shown)),
                Cell::new(signed_nats(after.value - before.value)),
            ]
        };
        let rows = [
            row("true seed", before.true_seed, after.true_seed, &nats),
            row("random seed", before.random_seed, after.random_seed, &nats),
            row("no seed", before.no_seed, after.no_seed, &nats),
            row("true saves over random", before.gain_over_random, after.gain_over_random, &signed_nats),
            row("true saves over none", before.gain_over_none, after.gain_over_none, &signed_nats),
        ];
        let caption =
            "−log p of d2 in nats per token (lower is better), and what the true seed saves (higher is better)";
        table(page, caption, &["what stands before d2", "before tuning", "after", "change"], &rows);
        let caption = "Outlined: before tuning. Filled: after. To the right of zero the true seed helps.";
        figure(page, "panel", caption, |page| charts::gain_bars(page, "panel", relation));
    });
    if !relation.curve.is_empty() {
        let caption = format!("Over tuning, on the held-out pairs that chose the checkpoint: {}.", chosen_by(relation));
        figure(page, "panel", &caption, |page| relation_curve(relation).draw(page, "panel", Size::PANEL));
    }
}

/// Where the checkpoint stands, and by what it was chosen.
fn chosen_by(relation: &Relation) -> String {
    let at = tokens(relation.chosen_at);
    match relation.curve.iter().find(|point| point.tokens == relation.chosen_at).map(RelationPoint::seed_gain) {
        Some(gain) if gain > 0.0 => format!("where the true seed saves most, at {at} tokens"),
        // It is the one with the largest gain, so no other has any.
        Some(_) => {
            format!("at no checkpoint does the true seed save anything, so the lowest loss chose, at {at} tokens")
        }
        None => format!("the checkpoint was taken at {at} tokens"),
    }
}

/// Losses after each kind of seed over tuning.
fn relation_curve(relation: &Relation) -> LineChart<'static> {
    let line = |label: &str, style, of: fn(&RelationPoint) -> f64| Line {
        label: Some(label.to_owned()),
        style,
        // Their labels tell them apart; markers would hide what is small.
        faint: style != 1,
        points: relation.curve.iter().map(|point| (point.tokens as f64, of(point))).collect(),
    };
    LineChart {
        title: "What the seed is worth over tuning",
        description: "Loss on d2 over the tokens of tuning, after each kind of seed.",
        y_name: "nats per token of d2",
        lines: vec![
            line("true seed", 1, |point| point.true_seed),
            line("random seed", 0, |point| point.random_seed),
            line("no seed", 2, |point| point.no_seed),
        ],
        y_also: Vec::new(),
        y_top: f64::INFINITY,
    }
}

fn relation_csv(relation: &Relation) -> Csv {
    let mut csv = Csv::new(&["model", "what", "nats_per_token", "stderr"]);
    for (model, loss) in [("before", relation.before), ("after", relation.after)] {
        for (what, estimate) in [
            ("true seed", loss.true_seed),
            ("random seed", loss.random_seed),
            ("no seed", loss.no_seed),
            ("gain over random", loss.gain_over_random),
            ("gain over none", loss.gain_over_none),
        ] {
            csv.row([model.to_owned(), what.to_owned(), number(estimate.value), number(estimate.stderr)]);
        }
    }
    csv
}

/// The section about pairs; nothing where no arm needed any.
pub(super) fn pairs(page: &mut Markup, report: &Report) {
    let all = report.pair_sets();
    if all.is_empty() {
        return;
    }
    section(page, "pairs", "Pairs", |page| {
        for (at, pairs) in all.iter().enumerate() {
            heading_of(page, report, &pairs.name);
            if pairs.embedder.is_empty() {
                page.leaf("p", &[], &pairs.chosen);
            } else {
                neighbours(page, pairs);
            }
            page.element("div", &[("class", &"slim")], |page| measures(page, "Pairs, counted", &pairs.counts));
            if !pairs.embedder.is_empty() {
                downloads(page, &[(&file_of("similarities", &pairs.name, at), similarities_csv(pairs))]);
            }
        }
    });
}

/// How pairs of neighbours were chosen, and the similarities behind that.
fn neighbours(page: &mut Markup, pairs: &Pairs) {
    page.leaf(
        "p",
        &[],
        format!(
            "Pairs are neighbouring documents, with a cosine similarity of at least {}{}. {} Vectors: {}.",
            decimals(pairs.min_similarity, 2),
            match pairs.max_similarity {
                most if most > 1.0 => String::new(),
                most => format!(", and below {}, from which on they count as copies of each other", decimals(most, 2)),
            },
            pairs.chosen,
            pairs.embedder
        ),
    );
    let caption = "Filled, solid outline: each document and its nearest neighbours. Dashed outline: random \
                   documents. Shaded: the similarities that make a pair. Dotted: the estimated share of true ones among \
                   neighbours at least so similar, from 0 at the floor to 1 at the top.";
    figure(page, "full", caption, |page| {
        both_sizes(page, |page, class, size| charts::similarity_histogram(page, class, size, pairs));
    });
}

fn similarities_csv(pairs: &Pairs) -> Csv {
    let histogram = &pairs.histogram;
    let mut csv = Csv::new(&["from", "to", "neighbours", "random"]);
    let counts = histogram.neighbours.iter().zip(&histogram.random);
    for (edges, (neighbours, random)) in histogram.edges.windows(2).zip(counts) {
        csv.row([number(edges[0]), number(edges[1]), neighbours.to_string(), random.to_string()]);
    }
    csv
}

fn measures(page: &mut Markup, caption: &str, measures: &[Measure]) {
    if measures.is_empty() {
        return;
    }
    let row = |item: &Measure| {
        let n = item.n.map_or_else(|| NONE.to_owned(), count);
        vec![Cell::new(&item.name), Cell::new(measure(item.value, &item.unit)), Cell::new(n)]
    };
    let rows: Vec<Vec<Cell>> = measures.iter().map(row).collect();
    if measures.iter().any(|item| item.n.is_some()) {
        table(page, caption, &["", "value", "measured on (n)"], &rows);
    } else {
        table(page, caption, &["", "value"], &rows);
    }
}

#[cfg(test)]
mod tests {
    use super::super::download::saved;
    use super::super::sample::sample;
    use cognate_results::SimilarityHistogram;
    use cognate_results::SyntheticQuality;

    use super::super::first_screen;
    use super::*;

    /// The parts of a section, each from its name on; the one part of a section whose things have none.
    fn parts(html: &str, id: &str) -> Vec<String> {
        let from = html.find(&format!("<section id=\"{id}\"")).unwrap();
        let section = &html[from..from + html[from..].find("</section>").unwrap()];
        let named: Vec<String> = section.split("<h3 class=\"thing\">").skip(1).map(str::to_owned).collect();
        if named.is_empty() { vec![section.to_owned()] } else { named }
    }

    #[test]
    fn the_curve_says_by_what_its_checkpoint_was_chosen() {
        let point = |tokens, true_seed| RelationPoint { tokens, true_seed, random_seed: 5.0, no_seed: 4.9 };
        let said = |curve: Vec<RelationPoint>, chosen_at| {
            let mut report = sample();
            let relation = report.relation.as_mut().unwrap();
            (relation.curve, relation.chosen_at) = (curve, chosen_at);
            let html = first_screen::page(&report).replace('\u{a0}', " ");
            let (_, caption) = html.split_once("that chose the checkpoint: ").unwrap();
            caption.split_once('.').unwrap().0.to_owned()
        };
        assert_eq!(said(vec![point(0, 4.95), point(500, 4.8)], 500), "where the true seed saves most, at 500 tokens");
        let lowest = "at no checkpoint does the true seed save anything, so the lowest loss chose, at 500 tokens";
        // It saves something over a random seed, and nothing over none.
        assert_eq!(said(vec![point(0, 4.97), point(500, 4.95)], 500), lowest);
        assert_eq!(said(vec![point(0, 4.97), point(500, 4.9)], 500), lowest);
        assert_eq!(said(vec![point(0, 4.8)], 700), "the checkpoint was taken at 700 tokens");
    }

    #[test]
    fn several_things_stand_each_under_its_name_with_its_own_figures() {
        let mut report = sample();
        let one = first_screen::page(&report);
        let mut strict = report.pairs.clone().unwrap();
        (strict.name, strict.min_similarity, strict.counts[0].value) = ("strict".to_owned(), 0.77, 1_234.0);
        let empty = SimilarityHistogram { precision: vec![], edges: vec![], neighbours: vec![], random: vec![] };
        let shuffled = Pairs {
            name: "shuffled".to_owned(),
            embedder: String::new(),
            chosen: "The pairs of the set related, shuffled.".to_owned(),
            counts: vec![],
            histogram: empty,
            ..strict.clone()
        };
        report.further_pairs = vec![strict, shuffled];
        let mut second = report.relation.clone().unwrap();
        (second.name, second.made, second.pairs) = ("second".to_owned(), "Tuned on the pairs strict.".to_owned(), 77);
        second.after.true_seed.value = 3.333;
        let control = Relation { name: "shuffled".to_owned(), control: true, unused: true, ..second.clone() };
        report.further_relations = vec![Relation { unused: true, ..second }, control];
        let written = report.synthetic_quality.clone();
        let other = SyntheticQuality { name: "other".to_owned(), kept_documents: 9_999, calibration: None, ..written };
        report.further_synthetic = vec![other];
        let html = first_screen::page(&report).replace('\u{a0}', " ");

        let sets = parts(&html, "pairs");
        let begins = |parts: &[String]| -> Vec<String> {
            parts.iter().map(|part| part.split('<').next().unwrap().to_owned()).collect()
        };
        assert_eq!(begins(&sets), ["related", "strict", "shuffled"]);
        assert!(sets[0].contains("at least 0.50") && !sets[0].contains("1,234"), "{}", sets[0]);
        assert!(sets[1].contains("at least 0.77") && sets[1].contains("1,234"), "{}", sets[1]);
        assert!(
            sets[2].contains("The pairs of the set related, shuffled.") && !sets[2].contains("<svg"),
            "{}",
            sets[2]
        );
        assert!(saved(&html, "similarities.csv").is_some() && saved(&html, "similarities-strict.csv").is_some());

        let taught = parts(&html, "relation");
        assert_eq!(begins(&taught), ["related", "second", "shuffled"]);
        let verdicts = ["It uses its seed: ", "It does not use its seed: ", "nothing is to be expected of its seed"];
        for (part, verdict) in taught.iter().zip(verdicts) {
            assert_eq!(verdicts.map(|other| part.contains(other)), verdicts.map(|other| other == verdict), "{part}");
        }
        assert!(taught[1].contains("Tuned on the pairs strict.") && taught[1].contains("77 held-out pairs"));
        assert!(taught[1].contains("3.333") && !taught[0].contains("3.333"));
        assert!(
            html.contains("The synthesizer second does not use its seed: "),
            "the first screen names it, and no control"
        );
        assert!(taught.iter().all(|part| part.contains("What the seed is worth over tuning")), "a curve each");

        let corpora = parts(&html, "synthetic");
        assert_eq!(begins(&corpora), ["related", "other"]);
        assert!(corpora[1].contains("9,999") && !corpora[0].contains("9,999"));
        assert!(corpora.iter().all(|part| part.contains("What each rule of the filters alone would drop")));
        let explained = "what another synthesizer or another corpus would change";
        assert_eq!(html.matches(explained).count(), 1, "said once");
        assert!(html.contains("Synthetic documents of the corpus related."));

        // Where one of several synthesizers was measured, it is said which.
        report.further_relations.clear();
        report.relation.as_mut().unwrap().unused = true;
        let html = first_screen::page(&report);
        assert_eq!(begins(&parts(&html, "relation")), ["related"]);
        assert!(html.contains("The synthesizer related does not use its seed: "));

        // One of each needs no name.
        assert!(!one.contains("class=\"thing\"") && !one.contains("Synthetic documents of the corpus"));
        assert!(!one.contains("It uses its seed") && !one.contains("Written by the synthesizer related"));
    }
}
