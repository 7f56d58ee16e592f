"""Writes tests/goldens/google_tf1: a checkpoint under the names of Google's released programs.

    python make_google_tf1_model.py

runs with tf-models-official, whose encoder computes what is expected of the same weights, with
exact GELU. Weights are random, biases and norms too. TensorFlow 1's Saver writes them, with an
optimizer's and a masked-LM head's beside them, as `run_classifier.py` does:

    pretrained/  bert_model.ckpt
    finetuned/   model.ckpt-20, with a head of two classes, and an earlier model.ckpt-9
    spans/       model.ckpt-20, with the head of `run_squad.py`

`outputs.npz` holds the inputs, int32 (3, 7), and float32 `sequence_output`, `pooled_output`,
`logits` and `span_logits`.
"""

import json
import os
import pathlib
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tf_keras
from official.nlp.modeling import networks
from official.nlp.tools import tf1_bert_checkpoint_converter_lib as converter

HERE = pathlib.Path(__file__).parent / "google_tf1"
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "directionality": "bidi",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 16,
    "initializer_range": 0.02,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 60,
}
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "##a")
DENSE = {
    "attention/self/query": (16, 16),
    "attention/self/key": (16, 16),
    "attention/self/value": (16, 16),
    "attention/output/dense": (16, 16),
    "intermediate/dense": (16, 24),
    "output/dense": (24, 16),
}
NORMS = ("attention/output/LayerNorm", "output/LayerNorm")


def shapes():
    """Dict of every variable's name to its shape."""
    found = {
        "bert/embeddings/word_embeddings": (60, 16),
        "bert/embeddings/position_embeddings": (12, 16),
        "bert/embeddings/token_type_embeddings": (2, 16),
        "bert/pooler/dense/kernel": (16, 16),
        "bert/pooler/dense/bias": (16,),
    }
    norms = ["bert/embeddings/LayerNorm"]
    for number in range(2):
        layer = f"bert/encoder/layer_{number}"
        norms += [f"{layer}/{norm}" for norm in NORMS]
        for name, shape in DENSE.items():
            found |= {f"{layer}/{name}/kernel": shape, f"{layer}/{name}/bias": shape[1:]}
    for norm in norms:
        found |= {f"{norm}/gamma": (16,), f"{norm}/beta": (16,)}
    return found


def write(values, *paths):
    """Writes arrays with TensorFlow 1's Saver."""
    tf.compat.v1.reset_default_graph()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in values.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        for path in paths:
            tf.compat.v1.train.Saver().save(session, str(path), write_meta_graph=False)
            (path.parent / "checkpoint").unlink()


def official_outputs(values, inputs):
    """What `BertEncoderV2` computes of the same weights, put in by the Model Garden's own table."""
    encoder = networks.BertEncoderV2(
        vocab_size=60,
        hidden_size=16,
        num_layers=2,
        num_attention_heads=2,
        max_sequence_length=12,
        type_vocab_size=2,
        inner_dim=24,
        inner_activation=lambda x: tf_keras.activations.gelu(x, approximate=False),
    )
    encoder(inputs)
    table = converter.BERT_V2_NAME_REPLACEMENTS
    renamed = {
        converter._bert_name_replacement(name, table): value for name, value in values.items()
    }
    for weight in encoder.weights:
        name = weight.name.removeprefix(f"{encoder.name}/").removesuffix(":0")
        weight.assign(renamed[name].reshape(weight.shape))
    outputs = encoder(inputs)
    return {name: outputs[name].numpy() for name in ("sequence_output", "pooled_output")}


def main():
    """Writes both folders and the outputs."""
    shutil.rmtree(HERE, ignore_errors=True)
    random = np.random.default_rng(0)
    values = {
        name: random.normal(name.endswith("gamma"), 0.3, shape).astype(np.float32)
        for name, shape in shapes().items()
    }
    others = {"global_step": np.int64(20), "cls/predictions/output_bias": np.ones(60, np.float32)}
    others |= {f"bert/pooler/dense/bias/adam_{m}": np.ones(16, np.float32) for m in "mv"}
    weights = random.normal(0, 0.3, (2, 16)).astype(np.float32)
    head = {"output_weights": weights, "output_bias": np.float32([0.5, -0.25])}
    for name in ("pretrained", "finetuned", "spans"):
        (HERE / name).mkdir(parents=True)
        (HERE / name / "bert_config.json").write_text(json.dumps(CONFIG, indent=2))
        (HERE / name / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS))
    write(values | others, HERE / "pretrained" / "bert_model.ckpt")
    write({name: 0 * value for name, value in values.items()}, HERE / "finetuned" / "model.ckpt-9")
    write(values | others | head, HERE / "finetuned" / "model.ckpt-20")
    head = {f"cls/squad/{name}": value for name, value in head.items()}
    write(values | head, HERE / "spans" / "model.ckpt-20")
    real = np.arange(7) < np.array([[7], [4], [2]])
    inputs = {
        "input_word_ids": random.integers(0, 60, (3, 7)).astype(np.int32),
        "input_mask": real.astype(np.int32),
        "input_type_ids": random.integers(0, 2, (3, 7)).astype(np.int32),
    }
    outputs = official_outputs(values, inputs)
    for logits, output in (("logits", "pooled_output"), ("span_logits", "sequence_output")):
        outputs[logits] = outputs[output] @ weights.T + np.float32([0.5, -0.25])
    np.savez_compressed(HERE / "outputs.npz", **inputs, **outputs)


if __name__ == "__main__":
    main()
