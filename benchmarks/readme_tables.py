"""Puts the results of runs into the README's tables.

    python benchmarks/readme_tables.py --quickstart runs/quickstart --sst2 runs/sst2 \\
        --start runs/snips_start --tasks runs/tasks --general runs/general \\
        --two-stage runs/two_stage --augmentation runs/two_stage --pareto runs/pareto \\
        --trimmed runs/trimmed --out-of-scope runs/clinc \\
        --augmentation-speed runs/augmentation_speed.jsonl --throughput runs/throughput.jsonl \\
        --products runs/products.jsonl --scaling runs/scaling.jsonl \\
        --device-speed runs/device_speed/speed.jsonl

Each run's figures are kept in benchmarks/results/ as the programs wrote them; the tables are made
from there. Without a flag the README is written anew from what is kept.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics

from tinybert_tf.atomic import atomic_file

RESULTS = pathlib.Path(__file__).parent / "results"
README = pathlib.Path(__file__).parents[1] / "README.md"


def collect_quickstart(folder):
    """The record of a quickstart."""
    return read(folder / "run.json")


def collect_sst2(folder):
    """The records of the stages of recipes/sst2.yaml."""
    stages = {"teacher": "teacher/run.json", "student": "student/run.json"}
    stages |= {"labels_alone": "labels_alone/run.json", "random_start": "random_start/run.json"}
    stages["verify"] = "verify.json"
    return {name: read(folder / path) for name, path in stages.items()}


def collect_start(folder):
    """The records of the stages of recipes/snips_start.yaml."""
    return {name: read(folder / name / "run.json") for name in ("teacher_pca", "random")}


def collect_tasks(folder):
    """The records of benchmarks.task_results: of each task, the finished of each kind of training.

    Beside them, in `transformers.jsonl`, may lie what finetune_in_transformers.py printed.
    """
    found = collect_kinds(folder, KINDS)
    tasks = {task: kinds for task, kinds in found.items() if kinds["teacher"]}
    peer = folder / "transformers.jsonl"
    return {"tasks": tasks, "transformers": collect_lines(peer) if peer.is_file() else []}


KINDS = ("teacher", "distilled", "labels_alone")


def collect_kinds(folder, kinds):
    """The finished records in TASK/KIND* of a folder: dict of task to dict of kind to list."""
    return {
        task.name: {
            kind: [read(path) for path in sorted(task.glob(f"{kind}*/run.json")) if finished(path)]
            for kind in kinds
        }
        for task in sorted(folder.iterdir())
        if task.is_dir()
    }


def collect_general(folder):
    """The record of a general-distill; its figure goes beside what is kept of it."""
    with atomic_file(RESULTS / "general.svg") as temporary:
        shutil.copyfile(folder / "losses.svg", temporary)
    return read(folder / "run.json")


def collect_two_stage(folder):
    """The records of benchmarks.two_stage_results about where the student starts."""
    return collect_kinds(folder, STARTS)


def collect_augmentation(folder):
    """The records of benchmarks.two_stage_results about augmentation."""
    return collect_kinds(folder, AUGMENTATION)


STARTS = {
    "random_start": "random",
    "teacher_pca_start": "teacher's principal components",
    "general_start": "general student",
}
AUGMENTATION = {"general_start": "as they are", "augmented": "augmented"}


def collect_pareto(folder):
    """The record of a pareto, less the places of its files; its figure goes beside it."""
    with atomic_file(RESULTS / "pareto.svg") as temporary:
        shutil.copyfile(folder / "pareto.svg", temporary)
    record = read(folder / "run.json")
    for row in record["result"]["files"]:
        row["path"] = pathlib.PurePath(row["path"]).name
        row["dev"].pop("model")
    return record


def collect_trimmed(folder):
    """The records of exports with smaller vocabularies, and of what `evaluate` said of them."""
    paths = sorted(folder.glob("*.tflite"))
    kinds = {"export": ".tflite.run.json", "dev": ".json"}
    return [{k: read(path.with_suffix(end)) for k, end in kinds.items()} for path in paths]


def collect_out_of_scope(folder):
    """The records of the last stages of recipes/clinc150.yaml."""
    return {"export": read(folder / "student.tflite.run.json"), "test": read(folder / "test.json")}


def collect_lines(path):
    """The records of a benchmark of this folder, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def finished(path):
    """Whether there is a record of a run that has come to its end."""
    return path.is_file() and json.loads(path.read_text())["status"] == "finished"


