import csv

import pytest

from tinybert_tf.callbacks import LossCurve
from tinybert_tf.callbacks.loss_curve import read_curve

STEPS = 5


def run(path, first=(0, 0), last=(1, STEPS), writes=True):
    """Shows a curve the means of losses 1, 2, ... from a step of an epoch up to another."""
    curve = LossCurve(path, every_steps=2, writes=writes)
    curve.set_params({"steps": STEPS})
    for epoch in range(first[0], last[0] + 1):
        curve.on_epoch_begin(epoch)
        for batch in range(first[1] if epoch == first[0] else 0, STEPS):
            if (epoch, batch) >= last:
                return
            logs = {"loss": (batch + 2) / 2, "dev_accuracy": 0.5}
            curve.on_train_batch_end(batch, logs)
        curve.on_epoch_end(epoch, logs)


def test_writes_the_means_every_few_steps_and_at_the_end_of_an_epoch(tmp_path):
    run(tmp_path / "losses.csv")
    with (tmp_path / "losses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = [(int(row["epoch"]), int(row["step"])) for row in rows]
    assert places == [(1, 2), (1, 4), (1, 5), (2, 2), (2, 4), (2, 5)]
    assert [float(row["loss"]) for row in rows[:3]] == [1.5, 2.5, 3.0]
    assert set(rows[0]) == {"epoch", "step", "loss"}


def test_gives_the_losses_between_two_rows(tmp_path):
    run(tmp_path / "losses.csv")
    curve = read_curve(tmp_path / "losses.csv")
    assert [row["step"] for row in curve] == [2, 4, 5, 7, 9, 10]
    assert [row["loss"] for row in curve] == pytest.approx([1.5, 3.5, 5.0, 1.5, 3.5, 5.0])


@pytest.mark.parametrize("killed, saved", [((1, 4), (1, 3)), ((1, 1), (1, 0)), ((0, 3), (0, 1))])
def test_an_interrupted_training_ends_in_the_same_file(tmp_path, killed, saved):
    run(tmp_path / "whole.csv")
    run(tmp_path / "losses.csv", last=killed)
    run(tmp_path / "losses.csv", first=saved)
    assert (tmp_path / "losses.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_of_a_distributed_job_the_chief_alone_writes(tmp_path):
    run(tmp_path / "losses.csv", writes=False)
    assert not (tmp_path / "losses.csv").exists()
