"""Writes a trained model as a .tflite file that carries its labels and vocabulary.

    tinybert-tf export --model runs/sst2/student --output sst2.tflite --recipe dynamic_wi8_afp32
    tinybert-tf export --model runs/sst2/student --output npu.tflite --target npu-int8 \\
        --task sst2 --data-dir glue
    tinybert-tf export --model runs/sst2/student --output small.tflite --task sst2 \\
        --data-dir glue --trim-vocabulary-to task --max-length 128
    tinybert-tf export --model runs/intents/student --output intents.tflite --train train.tsv \\
        --dev dev.tsv --out-of-scope-label oos --calibrate

What each recipe is good for: `tinybert_tf.recipes.RECIPES`.
"""

import dataclasses
import pathlib

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, TaskSettings, setting
from tinybert_tf.recipes import RECIPES, TARGETS, check_recipe
from tinybert_tf.suggestions import did_you_mean


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings(TaskSettings):
    """Settings of `export`."""

    model: str = setting(help="model folder")
    output: str = setting(help="file to write, ending in .tflite")
    recipe: str | None = setting(None, f"{', '.join(RECIPES)}; the target's if unset")
    target: str = setting("cpu", f"where the file shall run: {', '.join(TARGETS)}")
    static_length: int | None = setting(
        None, "the one length in tokens that the file takes; any if unset, of static recipes 128"
    )
    tokenizer_in_graph: bool = setting(
        False,
        "take text: needs a runtime with tensorflow-text's operators; words over 100 bytes: [UNK]",
    )
    static_examples: int = setting(
        300, "texts of the task's train that static recipes measure activations on"
    )
    trim_vocabulary_to: str | None = setting(
        None, "keep the word-pieces of these texts: a file, one text a line, or task (its train)"
    )
    trim_min_count: int = setting(1, "how often a word-piece must occur there to be kept")
    max_length: int | None = setting(
        None, "most word-pieces of a text; fewer than the model takes make a smaller file"
    )
    calibrate: bool = setting(
        False, "fit the probabilities, and a threshold for texts of no class, to the task's dev"
    )
    most_rejected: float = setting(
        0.05, "of --calibrate: largest share of dev that may count as of no class; 0: no threshold"
    )
    overwrite: bool = setting(False, "replace an export with other settings")

    def check(self):
        Settings.check(self)
        if not self.output.endswith(".tflite"):
            raise ValueError(f"--output is {self.output}, expected a name that ends in .tflite.")
        self.check_at_least(1, "trim_min_count")
        self.check_at_least(3, "max_length")
        if not 0 <= self.most_rejected < 1:
            raise ValueError(f"--most-rejected is {self.most_rejected}, expected 0 <= share < 1.")
        self.check_at_least(1, "static_examples")
        if self.target not in TARGETS:
            advice = did_you_mean(self.target, TARGETS)
            raise ValueError(
                f'Unknown --target "{self.target}".{advice} Targets: {", ".join(TARGETS)}.'
            )
        check_recipe(self.recipe_name)
        self._check_lengths()
        self._check_texts()

    @property
    def recipe_name(self):
        """The recipe that is given, or the target's."""
        return self.recipe or TARGETS[self.target]

    def _check_lengths(self):
        fixed = self.static_length and f"--static-length {self.static_length}"
        if RECIPES[self.recipe_name].static_length:
            fixed = fixed or f"the recipe {self.recipe_name}"
        if self.tokenizer_in_graph and fixed:
            raise ValueError(
                f"--tokenizer-in-graph takes text of any length, but {fixed} fixes the length. "
                "Leave out one of them."
            )
        if self.static_length and self.max_length and self.static_length > self.max_length:
            raise ValueError(
                f"--static-length is {self.static_length}, but --max-length leaves the model "
                f"{self.max_length} positions. Lower the first or raise the second."
            )

    def _check_texts(self):
        source = self.trim_vocabulary_to
        if source not in (None, "task") and not pathlib.Path(source).is_file():
            raise FileNotFoundError(f"{source}: no such file, for --trim-vocabulary-to.")
        readers = {
            "--calibrate": self.calibrate,
            "--trim-vocabulary-to task": source == "task",
            f"--recipe {self.recipe_name}": RECIPES[self.recipe_name].needs_examples,
        }
        for flag, reads in readers.items():
            if reads and not self.names_task:
                raise ValueError(
                    f"{flag} reads a task: give --task and --data-dir, or --train and --dev."
                )
        if self.names_task:
            self.load_task()

    @property
    def names_task(self):
        """Whether a task is given, by name or by files."""
        return any((self.task, self.train, self.dev))


