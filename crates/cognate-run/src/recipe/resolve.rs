//! From a recipe as written to a recipe as resolved: defaults that derive from other keys, and what one key says about
//! another.

use std::path::PathBuf;

use cognate_corpus::default_selection_share;
use cognate_synth::Sampling;
use cognate_synth::endpoint::{Key, Role, completions_url};
use cognate_train::peak_rate_for;
use cognate_worlds::Dials;

use super::decoder::decoder_config;
use super::keys::{key_of, keys_of};
use super::recipe_error::RecipeError;
use super::things::Teaching;
use super::things::Things;
use super::written::{Section, Written};
use super::{
    About, Auto, Corpus, Decay, Denoisers, Embed, EmbedMethod, Endpoint, Evaluate, Filter, Generate, GenerateMethod,
    GeneratePrecision, Judge, Limit, Model, Objective, Off, OnBadRecord, PERPLEXITY, Pair, Recipe, Repetition,
    TaughtBy, Threshold, Tokenize, Train, Tune,
};

type Result<T, E = Box<RecipeError>> = std::result::Result<T, E>;

pub(super) fn resolve(written: &Written) -> Result<Recipe> {
    written.table("").check_required()?;
    let documents = written.table("corpus");
    if !documents.has("paths") && !documents.has("world") {
        return Err(documents.missing(key_of("corpus", "paths")));
    }
    for table in ["corpus", "model", "train"] {
        written.table(table).check_required()?;
    }
    let model = model(written.table("model"))?;
    let train = train(written.table("train"), &model)?;
    let tune = tune(written.table("tune"), &model, &train)?;
    let table = written.table("generate");
    if table.text("method") == ENTIGRAPH {
        let expected = "\"model\" or \"endpoint\" here: \"entigraph\" is the method of one corpus";
        return Err(table.impossible("method", "", expected, "write it in a [[synthetic]] table"));
    }
    let generate = generate(table, &tune)?;
    let Things { embeddings, pairs, synthesizers, synthetic, arms, report } = Things::of(written)?;
    let teachings = Teaching::of(&arms);
    Ok(Recipe {
        name: written.table("").text("name"),
        seed: written.table("").integer("seed"),
        seeds: seeds(written.table(""))?,
        corpus: corpus(written.table("corpus"), model.context)?,
        tokenize: tokenize(written.table("tokenize"))?,
        embed: embed(written.table("embed")),
        pair: pair(written.table("pair"))?,
        filter: filter(written.table("filter"))?,
        evaluate: evaluate(written.table("evaluate"), written.table("corpus").world_if("world").as_ref())?,
        report,
        embeddings,
        pairs,
        synthesizers,
        synthetic,
        arms,
        teachings,
        folder: written.file.parent().map(PathBuf::from).unwrap_or_default(),
        model,
        train,
        tune,
        generate,
    })
}

fn seeds(section: &Section) -> Result<Vec<u64>> {
    let seed = section.integer("seed");
    let Some(seeds) = section.integers_from("seeds", seed) else { return Ok(vec![seed]) };
    if !seeds.contains(&seed) {
        let expected = format!("a list with seed = {seed} in it");
        let advice = "the synthesizer starts from the repetition arm of `seed`: add it to the list, or change `seed`";
        return Err(section.impossible("seeds", "", expected, advice));
    }
    if seeds.iter().any(|seed| *seed > i64::MAX as u64) {
        let expected = "seeds that a TOML integer holds";
        return Err(section.impossible("seeds", "", expected, "lower `seed`"));
    }
    Ok(seeds)
}

/// Keys of `[corpus]` that say nothing of a made corpus.
const NOT_OF_WORLDS: [&str; 11] = [
    "paths",
    "id_field",
    "text_field",
    "group_field",
    "limit",
    "chunk_tokens",
    "on_bad_record",
    "max_record_bytes",
    "validation_share",
    "unique_share",
    "selection_share",
];

/// A made corpus for models with a context of `context` tokens.
fn made_corpus(section: &Section, world: Dials, context: usize) -> Result<Corpus> {
    let others = NOT_OF_WORLDS.into_iter().chain(["contamination_words", "contamination_documents"]);
    if let Some(key) = others.into_iter().find(|key| section.has(key)) {
        let expected = format!("no `{key}` beside `world`");
        return Err(section.impossible(
            key,
            "",
            expected,
            "remove one of the two: a world has its own documents and splits",
        ));
    }
    if let Err(error) = world.check_context(context) {
        return Err(section.impossible("world", "", "documents that a model reads whole", &error.to_string()));
    }
    let [validation_share, unique_share, selection_share] = world.shares();
    Ok(Corpus {
        world: Some(world),
        validation_share,
        unique_share,
        selection_share,
        // All documents are of the same wordings.
        contamination_words: 0,
        ..read_corpus(section, [0.0; 3])
    })
}

