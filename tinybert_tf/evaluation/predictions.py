"""Logits of a model over batches, and the task's metrics of them."""

import numpy as np
import tensorflow as tf

from tinybert_tf.evaluation.spans import decode_spans
from tinybert_tf.evaluation.tags import decode_tags
from tinybert_tf.metrics import METRICS
from tinybert_tf.models.label_names import advice, label_finder


class Predictor:
    """Computes a model's logits; keeps the compiled function between calls.

    Args:
        model: a Keras model whose output holds `logits`.

    Call:
        batches: `ExampleBatches`, not shuffled or shuffled.
        Returns float32 array `(num_rows, num_labels)` in the order of the rows, or `(num_rows,
        longest, num_labels)` where each token has logits; those of padding mean nothing.
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
        shape = np.max([part.shape[1:] for part in parts], axis=0)
        in_order, order = np.zeros((batches.num_examples, *shape), np.float32), batches.order(0)
        for part in parts:
            rows, order = order[: len(part)], order[len(part) :]
            in_order[rows, : part.shape[1]] = part
        return in_order


def predict(model, batches):
    """Logits of a model for every row of the batches; see `Predictor`."""
    return Predictor(model)(batches)


def to_outputs(logits, problem):
    """What a reader wants of logits: probabilities of classes or labels, or what they are.

    Args:
        logits: float array `(num_rows, num_labels)` or `(num_rows, length, num_labels)`.
        problem: str, the model's.
    """
    if problem == "classification":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    if problem == "multilabel":
        return 0.5 * (1 + np.tanh(logits / 2))  # the logistic function, without overflow
    return logits


def to_answers(
    outputs, problem, label_names, rows=None, allows_no_answer=False, null_threshold=0.0
):
    """What the outputs say of each example, in words.

    Args:
        outputs: float array; see `to_outputs`.
        problem: str, the model's.
        label_names: tuple of str, the names of the outputs.
        rows: `SpanRows` or `TagRows` that the outputs are of; else not needed.
        allows_no_answer: bool, for spans: whether a question may have none.
        null_threshold: float; none is given where its score is better by more than that.

    Returns:
        List with an entry for each example: the class's name; a float; a tuple of the names of the
        labels that hold; the text of the answer, "" for none; a tuple with a tag for each word.
    """
    if problem == "regression":
        return outputs[:, 0].tolist()
    if problem == "spans":
        none = {"allows_no_answer": allows_no_answer, "null_threshold": null_threshold}
        return [answer.text for answer in decode_spans(rows, outputs, **none)]
    if problem == "tagging":
        return decode_tags(rows, outputs, label_names)
    names = np.array(label_names, object)
    if problem == "multilabel":
        return [tuple(names[row > 0.5]) for row in outputs]
    return names[outputs.argmax(axis=1)].tolist()


def task_metrics(task, labels, outputs, label_names, rows=None):
    """The metrics of a task.

    Args:
        task: `Task`.
        labels: list with the true label of each example, as `Examples` has them.
        outputs: float array; see `to_outputs`.
        label_names: tuple of str, the names of the outputs.
        rows: as for `to_answers`.

    Returns:
        Dict of metric name to float.

    Raises:
        ValueError: If there are no labels, or the outputs are not of the task's classes.
    """
    if labels is None:
        raise ValueError(f"The examples of {task.name} have no labels, so nothing can be measured.")
    _check_columns(task, label_names)
    answers = to_answers(outputs, task.problem, label_names, rows, task.allows_no_answer)
    return score(task, labels, answers)


def score(task, labels, answers):
    """The metrics of answers; see `task_metrics` and `to_answers`."""
    if task.problem == "classification":
        find = label_finder(task.labels)
        labels, answers = (np.array([find(name) for name in names]) for names in (labels, answers))
    elif task.problem == "multilabel":
        labels, answers = (_held(names, task.labels) for names in (labels, answers))
    elif task.problem == "spans":
        labels = [tuple(text for text, _ in answers_of) for answers_of in labels]
    elif task.problem == "tagging":
        find = label_finder(task.labels)
        answers = [
            [task.labels[find(tag)] if find(tag) >= 0 else tag for tag in tags] for tags in answers
        ]
    return {name: METRICS[name](labels, answers) for name in task.metrics}


def _held(rows, labels):
    """Which of the labels hold: int array `(examples, labels)` of 0 and 1."""
    find, held = label_finder(labels), np.zeros((len(rows), len(labels)), np.int32)
    for row, names in zip(held, rows, strict=True):
        row[[place for place in map(find, names) if place >= 0]] = 1
    return held


def _check_columns(task, label_names):
    find = label_finder(label_names)
    is_score = task.problem == "regression"
    fits = len(label_names) == 1 if is_score else all(find(name) >= 0 for name in task.labels)
    if not fits:
        raise ValueError(
            f"The model's labels are {', '.join(label_names)}, but those of {task.name} are "
            f"{', '.join(task.labels)}.{advice(label_names)}"
        )


def split_parts(task, split):
    """A split, and its mismatched counterpart where the task has one, as MNLI does.

    Args:
        task: `Task`.
        split: str.

    Returns:
        Dict of prefix, "" or "mismatched_", to the name of the split.

    Raises:
        ValueError: If there is no such split.
    """
    names = {"": split, "mismatched_": f"{split}_mismatched"}
    parts = {prefix: name for prefix, name in names.items() if name in task.splits}
    if "" not in parts:
        raise ValueError(f'Unknown split "{split}". Splits: {", ".join(task.splits)}.')
    return parts


class Evaluator:
    """The task's metrics of a model; keeps what it needs between calls.

    Args:
        model: a model with a head.
        task: `Task` with the model's labels.
        split: str, one of the task's; where it has a mismatched counterpart, as MNLI's "dev", the
            metrics of that are there too, `mismatched_` before their names.

    Call:
        Returns dict of metric name to float.
    """

    def __init__(self, model, task, split="dev"):
        self._model, self._task, self._predict = model, task, Predictor(model)
        self._parts = split_parts(task, split)
        self._batches = {
            name: task.batches(name, model, batch_size=32) for name in self._parts.values()
        }

    def __call__(self):
        return {
            f"{prefix}{name}": value
            for prefix, split in self._parts.items()
            for name, value in self._measure(split).items()
        }

    def _measure(self, split):
        batches, task = self._batches[split], self._task
        outputs = to_outputs(self._predict(batches), task.problem)
        labels = task.examples(split).labels
        return task_metrics(task, labels, outputs, self._model.labels, batches.rows)


def evaluate(model, task, split="dev"):
    """The task's metrics of a model; see `Evaluator`.

    Example:
        evaluate(student, task("sst2", data_dir="glue"))  # {"accuracy": 0.91}
    """
    return Evaluator(model, task, split)()
