"""Answers of a .tflite file by MediaPipe or Task Library, whichever this environment has.

    PYTHONPATH=. python tests/conformance/classify_texts.py FILE.tflite < texts.json

Reads a JSON list of texts; prints one of their probabilities, in the order of the file's labels.
"""

import importlib.util
import json
import sys

from tinybert_tf.edge.attached import read_attached


def make_classifier(path):
    """A classifier of the package that there is."""
    if importlib.util.find_spec("mediapipe"):
        from mediapipe.tasks.python.text import TextClassifier

        return TextClassifier.create_from_model_path(path)
    from tflite_support.task.text import BertNLClassifier

    return BertNLClassifier.create_from_file(path)


def main(path):
    """Prints the answers."""
    classifier, (_, labels, _) = make_classifier(path), read_attached(path)
    rows = []
    for text in json.load(sys.stdin):
        (head,) = classifier.classify(text).classifications
        scores = {category.category_name: category.score for category in head.categories}
        rows.append([scores[label] for label in labels])
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
