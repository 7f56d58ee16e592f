"""A .tflite file of this project, loaded and run without TensorFlow."""

import contextlib
import importlib
import importlib.metadata
import pathlib

import numpy as np

from tinybert_tf.edge.attached import OUTPUT_NAMES, read_attached
from tinybert_tf.edge.flatbuffer import is_whole, map_file

INPUT_NAMES = ("ids", "mask", "segment_ids")
# Module that holds `Interpreter` -> the package it comes in. TensorFlow last: it takes seconds to
# import.
RUNTIMES = {
    "ai_edge_litert.interpreter": "ai-edge-litert",
    "tflite_runtime.interpreter": "tflite-runtime",
    "tensorflow.lite.python.interpreter": "tensorflow",
}
_OF_TOKENS = ("start_logits", "end_logits", "tag_logits")
# It runs 4-bit dense layers and gives one wrong label in ten on SST-2; later ones run them right.
_WRONG_IN_4_BITS = "ai-edge-litert 1.0."
_MOST_SHOWN = 800  # characters of what a file or a runtime says
# What runtimes raise; which for what differs between them.
_RUNTIME_ERRORS = (
    ValueError,
    RuntimeError,
    SystemError,
    LookupError,
    TypeError,
    AttributeError,
    MemoryError,
)


class EdgeModel:
    """A .tflite file with inputs `ids`, `mask`, `segment_ids`, run on one sentence (or pair) at a
    time.

    Args:
        path: str or path-like, the .tflite file.
        num_threads: int, CPU threads of the runtime.

    Attributes:
        path: `pathlib.Path` of the file.
        labels: tuple of str, the meaning of each column of the output. `None` if the file does not
            say.
        vocabulary_text: str, the content of the vocab.txt inside the file. `None` if there is none.
        settings: dict with `lower_case`, `max_sequence_length`, `problem`, and others such as
            `head` and `recipe`. `None` if the file has none.
        out_of_scope_threshold: float; a text whose highest probability is below it is of none of
            the labels. `None` if the file was not calibrated.
        out_of_scope_label: str, what to call such a text, or `None`.

    Raises:
        ValueError: If the file is missing, cut short, not a TFLite model, beyond what this runtime
            can run, has other inputs, or what is attached to it is damaged.
        ImportError: If there is no TFLite runtime.

    Example:
        model = EdgeModel("sst2.tflite")
        model.run(ids=[101, 2204, 102], mask=[1, 1, 1], segment_ids=[0, 0, 0])["probabilities"]
    """

    def __init__(self, path, num_threads=1):
        self.path = pathlib.Path(path)
        self._interpreter = load_interpreter(self.path, num_threads)
        self.settings, self.labels, self.vocabulary_text = read_attached(self.path)
        self.out_of_scope_threshold = (self.settings or {}).get("out_of_scope_threshold")
        self.out_of_scope_label = (self.settings or {}).get("out_of_scope_label")
        self._inputs, self._outputs = named_tensors(self._interpreter, self.path)
        self._check_names()
        self._check_runtime()
        length = int(self._inputs["ids"]["shape_signature"][-1])
        self._fixed_length = None if length == -1 else length
        self._length = None

    def run(self, ids, mask, segment_ids):
        """Runs the model on one sentence.

        Args:
            ids: int sequence `(length,)` or `(1, length)`, token ids with [CLS] and [SEP].
            mask: int sequence of the same shape, 1 at real tokens.
            segment_ids: int sequence of the same shape, 1 at the second text of a pair.

        Returns:
            Dict from each output's name to its float32 array: `probabilities` or `score` `(1,
            columns)`; for spans `start_logits` and `end_logits` `(1, length)`; for tags
            `tag_logits` `(1, length, num_labels)`.

        Raises:
            ValueError: If the shapes differ, are not those of one sentence, or exceed a file of
                fixed length; if the runtime cannot run the file, or the answer does not go with its
                labels.
        """
        rows = self._rows(ids=ids, mask=mask, segment_ids=segment_ids)
        length = np.asarray(ids).size
        with _named_errors(self.path, "run"):
            outputs = self._invoke(rows)
        if self.settings is not None:
            self._check_shapes(outputs, rows["ids"].size)
        return {
            name: value[:, :length] if name in _OF_TOKENS else value
            for name, value in outputs.items()
        }

    def _invoke(self, rows):
        self._resize(rows["ids"].shape[1])
        for name, details in self._inputs.items():
            self._interpreter.set_tensor(details["index"], rows[name].astype(details["dtype"]))
        self._interpreter.invoke()
        return {
            name: self._interpreter.get_tensor(details["index"])
            for name, details in self._outputs.items()
        }

    def _check_names(self):
        if wrong := wrong_inputs(self._inputs, self.path):
            raise ValueError(wrong)
        if self.settings is None:
            return
        problem = self.settings["problem"]
        if set(self._outputs) != OUTPUT_NAMES[problem]:
            raise ValueError(
                f"{self.path} is for {problem}, but has outputs {_listed(self._outputs)}; "
                f"expected {', '.join(sorted(OUTPUT_NAMES[problem]))}. Export it again."
            )

    def _check_runtime(self):
        wrong = (self.settings or {}).get("recipe") == "dynamic_wi4_afp32"
        if wrong and runtime_version().startswith(_WRONG_IN_4_BITS):
            raise ValueError(
                f"{runtime_version()} answers wrongly from 4-bit dense layers, which {self.path} "
                "has: pip install --upgrade ai-edge-litert."
            )

    def _check_shapes(self, outputs, length):
        columns = () if "start_logits" in outputs else (len(self.labels),)
        rows = (min(length, self.settings["max_sequence_length"]),)
        for name, value in outputs.items():
            expected = (1, *(rows if name in _OF_TOKENS else ()), *columns)
            if value.shape != expected or value.dtype != np.float32:
                raise ValueError(
                    f"{self.path} answers with {name} {value.shape} {value.dtype}; expected "
                    f"{expected} float32. Export it again."
                )

    def _rows(self, **inputs):
        rows = {name: np.atleast_2d(np.asarray(values)) for name, values in inputs.items()}
        shapes = {name: row.shape for name, row in rows.items()}
        if len(set(shapes.values())) > 1 or shapes["ids"] != (1, max(rows["ids"].size, 1)):
            raise ValueError(f"Received shapes {shapes}, expected one (length,) or (1, length).")
        if self._fixed_length is None:
            return rows
        missing = self._fixed_length - shapes["ids"][1]
        if missing < 0:
            raise ValueError(
                f"Received {shapes['ids'][1]} tokens; {self.path} is fixed at {self._fixed_length}."
            )
        return {name: np.pad(row, ((0, 0), (0, missing))) for name, row in rows.items()}

    def _resize(self, length):
        if length == self._length:
            return
        if self._fixed_length is None:
            for details in self._inputs.values():
                self._interpreter.resize_tensor_input(details["index"], [1, length])
        self._length = None  # Unknown, should the next line fail.
        self._interpreter.allocate_tensors()
        self._length = length


