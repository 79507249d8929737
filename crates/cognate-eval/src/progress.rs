//! Several calls that each report from zero, shown as one piece of work.

use std::sync::atomic::{AtomicU64, Ordering};

use cognate_base::{Monitor, Unit};

/// Passes on the progress of one call after another, each counted on from the last.
pub(crate) struct Part<'a> {
    outer: &'a dyn Monitor,
    before: AtomicU64,
    latest: AtomicU64,
}

impl<'a> Part<'a> {
    /// Starts a piece of work that counts tokens.
    pub(crate) fn begin(outer: &'a dyn Monitor, what: &str) -> Self {
        Self::of(outer, what, None, Unit::Tokens)
    }

    /// Starts a piece of work of `total` units.
    pub(crate) fn of(outer: &'a dyn Monitor, what: &str, total: Option<u64>, unit: Unit) -> Self {
        outer.begin(what, total, unit);
        Self { outer, before: AtomicU64::new(0), latest: AtomicU64::new(0) }
    }

    /// A call has returned; the next one counts on.
    pub(crate) fn finish_one(&self) {
        self.before.fetch_add(self.latest.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.outer.end();
    }
}

impl Monitor for Part<'_> {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: Unit) {}

    fn advance(&self, done: u64, detail: &str) {
        self.latest.store(done, Ordering::Relaxed);
        self.outer.advance(self.before.load(Ordering::Relaxed) + done, detail);
    }

    fn end(&self) {}

    fn interrupted(&self) -> bool {
        self.outer.interrupted()
    }

    fn hold(&self, unsaved: bool) {
        self.outer.hold(unsaved);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Monitor for Log {
        fn begin(&self, what: &str, _: Option<u64>, _: Unit) {
            self.0.lock().unwrap().push(format!("begin {what}"));
        }
        fn advance(&self, done: u64, _: &str) {
            self.0.lock().unwrap().push(done.to_string());
        }
        fn end(&self) {
            self.0.lock().unwrap().push("end".into());
        }
        fn interrupted(&self) -> bool {
            false
        }
        fn hold(&self, unsaved: bool) {
            self.0.lock().unwrap().push(format!("hold {unsaved}"));
        }
    }

    #[test]
    fn two_calls_look_like_one() {
        let log = Log::default();
        let part = Part::begin(&log, "evaluate");
        for _ in 0..2 {
            part.begin("score", Some(7), Unit::Tokens);
            part.advance(3, "");
            part.advance(7, "");
            part.end();
            part.finish_one();
        }
        part.hold(true);
        drop(part);
        assert_eq!(*log.0.lock().unwrap(), ["begin evaluate", "3", "7", "10", "14", "hold true", "end"]);
    }
}
