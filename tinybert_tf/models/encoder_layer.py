"""One Transformer layer."""

import math

import keras
from keras import ops

from tinybert_tf.models.dense import bert_dense
from tinybert_tf.models.self_attention import SelfAttention


def _gelu(x):
    """Exact GELU; TensorFlow's own rounds the square root of two to float32 under float64 too."""
    return 0.5 * x * (1 + ops.erf(x / math.sqrt(2.0)))


def _gelu_tanh(x):
    """GELU's approximation; TensorFlow's own has a constant that is rounded to float32."""
    return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * ops.power(x, 3))))


_ACTIVATIONS = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": ops.relu,
}


@keras.saving.register_keras_serializable("tinybert_tf")
class EncoderLayer(keras.layers.Layer):
    """Self-attention and feed-forward, each with dropout, a residual and a layer norm after it.

    Args:
        config: `BertConfig`.

    Call:
        hidden: float tensor `(batch, length, hidden_dim)`.
        mask_bias: float tensor `(batch, 1, 1, length)`.
        queries: float tensor `(batch, tokens, hidden_dim)`, the tokens of `hidden` that are
            computed, or `None` for all.
        Returns `(hidden, attention_logits)`, both of these tokens.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        width, inner, policy = config.hidden_dim, config.intermediate_dim, self.dtype_policy
        self.attention = SelfAttention(config, dtype=self.dtype_policy, name="attention")
        self.attention_norm = self._norm("attention_norm")
        self.intermediate_dense = bert_dense(
            config,
            width,
            inner,
            activation=_ACTIVATIONS[config.activation],
            dtype=policy,
            name="intermediate_dense",
        )
        self.output_dense = bert_dense(config, inner, width, dtype=policy, name="output_dense")
        self.output_norm = self._norm("output_norm")
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.built = True

    def _norm(self, name):
        norm = keras.layers.LayerNormalization(
            epsilon=self.config.layer_norm_epsilon, dtype=self.dtype_policy, name=name
        )
        norm.build((None, None, self.config.hidden_dim))
        return norm

    def call(self, hidden, mask_bias, queries=None, training=None):
        context, logits = self.attention(hidden, mask_bias, queries, training=training)
        queries = hidden if queries is None else queries
        hidden = self.attention_norm(queries + self.dropout(context, training=training))
        inner = self.intermediate_dense(hidden)
        outer = self.dropout(self.output_dense(inner), training=training)
        return self.output_norm(hidden + outer), logits
