"""Predicts a label for each text of a file, with a model folder or a .tflite file.

    tinybert-tf predict --model sst2.tflite --input reviews.tsv --output predictions.tsv

The input has a header line and a text column. The output has one line a text: the label and the
probability of each label; for regression the score.
"""

import csv
import dataclasses

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.run_record import RunRecord
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictSettings(Settings):
    """Settings of `predict`."""

    model: str = setting(help="model folder or .tflite file")
    input: str = setting(help="texts, .tsv or .csv with a header line, also .gz")
    output: str = setting(help=".tsv file to write")
    text_column: str = setting("sentence", "column that holds the text")
    text_pair_column: str | None = setting(None, "column that holds the second text of a pair")
    max_length: int = setting(128, "most word-pieces of a text")
    overwrite: bool = setting(False, "replace the predictions that are there")

    def check(self):
        if not self.output.endswith(".tsv"):
            raise ValueError(f"--output is {self.output}, expected a name that ends in .tsv.")


def run(settings):
    """Predicts; returns how many texts there were."""
    record = RunRecord("predict", settings)

    from tinybert_tf.data import read_examples
    from tinybert_tf.programs.answers import answers

    examples = read_examples(
        settings.input,
        text_column=settings.text_column,
        text_pair_column=settings.text_pair_column,
        label_column=None,
    )
    outputs, labels = answers(settings.model, examples, settings.max_length)
    record.start()
    with atomic_file(settings.output) as temporary:
        write_predictions(temporary, outputs, labels)
    return record.finish({"output": settings.output, "num_examples": len(examples)})


def write_predictions(path, outputs, labels):
    """Writes a line for each row of outputs: its label and its numbers."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        named = len(labels) > 1
        writer.writerow(["label", *labels] if named else labels)
        for row in outputs:
            numbers = [f"{value:.6f}" for value in row]
            writer.writerow([labels[row.argmax()], *numbers] if named else numbers)


if __name__ == "__main__":
    from tinybert_tf.cli import run_as_program

    run_as_program("predict")
