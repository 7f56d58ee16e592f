"""Settings of programs: frozen dataclasses whose fields become flags."""

import contextlib
import dataclasses
import inspect
import pathlib
import typing

REQUIRED = dataclasses.MISSING
# Settings that name a file or folder to read; `teacher` and `student` may be a preset instead.
_READ = ("model", "tflite", "against", "input", "vocabulary", "train", "dev", "test")
_READ += ("masked_lm", "glove", "stop_words")


def setting(default=REQUIRED, help="", compared=True):
    """A field of a settings dataclass.

    Args:
        default: the value without a flag; left out, the flag is required.
        help: str, what `--help` says about it.
        compared: whether another value makes another run; False for what decides only how fast or
            safely the same is computed.
    """
    return dataclasses.field(default=default, metadata={"help": help, "compared": compared})


def exists(path):
    """Whether there is a file, a folder, or a TensorFlow checkpoint whose files begin like that."""
    return any(pathlib.Path(f"{path}{end}").exists() for end in ("", ".index"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every program's settings.

    Attributes:
        json_is_record: bool, whether an output that ends in .json is the record of the run, rather
            than something with a record beside it.
    """

    json_is_record: typing.ClassVar[bool] = True

    def check(self):
        """Raises ValueError or FileNotFoundError for settings that cannot work."""
        for name in _READ:
            path = getattr(self, name, None)
            if path is not None and not exists(path):
                flag = f"--{name.replace('_', '-')}"
                raise FileNotFoundError(f"{path}: no such file or folder, for {flag}.")

    def is_current(self):
        """Whether what a finished run with these settings has made still stands."""
        return True

    def check_at_least(self, least, *names):
        """Raises ValueError if one of these settings is there and less than `least`."""
        for name in names:
            value = getattr(self, name)
            if value is not None and value < least:
                flag = f"--{name.replace('_', '-')}"
                raise ValueError(f"{flag} is {value}, expected {least} or more.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(Settings):
    """Settings of programs that read a task's training file, or one of your own."""

    task: str | None = setting(
        None,
        "name of a task: cola, mnli, mrpc, qnli, qqp, rte, snips, snli, squad_v1, squad_v2, sst2, "
        "stsb or wnli",
    )
    data_dir: str | None = setting(None, "the task's folder, or the one above it")
    train: str | None = setting(
        None, "your own training file: .tsv, .csv or, by --problem, another; also .gz"
    )
    text_column: str = setting("sentence", "column of your files that holds the text")
    text_pair_column: str | None = setting(None, "column that holds the second text of a pair")
    problem: str = setting(
        "classification",
        "of your files: classification, multilabel, regression, spans (SQuAD's JSON) or tagging "
        "(a word and its tag a line)",
    )
    on_bad_line: str = setting("error", "what to do about a bad line of a file: error or skip")

    def check(self):
        super().check()
        if self.task or not any(getattr(self, name, None) for name in ("train", "dev", "test")):
            self.load_task()

    def load_task(self):
        """The `Task` that the settings name."""
        from tinybert_tf import data

        names = inspect.signature(data.task).parameters
        given = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return data.task(self.task, **given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSettings(FileSettings):
    """Settings of programs that work on a task: its name, or files of your own."""

    dev: str | None = setting(None, "your own dev file")
    test: str | None = setting(None, "your own test file")
    label_column: str = setting("label", "column that holds the label")
    labels: tuple[str, ...] = setting(
        (), "names of the classes; those in your first file, of tags in all files, if unset"
    )
    label_separator: str = setting(",", "what stands between several labels of a text")
    out_of_scope_label: str | None = setting(
        None, "label of texts that are of none of the classes; the model does not learn them"
    )
    max_length: int | None = setting(
        None, "most word-pieces of an example; the task's own if unset"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings of programs that train."""

    output: str = setting(help="folder to write; a run that is there is continued")
    warmup: float = setting(0.1, "share of the steps in which the learning rate rises")
    weight_decay: float = setting(0.01, "decoupled weight decay")
    clip_norm: float = setting(1.0, "largest norm of the gradient")
    compat: str = setting("paper", "whose defaults: paper, or reference (the released program)")
    seed: int = setting(0, "of weights, data order and dropout")
    strategy: str = setting("one", "devices: one, mirrored, multi-worker or tpu", compared=False)
    deterministic: bool = setting(
        False, "the same bits in every run on the same devices; slower", compared=False
    )
    checkpoint_steps: int = setting(500, "steps between two saved states", compared=False)
    accumulation_steps: int = setting(
        1, "parts a batch is computed in, one after the other, to save memory", compared=False
    )
    steps_per_execution: int = setting(1, "steps a call of the compiled function", compared=False)
    jit_compile: bool = setting(False, "compile the step with XLA", compared=False)
    prefetch: int | None = setting(
        None, "batches made ahead; tf.data decides if unset", compared=False
    )
    overwrite: bool = setting(False, "replace the run that is in the output folder")

    def check(self):
        # Before anything else: workers must be connected before TensorFlow computes.
        self.make_strategy()
        super().check()
        self.check_at_least(1, "checkpoint_steps", "accumulation_steps", "steps_per_execution")

    def make_strategy(self):
        """The `tf.distribute.Strategy` that the settings name."""
        from tinybert_tf.programs.strategies import make_strategy

        if self.deterministic and self.strategy == "one":
            _keep_order()
        return make_strategy(self.strategy)

    def begin(self):
        """Makes what comes reproducible; returns the strategy."""
        import keras
        import tensorflow as tf

        strategy = self.make_strategy()
        keras.utils.set_random_seed(self.seed)
        if self.deterministic:
            tf.config.experimental.enable_op_determinism()
        return strategy

    def compile_options(self):
        """Arguments of `Distiller.compile` that decide how fast it runs."""
        return {
            "accumulation_steps": self.accumulation_steps,
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": self.jit_compile,
        }

    def optimizer(self, learning_rate, total_steps=None):
        """AdamW with these settings: warm-up and decay over `total_steps`, or a constant rate."""
        from tinybert_tf.distillation import adamw

        return adamw(
            learning_rate,
            warmup=self.warmup if total_steps else 0.0,
            total_steps=total_steps,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            compat=self.compat,
        )


def _keep_order():
    """Lets operations start one at a time: side by side they add up gradients in any order."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it has computed before: a process may choose once
        tf.config.threading.set_inter_op_parallelism_threads(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskTrainingSettings(TrainingSettings, TaskSettings):
    """Settings of programs that train on a task."""

    batch_size: int | None = setting(
        None, "examples a step; 32 if neither this nor the next is set"
    )
    batch_tokens: int | None = setting(None, "word-pieces a step, padding included, instead")
    steps_per_epoch: int | None = setting(
        None, "end a pass after so many steps; the next one begins with other examples"
    )
    pad_to: tuple[int, ...] = setting(
        (), "lengths to pad batches to, instead of the usual ones; one alone: no grouping by length"
    )

    def check(self):
        super().check()
        self.check_at_least(1, "steps_per_epoch")
        if self.train and not self.dev:
            raise ValueError(
                f"Got --train {self.train} without --dev; training goes by the dev file."
            )

    def train_batches(self, task, model, **settings):
        """The task's training batches for a model; `settings` as for `Task.train`."""
        return task.train(
            model,
            batch_size=self.batch_size,
            batch_tokens=self.batch_tokens,
            pad_to=self.pad_to or None,
            steps_per_epoch=self.steps_per_epoch,
            seed=self.seed,
            prefetch=self.prefetch,
            **settings,
        )
