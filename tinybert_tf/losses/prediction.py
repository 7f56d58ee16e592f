"""Losses between predictions."""

from keras import ops

from tinybert_tf.losses.masking import at_least_float32, check_batch_shape, check_same_shape


def soft_cross_entropy(
    teacher_logits, student_logits, temperature=1.0, scale_by_temperature_squared=False
):
    """Cross-entropy of the student's class distribution against the teacher's.

    Args:
        teacher_logits: float tensor `(batch, ..., num_classes)`.
        student_logits: float tensor of the same shape.
        temperature: float > 0, divides both logits.
        scale_by_temperature_squared: whether to multiply by temperature², as Hinton et al. 2015 do.

    Returns:
        Float tensor `(batch, ...)`, float32 or wider: the sum over classes, unreduced.

    Raises:
        ValueError: If the shapes differ or the temperature is not positive.

    Reference:
        Jiao et al. 2020, equation 10.
    """
    check_same_shape("logits", teacher_logits, student_logits)
    _check_temperature(temperature)
    teacher_logits, student_logits = at_least_float32(teacher_logits, student_logits)
    targets = ops.softmax(teacher_logits / temperature)
    losses = -ops.sum(targets * ops.log_softmax(student_logits / temperature), axis=-1)
    return losses * temperature**2 if scale_by_temperature_squared else losses


def regression_loss(targets, student_logits):
    """Squared error between scores: the teacher's (distillation) or the true ones.

    Args:
        targets: float tensor `(batch, 1)`.
        student_logits: float tensor of the same shape.

    Returns:
        Float tensor `(batch,)`, float32 or wider.

    Raises:
        ValueError: If the shapes differ.
    """
    check_same_shape("scores", targets, student_logits)
    targets, student_logits = at_least_float32(targets, student_logits)
    return ops.mean(ops.square(student_logits - targets), axis=-1)


def label_loss(labels, logits):
    """Cross-entropy of the logits against true classes.

    Args:
        labels: int tensor `(batch,)`.
        logits: float tensor `(batch, num_classes)`.

    Returns:
        Float tensor `(batch,)`, float32 or wider.

    Raises:
        ValueError: If there is not one label for each row of logits.
    """
    check_batch_shape("labels", labels, logits.shape[:1])
    (logits,) = at_least_float32(logits)
    targets = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -ops.sum(targets * ops.log_softmax(logits), axis=-1)


def soft_binary_cross_entropy(
    teacher_logits, student_logits, temperature=1.0, scale_by_temperature_squared=False
):
    """Binary cross-entropy of the student's probability of each label against the teacher's.

    Args:
        teacher_logits: float tensor `(batch, num_labels)`.
        student_logits: float tensor of the same shape.
        temperature: float > 0, divides both logits.
        scale_by_temperature_squared: whether to multiply by temperature².

    Returns:
        Float tensor `(batch,)`, float32 or wider: the sum over labels, unreduced.

    Raises:
        ValueError: If the shapes differ or the temperature is not positive.
    """
    check_same_shape("logits", teacher_logits, student_logits)
    _check_temperature(temperature)
    teacher_logits, student_logits = at_least_float32(teacher_logits, student_logits)
    losses = _binary_cross_entropy(
        ops.sigmoid(teacher_logits / temperature), student_logits / temperature
    )
    return losses * temperature**2 if scale_by_temperature_squared else losses


def binary_label_loss(labels, logits):
    """Binary cross-entropy of the logits against which labels hold.

    Args:
        labels: float tensor `(batch, num_labels)` of 0 and 1.
        logits: float tensor of the same shape.

    Returns:
        Float tensor `(batch,)`, float32 or wider: the sum over labels.

    Raises:
        ValueError: If the shapes differ.
    """
    check_batch_shape("labels", labels, logits.shape)
    return _binary_cross_entropy(*at_least_float32(labels, logits))


def _binary_cross_entropy(targets, logits):
    return ops.sum(ops.softplus(logits) - logits * targets, axis=-1)


def _check_temperature(temperature):
    if not temperature > 0:
        raise ValueError(f"`temperature` is {temperature!r}, expected a positive number.")
