//! Where models run: the one place that names a device. What is above it takes what [`DeviceKind::open`] gives.

use cognate_model::{Decoder, Ensemble};
use cognate_ops::Cpu;

use crate::error::Result;

/// The kinds of devices. A closed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
}

/// An open device.
pub type Device = Cpu;

/// A decoder on an open device.
pub type Model = Decoder<Device>;

/// One decoder or several, measured as one.
pub type Models = Ensemble<Device>;

impl DeviceKind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Cpu];

    /// The device's name in flags and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
        }
    }

    /// A new device for one model, that works with `threads` threads.
    ///
    /// # Errors
    /// When it cannot be had, or the threads cannot.
    pub fn open(self, threads: usize) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Cpu::new(threads)?),
        }
    }
}
