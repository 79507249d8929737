"""Values of GINC's published data set, for the tests of `cognate-worlds`.

    git clone https://github.com/p-lambda/incontext-learning   # at 84fab21
    python tools/reference/ginc.py incontext-learning/data/GINC_trans0.1_start10.0_nsymbols50_nvalues10_nslots10_vic0.9_nhmms10

Reads `id_hmms.pkl`, `id_params.pkl`, `fixed_params.pkl` and `val.json` of vocabulary 50, and writes `testdata/golden/ginc/world.json`: the
memory, each concept's start distribution and its two transition matrices, some validation documents as symbols, and ln P(document | c) of
them by a forward pass written here, over all states and with logarithms throughout. Needs numpy alone: what the pickles hold of
hmmlearn is read without it.
"""

import json
import pathlib
import pickle
import sys

import numpy as np

# Symbols taken of the first documents of 100: short pieces are possible under several concepts, long ones under their own alone.
LENGTHS = (1024, 1024, 6, 8, 10, 12, 16, 24, 32, 128)


class Anything:
    """Stands for any class of hmmlearn; its attributes are what was pickled."""

    def __setstate__(self, state):
        self.__dict__.update(state)


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.split(".")[0] == "hmmlearn":
            return Anything
        if module.split(".")[0] in ("numpy", "collections", "builtins", "_codecs"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"unexpected {module}.{name}")


def load(path):
    with open(path, "rb") as file:
        return Unpickler(file).load()


def words(count):
    """The data set's words: `/`, the letters, then two different letters each."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return (["/"] + list(letters) + [a + b for a in letters for b in letters if a != b])[:count]


def log_sum_exp(x, axis):
    most = x.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    with np.errstate(divide="ignore"):
        return (most + np.log(np.exp(x - most).sum(axis=axis, keepdims=True))).squeeze(axis)


def log_likelihood(start, transitions, emissions, document):
    """ln P(document): α_t(s) = ln p(x_t | s) + ln Σ_r exp(α_{t−1}(r) + ln p(s | r))."""
    with np.errstate(divide="ignore"):
        start, transitions, emissions = np.log(start), np.log(transitions), np.log(emissions)
    alpha = start + emissions[:, document[0]]
    for symbol in document[1:]:
        alpha = log_sum_exp(alpha[:, None] + transitions, 0) + emissions[:, symbol]
    return float(log_sum_exp(alpha, 0))


def main():
    source = pathlib.Path(sys.argv[1])
    memory = load(source / "fixed_params.pkl")
    params, hmms = load(source / "id_params.pkl"), load(source / "id_hmms.pkl")
    concepts = []
    for (property_moves, entity_moves), hmm in zip(params, hmms, strict=True):
        # State = entity · properties + property.
        assert np.abs(np.kron(entity_moves, property_moves) - hmm.transmat_).max() < 1e-15
        assert all(hmm.emissionprob_[state, memory[state // 10, state % 10]] == 1 for state in range(100))
        concepts.append({"start": hmm.startprob_.tolist(), "property": property_moves.ravel().tolist(),
                         "entity": entity_moves.ravel().tolist()})
    number = {word: symbol for symbol, word in enumerate(words(50))}
    documents = []
    with open(source / "val.json") as file:
        for length, line in zip(LENGTHS, file):
            record = json.loads(line)
            document = [number[word] for word in record["text"].split()][:length]
            likelihoods = [log_likelihood(h.startprob_, h.transmat_, h.emissionprob_, document) for h in hmms]
            documents.append({"concept": record["hmm_idx"], "symbols": document, "log_likelihoods": likelihoods})
    out = pathlib.Path(__file__).parents[2] / "testdata/golden/ginc/world.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    value = {"symbols": 50, "memory": memory.ravel().tolist(), "concepts": concepts, "documents": documents}
    # JSON has no −∞; null stands for it.
    text = json.dumps(value, separators=(",", ":")).replace("-Infinity", "null")
    out.write_text(text.replace('},{', '},\n{') + "\n")
    print(out, out.stat().st_size, "bytes")


main()
