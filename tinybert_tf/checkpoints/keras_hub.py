"""KerasHub's BERT: its preset folders, read and written, and its objects."""

import json
import math
import pathlib
import tempfile
import warnings

import h5py
import keras
import numpy as np

from tinybert_tf.atomic import atomic_folder
from tinybert_tf.checkpoints.building import build_model
from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.hugging_face import bare_name, model_variables
from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.checkpoints.kernels import from_kernel, tensor_names, to_kernel
from tinybert_tf.models import BertClassifier, BertMaskedLM, Vocabulary

_BACKBONE, _CLASSIFIER = "keras_hub>BertBackbone", "keras_hub>BertTextClassifier"
# What is read, of KerasNLP too, which KerasHub grew from.
_BACKBONES = (_BACKBONE, "keras_nlp>BertBackbone")
_CLASSIFIERS = tuple(
    f"{package}>{name}"
    for package in ("keras_hub", "keras_nlp")
    for name in ("BertTextClassifier", "BertClassifier")
)
_EPSILON = 1e-12  # of KerasHub's layer norms, always
# config.json of KerasHub: of Hugging Face
_CONFIG_KEYS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
}
# Groups of model.weights.h5, which Keras numbers by the layer's class.
_TABLES = {
    "embeddings.word_embeddings.weight": "reversible_embedding/vars/0",
    "embeddings.position_embeddings.weight": "position_embedding/vars/0",
    "embeddings.token_type_embeddings.weight": "embedding/vars/0",
}
_PARTS = {"embeddings.LayerNorm": "layer_normalization", "pooler.dense": "dense"}
_LAYER_PARTS = {
    "attention.self.query": "_self_attention_layer/query_dense",
    "attention.self.key": "_self_attention_layer/key_dense",
    "attention.self.value": "_self_attention_layer/value_dense",
    "attention.output.dense": "_self_attention_layer/output_dense",
    "attention.output.LayerNorm": "_self_attention_layer_norm",
    "intermediate.dense": "_feedforward_intermediate_dense",
    "output.dense": "_feedforward_output_dense",
    "output.LayerNorm": "_feedforward_layer_norm",
}
_HEAD = {"classifier.weight": "dense/vars/0", "classifier.bias": "dense/vars/1"}
_ROOTS = ("layers", "_layer_checkpoint_dependencies")  # of Keras 3 today, and in its beginning
_MOST_LAYERS = 1000
# What h5py raises over damaged files.
_READ_ERRORS = (AttributeError, KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
_VOCABULARY = "assets/tokenizer/vocabulary.txt"


def is_keras_hub(path):
    """Whether a path is a folder with a KerasHub preset."""
    config = path / "config.json"
    return config.is_file() and "registered_name" in read_json(config)


def read_keras_hub(folder):
    """Reads the preset of a BERT backbone, or of a text classifier.

    Args:
        folder: `pathlib.Path` with `config.json`, `model.weights.h5` and, where known, tokenizer
            (`tokenizer.json`, `assets/tokenizer/vocabulary.txt`) and head (`task.json`,
            `task.weights.h5`). `labels.txt`, one a line, names the classes: only we write it.

    Returns:
        `Checkpoint`. KerasHub's GELU is the approximation.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is damaged or describes something else than a BERT.
    """
    source, weights = folder / "config.json", folder / "model.weights.h5"
    values = _read_config(source)
    tensors = _read_weights(weights, _names(values["num_hidden_layers"]))
    task = folder / "task.json"
    task = read_json(task) if task.is_file() else {}
    if task.get("registered_name") in _CLASSIFIERS:
        tensors |= _read_weights(folder / "task.weights.h5", _HEAD)
        values |= _head_values(folder, task, tensors["classifier.bias"].size)
    return Checkpoint(str(source), values, tensors, _read_vocabulary(folder), str(weights))


def from_keras_hub(backbone, vocabulary=None):
    """Our encoder with the weights of a KerasHub backbone.

    Args:
        backbone: `keras_hub.models.BertBackbone`.
        vocabulary: `Vocabulary`, or `None` where it is not known.

    Returns:
        `BertEncoder`.

    Raises:
        ValueError: If it is another kind of model.
    """
    name = keras.saving.get_registered_name(type(backbone))
    values = _to_values({"registered_name": name, "config": backbone.get_config()}, name)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.weights.h5"
        backbone.save_weights(path)
        tensors = _read_weights(path, _names(values["num_hidden_layers"]))
    return build_model(Checkpoint(name, values, tensors, vocabulary))


def save_keras_hub(model, folder):
    """Writes a folder that `keras_hub.models.BertBackbone.from_preset` reads; whole or not at all.

    A classifier's head goes into the files of a `BertTextClassifier`, and its labels, for which
    KerasHub has no place, into `labels.txt`.

    Args:
        model: `BertEncoder`, or `BertClassifier` of classes or a score; of a `BertMaskedLM` the
            encoder is written, with a warning.
        folder: str or path-like; a folder that is there is replaced with all that it holds.

    Raises:
        FileExistsError: If `folder` is a file.
        ValueError: If KerasHub's BERT cannot be what the model is.
    """
    _check_model(model)
    with atomic_folder(folder) as temporary:
        _write_backbone(model, temporary)
        if model.vocabulary is not None:
            _write_tokenizer(model.vocabulary, temporary)
        if isinstance(model, BertClassifier):
            _write_task(model, temporary)


def _names(num_layers):
    """Hugging Face's name of every tensor of the backbone, and its place in the file."""
    parameters = ("vars/0", "vars/1")
    return _TABLES | tensor_names(
        _PARTS, _LAYER_PARTS, _layer_group, num_layers, parameters, parameters
    )


def _layer_group(number):
    return f"transformer_encoder_{number}" if number else "transformer_encoder"


def _read_config(path):
    return _to_values(read_json(path), path)


def _to_values(content, source):
    """The values of a Hugging Face config.json."""
    if content.get("registered_name") not in _BACKBONES:
        raise ValueError(
            f"{source}: describes {content.get('registered_name')!r}, expected {_BACKBONE!r}."
        )
    config = content.get("config")
    if not isinstance(config, dict):
        raise ValueError(f"{source}: `config` is {config!r}, expected an object.")
    num_layers = config.get("num_layers")
    if type(num_layers) is not int or not 0 < num_layers <= _MOST_LAYERS:
        raise ValueError(f"{source}: `num_layers` is {num_layers!r}, expected 1 to {_MOST_LAYERS}.")
    values = {ours: config[theirs] for theirs, ours in _CONFIG_KEYS.items() if theirs in config}
    values["attention_probs_dropout_prob"] = values.get("hidden_dropout_prob", 0.1)
    values |= {"hidden_act": "gelu_new", "layer_norm_eps": _EPSILON}
    return {"model_type": "bert", "architectures": ["BertModel"], **values}


def _head_values(folder, task, num_labels):
    """What config.json says of a classifier's head."""
    path, config = folder / "labels.txt", task.get("config")
    values = {"architectures": ["BertForSequenceClassification"]}
    if isinstance(config, dict) and config.get("activation") == "sigmoid":
        values["problem_type"] = "multi_label_classification"
    if path.is_file():
        try:
            labels = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 ({error}).") from error
        if len(labels) != num_labels:
            raise ValueError(f"{path}: {len(labels)} labels, but the head has {num_labels}.")
        values["id2label"] = {str(number): label for number, label in enumerate(labels)}
    return values


def _read_vocabulary(folder):
    path, tokenizer = folder / _VOCABULARY, folder / "tokenizer.json"
    if not path.is_file():
        return None
    config = read_json(tokenizer).get("config") if tokenizer.is_file() else None
    lower_case = config.get("lowercase") if isinstance(config, dict) else None
    if lower_case not in (None, True, False):
        raise ValueError(f"{tokenizer}: `lowercase` is {lower_case!r}, expected true or false.")
    return Vocabulary.from_file(path, lower_case)


def _read_weights(path, names):
    """The tensors of a weights file under Hugging Face's names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks a tensor or holds one elsewhere than in itself.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a preset's weights.")
    try:
        with h5py.File(path, "r") as file:
            root = next((name for name in _ROOTS if name in file), _ROOTS[0])
            arrays = {ours: _find_array(file, f"{root}/{theirs}") for ours, theirs in names.items()}
            # Links make many of one array, compression a large one of a small one.
            if sum(map(_num_bytes, arrays.values())) > path.stat().st_size:
                raise ValueError("what is larger than it is no array of numbers in this file")
            return {
                ours: from_kernel(ours, array[()].astype(np.float32))
                for ours, array in arrays.items()
            }
    except _READ_ERRORS as error:
        raise ValueError(f"{path}: damaged, or no BERT's weights ({error}).") from error


def _find_array(file, name):
    """One array, not read; what leads out of the file is refused."""
    group = file
    for part in name.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"lacks {name}")
        group = group[part]
    whole = isinstance(group, h5py.Dataset) and not (group.is_virtual or group.external)
    if not whole or group.dtype.kind != "f":
        raise ValueError(f"{name} is no array of numbers in this file")
    return group


def _num_bytes(array):
    return math.prod(array.shape) * array.dtype.itemsize


def _check_model(model):
    """Refuses what KerasHub's BERT cannot be, and warns of what differs there."""
    config = model.config
    if getattr(model, "head", "bert") != "bert" or config.pooler != "tanh":
        raise ValueError(
            "KerasHub's BERT has a pooler with tanh and a head right on it; this model has "
            f"pooler {config.pooler!r} and head {getattr(model, 'head', None)!r}."
        )
    if config.activation == "relu" or config.layer_norm_epsilon != _EPSILON:
        raise ValueError(
            f"KerasHub's BERT has GELU and a layer norm's epsilon of {_EPSILON}; this model has "
            f"{config.activation} and {config.layer_norm_epsilon}."
        )
    if isinstance(model, BertMaskedLM):
        warnings.warn("Only the encoder is written, not the masked LM's head.", stacklevel=3)
    if config.activation == "gelu":
        warnings.warn(
            "KerasHub computes GELU by its tanh approximation, this model was made for the exact "
            "one: hidden states there differ in the third or fourth digit.",
            stacklevel=3,
        )


def _write_backbone(model, folder):
    config = model.config
    values = {key: getattr(config, key) for key in _CONFIG_KEYS}
    _write_json(folder / "config.json", "bert.bert_backbone", "BertBackbone", values)
    metadata = {"keras_version": keras.__version__, "tasks": ["MaskedLM", "TextClassifier"]}
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=4))
    arrays = {bare_name(name): variable for name, variable in model_variables(model).items()}
    _write_weights(arrays, _names(config.num_layers), config.num_heads, folder / "model.weights.h5")


