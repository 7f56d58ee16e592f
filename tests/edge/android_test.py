import os
import re

import fake_phone as fake
import pytest

from tinybert_tf.edge import android
from tinybert_tf.edge.android import (
    benchmark_on_phone,
    core_mask,
    format_phone_table,
    parse_output,
    phone_rows,
)

CASES = {"threads": (1, 4), "lengths": (32,), "delegates": ("xnnpack", "gpu", "nnapi"), "runs": 7}


@pytest.fixture(scope="module", name="sweep")
def make_sweep(tiny_file, tmp_path_factory):
    """The result of a whole sweep over two files, and the phone that was asked."""
    folder = tmp_path_factory.mktemp("phone")
    (folder / "binary").write_bytes(fake.elf())
    phone = fake.FakePhone(folder, fake.answers())
    phone.install()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=os.pathsep)
        files = [tiny_file, tiny_file]
        result = benchmark_on_phone(files, folder / "binary", cores="4-7", **CASES)
    return result, phone


def test_tells_the_phone(sweep):
    assert sweep[0]["phone"] == {
        "serial": "P8",
        "model": "Pixel 8",
        "android": "14",
        "sdk": "34",
        "chip": "Tensor G3",
        "abis": "arm64-v8a,armeabi-v7a",
        "cores": "4-7",
    }


def test_every_case_of_every_file(sweep, tiny_file):
    expected = [(d, t, 32) for d in CASES["delegates"] for t in CASES["threads"]]
    assert [file["path"] for file in sweep[0]["files"]] == [str(tiny_file)] * 2
    for file in sweep[0]["files"]:
        assert file["size_bytes"] == tiny_file.stat().st_size
        cases = file["latency"]
        assert [(c["delegate"], c["threads"], c["length"]) for c in cases] == expected
        assert [c.get("mean_ms") for c in cases] == [971.535] * 4 + [None] * 2
        assert [c.get("error") for c in cases[4:]] == ["Failed to apply NNAPI delegate."] * 2
        assert {c["temperature_c"] for c in cases} == {31.2}


def test_the_command_on_the_phone(sweep):
    runs = [call[-1] for call in sweep[1].asked() if "--graph" in call[-1]]
    folder = runs[0].split()[2].rpartition("/")[0]
    assert folder.startswith("/data/local/tmp/tinybert_tf.")
    assert runs[1] == (
        f"taskset f0 {folder}/benchmark_model --graph={folder}/1.tflite --num_threads=1 "
        "--num_runs=7 --input_layer=ids,mask,segment_ids --input_layer_shape=1,32:1,32:1,32 "
        "--input_layer_value_range=ids,1,1:mask,1,1:segment_ids,0,0 --use_xnnpack=true"
    )
    assert [run.split()[2:4] for run in runs[:2]] == [
        [f"{folder}/benchmark_model", f"--graph={folder}/{index}.tflite"] for index in (0, 1)
    ]
    assert sweep[1].asked()[-1][-1] == f"rm -rf {folder}"


def test_table_and_rows(sweep):
    table = format_phone_table(sweep[0])
    assert table.startswith("Pixel 8, Android 14, cores 4-7\n")
    assert "  xnnpack       1     32   971.535         -         - 114.8  31.2\n" in table
    assert "    nnapi       4     32   Failed to apply NNAPI delegate.\n" in table
    assert table.endswith("tiny.tflite: 1.000 times on gpu, 4 threads, 32 tokens\n")
    rows = phone_rows(sweep[0])
    assert len(rows) == 12
    assert [row["ratio"] for row in rows] == [None] * 6 + [1.0] * 4 + [None] * 2
    assert {row["model"] for row in rows} == {"Pixel 8"}


def test_ratios_are_those_of_the_same_case():
    case = {"delegate": "cpu", "threads": 1, "length": 32}
    other = case | {"length": 16}
    failed = [case | {"error": "no"}, other | {"mean_ms": 3.0}]
    files = [
        {"path": "a", "latency": [case | {"mean_ms": 4.0}, other | {"mean_ms": 2.0}]},
        {"path": "b", "latency": [case | {"mean_ms": 2.0}, other | {"mean_ms": 6.0}]},
        {"path": "c", "latency": failed},
    ]
    assert android._ratios(files) == [
        case | {"path": "b", "ratio": 0.5},
        case | {"path": "c", "ratio": None},
        other | {"path": "b", "ratio": 3.0},
        other | {"path": "c", "ratio": 1.5},
    ]


