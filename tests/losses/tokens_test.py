import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tinybert_tf.losses import (
    soft_span_cross_entropy,
    soft_tag_cross_entropy,
    span_label_loss,
    tag_label_loss,
)

RNG = np.random.default_rng(0)
LENGTHS = (3, 5, 1)
MASK = (np.arange(5) < np.array(LENGTHS)[:, None]).astype(np.int32)
SPAN_TEACHER, SPAN_STUDENT = 3 * RNG.normal(size=(2, 3, 5, 2))
TAG_TEACHER, TAG_STUDENT = 3 * RNG.normal(size=(2, 3, 5, 4))
POSITIONS = np.array([[1, 2], [4, 4], [0, 0]])
TAGS = np.array([[-1, 2, 0, -1, -1], [3, 1, -1, 0, 2], [-1, -1, -1, -1, -1]])


def cross_entropy(teacher, student, axis):
    targets = scipy.special.softmax(teacher, axis=axis)
    return -np.sum(targets * scipy.special.log_softmax(student, axis=axis), axis=axis)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 1e4])
def test_soft_spans_equal_scipy_on_the_real_tokens(temperature):
    settings = {"temperature": temperature}
    actual = soft_span_cross_entropy(SPAN_TEACHER, SPAN_STUDENT, MASK, **settings)
    expected = [
        cross_entropy(teacher[:length] / temperature, student[:length] / temperature, 0).sum()
        for teacher, student, length in zip(SPAN_TEACHER, SPAN_STUDENT, LENGTHS, strict=True)
    ]
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    settings["scale_by_temperature_squared"] = True
    scaled = soft_span_cross_entropy(SPAN_TEACHER, SPAN_STUDENT, MASK, **settings)
    np.testing.assert_allclose(scaled, temperature**2 * np.array(expected), rtol=1e-9, atol=1e-3)


def test_spans_without_a_mask_count_every_token():
    whole = np.ones_like(MASK)
    for loss, truth in ((soft_span_cross_entropy, SPAN_TEACHER), (span_label_loss, POSITIONS)):
        np.testing.assert_allclose(loss(truth, SPAN_STUDENT), loss(truth, SPAN_STUDENT, whole))


def test_span_labels_equal_scipy_on_the_real_tokens():
    expected = []
    for (first, last), logits, length in zip(POSITIONS, SPAN_STUDENT, LENGTHS, strict=True):
        log_probabilities = scipy.special.log_softmax(logits[:length], axis=0)
        expected.append(-log_probabilities[first, 0] - log_probabilities[last, 1])
    actual = span_label_loss(POSITIONS, SPAN_STUDENT, MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_span_by_hand():
    logits = np.log([[[1.0, 1.0], [3.0, 7.0]]])
    np.testing.assert_allclose(
        span_label_loss([[1, 0]] * np.ones((1, 1), int), logits), [np.log(4 / 3) + np.log(8)]
    )


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_soft_tags_equal_the_mean_over_the_words(temperature):
    counted = TAGS >= 0
    actual = soft_tag_cross_entropy(TAG_TEACHER, TAG_STUDENT, counted, temperature=temperature)
    losses = cross_entropy(TAG_TEACHER / temperature, TAG_STUDENT / temperature, -1)
    expected = [losses[0, [1, 2]].mean(), losses[1, [0, 1, 3, 4]].mean(), 0]
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_soft_tags_of_all_tokens():
    expected = cross_entropy(TAG_TEACHER, TAG_STUDENT, -1).mean(axis=1)
    np.testing.assert_allclose(soft_tag_cross_entropy(TAG_TEACHER, TAG_STUDENT), expected)


def test_tag_labels_equal_scipy():
    log_probabilities = scipy.special.log_softmax(TAG_STUDENT, axis=-1)
    expected = [
        -np.mean(
            [log_probabilities[row, place, tags[place]] for place in np.flatnonzero(tags >= 0)]
        )
        for row, tags in enumerate(TAGS[:2])
    ]
    np.testing.assert_allclose(tag_label_loss(TAGS, TAG_STUDENT), [*expected, 0])


# Name: the loss of a teacher's and a student's logits, and these.
SOFT = {
    "spans": (lambda t, s: soft_span_cross_entropy(t, s, MASK), SPAN_TEACHER, SPAN_STUDENT),
    "tags": (lambda t, s: soft_tag_cross_entropy(t, s, TAGS >= 0), TAG_TEACHER, TAG_STUDENT),
}
LABELLED = {
    "span labels": (lambda _, s: span_label_loss(POSITIONS, s, MASK), SPAN_TEACHER, SPAN_STUDENT),
    "tag labels": (lambda _, s: tag_label_loss(TAGS, s), TAG_TEACHER, TAG_STUDENT),
}


@pytest.mark.parametrize("name", [*SOFT, *LABELLED])
def test_gradient_reaches_the_student_where_it_counts(name):
    loss, teacher, student = (SOFT | LABELLED)[name]
    student = tf.Variable(student)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(tf.constant(teacher), student))
    gradient = tape.gradient(total, student).numpy()
    counted = MASK > 0 if "span" in name else TAGS >= 0
    several = counted & ((counted.sum(axis=1, keepdims=True) > 1) | ("tag" in name))
    np.testing.assert_array_equal(np.abs(gradient).max(axis=-1) > 1e-9, several)


