"""How many examples a second distillation takes in, and what each feature is worth.

    python -m benchmarks.train_throughput --train glue/MRPC/train.tsv --text-column "#1 String" \\
        --text-pair-column "#2 String" --label-column Quality --vocabulary MODEL_FOLDER \\
        --output runs/throughput.jsonl --figure runs/throughput.svg

Both stages are measured: "plainest" pads every batch to `--plain-length` and runs a float32 teacher
in each step; "best" is what this package does unless told otherwise; every other setting is "best"
with one thing changed. All settings stand in one process and are measured in turns, in an order
that is drawn anew in each round; figures are medians over the rounds, and `times_plainest` is the
median of what the setting gained over the plainest in the same round.

A short run of random batches would not hold the lengths of an epoch in their right numbers. So each
setting takes real batches of every length that it pads to, more of a length that is more frequent,
in random order, and the time of an example of each length is weighed by how many such examples the
epoch has. The last batch of a length, which is smaller, is left out where there is another. Keeping
the teacher's outputs, once for all epochs, is not part of the time.
"""

import argparse
import collections
import copy
import dataclasses
import functools
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

import tinybert_tf as tb
from benchmarks import environment
from tinybert_tf.programs.precision import TRAINED, frozen_dtype
from tinybert_tf.programs.training import is_folder

STAGES = ("intermediate", "prediction")
COARSE_LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How a step is made.

    Args:
        padding: "groups" (of about the same length, the default ones), "coarse groups" or "plain".
        teacher_runs: "each step", "once" (its outputs are read from a file) or "never".
        teacher_dtype: str of `precision.FROZEN`.
        student_dtype: str, a key of `precision.TRAINED`.
        prefetch: int, batches made ahead; `None` lets tf.data decide.
        jit_compile: bool, whether XLA compiles the step.
        steps_per_execution: int.
    """

    padding: str = "groups"
    teacher_runs: str = "each step"
    teacher_dtype: str = "auto"
    student_dtype: str = "float32"
    prefetch: int | None = None
    jit_compile: bool = False
    steps_per_execution: int = 1

    @property
    def frozen_dtype(self):
        """The teacher's dtype on this machine; what runs once is not compiled with the step."""
        compiled = self.jit_compile and self.teacher_runs == "each step"
        return frozen_dtype(self.teacher_dtype, compiled)


PLAINEST = Setting(padding="plain", teacher_dtype="float32")
# What is changed in each setting.
CHANGES = {
    "best": {},
    "without length groups": {"padding": "plain"},
    "coarse length groups": {"padding": "coarse groups"},
    "float32 teacher in each step": {"teacher_dtype": "float32", "teacher_runs": "each step"},
    "teacher in each step": {"teacher_runs": "each step"},
    "labels alone": {"teacher_runs": "never"},
    "bfloat16 student": {"student_dtype": "bfloat16"},
    "without prefetch": {"prefetch": 0},
    "8 steps an execution": {"steps_per_execution": 8},
    "XLA": {"jit_compile": True},
}
ONLY_PREDICTION = ("teacher in each step", "labels alone")


def settings_of(stage, leave_out=()):
    """The settings of a stage, "plainest" first.

    Args:
        stage: str of `STAGES`.
        leave_out: names of settings.

    Returns:
        Dict of name to `Setting`.
    """
    best = Setting(teacher_runs="each step" if stage == "intermediate" else "once")
    changes = {
        name: dataclasses.replace(best, **change)
        for name, change in CHANGES.items()
        if name not in leave_out and (stage == "prediction" or name not in ONLY_PREDICTION)
    }
    return {"plainest": PLAINEST} | changes


