"""The package tools are scripts that make a few empty files: no network, nothing emulated."""

import importlib.metadata
import os
import sys

import pytest

from tinybert_tf.programs.arm_emulator import ArmEmulator

VERSION = importlib.metadata.version("ai-edge-litert")
APT_GET = """#!{python}
import pathlib, sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
settings = dict(word.removeprefix("--option=").split("=") for word in sys.argv if "::" in word)
if "install" in sys.argv:
    for name in ("libc6_2_arm64", "libc6_2_amd64", "python3_3_arm64", "qemu-user-static_7_amd64"):
        pathlib.Path(settings["Dir::Cache"], "archives", name + ".deb").touch()
"""
DPKG = """#!{python}
import pathlib, sys
_, _, package, folder = sys.argv
name = pathlib.Path(package).name.partition("_")[0]
programs = {{"python3": ["python3", "python3.11"], "libc6": []}}
emulators = ["qemu-aarch64_be-static", "qemu-aarch64-static", "qemu-arm-static"]
for program in programs.get(name, emulators):
    path = pathlib.Path(folder, "usr/bin", program)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program)
"""
PIP = """#!{python}
import pathlib, sys
with open({log!r}, "a") as log:
    print(*sys.argv[1:], file=log)
(target,) = (word.partition("=")[2] for word in sys.argv if word.startswith("--target"))
pathlib.Path(target, "numpy").mkdir()
"""
FAILING = """#!/bin/sh
echo reading lists; echo "E: cannot reach the mirror" >&2; exit 100
"""


@pytest.fixture(name="tools")
def make_tools(tmp_path, monkeypatch):
    """A folder of scripts that is the whole PATH; `log` tells how they were called."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in {"apt-get": APT_GET, "dpkg": DPKG, "pip": PIP}.items():
        write(folder / name, text.format(python=sys.executable, log=str(folder / "log")))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "pip"))
    return folder


def write(path, text):
    path.write_text(text)
    path.chmod(0o755)


def test_command_and_environment(tools, tmp_path):
    emulator = ArmEmulator(tmp_path / "root")
    debian = tmp_path / "root/debian"
    python = debian / "arm64/usr/bin/python3.11"
    assert emulator.command == [
        *(str(debian / "qemu-aarch64"), "-cpu", "cortex-a76"),
        *("-L", str(debian / "arm64"), str(python)),
    ]
    assert (debian / "qemu-aarch64").read_text() == "qemu-aarch64-static"
    wheels, package_root = emulator.environment["PYTHONPATH"].split(os.pathsep)
    assert os.listdir(wheels) == ["numpy"]
    assert os.path.isfile(f"{package_root}/tinybert_tf/edge/remote_model.py")


def test_programs_see_an_arm_processor(tools, tmp_path):
    ArmEmulator(tmp_path / "root")
    shown = tmp_path / "root/debian/arm64"
    lines = (shown / "proc/cpuinfo").read_text().splitlines()
    values = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    assert (values["CPU implementer"], values["CPU part"]) == ("0x41", "0xd0b")  # Arm, A76
    assert {"asimd", "asimddp"} <= set(values["Features"].split())
    for name in ("possible", "present", "online"):
        assert (shown / "sys/devices/system/cpu" / name).read_text() == "0\n"


def test_wheels_are_those_of_its_python_and_this_runtime(tools, tmp_path):
    ArmEmulator(tmp_path / "root")
    called = (tools / "log").read_text()
    assert f" ai-edge-litert=={VERSION}\n" in called
    assert "--python-version=3.11" in called
    assert "--platform=manylinux_2_27_aarch64" in called


def test_the_machines_own_packages_are_left_alone(tools, tmp_path):
    ArmEmulator(tmp_path / "root")
    update, install, _ = (tools / "log").read_text().splitlines()
    for call in (update, install):
        for name in ("Dir::State", "Dir::State::status", "Dir::Cache"):
            assert f"--option={name}={tmp_path / 'root'}" in call
    assert "--download-only" in install


def test_what_is_there_is_not_downloaded_again(tools, tmp_path):
    first = ArmEmulator(tmp_path / "root")
    for path in tools.iterdir():
        path.unlink()
    assert ArmEmulator(tmp_path / "root").command == first.command
    assert sorted(os.listdir(tmp_path / "root")) == [f"ai-edge-litert-{VERSION}", "debian"]


@pytest.mark.parametrize(("name", "shown"), [("apt-get", "apt-get update"), ("pip", "pip install")])
def test_a_tool_that_fails_is_heard_and_leaves_nothing(tools, tmp_path, name, shown):
    write(tools / name, FAILING)
    with pytest.raises(ValueError, match=rf"{shown}.* failed \(status 100\)") as caught:
        ArmEmulator(tmp_path / "root")
    assert str(caught.value).endswith("reading lists\nE: cannot reach the mirror")
    assert os.listdir(tmp_path / "root") == (["debian"] if name == "pip" else [])


def test_a_machine_without_debians_tools(tools, tmp_path):
    (tools / "apt-get").unlink()
    with pytest.raises(ValueError, match="no apt-get here. The emulator is made of Debian's"):
        ArmEmulator(tmp_path / "root")


def test_a_machine_without_the_runtime(tools, tmp_path, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ValueError, match="ai-edge-litert is not installed here, so .* pip install"):
        ArmEmulator(tmp_path / "root")
    assert not (tmp_path / "root").exists()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
