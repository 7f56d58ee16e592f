import random
import re

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.models.vocabulary import Vocabulary

VOCABULARY = Vocabulary(tiny.TOKENS)
UNKNOWN, CLS, SEP = (tiny.TOKENS.index(token) for token in ("[UNK]", "[CLS]", "[SEP]"))
EXAMPLE = Examples(["ab c"], ["d ef g"], [(("ef", 2),)])


def pieces_of(text):
    """Word-pieces of a text of ASCII letters and marks: their ids, first and last characters."""
    found = []
    for match in re.finditer(r"[a-z]+|[^a-z\s]", text):
        letters = match.group() if match.group().isalpha() else ["[UNK]"]
        tokens = [letters[0], *(f"##{letter}" for letter in letters[1:])]
        found += [(tiny.TOKENS.index(token), *match.span()) for token in tokens]
    return found


def windows_of(num_pieces, room, stride):
    """Where windows begin and how long they are, cut as run_squad cuts them."""
    windows, start = [], 0
    while True:
        length = min(num_pieces - start, room)
        windows.append((start, length))
        if start + length == num_pieces:
            return windows
        start += min(length, stride)


def window_with_most_context(windows, piece):
    scores = [
        min(piece - start, start + length - 1 - piece) + 0.01 * length
        if start <= piece < start + length
        else -1
        for start, length in windows
    ]
    return scores.index(max(scores))


def make_examples(count, seed=0):
    """Random questions about a few contexts, each with up to two answers."""
    chance = random.Random(seed)

    def text(most_words):
        words = ["".join(chance.choices("abcdxyz", k=chance.randint(1, 4))) for _ in range(99)]
        return " ".join(words[: chance.randint(1, most_words)]).replace("x", chance.choice("x. "))

    contexts = [chance.choice(["", " ", text(30), text(30), text(60)]) for _ in range(count // 3)]
    pairs, labels = [chance.choice(contexts) for _ in range(count)], []
    for context in pairs:
        spans = [sorted(chance.choices(range(len(context) + 1), k=2)) for _ in range(2)]
        answers = [(context[start:end], start) for start, end in spans if context[start:end]]
        labels.append(tuple(answers[: chance.randint(0, 2)]))
    return Examples([text(5) for _ in range(count)], pairs, labels)


def rows_by_hand(examples, max_length, stride, max_question_length):
    """Yields example, ids, segments, label, and (start, end, has most context) of each piece."""
    for example, (question, context) in enumerate(
        zip(examples.texts, examples.text_pairs, strict=True)
    ):
        asked = [piece for piece, _, _ in pieces_of(question)][:max_question_length]
        pieces = pieces_of(context)
        answer, first = examples.labels[example][0] if examples.labels[example] else ("", 0)
        touched = [
            index
            for index, (_, start, end) in enumerate(pieces)
            if answer and start < first + len(answer) and end > first
        ]
        windows = windows_of(len(pieces), max_length - 3 - len(asked), stride)
        for number, (start, length) in enumerate(windows):
            part = pieces[start : start + length]
            ids = [CLS, *asked, SEP, *(piece for piece, _, _ in part), SEP]
            segments = [0] * (len(asked) + 2) + [1] * (length + 1)
            inside = [len(asked) + 2 + index - start for index in touched]
            is_whole = touched and start <= touched[0] and touched[-1] < start + length
            label = [inside[0], inside[-1]] if is_whole else [0, 0]
            places = [
                (*piece[1:], window_with_most_context(windows, start + index) == number)
                for index, piece in enumerate(part)
            ]
            yield example, ids, segments, label, places


@pytest.mark.parametrize(
    ("max_length", "stride", "max_question_length"),
    [(30, 8, 8), (30, 1, 3), (30, 100, 8), (24, 5, 1), (400, 128, 64)],
)
def test_rows_equal_those_of_run_squad(max_length, stride, max_question_length):
    examples = make_examples(60)
    rows = SpanRows(examples, VOCABULARY, max_length, stride, max_question_length)
    example_of, ids, segments, labels, places = zip(
        *rows_by_hand(examples, max_length, stride, max_question_length), strict=True
    )
    assert rows.num_rows == len(ids)
    assert rows.example_of.tolist() == list(example_of)
    assert rows.lengths.tolist() == [len(row) for row in ids]
    encoded = rows.encode(np.arange(rows.num_rows))
    assert encoded[0].to_list() == list(ids)
    assert encoded[1].to_list() == list(segments)
    assert encoded[2].numpy().tolist() == list(labels)
    for row, expected in enumerate(places):
        window = rows.window(row)
        found = zip(window.starts, window.ends, window.has_most_context, strict=True)
        assert [*found] == expected
        assert window.first_token == ids[row].index(SEP) + 1


def test_the_examples_try_every_case():
    rows = [*rows_by_hand(make_examples(60), 30, 8, 8)]
    labels = [label for _, _, _, label, _ in rows]
    assert len(rows) > 100
    assert 10 < labels.count([0, 0]) < len(rows) - 10
    assert any(not places for *_, places in rows)


def test_by_hand():
    ids, segments, labels = SpanRows(EXAMPLE, VOCABULARY).encode([0])
    tokens = [tiny.TOKENS[token] for token in ids.to_list()[0]]
    assert tokens == ["[CLS]", "a", "##b", "c", "[SEP]", "d", "e", "##f", "g", "[SEP]"]
    assert segments.to_list() == [[0] * 5 + [1] * 5]
    assert labels.numpy().tolist() == [[6, 7]]
    assert ids.dtype == segments.dtype == labels.dtype == tf.int32


def test_runs_inside_tf_data_in_any_order():
    rows = SpanRows(make_examples(20), VOCABULARY, 30, 8, 8)
    order = np.random.default_rng(0).permutation(rows.num_rows)
    dataset = tf.data.Dataset.from_tensors(order).map(rows.encode)
    for actual, expected in zip(dataset.get_single_element(), rows.encode(order), strict=True):
        actual, expected = (
            part.to_list() if isinstance(part, tf.RaggedTensor) else part.numpy().tolist()
            for part in (actual, expected)
        )
        assert actual == expected


def test_examples_without_labels():
    rows = SpanRows(Examples(EXAMPLE.texts, EXAMPLE.text_pairs), VOCABULARY)
    assert rows.encode([0])[2] is None


def test_questions_take_half_of_a_row_at_most():
    rows = SpanRows(Examples(["a " * 50], ["b " * 50], [()]), VOCABULARY, max_length=16)
    assert rows.encode([0])[0].to_list()[0].index(SEP) == 7


def test_answers_inside_a_word_take_the_whole_word():
    rows = SpanRows(Examples(["a"], ["b cde"], [(("d", 3),)]), VOCABULARY)
    assert rows.encode([0])[2].numpy().tolist() == [[4, 6]]


@pytest.mark.parametrize(
    ("name", "value", "least"),
    [("max_length", 4, 5), ("stride", 0, 1), ("max_question_length", 0, 1)],
)
def test_too_small(name, value, least):
    with pytest.raises(ValueError, match=f"`{name}` is {value}, expected {least} or more"):
        SpanRows(EXAMPLE, VOCABULARY, **{name: value})


def test_smallest_rows():
    rows = SpanRows(EXAMPLE, VOCABULARY, max_length=5)
    assert [row[3] for row in rows.encode(range(4))[0].to_list()] == [
        tiny.TOKENS.index(token) for token in ("d", "e", "##f", "g")
    ]


def test_no_contexts():
    with pytest.raises(ValueError, match="have no `text_pairs`, expected a context"):
        SpanRows(Examples(["a"]), VOCABULARY)
