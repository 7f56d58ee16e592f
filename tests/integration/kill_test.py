import json
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("kill_runs.py")


@pytest.mark.slow
def test_killed_runs_end_as_undisturbed_ones(tmp_path):
    command = [sys.executable, PROGRAM, tmp_path, "--kills", "3"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    reports = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert sum(report.get("killed", False) for report in reports) == 3
