//! SIGINT and SIGTERM: the first asks the work to stop at its next step, and ends the process where that takes too long; the
//! second ends it at once.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// How long the work may take to stop by itself. Every command can be killed at any moment and continued, so that ending it loses
/// nothing but what [`Interrupt::hold`] is for; schedulers leave 30 s between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Between two looks whether there is still something to save.
const LOOK: Duration = Duration::from_millis(50);
/// For tests: the environment variable that has the process send itself SIGTERM when the work asks for the n-th time whether to
/// stop. A moment that is the same in every run, which time is not.
const STOP_AT_LOOK: &str = "COGNATE_TEST_STOP_AT_LOOK";

/// Whether the user asked to stop, and how.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
    /// Whether ending the process now would lose work that the next step saves.
    unsaved: Arc<AtomicBool>,
    /// Looks left until the process stops itself.
    looks_left: Option<Arc<AtomicU64>>,
}

impl Interrupt {
    /// Listens from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // In this order: the first signal finds `asked` unset and sets it, the second ends the process.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&asked))?;
            flag::register(number, Arc::clone(&asked))?;
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
        }
        let looks = std::env::var(STOP_AT_LOOK).ok().and_then(|looks| looks.parse().ok());
        Ok(Self { signal, unsaved: Arc::default(), looks_left: looks.map(|looks| Arc::new(AtomicU64::new(looks))) })
    }

    /// The signal that came, if one did.
    pub(crate) fn signal(&self) -> Option<u8> {
        u8::try_from(self.signal.load(Ordering::Relaxed)).ok().filter(|signal| *signal > 0)
    }

    /// What the work asks: whether a signal came.
    pub(crate) fn look(&self) -> bool {
        if let Some(left) = &self.looks_left
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1)
        {
            // A signal that cannot be sent leaves the process running, which the test notices.
            let _ = low_level::raise(SIGTERM);
        }
        self.signal().is_some()
    }

    /// Whether the work that is being done would be lost before its next step, which saves it: then that is waited for.
    pub(crate) fn hold(&self, unsaved: bool) {
        self.unsaved.store(unsaved, Ordering::Relaxed);
    }

    /// Ends the process with the code of an interruption where, some time after the first signal, the work has not stopped: loops
    /// that ask too rarely, and those inside of other people's libraries. `last` is done before.
    pub(crate) fn end_when_stuck(&self, last: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let (mut woken, waker) = UnixStream::pair()?;
        for number in [SIGINT, SIGTERM] {
            low_level::pipe::register(number, waker.try_clone()?)?;
        }
        let interrupt = self.clone();
        let wait = move || {
            let Some(signal) = woken.read_exact(&mut [0]).ok().and_then(|()| interrupt.signal()) else { return };
            std::thread::sleep(GRACE);
            while interrupt.unsaved.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
            }
            last();
            std::process::exit(128 + i32::from(signal));
        };
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(wait)?;
        Ok(())
    }
}
