//! Figures of samples: what is estimated, and how far it may be off.
//!
//! | module | what lives there |
//! |---|---|
//! | [`interval`] | a figure with its 95 % interval: shares, means, ratios, quantiles |
//! | [`mod@ratio`] | ratios and means with their standard errors |
//! | [`bootstrap`] | differences between models, or sets of models, on the same documents |
//! | [`mod@roc`] | how well a score tells positives from negatives, and a threshold on it |
//! | [`quantile`] | quantiles of sorted values |
//! | [`rank`] | rank correlation |
//!
//! Numbers in, numbers out: nothing here knows what was measured, and nothing reads or writes.

pub mod bootstrap;
pub mod interval;
pub mod quantile;
pub mod rank;
pub mod ratio;
pub mod roc;

pub use interval::{Figure, Share};
pub use ratio::{Estimate, mean, ratio};
pub use roc::{FEWEST_POSITIVES, GIVEN_UP, Roc, roc, threshold};

/// The 97.5 % quantile of the standard normal distribution: the half width of a 95 % interval, in standard errors.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// [`Z`] to two decimals. [`Estimate::interval`] uses it, so that a reader's 1.96 standard errors are exactly what is reported.
const Z_PRINTED: f64 = 1.96;