class Epoch:
    """An epoch of a setting's batches, known from samples of them.

    Args:
        batches: `ExampleBatches` without a seed.
        executed_together: int, how many batches of a length follow one another in a sample.

    Attributes:
        examples: dict of padded length to the number of examples.
    """

    def __init__(self, batches, executed_together=1):
        self._batches, self._together = batches, executed_together
        self._sizes, self._lengths = batches.sizes, batches.padded_lengths
        self.examples = {
            int(length): int(self._sizes[self._lengths == length].sum())
            for length in np.unique(self._lengths)
        }

    @property
    def real_tokens(self):
        """Number of tokens without padding."""
        return int(self._batches.rows.lengths.sum())

    @property
    def padded_tokens(self):
        """Number of tokens with padding."""
        return sum(length * count for length, count in self.examples.items())

    def draw(self, steps, random):
        """Draws batches of every length.

        Args:
            steps: int, about how many; at least one execution of each length.
            random: `numpy.random.Generator`.

        Returns:
            int array `(executions, executed_together)`, indices of batches.
        """
        chosen = []
        for length in self.examples:
            candidates = np.flatnonzero(self._lengths == length)
            share = steps * len(candidates) / len(self._lengths)
            whole = candidates[self._sizes[candidates] == self._sizes[candidates].max()]
            shape = (max(1, round(share / self._together)), self._together)
            enough = len(whole) >= shape[0] * shape[1]
            chosen.append(random.choice(whole, shape, replace=not enough))
        return random.permutation(np.concatenate(chosen))

    def sample(self, indices):
        """The dataset of the batches that `draw` chose, and what they are.

        Returns:
            `tf.data.Dataset`, and a list with `(padded length, number of examples)` of each
            execution.
        """
        part, flat = copy.copy(self._batches), indices.reshape(-1)
        for name in ("_starts", "sizes", "padded_lengths"):
            setattr(part, name, getattr(self._batches, name)[flat])
        lengths, sizes = self._lengths[indices[:, 0]], self._sizes[indices].sum(axis=1)
        return part.epoch(0), list(zip(lengths.tolist(), sizes.tolist(), strict=True))

    def seconds(self, seconds_an_example):
        """What the epoch takes, from the seconds that an example of each length takes."""
        return sum(count * seconds_an_example[length] for length, count in self.examples.items())


def seconds_an_example(timings):
    """Means, from timed executions.

    Args:
        timings: list of `(padded length, number of examples, seconds)`.

    Returns:
        Dict of padded length to seconds.
    """
    examples, seconds = collections.Counter(), collections.Counter()
    for length, count, duration in timings:
        examples[length] += count
        seconds[length] += duration
    return {length: seconds[length] / examples[length] for length in examples}


class Contender:
    """A setting that is ready to be measured.

    Args:
        setting: `Setting`.
        distiller: `Distiller`, compiled.
        batches: `ExampleBatches` without a seed.
    """

    def __init__(self, setting, distiller, batches):
        self.setting, self.distiller = setting, distiller
        self.epoch = Epoch(batches, setting.steps_per_execution)
        self.rounds = []
        distiller.prepare(batches)
        distiller.make_train_function()

    def measure(self, steps, random):
        """Takes steps, the first execution not timed; returns seconds an example by length."""
        chosen = self.epoch.draw(steps, random)
        dataset, executions = self.epoch.sample(np.concatenate([chosen[:1], chosen]))
        iterator = iter(dataset)
        timings = []
        for length, count in executions:
            start = time.perf_counter()
            float(self.distiller.train_function(iterator)["loss"])
            timings.append((length, count, time.perf_counter() - start))
        return seconds_an_example(timings[1:])

    @property
    def examples_per_second(self):
        """List of float, one a round."""
        count = sum(self.epoch.examples.values())
        return [count / self.epoch.seconds(seconds) for seconds in self.rounds]


