//! What a final model made of each validation document and of each question: what differences between arms are resampled from.

use std::collections::BTreeMap;

use cognate_eval::DocumentScore;
use cognate_eval::tasks::{ANSWER_NATS, Outcome};
use cognate_results::{TASK_AVERAGE, VALIDATION, answer_nats};

use super::Assembly;
use crate::error::{Error, Result};
use crate::stages::evaluate::{read_lines, read_scores};
use crate::stages::tasks::QUESTIONS;
use crate::step::{Replicate, Step};

/// The items of one measure: its figure is Σ totals / Σ weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Which documents or questions, in their order.
    pub(super) items: Vec<String>,
    /// How much each counts.
    pub(super) weights: Vec<f64>,
    /// What the model made of each, times its weight.
    pub(super) totals: Vec<f64>,
}

impl Sample {
    pub(super) fn push(&mut self, item: String, weight: f64, total: f64) {
        self.items.push(item);
        self.weights.push(weight);
        self.totals.push(total);
    }

    /// Whether both are of the same items, with the same weights.
    pub(super) fn pairs_with(&self, other: &Self) -> bool {
        self.items == other.items && self.weights == other.weights
    }
}

impl Assembly<'_> {
    /// The model's sample of every measure: [`VALIDATION`] in nats, every task in its metric and, where its right answers are known,
    /// in their nats, and [`TASK_AVERAGE`] where there are several tasks. Empty where the model is not evaluated yet.
    pub(super) fn samples(&self, model: Replicate) -> Result<BTreeMap<String, Sample>> {
        let Some(artifact) = self.artifact(Step::Evaluate(model).folder(self.recipe))? else {
            return Ok(BTreeMap::new());
        };
        let mut validation = Sample::default();
        for DocumentScore { document, tokens, log_likelihood, end_log_likelihood, .. } in read_scores(&artifact.folder)?
        {
            // The token that closes a document counts, as in the arm's own figure.
            validation.push(document, (tokens + 1) as f64, -log_likelihood - end_log_likelihood);
        }
        let mut samples = BTreeMap::from([(VALIDATION.to_owned(), validation)]);
        let tasks = self.tasks(model)?;
        if tasks.is_empty() {
            return Ok(samples);
        }
        let mut outcomes: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
        for outcome in read_lines::<Outcome>(&artifact.path(QUESTIONS))? {
            outcomes.entry(outcome.task.clone()).or_default().push(outcome);
        }
        let mut of_tasks = BTreeMap::new();
        for (name, score) in &tasks {
            let outcomes = outcomes.get(name).map_or(&[][..], Vec::as_slice);
            let by_group = self.is_by_group(name);
            if let Some(sample) = questions(outcomes, ANSWER_NATS, by_group) {
                samples.insert(answer_nats(name), sample);
            }
            let sample = questions(outcomes, &score.metric, by_group);
            let sample =
                sample.filter(|sample| sample.items.len() as u64 == score.n).ok_or_else(|| Error::Damaged {
                    path: artifact.path(QUESTIONS),
                    message: format!("expected {} questions of {name} with their {}", score.n, score.metric),
                })?;
            of_tasks.insert(name.clone(), sample);
        }
        if of_tasks.len() > 1 {
            samples.insert(TASK_AVERAGE.to_owned(), average(&of_tasks));
        }
        samples.append(&mut of_tasks);
        Ok(samples)
    }

    /// Whether a task's figure is the mean of its groups' means.
    fn is_by_group(&self, task: &str) -> bool {
        cognate_eval::tasks::Definition::bundled(task).is_ok_and(|task| task.averages_groups())
    }
}

/// The mean of several tasks' figures: each counts alike, whatever it has of questions.
fn average(tasks: &BTreeMap<String, Sample>) -> Sample {
    let mut average = Sample::default();
    for (name, sample) in tasks {
        let share = sample.weights.iter().sum::<f64>();
        for ((item, weight), total) in sample.items.iter().zip(&sample.weights).zip(&sample.totals) {
            average.push(format!("{name} {item}"), weight / share, total / share);
        }
    }
    average
}

/// The questions of one task; none where one lacks the metric.
fn questions(outcomes: &[Outcome], metric: &str, by_group: bool) -> Option<Sample> {
    let mut sizes: BTreeMap<Option<&str>, f64> = BTreeMap::new();
    for outcome in outcomes {
        *sizes.entry(outcome.group.as_deref()).or_default() += 1.0;
    }
    let mut sample = Sample::default();
    for outcome in outcomes {
        let group = outcome.group.as_deref();
        let weight = if by_group { 1.0 / sizes[&group] } else { 1.0 };
        let item = format!("{} {}", group.unwrap_or_default(), outcome.row);
        sample.push(item, weight, weight * outcome.metrics.get(metric)?);
    }
    Some(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(row: u64, group: &str, right: bool) -> Outcome {
        Outcome {
            task: "blimp".into(),
            row,
            group: Some(group.into()),
            gold: None,
            choices: Vec::new(),
            answer: None,
            truncated: false,
            lossy: false,
            metrics: BTreeMap::from([("accuracy".to_owned(), f64::from(u8::from(right)))]),
        }
    }

    fn figure(sample: &Sample) -> f64 {
        sample.totals.iter().sum::<f64>() / sample.weights.iter().sum::<f64>()
    }

    #[test]
    fn tasks_count_alike_in_their_average() {
        let few = questions(&[outcome(1, "", true)], "accuracy", false).unwrap();
        let many: Vec<Outcome> = (1..=4).map(|row| outcome(row, "", row == 1)).collect();
        let many = questions(&many, "accuracy", false).unwrap();
        let average = average(&BTreeMap::from([("few".to_owned(), few), ("many".to_owned(), many)]));
        assert_eq!((figure(&average), average.items.len()), ((1.0 + 0.25) / 2.0, 5));
        assert_eq!((average.items[0].as_str(), average.items[4].as_str()), ("few  1", "many  4"));
    }

    #[test]
    fn groups_count_alike_where_the_task_says_so() {
        let outcomes = [outcome(1, "a", true), outcome(1, "b", false), outcome(2, "b", false), outcome(3, "b", true)];
        let by_group = questions(&outcomes, "accuracy", true).unwrap();
        assert!((figure(&by_group) - (1.0 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
        let alike = questions(&outcomes, "accuracy", false).unwrap();
        assert_eq!(figure(&alike), 0.5);
        assert_eq!(alike.items, ["a 1", "b 1", "b 2", "b 3"]);
        assert!(!alike.pairs_with(&by_group) && alike.pairs_with(&alike.clone()));
        assert_eq!(questions(&outcomes, "exact_match", false), None);
    }
}
