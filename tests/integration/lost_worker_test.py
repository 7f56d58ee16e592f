"""Two processes distil together; one is killed, both are started again."""

import sys
import time

import numpy as np
import pytest
import safetensors.numpy
import tiny
from workers import two_workers

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 240
SETTINGS = ("--intermediate-epochs", 6, "--prediction-epochs", 6, "--batch-size", 4)
SETTINGS += ("--checkpoint-steps", 3, "--deterministic", "--strategy", "multi-worker")


def job(arguments):
    """Starts the same command as the two workers of a job."""
    return two_workers([[sys.executable, "-m", "tinybert_tf.cli", *map(str, arguments)]] * 2)


def finish(arguments):
    """Runs the job to its end."""
    with job(arguments) as processes:
        for process in processes:
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, err


@pytest.fixture(scope="module", name="undisturbed")
def run_undisturbed(distil, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "student"
    finish(distil(folder, *SETTINGS))
    return folder


@pytest.mark.parametrize("victim", [0, 1])
def test_the_other_says_so_and_the_job_goes_on(distil, undisturbed, tmp_path, victim):
    folder = tmp_path / "student"
    arguments = distil(folder, *SETTINGS)
    with job(arguments) as processes:
        wait_for(folder / "state" / "prediction_stage.safetensors", processes)
        processes[victim].kill()
        _, err = processes[1 - victim].communicate(timeout=PATIENCE_SECONDS)
    assert processes[1 - victim].returncode == 1, err
    assert "tinybert-tf: A worker of the job was lost" in err
    assert "Start all workers again with the same command" in err
    assert "Traceback" not in err
    finish(arguments)
    ours, theirs = (
        safetensors.numpy.load_file(f / "model.safetensors") for f in (folder, undisturbed)
    )
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert files_of(folder) == files_of(undisturbed)


def wait_for(path, processes):
    stop = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        for process in processes:
            assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < stop, "the job takes too long"
        time.sleep(0.05)


def files_of(folder):
    return {name for name in tiny.snapshot(folder) if not name.startswith("logs")}
