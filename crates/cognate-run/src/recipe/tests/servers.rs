//! Keys of completion servers and judges, and what may be a secret.

use super::super::{Author, GenerateMethod, SeedsOf};
use super::{LEAST, parse, refused};

pub(super) const SERVER: &str = "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://host:8000/v1\"\n";

#[test]
fn a_completion_server_has_keys_of_its_own() {
    let recipe = parse(&LEAST.replace("[train]", &format!("{SERVER}[train]"))).unwrap();
    let endpoint = recipe.generate.endpoint.unwrap();
    assert_eq!((endpoint.url.as_str(), endpoint.model.as_str()), ("http://host:8000/v1", "synthesizer"));
    assert_eq!((endpoint.concurrency, endpoint.timeout_s, endpoint.attempts), (32, 300, 8));
    assert_eq!((recipe.generate.method, endpoint.key_env), (GenerateMethod::Endpoint, None));
    for (written, expected) in [
        (
            "[generate]\nendpoint_timeout_s = 9\n",
            "13: [generate] endpoint_timeout_s = 9: expected no `endpoint_…` key beside method = \"model\"\n\
             hint: remove the key, or write method = \"endpoint\"",
        ),
        (
            "[generate]\nmethod = \"endpoint\"\n",
            "13: [generate] method = \"endpoint\": expected `endpoint_url` beside it\n\
             hint: give the address of the server, as http://127.0.0.1:8000/v1",
        ),
    ] {
        assert_eq!(refused("[train]", &format!("\n{written}[train]")), format!("recipes/r.toml:{expected}"));
    }
}

#[test]
fn a_servers_precision_is_its_own() {
    let message = refused("[train]", &format!("{SERVER}precision = \"int8\"\n[train]"));
    assert!(message.starts_with("recipes/r.toml:14: [generate] precision"), "{message}");
    assert!(message.contains("the server decides how it multiplies"), "{message}");
    let resolved = parse(&LEAST.replace("[train]", "[generate]\nprecision = \"int8\"\n[train]")).unwrap();
    let config = crate::step::Step::Generate(0).resolved(&resolved).unwrap();
    assert_eq!(config["generate"]["precision"], "int8");
}

