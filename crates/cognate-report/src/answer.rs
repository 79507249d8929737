//! The answer in words: sentences made from the numbers, which never claim more than the numbers show.

use cognate_results::numbers::{counted, nats, percent, signed_nats, significant};
use cognate_results::{Arm, ArmComparison, GapClosed, ORACLE, REPETITION, Report, SBP, VALIDATION, gap_closed};
use cognate_statistics::Estimate;

use super::lowest;

/// Nats of repetition, sbp and oracle, and the share of the gap, where there is one to draw.
pub(super) fn drawn_gap(report: &Report) -> Option<([f64; 3], f64)> {
    let losses = Losses::of(report);
    let share = report.gap_closed.get(VALIDATION)?.mean?;
    Some(([losses.repetition?, losses.sbp?, losses.oracle?], share))
}

/// Whether validation losses are the figure of the first screen.
pub(super) fn losses_are_first(report: &Report) -> bool {
    drawn_gap(report).is_none()
}

#[cfg(test)]
mod tests;

/// What the first screen says, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Which synthesizers make nothing of their seeds; may be empty.
    pub(super) unused: String,
    /// One sentence: what came out.
    pub(super) headline: String,
    /// That the synthesizer makes something of its seed, where it does; may be empty.
    pub(super) used: String,
    /// The numbers behind it; may be empty.
    pub(super) detail: String,
    /// How far to trust it.
    pub(super) caution: String,
}

impl Answer {
    /// Its first words: the headline, behind what makes it another answer.
    pub(super) fn first(&self) -> String {
        format!("{} {}", self.unused, self.headline).trim_start().to_owned()
    }

    /// All that there is of it, in its order.
    pub(super) fn parts(self) -> impl Iterator<Item = String> {
        let all = [self.unused, self.headline, self.used, self.detail, self.caution];
        all.into_iter().filter(|part| !part.is_empty())
    }
}

/// Validation nats of the three arms, averaged over the seeds that the compared arms share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Losses {
    pub(super) repetition: Option<f64>,
    pub(super) sbp: Option<f64>,
    pub(super) oracle: Option<f64>,
    pub(super) seeds: u64,
}

