#!/usr/bin/env python3
"""Golden values for cognate-eval/src/replm: prompts and aggregation as the paper has them (Özyurt et al. 2023, arXiv 2310.11085), by numpy.

Writes one JSON file with documents in DocRED's format, prompts for some of them, and sets of written triples with what is kept of them.

    python tools/reference/replm.py > testdata/golden/replm/replm.json   # needs numpy
"""

import json

import numpy as np

SEPARATOR, TEMPERATURE, LEAST = " <==>", 0.1, 0.2


def document(title, sentences, entities, labels):
    """Entities are lists of names; labels are (relation, subject, object)."""
    return {
        "title": title,
        "sents": [sentence.split(" ") for sentence in sentences],
        "vertexSet": [[{"name": name, "sent_id": 0, "pos": [0, 1], "type": "MISC"} for name in names] for names in entities],
        "labels": [{"r": relation, "h": subject, "t": thing, "evidence": [0]} for relation, subject, thing in labels],
    }


EXAMPLES = [
    document("Heron", ["The heron lives by the Tamar .", "It eats frogs ."], [["heron", "Heron"], ["Tamar"], ["frogs"]],
             [("P1", 0, 1), ("P2", 0, 2)]),
    document("Otter", ["An otter lives by the Avon and eats eels ."], [["otter"], ["Avon"], ["eels"]], [("P1", 0, 1), ("P2", 0, 2)]),
    document("Vole", ["Voles live by the Exe .", "Voles live by the Tamar , too ."], [["Voles"], ["Exe"], ["Tamar"]],
             [("P1", 0, 1), ("P1", 0, 2)]),
    document("Long", ["Long " + "word " * 300 + "."], [["Long"], ["word"]], [("P1", 0, 1)]),
]
QUESTIONS = [
    document("Dipper", ["The dipper , or water ouzel , lives by the Dart .", "It eats larvae ."],
             [["dipper", "water ouzel"], ["Dart"], ["larvae"]], [("P1", 0, 1), ("P2", 0, 2)]),
    document("Heron 2", ["The grey heron lives by the River Tamar ."], [["heron", "grey heron"], ["Tamar", "River Tamar"]],
             [("P1", 0, 1)]),
]
NAMES = {"P1": "lives by", "P2": "eats"}


def text(record):
    return " ".join(" ".join(map(str, sentence)) for sentence in record["sents"])


def facts(record, relation):
    """The names of subjects and objects."""
    names = [[mention["name"] for mention in entity] for entity in record["vertexSet"]]
    return [(names[label["h"]], names[label["t"]]) for label in record["labels"] if label["r"] == relation]


def prompt(relation, examples, question):
    name = NAMES[relation]
    lines = ["Your task is to identify all the unique knowledge triplets of '%s' for a given context. Knowledge triplet will be ordered as "
             "relation, subject, and object, which are separated by %s. If there are multiple triplets, list each of them in a new line. "
             "Follow the example context-relation pairs for the formatting of your output." % (name, SEPARATOR), ""]
    for record in examples:
        lines.append("Context: " + text(record))
        for subjects, objects in facts(record, relation):
            lines.append("Relation: (" + name + SEPARATOR + " " + subjects[0] + SEPARATOR + " " + objects[0] + ")")
        lines.append("")
    lines += ["Context: " + text(question), "Relation: (" + name]
    return "\n".join(lines)


def aggregate(sets):
    """Sets of (similarity, [(subject, object, p)]): what is kept."""
    similarities = np.array([similarity for similarity, _ in sets])
    weights = np.exp(similarities / TEMPERATURE) / np.sum(np.exp(similarities / TEMPERATURE))
    keys = sorted({(s, o) for _, triples in sets for s, o, _ in triples})
    table = np.zeros((len(keys), len(sets)))
    for column, (_, triples) in enumerate(sets):
        for s, o, p in triples:
            row = keys.index((s, o))
            table[row, column] = max(table[row, column], p)
    totals = table @ weights
    order = sorted(range(len(keys)), key=lambda row: -totals[row])
    return [[*keys[row], totals[row]] for row in order if totals[row] >= LEAST]


def main():
    asked = [("P1", [2, 0], 0), ("P1", [1], 1), ("P2", [0, 1], 0)]
    prompts = [dict(relation=relation, examples=examples, question=question,
                    prompt=prompt(relation, [EXAMPLES[at] for at in examples], QUESTIONS[question]))
               for relation, examples, question in asked]
    random = np.random.default_rng(5)
    names = ["dipper", "water ouzel", "heron", "Tamar", "Dart"]
    aggregations = []
    for _ in range(12):
        sets = []
        for _ in range(random.integers(1, 6)):
            triples = [[names[random.integers(3)], names[3 + random.integers(2)], float(random.random())]
                       for _ in range(random.integers(0, 6))]
            sets.append([float(random.random()), triples])
        aggregations.append(dict(sets=sets, kept=aggregate(sets)))
    print(json.dumps(dict(examples=EXAMPLES, questions=QUESTIONS, names=NAMES, prompts=prompts, aggregations=aggregations), indent=1))


if __name__ == "__main__":
    main()
