"""A classifier whose probabilities are as they say, and that knows when not to answer."""

import dataclasses

import numpy as np

from tinybert_tf.evaluation import predict, to_outputs
from tinybert_tf.evaluation.confidence import (
    balanced_threshold,
    calibration_error,
    fit_temperature,
    rejection_threshold,
    scope_metrics,
)

# What a text of no class is called where the task's files have no name for it.
OUT_OF_SCOPE = "out_of_scope"
_PROBLEMS = ("classification", "multilabel")


def calibrate(model, task, most_rejected=0.05):
    """Fits a temperature, and a threshold for texts of none of the classes, to the dev split.

    The logits of the new model are divided by the temperature: its answers are the same, and its
    probabilities are about as often right as they say, in whatever runtime. A text whose highest
    probability is below the threshold is out of scope. Where dev has such texts
    (`task.out_of_scope_label`) the threshold tells them from the others best, unless that rejects
    too many of these; else it rejects as many as it may. Several labels at once have one
    temperature and no threshold: there none of the labels may hold.

    Args:
        model: `BertClassifier` for classes or for several labels at once; it stays as it is.
        task: `Task` with the model's labels.
        most_rejected: float, 0 up to 1, the greatest share of the dev texts of the classes that may
            be rejected; 0 for no threshold.

    Returns:
        The new model; a dict for the file's `tinybert_tf.json`, with `temperature` and, where there
        is a threshold, `out_of_scope_threshold` and `out_of_scope_label`; and a dict about dev,
        with `calibration_error_before` and `calibration_error_after` and, where there is a
        threshold, what `scope_metrics` says of it.

    Raises:
        ValueError: If the model is for something else, does not fit the task, has a class of the
            name for what is out of scope, or the share is outside of its range.

    Example:
        calibrated, settings, report = calibrate(student, task)
    """
    label = task.out_of_scope_label or OUT_OF_SCOPE
    _check(model, label, most_rejected)
    logits, labels = _ask(model, task)
    temperature = fit_temperature(logits, labels, model.problem)
    pairs = [_outcomes(logits / divisor, labels, model.problem) for divisor in (1, temperature)]
    report = {
        f"calibration_error_{when}": calibration_error(*pair)
        for when, pair in zip(("before", "after"), pairs, strict=True)
    }
    settings, calibrated = {"temperature": temperature}, _divided(model, temperature)
    if model.problem == "classification" and most_rejected:
        outside = _ask_outside(calibrated, task)
        threshold = _threshold(*pairs[1], outside, most_rejected)
        settings |= {"out_of_scope_threshold": threshold, "out_of_scope_label": label}
        report |= scope_metrics(*pairs[1], outside, threshold)
    return calibrated, settings, report


def _check(model, label, most_rejected):
    problem = getattr(model, "problem", "no task at all")
    if problem not in _PROBLEMS:
        raise ValueError(
            f"The model is for {problem}; only one for {' or '.join(_PROBLEMS)} is calibrated."
        )
    if label in model.labels:
        raise ValueError(
            f'"{label}" is a class of the model, so it cannot stand for texts of none of them. '
            "Train it with --out-of-scope-label, which leaves them out."
        )
    if not 0 <= most_rejected < 1:
        raise ValueError(f"`most_rejected` is {most_rejected}, expected 0 <= share < 1.")


def _ask(model, task):
    """Logits `(examples, labels)` of the dev split and, as the model counts, its labels."""
    batches = task.batches("dev", model, batch_size=32)
    labels = batches.rows.examples.labels
    return predict(model, batches), None if labels is None else np.array(labels)


def _ask_outside(model, task):
    """The highest probabilities of the dev split's texts of no class, or `None`."""
    if task.out_of_scope_examples("dev") is None:
        return None
    logits, _ = _ask(model, dataclasses.replace(task, read=task.out_of_scope_examples))
    return to_outputs(logits, model.problem).max(axis=1)


def _outcomes(logits, labels, problem):
    """Probabilities of answers, and whether each was right: one an example, or all labels'."""
    outputs = to_outputs(logits, problem)
    if problem == "multilabel":
        return outputs.ravel(), labels.ravel() > 0
    return outputs.max(axis=1), outputs.argmax(axis=1) == labels


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
