"""A tiny classifier with weights large enough to matter, and its files by every recipe."""

import keras
import numpy as np
import pytest

from tinybert_tf.data import Examples, Task
from tinybert_tf.models import BertClassifier, BertConfig, Vocabulary

LABELS = ("bad", "so so", "good")
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "\u2028")
TEXTS = ["a b c", "d", "e f g h i j k l m n o p q", "Z z z", "", "b a"]


def tiny_model(seed, **settings):
    config = BertConfig(
        vocabulary_size=len(TOKENS) + 2,
        num_layers=2,
        hidden_dim=64,
        num_heads=4,
        intermediate_dim=128,
        max_sequence_length=16,
    )
    settings = {"labels": LABELS, "vocabulary": Vocabulary(TOKENS)} | settings
    model = BertClassifier(config, **settings)
    random = np.random.default_rng(seed)
    for variable in model.variables:
        shift = 1 if variable.name == "gamma" else 0
        variable.assign(random.normal(shift, 0.15, variable.shape))
    return model


@pytest.fixture(scope="session", name="make_model")
def get_tiny_model():
    """The function from a seed, and what to set in the constructor, to a model."""
    return tiny_model


@pytest.fixture(scope="session", name="model")
def make_tiny_model():
    return tiny_model(0)


@pytest.fixture(scope="session", name="files")
def make_files(model, tmp_path_factory):
    """Dict from recipe to the path of the model's file."""
    from tinybert_tf.export import RECIPES, to_tflite

    folder, examples = tmp_path_factory.mktemp("export"), Examples([*TEXTS, *TOKENS[4:30]])
    return {
        recipe: to_tflite(model, folder / f"{recipe}.tflite", recipe, examples=examples)["path"]
        for recipe in RECIPES
    }


@pytest.fixture(scope="session", name="task")
def make_task():
    labels = [LABELS[index % 3] for index in range(len(TEXTS))]
    return Task(
        "letters",
        LABELS,
        "classification",
        ("accuracy",),
        12,
        lambda split: Examples(TEXTS, labels=labels),
    )


@pytest.fixture(scope="session", name="answer")
def make_answer():
    """The function from a model and one row of each input to the Keras model's softmax."""

    def answer(model, ids, mask, segment_ids):
        rows = {"token_ids": ids, "padding_mask": mask, "segment_ids": segment_ids}
        inputs = {name: np.array([row], np.int32) for name, row in rows.items()}
        return keras.ops.convert_to_numpy(keras.ops.softmax(model(inputs)["logits"]))

    return answer
