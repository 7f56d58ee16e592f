"""A BERT's arithmetic in the form that converts to the fastest file."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from tinybert_tf.models.bert_config import BertConfig
from tinybert_tf.models.bert_head import BertHead

# Added to the attention logits of padded keys. As good as the Keras model's -10000 in float32, and
# small enough to leave int8 activations some steps for the logits themselves.
MASK_BIAS = -50.0
_ACTIVATIONS = {
    # The converter knows these two by their exact form, and makes one operator of each.
    "gelu": lambda rows: tf.nn.gelu(rows, approximate=False),
    "gelu_tanh": lambda rows: tf.nn.gelu(rows, approximate=True),
    "relu": tf.nn.relu,
    "tanh": tf.nn.tanh,
}


class LeanBert:
    """What a model with a head computes, without dropout, as plain TensorFlow on named tensors.

    Equal to the Keras model but for rounding, and cheaper once it is converted: the queries' scale
    is in the weights; queries, keys and values are one product; tokens are rows of one matrix; and
    where the head reads nothing but [CLS], the last layer computes nothing but [CLS].

    The weights are an argument and every activation passes a hook on its way, so that a caller can
    put other tensors in their place: those of a quantized file, simulated in training.

    Args:
        model: `BertClassifier`, `BertSpanLabeler` or `BertTokenClassifier`.
        all_tokens: bool, whether the last layer computes every token even if the head reads one.

    Call:
        weights: mapping of name to tensor, as `weights()` gives it.
        inputs: mapping of int tensors `(batch, length)`, as for `BertEncoder`: `token_ids`,
            `padding_mask`, `segment_ids`. Batch and length may be unknown; at most
            `max_sequence_length` tokens.
        watch: function from the name and value of an activation to what takes its place.
        Returns a mapping with `logits`, `hidden_states` and `attention_logits`, as the Keras model,
        but with -50 in place of -10000 at padded keys. Where [CLS] is all that the last layer
        computes, its hidden state is `(batch, 1, hidden_dim)` and its attention logits
        `(batch, num_heads, 1, length)`.

    Example:
        lean = LeanBert(student)
        lean(lean.weights(), inputs)["logits"]

    Note:
        Kernels that lie on a symmetric grid for each output channel still do in the product: the
        queries' channels are scaled, each by the same factor, and stand beside those of keys and
        values. On one grid for a whole kernel they would not. Those of `transposed_kernels` need a
        grid for each input channel, which is an output of the product.
    """

    def __init__(self, model, all_tokens=False):
        self._model = model
        self._first_token_only = model.encoder.pooler is not None and not all_tokens

    def weights(self):
        """The model's weights by name, computed so that gradients reach its variables.

        Returns:
            Dict of name to float tensor: tables `(rows, hidden_dim)` as `token_embedding`, norms as
            `embeddings/gamma`, kernels `(inputs, outputs)` as `layer_1/query_key_value/kernel` and
            their biases.
        """
        encoder = self._model.encoder
        tables = encoder.embeddings
        variables = {
            "token_embedding": tables.token_embedding.embeddings,
            "segment_embedding": tables.segment_embedding.embeddings,
            "position_embedding": tables.position_embedding,
            **_parts("embeddings", tables.layer_norm, "gamma", "beta"),
            **_parts("classifier", self._model.classifier, "kernel", "bias"),
        }
        if encoder.pooler is not None:
            variables |= _parts("pooler", encoder.pooler, "kernel", "bias")
        for number, layer in enumerate(encoder.encoder_layers, 1):
            variables |= _layer_weights(f"layer_{number}", layer)
        return {name: tf.convert_to_tensor(value) for name, value in variables.items()}

    def __call__(self, weights, inputs, watch=lambda name, value: value):
        ids, config = inputs["token_ids"], self._model.config
        # A known batch leaves the length to be inferred: no operators that compute shapes.
        grid = (ids.shape[0], -1) if ids.shape[0] else (-1, tf.shape(ids)[1])
        forward = _Forward(config, weights, watch, grid)
        bias = forward.mask_bias(inputs["padding_mask"])
        rows = forward.embed(ids, inputs["segment_ids"])
        states, attention_logits = [forward.states(rows)], []
        for number in range(1, config.num_layers + 1):
            only_first = self._first_token_only and number == config.num_layers
            rows, logits = forward.layer(f"layer_{number}", rows, bias, only_first)
            states.append(forward.states(rows, only_first))
            attention_logits.append(logits)
        logits = self._head(forward, rows, states[-1])
        return {"logits": logits, "hidden_states": states, "attention_logits": attention_logits}

    def _head(self, forward, rows, states):
        if self._model.encoder.pooler is None:
            return forward.states(forward.dense("classifier", rows, watched="logits"))
        first = rows if self._first_token_only else states[:, 0]
        pooled = forward.dense("pooler", first, activation=self._model.config.pooler)
        if self._model.head == "tinybert_relu":
            pooled = forward.watch("pooler/relu", tf.nn.relu(pooled))
        return forward.dense("classifier", pooled, watched="logits")


def transposed_kernels(model):
    """The variables of a model that `LeanBert` multiplies by transposed, unless for all tokens.

    Args:
        model: any model; only those of `LeanBert` have such kernels.

    Returns:
        List of variables `(inputs, outputs)`: the last layer's keys where [CLS] alone is computed.
    """
    if not isinstance(model, BertHead) or model.encoder.pooler is None:
        return []
    return [model.encoder.encoder_layers[-1].attention.key.kernel]


def _parts(name, layer, *parts):
    return {f"{name}/{part}": getattr(layer, part) for part in parts}


def _layer_weights(name, layer):
    attention = layer.attention
    scale = 1 / math.sqrt(attention.head_size)
    others = (attention.key, attention.value)
    joined = {
        part: tf.concat(
            [getattr(attention.query, part) * scale, *(getattr(other, part) for other in others)],
            axis=-1,
        )
        for part in ("kernel", "bias")
    }
    return {
        **{f"{name}/query_key_value/{part}": value for part, value in joined.items()},
        **_parts(f"{name}/attention_output", attention.output_dense, "kernel", "bias"),
        **_parts(f"{name}/attention_norm", layer.attention_norm, "gamma", "beta"),
        **_parts(f"{name}/intermediate", layer.intermediate_dense, "kernel", "bias"),
        **_parts(f"{name}/output", layer.output_dense, "kernel", "bias"),
        **_parts(f"{name}/output_norm", layer.output_norm, "gamma", "beta"),
    }


@dataclasses.dataclass(frozen=True)
class _Forward:
    """The steps of one pass, and what they share.

    Args:
        config: `BertConfig`.
        weights: mapping of name to tensor.
        watch: function from the name and value of an activation to what takes its place.
        grid: batch and length, for reshapes: ints and -1, or a tensor.
    """

    # B batch, N heads, F from (query), T to (key), H head size; a token is a row of (B T, width)

    config: BertConfig
    weights: Mapping
    watch: Callable
    grid: tuple

    def states(self, rows, only_first=False):
        """Rows `(B T, width)` as `(B, T, width)`; T is 1 where they are first tokens only."""
        grid = (-1, 1) if only_first else self.grid
        return tf.reshape(rows, (*grid, rows.shape[-1]))

    def mask_bias(self, mask):
        batch, length = self.grid
        bias = (1 - tf.cast(mask, self.weights["embeddings/gamma"].dtype)) * MASK_BIAS
        return self.watch("mask_bias", tf.reshape(bias, (batch, 1, 1, length)))

    def embed(self, ids, segment_ids):
        token, segment, position = (
            self.weights[f"{name}_embedding"] for name in ("token", "segment", "position")
        )
        # Ids in one row: quantizers know an embedding by that.
        rows = self.watch("embeddings/token", tf.gather(token, tf.reshape(ids, [-1])))
        other = tf.gather(segment, tf.reshape(segment_ids, [-1]))
        rows += self.watch("embeddings/segment", other)
        rows = self.watch("embeddings/token_segment", rows)
        # Gathered rather than sliced: this table too is stored in int8.
        positions = tf.gather(position, tf.range(tf.shape(ids)[1]))
        positions = self.watch("embeddings/position", positions)
        total = self.watch("embeddings/sum", self.states(rows) + positions)
        return self.norm("embeddings", tf.reshape(total, (-1, self.config.hidden_dim)))

    def layer(self, name, rows, bias, only_first):
        attention = self.first_attention if only_first else self.attention
        context, logits = attention(name, rows, bias)
        outer = self.dense(f"{name}/attention_output", context)
        rows = self.states(rows)[:, 0] if only_first else rows
        rows = self.watch(f"{name}/attention_sum", rows + outer)
        rows = self.norm(f"{name}/attention_norm", rows)
        inner = self.dense(f"{name}/intermediate", rows, activation=self.config.activation)
        outer = self.watch(f"{name}/sum", rows + self.dense(f"{name}/output", inner))
        return self.norm(f"{name}/output_norm", outer), logits

    def attention(self, name, rows, bias):
        """Returns context rows and attention logits."""
        dense, width = f"{name}/query_key_value", self.config.hidden_dim
        query, key, value = tf.split(self.heads(self.dense(dense, rows)), 3, axis=1)
        logits = self.watch(f"{name}/products", tf.matmul(query, key, transpose_b=True))
        logits = self.watch(f"{name}/attention_logits", logits + bias)  # B N F T
        probs = self.watch(f"{name}/attention_probs", tf.nn.softmax(logits))
        context = self.watch(f"{name}/context", tf.matmul(probs, value))  # B N F H
        return tf.reshape(tf.transpose(context, (0, 2, 1, 3)), (-1, width)), logits

    def first_attention(self, name, rows, bias):
        """`attention` of first tokens: products have a row for each head, none for each token.

        A query times the keys is (q Wk^T) x^T, and the sum of values is (p x) Wv. What the keys'
        bias adds is the same for all logits of a head; softmax takes it away, so it is left out.
        """
        dense, width = f"{name}/query_key_value", self.config.hidden_dim
        heads, states = self.config.num_heads, self.states(rows)
        query = self.dense(dense, states[:, 0], slice(width), f"{name}/query")
        own = tf.repeat(tf.eye(heads, dtype=rows.dtype), width // heads, axis=1)
        query = self.watch(f"{name}/head_queries", query[:, tf.newaxis] * own)  # B N NH
        key_kernel = self.weights[f"{dense}/kernel"][:, width : 2 * width]
        query = tf.matmul(tf.reshape(query, (-1, width)), tf.transpose(key_kernel))
        query = tf.reshape(self.watch(f"{name}/key_queries", query), (-1, heads, width))
        logits = self.watch(f"{name}/products", tf.matmul(query, states, transpose_b=True))
        logits = self.watch(f"{name}/attention_logits", logits + tf.squeeze(bias, 1))  # B N T
        probs = self.watch(f"{name}/attention_probs", tf.nn.softmax(logits))
        attended = self.watch(f"{name}/attended", tf.matmul(probs, states))
        attended = tf.reshape(attended, (-1, width))
        values = self.dense(dense, attended, slice(2 * width, None), f"{name}/values")
        values = tf.reshape(values, (-1, heads, width)) * own
        values = self.watch(f"{name}/head_values", values)
        context = self.watch(f"{name}/context", tf.reduce_sum(values, axis=1))
        return context, logits[:, :, tf.newaxis]

    def heads(self, rows):
        """Rows `(B T, width)` as `(B, width / H, T, H)`."""
        size = self.config.hidden_dim // self.config.num_heads
        split = tf.reshape(rows, (*self.grid, rows.shape[-1] // size, size))
        return tf.transpose(split, (0, 2, 1, 3))

    def dense(self, name, rows, columns=slice(None), watched=None, activation=None):
        """Product with some columns of a kernel, and the bias; then what the activation gives."""
        kernel, bias = (self.weights[f"{name}/{part}"] for part in ("kernel", "bias"))
        rows = tf.matmul(rows, kernel[:, columns]) + bias[columns]
        rows = self.watch(watched or name, rows)
        if activation is None:
            return rows
        return self.watch(f"{name}/{activation}", _ACTIVATIONS[activation](rows))

    def norm(self, name, rows):
        centred = self.watch(
            f"{name}/centred",
            rows - self.watch(f"{name}/mean", tf.reduce_mean(rows, axis=-1, keepdims=True)),
        )
        squares = self.watch(f"{name}/squares", centred * centred)
        variance = self.watch(f"{name}/variance", tf.reduce_mean(squares, axis=-1, keepdims=True))
        variance = self.watch(f"{name}/positive", variance + self.config.layer_norm_epsilon)
        factor = self.watch(f"{name}/factor", tf.math.rsqrt(variance))
        # In this order: of gamma on its own the converter makes a part of the next kernel.
        scale = self.watch(f"{name}/scale", factor * self.weights[f"{name}/gamma"])
        # These two have names by which a converted file's tensors are found.
        scaled = tf.multiply(centred, scale, name=f"{name}/scaled")
        scaled = self.watch(f"{name}/scaled", scaled)
        return self.watch(name, tf.add(scaled, self.weights[f"{name}/beta"], name=name))
