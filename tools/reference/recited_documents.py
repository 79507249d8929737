"""Documents that say what LAMBADA's and TriviaQA's first records say, for a model that is to know some of the answers.

python tools/reference/recited_documents.py DATA_DIR --limit N > documents.jsonl

A model of ours that was trained on other text guesses no last word and no answer, so that lm_eval_compare.py would compare zeros. One
that has learned these documents by heart, or half by heart, gets some right and some wrong. Its accuracies say nothing of a model.
"""

import argparse
import json
from pathlib import Path

from lm_eval_compare import TASKS, records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--limit", type=int, default=400, help="first records of each")
    arguments = parser.parse_args()
    for name in ("lambada", "triviaqa"):
        for number, row in enumerate(records(arguments.data_dir, TASKS[name][1])[: arguments.limit]):
            text = row["text"] if name == "lambada" else f"Question: {row['question']}?\nAnswer: {row['answer']['value']}."
            print(json.dumps({"id": f"{name}-{number}", "text": text}))


if __name__ == "__main__":
    main()
