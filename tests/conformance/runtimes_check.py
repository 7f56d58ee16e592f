"""Finds the oldest runtimes that run each recipe's file, and holds RECIPES to them.

    python tests/conformance/runtimes_check.py FOLDER TEXTS.tsv FILE.tflite [FILE.tflite ...]

Installs the releases of RELEASES below FOLDER, each in an environment of its own, and asks them for
the first 100 sentences of the table. A release runs a file if all labels are this runtime's and the
cosine of the logits is .999 or more. Prints what became of each file in each release; exit status
1 if RECIPES names another than the first of a runtime from which on all run a file.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import venv

import numpy as np
from tinybert_tf.tflite import compare_on_arm

from tinybert_tf.data import Examples
from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.normalizer import normalize
from tinybert_tf.edge.remote_model import RemoteModel
from tinybert_tf.export.predictor import file_rows, predict_rows, to_logits
from tinybert_tf.recipes import RECIPES

TESTS = pathlib.Path(__file__).parents[1]
# Runtime -> its package, and releases in the order of time.
RELEASES = {
    "LiteRT": ("ai-edge-litert", ("1.0.0", "1.1.2", "1.2.0", "1.3.0", "1.4.0", "2.0.3", "2.3.0")),
    "MediaPipe": ("mediapipe", ("0.10.5", "0.10.21", "0.10.35", "1.0.0", "1.2.2")),
    "Task Library": ("tflite-support", ("0.4.4",)),
    "tflite-runtime": ("tflite-runtime", ("2.14.0",)),
}
CLASSIFIERS = ("MediaPipe", "Task Library")
COUNT = 100
LEAST_COSINE = 0.999


def install(folder, package, release):
    """Returns the Python of an environment with one release; made if not there."""
    folder = folder / f"{package}-{release}"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        requirements = (f"{package}=={release}", "numpy==1.26.*")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        (folder / ".installed").touch()
    return str(python)


def answer(runtime, python, model, rows, texts):
    """Probabilities `(texts, labels)` by another runtime; ValueError if it refuses the file."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    if runtime not in CLASSIFIERS:
        with RemoteModel(model.path.resolve(), [python], environment) as there:
            return predict_rows(there, rows)
    done = subprocess.run(
        [python, "-m", "conformance.classify_texts", model.path],
        input=json.dumps(texts),
        capture_output=True,
        env=environment,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "Error" in line]
        raise ValueError(errors[-1] if errors else f"ended with status {done.returncode}")
    return np.array(json.loads(done.stdout))


def judge(there, here):
    """Whether probabilities are near enough, and a line on it."""
    equal = int((there.argmax(-1) == here.argmax(-1)).sum())
    logits = (to_logits(values, "classification") for values in (there, here))
    cosine = compare_on_arm.compare(*logits)["cosine"]
    near = equal == len(here) and cosine >= LEAST_COSINE
    verdict = "runs" if near else "ANSWERS WRONGLY"
    return near, f"{verdict}, cosine {cosine:.6f}, {equal} of {len(here)} labels"


def oldest(releases, runs):
    """The first release from which on all run a file, or `None`."""
    newest = list(itertools.takewhile(runs.get, reversed(releases)))
    return newest[-1] if newest else None


def check(path, pythons, sentences):
    """Prints what became of a file in each release; returns whether RECIPES says the same."""
    model, texts = EdgeModel(path), [normalize(sentence) for sentence in sentences]
    rows = file_rows(model, Examples(sentences))
    recipe, here, found = model.settings["recipe"], predict_rows(model, rows), {}
    for runtime, (_, releases) in RELEASES.items():
        runs = {}
        for release in releases:
            try:
                there = answer(runtime, pythons[runtime, release], model, rows, texts)
                runs[release], line = judge(there, here)
            except ValueError as error:
                runs[release], line = False, f"refuses: {str(error)[-200:]}"
            print(f"{recipe} in {runtime} {release} {line}", flush=True)
        found |= {runtime: first} if (first := oldest(releases, runs)) else {}
    said = RECIPES[recipe].oldest_runtimes
    if found != said:
        print(f"{recipe}: found {found}, but RECIPES has {said}")
    return found == said


def main(folder, texts_path, *paths):
    """Checks every file; returns the exit status."""
    sentences = compare_on_arm.read_sentences(texts_path, "sentence", COUNT)
    pythons = {
        (runtime, release): install(pathlib.Path(folder).resolve(), package, release)
        for runtime, (package, releases) in RELEASES.items()
        for release in releases
    }
    agreed = [check(path, pythons, sentences) for path in paths]
    return int(not all(agreed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
