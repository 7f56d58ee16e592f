"""A .tflite file of this project, loaded and run without TensorFlow."""

import importlib
import importlib.metadata
import json
import mmap
import pathlib
import re
import zipfile

import numpy as np

from tinybert_tf.edge.flatbuffer import is_whole

INPUT_NAMES = ("ids", "mask", "segment_ids")
# Module that holds `Interpreter` -> the package it comes in. TensorFlow last: it takes seconds to
# import.
RUNTIMES = {
    "ai_edge_litert.interpreter": "ai-edge-litert",
    "tflite_runtime.interpreter": "tflite-runtime",
    "tensorflow.lite.python.interpreter": "tensorflow",
}
_OF_TOKENS = ("start_logits", "end_logits", "tag_logits")
_ATTACHED = ("tinybert_tf.json", "labels.txt", "vocab.txt")


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
        settings: dict with `lower_case`, `max_sequence_length`, `problem`, `head`, `recipe`. `None`
            if the file has none.
        out_of_scope_threshold: float; a text whose highest probability is below it is of none of
            the labels. `None` if the file was not calibrated.
        out_of_scope_label: str, what to call such a text, or `None`.

    Raises:
        ValueError: If the file is missing, cut short, not a TFLite model, beyond what this runtime
            can run, or has other inputs.
        ImportError: If there is no TFLite runtime.

    Example:
        model = EdgeModel("sst2.tflite")
        model.run(ids=[101, 2204, 102], mask=[1, 1, 1], segment_ids=[0, 0, 0])["probabilities"]
    """

    def __init__(self, path, num_threads=1):
        self.path = pathlib.Path(path)
        self._interpreter = load_interpreter(self.path, num_threads)
        attached = _read_attached(self.path)
        self.settings = json.loads(attached["tinybert_tf.json"]) if attached else None
        self.labels = tuple(attached["labels.txt"].split("\n")[:-1]) if attached else None
        self.vocabulary_text = attached["vocab.txt"] if attached else None
        self.out_of_scope_threshold = (self.settings or {}).get("out_of_scope_threshold")
        self.out_of_scope_label = (self.settings or {}).get("out_of_scope_label")
        self._inputs, self._outputs = _bind(self._interpreter, self.path)
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
                fixed length.
        """
        rows = self._rows(ids=ids, mask=mask, segment_ids=segment_ids)
        length = np.asarray(ids).size
        self._resize(rows["ids"].shape[1])
        for name, details in self._inputs.items():
            self._interpreter.set_tensor(details["index"], rows[name].astype(details["dtype"]))
        self._interpreter.invoke()
        outputs = {
            name: self._interpreter.get_tensor(details["index"])
            for name, details in self._outputs.items()
        }
        return {
            name: value[:, :length] if name in _OF_TOKENS else value
            for name, value in outputs.items()
        }

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
    module, package = find_runtime()
    try:
        return module.Interpreter(model_path=str(path), num_threads=num_threads)
    except (ValueError, RuntimeError, SystemError) as error:
        raise ValueError(f"{package} cannot load {path}: {error}") from error


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
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if not is_whole(data):
                raise ValueError(
                    f"{path} is broken: it ends before all of its model. Copy it again."
                )


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


def _read_attached(path):
    """Returns the texts in the zip at the end of the file, empty if there is no such zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            if "tinybert_tf.json" not in archive.namelist():
                return {}
            return {name: archive.read(name).decode("utf-8") for name in _ATTACHED}
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if re.search(rb"PK\x03\x04.{26}tinybert_tf\.json", data, re.DOTALL):
                raise ValueError(
                    f"{path} is broken: the zip of labels and vocabulary at its end: {error}. "
                    "Copy it again."
                ) from error
    return {}


def _bind(interpreter, path):
    """Returns details of inputs and outputs by name: the signature's, else the tensors' own."""
    if signatures := interpreter.get_signature_list():
        # Not kept: the runtime refuses to resize while a runner holds the interpreter.
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        del runner
    else:
        inputs = {_plain(details["name"]): details for details in interpreter.get_input_details()}
        outputs = {_plain(details["name"]): details for details in interpreter.get_output_details()}
    if set(inputs) == {"text"}:
        raise ValueError(
            f"{path} takes text and tokenizes it itself, with operators that this runtime lacks. "
            "Run it with TensorFlow's InterpreterWithCustomOps and `custom_op_registerers="
            "tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`, or export the model without "
            "`tokenizer_in_graph`."
        )
    if set(inputs) != set(INPUT_NAMES):
        raise ValueError(
            f"{path} has inputs {', '.join(inputs)}; expected {', '.join(INPUT_NAMES)}."
        )
    return {name: inputs[name] for name in INPUT_NAMES}, outputs


def _plain(tensor_name):
    return tensor_name.removeprefix("serving_default_").partition(":")[0]
