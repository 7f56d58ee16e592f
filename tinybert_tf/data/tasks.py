"""Tasks by name, or made of your own files, and their batches for a model."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

from tinybert_tf.data.batches import ExampleBatches
from tinybert_tf.data.dataset_source import read_dataset
from tinybert_tf.data.examples import Examples
from tinybert_tf.data.label_cells import name_reader, to_score
from tinybert_tf.data.own_files import (
    file_given,
    lacks_answers,
    out_of_scope_fields,
    own_labels,
    own_reader,
)
from tinybert_tf.data.span_rows import SpanRows
from tinybert_tf.data.squad_files import read_squad
from tinybert_tf.data.tag_rows import TagRows
from tinybert_tf.data.task_table import PAPER_VARIANTS, TASKS, Schedule
from tinybert_tf.data.text_files import check_on_bad_line, read_split
from tinybert_tf.data.text_rows import TextRows
from tinybert_tf.metrics import is_entity_tag
from tinybert_tf.models.label_names import match_labels
from tinybert_tf.suggestions import did_you_mean

SPLITS = ("train", "dev", "test")
# Problem: the metrics of your own files, the one to choose by first.
PROBLEMS = {
    "classification": ("accuracy",),
    "regression": ("pearson", "spearman"),
    "multilabel": ("micro_f1", "subset_accuracy"),
    "spans": ("answer_f1", "exact_match"),
    "tagging": ("entity_f1",),
}
_BUNDLED = pathlib.Path(__file__).parent
_ROWS = {"spans": SpanRows, "tagging": TagRows}
_MAX_LENGTH = {"spans": 384}


@dataclasses.dataclass(frozen=True)
class Task:
    """What to learn: examples in several splits, and what their labels mean. `task` makes one.

    Args:
        name: str.
        labels: tuple of str, names of the classes or tags; `("score",)` for regression, `("start",
            "end")` for spans.
        problem: a key of `PROBLEMS`.
        metrics: tuple of str, names in `tinybert_tf.metrics.METRICS`, the one to choose by first.
        max_length: int, the most tokens of an example.
        read: function from a split to `Examples`.
        splits: tuple of str: "train", "dev", "test" and, where there are two kinds of them,
            "dev_mismatched" and "test_mismatched".
        schedule: `Schedule` of the paper, or `None`.
        allows_no_answer: bool, for spans: whether a question may have none.
        read_file: function from a split and a path to the `Examples` in a file of that split's
            layout, or `None`.
        out_of_scope_label: str, the label in the files of texts that have none of `labels`, or
            `None`.
        read_out_of_scope: function from a split to those texts, `Examples`.

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
    splits: tuple[str, ...] = SPLITS
    schedule: Schedule | None = None
    allows_no_answer: bool = False
    read_file: Callable[[str, pathlib.Path], Examples] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )
    out_of_scope_label: str | None = None
    read_out_of_scope: Callable[[str], Examples | None] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )

    @property
    def variants(self):
        """Number of variants that augmentation draws of a text: the schedule's, or the paper's."""
        return self.schedule.variants if self.schedule else PAPER_VARIANTS

    def examples(self, split):
        """Returns the `Examples` of a split; labels are names, scores or answers.

        Raises:
            ValueError: If there is no such split, or as `read_examples` raises.
            FileNotFoundError: If the split's file is missing.
        """
        if split not in self.splits:
            raise ValueError(f'Unknown split "{split}". Splits: {", ".join(self.splits)}.')
        return self.read(split)

    def out_of_scope_examples(self, split):
        """Returns the `Examples` of a split that have no label of the task's, or `None`."""
        return self.read_out_of_scope and self.read_out_of_scope(split)

    def with_train_file(self, path):
        """Returns this task with another training file, of the same layout.

        Args:
            path: str or path-like, such as what `tinybert-tf augment` wrote.
        """

        train = functools.cache(lambda: self.read_file("train", pathlib.Path(path)))
        return dataclasses.replace(
            self, read=lambda split: train() if split == "train" else self.read(split)
        )

    def train(self, model, batch_size=None, batch_tokens=None, seed=0, **settings):
        """Returns the shuffled batches of the train split, encoded for `model`.

        Args:
            model: a model with `vocabulary`, `labels`, `problem` and `config.max_sequence_length`.
            batch_size: int, examples in a batch; 32 where `batch_tokens` is not given either.
            batch_tokens: int, tokens in a batch, padding included.
            seed: int, decides the order.
            **settings: `max_length`, by default the task's own, and never more than the model
                takes; `pad_to`, `prefetch`, `steps_per_epoch` and, for rows of another class than
                the problem's, `rows` as for `ExampleBatches`.

        Returns:
            `ExampleBatches`.

        Raises:
            ValueError: If the model has no vocabulary or was made for another problem or other
                labels.
        """
        if batch_size is None and batch_tokens is None:
            batch_size = 32
        settings |= {"batch_size": batch_size, "batch_tokens": batch_tokens, "seed": seed}
        return self.batches("train", model, **settings)

    def dev(self, model, batch_size=32):
        """Returns the batches of the dev split, encoded for `model`, not shuffled; see `train`."""
        return self.batches("dev", model, batch_size=batch_size)

    def test(self, model, batch_size=32):
        """Returns the batches of the test split, encoded for `model`, not shuffled; see `train`."""
        return self.batches("test", model, batch_size=batch_size)

    def batches(self, split, model, max_length=None, rows=None, **settings):
        """Returns the batches of a split, encoded for `model`.

        Args:
            split: str, one of `splits`.
            model: as for `train`.
            max_length: as for `train`.
            rows: as for `ExampleBatches`; `None` takes the problem's.
            **settings: as for `ExampleBatches`.
        """
        self.check_model(model)
        examples = self.examples(split)
        labels = self._to_outputs(examples.labels, model)
        max_length = min(max_length or self.max_length, model.config.max_sequence_length)
        return ExampleBatches(
            dataclasses.replace(examples, labels=labels),
            model.vocabulary,
            rows=rows or rows_of(self.problem),
            max_length=max_length,
            **settings,
        )

    def _to_outputs(self, labels, model):
        """Labels as the numbers of the model's outputs, where they are names."""
        if labels is None or self.problem in ("regression", "spans"):
            return labels
        place = dict(zip(self.labels, match_labels(self.labels, model.labels), strict=True))
        if self.problem == "classification":
            return [place[name] for name in labels]
        places = [tuple(place[name] for name in names) for names in labels]
        if self.problem == "tagging":
            return places
        return [[float(number in held) for number in range(len(place))] for held in places]

    def check_model(self, model):
        """Raises ValueError if a model cannot read the task's texts or has another kind of head."""
        if model.vocabulary is None:
            raise ValueError(
                f"The model has no vocabulary, so it cannot read the texts of {self.name}."
            )
        problem = getattr(model, "problem", "no task at all")
        if problem != self.problem:
            raise ValueError(f"The model is for {problem}, but {self.name} is {self.problem}.")
        if self.problem != "regression":
            try:
                match_labels(self.labels, model.labels)
            except ValueError as error:
                raise ValueError(f"The model does not fit {self.name}: {error}") from error


