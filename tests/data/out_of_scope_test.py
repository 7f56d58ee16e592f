import pytest
import tiny

from tinybert_tf.data import Examples, task

ROWS = [("a b", "x"), ("c", "oos"), ("d", "y"), ("e e", "oos"), ("f", "x")]


@pytest.fixture(name="files")
def write_files(tmp_path):
    train, dev = tmp_path / "train.tsv", tmp_path / "dev.tsv"
    return {"train": tiny.write_tsv(train, ROWS), "dev": tiny.write_tsv(dev, ROWS[2:])}


def test_they_are_in_no_split_and_no_label(files):
    made = task(**files, out_of_scope_label="oos")
    assert made.labels == ("x", "y")
    assert made.examples("train") == Examples(["a b", "d", "f"], labels=["x", "y", "x"])
    assert made.examples("dev") == Examples(["d", "f"], labels=["y", "x"])


def test_they_are_given_apart(files):
    made = task(**files, out_of_scope_label="oos")
    assert made.out_of_scope_label == "oos"
    assert made.out_of_scope_examples("train") == Examples(["c", "e e"])
    assert made.out_of_scope_examples("dev") == Examples(["e e"])


def test_pairs_and_another_column(tmp_path):
    rows = [("a", "b", "x"), ("c", "d", "none"), ("e", "f", "y")]
    path = tiny.write_tsv(tmp_path / "dev.tsv", rows, ("one", "two", "intent"))
    columns = {"text_column": "one", "text_pair_column": "two", "label_column": "intent"}
    made = task(dev=path, **columns, out_of_scope_label="none")
    assert made.examples("dev").text_pairs == ["b", "f"]
    assert made.out_of_scope_examples("dev") == Examples(["c"], ["d"])


def test_a_file_without_them(files, tmp_path):
    files["dev"] = tiny.write_tsv(tmp_path / "plain.tsv", [ROWS[0]])
    assert task(**files, out_of_scope_label="oos").out_of_scope_examples("dev") is None


def test_a_test_file_without_labels(files, tmp_path):
    path = tiny.write_tsv(tmp_path / "test.tsv", [("a",)], ("sentence",))
    made = task(**files, test=path, out_of_scope_label="oos")
    assert made.examples("test") == Examples(["a"])
    assert made.out_of_scope_examples("test") is None


def test_without_a_name_for_them_they_are_a_class(files):
    made = task(**files)
    assert made.labels == ("oos", "x", "y")
    assert made.out_of_scope_examples("dev") is None


def test_another_training_file_leaves_them_out_too(files, tmp_path):
    path = tiny.write_tsv(tmp_path / "augmented.tsv", [*ROWS, ("g", "y"), ("h", "oos")])
    made = task(**files, out_of_scope_label="oos").with_train_file(path)
    assert made.examples("train").labels == ["x", "y", "x", "y"]


def test_a_label_of_the_model_is_not_out_of_scope(files):
    with pytest.raises(ValueError, match='"oos" is one of `labels` too'):
        task(**files, labels=("oos", "x", "y"), out_of_scope_label="oos")


def test_only_classes_have_them(files):
    with pytest.raises(ValueError, match='is "oos", but multilabel has no classes. Leave it out'):
        task(**files, problem="multilabel", out_of_scope_label="oos")


def test_named_tasks_have_none():
    with pytest.raises(ValueError, match="Columns, labels and problem of snips are set"):
        task("snips", out_of_scope_label="oos")
