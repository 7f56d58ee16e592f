"""The wheel holds the library, the programs inside it and their data, and nothing else."""

import configparser
import email
import sys
import zipfile

import pytest
from project_wheel import PACKAGED, build_wheel
from source_tree import ROOT, SourceTree

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="wheel")
def open_wheel(tmp_path_factory):
    """The wheel of a copy of the sources, as an open `zipfile.ZipFile`."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    built = build_wheel(source, output)
    assert not (source / "build").exists()  # one name with BUILD on disks that ignore case
    with zipfile.ZipFile(built) as wheel:
        yield wheel


@pytest.fixture(scope="module", name="metadata")
def read_metadata(wheel):
    """Function from a file's name in the wheel's .dist-info folder to its text."""
    folder = next(name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name)
    return lambda name: wheel.read(f"{folder}/{name}").decode("utf-8")


def test_every_python_file_is_in_the_wheel(wheel):
    expected = {
        str(path) if path.parts[0] == "tinybert_tf" else f"tinybert_tf/{path}"
        for path in SourceTree().python_files
        if path.parts[0] in PACKAGED
    }
    assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_data_files_are_in_the_wheel(wheel):
    patterns = {
        "tinybert_tf": ["py.typed", "data/snips/*", "**/*.jinja"],
        "trainers": ["recipes/*.yaml"],
    }
    files = {
        path.relative_to(ROOT).as_posix()
        for folder, names in patterns.items()
        for pattern in names
        for path in (ROOT / folder).glob(pattern)
    }
    expected = {name if name.startswith("tinybert_tf") else f"tinybert_tf/{name}" for name in files}
    assert expected <= set(wheel.namelist())
    assert "tinybert_tf/py.typed" in expected


def test_nothing_lands_beside_the_package(wheel):
    assert {name.split("/")[0].partition("-")[0] for name in wheel.namelist()} == {"tinybert_tf"}


def test_command_and_metadata(metadata):
    entry_points = configparser.ConfigParser()
    entry_points.read_string(metadata("entry_points.txt"))
    assert dict(entry_points["console_scripts"]) == {"tinybert-tf": "tinybert_tf.cli:main"}
    values = email.message_from_string(metadata("METADATA"))
    assert (values["Name"], values["Version"]) == ("tinybert-tf", "0.1.0")
    assert values["License-Expression"] == "Apache-2.0"
    assert "Apache License" in metadata("licenses/LICENSE")


if __name__ == "__main__":
    sys.exit(pytest.main(["-m", "slow", __file__]))
