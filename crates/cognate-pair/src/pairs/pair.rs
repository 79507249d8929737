//! A pair of documents.

/// Two related documents, by their numbers in the vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The seed document, d1.
    pub first: u32,
    /// The target document, d2.
    pub second: u32,
    /// The cosine of their vectors; not a number where the pair is another tool's, which did not say it.
    pub similarity: f32,
}