def rows_of(problem):
    """The class of rows that a problem's examples become: `TextRows`, `SpanRows` or `TagRows`."""
    return _ROWS.get(problem, TextRows)


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
    label_separator=",",
    on_bad_line="error",
    out_of_scope_label=None,
):
    """Makes a task, by its name or of your own files.

    Args:
        name: str, a name in `TASKS`. Files, columns, labels and problem are then its own.
        data_dir: str or path-like, the task's folder or the one above it. Without it a bundled
            task needs no files and others are asked of TensorFlow Datasets.
        train: str or path-like, your own file, as are `dev` and `test`: for spans SQuAD's JSON, for
            tagging a word and its tag a line and a blank line after each sentence, else columns
            (.tsv, .csv). Each may be compressed (.gz).
        dev: the same, or `None`.
        test: the same, or `None`; it may lack the label column.
        text_column: str, name of the column of the texts.
        text_pair_column: str, name of the column of the second texts, or `None`.
        label_column: str, name of the column of the labels.
        labels: sequence of str, names of the classes; without them the sorted names in the first
            of your files count, or for tagging in all of them.
        problem: a key of `PROBLEMS`.
        max_length: int, the most tokens of an example; `None` takes the named task's own, or 128,
            or 384 for spans.
        label_separator: str, what stands between several labels of a text.
        on_bad_line: "error" or "skip"; see `read_examples`. Other files than columns are read
            whole or not at all.
        out_of_scope_label: str, for classification: what your files have as the label of texts of
            none of the classes. No split has them; `Task.out_of_scope_examples` gives them.

    Returns:
        `Task`.

    Raises:
        ValueError: If the name or the problem is unknown, if a name and files or neither are
            given, if a named task is given columns, labels or a problem, if a file of yours cannot
            be read, or if there is an `out_of_scope_label` where there are no classes.
        FileNotFoundError: If a folder or file is missing.

    Example:
        task("sst2", data_dir="glue/SST-2")
        task(train="train.tsv", dev="dev.tsv", label_column="intent", out_of_scope_label="oos")
    """
    check_on_bad_line(on_bad_line)
    given = zip(SPLITS, (train, dev, test), strict=True)
    files = {split: pathlib.Path(path) for split, path in given if path is not None}
    if (name is None) == (not files):
        given = f"{name} and {', '.join(map(str, files.values()))}" if name else "neither"
        raise ValueError(
            f"Give either the name of a task ({', '.join(sorted(TASKS))}) or files of your own; "
            f"got {given}."
        )
    own = (text_column, text_pair_column, label_column, labels or None, problem, out_of_scope_label)
    if name is not None:
        if own != ("sentence", None, "label", None, "classification", None):
            raise ValueError(f"Columns, labels and problem of {name} are set; leave them out.")
        made = _named_task(name, data_dir, on_bad_line)
        return made if max_length is None else dataclasses.replace(made, max_length=max_length)
    if problem not in PROBLEMS:
        raise ValueError(f'Unknown problem "{problem}". Problems: {", ".join(PROBLEMS)}.')
    columns = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "on_bad_line": on_bad_line,
        "unlabeled": (),
    }
    if out_of_scope_label is not None:
        _check_out_of_scope(out_of_scope_label, problem, labels or ())
        columns["unlabeled"] = (out_of_scope_label,)
    made = _own_task(files, columns, problem, labels, label_separator)
    return made if max_length is None else dataclasses.replace(made, max_length=max_length)


