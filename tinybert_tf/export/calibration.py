"""A classifier whose probabilities are as they say, and that knows when not to answer."""

import numpy as np

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.attached import read_attached
from tinybert_tf.evaluation import predict, to_outputs
from tinybert_tf.evaluation.confidence import (
    balanced_threshold,
    calibration_error,
    fit_temperature,
    rejection_threshold,
    scope_metrics,
)
from tinybert_tf.export.predictor import predict_file, predict_texts

# What a text of no class is called where the task's files have no name for it.
OUT_OF_SCOPE = "out_of_scope"
_PROBLEMS = ("classification", "multilabel")


class Calibration:
    """Fits a temperature, and a file's threshold for texts of no class, to the dev split.

    The logits of the new model are divided by the temperature: its answers are the same, and its
    probabilities are about as often right as they say, in whatever runtime. A text whose highest
    probability is below the threshold is out of scope. It is found by the answers of the file,
    which rounding has moved. Where dev has such texts (`task.out_of_scope_label`) the threshold
    tells them from the others best, unless that rejects too many of these; else it rejects as many
    as it may. Several labels at once have one temperature and no threshold: there none of the
    labels may hold.

    Args:
        model: `BertClassifier` for classes or for several labels at once; it stays as it is.
        task: `Task` with the model's labels.
        most_rejected: float, 0 up to 1, the greatest share of the dev texts of the classes that may
            be rejected; 0 for no threshold.

    Attributes:
        model: the new model.
        report: dict: `temperature`, `calibration_error_before`, the given model's on dev, and what
            `file_settings` adds.

    Raises:
        ValueError: As `check_calibration`, or if the model does not fit the task.

    Example:
        calibration = Calibration(student, task)
        to_tflite(calibration.model, "sst2.tflite", file_settings=calibration.file_settings)
    """

    def __init__(self, model, task, most_rejected=0.05):
        check_calibration(model, task, most_rejected)
        batches = task.batches("dev", model, batch_size=32)
        logits, self._labels = predict(model, batches), np.array(batches.rows.examples.labels)
        temperature = fit_temperature(logits, self._labels, model.problem)
        self._task, self._most_rejected = task, most_rejected
        self.model = _divided(model, temperature)
        error = calibration_error(*self._outcomes(to_outputs(logits, model.problem)))
        self.report = {"temperature": temperature, "calibration_error_before": error}

    def file_settings(self, path):
        """Measures a file of the new model on dev; for `to_tflite`.

        Args:
            path: path-like, the file.

        Returns:
            Dict for its `tinybert_tf.json`: `temperature` and, where there is a threshold,
            `out_of_scope_threshold` and `out_of_scope_label`. `report` has them too, and the file's
            `calibration_error_after` and what `scope_metrics` says of the threshold.
        """
        outcomes = self._outcomes(self._ask(path, self._task.examples("dev")))
        settings = {"temperature": self.report["temperature"]}
        measured = {"calibration_error_after": calibration_error(*outcomes)}
        if _has_threshold(self.model, self._most_rejected):
            others = self._task.out_of_scope_examples("dev")
            outside = others and self._ask(path, others).max(axis=1)
            threshold = _threshold(*outcomes, outside, self._most_rejected)
            label = _out_of_scope_label(self._task)
            settings |= {"out_of_scope_threshold": threshold, "out_of_scope_label": label}
            measured |= scope_metrics(*outcomes, outside, threshold)
        self.report |= settings | measured
        return settings

    def _ask(self, path, examples):
        """Probabilities `(examples, labels)`."""
        if read_attached(path).settings.get("tokenizer_in_graph"):
            return predict_texts(path, examples.texts)
        return predict_file(EdgeModel(path), examples, self._task.max_length)

    def _outcomes(self, outputs):
        """Probabilities of answers, and whether each was right: one an example, or all labels'."""
        if self.model.problem == "multilabel":
            return outputs.ravel(), self._labels.ravel() > 0
        return outputs.max(axis=1), outputs.argmax(axis=1) == self._labels


def check_calibration(model, task, most_rejected):
    """Checks whether a model can be calibrated; arguments as for `Calibration`.

    Raises:
        ValueError: If the model is for something else, has a class of the name for what is out of
            scope, or the share is outside of its range.
    """
    problem = getattr(model, "problem", "no task at all")
    if problem not in _PROBLEMS:
        raise ValueError(
            f"The model is for {problem}; only one for {' or '.join(_PROBLEMS)} is calibrated."
        )
    if not 0 <= most_rejected < 1:
        raise ValueError(f"`most_rejected` is {most_rejected}, expected 0 <= share < 1.")
    label = _out_of_scope_label(task)
    if _has_threshold(model, most_rejected) and label in model.labels:
        raise ValueError(
            f'"{label}" is a class of the model, so it cannot stand for texts of none of them. '
            "Train it with --out-of-scope-label, which leaves them out, or do without a threshold "
            "(--most-rejected 0)."
        )


def _has_threshold(model, most_rejected):
    return model.problem == "classification" and most_rejected > 0


def _out_of_scope_label(task):
    return task.out_of_scope_label or OUT_OF_SCOPE


def _threshold(confidences, right, outside, most_rejected):
    limit = rejection_threshold(confidences, most_rejected)
    if outside is None:
        return limit
    return min(limit, balanced_threshold(confidences, right, outside))


def _divided(model, temperature):
    """A copy of the model with its logits divided."""
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    for weight in copy.classifier.weights:
        weight.assign(weight / temperature)
    return copy
