//! From a recipe as written to a recipe as resolved: defaults that derive from other keys, and what one key says about
//! another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cognate_synth::Sampling;
use cognate_synth::endpoint::{Key, Role, completions_url};
use cognate_train::peak_rate_for;

use super::error::RecipeError;
use super::keys::{ARM_KINDS, keys_of};
use super::written::{Section, Written};
use super::{
    About, Arm, ArmKind, Auto, Corpus, Embed, EmbedMethod, Endpoint, Evaluate, Filter, Generate, GenerateMethod,
    GeneratePrecision, Judge, Limit, Model, Off, OnBadRecord, PERPLEXITY, Pair, Recipe, Repetition, Threshold,
    Tokenize, Train, Tune,
};
use crate::plan::decoder_config;
use crate::stage::{STAGE_NAMES, SWEEP};

type Result<T, E = Box<RecipeError>> = std::result::Result<T, E>;

/// Share of an `sbp` arm's budget that is synthetic, where it is not written.
const SYNTHETIC_SHARE: f64 = 0.25;

pub(super) fn resolve(written: &Written) -> Result<Recipe> {
    for table in ["", "corpus", "model", "train"] {
        written.table(table).check_required()?;
    }
    let model = model(written.table("model"))?;
    let train = train(written.table("train"), &model)?;
    let tune = tune(written.table("tune"), &model, &train)?;
    let generate = generate(written.table("generate"), &tune)?;
    Ok(Recipe {
        name: written.table("").text("name"),
        seed: written.table("").integer("seed"),
        seeds: seeds(written.table(""))?,
        corpus: corpus(written.table("corpus"))?,
        tokenize: tokenize(written.table("tokenize"))?,
        embed: embed(written.table("embed")),
        pair: pair(written.table("pair"))?,
        filter: filter(written.table("filter"))?,
        evaluate: evaluate(written.table("evaluate"))?,
        report: about(written.table("report"))?,
        arms: arms(written)?,
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

fn corpus(section: &Section) -> Result<Corpus> {
    let (validation, unique) = (section.number("validation_share"), section.number("unique_share"));
    if validation + unique > 1.0 {
        return Err(section.impossible(
            "unique_share",
            unique,
            format_args!(
                "at most {}, because validation_share = {validation} and the two sum above 1",
                1.0 - validation
            ),
            "the rest of the documents, 1 - validation_share - unique_share, is the oracle's",
        ));
    }
    let on_bad_record = if section.text("on_bad_record") == "skip" { OnBadRecord::Skip } else { OnBadRecord::Stop };
    Ok(Corpus {
        paths: section.list("paths").into_iter().map(PathBuf::from).collect(),
        id_field: section.text("id_field"),
        text_field: section.text("text_field"),
        on_bad_record,
        max_record_bytes: section.integer("max_record_bytes") as usize,
        validation_share: validation,
        unique_share: unique,
        contamination_words: section.integer("contamination_words") as usize,
        contamination_documents: section.integer("contamination_documents") as u32,
    })
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

fn model(section: &Section) -> Result<Model> {
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

fn train(section: &Section, model: &Model) -> Result<Train> {
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
    let twentieth = (budget_tokens / 20).max(batch_tokens);
    Ok(Train {
        budget_tokens,
        batch_tokens: batch_tokens as usize,
        peak_rate,
        final_rate,
        warmup_share: section.number("warmup_share"),
        weight_decay: section.number("weight_decay"),
        beta1: section.number("beta1"),
        beta2: section.number("beta2"),
        epsilon: section.number("epsilon"),
        clip: section.number("clip"),
        validate_every_tokens: section.integer_or("validate_every_tokens", twentieth),
        validate_documents: section.integer("validate_documents") as usize,
        checkpoint_every_tokens: section.integer_or("checkpoint_every_tokens", twentieth),
        keep_checkpoints: section.integer("keep_checkpoints") as usize,
    })
}

fn embed(section: &Section) -> Embed {
    Embed {
        method: EmbedMethod::Lsa,
        dimensions: section.integer("dimensions") as usize,
        min_documents: section.integer("min_documents") as usize,
        max_document_share: section.number("max_document_share"),
        max_terms: section.integer("max_terms") as usize,
    }
}

fn pair(section: &Section) -> Result<Pair> {
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
    })
}

fn tune(section: &Section, model: &Model, train: &Train) -> Result<Tune> {
    let context = section.integer_or("context", 2 * model.context as u64);
    let batch_tokens = section.integer_or("batch_tokens", (train.batch_tokens as u64).max(context));
    if batch_tokens < context {
        let expected = format!("at least tune.context = {context}, so that one pair fits");
        return Err(section.impossible("batch_tokens", batch_tokens, expected, "raise it, or lower tune.context"));
    }
    Ok(Tune {
        epochs: u32::try_from(section.integer("epochs")).unwrap_or(u32::MAX),
        rate: section.number_or("rate", train.peak_rate / 10.0),
        warmup_share: section.number("warmup_share"),
        batch_tokens: batch_tokens as usize,
        context: context as usize,
        weight_decay: section.number_or("weight_decay", train.weight_decay),
        validate_every_tokens: section.integer_if("validate_every_tokens"),
        checkpoint_every_tokens: section.integer_if("checkpoint_every_tokens"),
        validate_pairs: section.integer("validate_pairs") as usize,
        relation_pairs: section.integer("relation_pairs") as usize,
    })
}

fn generate(section: &Section, tune: &Tune) -> Result<Generate> {
    let half = tune.context as u64 / 2;
    let max_new_tokens = section.integer_or("max_new_tokens", half);
    let max_seed_tokens = section.integer_or("max_seed_tokens", half.saturating_sub(2).max(1));
    // The prompt is an end-of-document token, the seed and the related-document token.
    if max_seed_tokens + max_new_tokens + 2 > tune.context as u64 {
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
        method: if endpoint.is_some() { GenerateMethod::Endpoint } else { GenerateMethod::Model },
        sampling: Sampling {
            temperature: section.number("temperature"),
            top_p: section.number("top_p"),
            top_k: section.integer("top_k") as usize,
            min_p: section.number("min_p"),
            repetition_penalty: section.number("repetition_penalty"),
        },
        samples_per_seed: section.integer("samples_per_seed"),
        precision: match section.text("precision").as_str() {
            "int8" => GeneratePrecision::Int8,
            _ => GeneratePrecision::F32,
        },
        max_new_tokens: max_new_tokens as usize,
        max_seed_tokens: max_seed_tokens as usize,
        slots: section.integer("slots") as usize,
        oversample: section.number("oversample"),
        most_written: section.number("most_written"),
        endpoint,
    })
}

/// The completion server, for the method `endpoint`.
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
        let expected = "no other than f32 beside method = \"endpoint\"";
        return Err(section.impossible("precision", "", expected, "remove it: the server decides how it multiplies"));
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

fn filter(section: &Section) -> Result<Filter> {
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

fn evaluate(section: &Section) -> Result<Evaluate> {
    let mut tasks: Vec<String> = Vec::new();
    for task in section.list("tasks") {
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    let data_dir = section.text_if("data_dir").map(PathBuf::from);
    if let (Some(task), None) = (tasks.iter().find(|task| *task != PERPLEXITY), &data_dir) {
        return Err(section.impossible(
            "tasks",
            format_args!("[.., \"{task}\"]"),
            "`data_dir` beside it",
            "nothing is downloaded: data_dir is the folder with the tasks' files, named as docs/evaluation.md lists them",
        ));
    }
    Ok(Evaluate { tasks, data_dir, limit: section.integer("limit") as usize })
}

fn about(section: &Section) -> Result<About> {
    let about = About { license: section.text_if("license"), language: section.text_if("language") };
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

fn arms(written: &Written) -> Result<Vec<Arm>> {
    if written.arms.is_empty() {
        let arm = |kind: ArmKind| Arm { name: kind.word().to_owned(), kind };
        return Ok(vec![
            arm(ArmKind::Repetition),
            arm(ArmKind::Sbp { synthetic_share: SYNTHETIC_SHARE }),
            arm(ArmKind::Oracle { max_epochs: 1.0 }),
        ]);
    }
    let mut arms: Vec<Arm> = Vec::new();
    let mut lines = BTreeMap::new();
    for section in &written.arms {
        let arm = arm(section, first_share(written))?;
        let refuse = |message: String, advice: &str| {
            Err(Box::new(RecipeError::Arms { at: section.place(), message, advice: advice.to_owned() }))
        };
        if STAGE_NAMES.contains(&arm.name.as_str()) || arm.name == SWEEP {
            return refuse(
                format!("an arm cannot be called `{}`: that is a stage's folder", arm.name),
                "give the arm another name",
            );
        }
        if let Some((_, number)) = arm.name.rsplit_once("-seed-")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return refuse(
                format!("an arm cannot be called `{}`: that is the folder of an arm's further seed", arm.name),
                "give the arm another name",
            );
        }
        if ["tune-", "generate-", "filter-"].iter().any(|stage| arm.name.starts_with(stage)) {
            return refuse(
                format!("an arm cannot be called `{}`: folders of stages begin so", arm.name),
                "give the arm another name",
            );
        }
        if arm.name != arm.kind.word() && ARM_KINDS.contains(&arm.name.as_str()) {
            return refuse(
                format!("an arm of kind `{}` cannot be called `{}`: that is another kind", arm.kind.word(), arm.name),
                "give the arm another name",
            );
        }
        if let Some(line) = lines.insert(arm.name.clone(), section.place().line.unwrap_or_default()) {
            return refuse(
                format!("a second arm is called `{}`; the first stands in line {line}", arm.name),
                "give each `[[arm]]` a `name` of its own",
            );
        }
        if let Some(same) = arms.iter().find(|other| other.kind == arm.kind) {
            return refuse(
                format!("arm `{}` is the same as arm `{}`", arm.name, same.name),
                "remove one of the two, or make them differ",
            );
        }
        arms.push(arm);
    }
    check_needs(written, &arms)?;
    Ok(arms)
}

/// What arms need of each other, and of who writes.
fn check_needs(written: &Written, arms: &[Arm]) -> Result<()> {
    let refuse = |at: usize, message: String, advice: &str| {
        Err(Box::new(RecipeError::Arms { at: written.arms[at].place(), message, advice: advice.to_owned() }))
    };
    let has = |wanted: fn(&ArmKind) -> bool| arms.iter().any(|arm| wanted(&arm.kind));
    let find = |wanted: fn(&ArmKind) -> bool| arms.iter().position(|arm| wanted(&arm.kind));
    if let Some(at) = find(|kind| kind.synthetic().is_some() || *kind == ArmKind::EqualFlops)
        && !has(|kind| *kind == ArmKind::Repetition)
    {
        return refuse(
            at,
            format!("arm `{}` has no arm of kind `repetition` beside it", arms[at].name),
            "the synthesizer starts from the repetition arm's best checkpoint: add `[[arm]]` with kind = \"repetition\"",
        );
    }
    if let Some(at) = find(|kind| *kind == ArmKind::EqualFlops)
        && !has(|kind| matches!(kind, ArmKind::Sbp { .. }))
    {
        return refuse(
            at,
            format!("arm `{}` has no arm of kind `sbp` beside it", arms[at].name),
            "its operations are as many as that arm cost: add `[[arm]]` with kind = \"sbp\"",
        );
    }
    let regularised = find(|kind| matches!(kind, ArmKind::Regularised { .. }));
    if let Some(at) = regularised
        && !has(|kind| *kind == ArmKind::Repetition)
    {
        return refuse(
            at,
            format!("arm `{}` has no arm of kind `repetition` beside it", arms[at].name),
            "it is repetition with another weight decay, and is compared with it: add `[[arm]]` with kind = \"repetition\"",
        );
    }
    let corpus = written.table("corpus");
    let (validation, unique) = (corpus.number("validation_share"), corpus.number("unique_share"));
    if let Some(at) = regularised
        && validation + unique > 1.0 - 1e-9
    {
        return refuse(
            at,
            format!(
                "arm `{}` has no documents to choose its weight decay by: validation_share = {validation} and unique_share = \
                 {unique} leave none",
                arms[at].name
            ),
            "the choice is made on documents of neither split, so that no arm is scored on what it was chosen by: lower \
             unique_share in [corpus] a little",
        );
    }
    if let Some(at) = find(|kind| kind.synthetic().is_some_and(|(synthesis, _)| synthesis.control().is_some()))
        && written.table("generate").text("method") != "model"
    {
        return refuse(
            at,
            format!("arm `{}` cannot be written by a completion server, which serves one synthesizer", arms[at].name),
            "remove the arm, or write method = \"model\" in [generate]",
        );
    }
    Ok(())
}

/// The share of the first `sbp` arm, where it is written.
fn first_share(written: &Written) -> Option<f64> {
    let first = written.arms.iter().find(|section| section.text_if("kind").is_some_and(|kind| kind == "sbp"));
    first.and_then(|section| section.number_if("synthetic_share"))
}

/// `first_share` is what a control's share is where it is not written.
fn arm(section: &Section, first_share: Option<f64>) -> Result<Arm> {
    let word = section.text("kind");
    let only_for = |key: &str, kinds: &[&str]| {
        if !section.has(key) || kinds.contains(&word.as_str()) {
            return Ok(());
        }
        let advice = format!("remove the key, or write kind = \"{}\"", kinds[0]);
        Err(section.impossible(key, "", format_args!("no `{key}` in an arm of kind \"{word}\""), &advice))
    };
    only_for("synthetic_share", &["sbp", "random-pairs", "unconditional"])?;
    only_for("max_epochs", &["oracle"])?;
    only_for("weight_decays", &["regularised"])?;
    only_for("selection_documents", &["regularised"])?;
    let share = |default: f64| section.number_or("synthetic_share", default);
    let of_control = || share(first_share.unwrap_or(SYNTHETIC_SHARE));
    let kind = match word.as_str() {
        "repetition" => ArmKind::Repetition,
        "sbp" => ArmKind::Sbp { synthetic_share: share(SYNTHETIC_SHARE) },
        "oracle" => ArmKind::Oracle { max_epochs: section.number("max_epochs") },
        "random-pairs" => ArmKind::RandomPairs { synthetic_share: of_control() },
        "unconditional" => ArmKind::Unconditional { synthetic_share: of_control() },
        "equal-flops" => ArmKind::EqualFlops,
        "regularised" => ArmKind::Regularised {
            weight_decays: section.numbers("weight_decays"),
            selection_documents: section.integer("selection_documents") as usize,
        },
        "related-context" => ArmKind::RelatedContext,
        other => unreachable!("keys.rs lists the kinds of arms; `{other}` is not among them"),
    };
    Ok(Arm { name: section.text_if("name").unwrap_or_else(|| word.clone()), kind })
}
