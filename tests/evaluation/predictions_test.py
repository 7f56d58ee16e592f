import dataclasses
import types

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import tensorflow as tf

from tinybert_tf.data import ExampleBatches, Examples, Task
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.evaluation import (
    Predictor,
    evaluate,
    predict,
    split_parts,
    task_metrics,
    to_answers,
    to_outputs,
)
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


def test_probabilities_of_several_labels_equal_scipy():
    logits = RNG.normal(scale=300, size=(20, 5)).astype(np.float32)
    expected = scipy.special.expit(logits.astype(np.float64))
    np.testing.assert_allclose(to_outputs(logits, "multilabel"), expected, atol=1e-6)


class TokenModel(CountingModel):
    """Answers for each token with its id and its place."""

    def __call__(self, inputs, training=None):
        ids = inputs["token_ids"]
        places = tf.range(tf.shape(ids)[1])[tf.newaxis] * tf.ones_like(ids)
        return {"logits": tf.cast(tf.stack([ids, places], axis=2), tf.float32)}


def test_logits_of_tokens_come_in_the_order_of_the_rows():
    made = batches(rows=TagRows, seed=3)
    logits = predict(TokenModel(), made)
    assert logits.shape == (40, made.padded_lengths.max(), 2)
    for row, text in zip(logits, TEXTS, strict=True):
        ids = [2, *(4 + LETTERS.index(word) for word in text.split()), 3]
        assert row[: len(ids), 0].tolist() == ids
        assert row[: len(ids), 1].tolist() == list(range(len(ids)))


def test_answers_by_problem():
    outputs = np.array([[0.2, 0.8, 0.6], [0.4, 0.3, 0.3]])
    names = ("a", "b", "c")
    assert to_answers(outputs, "classification", names) == ["b", "a"]
    assert to_answers(outputs, "multilabel", names) == [("b", "c"), ()]
    assert to_answers(outputs[:, :1], "regression", ("score",)) == [0.2, 0.4]


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


def test_metrics_go_by_names_in_any_case():
    names = ["positive", "negative", "negative"]
    outputs = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    actual = task_metrics(make_task(names), names, outputs, ("Positive", "NEGATIVE"))
    assert actual == {"accuracy": pytest.approx(2 / 3)}


def test_metrics_of_several_labels():
    labels = [("red",), (), ("blue", "red")]
    task = Task("t", ("blue", "red"), "multilabel", ("micro_f1", "subset_accuracy"), 32, None)
    outputs = np.array([[0.9, 0.2], [0.6, 0.4], [0.7, 0.8]])  # Red, blue
    truth, found = np.array([[0, 1], [0, 0], [1, 1]]), np.array([[0, 1], [0, 1], [1, 1]])
    assert task_metrics(task, labels, outputs, ("Red", "blue")) == {
        "micro_f1": pytest.approx(sklearn.metrics.f1_score(truth, found, average="micro")),
        "subset_accuracy": pytest.approx(sklearn.metrics.accuracy_score(truth, found)),
    }


@pytest.mark.parametrize("names", [("O", "B-X"), ("B-x", "o")])
def test_metrics_of_tags(names):
    labels = [("B-X", "O"), ("O",)]
    rows = TagRows(Examples(["a b", "c"]), VOCABULARY, 8)
    logits = np.zeros((2, 4, 2))
    logits[:, :, names.index(names[-1 if names[0] == "O" else 0])] = 1  # B-X everywhere
    task = Task("t", ("O", "B-X"), "tagging", ("entity_f1",), 32, None)
    expected = 2 * 1 / (1 + 3)
    assert task_metrics(task, labels, logits, names, rows) == {"entity_f1": pytest.approx(expected)}


@pytest.mark.parametrize("allowed", [False, True])
def test_metrics_of_spans(allowed):
    labels = [(("b c", 2),), (("b", 0),)]
    rows = SpanRows(Examples(["q", "q"], ["a b c", "b a"]), VOCABULARY, 16)
    logits = np.zeros((2, 7, 2))
    logits[0, [4, 5], [0, 1]] = 3  # "b c"
    logits[1, [3, 4], [0, 1]] = 3  # "b a"
    logits[:, 0] = 4  # of no answer, better than all
    metrics = ("answer_f1", "exact_match")
    task = Task("t", ("start", "end"), "spans", metrics, 32, None, allows_no_answer=allowed)
    share = 0 if allowed else 1  # "a" is an article and does not count
    assert task_metrics(task, labels, logits, task.labels, rows) == {
        "answer_f1": share,
        "exact_match": share,
    }


def test_outputs_that_have_no_names_are_refused_with_advice():
    with pytest.raises(ValueError, match="those of t are .* does not say what its .*id2label"):
        task_metrics(
            make_task(["positive"]), ["positive"], np.zeros((1, 2)), ("LABEL_0", "LABEL_1")
        )


def test_outputs_may_have_more_names_than_the_task():
    names = ["positive", "negative"]
    outputs = np.array([[0.2, 0.1, 0.7], [0.1, 0.8, 0.1]])
    actual = task_metrics(make_task(names), names, outputs, ("positive", "negative", "other"))
    assert actual == {"accuracy": 0.5}


def test_parts_of_a_split():
    task = make_task([])
    assert split_parts(task, "dev") == {"": "dev"}
    mnli = dataclasses.replace(task, splits=("dev", "test", "dev_mismatched", "test_mismatched"))
    assert split_parts(mnli, "test") == {"": "test", "mismatched_": "test_mismatched"}
    assert split_parts(mnli, "dev_mismatched") == {"": "dev_mismatched"}
    with pytest.raises(ValueError, match='Unknown split "train". Splits: dev, test, dev_mis'):
        split_parts(mnli, "train")


def test_evaluate_measures_the_mismatched_part_too():
    parts = {"dev": ["negative"] * 40, "dev_mismatched": ["positive"] * 40}
    read = lambda split: Examples(TEXTS, labels=parts[split])  # noqa: E731
    task = dataclasses.replace(make_task(None), read=read, splits=tuple(parts))
    found = evaluate(CountingModel(), task)
    assert set(found) == {"accuracy", "mismatched_accuracy"}
    assert found["accuracy"] == pytest.approx(1 - found["mismatched_accuracy"])


def test_metrics_without_labels():
    with pytest.raises(ValueError, match="The examples of t have no labels, so nothing can be"):
        task_metrics(make_task(None), None, np.zeros((40, 2)), ("a", "b"))


def test_evaluate_equals_accuracy_by_hand():
    names = ["negative" if len(text) % 3 else "positive" for text in TEXTS]
    columns = np.array([by_hand(text) for text in TEXTS]).argmax(axis=1)
    expected = np.mean(np.array(CountingModel.labels)[columns] == np.array(names))
    for split in ("train", "dev"):
        assert evaluate(CountingModel(), make_task(names), split) == {"accuracy": expected}
