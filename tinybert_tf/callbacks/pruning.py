"""Sets the least weights to zero while a student learns."""

import re

import keras
import tensorflow as tf

from tinybert_tf.callbacks.kernel_rule import KernelRule, import_optimization


class Pruning(KernelRule):
    """Sets ever more of the smallest weights of dense kernels to zero, and keeps them there.

    The share of zeros rises steeply at first, and stands from `ramp_steps` on. With a pattern such
    as "2:4" two of every four weights along a kernel's inputs are zero from the first step on. A
    training that goes on after an interruption finds its zeros in the weights. Adds `sparsity`, the
    share of zeros in the kernels, to the logs of each epoch.

    Args:
        sparsity: float in (0, 1), the share of zeros in every kernel, or str "zeros:of".
        ramp_steps: int, steps until the share is reached; let it be over when the first epoch ends,
            for `BestStudent` takes any epoch.
        every_steps: int, steps between two choices of what is zero.

    Raises:
        ImportError: If tensorflow-model-optimization, the extra `pruning`, is not installed.
        ValueError: If the sparsity is neither of these.

    Example:
        distiller.fit(batches, epochs=3, callbacks=[Pruning(0.5, batches.steps_per_epoch)])

    Reference:
        Zhu and Gupta 2017 ("To prune, or not to prune"), section 3.
    """

    def __init__(self, sparsity, ramp_steps=1000, every_steps=100):
        super().__init__()
        self._share, self._pattern = parse_sparsity(sparsity)
        self._ramp_steps, self._every_steps = ramp_steps, every_steps
        self._optimization = import_optimization()

    def on_train_begin(self, logs=None):
        from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

        self._done = self._steps_done()
        self._step = tf.Variable(0, dtype=tf.int64)
        masks = [tf.Variable(self._first_mask(kernel)) for kernel in self.kernels]
        self._pruning = pruning_impl.Pruning(
            lambda: self._step,
            [
                (kernel.value, mask, tf.Variable(0.0))
                for kernel, mask in zip(self.kernels, masks, strict=True)
            ],
            self._optimization.sparsity.keras.PolynomialDecay(
                0.0, self._share, begin_step=0, end_step=max(self._ramp_steps, 1), frequency=1
            ),
            block_size=(1, 1),
            block_pooling_type="AVG",
            sparsity_m_by_n=self._pattern,
        )

    def _first_mask(self, kernel):
        """What is zero stays so, if it was this callback that has set it."""
        return tf.cast(kernel.value != 0, tf.float32) if self._done else tf.ones(kernel.shape)

    def _steps_done(self):
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))

    def on_train_batch_end(self, batch, logs=None):
        before, self._done = self._done, self._steps_done()
        if self._is_due(before):
            # A pattern is chosen in step 1, whenever that is.
            self._step.assign(1 if self._pattern else min(self._done, self._ramp_steps))
            self._pruning.conditional_mask_update()
        self._pruning.weight_mask_op()

    def _is_due(self, before):
        """Whether the zeros are to be chosen anew after some steps; `before`: done before them."""
        if self._pattern:
            return before == 0
        ends = self._done >= self._ramp_steps
        counted = self._done // self._every_steps > before // self._every_steps
        return before < self._ramp_steps and (ends or counted)

    def on_epoch_end(self, epoch, logs=None):
        zeros = sum(int(tf.math.count_nonzero(kernel.value == 0)) for kernel in self.kernels)
        logs["sparsity"] = zeros / sum(kernel.shape.num_elements() for kernel in self.kernels)
        super().on_epoch_end(epoch, logs)


def parse_sparsity(value):
    """The share of zeros, and the pattern they make.

    Args:
        value: float or str: "0.5", or "2:4" for two zeros in every four weights.

    Returns:
        Float, and a tuple of two ints or `None`.

    Raises:
        ValueError: If it is neither, or not between nothing and all.
    """
    found = re.fullmatch(r"(\d+):(\d+)", str(value))
    pattern = found and tuple(map(int, found.groups()))
    try:
        share = pattern[0] / pattern[1] if pattern else float(value)
    except (ValueError, ZeroDivisionError):
        share = 0.0
    if not 0 < share < 1:
        raise ValueError(
            f"Sparsity is {value!r}, expected a share of zeros like 0.5 or a pattern like 2:4, "
            "which YAML wants quoted: '2:4'."
        )
    return share, pattern
