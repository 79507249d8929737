//! Documents about the entities of other documents, after EntiGraph (Yang et al. 2024, arXiv 2409.07431): a language model behind a chat server lists the
//! entities of each document, and then writes about every two of them, and about three.
//!
//! | module | what lives there |
//! |---|---|
//! | `listing` | the entities of every document, asked for once |
//! | `relations` | which entities of which document a text is about |
//! | `prompts` | what is asked, and what is read out of a list |
//!
//! What is promised is what the other completion servers are held to: every text once, in the order of the numbers, with all that has arrived kept.

mod listing;
mod prompts;
mod relations;

use std::path::Path;

use cognate_base::Monitor;
use cognate_corpus::{Cut, Document, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::listing::ENTITIES_FILE;
use self::listing::{Documents, Listed, listed, read_listed};
use self::prompts::messages;
use self::relations::Relations;
use crate::endpoint::key::Discretion;
use crate::endpoint::protocol::{Written, completion, most_bytes, request_seed};
use crate::endpoint::store::Store;
use crate::endpoint::workers::{Asker, Question};
use crate::endpoint::{EndpointConfig, Fault, Role, drive};
use crate::error::{Error, Result};
use crate::generate::files::{check_settings, document_id};
use crate::generate::seeds::{Origins, SeedPrompts, Seeds};
use crate::generate::{Finish, GenerateConfig, GenerateStats, Numbers};
use crate::metadata::{self, Marks};

/// Entities of a document, at most: their triples are as many as the cube of this.
pub const MOST_ENTITIES: usize = 100;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EntigraphStats {
    /// The texts.
    #[serde(flatten)]
    pub texts: GenerateStats,
    /// Entities of all documents.
    pub entities: u64,
    /// Documents of whose entities no answer could be read.
    pub unreadable: u64,
    /// Documents with fewer than two entities, those among them.
    pub without_two: u64,
    /// Twos of entities that there are to write about.
    pub pairs: u64,
    /// Threes of them.
    pub triples: u64,
}

/// Has documents written into `out` about the entities of `seeds`, at most `most_entities` of each, or goes on where an earlier call with the same
/// settings stopped. `config` says how much and with which sampling. Entities are taken from the file `known`, where there is one, and not asked for.
///
/// # Errors
/// [`Error::Endpoint`] when an answer is not to be had, [`Error::Interrupted`] when the monitor says so: in both cases with all answers kept
/// that had arrived. [`Error::NoEntities`] where lists of entities cannot be read. Otherwise as the variants of [`Error`] tell.
pub fn generate_entigraph(
    tokenizer: &Tokenizer,
    seeds: &Seeds,
    out: &Path,
    config: &GenerateConfig,
    (most_entities, known): (usize, Option<&Path>),
    endpoint: &EndpointConfig,
    monitor: &dyn Monitor,
) -> Result<EntigraphStats> {
    config.check()?;
    endpoint.check_as(Role::Writer)?;
    if !(2..=MOST_ENTITIES).contains(&most_entities) {
        return Err(Error::setting(
            "most_entities",
            most_entities,
            format!("a whole number from 2 to {MOST_ENTITIES}"),
        ));
    }
    let related = tokenizer.related()?;
    seeds.check(tokenizer.vocab_size(), monitor)?;
    let prompts = config.prompts(seeds, tokenizer, related);
    let sampling = sampling_record(config, &endpoint.model);
    let mut settings = config.settings(seeds, tokenizer, related, monitor)?;
    settings.insert("sampling".into(), sampling.clone());
    settings.insert("most_entities".into(), most_entities.into());
    fs_err::create_dir_all(out)?;
    check_settings(out, &settings)?;
    let text = |place: usize| Ok(tokenizer.decode(&prompts.begun(place)[1..])?);
    let listed = match known {
        Some(path) => read_listed(path, seeds.ids())?,
        None => {
            let documents = Documents { ids: seeds.ids(), text: &text };
            listed(&documents, out, (most_entities, config.seed), endpoint, monitor)?
        }
    };
    let counts: Vec<usize> = listed.iter().map(|one| one.entities.as_ref().map_or(0, Vec::len)).collect();
    let relations = Relations::of(&counts, config.seed);
    let (pairs, triples) = relations.counts();
    let figures = EntigraphStats {
        texts: GenerateStats::default(),
        entities: counts.iter().map(|count| *count as u64).sum(),
        unreadable: listed.iter().filter(|one| one.entities.is_none()).count() as u64,
        without_two: counts.iter().filter(|count| **count < 2).count() as u64,
        pairs,
        triples,
    };
    let about = About { listed: &listed, relations: &relations, prompts: &prompts };
    let marks = Marks::of(tokenizer);
    // A text may have more tokens of this tokenizer than the server counts.
    let counted = GenerateConfig { max_new_tokens: usize::MAX, ..config.clone() };
    let record = |written: &Written| about.document(written, &counted, &sampling, &marks);
    let mut store = Store::open(out, &settings, &record, &counted, monitor)?;
    let numbers = Numbers::of(config);
    let job = |number| about.question(number, config, &endpoint.model, tokenizer);
    let (total, unit) = numbers.total();
    monitor.begin("generate", Some(total), unit);
    let asker = Asker::new(endpoint, Role::Writer, config.seed)?;
    let outcome = drive(asker, endpoint.concurrency, numbers, &job, &mut store, monitor);
    monitor.end();
    outcome?;
    Ok(EntigraphStats { texts: store.finish(&about, monitor)?, ..figures })
}

/// Asks the server one short question, once: whether it is there and knows the model.
///
/// # Errors
/// As [`generate_entigraph`].
pub fn check_entigraph(endpoint: &EndpointConfig, monitor: &dyn Monitor) -> Result<()> {
    endpoint.check_as(Role::Writer)?;
    listing::ask_once(endpoint, monitor)
}

/// The sampling settings as each record holds them, and who was asked.
fn sampling_record(config: &GenerateConfig, model: &str) -> Value {
    let mut record = config.sampling_record();
    if let Value::Object(fields) = &mut record {
        fields.insert("method".into(), "entigraph".into());
        fields.insert("model".into(), model.into());
    }
    record
}

/// What each number is about.
struct About<'a> {
    listed: &'a [Listed],
    relations: &'a Relations,
    prompts: &'a SeedPrompts<'a>,
}

