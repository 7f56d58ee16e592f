"""The part of a training program that is the same in every stage."""

import difflib
import pathlib


def train_stage(distiller, batches, title, epochs, state, callbacks=()):
    """Runs the epochs that are left of a stage, and keeps the training state after each.

    Args:
        distiller: `Distiller`, compiled.
        batches: `ExampleBatches`.
        title: str, the stage's name for the progress bar.
        epochs: int, epochs of the whole stage.
        state: path-like, where the training state is kept.
        callbacks: further callbacks; they see each epoch before the state is written.

    Returns:
        List of dicts, the logs of each epoch of the stage, those of earlier runs too.

    Raises:
        FloatingPointError: If training stopped because a loss was no finite number.
    """
    from tinybert_tf import callbacks as cb

    distiller.prepare(batches.epoch(0).element_spec[0])
    backup = cb.EpochBackup(state)
    first = backup.restore(distiller)
    progress = cb.Progress(title, epochs, batches.steps_per_epoch)
    if first < epochs:
        with progress:
            distiller.fit(
                batches,
                epochs=epochs,
                initial_epoch=first,
                callbacks=[*callbacks, progress, backup],
                verbose=0,
            )
        if distiller.stop_training:
            raise FloatingPointError(
                f"The {title} stopped: a loss is not a finite number. Lower the learning rate."
            )
    return backup.epoch_logs


def is_folder(name):
    """Whether a --student or --teacher is a folder rather than a preset.

    Raises:
        FileNotFoundError: If it is neither.
    """
    from tinybert_tf.models import PRESETS

    if name not in PRESETS and not pathlib.Path(name).is_dir():
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise FileNotFoundError(
            f"{name}: neither a folder nor a preset.{hint} Presets: {', '.join(PRESETS)}."
        )
    return name not in PRESETS
