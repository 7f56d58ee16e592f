import keras
import numpy as np
import pytest

from tinybert_tf.distillation import WarmupLinearDecay, adamw


def rates(**kwargs):
    schedule = WarmupLinearDecay(1.0, warmup_steps=2, total_steps=6, **kwargs)
    return [float(schedule(step)) for step in range(7)]


def test_schedule():
    np.testing.assert_allclose(rates(), [0.5, 1, 1, 0.75, 0.5, 0.25, 0], atol=1e-6)


def test_schedule_of_the_released_program_starts_at_zero():
    assert rates(counts_from_zero=True)[:3] == [0, 0.5, 1]


def numpy_adam(weights, gradients, rate, bias_correction, decay):
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, 1):
        weights = weights - rate * decay * weights
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        scale = np.sqrt(1 - 0.999**step) / (1 - 0.9**step) if bias_correction else 1.0
        weights = weights - rate * scale * m / (np.sqrt(v) + 1e-6)
    return weights


@pytest.mark.parametrize("compat", ["paper", "reference"])
@pytest.mark.parametrize("name", ["kernel", "bias"])
def test_steps_equal_numpy(compat, name):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3))
    gradients = rng.normal(size=(5, 4, 3))
    variable = keras.Variable(start, dtype="float64", name=name)
    optimizer = adamw(0.01, clip_norm=None, compat=compat)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    decay = 0.0 if name == "bias" else 0.01
    expected = numpy_adam(start, gradients, 0.01, compat == "paper", decay)
    np.testing.assert_allclose(
        variable.numpy(), expected, atol=5e-6
    )  # the kernel counts its rates in float32


def test_equals_keras_adamw():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(4, 3)), rng.normal(size=(5, 4, 3))
    ours, theirs = (keras.Variable(start, name=f"kernel_{i}") for i in range(2))
    optimizers = (
        adamw(0.01, clip_norm=1.0),
        keras.optimizers.AdamW(0.01, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0),
    )
    for gradient in gradients.astype("float32"):
        for optimizer, variable in zip(optimizers, (ours, theirs), strict=True):
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize("compat", ["paper", "reference"])
def test_what_is_clipped(compat):
    gradients = [keras.ops.convert_to_tensor([3.0]), keras.ops.convert_to_tensor([1.5])]
    clipped = [float(g[0]) for g in adamw(1.0, compat=compat)._clip_gradients(gradients)]
    assert clipped[0] / clipped[1] == pytest.approx(2.0 if compat == "paper" else 1.0)
    assert np.hypot(*clipped) == pytest.approx(1.0 if compat == "paper" else 2**0.5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"learning_rate": 0.0}, "positive"),
        ({"learning_rate": 1.0, "warmup": 1.0, "total_steps": 5}, "0 <= warmup < 1"),
        ({"learning_rate": 1.0, "warmup": 0.1}, "give `total_steps`"),
    ],
)
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        adamw(**kwargs)


def test_round_trip_through_config():
    optimizer = adamw(1e-3, warmup=0.5, total_steps=10, compat="reference")
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert again.bias_correction is False
    assert again.get_config()["learning_rate"] == optimizer.get_config()["learning_rate"]
