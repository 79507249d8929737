//! `filter --judge-url`: what a judge says about pairs.

use std::collections::HashMap;

use cognate_corpus::{Document, ReadOptions, Reader};
use cognate_pair::read_pairs_among;
use cognate_run::read_texts;
use cognate_synth::filter::stage::KEPT;
use cognate_synth::{JudgeConfig, JudgeStats, Key, KnownPairs, Role, TextPair};

use super::documents::read_options;
use super::shared::Result;
use crate::args::{FilterArgs, JudgeArgs};
use crate::terminal::Terminal;

/// A judge that has been asked about the pairs that need no synthesis.
pub(super) struct Judging {
    config: JudgeConfig,
    documents: Vec<(String, String)>,
    known: KnownPairs,
}

impl Judging {
    /// Asks about true neighbours, where they are given, and random pairs; none where no judge is named.
    pub(super) fn begin(args: &FilterArgs, terminal: &Terminal) -> Result<Option<Self>> {
        let Some(config) = config(&args.judge)? else { return Ok(None) };
        config.check()?;
        let documents = read_texts(&args.training, &read_options(&args.read), terminal)?;
        let texts: Vec<&str> = documents.iter().map(|(_, text)| text.as_str()).collect();
        let pairs = match &args.judge.judge_pairs {
            Some(path) => {
                let ids: Vec<String> = documents.iter().map(|(id, _)| id.clone()).collect();
                // Some of a run's pairs are with documents of another split.
                Some(read_pairs_among(path, &ids, terminal)?.0)
            }
            None => None,
        };
        let neighbours: Option<Vec<TextPair<'_>>> = pairs.as_ref().map(|pairs| {
            let text = |number: u32| texts[number as usize];
            let pair =
                |(first, second)| TextPair { name: "true neighbours", seed: text(first), document: text(second) };
            pairs.iter().map(|found| pair((found.first, found.second))).collect()
        });
        let known = KnownPairs::judge(&texts, neighbours.as_deref(), &config, terminal)?;
        Ok(Some(Self { config, documents, known }))
    }

    /// Asks about the documents that were kept.
    pub(super) fn end(self, args: &FilterArgs, terminal: &Terminal) -> Result<JudgeStats> {
        let Self { config, documents, known } = self;
        let reader = Reader::open(&[args.out.join(KEPT)], &ReadOptions::default(), terminal)?;
        let read = reader.take(args.quality_documents).map(|record| record.map(|(_, document)| document));
        let kept: Vec<Document> = read.collect::<std::result::Result<_, _>>()?;
        let texts: HashMap<&str, &str> = documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        Ok(known.beside(&kept, &texts, &config, terminal)?)
    }
}

fn config(args: &JudgeArgs) -> Result<Option<JudgeConfig>> {
    let Some((url, model)) = args.judge_url.clone().zip(args.judge_model.clone()) else { return Ok(None) };
    let key = args.judge_key_env.as_deref().map(|name| Key::from_environment(name, Role::Judge)).transpose()?;
    Ok(Some(JudgeConfig::new(url, model, key, args.judge_samples, 0)))
}
