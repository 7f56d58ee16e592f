"""What is noted of a measurement's surroundings."""

import json
import sys

import pytest

from benchmarks import environment


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("/data/glue/MRPC/train.tsv", "MRPC/train.tsv"), ("runs/x.jsonl", "runs/x.jsonl"), ("3", "3")],
)
def test_paths_of_the_machine_are_shortened(argument, expected):
    assert environment.shorten(argument) == expected


def test_command(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--text-column", "#1 String", "--train", "/a/b/c/d"])
    assert environment.command().endswith("--text-column '#1 String' --train c/d")


def test_description_can_be_kept(tmp_path):
    found = environment.describe()
    assert found["cores"] >= 1 and found["processor"] and found["versions"]["tensorflow"]
    environment.write_lines([found, {"a": 1}], tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [found, {"a": 1}]
