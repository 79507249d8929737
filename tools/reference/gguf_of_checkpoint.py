"""Writes a checkpoint directory as one GGUF file, which llama.cpp opens; with --check holds llama.cpp's logits against transformers'.

python tools/reference/gguf_of_checkpoint.py DIR OUT.gguf [--type f32|f16|q8_0] [--check]

pip install gguf safetensors; for --check also llama-cpp-python, torch and transformers. Prints one JSON line, exit status 1 if the
check fails. Only what Cognate writes: Qwen3ForCausalLM with plain rotary positions, and a byte-level BPE tokenizer.
"""

import argparse
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors import safe_open

TYPES = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
# transformers' names to those of gguf.TENSOR_NAMES.
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
PROMPT_TOKENS = [1, 7, 37, 128]
# Logits that differ by more, as a share of the logits' standard deviation, are another model's. f16 rounds the weights, q8_0 activations too.
TOLERANCES = {"f32": 1e-4, "f16": 2e-2, "q8_0": 2e-1}


def read_config(folder: Path) -> dict:
    config = json.loads((folder / "config.json").read_text())
    if config["architectures"] != ["Qwen3ForCausalLM"]:
        sys.exit(f"{folder}/config.json: architectures is {config['architectures']}; only Qwen3ForCausalLM is written")
    if config["rope_parameters"]["rope_type"] != "default":
        sys.exit(f"{folder}/config.json: rope_type is {config['rope_parameters']['rope_type']}; only default is written")
    return config


def gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in WHOLE:
        return WHOLE[stem] + ".weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{LAYER[part]}.weight"


def add_settings(writer: gguf.GGUFWriter, config: dict, kind: str) -> None:
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])


def add_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: dict) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    model = tokenizer["model"]
    # "gpt-2" is llama.cpp's name for the regular expression that ByteLevel splits by.
    if model["type"] != "BPE" or tokenizer["pre_tokenizer"].get("type") != "ByteLevel":
        sys.exit(f"{folder}/tokenizer.json: not a byte-level BPE tokenizer")
    size = config["vocab_size"]
    # Rows of the embedding beyond the tokenizer's tokens.
    tokens = [f"[unused{token}]" for token in range(size)]
    kinds = [gguf.TokenType.UNUSED] * size
    for text, token in model["vocab"].items():
        tokens[token], kinds[token] = text, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]], kinds[added["id"]] = added["content"], gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    # A prompt holds its own begin token.
    writer.add_add_bos_token(False)


def write(folder: Path, out: Path, kind: str) -> dict:
    config = read_config(folder)
    partial = out.with_name(out.name + ".partial")
    writer = gguf.GGUFWriter(partial, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.QWEN3])
    add_settings(writer, config, kind)
    add_tokenizer(writer, folder, config)
    parameters = 0
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        for name in file.keys():
            weights = file.get_tensor(name).astype(np.float32)
            parameters += weights.size
            # As llama.cpp's own converter: norms stay as they are.
            of = TYPES[kind] if weights.ndim == 2 else gguf.GGMLQuantizationType.F32
            stored = weights if of == gguf.GGMLQuantizationType.F32 else gguf.quants.quantize(weights, of)
            writer.add_tensor(gguf_name(name), stored, raw_dtype=of)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(out)
    return {"parameters": parameters, "type": kind, "bytes": out.stat().st_size}


def llama_logits(path: Path, prompts: list[list[int]]) -> list[np.ndarray]:
    """After every position, by llama.cpp with keys and values in f32."""
    import llama_cpp
    model = llama_cpp.Llama(str(path), n_ctx=max(map(len, prompts)) + 1, logits_all=True, verbose=False, type_k=0, type_v=0)
    logits = []
    for prompt in prompts:
        model.reset()
        model.eval(prompt)
        logits.append(model.scores[:len(prompt)].copy())
    return logits


def check(folder: Path, path: Path, kind: str) -> dict:
    import torch
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    random = np.random.default_rng(0)
    prompts = [random.integers(model.config.vocab_size, size=length).tolist() for length in PROMPT_TOKENS]
    worst, agreed, positions = 0.0, 0, 0
    for prompt, found in zip(prompts, llama_logits(path, prompts)):
        with torch.no_grad():
            expected = model(torch.tensor([prompt])).logits[0].numpy()
        worst = max(worst, float(np.abs(found - expected).max() / expected.std()))
        agreed += int((found.argmax(-1) == expected.argmax(-1)).sum())
        positions += len(prompt)
    return {"logits_max_abs_diff_over_std": worst, "same_most_likely_token": f"{agreed} of {positions}",
            "ok": bool(worst <= TOLERANCES[kind])}  # NaN fails too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", choices=TYPES, default="f32")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    result = write(arguments.checkpoint, arguments.out, arguments.type)
    if arguments.check:
        result |= check(arguments.checkpoint, arguments.out, arguments.type)
    print(json.dumps(result))
    sys.exit(0 if result.get("ok", True) else 1)


if __name__ == "__main__":
    main()
