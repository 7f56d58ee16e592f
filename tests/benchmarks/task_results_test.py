"""The commands that the table of tasks is made with."""

import json

import pytest

from benchmarks import task_results
from tinybert_tf import cli


@pytest.fixture(name="data")
def make_data(tmp_path):
    folder = tmp_path / "data" / "SQuAD"
    folder.mkdir(parents=True)
    for number, name in enumerate(("new_wiki", "reddit")):
        paragraphs = [{"context": f"{name} {part}", "qas": []} for part in range(7)]
        content = {"version": "1", "data": [{"title": str(number), "paragraphs": paragraphs}]}
        (folder / f"{name}_v1.0.json").write_text(json.dumps(content))
    return folder.parent


@pytest.mark.parametrize("task", task_results.BUDGETS)
def test_every_row_of_a_task_has_as_many_passes(task, data, tmp_path):
    budget = task_results.BUDGETS[task]
    commands = task_results.commands(task, budget, data, tmp_path / "out", 1)
    values = []
    for name, *flags in commands:
        flags = [flag or "MINILM" for flag in flags]  # `None` where it is not installed
        values.append(vars(cli.make_parser(name).parse_args(flags)))
        assert cli.make_settings(name, values[-1])
    teacher, distilled, alone = values
    stages = [
        value["intermediate_epochs"] + value["prediction_epochs"] for value in (distilled, alone)
    ]
    assert stages == [teacher["epochs"]] * 2 == [budget.epochs] * 2
    assert (distilled["seed"], alone["seed"], alone["label_weight"]) == (1, 1, 1.0)
    assert distilled["teacher"] == alone["teacher"] == teacher["output"]


def test_a_fifth_of_the_paragraphs(data, tmp_path):
    path = task_results.write_squad_fifth(data / "SQuAD", tmp_path / "out" / "train.json")
    ((article,), version) = (json.loads(path.read_text())[key] for key in ("data", "version"))
    contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
    assert (contexts, version) == (["new_wiki 0", "new_wiki 5", "reddit 3"], "1.1")
