import math

import pytest

from tinybert_tf.data import Examples, Task
from tinybert_tf.data.tasks import PROBLEMS
from tinybert_tf.evaluation import chance_metrics, weakness

SPAN = (("Paris", 3),)


def make_task(problem, labels, names=("no", "yes"), metrics=None):
    examples = Examples(["a b"] * len(labels), labels=labels)
    metrics = metrics or PROBLEMS[problem]
    return Task("t", names, problem, metrics, 16, lambda split: examples)


def yes_and_no(yes, no, metrics):
    return make_task("classification", ["yes"] * yes + ["no"] * no, metrics=metrics)


@pytest.mark.parametrize(("yes", "no"), [(6, 2), (2, 6)])
def test_chance_of_classes_is_the_best_of_constant_answers(yes, no):
    task = yes_and_no(yes, no, ("f1", "accuracy", "matthews"))
    f1 = 2 * yes / (2 * yes + no)  # of saying yes to all; that of saying no is 0
    assert chance_metrics(task) == pytest.approx({"f1": f1, "accuracy": 0.75, "matthews": 0})


def test_chance_of_scores_is_no_correlation():
    task = make_task("regression", [0.0, 1.0, 5.0], ("score",))
    assert chance_metrics(task) == {"pearson": 0, "spearman": 0}


def test_chance_of_several_labels_is_their_commonest_set():
    labels = [("a", "b"), ("b", "a"), ("a",), ()]
    task = make_task("multilabel", labels, ("a", "b", "c"))
    # Of 8 predicted and 5 true pairs 5 agree; two sets of four are right.
    expected = {"micro_f1": 2 * 5 / (8 + 5), "subset_accuracy": 0.5}
    assert chance_metrics(task) == pytest.approx(expected)


@pytest.mark.parametrize(("labels", "share"), [([SPAN, SPAN], 0), ([SPAN, (), (), SPAN, ()], 0.6)])
def test_chance_of_answers_is_none(labels, share):
    task = make_task("spans", labels, ("start", "end"))
    assert chance_metrics(task) == pytest.approx({"answer_f1": share, "exact_match": share})


def test_chance_of_tags_is_no_entity():
    task = make_task("tagging", [("O", "B-X"), ("O", "O")], ("O", "B-X"))
    assert chance_metrics(task) == {"entity_f1": 0}


MANY = 10_000


@pytest.mark.parametrize(
    ("task", "chance", "deviation"),
    [
        (yes_and_no(7500, 2500, ("accuracy",)), 0.75, math.sqrt(0.75 * 0.25)),
        (yes_and_no(5000, 5000, ("f1",)), 2 / 3, math.sqrt(2 / 9)),
        (yes_and_no(5000, 5000, ("matthews",)), 0, 1),
        (make_task("regression", [0.0, 1.0] * 5000, ("score",), ("pearson",)), 0, 1),
        (make_task("multilabel", [("no",), ()] * 5000, metrics=("subset_accuracy",)), 0.5, 0.5),
        (make_task("spans", [SPAN, ()] * 5000, ("start", "end"), ("exact_match",)), 0.5, 0.5),
        (make_task("tagging", [("O", "B-X")] * MANY, ("O", "B-X")), 0, 1),
    ],
    ids=lambda value: value.metrics[0] if isinstance(value, Task) else "",
)
def test_weak_is_what_is_within_a_standard_error_of_chance(task, chance, deviation):
    (name,), limit = task.metrics, chance + deviation / math.sqrt(MANY)
    assert weakness(task, {name: limit + 1e-6}) is None
    for value in (limit - 1e-6, chance, 0.0, float("nan")):
        said = f"dev {name} is {value:.3f}, and guessing gives {chance:.3f}"
        assert said in weakness(task, {name: value})


def test_with_few_examples_two_points_are_enough():
    task = yes_and_no(50, 50, ("accuracy",))
    assert weakness(task, {"accuracy": 0.521}) is None
    assert weakness(task, {"accuracy": 0.519})


def test_one_metric_better_than_chance_is_enough():
    task = yes_and_no(70, 30, ("f1", "accuracy"))
    assert weakness(task, {"f1": 0.1, "accuracy": 0.9}) is None
    assert weakness(task, {"f1": 0.9, "accuracy": 0.1}) is None
    assert "Fine-tune the teacher on this task" in weakness(task, {"f1": 0.5, "accuracy": 0.7})


def test_metrics_of_the_mismatched_part_do_not_count():
    task = yes_and_no(50, 50, ("accuracy",))
    assert weakness(task, {"accuracy": 0.5, "mismatched_accuracy": 0.9})
