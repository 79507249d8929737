"""Batched sampling with transformers: the peer for `cognate bench generate`. Prints one JSON object.

python benchmarks/peers/generate_hf.py CHECKPOINT [--batch 64] [--prompt-tokens 128] [--new-tokens 128]

Random prompts, temperature 1 and top-p 0.9 in f32; the end of a document may not be drawn, so that all sequences have the same length.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--prompt-tokens", type=int, default=128)
parser.add_argument("--new-tokens", type=int, default=128)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
o = parser.parse_args()

torch.set_num_threads(o.threads)
torch.manual_seed(0)
model = transformers.AutoModelForCausalLM.from_pretrained(o.checkpoint, dtype=torch.float32).eval()
prompts = torch.randint(0, model.config.vocab_size, (o.batch, o.prompt_tokens))


def write(prompts):
    start = time.perf_counter()
    written = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_p=0.9, top_k=0,
                             min_new_tokens=o.new_tokens, max_new_tokens=o.new_tokens, pad_token_id=0)
    assert written.shape == (len(prompts), o.prompt_tokens + o.new_tokens)
    return time.perf_counter() - start


with torch.inference_mode():
    write(prompts[:4])  # what the first call sets up is not timed
    rates = [o.batch * o.new_tokens / write(prompts) for _ in range(o.runs)]
print(json.dumps({
    "peer": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "batch": o.batch,
    "new_tokens_per_s": statistics.median(rates),
    "runs": rates,
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
