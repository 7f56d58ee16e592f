import re

import pytest

from tinybert_tf.models.label_names import advice, label_finder, match_labels

INFERENCE = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (INFERENCE, (0, 1, 2)),
        (("contradiction", "neutral", "entailment"), (2, 1, 0)),
        (("CONTRADICTION", "ENTAILMENT", " Neutral "), (1, 2, 0)),
    ],
)
def test_places_of_labels_in_any_order_and_case(names, places):
    assert match_labels(INFERENCE, names) == places


@pytest.mark.parametrize(
    "name", ["not_entailment", "Not Entailment", "not-entailment", "NOT  -_ENTAILMENT"]
)
def test_spaces_hyphens_and_underscores_are_alike(name):
    assert match_labels(("entailment", "not_entailment"), (name, "Entailment")) == (1, 0)


def test_names_that_differ_in_case_alone_are_told_apart():
    assert match_labels(("a", "A"), ("A", "a")) == (1, 0)
    with pytest.raises(ValueError, match="the labels A, a cannot be matched with the labels a, b"):
        match_labels(("a", "b"), ("A", "a"))


@pytest.mark.parametrize(
    "names",
    [("yes", "maybe"), ("yes",), ("yes", "no", "maybe"), ("yes", "yes"), ("YES", "yes")],
)
def test_other_names_are_refused(names):
    message = f"the labels {', '.join(names)} cannot be matched with the labels yes, no."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        match_labels(("yes", "no"), names)


def test_numbered_names_are_refused_with_advice():
    message = "LABEL_0, LABEL_1 cannot be matched .* does not say what its outputs mean: .*id2label"
    with pytest.raises(ValueError, match=message):
        match_labels(("yes", "no"), ("LABEL_0", "LABEL_1"))
    assert advice(("LABEL_0", "yes")) == ""


def test_finder():
    find = label_finder(("not_entailment", "Entailment"))
    assert [find(name) for name in ("Not entailment", "entailment", "neutral")] == [0, 1, -1]


def test_finder_of_names_that_differ_in_case_alone():
    find = label_finder(("a", "A", "b"))
    assert [find(name) for name in ("a", "A", "b", "B")] == [0, 1, 2, -1]
