import itertools

import numpy as np
import pytest

from tinybert_tf.edge import energy
from tinybert_tf.edge.energy import EnergyCounter, PowerSensor, find_sensor


def write(root, **files):
    """Writes files, "__" standing for a slash in their names."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("RAPL", "intel-rapl:")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def zone(root, number, name, microjoules, most=1000):
    start = f"powercap__RAPL{number}__"
    values = {"name": name, "energy_uj": microjoules, "max_energy_range_uj": most}
    write(root, **{start + key: value for key, value in values.items()})


def test_nothing_tells(tmp_path):
    assert find_sensor(tmp_path) is None
    write(tmp_path, hwmon__hwmon0__temp1_input=40000, hwmon__hwmon1__power1_input="broken")
    assert find_sensor(tmp_path) is None


def test_packages_are_added_up_and_their_parts_are_not(tmp_path):
    zone(tmp_path, "0", "package-0", 100)
    zone(tmp_path, "0:0", "core", 7)
    zone(tmp_path, "1", "package-1", 990)
    zone(tmp_path, "2", "psys", 5)
    with find_sensor(tmp_path) as sensor:
        zone(tmp_path, "0", "package-0", 350)
        zone(tmp_path, "0:0", "core", 100)
        zone(tmp_path, "1", "package-1", 20)  # past 1000, and on from zero
        zone(tmp_path, "2", "psys", 900)
    assert sensor.name == "package-0 + package-1"
    assert sensor.joules == pytest.approx((250 + 30) / 1e6)


def test_what_only_an_administrator_may_read(tmp_path, monkeypatch):
    zone(tmp_path, "0", "package-0", 100)
    read = energy._read
    monkeypatch.setattr(
        energy, "_read", lambda path: None if path.name == "energy_uj" else read(path)
    )
    assert find_sensor(tmp_path) is None


def test_processor_before_monitor_and_energy_before_power(tmp_path):
    write(tmp_path, hwmon__hwmon1__power1_input=5, hwmon__hwmon1__name="ina226")
    assert isinstance(find_sensor(tmp_path), PowerSensor)
    write(tmp_path, hwmon__hwmon2__energy1_input=5, hwmon__hwmon2__name="xgene")
    assert find_sensor(tmp_path).name == "xgene energy1"
    zone(tmp_path, "0", "psys", 100)
    assert find_sensor(tmp_path).name == "psys"


def test_the_supply_is_the_greatest_channel(tmp_path):
    write(tmp_path, hwmon__hwmon1__name="ina3221", hwmon__hwmon1__power1_input=900000)
    write(tmp_path, hwmon__hwmon1__power2_input=4000000, hwmon__hwmon1__power3_input=20)
    assert find_sensor(tmp_path).name == "ina3221 power2"


def test_counters_of_one_block_and_the_next(tmp_path):
    write(tmp_path, counter=10)
    counter = EnergyCounter({tmp_path / "counter": 2**64}, "it")
    with counter:
        write(tmp_path, counter=2_000_010)
    assert counter.joules == 2.0
    with counter:
        pass
    assert counter.joules == 0.0


def test_power_is_integrated(tmp_path, monkeypatch):
    """Watts that rise with the seconds: the integral of t from 0 to the end is half its square."""
    seconds = itertools.count()
    sensor = PowerSensor(tmp_path, "ramp")

    def sample():
        second = next(seconds)
        return second, None if second == 1 else float(second)  # one reading fails

    monkeypatch.setattr(sensor, "_sample", sample)
    with sensor:
        sensor._ended.wait(0.1)
    last = next(seconds) - 1
    assert last > 2
    np.testing.assert_allclose(sensor.joules, last**2 / 2)


def test_a_constant_power(tmp_path):
    write(tmp_path, power=3_000_000)
    with PowerSensor(tmp_path / "power", "it") as sensor:
        start = sensor._samples[0][0]
    assert 0 < sensor.joules < 3 * (energy.time.perf_counter() - start)
