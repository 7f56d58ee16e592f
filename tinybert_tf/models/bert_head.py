"""What all BERTs with a head for a task have in common."""

import keras

from tinybert_tf.models.dense import bert_dense
from tinybert_tf.models.encoder_model import EncoderModel


class BertHead(EncoderModel):
    """A BERT encoder under one dense layer; subclasses say what that layer reads.

    Args:
        config: `BertConfig` of the encoder.
        labels: sequence of str, the names of the outputs in their order.
        problem: str, one of the class's `problems`.
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Raises:
        ValueError: If a label is missing, doubled or not one line, or the problem is not one of the
            class's.
    """

    problems = ()
    head = "bert"

    def __init__(self, config, labels, problem, vocabulary=None, dtype=None, name=None):
        one_of("problem", problem, self.problems)
        names = tuple(labels)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"`labels` are {labels!r}, expected different names, at least one.")
        for label in names:
            if label.splitlines() != [label]:
                raise ValueError(
                    f"`labels` hold {label!r}, expected names of one line each: files have one a "
                    "line. Name it otherwise in your files, or in config.json under id2label."
                )
        super().__init__(config, vocabulary, dtype, name)
        self.problem = problem
        self.labels = names
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.classifier = bert_dense(
            config,
            config.hidden_dim,
            len(self.labels),
            dtype=self.dtype_policy,
            name="classifier",
        )

    @classmethod
    def from_preset(cls, name, labels=None, vocabulary=None, **kwargs):
        """As `EncoderModel.from_preset`; `labels` are `None` for those of a head with its own."""
        kwargs |= {} if labels is None else {"labels": labels}
        return super().from_preset(name, vocabulary, **kwargs)

    @classmethod
    def from_encoder(cls, encoder, labels=None, **kwargs):
        """As `EncoderModel.from_encoder`; `labels` are `None` for those of a head with its own."""
        kwargs |= {} if labels is None else {"labels": labels}
        return super().from_encoder(encoder, **kwargs)

    def get_config(self):
        return {**super().get_config(), "labels": list(self.labels), "problem": self.problem}


def one_of(argument, value, choices):
    """Returns the value; raises ValueError if it is not one of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` is {value!r}, expected one of {', '.join(choices)}.")
    return value
