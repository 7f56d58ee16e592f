"""After which layer a .tflite file's activations leave its model's."""

import contextlib
import pathlib
import struct
import tempfile

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinybert_tf.edge import EdgeModel
from tinybert_tf.export.flatbuffer_edits import read_model, write_model
from tinybert_tf.export.predictor import encode_rows
from tinybert_tf.models.lean_bert import LeanBert

_NUM_ROWS = 32
# What the schema's classes raise where a table leads nowhere, of which the runtime has no need.
_DAMAGE = (AttributeError, IndexError, OverflowError, TypeError, struct.error)


def layer_errors(model, path, rows):
    """Compares what each layer gives in a .tflite file and in the model that it was made from.

    Both read the pieces that the file splits texts into; a file of a trimmed vocabulary errs by
    its numbers alone.

    Args:
        model: as for `verify`.
        path: str or path-like, a .tflite file that holds its vocabulary.
        rows: as `file_rows` gives them for the file; 32 of them, from all over, are run.

    Returns:
        List of dicts, in the order of computation: `name`, which is `embeddings`, and of each layer
        `layer_1/attention_norm` (attention, with what goes around it) and `layer_1/output_norm`
        (the layer); `relative_error`, the norm of the difference over the norm of the model's
        numbers; and `cosine`. Each is of all real tokens' numbers as one vector, or of [CLS] where
        a layer computes no other. Empty if the file does not name its activations, as older files
        do not, or is not of this model.

    Raises:
        ValueError: If a table of the file leads nowhere, or the runtime cannot run it.

    Example:
        edge_model = EdgeModel("sst2.tflite")
        layer_errors(student, edge_model.path, file_rows(edge_model, examples))[-1]["cosine"]
    """
    places = {token: place for place, token in enumerate(model.vocabulary.tokens)}
    lean, sums = _ModelActivations(model), 0
    with _named_damage(path):
        file = read_model(pathlib.Path(path).read_bytes())
        has_norms = _has_norms(file, lean.shifts)
    if not has_norms or not places.keys() >= set(rows.vocabulary.tokens):
        return []
    model_ids = np.array([places[token] for token in rows.vocabulary.tokens], np.int32)
    numbers = np.unique(np.linspace(0, rows.num_rows - 1, _NUM_ROWS).astype(int))
    with _file_activations(path, file, lean.shifts) as read_file:
        for ids, segment_ids in encode_rows(rows, numbers):
            expected, found = lean(model_ids[ids], segment_ids), read_file(ids, segment_ids)
            sums += np.array([_sums(path, expected[name], found[name]) for name in expected])
    return [_errors(name, *of_name) for name, of_name in zip(expected, sums, strict=True)]


class _ModelActivations:
    """What the layer norms of a model give.

    Args:
        model: as for `verify`.

    Attributes:
        shifts: dict from the name of each norm to its beta, float32 array `(hidden_dim,)`.

    Call:
        ids, segment_ids: int32 arrays `(length,)`.
        Returns dict, in the order of computation, from names to arrays `(tokens, hidden_dim)`.
    """

    def __init__(self, model):
        self._lean = LeanBert(model)
        self._weights = self._lean.weights()
        self.shifts = {
            name.removesuffix("/beta"): value.numpy()
            for name, value in self._weights.items()
            if name.endswith("/beta")
        }

    def __call__(self, ids, segment_ids):
        found = {}

        def watch(name, value):
            found[name] = value
            return value

        names = ("token_ids", "padding_mask", "segment_ids")
        inputs = zip(names, (ids, np.ones_like(ids), segment_ids), strict=True)
        self._lean(self._weights, {name: row[np.newaxis] for name, row in inputs}, watch)
        return {name: value.numpy() for name, value in found.items() if name in self.shifts}


@contextlib.contextmanager
def _named_damage(path):
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged: {error}. Export it again.") from error


def _has_norms(file, shifts):
    """Whether a `ModelT` has the norms of a model, by their names, as wide."""
    (graph,), end = file.subgraphs, _scaled("")
    names = {tensor.name.decode(errors="replace"): tensor.shape for tensor in graph.tensors}
    widths = {
        name.removesuffix(end): shape[-1]
        for name, shape in names.items()
        if name.endswith(end) and shape is not None and len(shape)
    }
    return widths == {name: len(shift) for name, shift in shifts.items()}


@contextlib.contextmanager
def _file_activations(path, file, shifts):
    """Gives a function of ids and segment ids to the activations of a `ModelT`, by name.

    They are made outputs of a copy: asked to keep all tensors, the runtime leaves out its fast
    kernels, and the plain ones round otherwise (of int4 weights by half a logit).
    """
    with _named_damage(path):
        tensors = _add_outputs(file, {*shifts, *map(_scaled, shifts)})
        content = write_model(file)
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "activations.tflite")
        copy.write_bytes(content)
        try:
            yield _reader(EdgeModel(copy), tensors, shifts)
        except ValueError as error:
            raise ValueError(str(error).replace(str(copy), f"a copy of {path}")) from error


def _reader(edge_model, tensors, shifts):
    def read_file(ids, segment_ids):
        outputs = edge_model.run(ids, np.ones_like(ids), segment_ids)
        found = {name: _numbers(outputs[name], tensor) for name, tensor in tensors.items()}
        # Of the last norm's beta the converter has made a part of the next dense layer's bias.
        for name in shifts.keys() - found.keys():
            found[name] = found[_scaled(name)] + shifts[name]
        return found

    return read_file


def _scaled(name):
    return f"{name}/scaled"


def _add_outputs(file, names):
    """Makes tensors outputs of a `ModelT`, by their names; returns dict from name to `TensorT`."""
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    places = {
        tensor.name.decode(errors="replace"): place for place, tensor in enumerate(graph.tensors)
    }
    found = {name: places[name] for name in names if name in places}
    graph.outputs = [*graph.outputs, *found.values()]
    signature.outputs += [schema.TensorMapT(name, place) for name, place in found.items()]
    return {name: graph.tensors[place] for name, place in found.items()}


def _numbers(values, tensor):
    """The numbers that a tensor's values stand for; float array of the same shape."""
    if values.dtype.kind == "f":
        return values
    (scale,), (zero_point,) = tensor.quantization.scale, tensor.quantization.zeroPoint
    return (values.astype(np.float64) - zero_point) * scale


def _sums(path, expected, found):
    """Sums over the tokens, of squared differences, of both's squares and of their products."""
    before, after = expected.astype(np.float64), found[: len(expected)].astype(np.float64)
    if before.shape != after.shape:
        raise ValueError(
            f"{path} is damaged: a layer gives {after.shape} numbers, its model's {before.shape}."
        )
    pairs = ((before - after,) * 2, (before, before), (after, after), (before, after))
    return [np.vdot(first, second) for first, second in pairs]


def _errors(name, difference, before, after, product):
    tiny = np.finfo(np.float64).tiny
    return {
        "name": name,
        "relative_error": float(np.sqrt(difference / max(before, tiny))),
        "cosine": float(product / max(np.sqrt(before * after), tiny)),
    }
