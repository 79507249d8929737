"""Times optimizer steps of the same decoder in PyTorch: forward, backward, clipping, AdamW. Prints one JSON object.

The decoder is the one of crates/cognate-model: RMS norms before attention and feed-forward and on each query and key head, RoPE,
grouped causal attention, SwiGLU, the head tied to the embedding. `--compile` takes torch.compile, `--scored` scores only that last
share of each row, as tuning on pairs does.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from torch.nn import functional as F

SHAPE = dict(layers=6, width=384, heads=6, kv_heads=6, ffn=1024, vocab=8192, context=256, batch=16, steps=8, threads=2)


def options():
    parser = argparse.ArgumentParser()
    for name, value in SHAPE.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--scored", type=float, default=1.0)
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


class Layer(torch.nn.Module):
    def __init__(self, o):
        super().__init__()
        self.heads, self.kv_heads, self.head = o.heads, o.kv_heads, o.width // o.heads
        norm = lambda width: torch.nn.RMSNorm(width, eps=1e-5)
        matrix = lambda inputs, outputs: torch.nn.Linear(inputs, outputs, bias=False)
        self.attention_norm, self.ffn_norm = norm(o.width), norm(o.width)
        self.query_norm, self.key_norm = norm(self.head), norm(self.head)
        self.qkv = matrix(o.width, (o.heads + 2 * o.kv_heads) * self.head)
        self.attended = matrix(o.heads * self.head, o.width)
        self.gate_up, self.down = matrix(o.width, 2 * o.ffn), matrix(o.ffn, o.width)

    def forward(self, x, cos, sin):
        rows, tokens, width = x.shape
        heads = self.qkv(self.attention_norm(x)).reshape(rows, tokens, -1, self.head).transpose(1, 2)
        q, k, v = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=1)

        def turn(y):
            low, high = y.chunk(2, dim=-1)
            return y * cos + torch.cat((-high, low), dim=-1) * sin

        out = F.scaled_dot_product_attention(
            turn(self.query_norm(q)), turn(self.key_norm(k)), v, is_causal=True, enable_gqa=self.heads > self.kv_heads
        )
        x = x + self.attended(out.transpose(1, 2).reshape(rows, tokens, -1))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Model(torch.nn.Module):
    def __init__(self, o):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(o.vocab, o.width) * 0.02)
        self.layers = torch.nn.ModuleList(Layer(o) for _ in range(o.layers))
        self.norm = torch.nn.RMSNorm(o.width, eps=1e-5)
        self.first_scored = round((1 - o.scored) * o.context)
        head = o.width // o.heads
        turns = torch.outer(torch.arange(o.context), 1e4 ** (-torch.arange(0, head, 2) / head)).repeat(1, 2)
        self.register_buffer("cos", turns.cos())
        self.register_buffer("sin", turns.sin())

    def forward(self, tokens, targets):
        x = F.embedding(tokens, self.table)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = F.linear(self.norm(x[:, self.first_scored:]), self.table)
        return F.cross_entropy(logits.flatten(0, 1), targets[:, self.first_scored:].flatten())


def main():
    o = options()
    torch.manual_seed(0)
    torch.set_num_threads(o.threads)
    model = Model(o)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    loss_of = torch.compile(model) if o.compile else model
    row = torch.randint(o.vocab, (o.batch, o.context + 1))

    def step():
        start = time.perf_counter()
        loss = loss_of(row[:, :-1], row[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        return time.perf_counter() - start

    step(), step()  # compiles, and makes the optimizer's state
    seconds = [step() for _ in range(o.steps)]
    median, tokens = statistics.median(seconds), o.batch * o.context
    parameters = sum(p.numel() for p in model.parameters())
    # As `cognate bench train` counts: 6 a weight and token, and attention at half of 12·layers·width·context a token.
    flops = (6 * parameters + 6 * o.layers * o.width * o.context) * tokens
    print(json.dumps({
        "peer": f"torch {torch.__version__} {'compile' if o.compile else 'eager'}",
        "params": parameters,
        "tokens_per_s": tokens / median,
        "gflops": flops / median / 1e9,
        "step_s": seconds,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


if __name__ == "__main__":
    main()
