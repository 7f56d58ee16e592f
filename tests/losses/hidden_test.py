import numpy as np
import pytest
import tensorflow as tf

from tinybert_tf.losses import embedding_loss, hidden_loss

RNG = np.random.default_rng(0)
TEACHER, STUDENT = RNG.normal(size=(2, 3, 5, 4))
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
pytestmark = pytest.mark.parametrize("loss", [hidden_loss, embedding_loss])


def test_closed_form(loss):
    student = np.array([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 4.0], [0.0, 0.0]]])
    np.testing.assert_allclose(loss(np.zeros((2, 2, 2)), student), [1, 4])


def test_masked_equals_the_selected_part(loss):
    losses = loss(TEACHER, STUDENT, tf.constant(MASK, tf.int32))
    for row, length in enumerate(MASK.sum(axis=1)):
        expected = np.mean((TEACHER[row, :length] - STUDENT[row, :length]) ** 2)
        np.testing.assert_allclose(losses[row], expected, rtol=1e-12)


def test_row_without_tokens_costs_nothing(loss):
    mask = MASK * [[1], [0], [1]]
    losses = loss(TEACHER, STUDENT, mask)
    np.testing.assert_array_equal(np.asarray(losses) == 0, [False, True, False])


def test_gradient_reaches_the_student_where_tokens_are_real(loss):
    student = tf.Variable(STUDENT)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(tf.constant(TEACHER), student, MASK))
    mask = MASK[:, :, None]
    expected = 2 * (STUDENT - TEACHER) * mask / (4 * mask.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(tape.gradient(total, student), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_low_precision_is_computed_in_float32(loss, dtype):
    teacher, student = (tf.cast(300 * x, dtype) for x in (TEACHER, STUDENT))
    actual = loss(teacher, student, MASK)
    assert actual.dtype == tf.float32
    expected = loss(tf.cast(teacher, "float64"), tf.cast(student, "float64"), MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_teacher_in_other_precision_than_the_student(loss):
    actual = loss(tf.cast(TEACHER, "bfloat16"), tf.cast(STUDENT, "float32"))
    expected = loss(np.asarray(tf.cast(TEACHER, "bfloat16"), np.float64), STUDENT)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_wrong_shapes(loss):
    message = r"hidden states have shape \(3, 5, 4\) and the student's \(3, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        loss(TEACHER, STUDENT[..., :3])
    with pytest.raises(ValueError, match=r"`padding_mask` has shape \(5,\), expected \(3, 5\)"):
        loss(TEACHER, STUDENT, MASK[0])
