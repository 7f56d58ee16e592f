"""Teaches a student from a teacher."""

import keras
import tensorflow as tf

from tinybert_tf.distillation.epoch_callbacks import EpochCallbacks
from tinybert_tf.distillation.projection import Projection
from tinybert_tf.models.label_names import match_labels


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

    The student's labels may stand in another order than the teacher's: they are matched by name.

    Raises:
        ValueError: If teacher and student count tokens in different vocabularies.

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

    def compile(self, objective, optimizer, jit_compile=False, accumulation_steps=1, **kwargs):
        """Sets what to learn and how; call it again for the next stage.

        Args:
            objective: `IntermediateObjective`, `PredictionObjective` or an object with their
                attributes.
            optimizer: a Keras optimizer; see `adamw`.
            jit_compile: whether to compile the step with XLA.
            accumulation_steps: int, parts in which a replica computes its share of a batch, one
                after the other: the same step in less memory.
            **kwargs: `steps_per_execution`, `run_eagerly`, ... as for `keras.Model.compile`.

        Raises:
            ValueError: If the objective needs a teacher and there is none, the labels cannot be
            matched, `accumulation_steps` is less than 1, or XLA shall compile for several
            replicas.
        """
        if accumulation_steps < 1:
            raise ValueError(f"`accumulation_steps` is {accumulation_steps}, expected 1 or more.")
        if objective.needs_teacher and self.teacher is None:
            raise ValueError(
                f"{type(objective).__name__} compares with a teacher, but the Distiller has none."
            )
        replicas = self.distribute_strategy.num_replicas_in_sync
        if jit_compile and replicas > 1:
            raise ValueError(
                f"XLA cannot compile a step of {replicas} replicas, which sum over each other; "
                "leave out `jit_compile` or take one device."
            )
        self._teacher_columns = None
        if "prediction_loss" in objective.weights:
            self._teacher_columns = _columns(self.teacher, self.student)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self.objective, self._accumulation_steps = objective, accumulation_steps
        with self.distribute_strategy.scope():
            names = ("loss", *objective.weights)
            self._means = [keras.metrics.Mean(name=name, dtype="float32") for name in names]

    @property
    def metrics(self):
        """The mean of the loss and of each of its terms."""
        return list(getattr(self, "_means", []))

    def prepare(self, data):
        """Makes the projection and the optimizer's variables; `fit` calls it.

        Args:
            data: `ExampleBatches`, or a mapping of tensors, arrays or `tf.TensorSpec`, as the
                models take it, or a tuple that begins with one.
        """
        inputs, _ = _split(_inputs_of(data))
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

    def fit(self, x=None, *args, **kwargs):
        """As `keras.Model.fit`; `x` and `validation_data` may also be `ExampleBatches`.

        With `ExampleBatches`, `initial_step` says how many steps of the first epoch to leave out,
        and every replica makes only its own share of the batches.
        """
        self._assert_compile_called("fit")
        if hasattr(kwargs.get("validation_data"), "epoch"):
            kwargs["validation_data"] = kwargs["validation_data"].epoch(0)
        if hasattr(x, "epoch"):
            return self._fit_epochs(x, **kwargs)
        self.prepare(x)
        return super().fit(x, *args, **kwargs)

    def _fit_epochs(
        self,
        batches,
        epochs=1,
        initial_epoch=0,
        initial_step=0,
        callbacks=(),
        verbose="auto",
        **kwargs,
    ):
        self.prepare(batches)
        callbacks = EpochCallbacks(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=batches.steps_per_epoch,
            model=self,
        )
        self.stop_training = False
        callbacks.begin_training()
        for epoch in range(initial_epoch, epochs):
            callbacks.first_step = initial_step if epoch == initial_epoch else 0
            super().fit(
                self._epoch(batches, epoch, callbacks.first_step),
                epochs=epoch + 1,
                initial_epoch=epoch,
                steps_per_epoch=batches.steps_per_epoch - callbacks.first_step,
                callbacks=callbacks,
                shuffle=False,  # they are; Keras warns unless told
                verbose=0,
                **kwargs,
            )
            if self.stop_training:
                break
        callbacks.end_training()
        return self.history

    def _epoch(self, batches, epoch, first_step):
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return batches.epoch(epoch, first_step)
        return batches.distribute(strategy, epoch, first_step)

    def evaluate(self, x=None, *args, **kwargs):
        """As `keras.Model.evaluate`; `x` may also be `ExampleBatches`."""
        if x is not None:
            self.prepare(x)
        if hasattr(x, "epoch"):
            kwargs.setdefault("steps", x.steps_per_epoch)
            x = self._epoch(x, 0, 0)
        return super().evaluate(x, *args, **kwargs)

    def call(self, inputs, training=None):
        """The student's outputs."""
        return self.student(inputs, training=training)

    def train_step(self, data):
        inputs, labels, teacher = _unpack(data)
        variables = self._learning_variables()
        count = self._global_count(inputs)
        gradients, sums = self._gradients(variables, inputs, labels, teacher, count)
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        self.optimizer.apply_gradients(pairs)
        return self._report(sums, count)

    def test_step(self, data):
        inputs, labels, teacher = _unpack(data)
        count = self._global_count(inputs)
        terms = self._terms(inputs, labels, teacher, training=False)
        return self._report(_sum_each(terms), count)

    def _gradients(self, variables, inputs, labels, teacher, count):
        """Gradients of this replica's share of the loss, and the sums of the terms.

        Both are added up over `accumulation_steps` parts of the batch.
        """
        parts = self._accumulation_steps

        def compute(part):
            batch = tf.nest.map_structure(
                lambda tensor: _part(tensor, part, parts), (inputs, labels, teacher)
            )
            with tf.GradientTape() as tape:
                sums = _sum_each(self._terms(*batch, training=True))
                loss = sums["loss"] / tf.cast(tf.maximum(count, 1), sums["loss"].dtype)
                scaled = self.optimizer.scale_loss(loss)
            found = tape.gradient(scaled, variables)
            return [None if g is None else tf.convert_to_tensor(g) for g in found], sums

        totals = compute(0)
        return totals if parts == 1 else _add_up(compute, totals, parts)

    def _terms(self, inputs, labels, teacher, training):
        """The terms of the loss and their weighted sum, one value an example."""
        if self.objective.needs_teacher and teacher is None:
            teacher = self._teach(inputs)
        if self._teacher_columns is not None and teacher is not None:
            logits = tf.gather(teacher["logits"], self._teacher_columns, axis=-1)
            teacher = {**teacher, "logits": logits}
        student = self.student(inputs, training=training)
        terms = self.objective.losses(inputs, labels, teacher, student, self.projection)
        loss = sum(weight * terms[name] for name, weight in self.objective.weights.items())
        return {"loss": loss, **terms}

    def _teach(self, inputs):
        return keras.tree.map_structure(tf.stop_gradient, self.teacher(inputs, training=False))

    def _global_count(self, inputs):
        """Number of examples on all replicas."""
        return self._sum_over_replicas(tf.shape(keras.tree.flatten(inputs)[0])[0])

    def _sum_over_replicas(self, values):
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return values
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    def _report(self, sums, count):
        """Notes the means over the global batch; returns those over the epoch so far."""
        values = [tf.cast(sums[mean.name], tf.float32) for mean in self._means]
        totals = tf.unstack(self._sum_over_replicas(tf.stack(values)))
        for mean, total in zip(self._means, totals, strict=True):
            mean.update_state(total / tf.cast(tf.maximum(count, 1), tf.float32), count)
        return {mean.name: mean.result() for mean in self._means}

    def _make_function(self, step_function):
        """The function of `steps_per_execution` steps, or as many as the data have left.

        On several replicas Keras' own fails: it has them sum inside a conditional, and reduces what
        workers report along an axis.
        """
        strategy, most = self.distribute_strategy, self.steps_per_execution
        if strategy.num_replicas_in_sync == 1:
            return super()._make_function(step_function)

        def step(batch):
            logs = strategy.run(step_function, args=(batch,))
            # Every replica reports the same.
            return {name: strategy.experimental_local_results(v)[0] for name, v in logs.items()}

        def steps(iterator):
            logs = step(iterator.get_next())
            if most == 1:
                return logs

            def more(done, batch, _):
                return tf.logical_and(done < most, batch.has_value())

            def one_more(done, batch, _):
                logs, done = step(batch.get_value()), done + 1
                following = tf.cond(done < most, iterator.get_next_as_optional, lambda: batch)
                return done, following, logs

            return tf.while_loop(more, one_more, (1, iterator.get_next_as_optional(), logs))[2]

        return steps if self.run_eagerly else tf.function(steps, reduce_retracing=True)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: `prepare` has made every variable, inside the strategy's scope."""


