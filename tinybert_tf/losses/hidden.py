"""Losses between hidden states."""

from keras import ops

from tinybert_tf.losses.masking import (
    at_least_float32,
    check_batch_shape,
    check_same_shape,
    masked_mean,
)


def hidden_loss(teacher_states, student_states, padding_mask=None):
    """Mean squared error between hidden states of one layer.

    Args:
        teacher_states: float tensor `(batch, length, hidden_dim)`.
        student_states: float tensor of the same shape: the student's states after projection.
        padding_mask: int or bool tensor `(batch, length)`, 1 at real tokens. `None` counts every
            position.

    Returns:
        Float tensor `(batch,)`, float32 or wider: one loss per example, unreduced.

    Raises:
        ValueError: If the shapes differ, or the mask has another.

    Reference:
        Jiao et al. 2020, equation 8.
    """
    check_same_shape("hidden states", teacher_states, student_states)
    teacher_states, student_states = at_least_float32(teacher_states, student_states)
    errors = ops.mean(ops.square(student_states - teacher_states), axis=-1)  # B L
    if padding_mask is None:
        return ops.mean(errors, axis=1)
    check_batch_shape("padding_mask", padding_mask, errors.shape)
    return masked_mean(errors, ops.cast(padding_mask, errors.dtype))


def embedding_loss(teacher_embeddings, student_embeddings, padding_mask=None):
    """Mean squared error between embedding outputs (hidden state 0); arguments as in `hidden_loss`.

    Reference:
        Jiao et al. 2020, equation 9.
    """
    return hidden_loss(teacher_embeddings, student_embeddings, padding_mask)
