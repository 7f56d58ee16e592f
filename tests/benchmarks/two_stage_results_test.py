"""The commands that the tables of the two stages are made with."""

import argparse
import pathlib

import pytest

from benchmarks import two_stage_results
from tinybert_tf import cli


@pytest.fixture(name="commands")
def list_commands():
    names = ("data_dir", "teachers", "general", "candidates", "output")
    places = {name: pathlib.Path(name) for name in names}
    kinds, tasks = two_stage_results.KINDS, two_stage_results.BUDGETS
    settings = argparse.Namespace(kinds=kinds, tasks=tasks, **places)
    found = {}
    for name, *flags in two_stage_results.commands(settings, seed=2):
        values = vars(cli.make_parser(name).parse_args(flags))
        assert cli.make_settings(name, values)
        found[values["output"]] = values
    return found


def test_every_kind_of_every_task_once(commands):
    expected = {
        f"output/{task}/{kind}_2"
        for kind, (tasks, _) in two_stage_results.KINDS.items()
        for task in tasks
    }
    assert set(commands) == expected


def test_runs_of_a_task_differ_in_nothing_else(commands):
    free = {"output", "initialize", "student", "augment", "candidates"}
    for output, values in commands.items():
        other = commands[f"{output.rpartition('/')[0]}/general_start_2"]
        assert {key: values[key] for key in values if key not in free} == {
            key: other[key] for key in other if key not in free
        }


def test_what_they_start_from(commands):
    def of(kind, *names):
        return [commands[f"output/mrpc/{kind}_2"][name] for name in names]

    assert of("random_start", "initialize", "student") == ["random", "tinybert_4l_312d"]
    assert of("teacher_pca_start", "initialize", "student") == ["teacher_pca", "tinybert_4l_312d"]
    assert of("general_start", "student", "augment") == ["general", None]
    expected = ["general", "on-the-fly", "candidates/mrpc.candidates"]
    assert of("augmented", "student", "augment", "candidates") == expected
    assert commands["output/cola/augmented_2"]["candidates"] == "candidates/cola.candidates"
