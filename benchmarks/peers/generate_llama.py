"""Batched sampling with llama.cpp: the peer for `cognate bench generate`. Prints one JSON object.

python benchmarks/peers/generate_llama.py MODEL.gguf [--batch 64] [--prompt-tokens 128] [--new-tokens 128]

pip install llama-cpp-python, which builds llama.cpp (CMAKE_ARGS="-DGGML_NATIVE=ON" for this processor's instructions); the GGUF is
written by tools/reference/gguf_of_checkpoint.py. Every sequence has its own random prompt; temperature 1 and top-p 0.9 by llama.cpp's
own samplers, a chain a sequence. A sequence that draws its end goes on, so that all have the same length, as for the other side.
"""
import argparse
import ctypes
import json
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import llama_cpp
import numpy as np

CACHE = {"f32": 0, "f16": 1}


class Batch:
    """A llama_batch, and its fields as arrays."""

    def __init__(self, size):
        self.raw = llama_cpp.llama_batch_init(size, 0, 1)
        view = lambda field: np.ctypeslib.as_array(field, (size,))
        self.token, self.position, self.wanted = view(self.raw.token), view(self.raw.pos), view(self.raw.logits)
        view(self.raw.n_seq_id)[:] = 1

    def decode(self, context, tokens, positions, sequences, wanted):
        n = len(tokens)
        self.raw.n_tokens = n
        self.token[:n], self.position[:n], self.wanted[:n] = tokens, positions, wanted
        for at, sequence in enumerate(sequences):
            self.raw.seq_id[at][0] = sequence
        status = llama_cpp.llama_decode(context, self.raw)
        if status != 0:
            raise SystemExit(f"llama_decode: status {status}")


def sampler(seed):
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for part in (llama_cpp.llama_sampler_init_temp(1.0), llama_cpp.llama_sampler_init_top_p(0.9, 1),
                 llama_cpp.llama_sampler_init_dist(seed)):
        llama_cpp.llama_sampler_chain_add(chain, part)
    return chain


def generate(context, batch, samplers, prompts, new_tokens, pool):
    """The drawn tokens, and how many seconds prefilling, decoding and drawing took."""
    rows, length = prompts.shape
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), False)
    seconds, start = [], time.perf_counter()

    def lap(of):
        nonlocal start
        now = time.perf_counter()
        seconds[of] += now - start
        start = now

    seconds = [0.0, 0.0, 0.0]
    every = np.arange(rows)
    last = np.tile(np.arange(length) == length - 1, rows)
    batch.decode(context, prompts.ravel(), np.tile(np.arange(length), rows), every.repeat(length), last)
    # Outputs are numbered by their place in the batch.
    places = (every + 1) * length - 1
    lap(0)
    drawn = np.empty((rows, new_tokens), np.int32)
    for step in range(new_tokens):
        # Sorts the outputs, so that threads may read them.
        llama_cpp.llama_get_logits_ith(context, int(places[0]))
        draw = lambda row: llama_cpp.llama_sampler_sample(samplers[row], context, int(places[row]))
        drawn[:, step] = list((pool.map if pool else map)(draw, range(rows)))
        lap(2)
        if step + 1 < new_tokens:
            batch.decode(context, drawn[:, step], np.full(rows, length + step), every, True)
            llama_cpp.llama_synchronize(context)
            places = every
            lap(1)
    return drawn, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--physical-batch", type=int, default=512, help="llama.cpp's n_ubatch")
    parser.add_argument("--cache", choices=CACHE, default="f16", help="type of keys and values; f16 is llama.cpp's own default")
    parser.add_argument("--draw-threads", type=int, default=1, help="llama.cpp's own programs draw on one")
    parser.add_argument("--one-cache", action="store_true", help="kv_unified: one buffer for all sequences")
    o = parser.parse_args()

    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    model = llama_cpp.llama_model_load_from_file(o.model.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"{o.model}: llama.cpp does not open it")
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = o.batch * (o.prompt_tokens + o.new_tokens)
    settings.n_batch, settings.n_ubatch, settings.n_seq_max = o.batch * o.prompt_tokens, o.physical_batch, o.batch
    settings.n_threads = settings.n_threads_batch = o.threads
    settings.type_k = settings.type_v = CACHE[o.cache]
    settings.kv_unified = o.one_cache
    context = llama_cpp.llama_init_from_model(model, settings)
    if not context:
        raise SystemExit("llama.cpp makes no context of this size")
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    prompts = np.random.default_rng(0).integers(3, vocabulary, (o.batch, o.prompt_tokens), dtype=np.int32)
    batch, samplers = Batch(o.batch * o.prompt_tokens), [sampler(seed) for seed in range(o.batch)]

    pool = ThreadPoolExecutor(o.draw_threads) if o.draw_threads > 1 else None
    generate(context, batch, samplers, prompts, 2, pool)
    rates, laps = [], []
    for _ in range(o.runs):
        start = time.perf_counter()
        drawn, seconds = generate(context, batch, samplers, prompts, o.new_tokens, pool)
        rates.append(drawn.size / (time.perf_counter() - start))
        laps.append(seconds)
    prefill, decode, draw = (round(statistics.median(part), 3) for part in zip(*laps))
    print(json.dumps(dict(
        peer=f"llama.cpp by llama-cpp-python {version('llama-cpp-python')}", model=o.model.rsplit("/", 1)[-1],
        settings=dict(threads=o.threads, draw_threads=o.draw_threads, n_ubatch=o.physical_batch, cache=o.cache, kv_unified=o.one_cache),
        batch=o.batch, new_tokens_per_s=round(statistics.median(rates), 1), runs=[round(r, 1) for r in rates],
        prefill_s=prefill, decode_s=decode, draw_s=draw,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))


if __name__ == "__main__":
    main()
