"""Model folders: what goes in comes out, and what is damaged is refused with the file's name."""

import json
import shutil
import struct

import numpy as np
import pytest
import safetensors.numpy
from random_models import as_arrays, random_inputs, randomized, tiny_config, tiny_vocabulary

from tinybert_tf import checkpoints
from tinybert_tf.checkpoints import Checkpoint, model_folder
from tinybert_tf.models import (
    BertClassifier,
    BertEncoder,
    BertMaskedLM,
    BertSpanLabeler,
    BertTokenClassifier,
)

LABELS = ("schlecht", "so là là", "gut")
MODELS = {
    "encoder": lambda **settings: BertEncoder(tiny_config(), **settings),
    "bert": lambda **settings: BertClassifier(tiny_config(), LABELS, **settings),
    "tinybert_relu": lambda **settings: BertClassifier(
        tiny_config(activation="gelu_tanh"), LABELS, head="tinybert_relu", **settings
    ),
    "regression": lambda **settings: BertClassifier(
        tiny_config(activation="relu"), problem="regression", **settings
    ),
    "multilabel": lambda **settings: BertClassifier(
        tiny_config(pooler="relu"), LABELS, problem="multilabel", **settings
    ),
    "spans": lambda **settings: BertSpanLabeler(tiny_config(), **settings),
    "tags": lambda **settings: BertTokenClassifier(tiny_config(), LABELS, **settings),
    "masked LM": lambda **settings: BertMaskedLM(tiny_config(), **settings),
    "without a pooler": lambda **settings: BertEncoder(tiny_config(pooler="none"), **settings),
}


@pytest.fixture(scope="module", name="saved")
def save_models(tmp_path_factory):
    """Dict of kind to (model, folder)."""
    root = tmp_path_factory.mktemp("models")
    models = {kind: randomized(make(vocabulary=tiny_vocabulary())) for kind, make in MODELS.items()}
    for kind, model in models.items():
        checkpoints.save(model, root / kind)
    return {kind: (model, root / kind) for kind, model in models.items()}


@pytest.fixture(name="folder")
def copy_folder(saved, tmp_path):
    """A classifier's folder to damage."""
    return shutil.copytree(saved["bert"][1], tmp_path / "model")


def edit_config(folder, **changes):
    values = json.loads((folder / "config.json").read_text("utf-8")) | changes
    kept = {key: value for key, value in values.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept), "utf-8")


def edit_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path).items()
    safetensors.numpy.save_file(dict(change(name, value) for name, value in tensors), path)


def assert_same_outputs(actual, expected):
    actual, expected = (as_arrays(model(random_inputs())) for model in (actual, expected))
    assert set(actual) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_saved_is_loaded(saved, kind):
    model, folder = saved[kind]
    loaded = checkpoints.load(folder)
    assert type(loaded) is type(model)
    assert (loaded.config, loaded.vocabulary) == (model.config, tiny_vocabulary())
    for name in ("labels", "head", "problem"):
        assert getattr(loaded, name, None) == getattr(model, name, None)
    assert_same_outputs(loaded, model)


def test_model_without_vocabulary(tmp_path):
    checkpoints.save(MODELS["bert"](), tmp_path / "model")
    assert checkpoints.load(tmp_path / "model").vocabulary is None
    assert json.loads((tmp_path / "model" / "config.json").read_text())["pad_token_id"] == 0


def test_dtype_is_that_asked_for(saved):
    model = checkpoints.load(saved["bert"][1], dtype="mixed_bfloat16")
    assert model(random_inputs())["logits"].dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}


