"""Activations rounded to eight bits, in ranges that are learned by watching."""

import keras
import tensorflow as tf


class ActivationRanges(keras.layers.Layer):
    """Rounds named activations to 256 steps between their usual least and greatest value.

    Each activation has one range, which holds 0. In training it grows at once to what a batch
    reaches and shrinks slowly towards what batches reach now, as calibration measures it on some
    hundred examples. A range that nothing has been seen of yet is that of the batch.

    Args:
        names: sequence of str, the activations to round; others pass as they are.
        momentum: float in [0, 1), share of the distance to a narrower batch that a range keeps.
        name: str.

    Reference:
        Jacob et al. 2018 ("Quantization and training of neural networks for efficient
        integer-arithmetic-only inference"), section 3.1.
    """

    def __init__(self, names, momentum=0.99, name=None):
        super().__init__(dtype="float32", name=name)
        self.places = {name: place for place, name in enumerate(names)}
        self.momentum = momentum
        self.bounds = self.add_weight(
            (len(self.places), 2),
            "zeros",
            trainable=False,
            aggregation="mean",
            name="bounds",
        )
        self.built = True

    def round_in(self, run, training=None):
        """Runs something with its activations rounded.

        Args:
            run: function of a hook, which it calls with the name and float32 value of each of the
                activations, and which returns what takes the value's place.
            training: bool, whether the ranges move.

        Returns:
            What `run` returns.
        """
        bounds, found = tf.convert_to_tensor(self.bounds), [None] * len(self.places)

        def watch(name, value):
            if name not in self.places:
                return value
            place = self.places[name]
            found[place] = range_of(value)
            is_known = bounds[place, 0] < bounds[place, 1]
            low, high = tf.unstack(tf.where(is_known, bounds[place], found[place]))
            return round_to_range(value, low, high)

        outputs = run(watch)
        if training:
            self.bounds.assign(self._moved(bounds, tf.stack(found)))
        return outputs

    def _moved(self, bounds, found):
        nearer = found + self.momentum * (bounds - found)
        low, high = tf.minimum(nearer, found)[:, 0], tf.maximum(nearer, found)[:, 1]
        return tf.stack([low, high], axis=1)


def round_to_range(value, low, high):
    """Rounds to 256 steps between two bounds, one of which is moved so that 0 is a step.

    The gradient passes where a value lies between the bounds.

    Args:
        value: float32 tensor.
        low, high: float32 scalars, `low` <= 0 <= `high`.

    Returns:
        Float32 tensor like `value`.
    """
    return tf.quantization.fake_quant_with_min_max_vars(value, low, high)


def range_of(value):
    """The least and the greatest value, or 0 where that is beyond: float tensor `(2,)`."""
    value = tf.stop_gradient(value)
    low, high = tf.reduce_min(value), tf.reduce_max(value)
    return tf.stack([tf.minimum(low, 0.0), tf.maximum(high, 0.0)])
