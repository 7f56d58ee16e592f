"""BERTs with a head on every token: where an answer stands, what each word is."""

import dataclasses

import keras

from tinybert_tf.models.bert_head import BertHead


class TokenHead(BertHead):
    """A dense layer on the last hidden state of every token; the encoder has no pooler."""

    @classmethod
    def fitting_config(cls, config):
        return dataclasses.replace(config, pooler="none")

    def call(self, inputs, training=None):
        outputs = self.encoder(inputs, training=training)
        hidden = self.dropout(outputs["sequence_output"], training=training)
        return {**outputs, "logits": self.classifier(hidden)}


@keras.saving.register_keras_serializable("tinybert_tf")
class BertSpanLabeler(TokenHead):
    """BERT that points at the first and the last token of an answer, as for SQuAD.

    Args:
        config: `BertConfig` of the encoder.
        labels: the names of the outputs, "start" and "end".
        problem: "spans".
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Call:
        As `BertEncoder`; the mapping also has `logits`, a float tensor `(batch, length, 2)`: of
        each token, whether the answer starts there and whether it ends there.

    Raises:
        ValueError: If the labels are others.

    Reference:
        Devlin et al. 2019, section 4.2.
    """

    problems = ("spans",)

    def __init__(
        self,
        config,
        labels=("start", "end"),
        problem="spans",
        vocabulary=None,
        dtype=None,
        name=None,
    ):
        super().__init__(config, labels, problem, vocabulary, dtype, name)
        if self.labels != ("start", "end"):
            raise ValueError(f"`labels` are {self.labels!r}, expected start, end.")
        self.dropout.rate = 0.0  # as Devlin et al.: the hidden state as it is


@keras.saving.register_keras_serializable("tinybert_tf")
class BertTokenClassifier(TokenHead):
    """BERT that tags every token, as for named entities.

    Args:
        config: `BertConfig` of the encoder.
        labels: sequence of str, the tags in the order of the logits.
        problem: "tagging".
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Call:
        As `BertEncoder`; the mapping also has `logits`, a float tensor `(batch, length,
        num_labels)`. The tag of a word is that of its first word-piece.

    Raises:
        ValueError: If a label is missing or doubled.

    Reference:
        Devlin et al. 2019, section 5.3.
    """

    problems = ("tagging",)

    def __init__(self, config, labels, problem="tagging", vocabulary=None, dtype=None, name=None):
        super().__init__(config, labels, problem, vocabulary, dtype, name)
