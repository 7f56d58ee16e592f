import math
import pathlib
import random

import numpy as np
import pytest
import tiny

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.data.squad_files import read_squad
from tinybert_tf.evaluation.spans import SpanPrediction, decode_spans
from tinybert_tf.metrics import exact_match
from tinybert_tf.models.vocabulary import Vocabulary

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"
VOCABULARY = Vocabulary(tiny.TOKENS)


def make_rows(count=30, max_length=20, stride=5):
    """Questions about random contexts, most of which need several windows, some of which none."""
    chance = random.Random(0)

    def text(most):
        words = ["".join(chance.choices("abc.", k=chance.randint(1, 3))) for _ in range(most)]
        return " ".join(words[: chance.randint(0, most)])

    examples = Examples([text(4) for _ in range(count)], [text(25) for _ in range(count)])
    return SpanRows(examples, VOCABULARY, max_length, stride, max_question_length=5)


def make_logits(rows, seed=0, decimals=9):
    shape = rows.num_rows, rows.lengths.max() + 3, 2
    logits = np.random.default_rng(seed).normal(0, 2, shape)
    logits[:, 0] += 3  # so that no answer often is the best
    return np.round(logits, decimals)


def decoded_by_hand(rows, logits, example, num_best, max_answer_length, threshold, allows):
    """Tries every span of every window, one after another."""
    spans, null_score = [], math.inf
    for row in np.flatnonzero(rows.example_of == example):
        window = rows.window(row)
        null_score = min(null_score, logits[row, 0, 0] + logits[row, 0, 1])
        for start in range(len(window.starts)):
            for end in range(start, min(len(window.starts), start + max_answer_length)):
                if window.has_most_context[start]:
                    score = logits[row, window.first_token + start, 0]
                    score += logits[row, window.first_token + end, 1]
                    spans.append((score, window.starts[start], window.ends[end]))
    spans = sorted(spans, key=lambda span: -span[0])[:num_best]
    if not spans:
        return SpanPrediction("", null_score, 0.0, 1.0)
    best, start, end = spans[0]
    text = rows.examples.text_pairs[example][start:end]
    if allows and null_score - best > threshold:
        best_score, text = null_score, ""
    else:
        best_score = best
    scores = [score for score, _, _ in spans] + [null_score] * allows
    probability = math.exp(best_score) / sum(map(math.exp, scores))
    return SpanPrediction(text, best_score, null_score - best, probability)


@pytest.mark.parametrize("allows", [False, True])
@pytest.mark.parametrize("decimals", [9, 0])  # with whole numbers there are ties
@pytest.mark.parametrize(
    ("num_best", "max_answer_length", "threshold"), [(20, 30, 0.0), (3, 4, -2.0), (1, 1, 2.0)]
)
def test_equals_trying_every_span(num_best, max_answer_length, threshold, allows, decimals):
    rows = make_rows()
    logits = make_logits(rows, decimals=decimals)
    found = decode_spans(rows, logits, num_best, max_answer_length, threshold, allows)
    assert len(found) == 30 < rows.num_rows
    for example, prediction in enumerate(found):
        expected = decoded_by_hand(
            rows, logits, example, num_best, max_answer_length, threshold, allows
        )
        assert prediction.text == expected.text
        assert prediction.score == pytest.approx(expected.score)
        assert prediction.null_score_difference == pytest.approx(expected.null_score_difference)
        assert prediction.probability == pytest.approx(expected.probability)


def test_the_examples_try_every_case():
    rows = make_rows()
    texts = [p.text for p in decode_spans(rows, make_logits(rows), allows_no_answer=True)]
    contexts = rows.examples.text_pairs
    assert 8 < texts.count("") < 22
    assert contexts.count("") > 0


def peaked(rows, row, start, end, height=9.0):
    """Logits of zero but for a start and an end, counted in word-pieces of the row's window."""
    logits = np.zeros((rows.num_rows, rows.lengths.max(), 2), np.float32)
    first = rows.window(row).first_token
    logits[row, first + start, 0] = logits[row, first + end, 1] = height
    return logits


