"""Damaged .tflite files, and what `verify` may make of them."""

import json
import math

from fuzz.forked import forked
from fuzz.tflite_cases import TEXTS, contained, make_case, model

from tinybert_tf.data import Examples, Task
from tinybert_tf.export import verify

__all__ = ["Reader", "make_case"]
_EXAMPLES = Examples(list(TEXTS), labels=["no", "yes"] * (len(TEXTS) // 2))


class Reader:
    """Holds a damaged file to the model that it was made of."""

    def __init__(self):
        self._task = Task(
            "letters", ("no", "yes"), "classification", ("accuracy",), 12, lambda split: _EXAMPLES
        )

    def __call__(self, folder, name, random):
        """Verifies; as `fuzz.tflite_cases.Reader`."""
        with forked():
            return contained(
                lambda: self._check(verify(model(), folder / "model.tflite", self._task))
            )

    def _check(self, result):
        text = json.dumps(result, ensure_ascii=False)
        text.encode()
        share, difference = result["agreement"], result["largest_logit_difference"]
        if not 0 <= share <= 1 or not math.isfinite(difference) or difference < 0:
            raise AssertionError(f"What is told cannot be: {text[:200]}")
