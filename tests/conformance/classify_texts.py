"""Answers of a .tflite file by MediaPipe or Task Library, whichever this environment has.

    PYTHONPATH=.:tests python -m conformance.classify_texts FILE.tflite < texts.json

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


def classify(classifier, text):
    """Returns the scores by label."""
    (head,) = classifier.classify(text).classifications
    return {category.category_name: category.score for category in head.categories}


def main(path):
    """Prints the answers."""
    classifier, (_, labels, _) = make_classifier(path), read_attached(path)
    answers = [classify(classifier, text) for text in json.load(sys.stdin)]
    print(json.dumps([[scores[label] for label in labels] for scores in answers]))


if __name__ == "__main__":
    main(*sys.argv[1:])
