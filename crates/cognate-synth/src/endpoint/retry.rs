//! How long to wait before a document is asked for again.
//!
//! Exponential backoff with jitter: before attempt k + 1 the wait is min(most, first · 2^(k−1)) · (½ + u/2) with u uniform in
//! [0, 1), so that requests that failed together do not come back together. A server's `Retry-After` (RFC 9110, 10.2.3: seconds
//! or a date) is honoured where it is longer.

use std::time::{Duration, SystemTime};

use cognate_base::random::{self, Rng};

/// The longest wait that is our own idea.
const MOST: Duration = Duration::from_secs(60);

/// The longest wait that a server may ask for; beyond it is no hiccup.
pub(super) const MOST_ASKED: Duration = Duration::from_secs(900);

/// The wait after attempt `attempt` (from 1) at document `number`, `first` long at first.
pub(super) fn backoff(first: Duration, seed: u64, number: u64, attempt: u32) -> Duration {
    let doubled = first.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(MOST.max(first));
    let mut stream = random::stream(seed, "endpoint-backoff", number);
    // The attempts of one document draw from one stream, one number each.
    let bits = (0..attempt).fold(0, |_, _| stream.next_u64());
    doubled.mul_f64(0.5 + random::unit(bits) / 2.0)
}

/// What a `Retry-After` header asks for at the time `now`; none where it says nothing that can be read.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    match value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A date that has passed asks for no wait.
        Err(_) => httpdate::parse_http_date(value).ok().map(|date| date.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_are_spread() {
        let first = Duration::from_secs(1);
        for attempt in 1..12 {
            let whole = f64::from(1u32 << (attempt - 1)).min(60.0);
            let waits: Vec<f64> = (0..200).map(|number| backoff(first, 7, number, attempt).as_secs_f64()).collect();
            let low = waits.iter().copied().fold(f64::INFINITY, f64::min);
            let high = waits.iter().copied().fold(0.0, f64::max);
            assert!(low >= whole / 2.0 && high <= whole, "{attempt}: {low} to {high}");
            assert!(high - low > 0.4 * whole, "200 documents are spread over half of it: {attempt}: {low} to {high}");
        }
        assert_eq!(backoff(first, 7, 3, 2), backoff(first, 7, 3, 2));
        assert_eq!(backoff(Duration::ZERO, 7, 3, 40), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let asked = |value| retry_after(value, now);
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked(" 0 "), Some(Duration::ZERO));
        // RFC 9110's own example is 784,111,777 seconds after 1970.
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!((asked("soon"), asked("-3"), asked("")), (None, None, None));
    }
}
