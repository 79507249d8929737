//! One stage: skipped, resumed or done.

use cognate_base::Monitor;

use crate::context::{Context, Made};
use crate::error::Result;
use crate::rundir::{Artifact, Attempt, State, Watched};
use crate::stages::Place;
use crate::step::Step;

/// Does one stage unless it is done; says whether there was anything to do.
pub(crate) fn perform(context: &mut Context<'_>, step: Step) -> Result<bool> {
    let label = step.label(context.recipe);
    let name = step.folder(context.recipe);
    let identity = step.identity(context).map_err(|error| error.in_stage(&label))?;
    let attempt = match context.run.enter(&name, identity, step.seed(context.recipe), step.resumes())? {
        State::Done(manifest) => {
            let folder = context.run.folder(&name);
            context.finished(&name, Artifact { folder, manifest: *manifest });
            step.stage_of().found(context).map_err(|error| error.in_stage(&label))?;
            return Ok(false);
        }
        State::Open(attempt) => attempt,
    };
    let watched = Watched::new(context.monitor, &label, &attempt);
    let made = match work(context, step, &attempt, &watched) {
        Ok(made) => made,
        Err(error) => {
            watched.stop();
            return Err(error.in_stage(&label));
        }
    };
    let manifest = attempt.finish(&made.files, &made.rows, made.work)?;
    let folder = context.run.folder(&name);
    context.finished(&name, Artifact { folder, manifest });
    Ok(true)
}

fn work(context: &Context<'_>, step: Step, attempt: &Attempt, monitor: &dyn Monitor) -> Result<Made> {
    monitor.check()?;
    let place = Place { folder: attempt.folder(), fingerprint: attempt.fingerprint() };
    step.stage_of().work(context, place, monitor)
}
