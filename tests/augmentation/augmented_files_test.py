import re

import pytest
from tiny_augmentation import candidates_of

from tinybert_tf.augmentation.augmented_examples import Tally
from tinybert_tf.augmentation.augmented_files import SquadFile, TableFile, training_file
from tinybert_tf.data import read_examples

SETTINGS = {"count": 30, "probability": 0.5, "seed": 0, "compat": "paper"}
A = [["good", "bad"], ", ok"]
B = ["so ", ["fine", "poor"]]


def written(folder, content, name="train.tsv"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def augmented(path, columns, texts=(A, B), **changes):
    """The lines of what is written, and the tally."""
    file = TableFile(path, columns, changes.pop("header", ()))
    tally, output = Tally(), path.with_name("out.tsv")
    file.write(output, candidates_of(texts), tally, **SETTINGS | changes)
    return output.read_text(encoding="utf-8").splitlines(), tally


def refused(message, *arguments, **settings):
    with pytest.raises(ValueError, match=re.escape(message)):
        TableFile(*arguments, **settings)


def test_other_columns_are_copied(tmp_path):
    path = written(
        tmp_path, 'id\tone\tlabel\ttwo\n7\tgood, ok\t-\tso fine\n8\tso fine\t"\tgood, ok'
    )
    lines, tally = augmented(path, ["one", "two"])
    assert lines == [
        "id\tone\tlabel\ttwo",
        "7\tgood, ok\t-\tso fine",
        "7\tbad, ok\t-\tso fine",
        "7\tgood, ok\t-\tso poor",
        '8\tso fine\t"\tgood, ok',
        '8\tso poor\t"\tgood, ok',
        '8\tso fine\t"\tbad, ok',
    ]
    assert tally.rows == 6


def test_files_without_a_header(tmp_path):
    path = written(tmp_path, "1\tgood, ok\n0\tso fine\n")
    lines, _ = augmented(path, ["text"], header=("label", "text"))
    assert lines == ["1\tgood, ok", "1\tbad, ok", "0\tso fine", "0\tso poor"]


def test_csv_becomes_tsv(tmp_path):
    path = written(tmp_path, 'text,note\n"good, ok","a\n\tb"\n', "train.csv")
    assert augmented(path, ["text"])[0] == ["text\tnote", "good, ok\ta  b", "bad, ok\ta  b"]


def test_texts_are_those_of_training(tmp_path):
    path = written(tmp_path, 'text\n"good,\tok\nor\r so"\n', "train.csv")
    assert TableFile(path, ["text"]).texts("paper") == read_examples(path, "text").texts
    texts = [[["good", "\tb\rad"], ",\tok\nor\r so"]]
    assert augmented(path, ["text"], texts)[0] == ["text", "good, ok or  so", " b ad, ok or  so"]


def test_reference(tmp_path):
    path = written(tmp_path, "text\nGood, OK\n")
    assert TableFile(path, ["text"]).texts("reference") == ["good , ok"]
    candidates = [[["good", "bad"], " , ok"]]
    lines, tally = augmented(path, ["text"], candidates, compat="reference")
    assert lines[:2] == ["text", "Good, OK"]
    assert set(lines[2:]) == {"good , ok", "bad , ok"}
    assert tally.rows == 3


def test_bad_lines(tmp_path):
    path = written(tmp_path, "text\tlabel\ngood, ok\t1\t2\nso fine\t1\n")
    refused(f"{path}, line 2: 3 columns, expected 2", path, ["text"])
    with pytest.warns(UserWarning, match="1 bad lines skipped"):
        assert TableFile(path, ["text"], on_bad_line="skip").num_examples == 1


def test_errors(tmp_path):
    path = written(tmp_path, "text\tlabel\n")
    refused('has no column "sentence". Columns: text, label.', path, ["sentence"])
    refused("has no rows", path, ["text"])
    refused("`on_bad_line`", path, ["text"], on_bad_line="x")
    refused("unknown kind of file", written(tmp_path, "", "train.xls"), ["text"])
    with pytest.raises(ValueError, match="a tag is of its word"):
        training_file(path, "tagging", ["text"])


def test_squad(tmp_path):
    document = (
        '{"version": "1.1", "data": [{"paragraphs": [{"context": "good, ok", "qas": [{"id": "q", '
        '"question": "é?", "answers": [{"text": "ok", "answer_start": 6}]}]}]}, '
        '{"paragraphs": []}]}'
    )
    file = training_file(written(tmp_path, document, "train.json"), "spans", ["x"])
    assert isinstance(file, SquadFile) and file.num_examples == 1
    assert file.texts("paper") == ["good, ok"]
    file.write(tmp_path / "out.json", candidates_of([A]), Tally(), **SETTINGS)
    again = SquadFile(tmp_path / "out.json")
    assert again.texts("paper") == ["good, ok", "bad, ok"]
    with pytest.raises(ValueError, match="does not augment SQuAD"):
        file.texts("reference")
