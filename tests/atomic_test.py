import json
import os
import stat
import subprocess
import sys

import killing
import pytest

from tinybert_tf import atomic
from tinybert_tf.atomic import atomic_file, atomic_folder, leftovers, remove, settle

FULL = OSError(28, "No space left on device")
OLD = {"x": None, "x/a": "old", "x/b": "old"}
NEW = {"x": None, "x/deep": None, "x/deep/file": "new!"}
OLD_FILE, NEW_FILE = {"x": "old"}, {"x": "new!"}


@pytest.fixture(name="umask")
def set_umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail_with(error):
    def fail(*arguments, **settings):
        raise error

    return fail


def write_folder(path, text):
    with atomic_folder(path) as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").write_text(text)


def test_file_is_written_below_folders_that_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "run.json"
    with atomic_file(str(path)) as temporary:
        assert not path.exists()
        temporary.write_text("{}")
    assert path.read_text() == "{}"
    assert names(path.parent) == ["run.json"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), FULL])
def test_file_stays_when_the_block_fails(tmp_path, error):
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_file_stays_when_the_disk_fails(tmp_path, monkeypatch, step):
    path = tmp_path / "run.json"
    path.write_text("old")
    monkeypatch.setattr(atomic.os, step, fail_with(FULL))
    with pytest.raises(OSError, match="No space"), atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


def test_modes_follow_the_umask(tmp_path, umask):
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("")
    write_folder(tmp_path / "folder", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
    assert modes == [0o640, 0o750]


def test_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "left over").write_text("old")
    write_folder(path, "new")
    assert names(tmp_path) == ["model"]
    assert names(path) == ["deep"]
    assert (path / "deep" / "file").read_text() == "new"


def test_folder_stays_when_the_block_fails(tmp_path):
    path = tmp_path / "model"
    write_folder(path, "old")
    with pytest.raises(ValueError, match="no"), atomic_folder(path) as temporary:
        (temporary / "half").write_text("new")
        raise ValueError("no")
    assert names(tmp_path) == ["model"]
    assert (path / "deep" / "file").read_text() == "old"


@pytest.mark.parametrize("failing_call", [1, 2])
def test_folder_stays_when_a_rename_fails(tmp_path, monkeypatch, failing_call):
    path, calls, rename = tmp_path / "model", [], os.rename
    write_folder(path, "old")

    def fail_once(source, target):
        calls.append(source)
        if len(calls) == failing_call:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(atomic.os, "rename", fail_once)
    with pytest.raises(OSError, match="Input/output error"):
        write_folder(path, "new")
    assert names(tmp_path) == ["model"]
    assert (path / "deep" / "file").read_text() == "old"


def test_folder_does_not_replace_a_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"model\.tflite: is a file; expected a folder"):
        write_folder(path, "new")
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["model.tflite"]


def test_link_to_a_folder_stays_a_link(tmp_path):
    write_folder(tmp_path / "model", "old")
    (tmp_path / "latest").symlink_to("model")
    write_folder(tmp_path / "latest", "new")
    assert names(tmp_path) == ["latest", "model"]
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "model" / "deep" / "file").read_text() == "new"


def test_link_to_a_file_stays_a_link(tmp_path):
    (tmp_path / "1.json").write_text("old")
    (tmp_path / "latest").symlink_to("1.json")
    with atomic_file(tmp_path / "latest") as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["1.json", "latest"]
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "1.json").read_text() == "new"


def write_x(disk):
    write_folder(disk / "x", "new!")


def write_file_x(disk):
    with atomic_file(disk / "x") as temporary:
        temporary.write_text("new!")


@pytest.fixture(name="disk")
def name_disk(tmp_path):
    return tmp_path / "disk"


@pytest.mark.parametrize("start", [{}, OLD_FILE])
def test_file_is_whole_wherever_its_writer_is_killed(disk, start):
    reached, ended = killing.kill_everywhere(lambda: write_file_x(disk), [start], disk)
    assert {state.get("x") for state in reached} == {start.get("x"), "new!"}
    assert {state.get(".x.new") for state in reached} == {None, "", "ne", "new!"}
    assert all(state == NEW_FILE for state in ended)
    _, settled = killing.kill_everywhere(lambda: settle(disk / "x"), reached, disk)
    assert all(state in (start, NEW_FILE) for state in settled)


def folder_in(state, name):
    """What a state holds of a folder, as if it were called x."""
    paths = (path for path in state if path.split("/")[0] == name)
    return {path.replace(name, "x", 1): state[path] for path in paths}