/// A corpus that is read, with the shares of validation, unique and selection documents.
fn read_corpus(section: &Section, [validation_share, unique_share, selection_share]: [f64; 3]) -> Corpus {
    let on_bad_record = if section.text("on_bad_record") == "skip" { OnBadRecord::Skip } else { OnBadRecord::Stop };
    Corpus {
        paths: section.list_if("paths").unwrap_or_default().into_iter().map(PathBuf::from).collect(),
        world: None,
        id_field: section.text("id_field"),
        text_field: section.text("text_field"),
        group_field: section.text_if("group_field"),
        limit: section.integer_if("limit"),
        chunk_tokens: section.integer_if("chunk_tokens").map(|tokens| tokens as usize),
        on_bad_record,
        max_record_bytes: section.integer("max_record_bytes") as usize,
        validation_share,
        unique_share,
        selection_share,
        contamination_words: section.integer("contamination_words") as usize,
        contamination_documents: section.integer("contamination_documents") as u32,
    }
}

fn corpus(section: &Section, context: usize) -> Result<Corpus> {
    if let Some(world) = section.world_if("world") {
        return made_corpus(section, world, context);
    }
    let (validation, unique) = (section.number("validation_share"), section.number("unique_share"));
    if validation + unique > 1.0 {
        return Err(section.impossible(
            "unique_share",
            unique,
            format_args!(
                "at most {}, because validation_share = {validation} and the two sum above 1",
                1.0 - validation
            ),
            "the rest of the documents, 1 - validation_share - unique_share, is the oracle's and the choices'",
        ));
    }
    let selection = section.number_or("selection_share", default_selection_share(validation, unique));
    if validation + unique + selection > 1.0 + 1e-9 {
        let most = 1.0 - validation - unique;
        let expected =
            format!("at most {most}: validation_share = {validation} and unique_share = {unique} leave no more");
        return Err(section.impossible("selection_share", selection, expected, "lower it, or one of the other two"));
    }
    let group_field = section.text_if("group_field");
    if let Some(field) = &group_field
        && [section.text("id_field").as_str(), &section.text("text_field"), "metadata"].contains(&field.as_str())
    {
        let expected = "a field that several documents share, and not the one with their id, text or metadata";
        return Err(section.impossible(
            "group_field",
            field,
            expected,
            "name the field that holds the book, page or thread",
        ));
    }
    Ok(read_corpus(section, [validation, unique, selection]))
}

fn tokenize(section: &Section) -> Result<Tokenize> {
    let tokenizer = section.text_if("tokenizer").map(PathBuf::from);
    if tokenizer.is_some() && section.has("vocab_size") {
        return Err(section.impossible(
            "vocab_size",
            "",
            "no `vocab_size` beside `tokenizer`",
            "a given tokenizer has its vocabulary already; remove one of the two keys",
        ));
    }
    let vocab_size = tokenizer.is_none().then(|| section.integer("vocab_size") as usize);
    Ok(Tokenize { vocab_size, tokenizer })
}

pub(super) fn model(section: &Section) -> Result<Model> {
    let width = section.integer("width");
    let heads = section.integer("heads");
    let kv_heads = section.integer_or("kv_heads", heads);
    let head_width = match section.integer_if("head_width") {
        Some(head_width) => head_width,
        None if width.is_multiple_of(heads) => width / heads,
        None => {
            let expected = format!("a multiple of heads = {heads}, or `head_width` beside it");
            let advice =
                format!("the nearest multiples are {} and {}", width / heads * heads, (width / heads + 1) * heads);
            return Err(section.impossible("width", width, expected, &advice));
        }
    };
    if !head_width.is_multiple_of(2) {
        let expected = "an even number, because rotary positions turn pairs of numbers";
        let advice = format!("`head_width` is width / heads = {width} / {heads} where it is not written");
        return Err(section.impossible("head_width", head_width, expected, &advice));
    }
    if !heads.is_multiple_of(kv_heads) {
        let divisors: Vec<String> = (1..=heads).filter(|n| heads.is_multiple_of(*n)).map(|n| n.to_string()).collect();
        let advice = format!("each key and value head serves the same number of query heads: {}", divisors.join(", "));
        return Err(section.impossible("kv_heads", kv_heads, format_args!("a divisor of heads = {heads}"), &advice));
    }
    let model = Model {
        layers: section.integer("layers") as usize,
        width: width as usize,
        heads: heads as usize,
        kv_heads: kv_heads as usize,
        head_width: head_width as usize,
        ffn: section.integer_or("ffn", (width * 8).div_ceil(3).next_multiple_of(64)) as usize,
        rope_base: section.number("rope_base"),
        norm_eps: section.number("norm_eps"),
        qk_norm: section.flag("qk_norm"),
        tied: section.flag("tied"),
        context: section.integer("context") as usize,
    };
    match decoder_config(&model, 1, model.context).check() {
        Err(cognate_model::Error::Config { field, value, reason }) => {
            Err(section.impossible(field, value, reason.trim_start_matches("expected "), ""))
        }
        _ => Ok(model),
    }
}

