//! How a long computation says how far it is, and hears that it should stop.

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
    /// Whether the user asked to stop. A stage that sees `true` finishes its step, saves its state and returns its
    /// `Interrupted` error.
    fn interrupted(&self) -> bool;
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
