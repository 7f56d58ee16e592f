"""BERT with a head for classes or for a score."""

import keras
from keras import ops

from tinybert_tf.models.bert_config import preset_config
from tinybert_tf.models.bert_encoder import BertEncoder, restore_config
from tinybert_tf.models.dense import bert_dense

HEADS = ("bert", "tinybert_relu")
PROBLEMS = ("classification", "regression")


@keras.saving.register_keras_serializable("tinybert_tf")
class BertClassifier(keras.Model):
    """BERT with a dense layer on the pooled first token: classification or regression.

    Args:
        config: `BertConfig` of the encoder.
        labels: sequence of str, the class names in the order of the logits; for regression one
            name.
        head: "bert", Dense(dropout(pooled)), or "tinybert_relu", Dense(relu(pooled)), which the
            released TinyBERT task checkpoints were trained with.
        problem: "classification" or "regression".
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Call:
        As `BertEncoder`; the mapping also has `logits`, a float tensor `(batch, num_labels)`.

    Raises:
        ValueError: If a label is missing or doubled, or head or problem are unknown.

    Example:
        student = BertClassifier.from_preset("tinybert_4l_312d", labels=("negative", "positive"))

    Reference:
        Heads: Devlin et al. 2019, section 4.1; the authors' released `modeling.py`.
    """

    def __init__(
        self,
        config,
        labels=("score",),
        head="bert",
        problem="classification",
        vocabulary=None,
        dtype=None,
        name=None,
    ):
        super().__init__(dtype=dtype, name=name)
        self.labels = _checked_labels(labels, problem)
        self.head, self.problem = _one_of("head", head, HEADS), problem
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

    @property
    def config(self):
        """The encoder's `BertConfig`."""
        return self.encoder.config

    @property
    def vocabulary(self):
        """The encoder's `Vocabulary`, or `None`."""
        return self.encoder.vocabulary

    def call(self, inputs, training=None):
        outputs = self.encoder(inputs, training=training)
        pooled = outputs["pooled_output"]
        if self.head == "tinybert_relu":
            pooled = ops.relu(pooled)
        else:
            pooled = self.dropout(pooled, training=training)
        return {**outputs, "logits": self.classifier(pooled)}

    @classmethod
    def from_preset(cls, name, labels, vocabulary=None, **kwargs):
        """A classifier of a preset's shape with random weights; see `PRESETS`."""
        config = preset_config(name, vocabulary)
        return cls(config, labels=labels, vocabulary=vocabulary, **kwargs)

    @classmethod
    def from_encoder(cls, encoder, labels, **kwargs):
        """A classifier with an encoder's weights under a new head.

        Args:
            encoder: `BertEncoder`, or a `BertClassifier` whose head is left behind.
            labels: sequence of str.
            **kwargs: as in the constructor.
        """
        encoder = getattr(encoder, "encoder", encoder)
        kwargs.setdefault("dtype", encoder.dtype_policy)
        model = cls(encoder.config, labels, vocabulary=encoder.vocabulary, **kwargs)
        model.encoder.set_weights(encoder.get_weights())
        return model

    def build_from_config(self, config):
        """Does nothing: the constructor has made every weight."""

    def get_config(self):
        return {
            **self.encoder.get_config(),
            "labels": list(self.labels),
            "head": self.head,
            "problem": self.problem,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**restore_config(config))


def _checked_labels(labels, problem):
    _one_of("problem", problem, PROBLEMS)
    labels = tuple(labels)
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"`labels` are {labels!r}, expected different names, at least one.")
    if problem == "regression" and len(labels) != 1:
        raise ValueError(f"`labels` are {labels!r}, but regression has one output.")
    return labels


def _one_of(argument, value, choices):
    if value not in choices:
        raise ValueError(f"`{argument}` is {value!r}, expected one of {', '.join(choices)}.")
    return value
