"""Where, when and with what a measurement was made, and the file that keeps it."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shlex
import sys

from tinybert_tf.atomic import atomic_file

PACKAGES = ("tinybert-tf", "tensorflow", "tensorflow-text", "keras", "numpy")


def describe(packages=PACKAGES):
    """The machine, the versions, the date and the command of this process.

    Args:
        packages: sequence of str, whose versions to tell.

    Returns:
        Dict that JSON can hold.
    """
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpus": gpus() if "tensorflow" in packages else [],
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in packages},
        "date": datetime.date.today().isoformat(),
        "command": command(),
    }


def processor():
    """The processor's name, as it calls itself."""
    path = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", path.read_text()) if path.is_file() else []
    return names[0] if names else platform.processor() or platform.machine()


def gpus():
    """The names of the GPUs that TensorFlow sees."""
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [detail.get("device_name", "GPU") for detail in details]


def command():
    """The command of this process; of an absolute path only the last two names."""
    spec = sys.modules["__main__"].__spec__
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    return shlex.join(["python", *map(shorten, [*program, *sys.argv[1:]])])


def shorten(argument):
    """The last two names of an absolute path; anything else as it is."""
    path = pathlib.PurePath(argument)
    return "/".join(path.parts[-2:]) if path.is_absolute() else argument


def write_lines(records, path):
    """Writes dicts to a file, one a line."""
    with atomic_file(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(record)}\n" for record in records))
