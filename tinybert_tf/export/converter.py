"""From a model with a head to a .tflite file that carries its labels and vocabulary."""

import zipfile

import tensorflow as tf

from tinybert_tf.atomic import atomic_file
from tinybert_tf.export.flatbuffer_edits import read_model, write_model
from tinybert_tf.export.metadata import add_metadata
from tinybert_tf.export.predictor import example_inputs
from tinybert_tf.export.serving_graph import ids_function, text_function
from tinybert_tf.export.tensor_names import name_tensors
from tinybert_tf.models import BertClassifier
from tinybert_tf.models.served_outputs import served_files
from tinybert_tf.quantization import QuantizedStudent
from tinybert_tf.recipes import RECIPES, check_recipe


def to_tflite(
    model,
    path,
    recipe="dynamic_wi8_afp32",
    static_length=None,
    tokenizer_in_graph=False,
    examples=None,
    file_settings=None,
):
    """Writes a model with a head as a .tflite file.

    The file has one signature, `serving_default`, with int32 inputs `ids`, `mask`, `segment_ids` of
    shape `(1, length)`, any length, and float32 outputs: `probabilities` or, for regression,
    `score`, `(1, num_labels)`; for spans `start_logits` and `end_logits`, `(1, length)`; for
    tagging `tag_logits`, `(1, length, num_labels)`. Texts beyond the model's greatest length lose
    the tokens before the last; ids outside the vocabulary count as the nearest one in it. A zip at
    the file's end holds `labels.txt`, `vocab.txt` and `tinybert_tf.json`, which
    `tinybert_tf.edge.EdgeModel` reads; metadata tell the same to MediaPipe and Task Library.

    Args:
        model: `BertClassifier`, `BertSpanLabeler` or `BertTokenClassifier` with a vocabulary,
            computing in float32.
        path: str or path-like, the file to write; replaced as a whole if it is there.
        recipe: str, a key of `RECIPES`: how numbers are stored.
        static_length: int, the one length in tokens that the inputs have, for hardware that asks
            for it; `None` for any, or for the recipe's own. Shorter texts are padded, with a mask
            of 0.
        tokenizer_in_graph: bool, whether the file takes text, one string tensor `text` of shape
            `(1,)`, and tokenizes it with operators of tensorflow-text. All others are built in. It
            runs only where these are registered, as in TensorFlow's `InterpreterWithCustomOps`.
        examples: `Examples` of the task, some hundred, for recipes that measure the ranges of
            activations on them; others leave them alone.
        file_settings: function from the path of the file, before it takes the place of `path`, to
            a dict of what else `tinybert_tf.json` shall hold; see `Calibration`.

    Returns:
        dict with `path`, `recipe` and `size_bytes`.

    Raises:
        ValueError: As `check_export`, or if the recipe lacks its examples.

    Example:
        to_tflite(student, "sst2.tflite", recipe="float32")

    Note:
        The tokenizer in the file takes single texts, and is BERT's for ASCII without control
        characters. Beyond that it is tensorflow-text's `FastBertTokenizer`, which has BERT's tokens
        for accents, ideographs and most scripts, but puts a space where BERT deletes an invisible
        character, and rewrites compatibility characters as NFKC does: "…" is read as "...". Words
        over 100 bytes are [UNK], where BERT counts characters: 40 Thai letters have 120 bytes. Have
        the caller remove the first; the others cannot be helped outside the file.
    """
    check_export(model, recipe, static_length, tokenizer_in_graph)
    if static_length is None and RECIPES[recipe].static_length is not None:
        static_length = min(RECIPES[recipe].static_length, model.config.max_sequence_length)
    function = text_function(model) if tokenizer_in_graph else ids_function(model, static_length)
    content = _convert(function, RECIPES[recipe])
    if RECIPES[recipe].tool == "quantizer":
        content = _quantize(content, recipe, model, static_length, examples)
    content = add_metadata(content, model)
    settings = _file_settings(recipe, static_length, tokenizer_in_graph)
    with atomic_file(path) as temporary:
        _write(temporary, content, model, settings)
        if file_settings is not None:
            _write(temporary, content, model, settings | file_settings(temporary))
        size_bytes = temporary.stat().st_size
    return {"path": str(path), "recipe": recipe, "size_bytes": size_bytes}