def test_tensors_are_named_and_laid_out_as_in_pytorch(saved):
    model, folder = saved["bert"]
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    assert len(tensors) == 5 + 2 * 16 + 2 + 2
    kernel = model.encoder.encoder_layers[1].intermediate_dense.kernel
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    np.testing.assert_array_equal(tensors[name], kernel.numpy().T)
    assert tensors["classifier.weight"].shape == (3, 16)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.removeprefix("bert."),
        lambda name: name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"),
    ],
    ids=["without the prefix", "with the norms' old names"],
)
def test_other_spellings_of_the_names(saved, folder, rename):
    edit_tensors(folder, lambda name, value: (rename(name), value))
    assert_same_outputs(checkpoints.load(folder), saved["bert"][0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_other_precision(saved, folder, dtype):
    edit_tensors(folder, lambda name, value: (name, value.astype(dtype)))
    expected = saved["bert"][0](random_inputs())["logits"]
    actual = checkpoints.load(folder)(random_inputs())["logits"]
    np.testing.assert_allclose(actual, expected, atol=0.1)


def test_head_of_other_programs(folder):
    edit_config(folder, id2label=..., problem_type=None, head=...)
    model = checkpoints.load(folder)
    assert model.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert (model.head, model.problem) == ("bert", "classification")


def test_one_output_of_other_programs_is_a_score(saved, tmp_path):
    folder = shutil.copytree(saved["regression"][1], tmp_path / "model")
    edit_config(folder, id2label={"0": "LABEL_0"}, problem_type=...)
    model = checkpoints.load(folder)
    assert (model.labels, model.problem) == (("score",), "regression")


def test_missing_folder_and_files(folder):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; expected a model folder"):
        checkpoints.load(folder / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        checkpoints.load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{'model_type': 'bert'}", "not JSON"),
        (b'{"model_type": "b\xff"}', "not JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100000, "not JSON"),
        (b"[1, 2]", "holds a list, expected a JSON object"),
        (b"{}", "lacks vocab_size, num_hidden_layers, .*; is it a BERT's config.json"),
    ],
)
def test_config_that_is_none(folder, content, message):
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"model/config\.json: {message}"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "`model_type` is 'roberta', expected \"bert\""),
        ({"model_type": None}, '`model_type` is None, expected "bert" or "distilbert"'),
        ({"position_embedding_type": "relative_key"}, "only absolute positions are supported"),
        ({"hidden_act": "silu"}, "`hidden_act` is 'silu', expected one of gelu, gelu_new"),
        ({"hidden_act": ["gelu"]}, r"`hidden_act` is \['gelu'\], expected one of"),
        ({"num_hidden_layers": 0}, "`num_layers` is 0, expected a positive integer"),
        ({"vocab_size": "40"}, "`vocabulary_size` is '40', expected a positive integer"),
        ({"hidden_size": None}, "`hidden_dim` is None, expected a positive integer"),
        ({"num_attention_heads": 5}, "`hidden_dim` 16 is not a multiple of `num_heads` 5"),
        ({"hidden_dropout_prob": None}, "not supported between instances"),
        ({"layer_norm_eps": -1}, "`layer_norm_epsilon` is -1, expected 0 < value < 1"),
        ({"head": "pooled"}, "`head` is 'pooled', expected one of bert, tinybert_relu"),
        ({"problem_type": "ranking"}, "`problem_type` is 'ranking', expected one of single_label"),
        ({"pooler": "max"}, "`pooler` is 'max', expected one of tanh, relu, none"),
        ({"problem_type": "regression"}, "but regression has one output"),
        ({"id2label": ["a", "b", "c"]}, r"`id2label` is \['a', 'b', 'c'\], expected an object"),
        ({"id2label": {"0": "a", "1": "b"}}, "names the outputs 0, 1, but .* have 3 outputs"),
        ({"id2label": {"1": "a", "2": "b", "3": "c"}}, "names the outputs 1, 2, 3, but"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "expected different names"),
    ],
)
def test_config_that_makes_no_sense(folder, changes, message):
    edit_config(folder, **changes)
    with pytest.raises(ValueError, match=rf"model/config\.json: .*{message}"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"vocab_size": 10**15}, "embeddings.word_embeddings.weight"),
        ({"max_position_embeddings": 10**15}, "embeddings.position_embeddings.weight"),
        ({"type_vocab_size": 10**15}, "embeddings.token_type_embeddings.weight"),
        ({"hidden_size": 10**8}, "embeddings.word_embeddings.weight"),
        ({"intermediate_size": 10**15}, "encoder.layer.1.intermediate.dense.weight"),
        ({"num_hidden_layers": 10**9}, "the tensor encoder.layer.999999999.intermediate"),
    ],
)
def test_size_that_the_weights_do_not_have(folder, changes, name):
    edit_config(folder, **changes)
    with pytest.raises(ValueError, match=rf"model/model\.safetensors: .*{name}"):
        checkpoints.load(folder)


