"""The checkpoints that Google released BERT with, and those fine-tuned by the released programs."""

import re

from tinybert_tf.checkpoints.checkpoint import Checkpoint
from tinybert_tf.checkpoints.hugging_face import bare_name
from tinybert_tf.checkpoints.json_file import read_json
from tinybert_tf.checkpoints.kernels import from_kernel
from tinybert_tf.checkpoints.tensor_bundle import TensorBundle, find_prefix
from tinybert_tf.checkpoints.tokenizer_files import read_vocabulary

# Variables of the heads that run_classifier.py and run_squad.py train, `(outputs, hidden)`, and the
# one of the masked LM's that has a name of its own.
_HEADS = {
    "output_weights": "classifier.weight",
    "output_bias": "classifier.bias",
    "cls/squad/output_weights": "qa_outputs.weight",
    "cls/squad/output_bias": "qa_outputs.bias",
    "cls/predictions/output_bias": "cls.predictions.bias",
}
_MODEL = ("bert/", "cls/predictions/transform/")
_OPTIMIZER = ("adam_m", "adam_v")


def is_google_tf1(path):
    """Whether a path is the folder or the prefix of a checkpoint that TensorFlow 1 wrote."""
    prefix = find_prefix(path)
    return prefix is not None and not TensorBundle(prefix).is_object_based


def read_google_tf1(path):
    """Reads a checkpoint of the released BERT programs.

    Args:
        path: `pathlib.Path` of a folder with `bert_model.ckpt.index`, or with one or more
            `model.ckpt-NNN.index`, of which the last is taken; or of one of them without `.index`.
            `bert_config.json` lies beside it and, where known, `vocab.txt`.

    Returns:
        `Checkpoint`. Classes have no names in such a checkpoint.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is damaged.

    Note:
        `gelu` in bert_config.json is taken for the exact one, as it was when the first checkpoints
        were trained and as transformers takes it; the programs' last version has its approximation.
    """
    prefix = find_prefix(path)
    config = prefix.parent / "bert_config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"{config}: no such file. Copy it from the checkpoint that {prefix.name} began with."
        )
    bundle, tensors = TensorBundle(prefix), {}
    for name in bundle.floats():
        if name in _HEADS:
            tensors[_HEADS[name]] = bundle.read(name)
        elif name.startswith(_MODEL) and not name.endswith(_OPTIMIZER):
            ours = hugging_face_name(name)
            tensors[ours] = from_kernel(ours, bundle.read(name))
    values = read_json(config) | {"model_type": "bert", "architectures": [_architecture(tensors)]}
    vocabulary = read_vocabulary(prefix.parent, values.get("vocab_size"))
    return Checkpoint(str(config), values, tensors, vocabulary, f"{prefix}.index")


def hugging_face_name(name):
    """Hugging Face's name of a variable of the released programs.

    Example:
        hugging_face_name("bert/encoder/layer_0/output/dense/kernel")
        # "encoder.layer.0.output.dense.weight"
    """
    name = re.sub(r"layer_(\d+)", r"layer.\1", name.removeprefix("bert/")).replace("/", ".")
    if name.endswith("_embeddings"):
        return f"{name}.weight"
    return bare_name(re.sub(r"kernel$", "weight", name))


def _architecture(tensors):
    if "qa_outputs.weight" in tensors:
        return "BertForQuestionAnswering"
    if "classifier.weight" in tensors:
        return "BertForSequenceClassification"
    return "BertForPreTraining"  # of which it may have the encoder alone
