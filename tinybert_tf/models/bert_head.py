"""What all BERTs with a head have in common."""

import keras

from tinybert_tf.models.bert_config import preset_config
from tinybert_tf.models.bert_encoder import BertEncoder, restore_config
from tinybert_tf.models.dense import bert_dense


class BertHead(keras.Model):
    """A BERT encoder under one dense layer; subclasses say what that layer reads.

    Args:
        config: `BertConfig` of the encoder.
        labels: sequence of str, the names of the outputs in their order.
        problem: str, one of the class's `problems`.
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Raises:
        ValueError: If a label is missing or doubled, or the problem is not one of the class's.
    """

    problems = ()
    head = "bert"

    def __init__(self, config, labels, problem, vocabulary=None, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.problem = one_of("problem", problem, self.problems)
        self.labels = tuple(labels)
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise ValueError(f"`labels` are {labels!r}, expected different names, at least one.")
        config = self.fitting_config(config)
        self.encoder = BertEncoder(config, vocabulary, dtype=self.dtype_policy, name="encoder")
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.classifier = bert_dense(
            config,
            config.hidden_dim,
            len(self.labels),
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.built = True

    @classmethod
    def fitting_config(cls, config):
        """The encoder's config with the pooler that this head needs, or without one."""
        return config

    @property
    def config(self):
        """The encoder's `BertConfig`."""
        return self.encoder.config

    @property
    def vocabulary(self):
        """The encoder's `Vocabulary`, or `None`."""
        return self.encoder.vocabulary

    @classmethod
    def from_preset(cls, name, labels=None, vocabulary=None, **kwargs):
        """A model of a preset's shape with random weights; see `PRESETS`.

        Args:
            name: str, a key of `PRESETS`.
            labels: sequence of str; `None` for those of a head that has its own.
            vocabulary: `Vocabulary`, whose size the model takes, or `None`.
            **kwargs: as in the constructor.
        """
        kwargs |= {} if labels is None else {"labels": labels}
        return cls(preset_config(name, vocabulary), vocabulary=vocabulary, **kwargs)

    @classmethod
    def from_encoder(cls, encoder, labels=None, **kwargs):
        """A model with an encoder's weights under a new head.

        A pooler that the head needs and the encoder lacks starts at random.

        Args:
            encoder: `BertEncoder`, or a model with a head, which is left behind.
            labels: sequence of str; `None` for those of a head that has its own.
            **kwargs: as in the constructor.
        """
        kwargs |= {} if labels is None else {"labels": labels}
        encoder = getattr(encoder, "encoder", encoder)
        kwargs.setdefault("dtype", encoder.dtype_policy)
        model = cls(encoder.config, vocabulary=encoder.vocabulary, **kwargs)
        model.encoder.copy_weights(encoder)
        return model

    def build_from_config(self, config):
        """Does nothing: the constructor has made every weight."""

    def get_config(self):
        return {
            **self.encoder.get_config(),
            "labels": list(self.labels),
            "problem": self.problem,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**restore_config(config))


def one_of(argument, value, choices):
    """Returns the value; raises ValueError if it is not one of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` is {value!r}, expected one of {', '.join(choices)}.")
    return value
