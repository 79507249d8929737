//! Figures of a task, with their standard errors.

use std::collections::BTreeMap;

use cognate_statistics::{Estimate, mean, ratio};
use serde::{Deserialize, Serialize};

use super::definition::{Average, Definition, Kind};

/// What a question contributed to its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The task.
    pub task: String,
    /// The line or row of the question in the task's file, counted from 1.
    pub row: u64,
    /// Its group.
    pub group: Option<String>,
    /// The right choice; none where answers are written.
    pub gold: Option<usize>,
    /// Each choice, in the record's order.
    pub choices: Vec<ChoiceOutcome>,
    /// What was written.
    pub answer: Option<String>,
    /// Whether its prompt lost tokens on the left.
    pub truncated: bool,
    /// Whether the tokenizer does not give its text back.
    pub lossy: bool,
    /// Its part in each metric.
    pub metrics: BTreeMap<String, f64>,
}

/// How a choice was scored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceOutcome {
    /// ln p of the continuation, in nats.
    pub log_likelihood: f64,
    /// Its tokens.
    pub tokens: usize,
    /// Characters (code points) of the choice, without the space before it.
    pub characters: usize,
    /// Whether it is the likeliest text.
    pub greedy: bool,
}

/// A task's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// The metric that stands for the task.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its standard error; none for fewer than two questions.
    pub stderr: Option<f64>,
    /// Questions.
    pub n: u64,
    /// Examples before each.
    pub shots: usize,
    /// Questions whose prompt lost tokens on the left, because the model's context is too small.
    pub truncated: u64,
    /// Questions with text that the tokenizer does not give back, white space aside: it lacks their bytes, or changes letters.
    pub lossy: u64,
    /// All metrics, this one among them.
    pub metrics: BTreeMap<String, Estimate>,
    /// The metric that stands for the task, of each group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub groups: BTreeMap<String, Group>,
}

/// A group's figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Mean over its questions.
    pub value: f64,
    /// Standard error.
    pub stderr: Option<f64>,
    /// Questions.
    pub n: u64,
}

/// The metric that is the mean of −ln p of the right continuation, in nats.
pub const ANSWER_NATS: &str = "answer_nats";

impl Outcome {
    /// Works out the metrics of a question whose choices were scored.
    pub(crate) fn score(&mut self, kind: Kind) {
        let Some((gold, right)) = self.gold.and_then(|gold| Some((gold, *self.choices.get(gold)?))) else { return };
        let best = |score: &dyn Fn(&ChoiceOutcome) -> f64| {
            let (mut best, mut top) = (0, f64::NEG_INFINITY);
            for (at, choice) in self.choices.iter().enumerate() {
                // The first of equals, as in the reference.
                if score(choice) > top {
                    (best, top) = (at, score(choice));
                }
            }
            f64::from(u8::from(best == gold))
        };
        let metrics = match kind {
            Kind::Choice => vec![
                ("accuracy", best(&|choice| choice.log_likelihood)),
                ("accuracy_per_character", best(&|choice| choice.log_likelihood / choice.characters as f64)),
                ("accuracy_per_token", best(&|choice| choice.log_likelihood / choice.tokens as f64)),
            ],
            Kind::Completion | Kind::Generation => vec![("accuracy", f64::from(u8::from(right.greedy)))],
        };
        self.metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.metrics.insert(ANSWER_NATS.to_owned(), -right.log_likelihood);
    }
}

impl Outcome {
    /// Tokens and nats of the right choice.
    fn right_choice(&self) -> Option<(f64, f64)> {
        let right = self.choices.get(self.gold?)?;
        Some((right.tokens as f64, -right.log_likelihood))
    }
}

