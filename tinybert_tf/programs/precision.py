"""In which precision models compute."""

import pathlib

# --student-dtype, --dtype: the policy of a model that is trained; its variables stay float32
TRAINED = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# --teacher-dtype: a frozen model is kept in its dtype altogether
FROZEN = ("auto", "bfloat16", "float16", "float32")


def check_dtype(flag, value, choices):
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{flag} is {value}, expected one of {', '.join(choices)}.")


def frozen_dtype(name, jit_compile=False):
    """The dtype of a frozen teacher.

    Args:
        name: str of `FROZEN`; "auto" takes the narrowest in which this machine multiplies faster
            and which does not overflow: bfloat16 on GPUs from compute capability 8.0 and on x86
            processors with instructions for it (there XLA gains nothing from it), else float32.
        jit_compile: bool, whether the step is compiled with XLA.

    Returns:
        str.
    """
    if name != "auto":
        return name

    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        capable = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    else:
        capable = not jit_compile and {"avx512_bf16", "amx_bf16"} & _processor_flags()
    return "bfloat16" if capable else "float32"


def _processor_flags():
    path = pathlib.Path("/proc/cpuinfo")
    return set(path.read_text().split()) if path.is_file() else set()
