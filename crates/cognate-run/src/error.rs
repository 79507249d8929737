//! Everything that can go wrong with an experiment, with what to do about it.

use std::io::ErrorKind;

use cognate_base::Interrupted;
use cognate_corpus::Remedy;

use crate::recipe::RecipeError;
use crate::rundir::{MANIFEST, RunDirError};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a disk says that takes nothing more.
const NO_ROOM: [ErrorKind; 4] =
    [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge, ErrorKind::ReadOnlyFilesystem];

/// Why an experiment stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe was refused.
    #[error(transparent)]
    Recipe(#[from] Box<RecipeError>),
    /// The run directory could not be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Another process writes to the output.
    #[error(transparent)]
    Claim(#[from] cognate_base::ClaimError),
    /// A world could not be made.
    #[error(transparent)]
    World(#[from] cognate_worlds::Error),
    /// What is true of a world could not be read.
    #[error(transparent)]
    Truth(#[from] cognate_worlds::TruthError),
    /// A stage failed.
    #[error("{label}: {source}")]
    Stage {
        /// The stage and its arm.
        label: String,
        /// What happened.
        source: Box<Error>,
    },
    /// The recipe has no stage of the name that was given as the last one.
    #[error("--until {stage}: the recipe's arms need no such stage; they need {stages}")]
    NoSuchStage {
        /// The name.
        stage: String,
        /// Those that there are.
        stages: String,
    },
    /// A tokenizer lacks a token that something of the recipe is made with.
    #[error(
        "the tokenizer has no special token {token}, which {wanted_by} needs: give one that has it, or let it be trained by \
         [tokenize] vocab_size, which reserves it"
    )]
    NoToken {
        /// The token.
        token: String,
        /// What is made with it.
        wanted_by: String,
    },
    /// Nothing has what pairs are made of.
    #[error("the pairs `{pairs}`: nothing makes a pair{passed_over}. Give longer documents, or another method")]
    NothingDerived {
        /// The set.
        pairs: String,
        /// What was passed over and why, in words.
        passed_over: String,
    },
    /// A file of phrases has too few for some to be learned and others to measure.
    #[error(
        "the pairs `{pairs}`: {path} has {found} different phrases, expected {least} at least, of which half measure what is learned from the \
         others: give more, or write held_out_share = 0 and measure nothing", path = path.display()
    )]
    FewPhrases {
        /// The set.
        pairs: String,
        /// The file.
        path: std::path::PathBuf,
        /// Different phrases.
        found: usize,
        /// How many there must be.
        least: usize,
    },
    /// A record of a file of phrases is no pair of phrases.
    #[error(
        "{origin}: `{field}` is {found}, expected a phrase: each record has a text `source` and a text `target` that say the same"
    )]
    Phrase {
        /// Where it stands.
        origin: String,
        /// The field.
        field: &'static str,
        /// What is there.
        found: String,
    },
    /// The documents do not hold the tokens that an arm needs.
    #[error(
        "the corpus is too small for the arm `{arm}`: its budget of {needed} tokens asks for {wanted}, and the \
         {split} hold {available} tokens in {documents} documents"
    )]
    TooFewTokens {
        /// The arm.
        arm: String,
        /// Training tokens of every arm.
        needed: u64,
        /// What kind of tokens it wants, in words.
        wanted: String,
        /// Where they come from, in words.
        split: &'static str,
        /// Tokens there.
        available: u64,
        /// Documents there.
        documents: u64,
        /// The largest budget that would do.
        most: u64,
    },
    /// Nothing is left to choose an arm's weight decay by.
    #[error("the arm `{arm}` has no documents to choose by: {reason}")]
    NoSelection {
        /// The arm.
        arm: String,
        /// Why not, in words.
        reason: String,
        /// Documents that were drawn and left out for what they share.
        left_out: u64,
    },
    /// Fewer documents than each is to have neighbours.
    #[error(
        "the corpus is too small for the arm `{arm}`: each document's {neighbours} nearest neighbours are looked for, and the unique \
         split holds {documents} documents"
    )]
    TooFewNeighbours {
        /// The arm.
        arm: String,
        /// Neighbours of a document.
        neighbours: usize,
        /// Documents there.
        documents: u64,
    },
    /// A file of vectors lacks a document's.
    #[error("{path}: has no vector of the document {id:?}, which is one of the unique split", path = path.display())]
    NoVector {
        /// The file.
        path: std::path::PathBuf,
        /// The document.
        id: String,
    },
    /// Every candidate of an arm's sweep made its training diverge.
    #[error("the arm `{arm}` has no candidate to choose: the training of each diverged ({reasons})")]
    AllDiverged {
        /// The arm.
        arm: String,
        /// Each candidate, with the step and what was no longer a number.
        reasons: String,
    },
    /// Fewer pairs than a synthesizer is to learn from.
    #[error(
        "the pairs `{pairs}` are too few to tune on: {found} training pairs, and [tune] least_pairs = {least} are wanted; nothing was trained"
    )]
    TooFewPairs {
        /// The set.
        pairs: String,
        /// Training pairs in it.
        found: usize,
        /// The recipe's least.
        least: usize,
        /// Whether they were looked for, and not given.
        looked_for: bool,
    },
    /// Hardly a document was ended by the model that wrote it.
    #[error(
        "{unfinished} of {documents} documents are unfinished: they reached [generate] max_new_tokens = {max_new_tokens} before their end, \
         and [generate] most_unfinished = {most}"
    )]
    Endless {
        /// Documents that reached the cap.
        unfinished: u64,
        /// Documents that were written.
        documents: u64,
        /// The cap.
        max_new_tokens: usize,
        /// The share from which on the run stops.
        most: f64,
        /// Where they lie.
        folder: std::path::PathBuf,
    },
    /// The filters leave too little, however much is generated.
    #[error(
        "the synthesizer's documents do not last: of {written} tokens written in {rounds} rounds the filters kept \
         {kept}, and the arms need {needed}; at this rate {times:.1} times that would have to be written, and [generate] \
         most_written = {most} at most; dropped: {reasons}"
    )]
    TooFewSynthetic {
        /// Tokens written.
        written: u64,
        /// Rounds of generation.
        rounds: usize,
        /// Tokens kept.
        kept: u64,
        /// Tokens needed.
        needed: u64,
        /// Times the need that would have to be written.
        times: f64,
        /// Times the need that may be.
        most: f64,
        /// Documents dropped, by reason.
        reasons: String,
    },
    /// The instruction set that the environment asks for cannot be.
    #[error(transparent)]
    Isa(#[from] cognate_ops::IsaError),
    /// A setting of a stage's command that cannot be.
    #[error("{name} = {found}: expected {expected}")]
    Setting {
        /// The flag or key.
        name: String,
        /// What was given.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A record of our own that does not read back.
    #[error("{path} is damaged: {message}", path = path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        message: String,
    },
    /// There are no documents of the kind to look at.
    #[error("{path} holds no {what}", path = path.display())]
    NoDocuments {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A run that has not come to what was asked for.
    #[error("{folder} has no synthetic documents to show yet: the stage `{stage}` is not finished", folder = folder.display())]
    Unfinished {
        /// The run directory.
        folder: std::path::PathBuf,
        /// The first stage that is missing.
        stage: String,
    },
    /// More than this machine's memory would be needed.
    #[error(transparent)]
    TooLarge(#[from] cognate_base::process::TooLarge),
    /// Models were compared that were not measured on the same documents.
    #[error(transparent)]
    Unpaired(#[from] cognate_statistics::bootstrap::Unpaired),
    /// The user asked to stop.
    #[error("interrupted; the same command continues where it stopped")]
    Interrupted(#[from] cognate_base::Interrupted),
    /// The file system said no.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Documents, tokenizer or token files.
    #[error(transparent)]
    Corpus(#[from] cognate_corpus::Error),
    /// Vectors or pairs.
    #[error(transparent)]
    Pair(#[from] cognate_pair::Error),
    /// The decoder or a checkpoint.
    #[error(transparent)]
    Model(#[from] cognate_model::Error),
    /// Training.
    #[error(transparent)]
    Train(#[from] cognate_train::Error),
    /// Generation or filters.
    #[error(transparent)]
    Synth(#[from] cognate_synth::Error),
    /// Evaluation.
    #[error(transparent)]
    Eval(#[from] cognate_eval::Error),
}

impl Error {
    /// Whether the user asked to stop.
    pub fn interrupted(&self) -> bool {
        Interrupted::caused(self)
    }

    /// Whether a disk is at fault that has no room, or that nothing may be written to.
    pub(crate) fn is_of_storage(&self) -> bool {
        let error = match self {
            Self::Stage { source, .. } => return source.is_of_storage(),
            Self::Io(error)
            | Self::RunDir(RunDirError::Io(error))
            | Self::Claim(cognate_base::ClaimError::Io(error))
            | Self::Corpus(cognate_corpus::Error::Io(error))
            | Self::Pair(cognate_pair::Error::Io(error)) => error,
            _ => return false,
        };
        // Those of a library's writers hold the system's.
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| NO_ROOM.contains(&io.kind())) {
                return true;
            }
            next = match io.and_then(std::io::Error::get_ref) {
                Some(held) => Some(held),
                None => error.source(),
            };
        }
        false
    }

    /// Whether the recipe or a flag, and not the run, is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Recipe(_)
                | Self::Setting { .. }
                | Self::Isa(_)
                | Self::Corpus(
                    cognate_corpus::Error::Setting { .. }
                        | cognate_corpus::Error::VocabularyTooSmall { .. }
                        | cognate_corpus::Error::VocabularyTooLarge { .. }
                )
                | Self::Pair(cognate_pair::Error::Config { .. })
                | Self::Model(cognate_model::Error::Config { .. })
                | Self::Train(cognate_train::Error::Setting { .. })
                | Self::Synth(cognate_synth::Error::Setting { .. })
        )
    }

    /// What the user can set so that documents are read which were refused.
    fn remedies(&self) -> &'static [Remedy] {
        match self {
            Self::Stage { source, .. } => source.remedies(),
            Self::Corpus(error)
            | Self::Synth(cognate_synth::Error::Corpus(error))
            | Self::Eval(cognate_eval::Error::Corpus(error)) => error.remedies(),
            _ => &[],
        }
    }

    /// What to do about it, in one line, where the message does not say so already.
    pub fn hint(&self) -> Option<String> {
        let remedies: Vec<&str> = self.remedies().iter().map(|remedy| by_key(*remedy)).collect();
        if !remedies.is_empty() {
            return Some(remedies.join("; "));
        }
        match self {
            Self::Recipe(error) => error.hint(),
            Self::RunDir(error) => error.hint(),
            Self::Claim(error) => error.hint().map(str::to_owned),
            Self::Stage { source, .. } => source.hint(),
            Self::TooFewTokens { most, .. } => Some(format!(
                "lower [train] budget_tokens to at most {most}, add documents to [corpus] paths, or raise the arm's \
                 max_epochs"
            )),
            Self::NoSelection { left_out: 0, .. } => Some(
                "raise [corpus] selection_share or the arm's selection_documents, or remove the arm".to_owned(),
            ),
            Self::NoSelection { .. } => Some(
                "the documents are near-copies of each other, or have a form in common: lower [corpus] contamination_documents, so that less \
                 counts as shared, or raise contamination_words; with a larger selection_share and selection_documents, some may share nothing"
                    .to_owned(),
            ),
            Self::TooFewNeighbours { documents, .. } => Some(match documents.saturating_sub(1) {
                0 => "add documents to [corpus] paths, raise [corpus] unique_share, or remove the arm".to_owned(),
                most => format!(
                    "lower [pair] neighbours to at most {most}, add documents to [corpus] paths, or raise [corpus] unique_share"
                ),
            }),
            Self::NoVector { .. } => {
                Some("write the vectors of all documents into the file, as `cognate embed` does".to_owned())
            }
            Self::AllDiverged { .. } => {
                Some("lower the arm's weight decays or rates, or remove the arm".to_owned())
            }
            Self::TooFewPairs { looked_for, .. } => Some(format!(
                "{}; [tune] least_pairs = 0 goes on with them",
                if *looked_for {
                    "raise [corpus] unique_share or [pair] neighbours, lower [pair] min_similarity or precision, or try another [embed]"
                } else {
                    "give more pairs or more documents: raise [corpus] unique_share, or loosen what the set asks of a pair"
                }
            )),
            Self::Endless { folder, .. } => Some(format!(
                "write [generate] most_unfinished = \"off\" and run again to go on with them; or tune longer ([tune] epochs), raise \
                 [generate] max_new_tokens, or lower [corpus] chunk_tokens, or write it, to cut long documents, and give another directory with --out and this run's with \
                 --reuse; the documents lie in {}",
                folder.display()
            )),
            Self::TooFewSynthetic { .. } => Some(
                "loosen [filter], tune longer, raise [generate] most_written, or lower the arms' synthetic_share; the dropped \
                 documents lie in the run directory"
                    .to_owned(),
            ),
            Self::Unfinished { folder, .. } => Some(format!(
                "`cognate run` continues it; documents that are written and not filtered yet are shown by `cognate inspect \
                 synthetic {0}/generate --documents {0}/ingest/unique.jsonl.zst`",
                folder.display()
            )),
            Self::Corpus(cognate_corpus::Error::Untokenizable { .. }) => Some(
                "change or remove the document, or take another tokenizer; the command `cognate tokenize` passes over such documents \
                 with --on-bad-record skip"
                    .to_owned(),
            ),
            // What a finished stage left can be made again by it.
            Self::Damaged { path, .. } => path
                .parent()
                .filter(|folder| folder.join(MANIFEST).exists())
                .map(|folder| format!("delete {} and run the recipe again to make it anew", folder.display())),
            _ => None,
        }
    }

    /// Names the stage that failed; an interruption stays what it is.
    pub(crate) fn in_stage(self, label: &str) -> Self {
        match self {
            Self::Interrupted(_) | Self::RunDir(_) => self,
            other => Self::Stage { label: label.to_owned(), source: Box::new(other) },
        }
    }
}

/// A setting of documents by its key; a command that was given no recipe has a flag of the same name.
fn by_key(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::TextField => "[corpus] text_field names the field that holds the text",
        Remedy::NoIdField => "[corpus] id_field = \"\" derives all ids from file and row",
        Remedy::MaxRecordBytes => "[corpus] max_record_bytes sets another limit",
        Remedy::Skip => "[corpus] on_bad_record = \"skip\" passes over such records and lists them",
    }
}
