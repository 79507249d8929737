//! `tokenize`: splits to token files.

use std::path::{Path, PathBuf};

use cognate_base::Monitor;
use cognate_corpus::{ReadOptions, Reader, TokenFile, Tokenizer, tokenize};
use serde_json::json;

use super::ingest::SPLITS;
use super::tokenized::Tokenized;
use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::{Error, Result};
use crate::estimate::{Cost, Estimate};
use crate::recipe::Recipe;
use crate::rundir::Work;
use crate::step::Step;

/// Splits to token files.
pub(crate) struct Tokenize;

impl Stage for Tokenize {
    fn step(&self) -> Step {
        Step::Tokenize
    }

    fn version(&self, _: &Recipe) -> u32 {
        // 2: patterns are matched as the reference does, long words are learned from in pieces, and the tokens around a document are
        // asked of the files beside a given tokenizer and written down. 3: the split for choices too.
        3
    }

    fn needs(&self, _: &Recipe) -> Vec<Step> {
        vec![Step::Ingest]
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        let given = recipe.tokenize.tokenizer.as_ref().map(|_| "given");
        let mut own = json!({"vocab_size": recipe.tokenize.vocab_size, "tokenizer": given});
        let reserved = recipe.reserved_tokens();
        if !reserved.is_empty() {
            own["reserved"] = json!(reserved.iter().map(|(token, _)| token).collect::<Vec<_>>());
        }
        config.put("tokenize", own)
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        for split in SPLITS {
            inputs.add(&format!("the {split} documents"), context.artifact("ingest"), &format!("{split}.jsonl.zst"))?;
        }
        inputs.given_tokenizer()
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        work(context, place.folder, monitor)
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let survey = estimate.survey;
        let documents = survey.documents;
        let tokens = documents * survey.tokens_per_document;
        let text = documents * survey.bytes_per_document;
        let wall_s = text / survey.encode_bytes_per_s + estimate.unique_bytes() / survey.train_bytes_per_s;
        Cost { documents, tokens, bytes: estimate.token_bytes(tokens, documents), wall_s, ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        estimate.different_words(estimate.survey.documents * estimate.survey.bytes_per_document) * 200.0
    }
}

/// Trains the tokenizer on the unique split or takes the given one, and encodes every split.
fn work(context: &Context<'_>, folder: &Path, monitor: &dyn Monitor) -> Result<Made> {
    let splits = context.artifact("ingest");
    let tokenizer = match &context.recipe.tokenize.tokenizer {
        Some(path) => Tokenizer::load(&context.recipe.at(path))?,
        None => {
            let vocab_size = context.recipe.tokenize.vocab_size.unwrap_or_default();
            let more: Vec<String> = context.recipe.reserved_tokens().into_iter().map(|(token, _)| token).collect();
            let unique = splits.path("unique.jsonl.zst");
            train_tokenizer(&[unique], &ReadOptions::default(), (vocab_size, &more), monitor)?
        }
    };
    check_reserved(context.recipe, &tokenizer)?;
    tokenizer.save(&folder.join("tokenizer.json"))?;
    let mut made = Made::default();
    made.file("tokenizer.json");
    made.file("tokenizer_config.json");
    let mut stats = Vec::new();
    for split in SPLITS {
        let documents = splits.path(&format!("{split}.jsonl.zst"));
        let one = tokenize(&documents, &ReadOptions::default(), &tokenizer, &folder.join(split), monitor)?;
        made.rows(&format!("{split}.bin"), one.tokens);
        made.rows(&format!("{split}.idx"), one.documents);
        stats.push(one);
    }
    let tokenized = Tokenized {
        vocabulary: tokenizer.vocab_size(),
        validation: stats[0],
        unique: stats[1],
        oracle: stats[2],
        selection: stats[3],
    };
    made.work = Work {
        statistics: json!(tokenized),
        flops: 0.0,
        tokens: stats.iter().map(|one| one.tokens).sum(),
        documents: stats.iter().map(|one| one.documents).sum(),
    };
    Ok(made)
}

/// Refuses a tokenizer that lacks a token which something of the recipe is made with.
pub(crate) fn check_reserved(recipe: &Recipe, tokenizer: &Tokenizer) -> Result<()> {
    let missing = recipe.reserved_tokens().into_iter().find(|(token, _)| tokenizer.special(token).is_none());
    missing.map_or(Ok(()), |(token, wanted_by)| Err(Error::NoToken { token, wanted_by: wanted_by.to_owned() }))
}

/// Trains a tokenizer of so many tokens on the texts of document files, `more` reserved ones among them.
///
/// # Errors
/// When a document cannot be read, the vocabulary has no room for the bytes or is too large, or the user interrupts.
pub fn train_tokenizer(
    paths: &[PathBuf],
    options: &ReadOptions,
    (vocab_size, more): (usize, &[String]),
    monitor: &dyn Monitor,
) -> Result<Tokenizer> {
    let mut failure = None;
    let mut reader = Reader::open(paths, options, monitor)?;
    let texts = std::iter::from_fn(|| match reader.next()? {
        Ok((_, document)) => Some(document.text),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let tokenizer = Tokenizer::train_reserving(texts, vocab_size, more, monitor);
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(tokenizer?),
    }
}

impl Context<'_> {
    /// The run's tokenizer.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.artifact("tokenize").path("tokenizer.json"))?)
    }

    /// The token file of a split, or of the kept synthetic documents.
    pub(crate) fn tokens(&self, artifact: impl AsRef<Path>, prefix: &str) -> Result<TokenFile> {
        Ok(TokenFile::open(&self.artifact(artifact).path(prefix))?)
    }

    /// What `tokenize` counted.
    pub(crate) fn tokenized(&self) -> Result<Tokenized> {
        self.statistics("tokenize")
    }
}
