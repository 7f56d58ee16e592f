import pytest
import tiny

from tinybert_tf.programs.settings import TaskSettings, TaskTrainingSettings, TrainingSettings


def test_your_own_files(tmp_path):
    path = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "x"), ("b", "y")], ("text", "intent"))
    settings = TaskSettings(dev=str(path), text_column="text", label_column="intent")
    settings.check()
    task = settings.load_task()
    assert (task.labels, task.max_length) == (("x", "y"), 128)


@pytest.mark.parametrize(("given", "expected"), [(None, 64), (20, 20)])
def test_the_length_of_a_named_task(given, expected):
    assert TaskSettings(task="snips", max_length=given).load_task().max_length == expected


def test_a_name_and_files(tmp_path):
    path = tiny.write_tsv(tmp_path / "dev.tsv", [("a", "x")])
    with pytest.raises(ValueError, match="Give either .* got snips and .*dev.tsv"):
        TaskSettings(task="snips", dev=str(path)).check()


def test_neither():
    with pytest.raises(ValueError, match="Give either"):
        TaskSettings().check()


def test_missing_file():
    with pytest.raises(FileNotFoundError, match="gone.tsv: no such file"):
        TaskSettings(dev="gone.tsv").check()


def test_training_needs_a_dev_file(tmp_path):
    path = tiny.write_tsv(tmp_path / "train.tsv", [("a", "x")])
    with pytest.raises(ValueError, match="without --dev"):
        TaskTrainingSettings(train=str(path), output="x").check()


def test_too_small_a_number():
    settings = TaskTrainingSettings(seed=2, batch_size=1, output="x")
    settings.check_at_least(1, "seed", "batch_size")
    with pytest.raises(ValueError, match="--batch-size is 1, expected 2 or more."):
        settings.check_at_least(2, "seed", "batch_size")


@pytest.mark.parametrize(("total_steps", "expected"), [(None, 1.0), (10, 0.5)])
def test_a_constant_rate_has_no_warm_up(total_steps, expected):
    optimizer = TrainingSettings(output="x", warmup=0.2).optimizer(1.0, total_steps)
    assert float(optimizer.learning_rate) == pytest.approx(expected)
