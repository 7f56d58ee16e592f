import types

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import tensorflow as tf

from tinybert_tf.data import ExampleBatches, Examples, Task
from tinybert_tf.evaluation import Predictor, evaluate, predict, task_metrics, to_outputs
from tinybert_tf.models import Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS))
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(list(LETTERS), size)) for size in RNG.integers(1, 25, size=40)]


def by_hand(text):
    """What CountingModel answers: the sum of the ids and the number of real tokens."""
    words = text.split()
    return [2 + 3 + sum(4 + LETTERS.index(word) for word in words), len(words) + 2]


class CountingModel:
    """Answers with numbers that are easily counted by hand; says how it was called."""

    vocabulary = VOCABULARY
    labels = ("negative", "positive")
    problem = "classification"
    config = types.SimpleNamespace(max_sequence_length=32)

    def __init__(self, dtype="float32"):
        self.dtype, self.traced = dtype, []

    def __call__(self, inputs, training=None):
        self.traced.append(training)
        columns = (inputs["token_ids"] * inputs["padding_mask"], inputs["padding_mask"])
        sums = [tf.reduce_sum(column, axis=1) for column in columns]
        return {"logits": tf.cast(tf.stack(sums, axis=1), self.dtype)}


def batches(labels=None, **settings):
    settings = {"max_length": 32, "batch_size": 4} | settings
    return ExampleBatches(Examples(TEXTS, labels=labels), VOCABULARY, **settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"seed": 3}, {"seed": 3, "labels": list(range(40))}, {"batch_size": None, "pad_to": 32}],
)
def test_logits_come_in_the_order_of_the_examples(settings):
    if settings.get("batch_size", 4) is None:
        settings = settings | {"batch_tokens": 96}
    logits = Predictor(CountingModel())(batches(**settings))
    np.testing.assert_array_equal(logits, [by_hand(text) for text in TEXTS])


def test_logits_are_float32_and_computed_without_training():
    model = CountingModel("float64")
    assert predict(model, batches()).dtype == np.float32
    assert set(model.traced) == {False}


def test_function_is_compiled_once_for_all_calls():
    model = CountingModel()
    predictor = Predictor(model)
    predictor(batches())
    count = len(model.traced)
    predictor(batches(seed=1, batch_size=3))
    assert len(model.traced) == count


def test_outputs_equal_scipy():
    logits = RNG.normal(scale=300, size=(20, 5)).astype(np.float32)
    expected = scipy.special.softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(to_outputs(logits, "classification"), expected, atol=1e-6)
    np.testing.assert_array_equal(to_outputs(logits[:, :1], "regression"), logits[:, :1])


def make_task(labels, problem="classification", metrics=("accuracy",)):
    names = ("score",) if problem == "regression" else ("positive", "negative")
    return Task("t", names, problem, metrics, 32, lambda split: Examples(TEXTS, labels=labels))


def test_metrics_go_by_the_names_of_the_columns():
    names = [("negative", "positive")[value] for value in RNG.integers(0, 2, size=40)]
    outputs = RNG.normal(size=(40, 2))
    predicted = np.array(["positive", "negative"])[outputs.argmax(axis=1)]
    actual = task_metrics(make_task(names), names, outputs, ("positive", "negative"))
    assert actual == {"accuracy": sklearn.metrics.accuracy_score(names, predicted)}


def test_metrics_of_scores():
    scores, outputs = RNG.normal(size=40).tolist(), RNG.normal(size=(40, 1))
    task = make_task(scores, "regression", ("pearson",))
    expected = scipy.stats.pearsonr(scores, outputs[:, 0]).statistic
    assert task_metrics(task, scores, outputs, ("score",))["pearson"] == pytest.approx(expected)


def test_metrics_without_labels():
    with pytest.raises(ValueError, match="The examples of t have no labels, so nothing can be"):
        task_metrics(make_task(None), None, np.zeros((40, 2)), ("a", "b"))


def test_evaluate_equals_accuracy_by_hand():
    names = ["negative" if len(text) % 3 else "positive" for text in TEXTS]
    columns = np.array([by_hand(text) for text in TEXTS]).argmax(axis=1)
    expected = np.mean(np.array(CountingModel.labels)[columns] == np.array(names))
    for split in ("train", "dev"):
        assert evaluate(CountingModel(), make_task(names), split) == {"accuracy": expected}
