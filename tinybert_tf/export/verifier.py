"""Whether a .tflite file answers as the model that it was made from."""

import numpy as np

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.contained import run_contained
from tinybert_tf.evaluation import predict, task_metrics, to_answers, to_outputs
from tinybert_tf.export.layer_errors import layer_errors
from tinybert_tf.export.predictor import file_rows, predict_rows, to_logits
from tinybert_tf.short_errors import short_errors

_NUM_WORST = 5


@short_errors()
def verify(model, path, task, split="dev"):
    """Compares a .tflite file with its model, example by example.

    Both read texts cut to the length that the file takes, each in the pieces of its own vocabulary:
    what trimming it has cost is part of what is compared, but for `layers`.

    Args:
        model: the model with a head that the file was made from.
        path: str or path-like, the .tflite file.
        task: `tinybert_tf.data.Task`, whose texts both read.
        split: "train", "dev" or "test".

    Returns:
        dict with `path`, `split`, `num_examples`; `agreement`, the share of examples to which both
        give the same answer: label, labels, text or all tags (`None` for regression); `metrics`,
        for each of the task's metrics a dict of its value for the `model`, for the `file`, and the
        `drop` between them (empty if the split has no labels); `largest_logit_difference`, over
        examples, tokens and classes, of logits less their mean over the classes (a file keeps
        probabilities, whose logarithm is that up to a constant), of log-odds for several labels at
        once, of logits themselves for spans and tags, or of scores (`None` for spans and tags if
        the vocabularies differ, and with them what the tokens are); `worst_examples`, those that
        differ most, or first those whose answers do: `text`, `text_pair`, `difference`,
        `model_label`, `file_label` (the answers; `None` for regression), `model_outputs` and
        `file_outputs` (probabilities or the score; `None` for spans and tags); and `layers`, how
        far the file has gone astray after each: see `layer_errors`.

    Raises:
        ValueError: If the file is broken, holds no vocabulary, has other labels than the model, or
            answers with something that is not a finite number.

    Example:
        verify(student, "sst2.tflite", task("sst2"))["agreement"]
    """
    run_contained("try", path=str(path))  # A damaged file may kill who runs it.
    edge_model = EdgeModel(path)
    model_labels = getattr(model, "labels", ())  # An encoder without a head has none.
    if edge_model.labels not in (None, model_labels):
        raise ValueError(
            f"{path} has the labels {', '.join(edge_model.labels)}, the model has "
            f"{', '.join(model_labels) or 'none'}. Verify a file with the model it was made from."
        )
    task.check_model(model)
    examples = task.examples(split)
    rows = file_rows(edge_model, examples, task.max_length)
    batches = task.batches(split, model, max_length=rows.max_length, batch_size=32)
    temperature = (edge_model.settings or {}).get("temperature", 1.0)
    logits = predict(model, batches) / temperature
    outputs = to_outputs(logits, model.problem), predict_rows(edge_model, rows)
    _check_finite(outputs[1], path, examples, rows)
    differences = _differences(model, logits, outputs[1], rows)
    of_both = [(outputs[0], batches.rows), (outputs[1], rows)]
    answers = [
        to_answers(found, model.problem, model.labels, of_found, task.allows_no_answer)
        for found, of_found in of_both
    ]
    differ = np.array([before != after for before, after in zip(*answers, strict=True)], float)
    return {
        "path": str(path),
        "split": split,
        "num_examples": len(examples),
        "agreement": None if _is_score(model) else float(np.mean(differ == 0)),
        "metrics": _metrics(model, task, examples, of_both),
        "largest_logit_difference": None if differences is None else float(differences.max()),
        "worst_examples": _worst(model, examples, outputs, answers, differences, differ),
        "layers": layer_errors(model, path, rows),
    }


def _check_finite(outputs, path, examples, rows):
    wrong = _of_examples(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=1), rows)
    if wrong.any():
        raise ValueError(
            f"{path} answers {wrong.sum()} of {len(examples)} examples with something that is not "
            f"a finite number, first {examples.texts[wrong.argmax()]!r}. "
            "Export it with another recipe."
        )


def _of_examples(values, rows):
    """The greatest value of each example, whose rows are one, or the windows of its context."""
    example_of = getattr(rows, "example_of", np.arange(rows.num_rows))
    return np.maximum.reduceat(values, np.unique(example_of, return_index=True)[1])


def _is_score(model):
    return model.problem == "regression"


def _differences(model, logits, file_outputs, rows):
    """Greatest difference of each example, float array `(examples,)`; `None` if tokens differ."""
    # As a file keeps them: what probabilities cannot tell makes no difference.
    outputs = to_outputs(logits.astype(np.float64), model.problem)
    logits, file_logits = (to_logits(found, model.problem) for found in (outputs, file_outputs))
    if logits.ndim == 2:
        return np.abs(logits - file_logits).max(axis=1)
    if rows.vocabulary != model.vocabulary:
        return None
    longest = file_logits.shape[1]
    differences = np.abs(logits[:, :longest] - file_logits).max(axis=2)
    is_token = np.arange(longest) < rows.lengths[:, np.newaxis]
    return _of_examples(np.where(is_token, differences, 0).max(axis=1), rows)


def _metrics(model, task, examples, of_both):
    if examples.labels is None:
        return {}
    before, after = (
        task_metrics(task, examples.labels, outputs, model.labels, rows)
        for outputs, rows in of_both
    )
    return {
        name: {"model": before[name], "file": after[name], "drop": before[name] - after[name]}
        for name in before
    }


def _worst(model, examples, outputs, answers, differences, differ):
    order = np.argsort(-(differ if differences is None else differences), kind="stable")
    return [
        {
            "text": examples.texts[index],
            "text_pair": examples.text_pairs and examples.text_pairs[index],
            "difference": None if differences is None else float(differences[index]),
            **{f"{name}_label": _label(model, found[index]) for name, found in _named(answers)},
            **{f"{name}_outputs": _numbers(found, index) for name, found in _named(outputs)},
        }
        for index in order[:_NUM_WORST]
    ]


def _named(outputs):
    return zip(("model", "file"), outputs, strict=True)


def _label(model, answer):
    return None if _is_score(model) else answer


def _numbers(outputs, index):
    return outputs[index].tolist() if outputs.ndim == 2 else None
