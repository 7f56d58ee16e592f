"""Edits of a .tflite model that quantization needs before and after it."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_CODES = schema.BuiltinOperator
_OPERATORS = {code: name for name, code in vars(_CODES).items()}
_TYPES = {code: name for name, code in vars(schema.TensorType).items()}
# Smaller tables stay in float32, as TensorFlow's converter leaves them.
_SMALLEST_TABLE = 1024
# Operator -> type of the deciding tensor -> first version that knows it; other types were there
# from version 1 on. As TensorFlow Lite's tools/versioning/op_version.cc has them.
_VERSIONS = {
    "ADD": {"INT8": 2, "INT16": 3},
    "BATCH_MATMUL": {"INT8": 2, "INT16": 3},
    "CONCATENATION": {"INT8": 2, "INT16": 3},
    "DEQUANTIZE": {"INT8": 2, "INT16": 3, "FLOAT16": 3, "INT4": 6},
    "EMBEDDING_LOOKUP": {"INT8": 4, "INT4": 4},
    "FULLY_CONNECTED": {"INT8": 4, "INT16": 7},
    "GATHER": {"INT8": 2, "INT16": 4},
    "GELU": {"INT8": 2},
    "LOGISTIC": {"INT8": 2, "INT16": 3},
    "MEAN": {"INT8": 2, "INT16": 3},
    "MUL": {"INT8": 3, "INT16": 4},
    "QUANTIZE": {"INT16": 2},
    "RELU": {"INT8": 2, "INT16": 3},
    "RSQRT": {"INT8": 2, "INT16": 3},
    "SLICE": {"INT8": 2, "INT16": 4},
    "SOFTMAX": {"INT8": 2, "INT16": 3},
    "SPLIT": {"INT8": 2, "INT16": 4},
    "SQUARED_DIFFERENCE": {"INT8": 2},
    "STRIDED_SLICE": {"INT8": 2},
    "SUB": {"INT8": 2, "INT16": 5},
    "TANH": {"INT8": 2, "INT16": 3},
    "TRANSPOSE": {"INT8": 2, "INT16": 5},
}
# Where the deciding tensor is not the first input.
_DECIDING = {
    "EMBEDDING_LOOKUP": lambda operator: operator.inputs[1],
    "QUANTIZE": lambda operator: operator.outputs[0],
    "SPLIT": lambda operator: operator.inputs[1],
}


def read_model(content):
    """Unpacks a .tflite model.

    Args:
        content: bytes of the model; what stands behind it, such as a zip, is dropped.

    Returns:
        `ai_edge_litert.schema_py_generated.ModelT`, its weights in its buffers wherever they stood.
    """
    return flatbuffer_utils.read_model_from_bytearray(content)


def write_model(model):
    """Packs a .tflite model.

    The schema's own classes lay weights at multiples of 4; runtimes may count on 16.

    Args:
        model: `ModelT`, as `read_model` gives it, of less than 2 GB.

    Returns:
        bytes, the weights inside the flatbuffer, where runtimes of any age find them.
    """
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


class _AlignedBuffer(schema.BufferT):
    def __init__(self, data):
        super().__init__(None if data is None else np.frombuffer(data, np.uint8))

    def Pack(self, builder):
        if self.data is not None:
            builder.Prep(16, self.data.size)
        return super().Pack(builder)


def operator_name(model, operator):
    """Returns the name of an `OperatorT` of a model, such as "FULLY_CONNECTED"."""
    return _OPERATORS[model.operatorCodes[operator.opcodeIndex].builtinCode]


def constant(model, tensor):
    """Returns a float32 array, what a `TensorT` of a model holds; `None` if that is no constant."""
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != schema.TensorType.FLOAT32:
        return None
    return np.frombuffer(data, np.float32).reshape(tensor.shape)


def use_embedding_lookups(content):
    """Puts EMBEDDING_LOOKUP in the place of GATHER, which AI Edge Quantizer leaves in float.

    Args:
        content: bytes of a float .tflite model.

    Returns:
        bytes of the model where rows of a constant float32 table of at least 1024 numbers, gathered
        by a vector of ids, are looked up instead.
    """
    model = read_model(content)
    model.operatorCodes.append(
        schema.OperatorCodeT(_CODES.EMBEDDING_LOOKUP, builtinCode=_CODES.EMBEDDING_LOOKUP)
    )
    for graph in model.subgraphs:
        for operator in graph.operators:
            if _is_embedding(model, graph, operator):
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.inputs = operator.inputs[::-1]
                operator.builtinOptions, operator.builtinOptionsType = None, 0
    return write_model(model)


def _is_embedding(model, graph, operator):
    if operator_name(model, operator) != "GATHER":
        return False
    table, ids = (graph.tensors[index] for index in operator.inputs)
    options, values = operator.builtinOptions, constant(model, table)
    ranks = len(table.shape), len(ids.shape)
    fits = (options.axis, options.batchDims, *ranks) == (0, 0, 2, 1)
    return fits and values is not None and values.size >= _SMALLEST_TABLE


def set_versions(content):
    """Gives operators the version that their types ask for.

    AI Edge Quantizer leaves all at 1. A runtime that is too old for them refuses a higher version;
    version 1 it runs, and answers with garbage.

    Args:
        content: bytes of a .tflite model.

    Returns:
        bytes of the model with the true versions, none lower than it was.
    """
    model = read_model(content)
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            version = _version(operator_name(model, operator), graph.tensors, operator)
            code.version = max(code.version, version)
    return write_model(model)


def _version(name, tensors, operator):
    if not len(operator.inputs):
        return 1
    deciding = tensors[_DECIDING.get(name, _first_input)(operator)]
    if name == "FULLY_CONNECTED":
        return _dense_version(deciding, tensors[operator.inputs[1]], operator)
    if name == "DEQUANTIZE" and _TYPES[deciding.type] == "INT8" and _is_per_channel(deciding):
        return 5
    return _VERSIONS.get(name, {}).get(_TYPES[deciding.type], 1)


def _first_input(operator):
    return operator.inputs[0]


def _dense_version(inputs, weights, operator):
    """Of a dense layer: by the types of inputs and weights."""
    types = _TYPES[inputs.type], _TYPES[weights.type]
    if types == ("FLOAT32", "INT8"):
        asymmetric = operator.builtinOptions.asymmetricQuantizeInputs
        return 12 if _is_per_channel(weights) else 9 if asymmetric else 3
    by_int4 = {"FLOAT32": 12, "INT8": 10, "INT16": 13}
    if types[1] == "INT4":
        return by_int4[types[0]]
    return _VERSIONS["FULLY_CONNECTED"].get(types[0], 1)


def _is_per_channel(tensor):
    return len(tensor.quantization.scale) > 1
