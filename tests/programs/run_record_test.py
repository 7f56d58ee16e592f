import dataclasses
import json

import pytest

from tinybert_tf.programs.run_record import RunRecord, finished_result
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fake(Settings):
    output: str | None = setting(None)
    sizes: tuple[int, ...] = setting((1, 2))
    model: str = setting("m")
    overwrite: bool = setting(False)


def record(output, command="fake", **others):
    return RunRecord(command, Fake(output=str(output), **others))


def started(output, **others):
    running = record(output, **others)
    running.start()
    return running


PLACES = {"run": "run/run.json", "x.tflite": "x.tflite.run.json", "x.json": "x.json"}


def make_output(path):
    """What the program itself would write: nothing for .json, which is the record."""
    if path.suffix == ".tflite":
        path.write_text("made")
    elif not path.suffix:
        (path / "made").write_text("made")


@pytest.mark.parametrize("name", PLACES)
def test_the_record_lies_beside_what_was_made(tmp_path, name):
    running = started(tmp_path / name)
    path = tmp_path / PLACES[name]
    assert json.loads(path.read_text())["status"] == "running"
    running.finish({"share": 0.5})
    values = json.loads(path.read_text())
    assert (values["status"], values["result"]) == ("finished", {"share": 0.5})
    assert values["settings"]["sizes"] == [1, 2]
    assert values["seconds"] >= 0
    assert set(values["versions"]) >= {"python", "tensorflow", "keras", "tinybert-tf"}


@pytest.mark.parametrize("name", PLACES)
def test_the_same_settings_find_the_result(tmp_path, name):
    assert record(tmp_path / name).result is None
    running = started(tmp_path / name)
    make_output(tmp_path / name)
    assert record(tmp_path / name).result is None
    running.finish({"share": 0.5})
    assert record(tmp_path / name).result == {"share": 0.5}
    assert finished_result("fake", Fake(output=str(tmp_path / name))) == {"share": 0.5}
    assert finished_result("fake", Fake(output=str(tmp_path / name), sizes=(1,))) is None
    assert finished_result("other", Fake(output=str(tmp_path / name))) is None


@pytest.mark.parametrize("name", PLACES)
def test_other_settings_are_refused_unless_told_to_overwrite(tmp_path, name):
    running = started(tmp_path / name)
    make_output(tmp_path / name)
    running.finish({})
    with pytest.raises(FileExistsError, match=r"--sizes was \[1, 2\] and is now \[3\]"):
        record(tmp_path / name, sizes=(3,))
    with pytest.raises(FileExistsError, match="holds a run of fake, not of other"):
        record(tmp_path / name, command="other")
    assert record(tmp_path / name, sizes=(3,), overwrite=True).result is None
    assert json.loads((tmp_path / PLACES[name]).read_text())["status"] == "finished"
    started(tmp_path / name, sizes=(3,), overwrite=True)
    values = json.loads((tmp_path / PLACES[name]).read_text())
    assert (values["status"], values["settings"]["sizes"]) == ("running", [3])
    assert not (tmp_path / name / "made").exists()


@pytest.mark.parametrize("name", PLACES)
def test_a_run_that_made_nothing_gives_way(tmp_path, name):
    started(tmp_path / name)
    started(tmp_path / name, sizes=(3,))
    values = json.loads((tmp_path / PLACES[name]).read_text())
    assert values["settings"]["sizes"] == [3]


def test_a_run_that_has_made_something_does_not(tmp_path):
    started(tmp_path / "run")
    (tmp_path / "run" / "state").mkdir()
    with pytest.raises(FileExistsError, match="--sizes"):
        record(tmp_path / "run", sizes=(3,))


def test_what_is_gone_is_not_finished(tmp_path):
    record(tmp_path / "x.tflite").finish({})
    assert finished_result("fake", Fake(output=str(tmp_path / "x.tflite"))) is None
    assert record(tmp_path / "x.tflite").result is None


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["x.tflite", "x.json", "folder"])
def test_what_is_no_run_is_refused(tmp_path, name, overwrite):
    path = tmp_path / name
    if path.suffix:
        path.write_text("[]")
    else:
        path.mkdir()
        (path / "thesis").touch()
    with pytest.raises(FileExistsError, match="holds no run of this package"):
        record(path, overwrite=overwrite)
    assert path.exists()


def test_an_empty_folder_is_taken(tmp_path):
    started(tmp_path)
    assert (tmp_path / "run.json").is_file()


@pytest.mark.parametrize("inside", ["run", "run/teacher"])
def test_overwriting_spares_what_is_read(tmp_path, inside):
    record(tmp_path / "run").finish({})
    (tmp_path / inside).mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=f"would remove .*{inside}, which --model names"):
        record(tmp_path / "run", model=str(tmp_path / inside), overwrite=True)
    assert (tmp_path / "run" / "run.json").is_file()


def test_without_an_output_nothing_is_recorded():
    running = RunRecord("fake", Fake())
    assert running.output is None
    assert running.finish({"share": 1}) == {"share": 1}
    assert finished_result("fake", Fake()) is None


def test_the_best_epoch_becomes_the_model(tmp_path):
    running = started(tmp_path / "run")
    for name in ("best", "state"):
        (tmp_path / "run" / name).mkdir()
    (tmp_path / "run" / "best" / "config.json").write_text("{}")
    running.finish_model({})
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"config.json", "run.json"}


def test_working_folders_that_outlived_the_end_are_removed(tmp_path):
    record(tmp_path / "run").finish({})
    (tmp_path / "run" / "state").mkdir()
    assert record(tmp_path / "run").result == {}
    assert not (tmp_path / "run" / "state").exists()


def test_a_setting_that_came_later_was_at_its_default(tmp_path):
    started(tmp_path / "x.json").finish({"share": 0.5})
    values = json.loads((tmp_path / "x.json").read_text())
    del values["settings"]["sizes"]
    (tmp_path / "x.json").write_text(json.dumps(values))
    assert record(tmp_path / "x.json").result == {"share": 0.5}
    with pytest.raises(FileExistsError, match="--sizes"):
        record(tmp_path / "x.json", sizes=(3,))
