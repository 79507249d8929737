//! What `filter` asks a judge, where the recipe names one: whether pairs of documents are related.

use std::collections::HashMap;
use std::path::Path;

use cognate_base::Monitor;
use cognate_synth::filter::stage::KEPT;
use cognate_synth::{JudgeConfig, JudgeStats, Key, KnownPairs, Role, TextPair};

use super::quality::{paired_texts, read_first, synthetic_seeds, true_pairs};
use super::texts::unique_texts;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::recipe::Recipe;

/// The judge that the synthetic corpus at `corpus` goes before, with its key from the environment.
pub(crate) fn config(recipe: &Recipe, corpus: usize) -> Result<Option<JudgeConfig>> {
    let Some(judge) = &recipe.synthetic[corpus].filter.judge else { return Ok(None) };
    let key = judge.key_env.as_deref().map(|name| Key::from_environment(name, Role::Judge)).transpose()?;
    Ok(Some(JudgeConfig::new(judge.url.clone(), judge.model.clone(), key, judge.samples, recipe.seed)))
}

/// What a judge says, or none, with a warning, where it fails. It drops no document, and what it is asked about cost all trainings before
/// it. An interruption stays one.
pub(crate) fn or_none<T>(said: Result<Option<T>>, label: &str, folder: &Path) -> Result<Option<T>> {
    match said {
        Err(error @ Error::Synth(cognate_synth::Error::Endpoint(_))) if !error.interrupted() => {
            tracing::warn!(
                "{label}: {error}. The report goes without the judge's word; delete {} and run again to ask it again",
                folder.display()
            );
            Ok(None)
        }
        said => said,
    }
}

/// The judge's word on true neighbours and random pairs.
pub(crate) fn known_pairs(context: &Context<'_>, corpus: usize, monitor: &dyn Monitor) -> Result<Option<KnownPairs>> {
    let Some(config) = config(context.recipe, corpus)? else { return Ok(None) };
    let documents = paired_texts(context, corpus, monitor)?;
    let ids: Vec<String> = documents.iter().map(|(id, _)| id.clone()).collect();
    let true_pairs = true_pairs(context, corpus, &ids)?;
    let texts: Vec<&str> = documents.iter().map(|(_, text)| text.as_str()).collect();
    let text = |number: u32| texts[number as usize];
    let neighbours: Vec<TextPair<'_>> = true_pairs
        .iter()
        .map(|pair| TextPair { name: "true neighbours", seed: text(pair.first), document: text(pair.second) })
        .collect();
    Ok(Some(KnownPairs::judge(&texts, Some(&neighbours), &config, monitor)?))
}

/// Its word on the kept documents in `folder`, beside what it said before.
pub(crate) fn kept_documents(
    context: &Context<'_>,
    corpus: usize,
    folder: &Path,
    known: Option<KnownPairs>,
    monitor: &dyn Monitor,
) -> Result<Option<JudgeStats>> {
    let Some((config, known)) = config(context.recipe, corpus)?.zip(known) else { return Ok(None) };
    let mut documents = unique_texts(context, monitor)?;
    documents.extend(synthetic_seeds(context, corpus, monitor)?);
    let texts: HashMap<&str, &str> = documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let kept = read_first(&folder.join(KEPT), context.recipe.synthetic[corpus].filter.quality_documents, monitor)?;
    Ok(Some(known.beside(&kept, &texts, &config, monitor)?))
}