impl Losses {
    /// Averages over the seeds that every arm present among the three has. Without such a seed all count as absent.
    pub(super) fn of(report: &Report) -> Self {
        let arm = |name: &str, seed: u64| report.arms.iter().find(|arm| arm.name == name && arm.seed == seed);
        let present: Vec<&str> = [REPETITION, SBP, ORACLE]
            .into_iter()
            .filter(|name| report.arms.iter().any(|arm| arm.name == *name))
            .collect();
        let mut seeds: Vec<u64> = report.arms.iter().map(|arm| arm.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.retain(|&seed| present.iter().all(|name| arm(name, seed).is_some()));
        let mean = |name: &str| {
            let losses = seeds.iter().filter_map(|&seed| arm(name, seed)).map(|arm| arm.validation.nats_per_token);
            let (sum, n) = losses.fold((0.0, 0_u32), |(sum, n), loss| (sum + loss, n + 1));
            (n > 0).then(|| sum / f64::from(n))
        };
        Self { repetition: mean(REPETITION), sbp: mean(SBP), oracle: mean(ORACLE), seeds: seeds.len() as u64 }
    }
}

/// The answer of a report.
pub(super) fn answer(report: &Report) -> Answer {
    let losses = Losses::of(report);
    let (headline, detail) = match (losses.repetition, losses.sbp, losses.oracle) {
        (Some(repetition), Some(sbp), Some(oracle)) => {
            let computed = gap_closed(repetition, sbp, oracle);
            let gap = report.gap_closed.get(VALIDATION);
            let share = gap.map_or(computed, |gap| gap.mean);
            (with_oracle(report, repetition, sbp, oracle, share), losses_in_words(repetition, sbp, Some(oracle)))
        }
        (Some(repetition), Some(sbp), None) => (
            format!("{} There is no oracle arm, so no gap to measure.", against_repetition(report, sbp, repetition)),
            losses_in_words(repetition, sbp, None),
        ),
        _ => (missing(report), String::new()),
    };
    let headline = match beside_controls(report) {
        Some(clause) => format!("{}; {clause}.", headline.trim_end_matches('.')),
        None => headline,
    };
    Answer {
        unused: seeds_unused(report),
        headline,
        used: seed_used(report),
        detail,
        caution: caution(report, losses).trim_end().to_owned(),
    }
}

/// What is said first of synthesizers that make nothing of their seeds; of one that should not, since it learned from shuffled pairs, only
/// where the answer is about it.
fn seeds_unused(report: &Report) -> String {
    let relations = report.relations();
    let unused = relations.iter().enumerate().filter(|(at, relation)| {
        let is_subjects = *at == 0 && report.relation.is_some();
        relation.unused && (is_subjects || !relation.control)
    });
    let unused: Vec<&str> = unused.map(|(_, relation)| relation.name.as_str()).collect();
    let (who, wrote) = match unused.as_slice() {
        [] => return String::new(),
        [_] if !report.has_several() => ("The synthesizer does not use its seed".to_owned(), "it wrote"),
        [one] => (format!("The synthesizer {one} does not use its seed"), "it wrote"),
        several => (format!("The synthesizers {} do not use their seeds", listed(several)), "they wrote"),
    };
    format!(
        "{who}: on held-out pairs the true one may save nothing over a random one, or over none. What {wrote} is not synthesis from \
         related documents."
    )
}

/// What the true seed saves the synthesizer that the answer is about, over a random one or over none, whichever is less; nothing where it
/// may save nothing, or nothing is known of how far that may be off.
fn seed_used(report: &Report) -> String {
    let Some(relation) = report.relation.as_ref().filter(|relation| !relation.unused && !relation.control) else {
        return String::new();
    };
    let gains = [(relation.after.gain_over_random, "a random one"), (relation.after.gain_over_none, "none")];
    let is_sure = |gain: Estimate| gain.stderr.is_some() && gain.interval().0 > 0.0;
    if !gains.iter().all(|(gain, _)| is_sure(*gain)) {
        return String::new();
    }
    let [(random, _), (none, _)] = gains;
    let (gain, over) = gains[usize::from(none.value < random.value)];
    let (low, high) = gain.interval();
    let name = if report.has_several() { format!(" {}", relation.name) } else { String::new() };
    format!(
        "The synthesizer{name} uses its seed: the true one saves {} nats per token over {over}, 95\u{a0}% interval {} to {}.",
        nats(gain.value),
        nats(low),
        nats(high)
    )
}

/// `sbp was worse than regularised, and not significantly different from random-pairs`, on validation documents; nothing where no
/// control was compared.
fn beside_controls(report: &Report) -> Option<String> {
    let (mut better, mut worse, mut alike) = (Vec::new(), Vec::new(), Vec::new());
    for found in report.comparisons.iter().filter(|found| found.against == SBP && found.measure == VALIDATION) {
        let place = match found.difference {
            _ if !found.is_significant() => &mut alike,
            difference if difference < 0.0 => &mut better,
            _ => &mut worse,
        };
        place.push(found.arm.as_str());
    }
    let said = [("worse than", better), ("not significantly different from", alike), ("better than", worse)];
    let said: Vec<String> =
        said.iter().filter(|(_, arms)| !arms.is_empty()).map(|(how, arms)| format!("{how} {}", listed(arms))).collect();
    match said.as_slice() {
        [] => None,
        [one] => Some(format!("sbp was {one}")),
        [first @ .., last] => Some(format!("sbp was {}, and {last}", first.join(", "))),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// sbp beside repetition on validation documents.
fn comparison(report: &Report) -> Option<&ArmComparison> {
    beside_repetition(report, SBP)
}

/// An arm beside repetition on validation documents.
fn beside_repetition<'a>(report: &'a Report, arm: &str) -> Option<&'a ArmComparison> {
    let is_it = |found: &&ArmComparison| found.arm == arm && found.against == REPETITION && found.measure == VALIDATION;
    report.comparisons.iter().find(is_it)
}

fn with_oracle(report: &Report, repetition: f64, sbp: f64, oracle: f64, share: Option<f64>) -> String {
    let compared = against_repetition(report, sbp, repetition);
    let interval = interval_of(report.gap_closed.get(VALIDATION));
    match share {
        None if oracle < repetition => format!("{compared} The share of the gap was not computed."),
        None if beside_repetition(report, ORACLE).is_some_and(|found| !found.is_significant()) => format!(
            "Whether there was a gap to close is not known: there is no significant difference between oracle and repetition. {compared}"
        ),
        None => format!("There was no gap to close: the oracle arm was not better than repetition. {compared}"),
        Some(_) if comparison(report).is_some_and(|found| !found.is_significant()) => compared,
        Some(share) if share <= 0.0 || nats(repetition - sbp) == "0.000" => compared,
        Some(share) if share > 1.0 => format!(
            "{} closed the whole gap to {}, and more: {} of it{interval}.",
            what_differs(report),
            oracle_in_words(report),
            percent(share)
        ),
        Some(share) => {
            format!(
                "{} closed {} of the gap to {}{interval}.",
                what_differs(report),
                percent(share),
                oracle_in_words(report)
            )
        }
    }
}

/// ` (95 % interval 12 % to 30 %)`, or nothing.
fn interval_of(gap: Option<&GapClosed>) -> String {
    match gap.map(|gap| (gap.low, gap.high)) {
        Some((Some(low), Some(high))) => format!(" (95\u{a0}% interval {} to {})", percent(low), percent(high)),
        _ => String::new(),
    }
}

/// `having 20 times as much unique text`, as far as the arms tell: text that an arm has but does not come to is not counted.
fn oracle_in_words(report: &Report) -> String {
    let seen = |arm: &Arm| arm.unique_tokens.min(arm.train_tokens);
    let unique = |name: &str| report.arms.iter().find(|arm| arm.name == name).map_or(0, seen);
    let (few, many) = (unique(REPETITION), unique(ORACLE));
    if few == 0 || many <= few {
        return "having more unique text".to_owned();
    }
    let ratio = many as f64 / few as f64;
    format!("having {} times as much unique text", significant(ratio, 2))
}

fn against_repetition(report: &Report, sbp: f64, repetition: f64) -> String {
    let difference = nats((sbp - repetition).abs());
    let found = comparison(report);
    if let Some(found) = found.filter(|found| !found.is_significant()) {
        return format!(
            "No significant difference between sbp and repetition: {} nats per token, 95\u{a0}% interval {} to {}.",
            signed_nats(found.difference),
            signed_nats(found.low),
            signed_nats(found.high)
        );
    }
    let what = what_differs(report);
    if difference == "0.000" {
        format!("{what} made no difference: sbp and repetition ended within 0.001 nats per token of each other.")
    } else if sbp < repetition {
        format!("{what} helped: sbp ended {difference} nats per token better than repetition.")
    } else {
        format!("{what} did not help: sbp ended {difference} nats per token worse than repetition.")
    }
}

/// What the answer is about: the subject may be an arm without synthetic text.
fn what_differs(report: &Report) -> &'static str {
    let synthetic = report.arms.iter().any(|arm| arm.name == SBP && arm.synthetic_tokens > 0);
    if synthetic { "Synthetic documents" } else { "What sbp does otherwise" }
}

