import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import tinybert_tf as tb
from tinybert_tf.programs.strategies import make_strategy
from tinybert_tf.quantization import SCHEMES, QuantizedStudent, on_grid

RECIPES = sorted(SCHEMES)
INPUTS = {
    "token_ids": np.array([[2, 7, 9, 3], [2, 8, 3, 0]]),
    "segment_ids": np.zeros((2, 4), np.int64),
    "padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}
LABELS = np.array([0, 1])


def make(recipe="dynamic_wi8_afp32", seed=0, **settings):
    return QuantizedStudent(tiny.make_model(seed, num_layers=1, **settings), recipe)


def logits(model, training=False):
    return model(INPUTS, training=training)["logits"].numpy()


def compiled(teacher, student, rate=1e-2):
    distiller = tb.Distiller(teacher, student)
    distiller.compile(tb.PredictionObjective(), tb.adamw(rate))
    distiller.prepare(INPUTS)
    return distiller


def step(distiller, inputs=INPUTS, labels=LABELS):
    return distiller.fit(tf.data.Dataset.from_tensors((inputs, labels)), verbose=0)


def weights(model):
    return [variable.numpy() for variable in model.trainable_variables]


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "static_wi8_ai8"])
def test_runs_the_student_with_rounded_weights(recipe):
    model = make(recipe)
    before = logits(model.student)
    quantized = logits(model)
    assert np.abs(quantized - before).max() > 1e-4
    np.testing.assert_allclose(logits(model.student), before)
    np.testing.assert_allclose(logits(model.bake()), quantized, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_rounding_twice_is_rounding_once(recipe):
    model = make(recipe)
    once = weights(model.bake())
    for ours, theirs in zip(weights(model.bake()), once, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_levels_of_kernels_and_tables():
    student = make("dynamic_wi8_afp32_emb4").bake()
    kernel = student.classifier.kernel.numpy()
    steps = kernel / np.abs(kernel).max(axis=0) * 127
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    table = student.encoder.embeddings.token_embedding.embeddings.numpy()
    steps = table / np.abs(table).max(axis=1, keepdims=True) * 7
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)


def test_gradients_reach_every_weight_of_the_student():
    model = make("dynamic_wi4_afp32")
    with tf.GradientTape() as tape:
        outputs = model(INPUTS, training=True)
        loss = tf.reduce_sum(outputs["logits"] ** 2)
        loss += sum(tf.reduce_mean(x) for x in outputs["attention_logits"])
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    kernels = [v.path for v in model.student.trainable_variables if v.name == "kernel"]
    moved = [
        v.path
        for v, gradient in zip(model.trainable_variables, gradients, strict=True)
        if np.abs(gradient).max() > 0
    ]
    assert set(kernels) <= set(moved)


def test_dropout_differs_between_steps_and_stops_without_training():
    model = make()
    run = tf.function(lambda: model(INPUTS, training=True)["logits"])
    first, second = run().numpy(), run().numpy()
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_allclose(logits(model), logits(model))


def test_a_distiller_trains_the_float_weights():
    teacher, model = tiny.make_model(num_layers=1), make("dynamic_wi4_afp32", seed=1)
    before = weights(model)
    losses = [step(compiled(teacher, model)).history["loss"][0] for _ in range(5)]
    assert losses[-1] < losses[0]
    for variable, old in zip(model.trainable_variables, before, strict=True):
        if variable.name == "kernel":
            assert np.abs(variable.numpy() - old).max() > 1e-4, variable.path
    ends = [v for v in model.trainable_variables if v.path.endswith("_end")]
    matrices = [v for v in model.student.trainable_variables if len(v.shape) == 2]
    assert len(ends) == len(matrices)


def test_two_replicas_take_the_step_of_one():
    config = dataclasses.replace(tiny.make_model(num_layers=1).config, dropout=0.0)
    config = dataclasses.replace(config, attention_dropout=0.0)

    def trained(strategy):
        keras.utils.set_random_seed(1)
        with strategy.scope():
            teacher, student = (tb.BertClassifier(config, tiny.LABELS) for _ in range(2))
            distiller = compiled(teacher, QuantizedStudent(student, "dynamic_wi4_afp32"))
        data = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(2)
        distiller.fit(data, verbose=0)
        return weights(distiller.student)

    one = trained(tf.distribute.get_strategy())
    two = trained(make_strategy("mirrored"))
    for ours, theirs in zip(two, one, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_mixed_precision_rounds_in_float32():
    model = make(dtype="mixed_bfloat16")
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert model(INPUTS)["logits"].dtype == tf.bfloat16
    seen = {}
    layer = model.student.classifier
    call = layer.call

    def spy(*arguments, **keywords):
        seen["kernel"] = layer.kernel.dtype
        return call(*arguments, **keywords)

    layer.call = spy
    model(INPUTS)
    assert seen["kernel"] == "bfloat16"
    assert all(value.dtype == tf.float32 for _, value in model.quantized_weights())
    step(compiled(tiny.make_model(num_layers=1), model))


def test_passes_on_what_the_student_is():
    model = make()
    student = model.student
    assert model.config == student.config
    assert (model.labels, model.problem) == (student.labels, student.problem)
    assert model.vocabulary == student.vocabulary
    encoder = QuantizedStudent(student.encoder, "dynamic_wi8_afp32")
    assert not hasattr(encoder, "labels")


def test_on_grid_gives_the_float_weights_back():
    model = make("dynamic_wi4_afp32")
    before, quantized = weights(model), logits(model)
    with on_grid(model) as student:
        np.testing.assert_allclose(logits(student), quantized, atol=1e-5)
    assert all(np.array_equal(*pair) for pair in zip(weights(model), before, strict=True))
    with on_grid(student) as same:
        assert same is student


def test_the_saved_student_is_on_the_grid(tmp_path):
    model = make("dynamic_wi4_afp32")
    tb.save(model, tmp_path / "student")
    np.testing.assert_allclose(logits(tb.load(tmp_path / "student")), logits(model), atol=1e-5)


def test_the_interrupted_training_keeps_the_float_weights(tmp_path):
    teacher = tiny.make_model(num_layers=1)
    first, second = (compiled(teacher, make("dynamic_wi4_afp32", seed)) for seed in (1, 2))
    for distiller, train in ((first, True), (second, False)):
        backup = tb.callbacks.TrainingBackup(tmp_path / "state.safetensors")
        backup.restore(distiller)
        if train:
            data = tf.data.Dataset.from_tensors((INPUTS, LABELS))
            distiller.fit(data, callbacks=[backup], verbose=0)
    for ours, theirs in zip(weights(second.student), weights(first.student), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_unknown_recipe():
    with pytest.raises(ValueError, match='recipe "float16".* Recipes to train for: dynamic_wi8_'):
        make("float16")


def test_nothing_to_quantize():
    student = tiny.make_model(num_layers=1)
    student.trainable = False
    with pytest.raises(ValueError, match="no dense or embedding layers to quantize"):
        QuantizedStudent(student, "dynamic_wi8_afp32")


def test_int8_activations_are_near_those_in_float():
    model = make("static_wi8_ai8")
    with on_grid(model) as student:
        exact = student(INPUTS)
    rounded = model(INPUTS)
    real = INPUTS["padding_mask"].astype(bool)
    for ours, theirs in zip(rounded["hidden_states"], exact["hidden_states"], strict=True):
        difference = np.abs(ours.numpy() - theirs.numpy())[real].max()
        assert 1e-4 < difference < 0.5
    assert len(rounded["attention_logits"]) == len(exact["attention_logits"])


def test_ranges_move_in_training_alone():
    model = make("static_wi8_ai8")
    (bounds,) = (v for v in model.non_trainable_variables if v.name == "bounds")
    tf.function(lambda: model(INPUTS))()
    assert not bounds.numpy().any()
    tf.function(lambda: model(INPUTS, training=True))()
    assert (bounds.numpy()[:, 0] < bounds.numpy()[:, 1]).all()


def test_a_distiller_trains_with_int8_activations():
    teacher, model = tiny.make_model(num_layers=1), make("static_wi8_ai8", seed=1)
    distiller = compiled(teacher, model)
    losses = [step(distiller).history["loss"][0] for _ in range(5)]
    assert losses[-1] < losses[0]


def test_int8_activations_need_a_head():
    with pytest.raises(ValueError, match="encoder is a BertEncoder; activations are quantized of"):
        QuantizedStudent(tiny.make_model(num_layers=1).encoder, "static_wi8_ai8")
