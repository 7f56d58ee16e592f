import random

import pytest

from tinybert_tf.metrics import METRICS, entity_f1, tag_accuracy


def entities(tags):
    """Kind, first and last word of each run of tags, found by reading it as conlleval does."""
    found, start = set(), None
    for position, tag in enumerate([*tags, "O"]):
        before = tags[position - 1] if position else "O"
        goes_on = tag.startswith("I-") and before[1:] == tag[1:]
        if start is not None and not goes_on:
            found.add((before[2:], start, position - 1))
            start = None
        if tag != "O" and not goes_on:
            start = position
    return found


def test_equals_counting_entities():
    chance, tags = random.Random(0), ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    labels = [chance.choices(tags, k=chance.randint(0, 9)) for _ in range(300)]
    predictions = [
        [tag if chance.random() < 0.7 else chance.choice(tags) for tag in text] for text in labels
    ]
    right = sum(len(entities(a) & entities(b)) for a, b in zip(labels, predictions, strict=True))
    counts = (sum(len(entities(text)) for text in side) for side in (labels, predictions))
    expected = 2 * right / sum(counts)
    assert METRICS["entity_f1"](labels, predictions) == pytest.approx(expected)
    assert entity_f1([*map(tuple, labels)], predictions) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (("B-PER", "I-PER", "O"), 1.0),
        (("I-PER", "I-PER", "O"), 1.0),
        (("B-PER", "B-PER", "O"), 0.0),
        (("B-LOC", "I-LOC", "O"), 0.0),
        (("B-PER", "I-PER", "B-PER"), 2 / 3),
    ],
)
def test_by_hand(predicted, expected):
    assert entity_f1([("B-PER", "I-PER", "O")], [predicted]) == pytest.approx(expected)


def test_no_entities_have_no_credit():
    assert entity_f1([("O", "O"), ()], [("O", "O"), ()]) == 0.0


@pytest.mark.parametrize("predictions", [[], [("O",), ("O",)]])
def test_other_number_of_texts(predictions):
    labels = [("O",)] if predictions else []
    with pytest.raises(ValueError, match="expected as many, not none"):
        entity_f1(labels, predictions)


def test_other_number_of_tags():
    with pytest.raises(ValueError, match="Text 1 has 2 tags in `labels`, 1 in `predictions`"):
        entity_f1([("O",), ("O", "O")], [("O",), ("O",)])


@pytest.mark.parametrize("tag", ["NOUN", "ORG", "B", ""])
def test_tags_that_name_no_entities_are_refused(tag):
    with pytest.raises(ValueError, match=f'Tag "{tag}" is neither "O" nor like "B-PER"'):
        entity_f1([("O", tag)], [("O", "O")])


def test_tag_accuracy_by_hand():
    labels, predictions = [("NOUN", "VERB"), (), ("ADJ",)], [("NOUN", "NOUN"), (), ("ADJ",)]
    assert tag_accuracy(labels, predictions) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="There are no tags to compare"):
        tag_accuracy([()], [()])
