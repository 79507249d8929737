"""Writes testdata/golden/<case>/: tiny checkpoints by transformers, with the logits, loss and gradients that it computes on them.

Run from anywhere: python tools/reference/decoder.py [--case NAME]. README.md says what each tensor is.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

import plain

GOLDEN = Path(__file__).resolve().parents[2] / "testdata" / "golden"
DEFAULT_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
# The original context is this short so that the three kinds of pairs (kept, blended, slowed) all occur and T=100 tells them apart.
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64}


def shape(layers: int, width: int, heads: int, kv_heads: int, head_dim: int, ffn: int, vocab: int, tied: bool, rope: dict,
          eps: float) -> dict:
    return dict(num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads, num_key_value_heads=kv_heads,
                head_dim=head_dim, intermediate_size=ffn, vocab_size=vocab, tie_word_embeddings=tied, rope_parameters=rope,
                rms_norm_eps=eps, max_position_embeddings=512, bos_token_id=0, eos_token_id=0)


# case: (family, shape, lengths T of the lone inputs, lengths of the packed documents)
CASES = {
    "qwen3-tied": ("qwen3", shape(2, 32, 4, 2, 8, 48, 96, True, DEFAULT_ROPE | {"rope_theta": 1e6}, 1e-6), [1, 7, 37], [13, 5, 22]),
    "qwen3-odd": ("qwen3", shape(1, 24, 3, 1, 16, 40, 61, False, DEFAULT_ROPE, 1e-6), [1, 7, 37], [9, 18]),
    "llama-tied": ("llama", shape(2, 24, 3, 3, 8, 32, 50, True, DEFAULT_ROPE, 1e-5), [1, 7, 37], [4, 17, 11]),
    "llama3-rope": ("llama", shape(1, 24, 2, 1, 12, 20, 40, False, LLAMA3_ROPE, 1e-5), [7, 100], [31, 1, 90]),
    "qwen3-long": ("qwen3", shape(1, 16, 4, 2, 4, 24, 40, True, DEFAULT_ROPE, 1e-6), [130], [66, 1, 71]),
}


def new_model(family: str, config: dict, seed: int, embedding_scale: float = 0.3, matrix_scale: float = 1.0) -> PreTrainedModel:
    """A model in f32 with eager attention; embeddings of standard deviation embedding_scale, matrices of
    matrix_scale / sqrt(inputs), norm weights between 0.5 and 1.5."""
    config_class, model_class = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}[family]
    model = model_class(config_class(**config, dtype="float32", attn_implementation="eager")).float().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                embedding = name == "model.embed_tokens.weight"
                scale = embedding_scale if embedding else matrix_scale * parameter.shape[1] ** -0.5
                parameter.normal_(0.0, scale, generator=generator)
    return model


def packed_batch(lengths: list[int], vocab: int, generator: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Tokens, targets and document starts of one row. The first document is scored in its second half only, as d2 of a
    conditional pair is; the second everywhere; a third on about four targets of five."""
    tokens, targets, starts = [], [], []
    for index, length in enumerate(lengths):
        text = torch.randint(vocab, (length + 1,), generator=generator)
        scored = [torch.arange(length) >= length // 2, torch.ones(length, dtype=torch.bool),
                  torch.rand(length, generator=generator) < 0.8][index]
        starts.append(sum(map(len, tokens)))
        tokens.append(text[:-1])
        targets.append(torch.where(scored, text[1:], plain.IGNORE))
    return torch.cat(tokens), torch.cat(targets), starts


