//! Progress and logs on stderr: bars on a terminal, a plain line every few seconds elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cognate_base::{Monitor, Unit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::Global;
use crate::failure::tell_interrupted;
use crate::interrupt::Interrupt;
use crate::output::{self, visible_line};

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// Between two drawings of a bar.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// Where progress and logs go.
#[derive(Clone)]
pub(crate) struct Terminal {
    interrupt: Interrupt,
    level: LevelFilter,
    mode: Mode,
    work: Arc<Mutex<Option<Work>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Silent,
    Lines,
    Bars,
}

/// The piece of work in progress.
struct Work {
    what: String,
    total: Option<u64>,
    unit: Unit,
    since: Instant,
    /// Units done at the first report: what an earlier attempt did does not count for the speed.
    first_done: Option<u64>,
    last_told: Instant,
    bar: Option<ProgressBar>,
}

impl Terminal {
    /// As the flags say.
    pub(crate) fn new(flags: &Global, interrupt: Interrupt) -> Self {
        let mode = match (flags.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Lines,
        };
        let level = match (flags.quiet, flags.verbose) {
            (true, _) => LevelFilter::WARN,
            (_, true) => LevelFilter::DEBUG,
            _ => LevelFilter::INFO,
        };
        Self { interrupt, level, mode, work: Arc::default() }
    }

    /// Takes the logs of all crates from now on: the runner's at the asked level, the stages' where more is asked for,
    /// and everybody's warnings.
    pub(crate) fn log(&self) {
        let stages = if self.level == LevelFilter::INFO { LevelFilter::WARN } else { self.level };
        let targets = Targets::new().with_default(LevelFilter::WARN);
        let targets = targets.with_target("cognate", stages).with_target("cognate_run", self.level);
        tracing_subscriber::registry().with(Logs { terminal: self.clone() }.with_filter(targets)).init();
    }

    /// Ends the process where an interruption is not heeded in time.
    pub(crate) fn end_when_stuck(&self) -> std::io::Result<()> {
        let terminal = self.clone();
        self.interrupt.end_when_stuck(move || {
            terminal.close();
            tell_interrupted();
        })
    }

    /// Removes a bar that is still drawn.
    pub(crate) fn close(&self) {
        if let Some(Work { bar: Some(bar), .. }) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line on stderr that no bar is drawn over.
    fn line(&self, text: &str) {
        match &*self.lock() {
            Some(Work { bar: Some(bar), .. }) => bar.suspend(|| output::tell(text)),
            _ => output::tell(text),
        }
    }
}

impl Work {
    /// `62 %, 1,480 tokens/s, loss 4.21, 1 min 12 s left`, as far as it is known.
    fn state(&self, done: u64, detail: &str, elapsed: Duration) -> String {
        let mut parts = Vec::new();
        match self.total {
            Some(total) if total > 0 => parts.push(format!("{:.0} %", 100.0 * done as f64 / total as f64)),
            _ => parts.push(format!("{} {}", grouped(done as f64), unit_name(self.unit))),
        }
        let here = done.saturating_sub(self.first_done.unwrap_or(done)) as f64;
        let rate = here / elapsed.as_secs_f64();
        if here > 0.0 && rate.is_finite() {
            parts.push(match self.unit {
                Unit::Bytes => format!("{:.1} MB/s", rate / 1e6),
                unit => format!("{} {}/s", grouped(rate), unit_name(unit)),
            });
        }
        if !detail.is_empty() {
            parts.push(detail.to_owned());
        }
        if let Some(total) = self.total.filter(|_| rate > 0.0 && rate.is_finite()) {
            parts.push(format!("{} left", left(total.saturating_sub(done) as f64 / rate)));
        }
        parts.join(", ")
    }
}

impl Monitor for Terminal {
    fn begin(&self, what: &str, total: Option<u64>, unit: Unit) {
        if self.mode == Mode::Silent {
            return;
        }
        self.close();
        let what = visible_line(what);
        let bar = (self.mode == Mode::Bars).then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
            let template = if total.is_some() { "{prefix}  [{bar:24}]  {msg}" } else { "{prefix}  {msg}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(what.clone());
            bar
        });
        let now = Instant::now();
        *self.lock() = Some(Work { what, total, unit, since: now, first_done: None, last_told: now, bar });
    }

    fn advance(&self, done: u64, detail: &str) {
        let mut guard = self.lock();
        let Some(work) = guard.as_mut() else { return };
        if work.first_done.is_none() {
            (work.first_done, work.since) = (Some(done), Instant::now());
        }
        let interval = if work.bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL };
        if work.last_told.elapsed() < interval {
            return;
        }
        work.last_told = Instant::now();
        let state = work.state(done, detail, work.since.elapsed());
        match &work.bar {
            Some(bar) => {
                bar.set_position(done);
                bar.set_message(visible_line(&state));
            }
            None => output::tell(&format!("{}: {state}", work.what)),
        }
    }

    fn end(&self) {
        self.close();
    }

    fn interrupted(&self) -> bool {
        self.interrupt.look()
    }

    fn hold(&self, unsaved: bool) {
        self.interrupt.hold(unsaved);
    }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Documents => "documents",
        Unit::Tokens => "tokens",
        Unit::Bytes => "bytes",
    }
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(x: f64) -> String {
    let digits = format!("{x:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn left(s: f64) -> String {
    if s < 60.0 { format!("{:.0} s", s.ceil()) } else { cognate_run::seconds(s) }
}

/// Log events as plain lines: `warning: message key=value`.
struct Logs {
    terminal: Terminal,
}

impl<S: Subscriber> Layer<S> for Logs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG | Level::TRACE => "debug: ",
        };
        self.terminal.line(&format!("{level}{}{}", line.message, line.fields));
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing into a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(["0", "999", "1,000", "12,345,678"], [0.0, 999.4, 999.6, 12_345_678.0].map(grouped));
    }

    #[test]
    fn a_resumed_piece_counts_only_what_is_done_now() {
        let now = Instant::now();
        let work = Work {
            what: "train".to_owned(),
            total: Some(2000),
            unit: Unit::Tokens,
            since: now,
            first_done: Some(1000),
            last_told: now,
            bar: None,
        };
        let state = work.state(1500, "loss 4.210", Duration::from_secs(10));
        assert_eq!(state, "75 %, 50 tokens/s, loss 4.210, 10 s left");
    }
}
