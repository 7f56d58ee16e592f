"""What each half of the method gives: the student's start, and data augmentation.

    python -m benchmarks.two_stage_results --data-dir glue --teachers runs/tasks \\
        --general runs/general --candidates runs/candidates --output runs/two_stage

Of each task the same distillation, with as many steps and three seeds, from a random start, from
the principal components of the teacher's embeddings and from the general student; then from the
general student with and without augmentation. Teachers are those that benchmarks.task_results made;
FOLDER/mrpc.candidates and FOLDER/cola.candidates are what augment made. Run again, it goes on where
it stopped. `python benchmarks/readme_tables.py --two-stage runs/two_stage --augmentation
runs/two_stage` makes the README's tables of what is then there.
"""

import argparse
import dataclasses
import pathlib
import subprocess
import sys

SEEDS = 3
INTERMEDIATE_RATE, PREDICTION_RATE = "5e-4", "3e-4"


@dataclasses.dataclass(frozen=True)
class Budget:
    """How long a student is trained.

    Args:
        intermediate_epochs: int.
        prediction_epochs: int.
        steps_per_epoch: int, or `None` for a whole pass over the examples.
    """

    intermediate_epochs: int
    prediction_epochs: int
    steps_per_epoch: int | None = None


BUDGETS = {
    "mrpc": Budget(2, 1, 121),
    "rte": Budget(1, 1),
    "stsb": Budget(1, 1),
    "sst2": Budget(1, 1, 250),
    "cola": Budget(2, 1, 275),
}
STARTS, AUGMENTATION = ("mrpc", "rte", "stsb", "sst2"), ("mrpc", "cola")
GENERAL = ("--student", "{general}")
DRAWN = ("--augment", "on-the-fly", "--candidates", "{candidates}/{task}.candidates")
# A kind of run: its tasks, its flags. What stands in braces are this program's settings.
KINDS = {
    "random_start": (STARTS, ("--initialize", "random")),
    "teacher_pca_start": (STARTS, ()),
    "general_start": (tuple(BUDGETS), GENERAL),
    "augmented": (AUGMENTATION, (*GENERAL, *DRAWN)),
}


def commands(settings, seed):
    """The commands of one seed, each a list of str.

    Args:
        settings: namespace of this program's settings.
        seed: int.
    """
    for kind, (tasks, flags) in KINDS.items():
        for task in tasks:
            if kind in settings.kinds and task in settings.tasks:
                places = vars(settings) | {"task": task}
                filled = [flag.format(**places) for flag in flags]
                yield distillation(settings, task, kind, seed) + filled


def distillation(settings, task, kind, seed):
    """One task-distill, a list of str."""
    budget = BUDGETS[task]
    command = ["task-distill", "--task", task, "--data-dir", str(settings.data_dir)]
    command += ["--teacher", str(settings.teachers / task / "teacher"), "--allow-weak-teacher"]
    command += ["--intermediate-epochs", str(budget.intermediate_epochs)]
    command += ["--intermediate-learning-rate", INTERMEDIATE_RATE]
    command += ["--prediction-epochs", str(budget.prediction_epochs)]
    command += ["--prediction-learning-rate", PREDICTION_RATE]
    if budget.steps_per_epoch is not None:
        command += ["--steps-per-epoch", str(budget.steps_per_epoch)]
    output = settings.output / task / f"{kind}_{seed}"
    return [*command, "--seed", str(seed), "--output", str(output)]


def main():
    """Runs every command, the first seed of all first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="GLUE's folder")
    parser.add_argument("--teachers", type=pathlib.Path, required=True, help="of task_results")
    parser.add_argument("--general", type=pathlib.Path, required=True, help="general student")
    parser.add_argument("--candidates", type=pathlib.Path, required=True, help="folder of them")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--tasks", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/two_stage"))
    settings = parser.parse_args()
    for seed in range(SEEDS):
        for command in commands(settings, seed):
            print("tinybert-tf", *command, flush=True)
            subprocess.run([sys.executable, "-m", "tinybert_tf.cli", *command], check=True)


if __name__ == "__main__":
    main()
