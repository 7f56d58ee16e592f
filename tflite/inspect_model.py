"""Tells what a model is, what it lacks and what would go wrong with it.

    tinybert-tf inspect bert-base-uncased

takes a folder or a checkpoint's prefix of any format that `--model` takes, a .tflite file, or a
corpus that prepare-corpus made. Fails if it is damaged, and says where.
"""

import dataclasses
import pathlib

from tinybert_tf.programs.inspection import inspect_checkpoint, inspect_corpus, inspect_tflite
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, exists, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectSettings(Settings):
    """Settings of `inspect`."""

    path: str = dataclasses.field(
        metadata={
            "help": "model folder, checkpoint prefix, .tflite file or corpus folder",
            "positional": True,
        }
    )
    output: str | None = setting(None, "file for the result, ending in .json")
    overwrite: bool = setting(False, "replace the result of another model")

    def check(self):
        if not exists(self.path):
            raise FileNotFoundError(f"{self.path}: no such file, folder or checkpoint prefix.")


def run(settings):
    """Looks; returns what was found, which is in the record too where the model is damaged."""
    record = RunRecord("inspect", settings)  # Not looked at: the model may have changed since.
    path = pathlib.Path(settings.path)
    if (path / "corpus.json").is_file() or next(path.glob("shard_*"), None) is not None:
        result = inspect_corpus(path)
    elif path.suffix == ".tflite":
        result = inspect_tflite(path)
    else:
        result = inspect_checkpoint(path)
    if result["damage"]:
        record.finish(result, status="failed")
        raise ValueError(result["damage"])
    return record.finish(result)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("inspect")
