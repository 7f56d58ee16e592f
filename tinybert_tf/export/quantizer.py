"""From a float32 .tflite model to one of a recipe of AI Edge Quantizer."""

import contextlib
import io
import re

import numpy as np
from ai_edge_quantizer import calibrator, quantizer
from ai_edge_quantizer.qtyping import TFLOperationName as Operator
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils import qsv_utils

from tinybert_tf.export.flatbuffer_edits import (
    constant,
    operator_name,
    read_model,
    set_versions,
    use_embedding_lookups,
)
from tinybert_tf.recipes import RECIPES, check_recipe

_MIN_MAX = quantizer.AlgorithmName.MIN_MAX_UNIFORM_QUANT
_NONE = quantizer.AlgorithmName.NO_QUANTIZE
_OCTAV = quantizer.AlgorithmName.OCTAV
_SIGNATURE = "serving_default"
# In steps of a grid: more than what float32 rounds, far less than what other weights are off.
_TOLERANCE = 1e-3


def quantize(content, recipe, examples=None):
    """Quantizes a float32 .tflite model.

    Args:
        content: bytes of the model; of fixed length for hardware that takes no other.
        recipe: str, a key of `RECIPES` whose tool is "quantizer".
        examples: iterable of mappings with int32 arrays `ids`, `mask`, `segment_ids`, each `(1,
            length)`: some hundred examples of the task, for recipes that need them; others
            leave it alone. Padded to the model's length where that is fixed.

    Returns:
        bytes of the quantized model; inputs, outputs and signature are the same.

    Raises:
        ValueError: If the recipe is unknown or the converter's, or needs examples and gets none, or
            one longer than the model.

    Example:
        quantize(content, "dynamic_wi8_afp32_emb4")
    """
    check_recipe(recipe)
    if RECIPES[recipe].tool != "quantizer":
        raise ValueError(
            f'Recipe "{recipe}" is made while a model is converted, not from a float32 file. '
            f"From a file: {', '.join(name for name in RECIPES if _is_made_here(name))}."
        )
    settings = RECIPES[recipe].settings
    if "EMBEDDING_LOOKUP" in settings:
        content = use_embedding_lookups(content)
    manager, ranges = _manager(content, settings), None
    # Its progress bars cannot be turned off.
    with contextlib.redirect_stderr(io.StringIO()):
        if RECIPES[recipe].needs_examples:
            ranges = _ranges(content, manager, _examples(content, recipe, examples))
        tool = quantizer.Quantizer(content, manager.get_quantization_recipe())
        result = tool.quantize(ranges, enable_progress_report=False)
    return set_versions(bytes(result.quantized_model))


def _is_made_here(recipe):
    return RECIPES[recipe].tool == "quantizer"


def _manager(content, settings):
    """What is to be done with each operator; what is added later overrules."""
    manager = RecipeManager()
    if "activation_bits" in settings:
        manager.add_static_config(".*", Operator.ALL_SUPPORTED, settings["activation_bits"], 8)
        ends = "|".join(map(re.escape, _output_names(content)))
        # A softmax in int8 would keep nothing of small probabilities.
        manager.add_quantization_config(f"^({ends});", Operator.ALL_SUPPORTED, algorithm_key=_NONE)
    add = {"dynamic": manager.add_dynamic_config, "weight_only": manager.add_weight_only_config}
    for operator in settings.keys() - {"activation_bits"}:
        mode, bits = settings[operator]
        add[mode](".*", operator, bits, algorithm_key=_OCTAV if bits == 4 else _MIN_MAX)
        # OCTAV clips the largest weights, and would move those that training put on the grid.
        for name in weights_on_grid(content, operator, bits) if bits == 4 else ():
            add[mode](f"^{re.escape(name)};", operator, bits, algorithm_key=_MIN_MAX)
    return manager


def weights_on_grid(content, operator, bits):
    """Finds weights that lie on a symmetric grid already, one of its own for each channel.

    Args:
        content: bytes of a float32 .tflite model.
        operator: str, "FULLY_CONNECTED" or "EMBEDDING_LOOKUP".
        bits: int, of the grid: `2 ** (bits - 1) - 1` steps to the largest weight of a channel.

    Returns:
        List of str, the names of what operators with such weights give.
    """
    model, steps = read_model(content), 2 ** (bits - 1) - 1
    (graph,) = model.subgraphs
    return [
        graph.tensors[found.outputs[0]].name.decode()
        for found in graph.operators
        if operator_name(model, found) == operator
        and _is_on_grid(constant(model, graph.tensors[found.inputs[1]]), steps)
    ]


def _is_on_grid(rows, steps):
    if rows is None:
        return False
    largest = np.abs(rows).max(axis=1, keepdims=True)
    multiples = rows / np.maximum(largest, np.finfo(np.float32).tiny) * steps
    return bool(np.abs(multiples - np.round(multiples)).max() < _TOLERANCE)


def _ranges(content, manager, examples):
    """Least and greatest value of every activation.

    Not the moving averages that `Quantizer.calibrate` keeps: these cut off what single examples
    reach (cosine of a TinyBERT's answers to the float file's .989, with true ranges .9997).
    """
    ranges = calibrator.Calibrator(
        content,
        mode=calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS,
        qsv_update_func=qsv_utils.min_max_update,
    )
    ranges.calibrate({_SIGNATURE: examples}, manager)
    return ranges.get_model_qsvs()


def _output_names(content):
    (graph,) = read_model(content).subgraphs
    return [graph.tensors[index].name.decode() for index in graph.outputs]


def _examples(content, recipe, examples):
    """The examples as a list, padded to the model's length where that is fixed."""
    examples = list(examples or ())
    if not examples:
        raise ValueError(
            f'Recipe "{recipe}" measures ranges of activations and got no `examples`. Pass some '
            "hundred examples of the task."
        )
    length = _fixed_length(content)
    return examples if length is None else [_pad(example, length) for example in examples]


def _fixed_length(content):
    """The length of the model's inputs, `None` for any."""
    (graph,) = read_model(content).subgraphs
    tensor = graph.tensors[graph.inputs[0]]
    is_dynamic = tensor.shapeSignature is not None and tensor.shapeSignature[1] < 0
    return None if is_dynamic else int(tensor.shape[1])


def _pad(example, length):
    given = example["ids"].shape[1]
    if given > length:
        raise ValueError(
            f"An example has {given} tokens, the model takes {length}. Cut the examples."
        )
    return {name: np.pad(values, ((0, 0), (0, length - given))) for name, values in example.items()}
