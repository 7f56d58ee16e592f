"""Whether a .tflite file answers as the model that it was made from."""

import numpy as np

from tinybert_tf.edge import EdgeModel
from tinybert_tf.evaluation import predict
from tinybert_tf.export.predictor import predict_file
from tinybert_tf.metrics import METRICS

_NUM_WORST = 5


def verify(model, path, task, split="dev"):
    """Compares a .tflite file with its model, example by example.

    Args:
        model: `BertClassifier` that the file was made from.
        path: str or path-like, the .tflite file.
        task: `tinybert_tf.data.Task`, whose texts both read.
        split: "train", "dev" or "test".

    Returns:
        dict with `path`, `split`, `num_examples`; `agreement`, the share of examples to which both give the
        same label (`None` for regression); `metrics`, for each of the task's metrics a dict of its value for
        the `model`, for the `file`, and the `drop` between them (empty if the split has no labels);
        `largest_logit_difference`, over examples and classes, of logits less their mean over the classes (a
        file keeps probabilities, whose logarithm is that up to a constant), or of scores; and
        `worst_examples`, those that differ most: `text`, `text_pair`, `difference`, `model_label`,
        `file_label` (`None` for regression), `model_outputs` and `file_outputs` (probabilities or the score).

    Raises:
        ValueError: If the file is broken, holds no vocabulary, or has other labels than the model.

    Example:
        verify(student, "sst2.tflite", task("sst2"))["agreement"]
    """
    edge_model = EdgeModel(path)
    if edge_model.labels is not None and edge_model.labels != model.labels:
        raise ValueError(
            f"{path} has the labels {', '.join(edge_model.labels)}, the model {', '.join(model.labels)}. "
            "Verify a file with the model that it was made from."
        )
    examples = task.examples(split)
    logits = np.asarray(predict(model, getattr(task, split)(model)), np.float32)
    outputs = _outputs(model, logits), predict_file(edge_model, examples, task.max_length)
    differences = _differences(model, logits, outputs[1])
    answers = [probabilities.argmax(axis=1) for probabilities in outputs]
    return {
        "path": str(path),
        "split": split,
        "num_examples": len(examples),
        "agreement": None if _is_score(model) else float(np.mean(answers[0] == answers[1])),
        "metrics": _metrics(model, task, examples, outputs),
        "largest_logit_difference": float(differences.max()),
        "worst_examples": _worst(model, examples, outputs, differences),
    }


def _is_score(model):
    return model.problem == "regression"


def _outputs(model, logits):
    """What the file gives: probabilities, or the score itself."""
    if _is_score(model):
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _differences(model, logits, file_outputs):
    """Greatest difference of each example, float array `(examples,)`; infinite where the file has no number."""
    if not _is_score(model):
        file_outputs = np.log(np.maximum(file_outputs, np.finfo(np.float32).tiny))
        file_outputs = file_outputs - file_outputs.mean(axis=1, keepdims=True)
        logits = logits - logits.mean(axis=1, keepdims=True)
    differences = np.abs(logits - file_outputs).max(axis=1)
    return np.where(np.isnan(differences), np.inf, differences)


def _metrics(model, task, examples, outputs):
    if examples.labels is None:
        return {}
    if _is_score(model):
        labels, predictions = examples.labels, [scores[:, 0] for scores in outputs]
    else:
        labels = [model.labels.index(label) for label in examples.labels]
        predictions = [probabilities.argmax(axis=1) for probabilities in outputs]
    metrics = {}
    for name in task.metrics:
        before, after = (METRICS[name](np.array(labels), values) for values in predictions)
        metrics[name] = {"model": before, "file": after, "drop": before - after}
    return metrics


def _worst(model, examples, outputs, differences):
    return [
        {
            "text": examples.texts[index],
            "text_pair": examples.text_pairs and examples.text_pairs[index],
            "difference": float(differences[index]),
            **{f"{name}_label": _label(model, rows[index]) for name, rows in _named(outputs)},
            **{f"{name}_outputs": rows[index].tolist() for name, rows in _named(outputs)},
        }
        for index in np.argsort(-differences, kind="stable")[:_NUM_WORST]
    ]


def _named(outputs):
    return zip(("model", "file"), outputs, strict=True)


def _label(model, outputs):
    return None if _is_score(model) else model.labels[int(outputs.argmax())]
