"""Writes testdata/golden/<case>/: checkpoints in every form that save_pretrained gives them, with transformers' logits.

Run from anywhere: python tools/reference/checkpoints.py [--case NAME]. README.md says what each tensor is.
"""

import argparse
import json
import shutil

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

import plain
from decoder import DEFAULT_ROPE, GOLDEN, new_model, shape

# As Llama 3.2 has it, but for an original context so short that T=130 shows all three kinds of pairs.
LLAMA32_ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128}
LENGTHS = [1, 37, 130]

# case: (family, shape, type of the stored weights, largest shard)
CASES = {
    "qwen3-bf16-shards": ("qwen3", shape(3, 40, 5, 1, 12, 56, 83, False, DEFAULT_ROPE | {"rope_theta": 1e6}, 1e-6),
                          torch.bfloat16, "12KB"),
    "qwen3-f16": ("qwen3", shape(1, 48, 2, 2, 32, 20, 71, True, DEFAULT_ROPE, 1e-6), torch.float16, "1GB"),
    "qwen3-llama3-rope": ("qwen3", shape(2, 24, 6, 3, 10, 36, 53, True, LLAMA32_ROPE, 1e-5), torch.float32, "1GB"),
    "llama-bf16": ("llama", shape(1, 36, 6, 1, 14, 44, 67, True, DEFAULT_ROPE | {"rope_theta": 500000.0}, 1e-5),
                   torch.bfloat16, "1GB"),
    "llama-f16-shards": ("llama", shape(2, 32, 4, 2, 16, 52, 59, False, LLAMA32_ROPE, 1e-5), torch.float16, "10KB"),
    "llama-f32-shards": ("llama", shape(2, 30, 5, 5, 6, 28, 47, False, DEFAULT_ROPE | {"rope_theta": 2500.0}, 1e-6),
                         torch.float32, "10KB"),
}


def write_case(name: str, seed: int) -> list[str]:
    """Writes one case and returns its rows of the tolerance table."""
    family, config, dtype, shard = CASES[name]
    folder, generator = GOLDEN / name, torch.Generator().manual_seed(2000 + seed)
    shutil.rmtree(folder, ignore_errors=True)  # a shard of an earlier run would stay
    new_model(family, config, 100 + seed).to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # Opened again, as anybody would: the half-precision weights are exact in f32, and all arithmetic is in f32.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    exact = {key: p.detach().double() for key, p in model.named_parameters()}
    out: dict[str, Tensor] = {}
    rows = []
    for t in LENGTHS:
        ids = torch.randint(config["vocab_size"], (t,), generator=generator)
        with torch.no_grad():
            value, true = model(ids[None]).logits[0], plain.logits(exact, config, ids)
        error = (value.double() - true).abs().max()
        assert error < 1e-4, "plain.py and transformers disagree"
        out |= {f"ids.t{t}": ids.int(), f"logits.t{t}": value, f"logits_f64.t{t}": true, f"f32_error.logits.t{t}": error[None]}
        rows.append(f"| {name} | logits, T={t} | max abs | {error:.1e} |")
    settings = json.dumps(dict(case=name, seed=seed, torch=torch.__version__.split("+")[0]))
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "golden.safetensors", metadata={"settings": settings})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="only this case (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| case | quantity | measure | transformers f32 against f64 |\n|---|---|---|---|")
    for seed, name in enumerate(CASES):
        if not arguments.case or name in arguments.case:
            print("\n".join(write_case(name, seed)))


if __name__ == "__main__":
    main()
