"""An Android phone at the other end of `adb`."""

import pathlib
import re
import secrets
import shlex
import shutil
import struct
import subprocess

FOLDER = "/data/local/tmp"
# What an ELF file says of the machine it is for -> what Android calls that.
_MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}
_ADVICE = {
    "unauthorized": "Unlock it and allow USB debugging by this computer.",
    "offline": "Unplug it and plug it in again.",
}


class Phone:
    """A phone that commands are run on; used in a `with` block, it is left as it was found.

    Args:
        serial: str, which of several phones; `None` for the only one.

    Attributes:
        serial: str.
        folder: str, a folder of its own on the phone for what is pushed, removed after the block.

    Raises:
        ValueError: If `adb` is not installed, or there is no phone, more than one, or one that
            does not take commands.

    Example:
        with Phone() as phone:
            phone.shell("getprop", "ro.product.model").stdout
    """

    def __init__(self, serial=None):
        self._adb = shutil.which("adb")
        if self._adb is None:
            raise ValueError(
                "There is no adb on the PATH. Install Android's platform-tools "
                "(Debian: apt install adb)."
            )
        self.serial = _choose(_states(self._run("devices").stdout), serial)
        self.folder = f"{FOLDER}/tinybert_tf.{secrets.token_hex(4)}"

    def __enter__(self):
        self.shell("mkdir", self.folder)
        return self

    def __exit__(self, *error):
        self.shell("rm", "-rf", self.folder)

    def shell(self, *words, timeout=None):
        """Runs a command on the phone, each word as it stands.

        Args:
            *words: str, the command and its arguments.
            timeout: seconds, float; `None` waits for ever.

        Returns:
            `subprocess.CompletedProcess`: its `stdout` is all that the command wrote.
        """
        return self._run("-s", self.serial, "shell", shlex.join(words), timeout=timeout)

    def push(self, path, name, executable=False):
        """Copies a file to the phone's `folder`.

        Args:
            path: str or path-like, the file here.
            name: str, what it is called there.
            executable: bool, whether it is a program.

        Returns:
            str, its path there.

        Raises:
            ValueError: If it does not get there.
        """
        there = f"{self.folder}/{name}"
        local = str(pathlib.Path(path).resolve())
        steps = [self._run("-s", self.serial, "push", local, there)]
        if executable:
            steps.append(self.shell("chmod", "755", there))
        for step in steps:
            if step.returncode:
                raise ValueError(f"{path} does not get onto phone {self.serial}: {step.stdout}")
        return there

    def properties(self):
        """Returns what the phone says of itself, a dict of `getprop`'s names to str."""
        return dict(re.findall(r"^\[(.+?)\]: \[(.*)\]$", self.shell("getprop").stdout, re.M))

    def temperature_c(self):
        """Returns degrees Celsius of the battery, else of the hottest zone; `None` if not told."""
        told = re.search(r"^\s*temperature: (-?\d+)", self.shell("dumpsys", "battery").stdout, re.M)
        if told:
            return int(told[1]) / 10
        zones = self._run("-s", self.serial, "shell", "cat /sys/class/thermal/thermal_zone*/temp")
        degrees = [int(line) / 1000 for line in re.findall(r"^\d{4,6}$", zones.stdout, re.M)]
        return max(degrees, default=None)

    def is_there(self):
        """Whether the phone still takes commands."""
        return self._run("-s", self.serial, "get-state").stdout.strip() == "device"

    def check_program(self, path):
        """Raises ValueError if a program here is not one that the phone can run.

        Args:
            path: str or path-like, the program.
        """
        with open(path, "rb") as file:
            header = file.read(20)
        if header[:4] != b"\x7fELF" or len(header) < 20:
            raise ValueError(f"{path} is no Android program: it is not an ELF file.")
        machine = _MACHINES.get(struct.unpack_from("<H", header, 18)[0], "another machine")
        properties = self.properties()
        abis = properties.get("ro.product.cpu.abilist", properties.get("ro.product.cpu.abi", ""))
        if abis and machine not in abis.split(","):
            raise ValueError(f"{path} is for {machine}; phone {self.serial} runs {abis}.")

    def _run(self, *words, timeout=None):
        return subprocess.run(
            [self._adb, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )


def _states(devices):
    """Returns dict of serial to state, from what `adb devices` says."""
    lines = devices.partition("List of devices attached")[2].splitlines()
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def _choose(states, serial):
    if not states:
        raise ValueError(
            "adb sees no phone. Plug one in and switch on USB debugging in its developer options."
        )
    listed = ", ".join(f"{name} ({state})" for name, state in states.items())
    if serial is None and len(states) > 1:
        raise ValueError(f"adb sees {len(states)} phones; choose one with --serial: {listed}.")
    serial = serial or next(iter(states))
    if serial not in states:
        raise ValueError(f"adb sees no phone {serial}. It sees: {listed}.")
    if states[serial] != "device":
        state = states[serial].strip()
        raise ValueError(f"Phone {serial} is {state}. {_ADVICE.get(state, '')}".rstrip())
    return serial