def _write_tokenizer(vocabulary, folder):
    values = {"vocabulary": None, "sequence_length": None, "lowercase": vocabulary.lower_case}
    values |= {"strip_accents": vocabulary.lower_case, "split": True, "suffix_indicator": "##"}
    values |= {"oov_token": "[UNK]", "special_tokens": None, "special_tokens_in_strings": False}
    values["config_file"] = "tokenizer.json"
    _write_json(folder / "tokenizer.json", "bert.bert_tokenizer", "BertTokenizer", values)
    path = folder / _VOCABULARY
    path.parent.mkdir(parents=True)
    path.write_text(vocabulary.to_text(), encoding="utf-8", newline="\n")


def _write_task(model, folder):
    backbone = json.loads((folder / "config.json").read_text())
    values = {"backbone": backbone, "preprocessor": None, "num_classes": len(model.labels)}
    activation = "sigmoid" if model.problem == "multilabel" else "linear"
    values |= {"activation": activation, "dropout": model.config.dropout}
    module = "bert.bert_text_classifier"
    _write_json(folder / "task.json", module, "BertTextClassifier", values)
    head = {name: variable for name, variable in model_variables(model).items() if name in _HEAD}
    _write_weights(head, _HEAD, 1, folder / "task.weights.h5")
    labels = "".join(f"{label}\n" for label in model.labels)
    (folder / "labels.txt").write_text(labels, encoding="utf-8", newline="\n")


def _write_json(path, module, class_name, config):
    content = {
        "module": f"keras_hub.src.models.{module}",
        "class_name": class_name,
        "config": config,
        "registered_name": f"keras_hub>{class_name}",
    }
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


def _write_weights(variables, names, num_heads, path):
    """Writes variables, found by Hugging Face's name, where Keras looks for them."""
    with h5py.File(path, "w") as file:
        for ours, theirs in names.items():
            value = np.asarray(variables[ours].numpy(), np.float32)
            file[f"{_ROOTS[0]}/{theirs}"] = to_kernel(ours, value, num_heads)
