"""Writes a model of any format that is read here as a folder of another.

    tinybert-tf convert-checkpoint --model uncased_L-12_H-768_A-12 --output bert-base-uncased

What is read: folders of Hugging Face (BERT, DistilBERT), of KerasHub, of Google's released BERTs
and of the TensorFlow Model Garden; of the last two also a checkpoint's prefix.
"""

import dataclasses

from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting

FORMATS = ("hugging-face", "keras-hub", "saved-model")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertCheckpointSettings(Settings):
    """Settings of `convert-checkpoint`."""

    model: str = setting(help="model folder, or a checkpoint's prefix")
    output: str = setting(help="folder to write")
    format: str = setting("hugging-face", f"of the output: {', '.join(FORMATS)}")
    labels: tuple[str, ...] = setting(
        (), "names for the classes in their order, instead of those that the model knows"
    )
    overwrite: bool = setting(False, "replace the run that is in the output folder")

    def check(self):
        super().check()
        if self.format not in FORMATS:
            from tinybert_tf.suggestions import did_you_mean

            advice = did_you_mean(self.format, FORMATS)
            raise ValueError(
                f'Unknown --format "{self.format}".{advice} Formats: {", ".join(FORMATS)}.'
            )


def run(settings):
    """Converts; returns the model's problem, labels and number of parameters."""
    record = RunRecord("convert-checkpoint", settings)
    if record.result is not None:
        return record.result

    from tinybert_tf.checkpoints import build_model, read_checkpoint, save
    from tinybert_tf.checkpoints.keras_hub import save_keras_hub
    from tinybert_tf.checkpoints.saved_model import save_saved_model

    writers = dict(zip(FORMATS, (save, save_keras_hub, save_saved_model), strict=True))
    model = build_model(read_checkpoint(settings.model), "float32")
    if settings.labels:
        model = with_labels(model, settings.labels)
    record.start()
    writers[settings.format](model, settings.output)
    return record.finish(
        {
            "output": settings.output,
            "format": settings.format,
            "problem": getattr(model, "problem", None),
            "labels": getattr(model, "labels", None),
            "num_parameters": model.count_params(),
        }
    )


def with_labels(model, labels):
    """The model with names for its classes.

    Args:
        model: a model with a head.
        labels: sequence of str, the names in the order of its outputs.

    Raises:
        ValueError: If there are more or fewer of them, or the model has no head for a task.
    """
    old = getattr(model, "labels", None)
    if old is None:
        raise ValueError("--labels names classes, but the model has no head for a task.")
    if len(labels) != len(old):
        raise ValueError(f"--labels are {len(labels)} names, but the model has {len(old)} classes.")
    named = type(model).from_config(model.get_config() | {"labels": list(labels)})
    named.set_weights(model.get_weights())
    return named


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("convert-checkpoint")
