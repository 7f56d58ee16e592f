"""Tasks by name, or made of your own files, and their batches for a model."""

import dataclasses
import difflib
import functools
import math
import pathlib
from collections.abc import Callable

from tinybert_tf.data.batches import ExampleBatches
from tinybert_tf.data.examples import Examples
from tinybert_tf.data.text_files import column_names, read_examples

SPLITS = ("train", "dev", "test")
_BUNDLED = pathlib.Path(__file__).parent
_DATASET_SPLITS = {"train": "train", "dev": "validation", "test": "test"}  # of TensorFlow Datasets
_DEFAULT_METRICS = {"classification": ("accuracy",), "regression": ("pearson",)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSource:
    """Where the examples of a named task are and how its files are laid out.

    Args:
        folder: str, the task's folder below the root of its collection.
        labels: tuple of str, names of the classes in the order of their ids.
        cells: tuple of str, how the files write each label; `None` where they write the names.
        text_column: str.
        text_pair_column: str or `None`.
        label_column: str.
        problem: "classification" or "regression".
        metrics: tuple of str, names in `tinybert_tf.metrics.METRICS`, the chief one first.
        max_length: int, the most tokens of an example.
        dataset: str, the name in TensorFlow Datasets, or `None`.
        bundled: bool, whether the files come with this package.
    """

    folder: str
    labels: tuple[str, ...]
    cells: tuple[str, ...] | None = None
    text_column: str = "sentence"
    text_pair_column: str | None = None
    label_column: str = "label"
    problem: str = "classification"
    metrics: tuple[str, ...] = ("accuracy",)
    max_length: int = 128
    dataset: str | None = None
    bundled: bool = False


TASKS = {
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
    "sst2": TaskSource(
        folder="SST-2",
        labels=("negative", "positive"),
        cells=("0", "1"),
        max_length=64,
        dataset="glue/sst2",
    ),
}


@dataclasses.dataclass(frozen=True)
class Task:
    """What to learn: examples in up to three splits, and what their labels mean. `task` makes one.

    Args:
        name: str.
        labels: tuple of str, names of the classes; `("score",)` for regression.
        problem: "classification" or "regression".
        metrics: tuple of str, names in `tinybert_tf.metrics.METRICS`, the chief one first.
        max_length: int, the most tokens of an example.
        read: function from a split ("train", "dev" or "test") to `Examples`.

    Example:
        sst2 = task("sst2", data_dir="glue")
        sst2.examples("dev").texts[0]
        batches = sst2.train(model, batch_tokens=4096)
    """

    name: str
    labels: tuple[str, ...]
    problem: str
    metrics: tuple[str, ...]
    max_length: int
    read: Callable[[str], Examples] = dataclasses.field(repr=False, compare=False)

    def examples(self, split):
        """Returns the `Examples` of a split, "train", "dev" or "test"; labels are names or floats.

        Raises:
            ValueError: If there is no such split, or as `read_examples` raises.
            FileNotFoundError: If the split's file is missing.
        """
        if split not in SPLITS:
            raise ValueError(f'Unknown split "{split}". Splits: {", ".join(SPLITS)}.')
        return self.read(split)

    def train(self, model, batch_size=None, batch_tokens=None, seed=0, **settings):
        """Returns the shuffled batches of the train split, encoded for `model`.

        Args:
            model: a model with `vocabulary`, `labels`, `problem` and `config.max_sequence_length`.
            batch_size: int, examples in a batch; 32 where `batch_tokens` is not given either.
            batch_tokens: int, tokens in a batch, padding included.
            seed: int, decides the order.
            **settings: `max_length`, by default the task's own, and never more than the model
                takes; `pad_to`, `prefetch` as for `ExampleBatches`.

        Returns:
            `ExampleBatches`.

        Raises:
            ValueError: If the model has no vocabulary or was made for another problem or other
                labels.
        """
        if batch_size is None and batch_tokens is None:
            batch_size = 32
        settings |= {"batch_size": batch_size, "batch_tokens": batch_tokens, "seed": seed}
        return self._batches("train", model, **settings)

    def dev(self, model, batch_size=32):
        """Returns the batches of the dev split, encoded for `model`, not shuffled; see `train`."""
        return self._batches("dev", model, batch_size=batch_size)

    def test(self, model, batch_size=32):
        """Returns the batches of the test split, encoded for `model`, not shuffled; see `train`."""
        return self._batches("test", model, batch_size=batch_size)

    def _batches(self, split, model, max_length=None, **settings):
        self._check_model(model)
        examples = self.examples(split)
        if examples.labels is not None and self.problem == "classification":
            index = {label: position for position, label in enumerate(model.labels)}
            examples = dataclasses.replace(
                examples, labels=[index[label] for label in examples.labels]
            )
        max_length = min(max_length or self.max_length, model.config.max_sequence_length)
        return ExampleBatches(examples, model.vocabulary, max_length=max_length, **settings)

    def _check_model(self, model):
        if model.vocabulary is None:
            raise ValueError(
                f"The model has no vocabulary, so it cannot read the texts of {self.name}."
            )
        if model.problem != self.problem:
            raise ValueError(
                f"The model is for {model.problem}, but {self.name} is {self.problem}."
            )
        if self.problem == "classification" and set(model.labels) != set(self.labels):
            raise ValueError(
                f"The model's labels are {', '.join(model.labels)}, but those of {self.name} are "
                f"{', '.join(self.labels)}."
            )


def task(
    name=None,
    data_dir=None,
    *,
    train=None,
    dev=None,
    test=None,
    text_column="sentence",
    text_pair_column=None,
    label_column="label",
    labels=None,
    problem="classification",
    max_length=None,
):
    """Makes a task, by its name or of your own files.

    Args:
        name: str, a name in `TASKS`. Files, columns, labels and problem are then its own.
        data_dir: str or path-like, the task's folder or the one above it. Without it a bundled
            task needs no files and others are asked of TensorFlow Datasets.
        train: str or path-like, your own file (.tsv, .csv, also .gz), as are `dev` and `test`.
        dev: the same, or `None`.
        test: the same, or `None`; it may lack the label column.
        text_column: str, name of the column of the texts.
        text_pair_column: str, name of the column of the second texts, or `None`.
        label_column: str, name of the column of the labels.
        labels: tuple of str, names of the classes; `None` takes the sorted names in the first of
            your files.
        problem: "classification" or "regression".
        max_length: int, the most tokens of an example; `None` takes the named task's own, or 128.

    Returns:
        `Task`.

    Raises:
        ValueError: If the name or the problem is unknown, if a name and files or neither are
            given, if a named task is given columns, labels or a problem, or if a file of yours
            cannot be read.
        FileNotFoundError: If a folder or file is missing.

    Example:
        task("sst2", data_dir="glue/SST-2")
        task(train="train.tsv", dev="dev.tsv", label_column="intent")
    """
    files = {
        split: path
        for split, path in zip(SPLITS, (train, dev, test), strict=True)
        if path is not None
    }
    if (name is None) == (not files):
        given = f"{name} and {', '.join(map(str, files.values()))}" if name else "neither"
        raise ValueError(
            f"Give either the name of a task ({', '.join(sorted(TASKS))}) or files of your own; "
            f"got {given}."
        )
    own = (text_column, text_pair_column, label_column, labels, problem)
    if name is not None:
        if own != ("sentence", None, "label", None, "classification"):
            raise ValueError(f"Columns, labels and problem of {name} are set; leave them out.")
        made = _named_task(name, data_dir)
        return made if max_length is None else dataclasses.replace(made, max_length=max_length)
    if problem not in _DEFAULT_METRICS:
        raise ValueError(f'Unknown problem "{problem}". Problems: {", ".join(_DEFAULT_METRICS)}.')
    columns = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
    }
    if problem == "regression":
        labels = ("score",)
    elif labels is None:
        labels = _label_names(next(iter(files.values())), columns)
    to_label = _to_score if problem == "regression" else _name_reader(labels, labels)
    return Task(
        name=pathlib.Path(next(iter(files.values()))).name.split(".")[0],
        labels=tuple(labels),
        problem=problem,
        metrics=_DEFAULT_METRICS[problem],
        max_length=max_length or 128,
        read=functools.cache(
            lambda split: _read_split(split, _file_given(files, split), columns, to_label)
        ),
    )


