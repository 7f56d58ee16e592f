"""The part of a training program that is the same in every stage."""

import contextlib
import dataclasses
import signal
import threading

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import exists
from tinybert_tf.programs.strategies import check_same_everywhere, is_chief, wait_for_all


class TrainingRecord(RunRecord):
    """The record of a training, which of all workers the chief alone writes.

    The others wait where they would read what is not yet written. Arguments are those of
    `RunRecord`, with `TrainingSettings`.
    """

    def __init__(self, command, settings):
        self._settings, self._strategy = settings, settings.make_strategy()
        super().__init__(command, settings, writes=is_chief(self._strategy))

    def log_folder(self, stage):
        """Where TensorBoard logs of a stage go, or `None` on a worker that writes nothing."""
        return self.output / "logs" / stage if self.writes else None

    def start(self):
        check_same_everywhere(self._strategy, self._shared_settings(), "settings")
        super().start()
        wait_for_all(self._strategy)

    def _shared_settings(self):
        """What must be the same on all workers; where the data lie may differ."""
        own = {"data_dir", "train", "dev", "test", "teacher", "model", "vocabulary", "output"}
        own |= {"teacher_cache", "corpus", "augment", "candidates"}
        values = dataclasses.asdict(self._settings)
        return {name: value for name, value in values.items() if name not in own}

    def finish_model(self, result):
        super().finish_model(result)
        wait_for_all(self._strategy)
        return result


def train_stage(settings, record, distiller, batches, stage, epochs, callbacks=()):
    """Runs what is left of a stage, and keeps the training state on the way.

    Args:
        settings: `TrainingSettings`.
        record: `TrainingRecord`; the state is kept in its output folder.
        distiller: `Distiller`, compiled.
        batches: `ExampleBatches` or `CorpusBatches`.
        stage: str, its name.
        epochs: int, epochs of the whole stage.
        callbacks: further callbacks; they see each epoch before the state is written.

    Returns:
        List of dicts, the logs of each epoch of the stage, those of earlier runs too.

    Raises:
        FloatingPointError: If training stopped because a loss was no finite number.
        TrainingStopped: If the process got SIGTERM; the state is saved.
    """
    from tinybert_tf import callbacks as cb

    distiller.prepare(batches)
    backup = cb.TrainingBackup(
        record.output / "state" / f"{stage.replace(' ', '_')}.safetensors",
        settings.checkpoint_steps,
        writes=record.writes,
        on_save=record.note_time,
    )
    epoch, step = backup.restore(distiller)
    check_same_everywhere(settings.make_strategy(), (epoch, step), "epoch and step to go on from")
    if epoch == epochs:
        return backup.epoch_logs
    tokens = getattr(batches, "tokens_per_step", 0)
    progress = cb.Progress(stage, epochs, batches.steps_per_epoch, tokens)
    with progress, _saving_on_termination(backup):
        distiller.fit(
            batches,
            epochs=epochs,
            initial_epoch=epoch,
            initial_step=step,
            callbacks=[*callbacks, progress, backup],
            verbose=0,
        )
    if distiller.stop_training:
        raise FloatingPointError(
            f"The {stage} stopped: a loss is not a finite number. Lower the learning rate."
        )
    return backup.epoch_logs


@contextlib.contextmanager
def _saving_on_termination(backup):
    """Lets SIGTERM end the training after its next step, with its state saved."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def request_stop(signal_number, frame):
        backup.stop_requested = True

    before = signal.signal(signal.SIGTERM, request_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def cache_teacher(settings, record, teacher, batches, outputs, limit_bytes=None):
    """Computes a teacher's outputs once, where they are not on disk yet.

    Args:
        settings: settings with `teacher_cache` and `strategy`.
        record: `TrainingRecord`.
        teacher: the model.
        batches: `ExampleBatches`.
        outputs: which outputs; see `TeacherCache`.
        limit_bytes: int, the most that they may take on disk, or `None`.

    Returns:
        `ExampleBatches` that bring the outputs with them.

    Raises:
        ValueError: If they would take more.
    """
    from tinybert_tf.callbacks.progress import counting
    from tinybert_tf.distillation import TeacherCache

    folder = settings.teacher_cache or record.output / "state" / "teacher"
    cache = TeacherCache(folder, teacher, batches, outputs)
    if limit_bytes is not None and cache.size_bytes > limit_bytes:
        raise ValueError(
            f"The teacher's features of {batches.num_examples} examples take "
            f"{cache.size_bytes / 1e9:.3g} GB, more than --feature-cache-gb {limit_bytes / 1e9:g}. "
            "Raise it, or leave it out: then the teacher runs in every epoch."
        )
    if record.writes:
        with counting("teacher, examples", batches.num_examples) as show:
            cache.fill(lambda done, _: show(done))
    wait_for_all(settings.make_strategy())
    return batches.with_teacher(cache)


def is_folder(name):
    """Whether a --student or --teacher is a model on disk rather than a preset.

    Raises:
        FileNotFoundError: If it is neither.
    """
    from tinybert_tf.models import PRESETS
    from tinybert_tf.suggestions import did_you_mean

    if name not in PRESETS and not exists(name):
        hint = did_you_mean(name, PRESETS)
        raise FileNotFoundError(
            f"{name}: neither a folder nor a preset.{hint} Presets: {', '.join(PRESETS)}."
        )
    return name not in PRESETS


def task_head(settings, task):
    """The class of the models that solve a task, and the arguments that make its head.

    Args:
        settings: settings with `head`.
        task: `Task`.

    Returns:
        A subclass of `BertHead`, and a dict.

    Raises:
        ValueError: If the released programs' head is asked for where they have none.
    """
    from tinybert_tf.models import HEAD_OF_PROBLEM, BertClassifier

    head_class, head = HEAD_OF_PROBLEM[task.problem], {"labels": task.labels}
    if head_class is BertClassifier:
        return head_class, head | {"problem": task.problem, "head": settings.head}
    if settings.head != "bert":
        raise ValueError(f"--head is {settings.head}, but {task.problem} has the head bert only.")
    return head_class, head
