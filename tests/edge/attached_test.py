import json
import zipfile

import pytest

from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.attached import read_attached

SETTINGS = {"lower_case": True, "max_sequence_length": 8, "problem": "classification"}
TOKENS = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"


@pytest.fixture(name="attach")
def make_attach(tiny_bytes, tmp_path):
    """The function from settings, labels, tokens to the path of a file that they are attached to;
    settings may be text, or a dict of what is other than usual."""

    def attach(settings=(), labels="no\nyes\n", tokens=TOKENS, **packing):
        path = tmp_path / "copy.tflite"
        path.write_bytes(tiny_bytes)
        text = settings if isinstance(settings, str) else json.dumps(SETTINGS | dict(settings))
        with zipfile.ZipFile(path, "a", **packing) as archive:
            for name, content in zip(
                ("tinybert_tf.json", "labels.txt", "vocab.txt"), (text, labels, tokens), strict=True
            ):
                archive.writestr(name, content)
        return path

    return attach


def refused(path, message):
    with pytest.raises(ValueError, match=f"copy.tflite is broken: .*{message}"):
        read_attached(path)


def test_reads_the_parts(attach):
    assert read_attached(attach()) == (SETTINGS, ("no", "yes"), TOKENS)


def test_what_nobody_knows_is_left_out(attach):
    assert read_attached(attach({"damage": "none", "path": "/x"})).settings == SETTINGS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "holds a list, expected an object"),
        ("{}", "lacks lower_case, max_sequence_length, problem"),
        ("[" * 100_000, "recursion"),
        ("1" * 5000, "4300"),
    ],
)
def test_settings_that_are_no_object(attach, text, message):
    refused(attach(text), message)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lower_case", 1, "true or false"),
        ("max_sequence_length", 2, "a whole number from 3 up"),
        ("max_sequence_length", 10**30, "a whole number from 3 up"),
        ("max_sequence_length", True, "a whole number from 3 up"),
        ("problem", "parsing", "one of classification, multilabel"),
        ("problem", [], "one of"),
        ("head", None, "text"),
        ("recipe", {}, "text"),
        ("temperature", 0, "a number above 0"),
        ("temperature", float("inf"), "a number above 0"),
        ("temperature", 10**400, "a number above 0"),
        ("out_of_scope_threshold", float("nan"), "a number from 0 to 1"),
        ("out_of_scope_threshold", 1.5, "a number from 0 to 1"),
        ("out_of_scope_threshold", 10**400, "a number from 0 to 1"),
        ("out_of_scope_label", "\ud800", "text"),
        ("tokenizer_in_graph", "no", "true or false"),
    ],
)
def test_settings_that_are_none(attach, name, value, expected):
    refused(attach({name: value}), f"`{name}` of tinybert_tf.json is .*, expected {expected}")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"labels": "no\nye"}, "labels.txt does not end with a whole line"),
        ({"labels": "no\nno\n"}, "labels.txt holds 'no' twice"),
        ({"tokens": TOKENS + "[UNK]\n"}, "vocab.txt holds .*UNK.* twice"),
        ({"tokens": TOKENS + "a\0\n"}, "vocab.txt holds the character of number 0"),
        ({"tokens": "\n" * 1_000_001}, "vocab.txt has 1000001 lines, expected at most 1000000"),
        ({"tokens": "[PAD]\n[CLS]\na\n"}, r"vocab.txt lacks \[UNK\], \[SEP\]"),
    ],
)
def test_labels_and_tokens_that_cannot_be_used(attach, parts, message):
    refused(attach(**parts), message)


def test_what_is_packed_is_not_unpacked(attach):
    refused(attach(compression=zipfile.ZIP_DEFLATED), "tinybert_tf.json is not stored as it is")


def test_a_name_that_the_zip_lost_is_missed(attach):
    path = attach()
    head, name, tail = path.read_bytes().rpartition(b"tinybert_tf.json")
    path.write_bytes(head + name.upper() + tail)
    refused(path, "tinybert_tf.json")


def test_outputs_of_another_problem(attach):
    with pytest.raises(ValueError, match="copy.tflite is for spans, but has outputs probabilities"):
        EdgeModel(attach({"problem": "spans"}))


def test_labels_of_another_model(attach):
    model = EdgeModel(attach(labels="bad\nso so\ngood\n"))
    with pytest.raises(
        ValueError, match=r"answers with probabilities \(1, 2\) .*expected \(1, 3\)"
    ):
        model.run([2, 3], [1, 1], [0, 0])
