//! Progress of a parallel piece of work: many threads count, one at a time reports.

use std::sync::{Mutex, PoisonError};

use cognate_base::{Monitor, Unit};

use crate::Result;

/// A piece of work that has begun; dropping it ends it.
pub(crate) struct Progress<'a> {
    monitor: &'a dyn Monitor,
    done: Mutex<u64>,
}

impl<'a> Progress<'a> {
    /// Begins work on `total` documents.
    pub(crate) fn begin(monitor: &'a dyn Monitor, what: &str, total: usize) -> Self {
        monitor.begin(what, Some(total as u64), Unit::Documents);
        Self { monitor, done: Mutex::new(0) }
    }

    /// Counts `documents` more, or says that the user asked to stop.
    pub(crate) fn advance(&self, documents: usize) -> Result<()> {
        {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += documents as u64;
            self.monitor.advance(*done, "");
        }
        self.check()
    }

    /// Says that the user asked to stop.
    pub(crate) fn check(&self) -> Result<()> {
        Ok(self.monitor.check()?)
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.monitor.end();
    }
}
