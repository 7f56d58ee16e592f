"""From a classifier to a .tflite file that carries its labels and vocabulary."""

import zipfile

import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from tinybert_tf.atomic import atomic_file
from tinybert_tf.edge.interpreter import INPUT_NAMES
from tinybert_tf.models import BertClassifier
from tinybert_tf.models.served_outputs import SERVED_OUTPUTS, served_files
from tinybert_tf.suggestions import did_you_mean

# Recipe -> what it is good for, and the converter's settings.
RECIPES = {
    "float32": ("Exact and largest; what the others are compared with.", {}),
    "float16": (
        "Half the size and as accurate, but a CPU unpacks it to float32: no faster, more memory.",
        {
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "supported_types": [tf.float16],
        },
    ),
    "dynamic_wi8_afp32": (
        "A quarter of the size and fastest on CPUs: int8 weights, inputs quantized as they come.",
        {"optimizations": [tf.lite.Optimize.DEFAULT]},
    ),
}


def to_tflite(model, path, recipe="dynamic_wi8_afp32"):
    """Writes a classifier as a .tflite file of built-in operators.

    The file has one signature, `serving_default`, with int32 inputs `ids`, `mask`, `segment_ids` of
    shape `(1, length)`, any length, and one float32 output `(1, num_labels)`: `probabilities`, or
    `score` for regression. Texts beyond the model's greatest length lose the tokens before the
    last; ids outside the vocabulary count as the nearest one in it. A zip at the file's end holds
    `labels.txt`, `vocab.txt` and `tinybert_tf.json`, which `tinybert_tf.edge.EdgeModel` reads.

    Args:
        model: `BertClassifier` with a vocabulary, computing in float32.
        path: str or path-like, the file to write; replaced as a whole if it is there.
        recipe: str, a key of `RECIPES`: how numbers are stored.

    Returns:
        dict with `path`, `recipe` and `size_bytes`.

    Raises:
        ValueError: If the recipe is unknown, the model has no head or one on every token, or no
            vocabulary, or does not compute in float32.

    Example:
        to_tflite(student, "sst2.tflite", recipe="float32")
    """
    check_recipe(recipe)
    _check_model(model)
    output_name = "score" if model.problem == "regression" else "probabilities"
    content = _name_tensors(_convert(model, RECIPES[recipe][1]), output_name)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
        _attach(temporary, model, recipe)
        size_bytes = temporary.stat().st_size
    return {"path": str(path), "recipe": recipe, "size_bytes": size_bytes}


def check_recipe(recipe):
    """Raises ValueError if there is no such recipe."""
    if recipe not in RECIPES:
        advice = did_you_mean(recipe, RECIPES)
        raise ValueError(f'Unknown recipe "{recipe}".{advice} Recipes: {", ".join(RECIPES)}.')


def _check_model(model):
    if getattr(model, "labels", None) is None:
        raise ValueError(
            "The model has no head. Fine-tune or distil it on a task before exporting it."
        )
    if model.problem not in BertClassifier.problems:
        raise ValueError(
            f"The model is for {model.problem}; a .tflite file is made of models for "
            f"{', '.join(BertClassifier.problems)}."
        )
    if model.vocabulary is None:
        raise ValueError(
            "The model has no vocabulary, so its file could not read text. Put vocab.txt into the "
            "model's folder, or pass `vocabulary` to its constructor."
        )
    if model.compute_dtype != "float32":
        raise ValueError(
            f"The model computes in {model.compute_dtype}; a file computes in float32. "
            'Load the model with dtype="float32".'
        )


def _convert(model, settings):
    module = tf.Module()
    module.serve = _serving_function(model)
    # Variables that TensorFlow cannot reach from the module would not become constants of the file.
    module.weights = [variable.value for variable in model.variables]
    function = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.target_spec.supported_types = settings.get("supported_types", [])
    converter.optimizations = settings.get("optimizations", [])
    return converter.convert()


def _serving_function(model):
    config = model.config
    specs = [tf.TensorSpec((1, None), tf.int32, name=name) for name in INPUT_NAMES]

    @tf.function(input_signature=specs, autograph=False)
    def serve(ids, mask, segment_ids):
        # MediaPipe feeds overlong texts whole, benchmark tools feed random integers.
        inputs = {
            "token_ids": _fit(ids, config, config.vocabulary_size),
            "padding_mask": _fit(mask, config, 2),
            "segment_ids": _fit(segment_ids, config, config.num_segments),
        }
        return SERVED_OUTPUTS[model.problem](model(inputs, training=False)["logits"])

    return serve


def _fit(values, config, count):
    """Values in [0, count), at most the model's length of them; the last one, [SEP], stays."""
    kept = tf.minimum(tf.shape(values)[1], config.max_sequence_length)
    values = tf.concat([values[:, : kept - 1], values[:, -1:]], axis=1)
    return tf.clip_by_value(values, 0, count - 1)


def _name_tensors(content, output_name):
    """Gives inputs and output their own names, and the inputs their order.

    The converter names them "serving_default_ids:0". The bytes are changed in place, as the new
    names are shorter: writing the model anew through the schema's Python classes would lose the
    alignment of the weights.
    """
    content = bytearray(content)
    graph = schema.Model.GetRootAs(content).Subgraphs(0)
    indices = {graph.Tensors(index).Name(): index for index in graph.InputsAsNumpy()}
    ordered = [indices[f"serving_default_{name}:0".encode()] for name in INPUT_NAMES]
    graph.InputsAsNumpy()[:] = ordered
    for index, name in zip([*ordered, graph.Outputs(0)], [*INPUT_NAMES, output_name], strict=True):
        _rename(content, graph.Tensors(index), name.encode())
    return bytes(content)


def _rename(content, tensor, name):
    old, table = tensor.Name(), tensor._tab
    if len(name) > len(old):
        raise RuntimeError(f"No room for the tensor name {name!r} in place of {old!r}.")
    start = table.Vector(table.Offset(10))  # The name is field 3; its length stands before it.
    content[start - 4 : start] = len(name).to_bytes(4, "little")
    content[start : start + len(old)] = name.ljust(len(old), b"\0")


def _attach(path, model, recipe):
    """Appends the zip: uncompressed, so that a phone can map its files."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        for name, text in served_files(model, recipe=recipe).items():
            archive.writestr(zipfile.ZipInfo(name), text)