def test_output_of_a_new_binary():
    text = fake.HEAD + fake.GPU.format(how="completely") + ".\n"
    assert parse_output(text + fake.TIMINGS.format(shares=fake.SHARES), "gpu") == {
        "init_ms": 6.418,
        "first_ms": 1041.765,
        "mean_ms": 971.535,
        "min_ms": 911.877,
        "p50_ms": 970.0,
        "p95_ms": 1100.0,
        "max_ms": 1112.273,
        "runs": 50,
        "memory_growth_bytes": 114819072,
        "delegated": "completely",
    }


def test_output_of_an_old_binary():
    text = fake.TIMINGS.format(shares="").replace("INFO: ", "")
    without_memory = text.partition("Note:")[0]
    found = parse_output(without_memory)
    assert (found["mean_ms"], found["min_ms"], found["runs"]) == (971.535, 911.877, 50)
    assert found["p50_ms"] is found["memory_growth_bytes"] is found["delegated"] is None
    assert parse_output(text)["memory_growth_bytes"] == 114819072


@pytest.mark.parametrize(
    ("text", "delegate", "message"),
    [
        ("", "cpu", "it printed nothing"),
        ("/system/bin/sh: x: not found\n", "cpu", "/system/bin/sh: x: not found"),
        ("ERROR: a\nINFO: b\nBenchmarking failed.\n", "cpu", "a"),
        (
            fake.UNUSED + fake.TIMINGS,
            "nnapi",
            "Though NNAPI .* will not be executed by the delegate",
        ),
        (fake.TIMINGS, "gpu", "went on without the delegate gpu"),
    ],
)
def test_output_without_times_that_count(text, delegate, message):
    found = parse_output(text, delegate)
    assert list(found) == ["error"]
    assert re.search(message, found["error"])


@pytest.mark.parametrize(
    ("cores", "mask"),
    [("7", "80"), ("4-7", "f0"), ("0,2", "5"), ("0-1,6", "43"), ("0xF0", "f0"), ("10", "400")],
)
def test_core_masks(cores, mask):
    assert core_mask(cores) == mask


@pytest.mark.parametrize("cores", ["", "big", "7-4", "-1", "0x", "0x0", "1;reboot", "1,"])
def test_cores_that_are_none(cores):
    with pytest.raises(ValueError, match="expected 7, 4-7, 0,2 or a mask"):
        core_mask(cores)


class Thermometer:
    """A phone that only gets warmer or colder."""

    def __init__(self, *degrees):
        self._degrees = list(degrees)

    def temperature_c(self):
        return self._degrees.pop(0)


@pytest.mark.parametrize(
    ("degrees", "waits"),
    [((37.0,), 0), ((38.0,), 0), ((41.0, 39.0, 37.5), 2), ((None,), 0), ((41.0,) * 5, 4)],
)
def test_waits_until_cool_but_not_for_ever(monkeypatch, degrees, waits):
    slept = []
    monkeypatch.setattr(android.time, "sleep", slept.append)
    assert android._Cooling(38.0, 20.0).wait(Thermometer(*degrees)) == degrees[-1]
    assert slept == [5.0] * waits


def test_patience_is_for_all_cases_together(monkeypatch):
    slept = []
    monkeypatch.setattr(android.time, "sleep", slept.append)
    cooling, hot = android._Cooling(38.0, 10.0), Thermometer(*[45.0] * 4)
    assert [cooling.wait(hot), cooling.wait(hot)] == [45.0, 45.0]
    assert slept == [5.0] * 2


@pytest.fixture(name="try_phone")
def make_try_phone(tiny_file, tmp_path, monkeypatch):
    """Runs one case on a phone with other answers."""

    def try_phone(binary="binary", delegates=("cpu",), **others):
        (tmp_path / "binary").write_bytes(fake.elf())
        fake.FakePhone(tmp_path, fake.answers(**others)).install()
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        settings = {"threads": (1,), "lengths": (4,), "delegates": delegates}
        return benchmark_on_phone([tiny_file], tmp_path / binary, **settings)

    return try_phone


def test_when_every_case_fails(try_phone):
    with pytest.raises(ValueError, match="Every case failed on the phone.*Failed to apply NNAPI"):
        try_phone(delegates=("nnapi",))


def test_a_phone_that_goes_away(try_phone):
    lost = (1, "error: device 'P8' not found\n")
    with pytest.raises(ValueError, match="Phone P8 went away"):
        try_phone(**{"get-state": lost, "--graph": lost})


def test_wrong_settings(try_phone):
    with pytest.raises(ValueError, match=r"No file .*absent. Expected benchmark_model"):
        try_phone(binary="absent")
    with pytest.raises(ValueError, match='Unknown delegate "hexagon". Delegates: cpu, xnnpack'):
        try_phone(delegates=("hexagon",))
    with pytest.raises(ValueError, match="No delegates are given. Delegates: cpu, xnnpack"):
        try_phone(delegates=())
