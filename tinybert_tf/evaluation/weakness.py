"""Whether a model knows more than guessing."""

import collections
import math

from tinybert_tf.evaluation.predictions import score

_MARGIN = 0.02


def chance_metrics(task, split="dev"):
    """What the best model that does not look at the text would score.

    Args:
        task: `Task`.
        split: str.

    Returns:
        Dict of metric name to float: the best of all answers that are the same for each example,
        each of the labels, the commonest set of labels, no answer, no entity; 0 for correlations.
    """
    labels = task.examples(split).labels
    if task.problem == "tagging":
        constants = [[tuple("O" for _ in tags) for tags in labels]]
    else:
        constants = [[one] * len(labels) for one in _constants(task, labels)]
    scores = [score(task, labels, answers) for answers in constants]
    return {name: max(found[name] for found in scores) for name in task.metrics}


def _constants(task, labels):
    if task.problem == "classification":
        return task.labels
    if task.problem == "multilabel":
        return [collections.Counter(map(frozenset, labels)).most_common(1)[0][0]]
    return [""] if task.problem == "spans" else [0.0]


def weakness(task, metrics, split="dev"):
    """Says in words that a model is no better than guessing.

    Args:
        task: `Task`.
        metrics: dict of the model's metrics on the split, as `evaluate` gives them.
        split: str.

    Returns:
        str, or `None` if one metric at least is better than chance by more than its standard error
        or, with few examples, 0.02.
    """
    chance, count = chance_metrics(task, split), len(task.examples(split))
    for name, value in chance.items():
        spread = (math.sqrt(value * (1 - value)) or 1.0) / math.sqrt(count)
        if metrics[name] > value + min(spread, _MARGIN):
            return None
    name = task.metrics[0]
    return (
        f"The teacher's {split} {name} is {metrics[name]:.3f}, and guessing gives "
        f"{chance[name]:.3f}: the student would learn noise. Fine-tune the teacher on this task "
        "first, and check that its labels mean the same as the data's."
    )
