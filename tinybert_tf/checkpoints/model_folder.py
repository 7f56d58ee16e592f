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
        ValueError: If a file is damaged or does not describe a BERT, or a tensor is missing or has
            another shape than the config says.

    Example:
        teacher = load("bert-base-sst2")
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a model folder.")
    values = _read_json(folder / "config.json")
    config = hugging_face.read_config(values, str(folder / "config.json"))
    tensors = read_safetensors(folder / "model.safetensors")
    vocabulary = _read_vocabulary(folder)
    if "classifier.weight" in tensors:
        model = BertClassifier(
            config,
            labels=hugging_face.read_labels(
                values, len(tensors["classifier.weight"]), str(folder / "config.json")
            ),
            head=values.get("head", "bert"),
            problem=_problem(values),
            vocabulary=vocabulary,
            dtype=dtype,
        )
    else:
        model = BertEncoder(config, vocabulary, dtype=dtype)
    _assign(model, tensors, folder / "model.safetensors")
    return model


def save(model, folder):
    """Writes a model folder that `load`, transformers and KerasHub read; whole or not at all.

    Args:
        model: `BertClassifier` or `BertEncoder`.
        folder: str or path-like; what is there is replaced.
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
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
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
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path}: not a whole safetensors file ({error}; it has {size} bytes). Copy it again."
        ) from error


def _read_json(path):
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; expected a model's config.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: holds a {type(values).__name__}, expected a JSON object.")
    return values


def _read_vocabulary(folder):
    if not (folder / "vocab.txt").is_file():
        return None
    tokenizer = folder / "tokenizer_config.json"
    settings = _read_json(tokenizer) if tokenizer.is_file() else {}
    return Vocabulary.from_file(folder / "vocab.txt", settings.get("do_lower_case", True))


def _problem(values):
    return "regression" if values.get("problem_type") == "regression" else "classification"


def _assign(model, tensors, path):
    """Sets every variable of the model, after all of them have been found to fit."""
    found = {}
    for name, variable in hugging_face.model_variables(model).items():
        bare = name.removeprefix("bert.")
        value = tensors.get(f"bert.{bare}", tensors.get(bare))
        if value is None:
            raise ValueError(f"{path}: lacks the tensor {name}.")
        if hugging_face.is_transposed(name):
            value = value.T
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{path}: {name} has shape {value.shape}, but config.json asks for "
                f"{tuple(variable.shape)}."
            )
        found[name] = (variable, value)
    for variable, value in found.values():
        variable.assign(value)
