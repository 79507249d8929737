//! How large a world may be: what several dials make together. Each alone is bounded by its range.

use crate::{Error, Result};

/// Most documents of a split.
pub(crate) const MOST_DOCUMENTS: u64 = 100_000_000;
/// Most true pairs, each direction counted: 10 GB while they are drawn and written.
pub(crate) const MOST_PAIRS: u64 = 500_000_000;
/// Most bytes of what documents are drawn from, once. A world that is written holds it three times.
pub(crate) const MOST_BYTES: u64 = 4 << 30;
/// Most multiplications that the likelihood of one document under all concepts takes, or drawing one: a second or two. Between documents it is asked
/// whether to stop.
pub(crate) const MOST_WORK: u64 = 1 << 31;

/// Bytes of what is told of a document, with its identifier, and of its number and concept.
pub(crate) const DOCUMENT_BYTES: f64 = 160.0;
/// Bytes of a pair, as it is drawn and as it is written.
pub(crate) const PAIR_BYTES: f64 = 20.0;

/// Refuses a dial above `most`, which is what is allowed `beside` others.
///
/// # Errors
/// [`Error::Dial`], with the largest value.
pub(crate) fn at_most(dial: &'static str, found: usize, most: u64, beside: &str) -> Result<()> {
    if found as u64 <= most { Ok(()) } else { Err(Error::dial(dial, format!("at most {most} {beside}"), found)) }
}

/// Refuses partners that would make too many pairs, for each of so many `documents`, of which `unique` are in the unique split.
///
/// # Errors
/// [`Error::Dial`], with the largest value.
pub(crate) fn check_partners(partners: usize, documents: usize, unique: usize) -> Result<()> {
    // Nobody has more partners than there are documents. Each is a pair in both directions.
    if partners.min(unique) as u64 * documents as u64 * 2 <= MOST_PAIRS {
        return Ok(());
    }
    at_most("partners", partners, MOST_PAIRS / (2 * documents as u64), "beside these unique and selection documents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_each_is_allowed_whatever_the_documents() {
        let most = MOST_DOCUMENTS as usize;
        assert!(check_partners(1, 2 * most, most).is_ok());
        let error = check_partners(3, 2 * most, most).unwrap_err().to_string();
        assert_eq!(error, "partners: expected at most 1 beside these unique and selection documents, found 3");
        assert!(check_partners(100_000, 20, 10).is_ok(), "ten documents have no more than ten partners");
    }
}
