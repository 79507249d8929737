//! `report`: everything, told. It is written once behind the others, by the runner, and is no artifact.

use cognate_base::Monitor;

use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate};
use crate::recipe::Recipe;
use crate::step::Step;

/// The report of a run.
pub(crate) struct Report;

impl Stage for Report {
    fn step(&self) -> Step {
        Step::Report
    }

    fn version(&self, _: &Recipe) -> u32 {
        1
    }

    fn needs(&self, _: &Recipe) -> Vec<Step> {
        Vec::new()
    }

    fn config(&self, _: &Recipe, _: &mut Config) -> Result<()> {
        Ok(())
    }

    fn inputs(&self, _: &Context<'_>, _: &mut Inputs<'_>) -> Result<()> {
        Ok(())
    }

    fn work(&self, _: &Context<'_>, _: Place<'_>, _: &dyn Monitor) -> Result<Made> {
        Ok(Made::default())
    }

    fn cost(&self, _: &Estimate<'_>) -> Cost {
        Cost { bytes: 3e5, wall_s: 1.0, ..Cost::default() }
    }

    fn memory(&self, _: &Estimate<'_>) -> f64 {
        20e6
    }
}
