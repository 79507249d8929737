"""How the Python package `tokenizers` splits texts by the patterns of published tokenizers, to hold against Cognate.

    python splitting.py                     writes testdata/golden/splitting/: hand-picked texts
    python splitting.py --check COGNATE     random texts through the program at the path COGNATE: counts texts that differ

Each family is a `tokenizer.json` with that family's normalizer and pre-tokenizer. Its model gives every piece that the texts are
split into a number of its own, so that equal numbers mean equal pieces.
"""

import argparse
import json
import pathlib
import random
import struct
import subprocess
import tempfile

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent.parent / "testdata" / "golden" / "splitting"


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
HAN = r"\p{Han}"
PLACES = (
    r"\p{Nd}{1,510}(?=(?>\p{Nd}{510})*(?:\P{Nd}|$))|\G\p{Nd}{510}",
    r"\A\p{Nd}{1,2}(?=\p{Nd}{3}+\z)",
    r"\A\p{Nd}{3}|\G\p{Nd}{3}",
)

# Name, normalizer, pre-tokenizer. The patterns are those of the models named, as their tokenizer.json has them.
FAMILIES = {
    "gpt-2": (None, byte_level(True)),
    "gpt-4": (None, sequence(split(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"), byte_level(False))),
    "llama-3": (None, sequence(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL), byte_level(False))),
    "qwen-2": ({"type": "NFC"}, sequence(split(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL), byte_level(False))),
    "gpt-4o": (None, sequence(split("|".join([
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+{CONTRACTIONS}?",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*{CONTRACTIONS}?",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"]), "Removed", True), byte_level(False))),
    "tekken": (None, sequence(split("|".join([
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+", rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*",
        r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"])), byte_level(False))),
    "deepseek-3": (None, sequence(
        split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
        split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""),
        byte_level(False))),
    "deepseek-coder": (None, sequence(
        split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": True}, byte_level(False))),
    "deepseek-llm": (None, sequence(
        split(r"[\r\n]"), split(r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+"),
        split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"), split(r"\s+$"), split("[一-龥ࠀ-一가-퟿]+"),
        {"type": "Digits", "individual_digits": True}, byte_level(False))),
    "gemma": ({"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
              {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}),
    "falcon": (None, sequence({"type": "Punctuation", "behavior": "Contiguous"}, byte_level(True),
                              {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]"))),
    "bloom": (None, sequence(split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), byte_level(False))),
    "starcoder": (None, sequence({"type": "Digits", "individual_digits": True}, byte_level(True))),
    "kimi-2": (None, sequence(split("|".join([
        rf"[{HAN}]+", rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^{HAN}]]*[{LOWER}&&[^{HAN}]]+{CONTRACTIONS}?",
        rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^{HAN}]]+[{LOWER}&&[^{HAN}]]*{CONTRACTIONS}?",
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"])), byte_level(False))),
    "superbpe": (None, sequence(split(r"\p{N}+", "Isolated"), split(r"(?=(\d{3})+(?!\d))"), byte_level(False))),
    "place-digits": (None, sequence(*map(split, PLACES), split(
        CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+" + TAIL), byte_level(False))),
    "clip": ({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
             sequence(split(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "Removed", True), byte_level(False))),
    "words": (None, sequence(split(r"\b\w+\b|[[:punct:]]+|\h{4}", "Contiguous"), byte_level(False))),
    "lines": (None, sequence(split(r"^\s+|\s+$|(?m:.+)"), byte_level(False))),
    "metaspace": (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}),
}

TEXTS = [
    "", " ", "12", "1234567", "the 1234567 lanterns and 98765432 wells", "year 2024, 10000 hours", "0.000123456 of 1,000,000", "١٢٣٤ १२३४५ Ⅷ ½ ²³",
    "  lead\n  two\n\n  three  \n", "tail   \n x  ", "a\r\n\r\nb\n\nc\n", "tabs\there\u000band\fthere\u2028line\u0085next\u00a0no\u3000wide",
    "I'll, you'RE, WE'Ve; it's DON'T 'Twas o'clock’s", "café naïve \u0065\u0301\u0301 A\u030a Å ﬁ ǅ ß ẞ ſ K", "中文字符，测试。漢字カタカナひらがな 한국어 텍스트",
    "हिन्दी में पाठ। বাংলা ভাষা।", "ภาษาไทยไม่มีช่องว่าง", "العربيّة، نصٌّ ۔ עִבְרִית", "HTTPServer parseXMLFile iOS x1y2 word_with_underscore __init__",
    "deadbeef 00ff a1", "one. two, three! [four] (five)|six…", "👍🏽👩‍👩‍👧‍👦🇩🇪 ☃️ \U0001d54f\U00020000", "for (i = 0; i < n; ++i) {\n\t\tx[i] += 1;\n\t}\n",
    "https://example.org/a/b?c=d#e /usr/lib//x", "#!/bin/sh\n$ echo \"$HOME\"   # home\n", "zero\u200bwidth\ufeffmark\u00adsoft\u0000nul", "<|x|> </s> <s>a</s>", "\n\n\n   \n\t \n", "ǆ Ǆ ᾳ ᾼ ΐ İ ı",
]


def tokenizer_of(family, texts):
    """The family's tokenizer.json, with a number for every piece of the texts, and the texts' numbers."""
    normalizer, pre_tokenizer = FAMILIES[family]
    vocabulary = {"<|endoftext|>": 0, "<unk>": 1}
    parts = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": None, "decoder": None,
        "added_tokens": [{"id": 0, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}],
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }
    splitter = Tokenizer.from_str(json.dumps(parts))
    for text in texts:
        text = splitter.normalizer.normalize_str(text) if splitter.normalizer else text
        for piece, _ in splitter.pre_tokenizer.pre_tokenize_str(text):
            vocabulary.setdefault(piece, len(vocabulary))
    whole = Tokenizer.from_str(json.dumps(parts))
    ids = [whole.encode(text, add_special_tokens=False).ids for text in texts]
    assert not any(1 in found for found in ids), family
    return parts, ids


def random_texts(count, seed):
    """Texts of random pieces: words of many scripts, runs of spaces and digits, marks, line ends, single characters of all of Unicode."""
    rng = random.Random(seed)
    words = sorted({word for text in TEXTS for word in text.split(" ") if word})
    alphabet = [chr(c) for low, high in [(0x20, 0x7F), (0x300, 0x370), (0x590, 0x700), (0x900, 0xE00), (0x2000, 0x2070), (0x3000, 0x3100), (0x4E00, 0x4F00), (0x1F300, 0x1F6FF)] for c in range(low, high)]
    pieces = [
        lambda: rng.choice(words), lambda: rng.choice(words).swapcase(), lambda: "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 12))),
        lambda: rng.choice([" ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\r", "\u0085"]) * rng.randint(1, 4), lambda: "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 6))),
        lambda: " ", lambda: rng.choice(["'", "'s", "'LL", "’", ".", "//", "/", "_", "-", "\n\n"]), lambda: chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)])),
    ]
    return ["".join(rng.choice(pieces)() for _ in range(rng.randint(1, 30))) for _ in range(count)]


def documents(path):
    """The documents of a Megatron token file, without their end token."""
    index = path.with_suffix(".idx").read_bytes()
    code, sequences = index[17], struct.unpack_from("<Q", index, 18)[0]
    width, kind = {8: (2, "H"), 4: (4, "i")}[code]
    lengths = struct.unpack_from(f"<{sequences}i", index, 34)
    tokens, at, found = path.with_suffix(".bin").read_bytes(), 0, []
    for length in lengths:
        found.append(list(struct.unpack_from(f"<{length}{kind}", tokens, at))[:-1])
        at += length * width
    return found


def check(program, count, seed):
    texts = TEXTS + random_texts(count, seed)
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "texts.jsonl").write_text("".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts)))
        for family in FAMILIES:
            parts, expected = tokenizer_of(family, texts)
            (folder / "t.json").write_text(json.dumps(parts))
            done = subprocess.run([program, "tokenize", folder / "texts.jsonl", "--tokenizer", folder / "t.json", "--out", folder / "out"], capture_output=True, text=True)
            if done.returncode:
                print(f"| {family} | refused: {done.stderr.strip().splitlines()[0]} |")
                continue
            found = documents(folder / "out")
            different = [i for i, ids in enumerate(expected) if found[i] != ids]
            total += len(different)
            print(f"| {family} | {len(different)} of {len(texts)} |" + (f" first: {texts[different[0]][:60]!r}" if different else ""))
    print(f"{total} texts differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="COGNATE")
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.check, arguments.texts, arguments.seed)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / "texts.json").write_text(json.dumps(TEXTS, indent=0) + "\n")
    for family in FAMILIES:
        parts, ids = tokenizer_of(family, TEXTS)
        (GOLDEN / f"{family}.json").write_text(json.dumps({"tokenizer": parts, "ids": ids}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
