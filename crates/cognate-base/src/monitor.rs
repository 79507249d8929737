//! How a long computation says how far it is, and hears that it should stop.

use std::error::Error;
use std::io;

/// What a stage counts while it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Documents read, embedded, scored or written.
    Documents,
    /// Tokens trained on, scored or generated.
    Tokens,
    /// Bytes read.
    Bytes,
}

/// The caller's side of a long computation. Library crates report here and never print.
///
/// Calls come from one thread at a time, in the order `begin`, any number of `advance`, `end`.
pub trait Monitor: Sync {
    /// A piece of work starts: `what` in a few words, `total` units where that is known.
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit);
    /// `done` units are finished, counted from `begin`; `detail` is a short state such as `loss 3.142`.
    fn advance(&self, done: u64, detail: &str);
    /// The work that began last has ended.
    fn end(&self);
    /// Whether the user asked to stop. A stage that sees `true` finishes its step, saves its state and returns an error that
    /// comes from [`Interrupted`].
    fn interrupted(&self) -> bool;

    /// Says whether work is being done that would be lost if the process ended before the next look, after which it is saved. An
    /// interruption waits for that look; otherwise it ends the process where no look comes for some seconds.
    fn hold(&self, _unsaved: bool) {}

    /// Whether to go on: what every loop asks that may take longer than a moment.
    ///
    /// # Errors
    /// When the user asked to stop.
    fn check(&self) -> Result<(), Interrupted> {
        if self.interrupted() { Err(Interrupted) } else { Ok(()) }
    }
}

/// [`Monitor::hold`] for as long as this is there.
pub struct Unsaved<'a>(&'a dyn Monitor);

impl<'a> Unsaved<'a> {
    /// From now on, ending the process would lose work.
    pub fn hold(monitor: &'a dyn Monitor) -> Self {
        monitor.hold(true);
        Self(monitor)
    }
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

/// The user asked to stop. At the root of every error that says so: a crate's error has a variant with this as its source, and
/// [`Interrupted::caused`] finds it below whatever it was wrapped in on its way up. (An I/O error that is to carry it through a
/// reader holds a crate's error: wrappers that are transparent hide what an I/O error holds directly.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted; the same command continues where it stopped")]
pub struct Interrupted;

impl Interrupted {
    /// Whether this is the cause of an error.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            // An I/O error stands for the error that it holds, and does not name it as its source.
            let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match held {
                Some(held) => Some(held as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        false
    }
}

/// Passes on whether the user asked to stop, and nothing else: for a part of a piece of work that tells its own progress.
pub struct Quiet<'a>(pub &'a dyn Monitor);

impl Monitor for Quiet<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _done: u64, _detail: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
    fn hold(&self, unsaved: bool) {
        self.0.hold(unsaved);
    }
}

/// Reports nothing and is never interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _done: u64, _detail: &str) {}
    fn end(&self) {}
    fn interrupted(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Inner {
        #[error("stopped")]
        Interrupted(#[from] Interrupted),
        #[error("broken")]
        Broken,
    }

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error(transparent)]
        Transparent(#[from] Inner),
        #[error("train: {source}")]
        Named { source: Box<Outer> },
        #[error(transparent)]
        Io(#[from] io::Error),
    }

    #[test]
    fn an_interruption_is_found_below_whatever_it_was_wrapped_in() {
        let named = |error: Outer| Outer::Named { source: Box::new(error) };
        for inner in [Inner::from(Interrupted), Inner::Broken] {
            let expected = matches!(inner, Inner::Interrupted(_));
            assert_eq!(Interrupted::caused(&inner), expected);
            let wrapped = named(named(inner.into()));
            assert_eq!(Interrupted::caused(&wrapped), expected, "{wrapped:?}");
            let through_a_reader = named(io::Error::other(wrapped).into());
            assert_eq!(Interrupted::caused(&through_a_reader), expected, "{through_a_reader:?}");
        }
        assert!(Interrupted::caused(&io::Error::other(Interrupted)));
        assert!(!Interrupted::caused(&Outer::from(io::Error::other("text"))));
    }
}
