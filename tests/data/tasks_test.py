import gzip
import math
import pathlib
import re
import shutil
import types

import glue_files
import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.data import TASKS, Examples, task
from tinybert_tf.data.tasks import PROBLEMS
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
    assert source.problem in PROBLEMS
    assert len(source.dataset_columns) in (0, 3)
    assert {"train", "dev"} <= set(source.splits)


@pytest.fixture(scope="module", name="glue")
def write_glue(tmp_path_factory):
    return glue_files.write_all(tmp_path_factory.mktemp("glue"))


LAYOUTS = [(name, split) for name, splits in glue_files.EXAMPLES.items() for split in splits]


def test_every_task_with_files_of_its_own_is_tried():
    assert set(glue_files.EXAMPLES) == set(TASKS) - {"snips"}
    for name, splits in glue_files.EXAMPLES.items():
        assert set(splits) == set(TASKS[name].splits)


@pytest.mark.parametrize(("name", "split"), LAYOUTS)
def test_layouts(glue, name, split):
    expected = glue_files.EXAMPLES[name][split]
    for folder in (glue, glue / TASKS[name].folder):
        assert task(name, data_dir=folder).examples(split) == expected


def test_files_may_be_compressed(glue, tmp_path):
    content = (glue / "MNLI" / "dev_mismatched.tsv").read_bytes()
    (tmp_path / "dev_mismatched.tsv.gz").write_bytes(gzip.compress(content))
    examples = task("mnli", data_dir=tmp_path).examples("dev_mismatched")
    assert examples == glue_files.EXAMPLES["mnli"]["dev_mismatched"]


def test_snli_as_its_authors_publish_it(glue, tmp_path):
    shutil.copy(glue / "SNLI" / "train.tsv", tmp_path / "snli_1.0_train.txt")
    assert task("snli", tmp_path).examples("train") == glue_files.EXAMPLES["snli"]["train"]


def test_a_byte_order_mark_as_in_the_authors_file_of_mrpc(glue, tmp_path):
    content = (glue / "MRPC" / "train.tsv").read_text("utf-8")
    written(tmp_path, "\ufeff" + content)
    assert task("mrpc", tmp_path).examples("train") == glue_files.EXAMPLES["mrpc"]["train"]


def test_squad_v2_alone_allows_no_answer():
    assert [name for name in TASKS if task(name).allows_no_answer] == ["squad_v2"]


PUBLISHED = {
    ("cola", ""): {"dev": 1043, "train": 8551},
    ("mnli", "MNLI-1k"): {"dev": 1000, "dev_mismatched": 1000},
    ("mrpc", ""): {"dev": 408, "train": 3668},
    ("qnli", ""): {"dev": 5463},
    ("rte", ""): {"dev": 277, "train": 2490},
    ("snli", ""): {"dev": 9842, "test": 9824},
    ("squad_v1", ""): {"dev": 10570},
    ("sst2", ""): {"dev": 872},
    ("stsb", ""): {"dev": 1500, "train": 5749},
    ("wnli", ""): {"dev": 71, "train": 635},
}


@pytest.mark.parametrize(("name", "folder"), PUBLISHED)
def test_published_files(name, folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"needs {SHARED / folder}")
    read = task(name, data_dir=SHARED / folder)
    for split, count in PUBLISHED[name, folder].items():
        examples = read.examples(split)
        assert len(examples) == count
        assert all(text.strip() for text in (*examples.texts, *(examples.text_pairs or ())))
        if read.problem == "classification":
            assert set(examples.labels) == set(read.labels)


def test_unknown_task_suggests():
    message = 'Unknown task "sst-2". Did you mean "sst2"? Tasks: cola, mnli, '
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
    with pytest.raises(ValueError, match='`labels` has one label only, "x"; expected two or more'):
        custom(tmp_path, labels=("x",))


def test_regression(tmp_path):
    content = "s1\ts2\tscore\na\tb\t2.5\nc\td\t1e0\n"
    columns = {"text_column": "s1", "text_pair_column": "s2", "label_column": "score"}
    made = custom(tmp_path, content, problem="regression", **columns)
    assert (made.labels, made.metrics) == (("score",), ("pearson", "spearman"))
    assert made.examples("train") == Examples(["a", "c"], ["b", "d"], [2.5, 1.0])


@pytest.mark.parametrize("cell", ["x", "nan", "inf", ""])
def test_scores_are_finite_numbers(tmp_path, cell):
    made = custom(tmp_path, f"sentence\tlabel\na\t{cell}\n", problem="regression")
    with pytest.raises(ValueError, match=f'line 2: label "{cell}" is not a finite number'):
        made.examples("train")


def test_multilabel(tmp_path):
    content = "sentence\tlabel\na\tred|blue\nb\t\nc\t red \n"
    made = custom(tmp_path, content, problem="multilabel", label_separator="|")
    assert (made.labels, made.metrics) == (("blue", "red"), ("micro_f1", "subset_accuracy"))
    assert made.examples("train") == Examples(
        ["a", "b", "c"], labels=[("red", "blue"), (), ("red",)]
    )
    ours = model(("Red", "blue"), "multilabel")
    ((_, labels),) = made.train(ours, seed=None).epoch(0)
    np.testing.assert_array_equal(labels, np.float32([[1, 1], [0, 0], [1, 0]]))


