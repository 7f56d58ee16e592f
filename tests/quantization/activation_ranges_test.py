import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.quantization import ActivationRanges


def rounded(ranges, values, training=False):
    return ranges.round_in(lambda watch: watch("a", tf.constant(values, tf.float32)), training)


def to_steps(values, low, high):
    """What 256 steps from `low` to `high`, moved so that one is 0, make of values."""
    scale = (high - low) / 255
    zero = np.round(-low / scale)
    return (np.clip(np.round(np.array(values) / scale) + zero, 0, 255) - zero) * scale


def test_rounds_in_the_range_that_was_watched():
    ranges = ActivationRanges(["a"])
    values = np.linspace(-1, 3, 11)
    np.testing.assert_allclose(rounded(ranges, values), to_steps(values, -1, 3), atol=1e-6)
    rounded(ranges, values, training=True)
    wide = np.linspace(-5.1, 5, 11)
    np.testing.assert_allclose(rounded(ranges, wide), to_steps(wide, -1, 3), atol=1e-6)


def test_a_range_grows_at_once_and_shrinks_slowly():
    ranges = ActivationRanges(["a"], momentum=0.75)
    for high, expected in ((2.0, 2.0), (6.0, 6.0), (2.0, 5.0), (4.0, 4.75)):
        rounded(ranges, [-1.0, high], training=True)
        np.testing.assert_allclose(ranges.bounds, [[-1, expected]])
    rounded(ranges, [-9.0, 9.0])
    np.testing.assert_allclose(ranges.bounds, [[-1, 4.75]])


@pytest.mark.parametrize("values", [[0.5, 2.0], [-2.0, -0.5], [0.0, 0.0]])
def test_zero_is_in_every_range(values):
    ranges = ActivationRanges(["a"])
    rounded(ranges, values, training=True)
    low, high = ranges.bounds.numpy()[0]
    assert low <= 0 <= high
    np.testing.assert_allclose(rounded(ranges, values), values, atol=0.01)
    assert not np.any(rounded(ranges, [0.0]))


def test_others_pass_as_they_are():
    ranges = ActivationRanges(["a"])

    def run(watch):
        watch("a", tf.constant([0.0, 1.0]))
        return watch("b", tf.constant([0.123456]))

    assert ranges.round_in(run, training=True).numpy()[0] == np.float32(0.123456)


def test_the_gradient_passes_inside_the_range():
    ranges = ActivationRanges(["a"])
    rounded(ranges, [-1.0, 1.0], training=True)
    values = tf.constant([-3.0, -0.5, 0.7, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(ranges.round_in(lambda watch: watch("a", values)) * [1, 2, 3, 4])
    np.testing.assert_allclose(tape.gradient(total, values), [0, 2, 3, 0])
