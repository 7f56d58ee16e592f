"""A student that trains with the weights that its quantized file will have."""

import contextlib

import keras
import tensorflow as tf

from tinybert_tf.models.bert_head import BertHead
from tinybert_tf.models.lean_bert import LeanBert, transposed_kernels
from tinybert_tf.quantization.activation_ranges import ActivationRanges, range_of, round_to_range
from tinybert_tf.quantization.schemes import scheme_of
from tinybert_tf.quantization.weight_grids import best_ratio, fake_quantize


class QuantizedStudent(keras.Model):
    """Runs a student with its weights rounded to the grid of an export recipe.

    The student's own weights stay float32 and are what is trained; each call rounds them anew.
    Which are rounded goes by the names that Keras' layers give them, whatever the model. Recipes
    with int8 activations have the student's arithmetic done by `LeanBert`, as its file has it,
    without dropout; activations are rounded there.

    Args:
        student: `keras.Model`, built.
        recipe: str, an export recipe of `SCHEMES`.
        name: str.

    Call:
        As the student.

    Raises:
        ValueError: If students cannot be trained for the recipe, or there is nothing to round.

    Example:
        student = QuantizedStudent(student, "dynamic_wi8_afp32")
        distiller = Distiller(teacher, student)
        distiller.compile(PredictionObjective(), adamw(3e-5))
        distiller.fit(task.train(student), epochs=3)
        to_tflite(student.bake(), "student.tflite", "dynamic_wi8_afp32")

    Reference:
        Jacob et al. 2018 ("Quantization and training of neural networks for efficient
        integer-arithmetic-only inference"), section 3.
    """

    def __init__(self, student, recipe, name=None):
        # Weights are rounded in float32, whatever the student computes in.
        super().__init__(dtype=student.dtype_policy, autocast=False, name=name)
        self.student, self.recipe = student, recipe
        if not self._on_grids():
            raise ValueError(
                f"{student.name} has no dense or embedding layers to quantize. Pass a model that "
                "is built and trainable."
            )
        self._ends = [self._make_end(*pair) for pair in self._on_grids()]
        self._ranges = _make_ranges(student, scheme_of(recipe))
        self.built = True

    def _on_grids(self):
        """Pairs of a variable to round and its bits and axis, which is the file's."""
        # By identity: several layers' variables have the same path.
        transposed = {id(variable) for variable in transposed_kernels(self.student)}
        return [
            (variable, (bits, 1 - axis if id(variable) in transposed else axis))
            for variable, (bits, axis) in _named(self.student, scheme_of(self.recipe).grids)
        ]

    def _in_ranges(self):
        """Variables to round as activations are."""
        names = dict.fromkeys(scheme_of(self.recipe).ranged)
        return [variable for variable, _ in _named(self.student, names)]

    def _make_end(self, variable, grid):
        """Where a variable's grids end, as a share of the largest weights, if that is learned."""
        if not scheme_of(self.recipe).learns_scales:
            return None
        start = best_ratio(variable.numpy(), *grid)
        name = f"{variable.path.replace('/', '_')}_end"
        return self.add_weight(start.shape, keras.initializers.Constant(start), name=name)

    def call(self, inputs, training=None):
        with keras.StatelessScope(state_mapping=self.quantized_weights()) as scope:
            outputs = self._run(inputs, training)
        self._keep_state(scope)
        return outputs

    def _run(self, inputs, training):
        if self._ranges is None:
            return self.student(inputs, training=training)
        lean = LeanBert(self.student, all_tokens=True)
        weights = lean.weights()
        return self._ranges.round_in(lambda watch: lean(weights, inputs, watch), training)

    def _keep_state(self, scope):
        """Takes over what the call has changed: random generators and ranges go on."""
        for variable in self.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)

    def quantized_weights(self):
        """Pairs of one of the student's variables and its rounded value, a float32 tensor."""
        ends = zip(self._on_grids(), self._ends, strict=True)
        rounded = [
            (variable, fake_quantize(tf.convert_to_tensor(variable), *grid, _ratio(end)))
            for (variable, grid), end in ends
        ]
        for variable in self._in_ranges():
            value = tf.convert_to_tensor(variable)
            rounded.append((variable, round_to_range(value, *tf.unstack(range_of(value)))))
        return rounded

    def bake(self):
        """Writes the rounded weights into the student for good; returns the student."""
        for variable, value in self.quantized_weights():
            variable.assign(value)
        for end in self._ends:
            if end is not None:  # the largest weights lie there now
                end.assign(tf.ones(end.shape))
        return self.student

    @property
    def config(self):
        """The student's configuration."""
        return self.student.config

    @property
    def labels(self):
        """The student's labels."""
        return self.student.labels

    @property
    def problem(self):
        """The student's problem."""
        return self.student.problem

    @property
    def vocabulary(self):
        """The student's `Vocabulary`, or `None`."""
        return self.student.vocabulary


@contextlib.contextmanager
def on_grid(model):
    """A model as its files have it: of a `QuantizedStudent` the student, its weights rounded.

    Leaving the context gives the student its float weights back, to train on.

    Args:
        model: any model.

    Yields:
        `keras.Model`.
    """
    if not isinstance(model, QuantizedStudent):
        yield model
        return
    before = [(variable, variable.numpy()) for variable in model.trainable_variables]
    try:
        yield model.bake()
    finally:
        for variable, value in before:
            variable.assign(value)


def _ratio(end):
    """A grid's end as `fake_quantize` takes it: not beyond the largest weight, nor near 0."""
    return 1.0 if end is None else tf.clip_by_value(tf.convert_to_tensor(end), 0.1, 1.0)


def _named(student, values):
    """Pairs of a trainable variable and what `values` holds for its name, where it does."""
    return [(v, values[v.name]) for v in student.trainable_variables if v.name in values]


def _make_ranges(student, scheme):
    """The `ActivationRanges` of a student, or `None` if its activations stay as they are."""
    if not scheme.rounds_activations:
        return None
    if not isinstance(student, BertHead):
        raise ValueError(
            f"{student.name} is a {type(student).__name__}; activations are quantized of models "
            "with a head for a task. Choose a recipe with float activations."
        )
    lean, names = LeanBert(student, all_tokens=True), []

    def watch(name, value):
        names.append(name)
        return value

    token = tf.zeros((1, 1), tf.int32)
    lean(lean.weights(), dict.fromkeys(("token_ids", "padding_mask", "segment_ids"), token), watch)
    return ActivationRanges(names)
