"""What a model on disk is, what it lacks and what would go wrong with it."""

import collections
import dataclasses
import glob
import re
import struct

from tinybert_tf.short_errors import shortened

_USUAL_POSITIONS = 512
_ACTIVATION_NOTES = {
    "google-tf1": "taken for exact GELU; the last version of Google's programs approximates it",
    "keras-hub": "KerasHub's GELU is the tanh approximation",
    "model-garden": "the Model Garden's GELU is the tanh approximation",
}


def inspect_checkpoint(path):
    """Looks at a checkpoint of any format.

    Args:
        path: `pathlib.Path`.

    Returns:
        Dict: `format`; the model's sizes, problem, labels and so on, as far as it could be read;
        `files`, bytes by name; `lacks` and `warnings`, an explanation each; and `damage`, what
        keeps it from being loaded, or `None`.
    """
    result = {"path": str(path), "format": None, "files": _files(path), "damage": None}
    try:
        for part in _checkpoint_parts(path):
            result |= part
    except (OSError, ValueError) as error:
        result["damage"] = str(error)
    return result


def inspect_tflite(path):
    """Looks at a .tflite file.

    Args:
        path: `pathlib.Path`.

    Returns:
        Dict: `format`; inputs and outputs, labels and so on, as far as it could be read;
        `operators` and `tensors`, how many of each kind; `warnings`; and `damage`, or `None`.
    """
    result = {"path": str(path), "format": "tflite", "files": _files(path), "damage": None}
    try:
        for part in _tflite_parts(path):
            result |= part
    except (OSError, ValueError) as error:
        result["damage"] = shortened(str(error))
    return result


def inspect_corpus(path):
    """Looks at a corpus that prepare-corpus made.

    Args:
        path: `pathlib.Path` of its folder.

    Returns:
        Dict of what `describe_corpus` tells; `damage`, str, what is wrong with it, or `None`.
    """
    from tinybert_tf.corpus.shards import describe_corpus

    if not (path / "corpus.json").is_file():
        damage = f"{path} is an unfinished corpus. The same prepare-corpus command goes on with it."
        return {"path": str(path), "format": "corpus", "damage": damage}
    try:
        return describe_corpus(path)
    except (OSError, ValueError) as error:
        return {"path": str(path), "format": "corpus", "damage": str(error)}


def _files(path):
    """Bytes of each file of a model by its name; of a prefix, of all files that begin with it."""
    if path.is_dir():
        found, folder = [*path.glob("*"), *path.glob("assets/*/*")], path
    else:
        found, folder = path.parent.glob(f"{glob.escape(path.name)}*"), path.parent
    files = sorted(file for file in found if file.is_file())
    return {str(file.relative_to(folder)): file.stat().st_size for file in files}


def _checkpoint_parts(path):
    """Yields what is found step by step, so that it is known up to where the damage is."""
    from tinybert_tf.checkpoints import build_model
    from tinybert_tf.checkpoints.model_folder import FORMATS, read_checkpoint

    kind = next((name for name, (recognise, _) in FORMATS.items() if recognise(path)), None)
    yield {"format": kind}
    checkpoint = read_checkpoint(path)
    yield _content(checkpoint)
    model = build_model(checkpoint, "float32")
    yield _description(model)
    yield {"lacks": _lacks(model), "warnings": _warnings(model, checkpoint, kind)}


def _content(checkpoint):
    """What the tensors and the vocabulary are, before a model is made of them."""
    tensors, vocabulary = checkpoint.tensors.values(), checkpoint.vocabulary
    stored = checkpoint.values.get("dtype") or checkpoint.values.get("torch_dtype")
    read = ", ".join(sorted({str(tensor.dtype) for tensor in tensors if tensor.dtype.kind == "f"}))
    return {
        "stored_dtype": stored if isinstance(stored, str) else read,
        "num_tensors": len(tensors),
        "vocabulary_tokens": None if vocabulary is None else len(vocabulary),
        "lower_case": None if vocabulary is None else vocabulary.lower_case,
    }


def _description(model):
    num_parameters = model.count_params()
    return {
        "problem": getattr(model, "problem", None),
        "labels": getattr(model, "labels", None),
        "head": getattr(model, "head", None),
        **dataclasses.asdict(model.config),
        "num_parameters": num_parameters,
        "size_bytes": 4 * num_parameters,
    }


