"""Kills a whole recipe at random moments, and holds what it ends with to an undisturbed run.

    python tests/integration/kill_runs.py FOLDER --kills 30
    python tests/integration/kill_runs.py FOLDER --only prepare-corpus general-distill

Every stage there is, or those that are named, runs on tiny models. For each kill the recipe begins
in a folder of its own, gets SIGKILL at a random moment of the time that an undisturbed run takes,
and is run again to its end. Prints one JSON object a kill; exits with 1 if one of them ended with
other files.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tiny
import yaml

RECIPE = """
deterministic: true
checkpoint_steps: 3
batch_size: 4
max_length: 16
stages:
  - prepare-corpus:
      input: [CORPUS]
      vocabulary: TEACHER
      output: ${output}/corpus
      shard_bytes: 200
      workers: 1
  - general-distill:
      corpus: ${output}/corpus
      teacher: TEACHER
      student: STUDENT
      output: ${output}/general
      curve_steps: 2
      epochs: 2
  - adapt-mlm: {corpus: "${output}/corpus", model: TEACHER, output: "${output}/masked_lm"}
  - finetune-teacher:
      teacher: TEACHER
      train: TRAIN
      dev: DEV
      output: ${output}/teacher
      epochs: 2
  - augment:
      masked_lm: ${output}/masked_lm
      train: TRAIN
      output: ${output}/augmented.tsv
      variants: 2
  - task-distill:
      train: TRAIN
      dev: DEV
      teacher: ${output}/teacher
      student: ${output}/general
      augment: ${output}/augmented.tsv
      allow_weak_teacher: true
      output: ${output}/student
      intermediate_epochs: 2
      prediction_epochs: 2
      feature_cache_gb: 1
      quantize: static_wi8_ai8
      quantize_stage: both
  - evaluate: {model: "${output}/student", dev: DEV, output: "${output}/dev.json"}
  - predict: {model: "${output}/student", input: DEV, output: "${output}/predictions.tsv"}
  - export: {model: "${output}/student", output: "${output}/student.tflite"}
  - verify:
      model: ${output}/student
      tflite: ${output}/student.tflite
      dev: DEV
      output: ${output}/verify.json
  - benchmark:
      model: ${output}/student.tflite
      output: ${output}/benchmark.json
      lengths: [8]
      runs: 5
"""

STAGES = [name for stage in yaml.safe_load(RECIPE)["stages"] for name in stage]
# What a record tells that is never twice the same; the speed of a single step is not told at all.
CHANGING = ("seconds", "started", "peak_memory_bytes", "tokens_per_second", "sentences_per_second")


def main():
    """Runs once undisturbed and once for each kill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE")
    arguments = parser.parse_args()
    recipe = arguments.folder / "recipe.yaml"
    in_child(lambda: write_inputs(arguments.folder, arguments.only))
    begun = time.monotonic()
    expected = finish(recipe, arguments.folder / "undisturbed")
    duration = time.monotonic() - begun
    print(
        json.dumps({"undisturbed_seconds": round(duration, 1), "files": len(expected)}), flush=True
    )
    moments, all_same = random.Random(arguments.seed), True
    number = kills = 0
    while kills < arguments.kills:
        number += 1
        output = arguments.folder / f"killed_{number}"
        after = moments.uniform(0, duration)
        was_killed = run(recipe, output, kill_after=after) == -signal.SIGKILL
        kills += was_killed  # it may have been done before
        left = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
        found = finish(recipe, output)
        same = found == expected
        all_same &= same
        report = {"kill": number, "after_seconds": round(after, 2), "killed": was_killed}
        report |= {"files_left": len(left), "stage": stage_of(left), "same": same}
        if not same:
            report["differing"] = sorted(
                name
                for name in found.keys() | expected.keys()
                if found.get(name) != expected.get(name)
            )
        print(json.dumps(report), flush=True)
    sys.exit(0 if all_same else 1)


def write_inputs(folder, stages):
    """Writes teacher, student, data and a recipe of these stages."""
    folder.mkdir(parents=True, exist_ok=True)
    teacher = tiny.save_model(folder / "bert", hidden_dim=24)
    student = tiny.save_model(folder / "small", seed=1, hidden_dim=16, num_layers=1)
    train = tiny.write_tsv(folder / "train.tsv", tiny.make_rows(64, seed=0))
    dev = tiny.write_tsv(folder / "dev.tsv", tiny.make_rows(24, seed=1))
    words = tiny.WORDS * 4
    texts = [f"{words[i : i + 3]} {words[i : i + 2]}".replace("", " ") for i in range(100)]
    corpus = folder / "corpus.txt"
    corpus.write_text("\n\n".join(texts))
    text, places = RECIPE, {"TEACHER": teacher, "STUDENT": student, "CORPUS": corpus}
    for name, path in (places | {"TRAIN": train, "DEV": dev}).items():
        text = text.replace(name, str(path))
    recipe = {"output": "unset", **yaml.safe_load(text)}
    recipe["stages"] = [stage for stage in recipe["stages"] if stage.keys() & set(stages)]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def finish(recipe, output):
    """Runs the recipe to its end; returns the digests of the files it made."""
    status = run(recipe, output)
    if status != 0:
        raise SystemExit(f"{output}: status {status}: {output.with_suffix('.log').read_text()}")
    return digests(output)


def run(recipe, output, kill_after=None):
    """Runs the recipe in a child; see `in_child`."""

    def command():
        from tinybert_tf.cli import main

        log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        main(["run", str(recipe), "--output", str(output)])

    return in_child(command, kill_after)


def in_child(function, kill_after=None):
    """Calls a function in a fork, which has TensorFlow imported but not begun; returns its status.

    The status is negative for a signal.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except SystemExit as stop:
            status = stop.code
        finally:
            sys.stdout.flush()
            os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def digests(output):
    """Digest of each file's content, less times and the folder's own name; logs only by number."""
    found = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if path.is_dir() or name.split(os.sep)[1:2] == ["logs"]:
            continue
        content = path.read_bytes()
        if path.suffix in (".json", ".tsv"):
            content = content.replace(str(output).encode(), b"OUTPUT")
        if path.name in ("run.json", "dev.json", "verify.json") or name.endswith(".run.json"):
            content = json.dumps(json.loads(content, object_pairs_hook=unchanging)).encode()
        if path.name == "benchmark.json":
            content = b"timings"
        found[name] = hashlib.sha256(content).hexdigest()
    return found


def unchanging(pairs):
    """A JSON object less what is never twice the same."""
    return {name: value for name, value in pairs if name not in CHANGING}


def stage_of(files):
    """The last stage that had begun, by the files it left."""
    order = (
        "corpus",
        "general",
        "masked_lm",
        "teacher",
        "augmented",
        "student",
        "dev.json",
        "predictions",
        "student.tflite",
        "verify",
        "benchmark",
    )
    return next(
        (
            name
            for name in reversed(order)
            if any(f.startswith((name + "/", name + ".", name)) for f in files)
        ),
        "none",
    )


if __name__ == "__main__":
    import tensorflow  # noqa: F401
    import tinybert_tf.trainers.task_distill  # noqa: F401

    import tinybert_tf.augmentation  # noqa: F401
    import tinybert_tf.corpus  # noqa: F401

    main()
