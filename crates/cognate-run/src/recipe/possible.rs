//! What a stage would refuse of the recipe's own values, refused when the recipe is read: the stages' own checks, and what tables say
//! about each other.

use cognate_synth::FilterConfig;

use super::error::RecipeError;
use super::written::{Section, Written};
use super::{Filter, Generate, Recipe, Synthetic};

type Result<T = (), E = Box<RecipeError>> = std::result::Result<T, E>;

/// Refuses what no corpus could make work.
pub(super) fn check(written: &Written, recipe: &Recipe) -> Result {
    groups(written, recipe)?;
    filter(written, recipe)
}

/// Refuses pairs apart from groups where there are none.
fn groups(written: &Written, recipe: &Recipe) -> Result {
    let table = written.table("pair");
    let sections =
        std::iter::once(table.clone()).chain(written.things("pairs").iter().map(|section| table.under(section)));
    for section in sections {
        if !section.flag("within_groups") && !recipe.corpus.has_groups() {
            let expected = "true, or `[corpus] group_field` or `chunk_tokens`";
            return Err(section.impossible(
                "within_groups",
                "",
                expected,
                "no document has a group without one of these keys",
            ));
        }
    }
    Ok(())
}

/// The filters' own check, and whether any document can pass.
fn filter(written: &Written, recipe: &Recipe) -> Result {
    let table = written.table("filter");
    let shared = || (table.clone(), &recipe.filter, &recipe.generate);
    let thing = |corpus: &'_ Synthetic| {
        let written = written.things("synthetic").iter().find(|section| section.text("name") == corpus.name);
        written.map_or_else(|| table.clone(), |section| table.under(section))
    };
    let corpora = recipe.synthetic.iter().map(|corpus| (thing(corpus), &corpus.filter, &corpus.generate));
    for (section, filter, generate) in std::iter::once(shared()).chain(corpora) {
        check_filter(&section, filter, generate, !recipe.synthetic.is_empty())?;
    }
    Ok(())
}

fn check_filter(section: &Section, filter: &Filter, generate: &Generate, written: bool) -> Result {
    if let Err(cognate_synth::Error::Setting { field, value, expected }) = filter_config(filter, true).check() {
        return Err(section.impossible(field, value, expected, ""));
    }
    let (least, longest) = (filter.min_words, generate.max_new_tokens);
    // A token is a part of a word, or all of it.
    if written && least > longest {
        let expected = format!("at most generate.max_new_tokens = {longest}: no document could have so many words");
        return Err(section.impossible("min_words", least, expected, "lower it, or raise max_new_tokens"));
    }
    Ok(())
}

/// The settings of the filters, for documents of seeds or not.
pub(crate) fn filter_config(filter: &Filter, of_seeds: bool) -> FilterConfig {
    FilterConfig {
        min_words: filter.min_words,
        drop_unfinished: filter.drop_unfinished,
        non_text: filter.non_text.get(),
        repetition: filter.repetition.thresholds(),
        near_copy: filter.near_copy.get(),
        verbatim_words: filter.verbatim_words,
        // What was written from no document is related to none.
        min_relevance: filter.min_relevance.filter(|_| of_seeds),
        near_duplicate: filter.near_duplicate.get(),
        samples: filter.samples,
        quality_documents: filter.quality_documents,
    }
}
