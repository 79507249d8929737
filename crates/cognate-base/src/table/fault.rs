//! Why a table cannot be read: something else, more than we read, or damage.

use std::io;

use parquet::errors::ParquetError;

use crate::format::Format;
use crate::panics::caught;

/// What a file must be to be read as a table.
pub const EXPECTED: &str = "a Parquet file";

/// Why a table cannot be read, or not any further. Who reads it knows its path and says it.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// The file is no Parquet.
    #[error("{}", .0.instead_of(EXPECTED))]
    Format(Format),
    /// The file is Parquet, and asks for what is not supported.
    #[error("{0}, which is not supported")]
    Unsupported(String),
    /// The file is truncated or damaged.
    #[error("{0}")]
    Damage(Box<dyn std::error::Error + Send + Sync>),
}

impl Fault {
    /// Damage that the decoder does not speak of itself.
    pub(crate) fn damage(what: impl Into<String>) -> Self {
        Self::Damage(what.into().into())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::NYI(what) => Self::Unsupported(what),
            // Decoders speak through the same type of what does not unpack; only the system's errors have numbers.
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) if error.raw_os_error().is_some() => Self::Io(*error),
                Ok(error) => Self::Damage(error),
                Err(source) => Self::Damage(source),
            },
            other => Self::Damage(other.into()),
        }
    }
}

impl From<std::num::TryFromIntError> for Fault {
    fn from(_: std::num::TryFromIntError) -> Self {
        Self::damage("a number is out of its range")
    }
}

/// Runs a piece of the Parquet decoder, which answers some damaged files with a panic (a negative offset in the footer,
/// for one).
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    caught(decode).unwrap_or_else(|_| Err(Fault::damage("the decoder gave up on it")))
}
