"""Damaged files are refused or read right; the faults that were found so stay mended."""

import contextlib
import gzip
import json
import pathlib
import pickle
import random
import re
import shutil
import struct
import time
import zipfile

import h5py
import pytest
from fuzz import fuzz_readers
from fuzz.broken_cases import FAULTS
from fuzz.checkpoint_cases import GOLDENS
from fuzz.fuzz_readers import KINDS, Fuzzer, Summary, Watched
from fuzz.malicious import malicious_file
from fuzz.tables import read_table, write_table
from fuzz.tflite_cases import _zipped
from tensorflow.core.protobuf import tensor_bundle_pb2

import tinybert_tf as tb
from tinybert_tf.checkpoints.pytorch_file import read_pytorch_file
from tinybert_tf.data import read_examples, read_squad, read_tags

BROKEN = "fuzz.broken_cases"
COUNTS = {"checkpoints": 150, "data": 150, "tflite": 20, "verify": 5}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_or_read_right(kind, tmp_path):
    fuzzer, summary = Fuzzer(KINDS[kind], 0, tmp_path), Summary(kind, 0)
    for number in range(COUNTS[kind]):
        summary.add(number, fuzzer.run(number))
    assert not summary.findings, "\n".join(summary.lines())
    assert summary.counts["read"] > COUNTS[kind] // 10
    assert summary.counts["ValueError"] >= COUNTS[kind] // 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_depends_on_its_number_only(kind, tmp_path):
    results = [Fuzzer(KINDS[kind], 7, tmp_path).run(number) for number in (3, 5, 3)]
    first, other, again = [(result.name, result.outcome, result.message) for result in results]
    assert first == again != other


# What finds faults, on a reader that has them ------------------------------------------------


@pytest.fixture(scope="module", name="watched")
def start_watched(tmp_path_factory):
    watched = Watched(BROKEN, 0, tmp_path_factory.mktemp("watched"))
    yield watched
    watched.close()


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("reads", ""),
        ("refuses", ""),
        ("misses", ""),
        ("wrong error", "KeyError instead of ValueError or OSError"),
        ("raw decoding", "UnicodeDecodeError instead of ValueError or OSError"),
        ("names no file", "does not name the file"),
        ("long", "a message of 2001 characters"),
        ("runs", "ran what the file told it to"),
        ("memory", "MemoryError instead of ValueError or OSError"),
        ("dies", "ended the process, status -9"),
        ("forks what grows", r"took 1\d\d\d MiB"),
        ("reads", ""),
    ],
)
def test_a_fault_is_found(watched, fault, problem):
    assert re.fullmatch(problem, watched.run(list(FAULTS).index(fault)).problem)


def test_what_hangs_is_ended(watched, monkeypatch):
    watched.run(0)  # has it started
    monkeypatch.setattr(fuzz_readers, "MOST_SECONDS", 0.2)
    assert watched.run(list(FAULTS).index("hangs")).problem == "took more than 0.2 s"


def test_what_hangs_is_ended_with_what_it_started(tmp_path, monkeypatch):
    watched = Watched(BROKEN, 0, tmp_path)
    watched.run(0)
    monkeypatch.setattr(fuzz_readers, "MOST_SECONDS", 5)
    assert watched.run(list(FAULTS).index("starts what hangs")).problem == "took more than 5 s"
    status, end = pathlib.Path("/proc", (tmp_path / "started").read_text(), "stat"), time.time() + 5
    while status.exists() and status.read_text().split()[2] != "Z":  # which nobody has asked for
        assert time.time() < end
        time.sleep(0.01)


def test_what_is_started_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_readers, "MOST_CPU_SECONDS", 0.1)
    fuzzer = Fuzzer(BROKEN, 0, tmp_path)
    assert re.fullmatch(
        r"took \d+\.\d s", fuzzer.run(list(FAULTS).index("starts what works")).problem
    )


def test_some_zips_are_packed():
    sizes = [len(_zipped({"a": bytes(5000)}, random.Random(number))) for number in range(40)]
    assert min(sizes) < 1000 < 5000 < max(sizes)


@pytest.mark.parametrize(
    ("limit", "problem"), [("MOST_CPU_SECONDS", r"took 0\.\d s"), ("MOST_BYTES", r"took \d+ MiB")]
)
def test_what_takes_more_than_it_may_is_found(tmp_path, monkeypatch, limit, problem):
    monkeypatch.setattr(fuzz_readers, limit, -1)
    assert re.fullmatch(problem, Fuzzer(BROKEN, 0, tmp_path).run(0).problem)


