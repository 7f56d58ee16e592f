import struct
import time

import pytest

from tinybert_tf.edge.flatbuffer import is_whole


def runtime_accepts(content):
    """What ai-edge-litert's own verifier says; older runtimes have none and crash."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    try:
        interpreter.Interpreter(model_content=content)
    except ValueError:
        return False
    return True


def test_whole_file(tiny_bytes):
    assert is_whole(tiny_bytes)
    assert is_whole(tiny_bytes + b"something behind it")


def test_every_cut_is_judged_as_the_runtime_judges_it(tiny_bytes):
    assert runtime_accepts(tiny_bytes)
    for size in range(1, len(tiny_bytes), 3):
        assert is_whole(tiny_bytes[:size]) == runtime_accepts(tiny_bytes[:size]), size


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" * 5])
def test_garbage(content):
    assert not is_whole(content)


@pytest.mark.parametrize("position", range(0, 80, 4))
def test_wild_offsets_are_read_without_error(tiny_bytes, position):
    for value in (-1, 2**31 - 1, -(2**31)):
        damaged = bytearray(tiny_bytes)
        struct.pack_into("<i", damaged, position, value)
        assert is_whole(bytes(damaged)) in (True, False)


@pytest.fixture(name="schema")
def import_schema():
    pytest.importorskip("flatbuffers")
    return pytest.importorskip("ai_edge_litert.schema_py_generated")


def packed(model):
    import flatbuffers

    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_weights_behind_the_flatbuffer_count(schema):
    outside = schema.BufferT()
    outside.offset, outside.size = 4000, 96
    model = schema.ModelT()
    model.version, model.buffers = 3, [outside]
    content = packed(model).ljust(4096, b"\0")
    assert is_whole(content)
    assert not is_whole(content[:-1])


def test_a_number_outside_its_table(schema):
    model, graph, tensor = schema.ModelT(), schema.SubGraphT(), schema.TensorT()
    tensor.shape, tensor.type = [1], 1
    graph.tensors, model.subgraphs = [tensor], [graph]
    content = bytearray(packed(model))
    table = schema.Model.GetRootAs(content).Subgraphs(0).Tensors(0)._tab.Pos
    vtable = table - struct.unpack_from("<i", content, table)[0]
    table_size, _, place_of_type = struct.unpack_from("<3H", content, vtable + 2)
    for place in (place_of_type, table_size - 1, table_size, 0xFFF0):
        struct.pack_into("<H", content, vtable + 6, place)
        assert is_whole(bytes(content)) == (place < table_size)


def table(num_fields):
    """A vtable and, behind it, its table, whose last field points to what follows."""
    head = 4 + 2 * num_fields
    vtable = struct.pack(f"<{2 + num_fields}H", head, 8, *[0] * (num_fields - 1), 4)
    return vtable + struct.pack("<iI", head, 4)


def pointers(count, further):
    """A vector of pointers, all to what lies `further` bytes behind its end."""
    return struct.pack(f"<{count + 1}I", count, *(4 * (count - i) + further for i in range(count)))


def shared(count):
    """A model of which all subgraphs are one and the same, and all tensors of that are."""
    head, no_shape = struct.pack("<I4s", 8 + 10, b"TFL3"), bytes(4)
    graphs = table(3) + pointers(count, further=6)
    return head + graphs + table(1) + pointers(count, further=6) + table(1) + no_shape


def test_tables_that_are_pointed_to_again_and_again():
    assert is_whole(shared(1))
    start = time.process_time()
    assert not is_whole(shared(5000))  # of 40 kB
    assert time.process_time() - start < 5