def load_interpreter(path, num_threads=1):
    """Loads a file into the runtime that is installed.

    Args:
        path: str or path-like, the .tflite file.
        num_threads: int, CPU threads of the runtime.

    Returns:
        The runtime's `Interpreter`, its tensors not yet allocated.

    Raises:
        ValueError: If the file is missing, cut short, not a TFLite model, or beyond what the
            runtime can run.
        ImportError: If there is no TFLite runtime.
    """
    check_file(path)
    module, _ = find_runtime()
    with _named_errors(path, "load"):
        return module.Interpreter(model_path=str(path), num_threads=num_threads)


def check_file(path):
    """Refuses what is not a whole TFLite file, before a runtime that may crash on it sees it.

    Args:
        path: str or path-like, the .tflite file.

    Raises:
        ValueError: If the file is missing, cut short or not a TFLite model.
    """
    if not pathlib.Path(path).is_file():
        raise ValueError(f"No file {path}. Expected a .tflite file.")
    with open(path, "rb") as file:
        header = file.read(8)
    if header[4:] != b"TFL3":
        raise ValueError(f'{path} is not a TFLite model: "TFL3" is not at byte 4.')
    if not is_whole(map_file(path)):
        raise ValueError(f"{path} is broken: it ends before all of its model. Copy it again.")


def find_runtime():
    """Finds the TFLite runtime: ai-edge-litert, else tflite-runtime, else TensorFlow's own.

    Returns:
        Its module that holds `Interpreter`, and the name of its package.

    Raises:
        ImportError: If none of them is installed.
    """
    for module, package in RUNTIMES.items():
        try:
            return importlib.import_module(module), package
        except ModuleNotFoundError as error:
            if not module.startswith(f"{error.name}.") and error.name != module:
                raise  # The runtime is there, something that it needs is not.
    raise ImportError("No TFLite runtime. Install one: pip install ai-edge-litert")


def runtime_version():
    """Returns the package and version of the runtime, as "ai-edge-litert 2.3.0"."""
    package = find_runtime()[1]
    return f"{package} {importlib.metadata.version(package)}"


@contextlib.contextmanager
def _named_errors(path, deed):
    """Makes what the runtime raises a ValueError that names the file."""
    try:
        yield
    except _RUNTIME_ERRORS as error:
        cause = str(error)[:_MOST_SHOWN]
        raise ValueError(f"{find_runtime()[1]} cannot {deed} {path}: {cause}") from error


def named_tensors(interpreter, path):
    """Finds inputs and outputs by the signature's names, else by the tensors' own.

    Args:
        interpreter: as `load_interpreter` gives it.
        path: str or path-like, its file.

    Returns:
        Two dicts from name to the runtime's details of the tensor.

    Raises:
        ValueError: If the runtime refuses.
    """
    with _named_errors(path, "load"):
        if signatures := interpreter.get_signature_list():
            # Not kept: the runtime refuses to resize while a runner holds the interpreter.
            runner = interpreter.get_signature_runner(next(iter(signatures)))
            return runner.get_input_details(), runner.get_output_details()
        both = interpreter.get_input_details(), interpreter.get_output_details()
    inputs, outputs = ({_plain(tensor["name"]): tensor for tensor in tensors} for tensors in both)
    return inputs, outputs


def wrong_inputs(inputs, path):
    """Tells why a file is none that `EdgeModel` runs; returns "" if it is one.

    Args:
        inputs: dict, as `named_tensors` gives it.
        path: str or path-like, the file.
    """
    if set(inputs) == {"text"}:
        return (
            f"{path} takes text and tokenizes it itself, with operators that this runtime lacks. "
            "Run it with TensorFlow's InterpreterWithCustomOps and `custom_op_registerers="
            "tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`, or export the model without "
            "`tokenizer_in_graph`."
        )
    if set(inputs) != set(INPUT_NAMES):
        return f"{path} has inputs {_listed(inputs)}; expected {', '.join(INPUT_NAMES)}."
    shapes = [tuple(map(int, details["shape_signature"])) for details in inputs.values()]
    if any(len(shape) != 2 for shape in shapes):
        return f"{path} has inputs of shapes {_listed(map(str, shapes))}; expected (1, length)."
    return ""


def _listed(names):
    return ", ".join(names)[:_MOST_SHOWN]


def _plain(tensor_name):
    return tensor_name.removeprefix("serving_default_").partition(":")[0]
