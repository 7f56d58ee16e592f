"""A progress bar on standard error."""

import contextlib
import sys
import time

import keras
import rich.console
import rich.progress

# Where standard error is a file, which shows no bar, a line comes this often.
SECONDS_A_LINE = 20


class Progress(keras.callbacks.Callback):
    """Shows steps, time left and the losses; prints a line an epoch. All on standard error.

    It is a context manager too, which gives the terminal back however training ends.

    Args:
        title: str, what is being done.
        epochs: int, epochs in all.
        steps_per_epoch: int.
        tokens_per_step: int, tokens in a batch, to show how many a second are trained on, and to
            add `tokens_per_second` to the logs of each epoch; 0 leaves that out.
    """

    def __init__(self, title, epochs, steps_per_epoch, tokens_per_step=0):
        super().__init__()
        self._title, self._epochs, self._steps = title, epochs, steps_per_epoch
        self._tokens_per_step, self._speed = tokens_per_step, {}

        console = rich.console.Console(file=sys.stderr)
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[losses]}"),
            console=console,
            transient=True,
        )
        self._job = None

    def on_train_begin(self, logs=None):
        self._said = time.monotonic()
        self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        if self._job is not None:
            self._bar.remove_task(self._job)
        self._first, self._speed = None, {}
        self._name = f"{self._title} {epoch + 1}/{self._epochs}"
        self._job = self._bar.add_task(self._name, total=self._steps, losses="")

    def on_train_batch_end(self, batch, logs=None):
        self._measure(batch)
        self._bar.update(self._job, completed=batch + 1, losses=_in_words({**logs, **self._speed}))
        if not self._bar.console.is_terminal and time.monotonic() - self._said > SECONDS_A_LINE:
            self._say(f"step {batch + 1} of {self._steps}: {_in_words({**logs, **self._speed})}")

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self._speed)
        self._say(_in_words(logs))

    def _measure(self, batch):
        """Notes the speed since the end of the epoch's first call here, which compiles."""
        if self._first is None:
            self._first = time.monotonic(), batch
        elif self._tokens_per_step:
            begun, first = self._first
            tokens = (min(batch, self._steps - 1) - first) * self._tokens_per_step
            self._speed = {"tokens_per_second": tokens / (time.monotonic() - begun)}

    def _say(self, text):
        self._said = time.monotonic()
        self._bar.console.print(f"{self._name}: {text}", highlight=False, soft_wrap=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._bar.stop()


@contextlib.contextmanager
def counting(title, count):
    """Shows how much is done of some work that is no training.

    Args:
        title: str, what is being done.
        count: int, how much of it there is.

    Yields:
        Function of an int, how much is done, and a dict of figures to show beside it.
    """
    with Progress(title, 1, count) as progress:
        progress.on_train_begin()
        progress.on_epoch_begin(0)

        def show(done, logs=None):
            progress.on_train_batch_end(done - 1, logs or {})
            if logs and done == count:
                progress.on_epoch_end(0, logs)

        yield show


def _in_words(logs):
    return "  ".join(
        f"{name} {value:,.0f}" if value >= 10_000 else f"{name} {value:.4g}"
        for name, value in logs.items()
    )
