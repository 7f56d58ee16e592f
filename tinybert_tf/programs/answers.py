"""What a model folder or a .tflite file answers: one interface for both."""

import dataclasses
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a model gave for examples.

    Args:
        outputs: float array `(num_examples, num_labels)` of probabilities, or of scores; for spans
            and tags logits `(num_rows, length, num_labels)`.
        labels: tuple of str, names of the outputs.
        problem: str, the model's.
        rows: `SpanRows` or `TagRows` that the outputs are of, or `None`.
        out_of_scope_threshold: float; a text whose highest probability is below it is of no class.
            `None` where the model has no threshold.
        out_of_scope_label: str, what such a text is called, or `None`.
    """

    outputs: np.ndarray
    labels: tuple[str, ...]
    problem: str
    rows: object = None
    out_of_scope_threshold: float | None = None
    out_of_scope_label: str | None = None

    def answers(self, **settings):
        """An entry in words for each example; see `tinybert_tf.evaluation.to_answers`."""
        from tinybert_tf.evaluation import to_answers

        return to_answers(self.outputs, self.problem, self.labels, self.rows, **settings)

    @property
    def confidences(self):
        """The highest probability of each example, float array `(num_examples,)`."""
        return self.outputs.max(axis=1)

    def scoped_answers(self):
        """As `answers`, but `out_of_scope_label` for each text below the threshold."""
        if self.out_of_scope_threshold is None:
            return self.answers()
        is_sure = self.confidences >= self.out_of_scope_threshold
        pairs = zip(self.answers(), is_sure, strict=True)
        return [answer if sure else self.out_of_scope_label for answer, sure in pairs]


class Answerer:
    """A model folder or a .tflite file, opened.

    Args:
        path: str or path-like.

    Attributes:
        problem: str, what it is for.
        labels: tuple of str, names of its outputs.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If the folder or file is damaged, or has no head.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)
        if self._path.suffix == ".tflite":
            from tinybert_tf.edge import EdgeModel
            from tinybert_tf.edge.contained import run_contained

            run_contained("try", path=str(self._path))  # a broken file may kill its runtime
            self._model = EdgeModel(self._path)
            self.problem = (self._model.settings or {}).get("problem", "classification")
        else:
            import tinybert_tf as tb

            self._model = tb.load(path)
            if not hasattr(self._model, "labels") or self._model.vocabulary is None:
                raise ValueError(f"{path} has no classifier or no vocab.txt, so it cannot answer.")
            self.problem = self._model.problem
        self.labels = self._model.labels

    def check(self, task):
        """Raises ValueError if it is for another problem than a `Task`."""
        if self.problem != task.problem:
            raise ValueError(
                f"{self._path} is for {self.problem}, but {task.name} is {task.problem}."
            )

    def ask(self, examples, max_length=None):
        """Runs it over examples.

        Args:
            examples: `Examples`; labels are not looked at.
            max_length: int, most word-pieces of an example; `None` takes what the model takes.

        Returns:
            `Answered`.
        """
        examples = dataclasses.replace(examples, labels=None)
        if self._path.suffix == ".tflite":
            from tinybert_tf.export.predictor import file_rows, predict_rows

            rows = file_rows(self._model, examples, max_length)
            outputs = predict_rows(self._model, rows)
            scope = self._model.out_of_scope_threshold, self._model.out_of_scope_label
            return Answered(outputs, self.labels, self.problem, rows, *scope)
        return self._ask_model(examples, max_length)

    def _ask_model(self, examples, max_length):
        from tinybert_tf.data import ExampleBatches, rows_of
        from tinybert_tf.evaluation import predict, to_outputs

        longest = self._model.config.max_sequence_length
        batches = ExampleBatches(
            examples,
            self._model.vocabulary,
            rows=rows_of(self.problem),
            max_length=min(max_length or longest, longest),
            batch_size=32,
        )
        outputs = to_outputs(predict(self._model, batches), self.problem)
        return Answered(outputs, self.labels, self.problem, batches.rows)
