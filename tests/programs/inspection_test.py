import json
import shutil
import struct
import zipfile

import numpy as np
import pytest
import random_models
import tiny
from deadly_runtime import write_deadly_runtime
from golden_checkpoints import FOLDER

import tinybert_tf as tb
from tinybert_tf.programs.inspection import inspect_checkpoint, inspect_tflite
from tinybert_tf.programs.settings import exists

FINETUNED = FOLDER / "google_tf1" / "finetuned"


@pytest.fixture(name="finetuned")
def copy_finetuned(tmp_path):
    return shutil.copytree(FINETUNED, tmp_path / "finetuned")


def saved(folder, model):
    tb.save(model, folder)
    return inspect_checkpoint(folder)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("google_tf1/pretrained", "google-tf1"),
        ("model_garden/classifier/ckpt-7", "model-garden"),
        ("keras_hub/backbone", "keras-hub"),
        ("transformers_models/encoder", "hugging-face"),
    ],
)
def test_knows_every_format(path, kind):
    result = inspect_checkpoint(FOLDER / path)
    assert (result["format"], result["damage"]) == (kind, None)


def test_tells_what_a_classifier_is():
    result = inspect_checkpoint(FINETUNED)
    assert result["problem"] == "classification"
    assert result["labels"] == ("LABEL_0", "LABEL_1")
    assert (result["num_layers"], result["hidden_dim"], result["num_heads"]) == (2, 16, 2)
    assert (result["vocabulary_tokens"], result["lower_case"]) == (32, True)
    # Tables, two norms, two layers of four square and two other matrices, pooler and head.
    tables, layer = (60 + 12 + 2) * 16, 4 * (16 * 16 + 16) + 2 * 16 * 24 + 24 + 16 + 4 * 16
    assert result["num_parameters"] == tables + 2 * 16 + 2 * layer + 16 * 16 + 16 + 2 * 16 + 2
    assert result["size_bytes"] == 4 * result["num_parameters"]
    assert json.loads(json.dumps(result))["path"] == str(FINETUNED)


def test_files_of_a_folder_and_of_a_prefix():
    files = inspect_checkpoint(FINETUNED)["files"]
    assert files["vocab.txt"] == (FINETUNED / "vocab.txt").stat().st_size
    assert len(files) == 6
    prefix = inspect_checkpoint(FINETUNED / "model.ckpt-9")["files"]
    assert sorted(prefix) == ["model.ckpt-9.data-00000-of-00001", "model.ckpt-9.index"]


def test_a_whole_model_lacks_nothing(tmp_path):
    result = saved(tmp_path / "model", tiny.make_model())
    assert (result["lacks"], result["warnings"]) == ({}, {})


def test_names_that_no_task_has_are_told():
    lacks = inspect_checkpoint(FINETUNED)["lacks"]
    assert "convert-checkpoint --labels" in lacks["label_names"]


def test_what_an_encoder_lacks_is_told(tmp_path):
    config = random_models.tiny_config(pooler="none")
    assert set(saved(tmp_path / "model", tb.BertEncoder(config))["lacks"]) == {
        "vocabulary",
        "head",
        "pooler",
    }


def test_a_masked_lm_has_no_head_for_a_task(tmp_path):
    result = saved(tmp_path / "model", tb.BertMaskedLM.from_encoder(tiny.make_model()))
    assert (result["problem"], result["labels"]) == ("masked_lm", None)
    assert (set(result["lacks"]), result["warnings"]) == ({"head"}, {})
    assert "it is a masked LM" in result["lacks"]["head"]


def test_a_vocabulary_without_mask_is_told(tmp_path):
    tokens = [token for token in tiny.TOKENS if token != "[MASK]"]
    assert "mask_token" in saved(tmp_path / "model", tiny.make_model(tokens=tokens))["lacks"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"max_sequence_length": 513}, "positions"),
        ({"num_segments": 1}, "segments"),
    ],
)
def test_an_unusual_config_is_told(tmp_path, changes, name):
    model = tb.BertEncoder(random_models.tiny_config(**changes))
    assert set(saved(tmp_path / "model", model)["warnings"]) == {name}


def test_a_vocabulary_smaller_than_the_table_and_a_gelu_are_told():
    warnings = inspect_checkpoint(FOLDER / "keras_hub" / "backbone")["warnings"]
    assert "32 tokens for 60 embeddings" in warnings["vocabulary"]
    assert "tanh" in warnings["activation"]


def test_another_dtype_is_told(tmp_path):
    tiny.save_model(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"torch_dtype": "bfloat16"}))
    assert "stored as bfloat16" in inspect_checkpoint(tmp_path / "model")["warnings"]["dtype"]


def test_numbers_that_are_none_are_told(tmp_path):
    model = tiny.make_model()
    model.classifier.bias.assign([np.nan, 0])
    assert "classifier.bias" in saved(tmp_path / "model", model)["warnings"]["numbers"]


def test_damage_is_told_with_what_is_known(finetuned):
    path = finetuned / "vocab.txt"
    path.write_text(path.read_text() + "".join(f"token{number}\n" for number in range(40)))
    result = inspect_checkpoint(finetuned)
    assert "vocab.txt: 72 tokens, but the model has 60" in result["damage"]
    assert result["format"] == "google-tf1"
    assert "lacks" not in result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.ckpt-20.index", "not a whole index"),
        ("model.ckpt-20.data-00000-of-00001", "Copy it again"),
        ("bert_config.json", "not JSON"),
    ],
)
def test_a_short_file_is_told(finetuned, name, message):
    path = finetuned / name
    path.write_bytes(path.read_bytes()[:-100])
    assert message in inspect_checkpoint(finetuned)["damage"]