def _named_task(name, data_dir):
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise ValueError(f'Unknown task "{name}".{hint} Tasks: {", ".join(sorted(TASKS))}.')
    source = TASKS[name]
    if data_dir is None and source.bundled:
        data_dir = _BUNDLED
    if data_dir is None:
        read = functools.partial(_read_dataset, source)
    else:
        read = functools.partial(_read_folder, source, _folder(data_dir, source.folder))
    attributes = {
        key: getattr(source, key) for key in ("labels", "problem", "metrics", "max_length")
    }
    return Task(name=name, read=functools.cache(read), **attributes)


def _folder(data_dir, name):
    """Returns the task's folder, whether `data_dir` is that or the one above it."""
    data_dir = pathlib.Path(data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"No folder {data_dir}.")
    return data_dir / name if (data_dir / name).is_dir() else data_dir


def _read_folder(source, folder, split):
    names = (f"{split}.tsv", f"{split}.tsv.gz")
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())) or "nothing"
        raise FileNotFoundError(f"No {names[0]} or {names[1]} in {folder}, which holds {found}.")
    columns = {
        key: getattr(source, key) for key in ("text_column", "text_pair_column", "label_column")
    }
    regression = source.problem == "regression"
    to_label = (
        _to_score if regression else _name_reader(source.cells or source.labels, source.labels)
    )
    return _read_split(split, path, columns, to_label)