@pytest.mark.parametrize("start", [{}, OLD])
def test_folder_is_whole_wherever_its_writer_is_killed(disk, start):
    reached, ended = killing.kill_everywhere(lambda: write_x(disk), [start], disk)
    assert {"x", ".x.new", ".x.old"} <= set().union(*reached)
    for state in reached:
        assert folder_in(state, "x") in (start, NEW, {})
        assert folder_in(state, ".x.old") in (OLD, NEW, {})
        assert "x" in state or ".x.old" in state or not start
    assert all(state == NEW for state in ended)


@pytest.mark.parametrize("start", [{}, OLD])
def test_settling_ends_with_a_whole_folder_wherever_it_is_killed(disk, start):
    killed, _ = killing.kill_everywhere(lambda: write_x(disk), [start], disk)
    reached, settled = killing.kill_everywhere(lambda: settle(disk / "x"), killed, disk)
    for before, after in zip(reached, settled, strict=True):
        assert after in (start, NEW)
        assert after == folder_in(before, "x") or "x" not in before


KILL = """
import itertools, json, os, pathlib, signal, sys
import atomic_test, killing

disk, start = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
for number in itertools.count():
    killing.place(start, disk)
    child, changes = os.fork(), itertools.count()
    if not child:
        die = lambda: next(changes) < number or os.kill(os.getpid(), signal.SIGKILL)
        with killing.before_changes(die):
            atomic_test.write_x(disk)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
    print(json.dumps(killing.state_of(disk)))
"""


def test_those_are_the_states_that_sigkill_leaves(disk):
    left = subprocess.run(
        [sys.executable, "-c", KILL, disk, json.dumps(OLD)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    seen = []
    killing.place(OLD, disk)
    with killing.before_changes(lambda: seen.append(killing.state_of(disk))):
        write_x(disk)
    assert [json.loads(line) for line in left.stdout.splitlines()] == seen


@pytest.mark.parametrize(
    ("write", "start", "failing_call", "expected"),
    [
        (write_file_x, OLD_FILE, 1, OLD_FILE),
        (write_file_x, OLD_FILE, 2, NEW_FILE),
        *((write_x, OLD, failing_call, OLD) for failing_call in (1, 2, 3)),
        (write_x, OLD, 4, NEW),
    ],
)
def test_a_disk_that_fails_leaves_the_old_or_the_new(
    disk, monkeypatch, write, start, failing_call, expected
):
    calls, fsync = [], os.fsync

    def fail_once(descriptor):
        calls.append(descriptor)
        if len(calls) == failing_call:
            raise FULL
        fsync(descriptor)

    killing.place(start, disk)
    monkeypatch.setattr(atomic.os, "fsync", fail_once)
    with pytest.raises(OSError, match="No space"):
        write(disk)
    assert killing.state_of(disk) == expected


def test_what_is_synchronized(disk, monkeypatch):
    """All that is new, before it gets its name, and then the folder with the names."""
    synchronized = []

    def note(descriptor):
        inode = os.fstat(descriptor).st_ino
        paths = (path for path in (disk, *disk.rglob("*")) if path.stat().st_ino == inode)
        synchronized.append(str(next(paths).relative_to(disk)))

    monkeypatch.setattr(atomic.os, "fsync", note)
    write_x(disk)
    assert sorted(synchronized[:3]) == [".x.new", ".x.new/deep", ".x.new/deep/file"]
    assert synchronized[3:] == ["."]


def test_a_folder_that_cannot_be_removed_does_not_stop_a_write(disk, monkeypatch):
    killing.place(OLD, disk)
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda path, ignore_errors: None)
    write_x(disk)
    assert folder_in(killing.state_of(disk), "x") == NEW
    assert folder_in(killing.state_of(disk), ".x.new") == OLD


def test_settling_a_link_to_a_folder(tmp_path):
    (tmp_path / "latest").symlink_to("model")
    write_folder(tmp_path / ".model.old", "old")
    settle(tmp_path / "latest")
    assert names(tmp_path) == ["latest", "model"]
    assert (tmp_path / "latest" / "deep" / "file").read_text() == "old"


def test_settling_what_was_never_there(tmp_path):
    settle(tmp_path / "missing" / "model")
    assert names(tmp_path) == []


def test_leftovers(tmp_path):
    for name in ("x", "x.new", ".x.new", ".x.old", ".hidden", "x.old"):
        (tmp_path / name).touch()
    assert [path.name for path in leftovers(tmp_path)] == [".x.new", ".x.old"]
    assert leftovers(tmp_path / "missing") == []


def test_removing_files_links_and_folders(tmp_path):
    write_folder(tmp_path / "folder", "kept")
    (tmp_path / "link").symlink_to("folder")
    remove(tmp_path / "link")
    remove(tmp_path / "missing")
    assert names(tmp_path) == ["folder"]
    (tmp_path / "file").touch()
    remove(tmp_path / "file")
    remove(tmp_path / "folder")
    assert names(tmp_path) == []
