//! A list of questions for a completion server, answered all or not at all.

use cognate_base::{Monitor, Unit};

use super::workers::{Asker, Question, Workers};
use super::{EndpointConfig, PATIENCE, Role};
use crate::error::Result;

/// The answers to `questions`, in any order. `seed` spreads the waits before repeated requests.
///
/// # Errors
/// When an answer is not to be had, or the monitor says so.
pub(crate) fn ask<Q: Question>(
    questions: impl ExactSizeIterator<Item = Q>,
    endpoint: &EndpointConfig,
    role: Role,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<Q::Answer>> {
    let workers = Workers::start(Asker::new(endpoint, role, seed)?, endpoint.concurrency.min(questions.len()))?;
    monitor.begin(role.served(), Some(questions.len() as u64), Unit::Documents);
    let answers = collect(&workers, questions, endpoint.concurrency, monitor);
    monitor.end();
    answers
}

/// Hands out as many questions as there are threads for, and another for every answer.
fn collect<Q: Question>(
    workers: &Workers<Q>,
    mut questions: impl ExactSizeIterator<Item = Q>,
    threads: usize,
    monitor: &dyn Monitor,
) -> Result<Vec<Q::Answer>> {
    let wanted = questions.len();
    let mut answers = Vec::with_capacity(wanted);
    questions.by_ref().take(threads).try_for_each(|question| workers.send(question))?;
    while answers.len() < wanted {
        monitor.check()?;
        if let Some(outcome) = workers.receive(PATIENCE)? {
            answers.push(outcome?);
            questions.next().map_or(Ok(()), |question| workers.send(question))?;
        }
        monitor.advance(answers.len() as u64, &format!("{} requests repeated", workers.repeated()));
    }
    Ok(answers)
}
