"""Chance as a pure function of what is drawn: the same in a file writer and in tf.data."""

import tensorflow as tf

# splitmix64: the step of its counter, and the shifts and factors of its finaliser.
_STEP = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)


def random_bits(seed, *counters):
    """64 evenly distributed bits for each combination of a seed and counters.

    Args:
        seed: int of 0 or more.
        *counters: int tensors that broadcast against one another, 0 or more.

    Returns:
        uint64 tensor of the broadcast shape. It depends on nothing but the values at its place.

    Example:
        random_bits(0, [0, 1], 7)  # two numbers below 2**64

    Reference:
        Steele, Lea and Flood 2014: the finaliser of SplitMix, once for each counter.
    """
    bits = _mixed(tf.constant(seed % 2**64, tf.uint64))
    for counter in counters:
        bits = _mixed(bits + tf.cast(counter, tf.uint64))
    return bits


def choose(bits, probability, counts):
    """Chooses one of some options with a probability, and none otherwise.

    Args:
        bits: uint64 tensor, from `random_bits`: the high half decides whether, the low half which.
        probability: float from 0 to 1.
        counts: int tensor of the same shape, the number of options, 1 or more.

    Returns:
        int64 tensor of the same shape: an index below the count, or -1 for none.
    """
    half = tf.constant(32, tf.uint64)
    is_chosen = tf.bitwise.right_shift(bits, half) < tf.constant(
        round(probability * 2**32), tf.uint64
    )
    low = tf.bitwise.bitwise_and(bits, tf.constant(2**32 - 1, tf.uint64))
    option = tf.bitwise.right_shift(low * tf.cast(counts, tf.uint64), half)
    return tf.where(is_chosen, tf.cast(option, tf.int64), tf.constant(-1, tf.int64))


def _mixed(bits):
    bits += tf.constant(_STEP, tf.uint64)
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        shifted = tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint64))
        bits = tf.bitwise.bitwise_xor(bits, shifted) * tf.constant(factor, tf.uint64)
    return bits
