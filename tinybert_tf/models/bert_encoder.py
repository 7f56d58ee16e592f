"""BERT's encoder, showing every hidden state and attention map."""

import dataclasses

import keras
from keras import ops

from tinybert_tf.models.bert_config import BertConfig, preset_config
from tinybert_tf.models.dense import bert_dense
from tinybert_tf.models.embeddings import BertEmbeddings
from tinybert_tf.models.encoder_layer import EncoderLayer
from tinybert_tf.models.vocabulary import Vocabulary

# Added to the attention logits of padded keys, as BERT does.
MASK_BIAS = -10000.0


@keras.saving.register_keras_serializable("tinybert_tf")
class BertEncoder(keras.Model):
    """BERT without a head. Its weights exist as soon as it is made.

    Args:
        config: `BertConfig`.
        vocabulary: `Vocabulary` that its token ids count in, or `None` where it is not known.
        dtype: a Keras dtype policy: "float32", "mixed_bfloat16", "mixed_float16", "float64", ...
        name: str, name of the model.

    Call:
        A mapping of int tensors `(batch, length)`: `token_ids`, `segment_ids` and `padding_mask` (1
        at real tokens, 0 at padding). Returns a mapping with `hidden_states`: list of num_layers +
        1 float tensors `(batch, length, hidden_dim)`, the embedding output first;
        `attention_logits`: list of num_layers float tensors `(batch, num_heads, length, length)`,
        before softmax, the mask's -10000 added at padded keys; `sequence_output`: the last hidden
        state; `pooled_output`: float tensor `(batch, hidden_dim)`, if it has a pooler.

    Raises:
        ValueError: If the vocabulary is larger than the config says; in a call, if `length` is
            known and greater than `max_sequence_length`.

    Reference:
        Devlin et al. 2019, section 3.
    """

    def __init__(self, config, vocabulary=None, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        if vocabulary is not None and len(vocabulary) > config.vocabulary_size:
            raise ValueError(
                f"The vocabulary has {len(vocabulary)} tokens, but `vocabulary_size` is "
                f"{config.vocabulary_size}. Pass the vocabulary that the model was trained with."
            )
        self.config = config
        self.vocabulary = vocabulary
        self.embeddings = BertEmbeddings(config, dtype=self.dtype_policy, name="embeddings")
        self.encoder_layers = [
            EncoderLayer(config, dtype=self.dtype_policy, name=f"layer_{number}")
            for number in range(1, config.num_layers + 1)
        ]
        self.pooler = self._make_pooler()
        self.built = True

    def _make_pooler(self):
        if self.config.pooler == "none":
            return None
        width, activation = self.config.hidden_dim, self.config.pooler
        settings = {"activation": activation, "dtype": self.dtype_policy, "name": "pooler"}
        return bert_dense(self.config, width, width, **settings)

    def call(self, inputs, training=None):
        mask_bias = self.mask_bias(inputs["padding_mask"])
        hidden = self.embeddings(inputs["token_ids"], inputs["segment_ids"], training=training)
        hidden_states, attention_logits = [hidden], []
        for layer in self.encoder_layers:
            hidden, logits = layer(hidden, mask_bias, training=training)
            hidden_states.append(hidden)
            attention_logits.append(logits)
        outputs = {
            "hidden_states": hidden_states,
            "attention_logits": attention_logits,
            "sequence_output": hidden,
        }
        if self.pooler is not None:
            outputs["pooled_output"] = self.pooler(hidden[:, 0])
        return outputs

    def mask_bias(self, padding_mask):
        """What is added to attention logits: float tensor `(batch, 1, 1, length)`."""
        mask = ops.cast(padding_mask, self.compute_dtype)
        bias = (1 - mask) * ops.cast(MASK_BIAS, self.compute_dtype)
        return ops.reshape(bias, (-1, 1, 1, ops.shape(mask)[1]))

    def copy_weights(self, encoder):
        """Takes over the weights of an encoder of the same shape; the pooler's if both have one."""
        parts = [(self.embeddings, encoder.embeddings)]
        parts += zip(self.encoder_layers, encoder.encoder_layers, strict=True)
        if self.pooler is not None and encoder.pooler is not None:
            parts.append((self.pooler, encoder.pooler))
        for own, other in parts:
            own.set_weights(other.get_weights())

    @classmethod
    def from_preset(cls, name, vocabulary=None, dtype=None):
        """An encoder of a preset's shape with random weights; see `PRESETS`."""
        return cls(preset_config(name, vocabulary), vocabulary=vocabulary, dtype=dtype)

    def build_from_config(self, config):
        """Does nothing: the constructor has made every weight."""

    def get_config(self):
        vocabulary = self.vocabulary and dataclasses.asdict(self.vocabulary)
        return {
            "config": dataclasses.asdict(self.config),
            "vocabulary": vocabulary,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**restore_config(config))


def restore_config(config):
    """The constructor arguments that a model's `get_config` wrote, as objects again."""
    config = dict(config)
    config["config"] = BertConfig(**config["config"])
    if config["vocabulary"]:
        tokens, lower_case = config["vocabulary"]["tokens"], config["vocabulary"]["lower_case"]
        config["vocabulary"] = Vocabulary(tuple(tokens), lower_case)
    config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
    return config
