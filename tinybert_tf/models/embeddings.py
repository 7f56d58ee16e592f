"""Token, position and segment embeddings."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("tinybert_tf")
class BertEmbeddings(keras.layers.Layer):
    """Sum of token, position and segment embeddings, then layer norm and dropout.

    Args:
        config: `BertConfig`.

    Call:
        token_ids: int tensor `(batch, length)`.
        segment_ids: int tensor of the same shape.
        Returns float tensor `(batch, length, hidden_dim)`.

    Raises:
        ValueError: In a call, if `length` is known and greater than `max_sequence_length`.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        initializer = keras.initializers.RandomNormal(stddev=config.initializer_range)
        self.token_embedding = self._table(config.vocabulary_size, initializer, "token_embedding")
        self.segment_embedding = self._table(config.num_segments, initializer, "segment_embedding")
        self.position_embedding = self.add_weight(
            (config.max_sequence_length, config.hidden_dim),
            initializer=initializer.clone(),
            name="position_embedding",
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=config.layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm"
        )
        self.layer_norm.build((None, None, config.hidden_dim))
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.built = True

    def _table(self, num_rows, initializer, name):
        table = keras.layers.Embedding(
            num_rows,
            self.config.hidden_dim,
            embeddings_initializer=initializer.clone(),
            dtype=self.dtype_policy,
            name=name,
        )
        table.build()
        return table

    def call(self, token_ids, segment_ids, training=None):
        length = ops.shape(token_ids)[1]
        if isinstance(length, int) and length > self.config.max_sequence_length:
            raise ValueError(
                f"`token_ids` are {length} long, but the model has "
                f"{self.config.max_sequence_length} positions. Cut the texts to that length."
            )
        positions = ops.convert_to_tensor(self.position_embedding, self.compute_dtype)
        total = self.token_embedding(token_ids) + self.segment_embedding(segment_ids)
        total = total + positions[:length]
        return self.dropout(self.layer_norm(total), training=training)
