"""Holds MediaPipe's TextClassifier to our answers. Runs where mediapipe is installed.

    PYTHONPATH=.:tests python tests/conformance/mediapipe_check.py FILE.tflite FOLDER

FOLDER is what write_mediapipe_cases.py wrote. Prints one JSON object; exit status 1 if fewer than
99.8 % of the labels are equal, a hard string has other tokens once it is normalized, or a text of
5,000 words breaks the classifier.
"""

import csv
import json
import pathlib
import sys

from conformance.classify_texts import classify
from mediapipe.tasks.python.text import TextClassifier

from tinybert_tf.edge.normalizer import normalize

GOLDENS = pathlib.Path(__file__).parents[2] / "tflite" / "golden_normalizer.json"
LEAST_EQUAL = 0.998
CLS_ID, SEP_ID = 101, 102  # of the goldens' vocabulary


def check_sentences(classifier, path):
    """Compares answers to the sentences, each as it is and normalized."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    result = {"sentences": len(rows)}
    for name, prepare in (("raw", str), ("normalized", normalize)):
        answers = [classify(classifier, prepare(row["sentence"])) for row in rows]
        pairs = [*zip(rows, answers, strict=True)]
        equal = [row["label"] == max(answer, key=answer.get) for row, answer in pairs]
        result[f"{name}_equal_labels"] = sum(equal) / len(equal)
        result[f"{name}_greatest_difference"] = max(
            abs(float(row[label]) - score)
            for row, answer in pairs
            for label, score in answer.items()
        )
    return result


def tokenize(probe, text):
    """Returns the ids that MediaPipe makes of a text, without [CLS] and [SEP]."""
    scores = classify(probe, text)
    ids = [int(scores[str(place)]) for place in range(len(scores))]
    end = len(ids) - next((place for place, value in enumerate(ids[::-1]) if value), len(ids))
    if ids[0] != CLS_ID or ids[end - 1] != SEP_ID:
        raise ValueError(f"{text!r} became {ids[:end]}, without [CLS] or [SEP]")
    return ids[1 : end - 1]


def check_hard_strings(probe):
    """Compares tokens of the golden strings, each as it is and normalized."""
    cases = json.loads(GOLDENS.read_text(encoding="utf-8"))["cases"]
    different = [
        case["text"] for case in cases if tokenize(probe, case["normalized"]) != case["ids"]
    ]
    raw = sum(tokenize(probe, case["text"]) == case["ids"] for case in cases)
    return {"hard_strings": len(cases), "raw_equal": raw, "different_normalized": different}


def main(tflite_path, folder):
    """Runs all checks; returns the exit status."""
    folder = pathlib.Path(folder)
    with TextClassifier.create_from_model_path(str(tflite_path)) as classifier:
        result = check_sentences(classifier, folder / "sentences.tsv")
        result["long_text"] = classify(classifier, "a fine film " * 1_667)
        before = classify(classifier, "a fine film")
    with TextClassifier.create_from_model_path(str(folder / "probe.tflite")) as probe:
        result |= check_hard_strings(probe)
    result["short_text_after_long"] = before
    print(json.dumps(result))
    worst = min(result["raw_equal_labels"], result["normalized_equal_labels"])
    return int(worst < LEAST_EQUAL or bool(result["different_normalized"]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
