//! The ops through the device seam: what they compute, and what they refuse.

mod operands;
