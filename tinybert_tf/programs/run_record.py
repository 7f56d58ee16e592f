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

from tinybert_tf.atomic import atomic_file, leftovers, remove
from tinybert_tf.programs.settings import REQUIRED

# Settings that do not change what a run makes, beside those whose fields say so.
_NOT_COMPARED = ("output", "overwrite")
# The status while what `overwrite` replaces is removed: what is there belongs to no run any more.
_REPLACED = "replaced"
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
            Without an output nothing is recorded. A field whose metadata has `compared` as False
            may differ when a run is continued or its result asked for.
        writes: bool, False for all processes of a distributed job but the chief: they look at the
            same output, and write, copy and remove nothing.

    A program asks for `result` first, loads what it reads, and calls `start` before it writes: what
    `overwrite` replaces is removed only then. After a process was killed, at whatever moment, the
    same command goes on; the seconds in the record are those of all its processes, each up to the
    last time that it wrote the record.

    Attributes:
        writes: bool, as it was given.
        result: dict of the finished run with these settings that is there already, else `None`.

    Raises:
        FileExistsError: If the output holds a run with other settings that has made something, or
            something that is no run.
        ValueError: If overwriting would remove what the program reads.
    """

    def __init__(self, command, settings, writes=True):
        self._start, self.writes, self._replaces = time.monotonic(), writes, False
        self._earlier = {"seconds": 0.0, "peak_memory_bytes": 0}
        self.result = None
        self._values = {
            "command": command,
            "settings": dataclasses.asdict(settings),
            "status": "running",
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "versions": _versions(),
        }
        self.output = settings.output and pathlib.Path(settings.output)
        if self.output is None:
            return
        self._path = _record_path(settings)
        old = _read(self._path)
        if old is None:
            self._refuse_what_is_no_run()
        elif getattr(settings, "overwrite", False) or old["status"] == _REPLACED:
            self._replaces = True
            _check_inputs_are_elsewhere(self.output.resolve(), dataclasses.asdict(settings))
        else:
            self._continue(old, command, settings)

    def start(self):
        """Marks the run as running, after removing the one that it replaces."""
        if self._replaces and self.writes and _is_folder(self.output):
            self._write(status=_REPLACED)
            for path in self.output.iterdir():
                if path.name != self._path.name:
                    remove(path)
        self._write(status="running")

    def note_time(self):
        """Writes the record with the seconds so far; for whenever the training state is saved."""
        self._write()

    def finish(self, result, status="finished"):
        """Writes the result and the run's status, "finished" or "failed"; returns the result."""
        self._write(status=status, result=result)
        if status == "finished":
            self._tidy()
        return result

    def finish_model(self, result):
        """As `finish`, for a model: the content of `best/` in the output becomes the model."""
        if self.writes:
            for path in sorted((self.output / "best").iterdir()):
                with atomic_file(self.output / path.name) as temporary:
                    shutil.copyfile(path, temporary)
        return self.finish(result)

    def _write(self, **values):
        if self.output is None or not self.writes:
            return
        seconds = self._earlier["seconds"] + time.monotonic() - self._start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._values |= {
            "seconds": round(seconds, 1),
            "peak_memory_bytes": max(peak, self._earlier["peak_memory_bytes"]),
            **values,
        }
        with atomic_file(self._path) as temporary:
            text = json.dumps(self._values, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def _tidy(self):
        if self.writes:
            for path in _needed_no_more(self.output):
                remove(path, ignore_errors=True)

    def _continue(self, old, command, settings):
        """Takes from the record that is there the result, or what earlier processes have spent."""
        differing = _differences(old["settings"], settings)
        if old["command"] != command or differing:
            self._refuse_what_differs(old, command, differing)
            self._replaces = True
        elif old["status"] == "finished" and self.output.exists():
            self.result = old["result"]
            self._values["started"] = old.get("started", self._values["started"])
            self._tidy()
        elif old["status"] == "running":
            self._earlier |= {name: old[name] for name in self._earlier if name in old}
            self._values["started"] = old.get("started", self._values["started"])

    def _refuse_what_differs(self, old, command, differing):
        if old["status"] != "finished" and not self._has_made_something():
            return
        what = f"with other settings: {'; '.join(differing)}"
        if old["command"] != command:
            what = f"of {old['command']}, not of {command}"
        raise FileExistsError(
            f"{self.output} holds a run {what}. Choose another --output, or pass --overwrite to "
            "replace it."
        )

    def _refuse_what_is_no_run(self):
        is_file = self.output.exists() and not self.output.is_dir()
        if is_file or (self.output.is_dir() and _names(self.output) - {".run.json.new"}):
            raise FileExistsError(
                f"{self.output} exists and holds no run of this package. Choose another --output."
            )

    def _has_made_something(self):
        if self.output.is_dir():
            names = _names(self.output) - set(_SIDE_PRODUCTS)
            return any(not (name[0] == "." and name.endswith(".new")) for name in names)
        return self._path != self.output and self.output.exists()


def finished_result(command, settings):
    """The result of a command that finished with these settings, or `None`.

    `None` too if what it made is no longer there, or what only an unfinished run needs still is:
    then a `RunRecord` with these settings has the result, and removes that.
    """
    output = settings.output and pathlib.Path(settings.output)
    if not output or not output.exists() or _needed_no_more(output):
        return None
    old = _read(_record_path(settings))
    is_finished = (
        old is not None
        and (old["command"], old["status"]) == (command, "finished")
        and not _differences(old["settings"], settings)
    )
    return old["result"] if is_finished else None


def started(settings):
    """When the run in the settings' output began, in ISO 8601; an empty str if there is none."""
    record = settings.output and _read(_record_path(settings))
    return record.get("started", "") if record else ""


def _needed_no_more(output):
    """What is in a finished run's output folder although only an unfinished run needs it."""
    if output is None or not output.is_dir():
        return []
    working = [output / name for name in WORKING_FOLDERS if (output / name).exists()]
    return [*working, *leftovers(output)]


def _names(folder):
    return {path.name for path in folder.iterdir()}


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
    return output.suffix not in (".json", ".tflite", ".tsv", ".candidates")


def _record_path(settings):
    output = pathlib.Path(settings.output)
    if _is_folder(output):
        return output / "run.json"
    is_record = output.suffix == ".json" and settings.json_is_record
    return output if is_record else output.with_name(f"{output.name}.run.json")


def _read(path):
    """The record at `path`, or `None` if there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    keys = {"command", "settings", "status"}
    return values if isinstance(values, dict) and keys <= values.keys() else None


def _differences(old, settings):
    """In words, what a record's settings and these differ in; see `RunRecord` for what counts."""
    fields = dataclasses.fields(settings)
    # What a setting was when a record was written that does not have it yet.
    defaults = {field.name: field.default for field in fields if field.default is not REQUIRED}
    old = json.loads(json.dumps(defaults)) | old
    new = json.loads(json.dumps(dataclasses.asdict(settings)))
    free = {field.name for field in fields if not field.metadata.get("compared", True)}
    return [
        f"--{key.replace('_', '-')} was {old.get(key)!r} and is now {new.get(key)!r}"
        for key in sorted((old.keys() | new.keys()) - free.union(_NOT_COMPARED))
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