pub(super) fn train(section: &Section, model: &Model) -> Result<Train> {
    if section.has("weight_decay") && section.has("weight_decay_epochs") {
        let expected = "no `weight_decay` beside it: it says the same in other words";
        return Err(section.impossible("weight_decay_epochs", "", expected, "remove one of the two"));
    }
    let budget_tokens = section.integer("budget_tokens");
    let batch_tokens = section.integer_or("batch_tokens", 8 * model.context as u64);
    if budget_tokens < batch_tokens {
        let expected = format!("at least one step, that is batch_tokens = {batch_tokens}");
        return Err(section.impossible(
            "budget_tokens",
            budget_tokens,
            expected,
            "raise the budget or lower batch_tokens",
        ));
    }
    // Between embedding and head, whatever the vocabulary.
    let config = decoder_config(model, 1, model.context);
    let flops = config.training_flops(budget_tokens as f64, 0.0, model.context as f64 / 2.0);
    let peak_rate = section.number_or("peak_rate", peak_rate_for(flops));
    let final_rate = section.number_or("final_rate", peak_rate / 200.0);
    if final_rate > peak_rate {
        let expected = format!("at most peak_rate = {peak_rate}");
        return Err(section.impossible("final_rate", final_rate, expected, "the cosine falls from one to the other"));
    }
    let denoisers = denoisers(section)?;
    let twentieth = (budget_tokens / 20).max(batch_tokens);
    Ok(Train {
        budget_tokens,
        batch_tokens: batch_tokens as usize,
        peak_rate,
        final_rate,
        warmup_share: section.number("warmup_share"),
        decay: match section.number_if("weight_decay_epochs") {
            Some(weight_decay_epochs) => Decay::Epochs { weight_decay_epochs },
            None => Decay::Plain { weight_decay: section.number("weight_decay") },
        },
        beta1: section.number("beta1"),
        beta2: section.number("beta2"),
        epsilon: section.number("epsilon"),
        clip: section.number("clip"),
        validate_every_tokens: section.integer_or("validate_every_tokens", twentieth),
        validate_documents: section.integer("validate_documents") as usize,
        checkpoint_every_tokens: section.integer_or("checkpoint_every_tokens", twentieth),
        keep_checkpoints: section.integer("keep_checkpoints") as usize,
        objective: if denoisers.is_some() { Objective::MixtureOfDenoisers } else { Objective::Plain },
        denoisers,
        taught: Some(TaughtBy {
            teacher_share: section.number("teacher_share"),
            teacher_temperature: section.number("teacher_temperature"),
            teacher_top: section.integer("teacher_top") as usize,
        }),
    })
}

/// The shares of the denoisers, where these are the objective: each of UL2's seven as much as the others, where they are not written.
fn denoisers(section: &Section) -> Result<Option<Denoisers>> {
    if section.text("objective") != "mixture-of-denoisers" {
        return Ok(None);
    }
    let seventh = |key, sevenths: f64| section.number_or(key, sevenths / 7.0);
    let found = Denoisers {
        r_share: seventh("r_share", 2.0),
        s_share: seventh("s_share", 1.0),
        x_share: seventh("x_share", 4.0),
    };
    let before = found.r_share + found.s_share;
    if before + found.x_share > 1.0 + 1e-9 {
        let expected =
            format!("at most {}, because r_share and s_share are {before} together", (1.0 - before).max(0.0));
        let advice = "lower one of the three; what they leave is plain text";
        return Err(section.impossible("x_share", found.x_share, expected, advice));
    }
    Ok(Some(found))
}

