import math
import pathlib
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets

from tinybert_tf.data import TASKS, Examples, task
from tinybert_tf.metrics import METRICS
from tinybert_tf.models.vocabulary import Vocabulary

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "data"
SST2_TRAIN = "sentence\tlabel\nfine film \t1\nbleak \t0\n"


def model(labels, problem="classification", max_sequence_length=32, **attributes):
    """What a task asks of a model."""
    vocabulary = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"))
    config = types.SimpleNamespace(max_sequence_length=max_sequence_length)
    attributes = {"vocabulary": vocabulary, "labels": labels, "config": config} | attributes
    return types.SimpleNamespace(problem=problem, **attributes)


def written(folder, content, name="train.tsv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def custom(folder, content="sentence\tlabel\na b\tx\nc\ty\na\tx\n", **settings):
    return task(train=written(folder, content), **settings)


@pytest.mark.parametrize("name", TASKS)
def test_table_is_consistent(name):
    source = TASKS[name]
    assert len(source.cells or source.labels) == len(source.labels) == len(set(source.labels))
    assert set(source.metrics) <= set(METRICS)


def test_unknown_task_suggests():
    message = 'Unknown task "sst-2". Did you mean "sst2"? Tasks: snips, sst2.'
    with pytest.raises(ValueError, match=re.escape(message)):
        task("sst-2")


def test_bundled_snips():
    snips = task("snips")
    sizes = [len(snips.examples(split)) for split in ("train", "dev", "test")]
    assert sizes == [13_084, 700, 700]
    assert set(snips.examples("train").labels) == set(snips.labels)
    assert snips.examples("dev").texts[1] == "add the album to my flow español playlist"


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_bundled_snips_are_the_published_rows(split):
    path = SHARED / "SNIPS" / f"{split}.tsv"
    if not path.exists():
        pytest.skip(f"needs {path}")
    rows = [line.split("\t") for line in path.read_text("utf-8").removesuffix("\n").split("\n")[1:]]
    examples = task("snips").examples(split)
    assert list(zip(examples.texts, examples.labels, strict=True)) == [tuple(r[:2]) for r in rows]


@pytest.mark.parametrize("below", ["", "SST-2"])
def test_data_dir_is_the_folder_or_the_one_above(tmp_path, below):
    written(tmp_path / below, SST2_TRAIN)
    expected = Examples(["fine film ", "bleak "], None, ["positive", "negative"])
    assert task("sst2", data_dir=tmp_path).examples("train") == expected


def test_published_sst2():
    path = SHARED / "SST-2" / "dev.tsv"
    if not path.exists():
        pytest.skip(f"needs {path}")
    dev = task("sst2", data_dir=SHARED).examples("dev")
    assert len(dev) == 872
    assert dev.labels.count("positive") == path.read_text("utf-8").count("\t1\n")


def test_missing_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="No folder .*nothing"):
        task("sst2", data_dir=tmp_path / "nothing")
    written(tmp_path, SST2_TRAIN)
    message = rf"No dev.tsv or dev.tsv.gz in {tmp_path}, which holds train.tsv\."
    with pytest.raises(FileNotFoundError, match=message):
        task("sst2", data_dir=tmp_path).examples("dev")


def test_unknown_label_of_a_named_task(tmp_path):
    path = written(tmp_path, SST2_TRAIN + "odd\t2\n")
    with pytest.raises(ValueError, match=f'{path}, line 4: label "2" is not one of 0, 1.'):
        task("sst2", data_dir=tmp_path).examples("train")


def test_test_file_may_lack_labels(tmp_path):
    written(tmp_path, "index\tsentence\n0\ta\n", "test.tsv")
    assert task("sst2", data_dir=tmp_path).examples("test") == Examples(["a"])
    path = written(tmp_path, "index\tsentence\n0\ta\n", "dev.tsv")
    with pytest.raises(ValueError, match=f'{path} has no column "label"'):
        task("sst2", data_dir=tmp_path).examples("dev")


def test_unknown_split():
    with pytest.raises(ValueError, match='Unknown split "validation". Splits: train, dev, test'):
        task("snips").examples("validation")


@pytest.mark.parametrize(("split", "labelled"), [("train", True), ("dev", True), ("test", False)])
def test_tensorflow_datasets(split, labelled):
    with tensorflow_datasets.testing.mock_data(num_examples=5):
        examples = task("sst2").examples(split)
    assert len(examples) == 5 and all(isinstance(text, str) for text in examples.texts)
    assert set(examples.labels) <= {"negative", "positive"} if labelled else examples.labels is None


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="glue/sst2 comes from TensorFlow Datasets: pip install"):
        task("sst2").examples("dev")


