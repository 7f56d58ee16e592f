"""Writes tests/goldens/model_garden: checkpoints of the Model Garden and what they compute.

    python make_model_garden_model.py

runs with tf-models-official, which works on Keras 2 and which nothing else here needs. Weights are
random, biases and norms too. `outputs.npz` holds the inputs, int32 (3, 7), and float32 outputs:

    encoder/     BertEncoderV2 with its own activation (tanh GELU), in Checkpoint(encoder=...)
    classifier/  BertClassifier on BertEncoder with ReLU, in Checkpoint(model=..., optimizer=...)
"""

import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling import models, networks

HERE = pathlib.Path(__file__).parent / "model_garden"
SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_layers": 2,
    "num_attention_heads": 2,
    "max_sequence_length": 12,
    "type_vocab_size": 2,
}
PARAMS = """task:
  model:
    encoder:
      type: bert
      bert:
        attention_dropout_rate: 0.1
        dropout_rate: 0.2
        hidden_activation: {activation}
        hidden_size: 16
        initializer_range: 0.02
        intermediate_size: 24
        max_position_embeddings: 12
        num_attention_heads: 2
        num_layers: 2
        type_vocab_size: 2
        vocab_size: 60
"""
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "##a")


def randomize(model, seed):
    """Gives every weight a random value."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.normal("gamma" in weight.name, 0.3, weight.shape))


def random_inputs():
    """Three rows of which 7, 4 and 2 tokens are real."""
    random = np.random.default_rng(1)
    real = np.arange(7) < np.array([[7], [4], [2]])
    return {
        "input_word_ids": random.integers(0, 60, (3, 7)).astype(np.int32),
        "input_mask": real.astype(np.int32),
        "input_type_ids": random.integers(0, 2, (3, 7)).astype(np.int32),
    }


def main():
    """Writes both folders."""
    inputs = random_inputs()
    encoder = networks.BertEncoderV2(**SIZES, inner_dim=24)
    encoder(inputs)
    randomize(encoder, 2)
    tf.train.Checkpoint(encoder=encoder).write(str(HERE / "encoder" / "bert_model.ckpt"))
    outputs = encoder(inputs)
    arrays = {name: outputs[name].numpy() for name in ("sequence_output", "pooled_output")}

    network = networks.BertEncoder(
        **SIZES, intermediate_size=24, activation=tf_keras.activations.relu, dict_outputs=True
    )
    classifier = models.BertClassifier(network, num_classes=3)
    randomize(classifier, 3)
    optimizer = tf_keras.optimizers.Adam()
    optimizer.build(classifier.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=classifier, optimizer=optimizer)
    checkpoint.write(str(HERE / "classifier" / "ckpt-7"))
    arrays["logits"] = classifier(inputs).numpy()

    for name, activation in (("encoder", "gelu"), ("classifier", "relu")):
        (HERE / name / "params.yaml").write_text(PARAMS.format(activation=activation))
        (HERE / name / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    np.savez_compressed(HERE / "outputs.npz", **inputs, **arrays)


if __name__ == "__main__":
    main()