pub(super) fn embed(section: &Section) -> Embed {
    Embed {
        method: EmbedMethod::Lsa,
        dimensions: section.integer("dimensions") as usize,
        min_documents: section.integer("min_documents") as usize,
        max_document_share: section.number("max_document_share"),
        max_terms: section.integer("max_terms") as usize,
    }
}

pub(super) fn pair(section: &Section) -> Result<Pair> {
    let max_similarity = section.number("max_similarity");
    let min_similarity = match section.number_if("min_similarity") {
        None => Threshold::Auto(Auto::Auto),
        Some(low) if low < max_similarity => Threshold::At(low),
        Some(low) => {
            return Err(section.impossible(
                "min_similarity",
                low,
                format_args!("less than max_similarity = {max_similarity}"),
                "neighbours between the two are pairs; above max_similarity they are near-copies",
            ));
        }
    };
    Ok(Pair {
        neighbours: section.integer("neighbours") as usize,
        min_similarity,
        precision: section.number("precision"),
        near_copy: limit(section, "near_copy"),
        max_similarity,
        held_out_share: section.number("held_out_share"),
        within_groups: section.flag("within_groups"),
    })
}

pub(super) fn tune(section: &Section, model: &Model, train: &Train) -> Result<Tune> {
    let context = section.integer_or("context", 2 * model.context as u64);
    let batch_tokens = section.integer_or("batch_tokens", (train.batch_tokens as u64).max(context));
    if batch_tokens < context {
        let expected = format!("at least tune.context = {context}, so that one pair fits");
        return Err(section.impossible("batch_tokens", batch_tokens, expected, "raise it, or lower tune.context"));
    }
    Ok(Tune {
        epochs: u32::try_from(section.integer("epochs")).unwrap_or(u32::MAX),
        max_pairs: section.integer_if("max_pairs").map(|most| most as usize),
        rate: section.number_or("rate", train.peak_rate / 10.0),
        warmup_share: section.number("warmup_share"),
        batch_tokens: batch_tokens as usize,
        context: context as usize,
        weight_decay: match train.decay {
            Decay::Plain { weight_decay } => section.number_or("weight_decay", weight_decay),
            Decay::Epochs { .. } => section.number_or("weight_decay", 0.1),
        },
        validate_every_tokens: section.integer_if("validate_every_tokens"),
        checkpoint_every_tokens: section.integer_if("checkpoint_every_tokens"),
        validate_pairs: section.integer("validate_pairs") as usize,
        relation_pairs: section.integer("relation_pairs") as usize,
        least_pairs: section.integer("least_pairs") as usize,
    })
}

/// The method of a corpus that a server writes about entities.
pub(super) const ENTIGRAPH: &str = "entigraph";
/// Tokens of a document that a chat server is shown, and of what it writes, at most.
const SHOWN_TOKENS: u64 = 8192;
const WRITTEN_TOKENS: u64 = 2048;
/// Entities of a document, at most.
const ENTITIES: u64 = 20;

pub(super) fn generate(section: &Section, tune: &Tune) -> Result<Generate> {
    let is_entigraph = section.text("method") == ENTIGRAPH;
    if !is_entigraph && section.has("most_entities") {
        return Err(section.only_with("most_entities", "method = \"entigraph\""));
    }
    let half = tune.context as u64 / 2;
    let [new, seed] = if is_entigraph { [WRITTEN_TOKENS, SHOWN_TOKENS] } else { [half, half.saturating_sub(2).max(1)] };
    let max_new_tokens = section.integer_or("max_new_tokens", new);
    let max_seed_tokens = section.integer_or("max_seed_tokens", seed);
    // The prompt is an end-of-document token, the seed and the related-document token.
    if !is_entigraph && max_seed_tokens + max_new_tokens + 2 > tune.context as u64 {
        let room = (tune.context as u64).saturating_sub(max_seed_tokens + 2);
        return Err(section.impossible(
            "max_new_tokens",
            max_new_tokens,
            format_args!(
                "at most {room}: tune.context = {} holds max_seed_tokens = {max_seed_tokens}, two special tokens and \
                 the new ones",
                tune.context
            ),
            "lower one of the two lengths or raise tune.context",
        ));
    }
    let endpoint = endpoint(section)?;
    Ok(Generate {
        method: match endpoint {
            None => GenerateMethod::Model,
            Some(_) if is_entigraph => GenerateMethod::Entigraph,
            Some(_) => GenerateMethod::Endpoint,
        },
        // A chat server is asked for the first two alone.
        sampling: Sampling {
            temperature: section.number("temperature"),
            top_p: section.number("top_p"),
            top_k: if is_entigraph { 0 } else { section.integer("top_k") as usize },
            min_p: if is_entigraph { 0.0 } else { section.number("min_p") },
            repetition_penalty: if is_entigraph { 1.0 } else { section.number("repetition_penalty") },
        },
        samples_per_seed: if is_entigraph { 1 } else { section.integer("samples_per_seed") },
        precision: match section.text("precision").as_str() {
            "int8" => GeneratePrecision::Int8,
            _ => GeneratePrecision::F32,
        },
        max_new_tokens: max_new_tokens as usize,
        max_seed_tokens: max_seed_tokens as usize,
        slots: section.integer("slots") as usize,
        oversample: section.number("oversample"),
        most_written: section.number("most_written"),
        most_unfinished: limit(section, "most_unfinished"),
        endpoint,
        most_entities: is_entigraph.then(|| section.integer_or("most_entities", ENTITIES) as usize),
    })
}

