import pytest

from tinybert_tf.data import Examples


def test_length_is_the_number_of_texts():
    assert len(Examples(["a", "b"])) == 2


@pytest.mark.parametrize("name", ["text_pairs", "labels", "ids"])
def test_lists_of_different_lengths(name):
    with pytest.raises(ValueError, match=f"`{name}` has 1 entries, expected one for each of the 2"):
        Examples(["a", "b"], **{name: ["c"]})