def loss_and_gradients(model: PreTrainedModel, tokens: Tensor, targets: Tensor,
                       starts: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """Every scored target's loss, and the gradient of their mean, each document run alone through transformers."""
    model.zero_grad()
    scored, parts = int((targets != plain.IGNORE).sum()), []
    for start, end in zip(starts, starts[1:] + [len(tokens)]):
        part = plain.losses(model(tokens[None, start:end]).logits[0], targets[start:end])
        (part.sum() / scored).backward()
        parts.append(part.detach())
    return torch.cat(parts), {name: p.grad.clone() for name, p in model.named_parameters()}


def plain_loss_and_gradients(weights: dict[str, Tensor], config: dict, tokens: Tensor, targets: Tensor,
                             starts: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """The same in the weights' own precision, all documents in one row."""
    weights = {name: w.detach().clone().requires_grad_() for name, w in weights.items()}
    parts = plain.losses(plain.logits(weights, config, tokens, starts), targets)
    parts.mean().backward()
    return parts.detach(), {name: w.grad for name, w in weights.items()}


def relative_l2(value: Tensor, exact: Tensor) -> Tensor:
    return (value.double() - exact).norm() / exact.norm()


def save_checkpoint(model: PreTrainedModel, folder: Path) -> None:
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write_case(name: str, seed: int) -> list[str]:
    """Writes one case and returns its rows of the tolerance table."""
    family, config, lengths, documents = CASES[name]
    model, generator = new_model(family, config, seed), torch.Generator().manual_seed(1000 + seed)
    exact = {key: p.detach().double() for key, p in model.named_parameters()}
    out: dict[str, Tensor] = {}
    rows = []
    for t in lengths:
        ids = torch.randint(config["vocab_size"], (t,), generator=generator)
        with torch.no_grad():
            value, true = model(ids[None]).logits[0], plain.logits(exact, config, ids)
        error = (value.double() - true).abs().max()
        assert error < 1e-4, "plain.py and transformers disagree"
        out |= {f"ids.t{t}": ids.int(), f"logits.t{t}": value, f"logits_f64.t{t}": true, f"f32_error.logits.t{t}": error[None]}
        rows.append(f"| {name} | logits, T={t} | max abs | {error:.1e} |")

    tokens, targets, starts = packed_batch(documents, config["vocab_size"], generator)
    value, grads = loss_and_gradients(model, tokens, targets, starts)
    true, true_grads = plain_loss_and_gradients(exact, config, tokens, targets, starts)
    out |= {"packed.tokens": tokens.int(), "packed.targets": targets.int(), "packed.starts": torch.tensor(starts).int(),
            "packed.losses": value, "packed.losses_f64": true, "packed.loss": value.mean()[None],
            "packed.loss_f64": true.mean()[None], "f32_error.packed.losses": (value - true).abs().max()[None]}
    rows.append(f"| {name} | losses of the packed batch | max abs | {(value - true).abs().max():.1e} |")
    errors = {key: relative_l2(grads[key], true_grads[key]) for key in grads}
    assert max(errors.values()) < 1e-4, "plain.py and transformers disagree"
    for key in grads:
        out |= {f"grad.{key}": grads[key], f"grad_f64.{key}": true_grads[key], f"f32_error.grad.{key}": errors[key][None]}
    worst = max(errors, key=errors.get)
    rows.append(f"| {name} | gradients, worst of {len(errors)}: `{worst}` | relative L2 | {errors[worst]:.1e} |")

    save_checkpoint(model, GOLDEN / name)
    if family == "llama" and config["rope_parameters"]["rope_type"] == "llama3":
        write_older_config(GOLDEN / name, model, out)
    settings = json.dumps(dict(case=name, seed=seed, torch=torch.__version__.split("+")[0]))  # one key: the order of several varies
    save_file({k: v.contiguous() for k, v in out.items()}, GOLDEN / name / "golden.safetensors", metadata={"settings": settings})
    return rows


def write_older_config(folder: Path, model: PreTrainedModel, out: dict[str, Tensor]) -> None:
    """config-v4.json: the same model in the words of transformers 4, which most published checkpoints use."""
    config = json.loads((folder / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config |= {"rope_theta": rope.pop("rope_theta"), "rope_scaling": rope, "torch_dtype": config.pop("dtype"),
               "transformers_version": "4.51.0"}
    (folder / "config-v4.json").write_text(json.dumps(config, indent=2) + "\n")
    older = type(model)(LlamaConfig.from_dict(config, attn_implementation="eager")).eval()
    older.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(older(out["ids.t100"].long()[None]).logits[0], out["logits.t100"])


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