def read(path):
    """A finished run's record, less the paths of the machine it ran on."""
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["status"] != "finished":
        raise SystemExit(f"{path}: the run is not finished.")
    return record | {"settings": {k: v for k, v in record["settings"].items() if k not in PATHS}}


PATHS = ("data_dir", "teacher", "student", "model", "output", "tflite", "vocabulary", "corpus")
PATHS += ("augment", "candidates", "models")


def quickstart_table(record):
    """Accuracy, size and latency of each model, with ratios to the teacher."""
    models = record["result"]["models"]
    base = next(iter(models.values()))
    rows = [
        [
            name,
            f"{100 * model['accuracy']:.2f} %",
            f"{100 * model['accuracy'] / base['accuracy']:.1f} %",
            f"{model['size_bytes'] / 1e6:.1f} MB",
            f"{model['latency_ms']:.2f} ms",
            f"{base['latency_ms'] / model['latency_ms']:.1f}x",
        ]
        for name, model in models.items()
    ]
    length = base["latency_length"]
    header = [
        "SNIPS intents",
        "test accuracy",
        "of teacher",
        "file",
        f"at {length} tokens",
        "faster",
    ]
    return table([header, *rows]) + footnote(record)


def sst2_table(records):
    """Dev accuracy of each model, and its share of the teacher's."""
    names = {
        "teacher": "teacher, MiniLM fine-tuned",
        "student": "TinyBERT-4 distilled",
        "random_start": "TinyBERT-4 distilled from a random start",
        "labels_alone": "TinyBERT-4 on labels alone",
    }
    accuracies = {name: records[name]["result"]["dev"]["dev_accuracy"] for name in names}
    rows = [[names[name], accuracies[name], passes(records[name])] for name in names]
    int8 = records["verify"]["result"]["metrics"]["accuracy"]["file"]
    rows.insert(2, [f"{names['student']}, int8 file", int8, passes(records["student"])])
    cells = [
        [name, f"{100 * value:.2f} %", f"{100 * value / accuracies['teacher']:.1f} %", count]
        for name, value, count in rows
    ]
    header = ["SST-2", "dev accuracy", "of teacher", "passes over the data"]
    return table([header, *cells]) + footnote(*(records[name] for name in names))


def start_table(records):
    """Losses of the intermediate stage and dev accuracy of each start."""
    names = {"teacher_pca": "teacher's principal components", "random": "random"}
    rows = []
    for start, record in records.items():
        result = record["result"]
        losses = result["intermediate_epochs"][0]
        terms = [f"{losses[f'{term}_loss']:.3f}" for term in ("attention", "hidden", "embedding")]
        rows.append([names[start], *terms, f"{100 * result['dev']['dev_accuracy']:.2f} %"])
    header = ["start", "attention loss", "hidden loss", "embedding loss", "dev accuracy"]
    return table([header, *rows]) + footnote(*records.values())


def tasks_table(records):
    """Dev metrics of each task's teacher and students, and what they keep of the teacher's."""
    header = ["task, dev metrics", "teacher", "TinyBERT-4", "of teacher", "on labels alone"]
    header += ["of teacher", "passes", "steps", "minutes, longest"]
    tasks = records["tasks"]
    rows = [task_row(task, kinds) for task, kinds in tasks.items()]
    every = [record for kinds in tasks.values() for found in kinds.values() for record in found]
    return table([header, *rows]) + footnote(*every, minutes=False) + peers(records["transformers"])


def peers(records):
    """What another program makes of the same teacher."""
    return "".join(
        f"Fine-tuned by transformers {record['transformers']} and torch {record['torch']}, the "
        f"teacher of {record['task']} has F1 {100 * record['epochs'][-1]['f1']:.1f} and accuracy "
        f"{100 * record['epochs'][-1]['accuracy']:.1f} after {len(record['epochs'])} passes.\n"
        for record in records
    )


def task_row(task, kinds):
    """The cells of one task: means over the seeds, and their standard deviation."""
    teacher = kinds["teacher"][0]
    names = [name for name in teacher["result"]["dev"] if name in METRIC_NAMES]
    of_teacher = teacher["result"]["dev"][names[0]]
    cells = [f"{task}, {' / '.join(METRIC_NAMES[name] for name in names)}"]
    for kind in KINDS:
        values = {n: [record["result"]["dev"][n] for record in kinds[kind]] for n in names}
        cells.append(" / ".join(map(mean_cell, values.values())) if kinds[kind] else "")
        if kind != "teacher":
            shares = [value / of_teacher for value in values[names[0]]]
            cells.append(f"{100 * statistics.mean(shares):.1f} %" if shares else "")
    every = [record for found in kinds.values() for record in found]
    steps = [record["result"]["steps"] for record in every if "steps" in record["result"]]
    minutes = max(record["seconds"] for record in every) / 60
    return [
        *cells,
        passes((kinds["distilled"] or kinds["teacher"])[0]),
        distinct(steps),
        f"{minutes:.0f}",
    ]


