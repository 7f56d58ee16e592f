"""BERT with a head for classes, for several labels at once or for a score."""

import dataclasses

import keras
from keras import ops

from tinybert_tf.models.bert_head import BertHead, one_of

HEADS = ("bert", "tinybert_relu")


@keras.saving.register_keras_serializable("tinybert_tf")
class BertClassifier(BertHead):
    """BERT with a dense layer on the pooled first token.

    Args:
        config: `BertConfig` of the encoder; it gets a pooler if it has none.
        labels: sequence of str, the class names in the order of the logits; for regression one
            name.
        head: "bert", Dense(dropout(pooled)), or "tinybert_relu", Dense(relu(pooled)), which the
            released TinyBERT task checkpoints were trained with.
        problem: "classification", "multilabel" (any number of the labels may hold) or "regression".
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

    problems = ("classification", "regression", "multilabel")

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
        super().__init__(config, labels, problem, vocabulary, dtype, name)
        self.head = one_of("head", head, HEADS)
        if problem == "regression" and len(self.labels) != 1:
            raise ValueError(f"`labels` are {self.labels!r}, but regression has one output.")

    @classmethod
    def fitting_config(cls, config):
        if config.pooler == "none":
            return dataclasses.replace(config, pooler="tanh")
        return config

    def call(self, inputs, training=None):
        outputs = self.encoder(inputs, training=training)
        pooled = outputs["pooled_output"]
        if self.head == "tinybert_relu":
            pooled = ops.relu(pooled)
        else:
            pooled = self.dropout(pooled, training=training)
        return {**outputs, "logits": self.classifier(pooled)}

    def get_config(self):
        return {**super().get_config(), "head": self.head}
