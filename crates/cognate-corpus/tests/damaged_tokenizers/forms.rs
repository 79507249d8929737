//! Small good tokenizers with every kind of model and most kinds of the other parts.

use serde_json::{Value, json};

fn form(model: &Value, normalizer: &Value, pre_tokenizer: &Value, post_processor: &Value, decoder: &Value) -> Value {
    let token = |id: u32, content: &str, special: bool| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": !special, "special": special});
    json!({"version": "1.0", "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, "padding": null,
        "added_tokens": [token(4, "</s>", true), token(9, "<x>", false)], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor, "decoder": decoder, "model": model})
}

fn template() -> Value {
    json!({"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [4], "tokens": ["</s>"]}}})
}

/// The tokenizers.
pub(crate) fn good() -> Vec<Value> {
    let bpe = |byte_fallback: bool| {
        json!({"type": "BPE", "dropout": null, "unk_token": "[UNK]", "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": byte_fallback, "ignore_merges": true, "vocab": {"[UNK]": 0, "a": 1, "b": 2, "ab": 3, "</s>": 4, "<0x41>": 5, "abb": 6, "\u{2581}": 7},
            "merges": [["a", "b"], ["ab", "b"]]})
    };
    let piece = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0, "a": 1, "b": 2, "##a": 3, "</s>": 4, "##b": 5}});
    let word =
        json!({"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "ab": 2, "b": 3, "</s>": 4}, "unk_token": "[UNK]"});
    let unigram = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": true,
        "vocab": [["[UNK]", 0.0], ["a", -1.0], ["b", -1.5], ["ab", -1.2], ["</s>", 0.0], ["\u{2581}", -2.0], ["<0x41>", 0.0]]});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let metaspace = json!({"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": true});
    let level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let strip = json!({"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    vec![
        form(
            &bpe(true),
            &json!({"type": "Replace", "pattern": {"Regex": "a{3,}"}, "content": "b"}),
            &split("(a+)+$|\\s+"),
            &template(),
            &strip,
        ),
        form(
            &bpe(false),
            &Value::Null,
            &json!({"type": "Sequence", "pretokenizers": [split("\\p{N}{1,3}|\\p{L}+|\\s+(?!\\S)"), level]}),
            &json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}),
            &level,
        ),
        form(
            &piece,
            &json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}),
            &json!({"type": "BertPreTokenizer"}),
            &json!({"type": "BertProcessing", "sep": ["</s>", 4], "cls": ["a", 1]}),
            &json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        ),
        form(
            &word,
            &json!({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]}),
            &json!({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Digits", "individual_digits": true}]}),
            &json!({"type": "RobertaProcessing", "sep": ["</s>", 4], "cls": ["a", 1], "trim_offsets": true, "add_prefix_space": false}),
            &json!({"type": "CTC", "pad_token": "[UNK]", "word_delimiter_token": "b", "cleanup": true}),
        ),
        form(&unigram, &json!({"type": "Prepend", "prepend": "\u{2581}"}), &metaspace, &template(), &metaspace),
        form(
            &unigram,
            &json!({"type": "Strip", "strip_left": true, "strip_right": true}),
            &json!({"type": "UnicodeScripts"}),
            &Value::Null,
            &json!({"type": "BPEDecoder", "suffix": "</w>"}),
        ),
    ]
}
