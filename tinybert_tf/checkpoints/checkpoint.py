"""What every format of checkpoint is turned into before a model is made of it."""

import dataclasses

import numpy as np

from tinybert_tf.models import Vocabulary


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in Hugging Face's words.

    Args:
        source: str, the file or folder, for messages; where the config is a file, that file.
        values: dict, what the config.json of a Hugging Face BERT would hold.
        tensors: dict of Hugging Face's name, without the prefix `bert.`, to NumPy array; matrices
            are `(out, in)`.
        vocabulary: `Vocabulary`, or `None` where the checkpoint has none.
        weights_source: str, the file of the tensors, for messages, where it is another.
    """

    source: str
    values: dict
    tensors: dict[str, np.ndarray]
    vocabulary: Vocabulary | None = None
    weights_source: str = ""

    def __post_init__(self):
        object.__setattr__(self, "weights_source", self.weights_source or self.source)
