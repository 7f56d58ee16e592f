import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.losses import attention_loss, zero_masked_logits

RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.normal(size=(2, 3, 2, 5, 5))
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])


def test_closed_form():
    teacher, student = np.zeros((2, 1, 2, 2)), np.full((2, 1, 2, 2), 3.0)
    student[1] = [[[1, 0], [0, 2]]]
    np.testing.assert_allclose(attention_loss(teacher, student), [9, 5 / 4])


def test_masked_equals_the_selected_part():
    losses = attention_loss(TEACHER, STUDENT, tf.constant(MASK))
    for row, length in enumerate(MASK.sum(axis=1)):
        part = np.s_[row, :, :length, :length]
        expected = np.mean((TEACHER[part] - STUDENT[part]) ** 2)
        np.testing.assert_allclose(losses[row], expected, rtol=1e-12)


def test_full_mask_equals_none():
    whole = attention_loss(TEACHER, STUDENT)
    np.testing.assert_allclose(attention_loss(TEACHER, STUDENT, np.ones((3, 5), bool)), whole)


def test_gradient_reaches_the_student_where_tokens_are_real():
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(attention_loss(tf.constant(TEACHER), student, MASK))
    pairs = (MASK[:, None, :, None] * MASK[:, None, None, :]).astype(float)
    expected = 2 * (STUDENT - TEACHER) * pairs / (2 * pairs.sum(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(tape.gradient(loss, student), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_computed_in_float32(dtype):
    teacher, student = (tf.cast(300 * x, dtype) for x in (TEACHER, STUDENT))
    loss = attention_loss(teacher, student, MASK)
    assert loss.dtype == tf.float32
    expected = attention_loss(tf.cast(teacher, "float64"), tf.cast(student, "float64"), MASK)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("student", "mask", "message"),
    [
        (STUDENT[:, :1], None, r"attention logits have shape \(3, 2, 5, 5\) .* \(3, 1, 5, 5\)"),
        (STUDENT[0], None, r"the student's \(2, 5, 5\); expected the same shape"),
        (STUDENT, MASK[:, :1], r"`padding_mask` has shape \(3, 1\), expected \(3, 5\)"),
    ],
)
def test_wrong_shapes(student, mask, message):
    with pytest.raises(ValueError, match=message):
        attention_loss(TEACHER, student, mask)


def test_zero_masked_logits():
    logits = tf.constant([[[[-10003.5, -100.0], [-99.9, 250.0]]]])
    expected = [[[[0.0, 0.0], [-99.9, 250.0]]]]
    np.testing.assert_array_equal(zero_masked_logits(logits), np.float32(expected))
    assert zero_masked_logits(tf.cast(logits, "bfloat16")).dtype == tf.bfloat16
