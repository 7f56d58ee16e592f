import dataclasses
import datetime
import json
import types

import killing
import pytest

from tinybert_tf.atomic import atomic_file, atomic_folder, settle
from tinybert_tf.programs import run_record
from tinybert_tf.programs.run_record import RunRecord, finished_result
from tinybert_tf.programs.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fake(Settings):
    output: str | None = setting(None)
    sizes: tuple[int, ...] = setting((1, 2))
    model: str = setting("m")
    every: int = setting(10, compared=False)
    overwrite: bool = setting(False)


def record(output, command="fake", writes=True, **others):
    return RunRecord(command, Fake(output=str(output), **others), writes)


def started(output, **others):
    running = record(output, **others)
    running.start()
    return running


def values_in(folder):
    return json.loads((folder / "run.json").read_text())


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


def test_settings_that_are_not_compared(tmp_path):
    started(tmp_path / "run", every=5).finish({"share": 0.5})
    assert record(tmp_path / "run", every=6).result == {"share": 0.5}
    assert finished_result("fake", Fake(output=str(tmp_path / "run"), every=7)) == {"share": 0.5}
    with pytest.raises(FileExistsError, match=r"settings: --model was 'm' and is now 'n'\. Choose"):
        record(tmp_path / "run", every=6, model="n")


@pytest.fixture(name="process")
def fake_process(monkeypatch):
    """The process's clock and memory, to be set by hand; nothing else in a record varies."""
    process = types.SimpleNamespace(seconds=0.0, kibibytes=1, date=datetime.datetime(2000, 1, 1))
    usage = types.SimpleNamespace(
        RUSAGE_SELF=0, getrusage=lambda _: types.SimpleNamespace(ru_maxrss=process.kibibytes)
    )
    clock = types.SimpleNamespace(
        datetime=types.SimpleNamespace(now=lambda _: process.date), timezone=datetime.timezone
    )
    monkeypatch.setattr(
        run_record, "time", types.SimpleNamespace(monotonic=lambda: process.seconds)
    )
    monkeypatch.setattr(run_record, "resource", usage)
    monkeypatch.setattr(run_record, "datetime", clock)
    monkeypatch.setattr(run_record, "_versions", dict)
    return process


def test_seconds_and_memory_of_all_processes(process, tmp_path):
    first = started(tmp_path / "run")
    process.seconds, process.kibibytes = 5.0, 3
    first.note_time()
    process.seconds = 7.0  # killed
    assert values_in(tmp_path / "run")["status"] == "running"
    assert values_in(tmp_path / "run")["seconds"] == 5.0
    process.seconds, process.kibibytes, process.date = 100.0, 2, datetime.datetime(2000, 1, 2)
    second = started(tmp_path / "run")
    assert values_in(tmp_path / "run")["seconds"] == 5.0
    process.seconds = 110.0
    second.note_time()
    process.seconds = 200.0
    third = started(tmp_path / "run")
    process.seconds = 201.5
    third.finish({})
    values = values_in(tmp_path / "run")
    assert (values["seconds"], values["peak_memory_bytes"]) == (5.0 + 10.0 + 1.5, 3 * 1024)
    assert values["started"] == "2000-01-01T00:00:00.000"


def test_seconds_of_another_run_do_not_count(process, tmp_path):
    for others in ({}, {"model": "n"}, {"model": "n", "overwrite": True}):
        running = started(tmp_path / "run", **others)
        process.seconds += 5.0
        running.note_time()
        assert values_in(tmp_path / "run")["seconds"] == 5.0


def test_a_run_that_failed_keeps_what_it_has_and_is_not_continued(process, tmp_path):
    failing = started(tmp_path / "run")
    (tmp_path / "run" / "state").mkdir()
    process.seconds = 5.0
    failing.finish({}, status="failed")
    assert (tmp_path / "run" / "state").is_dir()
    assert record(tmp_path / "run").result is None
    started(tmp_path / "run")
    assert values_in(tmp_path / "run")["seconds"] == 0.0


def train(output, model="m", **others):
    """What a training program does, in two epochs."""
    running = record(output, model=model, **others)
    if running.result is not None:
        return
    running.start()
    settle(output / "best")
    state = output / "state" / "epochs"
    done = int(state.read_text()) if state.exists() else 0
    assert done == 0 or (output / "best" / "weights").exists()
    for epoch in range(done + 1, 3):
        with atomic_folder(output / "best") as best:
            (best / "weights").write_text(f"{model} after {epoch}")
        with atomic_file(state) as temporary:
            temporary.write_text(str(epoch))
        running.note_time()
    running.finish_model({"epochs": 2})


@pytest.fixture(name="disk")
def make_disk(process, tmp_path):
    """A folder whose files depend on nothing but what is done."""
    return tmp_path / "disk"


def after(disk, *trainings):
    """The state of an empty disk after trainings; each is a dict of settings."""
    killing.place({}, disk)
    for training in trainings:
        train(disk / "run", **training)
    return killing.state_of(disk)


