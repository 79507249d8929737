//! Content hashes: BLAKE3, written as lower-case hexadecimal.

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::monitor::{Interrupted, Monitor};

/// A BLAKE3 hash of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(blake3::hash(bytes.as_ref()).into())
    }

    /// The hash of chunks as if they stood in one piece.
    pub fn of_chunks(chunks: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        chunks.into_iter().for_each(|chunk| {
            hasher.update(chunk.as_ref());
        });
        Self(hasher.finalize().into())
    }

    /// The hash of a file's content.
    ///
    /// # Errors
    /// When the file cannot be opened or read; the message names it.
    pub fn of_file(path: impl AsRef<Path>) -> std::io::Result<Self> {
        Self::read(path.as_ref(), || Ok(()))
    }

    /// The same, of a file of any size: the user can interrupt.
    ///
    /// # Errors
    /// As [`Hash::of_file`]; and when the user interrupts.
    pub fn of_file_watched<E>(path: impl AsRef<Path>, monitor: &dyn Monitor) -> Result<Self, E>
    where
        E: From<std::io::Error> + From<Interrupted>,
    {
        Self::read(path.as_ref(), || Ok(monitor.check()?))
    }

    /// Hashes a file, as long as `go_on` says so.
    fn read<E: From<std::io::Error>>(path: &Path, go_on: impl Fn() -> Result<(), E>) -> Result<Self, E> {
        let mut file = fs_err::File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0u8; 1 << 18];
        loop {
            go_on()?;
            let n = file.read(&mut buffer)?;
            if n == 0 {
                return Ok(Self(hasher.finalize().into()));
            }
            hasher.update(&buffer[..n]);
        }
    }

    /// The first eight bytes as a number: enough to order or to sample by, not to identify.
    pub fn prefix(self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(bytes)
    }

    /// The first sixteen bytes as a number: identifies one of up to 2^40 items with a collision chance below 2^-48.
    pub fn short(self) -> u128 {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        u128::from_le_bytes(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl std::str::FromStr for Hash {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("expected 64 hexadecimal digits, found {s:?}");
        if s.len() != 64 || !s.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trip() {
        let hash = Hash::of("cognate");
        assert_eq!(hash.to_string().parse::<Hash>().unwrap(), hash);
        assert!("00".parse::<Hash>().is_err());
        assert!("é".repeat(32).parse::<Hash>().is_err());
    }

    #[test]
    fn a_file_is_hashed_as_its_bytes_are_and_the_user_can_interrupt() {
        struct Stop;
        impl Monitor for Stop {
            fn begin(&self, _: &str, _: Option<u64>, _: crate::Unit) {}
            fn advance(&self, _: u64, _: &str) {}
            fn end(&self) {}
            fn interrupted(&self) -> bool {
                true
            }
        }
        #[derive(Debug, thiserror::Error)]
        enum Failure {
            #[error(transparent)]
            Io(#[from] std::io::Error),
            #[error(transparent)]
            Interrupted(#[from] Interrupted),
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..600_000).map(|at| (at % 251) as u8).collect();
        fs_err::write(&path, &bytes).unwrap();
        let watched = |monitor: &dyn Monitor| Hash::of_file_watched::<Failure>(&path, monitor);
        assert_eq!(watched(&crate::Silent).unwrap(), Hash::of(&bytes));
        assert_eq!(Hash::of_file(&path).unwrap(), Hash::of(&bytes));
        assert!(matches!(watched(&Stop), Err(Failure::Interrupted(_))));
    }

    #[test]
    fn known_value() {
        // BLAKE3 of the empty string, from the BLAKE3 specification's test vectors.
        assert_eq!(Hash::of("").to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }
}
