"""BERT encoders of the TensorFlow Model Garden (`official.nlp`): their checkpoints and objects."""

import dataclasses
import math

import numpy as np
import yaml

from tinybert_tf.checkpoints.building import build_model
from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.checkpoints.kernels import from_kernel, tensor_names
from tinybert_tf.checkpoints.tensor_bundle import TensorBundle, find_prefix
from tinybert_tf.checkpoints.tokenizer_files import read_vocabulary

_TABLES = {
    "embeddings.word_embeddings.weight": "word_embeddings/embeddings",
    "embeddings.position_embeddings.weight": "position_embedding/embeddings",
    "embeddings.token_type_embeddings.weight": "type_embeddings/embeddings",
}
_PARTS = {
    "embeddings.LayerNorm": "embeddings/layer_norm",
    "pooler.dense": "pooler_transform",
    "classifier": "sentence_prediction/logits",
}
_LAYER_PARTS = {
    "attention.self.query": "self_attention/query",
    "attention.self.key": "self_attention/key",
    "attention.self.value": "self_attention/value",
    "attention.output.dense": "self_attention/attention_output",
    "attention.output.LayerNorm": "self_attention_layer_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_layer_norm",
}
_FIRST = _TABLES["embeddings.word_embeddings.weight"]
_FIRST_QUERY = "transformer/layer_0/self_attention/query/kernel"
_OWN_POOLER = "sentence_prediction/pooler_dense/kernel"
# What an encoder's params.yaml, its `get_config` or a bert_config.json call a value: config.json.
_CONFIG_KEYS = {
    "hidden_activation": "hidden_act",
    "hidden_act": "hidden_act",
    "dropout_rate": "hidden_dropout_prob",
    "output_dropout": "hidden_dropout_prob",
    "hidden_dropout_prob": "hidden_dropout_prob",
    "attention_dropout_rate": "attention_probs_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "attention_probs_dropout_prob": "attention_probs_dropout_prob",
    "initializer_range": "initializer_range",
}
_MOST_PARAMS_BYTES = 2**17  # a params.yaml has three thousand
# What PyYAML raises beside its own exceptions where a value is not of the kind that its tag says.
_TAG_ERRORS = (AttributeError, IndexError, KeyError, TypeError, OverflowError)
_PATHS_TO_ENCODER = (("task", "model", "encoder"), ("model", "encoder"), ("encoder",), ())


def is_model_garden(path):
    """Whether a path is the folder or the prefix of a checkpoint that TensorFlow 2 wrote."""
    prefix = find_prefix(path)
    return prefix is not None and TensorBundle(prefix).is_object_based


def read_model_garden(path):
    """Reads a checkpoint of a Model Garden BERT, or of a model that contains one.

    Args:
        path: `pathlib.Path` of a folder with `*.index`, or of one of them without `.index`; beside
            it, where known, `params.yaml` or `bert_config.json`, and `vocab.txt`.

    Returns:
        `Checkpoint`. Its sizes are those of the tensors. Its "gelu" is the approximation, as it is
        there. Classes have no names in such a checkpoint; of a head with a pooler of its own only
        the encoder is read.

    Raises:
        FileNotFoundError: If a file of tensors is missing.
        ValueError: If a file is damaged, or the checkpoint holds no BERT encoder.
    """
    prefix = find_prefix(path)
    bundle = TensorBundle(prefix)
    keys = bundle.variable_names()
    variables = {name: bundle.read(key) for name, key in _encoder_part(keys, prefix).items()}
    source, settings = _read_settings(prefix)
    settings = {"hidden_act": "gelu"} | settings
    if settings["hidden_act"] == "gelu":
        settings["hidden_act"] = "gelu_new"
    checkpoint = _checkpoint(source, variables, settings, f"{prefix}.index")
    vocabulary = read_vocabulary(prefix.parent, checkpoint.values["vocab_size"])
    return dataclasses.replace(checkpoint, vocabulary=vocabulary)


def from_model_garden(encoder, vocabulary=None):
    """Our encoder with the weights of a Model Garden encoder.

    Args:
        encoder: `official.nlp.modeling.networks.BertEncoderV2` or `BertEncoder`, its weights made.
        vocabulary: `Vocabulary`, or `None` where it is not known.

    Returns:
        `BertEncoder`.

    Raises:
        ValueError: If it is another kind of encoder, or its activation is not known here.

    Example:
        from_model_garden(hub_encoder, Vocabulary.from_file("vocab.txt"))
    """
    names = {variable.name.partition(":")[0]: variable for variable in encoder.variables}
    variables = {
        name: variable.numpy() for name, variable in _encoder_part(names, encoder.name).items()
    }
    settings = _settings(encoder.get_config(), encoder.name)
    settings["hidden_act"] = _activation(encoder)
    checkpoint = _checkpoint(encoder.name, variables, settings)
    return build_model(dataclasses.replace(checkpoint, vocabulary=vocabulary))