fn losses_in_words(repetition: f64, sbp: f64, oracle: Option<f64>) -> String {
    let oracle = oracle.map_or_else(String::new, |oracle| format!(", oracle\u{a0}{}", nats(oracle)));
    format!(
        "Loss on validation documents, in nats per token (lower is better): repetition\u{a0}{}, sbp\u{a0}{}{oracle}.",
        nats(repetition),
        nats(sbp)
    )
}

/// Says which of the two arms that a comparison needs is not there.
fn missing(report: &Report) -> String {
    let has = |name: &str| report.arms.iter().any(|arm| arm.name == name);
    match (has(REPETITION), has(SBP)) {
        _ if report.arms.is_empty() => "No arm has been measured yet, so there is no answer.".to_owned(),
        (true, true) => "The arms were trained with different seeds, so they cannot be compared.".to_owned(),
        (false, true) => "There is no repetition arm to compare sbp with, so there is no answer.".to_owned(),
        (true, false) => "There is no sbp arm to compare with repetition, so there is no answer. [report] subject can name another arm."
            .to_owned(),
        (false, false) => "There is neither a repetition nor an sbp arm, so there is no answer.".to_owned(),
    }
}

/// How far to trust the answer: what the intervals cover, and whether an arm tells relation from any synthetic text.
fn caution(report: &Report, losses: Losses) -> String {
    let mut caution = covered(report, losses);
    let share = report.gap_closed.get(VALIDATION).and_then(|gap| gap.mean);
    if let (Some(share), Some(early)) = (share, lowest::stopped_early(report))
        && losses.seeds > 0
        && percent(share) != percent(early)
    {
        caution.push_str(&format!(
            " Repetition was better before its end: with every arm stopped at its lowest loss, sbp closes {} of the gap.",
            percent(early)
        ));
    }
    let compared = losses.repetition.is_some() && losses.sbp.is_some();
    if compared && report.arms.iter().all(|arm| [REPETITION, SBP, ORACLE].contains(&arm.name.as_str())) {
        caution.push_str(" No control arm: whether unrelated synthetic text would do the same was not asked.");
    }
    caution
}

/// What the intervals cover, and what they do not.
fn covered(report: &Report, losses: Losses) -> String {
    if let Some(found) = comparison(report) {
        let documents = counted(found.documents, "validation document", "validation documents");
        let unmeasured = "another split, synthesizer or synthetic corpus";
        return match found.seeds {
            1 => format!(
                "One seed: the interval covers the choice of {documents} alone, not what another seed would give, nor \
                 {unmeasured}."
            ),
            seeds => format!(
                "Intervals cover the choice of {} and {documents}, not {unmeasured}; over so few seeds they are too narrow.",
                counted(seeds, "seed", "seeds")
            ),
        };
    }
    match losses {
        Losses { repetition: Some(_), sbp: Some(_), seeds: 1, .. } => {
            "One seed: nothing here tells such a difference from chance.".to_owned()
        }
        Losses { repetition: Some(_), sbp: Some(_), seeds, .. } => {
            format!("Means over {}, without an interval.", counted(seeds, "seed", "seeds"))
        }
        _ => String::new(),
    }
}
