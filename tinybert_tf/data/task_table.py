"""The tasks that have a name: where their examples are, what their labels mean, how they score."""

import dataclasses

_SPLITS = {
    "train": (("train.tsv",), "train"),
    "dev": (("dev.tsv",), "validation"),
    "test": (("test.tsv",), "test"),
}
_MNLI_SPLITS = {
    "train": (("train.tsv",), "train"),
    "dev": (("dev_matched.tsv",), "validation_matched"),
    "test": (("test_matched.tsv",), "test_matched"),
    "dev_mismatched": (("dev_mismatched.tsv",), "validation_mismatched"),
    "test_mismatched": (("test_mismatched.tsv",), "test_mismatched"),
}
_SNLI_SPLITS = {
    split: ((f"{split}.tsv", f"snli_1.0_{split}.txt"), dataset_split)
    for split, (_, dataset_split) in _SPLITS.items()
}
_ENTAILMENT = ("entailment", "not_entailment")
_INFERENCE = ("entailment", "neutral", "contradiction")

# Variants that augmentation draws of a text in the paper, for every task.
PAPER_VARIANTS = 20


def _squad_splits(version):
    return {
        "train": ((f"train-{version}.json",), "train"),
        "dev": ((f"dev-{version}.json",), "validation"),
    }


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What the paper trains a task with.

    Args:
        intermediate_epochs: int, passes of the intermediate stage over the augmented data.
        variants: int, sentences that augmentation makes of one.
        prediction_epochs: int, passes of the prediction stage.

    Reference:
        Jiao et al. 2020, section 4.2 and appendix; the variants are the released program's.
    """

    intermediate_epochs: int = 20
    variants: int = 30
    prediction_epochs: int = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSource:
    """Where the examples of a named task are and how its files are laid out.

    Args:
        folder: str, the task's folder below the root of its collection.
        labels: tuple of str, names of the classes in the order of their ids.
        cells: tuple of str, how the files write each label; `None` where they write the names.
        unlabeled: tuple of str, cells that stand for no label; their rows are left out.
        text_column: str.
        text_pair_column: str or `None`.
        label_column: str.
        columns: tuple of str, the columns of files without a first line that names them; of the
            test file, which has one, none.
        problem: "classification", "regression" or "spans".
        metrics: tuple of str, names in `tinybert_tf.metrics.METRICS`, the one to choose by first.
        max_length: int, the most tokens of an example.
        splits: dict of split to the names that its file may have and to its name in TensorFlow
            Datasets.
        dataset: str, the name in TensorFlow Datasets, or `None`.
        dataset_columns: tuple of str, the names of text, pair and label column there, where they
            differ from the files'.
        schedule: `Schedule`, or `None` for tasks that the paper does not have.
        allows_no_answer: bool, whether a question may have no answer.
        bundled: bool, whether the files come with this package.
    """

    folder: str
    labels: tuple[str, ...]
    cells: tuple[str, ...] | None = None
    unlabeled: tuple[str, ...] = ()
    text_column: str = "sentence"
    text_pair_column: str | None = None
    label_column: str = "label"
    columns: tuple[str, ...] = ()
    problem: str = "classification"
    metrics: tuple[str, ...] = ("accuracy",)
    max_length: int = 128
    splits: dict = dataclasses.field(default_factory=lambda: _SPLITS)
    dataset: str | None = None
    dataset_columns: tuple[str, ...] = ()
    schedule: Schedule | None = None
    allows_no_answer: bool = False
    bundled: bool = False

    def find_file(self, folder, split):
        """Returns the path of a split's file.

        Args:
            folder: `pathlib.Path` of the task's files.
            split: str, one of `splits`.

        Raises:
            FileNotFoundError: If it is not there.
        """
        names = [name + end for name in self.splits[split][0] for end in ("", ".gz")]
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            found = ", ".join(sorted(entry.name for entry in folder.iterdir())) or "nothing"
            raise FileNotFoundError(f"No {' or '.join(names)} in {folder}, which holds {found}.")
        return path


def _pair(folder, labels, first="sentence1", second="sentence2", **settings):
    columns = {"text_column": first, "text_pair_column": second}
    return TaskSource(folder=folder, labels=labels, **columns, **settings)


def _squad(version, **settings):
    return TaskSource(
        folder="SQuAD",
        labels=("start", "end"),
        problem="spans",
        metrics=("answer_f1", "exact_match"),
        max_length=384,
        splits=_squad_splits(version),
        schedule=Schedule(intermediate_epochs=10, variants=20),
        **settings,
    )


TASKS = {
    "cola": TaskSource(
        folder="CoLA",
        labels=("unacceptable", "acceptable"),
        cells=("0", "1"),
        columns=("source", "label", "star", "sentence"),
        metrics=("matthews",),
        max_length=64,
        dataset="glue/cola",
        schedule=Schedule(50, 30),
    ),
    "mnli": _pair(
        "MNLI",
        _INFERENCE,
        unlabeled=("-",),
        label_column="gold_label",
        splits=_MNLI_SPLITS,
        dataset="glue/mnli",
        dataset_columns=("premise", "hypothesis", "label"),
        schedule=Schedule(10, 10),
    ),
    "mrpc": _pair(
        "MRPC",
        ("not_equivalent", "equivalent"),
        "#1 String",
        "#2 String",
        cells=("0", "1"),
        label_column="Quality",
        metrics=("f1", "accuracy"),
        dataset="glue/mrpc",
        dataset_columns=("sentence1", "sentence2", "label"),
        schedule=Schedule(20, 30),
    ),
    "qnli": _pair(
        "QNLI",
        _ENTAILMENT,
        "question",
        "sentence",
        dataset="glue/qnli",
        schedule=Schedule(10, 20),
    ),
    "qqp": _pair(
        "QQP",
        ("not_duplicate", "duplicate"),
        "question1",
        "question2",
        cells=("0", "1"),
        label_column="is_duplicate",
        metrics=("f1", "accuracy"),
        dataset="glue/qqp",
        dataset_columns=("question1", "question2", "label"),
        schedule=Schedule(10, 10),
    ),
    "rte": _pair(
        "RTE",
        _ENTAILMENT,
        dataset="glue/rte",
        schedule=Schedule(20, 30),
    ),
    "snips": TaskSource(
        folder="snips",
        labels=(
            "AddToPlaylist",
            "BookRestaurant",
            "GetWeather",
            "PlayMusic",
            "RateBook",
            "SearchCreativeWork",
            "SearchScreeningEvent",
        ),
        max_length=64,
        bundled=True,
    ),
    "snli": _pair(
        "SNLI",
        _INFERENCE,
        unlabeled=("-",),
        label_column="gold_label",
        splits=_SNLI_SPLITS,
        dataset="snli",
        dataset_columns=("premise", "hypothesis", "label"),
    ),
    "squad_v1": _squad("v1.1", dataset="squad/v1.1"),
    "squad_v2": _squad("v2.0", dataset="squad/v2.0", allows_no_answer=True),
    "sst2": TaskSource(
        folder="SST-2",
        labels=("negative", "positive"),
        cells=("0", "1"),
        max_length=64,
        dataset="glue/sst2",
        schedule=Schedule(20, 20),
    ),
    "stsb": _pair(
        "STS-B",
        ("score",),
        label_column="score",
        problem="regression",
        metrics=("pearson", "spearman"),
        dataset="glue/stsb",
        dataset_columns=("sentence1", "sentence2", "label"),
        schedule=Schedule(20, 30),
    ),
    "wnli": _pair(
        "WNLI",
        ("not_entailment", "entailment"),
        cells=("0", "1"),
        dataset="glue/wnli",
    ),
}
