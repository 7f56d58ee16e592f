"""Multi-head self-attention that shows its logits."""

import math

import keras
from keras import ops

from tinybert_tf.models.dense import bert_dense


@keras.saving.register_keras_serializable("tinybert_tf")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention.

    Args:
        config: `BertConfig`.

    Call:
        hidden: float tensor `(batch, length, hidden_dim)`.
        mask_bias: float tensor `(batch, 1, 1, length)`, added to the logits: 0 at real tokens, a
            large negative number at padding.
        queries: float tensor `(batch, from, hidden_dim)`, the tokens that attend to those of
            `hidden`, or `None` for these themselves.
        Returns `(context, attention_logits)`: float tensors `(batch, from, hidden_dim)` and
        `(batch, num_heads, from, length)`, the second before softmax with the bias added.
    """

    # B batch, N heads, F from (query), T to (key), H head size

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.head_size = config.hidden_dim // config.num_heads
        width = config.hidden_dim
        self.query, self.key, self.value, self.output_dense = (
            bert_dense(config, width, width, dtype=self.dtype_policy, name=name)
            for name in ("query", "key", "value", "output_dense")
        )
        self.dropout = keras.layers.Dropout(config.attention_dropout, dtype=self.dtype_policy)
        self.built = True

    def _split_heads(self, x):
        x = ops.reshape(x, (-1, ops.shape(x)[1], self.config.num_heads, self.head_size))
        return ops.transpose(x, (0, 2, 1, 3))  # B N F H

    def call(self, hidden, mask_bias, queries=None, training=None):
        queries = hidden if queries is None else queries
        query = self._split_heads(self.query(queries) / math.sqrt(self.head_size))
        key = ops.transpose(self._split_heads(self.key(hidden)), (0, 1, 3, 2))  # B N H T
        value = self._split_heads(self.value(hidden))
        logits = ops.matmul(query, key) + mask_bias  # B N F T
        probs = self.dropout(ops.softmax(logits), training=training)
        context = ops.transpose(ops.matmul(probs, value), (0, 2, 1, 3))  # B F N H
        context = ops.reshape(context, (-1, ops.shape(queries)[1], self.config.hidden_dim))
        return self.output_dense(context), logits
