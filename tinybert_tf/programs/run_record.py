"""What a program was asked and what came out: run.json beside what it made."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import resource
import shutil
import time

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.settings import REQUIRED

# Settings that do not change what a run makes.
_NOT_COMPARED = ("output", "overwrite")
# In an output folder, without making it worth keeping.
_SIDE_PRODUCTS = ("run.json", "logs")
# In a model's output folder while it is trained: the best epoch so far, and the training state.
WORKING_FOLDERS = ("best", "state")
_PACKAGES = ("tensorflow", "tensorflow-text", "keras", "ai-edge-litert", "numpy")


class RunRecord:
    """The record of one program's run.

    It lies in the output folder as `run.json`; beside an output file F as `F.run.json`; and an
    output file that ends in .json is the record itself.

    Args:
        command: str, the program's name.
        settings: the program's settings, a dataclass with `output` and, mostly, `overwrite`.
            Without an output nothing is recorded.

    A program asks for `result` first, loads what it reads, and calls `start` before it writes: what
    `overwrite` replaces is removed only then.

    Attributes:
        result: dict of the finished run with these settings that is there already, else `None`.

    Raises:
        FileExistsError: If the output holds a run with other settings that has made something, or
            something that is no run.
        ValueError: If overwriting would remove what the program reads.
    """

    def __init__(self, command, settings):
        self._start = time.monotonic()
        self.result = None
        self._defaults = _defaults(settings)
        self._values = {
            "command": command,
            "settings": dataclasses.asdict(settings),
            "status": "running",
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "versions": _versions(),
        }
        self.output = settings.output and pathlib.Path(settings.output)
        if self.output is None:
            return
        self._path = _record_path(self.output)
        self._overwrites = getattr(settings, "overwrite", False) and _read(self._path) is not None
        if self._overwrites:
            _check_inputs_are_elsewhere(self.output.resolve(), dataclasses.asdict(settings))
            return
        self._compare()
        self.result = finished_result(command, settings)
        if self.result is not None:
            self._remove_working_folders()

    def start(self):
        """Marks the run as running, after removing the one that it replaces."""
        if self._overwrites and _is_folder(self.output):
            shutil.rmtree(self.output)
        self._write()

    def finish(self, result, status="finished"):
        """Writes the result and the run's status, "finished" or "failed"; returns the result."""
        self._values |= {
            "status": status,
            "seconds": round(time.monotonic() - self._start, 1),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "result": result,
        }
        if self.output is not None:
            self._write()
        return result

    def finish_model(self, result):
        """As `finish`, for a model: the content of `best/` in the output becomes the model."""
        for path in sorted((self.output / "best").iterdir()):
            with atomic_file(self.output / path.name) as temporary:
                shutil.copyfile(path, temporary)
        self.finish(result)
        self._remove_working_folders()
        return result

    def _remove_working_folders(self):
        for name in WORKING_FOLDERS:
            shutil.rmtree(self.output / name, ignore_errors=True)

    def _write(self):
        with atomic_file(self._path) as temporary:
            text = json.dumps(self._values, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def _compare(self):
        old = _read(self._path)
        if old is None:
            self._refuse_what_is_no_run()
            return
        if old["status"] != "finished" and not self._has_made_something():
            return
        new = json.loads(json.dumps(self._values))
        if old["command"] != new["command"]:
            raise FileExistsError(
                f"{self.output} holds a run of {old['command']}, not of {new['command']}. Choose "
                "another --output, or pass --overwrite to replace it."
            )
        differing = _differences(self._defaults | old["settings"], new["settings"])
        if differing:
            raise FileExistsError(
                f"{self.output} holds a run with other settings: {'; '.join(differing)}. Choose "
                "another --output, or pass --overwrite to replace it."
            )

    def _refuse_what_is_no_run(self):
        is_file = self.output.exists() and not self.output.is_dir()
        if is_file or (self.output.is_dir() and any(self.output.iterdir())):
            raise FileExistsError(
                f"{self.output} exists and holds no run of this package. Choose another --output."
            )

    def _has_made_something(self):
        if self.output.is_dir():
            return any(path.name not in _SIDE_PRODUCTS for path in self.output.iterdir())
        return self._path != self.output and self.output.exists()


def finished_result(command, settings):
    """The result of a command that finished with these settings, or `None`.

    `None` too if what it made is no longer there.
    """
    output = settings.output and pathlib.Path(settings.output)
    if not output or not output.exists():
        return None
    old = _read(_record_path(output))
    new = json.loads(json.dumps(dataclasses.asdict(settings)))
    is_finished = (
        old is not None
        and (old["command"], old["status"]) == (command, "finished")
        and not _differences(_defaults(settings) | old["settings"], new)
    )
    return old["result"] if is_finished else None


def _defaults(settings):
    """What a setting was when a record was written that does not have it yet."""
    fields = [field for field in dataclasses.fields(settings) if field.default is not REQUIRED]
    return json.loads(json.dumps({field.name: field.default for field in fields}))


def _check_inputs_are_elsewhere(output, settings):
    """Raises ValueError if a setting names something that is there, inside what is removed."""
    for key, value in settings.items():
        if key == "output" or not isinstance(value, str) or not pathlib.Path(value).exists():
            continue
        path = pathlib.Path(value).resolve()
        if path == output or output in path.parents:
            raise ValueError(
                f"--overwrite would remove {value}, which --{key.replace('_', '-')} names. Choose "
                "another --output."
            )


def _is_folder(output):
    return output.suffix not in (".json", ".tflite", ".tsv")


def _record_path(output):
    if _is_folder(output):
        return output / "run.json"
    return output if output.suffix == ".json" else output.with_name(f"{output.name}.run.json")


def _read(path):
    """The record at `path`, or `None` if there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    keys = {"command", "settings", "status"}
    return values if isinstance(values, dict) and keys <= values.keys() else None


def _differences(old, new):
    keys = sorted((old.keys() | new.keys()) - set(_NOT_COMPARED))
    return [
        f"--{key.replace('_', '-')} was {old.get(key)!r} and is now {new.get(key)!r}"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _versions():
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs"
    versions = {"python": platform.python_version(), "machine": machine}
    for package in ("tinybert-tf", *_PACKAGES):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions
