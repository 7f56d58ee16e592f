"""A model on disk: a Hugging Face folder with config.json, model.safetensors and vocab.txt."""

import json
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from tinybert_tf.atomic import atomic_folder
from tinybert_tf.checkpoints import hugging_face
from tinybert_tf.models import BertClassifier, BertEncoder, Vocabulary


def load(folder, dtype=None):
    """Reads a model folder in Hugging Face's layout.

    Args:
        folder: str or path-like with `config.json`, `model.safetensors` and, where known,
            `vocab.txt`.
        dtype: a Keras dtype policy for the model; the variables are converted to it.

    Returns:
        `BertClassifier` if the weights hold a classifier, else `BertEncoder`.

    Raises:
        FileNotFoundError: If the folder or one of its files is missing.
        ValueError: If a file is damaged or does not describe a BERT, a tensor is missing or has
            another shape than the config says, or there are more layers than it says.

    Example:
        teacher = load("bert-base-sst2")
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a model folder.")
    source, weights = str(folder / "config.json"), folder / "model.safetensors"
    values = _read_json(folder / "config.json")
    config = hugging_face.read_config(values, source)
    tensors = {
        hugging_face.bare_name(name): value for name, value in read_safetensors(weights).items()
    }
    _check_sizes(config, tensors, weights)
    arguments = {"config": config, "vocabulary": _read_vocabulary(folder, config), "dtype": dtype}
    arguments["name"] = "bert"  # Keras' own would count the models of the process
    if "classifier.weight" in tensors:
        num_labels = tensors["classifier.weight"].size // config.hidden_dim
        arguments |= hugging_face.read_head(values, num_labels, source)
    model = _make(arguments, source)
    _assign(model, tensors, weights)
    return model


def save(model, folder):
    """Writes a model folder that `load`, transformers and KerasHub read; whole or not at all.

    Args:
        model: `BertClassifier` or `BertEncoder`.
        folder: str or path-like; a folder that is there is replaced with all that it holds.

    Raises:
        FileExistsError: If `folder` is a file.
    """
    with atomic_folder(folder) as temporary:
        write_files(model, temporary)


def write_files(model, folder):
    """Writes a model's files into an existing folder, beside what it holds."""
    config = json.dumps(hugging_face.write_config(model), indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")
    tensors = {}
    for name, variable in hugging_face.model_variables(model).items():
        value = np.asarray(variable.numpy(), np.float32)
        tensors[name] = np.ascontiguousarray(value.T) if hugging_face.is_transposed(name) else value
    write_safetensors(tensors, folder / "model.safetensors", {"format": "pt"})
    if model.vocabulary is not None:
        (folder / "vocab.txt").write_text(
            model.vocabulary.to_text(), encoding="utf-8", newline="\n"
        )
        tokenizer = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": model.vocabulary.lower_case,
            "model_max_length": model.config.max_sequence_length,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=2) + "\n")


def write_safetensors(tensors, path, metadata):
    """Writes a safetensors file.

    Args:
        tensors: dict of name to NumPy array.
        path: path-like.
        metadata: dict of str to str.

    Raises:
        OSError: If it cannot be written.
    """
    try:
        safetensors.numpy.save_file(tensors, path, metadata)
    except safetensors.SafetensorError as error:
        raise OSError(f"{path}: cannot be written ({error}).") from error


def read_safetensors(path):
    """The tensors of a safetensors file.

    Args:
        path: path-like.

    Returns:
        Dict of name to NumPy array.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is damaged: the library checks the header against the file's size.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected the model's weights.")
    try:
        return safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path}: not a whole safetensors file ({error}; it has {size} bytes). Copy it again."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # its dtype, to NumPy
        raise ValueError(
            f"{path}: a tensor has a dtype that cannot be read ({error}). Save it as float32."
        ) from error


def _read_json(path):
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; expected a model's config.") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, absurd numbers or depth
        raise ValueError(f"{path}: not JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: holds a {type(values).__name__}, expected a JSON object.")
    return values


def _read_vocabulary(folder, config):
    path, tokenizer = folder / "vocab.txt", folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    settings = _read_json(tokenizer) if tokenizer.is_file() else {}
    lower_case = settings.get("do_lower_case", True)
    if not isinstance(lower_case, bool):
        raise ValueError(f"{tokenizer}: `do_lower_case` is {lower_case!r}, expected true or false.")
    vocabulary = Vocabulary.from_file(path, lower_case)
    if len(vocabulary) > config.vocabulary_size:
        raise ValueError(
            f"{path}: {len(vocabulary)} tokens, but the model has {config.vocabulary_size}."
        )
    return vocabulary


def _make(arguments, source):
    """The model that the arguments describe: a classifier where they name labels."""
    try:
        return (BertClassifier if "labels" in arguments else BertEncoder)(**arguments)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _check_sizes(config, tensors, path):
    """Holds the config's sizes to the weights', before a model of absurd size is made."""
    for name, shape in hugging_face.body_shapes(config).items():
        _tensor(tensors, name, shape, path)
    if f"encoder.layer.{config.num_layers}.output.dense.weight" in tensors:
        raise ValueError(f"{path}: has more layers than config.json's {config.num_layers}.")


def _tensor(tensors, name, shape, path):
    """A tensor of the file, which has to have this shape."""
    if name not in tensors:
        raise ValueError(f"{path}: lacks the tensor {name}.")
    if tensors[name].shape != shape:
        raise ValueError(
            f"{path}: {name} has shape {tensors[name].shape}, but config.json asks for {shape}."
        )
    return tensors[name]


def _assign(model, tensors, path):
    """Sets every variable of the model, after all of them have been found to fit."""
    found = []
    for name, variable in hugging_face.model_variables(model).items():
        bare, shape = hugging_face.bare_name(name), tuple(variable.shape)
        if hugging_face.is_transposed(name):
            found.append((variable, _tensor(tensors, bare, shape[::-1], path).T))
        else:
            found.append((variable, _tensor(tensors, bare, shape, path)))
    for variable, value in found:
        variable.assign(value)
