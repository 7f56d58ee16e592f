import json
import zipfile

import keras
import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.interpreter import INPUT_NAMES, load_interpreter
from tinybert_tf.export import RECIPES, to_tflite
from tinybert_tf.quantization import QuantizedStudent


def inputs(length, seed=0):
    random = np.random.default_rng(seed)
    mask = np.ones(length, int)
    mask[length - length // 4 :] = 0
    segment_ids = np.arange(length) > length // 2
    return random.integers(0, 31, length), mask, segment_ids.astype(int)


@pytest.mark.parametrize("recipe", RECIPES)
def test_names_and_signature(files, recipe):
    interpreter = load_interpreter(files[recipe])
    names = [details["name"] for details in interpreter.get_input_details()]
    assert names == ["ids", "mask", "segment_ids"]
    assert [details["name"] for details in interpreter.get_output_details()] == ["probabilities"]
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": names, "outputs": ["probabilities"]}
    }
    runner = interpreter.get_signature_runner("serving_default")
    for name, details in runner.get_input_details().items():
        assert details["name"] == name
        assert details["dtype"] == np.int32
        assert details["shape_signature"].tolist() == [
            1,
            RECIPES[recipe].static_length and 16 or -1,
        ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_operator_is_a_builtin_one(files, recipe):
    with open(files[recipe], "rb") as file:
        content = schema.ModelT.InitFromPackedBuf(file.read())
    assert len(content.subgraphs) == 1
    for code in content.operatorCodes:
        assert code.customCode is None
        assert code.builtinCode != schema.BuiltinOperator.CUSTOM
    used = {
        content.operatorCodes[op.opcodeIndex].builtinCode for op in content.subgraphs[0].operators
    }
    assert schema.BuiltinOperator.VAR_HANDLE not in used


def test_float32_equals_keras_at_any_length_there_and_back(files, model, answer):
    edge_model = EdgeModel(files["float32"])
    for length in (5, 16, 1, 9, 5):
        row = inputs(length, seed=length)
        np.testing.assert_allclose(
            edge_model.run(*row)["probabilities"], answer(model, *row), atol=1e-5
        )


@pytest.mark.parametrize(
    ("recipe", "share", "difference"),
    [
        ("float16", 0.75, 2e-3),
        ("dynamic_wi8_afp32", 0.5, 0.05),
        ("dynamic_wi8_afp32_emb4", 0.6, 0.1),
        ("dynamic_wi4_afp32", 0.5, 0.3),
        ("weight_only_wi8_afp32", 0.6, 0.02),
        ("static_wi8_ai8", 0.7, 0.1),
        ("static_wi8_ai16", 0.7, 0.05),
        ("legacy_dynamic_wi8", 0.5, 0.1),
    ],
)
def test_other_recipes_are_smaller_and_close(files, model, answer, recipe, share, difference):
    sizes = {name: load_size(path) for name, path in files.items()}
    assert sizes[recipe] < share * sizes["float32"]
    edge_model = EdgeModel(files[recipe])
    for length in (4, 16, 7):
        row = inputs(length, seed=length)
        np.testing.assert_allclose(
            edge_model.run(*row)["probabilities"], answer(model, *row), atol=difference
        )


def load_size(path):
    with open(path, "rb") as file:
        return len(file.read())


def test_the_answer_depends_on_every_input(files):
    edge_model = EdgeModel(files["float32"])
    ids, mask, segment_ids = inputs(8)
    answer = edge_model.run(ids, mask, segment_ids)["probabilities"]
    for other in (
        (ids + 1, mask, segment_ids),
        (ids, 1 - mask + mask[0], segment_ids),
        (ids, mask, 1 - segment_ids),
    ):
        assert np.abs(edge_model.run(*other)["probabilities"] - answer).max() > 1e-3


def test_overlong_texts_lose_the_tokens_before_the_last(files, model, answer):
    row = inputs(23)
    kept = [np.append(values[:15], values[-1]) for values in row]
    output = EdgeModel(files["float32"]).run(*row)["probabilities"]
    np.testing.assert_allclose(output, answer(model, *kept), atol=1e-5)


def test_numbers_out_of_range_count_as_the_nearest(files, model, answer):
    wild = [-5, 2**31 - 1, 7, 33], [9, 1, 1, -(2**31)], [-1, 5, 0, 2]
    near = [0, 32, 7, 32], [1, 1, 1, 0], [0, 1, 0, 1]
    output = EdgeModel(files["float32"]).run(*wild)["probabilities"]
    np.testing.assert_allclose(output, answer(model, *near), atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_file_ends_in_a_zip(files, model, recipe):
    with zipfile.ZipFile(files[recipe]) as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        assert archive.read("labels.txt") == b"bad\nso so\ngood\n"
        assert archive.read("vocab.txt").decode() == model.vocabulary.to_text()
        assert json.loads(archive.read("tinybert_tf.json")) == {
            "lower_case": True,
            "max_sequence_length": 16,
            "problem": "classification",
            "head": "bert",
            "recipe": recipe,
        }


def test_the_runtime_reads_it_back(files, model):
    edge_model = EdgeModel(files["float16"])
    assert edge_model.labels == model.labels
    assert edge_model.vocabulary_text == model.vocabulary.to_text()
    assert edge_model.settings["recipe"] == "float16"


def test_result_and_replacement(make_model, tmp_path):
    path = tmp_path / "new" / "score.tflite"
    path.parent.mkdir()
    path.write_text("an older file")
    model = make_model(1, labels=("stars",), problem="regression", head="tinybert_relu")
    result = to_tflite(model, path, "float32")
    assert result == {"path": str(path), "recipe": "float32", "size_bytes": path.stat().st_size}
    assert [file.name for file in path.parent.iterdir()] == ["score.tflite"]
    check_score(model, path)


def check_score(model, path):
    """A regression's file gives the score itself."""
    row = inputs(6)
    rows = dict(zip(("token_ids", "padding_mask", "segment_ids"), row, strict=True))
    logits = model({name: np.array([values]) for name, values in rows.items()})["logits"]
    edge_model = EdgeModel(path)
    output = edge_model.run(*row)
    assert list(output) == ["score"] and edge_model.labels == ("stars",)
    np.testing.assert_allclose(output["score"], keras.ops.convert_to_numpy(logits), atol=1e-5)


def test_unknown_recipe(model, tmp_path):
    message = 'Unknown recipe "dynamic_wi8". Did you mean "dynamic_wi8_afp32"? Recipes: float32, '
    with pytest.raises(ValueError) as error:
        to_tflite(model, tmp_path / "x.tflite", "dynamic_wi8")
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_a_model_without_vocabulary_is_refused(make_model, tmp_path):
    with pytest.raises(ValueError, match="no vocabulary.*Put vocab.txt into the model's folder"):
        to_tflite(make_model(0, vocabulary=None), tmp_path / "x.tflite")


def test_a_model_without_head_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="no head. Fine-tune or distil it"):
        to_tflite(model.encoder, tmp_path / "x.tflite")


def test_a_model_of_low_precision_is_refused(make_model, tmp_path):
    with pytest.raises(ValueError, match=r'computes in bfloat16.*dtype="float32"'):
        to_tflite(make_model(0, dtype="mixed_bfloat16"), tmp_path / "x.tflite")


def test_a_model_that_only_trains_is_refused(make_model, tmp_path):
    student = QuantizedStudent(make_model(0), "dynamic_wi8_afp32")
    with pytest.raises(ValueError, match=r"QuantizedStudent, .* Pass `student.bake\(\)`"):
        to_tflite(student, tmp_path / "x.tflite")
    assert student.bake() is student.student


def test_settings_are_measured_on_the_whole_file_before_it_stands(model, tmp_path):
    path = tmp_path / "x.tflite"

    def measure(file):
        assert EdgeModel(file).labels == model.labels and not path.exists()
        return {"temperature": 2.0}

    to_tflite(model, path, "float32", file_settings=measure)
    assert EdgeModel(path).settings["temperature"] == 2
    with pytest.raises(ZeroDivisionError):
        to_tflite(model, tmp_path / "y.tflite", "float32", file_settings=lambda file: 1 / 0)
    assert [file.name for file in tmp_path.iterdir()] == ["x.tflite"]


def test_inputs_are_named_as_the_runtime_expects():
    assert INPUT_NAMES == ("ids", "mask", "segment_ids")