def test_gradient_of_soft_spans_is_the_difference_of_the_distributions():
    student = tf.Variable(SPAN_STUDENT)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(soft_span_cross_entropy(tf.constant(SPAN_TEACHER), student))
    expected = [scipy.special.softmax(x, axis=1) for x in (SPAN_STUDENT, SPAN_TEACHER)]
    np.testing.assert_allclose(tape.gradient(total, student), expected[0] - expected[1], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [*SOFT, *LABELLED])
def test_low_precision_is_computed_in_float32(name, dtype):
    loss, *logits = (SOFT | LABELLED)[name]
    teacher, student = (tf.cast(300 * x, dtype) for x in logits)
    actual = loss(teacher, student)
    assert actual.dtype == tf.float32
    expected = loss(tf.cast(teacher, "float64"), tf.cast(student, "float64"))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_what_stands_in_the_padding_does_not_matter():
    spoiled = np.where(MASK[:, :, None] > 0, SPAN_STUDENT, np.inf)
    for truth, loss in ((SPAN_TEACHER, soft_span_cross_entropy), (POSITIONS, span_label_loss)):
        expected = loss(truth, SPAN_STUDENT, MASK)
        np.testing.assert_array_equal(loss(truth, spoiled, MASK), expected)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: soft_span_cross_entropy(SPAN_TEACHER, SPAN_STUDENT[:, :4]), "the same shape"),
        (lambda: soft_span_cross_entropy(SPAN_TEACHER, SPAN_STUDENT, MASK[:, :1]), "padding_mask"),
        (lambda: span_label_loss(POSITIONS[:, :1], SPAN_STUDENT), r"`labels` has shape \(3, 1\)"),
        (lambda: span_label_loss(POSITIONS, SPAN_STUDENT, MASK[:2]), r"expected \(3, 5\)"),
        (lambda: soft_tag_cross_entropy(TAG_TEACHER, TAG_STUDENT[..., :3]), "the same shape"),
        (lambda: soft_tag_cross_entropy(TAG_TEACHER, TAG_STUDENT, MASK[:, :1]), "counted"),
        (lambda: tag_label_loss(TAGS[:, :4], TAG_STUDENT), r"`labels` has shape \(3, 4\)"),
    ],
)
def test_wrong_shapes(compute, message):
    with pytest.raises(ValueError, match=message):
        compute()


def test_batch_and_length_of_unknown_size():
    specs = [tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None, 4), tf.float64)]
    compiled = tf.function(tag_label_loss, input_signature=specs)
    np.testing.assert_allclose(compiled(TAGS, TAG_STUDENT), tag_label_loss(TAGS, TAG_STUDENT))
    specs[0] = tf.TensorSpec((None, 2), tf.int32)
    specs[1] = tf.TensorSpec((None, None, 2), tf.float64)
    compiled = tf.function(span_label_loss, input_signature=specs)
    expected = span_label_loss(POSITIONS, SPAN_STUDENT)
    np.testing.assert_allclose(compiled(POSITIONS, SPAN_STUDENT), expected)
