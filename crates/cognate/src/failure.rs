//! How a failure is told: `error:`, its causes, `hint:`, and the exit code.

use std::error::Error as _;
use std::process::ExitCode;

use cognate_run::Error;

use crate::flags::Flags;
use crate::output;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure(Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// Tells an interruption.
pub(crate) fn tell_interrupted() {
    output::tell("interrupted: the same command continues where it stopped");
}

impl Failure {
    /// A flag whose value cannot be.
    pub(crate) fn setting(name: &str, found: impl ToString, expected: &str) -> Self {
        Self(Error::Setting { name: name.to_owned(), found: found.to_string(), expected: expected.to_owned() })
    }

    /// Tells the failure on stderr. Codes: 1 failed, 2 bad usage or recipe, 130 or 143 interrupted by `signal`.
    pub(crate) fn report(&self, signal: Option<u8>) -> ExitCode {
        if let (true, Some(signal)) = (self.0.interrupted(), signal) {
            tell_interrupted();
            return ExitCode::from(128 + signal);
        }
        let flags = Flags::called();
        output::tell_message(&format!("error: {}", flags.said(&self.0.to_string())));
        let mut told = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(source) = cause {
            let text = source.to_string();
            // Many messages hold their cause's already.
            if !told.contains(&text) {
                output::tell_message(&format!("  because: {}", flags.said(&text)));
                told = text;
            }
            cause = source.source();
        }
        if let Some(hint) = self.0.hint() {
            output::tell_message(&format!("hint: {}", flags.said(&hint)));
        }
        ExitCode::from(if self.0.is_usage() { 2 } else { 1 })
    }
}
