import gzip
import re

import pytest

from tinybert_tf.data.examples import Examples
from tinybert_tf.data.tag_files import read_tags

PARIS = Examples(["In Paris .", "Yes"], labels=[("O", "B-LOC", "O"), ("O",)])


def written(folder, content, name="train.conll"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def assert_refused(path, message, **settings):
    with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
        read_tags(path, **settings)


@pytest.mark.parametrize("name", ["train.conll", "train.txt", "train.tsv"])
@pytest.mark.parametrize("separator", [" ", "   ", "\t"])
def test_two_columns(tmp_path, name, separator):
    content = "In O\nParis B-LOC\n. O\n\nYes O\n".replace(" ", separator)
    assert read_tags(written(tmp_path, content, name)) == PARIS


def test_columns_between_do_not_count(tmp_path):
    content = "In IN B-PP O\nParis NNP B-NP B-LOC\n. . O O\n\nYes UH O O"
    assert read_tags(written(tmp_path, content)) == PARIS


def test_documents_and_empty_lines_end_sentences(tmp_path):
    content = "-DOCSTART- -X- O O\n\n\nIn O\nParis B-LOC\n. O\n-DOCSTART- O\nYes O\n \t\n\n"
    assert read_tags(written(tmp_path, content)) == PARIS


def test_gzip_windows_lines_and_byte_order_mark(tmp_path):
    content = gzip.compress("\ufeffIn O\r\nParis B-LOC\r\n. O\r\n\r\nYes O\r\n".encode())
    assert read_tags(written(tmp_path, content, "train.txt.gz")) == PARIS


def test_lines_and_words_end_only_where_they_should(tmp_path):
    path = written(tmp_path, "a\u2028b\x85 O\n\u00a0 O\nc\u00a0d O\n")
    assert read_tags(path).texts == ["a\u2028b\x85 \u00a0 c\u00a0d"]


def test_labels_are_converted(tmp_path):
    path = written(tmp_path, "a 1\nb 2\n")
    assert read_tags(path, to_label=int).labels == [(1, 2)]


def test_refused_label_names_its_line(tmp_path):
    path = written(tmp_path, "a 1\n\nb x\n")
    assert_refused(path, ", line 3: invalid literal for int()", to_label=int)


def test_word_alone(tmp_path):
    path = written(tmp_path, "In O\nParis\n")
    assert_refused(path, ', line 2: "Paris" stands alone, expected a word and its tag.')


@pytest.mark.parametrize("line", ["New York\tB-LOC", "Paris\tB LOC"])
def test_spaces_inside(tmp_path, line):
    word, tag = line.split("\t")
    message = f', line 1: word "{word}" and tag "{tag}", expected both, without spaces inside.'
    assert_refused(written(tmp_path, f"{line}\n"), message)


@pytest.mark.parametrize("line", ["\tO", "Paris\t", "Paris\tNNP\t", "\tNNP\tO"])
def test_empty_word_or_tag(tmp_path, line):
    assert_refused(written(tmp_path, f"{line}\n"), ", line 1: word ")


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- O\n"])
def test_no_words(tmp_path, content):
    assert_refused(written(tmp_path, content), " has no words, expected a word and its tag on each")


def test_unknown_kind(tmp_path):
    assert_refused(
        written(tmp_path, "a O", "train.csv"), ": unknown kind of file, expected .txt, .conll, .tsv"
    )


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file .*train.conll"):
        read_tags(tmp_path / "train.conll")


def test_not_utf8(tmp_path):
    assert_refused(written(tmp_path, b"a O\n\xff O\n"), ", line 2: byte 0xff is not UTF-8")


def test_words_without_tags(tmp_path):
    path = written(tmp_path, "In\nParis B-LOC\n. \n\nYes\n")
    assert read_tags(path, tagged=False) == Examples(["In Paris .", "Yes"])
