"""Writes testdata/golden/gradients/<case>/: the gradient of decoders of a size that is trained, as a sketch of each tensor.

Run from anywhere: python tools/reference/gradients.py [--case NAME]. README.md says what each tensor is. Neither weights nor
gradients are stored: the weights follow from `fill`, which the Rust test computes to the same bits, and of a gradient g there are
DOTS inner products s·g with vectors s of random signs. The mean of (s·e)² over them is an unbiased estimate of ‖e‖² (Alon, Matias
and Szegedy 1996) for the difference e of two gradients, because it is linear; and every element takes part in every product.
"""

import argparse
import json

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

import plain
from decoder import DEFAULT_ROPE, GOLDEN, LLAMA3_ROPE, loss_and_gradients, packed_batch, plain_loss_and_gradients, relative_l2, shape

DOTS = 16
DOCUMENTS = [203, 1, 220]

# case: (family, shape). 3.4 M parameters with a tied head and as many key/value heads; 3.9 M with grouped heads and scaled RoPE.
CASES = {
    "qwen3-3m": ("qwen3", shape(6, 192, 6, 6, 32, 512, 4096, True, DEFAULT_ROPE, 1e-6)),
    "llama-4m": ("llama", shape(6, 192, 6, 2, 32, 512, 4096, False, LLAMA3_ROPE | {"rope_theta": 500000.0}, 1e-5)),
}


def mix(x: np.ndarray) -> np.ndarray:
    """Mixes 32-bit numbers: shifts and odd multipliers, modulo 2^32."""
    for shift, multiplier in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(multiplier)
    return x ^ (x >> np.uint32(16))


def hashes(name: str, length: int) -> np.ndarray:
    """mix(key + i) for i = 0 … length − 1; the key is the 32-bit FNV-1a hash of the name."""
    key = 0x811C9DC5
    for byte in name.encode():
        key = (key ^ byte) * 0x01000193 % 2**32
    return mix(np.arange(length, dtype=np.uint32) + np.uint32(key))


def fill(name: str, dims: torch.Size) -> Tensor:
    """The weights of a tensor: u = (a whole number of 20 bits − 2^19) / 2^19 of [−1, 1), divided by 8 in a table or matrix with 192
    inputs and by 16 in one with 512 (standard deviations near 1 / sqrt(inputs)); 1 + u / 2 in a norm. All exact in f32."""
    u = (torch.from_numpy((hashes(name, dims.numel()) >> np.uint32(12)).astype(np.float32)) - 2**19) / 2**19
    return (1 + u / 2 if len(dims) == 1 else u / (8 if dims[1] <= 192 else 16)).view(dims)


def sketch(name: str, gradient: Tensor) -> Tensor:
    """DOTS inner products in f64; bit j of a hash that is even gives +1 in the j-th vector, else −1."""
    bits = hashes("signs of " + name, gradient.numel())
    flat = gradient.double().flatten()
    return torch.stack([(torch.from_numpy(1.0 - 2.0 * (bits >> np.uint32(j) & np.uint32(1))) * flat).sum() for j in range(DOTS)])


def write_case(name: str, seed: int) -> list[str]:
    """Writes one case and returns its row of the table."""
    family, config = CASES[name]
    config_class, model_class = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[family]
    model = model_class(config_class(**config, dtype="float32", attn_implementation="eager")).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(fill(key, parameter.shape))
    tokens, targets, starts = packed_batch(DOCUMENTS, config["vocab_size"], torch.Generator().manual_seed(3000 + seed))
    value, grads = loss_and_gradients(model, tokens, targets, starts)
    exact = {key: p.detach().double() for key, p in model.named_parameters()}
    true, true_grads = plain_loss_and_gradients(exact, config, tokens, targets, starts)
    names = sorted(grads)
    errors = torch.stack([relative_l2(grads[key], true_grads[key]) for key in names])
    assert errors.max() < 1e-4, "plain.py and transformers disagree"
    out = {"packed.tokens": tokens.int(), "packed.targets": targets.int(), "packed.starts": torch.tensor(starts).int(),
           "packed.loss_f64": true.mean()[None], "norms_f64": torch.stack([true_grads[key].norm() for key in names]),
           "sketches": torch.stack([sketch(key, grads[key]) for key in names]),
           "sketches_f64": torch.stack([sketch(key, true_grads[key]) for key in names]), "f32_error": errors}
    folder = GOLDEN / "gradients" / name
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [model_class.__name__]
    model.config.save_pretrained(folder)
    settings = json.dumps(dict(case=name, seed=seed, torch=torch.__version__.split("+")[0]))
    save_file(out, folder / "golden.safetensors", metadata={"settings": settings})
    parameters = sum(p.numel() for p in model.parameters())
    return [f"| {name} | {parameters:,} | {len(tokens)} | {len(names)} | {errors.median():.1e} | {errors.max():.1e}, "
            f"`{names[int(errors.argmax())]}` |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="only this case (default: all)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| case | parameters | tokens | tensors | transformers f32 against f64, median | worst |\n|---|---|---|---|---|---|")
    for seed, name in enumerate(CASES):
        if not arguments.case or name in arguments.case:
            print("\n".join(write_case(name, seed)))


if __name__ == "__main__":
    main()
