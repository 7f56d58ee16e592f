"""Tiny models and files, and the command line in this process, for tests of whole programs."""

import contextlib
import dataclasses
import io
import json
import string
import sys
import unittest.mock

import numpy as np
import pytest

WORDS = string.ascii_lowercase
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *(f"##{word}" for word in WORDS))
LABELS = ("no", "yes")


def make_model(seed=0, hidden_dim=24, num_layers=2, tokens=TOKENS, labels=LABELS, **settings):
    """A classifier of two heads with random weights large enough to matter."""
    import keras

    import tinybert_tf as tb

    keras.utils.set_random_seed(seed)
    config = tb.BertConfig(
        vocabulary_size=len(tokens),
        num_layers=num_layers,
        hidden_dim=hidden_dim,
        num_heads=2,
        intermediate_dim=2 * hidden_dim,
        max_sequence_length=16,
        initializer_range=0.3,
    )
    return tb.BertClassifier(config, labels, vocabulary=tb.Vocabulary(tuple(tokens)), **settings)


def save_model(folder, *arguments, **settings):
    """Writes what `make_model` makes; returns the folder."""
    import tinybert_tf as tb

    tb.save(make_model(*arguments, **settings), folder)
    return folder


def make_rows(count, seed):
    """Rows of `(sentence, label)`: "yes" where the first word is in the alphabet's first half."""
    random = np.random.default_rng(seed)
    sentences = [list(random.choice(list(WORDS), random.integers(1, 6))) for _ in range(count)]
    return [(" ".join(words), LABELS[int(words[0] < "n")]) for words in sentences]


def write_tsv(path, rows, header=("sentence", "label")):
    """Writes a file with a header; returns its path."""
    lines = ["\t".join(map(str, row)) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command left behind: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def result(self):
        """The last line of standard output, which `--json` promises to be the result."""
        return json.loads(self.out.splitlines()[-1])


def cli(*arguments):
    """Runs a command in this process; returns its `Outcome`."""
    from tinybert_tf.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        unittest.mock.patch.object(sys, "argv", ["tinybert-tf"]),
        pytest.raises(SystemExit) as stop,
    ):
        main([str(argument) for argument in arguments])
    return Outcome(stop.value.code, out.getvalue(), err.getvalue())


def done(*arguments):
    """Runs a command that must work; returns its result."""
    outcome = cli(*arguments, "--json")
    assert outcome.status == 0, outcome.err
    assert "Traceback" not in outcome.err
    return outcome.result


def refused(status, *arguments):
    """Runs a command that must fail with `status`; returns its message, white space made single."""
    outcome = cli(*arguments)
    message = " ".join(outcome.err.split())
    assert outcome.status == status, message
    assert "Traceback" not in message
    assert not outcome.out
    return message


def snapshot(folder):
    """Every file below a folder with its content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
