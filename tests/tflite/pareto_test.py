import csv
import json
import pathlib

import pytest
from tinybert_tf.tflite.pareto import ParetoSettings, names_of, run

RECIPES = ("float32", "dynamic_wi8_afp32")


def settings(folder, dev_file, output, **others):
    others = {"recipes": RECIPES, "lengths": (4, 8), "runs": 3} | others
    task = {"train": str(dev_file), "dev": str(dev_file)}
    return ParetoSettings(models=(str(folder),), output=str(output), **task, **others)


@pytest.fixture(scope="module", name="compared")
def compare(folder, dev_file, tmp_path_factory):
    """The settings of a comparison, and its result."""
    wanted = settings(folder, dev_file, tmp_path_factory.mktemp("pareto") / "files")
    wanted.check()
    return wanted, run(wanted)


def test_a_row_for_each_file(compared):
    wanted, result = compared
    rows = result["files"]
    assert result["metric"] == "accuracy"
    assert [row["recipe"] for row in rows] == list(RECIPES)
    for row in rows:
        assert row["size_bytes"] == pathlib.Path(row["path"]).stat().st_size
        assert row["metric"] == row["dev"]["accuracy"]
        assert set(row["p50_ms"]) == {"4", "8"}
        assert row["latency_ms"] == row["p50_ms"]["8"]
        assert row["dominated_by"] in (None, *(other["name"] for other in rows))


def test_table_figure_and_record(compared):
    wanted, result = compared
    folder = pathlib.Path(wanted.output)
    with (folder / "pareto.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row["name"] for row in result["files"]]
    assert float(rows[0]["p50_ms_8"]) == result["files"][0]["latency_ms"]
    figure = (folder / "pareto.svg").read_text()
    assert all(row["name"] in figure for row in result["files"])
    assert json.loads((folder / "run.json").read_text())["result"] == result


def test_again_it_is_there(compared):
    wanted, result = compared
    assert run(wanted) == result


def test_going_on_exports_nothing_twice(compared, folder, dev_file, monkeypatch):
    wanted, result = compared
    record = pathlib.Path(wanted.output) / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "running"}))
    monkeypatch.setattr("tinybert_tf.export.to_tflite", None)
    rows = run(wanted)["files"]
    assert [row["metric"] for row in rows] == [row["metric"] for row in result["files"]]


def test_names():
    assert names_of(["/runs/sst2/student", "/runs/small"]) == ["sst2", "small"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipes": ("int8",)}, 'Unknown recipe "int8"'),
        ({"models": ("none",)}, "none: no such folder, for --models"),
        ({"runs": 0}, "--runs is 0"),
    ],
)
def test_wrong_settings(folder, dev_file, tmp_path, wrong, message):
    values = {"models": (str(folder),), "output": str(tmp_path), "dev": str(dev_file)} | wrong
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ParetoSettings(**values, train=str(dev_file)).check()


def test_two_models_of_one_name(folder, dev_file, tmp_path):
    with pytest.raises(ValueError, match="bear the same names"):
        ParetoSettings(
            models=(str(folder), str(folder)),
            output=str(tmp_path),
            train=str(dev_file),
            dev=str(dev_file),
        ).check()
