import importlib
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.interpreter import RUNTIMES, find_runtime

SETTINGS = {"lower_case": True, "max_sequence_length": 8, "problem": "classification"}
VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n\u2028\n"


def inputs(length, seed=0):
    random = np.random.default_rng(seed)
    mask = np.ones(length, np.int64)
    mask[length // 2 + 1 :] = 0
    return random.integers(0, 3, length), mask, random.integers(0, 2, length)


def attach(path, names=("tinybert_tf.json", "labels.txt", "vocab.txt")):
    texts = {
        "tinybert_tf.json": json.dumps(SETTINGS),
        "labels.txt": "bad\nso so\n",
        "vocab.txt": VOCABULARY,
    }
    with zipfile.ZipFile(path, "a") as archive:
        for name in names:
            archive.writestr(name, texts[name])


@pytest.fixture(name="copy")
def make_copy(tiny_bytes, tmp_path):
    path = tmp_path / "copy.tflite"
    path.write_bytes(tiny_bytes)
    return path


def test_answers_at_any_length_there_and_back(tiny_file, expected):
    model = EdgeModel(tiny_file)
    for length in (5, 1, 40, 5):
        ids, mask, segment_ids = inputs(length)
        output = model.run(ids, mask, segment_ids)
        assert list(output) == ["probabilities"]
        np.testing.assert_allclose(
            output["probabilities"], [expected(ids, mask, segment_ids)], 1e-5
        )


def test_lists_and_rows_are_alike(tiny_file):
    model = EdgeModel(tiny_file, num_threads=2)
    ids, mask, segment_ids = inputs(7)
    flat = model.run(list(ids), list(mask), list(segment_ids))
    row = model.run(ids[None], mask[None], segment_ids[None])
    np.testing.assert_array_equal(flat["probabilities"], row["probabilities"])


def test_answers_are_not_overwritten_by_the_next(tiny_file):
    model = EdgeModel(tiny_file)
    first = model.run([1, 0], [1, 1], [0, 0])["probabilities"]
    kept = first.copy()
    model.run([0, 0], [1, 1], [1, 1])
    np.testing.assert_array_equal(first, kept)


def test_fixed_length_is_filled_up(fixed_file, expected):
    ids, mask, segment_ids = inputs(4)
    output = EdgeModel(fixed_file).run(ids, mask, segment_ids)
    np.testing.assert_allclose(output["probabilities"], [expected(ids, mask, segment_ids)], 1e-5)


def test_fixed_length_is_not_exceeded(fixed_file):
    with pytest.raises(ValueError, match=r"Received 7 tokens; .*fixed.tflite is fixed at 6"):
        EdgeModel(fixed_file).run(*inputs(7))


@pytest.mark.parametrize(
    "shapes", [((3,), (4,), (3,)), ((2, 3),) * 3, ((0,),) * 3, ((1, 1, 3),) * 3]
)
def test_wrong_shapes_are_refused(tiny_file, shapes):
    with pytest.raises(ValueError, match="Received shapes"):
        EdgeModel(tiny_file).run(*(np.ones(shape, int) for shape in shapes))


def test_reads_what_is_attached(copy):
    attach(copy)
    model = EdgeModel(copy)
    assert model.labels == ("bad", "so so")
    assert model.vocabulary_text == VOCABULARY
    assert model.settings == SETTINGS
    assert model.run(*inputs(3))["probabilities"].shape == (1, 2)


def test_reads_what_is_out_of_scope(copy):
    attach(copy, ["labels.txt", "vocab.txt"])
    values = SETTINGS | {"out_of_scope_threshold": 0.7, "out_of_scope_label": "oos"}
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("tinybert_tf.json", json.dumps(values))
    model = EdgeModel(copy)
    assert (model.out_of_scope_threshold, model.out_of_scope_label) == (0.7, "oos")


def test_nothing_attached(tiny_file):
    model = EdgeModel(tiny_file)
    assert (model.out_of_scope_threshold, model.out_of_scope_label) == (None, None)
    assert (model.labels, model.vocabulary_text, model.settings) == (None, None, None)


def test_the_zip_of_another_tool_is_left_alone(copy):
    attach(copy, ["labels.txt", "vocab.txt"])
    assert EdgeModel(copy).labels is None


def test_incomplete_zip_is_refused(copy):
    attach(copy, ["tinybert_tf.json", "labels.txt"])
    with pytest.raises(ValueError, match=r"copy.tflite is broken: .*vocab.txt"):
        EdgeModel(copy)


def test_damaged_zip_is_refused(copy):
    attach(copy)
    copy.write_bytes(copy.read_bytes().replace(b"so so", b"so-so"))
    with pytest.raises(ValueError, match=r"copy.tflite is broken: .*CRC"):
        EdgeModel(copy)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"No file .*absent.tflite"):
        EdgeModel(tmp_path / "absent.tflite")


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"a text, no model\n" * 9, b"\x1c\0\0\0TFLITE.."]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'other.tflite is not a TFLite model: "TFL3"'):
        EdgeModel(path)


