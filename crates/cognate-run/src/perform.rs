//! One stage: skipped, resumed or done. The set of stages is closed.

use cognate_base::Monitor;

use crate::context::{Context, Made};
use crate::error::Result;
use crate::rundir::{Artifact, Attempt, State, Watched};
use crate::stage::Step;
use crate::stages::{documents, evaluate, relations, synthesis, train, tune};

/// Does one stage unless it is done; says whether there was anything to do.
pub(crate) fn perform(context: &mut Context<'_>, step: Step) -> Result<bool> {
    let label = step.label(context.recipe);
    let name = step.folder(context.recipe);
    let identity = context.identity(step).map_err(|error| error.in_stage(&label))?;
    let attempt = match context.run.enter(&name, identity, step.seed(context.recipe), step.resumes())? {
        State::Done(manifest) => {
            let folder = context.run.folder(&name);
            context.finished(&name, Artifact { folder, manifest: *manifest });
            if let Step::Filter(corpus) = step {
                // What it took beside the first round is part of what it cost, and of what it is.
                synthesis::further_rounds(context, corpus).map_err(|error| error.in_stage(&label))?;
            }
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

/// The stages themselves.
fn work(context: &Context<'_>, step: Step, attempt: &Attempt, monitor: &dyn Monitor) -> Result<Made> {
    monitor.check()?;
    let (folder, fingerprint) = (attempt.folder(), attempt.fingerprint());
    match step {
        Step::Ingest => documents::ingest_stage(context, folder, monitor),
        Step::Tokenize => documents::tokenize_stage(context, folder, monitor),
        Step::Embed(at) => relations::embed_stage(context, at, folder, monitor),
        Step::Pair(at) => relations::pair_stage(context, at, folder, monitor),
        Step::Train(model) => train::train_stage(context, model, folder, fingerprint, monitor),
        Step::Sweep { arm, candidate } => train::sweep_stage(context, (arm, candidate), folder, fingerprint, monitor),
        Step::Tune(at) => tune::tune_stage(context, at, folder, fingerprint, monitor),
        Step::Generate(corpus) => synthesis::generate_round(context, corpus, (1, 0), folder, monitor),
        Step::Filter(corpus) => synthesis::filter_stage(context, corpus, folder, monitor),
        Step::Evaluate(model) => evaluate::evaluate_stage(context, model, folder, monitor),
        Step::Report => Ok(Made::default()),
    }
}