/// A key that was written where its variable's name or the server's address belongs is not repeated.
#[test]
fn what_may_be_a_secret_is_refused_unseen() {
    let written = |line: &str| refused("[train]", &format!("{SERVER}{line}[train]"));
    for name in ["sk-s3cret", "hf_s3cret", "$S3CRET"] {
        let message = written(&format!("endpoint_key_env = \"{name}\"\n"));
        assert!(message.starts_with("recipes/r.toml:14: [generate] endpoint_key_env = (not shown): "), "{message}");
        assert!(!message.to_lowercase().contains("s3cret"), "{message}");
    }
    let message =
        refused("[train]", "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"http://me:s3cret@host/v1\"\n[train]");
    assert!(message.starts_with("recipes/r.toml:13: [generate] endpoint_url = (not shown): "), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
    let message = refused("[train]", "[generate]\nmethod = \"endpoint\"\nendpoint_url = \"host:8000\"\n[train]");
    assert!(
        message.starts_with("recipes/r.toml:13: [generate] endpoint_url = host:8000: expected http://"),
        "{message}"
    );
}

/// What was made before there was a second method was made by the first: its manifests must still fit. And where a server is does
/// not change what it writes.
#[test]
fn where_a_server_is_does_not_count_and_the_first_method_goes_unsaid() {
    let generate = |more: &str| {
        let recipe = parse(&LEAST.replace("[train]", &format!("{more}[train]"))).unwrap();
        crate::step::Step::Generate(0).resolved(&recipe).unwrap()["generate"].clone()
    };
    let mut keys: Vec<String> = generate("").as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["max_new_tokens", "max_seed_tokens", "oversample", "temperature", "top_p"]);
    let more = "[generate]\ntop_k = 40\nmin_p = 0.05\nrepetition_penalty = 1.1\n";
    assert_eq!(generate("[generate]\ntop_k = 0\nmin_p = 0\nrepetition_penalty = 1\n"), generate(""), "all off");
    let on = generate(more);
    assert_eq!((&on["top_k"], &on["min_p"], &on["repetition_penalty"]), (&40.into(), &0.05.into(), &1.1.into()));
    let here = generate(SERVER);
    assert_eq!((&here["method"], &here["endpoint_model"]), (&"endpoint".into(), &"synthesizer".into()));
    let how = "endpoint_concurrency = 3\nendpoint_timeout_s = 4\nendpoint_attempts = 5\nendpoint_key_env = \"K\"\n";
    assert_eq!(here, generate(&format!("{}{how}", SERVER.replace("host", "other"))));
    assert_ne!(here, generate(&format!("{SERVER}endpoint_model = \"other\"\n")));
    assert!(!here.to_string().contains("host"), "{here}");
}

pub(super) const JUDGE: &str = "[filter]\njudge_url = \"http://host:8000/v1\"\njudge_model = \"wise\"\n";

#[test]
fn a_judge_has_an_address_and_a_name_and_shows_no_secret() {
    let recipe = parse(&LEAST.replace("[train]", &format!("{JUDGE}[train]"))).unwrap();
    let judge = recipe.filter.judge.unwrap();
    assert_eq!((judge.model.as_str(), judge.samples, judge.key_env), ("wise", 200, None));
    let written = |more: &str| refused("[train]", &format!("[filter]\n{more}[train]"));
    assert_eq!(
        written("judge_samples = 9\n"),
        "recipes/r.toml:12: [filter] judge_samples = 9: expected `judge_url` beside it\n\
         hint: give the address of the judge's server, or remove the key"
    );
    assert_eq!(
        written("judge_url = \"http://host\"\n"),
        "recipes/r.toml:12: [filter] judge_url = \"http://host\": expected `judge_model` beside it\n\
         hint: give the name that the server knows the judge by"
    );
    for secret in [
        "judge_url = \"http://me:s3cret@host/v1\"\n",
        "judge_key_env = \"sk-s3cret\"\n",
        "judge_url = \"http://host\"\njudge_model = \"wise\"\njudge_key_env = \"sk-s3cret\"\n",
    ] {
        let message = written(secret);
        assert!(message.contains("(not shown)") && !message.contains("s3cret"), "{message}");
    }
    let of = |more: &str, corpus: &str| {
        let arms = "[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"random-pairs\"\n";
        let recipe = parse(&format!("{}{arms}", LEAST.replace("[train]", &format!("{more}[train]")))).unwrap();
        let filter = crate::step::Step::Filter(recipe.corpus_of(corpus));
        filter.resolved(&recipe).unwrap()["filter"].clone()
    };
    let filter = |more: &str| of(more, "related");
    assert!(filter("").as_object().unwrap().keys().all(|key| !key.starts_with("judge")), "as before there were judges");
    let here = filter(JUDGE);
    assert_eq!((&here["judge_model"], &here["judge_samples"]), (&"wise".into(), &200.into()));
    assert_eq!(here, filter(&format!("{}judge_key_env = \"K\"\n", JUDGE.replace("host", "other"))));
    assert!(!here.to_string().contains("host"), "{here}");
    assert_ne!(here, filter(&JUDGE.replace("wise", "wiser")));
    let control = |more: &str| of(more, "shuffled");
    assert_eq!(control(JUDGE), control(""), "a control's documents go before no judge");
}

#[test]
fn a_server_that_writes_about_entities_has_keys_of_its_own() {
    let corpus = |keys: &str| {
        format!(
            "[[synthetic]]\nname = \"c\"\nmethod = \"entigraph\"\n{keys}[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"a\"\nsynthetic.c = 0.5\n"
        )
    };
    let server = "endpoint_url = \"http://host:8000/v1\"\nendpoint_model = \"m\"\n";
    let text = |keys: &str| format!("{LEAST}\n{}", corpus(keys));
    let recipe = parse(&text(server)).unwrap();
    let generate = &recipe.synthetic[0].generate;
    assert_eq!((&recipe.synthetic[0].by, generate.method), (&Author::Server, GenerateMethod::Entigraph));
    assert_eq!((generate.most_entities, generate.max_seed_tokens, generate.max_new_tokens), (Some(20), 8192, 2048));
    assert_eq!(recipe.synthetic[0].seeds, SeedsOf::Unique);
    assert!(recipe.synthesizers.is_empty() && recipe.pairs.is_empty(), "nothing is tuned for it");
    assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
    let own = parse(&text(&format!("{server}most_entities = 7\ntemperature = 0.7\nmin_words = 3\n"))).unwrap();
    let config =
        |recipe: &crate::recipe::Recipe| crate::step::Step::Generate(0).resolved(recipe).unwrap()["generate"].clone();
    assert_ne!(config(&own), config(&recipe));
    assert_eq!((&config(&own)["most_entities"], &config(&own)["endpoint_model"]), (&7.into(), &"m".into()));
    assert_eq!(config(&own).get("endpoint_url"), None, "where a server is changes nothing");
    // What it is not asked for changes nothing, and reads back.
    let other = text(server).replace(
        "[train]",
        "[generate]\ntop_k = 40\nsamples_per_seed = 4\nmin_p = 0.1\nrepetition_penalty = 1.5\n[train]",
    );
    let other = parse(&other).unwrap();
    assert_eq!(config(&other), config(&recipe));
    assert_eq!(parse(&other.to_toml().unwrap()).unwrap(), other);
    for (keys, said) in [
        ("", "expected `endpoint_url` beside it"),
        ("endpoint_url = \"http://h/v1\"\n", "expected `endpoint_model` beside it"),
        (&format!("{server}by = \"related\"\n"), "no `by` beside method = \"entigraph\""),
        (&format!("{server}seeds = \"none\"\n"), "entities are those of documents"),
        (&format!("{server}top_k = 5\n"), "no `top_k` beside method = \"entigraph\""),
        (&format!("{server}min_relevance = 0.5\n"), "no `min_relevance` beside"),
        (&format!("{server}most_entities = 1\n"), "a whole number from 2 to 100"),
    ] {
        let message = parse(&text(keys)).unwrap_err().to_string();
        assert!(message.contains(said), "{keys}: {message}");
    }
    let message = refused("[train]", "[generate]\nmethod = \"entigraph\"\n[train]");
    assert!(message.contains("is the method of one corpus") && message.contains("[[synthetic]]"), "{message}");
    let message = refused("[train]", "[generate]\nmost_entities = 5\n[train]");
    assert!(message.contains("no `most_entities` without method = \"entigraph\""), "{message}");
}