def test_a_file_cut_anywhere_is_refused(copy):
    model_size = copy.stat().st_size
    attach(copy)
    content = copy.read_bytes()
    for size in [
        *range(8, model_size, 97),
        model_size - 1,
        *range(model_size + 46, len(content), 29),
    ]:
        copy.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"copy.tflite is broken"):
            EdgeModel(copy)


def test_what_the_runtime_refuses_names_the_file(copy, tiny_bytes):
    copy.write_bytes(tiny_bytes.replace(b"TFL3", b"TFL3", 1))
    runtime, package = find_runtime()

    def refuse(*args, **kwargs):
        raise ValueError("Didn't find op for builtin opcode")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "Interpreter", refuse)
        with pytest.raises(ValueError, match=rf"{package} cannot load .*copy.tflite: Didn't"):
            EdgeModel(copy)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("failed to prepare"),
        IndexError("index -1"),
        AttributeError("no attribute"),
        MemoryError("x" * 5000),
    ],
)
def test_what_the_runtime_raises_later_names_the_file(copy, monkeypatch, error):
    def fail(interpreter):
        raise error

    model = EdgeModel(copy)
    monkeypatch.setattr(type(model._interpreter), "invoke", fail)
    with pytest.raises(ValueError, match=r"cannot run .*copy.tflite: ") as caught:
        model.run(*inputs(3))
    assert str(error)[:500] in str(caught.value)
    assert len(str(caught.value)) < 1200


def test_other_inputs_are_refused(tmp_path):
    tf = pytest.importorskip("tensorflow")

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, name="image")])
    def double(image):
        return {"doubled": image * 2}

    function = double.get_concrete_function()
    path = tmp_path / "image.tflite"
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    path.write_bytes(converter.convert())
    with pytest.raises(ValueError, match=r"has inputs image; expected ids, mask, segment_ids"):
        EdgeModel(path)


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 2)])
def test_inputs_of_other_ranks_are_refused(tmp_path, shape):
    tf = pytest.importorskip("tensorflow")
    specs = [tf.TensorSpec(shape, tf.int32, name) for name in ("ids", "mask", "segment_ids")]

    @tf.function(input_signature=specs)
    def add(ids, mask, segment_ids):
        return {"probabilities": ids + mask + segment_ids}

    path = tmp_path / "ranks.tflite"
    functions = [add.get_concrete_function()]
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions(functions).convert())
    with pytest.raises(ValueError, match=r"ranks.tflite has inputs of shapes .*; expected \(1, "):
        EdgeModel(path)


def test_litert_that_answers_wrongly_from_4_bits_is_refused(copy, tiny_bytes, monkeypatch):
    version = "tinybert_tf.edge.interpreter.runtime_version"
    monkeypatch.setattr(version, lambda: "ai-edge-litert 1.0.1")
    monkeypatch.setitem(SETTINGS, "recipe", "float32")
    attach(copy)
    EdgeModel(copy)
    monkeypatch.setitem(SETTINGS, "recipe", "dynamic_wi4_afp32")
    copy.write_bytes(tiny_bytes)
    attach(copy)
    with pytest.raises(ValueError, match="answers wrongly.*copy.tflite"):
        EdgeModel(copy)


def test_runtimes_are_tried_in_order(monkeypatch):
    hidden, asked = set(RUNTIMES), []

    def import_module(name):
        asked.append(name)
        if name in hidden:
            raise ModuleNotFoundError(name=name.partition(".")[0])
        return name

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(ImportError, match="pip install ai-edge-litert"):
        find_runtime()
    assert asked == [*RUNTIMES]
    hidden.remove("tflite_runtime.interpreter")
    assert find_runtime() == ("tflite_runtime.interpreter", "tflite-runtime")


def test_a_runtime_that_lacks_something_is_not_passed_over(monkeypatch):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'flatbuffers'", name="flatbuffers")

    monkeypatch.setattr(importlib, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="flatbuffers"):
        find_runtime()


def test_tensorflows_own_runtime_answers_too(tiny_file, monkeypatch, expected):
    pytest.importorskip("tensorflow")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    assert find_runtime()[1] == "tensorflow"
    ids, mask, segment_ids = inputs(6)
    model = EdgeModel(tiny_file)
    output = model.run(ids, mask, segment_ids)["probabilities"]
    np.testing.assert_allclose(output, [expected(ids, mask, segment_ids)], 1e-5)


def test_importing_it_imports_no_tensorflow():
    code = (
        "import sys, tinybert_tf.edge, tinybert_tf.edge.benchmark\n"
        "tinybert_tf.edge.interpreter.find_runtime()\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