def one_row(context="ab  cd! e"):
    return SpanRows(Examples(["a"], [context]), VOCABULARY)


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [(0, 1, "ab"), (1, 2, "ab  cd"), (2, 4, "cd!"), (5, 5, "e"), (0, 5, "ab  cd! e")],
)
def test_text_is_that_of_whole_words_as_written(start, end, text):
    rows = one_row()
    assert decode_spans(rows, peaked(rows, 0, start, end))[0].text == text


def test_end_before_start_is_no_answer():
    rows = one_row()
    (prediction,) = decode_spans(rows, peaked(rows, 0, 5, 2))
    assert prediction.score == 9.0  # of one peak only


def test_answers_outside_the_context_are_not_taken():
    rows = one_row()
    logits = peaked(rows, 0, 2, 3)
    logits[0, [0, 1, 2, -1]] = 99.0  # [CLS], question, [SEP] and [SEP]
    (prediction,) = decode_spans(rows, logits)
    assert prediction.text == "cd"
    assert prediction.null_score_difference == 198.0 - 18.0


def test_no_answer_has_the_least_score_of_all_windows():
    rows = SpanRows(Examples(["a"], ["b " * 20]), VOCABULARY, max_length=12, stride=4)
    logits = np.zeros((rows.num_rows, 12, 2))
    logits[:, 0, 0] = 5.0
    logits[1, 0] = 1.0
    (prediction,) = decode_spans(rows, logits, allows_no_answer=True)
    assert prediction.text == ""
    assert prediction.score == prediction.null_score_difference == 2.0


@pytest.mark.parametrize(("threshold", "text"), [(1.9, ""), (2.0, "b")])
def test_no_answer_where_its_score_exceeds_the_threshold(threshold, text):
    rows = one_row("b")
    logits = np.zeros((1, 5, 2))
    logits[0, 0] = 1.0
    (prediction,) = decode_spans(rows, logits, null_threshold=threshold, allows_no_answer=True)
    assert prediction.text == text


def test_context_without_words():
    rows = one_row(" ")
    (prediction,) = decode_spans(rows, np.ones((1, 4, 2)))
    assert prediction == SpanPrediction("", 2.0, 0.0, 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite(value):
    rows = one_row()
    logits = peaked(rows, 0, 2, 3)
    logits[0, 3, 0] = value
    (prediction,) = decode_spans(rows, logits, allows_no_answer=True)
    assert prediction.text.startswith("ab" if value == np.inf else "cd")
    assert np.isfinite([prediction.score, prediction.probability]).all()
    assert decode_spans(rows, np.full_like(logits, value))[0].text


@pytest.mark.parametrize("shape", [(2, 11, 2), (1, 9, 2), (1, 11, 3), (1, 11)])
def test_other_shapes(shape):
    rows = one_row()
    with pytest.raises(ValueError, match=r"expected \(1, 10 or more, 2\)"):
        decode_spans(rows, np.zeros(shape))


@pytest.mark.parametrize("name", ["num_best", "max_answer_length"])
def test_too_small(name):
    with pytest.raises(ValueError, match=f"`{name}` is 0, expected 1 or more"):
        decode_spans(one_row(), np.zeros((1, 10, 2)), **{name: 0})


def test_answers_of_squad_come_back():
    file, vocabulary = DATA / "SQuAD/dev-v1.1.json", DATA / "vocab/bert-base-uncased-vocab.txt"
    if not file.exists() or not vocabulary.exists():
        pytest.skip(f"needs {file} and {vocabulary}")
    examples = read_squad(file)
    rows = SpanRows(examples, Vocabulary.from_file(vocabulary))
    assert len(examples) == 10_570 < rows.num_rows
    labels = rows.encode(np.arange(rows.num_rows))[2].numpy()
    logits = np.zeros((rows.num_rows, rows.lengths.max(), 2), np.float32)
    for side in (0, 1):
        logits[np.arange(rows.num_rows), labels[:, side], side] = 9.0
    answers = [(label[0][0],) for label in examples.labels]
    texts = [prediction.text for prediction in decode_spans(rows, logits)]
    assert exact_match(answers, texts) > 0.99
    assert np.mean([text == answer for text, (answer,) in zip(texts, answers, strict=True)]) > 0.99