def run(settings):
    """Exports; returns path, recipe, size in bytes, and what trimming and calibration did."""
    record = RunRecord("export", settings)  # Not looked at: the model may have changed since.

    import tinybert_tf as tb

    task = own_task(settings)
    model = tb.load(settings.model, dtype="float32")
    check_model(model, task, settings)
    model, report = shrink(model, task, settings)
    calibration = make_calibration(model, task, settings)
    record.start()
    result = tb.export.to_tflite(
        model if calibration is None else calibration.model,
        settings.output,
        settings.recipe_name,
        static_length=settings.static_length,
        tokenizer_in_graph=settings.tokenizer_in_graph,
        examples=static_examples(task, settings),
        file_settings=calibration and calibration.file_settings,
    )
    if calibration is not None:
        report["calibration"] = calibration.report
    return record.finish(result | report)


def own_task(settings):
    """The task, if one is given, that reads texts as long as it does without --max-length."""
    if not settings.names_task:
        return None
    return dataclasses.replace(settings, max_length=None).load_task()


def check_model(model, task, settings):
    """Raises ValueError if a model cannot become what the settings ask for."""
    from tinybert_tf.export.calibration import check_calibration
    from tinybert_tf.export.converter import check_export

    static_length, in_graph = settings.static_length, settings.tokenizer_in_graph
    check_export(model, settings.recipe_name, static_length, in_graph)
    if settings.calibrate:
        check_calibration(model, task, settings.most_rejected)


def static_examples(task, settings):
    """Texts from all over the task's train, or `None` where the recipe needs none."""
    if not RECIPES[settings.recipe_name].needs_examples:
        return None
    return task.examples("train").spread(settings.static_examples)


def shrink(model, task, settings):
    """Takes away the positions and the word-pieces that the settings say.

    Returns:
        The model, and a report: `trimming`, if word-pieces went, and `dev`, the task's metrics
        `before` and `after`, if anything did and the task has a dev split.
    """
    from tinybert_tf.evaluation import evaluate
    from tinybert_tf.export.vocabulary_trimming import trim_positions

    small, report = model, {}
    if settings.max_length and settings.max_length < model.config.max_sequence_length:
        small = trim_positions(model, settings.max_length)
    if settings.trim_vocabulary_to:
        small, report["trimming"] = trim(small, task, settings)
    if small is not model and has_dev(task, settings):
        report["dev"] = {"before": evaluate(model, task), "after": evaluate(small, task)}
    return small, report


def trim(model, task, settings):
    """The model with the word-pieces that it needs, and what that did."""
    from tinybert_tf.export.vocabulary_trimming import (
        corpus_texts,
        examples_texts,
        trim_vocabulary,
    )

    dev = examples_texts(task.examples("dev")) if has_dev(task, settings) else None
    texts = corpus_texts(settings.trim_vocabulary_to, task)
    return trim_vocabulary(model, texts, settings.trim_min_count, dev)


def make_calibration(model, task, settings):
    """The `Calibration` of a model, if the settings ask for one."""
    from tinybert_tf.export import Calibration

    if not settings.calibrate:
        return None
    task = dataclasses.replace(task, max_length=settings.max_length or task.max_length)
    return Calibration(model, task, settings.most_rejected)


def has_dev(task, settings):
    """Whether there is a dev split to measure on."""
    return task is not None and bool(settings.task or settings.dev)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("export")
