import struct
import types

import flatbuffers.table
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.interpreter import load_interpreter
from tinybert_tf.export.metadata import add_metadata, read_metadata
from tinybert_tf.export.metadata_format import IDENTIFIER, decode, encode

IDS = [[3, 1, 4, 1, 5]]
MASK = [[1, 1, 1, 1, 0]]
SEGMENT_IDS = [[0, 0, 1, 1, 1]]
WEIGHTS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)


def a_model(problem="classification"):
    return types.SimpleNamespace(
        problem=problem, config=types.SimpleNamespace(num_layers=2, hidden_dim=8)
    )


def convert(**outputs):
    """A file of the function that gives each output its multiple of (ids + 2 mask + 3 segments)."""
    names = ("segment_ids", "mask", "ids")  # Not the order in which they shall stand.

    @tf.function(input_signature=[tf.TensorSpec((1, None), tf.int32, name=n) for n in names])
    def serve(segment_ids, mask, ids):
        row = tf.cast(ids + 2 * mask + 3 * segment_ids, tf.float32)
        row = tf.gather(tf.constant(WEIGHTS), tf.clip_by_value(tf.cast(row, tf.int32), 0, 4))
        return {name: times * row for name, times in outputs.items()}

    function = serve.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert()


def expected(times):
    rows = np.array(IDS) + 2 * np.array(MASK) + 3 * np.array(SEGMENT_IDS)
    return times * WEIGHTS[rows.clip(0, 4)]


@pytest.fixture(scope="module", name="content")
def make_content():
    return convert(probabilities=2)


@pytest.fixture(scope="module", name="described")
def make_described(content):
    return add_metadata(content, a_model())


@pytest.fixture(name="path")
def make_path(described, tmp_path):
    path = tmp_path / "described.tflite"
    path.write_bytes(described)
    return path


def rewritten(content, change):
    """The content of a file after `change` did something to its `ModelT`."""
    file = schema.ModelT.InitFromPackedBuf(content)
    change(file)
    builder = flatbuffers.Builder()
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def buffer_of(file):
    (entry,) = (entry for entry in file.metadata if entry.name == b"TFLITE_METADATA")
    return file.buffers[entry.buffer]


def test_what_the_file_says(path):
    metadata = read_metadata(path)
    (graph,) = metadata.pop("subgraph_metadata")
    assert metadata == {
        "name": "BERT for classification",
        "description": "BERT of 2 layers, 8 wide, for classification.",
        "version": "1",
        "min_parser_version": "1.1.0",
    }
    names = [tensor["name"] for tensor in graph["input_tensor_metadata"]]
    assert names == ["ids", "mask", "segment_ids"]
    (unit,) = graph["input_process_units"]
    (vocabulary,) = unit["options"]["vocab_file"]
    assert (unit["options_type"], vocabulary["name"], vocabulary["type"]) == (4, "vocab.txt", 5)
    (output,) = graph["output_tensor_metadata"]
    (labels,) = output["associated_files"]
    assert (output["name"], labels["name"], labels["type"]) == ("probability", "labels.txt", 2)
    assert "process_units" not in output


def test_inputs_are_the_first_tensors_and_in_order(described):
    file = schema.ModelT.InitFromPackedBuf(described)
    (graph,) = file.subgraphs
    assert list(graph.inputs) == [0, 1, 2]
    assert [tensor.name for tensor in graph.tensors[:3]] == [b"ids", b"mask", b"segment_ids"]
    assert [graph.tensors[index].name for index in graph.outputs] == [b"probabilities"]


def test_the_answers_stay(path):
    output = EdgeModel(path).run(IDS, MASK, SEGMENT_IDS)["probabilities"]
    np.testing.assert_array_equal(output, expected(2))


def test_spans_keep_their_order_and_have_no_labels(tmp_path):
    path = tmp_path / "spans.tflite"
    path.write_bytes(add_metadata(convert(end_logits=3, start_logits=2), a_model("spans")))
    (graph,) = read_metadata(path)["subgraph_metadata"]
    assert [output["name"] for output in graph["output_tensor_metadata"]] == [
        "start_logits",
        "end_logits",
    ]
    assert not any("associated_files" in output for output in graph["output_tensor_metadata"])
    details = load_interpreter(path).get_output_details()
    assert [output["name"] for output in details] == ["start_logits", "end_logits"]
    outputs = EdgeModel(path).run(IDS, MASK, SEGMENT_IDS)
    np.testing.assert_array_equal(outputs["start_logits"], expected(2))
    np.testing.assert_array_equal(outputs["end_logits"], expected(3))