def test_own_files(tmp_path):
    written(tmp_path, "sentence\tlabel\nb\ty\n", "dev.tsv")
    made = custom(tmp_path, dev=tmp_path / "dev.tsv")
    assert (made.name, made.labels, made.problem) == ("train", ("x", "y"), "classification")
    assert made.metrics == ("accuracy",)
    assert made.examples("dev") == Examples(["b"], None, ["y"])


def test_own_labels_must_be_those_of_the_train_file(tmp_path):
    dev = written(tmp_path, "sentence\tlabel\nb\tz\n", "dev.tsv")
    with pytest.raises(ValueError, match=f'{dev}, line 2: label "z" is not one of x, y.'):
        custom(tmp_path, dev=dev).examples("dev")


def test_labels_may_be_given(tmp_path):
    assert custom(tmp_path, labels=("z", "y", "x")).labels == ("z", "y", "x")


def test_one_label_is_refused(tmp_path):
    with pytest.raises(ValueError, match='has one label only, "x"'):
        custom(tmp_path, "sentence\tlabel\na\tx\n")


def test_regression(tmp_path):
    content = "s1\ts2\tscore\na\tb\t2.5\nc\td\t1e0\n"
    columns = {"text_column": "s1", "text_pair_column": "s2", "label_column": "score"}
    made = custom(tmp_path, content, problem="regression", **columns)
    assert (made.labels, made.metrics) == (("score",), ("pearson",))
    assert made.examples("train") == Examples(["a", "c"], ["b", "d"], [2.5, 1.0])


@pytest.mark.parametrize("cell", ["x", "nan", "inf", ""])
def test_scores_are_finite_numbers(tmp_path, cell):
    made = custom(tmp_path, f"sentence\tlabel\na\t{cell}\n", problem="regression")
    with pytest.raises(ValueError, match=f'line 2: label "{cell}" is not a finite number'):
        made.examples("train")


def test_split_without_file(tmp_path):
    with pytest.raises(ValueError, match="This task has no dev file; it was made of train only"):
        custom(tmp_path).examples("dev")


@pytest.mark.parametrize("settings", [{}, {"name": "sst2", "train": "train.tsv"}])
def test_either_a_name_or_files(settings):
    with pytest.raises(ValueError, match="Give either the name of a task .* or files of your own"):
        task(**settings)


def test_unknown_problem(tmp_path):
    with pytest.raises(ValueError, match='Unknown problem "ranking". Problems: classification'):
        custom(tmp_path, problem="ranking")


def test_labels_are_in_the_order_of_the_model(tmp_path):
    made = custom(tmp_path)
    ((_, labels),) = made.train(model(("y", "x")), seed=None).epoch(0)
    assert labels.numpy().tolist() == [1, 0, 1]


def test_scores_reach_the_model(tmp_path):
    made = custom(tmp_path, "sentence\tlabel\na\t1.5\nb\t2\n", problem="regression")
    ((_, labels),) = made.train(model(("score",), "regression"), seed=None).epoch(0)
    np.testing.assert_array_equal(labels, np.array([1.5, 2.0], np.float32))


def test_never_longer_than_the_model(tmp_path):
    made = custom(tmp_path, "sentence\tlabel\na b c d e f g\tx\nc\ty\n")

    def longest(batches):
        return max(int(tf.shape(inputs["token_ids"])[1]) for inputs, _ in batches.epoch(0))

    assert longest(made.train(model(("x", "y"), max_sequence_length=6))) == 6
    assert longest(made.train(model(("x", "y")), max_length=5)) == 5
    assert longest(made.train(model(("x", "y")))) == 10


def test_train_is_shuffled_and_dev_is_not(tmp_path):
    content = "sentence\tlabel\n" + "a\tx\nb\ty\n" * 20
    path = written(tmp_path, content)
    made = task(train=path, dev=path, test=path)
    ours = model(("x", "y"))
    assert made.train(ours, seed=0).order(0).tolist() != list(range(40))
    assert made.dev(ours).order(0).tolist() == list(range(40))
    assert made.test(ours, batch_size=8).steps_per_epoch == 5
    assert made.train(ours).steps_per_epoch == math.ceil(40 / 32)
    assert made.train(ours, batch_tokens=40).steps_per_epoch == 4


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (model(("x", "z")), "The model's labels are x, z, but those of train are x, y."),
        (model(("score",), "regression"), "for regression, but train is classification"),
        (model(("x", "y"), vocabulary=None), "The model has no vocabulary"),
    ],
)
def test_model_that_does_not_fit(tmp_path, other, message):
    with pytest.raises(ValueError, match=message):
        custom(tmp_path).train(other)
