"""How much energy the machine takes, where it tells."""

import pathlib
import threading
import time

import numpy as np

_SECONDS_BETWEEN_SAMPLES = 0.01


class EnergyCounter:
    """Counters of microjoules, added up over a `with` block.

    Args:
        files: dict from the path of each counter to the value at which it begins again at zero.
        name: str, what is counted.

    Attributes:
        joules: float, what was taken in the last block.
    """

    def __init__(self, files, name):
        self.name, self.joules, self._files = name, 0.0, files

    def __enter__(self):
        self._before = [_read(path) for path in self._files]
        return self

    def __exit__(self, *error):
        after = [_read(path) for path in self._files]
        spans = zip(self._before, after, self._files.values(), strict=True)
        self.joules = sum((end - start) % top for start, end, top in spans) / 1e6


class PowerSensor:
    """A sensor of microwatts, sampled by a thread and integrated over a `with` block.

    Args:
        path: path of the sensor's file.
        name: str, what is measured.

    Attributes:
        joules: float, what was taken in the last block.
    """

    def __init__(self, path, name):
        self.name, self.joules, self._path = name, 0.0, path

    def __enter__(self):
        self._samples, self._ended = [self._sample()], threading.Event()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._thread.join()
        samples = [*self._samples, self._sample()]
        seconds, watts = np.transpose([sample for sample in samples if None not in sample])
        self.joules = float(np.sum(np.diff(seconds) * (watts[1:] + watts[:-1]) / 2))

    def _collect(self):
        while not self._ended.wait(_SECONDS_BETWEEN_SAMPLES):
            self._samples.append(self._sample())

    def _sample(self):
        microwatts = _read(self._path)  # a bus may fail for once
        return time.perf_counter(), None if microwatts is None else microwatts / 1e6


def find_sensor(root="/sys/class"):
    """Finds what tells the machine's energy: the processor's own counters (RAPL), else a monitor.

    Of several channels of hardware monitors (hwmon, such as an INA226 on a board) it takes the
    greatest: that of the supply, of which the others are parts.

    Args:
        root: str or path-like, where Linux shows its devices.

    Returns:
        An `EnergyCounter` or `PowerSensor`, a context manager with `name` and, after the block,
        `joules`: of all that the sensor sees, idling included. `None` where nothing tells, or only
        to an administrator.

    Example:
        with find_sensor() as sensor:
            model.run(ids, mask, segment_ids)
        sensor.joules
    """
    root = pathlib.Path(root)
    zones = [zone for zone in root.glob("powercap/intel-rapl:*") if zone.name.count(":") == 1]
    packages = sorted(zone for zone in zones if _text(zone / "name").startswith("package"))
    counters = {
        zone / "energy_uj": _read(zone / "max_energy_range_uj") or 2**64
        for zone in packages or zones
        if _read(zone / "energy_uj") is not None
    }
    if counters:
        return EnergyCounter(counters, " + ".join(_text(path.parent / "name") for path in counters))
    if path := _greatest(root.glob("hwmon/hwmon*/energy*_input")):
        return EnergyCounter({path: 2**64}, _channel(path))
    if path := _greatest(root.glob("hwmon/hwmon*/power*_input")):
        return PowerSensor(path, _channel(path))
    return None


def _greatest(paths):
    values = {path: _read(path) for path in sorted(paths)}
    told = {path: value for path, value in values.items() if value is not None}
    return max(told, key=told.get, default=None)


def _channel(path):
    return f"{_text(path.parent / 'name')} {path.name.removesuffix('_input')}"


def _read(path):
    """Returns the whole number in a file, `None` if the system does not tell it."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _text(path):
    try:
        return path.read_text().strip()
    except OSError:
        return path.parent.name
