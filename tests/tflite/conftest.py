"""A model folder, its exact .tflite file, and a task's file, all tiny."""

import numpy as np
import pytest

import tinybert_tf as tb

TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij")


@pytest.fixture(scope="session", name="folder")
def make_folder(tmp_path_factory):
    """Folder of a model with random weights and the labels "no" and "yes"."""
    config = tb.BertConfig(
        vocabulary_size=len(TOKENS),
        num_layers=1,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        max_sequence_length=12,
    )
    model = tb.BertClassifier(config, ("no", "yes"), vocabulary=tb.Vocabulary(TOKENS))
    random = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(random.normal(0, 0.5, variable.shape))
    path = tmp_path_factory.mktemp("model") / "student"
    tb.save(model, path)
    return path


@pytest.fixture(scope="session", name="tflite_file")
def make_tflite_file(folder, tmp_path_factory):
    """The folder's model in float32."""
    path = tmp_path_factory.mktemp("tflite") / "student.tflite"
    tb.export.to_tflite(tb.load(folder), path, "float32")
    return path


@pytest.fixture(scope="session", name="dev_file")
def make_dev_file(tmp_path_factory):
    """Four labelled sentences."""
    path = tmp_path_factory.mktemp("task") / "dev.tsv"
    path.write_text("sentence\tlabel\na b\tno\nc d e\tyes\nf\tno\ng h\tyes\n")
    return path
