"""The wheel of this project, built from a copy of the sources."""

import shutil
import subprocess
import sys

from source_tree import ROOT

PACKAGED = ("tinybert_tf", "trainers", "tflite")
PROJECT_FILES = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def build_wheel(source, output):
    """Builds the wheel.

    Args:
        source: path of an empty folder for the copy.
        output: path of the folder for the wheel.

    Returns:
        `pathlib.Path` of the wheel.
    """
    for name in PROJECT_FILES:
        shutil.copy(ROOT / name, source)
    for folder in PACKAGED:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--quiet", "-w", output, source], check=True)
    return next(output.glob("*.whl"))
