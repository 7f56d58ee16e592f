"""The optimizer and learning-rate schedule of BERT and TinyBERT."""

import keras
import tensorflow as tf

from tinybert_tf.distillation.compat import check_compat


@keras.saving.register_keras_serializable("tinybert_tf")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0, then linear decay to 0.

    Args:
        peak: float, the highest rate.
        warmup_steps: int, steps of warm-up; 0 for none.
        total_steps: int, the step at which the rate reaches 0.
        counts_from_zero: whether the first step has rate 0, as in the released program.

    Reference:
        Devlin et al. 2019, appendix A.2.
    """

    def __init__(self, peak, warmup_steps, total_steps, counts_from_zero=False):
        self.peak, self.counts_from_zero = peak, counts_from_zero
        self.warmup_steps, self.total_steps = warmup_steps, total_steps

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        counted = step if self.counts_from_zero else step + 1
        rise = counted / max(self.warmup_steps, 1)
        fall = (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1)
        share = tf.where(step < self.warmup_steps, rise, fall)
        return self.peak * tf.clip_by_value(share, 0.0, 1.0)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "counts_from_zero": self.counts_from_zero,
        }


@keras.saving.register_keras_serializable("tinybert_tf")
class BertAdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay through TensorFlow's fused kernel.

    Keras' own update reads and writes every variable a dozen times, which on a processor takes
    longer than the small student's gradient. Gradients are clipped after they have been summed over
    the replicas, so that several devices take the step that one would take.

    Args:
        bias_correction: whether to divide the moments by 1 - beta^step. The released program does
            not.
        **kwargs: as for `keras.optimizers.AdamW`.
    """

    def __init__(self, *args, bias_correction=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.bias_correction = bias_correction

    def _clip_gradients(self, grads):
        if self._distribution_strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            grads = context.all_reduce(tf.distribute.ReduceOp.SUM, list(grads))
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars  # summed before they were clipped

    def _apply_weight_decay(self, variables):
        """Does nothing: `update_step` lets each variable decay before its update."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        corrects = 1.0 if self.bias_correction else 0.0
        if self.weight_decay and self._use_weight_decay(self._trainable_variables[index]):
            variable.assign(variable * (1 - rate * tf.cast(self.weight_decay, variable.dtype)))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=corrects * tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=corrects * tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=rate,
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )

    def get_config(self):
        return {**super().get_config(), "bias_correction": self.bias_correction}


def adamw(
    learning_rate,
    warmup=0.0,
    total_steps=None,
    weight_decay=0.01,
    clip_norm=1.0,
    compat="paper",
):
    """AdamW as BERT is trained with: no decay on biases and layer norms, clipped gradients.

    Args:
        learning_rate: float, the peak rate.
        warmup: float in [0, 1), share of `total_steps` in which the rate rises.
        total_steps: int, the step at which the rate has fallen to 0; `None` keeps it constant.
        weight_decay: float, decoupled decay a step, times the rate.
        clip_norm: float, the largest norm of all gradients together ("paper") or of each tensor
            ("reference"); `None` does not clip.
        compat: "paper", or "reference": as the released program, no bias correction, the first
            warm-up step has rate 0, gradients are clipped one by one.

    Returns:
        `BertAdamW`.

    Raises:
        ValueError: If a value is out of range, or there is a warm-up without `total_steps`.

    Example:
        adamw(3e-5, warmup=0.1, total_steps=3 * 2105)
    """
    reference = check_compat(compat) == "reference"
    if not learning_rate > 0:
        raise ValueError(f"`learning_rate` is {learning_rate!r}, expected a positive number.")
    if not 0 <= warmup < 1:
        raise ValueError(f"`warmup` is {warmup!r}, expected a share of the steps, 0 <= warmup < 1.")
    if warmup and total_steps is None:
        raise ValueError("`warmup` is a share of `total_steps`; give `total_steps` too.")
    if total_steps is not None:
        warmup_steps = round(warmup * total_steps)
        learning_rate = WarmupLinearDecay(learning_rate, warmup_steps, total_steps, reference)
    optimizer = BertAdamW(
        learning_rate,
        weight_decay=weight_decay,
        epsilon=1e-6,
        clipnorm=clip_norm if reference else None,
        global_clipnorm=None if reference else clip_norm,
        bias_correction=not reference,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
