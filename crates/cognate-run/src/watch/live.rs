//! A run as a page needs it, which is made anew on every request: how far it is, and the report of what exists.

use std::path::{Path, PathBuf};

use cognate_results::{self as results, Environment, Progress, Report};
use serde_json::Value;

use crate::assemble::Assembly;
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::rundir::{RECIPE, RunDirError};
use crate::runner::environment_of;
use crate::status::status;

/// A run directory whose page is asked for again and again.
#[derive(Debug)]
pub struct Live {
    root: PathBuf,
    /// The last report: its slow parts stay as they are while no stage is finished.
    last: Option<Report>,
}

impl Live {
    /// Of the run directory `root`, which need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), last: None }
    }

    /// The report of what exists and how far the run is; `None` where there is no run yet.
    ///
    /// # Errors
    /// When something in the directory is damaged.
    pub fn look(&mut self) -> Result<Option<(&Report, Progress)>> {
        if !self.root.join(RECIPE).exists() {
            return Ok(None);
        }
        let progress = (&status(&self.root)?).into();
        Ok(Some((self.report()?, progress)))
    }

    /// `status.json`: what `cognate status --json` prints.
    ///
    /// # Errors
    /// When there is no run, or something in it is damaged.
    pub fn status(&self) -> Result<Value> {
        serde_json::to_value(status(&self.root)?).map_err(|error| Error::Io(error.into()))
    }

    /// `report.json` of what exists now.
    ///
    /// # Errors
    /// When there is no run, or something in it is damaged.
    pub fn json(&mut self) -> Result<Value> {
        serde_json::to_value(self.report()?).map_err(|error| Error::Io(error.into()))
    }

    fn report(&mut self) -> Result<&Report> {
        let path = self.root.join(RECIPE);
        if !path.exists() {
            return Err(RunDirError::NoRun { folder: self.root.clone() }.into());
        }
        let recipe = Recipe::load(&path)?;
        let assembly = Assembly { root: &self.root, recipe: &recipe };
        let fresh = match self.last.take() {
            Some(last) if last.missing == assembly.missing()? && last.name == recipe.name => {
                Report { curves: assembly.curves()?, ..last }
            }
            _ => {
                let written = self.root.join(results::JSON_FILE);
                let kept = if written.exists() { environment_of(&written)? } else { None };
                let environment = kept.unwrap_or_else(Environment::unknown);
                assembly.report(environment)?
            }
        };
        Ok(self.last.insert(fresh))
    }
}
