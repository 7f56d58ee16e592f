"""A tiny teacher, student and task, and a Distiller of them."""

import pytest
import tiny

import tinybert_tf as tb


@pytest.fixture(scope="session", name="task")
def make_task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    train = tiny.write_tsv(folder / "train.tsv", tiny.make_rows(32, seed=0))
    dev = tiny.write_tsv(folder / "dev.tsv", tiny.make_rows(24, seed=1))
    return tb.data.task(train=train, dev=dev)


@pytest.fixture(name="make_distiller")
def get_make_distiller():
    """Function from a seed to a compiled Distiller."""

    def make(seed=1, objective=None):
        teacher = tiny.make_model(num_layers=1)
        distiller = tb.Distiller(teacher, tiny.make_model(seed, hidden_dim=16, num_layers=1))
        distiller.compile(objective or tb.IntermediateObjective(), tb.adamw(1e-2))
        return distiller

    return make


class Stub:
    """Stands in for a Distiller where a callback needs only its attributes."""

    def __init__(self, student=None, teacher=None):
        self.student, self.teacher, self.stop_training = student, teacher, False


@pytest.fixture(name="stub")
def get_stub():
    return Stub