def test_a_missing_shard_is_told(tmp_path):
    folder = shutil.copytree(FOLDER / "transformers_models" / "spans", tmp_path / "spans")
    (folder / "model-00002-of-00003.safetensors").unlink()
    result = inspect_checkpoint(folder)
    assert "model-00002-of-00003.safetensors: no such file" in result["damage"]
    assert "model-00001-of-00003.safetensors" in result["files"]


def test_an_empty_folder_is_told(tmp_path):
    assert "config.json" in inspect_checkpoint(tmp_path)["damage"]


def test_a_prefix_exists(tmp_path):
    assert exists(FINETUNED / "model.ckpt-9")
    assert not exists(FINETUNED / "model.ckpt-8")


@pytest.fixture(scope="module", name="tflite_file")
def write_tflite_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tflite") / "model.tflite"
    tb.export.to_tflite(tiny.make_model(), path)
    return path


def test_tells_what_a_tflite_file_is(tflite_file):
    result = inspect_tflite(tflite_file)
    assert result["inputs"]["ids"] == "(1, -1) int32"
    assert list(result["outputs"]) == ["probabilities"]
    assert (result["labels"], result["vocabulary_tokens"]) == (tiny.LABELS, len(tiny.TOKENS))
    assert (result["signature"], result["recipe"]) == ("serving_default", "dynamic_wi8_afp32")
    assert result["size_bytes"] == tflite_file.stat().st_size
    assert (result["damage"], result["warnings"]) == (None, {})


def test_operators_are_counted_as_the_interpreter_does(tflite_file):
    from tinybert_tf.edge.interpreter import load_interpreter

    interpreter = load_interpreter(tflite_file)
    names = [operator["op_name"] for operator in interpreter._get_ops_details()]
    counted = inspect_tflite(tflite_file)["operators"]
    assert counted == {name: names.count(name) for name in set(names) - {"DELEGATE"}}


def test_a_short_tflite_file_is_told(tflite_file, tmp_path):
    path = tmp_path / "short.tflite"
    path.write_bytes(tflite_file.read_bytes()[:3000])
    assert "is broken" in inspect_tflite(path)["damage"]


def test_a_file_that_kills_the_runtime_is_told(tflite_file, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", write_deadly_runtime(tmp_path))
    result = inspect_tflite(tflite_file)
    assert f"{tflite_file} does not run: the runtime died of SIGSEGV" in result["damage"]
    assert result["operators"] and result["metadata"]  # which no runtime tells


def test_a_file_of_other_inputs_is_told(tmp_path):
    import tensorflow as tf

    function = tf.function(lambda image: {"doubled": image * 2})
    concrete = function.get_concrete_function(tf.TensorSpec((1, 4), tf.float32, name="image"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    path = tmp_path / "image.tflite"
    path.write_bytes(converter.convert())
    result = inspect_tflite(path)
    assert list(result["inputs"].values()) == ["(1, 4) float32"]
    assert "has inputs image; expected ids, mask" in result["warnings"]["inputs"]
    assert result["damage"] is None


def test_an_operator_that_is_not_there(tflite_file, tmp_path):
    from tinybert_tf.export.flatbuffer_edits import read_model, write_model

    model = read_model(tflite_file.read_bytes())
    model.subgraphs[0].operators[0].opcodeIndex = 400
    path = tmp_path / "odd.tflite"
    path.write_bytes(write_model(model))
    assert inspect_tflite(path)["damage"] == f"{path} is broken: it has no operator 400."


def test_a_number_across_the_end_of_the_file(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    from tinybert_tf.export.flatbuffer_edits import write_model

    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode, graph.operators = 9, [schema.OperatorT()]
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], []
    content = bytearray(write_model(model))
    table = schema.Model.GetRootAs(content).OperatorCodes(0)._tab.Pos
    vtable = table - struct.unpack_from("<i", content, table)[0]
    table_size = struct.unpack_from("<H", content, vtable + 2)[0]
    struct.pack_into("<H", content, vtable + 4 + 2 * 3, table_size - 1)  # of its code
    path = tmp_path / "odd.tflite"
    path.write_bytes(content[: table + table_size])
    assert f"{path} is broken: " in inspect_tflite(path)["damage"]


def test_damaged_settings_are_damage(tflite_file, tmp_path):
    path, content = tmp_path / "odd.tflite", tflite_file.read_bytes()
    with zipfile.ZipFile(tflite_file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    path.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in (files | {"tinybert_tf.json": b"{}"}).items():
            archive.writestr(name, text)
    assert f"{path} is broken: tinybert_tf.json lacks lower_case" in inspect_tflite(path)["damage"]


def test_a_tflite_file_without_its_zip_is_told(tflite_file, tmp_path):
    path, content = tmp_path / "bare.tflite", tflite_file.read_bytes()
    path.write_bytes(content[: content.index(b"PK\x03\x04")])
    assert inspect_tflite(path)["warnings"] == {"metadata": "no labels and no vocabulary inside"}
