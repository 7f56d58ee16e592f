"""Writes tests/goldens/keras_hub: presets of KerasHub's BERT and what they compute.

    python make_keras_hub_model.py

runs with keras-hub, which nothing else here needs. Weights are random, biases and norms too.
`outputs.npz` holds the inputs, int32 (3, 7), and float32 outputs of:

    backbone/    a BertBackbone with its tokenizer
    classifier/  a BertTextClassifier of three classes on it
"""

import os
import pathlib
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_hub
import numpy as np

HERE = pathlib.Path(__file__).parent / "keras_hub"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "##a"]


def randomize(model, seed):
    """Gives every weight a random value."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.normal(weight.name == "gamma", 0.3, weight.shape))


def random_inputs():
    """Three rows of which 7, 4 and 2 tokens are real."""
    random = np.random.default_rng(1)
    real = np.arange(7) < np.array([[7], [4], [2]])
    return {
        "token_ids": random.integers(0, 60, (3, 7)).astype(np.int32),
        "padding_mask": real.astype(np.int32),
        "segment_ids": random.integers(0, 2, (3, 7)).astype(np.int32),
    }


def main():
    """Writes both folders."""
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    inputs = random_inputs()
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=60,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=24,
        max_sequence_length=12,
    )
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=TOKENS, lowercase=True)
    classifier = keras_hub.models.BertTextClassifier(
        backbone=backbone,
        num_classes=3,
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(tokenizer, 12),
    )
    randomize(classifier, 2)
    backbone.save_to_preset(HERE / "backbone")
    tokenizer.save_to_preset(HERE / "backbone")
    classifier.save_to_preset(HERE / "classifier")
    outputs = backbone(inputs) | {"logits": classifier(inputs)}
    arrays = {name: np.asarray(output) for name, output in outputs.items()}
    np.savez_compressed(HERE / "outputs.npz", **inputs, **arrays)


if __name__ == "__main__":
    main()