def test_findings_are_told_with_what_makes_them_again(tmp_path):
    fuzzer, summary = Fuzzer(BROKEN, 0, tmp_path), Summary("data", 4)
    for number, _ in zip(range(4), FAULTS, strict=False):
        summary.add(number, fuzzer.run(number))
    text = "\n".join(summary.lines())
    assert "data: 4 cases: 1 read, 1 ValueError, 1 FileNotFoundError, 1 KeyError" in text
    assert "findings: 1" in text
    assert "again: --kind data --seed 4 --first 3 --count 1" in text


def test_malicious_files_are_malicious(tmp_path):
    """Python's own reader runs them; what they run only makes a file."""
    found = 0
    for number in range(60):
        canary = tmp_path / f"canary{number}"
        content = malicious_file(canary, random.Random(number))
        with contextlib.suppress(Exception):
            pickle.loads(content)
        found += canary.exists()
    assert found > 5


# The faults that were found -------------------------------------------------------------------


def copy_of(tmp_path, golden):
    return shutil.copytree(GOLDENS / golden, tmp_path / "model")


def refused(folder, message):
    with pytest.raises(ValueError, match=message) as caught:
        tb.load(folder)
    assert type(caught.value) is ValueError
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 1500


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_empty_table_of_absurd_width_takes_no_memory(tmp_path):
    folder = copy_of(tmp_path, "transformers_models/distilbert")
    path = folder / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    entry = next(header[name] for name in header if "word_embeddings" in name)
    start, end = entry["data_offsets"]
    entry |= {"shape": [0, 10**12], "data_offsets": [start, start]}
    for name in set(header) - {"__metadata__"}:
        offsets = header[name]["data_offsets"]
        header[name]["data_offsets"] = [at - (end - start) * (at >= end) for at in offsets]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body[:start] + body[end:])
    refused(folder, r"word_embeddings.weight has shape \(0, 1000000000000\)")


def test_half_a_character_is_no_label(tmp_path):
    folder = copy_of(tmp_path, "transformers_models/multilabel")
    change_config(folder, id2label={"0": "\ud800", "1": "b", "2": "c"})
    refused(folder, "config.json: `id2label` holds .*half of a character")


@pytest.mark.parametrize("key", ["hidden_act", "model_type", "hidden_size", "id2label"])
def test_a_long_value_is_not_told_whole(tmp_path, key):
    folder = copy_of(tmp_path, "transformers_models/multilabel")
    change_config(folder, **{key: "y" * 100_000})
    refused(folder, r"config.json: .*yyy \[...\] yyy")


def test_labels_that_are_no_text(tmp_path):
    folder = copy_of(tmp_path, "keras_hub/classifier")
    (folder / "labels.txt").write_bytes(b"no\n\xff\nyes\n")
    refused(folder, "labels.txt: not UTF-8")


@pytest.mark.parametrize("value", ["!!int ''", "!!float ''", "!!bool x", "!!timestamp x"])
def test_yaml_whose_tag_is_wrong(tmp_path, value):
    folder = copy_of(tmp_path, "model_garden/encoder")
    (folder / "params.yaml").write_text(f"encoder: {{bert: {{hidden_activation: {value}}}}}")
    refused(folder, "params.yaml: not YAML")


def test_yaml_that_grows_without_end(tmp_path):
    folder = copy_of(tmp_path, "model_garden/encoder")
    lines = ["a: &a {x: 1}"]
    for last, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} {{<<: [{', '.join([f'*{last}'] * 9)}]}}")
    (folder / "params.yaml").write_text("\n".join(lines))
    refused(folder, "params.yaml: not YAML")


def test_yaml_of_a_size_that_no_settings_have(tmp_path):
    folder = copy_of(tmp_path, "model_garden/encoder")
    (folder / "params.yaml").write_text("a: b\n" * 100_000)
    refused(folder, "params.yaml: has 500000 bytes, too many")


def change_entries(folder, change, name=b"bert/embeddings/word_embeddings"):
    """Rewrites an index after `change` of its table and of what it says of a tensor."""
    path = folder / "bert_model.ckpt.index"
    table = read_table(path.read_bytes())
    entry = tensor_bundle_pb2.BundleEntryProto.FromString(table[name])
    change(table, entry)
    table[name] = entry.SerializeToString()
    path.write_bytes(write_table(table))


@pytest.mark.parametrize("shape", [[0, 2**62], [1] * 70])
def test_a_shape_that_no_array_can_have(tmp_path, shape):
    def reshape(table, entry):
        del entry.shape.dim[:]
        for size in shape:
            entry.shape.dim.add(size=size)
        entry.size = 4 * (0 not in shape)

    folder = copy_of(tmp_path, "google_tf1/pretrained")
    change_entries(folder, reshape)
    refused(folder, "bert_model.ckpt.index: bert/embeddings/word_embeddings has no shape")


