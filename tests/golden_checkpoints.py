"""Checkpoints that other programs wrote, in tests/goldens, and what those programs computed."""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).with_name("goldens")
# Their names of the inputs: ours
INPUTS = {
    "input_word_ids": "token_ids",
    "input_mask": "padding_mask",
    "input_type_ids": "segment_ids",
}


def largest_differences(model, kind, *names, **renamed):
    """The largest absolute difference of a model's outputs from those in a folder of goldens.

    Args:
        model: the model.
        kind: str, name of the folder.
        *names: str, names of outputs.
        **renamed: an output's name to that of its array.
    """
    arrays = dict(np.load(FOLDER / kind / "outputs.npz"))
    arrays = {INPUTS.get(name, name): array for name, array in arrays.items()}
    outputs = model({name: arrays[name] for name in INPUTS.values()})
    wanted = dict(zip(names, names, strict=True)) | renamed
    return {
        name: float(np.abs(outputs[name] - arrays[array]).max()) for name, array in wanted.items()
    }
