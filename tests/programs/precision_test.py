import pytest
import tensorflow as tf

from tinybert_tf.programs import precision


@pytest.fixture(name="machine")
def make_machine(monkeypatch):
    """Function that puts another machine in the place of this one."""

    def set_machine(flags=(), capabilities=()):
        details = {number: {"compute_capability": c} for number, c in enumerate(capabilities)}
        monkeypatch.setattr(precision, "_processor_flags", lambda: set(flags))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(details))
        monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)

    return set_machine


def test_processors(machine):
    machine(flags=("avx2", "avx512_bf16"))
    assert precision.frozen_dtype("auto") == "bfloat16"
    assert precision.frozen_dtype("auto", jit_compile=True) == "float32"
    machine(flags=("avx2",))
    assert precision.frozen_dtype("auto") == "float32"


def test_gpus(machine):
    machine(capabilities=[(9, 0), (8, 0)])
    assert precision.frozen_dtype("auto", jit_compile=True) == "bfloat16"
    machine(capabilities=[(9, 0), (7, 5)], flags=("avx512_bf16",))
    assert precision.frozen_dtype("auto") == "float32"


def test_what_is_asked_for_is_taken(machine):
    machine()
    assert precision.frozen_dtype("float16") == "float16"


def test_unknown_names():
    with pytest.raises(ValueError, match="--teacher-dtype is int8, expected one of auto, bfloat16"):
        precision.check_dtype("--teacher-dtype", "int8", precision.FROZEN)