def test_an_index_in_which_many_tensors_are_the_same_bytes(tmp_path):
    def repeat(table, entry):
        names = [f"bert/encoder/layer_{number}/x".encode() for number in range(99)]
        table |= dict.fromkeys(names, entry.SerializeToString())

    folder = copy_of(tmp_path, "google_tf1/pretrained")
    change_entries(folder, repeat)
    refused(folder, r"data-00000-of-00001: has \d+ bytes, but the row of its tensors ends at \d+")


def test_a_weights_file_in_which_many_arrays_are_the_same(tmp_path):
    folder = copy_of(tmp_path, "keras_hub/backbone")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["num_layers"] = 200
    (folder / "config.json").write_text(json.dumps(config))
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        layers = file["layers"]
        for number in range(2, 200):
            layers[f"transformer_encoder_{number}"] = layers["transformer_encoder_1"]
    refused(folder, "model.weights.h5: .*what is larger than it is no array")


@pytest.mark.parametrize("shape", [(0, 2**61), (2**61, 0)])
def test_a_weights_file_with_an_empty_array_of_absurd_width(tmp_path, shape):
    folder = copy_of(tmp_path, "keras_hub/backbone")
    with h5py.File(folder / "model.weights.h5", "r+") as file:
        del file["layers/position_embedding/vars/0"]
        file.create_dataset("layers/position_embedding/vars/0", shape, "f4")
    refused(folder, "model.weights.h5: damaged, or no BERT's weights")


@pytest.mark.parametrize(("count", "message"), [(5, "have 30 numbers, but it holds 6"), (4, "")])
def test_a_torch_file_in_which_many_tensors_are_the_same(tmp_path, count, message):
    path = tmp_path / "pytorch_model.bin"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n("
    tensor += b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuK\6tQ"
    tensor += b"K\0(K\6t(K\1t\x89NtR"
    items = b"".join(b"X\1\0\0\0" + bytes([97 + number]) + tensor for number in range(count))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\2}(" + items + b"u.")
        archive.writestr("archive/data/0", bytes(24))
    if not message:
        assert len(read_pytorch_file(path)) == count
        return
    with pytest.raises(ValueError, match=f"pytorch_model.bin: .*{message}"):
        read_pytorch_file(path)


def test_an_index_of_more_names_than_any_model_has(tmp_path):
    folder = copy_of(tmp_path, "google_tf1/pretrained")
    path = folder / "bert_model.ckpt.index"
    table = read_table(path.read_bytes()) | {f"x{number}".encode(): b"" for number in range(20000)}
    path.write_bytes(write_table(table))
    refused(folder, "bert_model.ckpt.index: damaged .it has over 20000 names")


def test_a_gzip_file_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "train.tsv.gz"
    path.write_bytes(gzip.compress(b"a\tb\n" * 2**22) * 64)
    with pytest.raises(
        ValueError, match="train.tsv.gz holds over .* bytes in .*, which is no text"
    ):
        read_examples(path, "a")


def test_a_repetitive_gzip_file_is_read(tmp_path):
    path = tmp_path / "train.tsv.gz"
    path.write_bytes(gzip.compress(b"sentence\tlabel\n" + b"good\t1\n" * 10**5))
    assert len(read_examples(path, "sentence", label_column="label")) == 10**5


READERS = {
    "train.tsv": (
        b"sentence\tlabel\na\t" + b"b\t" * 50_000,
        lambda path: read_examples(path, "sentence"),
    ),
    "header.tsv": (b"b\t" * 50_000 + b"\na", lambda path: read_examples(path, "sentence")),
    "words.txt": (b"x" * 50_000, read_tags),
    "questions.json": (json.dumps({"data": [{"id": "x" * 50_000}]}).encode(), read_squad),
}


@pytest.mark.parametrize("name", READERS)
def test_a_long_cell_is_not_told_whole(tmp_path, name):
    content, read = READERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name) as caught:
        read(tmp_path / name)
    assert len(str(caught.value)) < 1500


def test_many_names_of_columns_are_not_all_compared(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr("difflib.get_close_matches", lambda _, names, n: compared.extend(names))
    (tmp_path / "train.tsv").write_text("\t".join(["ecnetnes"] * 40_000) + "\n")
    with pytest.raises(ValueError, match='no column "sentence"'):
        read_examples(tmp_path / "train.tsv", "sentence")
    assert len(compared) == 1000
