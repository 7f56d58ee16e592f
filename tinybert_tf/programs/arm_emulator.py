"""A Python for Arm that runs on a machine without Arm, under qemu.

It is made of Debian's packages and of wheels, in a folder of the caller's; nothing is installed.
"""

import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# A core of phones of 2018 and later. qemu's "max" has more than any of them, and there the
# runtime's int8 kernels gave wrong results.
CORE = "cortex-a76"
RUNTIME = "ai-edge-litert"
_DEBIAN_PACKAGES = ("qemu-user-static", "python3:arm64", "libstdc++6:arm64")
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
# The runtime reads what processor it is on from here, and crashes on what it finds on another
# architecture. qemu shows a program these files in place of the machine's.
_SHOWN_FILES = {
    "proc/cpuinfo": """\
processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

""",
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
    "sys/devices/system/cpu/online": "0\n",
}
_LINES_SHOWN = 5


class ArmEmulator:
    """Python with NumPy and this machine's version of the TFLite runtime, for Arm.

    Args:
        root: str or path-like, the folder for what is downloaded (170 MB); what is there
            already is not downloaded again.

    Attributes:
        command: list of str, what starts Python.
        environment: dict of the environment variables that it needs.

    Raises:
        ValueError: If this machine has not the runtime, is without apt-get, dpkg or pip, or these
            cannot get a package; the message holds what they said.

    Example:
        emulator = ArmEmulator("/tmp/arm")
        subprocess.run([*emulator.command, "-c", "..."], env=emulator.environment)
    """

    def __init__(self, root):
        version, root = _runtime_version(), pathlib.Path(root).resolve()
        root.mkdir(parents=True, exist_ok=True)
        debian = _made_once(root / "debian", _unpack_debian)
        (python,) = (debian / "arm64/usr/bin").glob("python3.[0-9]*")
        wheels = _made_once(
            root / f"{RUNTIME}-{version}",
            lambda folder: _install_wheels(folder, f"{RUNTIME}=={version}", python.name[6:]),
        )
        self.command = [
            str(debian / "qemu-aarch64"),
            "-cpu",
            CORE,
            "-L",
            str(debian / "arm64"),
            str(python),
        ]
        package_root = pathlib.Path(__file__).parents[2]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(wheels), str(package_root)]),
            "PYTHONSAFEPATH": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def _runtime_version():
    try:
        return importlib.metadata.version(RUNTIME)
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            f"{RUNTIME} is not installed here, so there is nothing to compare an Arm processor's "
            f"answers with: pip install {RUNTIME}"
        ) from error


def _made_once(folder, make):
    """Returns the folder; if it is not there, `make` fills it first, wholly or not at all."""
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            unfinished = pathlib.Path(temporary) / folder.name
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def _unpack_debian(folder):
    """Unpacks `qemu-aarch64`, and Python for Arm with all that it needs into `arm64`."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        temporary = pathlib.Path(temporary)
        packages = _download_debian(temporary)
        (folder / "arm64/usr/lib").mkdir(parents=True)
        (folder / "arm64/lib").symlink_to("usr/lib")  # Newer packages hold only the latter.
        for package in packages:
            if package.name.endswith("_arm64.deb"):
                _run("dpkg", "-x", str(package), str(folder / "arm64"))
            elif package.name.startswith("qemu-user"):
                _run("dpkg", "-x", str(package), str(temporary / "tools"))
        # Others begin so too: "-static" comes before "_be".
        min((temporary / "tools/usr/bin").glob("qemu-aarch64*")).rename(folder / "qemu-aarch64")
    for name, content in _SHOWN_FILES.items():
        path = folder / "arm64" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _download_debian(folder):
    """Downloads as if nothing were installed; returns the paths of the packages."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Architectures::": "arm64",
    }
    apt = ["apt-get", *(f"--option={name}={value}" for name, value in settings.items())]
    _run(*apt, "update")
    only = ("--yes", "--no-install-recommends", "--download-only")
    _run(*apt, "install", *only, *_DEBIAN_PACKAGES)
    return sorted((folder / "cache/archives").glob("*.deb"))


def _install_wheels(folder, runtime, python_version):
    _run(
        *(sys.executable, "-m", "pip", "install", f"--target={folder}"),
        *("--only-binary=:all:", "--no-deps", "--no-compile"),
        *(f"--platform={platform}" for platform in _PLATFORMS),
        *(f"--python-version={python_version}", "--implementation=cp"),
        *("numpy", runtime),
    )


def _run(*command):
    if shutil.which(command[0]) is None:
        raise ValueError(
            f"There is no {command[0]} here. The emulator is made of Debian's packages."
        )
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LINES_SHOWN:])
        shown = " ".join(word for word in command if not word.startswith("--"))
        raise ValueError(f"{shown} failed (status {done.returncode}):\n{said}")
