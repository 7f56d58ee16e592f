"""BERT that guesses the words behind masked tokens."""

import keras
import tensorflow as tf
from keras import ops

from tinybert_tf.models.dense import bert_dense
from tinybert_tf.models.encoder_model import EncoderModel


@keras.saving.register_keras_serializable("tinybert_tf")
class BertMaskedLM(EncoderModel):
    """BERT with the head that it was pre-trained with: a word-piece for every token.

    A dense layer with the config's activation and a layer norm, then a product with the token
    embeddings, which the head shares with the encoder, and a bias.

    Args:
        config: `BertConfig` of the encoder. The head reads no pooler, but keeps one.
        vocabulary: `Vocabulary`, or `None` where it is not known.
        dtype: a Keras dtype policy.
        name: str, name of the model.

    Call:
        As `BertEncoder`; the mapping also has `logits`, a float tensor `(batch, length,
        vocabulary_size)`. For 30,522 word-pieces that is 122 kB a token: where only some tokens
        count, the inputs may have `masked_positions`, an int tensor `(batch, masked)` of places in
        `[0, length)`, and `logits` is `(batch, masked, vocabulary_size)`.

    Example:
        outputs = BertMaskedLM.from_preset("bert_tiny")(inputs | {"masked_positions": [[3, 5]]})
        outputs["logits"].shape  # (1, 2, 30522)

    Reference:
        Devlin et al. 2019, section 3.1; the released `run_pretraining.py`.
    """

    problem = "masked_lm"

    def __init__(self, config, vocabulary=None, dtype=None, name=None):
        super().__init__(config, vocabulary, dtype, name)
        self.transform = bert_dense(
            config,
            config.hidden_dim,
            config.hidden_dim,
            activation=self.encoder.encoder_layers[0].intermediate_dense.activation,
            dtype=self.dtype_policy,
            name="transform",
        )
        self.transform_norm = keras.layers.LayerNormalization(
            epsilon=config.layer_norm_epsilon, dtype=self.dtype_policy, name="transform_norm"
        )
        self.transform_norm.build((None, config.hidden_dim))
        self.output_bias = self.add_weight(
            (config.vocabulary_size,), initializer="zeros", name="output_bias"
        )

    def call(self, inputs, training=None):
        outputs = self.encoder(inputs, training=training)
        hidden = outputs["sequence_output"]
        if "masked_positions" in inputs:
            hidden = tf.gather(hidden, inputs["masked_positions"], batch_dims=1)
        return {**outputs, "logits": self.decode(hidden)}

    def predict_masked(self, inputs):
        """The logits of some tokens, for which alone the last layer is computed; no dropout.

        Args:
            inputs: as for a call, with `masked_positions`.

        Returns:
            Float tensor `(batch, masked, vocabulary_size)`, as `logits` of a call.
        """
        mask_bias = self.encoder.mask_bias(inputs["padding_mask"])
        ids = inputs["token_ids"], inputs["segment_ids"]
        hidden = self.encoder.embeddings(*ids, training=False)
        *layers, last = self.encoder.encoder_layers
        for layer in layers:
            hidden, _ = layer(hidden, mask_bias, training=False)
        masked = tf.gather(hidden, inputs["masked_positions"], batch_dims=1)
        return self.decode(last(hidden, mask_bias, masked, training=False)[0])

    def decode(self, hidden):
        """The head alone.

        Args:
            hidden: float tensor `(batch, tokens, hidden_dim)`, last hidden states.

        Returns:
            Float tensor `(batch, tokens, vocabulary_size)`, the logits.
        """
        table, bias = (
            ops.convert_to_tensor(variable, self.compute_dtype)
            for variable in (self.encoder.embeddings.token_embedding.embeddings, self.output_bias)
        )
        # Every token as a row of one matrix, as `TokenDense` does.
        rows = ops.reshape(self.transform_norm(self.transform(hidden)), (-1, hidden.shape[-1]))
        logits = ops.matmul(rows, ops.transpose(table)) + bias
        return ops.reshape(logits, (-1, ops.shape(hidden)[1], self.config.vocabulary_size))