impl TaskScores {
    /// The figures over all questions; there is at least one.
    pub(crate) fn of(task: &Definition, shots: usize, outcomes: &[Outcome]) -> Self {
        let names =
            outcomes.first().map(|outcome| outcome.metrics.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        let mut metrics: BTreeMap<String, Estimate> =
            names.into_iter().map(|name| (name.clone(), overall(task, outcomes, &name))).collect();
        if let Some(nats) = metrics.get(ANSWER_NATS) {
            // A last word counts as one, as in the reference; other answers by their tokens.
            let (name, mean) = match task.kind {
                Kind::Completion => ("perplexity", *nats),
                _ => ("answer_perplexity", ratio(outcomes.iter().filter_map(Outcome::right_choice))),
            };
            metrics.insert(name.to_owned(), mean.exp());
        }
        let main = metrics.get(&task.metric).copied().unwrap_or(Estimate { value: f64::NAN, stderr: None });
        let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count() as u64;
        Self {
            metric: task.metric.clone(),
            value: main.value,
            stderr: main.stderr,
            n: outcomes.len() as u64,
            shots,
            truncated: count(|outcome| outcome.truncated),
            lossy: count(|outcome| outcome.lossy),
            metrics,
            groups: groups(outcomes, &task.metric),
        }
    }
}

/// A metric over all questions, or over the groups' means, which are independent.
fn overall(task: &Definition, outcomes: &[Outcome], metric: &str) -> Estimate {
    let groups = groups(outcomes, metric);
    if task.average == Average::Documents || groups.is_empty() {
        return mean(outcomes.iter().map(|outcome| outcome.metrics[metric]));
    }
    Estimate::mean_of(groups.values().map(|group| Estimate { value: group.value, stderr: group.stderr }))
}

fn groups(outcomes: &[Outcome], metric: &str) -> BTreeMap<String, Group> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for outcome in outcomes {
        if let (Some(group), Some(value)) = (&outcome.group, outcome.metrics.get(metric)) {
            values.entry(group.clone()).or_default().push(*value);
        }
    }
    let group = |values: Vec<f64>| {
        let Estimate { value, stderr } = mean(values.iter().copied());
        Group { value, stderr, n: values.len() as u64 }
    };
    values.into_iter().map(|(name, values)| (name, group(values))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(gold: usize, choices: &[(f64, usize, usize)], group: Option<&str>) -> Outcome {
        let choice = |&(log_likelihood, tokens, characters): &(f64, usize, usize)| ChoiceOutcome {
            log_likelihood,
            tokens,
            characters,
            greedy: log_likelihood > -1.0,
        };
        let mut outcome = Outcome {
            task: "t".into(),
            row: 1,
            group: group.map(str::to_owned),
            gold: Some(gold),
            choices: choices.iter().map(choice).collect(),
            answer: None,
            truncated: gold == 1,
            lossy: false,
            metrics: BTreeMap::new(),
        };
        outcome.score(Kind::Choice);
        outcome
    }

    #[test]
    fn the_three_normalisations_choose_differently() {
        // Summed: choice 0; per character: choice 1 (−4/8 before −3/2 and −6/10); per token: choice 2 (−6/6).
        let choices = [(-3.0, 2, 2), (-4.0, 3, 8), (-6.0, 6, 10)];
        for (gold, expected) in [(0, [1.0, 0.0, 0.0]), (1, [0.0, 1.0, 0.0]), (2, [0.0, 0.0, 1.0])] {
            let found = outcome(gold, &choices, None).metrics;
            let values = ["accuracy", "accuracy_per_character", "accuracy_per_token"].map(|name| found[name]);
            assert_eq!(values, expected, "{gold}");
            assert_eq!(found["answer_nats"], -choices[gold].0);
        }
        // Equals: the first.
        assert_eq!(outcome(1, &[(-2.0, 1, 1), (-2.0, 1, 1)], None).metrics["accuracy"], 0.0);
    }

    #[test]
    fn figures_by_hand() {
        let task = Definition::bundled("piqa").unwrap();
        let outcomes: Vec<Outcome> = [(0, -1.0), (0, -3.0), (1, -1.0), (0, -1.0)]
            .into_iter()
            .map(|(gold, first)| outcome(gold, &[(first, 1, 1), (-2.0, 1, 1)], None))
            .collect();
        let scores = TaskScores::of(&task, 2, &outcomes);
        assert_eq!((scores.metric.as_str(), scores.value, scores.n), ("accuracy", 0.5, 4));
        assert_eq!((scores.shots, scores.truncated, scores.lossy), (2, 1, 0));
        // Sample standard deviation √(4/3 · 1/4) over √4.
        assert!((scores.stderr.unwrap() - (1.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-12);
        // Right answers cost 1, 3, 2 and 1 nats.
        let perplexity = scores.metrics["answer_perplexity"];
        assert!((perplexity.value - 1.75f64.exp()).abs() < 1e-12);
        let spread = (2.75f64 / 3.0).sqrt() / 2.0;
        assert!((perplexity.stderr.unwrap() - 1.75f64.exp() * spread).abs() < 1e-12);
        assert!(scores.groups.is_empty());
    }

    #[test]
    fn blimp_is_the_mean_of_its_paradigms() {
        let task = Definition::bundled("blimp").unwrap();
        let pair = |right: bool, group| outcome(usize::from(!right), &[(-1.0, 1, 1), (-2.0, 1, 1)], Some(group));
        let outcomes =
            [pair(true, "a"), pair(true, "a"), pair(false, "b"), pair(true, "b"), pair(true, "b"), pair(false, "b")];
        let scores = TaskScores::of(&task, 0, &outcomes);
        assert_eq!(scores.value, 0.75, "not 4 of 6");
        let by_question = TaskScores::of(&Definition::bundled("mmlu").unwrap(), 0, &outcomes);
        assert_eq!((by_question.value, by_question.groups.len()), (4.0 / 6.0, 2));
        assert_eq!((scores.groups["a"].value, scores.groups["b"].value, scores.groups["b"].n), (1.0, 0.5, 4));
        assert_eq!(scores.groups["a"].stderr, Some(0.0));
        assert!((scores.stderr.unwrap() - scores.groups["b"].stderr.unwrap() / 2.0).abs() < 1e-15);
        // One document a group has no standard error, so neither has the mean.
        assert_eq!(TaskScores::of(&task, 0, &outcomes[1..3]).stderr, None);
    }
}
