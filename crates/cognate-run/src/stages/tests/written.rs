//! Synthetic corpora: their rounds, what filtering costs, and what is said of it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use cognate_base::random::{self, Rng};
use cognate_base::{Hash, Silent};
use cognate_corpus::Document;
use cognate_eval::{PerplexityOptions, perplexity};
use cognate_model::Decoder;
use cognate_pair::read_vectors;
use cognate_synth::generate::files::shards;
use cognate_synth::{Relevance, RelevanceOptions, TextPair, metadata, relevance_of_texts};

use super::super::BATCH_TOKENS;
use super::super::filter::{self, Filtered, further_rounds_flops};
use super::super::generate::{round_folder, round_tokens};
use super::super::held_out::{Documents, one_of_each_target};
use super::super::quality::read_first;
use super::super::texts::unique_texts;
use super::super::{Place, Stage};
use super::finished::{Finished, told};
use super::work::{nearly, reading};
use super::{held_out, load};
use crate::context::Context;
use crate::error::Error;
use crate::rundir::Manifest;
use crate::step::{Step, writer};

/// The rounds of a corpus, the first among them.
fn rounds(context: &Context<'_>, corpus: &str) -> Vec<(PathBuf, Manifest)> {
    let at = context.recipe.corpus_of(corpus);
    let rounds = context.made(Step::Filter(at)).manifest.work.statistics["rounds"].as_u64().unwrap();
    let folder = |round: u64| match round {
        1 => format!("generate/{corpus}"),
        more => format!("rounds/{corpus}/{more}"),
    };
    let made = |round: u64| {
        let folder = context.run.folder(Path::new(&folder(round)));
        let manifest = Manifest::read(&folder).unwrap().unwrap();
        (folder, manifest)
    };
    (1..=rounds).map(made).collect()
}

fn documents(folder: &Path) -> Vec<Document> {
    shards(folder).unwrap().iter().flat_map(|shard| read_first(shard, usize::MAX, &Silent).unwrap()).collect()
}

fn kept(context: &Context<'_>, corpus: &str) -> Vec<Document> {
    let filter = Step::Filter(context.recipe.corpus_of(corpus));
    read_first(&context.made(filter).path("synthetic.jsonl.zst"), usize::MAX, &Silent).unwrap()
}

pub(super) fn rounds_follow_on_each_other(context: &Context<'_>) {
    let recipe = context.recipe;
    let sizes = |corpus: &str| [1, 2, 3, 4].map(|round| round_tokens(recipe, recipe.corpus_of(corpus), round));
    assert_eq!(sizes("related"), [1024, 256, 512, 1024], "nothing beyond the need, then a quarter of it and more");
    assert_eq!(sizes("second"), [768, 256, 512, 1024], "half beyond the need of 512");
    let place = |round| round_folder(recipe, recipe.corpus_of("second"), round);
    assert_eq!((place(1), place(3)), (PathBuf::from("generate/second"), PathBuf::from("rounds/second/3")));
    for corpus in ["related", "second", "shuffled", "unconditional"] {
        let (rounds, at) = (rounds(context, corpus), recipe.corpus_of(corpus));
        let (mut first, mut names, mut flops) = (0, BTreeSet::new(), 0.0);
        for (round, (folder, manifest)) in (1..).zip(&rounds) {
            let written = documents(folder);
            assert_eq!(written.len() as u64, manifest.work.documents, "{corpus}, {round}");
            let beyond = manifest.work.tokens - round_tokens(recipe, at, round);
            assert!(beyond <= 65, "{corpus}, {round}: {beyond} more than a document");
            if round > 1 {
                let config = &manifest.identity.config["round"];
                assert_eq!(
                    (config["number"].as_u64(), config["first_document"].as_u64()),
                    (Some(round as u64), Some(first))
                );
                flops += manifest.work.flops;
            }
            first += manifest.work.documents;
            names.extend(written.into_iter().map(|document| document.id));
        }
        // No name comes twice.
        assert_eq!(names.len() as u64, first);
        assert_eq!(context.made(Step::Filter(at)).manifest.work.documents, first);
        assert_eq!(further_rounds_flops(context, at).unwrap(), flops);
    }
    let before = rounds(context, "related");
    assert!(before.len() > 1, "there is one round alone");
    for (folder, _) in &before[1..] {
        fs_err::remove_dir_all(folder).unwrap();
    }
    filter::Filter(recipe.corpus_of("related")).found(context).unwrap();
    for ((_, before), (_, after)) in before.iter().zip(&rounds(context, "related")) {
        assert_eq!((&before.identity, &before.files), (&after.identity, &after.files));
    }
}

