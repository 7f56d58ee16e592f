import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from float_models import dense_model

from tinybert_tf.export.flatbuffer_edits import (
    constant,
    operator_name,
    read_model,
    set_versions,
    use_embedding_lookups,
    write_model,
)

TYPES = schema.TensorType


@pytest.fixture(scope="module", name="table")
def make_table():
    return np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)


@pytest.fixture(scope="module", name="content")
def make_content(table):
    kernel = np.random.default_rng(1).normal(size=(16, 8))
    return dense_model(kernel, table)


def names(model):
    return [operator_name(model, operator) for operator in model.subgraphs[0].operators]


def answer(content, ids):
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    ids = np.array([ids], np.int32)
    return runner(ids=ids, mask=np.ones_like(ids), segment_ids=np.zeros_like(ids))["score"]


def test_packing_keeps_the_model(content):
    ids = [3, 60, 5, 0]
    packed = write_model(read_model(content))
    np.testing.assert_array_equal(answer(packed, ids), answer(content, ids))
    assert read_model(packed).signatureDefs[0].signatureKey == b"serving_default"


def test_weights_lie_at_multiples_of_16(content):
    packed = write_model(read_model(content))
    buffers = schema.Model.GetRootAs(packed)
    large = [
        buffers.Buffers(place).DataAsNumpy()
        for place in range(buffers.BuffersLength())
        if not buffers.Buffers(place).DataIsNone()
    ]
    start = np.frombuffer(packed, np.uint8).ctypes.data
    assert len(large) > 2
    assert {(data.ctypes.data - start) % 16 for data in large} == {0}


def test_what_stands_behind_the_model_is_dropped(content):
    assert write_model(read_model(content + b"PK, a zip")) == write_model(read_model(content))


def test_a_large_table_is_looked_up_in(content, table):
    model = read_model(use_embedding_lookups(content))
    assert "GATHER" in names(read_model(content))
    assert "GATHER" not in names(model)
    (graph,) = model.subgraphs
    lookup = graph.operators[names(model).index("EMBEDDING_LOOKUP")]
    ids, rows = (graph.tensors[index] for index in lookup.inputs)
    assert ids.type == TYPES.INT32 and len(ids.shape) == 1
    np.testing.assert_array_equal(constant(model, rows), table)


def test_looking_up_is_gathering(content):
    for ids in ([1, 63], [7], [0, 0, 9, 2]):
        np.testing.assert_array_equal(
            answer(use_embedding_lookups(content), ids), answer(content, ids)
        )


def test_a_small_table_is_left_alone():
    content = dense_model(np.ones((16, 8)), np.ones((63, 16)))
    assert "GATHER" in names(read_model(use_embedding_lookups(content)))


def test_a_gather_of_something_else_is_left_alone(content):
    model = read_model(content)
    gather = model.subgraphs[0].operators[names(model).index("GATHER")]
    gather.builtinOptions.axis = 1
    assert "GATHER" in names(read_model(use_embedding_lookups(write_model(model))))


def tensor(kind, scales=0):
    quantization = schema.QuantizationParametersT(scale=[1.0] * scales)
    return schema.TensorT(shape=[2, 2], type=getattr(TYPES, kind), quantization=quantization)


def version(operator, *tensors, old=1, options=None):
    """The version that an operator with these tensors, the last of them its output, gets."""
    code = getattr(schema.BuiltinOperator, operator)
    last = len(tensors) - 1
    step = schema.OperatorT(inputs=list(range(last)), outputs=[last])
    step.builtinOptions, step.builtinOptionsType = options or (None, 0)
    graph = schema.SubGraphT(tensors=list(tensors), operators=[step], inputs=[], outputs=[])
    codes = [schema.OperatorCodeT(min(code, 127), version=old, builtinCode=code)]
    model = schema.ModelT(3, codes, [graph], buffers=[schema.BufferT()])
    return read_model(set_versions(write_model(model))).operatorCodes[0].version


def dense(asymmetric=False):
    options = schema.FullyConnectedOptionsT(asymmetricQuantizeInputs=asymmetric)
    return options, schema.BuiltinOptions.FullyConnectedOptions


@pytest.mark.parametrize(
    ("inputs", "weights", "scales", "asymmetric", "expected"),
    [
        ("FLOAT32", "FLOAT32", 0, False, 1),
        ("FLOAT32", "INT8", 1, False, 3),
        ("FLOAT32", "INT8", 1, True, 9),
        ("FLOAT32", "INT8", 2, True, 12),
        ("FLOAT32", "INT4", 2, False, 12),
        ("INT8", "INT8", 2, False, 4),
        ("INT8", "INT4", 2, False, 10),
        ("INT16", "INT8", 2, False, 7),
        ("INT16", "INT4", 2, False, 13),
    ],
)
def test_versions_of_dense(inputs, weights, scales, asymmetric, expected):
    tensors = tensor(inputs, 1), tensor(weights, scales), tensor(inputs, 1)
    assert version("FULLY_CONNECTED", *tensors, options=dense(asymmetric)) == expected


@pytest.mark.parametrize(
    ("operator", "kinds", "expected"),
    [
        ("ADD", ("INT8", "INT8", "INT8"), 2),
        ("ADD", ("INT16", "INT16", "INT16"), 3),
        ("BATCH_MATMUL", ("INT8", "INT8", "INT8"), 2),
        ("DEQUANTIZE", ("INT8", "FLOAT32"), 2),
        ("DEQUANTIZE", ("INT4", "FLOAT32"), 6),
        ("DEQUANTIZE", ("FLOAT16", "FLOAT32"), 3),
        ("EMBEDDING_LOOKUP", ("INT32", "FLOAT32", "FLOAT32"), 1),
        ("EMBEDDING_LOOKUP", ("INT32", "INT8", "FLOAT32"), 4),
        ("EMBEDDING_LOOKUP", ("INT32", "INT4", "FLOAT32"), 4),
        ("GELU", ("INT8", "INT8"), 2),
        ("QUANTIZE", ("FLOAT32", "INT8"), 1),
        ("QUANTIZE", ("FLOAT32", "INT16"), 2),
        ("RSQRT", ("INT16", "INT16"), 3),
        ("SOFTMAX", ("FLOAT32", "FLOAT32"), 1),
        ("SPLIT", ("INT32", "INT8", "INT8"), 2),
        ("SUB", ("INT16", "INT16", "INT16"), 5),
    ],
)
def test_versions_of_others(operator, kinds, expected):
    assert version(operator, *map(tensor, kinds)) == expected


def test_version_of_unpacking_each_channel():
    assert version("DEQUANTIZE", tensor("INT8", 2), tensor("FLOAT32")) == 5


def test_no_version_goes_down():
    assert version("ADD", *[tensor("INT8")] * 3, old=4) == 4


def test_versions_are_those_of_the_converter(files):
    """TensorFlow's converter counts them itself: setting them again changes nothing."""
    with open(files["dynamic_wi8_afp32"], "rb") as file:
        content = file.read()
    model = read_model(content)
    expected = [(code.builtinCode, code.version) for code in model.operatorCodes]
    for code in model.operatorCodes:
        code.version = 1
    found = read_model(set_versions(write_model(model))).operatorCodes
    assert [(code.builtinCode, code.version) for code in found] == expected
    assert max(version for _, version in expected) == 12
