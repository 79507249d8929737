//! Checkpoints of other projects: trained further, tuned, and asked to write.

use std::path::Path;

use cognate_corpus::Tokenizer;
use cognate_model::checkpoint::{read_config, read_tensors};
use cognate_model::{Config, Decoder};
use cognate_ops::Cpu;
use serde_json::{Value, json};

use crate::support::{Scratch, corpus};

/// A folder with documents, their tokens and pairs, and in `foreign` a Llama as such models are published: begin and end tokens of
/// its own, and `spare` rows in its embedding beyond its tokenizer's tokens. The second value is the number of these tokens.
fn foreign(tied: bool, spare: usize) -> (Scratch, usize) {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(80));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "own.json", "--train", "300", "--out", "own"]);
    let tokenizer = fs_err::read_to_string(scratch.path("own.json")).unwrap();
    scratch.write("foreign/tokenizer.json", tokenizer.replace("<|related|>", "<s>"));
    scratch
        .write("foreign/tokenizer_config.json", json!({"bos_token": "<s>", "eos_token": "<|endoftext|>"}).to_string());
    let tokens = Tokenizer::load(&scratch.path("own.json")).unwrap().vocab_size();
    let config = Config {
        vocab: tokens + spare,
        width: 32,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_width: 16,
        ffn: 48,
        max_positions: 96,
        rope_base: 1e4,
        rope_scaling: None,
        norm_eps: 1e-6,
        qk_norm: false,
        tied,
    };
    let made = scratch.path("made");
    Decoder::new(Cpu::new(1).unwrap(), config, 3).unwrap().save(&made, None, |_| Ok(())).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs_err::rename(made.join(file), scratch.path("foreign").join(file)).unwrap();
    }
    for line in [
        "tokenize documents.jsonl --tokenizer foreign/tokenizer.json --out tokens",
        "embed documents.jsonl --dimensions 8 --out vectors.parquet",
        "pair --embeddings vectors.parquet --neighbours 2 --out pairs.parquet",
    ] {
        scratch.succeeds(&line.split_whitespace().collect::<Vec<_>>());
    }
    (scratch, tokens)
}

/// What a command that succeeds prints to stdout, as JSON, and to stderr.
fn run(scratch: &Scratch, line: &str) -> (Value, String) {
    let output = scratch.cognate(&line.split_whitespace().collect::<Vec<_>>()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}\n{stderr}");
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), stderr)
}

fn knows_related(checkpoint: &Path) -> bool {
    fs_err::read_to_string(checkpoint.join("tokenizer.json")).unwrap().contains("<|related|>")
}

const TUNE: &str = "tune foreign --documents documents.jsonl --tokens tokens --pairs pairs.parquet --batch-tokens 512 \
                    --checkpoint-every-tokens 2000 --keep-checkpoints 100";

#[test]
fn a_checkpoint_without_a_spare_row_is_trained_as_it_is_and_tuned_with_a_row_more() {
    for tied in [true, false] {
        let (scratch, tokens) = foreign(tied, 0);
        let train = "train --init foreign --tokenizer foreign/tokenizer.json --tokens tokens --out more --budget-tokens 2000 \
                     --batch-tokens 500";
        let (trained, stderr) = run(&scratch, train);
        assert!(!stderr.contains("row"), "{stderr}");
        let last = scratch.path(trained["last"].as_str().unwrap());
        assert_eq!(read_config(&last).unwrap().0.vocab, tokens);
        assert!(!knows_related(&last));

        let (tuned, stderr) = run(&scratch, &format!("{TUNE} --out tuned"));
        let tables = if tied { "embedding, which is the head," } else { "embedding and head" };
        let expected =
            format!("a row is added to {tables} for <|related|>, token {tokens}: {tokens} rows become {}", tokens + 1);
        assert!(stderr.contains(&expected), "{stderr}");
        let last = scratch.path(tuned["last"].as_str().unwrap());
        let (config, special) = read_config(&last).unwrap();
        assert_eq!((config.vocab, special.related, config.tied), (tokens + 1, Some(tokens as u32), tied));
        let tokenizer: Value = serde_json::from_slice(&fs_err::read(last.join("tokenizer.json")).unwrap()).unwrap();
        let added = tokenizer["added_tokens"].as_array().unwrap();
        let related = added.iter().find(|token| token["content"] == "<|related|>").unwrap();
        assert_eq!((&related["id"], &related["special"]), (&json!(tokens), &json!(true)));
        let (weights, _) = read_tensors(&last.join("model.safetensors")).unwrap();
        for table in ["model.embed_tokens.weight", "lm_head.weight"] {
            assert_eq!(
                weights.get(table).map(Vec::len),
                (!tied || table != "lm_head.weight").then_some((tokens + 1) * 32)
            );
        }
        let (moments, _) = read_tensors(&last.join("optimizer.safetensors")).unwrap();
        assert_eq!(moments["first_moment"].len(), config.parameters());
        // The new row has learned: it stands before every second document.
        let row = &moments["first_moment"][tokens * 32..(tokens + 1) * 32];
        assert!(row.iter().any(|moment| *moment != 0.0));

        // Interrupted and gone on with: the same bits.
        let bytes = fs_err::read(last.join("model.safetensors")).unwrap();
        assert!(scratch.names("tuned/checkpoints").len() > 2);
        fs_err::remove_dir_all(&last).unwrap();
        let (again, stderr) = run(&scratch, &format!("{TUNE} --out tuned"));
        assert!(stderr.contains(&expected) && again["last"] == tuned["last"], "{stderr}");
        assert!(fs_err::read(last.join("model.safetensors")).unwrap() == bytes);
    }
}