def check_export(model, recipe, static_length=None, tokenizer_in_graph=False):
    """Checks whether a model can be exported; arguments as for `to_tflite`.

    Raises:
        ValueError: If the recipe is unknown, the model has no head or no vocabulary or does not
            compute in float32, `static_length` is out of range, or the tokenizer is asked for with
            a static length, or for spans or tags, whose places only the caller's tokens tell.
    """
    check_recipe(recipe)
    _check_model(model)
    if tokenizer_in_graph:
        _check_text_graph(model, recipe, static_length)
    if static_length is not None:
        _check_length(model, static_length)


def _check_model(model):
    if isinstance(model, QuantizedStudent):
        raise ValueError(
            "The model is a QuantizedStudent, which only trains. Pass `student.bake()`, which "
            "writes the rounded weights into its student and returns it."
        )
    if getattr(model, "labels", None) is None:
        raise ValueError(
            "The model has no head. Fine-tune or distil it on a task before exporting it."
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


def _check_text_graph(model, recipe, static_length):
    if static_length is not None:
        raise ValueError(
            f"`static_length` is {static_length}, but a file that tokenizes takes text of any "
            "length. Leave out one of `static_length` and `tokenizer_in_graph`."
        )
    if RECIPES[recipe].static_length is not None:
        raise ValueError(
            f'Recipe "{recipe}" fixes the length, but a file that tokenizes takes text of any '
            "length. Choose another recipe, or leave out `tokenizer_in_graph`."
        )
    if model.problem not in BertClassifier.problems:
        raise ValueError(
            f"The model is for {model.problem}, whose answers are places among the caller's "
            "tokens. Export it without `tokenizer_in_graph`."
        )


def _check_length(model, static_length):
    longest = model.config.max_sequence_length
    if not 3 <= static_length <= longest:
        raise ValueError(
            f"`static_length` is {static_length}, expected 3 to {longest}, which is all that the "
            "model has positions for."
        )


def _convert(function, recipe):
    """A function as the bytes of a TFLite model: float32, unless the recipe is the converter's."""
    settings = recipe.settings if recipe.tool == "converter" else {}
    module = tf.Module()
    module.serve = function
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    types = settings.get("supported_types", ())
    converter.target_spec.supported_types = [tf.as_dtype(name) for name in types]
    converter.optimizations = [tf.lite.Optimize(name) for name in settings.get("optimizations", ())]
    per_tensor = settings.get("per_tensor", False)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = per_tensor
    # Tokenizing is not among the operators built in.
    converter.allow_custom_ops = concrete.inputs[0].dtype == tf.string
    return converter.convert()


def _quantize(content, recipe, model, static_length, examples):
    from tinybert_tf.export.quantizer import quantize  # takes seconds to import

    file, inputs = read_model(content), None
    name_tensors(file)  # by which the quantizer knows the outputs
    if RECIPES[recipe].needs_examples and examples is not None:
        inputs = example_inputs(model, examples, static_length)
    return quantize(write_model(file), recipe, inputs)


def _file_settings(recipe, static_length, tokenizer_in_graph):
    """What `tinybert_tf.json` holds beside what is the model's."""
    settings = {"recipe": recipe}
    if static_length is not None:
        settings["max_sequence_length"] = static_length
    if tokenizer_in_graph:
        settings["tokenizer_in_graph"] = True
    return settings


def _write(path, content, model, settings):
    """Writes the model and behind it the zip: uncompressed, so that a phone can map its files."""
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        for name, text in served_files(model, **settings).items():
            archive.writestr(zipfile.ZipInfo(name), text)
