//! How far a run is, for whoever shows it.

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The experiment's name.
    pub name: String,
    /// Whether somebody works on it.
    pub is_running: bool,
    /// Every stage, in its order.
    pub stages: Vec<StageProgress>,
}

/// How far a stage is.
#[derive(Clone, Debug, PartialEq)]
pub struct StageProgress {
    /// What its row is called.
    pub name: String,
    /// Where it stands, in a word: `done`, `running`, …
    pub state: &'static str,
    /// Whether nothing is left to do.
    pub is_done: bool,
    /// Share of its work that is done, 0 to 1; none where that is not known.
    pub share: Option<f64>,
    /// Seconds spent on it so far.
    pub wall_s: Option<f64>,
    /// What an unfinished stage was last seen at, such as `loss 3.142`.
    pub detail: String,
}