def _encoder_part(variables, source):
    """Of a dict by name the encoder's and its head's, their names without the model's name."""
    ends = [name for name in variables if f"/{name}".endswith(f"/{_FIRST}")]
    if not ends or "transformer/" not in "".join(variables):
        raise ValueError(f"{source}: holds no BERT encoder of the Model Garden.")
    prefix = min(ends, key=len).removesuffix(_FIRST)  # an optimizer's begin with its own name too
    return {
        name.removeprefix(prefix): value
        for name, value in variables.items()
        if name.startswith(prefix) and _is_known(name.removeprefix(prefix))
    }


def _is_known(name):
    known = (*_TABLES.values(), *_PARTS.values(), _OWN_POOLER, "transformer/layer_")
    return name.startswith(known) and not name.endswith(("/m", "/v", "/momentum"))


def _checkpoint(source, variables, settings, weights_source=""):
    """The checkpoint of an encoder's variables, without a vocabulary."""
    num_layers = 0
    while f"transformer/layer_{num_layers}/output/kernel" in variables:
        num_layers += 1
    names = _TABLES | tensor_names(
        _PARTS,
        _LAYER_PARTS,
        "transformer/layer_{}".format,
        num_layers,
        ("kernel", "bias"),
        ("gamma", "beta"),
    )
    tensors = {
        ours: from_kernel(ours, variables[theirs])
        for ours, theirs in names.items()
        if theirs in variables and not (ours.startswith("classifier") and _OWN_POOLER in variables)
    }
    kind = "BertForSequenceClassification" if "classifier.weight" in tensors else "BertModel"
    values = {"model_type": "bert", "architectures": [kind], **_sizes(tensors, variables, source)}
    values |= {"num_hidden_layers": num_layers, **settings}
    return Checkpoint(source, values, tensors, weights_source=weights_source)


def _sizes(tensors, variables, source):
    """The sizes of a config.json, as the tensors have them."""
    try:
        vocabulary_size, hidden_dim = tensors["embeddings.word_embeddings.weight"].shape
        return {
            "vocab_size": vocabulary_size,
            "hidden_size": hidden_dim,
            "num_attention_heads": variables[_FIRST_QUERY].shape[1],
            "intermediate_size": tensors["encoder.layer.0.intermediate.dense.weight"].shape[0],
            "max_position_embeddings": tensors["embeddings.position_embeddings.weight"].shape[0],
            "type_vocab_size": tensors["embeddings.token_type_embeddings.weight"].shape[0],
        }
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(f"{source}: not a BERT encoder of the Model Garden ({error}).") from error


def _read_settings(prefix):
    """The file beside a checkpoint that tells its settings, or the checkpoint, and the settings."""
    for name, read in (("bert_config.json", read_json), ("params.yaml", _read_params)):
        path = prefix.parent / name
        if path.is_file():
            return str(path), _settings(read(path), path)
    return f"{prefix}.index", {}


def _settings(values, source):
    """Values of config.json that the tensors do not tell."""
    if values.get("norm_first"):
        raise ValueError(f"{source}: `norm_first` is true, which is no BERT.")
    return {ours: values[theirs] for theirs, ours in _CONFIG_KEYS.items() if theirs in values}


class _Loader(yaml.SafeLoader):
    """Reads YAML without `<<`, by which a few lines grow to gigabytes."""

    def flatten_mapping(self, node):
        """Leaves `<<` where it is: a tag without a meaning, which is refused."""


def _read_params(path):
    """The encoder's part of a params.yaml."""
    if path.stat().st_size > _MOST_PARAMS_BYTES:
        raise ValueError(f"{path}: has {path.stat().st_size} bytes, too many for settings.")
    try:
        params = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (ValueError, RecursionError, yaml.YAMLError, *_TAG_ERRORS) as error:
        raise ValueError(f"{path}: not YAML ({error}).") from error
    for keys in _PATHS_TO_ENCODER:
        found = params
        for key in (*keys, "bert"):
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    raise ValueError(f"{path}: lacks the settings `encoder: bert:`; is it a BERT's params.yaml?")


def _activation(encoder):
    """Which activation an encoder computes, as config.json names it: its config may say <lambda>.

    Raises:
        ValueError: If it is none that is known here.
    """
    x = np.linspace(-4, 4, 81)
    erf = np.vectorize(math.erf)
    known = {
        "gelu": x * (1 + erf(x / np.sqrt(2))) / 2,
        "gelu_new": x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
        "relu": np.maximum(x, 0),
    }
    computed = np.asarray(
        encoder.transformer_layers[0]._intermediate_activation_layer(np.float32(x))
    )
    for name, values in known.items():
        if np.allclose(computed, values, rtol=0, atol=1e-5):
            return name
    raise ValueError(f"{encoder.name}: its activation is not one of {', '.join(known)}.")
