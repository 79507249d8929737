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
    questions: Vec<Q>,
    endpoint: &EndpointConfig,
    role: Role,
    seed: u64,
    monitor: &dyn Monitor,
) -> Result<Vec<Q::Answer>> {
    let wanted = questions.len();
    let workers = Workers::start(Asker::new(endpoint, role, seed)?, endpoint.concurrency.min(wanted))?;
    questions.into_iter().try_for_each(|question| workers.send(question))?;
    monitor.begin(role.served(), Some(wanted as u64), Unit::Documents);
    let answers = collect(&workers, wanted, monitor);
    monitor.end();
    answers
}

fn collect<Q: Question>(workers: &Workers<Q>, wanted: usize, monitor: &dyn Monitor) -> Result<Vec<Q::Answer>> {
    let mut answers = Vec::with_capacity(wanted);
    while answers.len() < wanted {
        monitor.check()?;
        if let Some(outcome) = workers.receive(PATIENCE)? {
            answers.push(outcome?);
        }
        monitor.advance(answers.len() as u64, &format!("{} requests repeated", workers.repeated()));
    }
    Ok(answers)
}