class Workshop:
    """Makes contenders from the files and models that the command line names.

    Args:
        arguments: of the command line.
        folder: path of a folder for what is kept of a teacher.
    """

    def __init__(self, arguments, folder):
        self._arguments, self._folder = arguments, folder
        path = pathlib.Path(arguments.vocabulary)
        from_file = tb.Vocabulary.from_file
        self._vocabulary = tb.load(path).vocabulary if path.is_dir() else from_file(path)
        self._task = sampled(
            tb.data.task(
                train=arguments.train,
                text_column=arguments.text_column,
                text_pair_column=arguments.text_pair_column,
                label_column=arguments.label_column,
            ),
            arguments.examples,
        )
        self._model = functools.cache(self._make_model)  # settings share what is alike

    def make(self, stage, setting):
        """Returns the `Contender` of a setting."""
        teacher = None
        if setting.teacher_runs != "never":
            teacher = self._model("teacher", setting.frozen_dtype)
        student = self._model("student", TRAINED[setting.student_dtype])
        distiller = tb.Distiller(teacher, student)
        distiller.compile(
            make_objective(stage, setting),
            tb.adamw(5e-5),
            jit_compile=setting.jit_compile,
            steps_per_execution=setting.steps_per_execution,
        )
        return Contender(setting, distiller, self._batches(setting, teacher, student))

    def _batches(self, setting, teacher, student):
        plain = setting.padding == "plain"
        batches = self._task.train(
            student,
            batch_size=self._arguments.batch_size,
            max_length=self._arguments.plain_length if plain else self._arguments.max_length,
            pad_to=self._pad_to(setting.padding),
            prefetch=setting.prefetch,
            seed=None,
        )
        if setting.teacher_runs != "once":
            return batches
        cache = tb.distillation.TeacherCache(self._folder, teacher, batches, {"logits": None})
        cache.fill()
        return batches.with_teacher(cache)

    def _pad_to(self, padding):
        longest = self._arguments.max_length
        coarse = [length for length in COARSE_LENGTHS if length < longest] + [longest]
        return {
            "plain": self._arguments.plain_length,
            "coarse groups": coarse,
            "groups": None,
        }[padding]

    def _make_model(self, role, dtype):
        name, task, vocabulary = getattr(self._arguments, role), self._task, self._vocabulary
        if is_folder(name):
            return tb.BertClassifier.from_encoder(tb.load(name, dtype=dtype), task.labels)
        return tb.BertClassifier.from_preset(name, task.labels, vocabulary=vocabulary, dtype=dtype)


def sampled(task, count):
    """A task whose train split is at most `count` of its examples, drawn at random."""
    examples = task.examples("train")
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    columns = {
        name: column and [column[row] for row in chosen] for name, column in vars(examples).items()
    }
    examples = dataclasses.replace(examples, **columns)
    return dataclasses.replace(task, read=lambda split: examples)


def make_objective(stage, setting):
    """The objective of a stage; without a teacher it learns from the labels."""
    if stage == "intermediate":
        return tb.IntermediateObjective()
    if setting.teacher_runs == "never":
        return tb.PredictionObjective(prediction_weight=0, label_weight=1)
    return tb.PredictionObjective()


def make_record(name, contender, plainest):
    """What was found of a setting.

    Args:
        name: str.
        contender: `Contender` with one round or more.
        plainest: `Contender` of the plainest setting, with as many.

    Returns:
        Dict that JSON can hold: tokens and examples of an epoch, how many of them a second
        (medians), `times_plainest`, the rounds they come from, and the median milliseconds of a
        step with a whole batch by padded length.
    """
    epoch, speeds = contender.epoch, contender.examples_per_second
    ratios = [a / b for a, b in zip(speeds, plainest.examples_per_second, strict=True)]
    speed, num_examples = statistics.median(speeds), sum(epoch.examples.values())
    real, padded = epoch.real_tokens, epoch.padded_tokens
    return {
        "setting": name,
        **dataclasses.asdict(contender.setting),
        "teacher_dtype": contender.setting.frozen_dtype,
        "num_examples": num_examples,
        "real_tokens": real,
        "padded_tokens": padded,
        "examples_per_second": speed,
        "real_tokens_per_second": speed * real / num_examples,
        "padded_tokens_per_second": speed * padded / num_examples,
        "times_plainest": statistics.median(ratios),
        "rounds": {"examples_per_second": speeds, "times_plainest": ratios},
        "examples_by_length": epoch.examples,
        "example_ms_by_length": {
            length: 1e3 * statistics.median(seconds[length] for seconds in contender.rounds)
            for length in epoch.examples
        },
    }