def _read_split(split, path, columns, to_label):
    if split == "test" and columns["label_column"] not in column_names(path):
        columns = {
            **columns,
            "label_column": None,
        }  # Benchmarks keep the labels of their test file to themselves.
    return read_examples(path, **columns, to_label=to_label)


def _read_dataset(source, split):
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f"Without `data_dir`, {source.dataset} comes from TensorFlow Datasets: "
            "pip install tensorflow-datasets."
        ) from error
    data, info = tensorflow_datasets.load(
        source.dataset, split=_DATASET_SPLITS[split], with_info=True
    )
    columns = tensorflow_datasets.as_numpy(data.batch(data.cardinality()).get_single_element())
    texts, pairs = (
        None if column is None else [text.decode("utf-8") for text in columns[column]]
        for column in (source.text_column, source.text_pair_column)
    )
    labels = columns[source.label_column].tolist()
    if split == "test":
        labels = None  # All of them are -1 there.
    elif source.problem == "classification":
        labels = [info.features[source.label_column].int2str(label) for label in labels]
    return Examples(texts, pairs, labels)


def _file_given(files, split):
    if split not in files:
        raise ValueError(f"This task has no {split} file; it was made of {', '.join(files)} only.")
    return files[split]


def _label_names(path, columns):
    names = sorted(set(read_examples(path, **columns).labels))
    if len(names) < 2:
        raise ValueError(f'{path} has one label only, "{names[0]}"; expected two or more.')
    return tuple(names)


def _name_reader(cells, names):
    name_of = dict(zip(cells, names, strict=True))

    def to_label(cell):
        if cell not in name_of:
            raise ValueError(f'label "{cell}" is not one of {", ".join(cells)}.')
        return name_of[cell]

    return to_label


def _to_score(cell):
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f'label "{cell}" is not a finite number.')
    return score
