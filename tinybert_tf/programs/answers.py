"""What a model folder or a .tflite file answers: one interface for both."""

import dataclasses
import pathlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a model gave for examples.

    Args:
        outputs: float array `(num_examples, num_labels)` of probabilities, or of scores; for spans
            and tags logits `(num_rows, length, num_labels)`.
        labels: tuple of str, names of the outputs.
        problem: str, the model's.
        rows: `SpanRows` or `TagRows` that the outputs are of, or `None`.
    """

    outputs: Any
    labels: tuple[str, ...]
    problem: str
    rows: Any = None

    def answers(self, allows_no_answer=False):
        """An entry in words for each example; see `tinybert_tf.evaluation.to_answers`."""
        from tinybert_tf.evaluation import to_answers

        return to_answers(self.outputs, self.problem, self.labels, self.rows, allows_no_answer)


def ask(path, examples, max_length=None):
    """Runs a model over examples.

    Args:
        path: str or path-like, a model folder or a .tflite file.
        examples: `Examples`; labels are not looked at.
        max_length: int, most word-pieces of an example; `None` takes what the model takes.

    Returns:
        `Answered`.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If the folder or file is damaged, or has no head.
    """
    path, examples = pathlib.Path(path), dataclasses.replace(examples, labels=None)
    if path.suffix == ".tflite":
        from tinybert_tf.edge import EdgeModel
        from tinybert_tf.export import predict_file

        model = EdgeModel(path)
        outputs = predict_file(model, examples, max_length)
        return Answered(outputs, model.labels, model.settings["problem"])
    return _ask_folder(path, examples, max_length)


def _ask_folder(path, examples, max_length):
    import tinybert_tf as tb
    from tinybert_tf.evaluation import to_outputs

    model = tb.load(path)
    if not hasattr(model, "labels") or model.vocabulary is None:
        raise ValueError(f"{path} has no classifier or no vocab.txt, so it cannot answer.")
    longest = model.config.max_sequence_length
    batches = tb.data.ExampleBatches(
        examples,
        model.vocabulary,
        rows=tb.data.rows_of(model.problem),
        max_length=min(max_length or longest, longest),
        batch_size=32,
    )
    outputs = to_outputs(tb.predict(model, batches), model.problem)
    return Answered(outputs, model.labels, model.problem, batches.rows)