impl About<'_> {
    /// The place of a number's document, its entities, and how often the same was asked before.
    fn of(&self, number: u64) -> (usize, Vec<&str>, u64) {
        let relation = self.relations.relation(number);
        let all = self.listed[relation.document].entities.as_deref().unwrap_or_default();
        (relation.document, relation.entities.iter().map(|place| all[*place].as_str()).collect(), relation.round)
    }

    fn question(&self, number: u64, config: &GenerateConfig, model: &str, tokenizer: &Tokenizer) -> Result<Text> {
        let (place, entities, _) = self.of(number);
        let text = tokenizer.decode(&self.prompts.begun(place)[1..])?;
        let body = json!({
            "model": model,
            "messages": messages(&text, &entities),
            "n": 1,
            "stream": false,
            "max_tokens": config.max_new_tokens,
            "temperature": config.sampling.temperature,
            "top_p": config.sampling.top_p,
            "seed": request_seed(config.seed, number),
        });
        let body = body.to_string().into_bytes();
        Ok(Text { number, max_new_tokens: config.max_new_tokens, body, tokenizer: tokenizer.clone() })
    }

    fn document(&self, written: &Written, config: &GenerateConfig, sampling: &Value, marks: &Marks<'_>) -> Document {
        let (place, entities, round) = self.of(written.number);
        let mut fields = Map::new();
        fields.insert(metadata::SEED_ID.into(), self.prompts.seeds.ids()[place].as_str().into());
        fields.insert(metadata::ENTITIES.into(), json!(entities));
        if round > 0 {
            fields.insert(metadata::SAMPLE.into(), round.into());
        }
        fields.insert(metadata::SYNTHESIZER.into(), config.synthesizer.as_str().into());
        fields.insert(metadata::SAMPLING.into(), sampling.clone());
        fields.insert(metadata::FINISH_REASON.into(), json!(written.finish));
        fields.insert(metadata::TOKENS.into(), written.tokens.into());
        marks.insert(&mut fields, &written.text);
        Document { id: document_id(written.number), text: written.text.clone(), group: None, metadata: fields.into() }
    }
}

impl Origins for About<'_> {
    fn place(&self, number: u64) -> Option<usize> {
        Some(self.relations.relation(number).document)
    }

    fn cut(&self, number: u64) -> Option<Cut> {
        self.prompts.cut_at(self.relations.relation(number).document)
    }

    /// Of the document alone; what is asked about it is the same each time.
    fn prompt_tokens(&self, number: u64) -> usize {
        self.prompts.kept(self.relations.relation(number).document)
    }

    fn without_text(&self) -> u64 {
        self.prompts.seeds.without_text()
    }
}

/// A text that is asked for.
struct Text {
    number: u64,
    max_new_tokens: usize,
    body: Vec<u8>,
    tokenizer: Tokenizer,
}

impl Question for Text {
    type Answer = Written;

    fn number(&self) -> u64 {
        self.number
    }

    fn body(&self) -> Vec<u8> {
        self.body.clone()
    }

    fn most_bytes(&self) -> usize {
        most_bytes(self.max_new_tokens)
    }

    fn read(&self, body: &[u8], discretion: &Discretion) -> Result<Written, (Fault, bool)> {
        let (mut answer, text) = completion(body, discretion)?;
        let wrong = |what: String, transient: bool| {
            Err((Fault::Answer { what: discretion.hide(&what), said: discretion.said(body) }, transient))
        };
        if discretion.is_broken_by(&text) {
            return wrong("the answer repeats the key, and is thrown away: a document would hold it".into(), false);
        }
        if text.trim().is_empty() {
            return wrong("its text is empty: does the model put all into another field, or think for longer than max_new_tokens?".into(), true);
        }
        let finish = match answer.finish_reason().as_deref() {
            Some("stop") => Finish::Eod,
            Some("length") => Finish::Cap,
            other => {
                let shown = other.map_or("absent".into(), |word| format!("{:?}", discretion.said(word.as_bytes())));
                return wrong(format!("finish_reason is {shown}, expected \"stop\" or \"length\""), true);
            }
        };
        // What cannot be encoded is marked and dropped later. A document's end is a token of its own.
        let tokens = self.tokenizer.encode(&text).map_or(1, |tokens| tokens.len() as u64 + 1);
        Ok(Written { number: self.number, text, tokens, finish, mean_log_probability: None })
    }
}
