//! Who makes what people read of a report.

use crate::report::{Arm, Report};

/// A checkpoint to write a card for.
#[derive(Clone, Copy, Debug)]
pub enum Checkpoint<'a> {
    /// An arm's last step: what the report scores.
    Final(&'a Arm),
    /// An arm's step with the lowest loss on documents that choices are made by: what tuning starts from.
    Best(&'a Arm),
    /// The synthesizer.
    Synthesizer,
}

/// Makes what people read of a report. The runner is handed one and knows no page: whoever changes a page does not compile the
/// runner again.
pub trait Pages: Sync {
    /// `report.html`.
    fn report(&self, report: &Report) -> String;
    /// The card of the synthetic corpus that the report is about; `None` where there is none.
    fn dataset_card(&self, report: &Report) -> Option<String>;
    /// The card of a checkpoint.
    fn model_card(&self, report: &Report, checkpoint: Checkpoint<'_>) -> String;
}
