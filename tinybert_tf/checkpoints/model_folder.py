"""A model on disk: written as a Hugging Face folder, read from every format of the table."""

import json
import pathlib

import numpy as np

from tinybert_tf.atomic import atomic_folder
from tinybert_tf.checkpoints import (
    google_tf1,
    hugging_face,
    keras_hub,
    model_garden,
    transformers_folder,
)
from tinybert_tf.checkpoints.building import build_model
from tinybert_tf.checkpoints.weight_files import write_safetensors
from tinybert_tf.quantization import on_grid
from tinybert_tf.short_errors import short_errors

# Name: (whether a path is of this format, its reader, which makes a `Checkpoint`). The first that
# recognises a path reads it; the last is what every other folder is taken for.
FORMATS = {
    "keras-hub": (keras_hub.is_keras_hub, keras_hub.read_keras_hub),
    "google-tf1": (google_tf1.is_google_tf1, google_tf1.read_google_tf1),
    "model-garden": (model_garden.is_model_garden, model_garden.read_model_garden),
    "hugging-face": (transformers_folder.is_folder, transformers_folder.read_folder),
}


@short_errors()
def read_checkpoint(path):
    """Reads a checkpoint of whatever format.

    Args:
        path: str or path-like, a file or folder.

    Returns:
        `Checkpoint`.

    Raises:
        FileNotFoundError: If the path or one of its files is missing.
        ValueError: If a file is damaged or the path is of no format that is known.
    """
    path = pathlib.Path(path)
    for recognise, read in FORMATS.values():
        if recognise(path):
            return read(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder; expected a model folder.")
    raise ValueError(
        f"{path}: not a model of any known format, expected one of {', '.join(FORMATS)}."
    )


def load(path, dtype=None):
    """Reads a model of any format in the table `FORMATS`.

    Args:
        path: str or path-like; of a Hugging Face model the folder with `config.json`, the weights
            (`model.safetensors` or `pytorch_model.bin`, whole or in shards) and, where known,
            `vocab.txt` or `tokenizer.json`.
        dtype: a Keras dtype policy for the model; the variables are converted to it.

    Returns:
        The model that the weights hold: see `build_model`.

    Raises:
        FileNotFoundError: If the path or one of its files is missing.
        ValueError: If a file is damaged or does not describe a BERT, a tensor is missing or has
            another shape than the config says, or there are more layers than it says.

    Example:
        teacher = load("bert-base-sst2")
    """
    return build_model(read_checkpoint(path), dtype)


def save(model, folder):
    """Writes a model folder that `load`, transformers and KerasHub read; whole or not at all.

    Args:
        model: `BertEncoder`, `BertMaskedLM` or a model with a head for a task; or a
            `QuantizedStudent`, whose rounded weights are written.
        folder: str or path-like; a folder that is there is replaced with all that it holds.

    Raises:
        FileExistsError: If `folder` is a file.
    """
    with atomic_folder(folder) as temporary:
        write_files(model, temporary)


def write_files(model, folder):
    """Writes a model's files into an existing folder, beside what it holds."""
    with on_grid(model) as model:
        _write_files(model, folder)


def _write_files(model, folder):
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
