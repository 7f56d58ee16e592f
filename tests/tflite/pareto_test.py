import csv
import dataclasses
import json
import pathlib
import shutil

import pytest
from tinybert_tf.tflite import export
from tinybert_tf.tflite.pareto import ParetoSettings, names_of, run

from tinybert_tf.programs.run_record import finished_result

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
    assert all(row[key] in figure for row in result["files"] for key in ("student", "recipe"))
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


@pytest.fixture(name="asked")
def watch_exports(monkeypatch):
    """A list of the names of the files that are exported."""
    asked, exporting = [], export.run

    def exported(settings):
        asked.append(pathlib.Path(settings.output).name)
        return exporting(settings)

    monkeypatch.setattr(export, "run", exported)
    return asked


def test_other_lengths_are_timed_without_exporting(compared, folder, dev_file, asked):
    wanted, result = compared
    other = settings(folder, dev_file, wanted.output, lengths=(5,), runs=2)
    assert finished_result("pareto", other) and not other.is_current()
    rows = run(other)["files"]
    assert [set(row["p50_ms"]) for row in rows] == [{"5"}] * 2
    assert [row["dev"] for row in rows] == [row["dev"] for row in result["files"]]
    assert asked == []
    assert other.is_current() and not wanted.is_current()


def test_a_student_that_was_trained_anew(folder, dev_file, tmp_path, asked):
    student = tmp_path / "student"
    shutil.copytree(folder, student)
    wanted = settings(student, dev_file, tmp_path / "files", recipes=("float32",))
    first = run(wanted)
    assert run(wanted) == first and len(asked) == 1
    (student / "vocab.txt").touch()
    assert not wanted.is_current()
    assert run(wanted) != first and len(asked) == 2
    assert wanted.is_current()


def test_a_file_whose_old_evaluation_is_still_there(folder, dev_file, tmp_path):
    wanted = settings(folder, dev_file, tmp_path / "files", recipes=("float32",))
    run(wanted)
    ((*_, (file, _)),) = wanted.files()
    assert wanted.is_current()
    export.run(file)  # and killed before it was evaluated
    assert not wanted.is_current()


def test_a_dev_split_that_cannot_be_read(folder, dev_file, tmp_path, asked):
    (tmp_path / "dev.tsv").write_text("text\tlabel\na b\tno\n")
    wanted = settings(folder, dev_file, tmp_path / "files")
    with pytest.raises(ValueError, match='no column "sentence"'):
        run(dataclasses.replace(wanted, dev=str(tmp_path / "dev.tsv")))
    assert asked == [] and not (tmp_path / "files").exists()


def test_names():
    assert names_of(["/runs/sst2/student", "/runs/small"]) == ["sst2", "small"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"recipes": ("int8",)}, 'Unknown recipe "int8"'),
        ({"models": ("none",)}, "none: no such folder, for --models"),
        ({"runs": 0}, "--runs is 0"),
        ({"dev": None}, "compared on a dev split: give --dev too"),
        (
            {"train": None},
            "static_wi8_ai8, static_wi8_ai16 measure activations on a train split: give --train",
        ),
        ({"lengths": (0,)}, r"`lengths` is \[0\]"),
        (
            {"lengths": (13, 4)},
            "--lengths is 13 4, but .*student takes 12 tokens at most. Give --lengths up to 12, or "
            "leave .*student out of --models",
        ),
    ],
)
def test_wrong_settings(folder, dev_file, tmp_path, wrong, message):
    values = {"models": (str(folder),), "output": str(tmp_path), "lengths": (4,)}
    values |= {"train": str(dev_file), "dev": str(dev_file)} | wrong
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ParetoSettings(**values).check()


def test_lengths_beyond_a_static_file(folder, dev_file, tmp_path):
    student = tmp_path / "long"
    student.mkdir()
    config = json.loads((folder / "config.json").read_text()) | {"max_position_embeddings": 512}
    (student / "config.json").write_text(json.dumps(config))
    wanted = settings(student, dev_file, tmp_path / "files", lengths=(128, 384))
    wanted.check()
    with pytest.raises(
        ValueError, match="static_wi8_ai16 takes 128 tokens at most. .* leave static_wi8_ai16 out"
    ):
        dataclasses.replace(wanted, recipes=("float32", "static_wi8_ai16")).check()


def test_two_models_of_one_name(folder, dev_file, tmp_path):
    with pytest.raises(ValueError, match="bear the same names"):
        ParetoSettings(
            models=(str(folder), str(folder)),
            output=str(tmp_path),
            train=str(dev_file),
            dev=str(dev_file),
        ).check()
