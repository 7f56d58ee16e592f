"""DistilBERT in BERT's words."""

import re

import numpy as np

from tinybert_tf.checkpoints.hugging_face import bare_name

# DistilBERT's key in config.json: BERT's
_CONFIG_KEYS = {
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_position_embeddings",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "dim": "hidden_size",
    "hidden_dim": "intermediate_size",
    "activation": "hidden_act",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "initializer_range": "initializer_range",
}
_SIZES = tuple(_CONFIG_KEYS)[:6]
# Kept as they are.
_OTHER_KEYS = ("architectures", "id2label", "problem_type")
_LAYER_PARTS = {
    "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key",
    "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense",
    "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense",
    "ffn.lin2": "output.dense",
    "output_layer_norm": "output.LayerNorm",
}
# The classifier's own dense layer, and the parts of a masked LM.
_HEAD_PARTS = {
    "pre_classifier": "pooler.dense",
    "vocab_transform": "cls.predictions.transform.dense",
    "vocab_layer_norm": "cls.predictions.transform.LayerNorm",
    "vocab_projector": "cls.predictions.decoder",
}
_NUM_SEGMENTS = 2


def to_bert(values, tensors, source):
    """Turns a DistilBERT into a BERT that computes the same.

    DistilBERT has no segments, so the BERT's segment table is zeros; its classifier of texts has a
    dense layer of its own with relu, which is the BERT's pooler.

    Args:
        values: dict, the parsed config.json.
        tensors: dict of name, with or without the prefix `distilbert.`, to array.
        source: str, the config's file for messages.

    Returns:
        `values` and `tensors` of the BERT.

    Raises:
        ValueError: If the config lacks a size.

    Reference:
        Sanh et al. 2019, DistilBERT, section 2.
    """
    missing = [key for key in _SIZES if key not in values]
    if missing:
        raise ValueError(f"{source}: lacks {', '.join(missing)}; is it a DistilBERT's config.json?")
    config = {bert: values[key] for key, bert in _CONFIG_KEYS.items() if key in values}
    config |= {key: values[key] for key in _OTHER_KEYS if key in values}
    config |= {"model_type": "bert", "type_vocab_size": _NUM_SEGMENTS, "layer_norm_eps": 1e-12}
    tensors = {_bert_name(name): value for name, value in tensors.items()}
    if "pooler.dense.weight" in tensors:
        config["pooler"] = "relu"
    words = tensors.get("embeddings.word_embeddings.weight")
    if words is not None and words.size:  # of shape (0, 10**12) it would ask for terabytes
        segments = np.zeros((_NUM_SEGMENTS, *words.shape[1:]), np.float32)
        tensors["embeddings.token_type_embeddings.weight"] = segments
    return config, tensors


def _bert_name(name):
    name = name.removeprefix("distilbert.")
    match = re.fullmatch(r"transformer\.layer\.(\d+)\.(.+)\.(weight|bias)", name)
    if match and match[2] in _LAYER_PARTS:
        return f"encoder.layer.{match[1]}.{_LAYER_PARTS[match[2]]}.{match[3]}"
    part, _, kind = name.partition(".")
    return bare_name(f"{_HEAD_PARTS[part]}.{kind}") if part in _HEAD_PARTS else name
