import pytest

from tinybert_tf.data import Examples


def test_length_is_the_number_of_texts():
    assert len(Examples(["a", "b"])) == 2


@pytest.mark.parametrize("name", ["text_pairs", "labels", "ids"])
def test_lists_of_different_lengths(name):
    with pytest.raises(ValueError, match=f"`{name}` has 1 entries, expected one for each of the 2"):
        Examples(["a", "b"], **{name: ["c"]})


@pytest.mark.parametrize(("size", "count"), [(599, 300), (4, 3), (7, 2), (5, 1), (3, 3), (2, 9)])
def test_some_are_spread_over_all(size, count):
    texts, kept = [str(number) for number in range(size)], min(count, size)
    places = [number * (size - 1) // max(kept - 1, 1) for number in range(kept)]
    found = Examples(texts, labels=texts).spread(count)
    assert found.texts == found.labels == [texts[place] for place in places]
    assert found.text_pairs is None


def test_none_of_none_are_spread():
    assert Examples([]).spread(3) == Examples([])