def test_more_layers_than_the_config_says(folder):
    edit_config(folder, num_hidden_layers=1)
    with pytest.raises(ValueError, match=r"safetensors: has more layers than config\.json's 1"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: None, "lacks the tensor {}"),
        (lambda value: value[..., 1:], r"{} has shape \(.*\), but config.json asks for \(.*\)"),
        (lambda value: value[None], r"{} has shape \(1, .*\), but config.json asks for"),
    ],
)
@pytest.mark.parametrize("name", ["encoder.layer.0.output.LayerNorm.bias", "pooler.dense.weight"])
def test_tensors_that_do_not_fit(folder, name, change, message):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    changed = change(tensors.pop(f"bert.{name}"))
    if changed is not None:
        tensors[name] = np.ascontiguousarray(changed)
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(ValueError, match=rf"model/model\.safetensors: {message.format(name)}"):
        checkpoints.load(folder)


@pytest.mark.parametrize("shape", [(), (0, 16), (10**12, 0), (3,), (3, 16, 1)])
def test_classifier_of_absurd_shape(folder, shape):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["classifier.weight"] = np.zeros(shape, np.float32)
    safetensors.numpy.save_file(tensors, path)
    edit_config(folder, id2label=...)
    with pytest.raises(ValueError, match=r"`labels` are \(\)|classifier\.weight has shape"):
        checkpoints.load(folder)


@pytest.mark.parametrize("share", [0, 0.0001, 0.001, 0.05, 0.5, 0.999])
def test_truncated_weights(folder, share):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"safetensors: not a whole safetensors file \(.* bytes"):
        checkpoints.load(folder)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}, "not a whole"),
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, "not a whole safetensors file"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, "not a whole safetensors file"),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, "not a whole safetensors file"),
        ({"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]}, "a tensor has a dtype that"),
    ],
)
def test_header_that_lies(folder, entry, message):
    header = json.dumps({"classifier.bias": entry}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(8)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=rf"model/model\.safetensors: {message}"):
        checkpoints.load(folder)


def test_header_longer_than_anything(folder):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        checkpoints.load(folder)


def test_vocabulary_that_does_not_fit(folder):
    extra = "".join(f"word{number}\n" for number in range(9))
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write(extra)
    with pytest.raises(ValueError, match=r"model/vocab\.txt: 41 tokens, but the model has 40"):
        checkpoints.load(folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": "no"}')
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: `do_lower_case` is 'no'"):
        checkpoints.load(folder)


def test_saving_replaces_the_folder_whole(saved, folder):
    (folder / "left over").touch()
    encoder = saved["encoder"][0]
    checkpoints.save(encoder, folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"}
    assert_same_outputs(checkpoints.load(folder), encoder)


@pytest.mark.parametrize("step", ["safetensors.numpy.save_file", "os.rename"])
def test_saving_that_fails_leaves_the_old_folder(saved, folder, monkeypatch, step):
    def fail(*arguments, **settings):
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(step, fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(saved["encoder"][0], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_checkpoint_of_any_source_becomes_a_model(saved, folder):
    model = saved["bert"][0]
    checkpoint = checkpoints.read_checkpoint(str(folder))
    assert checkpoint.weights_source.endswith("model.safetensors")
    values, tensors = checkpoint.values, checkpoint.tensors
    built = checkpoints.build_model(Checkpoint("memory", values, tensors), dtype="float64")
    assert (built.vocabulary, built.dtype) == (None, "float64")
    np.testing.assert_array_equal(built.classifier.kernel, model.classifier.kernel)
    with pytest.raises(ValueError, match="memory: lacks the tensor embeddings.word_embeddings"):
        checkpoints.build_model(Checkpoint("memory", values, {}))


def test_first_format_that_recognises_a_path_reads_it(saved, folder, monkeypatch):
    tiny = checkpoints.read_checkpoint(saved["encoder"][1])
    formats = {
        "none": (lambda path: False, None),
        "file": (lambda path: path.name == "model.safetensors", lambda path: tiny),
    }
    monkeypatch.setattr(model_folder, "FORMATS", formats)
    assert_same_outputs(checkpoints.load(folder / "model.safetensors"), saved["encoder"][0])
    with pytest.raises(ValueError, match="config.json: not a model .* one of none, file"):
        checkpoints.load(folder / "config.json")
