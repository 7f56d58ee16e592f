"""Teaches TinyBERT-4 every task that the data are there for, and keeps what came out.

    python -m benchmarks.task_results --data-dir glue --output runs/tasks

For each task: a teacher fine-tuned from MiniLM, TinyBERT-4 distilled from it, and TinyBERT-4
trained on labels alone, all with as many passes over the data; the small tasks with three seeds
of the students. Run again, it goes on where it stopped. The table of the README is made of what is
then in runs/tasks: `python benchmarks/readme_tables.py --tasks runs/tasks`.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys

from tinybert_tf.atomic import atomic_file
from tinybert_tf.programs.pretrained import find_minilm


@dataclasses.dataclass(frozen=True)
class Budget:
    """How a task is trained.

    Args:
        intermediate_epochs: int, of the distilled student.
        prediction_epochs: int; teacher and labels alone get as many passes as both stages.
        seeds: int, number of students of each kind.
        intermediate_rate: str, the students' learning rate in the intermediate stage.
        prediction_rate: str, the one in the prediction stage and on labels alone.
        dtype: str, what teacher and students compute in while they are trained.
        data: tuple of str, the flags that name the data; "{data}" is the data folder.
    """

    intermediate_epochs: int
    prediction_epochs: int
    seeds: int = 1
    intermediate_rate: str = "1e-3"
    prediction_rate: str = "5e-4"
    dtype: str = "float32"
    data: tuple[str, ...] = ()

    @property
    def epochs(self):
        """Passes over the data in all."""
        return self.intermediate_epochs + self.prediction_epochs


_SNLI = ("--text-column", "sentence1", "--text-pair-column", "sentence2")
_SNLI += ("--label-column", "gold_label", "--max-length", "128")
BUDGETS = {
    "cola": Budget(4, 2, seeds=3, intermediate_rate="3e-4", prediction_rate="2e-4"),
    "mrpc": Budget(2, 1, seeds=3),
    "rte": Budget(2, 1, seeds=3),
    "stsb": Budget(2, 1, seeds=3),
    # Only the dev and the test split of SNLI are at hand: the test split teaches.
    "snli": Budget(
        2, 1, data=("--train", "{data}/SNLI/test.tsv", "--dev", "{data}/SNLI/dev.tsv", *_SNLI)
    ),
    "sst2": Budget(1, 1, intermediate_rate="3e-4", prediction_rate="2e-4"),
    # SQuADShifts' new Wikipedia and Reddit parts stand in for the train file: every fifth
    # paragraph of both.
    "squad": Budget(
        1,
        1,
        dtype="bfloat16",
        data=("--problem", "spans", "--train", "{squad}", "--dev", "{data}/SQuAD/dev-v1.1.json"),
    ),
}
TEACHER_RATE = "5e-5"


def commands(task, budget, data, output, seed):
    """The commands of one task and seed, each a list of str: teacher, student, labels alone."""
    flags = ["--task", task, "--data-dir", str(data)]
    if budget.data:
        squad = write_squad_fifth(data / "SQuAD", output / "squad_train.json")
        flags = [flag.format(data=data, squad=squad) for flag in budget.data]
    folder = output / task
    teacher = ["finetune-teacher", *flags, "--teacher", find_minilm()]
    teacher += ["--output", str(folder / "teacher"), "--learning-rate", TEACHER_RATE]
    teacher += ["--dtype", budget.dtype]
    student = ["task-distill", *flags, "--teacher", str(folder / "teacher"), "--seed", str(seed)]
    student += ["--student-dtype", budget.dtype]
    student += ["--prediction-learning-rate", budget.prediction_rate, "--allow-weak-teacher"]
    distilled = ["--output", str(folder / f"distilled_{seed}")]
    distilled += ["--intermediate-epochs", str(budget.intermediate_epochs)]
    distilled += ["--intermediate-learning-rate", budget.intermediate_rate]
    distilled += ["--prediction-epochs", str(budget.prediction_epochs)]
    alone = ["--output", str(folder / f"labels_alone_{seed}"), "--intermediate-epochs", "0"]
    alone += ["--prediction-epochs", str(budget.epochs)]
    alone += ["--prediction-weight", "0", "--label-weight", "1"]
    return [
        [*teacher, "--epochs", str(budget.epochs)],
        [*student, *distilled],
        [*student, *alone],
    ]


def write_squad_fifth(folder, path):
    """Writes every fifth paragraph of SQuADShifts' two parts as one file; returns its path."""
    articles = []
    for name in ("new_wiki_v1.0.json", "reddit_v1.0.json"):
        articles += json.loads((folder / name).read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    fifth = {"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs[::5]}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(fifth), encoding="utf-8")
    return path


def main():
    """Runs every command, the first seed of all tasks first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, required=True, help="GLUE's folder")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/tasks"))
    parser.add_argument("--tasks", nargs="+", choices=BUDGETS, default=list(BUDGETS))
    settings = parser.parse_args()
    for seed in range(max(BUDGETS[task].seeds for task in settings.tasks)):
        for task in settings.tasks:
            if seed < BUDGETS[task].seeds:
                budget, output = BUDGETS[task], settings.output
                for command in commands(task, budget, settings.data_dir, output, seed):
                    print("tinybert-tf", *command, flush=True)
                    subprocess.run([sys.executable, "-m", "tinybert_tf.cli", *command], check=True)


if __name__ == "__main__":
    main()
