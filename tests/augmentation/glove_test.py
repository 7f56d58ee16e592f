import gzip
import pathlib
import re

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tinybert_tf.augmentation.glove import GloveVectors

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data" / "glove"


def written(folder, content, name="glove.txt"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def assert_refused(path, message):
    with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
        GloveVectors.from_file(path)


def random_glove(count=300, width=7):
    vectors = np.random.default_rng(0).normal(size=(count, width))
    return GloveVectors([f"w{number}" for number in range(count)], vectors), vectors


def test_neighbors_are_those_of_scikit_learn():
    glove, vectors = random_glove()
    search = NearestNeighbors(n_neighbors=16, metric="cosine").fit(vectors)
    expected = search.kneighbors(vectors, return_distance=False)[:, 1:]
    expected = [[f"w{row}" for row in sorted(rows)] for rows in expected]
    assert glove.neighbors(glove.words, 15) == expected


def test_neighbors_by_hand():
    glove = GloveVectors(["a", "b", "c", "d"], np.array([[1, 0], [0, 2], [5, 1], [-1, 0.0]]))
    assert glove.neighbors(["a", "A", "x", "a"], 1) == [["c"], ["c"], [], ["c"]]
    assert glove.neighbors(["d"], 9) == [["a", "b", "c"]]
    assert glove.neighbors([], 3) == []


def test_a_word_alone_has_no_neighbors():
    assert GloveVectors(["a"], np.ones([1, 2])).neighbors(["a"], 3) == [[]]


def test_of_a_word_that_comes_twice_the_first_counts():
    glove = GloveVectors(["a", "b", "a"], np.array([[1, 0], [1, 0.1], [0, 1.0]]))
    assert glove.neighbors(["a"], 1) == [["b"]]


@pytest.mark.skipif(not DATA.is_dir(), reason="the vectors are not here")
def test_real_vectors():
    glove = GloveVectors.from_file(DATA / "glove.6B.100d.top2716.txt")
    assert glove.vectors.shape == (2716, 100)
    np.testing.assert_allclose(np.linalg.norm(glove.vectors, axis=1), 1, rtol=1e-6)
    assert glove.neighbors(["film"], 2) == [["movie", "films"]]


def test_words_with_spaces(tmp_path):
    text = "a 1 2\n. . . 3 4\nat me@site.org 5 6\n 0 1\n\u00a0 1 0\n"
    glove = GloveVectors.from_file(written(tmp_path, text))
    assert glove.words == ["a", ". . .", "at me@site.org", "", "\u00a0"]
    np.testing.assert_allclose(glove.vectors[1], [0.6, 0.8], rtol=1e-6)


def test_gzip_and_first_rows(tmp_path):
    path = written(tmp_path, gzip.compress(b"a 1 2\r\nb 3 4\r\nbad"), "glove.txt.gz")
    assert GloveVectors.from_file(path, max_rows=2).words == ["a", "b"]


def test_a_zero_vector_is_near_to_nothing(tmp_path):
    glove = GloveVectors.from_file(written(tmp_path, "a 1 2\nb 0 0\nc 1 3\n"))
    assert glove.neighbors(["a"], 1) == [["c"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " is empty"),
        ("a 1 2\nb 1\n", ", line 2: 1 numbers, expected a word and 2."),
        ("a 1 2\nb 1 2 3\n", ", line 2: 3 numbers, expected 2 as in the other lines."),
        ("a 1 2\nb 1 x\n", ", line 2: expected a word and 2 numbers."),
        ("a 1 2\nb 1 nan\n", ", line 2: a number is not finite."),
        (b"a 1 2\n\xff 1 2\n", ", line 2: byte 0xff is not UTF-8."),
        ("word\n", ", line 1: 0 numbers, expected a word and 1."),
    ],
)
def test_what_is_no_glove_file(tmp_path, content, message):
    assert_refused(written(tmp_path, content), message)


def test_half_a_gzip_file(tmp_path):
    content = gzip.compress(b"a 1 2\n" * 999)[:-9]
    assert_refused(written(tmp_path, content, "glove.gz"), " is not a whole gzip file")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file"):
        GloveVectors.from_file(tmp_path / "glove.txt")


def test_no_words():
    with pytest.raises(ValueError, match="one word or more"):
        GloveVectors([], np.zeros([0, 2]))
