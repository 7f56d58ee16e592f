import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.quantization import best_ratio, fake_quantize

WEIGHTS = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
AXES = [0, 1, None]


def min_max(weights, bits, axis):
    """What a quantizer makes that takes the largest weight for the end of its grid."""
    levels = 127 if bits == 8 else 7
    scale = np.abs(weights).max(axis=axis, keepdims=True) / levels
    return np.round(weights / scale) * scale


def slope(weights, ratio, **grid):
    """Gradients of the sum of rounded weights times 1, 2, 3, ..."""
    factors = np.arange(1, weights.size + 1, dtype=np.float32).reshape(weights.shape)
    values = [tf.constant(weights), tf.constant(ratio)]
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(fake_quantize(values[0], ratio=values[1], **grid) * factors)
    return factors, *(gradient.numpy() for gradient in tape.gradient(total, values))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("axis", AXES)
def test_is_what_a_quantizer_makes(bits, axis):
    rounded = fake_quantize(WEIGHTS, bits, axis).numpy()
    np.testing.assert_allclose(rounded, min_max(WEIGHTS, bits, axis), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("ratio", [1.0, 0.61])
def test_a_quantizer_finds_the_grid_again(bits, axis, ratio):
    rounded = fake_quantize(WEIGHTS, bits, axis, ratio).numpy()
    np.testing.assert_allclose(min_max(rounded, bits, axis), rounded, atol=1e-6)
    assert np.unique(rounded[:, 0]).size > 1


def test_zeros_stay():
    weights = WEIGHTS * np.array([0, 1, 1, 0, 1], np.float32)
    rounded = fake_quantize(weights, 8, 0).numpy()
    assert not rounded[:, [0, 3]].any()
    assert np.isfinite(rounded).all()


def test_the_gradient_passes_where_weights_are_not_beyond_the_end():
    factors, gradient, _ = slope(WEIGHTS, np.float32(0.5), bits=4, axis=0)
    inside = np.abs(WEIGHTS) <= 0.5 * np.abs(WEIGHTS).max(axis=0)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_allclose(gradient, factors * inside, rtol=1e-5)


def test_the_gradient_of_the_end():
    """LSQ's: what a weight is rounded by, in steps, or the level it is moved to."""
    factors, _, gradient = slope(WEIGHTS, np.full((1, 5), 0.5, np.float32), bits=4, axis=0)
    largest = np.abs(WEIGHTS).max(axis=0, keepdims=True)
    steps = WEIGHTS / (0.5 * largest / 7)
    per_step = np.where(np.abs(steps) <= 7, np.round(steps) - steps, np.sign(steps) * 7)
    expected = (factors * per_step * largest / 7).sum(axis=0, keepdims=True)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)


def test_the_best_end_is_better_than_any_other():
    weights = np.random.default_rng(1).standard_t(3, size=(200, 4)).astype(np.float32)

    def error(ratio):
        return np.square(fake_quantize(weights, 4, 0, ratio).numpy() - weights).sum(axis=0)

    best = best_ratio(weights, 4, 0)
    assert best.shape == (1, 4)
    assert best.max() < 1
    for ratio in (0.4, 0.6, 0.8, 1.0):
        assert (error(best) <= error(ratio) + 1e-4).all()


def test_other_bits_are_refused():
    with pytest.raises(ValueError, match="`bits` is 3, expected 8 or 4."):
        fake_quantize(WEIGHTS, 3)
