import os
import stat

import pytest

from tinybert_tf import atomic
from tinybert_tf.atomic import atomic_file, atomic_folder


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


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
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
    monkeypatch.setattr(atomic.os, step, fail_with(OSError(28, "No space left on device")))
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