def test_multilabel_without_any_label(tmp_path):
    with pytest.raises(ValueError, match="has no labels"):
        custom(tmp_path, "sentence\tlabel\na\t\n", problem="multilabel")


def test_unknown_label_among_several(tmp_path):
    dev = written(tmp_path, "sentence\tlabel\nb\tx,z\n", "dev.tsv")
    with pytest.raises(ValueError, match=f'{dev}, line 2: label "z" is not one of x, y.'):
        custom(tmp_path, dev=dev, problem="multilabel").examples("dev")


def make_tags(folder, **settings):
    train = written(folder, "a O\nb B-X\n\nc O\n", "train.conll")
    dev = written(folder, "d\tI-X\ne\tO\n", "dev.tsv")
    return task(train=train, dev=dev, problem="tagging", **settings)


def test_tagging(tmp_path):
    made = make_tags(tmp_path)
    assert (made.labels, made.metrics) == (("B-X", "I-X", "O"), ("entity_f1",))
    assert made.examples("train") == Examples(["a b", "c"], labels=[("O", "B-X"), ("O",)])
    ours = model(("O", "I-X", "B-X"), "tagging")
    ((_, labels),) = made.train(ours, seed=None).epoch(0)
    assert labels.numpy().tolist() == [[-1, 0, 2, -1], [-1, 0, -1, -1]]


def test_tags_given_must_be_those_of_the_files(tmp_path):
    made = make_tags(tmp_path, labels=("O", "B-X"))
    assert made.labels == ("O", "B-X") and len(made.examples("train")) == 2
    with pytest.raises(ValueError, match='dev.tsv, line 1: label "I-X" is not one of O, B-X.'):
        made.examples("dev")


def test_spans(glue):
    folder, expected = glue / "SQuAD", glue_files.EXAMPLES["squad_v1"]
    made = task(train=folder / "train-v1.1.json", dev=folder / "dev-v1.1.json", problem="spans")
    assert (made.labels, made.max_length, made.allows_no_answer) == (("start", "end"), 384, False)
    assert {split: made.examples(split) for split in expected} == expected
    assert task(train=folder / "train-v2.0.json", problem="spans").allows_no_answer
    ours = model(("start", "end"), "spans", max_sequence_length=40)
    _, positions = next(iter(made.batches("train", ours, batch_size=1).epoch(0)))
    # [CLS], 5 words of the question, [SEP], "It", "is", "5", "o", "'", "clock"
    assert positions.numpy().tolist() == [[9, 12]]


def test_bad_lines_of_own_files_are_skipped(tmp_path):
    content = "sentence\tlabel\na\tx\nshort\nb\ty\n"
    with pytest.warns(UserWarning, match="1 bad lines skipped; the first: .*train.tsv, line 3"):
        made = custom(tmp_path, content, on_bad_line="skip")
        assert made.examples("train").texts == ["a", "b"]


def test_bad_lines_of_a_named_task_are_skipped(tmp_path):
    written(tmp_path, SST2_TRAIN + "odd\t2\n")
    with pytest.warns(UserWarning, match='line 4: label "2" is not one of 0, 1.'):
        examples = task("sst2", tmp_path, on_bad_line="skip").examples("train")
    assert len(examples) == 2


def test_unknown_way_with_bad_lines_is_refused_at_once():
    with pytest.raises(ValueError, match='`on_bad_line` is "drop", expected error or skip'):
        task("sst2", on_bad_line="drop")


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


def test_labels_are_matched_whatever_their_case(tmp_path):
    ((_, labels),) = custom(tmp_path).train(model(("Y", "X")), seed=None).epoch(0)
    assert labels.numpy().tolist() == [1, 0, 1]


def test_scores_reach_the_model(tmp_path):
    made = custom(tmp_path, "sentence\tlabel\na\t1.5\nb\t2\n", problem="regression")
    ((_, labels),) = made.train(model(("LABEL_0",), "regression"), seed=None).epoch(0)
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
        (model(("x", "z")), "does not fit train: the labels x, z cannot be matched with .* x, y"),
        (model(("LABEL_0", "LABEL_1")), "The model does not say what its outputs mean: .*id2label"),
        (model(("x", "y"), "multilabel"), "for multilabel, but train is classification"),
        (model(("score",), "regression"), "for regression, but train is classification"),
        (model(("x", "y"), vocabulary=None), "The model has no vocabulary"),
    ],
)
def test_model_that_does_not_fit(tmp_path, other, message):
    with pytest.raises(ValueError, match=message):
        custom(tmp_path).train(other)


def test_tags_that_name_no_entities_go_by_accuracy(tmp_path):
    for tag, metric in (("B-PER", "entity_f1"), ("NOUN", "tag_accuracy")):
        path = written(tmp_path, f"a {tag}\nb O\n", "train.conll")
        assert task(train=path, problem="tagging").metrics == (metric,)


def test_labels_may_be_more_than_a_file_of_tags_has(tmp_path):
    path = written(tmp_path, "a B-PER\nb O\n", "train.conll")
    made = task(train=path, problem="tagging", labels=["O", "B-PER", "I-PER"])
    assert made.labels == ("O", "B-PER", "I-PER")
