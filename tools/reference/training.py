"""Writes testdata/golden/training/: ten AdamW steps of a small Qwen3 from its fresh initial weights, in f32 and in f64.

The f32 run is transformers' model under torch.optim.AdamW; the f64 run is plain.py under the same optimizer. README.md holds the
formulas.
"""

import json
import math

import torch
from safetensors.torch import save_file
from torch import Tensor

import decoder
import plain

STEPS, WARMUP, PEAK, FINAL = 10, 3, 1e-2, 1e-3
BETAS, EPS, DECAY, CLIP = (0.9, 0.95), 1e-8, 0.1, 1.0


def rate(step: int) -> float:
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    return FINAL + (PEAK - FINAL) / 2 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def batch(step: int, vocab: int) -> tuple[Tensor, Tensor, list[int]]:
    """Documents of a language that can be learned: after t comes 5t + 7, seven times in eight. In even steps two short ones with
    nine targets of ten scored (noisy gradients, which are clipped), in odd steps twelve longer ones."""
    generator = torch.Generator().manual_seed(2000 + step)
    lengths = torch.randint(20, 40, (12,), generator=generator).tolist() if step % 2 else [8 + step, 17]
    tokens, targets, starts = [], [], []
    for length in lengths:
        text = torch.randint(vocab, (length + 1,), generator=generator)
        lawful, scored = torch.rand(2, length, generator=generator) < torch.tensor([[7 / 8], [0.9]])
        for i in range(length):
            text[i + 1] = (5 * text[i] + 7) % vocab if lawful[i] else text[i + 1]
        starts.append(sum(map(len, tokens)))
        tokens.append(text[:-1])
        targets.append(torch.where(scored, text[1:], plain.IGNORE))
    return torch.cat(tokens), torch.cat(targets), starts


def train(weights: dict[str, Tensor], loss_and_gradients, batches: list) -> tuple[Tensor, Tensor]:
    """Changes `weights` in place; returns the loss and the gradient norm before clipping of each step, in f64."""
    groups = [{"params": [w for w in weights.values() if w.dim() == 2], "weight_decay": DECAY},
              {"params": [w for w in weights.values() if w.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=BETAS, eps=EPS, foreach=False)
    losses, norms = [], []
    for step, one in enumerate(batches):
        parts, grads = loss_and_gradients(*one)
        norm = math.sqrt(sum(float(g.double().pow(2).sum()) for g in grads.values()))
        for name, w in weights.items():
            w.grad = grads[name] * min(1.0, CLIP / norm)
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
        losses.append(float(parts.double().mean()))
        norms.append(norm)
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(norms, dtype=torch.float64)


def main() -> None:
    torch.set_num_threads(1)
    folder = decoder.GOLDEN / "training"
    family, config, _, _ = decoder.CASES["qwen3-tied"]
    model = decoder.new_model(family, config, seed=100, embedding_scale=0.05, matrix_scale=0.5)
    decoder.save_checkpoint(model, folder)
    batches = [batch(step, config["vocab_size"]) for step in range(STEPS)]
    weights = dict(model.named_parameters())
    initial = {name: w.detach().double() for name, w in weights.items()}
    losses, norms = train(weights, lambda *one: decoder.loss_and_gradients(model, *one), batches)

    exact = {name: w.clone().requires_grad_() for name, w in initial.items()}
    true_losses, true_norms = train(exact, lambda *one: decoder.plain_loss_and_gradients(exact, config, *one), batches)
    assert 2 <= (norms > CLIP).sum() <= STEPS - 2, "clipping must act in some steps and not in others"

    rates = torch.tensor([rate(step) for step in range(STEPS)], dtype=torch.float64)
    out = {"losses": losses, "losses_f64": true_losses, "gradient_norms": norms, "gradient_norms_f64": true_norms, "rates": rates,
           "f32_error.losses": (losses - true_losses).abs().max()[None],
           "f32_error.gradient_norms": ((norms - true_norms) / true_norms).abs().max()[None]}
    for step, (tokens, targets, starts) in enumerate(batches):
        out |= {f"step{step}.tokens": tokens.int(), f"step{step}.targets": targets.int(),
                f"step{step}.starts": torch.tensor(starts).int()}
    errors = {}
    for name, w in exact.items():
        value, true = weights[name].detach(), w.detach()
        errors[name] = (value.double() - true).norm() / (true - initial[name]).norm()
        out |= {f"final.{name}": value, f"final_f64.{name}": true, f"f32_error.final.{name}": errors[name][None]}
    settings = dict(steps=STEPS, warmup=WARMUP, peak=PEAK, final=FINAL, beta1=BETAS[0], beta2=BETAS[1], eps=EPS,
                    weight_decay=DECAY, clip=CLIP, torch=torch.__version__.split("+")[0])
    save_file({k: v.contiguous() for k, v in out.items()}, folder / "golden.safetensors",
              metadata={"settings": json.dumps(settings)})

    print("| step | rate | loss f32 | loss f32 − f64 | gradient norm |\n|---|---|---|---|---|")
    for step in range(STEPS):
        print(f"| {step} | {rates[step]:.6f} | {losses[step]:.6f} | {losses[step] - true_losses[step]:+.1e} | {norms[step]:.4f} |")
    worst = max(errors, key=errors.get)
    print(f"\nlosses: max abs {out['f32_error.losses'].item():.1e}; gradient norms: max relative "
          f"{out['f32_error.gradient_norms'].item():.1e}; final parameters, L2 of the error over L2 of the change, worst of "
          f"{len(errors)} (`{worst}`): {errors[worst]:.1e}")


if __name__ == "__main__":
    main()
