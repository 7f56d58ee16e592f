"""The names and places that the tensors of a .tflite file have outside of it."""

from tinybert_tf.edge.interpreter import INPUT_NAMES

# Inputs and outputs stand in a file in the order that they have here.
_ORDER = (
    *INPUT_NAMES,
    "text",
    "probabilities",
    "score",
    "start_logits",
    "end_logits",
    "tag_logits",
)


def name_tensors(file):
    """Gives inputs and outputs the names that they have in the signature, and an order.

    The converter names them "serving_default_ids:0", "PartitionedCall:1", and orders them as it
    likes.

    Args:
        file: `ModelT` with one subgraph and one signature; changed in place.

    Returns:
        The names of the inputs and those of the outputs, lists of str in their order.

    Note:
        The inputs become the file's first tensors: MediaPipe 1.2.2 takes an input's place among the
        inputs for its place among the tensors when it resizes them.
    """
    (graph,), (signature,) = file.subgraphs, file.signatureDefs
    inputs = _names(graph, signature.inputs)
    _move_to_front(graph, signature, [inputs[name] for name in inputs])
    graph.inputs = [*range(len(inputs))]
    outputs = _names(graph, signature.outputs)
    graph.outputs = [*outputs.values()]
    return [*inputs], [*outputs]


def _names(graph, maps):
    """Names the tensors of a signature's half; returns dict from name to tensor, in order."""
    indices = {part.name.decode(): part.tensorIndex for part in maps}
    for name, index in indices.items():
        graph.tensors[index].name = name.encode()
    return {name: indices[name] for name in sorted(indices, key=_ORDER.index)}


def _move_to_front(graph, signature, first):
    """Renumbers the tensors so that `first` are 0, 1, 2 ..."""
    order = first + [index for index in range(len(graph.tensors)) if index not in first]
    places = {index: place for place, index in enumerate(order)} | {-1: -1}  # -1: left out
    graph.tensors = [graph.tensors[index] for index in order]
    for operator in graph.operators:
        for field in ("inputs", "outputs", "intermediates"):
            if (indices := getattr(operator, field)) is not None:
                setattr(operator, field, [places[index] for index in indices])
    for part in [*signature.inputs, *signature.outputs]:
        part.tensorIndex = places[part.tensorIndex]
