"""Two processes train as one does, and neither stays when the other is lost."""

import pathlib
import runpy
import signal
import sys

import numpy as np
import pytest
from workers import two_workers

PROGRAM = pathlib.Path(__file__).with_name("train_as_worker.py")
TRAINING = runpy.run_path(PROGRAM)
PATIENCE_SECONDS = 600


def job(folder, *cases):
    """Starts the cases as the two workers of a job."""
    program = [sys.executable, PROGRAM]
    return two_workers([[*program, folder / f"{index}.npz", *cases] for index in range(2)])


def results_of_two(folder, *cases):
    """What each of two workers wrote."""
    with job(folder, *cases) as processes:
        for process in processes:
            _, err = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 0, err
    return [dict(np.load(folder / f"{index}.npz")) for index in range(2)]


def check_equal(case, found, expected):
    """Holds the arrays of a case to those of one device."""
    for name, value in expected.items():
        close = {"rtol": 0, "atol": 1e-4} if name.startswith("weight") else {"rtol": 1e-5}
        np.testing.assert_allclose(
            found[f"{case}/{name}"], value, **close, err_msg=f"{case}, {name}"
        )


def test_two_processes_take_the_steps_of_one(tmp_path):
    import tensorflow as tf

    results = results_of_two(tmp_path, "twenty steps")
    expected = TRAINING["train"](tf.distribute.get_strategy())
    assert len(expected["losses"]) == 20
    for result, is_chief in zip(results, (True, False), strict=True):
        check_equal("twenty steps", result, expected)
        assert result["is_chief"] == is_chief
        assert result["complaint"] == (
            f"The workers of the job have different seeds; here: {int(is_chief)}. Start all of "
            "them with the same command."
        )


ALIKE = ("odd batches", "fewer examples than replicas", "in parts", "several steps a call")


@pytest.mark.slow
def test_in_every_way_of_training(tmp_path):
    import tensorflow as tf

    from tinybert_tf.programs.strategies import make_strategy

    one, two = results_of_two(tmp_path, *ALIKE, "dropout")
    for case in ALIKE:
        settings = TRAINING["CASES"][case]
        expected = TRAINING["train"](tf.distribute.get_strategy(), **settings)
        check_equal(case, one, expected)
        mirrored = TRAINING["train"](make_strategy("mirrored"), **settings)
        check_equal(case, {f"{case}/{name}": value for name, value in mirrored.items()}, expected)
    for name in one:
        if "/" in name:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert np.isfinite(one["dropout/losses"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", [0, 1])
def test_a_lost_worker_ends_the_other(tmp_path, victim, how):
    with job(tmp_path, "without end") as processes:
        for process in processes:
            assert process.stdout.readline() == "training\n", process.communicate()[1]
        processes[victim].send_signal(how)
        _, err = processes[1 - victim].communicate(timeout=60)
    assert processes[1 - victim].returncode == 1
    message = err.splitlines()[-1]
    assert message.startswith("A worker of the job was lost ("), err
    assert message.endswith("the run goes on from its last saved state.")
    assert "Traceback" not in err
