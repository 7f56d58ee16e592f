"""What a .tflite file says about itself to programs that never heard of this package."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinybert_tf.edge.flatbuffer import map_file
from tinybert_tf.edge.interpreter import INPUT_NAMES, check_file
from tinybert_tf.export.flatbuffer_edits import read_model, write_model
from tinybert_tf.export.metadata_format import IDENTIFIER, decode, encode
from tinybert_tf.export.tensor_names import name_tensors

_ENTRY = "TFLITE_METADATA"
_MIN_PARSER_VERSION = "1.1.0"  # the first that knows a BERT's tokenizer
_TENSOR_AXIS_LABELS, _VOCABULARY = 2, 5  # AssociatedFileType
_BERT_TOKENIZER = 4  # ProcessUnitOptions
_DESCRIPTIONS = {
    "ids": "Ids of the word-pieces, [CLS] first and [SEP] last.",
    "mask": "1 at real tokens, 0 at padding.",
    "segment_ids": "0 up to the first [SEP], 1 in the second text of a pair.",
    "text": "One text, UTF-8.",
    "probabilities": "How likely each label is.",
    "score": "What the text, or pair of texts, was rated.",
    "start_logits": "How well an answer starts at each token.",
    "end_logits": "How well an answer ends at each token.",
    "tag_logits": "How well each tag fits each token.",
}
_LABELLED = ("probabilities", "score", "tag_logits")
# The name under which Task Library 0.4.4 looks for the output; it crashes where there is no such.
_TASK_LIBRARY_NAMES = {"probabilities": "probability"}


def add_metadata(content, model):
    """Names and orders the tensors of a .tflite file and writes what it is into it.

    MediaPipe's `TextClassifier` and Task Library's `BertNLClassifier` read from it which tokenizer
    the text needs and what the outputs mean. They look for `vocab.txt` and `labels.txt` in a zip
    behind the file, which is not added here.

    Args:
        content: bytes of a .tflite file with one subgraph and a signature. A zip at its end is not
            kept.
        model: the model with a head that it was made of.

    Returns:
        bytes of the file anew: tensors named and ordered as in its signature, weights aligned.

    Example:
        path.write_bytes(add_metadata(converter.convert(), student))
    """
    file = read_model(content)
    inputs, outputs = name_tensors(file)
    metadata = _describe(model, inputs, outputs)
    file.description = metadata["description"]
    file.metadata = [entry for entry in file.metadata or [] if entry.name != _ENTRY.encode()]
    file.metadata.append(schema.MetadataT(_ENTRY, len(file.buffers)))
    file.buffers.append(schema.BufferT(np.frombuffer(encode(metadata), np.uint8)))
    return write_model(file)


def read_metadata(path):
    """Reads the metadata of a .tflite file, whoever wrote them.

    Args:
        path: str or path-like, the .tflite file.

    Returns:
        Dict of `ModelMetadata`, with the schema's names; `None` if the file has none.

    Raises:
        ValueError: If the file is missing, no whole TFLite file, or its metadata are broken.
    """
    check_file(path)
    try:
        block = _find_block(memoryview(map_file(path)))
        return None if block is None else decode(block)
    except ValueError as error:
        raise ValueError(f"{path}: its metadata are {error}.") from error


def _describe(model, inputs, outputs):
    config = model.config
    graph = {
        "name": "serving_default",
        "input_tensor_metadata": [_tensor(name) for name in inputs],
        "output_tensor_metadata": [_output(name) for name in outputs],
    }
    if inputs == [*INPUT_NAMES]:
        vocabulary = {
            "name": "vocab.txt",
            "description": "Word-pieces in the order of their ids.",
            "type": _VOCABULARY,
        }
        tokenizer = {"options_type": _BERT_TOKENIZER, "options": {"vocab_file": [vocabulary]}}
        graph["input_process_units"] = [tokenizer]
    return {
        "name": f"BERT for {model.problem}",
        "description": (
            f"BERT of {config.num_layers} layers, {config.hidden_dim} wide, for {model.problem}."
        ),
        "version": "1",
        "subgraph_metadata": [graph],
        "min_parser_version": _MIN_PARSER_VERSION,
    }


def _tensor(name):
    return {"name": _TASK_LIBRARY_NAMES.get(name, name), "description": _DESCRIPTIONS[name]}


def _output(name):
    labels = {
        "name": "labels.txt",
        "description": "What each number is for, in order.",
        "type": _TENSOR_AXIS_LABELS,
    }
    return _tensor(name) | {"associated_files": [labels] if name in _LABELLED else None}


def _find_block(data):
    """The metadata in a .tflite file that is whole; `None` if there are none."""
    model = decode(data, "Model")
    numbers = [
        entry.get("buffer", 0) for entry in model.get("metadata", ()) if entry.get("name") == _ENTRY
    ]
    if not numbers:
        return None
    if numbers[0] >= len(model.get("buffers", ())):
        raise ValueError(f"said to be in buffer {numbers[0]}, which is not there")
    buffer = model["buffers"][numbers[0]]
    start = buffer.get("offset", 0)
    block = buffer.get("data", data[start : start + buffer.get("size", 0)])
    if block[4:8] != IDENTIFIER:
        raise ValueError(f"not marked as such: {IDENTIFIER.decode()} is not at their byte 4")
    return block
