"""Logits of a model over batches, and the task's metrics of them."""

import numpy as np
import tensorflow as tf

from tinybert_tf.metrics import METRICS


class Predictor:
    """Computes a model's logits; keeps the compiled function between calls.

    Args:
        model: a Keras model whose output holds `logits`.

    Call:
        batches: `ExampleBatches`, not shuffled or shuffled.
        Returns float32 array `(num_examples, num_labels)` in the order of the examples.
    """

    def __init__(self, model):
        self._logits = tf.function(
            lambda inputs: tf.cast(model(inputs, training=False)["logits"], tf.float32),
            reduce_retracing=True,
            autograph=False,
        )

    def __call__(self, batches):
        parts = [
            self._logits(batch[0] if isinstance(batch, tuple) else batch).numpy()
            for batch in batches.epoch(0)
        ]
        logits = np.concatenate(parts)
        in_order = np.empty_like(logits)
        in_order[batches.order(0)] = logits
        return in_order


def predict(model, batches):
    """Logits of a model for every example; see `Predictor`."""
    return Predictor(model)(batches)


def to_outputs(logits, problem):
    """What a reader wants of logits: probabilities of classes, or the scores as they are.

    Args:
        logits: float array `(num_examples, num_labels)`.
        problem: "classification" or "regression".
    """
    if problem == "regression":
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def task_metrics(task, labels, outputs, label_names):
    """The metrics of a task.

    Args:
        task: `Task`.
        labels: list of str (classification) or float (regression), the true ones.
        outputs: float array `(num_examples, num_labels)`: logits or probabilities, or scores.
        label_names: tuple of str, the classes of the outputs' columns.

    Returns:
        Dict of metric name to float.

    Raises:
        ValueError: If there are no labels, or the outputs are not of the task's classes.
    """
    if labels is None:
        raise ValueError(f"The examples of {task.name} have no labels, so nothing can be measured.")
    _check_columns(task, label_names)
    if task.problem == "regression":
        truth, predictions = np.asarray(labels), outputs[:, 0]
    else:
        index = {name: position for position, name in enumerate(label_names)}
        truth = np.array([index[label] for label in labels])
        predictions = outputs.argmax(axis=1)
    return {name: METRICS[name](truth, predictions) for name in task.metrics}


def _check_columns(task, label_names):
    is_score = task.problem == "regression"
    fits = len(label_names) == 1 if is_score else set(task.labels) <= set(label_names)
    if not fits:
        raise ValueError(
            f"The model's labels are {', '.join(label_names)}, but those of {task.name} are "
            f"{', '.join(task.labels)}."
        )


def evaluate(model, task, split="dev"):
    """The task's metrics of a model.

    Args:
        model: `BertClassifier`.
        task: `Task` with the model's labels.
        split: "train", "dev" or "test".

    Returns:
        Dict of metric name to float.

    Example:
        evaluate(student, task("sst2", data_dir="glue"))  # {"accuracy": 0.91}
    """
    logits = predict(model, getattr(task, split)(model))
    return task_metrics(task, task.examples(split).labels, logits, model.labels)