def general_table(record):
    """What general distillation leaves of the first losses, and how fast it goes."""
    result = record["result"]
    first, last = result["epochs"][0], result["epochs"][-1]
    rows = [["loss", "mean of the first pass", "of the last pass", "left at the end"]]
    for name, left in result["losses_left"].items():
        values = (f"{epoch[name]:.3f}" for epoch in (first, last))
        rows.append([name.removesuffix("_loss"), *values, f"{100 * left:.0f} %"])
    speed = statistics.mean(epoch["tokens_per_second"] for epoch in result["epochs"])
    text = f"{result['sequences']} sequences in {result['steps']} steps, {speed:,.0f} tokens/s. "
    return table(rows) + footnote(record).replace("\n", f"\n{text}", 1)


def two_stage_table(records):
    """Dev metrics after the same steps from each start."""
    return kinds_table(records, STARTS)


def augmentation_table(records):
    """Dev metrics after the same steps on the training data as they are and augmented."""
    return kinds_table(records, AUGMENTATION)


def kinds_table(records, kinds):
    """Dev metrics of each kind of run of each task: means over the seeds, standard deviations."""
    tasks = {task: found for task, found in records.items() if all(found[k] for k in kinds)}
    if not tasks:
        raise SystemExit(f"No task has finished runs of every kind: {', '.join(kinds)}.")
    rows, every = [["task, dev metrics", *kinds.values(), "passes", "steps", "seeds"]], []
    for task, found in tasks.items():
        runs = [record for kind in kinds for record in found[kind]]
        names = [name for name in runs[0]["result"]["dev"] if name in METRIC_NAMES]
        cells = [
            " / ".join(mean_cell([r["result"]["dev"][name] for r in found[kind]]) for name in names)
            for kind in kinds
        ]
        steps = distinct(run["result"]["steps"] for run in runs)
        seeds = distinct(len(found[kind]) for kind in kinds)
        metrics = " / ".join(METRIC_NAMES[name] for name in names)
        rows.append([f"{task}, {metrics}", *cells, passes(runs[0]), steps, seeds])
        every += runs
    return table(rows) + footnote(*every, minutes=False)


def distinct(values):
    """Distinct numbers as one cell."""
    return ", ".join(map(str, sorted(set(values))))


def pareto_table(record):
    """Size and latency by recipe, and each student's metric, bold where no other file is better.

    The students have one shape, so that the first one's sizes and latencies are those of all.
    """
    found, metric = record["result"]["files"], record["result"]["metric"]
    students = list(dict.fromkeys(row["student"] for row in found))
    lengths = [f"{length} tokens" for length in found[0]["p50_ms"]]
    rows = [["recipe", "MB", *lengths, *(f"{metric} of `{name}`" for name in students)]]
    for recipe in dict.fromkeys(row["recipe"] for row in found):
        own = [row for row in found if row["recipe"] == recipe]
        latencies = [f"{value:.2f} ms" for value in own[0]["p50_ms"].values()]
        cells = [metric_cell(next(r for r in own if r["student"] == name)) for name in students]
        rows.append([f"`{recipe}`", f"{own[0]['size_bytes'] / 1e6:.1f}", *latencies, *cells])
    threads = record["settings"]["threads"]
    note = f"Medians on {threads} thread{'s' * (threads > 1)}, {found[0]['runtime']}. "
    return table(rows) + footnote(record).replace("\n", f"\n{note}", 1)


def metric_cell(row):
    """The metric of one of pareto's files in percent, bold where none is better."""
    value = f"{100 * row['metric']:.2f}"
    return value if row["dominated_by"] else f"**{value}**"


