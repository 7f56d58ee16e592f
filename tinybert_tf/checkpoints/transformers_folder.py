"""A folder in the layout of Hugging Face's transformers."""

from tinybert_tf.checkpoints import distilbert, hugging_face
from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.checkpoints.tokenizer_files import read_vocabulary
from tinybert_tf.checkpoints.weight_files import find_weights, read_weights


def is_folder(path):
    """Whether a path is a folder: every one may be meant as a model in this layout."""
    return path.is_dir()


def read_folder(folder):
    """Reads config.json, the weights and the vocabulary of a folder.

    Args:
        folder: `pathlib.Path`.

    Returns:
        `Checkpoint`; of a DistilBERT that of the BERT which computes the same.

    Raises:
        FileNotFoundError: If the folder lacks config.json or weights.
        ValueError: If it is no BERT, a file is damaged, or the vocabulary has more tokens than the
            model.
    """
    config = folder / "config.json"
    values = read_json(config)
    to_bert = _find_converter(values, config)
    weights = find_weights(folder)
    tensors = {hugging_face.bare_name(name): value for name, value in read_weights(weights).items()}
    values, tensors = to_bert(values, tensors, str(config))
    vocabulary = read_vocabulary(folder, values.get("vocab_size"))
    return Checkpoint(str(config), values, tensors, vocabulary, str(weights))


def _read_bert(values, tensors, source):
    """A BERT as it is; the TinyBERT authors' classifiers with their own head.

    Their files have the layers that students learnt by, and a config that names no kind of model.
    """
    has_projection = any(name.startswith(("fit_dense.", "fit_denses.")) for name in tensors)
    if "model_type" not in values and has_projection and "classifier.weight" in tensors:
        values = {"head": "tinybert_relu", **values}
    return values, tensors


# config.json's model_type: what makes a BERT of values and tensors
_CONVERTERS = {"bert": _read_bert, "distilbert": distilbert.to_bert}


def _find_converter(values, path):
    kind = values.get("model_type", "bert")
    if not isinstance(kind, str) or kind not in _CONVERTERS:
        expected = " or ".join(f'"{name}"' for name in _CONVERTERS)
        raise ValueError(f"{path}: `model_type` is {kind!r}, expected {expected}.")
    return _CONVERTERS[kind]
