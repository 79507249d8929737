//! Pairs whose texts are no documents of a corpus, but made of one: a file for each way.
//!
//! - [`reorder`], [`next_sentences`] and [`masked_span`] are the three tasks of STEP (Zou et al. 2020, arXiv 2004.01853): each makes a source
//!   and a target of one piece of a document. What the paper says holds where its released code says something else.
//! - [`Obfuscation`] replaces words by nonsense words, [`strung`] strings phrases together that say the same, and [`Trees`] are two made
//!   languages (He et al. 2022, arXiv 2212.09864).
//! - [`Forms`] are a document's keywords, in the place of what a teacher writes of it (arXiv 2509.25144).

mod forms;
mod masked_span;
mod next_sentences;
mod nonsense;
mod obfuscated;
mod phrases;
mod reorder;
mod trees;

use cognate_base::random::{self, SliceRandom};
use serde::{Deserialize, Serialize};

pub use forms::Forms;
pub use masked_span::{Mask, masked_span};
pub use next_sentences::next_sentences;
pub use obfuscated::Obfuscation;
pub use phrases::{parted, strung};
pub use reorder::reorder;
pub use trees::Trees;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its tokens, without a closing one.
    pub tokens: Vec<u32>,
    /// Its sentences, one behind the other.
    pub sentences: Vec<PieceSentence>,
}

/// A sentence of a piece.
#[derive(Clone, Debug, PartialEq)]
pub struct PieceSentence {
    /// Its text, without white space around it.
    pub text: String,
    /// Tokens of the piece up to its end.
    pub end: usize,
}

/// One side of a pair that was made.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// A text that has no tokens yet.
    Text(String),
    /// Tokens, without a closing one.
    Tokens(Vec<u32>),
}

/// A source and a target, made of one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// What is given.
    pub source: Side,
    /// What is to be written.
    pub target: Side,
}

/// What a piece is made into a pair by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Its sentences in another order, and it.
    Reorder,
    /// Its beginning, and what follows.
    NextSentences,
    /// It with a masked span, and that span.
    MaskedSpan,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reorder, Self::NextSentences, Self::MaskedSpan];

    /// Its word in recipes, files and statistics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reorder => "reorder",
            Self::NextSentences => "next-sentences",
            Self::MaskedSpan => "masked-span",
        }
    }
}

/// Why a piece makes no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedOver {
    /// It has fewer than two sentences, or all of them are the same.
    TooFewSentences,
    /// It has fewer tokens than the task's target and something beside it.
    TooShort,
}

impl Task {
    /// Makes a pair of a piece. `item` is the piece's number: randomness is that of (`seed`, the task, `item`).
    ///
    /// # Errors
    /// When the task needs more than the piece has.
    pub fn pair(self, piece: &Piece, mask: &Mask, seed: u64, item: u64) -> Result<Derived, PassedOver> {
        let mut stream = random::stream(seed, self.word(), item);
        match self {
            Self::Reorder => reorder(piece, &mut stream),
            Self::NextSentences => next_sentences(piece, &mut stream),
            Self::MaskedSpan => masked_span(piece, mask, &mut stream),
        }
    }

    /// Which of `tasks` the piece of this number is for: in each run of as many pieces as there are tasks, each of them once, in an order drawn for it.
    ///
    /// # Panics
    /// When there are no tasks.
    pub fn of_piece(tasks: &[Self], piece: u64, seed: u64) -> Self {
        let len = tasks.len() as u64;
        let mut order = tasks.to_vec();
        order.shuffle(&mut random::stream(seed, "tasks of pieces", piece / len));
        order[(piece % len) as usize]
    }
}

/// Parts a document's sentences, by their lengths in tokens, into pieces of at most `most` tokens: the sentences of each piece, by their numbers. A
/// longer sentence is a piece of its own.
pub fn pieces(lengths: &[usize], most: usize) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, length) in lengths.iter().enumerate() {
        if at > start && tokens + length > most {
            pieces.push(start..at);
            (start, tokens) = (at, 0);
        }
        tokens += length;
    }
    if start < lengths.len() {
        pieces.push(start..lengths.len());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of sentences of so many tokens; token n is its number.
    pub(super) fn piece(lengths: &[usize]) -> Piece {
        let tokens: Vec<u32> = (0..lengths.iter().sum::<usize>() as u32).collect();
        let mut end = 0;
        let sentence = |(at, length): (usize, &usize)| {
            end += length;
            PieceSentence { text: format!("Sentence {at}."), end }
        };
        Piece { sentences: lengths.iter().enumerate().map(sentence).collect(), tokens }
    }

    pub(super) fn tokens(side: &Side) -> &[u32] {
        match side {
            Side::Tokens(tokens) => tokens,
            Side::Text(text) => panic!("a text: {text}"),
        }
    }

    #[test]
    fn each_task_has_a_third_of_the_pieces() {
        let dealt = |seed| -> Vec<Task> { (0..300).map(|piece| Task::of_piece(&Task::ALL, piece, seed)).collect() };
        for three in dealt(5).chunks(3) {
            let mut sorted = three.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, Task::ALL);
        }
        let firsts = |task: Task| dealt(5).iter().step_by(3).filter(|first| **first == task).count();
        assert!(Task::ALL.into_iter().all(|task| (20..50).contains(&firsts(task))), "the order is not always the same");
        assert_ne!(dealt(5), dealt(6));
        assert_eq!(Task::of_piece(&[Task::Reorder], 7, 5), Task::Reorder);
    }

    #[test]
    fn pieces_are_whole_sentences_as_many_as_fit() {
        assert_eq!(pieces(&[3, 4, 5, 2], 7), [0..2, 2..4]);
        assert_eq!(pieces(&[3, 4, 5, 2], 6), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(pieces(&[9, 1, 1], 4), [0..1, 1..3]);
        assert_eq!(pieces(&[3, 4], 100), vec![0..2; 1]);
        assert_eq!(pieces(&[], 4), Vec::<std::ops::Range<usize>>::new());
    }

    #[test]
    fn a_pair_depends_on_seed_task_and_number_alone() {
        let piece = piece(&[40; 8]);
        let mask = Mask { token: 1, ordinary: vec![7, 8] };
        for task in Task::ALL {
            let made = |seed, item| task.pair(&piece, &mask, seed, item).unwrap();
            assert_eq!(made(3, 4), made(3, 4));
            assert!((0..9).any(|item| made(3, item) != made(3, 4)) && (0..9).any(|seed| made(seed, 4) != made(3, 4)));
        }
    }
}
