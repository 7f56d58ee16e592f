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
from tinybert_tf.tflite.compare_on_arm import compare, read_sentences

from tinybert_tf.data import Examples
from tinybert_tf.edge import EdgeModel
from tinybert_tf.edge.normalizer import normalize
from tinybert_tf.edge.remote_model import RemoteModel
from tinybert_tf.export.predictor import file_rows, predict_rows, to_logits
from tinybert_tf.recipes import RECIPES

ROOT = pathlib.Path(__file__).parents[2]
CLASSIFY = pathlib.Path(__file__).with_name("classify_texts.py")
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


def answer(runtime, python, model, sentences):
    """Probabilities `(sentences, labels)` of a file's other runtime; ValueError if it has none."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if runtime not in CLASSIFIERS:
        with RemoteModel(model.path.resolve(), [python], environment) as there:
            return predict_rows(there, file_rows(model, Examples(sentences)))
    done = subprocess.run(
        [python, CLASSIFY, model.path],
        input=json.dumps([normalize(sentence) for sentence in sentences]),
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
    cosine = compare(*logits)["cosine"]
    near = equal == len(here) and cosine >= LEAST_COSINE
    verdict = "runs" if near else "ANSWERS WRONGLY"
    return near, f"{verdict}, cosine {cosine:.6f}, {equal} of {len(here)} labels"


def oldest(releases, runs):
    """The first release from which on all run a file, or `None`."""
    newest = list(itertools.takewhile(runs.get, reversed(releases)))
    return newest[-1] if newest else None


def main(folder, texts_path, *paths):
    """Prints every line; returns the exit status."""
    sentences = read_sentences(texts_path, "sentence", COUNT)
    status = 0
    for path in paths:
        model = EdgeModel(path)
        here = predict_rows(model, file_rows(model, Examples(sentences)))
        recipe, found = model.settings["recipe"], {}
        for runtime, (package, releases) in RELEASES.items():
            runs = {}
            for release in releases:
                python = install(pathlib.Path(folder).resolve(), package, release)
                try:
                    there = answer(runtime, python, model, sentences)
                    runs[release], line = judge(there, here)
                except ValueError as error:
                    runs[release], line = False, f"refuses: {str(error)[-200:]}"
                print(f"{recipe} in {runtime} {release} {line}", flush=True)
            found |= {runtime: first} if (first := oldest(releases, runs)) else {}
        if found != RECIPES[recipe].oldest_runtimes:
            print(f"{recipe}: found {found}, but RECIPES has {RECIPES[recipe].oldest_runtimes}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
