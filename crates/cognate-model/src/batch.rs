//! A batch: segments laid end to end, and which of their tokens are scored.

/// A target that is not scored.
pub const IGNORE: u32 = u32::MAX;

/// What teachers expect behind each scored token, and how much it counts. [`cognate_ops::Soft`] has the formula.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftTargets {
    /// Tokens that are known of each distribution, K.
    pub top: usize,
    /// Share of the loss that is the teachers', α in [0, 1].
    pub share: f64,
    /// Temperature at which they were taken, T > 0.
    pub temperature: f64,
    /// The likeliest tokens, K for each scored target, in order.
    pub ids: Vec<u32>,
    /// Their probabilities.
    pub probabilities: Vec<f32>,
}

impl SoftTargets {
    /// The same of no target.
    fn none(&self) -> Self {
        Self { ids: Vec::new(), probabilities: Vec::new(), ..*self }
    }
}

/// N tokens in segments. Attention and positions start anew at each segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Input tokens (N).
    pub tokens: Vec<u32>,
    /// The token to predict after each input token (N), or [`IGNORE`].
    pub targets: Vec<u32>,
    /// Position of each token in its segment (N).
    pub positions: Vec<u32>,
    /// First token of each segment.
    pub starts: Vec<u32>,
    /// What teachers expect, where there are some: of every scored target.
    pub soft: Option<SoftTargets>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all segments and keeps the memory.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.targets.clear();
        self.positions.clear();
        self.starts.clear();
        self.soft = None;
    }

    /// Adds a segment; an empty one adds nothing.
    ///
    /// # Panics
    /// When there are not as many targets as tokens.
    pub fn push(&mut self, tokens: &[u32], targets: &[u32]) {
        assert_eq!(tokens.len(), targets.len(), "one target a token");
        if tokens.is_empty() {
            return;
        }
        self.starts.push(self.tokens.len() as u32);
        self.tokens.extend_from_slice(tokens);
        self.targets.extend_from_slice(targets);
        self.positions.extend(0..tokens.len() as u32);
    }

    /// Adds `prompt` and `continuation` as one segment of which the continuation's tokens are scored. The last token of the
    /// continuation is predicted and never read. An empty continuation adds nothing.
    ///
    /// # Panics
    /// When the prompt is empty: the first token needs something to follow.
    pub fn push_conditional(&mut self, prompt: &[u32], continuation: &[u32]) {
        assert!(!prompt.is_empty(), "a prompt has at least one token");
        let Some((_, read)) = continuation.split_last() else { return };
        let start = self.tokens.len();
        self.starts.push(start as u32);
        self.tokens.extend_from_slice(prompt);
        self.tokens.extend_from_slice(read);
        self.targets.resize(start + prompt.len() - 1, IGNORE);
        self.targets.extend_from_slice(continuation);
        self.positions.extend(0..(self.tokens.len() - start) as u32);
    }

    /// Number of tokens N.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Number of scored targets.
    pub fn scored(&self) -> usize {
        self.targets.iter().filter(|&&target| target != IGNORE).count()
    }

    /// Tokens of each segment.
    pub fn segments(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let ends = self.starts.iter().skip(1).copied().chain([self.tokens.len() as u32]);
        self.starts.iter().zip(ends).map(|(&start, end)| start as usize..end as usize)
    }

    /// Mean number of positions that a token attends to: Σ len·(len+1)/2 over the segments, over N.
    pub fn mean_context(&self) -> f64 {
        let attended: f64 = self.segments().map(|s| (s.len() * (s.len() + 1)) as f64 / 2.0).sum();
        attended / self.len().max(1) as f64
    }

    /// Cuts the batch into pieces of about `tokens` tokens, at segment boundaries: a piece is the shortest run of segments
    /// that reaches the number. The pieces depend on the batch alone.
    pub fn pieces(&self, tokens: usize) -> Vec<Batch> {
        let mut pieces = Vec::new();
        let mut piece = Batch::new();
        let mut scored = 0;
        for segment in self.segments() {
            piece.push(&self.tokens[segment.clone()], &self.targets[segment.clone()]);
            if let Some(soft) = &self.soft {
                let from = scored;
                scored += self.targets[segment].iter().filter(|&&target| target != IGNORE).count();
                let own = piece.soft.get_or_insert_with(|| soft.none());
                own.ids.extend_from_slice(&soft.ids[from * soft.top..scored * soft.top]);
                own.probabilities.extend_from_slice(&soft.probabilities[from * soft.top..scored * soft.top]);
            }
            if piece.len() >= tokens {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conditional_segment_scores_the_continuation_alone() {
        let mut batch = Batch::new();
        batch.push_conditional(&[0, 5, 6, 1], &[7, 8, 0]);
        assert_eq!(batch.tokens, [0, 5, 6, 1, 7, 8]);
        assert_eq!(batch.targets, [IGNORE, IGNORE, IGNORE, 7, 8, 0]);
        batch.push_conditional(&[0], &[9]);
        assert_eq!(batch.starts, [0, 6]);
        assert_eq!(batch.positions, [0, 1, 2, 3, 4, 5, 0]);
        assert_eq!(batch.scored(), 4);
        assert_eq!(batch.mean_context(), 22.0 / 7.0);
    }

    #[test]
    fn pieces_hold_every_segment_once() {
        let mut batch = Batch::new();
        for len in [3usize, 1, 4, 1, 5] {
            let tokens: Vec<u32> = (0..len as u32).map(|i| i + 10 * len as u32).collect();
            batch.push(&tokens, &tokens);
        }
        let pieces = batch.pieces(4);
        assert_eq!(pieces.iter().map(Batch::len).collect::<Vec<_>>(), [4, 4, 6]);
        let joined: Vec<u32> = pieces.iter().flat_map(|piece| piece.tokens.clone()).collect();
        assert_eq!(joined, batch.tokens);
        assert_eq!(batch.pieces(1000), [batch]);
    }
}
