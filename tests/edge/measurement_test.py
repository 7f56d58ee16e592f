import itertools

import numpy as np
import pytest

from tinybert_tf.edge import measurement
from tinybert_tf.edge.measurement import measure_latency, measure_texts, time_warm, try_file


class Sensor:
    """Tells two joules more for every block."""

    def __enter__(self):
        self.joules = getattr(self, "joules", 0.0) + 2.0

    def __exit__(self, *error):
        pass


@pytest.fixture(name="seen")
def watch_runs(monkeypatch):
    """A list of (number of the model, length) of every run, timed at 1, 2, 3 ... milliseconds."""
    seen, numbers = [], {}
    counter = itertools.count(1)
    run = measurement.EdgeModel.run

    def timed(function, *arguments, **inputs):
        result = function(*arguments, **inputs)
        return float(next(counter)), result

    def watched(model, ids, mask, segment_ids):
        seen.append((numbers.setdefault(id(model), len(numbers)), len(ids)))
        return run(model, ids, mask, segment_ids)

    monkeypatch.setattr(measurement.EdgeModel, "run", watched)
    monkeypatch.setattr(measurement, "_time_ms", timed)
    return seen


@pytest.fixture
def clock(monkeypatch):
    """Every look at the clock finds it a second later."""
    monkeypatch.setattr(measurement.time, "perf_counter", itertools.count().__next__)


@pytest.mark.usefixtures("clock")
def test_files_run_in_turns(tiny_file, seen, monkeypatch):
    taken = []
    monkeypatch.setattr(measurement, "ROUND_RUNS", 2)
    (case,) = measure_latency([str(tiny_file)] * 2, [3], [1], 3, 2, taken.append)
    # The first run of each round is not timed; the last round is short.
    assert [file for file, _ in seen] == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert case["times_ms"] == [[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]
    assert (case["length"], case["threads"], case["energy_mj"]) == (3, 1, [None, None])
    assert list(map(str, taken)) == [str(tiny_file)] * (2 + 4)


@pytest.mark.usefixtures("clock")
def test_what_another_file_left_in_the_caches_is_not_timed(monkeypatch):
    calls = itertools.count()
    monkeypatch.setattr(measurement, "_time_ms", lambda run, **inputs: (float(run()), None))
    assert time_warm(lambda: next(calls), {}, runs=3, warm_seconds=5) == [4.0, 5.0, 6.0]
    assert time_warm(lambda: next(calls), {}, runs=1, warm_seconds=0) == [7.0]


def test_energy_is_that_of_one_run(tiny_file, seen, monkeypatch):
    monkeypatch.setattr(measurement, "find_sensor", Sensor)
    monkeypatch.setattr(measurement, "ENERGY_SECONDS", 0.01)
    (case,) = measure_latency([str(tiny_file)], [3], [1], 1, 0, lambda path: None)
    np.testing.assert_allclose(case["energy_mj"], [2000 / (len(seen) - 1)])


def test_sentences_are_read_and_run(reading_file, seen):
    pytest.importorskip("tokenizers")
    sentences = ["A fine film!", "films", "a a a a a a a a a a"]
    (case,) = measure_texts(str(reading_file), sentences, [1], lambda path: None)
    lengths = [6, 4, 8]  # with [CLS] and [SEP]; the last is cut to what the file takes
    assert [length for _, length in seen] == lengths * 2
    assert (case["sentences"], case["tokens"]) == (3, sum(lengths))
    # Of the second time round: tokenizer 7, 9, 11 ms, model 8, 10, 12 ms.
    assert (case["tokenize_seconds"], case["seconds"]) == (0.027, 0.057)
    assert case["energy_mj"] is None


def test_energy_of_sentences(reading_file, monkeypatch):
    pytest.importorskip("tokenizers")
    monkeypatch.setattr(measurement, "find_sensor", Sensor)
    (case,) = measure_texts(str(reading_file), ["a film"] * 4, [1], lambda path: None)
    assert case["energy_mj"] == 500.0


def test_a_trial_runs_the_file_once_and_tells_its_tensors(tiny_file, seen):
    taken = []
    found = try_file(str(tiny_file), taken.append)
    assert sorted(found["inputs"].values()) == ["(1, -1) int32"] * 3
    assert list(found["outputs"].values()) == ["(1, 2) float32"]
    assert (found["signature"], found["wrong_inputs"]) == ("serving_default", "")
    assert (taken, seen) == ([str(tiny_file)], [(0, 3)])