def _inputs_of(data):
    """The inputs of a dataset's or `ExampleBatches`' elements, as specs, or of arrays."""
    data = getattr(data, "element_spec", data)
    return data[0] if isinstance(data, (tuple, list)) else data


def _unpack(data):
    """Inputs, labels, and the teacher's outputs where the data have them."""
    inputs, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError("Sample and class weights are not supported; pass (inputs, labels).")
    inputs, teacher = _split(inputs)
    return inputs, labels, teacher


def _split(inputs):
    """The models' inputs, and the teacher's outputs that came with them or `None`."""
    if not isinstance(inputs, dict) or "teacher" not in inputs:
        return inputs, None
    return {name: value for name, value in inputs.items() if name != "teacher"}, inputs["teacher"]


def _part(tensor, part, parts):
    """One of nearly equal parts of a tensor's rows."""
    if parts == 1 or tensor is None:
        return tensor
    count = tf.shape(tensor)[0]
    return tensor[count * part // parts : count * (part + 1) // parts]


def _add_up(compute, totals, parts):
    """Adds `compute(part)` of every part after the first to `totals`, one after the other."""
    leaves = [leaf for leaf in keras.tree.flatten(totals) if leaf is not None]

    def add(part, *sums):
        more = [leaf for leaf in keras.tree.flatten(compute(part)) if leaf is not None]
        return part + 1, *(a + b for a, b in zip(sums, more, strict=True))

    _, *leaves = tf.while_loop(
        lambda part, *_: part < parts, add, (1, *leaves), parallel_iterations=1
    )
    left = iter(leaves)
    return keras.tree.map_structure(lambda leaf: None if leaf is None else next(left), totals)


def _sum_each(terms):
    return {name: tf.reduce_sum(values) for name, values in terms.items()}


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


def _columns(teacher, student):
    """Which of the teacher's logits each of the student's learns from; `None` if they agree."""
    ours, theirs = (getattr(model, "labels", None) for model in (student, teacher))
    is_score = getattr(student, "problem", None) == "regression"  # however it is called
    if ours is None or theirs is None or ours == theirs or is_score:
        return None
    return match_labels(ours, theirs)
