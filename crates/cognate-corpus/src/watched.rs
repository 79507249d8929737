//! Work that cannot be interrupted from within, on a thread of its own.

use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use cognate_base::Monitor;

use crate::error::Result;

/// How often the user's wish is asked for: sooner than anybody notices.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a piece of work, one call of a library that takes as long as its input is, and stops waiting for it when the user interrupts.
/// The work then goes on until it is done or the process ends, and what it makes is dropped; it must touch nothing that outlives it.
///
/// On one of rayon's threads it runs in place, without being watched: waiting there would take a thread from the work itself.
///
/// # Errors
/// When the user interrupts.
///
/// # Panics
/// When the work does.
pub(crate) fn watched<T: Send + 'static>(
    monitor: &dyn Monitor,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if rayon::current_thread_index().is_some() {
        return Ok(work());
    }
    let (send, receive) = channel();
    let worker = thread::Builder::new().name("tokenizer".to_owned()).spawn(move || {
        // Nobody listens any more after an interruption.
        let _ = send.send(work());
    })?;
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => monitor.check()?,
            Err(RecvTimeoutError::Disconnected) => match worker.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => unreachable!("work that ends sends its result"),
            },
        }
    }
}
