import dataclasses

import numpy as np
import pytest
from random_models import randomized, tiny_config, tiny_vocabulary

from tinybert_tf.data import Examples
from tinybert_tf.edge import EdgeModel
from tinybert_tf.export import RECIPES, to_tflite
from tinybert_tf.export.flatbuffer_edits import read_model, write_model
from tinybert_tf.export.layer_errors import layer_errors
from tinybert_tf.export.predictor import encode_rows, file_rows
from tinybert_tf.models import BertSpanLabeler, Vocabulary

NAMES = [
    "embeddings",
    "layer_1/attention_norm",
    "layer_1/output_norm",
    "layer_2/attention_norm",
    "layer_2/output_norm",
]
TEXTS = Examples(["a b c", "d", "e f g h i j k l m n o p q", "z z z", "b a"])


def errors_of(model, path, examples=TEXTS):
    return layer_errors(model, path, file_rows(EdgeModel(path), examples))


def largest(errors):
    return max(error["relative_error"] for error in errors)


def keras_states(model, rows, first_only):
    """Embedding output and layers, each of all tokens; of the last layer's [CLS] alone."""
    parts = []
    for ids, segment_ids in encode_rows(rows):
        inputs = {"token_ids": ids, "segment_ids": segment_ids, "padding_mask": 0 * ids + 1}
        states = model({name: row[None] for name, row in inputs.items()})["hidden_states"]
        parts.append([np.array(state)[0].astype(np.float64) for state in states])
        if first_only:
            parts[-1][-1] = parts[-1][-1][:1]
    return [np.concatenate(states).ravel() for states in zip(*parts, strict=True)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_names_its_layers(recipe, model, files):
    errors = errors_of(model, files[recipe])
    assert [error["name"] for error in errors] == NAMES
    limit = {"float32": 1e-5, "float16": 1e-3, "dynamic_wi4_afp32": 0.3}.get(recipe, 0.15)
    for error in errors:
        assert error["relative_error"] < limit
        assert error["cosine"] > 1 - limit**2
    assert recipe == "float32" or largest(errors) > 1e-5


def check_against_keras(first, second, path, rows, first_only):
    """Errors of the first's file as the second's are what the Keras models' states say."""
    # In a file the last norm's beta is in the head's bias, so it is taken from the model.
    betas = [each.encoder.encoder_layers[-1].output_norm.beta for each in (first, second)]
    betas[1].assign(betas[0])
    states = [keras_states(each, rows, first_only) for each in (second, first)]
    errors = [error for error in layer_errors(second, path, rows) if "att" not in error["name"]]
    for error, before, after in zip(errors, *states, strict=True):
        expected = np.linalg.norm(before - after) / np.linalg.norm(before)
        assert error["relative_error"] == pytest.approx(expected, rel=1e-4)
        cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
        assert error["cosine"] == pytest.approx(cosine, abs=1e-5)


def test_errors_equal_those_between_keras_models(make_model, model, files):
    rows = file_rows(EdgeModel(files["float32"]), TEXTS)
    check_against_keras(model, make_model(5), files["float32"], rows, first_only=True)


@pytest.mark.parametrize("length", [None, 11])
def test_every_token_counts_where_the_head_reads_all_and_padding_never(length, tmp_path):
    models = [
        randomized(BertSpanLabeler(tiny_config(), vocabulary=tiny_vocabulary()), seed)
        for seed in (0, 1)
    ]
    path = to_tflite(models[0], tmp_path / "spans.tflite", "float32", length)["path"]
    rows = file_rows(EdgeModel(path), Examples(["a", "b c"], ["d e f", "g " * 20]))
    check_against_keras(*models, path, rows, first_only=False)


def test_files_without_names_have_no_errors(model, files, tmp_path):
    path = tmp_path / "old.tflite"
    with open(files["float32"], "rb") as file:
        path.write_bytes(file.read().replace(b"layer_1/", b"Layer/1_"))
    assert errors_of(model, path) == []


@pytest.mark.parametrize("change", [{"num_layers": 1}, {"num_layers": 3}, {"hidden_dim": 32}])
def test_files_of_other_models_have_no_errors(change, model, files):
    settings = model.get_config()
    settings["config"] |= change
    assert errors_of(model.from_config(settings), files["float32"]) == []


def test_pieces_are_found_where_the_model_has_them(model, files):
    """A model whose rows stand in another order reads the same."""
    order = np.random.default_rng(0).permutation(len(model.vocabulary))
    settings = model.get_config()
    tokens = [model.vocabulary.tokens[number] for number in order]
    settings["vocabulary"] = dataclasses.asdict(Vocabulary(tokens))
    shuffled = model.from_config(settings)
    shuffled.set_weights(model.get_weights())
    table = shuffled.encoder.embeddings.token_embedding.embeddings
    table.assign(table.numpy()[[*order, *range(len(order), table.shape[0])]])
    assert largest(errors_of(shuffled, files["float32"])) < 1e-5


def test_pieces_that_the_model_lacks_have_no_errors(model, files):
    settings = model.get_config()
    tokens = model.vocabulary.tokens
    settings["vocabulary"] = dataclasses.asdict(Vocabulary(("new", *tokens[:-1])))
    assert errors_of(model.from_config(settings), files["float32"]) == []


def test_of_many_examples_some_from_all_over_are_run(model, files, monkeypatch):
    numbers = []

    def encode(rows, chosen):
        numbers.extend(chosen)
        return encode_rows(rows, chosen)

    monkeypatch.setattr("tinybert_tf.export.layer_errors.encode_rows", encode)
    assert len(errors_of(model, files["float32"], Examples(["a"] * 63))) == 5
    assert numbers == [*range(0, 63, 2)]


def lead_nowhere(file):
    file.metadata[0].buffer = 10**6


def swap_names(file):
    """What is computed of [CLS] alone changes its name with the embeddings."""
    named = {tensor.name: tensor for tensor in file.subgraphs[0].tensors}
    first, last = (named[name.encode()] for name in (NAMES[0], NAMES[3]))
    first.name, last.name = last.name, first.name


@pytest.mark.parametrize(
    ("damage", "message"),
    [(lead_nowhere, "index 1000000 is out of"), (swap_names, r"a layer gives \(1, ")],
)
def test_damage_that_the_runtime_does_not_mind(damage, message, model, files, tmp_path):
    with open(files["float32"], "rb") as file:
        damaged = read_model(file.read())
    damage(damaged)
    path = tmp_path / "damaged.tflite"
    path.write_bytes(write_model(damaged))
    with pytest.raises(ValueError, match=f"damaged.tflite is damaged: {message}"):
        layer_errors(model, path, file_rows(EdgeModel(files["float32"]), TEXTS))


def test_what_a_copy_is_refused_for_is_said_of_the_file(model, files, monkeypatch):
    rows = file_rows(EdgeModel(files["float32"]), TEXTS)

    def refuse(path):
        raise ValueError(f"cannot load {path}: damaged")

    monkeypatch.setattr("tinybert_tf.export.layer_errors.EdgeModel", refuse)
    with pytest.raises(ValueError, match=f"cannot load a copy of {files['float32']}: damaged"):
        layer_errors(model, files["float32"], rows)