def test_every_buffer_is_aligned(described):
    model = schema.Model.GetRootAs(described)
    start = np.frombuffer(described, np.uint8).ctypes.data
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    places = [b.DataAsNumpy().ctypes.data - start for b in buffers if not b.DataIsNone()]
    assert len(places) > 2 and not any(place % 16 for place in places)


def test_other_entries_stay_and_the_own_one_is_replaced(described, content):
    again = schema.ModelT.InitFromPackedBuf(add_metadata(described, a_model("tagging")))
    names = [entry.name for entry in again.metadata]
    before = [entry.name for entry in schema.ModelT.InitFromPackedBuf(content).metadata]
    assert names == [*before, b"TFLITE_METADATA"]
    assert decode(bytes(buffer_of(again).data))["name"] == "BERT for tagging"


def test_flatbuffers_own_reader_finds_the_name(described):
    block = bytes(buffer_of(schema.ModelT.InitFromPackedBuf(described)).data)
    assert block[4:8] == IDENTIFIER
    table = flatbuffers.table.Table(block, struct.unpack_from("<I", block)[0])
    assert table.String(table.Pos + table.Offset(4)) == b"BERT for classification"
    assert table.String(table.Pos + table.Offset(18)) == b"1.1.0"


def test_a_file_without_metadata(content, tmp_path):
    path = tmp_path / "plain.tflite"
    path.write_bytes(content)
    assert read_metadata(path) is None


def test_metadata_behind_the_flatbuffer_are_found(described, tmp_path):
    path, block = tmp_path / "behind.tflite", encode({"name": "far"})

    def move(file):
        buffer = buffer_of(file)
        buffer.data, buffer.size, buffer.offset = None, len(block), 1 << 20

    path.write_bytes(rewritten(described, move).ljust(1 << 20, b"\0") + block)
    assert read_metadata(path) == {"name": "far"}


def test_a_block_of_another_kind_is_refused(described, tmp_path):
    def spoil(file):
        buffer_of(file).data = np.frombuffer(encode({}).replace(b"M001", b"X001"), np.uint8)

    path = tmp_path / "other.tflite"
    path.write_bytes(rewritten(described, spoil))
    with pytest.raises(
        ValueError, match=r"other.tflite: its metadata are not marked as such: M001"
    ):
        read_metadata(path)


def test_a_buffer_that_is_not_there_is_refused(described, tmp_path):
    def spoil(file):
        file.metadata[-1].buffer = 999

    path = tmp_path / "astray.tflite"
    path.write_bytes(rewritten(described, spoil))
    with pytest.raises(ValueError, match=r"astray.tflite: .*buffer 999, which is not there"):
        read_metadata(path)


def test_a_cut_block_is_refused(described, tmp_path):
    def spoil(file):
        buffer_of(file).data = buffer_of(file).data[:40]

    path = tmp_path / "cut.tflite"
    path.write_bytes(rewritten(described, spoil))
    with pytest.raises(ValueError, match=r"cut.tflite: its metadata are a broken flatbuffer"):
        read_metadata(path)


def test_a_changed_block_is_read_or_refused_and_nothing_else(described):
    block = bytes(buffer_of(schema.ModelT.InitFromPackedBuf(described)).data)
    chance, refused = np.random.default_rng(0), 0
    for _ in range(1_000):
        broken = bytearray(block)
        broken[chance.integers(len(block))] = chance.integers(256)
        try:
            decode(bytes(broken))
        except ValueError:
            refused += 1
    assert 0 < refused < 1_000


def test_a_block_that_repeats_itself_is_refused():
    """Vectors whose elements are all the same table would unfold to billions."""
    builder = flatbuffers.Builder()
    builder.StartObject(5)
    table = builder.EndObject()
    slots = {"associated_files": 6, "input_tensor_metadata": 2, "subgraph_metadata": 3}
    for slot in slots.values():
        builder.StartVector(4, 1_000, 4)
        for _ in range(1_000):
            builder.PrependUOffsetTRelative(table)
        vector = builder.EndVector()
        builder.StartObject(8)
        builder.PrependUOffsetTRelativeSlot(slot, vector, 0)
        table = builder.EndObject()
    builder.Finish(table, IDENTIFIER)
    with pytest.raises(ValueError, match="broken flatbuffer"):
        decode(bytes(builder.Output()))
