"""What goes with a .tflite file: labels, vocabulary and settings, in a zip behind the model."""

import collections
import json
import pathlib
import re
import sys
import typing
import zipfile

from tinybert_tf.edge.flatbuffer import map_file

# A model's problem: the names of its outputs.
OUTPUT_NAMES = {
    "classification": {"probabilities"},
    "multilabel": {"probabilities"},
    "regression": {"score"},
    "spans": {"start_logits", "end_logits"},
    "tagging": {"tag_logits"},
}
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_DAMAGES = (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, RuntimeError)
_LONGEST = 2**31 - 1
_MOST_LINES = 1_000_000  # twice the tokens of the largest BERT, LaBSE


def _is_number(value):
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_text(value):
    return isinstance(value, str) and value == value.encode(errors="replace").decode()


# Each setting: whether a value is one, and what is expected. The first three have to be there.
_SETTINGS = {
    "lower_case": (lambda value: isinstance(value, bool), "true or false"),
    "max_sequence_length": (
        lambda value: type(value) is int and 3 <= value <= _LONGEST,
        "a whole number from 3 up",
    ),
    "problem": (
        lambda value: isinstance(value, str) and value in OUTPUT_NAMES,
        f"one of {', '.join(OUTPUT_NAMES)}",
    ),
    "head": (_is_text, "text"),
    "recipe": (_is_text, "text"),
    "temperature": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "out_of_scope_threshold": (
        lambda value: _is_number(value) and 0 <= value <= 1,
        "a number from 0 to 1",
    ),
    "out_of_scope_label": (_is_text, "text"),
    "tokenizer_in_graph": (lambda value: isinstance(value, bool), "true or false"),
}
_REQUIRED = tuple(_SETTINGS)[:3]


class Attached(typing.NamedTuple):
    """The parts; each is `None` in a file that has none of them.

    Args:
        settings: dict of what the package knows of `tinybert_tf.json`.
        labels: tuple of str, the lines of `labels.txt`.
        vocabulary_text: str, the content of `vocab.txt`.
    """

    settings: dict | None = None
    labels: tuple[str, ...] | None = None
    vocabulary_text: str | None = None


def read_attached(path):
    """Reads the zip at the end of a .tflite file, trusting nothing in it.

    Args:
        path: str or path-like, the .tflite file.

    Returns:
        `Attached`.

    Raises:
        ValueError: If there was such a zip and it is damaged, or what it holds cannot be used.
    """
    try:
        texts = _read_zip(path)
    except _DAMAGES as error:
        if not _was_attached(path):
            return Attached()  # No zip, or another tool's.
        raise ValueError(
            f"{path} is broken: the zip of labels and vocabulary at its end: {error}. "
            "Copy it again."
        ) from error
    try:
        settings = _settings(texts["tinybert_tf.json"])
        _check_lines(texts)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is broken: {error}. Export it again.") from error
    return Attached(settings, tuple(texts["labels.txt"].split("\n")[:-1]), texts["vocab.txt"])


def _read_zip(path):
    """The texts by name. They are read as they stand: what unpacks could fill the memory."""
    size_bytes = pathlib.Path(path).stat().st_size
    with zipfile.ZipFile(path) as archive:
        texts = {}
        for name in ("tinybert_tf.json", "labels.txt", "vocab.txt"):
            entry = archive.getinfo(name)
            if entry.compress_type or entry.compress_size > size_bytes:
                raise ValueError(f"{name} is not stored as it is")
            texts[name] = archive.read(name).decode("utf-8")
    return texts


def _was_attached(path):
    return re.search(rb"PK\x03\x04.{26}tinybert_tf\.json", map_file(path), re.DOTALL) is not None


def _settings(text):
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"tinybert_tf.json holds a {type(values).__name__}, expected an object")
    if missing := [name for name in _REQUIRED if name not in values]:
        raise ValueError(f"tinybert_tf.json lacks {', '.join(missing)}")
    known = {name: values[name] for name in _SETTINGS if name in values}
    for name, value in known.items():
        is_one, expected = _SETTINGS[name]
        if not is_one(value):
            raise ValueError(
                f"`{name}` of tinybert_tf.json is {json.dumps(value)[:40]}, expected {expected}"
            )
    return known


def _check_lines(texts):
    for name in ("labels.txt", "vocab.txt"):
        if not texts[name].endswith("\n"):
            raise ValueError(f"{name} does not end with a whole line")
        if (num_lines := texts[name].count("\n")) > _MOST_LINES:
            raise ValueError(f"{name} has {num_lines} lines, expected at most {_MOST_LINES}")
        found = collections.Counter(texts[name].split("\n")[:-1])
        if twice := [line for line, count in found.items() if count > 1]:
            raise ValueError(f"{name} holds {twice[0][:40]!r} twice")
    if "\0" in texts["vocab.txt"]:
        raise ValueError("vocab.txt holds the character of number 0, which tokenizers refuse")
    tokens = texts["vocab.txt"].split("\n")
    if missing := [token for token in _SPECIAL_TOKENS if token not in tokens]:
        raise ValueError(f"vocab.txt lacks {', '.join(missing)}")
