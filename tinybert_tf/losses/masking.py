"""What the losses share: shapes, precision and padding."""

import keras
from keras import ops


def check_same_shape(what, teacher, student):
    """Raises ValueError where the teacher's and the student's tensor cannot be compared."""
    if not _fits(teacher.shape, student.shape):
        raise ValueError(
            f"The teacher's {what} have shape {tuple(teacher.shape)} and the student's "
            f"{tuple(student.shape)}; expected the same shape."
        )


def check_batch_shape(what, tensor, expected):
    """Raises ValueError where a tensor has not the shape that the others ask for."""
    if not _fits(tensor.shape, expected):
        raise ValueError(f"`{what}` has shape {tuple(tensor.shape)}, expected {tuple(expected)}.")


def _fits(shape, other):
    pairs = zip(shape, other, strict=False)
    return len(shape) == len(other) and all(a == b or None in (a, b) for a, b in pairs)


def at_least_float32(*tensors):
    """The tensors in one dtype, float32 or wider, where squares neither overflow nor vanish."""
    dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
    dtype = "float64" if "float64" in dtypes else "float32"
    return tuple(ops.cast(tensor, dtype) for tensor in tensors)


def masked_mean(values, mask):
    """Mean of each example's values where the mask is 1; 0 for an example without any.

    Args:
        values: float tensor `(batch, ...)`.
        mask: float tensor of the same shape, of zeros and ones.

    Returns:
        Float tensor `(batch,)`.
    """
    axes = tuple(range(1, len(values.shape)))
    return ops.sum(values * mask, axis=axes) / ops.maximum(ops.sum(mask, axis=axes), 1)