/// How related documents are to their seeds, each asked on its own, and the tokens of all.
fn relevance(context: &Context<'_>, corpus: &str, documents: &[Document]) -> Vec<Relevance> {
    let at = context.recipe.corpus_of(corpus);
    let tokenizer = context.tokenizer().unwrap();
    let mut model = load(context, &context.made(writer(context.recipe, at).unwrap()).path("best"));
    let most = context.recipe.synthetic[at].generate.max_seed_tokens;
    let options = RelevanceOptions::of(&tokenizer, most, BATCH_TOKENS).unwrap();
    let seeds: HashMap<String, String> = unique_texts(context, &Silent).unwrap().into_iter().collect();
    let of = |document: &Document| {
        let seed = &seeds[metadata::seed_id(document).unwrap().unwrap()];
        let pair = [TextPair { name: &document.id, seed, document: &document.text }];
        relevance_of_texts(&mut model, &tokenizer, &pair, options, &Silent).unwrap()[0].unwrap()
    };
    documents.iter().map(of).collect()
}

/// Four texts a pair, of as many tokens as the score says.
fn scoring(config: &cognate_model::Config, scores: &[Relevance]) -> f64 {
    reading(config, scores.iter().flat_map(|score| [score.tokens / 4; 4]))
}

pub(super) fn operations_of_filters_are_those_of_scoring(context: &Context<'_>) {
    let recipe = context.recipe;
    let flops = |corpus: &str| context.made(Step::Filter(recipe.corpus_of(corpus))).manifest.work.flops;
    assert_eq!(["shuffled", "unconditional"].map(flops), [0.0; 2], "of these no score is asked");
    let config = |corpus: &str| {
        load(context, &context.made(writer(recipe, recipe.corpus_of(corpus)).unwrap()).path("best")).config().clone()
    };
    let statistics: Filtered = context.statistics("filter/strict").unwrap();
    let documents = kept(context, "strict");
    assert_eq!(statistics.filter.relevance.unwrap().scored, documents.len() as u64, "others were scored too");
    nearly(flops("strict"), scoring(&config("strict"), &relevance(context, "strict", &documents)));

    // Of related documents the score is calibrated too: on each pair, four times with the other text before it and twice without.
    let statistics: Filtered = context.statistics("filter/related").unwrap();
    let documents = kept(context, "related");
    assert_eq!(statistics.filter.relevance.unwrap().scored, documents.len() as u64, "others were scored too");
    let scored = scoring(&config("related"), &relevance(context, "related", &documents));
    let texts = Documents::of(context, 0, &Silent).unwrap();
    let len = |number: u32| texts.tokens(number).len() as u64;
    let (_, measured) = held_out(context, &texts);
    let pairs = one_of_each_target(&measured);
    let pairs = pairs.iter().flat_map(|pair| [len(pair.first) + len(pair.second); 6]);
    let calibrated = reading(&config("related"), pairs);
    assert!(calibrated > 0.1 * scored && scored > 0.1 * calibrated, "{calibrated} and {scored}: one hides the other");
    nearly(flops("related"), calibrated + scored);
}