#[test]
fn spare_rows_are_used_and_never_written() {
    let (scratch, tokens) = foreign(false, 7);
    let (tuned, stderr) = run(&scratch, &format!("{TUNE} --out tuned"));
    assert!(!stderr.contains("added"), "{stderr}");
    let last = tuned["last"].as_str().unwrap();
    assert_eq!(read_config(&scratch.path(last)).unwrap().0.vocab, tokens + 7);
    // The rows that no token has are made the likeliest by far, and still none of them is drawn.
    let path = scratch.path(last);
    let (mut model, special) = Decoder::load(Cpu::new(1).unwrap(), &path).unwrap();
    let mut values = model.parameters();
    let head = model.layout().tensors().iter().find(|tensor| tensor.name == "lm_head.weight").unwrap().range.clone();
    let (known, padding) = values[head].split_at_mut((tokens + 1) * 32);
    padding.iter_mut().zip(known.iter().cycle()).for_each(|(padding, known)| *padding = 50.0 * known);
    model = Decoder::with_parameters(Cpu::new(1).unwrap(), model.config().clone(), &values).unwrap();
    let strange = scratch.path("strange");
    model.save(&strange, None, |_| Ok(())).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(path.join(file), strange.join(file)).unwrap();
    }
    assert_eq!(special.related, Some(tokens as u32));
    scratch.write("seed.txt", "bade fi");
    let (_, stderr) = run(&scratch, "sample strange --seed-text seed.txt -n 8 --max-new-tokens 30 --json");
    assert!(!stderr.contains("tuned"), "{stderr}");
    let printed = scratch.succeeds(&[
        "sample",
        "strange",
        "--seed-text",
        "seed.txt",
        "-n",
        "8",
        "--json",
        "--max-new-tokens",
        "30",
    ]);
    for line in printed.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        // A number without a token decodes to nothing.
        assert!(!sample["text"].as_str().unwrap().is_empty(), "{sample}");
    }
}

