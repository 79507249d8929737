"""The decoder once more, in plain tensor operations that keep whatever precision the weights have.

transformers rounds to f32 inside RMSNorm, RoPE and softmax even when the model is `.double()`, so it cannot say how far its own
f32 results are from the exact ones. This file can: run on f64 weights it is exact to about 1e-15, and because it is written apart
from transformers, its agreement with it (decoder.py asserts that) checks the formulas as well.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE = -1  # a target that is not scored


def inverse_frequencies(config: dict, dtype: torch.dtype) -> Tensor:
    """RoPE's angle per position for each of the head_dim / 2 pairs, with Llama 3's scaling where the config asks for it."""
    rope, half = config["rope_parameters"], config["head_dim"] // 2
    frequency = rope["rope_theta"] ** (-torch.arange(half, dtype=dtype) / half)
    if rope["rope_type"] == "default":
        return frequency
    assert rope["rope_type"] == "llama3"
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)  # full turns in the original context
    keep = ((turns - low) / (high - low)).clamp(0, 1)  # 1: fast pairs stay; 0: slow pairs are slowed down; between: a blend
    return keep * frequency + (1 - keep) * frequency / factor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rope(x: Tensor, angle: Tensor) -> Tensor:
    """Turns (T, heads, head_dim); coordinate i is paired with i + head_dim / 2."""
    a, b = x.chunk(2, -1)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def logits(weights: dict[str, Tensor], config: dict, tokens: Tensor, starts: list[int] | None = None) -> Tensor:
    """(T, vocab) logits of one row of T tokens; `starts` are the first positions of its documents, which do not see each other."""
    heads, kv_heads, width = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    eps, t, embedding = config["rms_norm_eps"], len(tokens), weights["model.embed_tokens.weight"]
    start = torch.zeros(t, dtype=torch.long)
    start[starts or [0]] = torch.tensor(starts or [0])
    start = start.cummax(0).values  # of the document that a position belongs to
    angle = (torch.arange(t) - start)[:, None] * inverse_frequencies(config, embedding.dtype)
    i, j = torch.arange(t)[:, None], torch.arange(t)[None]
    hidden = ~((j <= i) & (start[:, None] == start[None]))
    x = embedding[tokens]
    for layer in range(config["num_hidden_layers"]):
        w = lambda name: weights[f"model.layers.{layer}.{name}.weight"]
        y = rms_norm(x, w("input_layernorm"), eps)
        q, k, v = (F.linear(y, w(f"self_attn.{p}_proj")).view(t, -1, width) for p in "qkv")
        if f"model.layers.{layer}.self_attn.q_norm.weight" in weights:
            q, k = rms_norm(q, w("self_attn.q_norm"), eps), rms_norm(k, w("self_attn.k_norm"), eps)
        q, k = rope(q, angle), rope(k, angle)
        k, v = (z.repeat_interleave(heads // kv_heads, 1) for z in (k, v))
        scores = torch.einsum("ihe,jhe->hij", q, k) / math.sqrt(width)
        y = torch.einsum("hij,jhe->ihe", scores.masked_fill(hidden, -math.inf).softmax(-1), v)
        x = x + F.linear(y.reshape(t, -1), w("self_attn.o_proj"))
        y = rms_norm(x, w("post_attention_layernorm"), eps)
        x = x + F.linear(F.silu(F.linear(y, w("mlp.gate_proj"))) * F.linear(y, w("mlp.up_proj")), w("mlp.down_proj"))
    return F.linear(rms_norm(x, weights["model.norm.weight"], eps), weights.get("lm_head.weight", embedding))


def losses(all_logits: Tensor, targets: Tensor) -> Tensor:
    """-log p in nats of every scored target, in order."""
    scored = targets != IGNORE
    return F.cross_entropy(all_logits[scored], targets[scored], reduction="none")
