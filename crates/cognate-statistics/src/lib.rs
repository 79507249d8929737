//! Figures of samples: what is estimated, and how far it may be off.
//!
//! Numbers in, numbers out: nothing here knows what was measured.

pub mod ratio;

pub use ratio::Estimate;

/// Share of the positives that a threshold of a score gives up.
pub const GIVEN_UP: f64 = 0.05;

/// Positives below which no threshold can give up [`GIVEN_UP`] of them: it would be less than one.
pub const FEWEST_POSITIVES: usize = (1.0 / GIVEN_UP) as usize;
