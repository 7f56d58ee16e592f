import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf

from tinybert_tf.losses import (
    binary_label_loss,
    label_loss,
    regression_loss,
    soft_binary_cross_entropy,
    soft_cross_entropy,
)

RNG = np.random.default_rng(0)
TEACHER, STUDENT = 3 * RNG.normal(size=(2, 6, 4))


def by_scipy(teacher, student, temperature):
    targets = scipy.special.softmax(teacher / temperature, axis=1)
    return -np.sum(targets * scipy.special.log_softmax(student / temperature, axis=1), axis=1)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 7])
def test_soft_cross_entropy_equals_scipy(temperature):
    expected = by_scipy(TEACHER, STUDENT, temperature)
    actual = soft_cross_entropy(TEACHER, STUDENT, temperature)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    scaled = soft_cross_entropy(TEACHER, STUDENT, temperature, scale_by_temperature_squared=True)
    np.testing.assert_allclose(scaled, expected * temperature**2, rtol=1e-12)


def test_soft_cross_entropy_by_hand():
    losses = soft_cross_entropy(np.zeros((1, 2)), np.log([[1.0, 3.0]]))
    np.testing.assert_allclose(losses, [-0.5 * np.log(0.25) - 0.5 * np.log(0.75)])


def test_soft_cross_entropy_of_huge_logits_is_finite():
    teacher, student = np.float32([[1e4, -1e4]]), np.float32([[-1e4, 1e4]])
    np.testing.assert_allclose(soft_cross_entropy(teacher, student), [2e4])


def test_gradient_is_the_difference_of_the_distributions():
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(soft_cross_entropy(tf.constant(TEACHER), student, 2.0))
    expected = [scipy.special.softmax(x / 2, axis=1) for x in (STUDENT, TEACHER)]
    expected = (expected[0] - expected[1]) / 2
    np.testing.assert_allclose(tape.gradient(loss, student), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("loss", [soft_cross_entropy, soft_binary_cross_entropy, regression_loss])
def test_low_precision_is_computed_in_float32(loss, dtype):
    teacher, student = (tf.cast(300 * x, dtype) for x in (TEACHER, STUDENT))
    actual = loss(teacher, student)
    assert actual.dtype == tf.float32
    expected = loss(tf.cast(teacher, "float64"), tf.cast(student, "float64"))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
@pytest.mark.parametrize("loss", [soft_cross_entropy, soft_binary_cross_entropy])
def test_temperature_that_is_not_positive(loss, temperature):
    with pytest.raises(ValueError, match="`temperature` is .*, expected a positive number"):
        loss(TEACHER, STUDENT, temperature)


def test_regression_loss_by_hand():
    losses = regression_loss(np.array([[1.0], [-2.0]]), np.array([[4.0], [-2.5]]))
    np.testing.assert_allclose(losses, [9, 0.25])


def test_label_loss_equals_scikit_learn():
    labels = np.array([0, 3, 1, 2, 2, 0])
    losses = label_loss(labels, STUDENT)
    probabilities = scipy.special.softmax(STUDENT, axis=1)
    expected = sklearn.metrics.log_loss(labels, probabilities)
    assert tuple(losses.shape) == (6,)
    np.testing.assert_allclose(np.mean(losses), expected, rtol=1e-12)
    assert label_loss(labels, tf.cast(STUDENT, "bfloat16")).dtype == tf.float32


@pytest.mark.parametrize("temperature", [1.0, 0.5, 7])
def test_soft_binary_cross_entropy_equals_scipy(temperature):
    targets = scipy.special.expit(TEACHER / temperature)
    logs = [scipy.special.log_expit(sign * STUDENT / temperature) for sign in (1, -1)]
    expected = -np.sum(targets * logs[0] + (1 - targets) * logs[1], axis=1)
    actual = soft_binary_cross_entropy(TEACHER, STUDENT, temperature)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    scaled = soft_binary_cross_entropy(TEACHER, STUDENT, temperature, True)
    np.testing.assert_allclose(scaled, expected * temperature**2, rtol=1e-12)


def test_binary_label_loss_equals_scikit_learn():
    held = RNG.integers(0, 2, size=(6, 4))
    probabilities = scipy.special.expit(STUDENT)
    expected = [
        sum(
            sklearn.metrics.log_loss([label], [[1 - p, p]], labels=[0, 1])
            for label, p in zip(*row, strict=True)
        )
        for row in zip(held, probabilities, strict=True)
    ]
    np.testing.assert_allclose(binary_label_loss(held, STUDENT), expected, rtol=1e-9)
    assert binary_label_loss(held, tf.cast(STUDENT, "float16")).dtype == tf.float32


def test_binary_losses_of_huge_logits_are_finite():
    teacher, student = np.float32([[1e4, -1e4]]), np.float32([[-1e4, 1e4]])
    np.testing.assert_allclose(soft_binary_cross_entropy(teacher, student), [2e4])
    np.testing.assert_allclose(binary_label_loss(np.float32([[1, 1]]), student), [1e4])


def test_binary_gradient_is_the_difference_of_the_probabilities_also_at_zero():
    student = tf.Variable(STUDENT * [1, 1, 1, 0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(soft_binary_cross_entropy(tf.constant(TEACHER), student))
    expected = scipy.special.expit(student.numpy()) - scipy.special.expit(TEACHER)
    np.testing.assert_allclose(tape.gradient(loss, student), expected, atol=1e-12)


def test_wrong_shapes():
    message = r"logits have shape \(6, 4\) and the student's \(6, 3\); expected the same shape"
    with pytest.raises(ValueError, match=message):
        soft_cross_entropy(TEACHER, STUDENT[:, :3])
    with pytest.raises(ValueError, match=r"scores have shape \(6,\) and the student's \(6, 1\)"):
        regression_loss(TEACHER[:, 0], STUDENT[:, :1])
    with pytest.raises(ValueError, match=r"`labels` has shape \(6, 1\), expected \(6,\)"):
        label_loss(np.zeros((6, 1), int), STUDENT)
    with pytest.raises(ValueError, match=r"\(6, 4\) and the student's \(6, 3\)"):
        soft_binary_cross_entropy(TEACHER, STUDENT[:, :3])
    with pytest.raises(ValueError, match=r"`labels` has shape \(6,\), expected \(6, 4\)"):
        binary_label_loss(np.zeros(6), STUDENT)


def test_batch_of_unknown_size():
    specs = [tf.TensorSpec((None, 4), tf.float64)] * 2
    compiled = tf.function(soft_cross_entropy, input_signature=specs)
    np.testing.assert_allclose(compiled(TEACHER, STUDENT), by_scipy(TEACHER, STUDENT, 1))
