"""Tiny models whose every weight is random, and batches for them."""

import numpy as np

from tinybert_tf.models import BertConfig, Vocabulary

TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "\u2028", "\u0085")


def tiny_config(**changes):
    """Two layers of two heads, 16 wide."""
    sizes = {
        "vocabulary_size": 40,
        "num_layers": 2,
        "hidden_dim": 16,
        "num_heads": 2,
        "intermediate_dim": 24,
        "max_sequence_length": 12,
    }
    return BertConfig(**sizes | changes)


def tiny_vocabulary():
    """Fewer tokens than the model has rows, among them two that str.splitlines splits."""
    return Vocabulary(TOKENS, lower_case=False)


def randomized(model, seed=0):
    """Gives every weight, biases and norms too, a random value; returns the model."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        if "seed" not in variable.path:
            shift = 1 if variable.name == "gamma" else 0
            variable.assign(random.normal(shift, 0.3, variable.shape))
    return model


def random_inputs(batch=3, length=7, lengths=(7, 4, 2), seed=0):
    """Inputs of a model; `lengths` tokens of each row are real."""
    random = np.random.default_rng(seed)
    real = np.arange(length)[None, :] < np.array(lengths)[:, None]
    return {
        "token_ids": random.integers(0, 40, size=(batch, length)).astype(np.int32),
        "segment_ids": random.integers(0, 2, size=(batch, length)).astype(np.int32),
        "padding_mask": real.astype(np.int32),
    }


def as_arrays(outputs):
    """A model's outputs as a dict of float64 arrays, the lists stacked."""
    arrays = {
        name: np.stack([np.asarray(part) for part in value]) for name, value in outputs.items()
    }
    return {name: array.astype(np.float64) for name, array in arrays.items()}