def _lacks(model):
    """What the model could have and has not, each with what follows from it."""
    lacks, labels = {}, getattr(model, "labels", None)
    if model.vocabulary is None:
        lacks["vocabulary"] = "it cannot read text: put vocab.txt into the folder"
    elif "[MASK]" not in model.vocabulary.tokens:
        lacks["mask_token"] = "its vocabulary has no [MASK]: it cannot be trained as a masked LM"
    if labels is None:
        kind = "a masked LM" if hasattr(model, "problem") else "an encoder"
        lacks["head"] = f"it is {kind}: finetune-teacher or task-distill gives it a task"
    elif all(re.fullmatch(r"LABEL_\d+", label) for label in labels):
        lacks["label_names"] = (
            f"{', '.join(labels)} match no task's labels: name them with convert-checkpoint "
            "--labels, in this order"
        )
    if model.config.pooler == "none" and labels is None:
        lacks["pooler"] = "a classifier on it starts with a random one"
    return lacks


def _warnings(model, checkpoint, kind):
    """What would go wrong or is unusual, each with what follows from it."""
    import numpy as np

    warnings, config, vocabulary = {}, model.config, model.vocabulary
    stored = _content(checkpoint)["stored_dtype"]
    if stored != "float32":
        warnings["dtype"] = f"stored as {stored}, computed and written as float32"
    if kind in _ACTIVATION_NOTES and config.activation.startswith("gelu"):
        warnings["activation"] = _ACTIVATION_NOTES[kind]
    if config.max_sequence_length > _USUAL_POSITIONS:
        warnings["positions"] = f"{config.max_sequence_length}, more than {_USUAL_POSITIONS}: slow"
    if config.num_segments < 2:
        warnings["segments"] = "one: it does not tell the texts of a pair apart"
    if vocabulary is not None and len(vocabulary) < config.vocabulary_size:
        warnings["vocabulary"] = (
            f"{len(vocabulary)} tokens for {config.vocabulary_size} embeddings: the rest is unused"
        )
    broken = [name for name, value in checkpoint.tensors.items() if not np.isfinite(value).all()]
    if broken:
        warnings["numbers"] = f"infinite or not a number in {', '.join(broken[:3])}"
    return warnings


def _tflite_parts(path):
    """Yields what is found step by step."""
    from tinybert_tf.edge.attached import read_attached
    from tinybert_tf.edge.contained import run_contained
    from tinybert_tf.edge.interpreter import check_file

    check_file(path)
    try:
        graph = _graph(path)
    except struct.error as error:  # a number stands across the file's end
        raise ValueError(f"{path} is broken: {error}. Copy it again.") from error
    yield {"size_bytes": path.stat().st_size} | graph
    yield {"metadata": _metadata(path)}
    found = run_contained("try", path=str(path))
    wrong = found.pop("wrong_inputs")
    yield found
    if wrong:  # the runtime takes it, but it is not one of ours
        yield {"warnings": {"inputs": wrong}}
        return
    settings, labels, text = read_attached(path)
    yield {
        "labels": labels,
        **(settings or {}),
        "vocabulary_tokens": None if text is None else text.count("\n"),
        "warnings": {} if settings else {"metadata": "no labels and no vocabulary inside"},
    }


def _metadata(path):
    """What the file says about itself to other programs; `None` if nothing."""
    from tinybert_tf.export.metadata import read_metadata

    found = read_metadata(path)
    return found and {name: value for name, value in found.items() if isinstance(value, str)}


def _graph(path):
    """How many operators and tensors of each kind a whole file has."""
    from ai_edge_litert import schema_py_generated as schema

    from tinybert_tf.edge.flatbuffer import map_file

    model = schema.Model.GetRootAs(map_file(path))
    kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    types = {code: name for name, code in vars(schema.TensorType).items() if name.isupper()}
    operators, tensors = collections.Counter(), collections.Counter()
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            if operator.OpcodeIndex() >= model.OperatorCodesLength():
                raise ValueError(f"{path} is broken: it has no operator {operator.OpcodeIndex()}.")
            code = model.OperatorCodes(operator.OpcodeIndex())
            kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            operators[kinds.get(kind, str(kind))] += 1
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            tensors[types.get(tensor.Type(), str(tensor.Type()))] += 1
    return {
        "num_subgraphs": model.SubgraphsLength(),
        "operators": dict(operators.most_common()),
        "tensors": dict(tensors.most_common()),
    }
