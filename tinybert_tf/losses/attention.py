"""Loss between attention maps."""

from keras import ops

from tinybert_tf.losses.masking import (
    at_least_float32,
    check_batch_shape,
    check_same_shape,
    masked_mean,
)


def attention_loss(teacher_logits, student_logits, padding_mask=None):
    """Mean squared error between attention logits, before softmax.

    Args:
        teacher_logits: float tensor `(batch, num_heads, length, length)`.
        student_logits: float tensor of the same shape.
        padding_mask: int or bool tensor `(batch, length)`, 1 at real tokens: only pairs of a real
            query and a real key count. `None` counts every position.

    Returns:
        Float tensor `(batch,)`, float32 or wider: one loss per example, unreduced.

    Raises:
        ValueError: If the shapes differ, or the mask has another.

    Reference:
        Jiao et al. 2020, equation 7.
    """
    check_same_shape("attention logits", teacher_logits, student_logits)
    teacher_logits, student_logits = at_least_float32(teacher_logits, student_logits)
    errors = ops.mean(ops.square(student_logits - teacher_logits), axis=1)  # B F T
    if padding_mask is None:
        return ops.mean(errors, axis=(1, 2))
    check_batch_shape("padding_mask", padding_mask, errors.shape[:2])
    mask = ops.cast(padding_mask, errors.dtype)
    return masked_mean(errors, ops.expand_dims(mask, 1) * ops.expand_dims(mask, 2))


def zero_masked_logits(attention_logits):
    """Sets attention logits of -100 and less to 0, as the released program does.

    Args:
        attention_logits: float tensor `(batch, num_heads, length, length)`.

    Returns:
        Float tensor of the same shape.

    Reference:
        The released `task_distill.py`.
    """
    return ops.where(attention_logits <= -100, ops.zeros_like(attention_logits), attention_logits)
