import gzip
import re

import pytest

from tinybert_tf.data import Examples, read_examples


def written(folder, content, name="train.tsv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def read(path, **columns):
    return read_examples(path, "sentence", label_column="label", **columns)


def assert_refused(path, message, **columns):
    with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
        read(path, **columns)


def test_tsv_takes_quotes_as_text_and_columns_by_name(tmp_path):
    path = written(tmp_path, 'label\tid\tsentence\n1\t7\t"a \n0\t8\tb "c" \n')
    assert read(path) == Examples(['"a ', 'b "c" '], None, ["1", "0"])


def test_tsv_breaks_lines_only_at_newlines(tmp_path):
    path = written(tmp_path, "sentence\tlabel\r\na\u2028b\x85c\rd\t1\r\n")
    assert read(path) == Examples(["a\u2028b\x85c\rd"], None, ["1"])


def test_csv_unquotes(tmp_path):
    path = written(tmp_path, 'sentence,label\n"a, ""b""\nc",1\n', "train.csv")
    assert read(path) == Examples(['a, "b"\nc'], None, ["1"])


@pytest.mark.parametrize("name", ["train.tsv.gz", "train.csv.gz"])
def test_gzip(tmp_path, name):
    separator = "\t" if "tsv" in name else ","
    content = gzip.compress(f"sentence{separator}label\na{separator}1\n".encode())
    assert read(written(tmp_path, content, name)) == Examples(["a"], None, ["1"])


def test_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    assert read(written(tmp_path, "\ufeffsentence\tlabel\na\t1")).texts == ["a"]


def test_pairs_without_labels(tmp_path):
    path = written(tmp_path, "q\ts\na\tb\nc\td\n")
    assert read_examples(path, "q", "s") == Examples(["a", "c"], ["b", "d"], None)


def test_labels_are_converted(tmp_path):
    assert read(written(tmp_path, "sentence\tlabel\na\t1.5\n"), to_label=float).labels == [1.5]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No file .*nothing.tsv"):
        read(tmp_path / "nothing.tsv")


def test_unknown_kind(tmp_path):
    assert_refused(
        written(tmp_path, "", "train.json"), ": unknown kind of file, expected .tsv, .csv"
    )


def test_missing_column_lists_those_there(tmp_path):
    path = written(tmp_path, "sentense\tlabel\na\t1\n")
    message = ' has no column "sentence". Did you mean "sentense"? Columns: sentense, label.'
    assert_refused(path, message)


@pytest.mark.parametrize("row", ["a\tb\t1", "1", ""])
@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_row_of_another_width(tmp_path, row, kind):
    width = row.count("\t") + 1 if row or kind == "tsv" else 0
    content = f"sentence\tlabel\na\t1\n{row}\nb\t0\n"
    path = written(tmp_path, content.replace("\t", "\t" if kind == "tsv" else ","), f"train.{kind}")
    counted = f"{width} column" + "s" * (width != 1)
    assert_refused(path, f", line 3: {counted}, expected 2 (sentence, label).")


def test_csv_row_is_named_by_its_first_line(tmp_path):
    path = written(tmp_path, 'sentence,label\n"a\nb",1\n"c\nd"\n', "train.csv")
    assert_refused(path, ", line 4: 1 column, expected 2")


def test_broken_quoting(tmp_path):
    path = written(tmp_path, 'sentence,label\na,1\n"b" c,1\n', "train.csv")
    assert_refused(path, ", line 3: ',' expected after '\"'")


def test_not_utf8(tmp_path):
    path = written(tmp_path, b"sentence\tlabel\na\t1\ncaf\xe9\t1\n")
    assert_refused(path, ", line 3: byte 0xe9 is not UTF-8. Save the file as UTF-8.")


@pytest.mark.parametrize("content", ["", "\n"])
def test_empty_file(tmp_path, content):
    assert_refused(written(tmp_path, content), " is empty, expected a first line with the names")


def test_no_rows(tmp_path):
    assert_refused(written(tmp_path, "sentence\tlabel\n"), " has no rows below the names")


@pytest.mark.parametrize("content", [b"sentence", gzip.compress(b"sentence\tlabel\na\t1")[:-6]])
def test_broken_gzip(tmp_path, content):
    assert_refused(written(tmp_path, content, "train.tsv.gz"), " is not a whole gzip file: ")


def test_refused_label_names_its_line(tmp_path):
    path = written(tmp_path, "sentence\tlabel\na\t1\nb\tx\n")
    assert_refused(path, ", line 3: could not convert string to float: 'x'", to_label=float)
