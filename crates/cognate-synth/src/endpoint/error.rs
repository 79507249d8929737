//! Why a completion server gave no answer, and what to do about it.

use std::fmt;

use super::Role;

/// A document that the server did not write, or a pair that it did not judge.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointError {
    /// What the server is for.
    pub role: Role,
    /// Where it was asked for.
    pub url: String,
    /// The name of the model that was asked.
    pub model: String,
    /// Whether a key was sent.
    pub with_key: bool,
    /// The document's number, or the pair's.
    pub number: u64,
    /// How often it was asked for.
    pub attempts: u32,
    /// What came back the last time.
    pub fault: Fault,
}

/// What came back instead of a document. Nothing in here holds the key.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A status other than 200.
    Status {
        /// The HTTP status.
        status: u16,
        /// The server's message, cut to a sane length.
        said: String,
    },
    /// No whole answer: no connection, a cut one, none in time.
    Transport(String),
    /// An answer with status 200 that is no completion, or not of what was asked.
    Answer {
        /// What is wrong with it.
        what: String,
        /// The answer, cut to a sane length.
        said: String,
    },
    /// The server asks to wait longer than anybody would.
    Wait {
        /// The HTTP status.
        status: u16,
        /// Seconds it asks for.
        seconds: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, said } if said.is_empty() => write!(f, "HTTP status {status}, and no word with it"),
            Self::Status { status, said } => write!(f, "HTTP status {status}, the server said {said:?}"),
            Self::Transport(what) => f.write_str(what),
            Self::Answer { what, said } => write!(f, "HTTP status 200, but {what}; the server said {said:?}"),
            Self::Wait { status, seconds } => write!(f, "HTTP status {status}, asking to wait {seconds} s"),
        }
    }
}

impl EndpointError {
    /// What to do about it.
    fn advice(&self) -> String {
        let (model, role) = (&self.model, self.role);
        let (url, served) = (role.url(), role.served());
        match &self.fault {
            Fault::Status { status: 401 | 403, .. } if self.with_key => {
                format!("the server refuses the key: check the variable that {} names", role.key_env())
            }
            Fault::Status { status: 401 | 403, .. } => format!(
                "the server wants a key: put it into an environment variable, and name that with {}",
                role.key_env()
            ),
            Fault::Status { status: 404, .. } => format!(
                "check that the server speaks /v1{} at {url} and serves {served} under the name that {} gives, \
                 {model:?}",
                role.path(),
                role.model()
            ),
            Fault::Status { status: 300..=399, .. } => format!("give the address that it redirects to as {url}"),
            Fault::Status { status: 400..=499, .. } if !is_transient(&self.fault) => format!(
                "the server refuses the request: check {} = {model:?}, and that its context holds {}",
                role.model(),
                role.context()
            ),
            Fault::Answer { .. } => format!(
                "check that {url} is a completion server that serves {served}; docs/endpoint.md has command lines that do"
            ),
            Fault::Status { .. } | Fault::Transport(_) | Fault::Wait { .. } => {
                format!("check that the server runs at {url}, and run again: {}", role.kept())
            }
        }
    }
}

/// Whether asking again may help. Timeouts, conflicts and overload (408, 409, 425, 429) and what servers and the proxies before
/// them say while they start, stop or break (500, 502, 503, 504) pass; everything else would be said again.
pub(super) fn is_transient(fault: &Fault) -> bool {
    matches!(fault, Fault::Status { status: 408 | 409 | 425 | 429 | 500 | 502 | 503 | 504, .. })
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: {}", self.url, self.role.asked(), self.number, self.fault)?;
        if self.attempts > 1 {
            write!(f, " (attempt {})", self.attempts)?;
        }
        write!(f, "; {}", self.advice())
    }
}

impl std::error::Error for EndpointError {}
