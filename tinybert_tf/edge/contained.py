"""Measuring in a process of its own, whose death is an error like any other."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tinybert_tf.edge.answers import why_it_ended

# The current folder, of which nothing is to be imported, stands as "" on the path of modules.
_START = (
    "import sys; sys.path = [*filter(None, sys.path)]; "
    "from tinybert_tf.edge.measurement import main; main()"
)
# By job, for a file may hold a loop without end. What is measured may take as long as it takes.
_MOST_SECONDS = {"try": 120}


def run_contained(job, **arguments):
    """Runs a job of `tinybert_tf.edge.measurement` in a fresh process.

    Args:
        job: str, a key of its `JOBS`.
        **arguments: what the job takes, all of which JSON can write.

    Returns:
        What the job returns, as JSON reads it.

    Raises:
        ValueError: If the job refuses, or its process dies; the message names the file that it was
            running and the signal. For "try" also if it takes more than two minutes.

    Example:
        run_contained("start", path="sst2.tflite", lengths=[32])["load_ms"]
    """
    # What it says goes to a file: somebody who reads a pipe would disturb what is timed.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        ended_well, how = _run({"job": job, **arguments}, said, _MOST_SECONDS.get(job))
        said.seek(0)
        path, end = _last(said)
    if "error" in end:
        raise ValueError(end["error"])
    if not ended_well or "result" not in end:
        raise ValueError(f"{path} does not run: {how}")
    return end["result"]


def _run(job, said, most_seconds):
    """Has a process do a job; returns whether it ended well, and how it ended."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _START],
            input=json.dumps(job),
            stdout=said,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": _search_path()},
            text=True,
            errors="replace",
            timeout=most_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"it has not answered within {most_seconds} seconds."
    return child.returncode == 0, why_it_ended(child.returncode, child.stderr)


def _search_path():
    root = str(pathlib.Path(__file__).parents[2])
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))


def _last(lines):
    """Returns the file that was worked on last, and the result or error if there is one."""
    path, end = "The measuring", {}
    for line in lines:
        said = json.loads(line) if line.endswith("\n") else {}
        path, end = said.get("path", path), said
    return path, end
