"""A teacher, a smaller student and a task's files, all tiny."""

import pytest
import tiny


@pytest.fixture(scope="session", name="teacher")
def make_teacher(tmp_path_factory):
    return tiny.save_model(tmp_path_factory.mktemp("teacher") / "teacher", hidden_dim=24)


@pytest.fixture(scope="session", name="small")
def make_small(tmp_path_factory):
    """A folder for --student, narrower than the teacher and less deep."""
    return tiny.save_model(
        tmp_path_factory.mktemp("student") / "small", seed=1, hidden_dim=16, num_layers=1
    )


@pytest.fixture(scope="session", name="files")
def make_files(tmp_path_factory):
    """The flags --train and --dev with their files."""
    folder = tmp_path_factory.mktemp("files")
    train = tiny.write_tsv(folder / "train.tsv", tiny.make_rows(32, seed=0))
    dev = tiny.write_tsv(folder / "dev.tsv", tiny.make_rows(24, seed=1))
    return ("--train", train, "--dev", dev)


@pytest.fixture(scope="session", name="dev_file")
def find_dev_file(files):
    return files[-1]


@pytest.fixture(scope="session", name="distil")
def make_distil(teacher, small, files):
    """The arguments of a short task-distill; flags given again count."""

    def arguments(output, *others):
        short = ("--intermediate-epochs", 1, "--prediction-epochs", 1, "--seed", 7)
        models = ("--teacher", teacher, "--student", small)
        return ("task-distill", *models, *files, "--output", output, *short, *others)

    return arguments
