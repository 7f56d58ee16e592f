import struct

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


def test_weights_behind_the_flatbuffer_count():
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    outside = schema.BufferT()
    outside.offset, outside.size = 4000, 96
    model = schema.ModelT()
    model.version, model.buffers = 3, [outside]
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    content = bytes(builder.Output()).ljust(4096, b"\0")
    assert is_whole(content)
    assert not is_whole(content[:-1])