pub(super) fn scores_of_relevance_are_those_of_the_kept_documents(context: &Context<'_>) {
    let recipe = context.recipe;
    let statistics: Filtered = context.statistics("filter/related").unwrap();
    let documents = kept(context, "related");
    let scores = relevance(context, "related", &documents);
    let mean = |of: fn(&Relevance) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let found = statistics.filter.relevance.unwrap();
    for (figure, mean) in [(found.forward, mean(|score| score.forward)), (found.backward, mean(|score| score.backward))]
    {
        let figure = figure.unwrap();
        assert!((figure.value - mean).abs() < 1e-6 && figure.n == scores.len() as u64, "{figure:?} {mean}");
    }

    // What the base model finds likely.
    let tokenizer = context.tokenizer().unwrap();
    let mut base: Decoder<_> = load(context, &context.base_of(0).path("best"));
    let options = PerplexityOptions::of(&tokenizer, BATCH_TOKENS);
    let (found, _) = perplexity(&mut base, &tokenizer, documents.iter().cloned().map(Ok), options, &Silent).unwrap();
    let figure = statistics.measured.as_ref().unwrap().perplexity_kept.unwrap();
    let nats = [figure.low, figure.value, figure.high].map(f64::ln);
    assert_eq!(figure.n, found.documents);
    assert!((nats[1] - found.nats_per_token).abs() < 1e-9);
    let half = 1.96 * found.stderr.unwrap();
    assert!((nats[1] - nats[0] - half).abs() < 1e-9 && (nats[2] - nats[1] - half).abs() < 1e-9, "{nats:?} {half}");

    // Each seed beside another document, drawn by the number of the document that was written from it.
    let texts = unique_texts(context, &Silent).unwrap();
    let vectors =
        read_vectors(&context.made(Step::Embed(recipe.embedding("lsa"))).path("vectors.parquet"), &Silent).unwrap();
    let numbers: HashMap<&str, usize> = texts.iter().enumerate().map(|(at, (id, _))| (id.as_str(), at)).collect();
    let other = |(at, document): (u64, &Document)| {
        let seed = numbers[metadata::seed_id(document).unwrap().unwrap()];
        let others: Vec<usize> = (1..texts.len()).map(|step| (seed + step) % texts.len()).collect();
        let drawn = random::stream(recipe.seed, "random similarity", at).next_u64() % others.len() as u64;
        f64::from(vectors.similarity(seed, others[drawn as usize]))
    };
    let random: Vec<f64> = (0..).zip(&documents).map(other).collect();
    let figure = statistics.measured.as_ref().unwrap().similarity.random.unwrap();
    assert_eq!(figure.n, random.len() as u64);
    assert!((figure.value - random.iter().sum::<f64>() / random.len() as f64).abs() < 1e-6, "{figure:?}");
    // Given pairs have no embedder, and documents that were written from others no vector.
    for corpus in ["filter/mine", "filter/second"] {
        let statistics: Filtered = context.statistics(corpus).unwrap();
        assert_eq!(statistics.measured.as_ref().unwrap().similarity.synthetic, None, "{corpus}");
    }
}

pub(super) fn what_filters_leave_decides_what_is_told(finished: &Finished) {
    let (at, written) = {
        let context = finished.context();
        let written = documents(&rounds(&context, "unconditional")[0].0);
        (context.recipe.corpus_of("unconditional"), written)
    };
    let mut words: Vec<usize> = written.iter().map(|document| document.text.split_whitespace().count()).collect();
    words.sort_unstable();
    // Most of them have more words than one at a quarter, and none a thousand. Where no more may be written than is needed, both are too
    // few.
    for (min_words, most) in [(words[words.len() / 4] + 1, 1.0), (1000, 100.0)] {
        let mut recipe = finished.recipe();
        recipe.synthetic[at].filter.min_words = min_words;
        recipe.synthetic[at].generate.most_written = most;
        let context = finished.context_of(&recipe);
        let folder = tempfile::tempdir().unwrap();
        let place = Place { folder: folder.path(), fingerprint: Hash::of("a test") };
        let mut error = None;
        let told = told(|| error = filter::Filter(at).work(&context, place, &Silent).err());
        let Some(Error::TooFewSynthetic { written: tokens, rounds, kept, needed, times, most: told_most, reasons }) =
            error
        else {
            panic!("{error:?}");
        };
        let left = read_first(&folder.path().join("synthetic.jsonl.zst"), usize::MAX, &Silent).unwrap();
        assert_eq!((rounds, needed, told_most), (1, 512, most));
        assert_eq!(tokens, context.made(Step::Generate(at)).manifest.work.tokens);
        assert!(left.is_empty() == (min_words == 1000) && left.is_empty() == (kept == 0), "{kept}");
        assert!((times - tokens as f64 / kept.max(1) as f64).abs() < 1e-9, "{times}");
        // Every reason that there was, and its documents.
        let counts: usize =
            reasons.split(", ").map(|one| one.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum();
        assert_eq!(counts, written.len() - left.len(), "{reasons}");
        assert!(reasons.contains("too_short ([filter] min_words) "), "{reasons}");
        assert!(!reasons.split(", ").any(|one| one.ends_with(" 0")), "{reasons}");
        let little = format!(
            "filter unconditional: the filters keep {} of {} documents; dropped: {reasons}",
            left.len(),
            written.len()
        );
        assert_eq!(told.contains(&little), left.len() * 2 < written.len(), "{told:?}");
        let rule = "filter unconditional: the rule `min_words` would drop 100 % of the real unique documents, and 100 % of those \
                    written: [filter] min_words = 1000 does not fit this corpus; loosen it, or write 0";
        assert_eq!(told.iter().any(|line| line == rule), min_words == 1000, "{told:?}");
        assert_eq!(told.iter().any(|line| line.contains("`min_words`")), min_words == 1000, "{told:?}");
    }
}
