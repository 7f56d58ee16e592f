import json
import shutil

import h5py
import keras
import numpy as np
import pytest
import random_models
import tiny
from golden_checkpoints import FOLDER, largest_differences

import tinybert_tf as tb
from tinybert_tf.checkpoints.keras_hub import from_keras_hub, is_keras_hub, save_keras_hub

GOLDEN = FOLDER / "keras_hub"


@pytest.fixture(name="backbone")
def copy_backbone(tmp_path):
    return shutil.copytree(GOLDEN / "backbone", tmp_path / "backbone")


def arrays(path):
    """Every array of a weights file by its name there."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def test_a_backbone_computes_what_it_did_there():
    model = tb.load(GOLDEN / "backbone")
    assert isinstance(model, tb.BertEncoder)
    assert model.config.activation == "gelu_tanh"
    differences = largest_differences(model, "keras_hub", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4


def test_a_classifier_computes_what_it_did_there():
    model = tb.load(GOLDEN / "classifier")
    assert model.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert largest_differences(model, "keras_hub", "logits")["logits"] <= 1e-4


def test_the_tokenizer_is_read():
    vocabulary = tb.load(GOLDEN / "backbone").vocabulary
    assert vocabulary.lower_case
    assert vocabulary.tokens[4:7] == ("[MASK]", "a", "b")


def test_a_cased_tokenizer_is_read(backbone):
    path = backbone / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    assert not tb.load(backbone).vocabulary.lower_case


def test_an_object_computes_what_it_did_there():
    class BertBackbone:
        """What `from_keras_hub` sees of the backbone of the goldens."""

        def get_config(self):
            return json.loads((GOLDEN / "backbone" / "config.json").read_text())["config"]

        def save_weights(self, path):
            shutil.copy(GOLDEN / "backbone" / "model.weights.h5", path)

    keras.saving.register_keras_serializable("keras_hub")(BertBackbone)
    model = from_keras_hub(BertBackbone())
    differences = largest_differences(model, "keras_hub", "sequence_output", "pooled_output")
    assert max(differences.values()) <= 1e-4


def test_an_object_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="describes 'Dense', expected 'keras_hub>BertBackbone'"):
        from_keras_hub(keras.layers.Dense(3))


def test_writes_the_arrays_that_keras_hub_wrote(tmp_path):
    save_keras_hub(tb.load(GOLDEN / "classifier"), tmp_path / "copy")
    for name in ("model.weights.h5", "task.weights.h5"):
        theirs, ours = arrays(GOLDEN / "classifier" / name), arrays(tmp_path / "copy" / name)
        theirs = {key: value for key, value in theirs.items() if not key.startswith("optimizer")}
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            np.testing.assert_array_equal(ours[key], value)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "task.json"])
def test_writes_the_settings_that_keras_hub_wrote(tmp_path, name):
    save_keras_hub(tb.load(GOLDEN / "classifier"), tmp_path / "copy")
    ours = json.loads((tmp_path / "copy" / name).read_text())
    theirs = json.loads((GOLDEN / "classifier" / name).read_text())
    assert {**ours, "config": 0} == {**theirs, "config": 0}
    others = {"strip_accents", "backbone", "preprocessor"}
    for key in ours["config"].keys() - others:
        assert ours["config"][key] == theirs["config"][key]


def test_what_is_written_is_read_again(tmp_path):
    model = random_models.randomized(tiny.make_model(labels=("no", "yes", "häufig")))
    with pytest.warns(UserWarning, match="KerasHub computes GELU by its tanh approximation"):
        save_keras_hub(model, tmp_path / "copy")
    again = tb.load(tmp_path / "copy")
    assert (again.labels, again.vocabulary) == (model.labels, model.vocabulary)
    for ours, theirs in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "tinybert_relu"}, "head 'tinybert_relu'"),
        ({"config": {"activation": "relu"}}, "this model has relu"),
        ({"config": {"layer_norm_epsilon": 1e-5}}, "1e-05"),
        ({"config": {"pooler": "relu"}}, "pooler 'relu'"),
    ],
)
def test_what_keras_hub_cannot_be_is_refused(tmp_path, changes, message):
    config = random_models.tiny_config(**changes.get("config", {}))
    model = tb.BertClassifier(config, ("no", "yes"), head=changes.get("head", "bert"))
    with pytest.raises(ValueError, match=message):
        save_keras_hub(model, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_of_a_masked_lm_the_encoder_is_written_with_a_warning(tmp_path):
    config = random_models.tiny_config(activation="gelu_tanh")
    model = random_models.randomized(tb.BertMaskedLM(config))
    with pytest.warns(UserWarning, match="Only the encoder is written, not the masked LM's head"):
        save_keras_hub(model, tmp_path / "saved")
    loaded = tb.load(tmp_path / "saved")
    assert isinstance(loaded, tb.BertEncoder)
    for expected, actual in zip(model.encoder.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_other_folders_are_not_taken_for_it(tmp_path):
    tiny.save_model(tmp_path / "model")
    assert not is_keras_hub(tmp_path / "model")
    assert not is_keras_hub(tmp_path)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("config.json", "keras_hub>BertBackbone", "keras_hub>GPT2Backbone", "GPT2Backbone"),
        ("config.json", '"num_layers": 2', '"num_layers": 10000000', "expected 1 to 1000"),
        ("config.json", '"num_layers": 2', '"num_layers": 3', "transformer_encoder_2"),
        ("config.json", '"hidden_dim": 16', '"hidden_dim": 18', "shape"),
        ("config.json", '"num_heads": 2', '"num_heads": 3', "num_heads"),
        ("tokenizer.json", '"lowercase": true', '"lowercase": 3', "`lowercase` is 3"),
    ],
)
def test_wrong_settings_are_told(backbone, name, old, new, message):
    path = backbone / name
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        tb.load(backbone)


def test_a_short_file_of_weights_is_told(backbone):
    path = backbone / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="damaged, or no BERT's weights"):
        tb.load(backbone)


def test_a_missing_file_of_weights_is_told(backbone):
    (backbone / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match="expected a preset's weights"):
        tb.load(backbone)


def huge(file, name):
    file.create_dataset(name, (60, 10**9), np.float32, chunks=(1, 1000))


def external(file, name):
    file[name] = h5py.ExternalLink("/etc/other.h5", "/x")


def soft(file, name):
    file[name] = h5py.SoftLink("/layers")


def stored_elsewhere(file, name):
    file.create_dataset(name, (60, 16), np.float32, external=[("/etc/passwd", 0, 3840)])


def text(file, name):
    file[name] = "text"


@pytest.mark.parametrize("replace", [huge, external, soft, stored_elsewhere, text])
def test_what_is_not_an_array_in_the_file_is_refused(backbone, replace):
    name = "layers/reversible_embedding/vars/0"
    with h5py.File(backbone / "model.weights.h5", "a") as file:
        del file[name]
        replace(file, name)
    with pytest.raises(ValueError, match="lacks|is no array of numbers in this file"):
        tb.load(backbone)


def test_labels_that_do_not_fit_are_told(tmp_path):
    folder = shutil.copytree(GOLDEN / "classifier", tmp_path / "classifier")
    (folder / "labels.txt").write_text("no\nyes\n")
    with pytest.raises(ValueError, match="2 labels, but the head has 3"):
        tb.load(folder)
