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
        written(tmp_path, "", "train.json"), ": unknown kind of file, expected .tsv, .txt or .csv"
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


@pytest.mark.parametrize(
    "content",
    [b"sentence", gzip.compress(b"sentence\tlabel\na\t1", mtime=0)[:-6]],
    ids=["plain", "cut"],
)
def test_broken_gzip(tmp_path, content):
    assert_refused(written(tmp_path, content, "train.tsv.gz"), " is not a whole gzip file: ")


BAD_LINES = "sentence\tlabel\na\t1\nb\tx\nc\nd\te\t0\nf\t0\n"


def test_bad_lines_are_skipped_on_request_and_counted(tmp_path):
    path = written(tmp_path, BAD_LINES)
    message = f"3 bad lines skipped; the first: {path}, line 3: could not convert string to float"
    with pytest.warns(UserWarning, match=re.escape(message)):
        examples = read(path, to_label=float, on_bad_line="skip")
    assert examples == Examples(["a", "f"], labels=[1.0, 0.0])


def test_nothing_is_said_where_no_line_is_bad(tmp_path, recwarn):
    read(written(tmp_path, "sentence\tlabel\na\t1\n"), on_bad_line="skip")
    assert not recwarn


def test_bad_lines_alone_are_no_rows(tmp_path):
    path = written(tmp_path, "sentence\tlabel\na\tb\t1\n")
    with pytest.warns(UserWarning, match="1 bad lines skipped"):
        assert_refused(path, " has no rows", on_bad_line="skip")


def test_unknown_way_with_bad_lines(tmp_path):
    with pytest.raises(ValueError, match='`on_bad_line` is "drop", expected error or skip'):
        read(written(tmp_path, BAD_LINES), on_bad_line="drop")


def test_rows_without_a_label_are_left_out(tmp_path):
    path = written(tmp_path, "sentence\tlabel\na\t-\nb\t1\n")
    assert read(path, unlabeled=("-",)) == Examples(["b"], labels=["1"])
    unlabelled = read_examples(path, "sentence", unlabeled=("-",))
    assert unlabelled == Examples(["a", "b"])


def test_columns_of_a_file_without_their_names(tmp_path):
    path = written(tmp_path, "x\t1\ta\ny\t0\tb\n")
    columns = ("source", "label", "sentence")
    assert read(path, columns=columns) == Examples(["a", "b"], labels=["1", "0"])
    assert_refused(written(tmp_path, "x\t1\n"), ", line 1: 2 columns, expected 3", columns=columns)


def test_txt_is_read_as_tsv(tmp_path):
    content = 'sentence\tlabel\n"a\t1\n'
    assert read(written(tmp_path, content, "snli_1.0_dev.txt")).texts == ['"a']


def test_refused_label_names_its_line(tmp_path):
    path = written(tmp_path, "sentence\tlabel\na\t1\nb\tx\n")
    assert_refused(path, ", line 3: could not convert string to float: 'x'", to_label=float)
