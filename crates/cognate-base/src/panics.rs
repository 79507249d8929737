//! Panics of other people's decoders as errors: some answer a damaged file with a panic, and to a user a damaged file is
//! an error, however the decoder puts it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`caught`] this thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`; a panic in it, on this thread, is an error with the panic's message, and nothing is printed.
///
/// # Errors
/// When `work` panicked. What it was working on is in no known state then, and must not be looked at again.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    // What the hook before this one does is done for all other panics.
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                before(panic);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_the_next_call_is_as_good_as_new() {
        let nothing: [u8; 0] = [];
        let at = std::hint::black_box(3);
        assert_eq!(caught(|| nothing[at]).unwrap_err(), "index out of bounds: the len is 0 but the index is 3");
        assert_eq!(caught(|| caught(|| panic!("inner")).unwrap_err()), Ok("inner".to_owned()));
        assert_eq!(caught(|| 5), Ok(5));
        assert_eq!(DEPTH.get(), 0);
    }
}
