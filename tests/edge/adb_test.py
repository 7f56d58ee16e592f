import os
import shlex

import fake_phone as fake
import pytest

from tinybert_tf.edge.adb import Phone

DEVICES = "List of devices attached\n"


@pytest.fixture(name="connect")
def make_connect(tmp_path, monkeypatch):
    """Puts an `adb` with other answers on the path; returns the `FakePhone`."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def connect(**others):
        phone = fake.FakePhone(tmp_path, fake.answers(**others))
        phone.install()
        return phone

    return connect


def test_without_adb(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="no adb on the PATH. Install Android's platform-tools"):
        Phone()


@pytest.mark.parametrize(
    ("listed", "serial", "message"),
    [
        ("", None, "adb sees no phone. Plug one in"),
        ("", "P8", "adb sees no phone. Plug one in"),
        (
            "P8\tdevice\nP9\tdevice\n",
            None,
            r"2 phones; choose one with --serial: P8 \(device\), P9",
        ),
        ("P8\tdevice\n", "P9", r"adb sees no phone P9. It sees: P8 \(device\)"),
        ("P8\tunauthorized\n", None, "Phone P8 is unauthorized. Unlock it and allow USB debugging"),
        ("P8\toffline\n", "P8", "Phone P8 is offline. Unplug it"),
        ("P8\tno permissions (udev)\n", None, r"Phone P8 is no permissions \(udev\)\.$"),
    ],
)
def test_phones_that_cannot_be_used(connect, listed, serial, message):
    connect(devices=(0, f"* daemon started successfully\n{DEVICES}{listed}\n"))
    with pytest.raises(ValueError, match=message):
        Phone(serial)


def test_one_of_two_phones(connect):
    connect(devices=(0, f"{DEVICES}P8\tdevice\nP9\tunauthorized\n"))
    assert Phone("P8").serial == "P8"


def test_words_reach_the_phone_as_they_are(connect):
    log = connect()
    Phone().shell("echo", "a b", "$(reboot)", "it's")
    *_, (flag, serial, command, line) = log.asked()
    assert (flag, serial, command) == ("-s", "P8", "shell")
    assert line == "echo 'a b' '$(reboot)' 'it'\"'\"'s'"
    assert shlex.split(line) == ["echo", "a b", "$(reboot)", "it's"]


def test_what_is_pushed_is_removed(connect, tmp_path):
    log = connect()
    with pytest.raises(KeyError), Phone() as phone:
        there = phone.push("a file;rm", "model.tflite")
        raise KeyError
    assert there == f"{phone.folder}/model.tflite"
    assert log.asked()[1:] == [
        ["-s", "P8", "shell", f"mkdir {phone.folder}"],
        ["-s", "P8", "push", os.path.abspath("a file;rm"), there],
        ["-s", "P8", "shell", f"rm -rf {phone.folder}"],
    ]


def test_a_full_phone(connect):
    connect(push=(1, "adb: error: failed to copy: No space left on device\n"))
    with pytest.raises(ValueError, match="x.bin does not get onto phone P8: .* No space left"):
        Phone().push("x.bin", "x")


@pytest.mark.parametrize(
    ("battery", "zones", "degrees"),
    [
        ("  temperature: 312\n", "90000\n", 31.2),
        ("  Charge counter: 1\n", "31000\n45500\n-40000\n", 45.5),
        ("", "cat: Permission denied\n", None),
    ],
)
def test_temperature(connect, battery, zones, degrees):
    connect(dumpsys=(0, battery), thermal=(0, zones))
    assert Phone().temperature_c() == degrees


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (fake.elf(62), "is for x86_64; phone P8 runs arm64-v8a,armeabi-v7a"),
        (fake.elf(8), "is for another machine"),
        (b"#!/bin/sh\n", "is no Android program: it is not an ELF file"),
    ],
)
def test_programs_of_other_machines(connect, tmp_path, content, message):
    connect()
    (tmp_path / "program").write_bytes(content)
    with pytest.raises(ValueError, match=f"program {message}"):
        Phone().check_program(tmp_path / "program")


def test_programs_of_this_machine(connect, tmp_path):
    connect()
    (tmp_path / "program").write_bytes(fake.elf(40))
    Phone().check_program(tmp_path / "program")
