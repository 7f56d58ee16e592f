"""The real builders of TensorFlow Datasets prepare small files; no network."""

import shutil
import sys
import types

import glue_files
import numpy as np
import pytest
import tensorflow_datasets as tfds

from tinybert_tf.data import TASKS, task
from tinybert_tf.data.dataset_source import read_dataset

NAMES = [name for name in glue_files.EXAMPLES if TASKS[name].dataset]
SPLITS = [(name, split) for name in NAMES for split in glue_files.EXAMPLES[name]]


@pytest.fixture(scope="module", name="prepared", autouse=True)
def prepare(tmp_path_factory):
    """Every dataset of the table, where TensorFlow Datasets looks without a `data_dir`."""
    root = glue_files.write_all(tmp_path_factory.mktemp("glue"))
    _write_originals(root)
    folder = str(tmp_path_factory.mktemp("tfds"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds.core.constants, "DATA_DIR", folder)
        for kind in ("download", "download_and_extract"):
            patch.setattr(tfds.download.DownloadManager, kind, lambda _, url: _found(root, url))
        for name in NAMES:
            tfds.builder(TASKS[name].dataset, data_dir=folder).download_and_prepare()
        yield


def _write_originals(root):
    """The files of SNLI and MRPC as their authors publish them, under GLUE's names here."""
    (root / "snli_1.0").mkdir()
    for split in ("train", "dev", "test"):
        shutil.copy(root / "SNLI" / f"{split}.tsv", root / "snli_1.0" / f"snli_1.0_{split}.txt")
    train, dev = ((root / "MRPC" / f"{split}.tsv").read_text() for split in ("train", "dev"))
    rows = dev.split("\n", 1)[1]
    (root / "msr_train.txt").write_text("\ufeff" + train + rows, "utf-8")
    ids = ["\t".join(row.split("\t")[1:3]) for row in rows.splitlines()]
    (root / "mrpc_dev_ids.tsv").write_text("\n".join(ids) + "\n")


def _found(root, url):
    """What lies at an address, or at each of several."""
    if isinstance(url, str):
        return str(root)
    if "dev_ids" in url:
        names = {"dev_ids": "mrpc_dev_ids.tsv", "train": "msr_train.txt", "test": "MRPC/test.tsv"}
        return {key: str(root / names[key]) for key in url}
    return {key: str(root / "SQuAD" / address.rsplit("/", 1)[1]) for key, address in url.items()}


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_datasets_hold_what_the_files_hold(name, split):
    found, expected = task(name).examples(split), glue_files.EXAMPLES[name][split]
    if TASKS[name].dataset.startswith("glue"):  # in the order of the files
        assert found == expected
    assert sorted(_rows(found)) == sorted(_rows(expected))


def _rows(examples):
    """Each example as a text that can be sorted."""
    columns = (examples.texts, examples.text_pairs, examples.labels, examples.ids)
    filled = [column or [None] * len(examples) for column in columns]
    return [repr(row) for row in zip(*filled, strict=True)]


def test_rows_of_glue_come_in_the_order_of_its_files(monkeypatch):
    numbers = np.random.default_rng(0).permutation(50)
    rows = [
        {"sentence": str(n).encode(), "label": np.int64(-1), "idx": np.int32(n)} for n in numbers
    ]
    monkeypatch.setattr(tfds, "load", lambda *_, **__: (rows, _info("idx")))
    monkeypatch.setattr(tfds, "as_numpy", lambda data: data)
    assert read_dataset(TASKS["cola"], "test").texts == [str(number) for number in range(50)]


def test_labels_go_by_name(monkeypatch):
    rows = [{"sentence": b"a", "label": np.int64(0)}, {"sentence": b"b", "label": np.int64(1)}]
    monkeypatch.setattr(tfds, "as_numpy", lambda data: data)
    info = _info(names=["Acceptable", "Unacceptable"])
    monkeypatch.setattr(tfds, "load", lambda *_, **__: (rows, info))
    assert read_dataset(TASKS["cola"], "dev").labels == ["acceptable", "unacceptable"]
    info.features["label"].names = ["good", "bad"]
    with pytest.raises(ValueError, match="acceptable cannot be matched with .* good, bad"):
        read_dataset(TASKS["cola"], "dev")


def _info(*columns, names=()):
    features = {"label": types.SimpleNamespace(names=names), **dict.fromkeys(columns)}
    return types.SimpleNamespace(features=features)


def test_without_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="glue/sst2 comes from TensorFlow Datasets: pip install"):
        task("sst2").examples("dev")