def trimmed_table(records):
    """Size and accuracy of files by how often a word-piece had to be there to stay in them."""
    header = ["recipe", "pieces seen at least", "kept", "of", "positions", "MB", "accuracy"]
    rows = []
    for record in records:
        made, settings = record["export"]["result"], record["export"]["settings"]
        pieces = made["trimming"]
        cells = [settings["trim_min_count"], pieces["num_kept"], pieces["num_pieces"]]
        sizes = [f"`{made['recipe']}`", *cells, settings["max_length"], made["size_bytes"] / 1e6]
        rows.append([*sizes, f"{100 * record['dev']['result']['accuracy']:.2f}"])
    rows.sort(key=lambda row: -row[5])
    shown = [
        [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows
    ]
    return table([header, *shown]) + footnote(*(r["export"] for r in records), minutes=False)


def out_of_scope_table(records):
    """How often a calibrated file is right, how sure it is, and what it makes of other texts."""
    test, dev = (records[name]["result"] for name in ("test", "export"))
    shares = {
        "accuracy": "accuracy",
        "right and not rejected": "in_scope_accuracy",
        "rejected": "in_scope_rejected",
        "texts of no class rejected": "out_of_scope_recall",
    }
    cells = {title: f"{100 * test[name]:.1f} %" for title, name in shares.items()} | {
        "calibration error": f"{test['calibration_error']:.3f}",
        "uncalibrated, on dev": f"{dev['calibration']['calibration_error_before']:.3f}",
    }
    return table([list(cells), list(cells.values())]) + footnote(*records.values())


def device_speed_table(records):
    """Size and latency of files that ran in turns, and how many times the default file's."""
    lengths = list(dict.fromkeys(record["length"] for record in records))
    header = ["file", "MB"]
    for length in lengths:
        header += [f"{length} tokens", "times the default"]
    rows = [header]
    for name in dict.fromkeys(record["file"] for record in records):
        own = {r["length"]: r for r in records if r["file"] == name}
        cells = [f"`{name}`", f"{own[lengths[0]]['size_bytes'] / 1e6:.1f}"]
        for length in lengths:
            times = own[length]["ratios"].get(DEFAULT_FILE, 1)
            cells += [f"{own[length]['p50_ms']:.2f} ms", f"{times:.2f}x"]
        rows.append(cells)
    versions = records[0]["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("ai-edge-litert", "onnxruntime"))
    processor = " ".join(records[0]["processor"].split()[:2])
    return table(rows) + f"\n{records[0]['date']}, {processor}, {packages}, one thread.\n"


DEFAULT_FILE = "tinybert_4l_312d.dynamic_wi8_afp32.tflite"


def augmentation_speed_table(records):
    """Sentences a second of each way to ask a masked LM for words."""
    rows = [["way", "sentences/s", "times as released"]]
    for record in records:
        speed = f"{record['sentences_per_second']:.2f}"
        rows.append([record["way"], speed, f"{record['times_released']:.1f}x"])
    counts = distinct(record["num_texts"] for record in records)
    return table(rows) + measured(records[0], f"{counts} sentences of {records[0]['train']}. ")


def mean_cell(values):
    """The mean in hundredths, and the standard deviation where there are several."""
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"


METRIC_NAMES = {
    "dev_accuracy": "accuracy",
    "dev_matthews": "Matthews",
    "dev_f1": "F1",
    "dev_pearson": "Pearson",
    "dev_spearman": "Spearman",
    "dev_answer_f1": "F1",
    "dev_exact_match": "EM",
}


def throughput_table(records):
    """Examples a second of each setting, and how many times the plainest; a table for each file."""
    tables = []
    for train in dict.fromkeys(record["train"] for record in records):
        found = [record for record in records if record["train"] == train]
        steps = {(record["setting"], record["stage"]): record for record in found}
        stages = list(dict.fromkeys(stage for _, stage in steps))
        rows = [[train, *(cell for stage in stages for cell in (f"{stage} step", "times"))]]
        for setting in dict.fromkeys(setting for setting, _ in steps):
            pairs = (speed_cells(steps.get((setting, stage))) for stage in stages)
            rows.append([setting, *(cell for pair in pairs for cell in pair)])
        best = next(record for record in found if record["setting"] == "best")
        text = (
            f"{best['teacher']} teaches {best['student']}, {best['batch_size']} examples in a "
            f"batch; {best['real_tokens'] / best['num_examples']:.1f} tokens in an example. "
        )
        tables.append(table(rows) + measured(best, text))
    return "\n".join(tables)


def speed_cells(record):
    """Examples a second, and times the plainest; empty where a stage has no such setting."""
    if record is None:
        return ["", ""]
    return [f"{record['examples_per_second']:.1f} examples/s", f"{record['times_plainest']:.2f}x"]


def products_table(records):
    """The share of a step's time that its matrix products take at the machine's own rate."""
    names = {"step": "step", "teacher": "teacher's pass alone", "student": "student's step alone"}
    rows = [["tokens", "part", "GFLOP", "time", "its products alone", "share", "GFLOP/s"]]
    for record in records:
        for name, part in record["summary"].items():
            rows.append(
                [
                    str(record["length"]),
                    names[name],
                    f"{part['flop'] / 1e9:.0f}",
                    f"{part['milliseconds']:.0f} ms",
                    f"{part['products_milliseconds']:.0f} ms",
                    f"{100 * part['products_share']:.0f} %",
                    f"{part['flop_per_second'] / 1e9:.0f}",
                ]
            )
    first = records[0]
    text = (
        f"{first['teacher']} in {first['teacher_dtype']} teaches {first['student']} in "
        f"{first['student_dtype']}, {first['batch_size']} examples in a batch. "
    )
    return table(rows) + measured(first, text)


def scaling_table(records):
    """Examples a second of the same global batch on more and more replicas of one machine."""
    cells = [
        [
            record["case"],
            f"{record['examples_per_second']:.0f} examples/s",
            f"{record['times_one_replica']:.2f}x",
        ]
        for record in records
    ]
    first = records[0]
    text = (
        f"{first['note']} {first['teacher']} teaches {first['student']}, {first['batch_size']} "
        f"examples of {first['length']} tokens in a batch. "
    )
    return table([["intermediate step", "speed", "times one"], *cells]) + measured(first, text)


def measured(record, text):
    """What was measured, then the date, machine and versions of a benchmark of this folder."""
    packages = ", ".join(f"{name} {record['versions'][name]}" for name in ("tensorflow", "keras"))
    machine = ", ".join([record["processor"], f"{record['cores']} cores", *record["gpus"]])
    return f"\n{text}{record['date']}, {machine}, {packages}.\n"


def passes(record):
    """Epochs of each stage, in words."""
    result = record["result"]
    if "epochs" in result:
        return str(len(result["epochs"]))
    stages = (len(result["intermediate_epochs"]), len(result["prediction_epochs"]))
    return " + ".join(str(count) for count in stages if count)


def table(rows):
    """Rows of cells as Markdown; the first is the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def footnote(*records, minutes=True):
    """Machine, versions, date, time and memory of runs."""
    versions, names = records[0]["versions"], ("tensorflow", "keras", "ai-edge-litert")
    packages = ", ".join(f"{name} {versions[name]}" for name in names)
    seconds = [record["seconds"] for record in records]
    took = " + ".join(f"{s / 60:.1f}" for s in (seconds if minutes else [sum(seconds)]))
    peaks = [record["peak_memory_bytes"] for record in records if "peak_memory_bytes" in record]
    memory = f", {max(peaks) / 1e9:.1f} GB at most" if peaks else ""
    return (
        f"\n{records[0]['started'][:10]}, {versions['machine']}, {packages}; {took} minutes"
        f"{memory}.\n"
    )


TABLES = {
    "quickstart": (collect_quickstart, quickstart_table),
    "sst2": (collect_sst2, sst2_table),
    "start": (collect_start, start_table),
    "tasks": (collect_tasks, tasks_table),
    "general": (collect_general, general_table),
    "two_stage": (collect_two_stage, two_stage_table),
    "augmentation": (collect_augmentation, augmentation_table),
    "device_speed": (collect_lines, device_speed_table),
    "pareto": (collect_pareto, pareto_table),
    "trimmed": (collect_trimmed, trimmed_table),
    "out_of_scope": (collect_out_of_scope, out_of_scope_table),
    "augmentation_speed": (collect_lines, augmentation_speed_table),
    "throughput": (collect_lines, throughput_table),
    "products": (collect_lines, products_table),
    "scaling": (collect_lines, scaling_table),
}


def render(readme):
    """The README's text with every table made anew from benchmarks/results/."""
    for name, (_, make) in TABLES.items():
        if f"<!-- table {name} -->" not in readme:
            continue
        content = make(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        readme = re.sub(pattern, lambda m, c=content: f"{m[1]}{c}{m[2]}", readme, flags=re.DOTALL)
    return readme


def main():
    """Collects the runs that flags name, then writes the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in TABLES:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=pathlib.Path, help="what the run wrote"
        )
    for name, path in vars(parser.parse_args()).items():
        if path is not None:
            with atomic_file(RESULTS / f"{name}.json") as temporary:
                collected = json.dumps(TABLES[name][0](path), indent=1, ensure_ascii=False)
                temporary.write_text(collected + "\n", encoding="utf-8")
    with atomic_file(README) as temporary:
        temporary.write_text(render(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
