"""Losses between predictions for the tokens of a text: spans and tags."""

from keras import ops

from tinybert_tf.losses.masking import at_least_float32, check_batch_shape, masked_mean
from tinybert_tf.losses.prediction import soft_cross_entropy

_NEVER = -1e9  # logit of a token that cannot be chosen


def soft_span_cross_entropy(teacher_logits, student_logits, padding_mask=None, **temperature):
    """Cross-entropy of where the student starts and ends an answer against where the teacher does.

    Args:
        teacher_logits: float tensor `(batch, length, 2)`, for the start and for the end.
        student_logits: float tensor of the same shape.
        padding_mask: bool or int tensor `(batch, length)`, 1 at real tokens; `None` counts all.
        **temperature: as for `soft_cross_entropy`.

    Returns:
        Float tensor `(batch,)`, float32 or wider: the loss of the start plus that of the end.

    Raises:
        ValueError: As `soft_cross_entropy` raises, or if the mask has another shape.
    """
    teacher_logits, student_logits = (
        _over_tokens(logits, padding_mask) for logits in (teacher_logits, student_logits)
    )
    return ops.sum(soft_cross_entropy(teacher_logits, student_logits, **temperature), axis=-1)


def span_label_loss(labels, logits, padding_mask=None):
    """Cross-entropy of the logits against the true first and last token.

    Args:
        labels: int tensor `(batch, 2)`: positions of the first and the last token.
        logits: float tensor `(batch, length, 2)`.
        padding_mask: as for `soft_span_cross_entropy`.

    Returns:
        Float tensor `(batch,)`, float32 or wider: the loss of the start plus that of the end.

    Raises:
        ValueError: If there are not two labels for each example, or the mask has another shape.
    """
    check_batch_shape("labels", labels, (logits.shape[0], 2))
    logits = _over_tokens(logits, padding_mask)
    positions = ops.cumsum(ops.ones_like(logits), axis=-1) - 1  # the length may not be known
    targets = ops.cast(positions == ops.cast(labels, logits.dtype)[:, :, None], logits.dtype)
    return -ops.sum(targets * ops.log_softmax(logits), axis=(1, 2))


def _over_tokens(logits, padding_mask):
    """Logits as `(batch, 2, length)`, those of padding so low that they do not count."""
    (logits,) = at_least_float32(logits)
    if padding_mask is not None:
        check_batch_shape("padding_mask", padding_mask, logits.shape[:2])
        logits = ops.where(ops.cast(padding_mask, "bool")[:, :, None], logits, _NEVER)
    return ops.transpose(logits, (0, 2, 1))


def soft_tag_cross_entropy(teacher_logits, student_logits, counted=None, **temperature):
    """Cross-entropy of the student's tags against the teacher's, a mean over the words.

    Args:
        teacher_logits: float tensor `(batch, length, num_tags)`.
        student_logits: float tensor of the same shape.
        counted: bool or int tensor `(batch, length)`, 1 at the tokens that have a tag: the first
            word-piece of each word. `None` counts all.
        **temperature: as for `soft_cross_entropy`.

    Returns:
        Float tensor `(batch,)`, float32 or wider; 0 for an example without a word.

    Raises:
        ValueError: As `soft_cross_entropy` raises, or if `counted` has another shape.
    """
    losses = soft_cross_entropy(teacher_logits, student_logits, **temperature)
    counted = ops.ones_like(losses) if counted is None else ops.cast(counted, losses.dtype)
    check_batch_shape("counted", counted, losses.shape)
    return masked_mean(losses, counted)


def tag_label_loss(labels, logits):
    """Cross-entropy of the logits against the true tags, a mean over the words.

    Of a masked-language model the tags are the word-pieces that were masked.

    Args:
        labels: int tensor `(batch, length)`, -1 where a token has no tag.
        logits: float tensor `(batch, length, num_tags)`.

    Returns:
        Float tensor `(batch,)`, float32 or wider; 0 for an example without a tag.

    Raises:
        ValueError: If there is not one label for each token.
    """
    check_batch_shape("labels", labels, logits.shape[:2])
    (logits,) = at_least_float32(logits)
    # Without targets as wide as the logits, which may be a vocabulary wide.
    losses = ops.sparse_categorical_crossentropy(ops.maximum(labels, 0), logits, from_logits=True)
    return masked_mean(losses, ops.cast(labels >= 0, losses.dtype))