def _own_task(files, columns, problem, labels, separator):
    """The task of your own files: dict of split to path; other arguments as for `task`."""
    if problem in ("classification", "tagging") and len(labels or ()) == 1:
        raise ValueError(f'`labels` has one label only, "{labels[0]}"; expected two or more.')
    reader = own_reader(problem, columns, separator)
    labels = tuple(labels or own_labels(problem, files, reader))
    metrics = PROBLEMS[problem]
    if problem == "tagging" and not all(map(is_entity_tag, labels)):
        metrics = ("tag_accuracy",)
    path = next(iter(files.values()))

    def read_file(split, path):
        return reader(split, path, labels)

    return Task(
        name=path.name.split(".")[0],
        labels=labels,
        problem=problem,
        metrics=metrics,
        max_length=_MAX_LENGTH.get(problem, 128),
        read=functools.cache(lambda split: read_file(split, file_given(files, split))),
        allows_no_answer=problem == "spans" and lacks_answers(files, reader),
        read_file=read_file,
        **out_of_scope_fields(files, columns),
    )


def _check_out_of_scope(label, problem, labels):
    if problem != "classification":
        raise ValueError(
            f'`out_of_scope_label` is "{label}", but {problem} has no classes. Leave it out.'
        )
    if label in labels:
        raise ValueError(
            f'`out_of_scope_label` "{label}" is one of `labels` too. Leave it out there.'
        )


def _named_task(name, data_dir, on_bad_line):
    if name not in TASKS:
        hint = did_you_mean(name, TASKS)
        raise ValueError(f'Unknown task "{name}".{hint} Tasks: {", ".join(sorted(TASKS))}.')
    source = TASKS[name]
    if data_dir is None and source.bundled:
        data_dir = _BUNDLED
    read_file = functools.partial(_read_file, source, on_bad_line)
    if data_dir is None:
        read = functools.partial(read_dataset, source)
    else:
        folder = task_folder(data_dir, source.folder)

        def read(split):
            return read_file(split, source.find_file(folder, split))

    attributes = ("labels", "problem", "metrics", "max_length", "schedule", "allows_no_answer")
    return Task(
        name=name,
        read=functools.cache(read),
        read_file=read_file,
        splits=tuple(source.splits),
        **{key: getattr(source, key) for key in attributes},
    )


def task_folder(data_dir, name):
    """Returns the `pathlib.Path` of a task's folder: `data_dir`, or the one of that name in it."""
    data_dir = pathlib.Path(data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"No folder {data_dir}.")
    return data_dir / name if (data_dir / name).is_dir() else data_dir


def _read_file(source, on_bad_line, split, path):
    if source.problem == "spans":
        return read_squad(path)
    named = ("text_column", "text_pair_column", "label_column", "unlabeled")
    columns = {key: getattr(source, key) for key in named} | {"on_bad_line": on_bad_line}
    if source.columns and split != "test":
        columns["columns"] = source.columns
    regression = source.problem == "regression"
    to_label = to_score if regression else name_reader(source.labels, source.cells)
    return read_split(split, path, columns, to_label)