# Once wherever it can be; or again from each state that this led to, and so on.
KILLS = [1, pytest.param(100, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kills", KILLS)
def test_a_training_ends_the_same_wherever_it_is_killed(disk, kills):
    expected = after(disk, {})
    assert set(expected) == {"run", "run/run.json", "run/weights"}
    reached, ended = killing.kill_everywhere(lambda: train(disk / "run"), [{}], disk, kills)
    assert {"run/.run.json.new", "run/.best.old", "run/.weights.new"} <= set().union(*reached)
    assert all(state == expected for state in ended)


@pytest.mark.parametrize("kills", KILLS)
def test_overwriting_ends_the_same_wherever_it_is_killed(disk, kills):
    settings = {"model": "n", "overwrite": True}
    expected = after(disk, settings)
    start = after(disk, {}) | {"run/.weights.new": "half", "run/deep/note": "of the old run"}
    reached, ended = killing.kill_everywhere(
        lambda: train(disk / "run", **settings), [start], disk, kills
    )
    assert all(state == expected for state in ended)
    replaced = [state for state in reached if '"replaced"' in state["run/run.json"]]
    assert any("run/deep" in state for state in replaced)
    assert any("run/weights" not in state for state in replaced)


def test_what_overwriting_has_begun_to_remove_belongs_to_no_run(disk):
    """Neither of the settings it was made with, nor of those that replace them."""
    start = after(disk, {})
    running = '"status": "running"'
    start["run/run.json"] = start["run/run.json"].replace('"status": "finished"', running)
    start |= {"run/state/epochs": "2", "run/best/weights": "m after 2"}
    killing.place(start, disk)
    seen = []
    with killing.before_changes(lambda: seen.append(killing.state_of(disk))):
        started(disk / "run", model="n", overwrite=True)
    begun = [state for state in seen if '"replaced"' in state["run/run.json"]]
    assert len(begun) >= 5
    for model in "mn":
        expected = after(disk, {"model": model})
        for state in begun:
            killing.place(state, disk)
            train(disk / "run", model=model)
            assert killing.state_of(disk) == expected


def export(output):
    """What a program does that writes a file."""
    running = started(output)
    with atomic_file(output) as temporary:
        temporary.write_text("made")
    running.finish({"size_bytes": 4})


def test_an_export_ends_the_same_wherever_it_is_killed(disk):
    reached, ended = killing.kill_everywhere(lambda: export(disk / "x.tflite"), [{}], disk)
    assert {".x.tflite.new", ".x.tflite.run.json.new"} <= set().union(*reached)
    assert all(state == ended[0] for state in ended)
    assert set(ended[0]) == {"x.tflite", "x.tflite.run.json"}


def test_a_finished_run_that_is_looked_at_again_is_tidied(disk):
    expected = after(disk, {})
    names = ("best/weights", "state/epochs", ".best.old/weights", ".run.json.new", ".best.new/x")
    for name in names:
        killing.place(expected | {f"run/{name}": "left"}, disk)
        settings = Fake(output=str(disk / "run"))
        assert finished_result("fake", settings) is None
        assert RunRecord("fake", settings).result == {"epochs": 2}
        assert killing.state_of(disk) == expected
        assert finished_result("fake", settings) == {"epochs": 2}


def test_others_than_the_chief_write_nothing(disk):
    for settings in ({}, {"model": "n", "overwrite": True}):
        left = {"run/best": None, "run/best/weights": "left", "run/.run.json.new": ""}
        start = after(disk, {}) | left
        killing.place(start, disk)
        worker = record(disk / "run", writes=False, **settings)
        assert worker.result == (None if settings else {"epochs": 2})
        worker.start()
        worker.note_time()
        assert worker.finish_model({"epochs": 3}) == {"epochs": 3}
        assert killing.state_of(disk) == start


@pytest.mark.parametrize("left", [{}, {"run": None}, {"run/.run.json.new": '{"comm'}])
def test_a_first_write_that_was_killed_is_in_nobodys_way(disk, left):
    expected = after(disk, {})
    killing.place(left, disk)
    train(disk / "run")
    assert killing.state_of(disk) == expected


@pytest.mark.parametrize("name", [".thesis.new", ".thesis.old", ".run.json.old"])
def test_hidden_files_that_are_no_first_write_are_no_run(disk, name):
    start = {"run": None, "run/.run.json.new": "{", f"run/{name}": "mine"}
    killing.place(start, disk)
    with pytest.raises(FileExistsError, match="holds no run of this package"):
        record(disk / "run")
    assert killing.state_of(disk) == start


def test_what_a_run_leaves_that_made_nothing_gives_way_too(disk):
    expected = after(disk, {"model": "n"})
    killing.place({}, disk)
    started(disk / "run")
    start = killing.state_of(disk)
    killing.place(start | {"run/.best.new/weights": "m", "run/logs/x": "m"}, disk)
    train(disk / "run", model="n")
    assert killing.state_of(disk) == expected
    killing.place(start | {"run/.best.old/weights": "m after 1"}, disk)
    with pytest.raises(FileExistsError, match="--model was 'm' and is now 'n'"):
        record(disk / "run", model="n")