#[test]
fn only_a_token_that_occurs_needs_a_row() {
    let (scratch, tokens) = foreign(true, 0);
    let evaluate = ["evaluate", "--checkpoint", "foreign", "--documents", "documents.jsonl", "--json", "--quiet"];
    let nats = |printed: &str| serde_json::from_str::<Value>(printed).unwrap()["nats_per_token"].clone();
    let whole = nats(&scratch.succeeds(&evaluate));
    // Tokens more than rows: chat tokens, say, that no document has.
    let tokenizer = scratch.path("foreign/tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs_err::read(&tokenizer).unwrap()).unwrap();
    let template = json["added_tokens"][0].clone();
    for (more, name) in ["<|user|>", "<|assistant|>"].into_iter().enumerate() {
        let mut token = template.clone();
        (token["id"], token["content"]) = (json!(tokens + more), json!(name));
        json["added_tokens"].as_array_mut().unwrap().push(token);
    }
    scratch.write("foreign/tokenizer.json", json.to_string());
    assert_eq!(nats(&scratch.succeeds(&evaluate)), whole);
    // An ordinary word among them, which one document has.
    json["added_tokens"][2]["content"] = json!("zuzuzu");
    json["added_tokens"][2]["special"] = json!(false);
    scratch.write("foreign/tokenizer.json", json.to_string());
    assert_eq!(nats(&scratch.succeeds(&evaluate)), whole);
    scratch.write("documents.jsonl", corpus(80) + "{\"id\": \"the one\", \"text\": \"ba zuzuzu de\"}\n");
    let (code, stderr) = scratch.fails(&evaluate);
    let expected = format!(
        "error: document the one: its token \"zuzuzu\" has the number {tokens}, and the checkpoint's embedding has"
    );
    assert!(code == 1 && stderr.starts_with(&expected), "{stderr}");
}

#[test]
fn a_checkpoint_that_is_not_known_to_be_tuned_is_told() {
    let scratch = Scratch::new();
    scratch.write("documents.jsonl", corpus(60));
    scratch.succeeds(&["tokenize", "documents.jsonl", "--tokenizer", "t.json", "--train", "300", "--out", "tokens"]);
    let (trained, _) = run(
        &scratch,
        "train --tokens tokens --tokenizer t.json --out base --budget-tokens 1000 --batch-tokens 500 --context 64 --layers 1 \
         --width 32 --heads 2",
    );
    let base = trained["last"].as_str().unwrap();
    scratch.write("seed.txt", "bade fi");
    let told = format!("{base} is not known to be tuned");
    let generate = format!(
        "generate {base} --documents documents.jsonl --tokens tokens --out synthetic --target-documents 2 --max-new-tokens 4 --quiet"
    );
    for line in [format!("sample {base} --seed-text seed.txt -n 1 --max-new-tokens 4 --quiet"), generate] {
        let (_, stderr) = run(&scratch, &line);
        assert_eq!(stderr.matches(&told).count(), 1, "{line}: {stderr}");
    }
    let (code, stderr) =
        scratch.fails(&["evaluate", "--checkpoint", "base", "--documents", "documents.jsonl", "--quiet"]);
    assert_eq!(code, 1);
    let expected = format!(
        "error: base is no checkpoint but holds some; give one of them:\n  base/checkpoints/step-00000001\n  {base}\n"
    );
    assert!(stderr == expected || stderr.ends_with(&format!("  {}\n", base.trim_start_matches("./"))), "{stderr}");
}

/// Continued pretraining in a recipe, from a model as it is published: without a row for the token that the run adds, and with rows to spare.
#[test]
fn an_arm_of_a_recipe_goes_on_from_a_published_model() {
    for (spare, tied) in [(0, true), (7, false)] {
        let (scratch, tokens) = foreign(tied, spare);
        scratch.write("many.jsonl", corpus(400));
        let recipe = r#"
name = "more"
[corpus]
paths = ["many.jsonl"]
validation_share = 0.05
unique_share = 0.6
selection_share = 0.1
[tokenize]
tokenizer = "foreign/tokenizer.json"
[model]
layers = 1
width = 32
heads = 2
kv_heads = 1
head_width = 16
ffn = 48
rope_base = 1e4
norm_eps = 1e-6
qk_norm = false
TIED
context = 48
[train]
budget_tokens = 4096
batch_tokens = 512
[pair]
neighbours = 4
min_similarity = 0.2
[tune]
context = 90
batch_tokens = 512
least_pairs = 1
epochs = 1
[generate]
max_new_tokens = 24
most_unfinished = "off"
[filter]
min_words = 0
drop_unfinished = false
non_text = "off"
near_copy = "off"
near_duplicate = "off"
[[arm]]
kind = "repetition"
[[arm]]
name = "more"
init = "./foreign"
synthetic.of-it = 0.1
[[arm]]
name = "base"
init = "./foreign"
[[synthesizer]]
name = "of-it"
base = "base"
pairs = "related"
[[synthetic]]
name = "of-it"
by = "of-it"
"#;
        scratch.write("r.toml", recipe.replace("TIED", &format!("tied = {tied}")));
        scratch.succeeds(&["--quiet", "run", "r.toml"]);
        let rows = |model: &str| read_config(&scratch.path(&format!("runs/more/{model}"))).unwrap().0.vocab;
        // The tokenizer has the token that stands between related documents, and so has every model a row for it.
        let with_related = tokens + 1;
        for model in ["train/more/final", "train/base/best", "tune/of-it/best"] {
            assert_eq!(rows(model), with_related.max(tokens + spare), "{spare}: {model}");
        }
        assert_eq!(rows("train/repetition/final"), with_related);
        let positions =
            |model: &str| read_config(&scratch.path(&format!("runs/more/{model}"))).unwrap().0.max_positions;
        assert_eq!(positions("train/more/final"), positions("train/repetition/final"), "they are scored alike");
        // Both began where the published model was, and not anew, as their losses before the first step say.
        let first = |arm: &str| -> f64 {
            let metrics =
                fs_err::read_to_string(scratch.path(&format!("runs/more/train/{arm}/metrics.jsonl"))).unwrap();
            let point: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
            point["validation_nats_per_token"].as_f64().unwrap()
        };
        assert_eq!(first("base"), first("more"));
        assert_ne!(first("base"), first("repetition"));
    }
}
