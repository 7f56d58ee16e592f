"""A model with a head as a TensorFlow SavedModel, for servers."""

import tensorflow as tf

from tinybert_tf.atomic import atomic_folder
from tinybert_tf.data import BertTokenizer
from tinybert_tf.models.served_outputs import SERVED_OUTPUTS, served_files


def save_saved_model(model, folder):
    """Writes a SavedModel; whole or not at all.

    Its signatures, all with outputs of float32 by the model's problem:

    - `serving_default`: int32 `ids`, `mask` (1 at real tokens) and `segment_ids`, `(batch,
      length)`, any length up to the model's greatest;
    - `text`, where the model has a vocabulary: string `text` `(batch,)`, UTF-8;
    - `text_pair`, the same: string `text` and `text_pair` `(batch,)`; of spans the question and
      the context.

    The outputs are `probabilities` `(batch, num_labels)`, `score` `(batch, 1)`, `start_logits` and
    `end_logits` `(batch, length)`, or `tag_logits` `(batch, length, num_labels)`. Texts are cut to
    the model's length. Labels, vocabulary and settings lie in `assets.extra`.

    Args:
        model: `BertClassifier`, `BertSpanLabeler` or `BertTokenClassifier`.
        folder: str or path-like; a folder that is there is replaced with all that it holds.

    Raises:
        FileExistsError: If `folder` is a file.
        ValueError: If the model has no head for a task, or does not compute in float32.

    Note:
        The tokenizer's operators come from TensorFlow Text: a program that loads the folder has to
        `import tensorflow_text` first; TensorFlow Serving has them.

    Example:
        save_saved_model(tb.load("runs/sst2/student"), "serving/sst2/1")
        # import tensorflow_text; tf.saved_model.load("serving/sst2/1").signatures["text"]
    """
    if getattr(model, "labels", None) is None:
        raise ValueError("The model has no head for a task. Fine-tune or distil it on one first.")
    if model.compute_dtype != "float32":
        raise ValueError(
            f"The model computes in {model.compute_dtype}; a SavedModel computes in float32. "
            'Load the model with dtype="float32".'
        )
    module = tf.Module()
    # Variables that TensorFlow cannot reach from the module would not be saved.
    module.weights = [variable.value for variable in model.variables]
    signatures = {"serving_default": _ids_signature(model)}
    if model.vocabulary is not None:
        signatures |= _text_signatures(model, BertTokenizer(model.vocabulary))
    with atomic_folder(folder) as temporary:
        tf.saved_model.save(module, str(temporary), signatures)
        _write_extra_assets(model, temporary / "assets.extra")


def _ids_signature(model):
    specs = [
        tf.TensorSpec((None, None), tf.int32, name=name) for name in ("ids", "mask", "segment_ids")
    ]

    @tf.function(input_signature=specs, autograph=False)
    def serve(ids, mask, segment_ids):
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": segment_ids}
        return SERVED_OUTPUTS[model.problem](model(inputs, training=False)["logits"])

    return serve


def _text_signatures(model, tokenizer):
    spec = tf.TensorSpec((None,), tf.string)

    def answer(text, text_pair=None):
        ids, segment_ids = tokenizer.encode(
            text, text_pair, max_length=model.config.max_sequence_length
        )
        inputs = {
            "token_ids": ids.to_tensor(model.vocabulary.pad_id),
            "padding_mask": tf.ones_like(ids).to_tensor(),
            "segment_ids": segment_ids.to_tensor(),
        }
        return SERVED_OUTPUTS[model.problem](model(inputs, training=False)["logits"])

    return {
        "text": tf.function(lambda text: answer(text), [spec], autograph=False),
        "text_pair": tf.function(answer, [spec, spec], autograph=False),
    }


def _write_extra_assets(model, folder):
    """Writes what TensorFlow overlooks, as the zip in a .tflite file has it."""
    folder.mkdir()
    for name, text in served_files(model).items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
