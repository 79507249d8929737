//! What a completion server is for, and how messages call what belongs to it.

/// What a completion server is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Documents.
    Synthesizer,
    /// Whether pairs of documents are related.
    Judge,
    /// Texts about what documents name, of a model that answers in a chat.
    Writer,
}

impl Role {
    /// The recipe's key that holds the address.
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Writer => "endpoint_url",
            Self::Judge => "judge_url",
        }
    }

    /// The one that holds the model's name.
    pub(crate) fn model(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Writer => "endpoint_model",
            Self::Judge => "judge_model",
        }
    }

    /// The one that names the variable with the server's key.
    pub(crate) fn key_env(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Writer => "endpoint_key_env",
            Self::Judge => "judge_key_env",
        }
    }

    /// What the server serves.
    pub(crate) fn served(self) -> &'static str {
        match self {
            Self::Synthesizer => "the synthesizer",
            Self::Judge => "the judge",
            Self::Writer => "the model that writes",
        }
    }

    /// What one request is about.
    pub(crate) fn asked(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Writer => "document",
            Self::Judge => "pair",
        }
    }

    /// What the model's context must hold.
    pub(crate) fn context(self) -> &'static str {
        match self {
            Self::Synthesizer => "max_seed_tokens, max_new_tokens and two more",
            Self::Judge => "the prompt of docs/filters.md with its two texts",
            Self::Writer => "a document of max_seed_tokens with the prompts of docs/methods.md, and max_new_tokens",
        }
    }

    /// What a failure does not take away.
    pub(crate) fn kept(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Writer => "what is written is kept",
            Self::Judge => "no synthetic document is lost",
        }
    }

    /// What it is asked by, below `/v1`.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Synthesizer | Self::Judge => "/completions",
            Self::Writer => "/chat/completions",
        }
    }
}
