"""The README tells the truth: its tables are the runs' own, its commands are taken."""

import importlib.util
import pathlib
import shlex

import pytest

from tinybert_tf import cli

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)[1:]
    for line in README.replace("\\\n", "").splitlines()
    if line.startswith("    tinybert-tf ")
]


def load_tables():
    path = ROOT / "benchmarks" / "readme_tables.py"
    spec = importlib.util.spec_from_file_location("readme_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_made_from_the_results():
    assert load_tables().render(README) == README


def test_every_command_is_named():
    assert all(f"`{command}`" in README for command in cli.COMMANDS)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_command_lines_are_taken(arguments):
    values = vars(cli.make_parser(arguments[0]).parse_args(arguments[1:]))
    assert cli.make_settings(arguments[0], values)