/// The server, for the methods that ask one.
fn endpoint(section: &Section) -> Result<Option<Endpoint>> {
    if section.text("method") == "model" {
        let of_endpoints =
            keys_of("generate").map(|key| key.name).find(|name| name.starts_with("endpoint_") && section.has(name));
        return match of_endpoints {
            None => Ok(None),
            Some(key) => {
                let advice = "remove the key, or write method = \"endpoint\"";
                // Shown only where it cannot be a key.
                let expected = "no `endpoint_…` key beside method = \"model\"";
                Err(match key {
                    "endpoint_url" | "endpoint_key_env" => {
                        section.impossible_shown(key, "(not shown)", expected, advice)
                    }
                    key => section.impossible(key, "", expected, advice),
                })
            }
        };
    }
    let Some(url) = section.text_if("endpoint_url") else {
        let expected = "`endpoint_url` beside it";
        return Err(section.impossible(
            "method",
            "",
            expected,
            "give the address of the server, as http://127.0.0.1:8000/v1",
        ));
    };
    if section.text("precision") != "f32" {
        let expected = "no other than f32 beside a server";
        return Err(section.impossible("precision", "", expected, "remove it: the server decides how it multiplies"));
    }
    if section.text("method") == ENTIGRAPH && !section.has("endpoint_model") {
        let advice = "give the name that the server knows the model by";
        return Err(section.impossible("method", "", "`endpoint_model` beside it", advice));
    }
    checked_url(section, "endpoint_url", &url, Role::Synthesizer)?;
    let key_env = key_variable(section, "endpoint_key_env")?;
    Ok(Some(Endpoint {
        url,
        model: section.text_if("endpoint_model").unwrap_or_else(|| "synthesizer".to_owned()),
        concurrency: section.integer_or("endpoint_concurrency", 32) as usize,
        key_env,
        timeout_s: section.integer_or("endpoint_timeout_s", 300),
        attempts: section.integer_or("endpoint_attempts", 8),
    }))
}

/// Refuses an address that none can be at.
fn checked_url(section: &Section, key: &str, url: &str, role: Role) -> Result<()> {
    // What the library says of it shows no password.
    match completions_url(url, role) {
        Err(cognate_synth::Error::Setting { value, expected, .. }) => {
            Err(section.impossible_shown(key, &value, &expected, ""))
        }
        _ => Ok(()),
    }
}

/// The name of the variable that holds a server's key.
fn key_variable(section: &Section, key: &str) -> Result<Option<String>> {
    let name = section.text_if(key);
    if name.as_ref().is_some_and(|name| !Key::is_variable(name)) {
        let expected = "the name of an environment variable, in capitals, digits and _";
        let advice = "put the key into such a variable, and its name here: a recipe is copied into the run directory";
        return Err(section.impossible_shown(key, "(not shown)", expected, advice));
    }
    Ok(name)
}