def write_figure(records, path):
    """Bars of examples a second, a panel a stage, with a point for each round.

    Args:
        records: list of dicts, as in the output.
        path: path of a file; its ending says the format.
    """
    import matplotlib
    from matplotlib.figure import Figure

    stages = list(dict.fromkeys(record["stage"] for record in records))
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for panel, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        rows = [record for record in records if record["stage"] == stage][::-1]
        names = [f"{row['setting']}, {row['times_plainest']:.2f}x" for row in rows]
        panel.barh(names, [row["examples_per_second"] for row in rows], color="#1f5a99")
        for name, row in zip(names, rows, strict=True):
            speeds = row["rounds"]["examples_per_second"]
            panel.plot(speeds, [name] * len(speeds), ".", color="#c2571a", markersize=4)
        panel.set_title(f"{stage} step")
        panel.set_xlabel("examples a second")
        panel.spines[["top", "right"]].set_visible(False)
    with matplotlib.rc_context({"svg.hashsalt": "tinybert_tf", "svg.fonttype": "none"}):
        figure.savefig(path)


def run(arguments, folder):
    """Measures all settings in turns; writes the output after every round."""
    workshop, random = Workshop(arguments, folder), np.random.default_rng(0)
    contenders = {
        (stage, name): workshop.make(stage, setting)
        for stage in arguments.stages
        for name, setting in settings_of(stage, arguments.leave_out).items()
    }
    warn_of_cut_examples(contenders)
    for number in range(arguments.rounds + 1):
        for index in random.permutation(len(contenders)):
            contender = list(contenders.values())[index]
            seconds = contender.measure(arguments.steps, random)
            if number:  # the first round compiles and is not counted
                contender.rounds.append(seconds)
        if number:
            finish_round(arguments, contenders, number)


def finish_round(arguments, contenders, number):
    """Writes the records of the rounds so far, draws them and says where they stand."""
    common = {name: getattr(arguments, name) for name in ("teacher", "student", "batch_size")}
    common["train"] = environment.shorten(str(pathlib.Path(arguments.train).resolve()))
    records = [
        {"stage": stage, **make_record(name, contender, contenders[stage, "plainest"])}
        | common
        | environment.describe()
        for (stage, name), contender in contenders.items()
    ]
    environment.write_lines(records, arguments.output)
    if arguments.figure:
        write_figure(records, arguments.figure)
    print(f"\nafter round {number} of {arguments.rounds}", file=sys.stderr)
    for record in records:
        print(
            f"{record['stage']:12} {record['setting']:28} "
            f"{record['examples_per_second']:8.1f} examples/s "
            f"{record['real_tokens_per_second']:8.0f} real tokens/s "
            f"{record['padded_tokens_per_second']:8.0f} padded tokens/s "
            f"{record['times_plainest']:6.2f}x",
            file=sys.stderr,
        )


def warn_of_cut_examples(contenders):
    """Says so if the plain length cuts examples, which the groups do not cut."""
    by_padding = {each.setting.padding: each.epoch.real_tokens for each in contenders.values()}
    cut = by_padding["groups"] - by_padding["plain"]
    if cut > 0:
        share = cut / by_padding["groups"]
        print(f"--plain-length cuts away {100 * share:.1f} % of the tokens.", file=sys.stderr)


def make_parser():
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", required=True, help="file of examples: .tsv, .csv, also .gz")
    parser.add_argument("--text-column", default="sentence")
    parser.add_argument("--text-pair-column")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--vocabulary", required=True, help="vocab.txt or model folder")
    parser.add_argument("--teacher", default="bert_base_uncased", help="preset or model folder")
    parser.add_argument("--student", default="tinybert_4l_312d", help="preset or model folder")
    parser.add_argument("--batch-size", type=int, default=32, help="examples in a batch")
    parser.add_argument("--plain-length", type=int, default=64, help="tokens, without groups")
    parser.add_argument("--max-length", type=int, default=128, help="most tokens of an example")
    parser.add_argument("--examples", type=int, default=4096, help="most examples of the file")
    parser.add_argument("--rounds", type=int, default=5, help="counted; one more comes before")
    parser.add_argument("--steps", type=int, default=16, help="of each setting in a round, about")
    parser.add_argument("--stages", nargs="+", default=STAGES, choices=STAGES)
    parser.add_argument("--leave-out", nargs="+", default=[], choices=CHANGES, metavar="SETTING")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="file, JSON lines")
    parser.add_argument("--figure", type=pathlib.Path, help="file for a figure: .svg or .png")
    return parser


def main():
    """Measures what the command line asks for."""
    with tempfile.TemporaryDirectory() as folder:
        run(make_parser().parse_args(), folder)


if __name__ == "__main__":
    main()
