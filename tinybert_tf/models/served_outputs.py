"""What a model gives once it is served or exported, under names that tell what it is."""

import tensorflow as tf

# A model's problem: function from its logits to its outputs by name.
SERVED_OUTPUTS = {
    "classification": lambda logits: {"probabilities": tf.nn.softmax(logits)},
    "regression": lambda logits: {"score": logits},
    "multilabel": lambda logits: {"probabilities": tf.nn.sigmoid(logits)},
    "spans": lambda logits: {"start_logits": logits[..., 0], "end_logits": logits[..., 1]},
    "tagging": lambda logits: {"tag_logits": logits},
}