/// The judge, where its address is given.
fn judge(section: &Section) -> Result<Option<Judge>> {
    let Some(url) = section.text_if("judge_url") else {
        let Some(key) =
            keys_of("filter").map(|key| key.name).find(|name| name.starts_with("judge_") && section.has(name))
        else {
            return Ok(None);
        };
        let (expected, advice) = ("`judge_url` beside it", "give the address of the judge's server, or remove the key");
        return Err(match key {
            "judge_key_env" => section.impossible_shown(key, "(not shown)", expected, advice),
            key => section.impossible(key, "", expected, advice),
        });
    };
    checked_url(section, "judge_url", &url, Role::Judge)?;
    let Some(model) = section.text_if("judge_model") else {
        let advice = "give the name that the server knows the judge by";
        return Err(section.impossible("judge_url", "", "`judge_model` beside it", advice));
    };
    let key_env = key_variable(section, "judge_key_env")?;
    Ok(Some(Judge { url, model, key_env, samples: section.integer_or("judge_samples", 200) as usize }))
}

fn limit(section: &Section, key: &str) -> Limit {
    section.number_if(key).map_or(Limit::Off(Off::Off), Limit::At)
}

pub(super) fn filter(section: &Section) -> Result<Filter> {
    Ok(Filter {
        min_words: section.integer("min_words") as usize,
        drop_unfinished: section.flag("drop_unfinished"),
        non_text: limit(section, "non_text"),
        repetition: Repetition {
            duplicate_lines: limit(section, "duplicate_lines"),
            duplicate_paragraphs: limit(section, "duplicate_paragraphs"),
            duplicate_line_characters: limit(section, "duplicate_line_characters"),
            duplicate_paragraph_characters: limit(section, "duplicate_paragraph_characters"),
            top_2_gram: limit(section, "top_2_gram"),
            top_3_gram: limit(section, "top_3_gram"),
            top_4_gram: limit(section, "top_4_gram"),
            duplicate_5_grams: limit(section, "duplicate_5_grams"),
            duplicate_6_grams: limit(section, "duplicate_6_grams"),
            duplicate_7_grams: limit(section, "duplicate_7_grams"),
            duplicate_8_grams: limit(section, "duplicate_8_grams"),
            duplicate_9_grams: limit(section, "duplicate_9_grams"),
            duplicate_10_grams: limit(section, "duplicate_10_grams"),
        },
        near_copy: limit(section, "near_copy"),
        min_relevance: section.number_if("min_relevance"),
        verbatim_words: section.integer("verbatim_words") as usize,
        near_duplicate: limit(section, "near_duplicate"),
        samples: section.integer("samples") as usize,
        quality_documents: section.integer("quality_documents") as usize,
        judge: judge(section)?,
    })
}

/// The tasks whose questions a world has beside its documents.
pub(crate) fn tasks_of(world: &Dials) -> &'static [&'static str] {
    match world {
        Dials::Ginc(_) => &["in_context"],
        Dials::Bigrams(_) => &[],
        Dials::Biographies(_) => &["extraction_once", "extraction_several"],
    }
}

fn evaluate(section: &Section, world: Option<&Dials>) -> Result<Evaluate> {
    let mut tasks: Vec<String> = Vec::new();
    let own = world.map_or(&[][..], tasks_of);
    let usual = || [PERPLEXITY].iter().chain(own).map(|task| (*task).to_owned()).collect();
    for task in section.list_if("tasks").unwrap_or_else(usual) {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let data_dir = section.text_if("data_dir").map(PathBuf::from);
    if let (Some(task), None) =
        (tasks.iter().find(|task| *task != PERPLEXITY && !own.contains(&task.as_str())), &data_dir)
    {
        return Err(section.impossible(
            "tasks",
            format_args!("[.., \"{task}\"]"),
            "`data_dir` beside it",
            "nothing is downloaded: data_dir is the folder with the tasks' files, named as docs/evaluation.md lists them",
        ));
    }
    Ok(Evaluate { tasks, data_dir, limit: section.integer("limit") as usize })
}

pub(super) fn about(section: &Section) -> Result<About> {
    let name = |key: &str| section.text_if(key);
    let about = About {
        baseline: name("baseline"),
        ceiling: name("ceiling"),
        subject: name("subject"),
        license: section.text_if("license"),
        language: section.text_if("language"),
    };
    let is_code = |code: &String| (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase());
    if !about.languages().iter().all(is_code) {
        let expected = "ISO 639 codes of two or three small letters, with commas between them";
        return Err(section.impossible("language", "", expected, "write \"en\" for English, \"en, de\" for a mixture"));
    }
    let is_identifier =
        |license: &String| license.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    if !about.license.iter().all(is_identifier) {
        let expected = "an identifier of letters, digits, `.`, `-` and `+`";
        return Err(section.impossible(
            "license",
            "",
            expected,
            "the Hub's list has cc0-1.0, cc-by-4.0, mit, other, ...",
        ));
    }
    Ok(about)
}
