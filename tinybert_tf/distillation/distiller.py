"""Teaches a student from a teacher."""

import keras
import tensorflow as tf

from tinybert_tf.distillation.projection import Projection


class Distiller(keras.Model):
    """Trains a student towards what a teacher computes on the same inputs.

    A step runs the student once and the teacher once. The teacher is frozen and runs without
    dropout. Under a `tf.distribute` strategy every loss is the mean over the examples of the global
    batch, so any number of replicas takes the same step.

    Args:
        teacher: `keras.Model`, or `None` for objectives that learn from labels alone. Its output is
            a mapping with what the objective compares: `logits`, `hidden_states`,
            `attention_logits`. Its `trainable` is set to False.
        student: `keras.Model` with the same kind of output.
        name: str.

    Raises:
        ValueError: If teacher and student count tokens in different vocabularies or have other
        labels.

    Example:
        distiller = Distiller(teacher, student)
        distiller.compile(IntermediateObjective(), optimizer=adamw(5e-5))
        distiller.fit(task.train(student, batch_tokens=2048), epochs=10)

    Reference:
        Jiao et al. 2020, section 3.
    """

    def __init__(self, teacher, student, name=None):
        super().__init__(dtype=student.dtype_policy, name=name)
        _check_vocabularies(teacher, student)
        if teacher is not None:
            teacher.trainable = False
        self.teacher, self.student = teacher, student
        self.projection = None
        self.built = True

    def compile(self, objective, optimizer, jit_compile=False, **kwargs):
        """Sets what to learn and how; call it again for the next stage.

        Args:
            objective: `IntermediateObjective`, `PredictionObjective` or an object with their
                attributes.
            optimizer: a Keras optimizer; see `adamw`.
            jit_compile: whether to compile the step with XLA.
            **kwargs: `steps_per_execution`, `run_eagerly`, ... as for `keras.Model.compile`.

        Raises:
            ValueError: If the objective needs a teacher and there is none, or labels cannot be
            compared.
        """
        if objective.needs_teacher and self.teacher is None:
            raise ValueError(
                f"{type(objective).__name__} compares with a teacher, but the Distiller has none."
            )
        if "prediction_loss" in objective.weights:
            _check_labels(self.teacher, self.student)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self.objective = objective
        with self.distribute_strategy.scope():
            names = ("loss", *objective.weights)
            self._means = [keras.metrics.Mean(name=name, dtype="float32") for name in names]

    @property
    def metrics(self):
        """The mean of the loss and of each of its terms."""
        return list(getattr(self, "_means", []))

    def prepare(self, inputs):
        """Makes the projection and the optimizer's variables; `fit` calls it.

        Args:
            inputs: a mapping of tensors, arrays or `tf.TensorSpec`, as the models take it.
        """
        with self.distribute_strategy.scope():
            mode = self.projection and self.projection.mode
            if self.objective.needs_projection and mode != self.objective.projection:
                self.projection = self._make_projection(inputs)
            if not self.optimizer.built:
                self.optimizer.build(self._learning_variables())

    def _make_projection(self, inputs):
        symbols = {
            name: keras.KerasTensor([size or 2 for size in value.shape], _dtype_name(value))
            for name, value in inputs.items()
        }
        student_states = self.student(symbols)["hidden_states"]
        teacher_states = self.teacher(symbols)["hidden_states"]
        return Projection(
            self.objective.projection,
            num_states=len(student_states),
            student_dim=student_states[-1].shape[-1],
            teacher_dim=teacher_states[-1].shape[-1],
            dtype=self.dtype_policy,
            name="projection",
        )

    def _learning_variables(self):
        uses_projection = self.objective.needs_projection and self.projection is not None
        extra = self.projection.trainable_variables if uses_projection else []
        return self.student.trainable_variables + extra

    def fit(self, x=None, *args, validation_data=None, **kwargs):
        """As `keras.Model.fit`; `x` and `validation_data` may also be `ExampleBatches`."""
        self._assert_compile_called("fit")
        if hasattr(x, "stream"):
            kwargs.setdefault("steps_per_epoch", x.steps_per_epoch)
            kwargs.setdefault("shuffle", False)  # they are; Keras warns unless told
            x = x.stream(kwargs.get("initial_epoch", 0))
        if hasattr(validation_data, "epoch"):
            validation_data = validation_data.epoch(0)
        self.prepare(_inputs_of(x))
        return super().fit(x, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """As `keras.Model.evaluate`; `x` may also be `ExampleBatches`."""
        if hasattr(x, "epoch"):
            x = x.epoch(0)
        if x is not None:
            self.prepare(_inputs_of(x))
        return super().evaluate(x, *args, **kwargs)

    def call(self, inputs, training=None):
        """The student's outputs."""
        return self.student(inputs, training=training)

    def train_step(self, data):
        inputs, labels = _unpack(data)
        variables = self._learning_variables()
        teacher = self._teach(inputs)
        with tf.GradientTape() as tape:
            student = self.student(inputs, training=True)
            loss, terms = self._compute_losses(inputs, labels, teacher, student)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        pairs = [(_dense(g), v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        self.optimizer.apply_gradients(pairs)
        return self._report(terms)

    def test_step(self, data):
        inputs, labels = _unpack(data)
        student = self.student(inputs, training=False)
        _, terms = self._compute_losses(inputs, labels, self._teach(inputs), student)
        return self._report(terms)

    def _teach(self, inputs):
        if not self.objective.needs_teacher:
            return None
        return keras.tree.map_structure(tf.stop_gradient, self.teacher(inputs, training=False))

    def _compute_losses(self, inputs, labels, teacher, student):
        """This replica's share of the loss, and the unreduced terms."""
        terms = self.objective.losses(inputs, labels, teacher, student, self.projection)
        terms["loss"] = sum(weight * terms[name] for name, weight in self.objective.weights.items())
        return self._share_of_global_mean(terms["loss"]), terms

    def _share_of_global_mean(self, per_example):
        """Sum over this replica's examples by the number of examples on all replicas."""
        count = tf.shape(per_example)[0]
        if self.distribute_strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            count = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
        return tf.reduce_sum(per_example) / tf.cast(tf.maximum(count, 1), per_example.dtype)

    def _report(self, terms):
        for mean in self._means:
            mean.update_state(terms[mean.name])
        return {mean.name: mean.result() for mean in self._means}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: `prepare` has made every variable, inside the strategy's scope."""


def _inputs_of(data):
    """The inputs of a dataset's elements, as specs, or of arrays."""
    data = getattr(data, "element_spec", data)
    return data[0] if isinstance(data, (tuple, list)) else data


def _unpack(data):
    inputs, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError("Sample and class weights are not supported; pass (inputs, labels).")
    return inputs, labels


def _dense(gradient):
    """The gradient of a whole table, where TensorFlow gives only the rows looked up."""
    return tf.convert_to_tensor(gradient)


def _dtype_name(value):
    return keras.backend.standardize_dtype(value.dtype)


def _check_vocabularies(teacher, student):
    ours, theirs = (getattr(model, "vocabulary", None) for model in (student, teacher))
    if ours is None or theirs is None or ours == theirs:
        return
    pairs = enumerate(zip(theirs.tokens, ours.tokens, strict=False))
    where = next((f"; id {i} is {a!r} and {b!r}" for i, (a, b) in pairs if a != b), "")
    raise ValueError(
        f"Teacher and student have different vocabularies ({len(theirs)} and {len(ours)} tokens, "
        f"lower_case {theirs.lower_case} and {ours.lower_case}{where}), so the same ids mean other "
        "words to them. Make the student with `vocabulary=teacher.vocabulary`."
    )


def _check_labels(teacher, student):
    ours, theirs = (getattr(model, "labels", None) for model in (student, teacher))
    if ours is not None and theirs is not None and ours != theirs:
        raise ValueError(
            f"The teacher's labels are {', '.join(theirs)}, the student's {', '.join(ours)}; they "
            "must be the same in the same order. Make the student with `labels=teacher.labels`."
        )
