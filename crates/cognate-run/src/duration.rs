//! How long things take, in words.

/// A duration for people.
pub fn seconds(s: f64) -> String {
    if s < 60.0 {
        format!("{s:.1} s")
    } else if s < 3600.0 {
        format!("{} min {:.0} s", (s / 60.0).floor(), (s % 60.0).floor())
    } else {
        format!("{} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor())
    }
}
