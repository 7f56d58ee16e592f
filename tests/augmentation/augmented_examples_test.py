import numpy as np
import pytest
from tiny_augmentation import candidates_of

from tinybert_tf.augmentation import Variants
from tinybert_tf.augmentation.augmented_examples import (
    Tally,
    augment_as_released,
    augment_examples,
)


def augmented(candidates, columns, count=6, tally=None, **settings):
    drawn = Variants(candidates, **settings)
    return [*augment_examples(columns, drawn, count, tally or Tally())]


def released(candidates, columns, count=6, probability=0.4, seed=0, tally=None):
    drawn = (candidates, count, probability, seed)
    return [*augment_as_released(columns, *drawn, tally or Tally())]


def test_the_original_comes_first_and_nothing_twice(candidates):
    texts = candidates.texts
    found = augmented(candidates, [texts], count=50)
    assert [rows[0] for rows in found] == [(text,) for text in texts]
    assert all(len(set(rows)) == len(rows) for rows in found)
    assert len(found[0]) > 15 and len(found[1]) == len(found[3]) == 1


def test_pairs_are_varied_beside_the_original(candidates):
    a, b = candidates.texts[0], candidates.texts[2]
    (rows,) = augmented(candidates, [[a], [b]], probability=1.0)
    assert rows[0] == (a, b)
    assert all((row[0] == a) != (row[1] == b) for row in rows[1:])
    sides = [row[1] == b for row in rows[1:]]
    assert sides == sorted(sides, reverse=True) and {*sides} == {True, False}


def test_where_an_example_stands_does_not_matter(candidates):
    texts = candidates.texts
    every = augmented(candidates, [texts, texts[::-1]])
    assert augmented(candidates, [texts[2:], texts[1::-1]]) == every[2:]


def test_examples_of_one_text_differ_beside_different_ones(candidates):
    text, second, third = candidates.texts[:3]
    one, other, again = augmented(candidates, [[text] * 3, [second, third, second]])
    assert one == again
    assert {row[0] for row in one} != {row[0] for row in other}


def test_any_number_at_once_gives_the_same(candidates, monkeypatch):
    columns = [candidates.texts * 3]
    expected = augmented(candidates, columns)
    monkeypatch.setattr("tinybert_tf.augmentation.augmented_examples._ROWS_AT_ONCE", 13)
    assert augmented(candidates, columns) == expected


def test_tally():
    candidates = candidates_of([[["a", "a", "b"], " "] * 50])
    tally = Tally()
    rows = augmented(candidates, [candidates.texts], 200, tally, probability=0.4)
    assert tally.rows == len(rows[0])
    assert (tally.words, tally.draws) == (200 * 100, 200 * 50)
    assert tally.shares()["replaced_share"] == pytest.approx(0.4, abs=0.02)
    assert tally.shares()["changed_share"] == pytest.approx(0.1, abs=0.01)
    kept = sum(text.count("b") for (text,) in rows[0])
    assert tally.changed == kept  # no variant of so many words comes twice
    assert Tally().shares() == {"replaced_share": 0.0, "changed_share": 0.0}


def test_released_pairs_slip():
    candidates = candidates_of([[["a", "b"]], [["c", "d"]]])
    (rows,) = released(candidates, [["A"], ["c"]], count=3, probability=1.0)
    assert rows == [("A", "c"), ("b", "c"), ("b", "c"), ("b", "d")]


def test_released_variants_are_drawn_for_every_word():
    candidates = candidates_of([[["a", "b", "e"], " ", ["c", "d", "f"]]])
    (rows,) = released(candidates, [["a c"]], count=99)
    assert rows[0] == ("a c",)
    assert {row[0] for row in rows} == {f"{one} {other}" for one in "abe" for other in "cdf"}
    assert released(candidates, [["a c"]], count=99) == [rows]
    assert released(candidates, [["a c"]], count=99, seed=1) != [rows]


def test_released_share():
    candidates, tally = candidates_of([[["a", "b"], " "] * 50]), Tally()
    # Spaces at the end are no words of the released program's.
    candidates.texts[0] = candidates.texts[0].rstrip()
    released(candidates, [candidates.texts], 200, tally=tally)
    assert tally.shares()["replaced_share"] == pytest.approx(0.4, abs=0.02)
    assert np.isclose(tally.shares()["changed_share"], tally.shares()["replaced_share"] / 2)
